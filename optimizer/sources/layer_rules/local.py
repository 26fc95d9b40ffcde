"""Locally connected layers: convolutions with a kernel of their own at each position."""

from __future__ import annotations

from optimizer.sources.layer_rules.convolution import window_length
from optimizer.sources.layer_rules.facts import (
    Config,
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


@rule("LocallyConnected1D", "LocallyConnected2D")
def locally_connected(config: Config, call: LayerCall) -> LayerFacts:
    """Kernel (positions, window * channels, filters); weights are worked out for implementation 1 only, the default."""
    rank = len(call.shape) - 2
    spatial, channels = split_channels(config, call.shape, rank)
    kernel, strides, filters = (
        wholes(config, "kernel_size", rank, None),
        wholes(config, "strides", rank),
        whole(config, "filters"),
    )
    padding = choice(config, "padding", ("valid", "same"), "valid")
    positions = [
        known(window_length(known(length), size, stride, padding))
        for length, size, stride in zip(spatial, kernel, strides, strict=True)
    ]
    count, window = product(positions), times(product(kernel), known(channels))
    output = join_channels(config, call.shape[0], positions, filters)
    macs = times(count, window, filters)
    if whole(config, "implementation", 1) != 1:
        return LayerFacts(outputs=(output,), macs=macs)
    weights: dict[str, tuple[int, ...]] = {"kernel": (known(count), known(window), filters)}
    if flag(config, "use_bias", True):
        weights["bias"] = (*positions, filters)
    return plain(output, macs=macs, weights=weights)
