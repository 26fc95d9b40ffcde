"""TensorFlow functions that became layers (TFOpLambda, SlicingOpLambda): `x + 1`, `tf.nn.relu(x)`, `x[:, :1]`, ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.sources.layer_rules.facts import (
    UNKNOWN,
    Config,
    ConfigError,
    LayerCall,
    LayerFacts,
    as_axis,
    plain,
    product,
    rule,
    times,
)
from optimizer.sources.layer_rules.merging import broadcast, concatenated
from optimizer.sources.layer_rules.reshaping import filled_shape
from optimizer.sources.summary import Shape

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
    ]
)


@rule("TFOpLambda", "SlicingOpLambda")
def operator(config: Config, call: LayerCall) -> LayerFacts:
    """Shapes of the common functions; UNKNOWN for the rest."""
    name, arguments = str(config.get("function", "")), call.arguments
    if name in BINARY:
        constants = [shape for key in ("y", "_constant") if (shape := _constant_shape(arguments.get(key))) is not None]
        return plain(broadcast((*call.inputs, *constants)))
    if name in UNARY:
        return plain(call.shape)
    if name in REDUCTIONS:
        return plain(_reduced(call.shape, arguments.get("axis"), bool(arguments.get("keepdims"))))
    if name == "reshape" and isinstance(arguments.get("shape"), list | tuple):
        return plain(_reshaped(call.shape, list(arguments["shape"])))
    if name == "concat" and "axis" in arguments:
        return plain(concatenated(call.inputs, arguments["axis"]))
    if name == "expand_dims" and "axis" in arguments:
        axis = as_axis(arguments["axis"], len(call.shape) + 1)
        return plain((*call.shape[:axis], 1, *call.shape[axis:]))
    if name == "transpose" and isinstance(arguments.get("perm"), list | tuple):
        return plain(tuple(call.shape[as_axis(axis, len(call.shape))] for axis in arguments["perm"]))
    if name == "__operators__.getitem":
        return plain(_sliced(call.shape, arguments.get("slice_spec")), macs=0)
    if name in ("pad", "compat.v1.pad"):
        return plain(_padded(call.shape, arguments.get("paddings")))
    if name in ("linalg.matmul", "matmul") and len(call.inputs) == 2:
        return _matmul(call)
    return UNKNOWN


def _constant_shape(value: Any) -> Shape | None:
    """Shape of a constant argument: () of a number, that of nested lists; None where there is none."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        value = value["config"].get("value")
    if value is None or isinstance(value, str):
        return None
    shape: list[int | None] = []
    while isinstance(value, list | tuple):
        shape.append(len(value))
        value = value[0] if value else 0
    return tuple(shape)


def _reduced(shape: Shape, axis: Any, keepdims: bool) -> Shape | None:
    if axis is None:
        return None
    axes = {as_axis(item, len(shape)) for item in (axis if isinstance(axis, list | tuple) else [axis])}
    if 0 in axes:
        return None
    return tuple(1 if number in axes else length for number, length in enumerate(shape) if keepdims or number not in axes)


def _reshaped(shape: Shape, target: list[Any]) -> Shape | None:
    if not target or not all(isinstance(v, int) for v in target) or target[0] != -1 or -1 in target[1:]:
        return None
    if product(shape[1:]) != product(target[1:]):
        # The batch axis changes: [-1, 3] makes rows of three of everything.
        return None
    return (shape[0], *filled_shape(target[1:], shape))


def _sliced(shape: Shape, spec: Any) -> Shape | None:
    """Plain slices, whole numbers and an ellipsis along axes of known length."""
    items = spec if isinstance(spec, list | tuple) else [spec]
    given = sum(1 for item in items if not (isinstance(item, Mapping) and item.get("class_name") == "__ellipsis__"))
    result: list[int | None] = []
    axis = 0
    for item in items:
        if isinstance(item, Mapping) and item.get("class_name") == "__ellipsis__":
            result.extend(shape[axis : axis + len(shape) - given])
            axis += len(shape) - given
        elif isinstance(item, Mapping) and {"start", "stop", "step"} <= set(item) and axis < len(shape):
            ends = [item["start"], item["stop"], item["step"]]
            if ends == [None, None, None]:
                result.append(shape[axis])
            elif axis == 0 or shape[axis] is None or not all(end is None or isinstance(end, int) for end in ends) or ends[2] == 0:
                return None
            else:
                result.append(len(range(*slice(*ends).indices(shape[axis] or 0))))
            axis += 1
        elif isinstance(item, int) and not isinstance(item, bool) and 0 < axis < len(shape):
            axis += 1
        else:
            return None
    return (*result, *shape[axis:])


def _padded(shape: Shape, paddings: Any) -> Shape | None:
    """Each axis longer by what stands before and after it; the batch axis must stay."""
    pairs = [tuple(pair) for pair in paddings if isinstance(pair, list | tuple)] if isinstance(paddings, list | tuple) else []
    if len(pairs) != len(shape) or not all(len(pair) == 2 and all(isinstance(n, int) and n >= 0 for n in pair) for pair in pairs):
        return None
    if pairs[0] != (0, 0):
        return None
    return tuple(None if length is None else length + sum(pair) for length, pair in zip(shape, pairs, strict=True))


def _matmul(call: LayerCall) -> LayerFacts:
    left, right = (list(shape) for shape in call.inputs)
    if len(left) < 2 or len(right) < 2:
        raise ConfigError("inputs", "at least 2 axes", [left, right])
    if call.arguments.get("transpose_a"):
        left[-2:] = left[:-3:-1]
    if call.arguments.get("transpose_b"):
        right[-2:] = right[:-3:-1]
    batch = broadcast((tuple(left[:-2]), tuple(right[:-2])))
    output: Shape = (*batch, left[-2], right[-1])
    return plain(output, macs=times(product(output[1:]), left[-1]))
