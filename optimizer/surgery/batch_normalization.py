"""Fold BatchNormalization layers into the convolutions before them (Jacob et al. 2018, arXiv 1712.05877, section 3.2).

The converter folds too, but after the weights were clustered: it then multiplies each channel by its own factor and 16 shared values
become hundreds. Folding first makes what is trained equal to what is stored.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from optimizer.model import copy_of
from optimizer.sources.summary import LayerSummary
from optimizer.sources.wiring import Wiring
from optimizer.surgery.describing import wiring_of_keras
from optimizer.surgery.rebuilding import clone, rebuilt

TRANSPOSED = frozenset({"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"})
DEPTHWISE = frozenset({"DepthwiseConv1D", "DepthwiseConv2D"})
FOLDABLE = frozenset({"Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D", "Dense"}) | DEPTHWISE | TRANSPOSED


def fold_batch_normalization(keras_model: Any, kinds: Collection[str] = FOLDABLE) -> tuple[Any, tuple[str, ...]]:
    """Return an equal functional model with its own weights, without the foldable BatchNormalization layers, and their names.

    A BatchNormalization folds when it directly follows a linear layer of one of `kinds` that nothing else reads.
    """
    wiring = wiring_of_keras(keras_model)
    pairs = {kept: removed for kept, removed in foldable_pairs(wiring).items() if wiring.layers[kept].class_name in kinds}
    if not pairs:
        return copy_of(keras_model), ()
    removed = set(pairs.values())

    def make(layer: Any, name: str) -> Any:
        if name in removed:
            return None
        if name in pairs:
            return type(layer).from_config({**layer.get_config(), "use_bias": True})
        return clone(layer, name)

    folded = rebuilt(keras_model, make)
    originals = {layer.name: layer for layer in keras_model.layers}
    # The layers of a sequential model leave its input out.
    for layer in (layer for layer in folded.layers if layer.name in originals):
        original = originals[layer.name]
        if layer.name in pairs:
            layer.set_weights(_folded_weights(original, originals[pairs[layer.name]]))
        elif layer.weights:
            layer.set_weights(original.get_weights())
        if layer.trainable != original.trainable:
            layer.trainable = original.trainable
    return folded, tuple(pairs.values())


def foldable_pairs(wiring: Wiring) -> dict[str, str]:
    """{layer: the BatchNormalization that folds into it}."""
    names = [name for name, layer in wiring.layers.items() if layer.class_name == "BatchNormalization"]
    return {before.name: name for name in names if (before := normalized_layer(name, wiring)) is not None}


def normalized_layer(name: str, wiring: Wiring) -> LayerSummary | None:
    """The linear layer that the BatchNormalization `name` folds into; None where it stands alone.

    Both may be used several times, as long as they are always used together.
    """
    normalization, before = wiring.layers[name], wiring.only_source(name)
    if before is None or before.class_name not in FOLDABLE or before.activation != "linear":
        return None
    together = wiring.only_reader(before.name) is normalization and before.calls == normalization.calls
    axis = normalization.config.get("axis", [-1])
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    rank = len(normalization.output_shape or ())
    channels_last = axes in ([-1], [rank - 1]) and before.config.get("data_format", "channels_last") == "channels_last"
    return before if together and channels_last else None


def _folded_weights(layer: Any, normalization: Any) -> list[Any]:
    """Kernels and bias of `layer` with the normalization's scale and shift worked in; float64 inside."""
    mean, variance = (np.asarray(w.numpy(), np.float64) for w in (normalization.moving_mean, normalization.moving_variance))
    scale = 1.0 / np.sqrt(variance + normalization.epsilon)
    if normalization.scale:
        scale = scale * normalization.gamma.numpy()
    shift = -mean * scale + (normalization.beta.numpy() if normalization.center else 0.0)
    weights = [weight.astype(np.float64) for weight in layer.get_weights()]
    bias = weights.pop() if layer.use_bias else np.zeros_like(scale)
    # The last kernel makes the output: the pointwise one of a separable convolution, the only one elsewhere.
    kernel = weights.pop()
    if type(layer).__name__ in DEPTHWISE:
        kernel = kernel * scale.reshape(kernel.shape[-2:])
    elif type(layer).__name__ in TRANSPOSED:
        kernel = kernel * scale[:, None]
    else:
        kernel = kernel * scale
    return [weight.astype(np.float32) for weight in (*weights, kernel, bias * scale + shift)]
