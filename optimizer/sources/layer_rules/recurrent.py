"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.sources.layer_rules.convolution import window_length
from optimizer.sources.layer_rules.facts import (
    UNKNOWN,
    Config,
    ConfigError,
    LayerCall,
    LayerFacts,
    choice,
    flag,
    join_channels,
    known,
    rule,
    split_channels,
    times,
    whole,
    wholes,
)
from optimizer.sources.summary import Shape

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def recurrent(class_name: str, config: Config, call: LayerCall) -> LayerFacts:
    """(batch, steps, features) -> (batch, units), or (batch, steps, units) with return_sequences; then the states."""
    if len(call.shape) != 3:
        raise ConfigError("input", "3 axes (batch, steps, features)", f"shape {call.shape}")
    batch, steps, features = call.shape
    units, features = whole(config, "units"), known(features)
    width = GATES[class_name] * units
    weights: dict[str, tuple[int, ...]] = {"kernel": (features, width), "recurrent_kernel": (units, width)}
    if flag(config, "use_bias", True):
        two_rows = class_name == "GRU" and flag(config, "reset_after", True)
        weights["bias"] = (2, width) if two_rows else (width,)
    sequences = flag(config, "return_sequences", False)
    time_major = flag(config, "time_major", False)
    if time_major:
        return LayerFacts(weights=weights)
    output: Shape = (batch, steps, units) if sequences else (batch, units)
    states = (2 if class_name == "LSTM" else 1) if flag(config, "return_state", False) else 0
    macs = times(steps, (features + units) * width)
    return LayerFacts(outputs=(output, *[(batch, units)] * states), macs=macs, weights=weights)


@rule("LSTM")
def lstm(config: Config, call: LayerCall) -> LayerFacts:
    """Four gates."""
    return recurrent("LSTM", config, call)


@rule("GRU")
def gru(config: Config, call: LayerCall) -> LayerFacts:
    """Three gates; two rows of bias with reset_after."""
    return recurrent("GRU", config, call)


@rule("SimpleRNN")
def simple_rnn(config: Config, call: LayerCall) -> LayerFacts:
    """One gate."""
    return recurrent("SimpleRNN", config, call)


@rule("RNN")
def cells(config: Config, call: LayerCall) -> LayerFacts:
    """One cell or several, each on what the one before gives; their weights are left to the file."""
    if len(call.shape) != 3:
        return UNKNOWN
    batch, steps, features = call.shape
    cell = config.get("cell")
    inner = cell.get("config") if isinstance(cell, Mapping) else None
    stacked = inner.get("cells") if isinstance(inner, Mapping) else None
    macs, states = 0, 0
    for record in stacked if isinstance(stacked, list) else [cell]:
        settings = record.get("config") if isinstance(record, Mapping) else None
        class_name = str(record.get("class_name")).removesuffix("Cell") if isinstance(record, Mapping) else ""
        if class_name not in GATES or not isinstance(settings, Mapping):
            return UNKNOWN
        units = whole(settings, "units")
        macs += (known(features) + units) * units * GATES[class_name]
        states += 2 if class_name == "LSTM" else 1
        features = units
    output: Shape = (batch, steps, features) if flag(config, "return_sequences", False) else (batch, features)
    # What stacked cells hand on as states has shapes of its own each.
    others: tuple[Shape | None, ...] = (None,) * states if flag(config, "return_state", False) else ()
    if flag(config, "time_major", False):
        return UNKNOWN
    return LayerFacts(outputs=(output, *others), macs=times(steps, macs))


@rule("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def convolutional_lstm(config: Config, call: LayerCall) -> LayerFacts:
    """(batch, steps, *spatial, channels) -> (batch, steps, *positions, filters), or the last step alone; then both states."""
    rank = len(call.shape) - 3
    if rank not in (1, 2, 3):
        raise ConfigError("input", "4 to 6 axes (batch, steps, rows, ..., channels)", f"shape {call.shape}")
    (batch, steps), frame = call.shape[:2], (call.shape[0], *call.shape[2:])
    spatial, channels = split_channels(config, frame, rank)
    filters, kernel = whole(config, "filters"), wholes(config, "kernel_size", rank, None)
    strides, dilations = wholes(config, "strides", rank), wholes(config, "dilation_rate", rank)
    padding = choice(config, "padding", ("valid", "same"), "valid")
    windows = zip(spatial, kernel, strides, dilations, strict=True)
    positions = [window_length(n, k, s, padding, d) for n, k, s, d in windows]
    channels = known(channels)
    weights: dict[str, tuple[int, ...]] = {
        "kernel": (*kernel, channels, 4 * filters),
        "recurrent_kernel": (*kernel, filters, 4 * filters),
    }
    if flag(config, "use_bias", True):
        weights["bias"] = (4 * filters,)
    state = join_channels(config, batch, positions, filters)
    sequences = flag(config, "return_sequences", False)
    output: Shape = (batch, steps, *state[1:]) if sequences else state
    states = 2 if flag(config, "return_state", False) else 0
    macs = times(steps, *positions, *kernel, (channels + filters) * 4 * filters)
    return LayerFacts(outputs=(output, *[state] * states), macs=macs, weights=weights)
