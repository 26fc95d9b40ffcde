"""Operations that bring values to one size: norms and normalizations."""

from __future__ import annotations

import math
from typing import Any

from optimizer.sources.keras_3.operands import as_float, axes_of, given, known_shape, tensor
from optimizer.sources.keras_3.parts import Builder, Inner, Parts, SourceLayer, operation

EPSILON = 1e-7
"""keras.config.epsilon()."""


@operation("Normalize")
def normalize(source: SourceLayer) -> Parts:
    """Vectors of length one."""
    arguments = given(source, "x", "axis", "order", "epsilon")
    axis = arguments.get("axis", -1)
    if arguments.get("order", 2) != 2 or not isinstance(axis, int):
        raise source.refuse("has an order or several axes, which have no counterpart in tf-keras")
    epsilon = arguments.get("epsilon")
    builder = Builder(source)
    x = tensor(arguments, "x", source)
    known_shape(x, source)
    builder.operator("math.l2_normalize", x, axis=axis, epsilon=float(EPSILON if epsilon is None else epsilon) ** 2)
    return builder.done()


@operation("Norm")
def norm(source: SourceLayer) -> Parts:
    """Length of vectors, or size of matrices."""
    arguments = given(source, "x")
    builder = Builder(source)
    x = as_float(builder, tensor(arguments, "x", source))
    axes, order = axes_of(arguments.get("axis")), arguments.get("ord")
    if axes is None:
        raise source.refuse("measures the whole batch at once", "Name an axis.")
    along: dict[str, Any] = {"axis": axes, "keepdims": bool(arguments.get("keepdims"))}
    if order in (None, "fro") or (order == 2 and len(axes) == 1):
        builder.operator("math.sqrt", builder.operator("math.reduce_sum", builder.operator("math.square", x), **along))
    elif len(axes) == 1 and order in (1, math.inf, -math.inf):
        function = {1: "math.reduce_sum", math.inf: "math.reduce_max", -math.inf: "math.reduce_min"}[order]
        builder.operator(function, builder.operator("math.abs", x), **along)
    else:
        raise source.refuse(f"has ord={order!r} over {len(axes)} axes", "Use the Euclidean norm.")
    return builder.done()


@operation("RMSNorm")
def rms_norm(source: SourceLayer) -> Parts:
    """x * rsqrt(mean(x^2) + epsilon) * scale."""
    arguments = given(source, "x", "scale")
    builder = Builder(source)
    x = as_float(builder, tensor(arguments, "x", source))
    axes = _axes(arguments)
    mean = builder.operator("math.reduce_mean", builder.operator("math.square", x), axis=axes, keepdims=True)
    _scaled(builder, _divided(builder, x, mean, arguments), axes, arguments.get("scale"), None)
    return builder.done()


@operation("LayerNorm")
def layer_norm(source: SourceLayer) -> Parts:
    """(x - mean) * rsqrt(variance + epsilon) * gamma + beta; with rms_scaling the mean stays, and there is no beta."""
    arguments = given(source, "x", "gamma", "beta")
    builder = Builder(source)
    x: Any = as_float(builder, tensor(arguments, "x", source))
    axes = _axes(arguments)
    if arguments.get("rms_scaling"):
        variance = builder.operator("math.reduce_variance", x, axis=axes, keepdims=True)
        _scaled(builder, _divided(builder, x, variance, arguments), axes, arguments.get("gamma"), None)
        return builder.done()
    mean = builder.operator("math.reduce_mean", x, axis=axes, keepdims=True)
    centered = builder.operator("math.subtract", x, y=mean)
    variance = builder.operator("math.reduce_mean", builder.operator("math.square", centered), axis=axes, keepdims=True)
    normal = _divided(builder, centered, variance, arguments)
    _scaled(builder, normal, axes, arguments.get("gamma"), arguments.get("beta"))
    return builder.done()


def _axes(arguments: dict[str, Any]) -> list[int]:
    return axes_of(arguments.get("axis", -1)) or [-1]


def _divided(builder: Builder, x: Any, spread: Inner, arguments: dict[str, Any]) -> Inner:
    epsilon = arguments.get("epsilon")
    spread = builder.operator("math.add", spread, y=float(EPSILON if epsilon is None else epsilon))
    return builder.operator("math.multiply", x, y=builder.operator("math.rsqrt", spread))


def _scaled(builder: Builder, normal: Inner, axes: list[int], factor: Any, summand: Any) -> Inner:
    """Times `factor` plus `summand` where they are given, for each position of the last axis."""
    if (factor is not None or summand is not None) and axes != [-1]:
        raise builder.source.refuse(f"scales along {axes}", "Let it work along the last axis, written as -1.")
    if factor is not None:
        normal = builder.operator("math.multiply", normal, y=factor)
    return normal if summand is None else builder.operator("math.add", normal, y=summand)
