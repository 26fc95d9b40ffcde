"""Layers whose output has the shape of their input, without weights."""

from __future__ import annotations

from optimizer.sources.layer_rules.facts import Config, LayerCall, LayerFacts, plain, rule


@rule(
    "Activation", "Identity", "ReLU", "LeakyReLU", "ELU", "Softmax", "ThresholdedReLU", "Dropout", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization", "Masking", "Rescaling",
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness",
)  # fmt: skip
def unchanged(config: Config, call: LayerCall) -> LayerFacts:
    """One value in, one value out."""
    del config
    return plain(call.shape)


@rule("InputLayer")
def input_layer(config: Config, call: LayerCall) -> LayerFacts:
    """What the model is given."""
    del config
    return plain(call.shape)
