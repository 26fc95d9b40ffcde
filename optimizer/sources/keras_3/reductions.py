"""Operations over an axis: sums, means, extremes, positions."""

from __future__ import annotations

from typing import Any

from optimizer.sources.keras_3.operands import as_float, axes_of, given, known_shape, tensor
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, operation

REDUCTIONS = {
    "Sum": "math.reduce_sum", "Max": "math.reduce_max", "Min": "math.reduce_min", "Amax": "math.reduce_max", "Amin": "math.reduce_min",
    "Prod": "math.reduce_prod", "All": "math.reduce_all", "Any": "math.reduce_any",
}  # fmt: skip
FLOAT_REDUCTIONS = {
    "Mean": "math.reduce_mean", "Std": "math.reduce_std", "Var": "math.reduce_variance", "Logsumexp": "math.reduce_logsumexp",
}  # fmt: skip


@operation(*REDUCTIONS, *FLOAT_REDUCTIONS)
def reduction(source: SourceLayer) -> Parts:
    """One value of all along some axes."""
    arguments = given(source, "x", "axis", "keepdims")
    builder = Builder(source)
    x: Any = tensor(arguments, "x", source)
    if arguments.get("initial") is not None or arguments.get("dtype") is not None:
        raise source.refuse("has a setting that has no counterpart in tf-keras")
    if source.class_name in FLOAT_REDUCTIONS:
        x = as_float(builder, x)
    function = {**REDUCTIONS, **FLOAT_REDUCTIONS}[source.class_name]
    builder.operator(function, x, axis=axes_of(arguments.get("axis")), keepdims=bool(arguments.get("keepdims")))
    return builder.done()


@operation("Argmax", "Argmin")
def position(source: SourceLayer) -> Parts:
    """Where the largest or smallest value is."""
    arguments = given(source, "x", "axis", "keepdims")
    axis = arguments.get("axis")
    if axis is None:
        raise source.refuse("looks through the whole batch at once", "Name an axis.")
    builder = Builder(source)
    x = tensor(arguments, "x", source)
    found = builder.operator(f"math.{source.class_name.lower()}", x, axis=int(axis), output_type="int32")
    if arguments.get("keepdims"):
        builder.operator("expand_dims", found, axis=int(axis))
    return builder.done()


@operation("Cumsum", "Cumprod")
def running(source: SourceLayer) -> Parts:
    """Running sums and products."""
    arguments = given(source, "x", "axis")
    if arguments.get("axis") is None or arguments.get("dtype") is not None:
        raise source.refuse("runs through the whole batch at once", "Name an axis.")
    builder = Builder(source)
    builder.operator(f"math.{source.class_name.lower()}", tensor(arguments, "x", source), axis=int(arguments["axis"]))
    return builder.done()


@operation("TopK")
def top_k(source: SourceLayer) -> Parts:
    """The largest values along the last axis, and their positions."""
    arguments = given(source, "x", "k", "sorted")
    builder = Builder(source)
    ordered = bool(arguments.get("sorted", True))
    builder.operator("math.top_k", tensor(arguments, "x", source), k=int(arguments["k"]), sorted=ordered)
    return builder.done()


@operation("Moments")
def moments(source: SourceLayer) -> Parts:
    """Mean and variance."""
    arguments = given(source, "x", "axes", "keepdims", "synchronized")
    builder = Builder(source)
    x = tensor(arguments, "x", source)
    builder.operator("nn.moments", x, axes=axes_of(arguments["axes"]), keepdims=bool(arguments.get("keepdims")))
    return builder.done()


@operation("Normalize")
def normalize(source: SourceLayer) -> Parts:
    """Vectors of length one."""
    arguments = given(source, "x", "axis", "order", "epsilon")
    axis = arguments.get("axis", -1)
    if arguments.get("order", 2) != 2 or not isinstance(axis, int):
        raise source.refuse("has an order that has no counterpart in tf-keras")
    epsilon = arguments.get("epsilon")
    builder = Builder(source)
    x = tensor(arguments, "x", source)
    known_shape(x, source)
    builder.operator("math.l2_normalize", x, axis=axis, epsilon=float(1e-12 if epsilon is None else epsilon) ** 2)
    return builder.done()


@operation("Average")
def average(source: SourceLayer) -> Parts:
    """The mean along an axis, without weights."""
    arguments = given(source, "x", "weights", "axis")
    if arguments.get("weights") is not None:
        raise source.refuse("has weights", "Multiply and divide by them with ordinary operations.")
    axis = arguments.get("axis")
    builder = Builder(source)
    builder.operator("math.reduce_mean", tensor(arguments, "x", source), axis=axes_of(axis))
    return builder.done()
