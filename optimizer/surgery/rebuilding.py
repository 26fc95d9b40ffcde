"""Build a functional model anew, layer by layer, from the calls that made an old one.

Everything that changes a graph goes through here: copies, TFMOT's wrappers, folded layers, flattened models. The calls are repeated on new
symbolic tensors, so constants among the arguments, several inputs and outputs, masks, shared layers and `training=False` stay what they were,
and no class has to be found by its name as it has when a config is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optimizer.errors import RunError
from optimizer.sources.keras_3.serialized import FLOATS
from optimizer.sources.naming import scope_name

Make = Callable[[Any, str], Any]
"""(layer, its full name "outer/inner") -> the layer that takes its place, or None where its input passes through."""


def rebuilt(keras_model: Any, make: Make) -> Any:
    """A functional model with the same calls as `keras_model`, in which every layer is what `make` gives for it.

    Models inside the model are opened: their layers become layers of the result, named "outer/inner". Weights are not copied.

    Args:
        keras_model: A functional or sequential tf_keras.Model that is built.
        make: Called once a layer, InputLayers left out.

    Returns:
        A functional tf_keras.Model; inputs and outputs are single tensors or lists, in the order of `keras_model`'s.

    Raises:
        RunError: NOT_COPYABLE for a subclassed model.
    """
    import tensorflow as tf

    if not getattr(keras_model, "_is_graph_network", False):
        raise not_copyable(f"{type(keras_model).__name__} is neither functional nor sequential")
    inputs = [_new_input(tensor) for tensor in keras_model.inputs]
    outputs = _Replay(make).model(keras_model, inputs, "", None)
    return tf.keras.Model(_single(inputs), _single(outputs), name=scope_name(keras_model.name))


def clone(layer: Any, name: str) -> Any:
    """A new layer of the same settings under a name of its own.

    It computes in float32, for LiteRT has no kernels of half or double precision; a recurrent layer starts each sample anew.
    """
    return type(layer).from_config({**_plain(layer.get_config()), "name": name})


def _plain(config: Any) -> Any:
    """A config, and those of the layers inside it, in float32 and without the state that a recurrent layer keeps from batch to batch.

    A kept state has the shape of one batch, which training, measuring and the .tflite do not share.
    """
    if isinstance(config, dict):
        return {key: False if key == "stateful" else _plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        plain = [_plain(value) for value in config]
        return tuple(plain) if isinstance(config, tuple) else plain
    return "float32" if isinstance(config, str) and config in FLOATS else config


def not_copyable(reason: str) -> RunError:
    """The error for a model that cannot be built anew."""
    return RunError(
        "The model cannot be rebuilt from its config, so it cannot be trained further",
        code="NOT_COPYABLE",
        received=reason,
        fix="Use post-training quantization alone, or save the model as a functional or sequential one.",
    )


def _new_input(tensor: Any) -> Any:
    import tensorflow as tf

    layer = tensor._keras_history.layer
    # Any number of samples, also where the file was saved for a fixed one: batches for training and the file's one sample differ.
    dtype = tf.float32 if tensor.dtype.is_floating else tensor.dtype
    return tf.keras.Input(batch_shape=(None, *tensor.shape[1:]), dtype=dtype, name=layer.name)


def _single(tensors: Sequence[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else list(tensors)


class _Replay:
    """Repeats calls; remembers what each old layer became, so that a shared one stays shared."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._made: dict[int, Any] = {}
        self._names: set[str] = set()

    def model(self, model: Any, inputs: Sequence[Any], prefix: str, training: bool | None) -> list[Any]:
        """Repeat what is inside one model on new inputs; returns its flat outputs."""
        if type(model).__name__ == "Sequential":
            (tensor,) = inputs
            for layer in model.layers:
                tensor = _single(self._call(layer, (tensor,), {}, prefix, training))
            return tensor if isinstance(tensor, list) else [tensor]
        tensors = {id(old): _conformed(new, old) for old, new in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                args, kwargs = _replaced((node.call_args, dict(node.call_kwargs)), tensors)
                made = self._call(node.layer, args, kwargs, prefix, training)
                tensors.update(zip((id(old) for old in _flat(node.outputs)), made, strict=True))
        return [tensors[id(output)] for output in model.outputs]

    def _call(self, layer: Any, args: Any, kwargs: Mapping[str, Any], prefix: str, training: bool | None) -> list[Any]:
        """One call of a layer or of a whole inner model; returns flat outputs."""
        if getattr(layer, "_is_graph_network", False):
            if kwargs.get("training") is not None:
                training = kwargs["training"]
            elif len(args) > 1 and args[1] is not None:
                training = args[1]
            return self.model(layer, layer._flatten_to_reference_inputs(args[0]), f"{prefix}{layer.name}/", training)
        if training is not None and layer._call_spec.expects_training_arg and kwargs.get("training") is None:
            kwargs = {**kwargs, "training": training}
        new = self._layer(layer, prefix)
        return _flat(args[0]) if new is None else _flat(new(*args, **kwargs))

    def _layer(self, layer: Any, prefix: str) -> Any:
        if id(layer) not in self._made:
            name = unique = prefix + layer.name
            number = 0
            while unique in self._names:
                number += 1
                unique = f"{name}_{number}"
            self._names.add(unique)
            try:
                self._made[id(layer)] = self._make(layer, unique)
            except (NotImplementedError, TypeError, ValueError) as error:
                raise not_copyable(f"{name}: {error}") from error
        return self._made[id(layer)]


def _flat(structure: Any) -> list[Any]:
    import tensorflow as tf

    return list(tf.nest.flatten(structure))


def _replaced(arguments: Any, tensors: Mapping[int, Any]) -> Any:
    """The arguments of an old call with the old symbolic tensors replaced."""
    import tensorflow as tf

    return tf.nest.map_structure(
        lambda value: tensors[id(value)] if id(value) in tensors else _single_precision(value), arguments
    )


def _single_precision(value: Any) -> Any:
    """A constant argument for a model that computes in float32: a type's name, a type, or an array."""
    import numpy as np
    import tensorflow as tf

    if isinstance(value, str):
        return "float32" if value in FLOATS else value
    if isinstance(value, tf.DType):
        return tf.float32 if value.is_floating else value
    if isinstance(value, np.ndarray | tf.Tensor) and tf.as_dtype(value.dtype).is_floating:
        return tf.cast(value, tf.float32)
    return value


def _conformed(new: Any, old: Any) -> Any:
    """`new` in the type of the inner input `old`, as an inner model takes it."""
    import tensorflow as tf

    if new.dtype != old.dtype:
        new = tf.cast(new, old.dtype)
    if new.shape.rank is not None and old.shape.rank is not None:
        if new.shape.rank == old.shape.rank + 1 and new.shape[-1] == 1:
            new = tf.squeeze(new, axis=-1)
        elif new.shape.rank == old.shape.rank - 1 and old.shape[-1] == 1:
            new = tf.expand_dims(new, axis=-1)
    return new
