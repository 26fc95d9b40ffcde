"""Recurrent layers."""

from __future__ import annotations

from optimizer.sources.layer_rules.facts import (
    Config,
    ConfigError,
    LayerCall,
    LayerFacts,
    flag,
    known,
    rule,
    times,
    whole,
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
