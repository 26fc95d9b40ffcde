"""Operations on each value alone, and on pairs of values."""

from __future__ import annotations

import math
from typing import Any

from optimizer.sources.keras_3.activations import EXPRESSIONS, KERAS_2_ACTIVATIONS, activate
from optimizer.sources.keras_3.operands import alike, as_float, as_truth, cast, given, is_float, tensor
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, Tensor, operation
from optimizer.sources.naming import snake_case

UNARY = {
    "Abs": "math.abs", "Absolute": "math.abs", "Fabs": "math.abs", "Negative": "math.negative", "Sign": "math.sign", "Square": "math.square",
    "StopGradient": "stop_gradient", "Copy": "identity",
}  # fmt: skip
FLOAT_UNARY = {
    "Exp": "math.exp", "Expm1": "math.expm1", "Log": "math.log", "Log1p": "math.log1p", "Sqrt": "math.sqrt", "Rsqrt": "math.rsqrt",
    "Sin": "math.sin", "Cos": "math.cos", "Tan": "math.tan", "Arcsin": "math.asin", "Arccos": "math.acos", "Arctan": "math.atan",
    "Sinh": "math.sinh", "Cosh": "math.cosh", "Arcsinh": "math.asinh", "Arccosh": "math.acosh", "Arctanh": "math.atanh",
    "Erf": "math.erf", "Erfc": "math.erfc", "Reciprocal": "math.reciprocal", "Ceil": "math.ceil", "Floor": "math.floor",
    "Isfinite": "math.is_finite", "Isinf": "math.is_inf", "Isnan": "math.is_nan",
}  # fmt: skip
BINARY = {
    "Add": "math.add", "Subtract": "math.subtract", "Multiply": "math.multiply", "Maximum": "math.maximum", "Minimum": "math.minimum",
    "Fmax": "math.maximum", "Fmin": "math.minimum", "FloorDivide": "math.floordiv", "Mod": "math.floormod", "Power": "math.pow",
    "Equal": "math.equal", "NotEqual": "math.not_equal", "Greater": "math.greater", "GreaterEqual": "math.greater_equal",
    "Less": "math.less", "LessEqual": "math.less_equal",
}  # fmt: skip
FLOAT_BINARY = {
    "Divide": "math.divide",
    "TrueDivide": "math.divide",
    "DivideNoNan": "math.divide_no_nan",
    "Arctan2": "math.atan2",
}
LOGICAL = {"LogicalAnd": "math.logical_and", "LogicalOr": "math.logical_or", "LogicalXor": "math.logical_xor"}
MERGING = frozenset(["Add", "Subtract", "Multiply", "Maximum", "Minimum"])
"""Operations that tf-keras has a layer for, which techniques know better than a TensorFlow function."""
ACTIVATIONS = {
    name: snake_case(name)
    for name in (
        "Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "Silu", "Selu", "LogSigmoid", "HardSigmoid", "HardSilu", "HardTanh", "TanhShrink",
        "SoftShrink", "HardShrink", "Threshold", "Squareplus", "SparseSigmoid", "SparsePlus", "Celu", "Glu", "Tanh",
    )
}  # fmt: skip
FACTORS = {"Deg2rad": math.pi / 180, "Rad2deg": 180 / math.pi}
LOGARITHMS = {"Log2": 2.0, "Log10": 10.0}


@operation(*UNARY)
def unary(source: SourceLayer) -> Parts:
    """A function of each value that keeps its type."""
    builder = Builder(source)
    builder.operator(UNARY[source.class_name], tensor(given(source, "x"), "x", source))
    return builder.done()


@operation(*FLOAT_UNARY)
def float_unary(source: SourceLayer) -> Parts:
    """A function of each value that Keras 3 computes in floats, whole numbers too."""
    builder = Builder(source)
    builder.operator(FLOAT_UNARY[source.class_name], as_float(builder, tensor(given(source, "x"), "x", source)))
    return builder.done()


@operation(*BINARY, *FLOAT_BINARY)
def binary(source: SourceLayer) -> Parts:
    """A function of two values; one of them may be a constant."""
    builder = Builder(source)
    arguments = given(source, "x1", "x2")
    x, y = arguments["x1"], arguments["x2"]
    if source.class_name in FLOAT_BINARY:
        name = FLOAT_BINARY[source.class_name]
        x, y = as_float(builder, x), as_float(builder, y)
        builder.operator(name, x, **{"x" if name == "math.atan2" else "y": y})
        return builder.done()
    same = isinstance(x, Tensor) and isinstance(y, Tensor) and x.shape is not None and x.shape == y.shape and len(x.shape) > 1
    if same and source.class_name in MERGING and is_float(x) and is_float(y):
        builder.layer(source.class_name, [x, y])
        return builder.done()
    x, y = alike(builder, x, y)
    builder.operator(BINARY[source.class_name], x, y=y)
    return builder.done()


@operation("Logaddexp")
def logarithm_of_sum(source: SourceLayer) -> Parts:
    """log(exp(x1) + exp(x2)), as the larger one plus log1p(exp(-distance))."""
    builder = Builder(source)
    arguments = given(source, "x1", "x2")
    x, y = (as_float(builder, arguments[name]) for name in ("x1", "x2"))
    # Of two infinities the difference is none: beside -1e30 it is.
    low = builder.operator("math.maximum", builder.operator("math.minimum", x, y=y), y=-1e30)
    high = builder.operator("math.maximum", x, y=y)
    distance = builder.operator("math.subtract", builder.operator("math.maximum", high, y=-1e30), y=low)
    rest = builder.operator("math.log1p", builder.operator("math.exp", builder.operator("math.negative", distance)))
    builder.operator("math.add", high, y=rest)
    return builder.done()


@operation(*LOGICAL)
def logical(source: SourceLayer) -> Parts:
    """A function of two truth values."""
    arguments = given(source, "x1", "x2")
    builder = Builder(source)
    x, y = (as_truth(builder, arguments[name]) for name in ("x1", "x2"))
    builder.operator(LOGICAL[source.class_name], x, y=y)
    return builder.done()


@operation("LogicalNot")
def logical_not(source: SourceLayer) -> Parts:
    """The other truth value."""
    builder = Builder(source)
    builder.operator("math.logical_not", as_truth(builder, tensor(given(source, "x"), "x", source)))
    return builder.done()


@operation(*ACTIVATIONS)
def activation(source: SourceLayer) -> Parts:
    """An activation function called as an operation."""
    builder = Builder(source)
    arguments = given(source, "x")
    name = ACTIVATIONS[source.class_name]
    x = (
        as_float(builder, tensor(arguments, "x", source))
        if name in KERAS_2_ACTIVATIONS or name in EXPRESSIONS
        else arguments["x"]
    )
    activate(name, builder, x, arguments)
    return builder.done()


@operation("Elu", "LeakyRelu", "Gelu")
def activation_with_setting(source: SourceLayer) -> Parts:
    """Activations with a slope or a choice of their own."""
    builder = Builder(source)
    arguments = given(source, "x")
    x = tensor(arguments, "x", source)
    if source.class_name == "Elu":
        builder.layer("ELU", x, alpha=arguments.get("alpha", 1.0))
    elif source.class_name == "LeakyRelu":
        builder.layer("LeakyReLU", x, alpha=arguments.get("negative_slope", 0.2))
    elif arguments.get("approximate", True):
        builder.operator("nn.gelu", x, approximate=True)
    else:
        builder.layer("Activation", x, activation="gelu")
    return builder.done()


@operation("Cast", "SaturateCast", "ConvertToTensor", "Array")
def cast_to(source: SourceLayer) -> Parts:
    """Another type; half precision becomes float32."""
    arguments = given(source, "x", "dtype")
    x = tensor(arguments, "x", source)
    builder = Builder(source)
    cast(builder, x, str(arguments.get("dtype") or x.dtype))
    return builder.done()


@operation("Clip")
def clip(source: SourceLayer) -> Parts:
    """Values between two bounds."""
    arguments = given(source, "x", "x_min", "x_max")
    builder = Builder(source)
    builder.operator(
        "clip_by_value",
        tensor(arguments, "x", source),
        clip_value_min=arguments.get("x_min"),
        clip_value_max=arguments.get("x_max"),
    )
    return builder.done()


@operation("Where")
def where(source: SourceLayer) -> Parts:
    """One of two values by a condition."""
    arguments = given(source, "condition", "x1", "x2")
    builder = Builder(source)
    if arguments.get("x1") is None or arguments.get("x2") is None:
        raise source.refuse("gives positions, whose number differs from batch to batch")
    x, y = alike(builder, arguments["x1"], arguments["x2"])
    builder.operator("where", as_truth(builder, arguments["condition"]), x=x, y=y)
    return builder.done()


@operation("Deg2rad", "Rad2deg", "Log2", "Log10", "Exp2", "Round", "Trunc", "OnesLike", "ZerosLike")
def composed(source: SourceLayer) -> Parts:
    """Functions that a constant makes from others."""
    builder = Builder(source)
    arguments = given(source, "x", "dtype")
    x: Any = tensor(arguments, "x", source)
    name = source.class_name
    if name in FACTORS:
        builder.operator("math.multiply", as_float(builder, x), y=FACTORS[name])
    elif name in LOGARITHMS:
        builder.operator("math.multiply", builder.operator("math.log", as_float(builder, x)), y=1 / math.log(LOGARITHMS[name]))
    elif name == "Exp2":
        builder.operator("math.exp", builder.operator("math.multiply", as_float(builder, x), y=math.log(2)))
    elif name == "Round" and not arguments.get("decimals"):
        builder.operator("math.round", x)
    elif name == "Trunc" and not is_float(x):
        builder.operator("identity", x)
    elif name == "Trunc":
        whole = builder.operator("math.floor", builder.operator("math.abs", x))
        builder.operator("math.multiply", whole, y=builder.operator("math.sign", x))
    elif name in ("OnesLike", "ZerosLike"):
        like = builder.operator("ones_like" if name == "OnesLike" else "zeros_like", x)
        dtype = arguments.get("dtype")
        if dtype not in (None, x.dtype):
            cast(builder, like, str(dtype))
    else:
        raise source.refuse("has a setting that has no counterpart in tf-keras")
    return builder.done()
