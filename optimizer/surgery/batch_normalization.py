"""Fold BatchNormalization layers into the convolutions before them (Jacob et al. 2018, arXiv 1712.05877, section 3.2).

The converter folds too, but after the weights were clustered: it then multiplies each channel by its own factor and 16 shared values
become hundreds. Folding first makes what is trained equal to what is stored.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import numpy as np

TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
FOLDABLE = ("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Dense", *TRANSPOSED)


def fold_batch_normalization(keras_model: Any, kinds: Collection[str] = FOLDABLE) -> tuple[Any, tuple[str, ...]]:
    """Return an equal model without the foldable BatchNormalization layers, and their names.

    A BatchNormalization folds when it directly follows a linear layer of one of `kinds` that nothing else reads.
    Works on Sequential and functional models; another kind comes back as a plain copy.
    """
    from optimizer.model import copy_of

    pairs = {
        kept: removed
        for kept, removed in _foldable_pairs(keras_model).items()
        if type(keras_model.get_layer(kept)).__name__ in kinds
    }
    if not pairs:
        return copy_of(keras_model), ()
    folded = type(keras_model).from_config(_config_without(keras_model, pairs))
    for layer in folded.layers:
        original = keras_model.get_layer(layer.name)
        if layer.name in pairs:
            layer.set_weights(_folded_weights(original, keras_model.get_layer(pairs[layer.name])))
        elif layer.weights:
            layer.set_weights(original.get_weights())
    return folded, tuple(pairs.values())


def _foldable_pairs(keras_model: Any) -> dict[str, str]:
    """{layer: the BatchNormalization that folds into it}."""
    if type(keras_model).__name__ not in ("Sequential", "Functional"):
        return {}
    outputs = {layer.name for layer in getattr(keras_model, "_output_layers", [])} or {keras_model.layers[-1].name}
    pairs = {}
    for layer in keras_model.layers:
        if type(layer).__name__ != "BatchNormalization" or len(layer.inbound_nodes) != 1:
            continue
        before = layer.inbound_nodes[0].inbound_layers
        if isinstance(before, list) or type(before).__name__ not in FOLDABLE or before.name in outputs:
            continue
        linear = getattr(before.activation, "__name__", "") == "linear"
        alone = len(before.outbound_nodes) == 1 and len(before.inbound_nodes) == 1
        channels_last = (
            list(layer.axis) == [len(layer.input_shape) - 1]
            and getattr(before, "data_format", "channels_last") == "channels_last"
        )
        if linear and alone and channels_last:
            pairs[before.name] = layer.name
    return pairs


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
    if type(layer).__name__ == "DepthwiseConv2D":
        kernel = kernel * scale.reshape(kernel.shape[-2:])
    elif type(layer).__name__ in TRANSPOSED:
        kernel = kernel * scale[:, None]
    else:
        kernel = kernel * scale
    return [weight.astype(np.float32) for weight in (*weights, kernel, bias * scale + shift)]


def _config_without(keras_model: Any, pairs: dict[str, str]) -> dict[str, Any]:
    """The model's config with the folded layers taken out and their readers rewired to the layer before."""
    config = copy.deepcopy(keras_model.get_config())
    source = {removed: kept for kept, removed in pairs.items()}
    layers = []
    for layer in config["layers"]:
        name = layer.get("name") or layer["config"]["name"]
        if name in source:
            continue
        if name in pairs:
            layer["config"]["use_bias"] = True
        if "inbound_nodes" in layer:
            layer["inbound_nodes"] = _rewired(layer["inbound_nodes"], source)
        layers.append(layer)
    config["layers"] = layers
    if "output_layers" in config:
        config["output_layers"] = _rewired(config["output_layers"], source)
    return dict(config)


def _rewired(nodes: Any, source: dict[str, str]) -> Any:
    """Replace removed layers wherever a node [name, node index, tensor index, ...] speaks of them, at any depth."""
    if isinstance(nodes, list | tuple):
        if len(nodes) >= 3 and isinstance(nodes[0], str) and isinstance(nodes[1], int):
            return [source.get(nodes[0], nodes[0]), *(_rewired(item, source) for item in nodes[1:])]
        return [_rewired(item, source) for item in nodes]
    if isinstance(nodes, dict):
        return {key: _rewired(value, source) for key, value in nodes.items()}
    return nodes
