"""Put TFMOT's wrappers around some layers of a copied model, and take the trained weights out of them again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from optimizer.kernels import unwrapped
from optimizer.model import copy_of
from optimizer.surgery.rebuilding import rebuilt


def with_layers_wrapped(keras_model: Any, names: Collection[str], wrap: Callable[[Any], Any]) -> Any:
    """A copy of the model in which each layer named goes through `wrap`; its variables are the copy's own."""

    def make(layer: Any, name: str) -> Any:
        if name not in names:
            return layer
        wrapper = wrap(layer)
        pass_masks(wrapper, layer)
        return wrapper

    return rebuilt(without_activity_penalties(copy_of(keras_model)), make)


def pass_masks(wrapper: Any, layer: Any) -> None:
    """Let masks go into and out of one of TFMOT's wrappers as they do with the layer inside: what trains is to compute what is exported."""
    # By itself the wrapper gives no mask, and the layers behind it would take padding for values.
    wrapper.supports_masking, wrapper.compute_mask = layer.supports_masking, layer.compute_mask
    # The wrapper's call takes any keyword, so Keras would hand it the mask, and it would hand it on to a layer that knows none.
    wrapper._call_spec._expects_mask_arg = layer._call_spec.expects_mask_arg


def without_activity_penalties(keras_model: Any) -> Any:
    """A model without activity regularizers, in layers or as layers of their own: the one given where it has none, else a copy.

    TFMOT's wrappers call what is inside them directly, so the penalty would be a stale tensor of the graph that the model was built in, and
    the training step would fail on it.
    """
    import tensorflow as tf

    def make(layer: Any, name: str) -> Any:
        penalty = type(layer).__name__ == "ActivityRegularization"
        return tf.keras.layers.Activation("linear", name=name) if penalty else layer

    result = keras_model
    if any(type(layer).__name__ == "ActivityRegularization" for layer in result.layers):
        result = copy_of(rebuilt(copy_of(result), make))
    penalized = [layer for layer in result.layers if layer.weights and getattr(layer, "activity_regularizer", None) is not None]
    if not penalized:
        return result
    result = copy_of(result)
    for layer in result.layers:
        if layer.weights and getattr(layer, "activity_regularizer", None) is not None:
            layer.activity_regularizer = None
    return copy_of(result)


def with_weights_of(keras_model: Any, trained: Any) -> Any:
    """A plain copy of `keras_model` that holds the weights of `trained`, whose layers may be wrapped."""
    result = copy_of(keras_model)
    layers = {unwrapped(layer).name: unwrapped(layer) for layer in trained.layers}
    for layer in result.layers:
        if layer.weights:
            layer.set_weights(layers[layer.name].get_weights())
    return result
