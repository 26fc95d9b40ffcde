"""Put TFMOT's wrappers around some layers of a copied model, and take the trained weights out of them again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from optimizer.kernels import unwrapped
from optimizer.model import copy_of


def with_layers_wrapped(keras_model: Any, names: Collection[str], wrap: Callable[[Any], Any]) -> Any:
    """A copy of the model in which each layer named goes through `wrap`; its variables are the copy's own."""
    import tensorflow as tf

    def clone(layer: Any) -> Any:
        return wrap(layer) if layer.name in names else layer

    return tf.keras.models.clone_model(copy_of(keras_model), clone_function=clone)


def with_weights_of(keras_model: Any, trained: Any) -> Any:
    """A plain copy of `keras_model` that holds the weights of `trained`, whose layers may be wrapped."""
    result = copy_of(keras_model)
    layers = {unwrapped(layer).name: unwrapped(layer) for layer in trained.layers}
    for layer in result.layers:
        if layer.weights:
            layer.set_weights(layers[layer.name].get_weights())
    return result
