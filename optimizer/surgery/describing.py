"""A Keras model in memory as the preflight would describe it, so that a technique decides by the same rules before and while it works."""

from __future__ import annotations

from typing import Any

from optimizer.kernels import unwrapped
from optimizer.sources.summary import LayerSummary, Shape
from optimizer.sources.wiring import Wiring, wiring


def wiring_of_keras(keras_model: Any) -> Wiring:
    """The wiring of a flat functional model.

    Args:
        keras_model: A tf_keras.Model from `flattened`, or a copy of one.
    """
    inside = {id(node) for nodes in keras_model._nodes_by_depth.values() for node in nodes}
    layers = [_described(layer, [node for node in layer.inbound_nodes if id(node) in inside]) for layer in keras_model.layers]
    outputs = [unwrapped(tensor._keras_history.layer).name for tensor in keras_model.outputs]
    return wiring(layers, outputs)


def _described(outer: Any, nodes: list[Any]) -> LayerSummary:
    layer = unwrapped(outer)
    sources = [unwrapped(tensor._keras_history.layer).name for node in nodes for tensor in node.keras_inputs]
    return LayerSummary(
        name=layer.name,
        class_name=type(layer).__name__,
        config=layer.get_config(),
        weight_shapes={weight.name: tuple(weight.shape) for weight in layer.weights},
        inbound=() if type(layer).__name__ == "InputLayer" else tuple(dict.fromkeys(sources)),
        output_shape=_first_shape(nodes),
        parameters=sum(int(weight.shape.num_elements() or 0) for weight in layer.weights),
        calls=max(len(nodes), 1),
        reads=max((len(node.keras_inputs) for node in nodes), default=1),
    )


def _first_shape(nodes: list[Any]) -> Shape | None:
    import tensorflow as tf

    shape = tf.nest.flatten(nodes[0].outputs)[0].shape if nodes else None
    return None if shape is None or shape.rank is None else tuple(shape)
