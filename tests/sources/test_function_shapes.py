"""Shapes of TensorFlow functions as layers, worked out without TensorFlow, against TensorFlow's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.sources.layer_rules.facts import LayerCall
from optimizer.sources.preflight import read_model_summary

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "stack": lambda tf, x: tf.stack([x, x], axis=1),
    "split": lambda tf, x: tf.split(x, [1, 3], axis=-1)[1],
    "unstack": lambda tf, x: tf.unstack(x, axis=1)[2],
    "repeat": lambda tf, x: tf.repeat(x, 3, axis=1),
    "tile": lambda tf, x: tf.tile(x, [1, 2, 1, 3]),
    "squeeze": lambda tf, x: tf.squeeze(tf.expand_dims(x, 2), 2),
    "gather": lambda tf, x: tf.gather(x, [0, 2, 4], axis=2),
    "new axis": lambda tf, x: x[:, tf.newaxis, 1:, 0],
    "where": lambda tf, x: tf.where(x > 0.5, x, 0.1 * x),
    "slice": lambda tf, x: tf.slice(x, [0, 1, 0, 0], [-1, 2, -1, 2]),
    "transpose": lambda tf, x: tf.transpose(x, (0, 3, 1, 2)),
    "batch reshape": lambda tf, x: tf.reshape(x, (tf.shape(x)[0], 36, 4)),
    "windows": lambda tf, x: tf.reshape(x, (-1, 2, 6, 4)),
    "depth to space": lambda tf, x: tf.nn.depth_to_space(x, 2),
    "space to depth": lambda tf, x: tf.nn.space_to_depth(x, 2),
    "pool": lambda tf, x: tf.nn.max_pool2d(x, 3, 2, "SAME"),
    "resize": lambda tf, x: tf.image.resize(x, (9, 5)),
    "one hot": lambda tf, x: tf.one_hot(tf.argmax(x, -1), 4),
    "top k": lambda tf, x: tf.math.top_k(x, 2)[0],
    "matmul": lambda tf, x: tf.matmul(x, x, transpose_b=True),
    "constant matmul": lambda tf, x: tf.tensordot(x, tf.ones((4, 3)), 1),
    "moments": lambda tf, x: tf.nn.moments(x, [1, 2])[1],
    "sum": lambda tf, x: tf.reduce_logsumexp(x, -1, keepdims=True),
    "cumsum": lambda tf, x: tf.cumsum(x, 1) + tf.zeros_like(x),
    "swapped": lambda tf, x: 1.0 - (2.0 / (x + 1.0)) % 3.0,
}


def saved(model: Any, tmp_path: Path, suffix: str) -> Path:
    path = tmp_path / f"model{suffix}"
    model.save(path)
    return path


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_shape_of_a_function_is_that_of_tensorflow(name: str, tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((6, 6, 4))
    model = tf.keras.Model(inputs, FUNCTIONS[name](tf, inputs))
    for suffix in (".h5", ".keras"):
        summary = read_model_summary(saved(model, tmp_path, suffix), name="model" + suffix)
        assert summary.output_shapes == (tuple(model.output_shape),)


def test_products_of_windows_are_not_counted_as_those_of_one_sample(tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((6, 6, 4))
    x = tf.keras.layers.Dense(3, name="products")(tf.reshape(inputs, (-1, 2, 6, 4)))
    model = tf.keras.Model(inputs, tf.reshape(x, (-1, 6, 6, 3)))
    summary = read_model_summary(saved(model, tmp_path, ".keras"), name="model.keras")
    assert summary.output_shapes == ((None, 6, 6, 3),)
    assert summary.layer("products").macs is None or summary.macs is None


@pytest.mark.parametrize(
    ("class_name", "settings", "shape"),
    [
        ("ConvLSTM1D", {"filters": 3, "kernel_size": 2}, (4, 9, 2)),
        ("ConvLSTM2D", {"filters": 3, "kernel_size": 3, "padding": "same", "return_sequences": True}, (4, 6, 5, 2)),
        ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, (4, 5, 6)),
        ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "attention_axes": (2,)}, (4, 5, 6)),
    ],
)
def test_shapes_and_weights_of_layers_over_pictures(class_name: str, settings: Any, shape: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input(shape)
    layer = getattr(tf.keras.layers, class_name)(**settings)
    outputs = layer(inputs, inputs) if class_name == "MultiHeadAttention" else layer(inputs)
    model = tf.keras.Model(inputs, outputs)
    summary = read_model_summary(saved(model, tmp_path, ".keras"), name="model.keras")
    assert summary.output_shapes == (tuple(model.output_shape),)
    assert summary.parameters == model.count_params()
    assert summary.macs


UNCONVERTIBLE: dict[str, Callable[[Any, Any], Any]] = {
    "tf.math.cumprod": lambda tf, x: tf.math.cumprod(x, 1),
    "Resizing": lambda tf, x: tf.keras.layers.Resizing(4, 4, interpolation="bicubic")(x),
    "Conv1D with the channels first": lambda tf, x: tf.keras.layers.Conv1D(2, 3, data_format="channels_first")(
        tf.keras.layers.Reshape((6, 24))(x)
    ),
}


@pytest.mark.parametrize("name", UNCONVERTIBLE)
def test_what_no_file_can_hold_is_refused_before_anything_runs(name: str, tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((6, 6, 4))
    model = tf.keras.Model(inputs, UNCONVERTIBLE[name](tf, inputs))
    with pytest.raises(InputError) as caught:
        read_model_summary(saved(model, tmp_path, ".keras"), name="model.keras")
    assert caught.value.code == "UNSUPPORTED_OP"
    assert name in caught.value.what
    assert caught.value.fix


def test_a_number_in_the_file_does_not_decide_how_many_parts_are_listed() -> None:
    from optimizer.sources.layer_rules import functions

    assert functions.MAX_PARTS < 10_000
    for name, arguments in (("split", {"num_or_size_splits": 2**28, "axis": 1}), ("unstack", {"axis": 1})):
        call = LayerCall(inputs=((None, 2**28, 1),), arguments=arguments)
        assert getattr(functions, name)(call) is functions.UNKNOWN


LAYERS: dict[str, Callable[[Any, Any], Any]] = {
    "masked attention": lambda k, x: k.MultiHeadAttention(2, 3)(x, x, attention_mask=x[:, :, :6] > 0.5),
    "an ellipsis before": lambda k, x: k.EinsumDense("...x,xy->...y", output_shape=5, bias_axes="y")(x),
    "an ellipsis behind": lambda k, x: k.EinsumDense("abc...,bcd->ad...", output_shape=5)(k.Reshape((6, 2, 4))(x)),
    "cells": lambda k, x: k.RNN([k.LSTMCell(5), k.GRUCell(4)], return_sequences=True)(x),
    "a cell": lambda k, x: k.RNN(k.SimpleRNNCell(5))(x),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_shape_of_a_layer_is_that_of_tf_keras(name: str, tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((6, 8))
    model = tf.keras.Model(inputs, LAYERS[name](tf.keras.layers, inputs))
    for suffix in (".h5", ".keras"):
        summary = read_model_summary(saved(model, tmp_path, suffix), name="model" + suffix)
        assert summary.output_shapes == (tuple(model.output_shape),)
        assert summary.parameters == model.count_params()
        assert summary.macs


def test_a_function_whose_tensors_are_not_in_the_file_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((6, 8))
    model = tf.keras.Model(inputs, tf.einsum("abc,adc->abd", inputs, inputs))
    with pytest.raises(InputError, match="does not say what the function takes"):
        read_model_summary(saved(model, tmp_path, ".keras"), name="model.keras")
