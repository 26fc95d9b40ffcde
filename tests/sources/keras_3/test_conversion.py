"""What layers of Keras 3 are expressed by goes through LiteRT's converter, and computes the same there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.conversion import convert
from optimizer.sources.keras_model import load_keras_model
from optimizer.sources.preflight import read_model_summary


def everything(keras: Any) -> Any:
    layers, ops = keras.layers, keras.ops
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same", activation="hard_silu")(inputs / 2 + 1)
    x = layers.RMSNormalization()(x) + ops.mean(x, axis=(1, 2), keepdims=True)
    x = ops.concatenate([x, ops.relu(x[:, :, :, :2])], axis=-1)
    steps = ops.reshape(x, (-1, 64, 6))
    steps = layers.GroupQueryAttention(2, 4, 2)(steps, steps)
    steps = steps + ops.einsum("abc,adc->abd", steps, steps)[:, :, :6]
    x = layers.RMSNormalization()(ops.max(steps, axis=1))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def test_a_translated_model_runs_in_litert(keras: Any, saved: Callable[..., Path]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    model = everything(keras)
    path = saved(model)
    translated = load_keras_model(path, read_model_summary(path, name="model.keras"))
    interpreter = Interpreter(model_content=convert(translated))
    interpreter.allocate_tensors()
    x = np.random.default_rng(0).uniform(0, 1, (1, 8, 8, 4)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, np.asarray(model(x, training=False)), rtol=1e-4, atol=1e-6)
