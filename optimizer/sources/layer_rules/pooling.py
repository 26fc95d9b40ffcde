"""Pooling, padding, cropping and upsampling: no weights, no multiplications."""

from __future__ import annotations

from typing import Any

from optimizer.sources.layer_rules.convolution import window_length
from optimizer.sources.layer_rules.facts import (
    Config,
    ConfigError,
    LayerCall,
    LayerFacts,
    choice,
    flag,
    join_channels,
    plain,
    rule,
    split_channels,
    wholes,
)


@rule(
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "MaxPool1D", "MaxPool2D", "MaxPool3D",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D",
)  # fmt: skip
def pooling(config: Config, call: LayerCall) -> LayerFacts:
    """A window that takes the largest or the mean value."""
    rank = len(call.shape) - 2
    spatial, channels = split_channels(config, call.shape, rank)
    sizes = wholes(config, "pool_size", rank, 2)
    strides = sizes if config.get("strides") is None else wholes(config, "strides", rank)
    padding = choice(config, "padding", ("valid", "same"), "valid")
    positions = [window_length(n, k, s, padding) for n, k, s in zip(spatial, sizes, strides, strict=True)]
    return plain(join_channels(config, call.shape[0], positions, channels))


@rule(
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D",
)  # fmt: skip
def global_pooling(config: Config, call: LayerCall) -> LayerFacts:
    """One value a channel."""
    rank = len(call.shape) - 2
    _, channels = split_channels(config, call.shape, rank)
    if flag(config, "keepdims", False):
        return plain(join_channels(config, call.shape[0], [1] * rank, channels))
    return plain((call.shape[0], channels))


@rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsampling(config: Config, call: LayerCall) -> LayerFacts:
    """Each position repeated along each axis."""
    rank = len(call.shape) - 2
    spatial, channels = split_channels(config, call.shape, rank)
    sizes = wholes(config, "size", rank, 2)
    larger = [None if n is None else n * size for n, size in zip(spatial, sizes, strict=True)]
    return plain(join_channels(config, call.shape[0], larger, channels))


@rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(config: Config, call: LayerCall) -> LayerFacts:
    """Zeros before and after each axis."""
    rank = len(call.shape) - 2
    spatial, channels = split_channels(config, call.shape, rank)
    margins = _margins(config, "padding", rank)
    larger = [None if n is None else n + before + after for n, (before, after) in zip(spatial, margins, strict=True)]
    return plain(join_channels(config, call.shape[0], larger, channels))


@rule("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(config: Config, call: LayerCall) -> LayerFacts:
    """Positions cut off before and after each axis."""
    rank = len(call.shape) - 2
    spatial, channels = split_channels(config, call.shape, rank)
    smaller: list[int | None] = []
    for length, (before, after) in zip(spatial, _margins(config, "cropping", rank), strict=True):
        if length is not None and length - before - after < 1:
            raise ConfigError("cropping", f"less than the {length} positions of its input", [before, after])
        smaller.append(None if length is None else length - before - after)
    return plain(join_channels(config, call.shape[0], smaller, channels))


def _margins(config: Config, setting: str, rank: int) -> list[tuple[int, int]]:
    """Before and after of each axis, from n, [n, n] or [[before, after], ...]. Raises ConfigError."""
    value = config.get(setting, 1)
    items: list[Any]
    if isinstance(value, int):
        items = [value] * rank
    elif isinstance(value, list | tuple):
        items = [value] if rank == 1 and all(isinstance(v, int) for v in value) else list(value)
    else:
        items = []
    pairs = [(item, item) if isinstance(item, int) else tuple(item) if isinstance(item, list | tuple) else () for item in items]
    if len(pairs) != rank or not all(len(p) == 2 and all(isinstance(v, int) and 0 <= v <= 2**20 for v in p) for p in pairs):
        raise ConfigError(setting, f"{rank} whole numbers or pairs of them, from 0", value)
    return [(pair[0], pair[1]) for pair in pairs]
