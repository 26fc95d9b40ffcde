"""What the numbers of a layer went through last, read from configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optimizer.sources.summary import LayerSummary

MOVING = frozenset({
    "ActivityRegularization", "AlphaDropout", "Cropping1D", "Cropping2D", "Cropping3D", "Dropout", "Flatten", "GaussianDropout",
    "GaussianNoise", "Identity", "Permute", "RepeatVector", "Reshape", "Resizing", "SlicingOpLambda", "UpSampling1D", "UpSampling2D",
    "UpSampling3D", "cast", "expand_dims", "identity", "image.resize", "reshape", "squeeze", "transpose",
})  # fmt: skip
"""Layers and functions that hand on the numbers they get."""
AVERAGING = frozenset({"Average", "AveragePooling1D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "math.reduce_mean"})
"""Layers and functions that keep shares of one class shares of one class."""
CHOOSING = frozenset(
    {"Concatenate", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "Maximum", "Minimum", "concat", "math.reduce_max", "stack"}
)
"""Layers and functions that keep numbers from 0 to 1 there."""


def activation_name(config: Mapping[str, Any]) -> str:
    """Name of the activation in a layer's config, "linear" where it has none; the class ("LeakyReLU") of one that is a layer and no function."""
    activation = config.get("activation", "linear")
    if isinstance(activation, Mapping):
        class_name = str(activation.get("class_name", "linear"))
        activation = activation.get("config", class_name)
        if isinstance(activation, Mapping):
            return _function_of(class_name, activation) or class_name
    return str(activation or "linear")


def _function_of(class_name: str, config: Mapping[str, Any]) -> str:
    """The function that a layer without weights computes, "" for layers that are more than an activation."""
    return relu_name(config) if class_name == "ReLU" else "softmax" if class_name == "Softmax" else ""


def relu_name(config: Mapping[str, Any]) -> str:
    """The function that a ReLU layer computes: "relu", "relu6", or "ReLU" for one of another limit, slope or threshold."""
    limit = config.get("max_value")
    if config.get("negative_slope") or config.get("threshold") or limit not in (None, 6, 6.0):
        return "ReLU"
    return "relu" if limit is None else "relu6"


def last_activation(layers: Mapping[str, LayerSummary], name: str) -> str:
    """Activation that the layer of that name ends in, "linear" where it has none.

    Layers that only move, average or join numbers pass on that of the layers before them, where it is one and stays what it was: an
    average of softmaxes adds up to 1, a maximum of them does not.
    """
    found, chosen, waiting, seen = set[str](), False, [name], {name}
    while waiting:
        layer = layers[waiting.pop()]
        kind = str(layer.config.get("function")) if layer.class_name == "TFOpLambda" else layer.class_name
        plain = layer.class_name == "Activation" and layer.activation == "linear"
        alone = len(layer.inbound) == 1 and (plain or kind in MOVING)
        if not layer.inbound or not (alone or kind in AVERAGING or kind in CHOOSING):
            found.add(_own_activation(layer.class_name, layer.config))
            continue
        chosen = chosen or kind in CHOOSING
        waiting.extend(before for before in layer.inbound if before not in seen)
        seen.update(layer.inbound)
    kept = len(found) == 1 and (not chosen or found == {"sigmoid"})
    return found.pop() if kept else "linear"


def _own_activation(class_name: str, config: Mapping[str, Any]) -> str:
    inner = config.get("layer")
    if class_name == "TimeDistributed" and isinstance(inner, Mapping):
        inside = inner.get("config")
        return _own_activation(str(inner.get("class_name")), inside if isinstance(inside, Mapping) else {})
    if class_name == "TFOpLambda":
        return str(config.get("function", "linear")).rpartition(".")[2]
    return _function_of(class_name, config) or activation_name(config)
