"""One flat functional model from models within models, so that every technique sees all the layers under the names that the preflight gave."""

from __future__ import annotations

from typing import Any

from optimizer.surgery.rebuilding import clone, rebuilt


def flattened(keras_model: Any) -> Any:
    """A functional model of single layers that computes the same from the same weights.

    Layers of inner models get the names "outer/inner" that ModelSummary has for them; those of an inner model that is called several times
    stay shared between the calls. A model inside a wrapper (TimeDistributed) stays inside it. Layers keep their place, so weights keep
    their order within a layer.

    Args:
        keras_model: A functional or sequential tf_keras.Model, at any depth of nesting.

    Raises:
        RunError: NOT_COPYABLE for a subclassed model.
    """
    made: list[tuple[Any, Any]] = []

    def make(layer: Any, name: str) -> Any:
        new = clone(layer, name)
        made.append((layer, new))
        return new

    result = rebuilt(keras_model, make)
    frozen = _frozen(keras_model)
    for old, new in made:
        if old.weights:
            new.set_weights(old.get_weights())
        if old.trainable != new.trainable or id(old) in frozen:
            new.trainable = old.trainable and id(old) not in frozen
    return result


def _frozen(model: Any) -> set[int]:
    """Layers inside a model that does not train as a whole."""
    found: set[int] = set()
    for layer in model.layers:
        if getattr(layer, "_is_graph_network", False):
            found |= {id(part) for part in layer._flatten_layers()} if not layer.trainable else _frozen(layer)
    return found
