"""The architectures of keras.applications and tf_keras.applications, untrained and small, in files with data that fit them.

`python tests/architectures.py FOLDER` writes the cut ones that Keras 3 makes: it cannot live in one process with tf-keras models.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SIZES = (32, 48, 64, 75, 96, 128, 224)
"""Input heights that are tried from the smallest on."""
CLASSES = 10
MEAN_IN_DEVIATIONS = 4.0
"""What a settled normalization gives: a mean this many standard deviations above zero."""
LEAST_DEVIATION = 0.02
"""Deviations below this share of the mean are not enlarged: they are rounding, more than anything else."""

SMALL = re.compile(
    "MobileNet|MobileNetV2|MobileNetV3Small|EfficientNetB0|EfficientNetV2B0|RegNet[XY]002|NASNetMobile|ResNet50|ResNet50V2|ResNetRS50"
    "|DenseNet121|Xception|InceptionV3|InceptionResNetV2|ConvNeXtTiny|VGG16"
)
"""One architecture a family."""
ONLY_IN_TF_KERAS = re.compile("RegNet|ResNetRS")

# Written down, since listing them by importing both packages would cost half a minute; tests/test_architectures.py compares.
FAMILIES = {
    "ConvNeXt": ("Tiny", "Small", "Base", "Large", "XLarge"),
    "DenseNet": ("121", "169", "201"),
    "EfficientNet": ("B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "V2B0", "V2B1", "V2B2", "V2B3", "V2S", "V2M", "V2L"),
    "Inception": ("V3", "ResNetV2"),
    "MobileNet": ("", "V2", "V3Small", "V3Large"),
    "NASNet": ("Mobile", "Large"),
    "ResNet": ("50", "101", "152", "50V2", "101V2", "152V2"),
    "VGG": ("16", "19"),
    "Xception": ("",),
    "RegNetX": ("002", "004", "006", "008", "016", "032", "040", "064", "080", "120", "160", "320"),
    "RegNetY": ("002", "004", "006", "008", "016", "032", "040", "064", "080", "120", "160", "320"),
    "ResNetRS": ("50", "101", "152", "200", "270", "350", "420"),
}


CUT = {
    ("keras", "ConvNeXtTiny"): 11,
    ("keras", "DenseNet121"): 21,
    ("keras", "EfficientNetB0"): 29,
    ("keras", "EfficientNetV2B0"): 21,
    ("keras", "InceptionV3"): 41,
    ("keras", "InceptionResNetV2"): 63,
    ("keras", "MobileNet"): 17,
    ("keras", "MobileNetV2"): 27,
    ("keras", "MobileNetV3Small"): 35,
    ("keras", "NASNetMobile"): 54,
    ("keras", "ResNet50"): 18,
    ("keras", "ResNet50V2"): 28,
    ("keras", "VGG16"): 6,
    ("keras", "Xception"): 16,
    ("tf_keras", "RegNetX002"): 17,
    ("tf_keras", "RegNetY002"): 21,
    ("tf_keras", "ResNetRS50"): 33,
}
"""One architecture a family, and where it is cut: at the last layer that merges branches (or, without any, the last one) up to this number.
What follows repeats the same blocks."""


def names(maker: str) -> list[str]:
    """Every architecture of keras.applications or tf_keras.applications."""
    found = [family + kind for family, kinds in FAMILIES.items() for kind in kinds]
    return [name for name in found if maker == "tf_keras" or not ONLY_IN_TF_KERAS.match(name)]


def smallest(maker: str, architecture: str) -> Any:
    """The architecture at the smallest input that it accepts; it gives logits, for softmax hides differences of untrained nets."""
    keras = _made_by(maker)
    keras.utils.set_random_seed(0)
    for size in SIZES:
        try:
            make = getattr(keras.applications, architecture)
            return make(weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None)
        except ValueError:
            if size == SIZES[-1]:
                raise
    raise ValueError("no size is accepted")


def cut(maker: str, architecture: str) -> Any:
    """The architecture's first blocks, averaged and classified."""
    keras = _made_by(maker)
    whole = smallest(maker, architecture)
    kept = whole.layers[: CUT[maker, architecture]]
    merges = [layer for layer in kept if type(layer).__name__ in ("Add", "Concatenate", "Multiply", "CustomScaleLayer")]
    features = keras.layers.GlobalAveragePooling2D()((merges or kept)[-1].output)
    return keras.Model(whole.input, keras.layers.Dense(CLASSES)(features))


def _made_by(maker: str) -> Any:
    if maker == "keras":
        os.environ["KERAS_BACKEND"] = "tensorflow"
        import keras
    else:
        import tf_keras as keras
    return keras


def save(model: Any, folder: Path) -> Path:
    """Settle the model, write it as model.keras beside its data.npz, and return the model's path."""
    x = pictures(96, *model.input_shape[1:])
    settle(model, x[:64])
    model.save(folder / "model.keras")
    y = np.arange(96) % CLASSES
    np.savez(folder / "data.npz", x_train=x[:64], y_train=y[:64], x_test=x[64:], y_test=y[64:])
    return folder / "model.keras"


def pictures(count: int, height: int, width: int, channels: int) -> npt.NDArray[np.float32]:
    """Patches of chance from 0 to 255, every other one of half the brightness: plain noise would look all the same to a deep net.

    Were all of another brightness, one normalization after the other would make a few samples stand out and the others fade into one.
    Of two kinds neither can.
    """
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 1, (count, 4, 4, channels)) * np.asarray([0.5, 1.0])[np.arange(count) % 2][:, None, None, None]
    fine = np.repeat(np.repeat(coarse, -(-height // 4), axis=1), -(-width // 4), axis=2)[:, :height, :width]
    noisy = fine * 255 + random.normal(0, 4, (count, height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.float32)


def settle(model: Any, x: Any) -> None:
    """Make a net with BatchNormalization well conditioned, as training would: its int8 outputs can then be told from wrong ones.

    Untrained nets enlarge any rounding from layer to layer until no two ways to compute them agree, or let the samples fade into one. So
    each kernel's values are moved up by half of their mean size, which lets what a layer's inputs share outweigh rounding, and each
    normalization gets such statistics that its outputs vary by a quarter of their mean: neither what the samples share nor what tells them
    apart is lost on the way (docs/decisions/0010). The normalizations are frozen, as is usual when one fine-tunes on little data; else
    training would bring the true statistics back.
    """
    layers = [layer for layer in model._flatten_layers() if type(layer).__name__ == "BatchNormalization"]
    if not layers:
        return
    for layer in model._flatten_layers():
        # One with an activation of its own is a gate (squeeze and excite) or the end. Gates must not be driven into saturation: an int8
        # sigmoid gives 255/256 at most, and that share goes missing at each of them.
        if getattr(getattr(layer, "activation", None), "__name__", "linear") == "linear" and not getattr(layer, "layers", None):
            layer.set_weights([w + 0.5 * np.abs(w).mean() if w.ndim > 1 else w for w in layer.get_weights()])
    for layer in layers:
        layer.call = _settling(layer)
    model(x, training=False)
    for layer in layers:
        del layer.call
        layer.trainable = False


def _settling(layer: Any) -> Callable[..., Any]:
    def call(values: Any, **_: Any) -> Any:
        axis = layer.axis[0] if isinstance(layer.axis, list) else layer.axis
        seen = np.asarray(values)
        rest = tuple(n for n in range(seen.ndim) if n != axis % seen.ndim)
        mean, deviation = np.mean(seen, rest, np.float64), np.std(seen, rest, np.float64)
        distance = MEAN_IN_DEVIATIONS * np.maximum(deviation, LEAST_DEVIATION * np.abs(mean))
        layer.moving_mean.assign((mean - distance).astype(np.float32))
        layer.moving_variance.assign((np.square(distance) + np.square(deviation)).astype(np.float32))
        return type(layer).call(layer, values, training=False)

    return call


if __name__ == "__main__":
    for maker, architecture in CUT:
        if maker == "keras":
            folder = Path(sys.argv[1]) / architecture
            folder.mkdir(parents=True)
            save(cut(maker, architecture), folder)
