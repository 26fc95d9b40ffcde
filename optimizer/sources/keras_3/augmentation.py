"""Layers that change pictures in training only: tf-keras has some of them, the others are left out."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.sources.keras_3.calls import plain_call
from optimizer.sources.keras_3.operands import cast, is_float
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
    return _unchanged(source, f"{source.class_name} changes pictures in training only, and tf-keras lacks it: left out.")


@layer("RandomCrop")
def random_crop(source: SourceLayer) -> Parts:
    """Nothing where pictures have the wanted size. Outside training Keras 3 leaves others as they are, and tf-keras resizes them."""
    shape = source.input_shape()
    size = shape[-2:] if source.config.get("data_format") == "channels_first" else shape[-3:-1]
    if size != (source.config["height"], source.config["width"]):
        raise source.refuse("does not crop outside training, which tf-keras does", "Use CenterCrop, or crop the data beforehand.")
    return _unchanged(source)


def _unchanged(source: SourceLayer, note: str = "") -> Parts:
    """The pictures as they came, in floats, as the layers after it expect."""
    builder = Builder(source)
    x = plain_call(source).args[0]
    if is_float(x):
        builder.layer("Activation", x, activation="linear")
    else:
        cast(builder, x, "float32")
    return builder.done(note)


@layer("Pipeline")
def pipeline(source: SourceLayer) -> Parts:
    """Preprocessing layers one after the other."""
    records = source.config.get("layers")
    if not isinstance(records, list) or not records:
        raise source.refuse("does not say what it holds")
    builder = Builder(source)
    x = plain_call(source).args[0]
    kinds = [record.get("class_name") if isinstance(record, Mapping) else None for record in records]
    if not is_float(x) and "Resizing" in kinds and "Rescaling" not in kinds[: kinds.index("Resizing")]:
        raise source.refuse(
            "resizes whole numbers, which Keras 3 rounds", "Put Resizing before the Pipeline, or Rescaling first."
        )
    for record in records:
        inner = wrapped(record, source).record
        settings = {key: value for key, value in inner["config"].items() if key != "name"}
        x = builder.layer(inner["class_name"], x, **settings)
    return builder.done()
