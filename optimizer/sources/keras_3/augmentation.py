"""Layers that change pictures in training only: tf-keras has some of them, the others are left out."""

from __future__ import annotations

from optimizer.sources.keras_3.calls import plain_call
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, layer
from optimizer.sources.keras_3.wrappers import wrapped

TRAINING_ONLY = (
    "AugMix", "CutMix", "MixUp", "RandAugment", "RandomColorDegeneration", "RandomColorJitter", "RandomElasticTransform", "RandomErasing",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomSaturation",
    "RandomSharpness", "RandomShear",
)  # fmt: skip


@layer(*TRAINING_ONLY)
def left_out(source: SourceLayer) -> Parts:
    """Nothing, with a note: the layer does nothing outside training, and tf-keras has no such layer for training."""
    builder = Builder(source)
    builder.layer("Activation", plain_call(source).args[0], activation="linear")
    return builder.done(f"{source.class_name} changes pictures in training only, and tf-keras lacks it: left out.")


@layer("Pipeline")
def pipeline(source: SourceLayer) -> Parts:
    """Preprocessing layers one after the other."""
    records = source.config.get("layers")
    if not isinstance(records, list) or not records:
        raise source.refuse("does not say what it holds")
    builder = Builder(source)
    x = plain_call(source).args[0]
    for record in records:
        inner = wrapped(record, source)
        settings = {key: value for key, value in inner["config"].items() if key != "name"}
        x = builder.layer(inner["class_name"], x, **settings)
    return builder.done()
