"""Layers that keras.applications defines for its own architectures (InceptionResNetV2, ConvNeXt)."""

from __future__ import annotations

from optimizer.sources.layer_rules.facts import Config, LayerCall, LayerFacts, plain, rule, whole


@rule("CustomScaleLayer", "Custom>CustomScaleLayer", "StochasticDepth")
def scaled_or_dropped(config: Config, call: LayerCall) -> LayerFacts:
    """A sum with a scaled second input, or a whole branch dropped while training; no weights."""
    del config
    return plain(call.shape)


@rule("LayerScale")
def layer_scale(config: Config, call: LayerCall) -> LayerFacts:
    """One factor a channel."""
    return plain(call.shape, weights={"gamma": (whole(config, "projection_dim"),)})
