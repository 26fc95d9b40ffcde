"""Convolutions: plain, transposed, depthwise and separable, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.sources.layer_rules.facts import (
    Config,
    ConfigError,
    LayerCall,
    LayerFacts,
    choice,
    flag,
    join_channels,
    known,
    plain,
    product,
    rule,
    split_channels,
    times,
    whole,
    wholes,
)

Weights = dict[str, tuple[int, ...]]


def window_length(length: int | None, size: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """Positions that a window takes along one axis. Raises ConfigError where the window is larger than the axis."""
    if length is None:
        return None
    if padding in ("same", "causal"):
        return -(-length // stride)
    reach = dilation * (size - 1) + 1
    if reach > length:
        raise ConfigError("kernel_size", f"at most the {length} positions of its input", size)
    return (length - reach) // stride + 1


def _rank(config: Config, call: LayerCall) -> int:
    rank = len(call.shape) - 2
    if rank not in (1, 2, 3):
        raise ConfigError("input", "3 to 5 axes", f"shape {call.shape}")
    del config
    return rank


def _window(config: Config, spatial: Sequence[int | None], kernel: Sequence[int]) -> list[int | None]:
    rank = len(spatial)
    strides, dilations = wholes(config, "strides", rank), wholes(config, "dilation_rate", rank)
    padding = choice(config, "padding", ("valid", "same", "causal"), "valid")
    return [window_length(n, k, s, padding, d) for n, k, s, d in zip(spatial, kernel, strides, dilations, strict=True)]


def _with_bias(config: Config, weights: Weights, channels: int) -> Weights:
    if flag(config, "use_bias", True):
        weights["bias"] = (channels,)
    return weights


@rule("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D")
def convolution(config: Config, call: LayerCall) -> LayerFacts:
    """Kernel (*window, channels / groups, filters)."""
    rank = _rank(config, call)
    spatial, channels = split_channels(config, call.shape, rank)
    kernel, filters, groups = wholes(config, "kernel_size", rank, None), whole(config, "filters"), whole(config, "groups", 1)
    channels = known(channels)
    if channels % groups or filters % groups:
        raise ConfigError("groups", f"a divisor of {channels} channels and {filters} filters", groups)
    positions = _window(config, spatial, kernel)
    weights = _with_bias(config, {"kernel": (*kernel, channels // groups, filters)}, filters)
    macs = times(product(positions), product(kernel), channels // groups, filters)
    return plain(join_channels(config, call.shape[0], positions, filters), macs=macs, weights=weights)


@rule(
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "Convolution1DTranspose",
    "Convolution2DTranspose",
    "Convolution3DTranspose",
)
def transposed_convolution(config: Config, call: LayerCall) -> LayerFacts:
    """Kernel (*window, filters, channels); every input position meets the whole kernel once."""
    rank = _rank(config, call)
    spatial, channels = split_channels(config, call.shape, rank)
    kernel, filters, channels = wholes(config, "kernel_size", rank, None), whole(config, "filters"), known(channels)
    strides, dilations = wholes(config, "strides", rank), wholes(config, "dilation_rate", rank)
    padding = choice(config, "padding", ("valid", "same"), "valid")
    extra = config.get("output_padding")
    extras = [None] * rank if extra is None else list(_output_padding(config, rank))
    positions: list[int | None] = []
    for length, size, stride, dilation, more in zip(spatial, kernel, strides, dilations, extras, strict=True):
        positions.append(_transposed_length(length, dilation * (size - 1) + 1, stride, padding, more))
    weights = _with_bias(config, {"kernel": (*kernel, filters, channels)}, filters)
    macs = times(product(spatial), product(kernel), channels, filters)
    return plain(join_channels(config, call.shape[0], positions, filters), macs=macs, weights=weights)


def _output_padding(config: Config, rank: int) -> tuple[int, ...]:
    value = config.get("output_padding")
    values = [value] * rank if isinstance(value, int) else value
    if (
        not isinstance(values, list | tuple)
        or len(values) != rank
        or not all(isinstance(v, int) and 0 <= v < 1024 for v in values)
    ):
        raise ConfigError("output_padding", f"{rank} whole numbers from 0", value)
    return tuple(values)


def _transposed_length(length: int | None, reach: int, stride: int, padding: str, extra: int | None) -> int | None:
    """Length after a transposed window, as tf_keras.utils.conv_utils.deconv_output_length has it."""
    if length is None:
        return None
    if extra is None:
        return length * stride if padding == "same" else length * stride + max(reach - stride, 0)
    return (length - 1) * stride + reach - (2 * (reach // 2) if padding == "same" else 0) + extra


@rule("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise_convolution(config: Config, call: LayerCall) -> LayerFacts:
    """Kernel (*window, channels, depth_multiplier)."""
    rank = _rank(config, call)
    spatial, channels = split_channels(config, call.shape, rank)
    kernel, multiplier, channels = (
        wholes(config, "kernel_size", rank, None),
        whole(config, "depth_multiplier", 1),
        known(channels),
    )
    positions = _window(config, spatial, kernel)
    made = channels * multiplier
    weights = _with_bias(config, {"depthwise_kernel": (*kernel, channels, multiplier)}, made)
    macs = times(product(positions), product(kernel), made)
    return plain(join_channels(config, call.shape[0], positions, made), macs=macs, weights=weights)


@rule("SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D")
def separable_convolution(config: Config, call: LayerCall) -> LayerFacts:
    """A depthwise convolution, then a 1x1 convolution that mixes its channels."""
    rank = _rank(config, call)
    spatial, channels = split_channels(config, call.shape, rank)
    kernel, multiplier, filters = (
        wholes(config, "kernel_size", rank, None),
        whole(config, "depth_multiplier", 1),
        whole(config, "filters"),
    )
    channels = known(channels)
    positions = _window(config, spatial, kernel)
    middle = channels * multiplier
    weights: Weights = {
        "depthwise_kernel": (*kernel, channels, multiplier),
        "pointwise_kernel": (*[1] * rank, middle, filters),
    }
    per_position = times(product(kernel), middle) or 0
    macs = times(product(positions), per_position + middle * filters)
    return plain(
        join_channels(config, call.shape[0], positions, filters), macs=macs, weights=_with_bias(config, weights, filters)
    )
