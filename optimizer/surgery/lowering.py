"""Layers that LiteRT has no operator for, computed by operators that it has."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from optimizer.surgery.computed_functions import computed_by_other_operators
from optimizer.surgery.rebuilding import rebuilt

LOWERED = frozenset({"AveragePooling3D", "MaxPooling3D"})
"""Poolings over three axes, done over two and then over one: LiteRT pools over two axes at most."""
FUSED = frozenset({"math.erf"})
"""Functions that the converter makes an operator of where they are part of a larger formula: erf within a gelu."""


def lowered(keras_model: Any, *, fused: bool = True) -> Any:
    """The model with such layers replaced, for a conversion; the model itself where it has none.

    The result shares its other layers, and so the weights, with `keras_model`.

    Args:
        keras_model: A functional tf_keras.Model.
        fused: Leave FUSED functions as they are, for the converter to find the formula that they are part of.
    """
    kept = FUSED if fused else frozenset()

    def replacement(layer: Any) -> Any:
        if type(layer).__name__ in LOWERED and layer.data_format == "channels_last":
            return _pooling_class()
        known = getattr(layer, "symbol", "").removeprefix("compat.v1.")
        return None if known in kept else computed_by_other_operators(known)

    if not any(replacement(layer) for layer in keras_model._flatten_layers()):
        return keras_model

    def make(layer: Any, name: str) -> Any:
        found = replacement(layer)
        return found(layer, name=f"{name}/lowered") if found else layer

    return rebuilt(keras_model, make)


def may_be_lowered_further(keras_model: Any) -> bool:
    """Whether the model has FUSED functions, which the converter may have found outside of their formulas."""
    return any(getattr(layer, "symbol", "").removeprefix("compat.v1.") in FUSED for layer in keras_model._flatten_layers())


@contextlib.contextmanager
def states_looped(keras_model: Any) -> Iterator[None]:
    """While it is traced, LSTM layers that begin at a state that another layer gives are loops over time.

    The converter makes one operator of an LSTM, whose states are variables of the file: LiteRT cannot run one that another operator fills.
    """
    import tensorflow as tf

    layers = [
        part
        for layer in keras_model.layers
        if any(len(node.keras_inputs) > 1 for node in layer._inbound_nodes)
        for part in (layer, getattr(layer, "forward_layer", None), getattr(layer, "backward_layer", None))
        if isinstance(part, tf.keras.layers.LSTM) and part._could_use_gpu_kernel
    ]
    for part in layers:
        part._could_use_gpu_kernel = False
    try:
        yield
    finally:
        for part in layers:
            part._could_use_gpu_kernel = True


def _sizes(tensor: Any) -> list[Any]:
    """The size of each axis: a number, or a scalar tensor where the model leaves it open."""
    import tensorflow as tf

    given = tf.shape(tensor)
    return [given[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


@functools.cache
def _pooling_class() -> Any:
    import tensorflow as tf

    class PoolingInTwoSteps(tf.keras.layers.Layer):  # type: ignore[misc]
        """Pools (batch, depth, height, width, channels) over height and width, then over depth; the numbers are the same."""

        def __init__(self, pooling: Any, name: str) -> None:
            super().__init__(name=name)
            self._pool = tf.nn.max_pool2d if type(pooling).__name__ == "MaxPooling3D" else tf.nn.avg_pool2d
            self._sizes, self._strides, self._padding = pooling.pool_size, pooling.strides, pooling.padding.upper()

        def call(self, inputs: Any) -> Any:
            _, depth, height, width, channels = _sizes(inputs)
            flat = tf.reshape(inputs, (-1, height, width, channels))
            flat = self._pool(flat, self._sizes[1:], self._strides[1:], self._padding)
            _, height, width, _ = _sizes(flat)
            columns = tf.reshape(flat, (-1, depth, height * width, channels))
            columns = self._pool(columns, (self._sizes[0], 1), (self._strides[0], 1), self._padding)
            return tf.reshape(columns, (-1, _sizes(columns)[1], height, width, channels))

    return PoolingInTwoSteps
