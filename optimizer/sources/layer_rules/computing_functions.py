"""TensorFlow functions that compute across positions or work on pictures: products, pooling, resizing, choosing."""

from __future__ import annotations

from typing import Any

from optimizer.sources.layer_rules.convolution import window_length
from optimizer.sources.layer_rules.facts import UNKNOWN, ConfigError, LayerCall, LayerFacts, plain, product, times
from optimizer.sources.layer_rules.functions import constant_shape, function, reduced, whole_numbers
from optimizer.sources.layer_rules.merging import broadcast
from optimizer.sources.summary import Shape


@function("linalg.matmul", "matmul", "__operators__.matmul")
def matmul(call: LayerCall) -> LayerFacts:
    """Product of two matrices, or of a constant one."""
    shapes = {key: constant_shape(call.arguments.get(key)) for key in ("a", "x", "b", "y")}
    left_constant, right_constant = shapes["a"] or shapes["x"], shapes["b"] or shapes["y"]
    pair = tuple(shape for shape in (left_constant, *call.inputs, right_constant) if shape is not None)
    if len(pair) != 2:
        return UNKNOWN
    left, right = (list(shape) for shape in pair)
    if len(left) < 2 or len(right) < 2:
        raise ConfigError("inputs", "at least 2 axes", [left, right])
    if call.arguments.get("transpose_a"):
        left[-2:] = left[:-3:-1]
    if call.arguments.get("transpose_b"):
        right[-2:] = right[:-3:-1]
    if None not in (left[-1], right[-2]) and left[-1] != right[-2]:
        raise ConfigError("inputs", "matrices that can be multiplied", [left, right])
    batch = broadcast((tuple(left[:-2]), tuple(right[:-2])))
    output: Shape = (*batch, left[-2], right[-1])
    return plain(output, macs=times(product(output[1:]), left[-1]))


@function("tensordot")
def tensordot(call: LayerCall) -> LayerFacts:
    """Product with a constant along the last axis, as a dense layer without bias computes it."""
    constant = constant_shape(call.arguments.get("b"))
    if len(call.inputs) > 1 or constant is None or call.arguments.get("axes") != 1 or len(constant) < 1:
        return UNKNOWN
    output: Shape = (*call.shape[:-1], *constant[1:])
    return plain(output, macs=times(product(output[1:]), call.shape[-1]))


@function("nn.depth_to_space")
def depth_to_space(call: LayerCall) -> LayerFacts:
    """Channels become pixels: `block_size` times as many rows and columns."""
    block = call.arguments.get("block_size")
    if not isinstance(block, int) or block < 2 or len(call.shape) != 4 or call.shape[3] is None:
        return UNKNOWN
    if call.shape[3] % block**2:
        raise ConfigError("block_size", f"a number whose square divides {call.shape[3]} channels", block)
    return plain((call.shape[0], times(call.shape[1], block), times(call.shape[2], block), call.shape[3] // block**2))


@function("nn.space_to_depth")
def space_to_depth(call: LayerCall) -> LayerFacts:
    """Pixels become channels: `block_size` times fewer rows and columns."""
    block = call.arguments.get("block_size")
    if not isinstance(block, int) or block < 2 or len(call.shape) != 4:
        return UNKNOWN
    if any(side is not None and side % block for side in call.shape[1:3]):
        raise ConfigError("block_size", f"a divisor of {list(call.shape[1:3])}", block)
    sides = [None if side is None else side // block for side in call.shape[1:3]]
    return plain((call.shape[0], *sides, times(call.shape[3], block**2)))


@function("nn.avg_pool", "nn.avg_pool2d", "nn.max_pool", "nn.max_pool2d")
def pool(call: LayerCall) -> LayerFacts:
    """A window over pictures (batch, height, width, channels)."""
    padding = str(call.arguments.get("padding", "")).lower()
    sizes, strides = (_of_pictures(call.arguments.get(key)) for key in ("ksize", "strides"))
    if len(call.shape) != 4 or sizes is None or strides is None or padding not in ("same", "valid"):
        return UNKNOWN
    if call.arguments.get("data_format") not in (None, "NHWC"):
        return UNKNOWN
    sides = [window_length(n, k, s, padding) for n, k, s in zip(call.shape[1:3], sizes, strides, strict=True)]
    return plain((call.shape[0], *sides, call.shape[3]))


def _of_pictures(value: Any) -> list[int] | None:
    """Two numbers from one, from two, or from the middle of four."""
    numbers = whole_numbers(value if isinstance(value, list | tuple) else [value])
    if numbers is None or len(numbers) not in (1, 2, 4) or min(numbers) < 1:
        return None
    return numbers * 2 if len(numbers) == 1 else numbers[1:3] if len(numbers) == 4 else numbers


@function("image.resize")
def resize(call: LayerCall) -> LayerFacts:
    """Pictures of a new height and width."""
    size = whole_numbers(call.arguments.get("size"))
    if size is None or len(size) != 2 or len(call.shape) != 4:
        return UNKNOWN
    return plain((call.shape[0], *size, call.shape[3]))


@function("one_hot")
def one_hot(call: LayerCall) -> LayerFacts:
    """A new axis as long as there are classes."""
    depth, axis = call.arguments.get("depth"), call.arguments.get("axis")
    return plain((*call.shape, depth)) if isinstance(depth, int) and axis in (None, -1) else UNKNOWN


@function("math.argmax", "math.argmin")
def argument(call: LayerCall) -> LayerFacts:
    """The position of one value along an axis."""
    return plain(reduced(call.shape, call.arguments.get("axis"), keepdims=False))


@function("math.top_k")
def top_k(call: LayerCall) -> LayerFacts:
    """The largest values along the last axis, and their positions."""
    count = call.arguments.get("k", 1)
    return LayerFacts(outputs=((*call.shape[:-1], count),) * 2, macs=0, weights={}) if isinstance(count, int) else UNKNOWN


@function("nn.moments")
def moments(call: LayerCall) -> LayerFacts:
    """Mean and variance along some axes."""
    shape = reduced(call.shape, call.arguments.get("axes"), bool(call.arguments.get("keepdims")))
    return LayerFacts(outputs=(shape, shape), macs=0, weights={})
