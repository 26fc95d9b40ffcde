"""TensorFlow functions that became layers (TFOpLambda, SlicingOpLambda): `x + 1`, `tf.nn.relu(x)`, `x[:, :1]`, ..."""

from __future__ import annotations

from optimizer.sources.layer_rules.facts import UNKNOWN, Config, LayerCall, LayerFacts, plain, rule
from optimizer.sources.layer_rules.functions import FUNCTIONS, constant_shape, reduced
from optimizer.sources.layer_rules.merging import broadcast

BINARY = frozenset(
    [
        "__operators__.add",
        "__operators__.sub",
        "__operators__.mul",
        "__operators__.truediv",
        "__operators__.pow",
        "math.add",
        "math.subtract",
        "math.multiply",
        "math.divide",
        "math.truediv",
        "math.divide_no_nan",
        "math.multiply_no_nan",
        "math.maximum",
        "math.minimum",
        "math.squared_difference",
        "math.pow",
        "math.floordiv",
        "math.floormod",
        "math.greater",
        "math.greater_equal",
        "math.less",
        "math.less_equal",
        "math.equal",
        "math.not_equal",
        "math.logical_and",
        "math.logical_or",
        "math.logical_xor",
        "math.atan2",
        "math.add_n",
        "where",
        "nn.bias_add",
        "__operators__.radd",
        "__operators__.rsub",
        "__operators__.rmul",
        "__operators__.rtruediv",
        "__operators__.rpow",
        "__operators__.floordiv",
        "__operators__.mod",
        "__operators__.greater",
        "__operators__.greater_equal",
        "__operators__.less",
        "__operators__.less_equal",
        "__operators__.eq",
        "__operators__.ne",
    ]
)
UNARY = frozenset(
    [
        "nn.relu",
        "nn.relu6",
        "nn.elu",
        "nn.selu",
        "nn.gelu",
        "nn.leaky_relu",
        "nn.silu",
        "nn.swish",
        "nn.softmax",
        "nn.log_softmax",
        "nn.softplus",
        "nn.softsign",
        "nn.sigmoid",
        "nn.tanh",
        "math.sigmoid",
        "math.tanh",
        "math.exp",
        "math.log",
        "math.log1p",
        "math.sqrt",
        "math.rsqrt",
        "math.square",
        "math.abs",
        "math.negative",
        "math.sign",
        "math.sin",
        "math.cos",
        "math.erf",
        "math.floor",
        "math.ceil",
        "math.round",
        "math.reciprocal",
        "math.softplus",
        "math.logical_not",
        "math.is_finite",
        "__operators__.abs",
        "__operators__.neg",
        "clip_by_value",
        "identity",
        "stop_gradient",
        "cast",
        "math.l2_normalize",
        "nn.l2_normalize",
        "nn.local_response_normalization",
        "math.acos",
        "math.acosh",
        "math.asin",
        "math.asinh",
        "math.atan",
        "math.atanh",
        "math.cosh",
        "math.cumprod",
        "math.cumsum",
        "math.erfc",
        "math.expm1",
        "math.is_inf",
        "math.is_nan",
        "math.log_sigmoid",
        "math.reciprocal_no_nan",
        "math.sinh",
        "math.tan",
        "convert_to_tensor",
        "image.flip_left_right",
        "image.flip_up_down",
        "linalg.band_part",
        "ones_like",
        "reverse",
        "roll",
        "zeros_like",
    ]
)
REDUCTIONS = frozenset(
    [
        "math.reduce_mean",
        "math.reduce_sum",
        "math.reduce_max",
        "math.reduce_min",
        "math.reduce_prod",
        "math.reduce_std",
        "math.reduce_variance",
        "math.reduce_all",
        "math.reduce_any",
        "math.reduce_logsumexp",
    ]
)


@rule("TFOpLambda", "SlicingOpLambda")
def operator(config: Config, call: LayerCall) -> LayerFacts:
    """Shapes of the functions that people write models with; UNKNOWN for the rest."""
    # Many functions are known to tf-keras by the name that they had in TensorFlow 1.
    name, arguments = str(config.get("function", "")).removeprefix("compat.v1."), call.arguments
    if name in BINARY:
        constants = [shape for key in ("x", "y", "_constant") if (shape := constant_shape(arguments.get(key))) is not None]
        return plain(broadcast((*call.inputs, *constants)))
    if name in UNARY:
        return plain(call.shape)
    if name in REDUCTIONS:
        return plain(reduced(call.shape, arguments.get("axis"), bool(arguments.get("keepdims"))))
    return FUNCTIONS[name](call) if name in FUNCTIONS else UNKNOWN
