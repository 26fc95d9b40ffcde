"""Operations over an axis: sums, means, extremes, positions."""

from __future__ import annotations

from typing import Any

from optimizer.sources.keras_3.operands import as_float, as_truth, axes_of, cast, given, known_shape, tensor
from optimizer.sources.keras_3.parts import Builder, Inner, Parts, SourceLayer, operation

REDUCTIONS = {
    "Sum": "math.reduce_sum", "Max": "math.reduce_max", "Min": "math.reduce_min", "Amax": "math.reduce_max", "Amin": "math.reduce_min",
    "Prod": "math.reduce_prod", "All": "math.reduce_all", "Any": "math.reduce_any",
}  # fmt: skip
FLOAT_REDUCTIONS = {
    "Mean": "math.reduce_mean", "Std": "math.reduce_std", "Var": "math.reduce_variance", "Logsumexp": "math.reduce_logsumexp",
}  # fmt: skip
SMALL = ("bool", "int8", "int16", "uint8", "uint16")
"""Types that Keras 3 adds and multiplies in 32 bits. Those without a sign it gives as uint32, which LiteRT does not add up."""


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
    elif source.class_name in ("All", "Any"):
        x = as_truth(builder, x)
    elif source.class_name in ("Sum", "Prod") and x.dtype in SMALL:
        x = cast(builder, x, "int32")
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
    x: Any = tensor(arguments, "x", source)
    if x.dtype == "bool":
        x = cast(builder, x, "int32")
    builder.operator(f"math.{source.class_name.lower()}", x, axis=int(arguments["axis"]))
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


@operation("Sort", "Argsort")
def order(source: SourceLayer) -> Parts:
    """Values or their positions in ascending order along the last axis: LiteRT has an operator for the largest values, and none that sorts."""
    arguments = given(source, "x", "axis")
    x = tensor(arguments, "x", source)
    shape = known_shape(x, source)
    axis = arguments.get("axis", -1)
    if axis is None or int(axis) % len(shape) != len(shape) - 1 or shape[-1] is None:
        raise source.refuse("sorts along another axis than the last, or one of open length", "Transpose first.")
    if x.dtype == "bool" or x.dtype.startswith("uint"):
        raise source.refuse(f"sorts values of type {x.dtype}", "Cast them to int32 first.")
    builder = Builder(source)
    largest = builder.operator("math.top_k", builder.operator("math.negative", x), k=shape[-1])
    if source.class_name == "Sort":
        builder.operator("math.negative", Inner(part=largest.part, index=0))
    else:
        builder.operator("identity", Inner(part=largest.part, index=1))
    return builder.done()


@operation("Average")
def average(source: SourceLayer) -> Parts:
    """The mean along an axis, without weights."""
    arguments = given(source, "x", "weights", "axis")
    if arguments.get("weights") is not None:
        raise source.refuse("has weights", "Multiply and divide by them with ordinary operations.")
    axis = arguments.get("axis")
    builder = Builder(source)
    x = as_float(builder, tensor(arguments, "x", source))
    builder.operator("math.reduce_mean", x, axis=axes_of(axis))
    return builder.done()
