"""Activation functions: those that tf-keras computes alike, and the others as layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optimizer.sources.keras_3.parts import Builder, Inner, Tensor

KERAS_2_ACTIVATIONS = frozenset(
    ["elu", "exponential", "gelu", "leaky_relu", "linear", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
     "softsign", "swish", "tanh", "log_softmax"]
)  # fmt: skip
"""Names that mean the same in both generations. hard_sigmoid does not: x / 6 + 0.5 in Keras 3, x / 5 + 0.5 in tf-keras."""

Expression = Callable[[Builder, Any, Mapping[str, Any]], Inner]
EXPRESSIONS: dict[str, Expression] = {}
"""Activations that tf-keras lacks, as layers that compute them."""


def is_known(activation: Any) -> bool:
    """Whether a setting names an activation that tf-keras computes alike."""
    return isinstance(activation, str) and activation in KERAS_2_ACTIVATIONS


def activate(name: str, builder: Builder, x: Tensor | Inner, settings: Mapping[str, Any] | None = None) -> Inner:
    """Apply an activation of Keras 3 to `x`. Raises InputError where tf-keras cannot express it."""
    if name in KERAS_2_ACTIVATIONS:
        return builder.layer("Activation", x, activation=name)
    if name not in EXPRESSIONS:
        raise builder.source.refuse(f"has the activation {name!r}, which tf-keras lacks")
    return EXPRESSIONS[name](builder, x, settings or {})


def _expression(*names: str) -> Callable[[Expression], Expression]:
    def register(function: Expression) -> Expression:
        EXPRESSIONS.update(dict.fromkeys(names, function))
        return function

    return register


def _number(settings: Mapping[str, Any], name: str, default: float) -> float:
    value = settings.get(name)
    return default if value is None else float(value)


@_expression("hard_sigmoid")
def hard_sigmoid(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """relu6(x + 3) / 6."""
    x = builder.layer("ReLU", builder.operator("math.add", x, y=3.0), max_value=6.0)
    return builder.operator("math.multiply", x, y=1 / 6)


@_expression("hard_silu", "hard_swish")
def hard_silu(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """x * hard_sigmoid(x)."""
    return builder.layer("Multiply", [x, hard_sigmoid(builder, x, settings)])


@_expression("hard_tanh")
def hard_tanh(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """x between -1 and 1."""
    return builder.operator("clip_by_value", x, clip_value_min=-1.0, clip_value_max=1.0)


@_expression("log_sigmoid")
def log_sigmoid(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """-softplus(-x): LiteRT has kernels for that, and none for a log_sigmoid."""
    x = builder.layer("Activation", builder.operator("math.negative", x), activation="softplus")
    return builder.operator("math.negative", x)


@_expression("tanh_shrink")
def tanh_shrink(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """x - tanh(x)."""
    return builder.layer("Subtract", [x, builder.layer("Activation", x, activation="tanh")])


@_expression("soft_shrink")
def soft_shrink(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """x without its part between -threshold and threshold."""
    limit = _number(settings, "threshold", 0.5)
    return builder.layer("Subtract", [x, builder.operator("clip_by_value", x, clip_value_min=-limit, clip_value_max=limit)])


@_expression("hard_shrink")
def hard_shrink(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """x where |x| > threshold, otherwise 0."""
    beyond = builder.operator("math.greater", builder.operator("math.abs", x), y=_number(settings, "threshold", 0.5))
    return builder.layer("Multiply", [x, builder.operator("cast", beyond, dtype="float32")])


@_expression("threshold")
def threshold(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """x where it is above a threshold, otherwise a value."""
    above = builder.operator("math.greater", x, y=_number(settings, "threshold", 0.0))
    return builder.operator("where", above, x=x, y=_number(settings, "default_value", 0.0))


@_expression("squareplus")
def squareplus(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """(x + sqrt(x^2 + b)) / 2."""
    root = builder.operator(
        "math.sqrt", builder.operator("math.add", builder.operator("math.square", x), y=_number(settings, "b", 4))
    )
    return builder.operator("math.multiply", builder.layer("Add", [x, root]), y=0.5)


@_expression("sparse_sigmoid")
def sparse_sigmoid(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """(x + 1) / 2 between 0 and 1."""
    x = builder.operator("math.multiply", builder.operator("math.add", x, y=1.0), y=0.5)
    return builder.operator("clip_by_value", x, clip_value_min=0.0, clip_value_max=1.0)


@_expression("sparse_plus")
def sparse_plus(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """0 up to -1, a parabola up to 1, then x."""
    bowl = builder.operator("clip_by_value", builder.operator("math.add", x, y=1.0), clip_value_min=0.0, clip_value_max=2.0)
    bowl = builder.operator("math.multiply", builder.operator("math.square", bowl), y=0.25)
    line = builder.layer("ReLU", builder.operator("math.subtract", x, y=1.0))
    return builder.layer("Add", [bowl, line])


@_expression("celu")
def celu(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """alpha * elu(x / alpha)."""
    alpha = _number(settings, "alpha", 1.0)
    if alpha == 1.0:
        return builder.layer("Activation", x, activation="elu")
    x = builder.layer("Activation", builder.operator("math.multiply", x, y=1 / alpha), activation="elu")
    return builder.operator("math.multiply", x, y=alpha)


@_expression("glu")
def glu(builder: Builder, x: Any, settings: Mapping[str, Any]) -> Inner:
    """The first half times the sigmoid of the second."""
    axis = int(_number(settings, "axis", -1))
    halves = builder.operator("split", x, num_or_size_splits=2, axis=axis)
    gate = builder.layer("Activation", Inner(part=halves.part, index=1), activation="sigmoid")
    return builder.layer("Multiply", [halves, gate])
