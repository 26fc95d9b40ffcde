"""Layers around layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.sources.layer_rules.facts import RULES, UNKNOWN, Config, ConfigError, LayerCall, LayerFacts, plain, rule, times
from optimizer.sources.summary import Shape


def _wrapped(config: Config, setting: str = "layer") -> tuple[str, Config]:
    layer: Any = config.get(setting)
    if not isinstance(layer, Mapping) or not isinstance(layer.get("config"), Mapping):
        raise ConfigError(setting, "a layer", layer)
    return str(layer.get("class_name")), layer["config"]


@rule("TimeDistributed")
def time_distributed(config: Config, call: LayerCall) -> LayerFacts:
    """The wrapped layer on every step of (batch, steps, ...)."""
    class_name, inner = _wrapped(config)
    if len(call.shape) >= 2 and class_name in ("Sequential", "Functional", "Model"):
        return _model_at_each_step(config, call)
    if len(call.shape) < 2 or class_name not in RULES:
        return UNKNOWN
    batch, steps = call.shape[:2]
    facts = RULES[class_name](inner, LayerCall(inputs=((batch, *call.shape[2:]),)))
    first = facts.outputs[0]
    output: Shape | None = None if first is None else (batch, steps, *first[1:])
    return plain(output, macs=times(steps, facts.macs), weights=facts.weights) if facts.weights is not None else UNKNOWN


def _model_at_each_step(config: Config, call: LayerCall) -> LayerFacts:
    """A whole model on every step; its weights are left to the file."""
    # These need the rules of this package to be loaded already.
    from optimizer.sources.preflight.architecture import build_graph
    from optimizer.sources.shapes import infer

    batch, steps = call.shape[:2]
    inference = infer(build_graph(config["layer"], "TimeDistributed"), [(batch, *call.shape[2:])], "TimeDistributed")
    first = inference.outputs[0]
    inner = [layer.macs for layer in inference.layers.values()]
    macs = None if None in inner else times(steps, sum(number or 0 for number in inner))
    return LayerFacts(outputs=(None if first is None else (batch, steps, *first[1:]),), macs=macs)


@rule("Bidirectional")
def bidirectional(config: Config, call: LayerCall) -> LayerFacts:
    """The wrapped recurrent layer forward and backward, merged."""
    class_name, inner = _wrapped(config)
    if class_name not in RULES or (config.get("backward_layer") not in (None,) and not _same_units(config)):
        return UNKNOWN
    facts = RULES[class_name](inner, LayerCall(inputs=call.inputs[:1]))
    if facts.weights is None or len(facts.outputs) > 1:
        return UNKNOWN
    weights = {f"{side}/{name}": shape for side in ("forward", "backward") for name, shape in facts.weights.items()}
    output, mode = facts.outputs[0], config.get("merge_mode", "concat")
    if output is not None and mode == "concat":
        last = output[-1]
        output = (*output[:-1], None if last is None else 2 * last)
    outputs = (output, output) if mode is None else (output,)
    return LayerFacts(outputs=outputs, macs=times(2, facts.macs), weights=weights)


def _same_units(config: Config) -> bool:
    """Whether a backward layer of its own has the forward layer's class and width, so that one rule serves both."""
    (class_name, inner), (other_name, other) = _wrapped(config), _wrapped(config, "backward_layer")
    return class_name == other_name and all(inner.get(k) == other.get(k) for k in ("units", "use_bias", "return_sequences"))
