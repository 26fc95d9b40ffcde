"""PTQ of models that loop over time or look words up, and with int16 activations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import pictures

from optimizer.context import Event, RunContext
from optimizer.errors import InputError, RunError
from optimizer.litert_file import LiteRTFile
from optimizer.measure.interpreter import run
from optimizer.model import Model
from optimizer.sources.dataset import Dataset, PreparedData, Split, Task
from optimizer.sources.preflight import read_model_summary
from optimizer.techniques.quantization.post_training_quantization import PostTrainingQuantization


def sequences(recurrent: str, folder: Path) -> tuple[RunContext, list[str]]:
    import tensorflow as tf

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential(
        [
            layers.Input((6,), dtype="int32"),
            layers.Embedding(100, 32, name="words"),
            getattr(layers, recurrent)(32, name="recurrent"),
            layers.Dense(2, activation="softmax", name="classes"),
        ]
    )
    x = np.random.default_rng(0).integers(0, 100, (40, 6))
    part = Split(x=x, y=x[:, 0] % 2)
    parts = dict.fromkeys(("train", "calibration", "validation", "test"), part)
    dataset = Dataset(name="words", sha256="", kind="arrays", labels="class", class_names=("a", "b"), **parts)
    shapes: dict[str, Any] = {"input_shape": (6,), "output_shape": (2,), "input_dtype": "int32"}
    data = PreparedData(dataset=dataset, task=Task.CLASSIFICATION, from_logits=False, **shapes)
    notes: list[str] = []

    def keep(event: Event) -> None:
        if event.kind == "note":
            notes.append(str(event.data["text"]))

    return RunContext(seed=0, data=data, original=Model(keras=model), work_folder=folder, report=keep), notes


@pytest.mark.parametrize("activations", ["int8", "int16"])
def test_a_loop_over_time_keeps_float_activations_and_says_so(tmp_path: Path, activations: str) -> None:
    """TensorFlow's calibrator ends the whole process on such a graph."""
    context, notes = sequences("GRU", tmp_path)
    result = PostTrainingQuantization(activations=activations).apply(context.original, context)
    assert "loops over time" in notes[0]
    types = [tensor.dtype for tensor in LiteRTFile(result.litert or b"").constants if tensor.values.size >= 1024]
    assert types == ["INT8"] * 3


def test_a_loop_over_time_cannot_take_int8(tmp_path: Path) -> None:
    context, _ = sequences("GRU", tmp_path)
    with pytest.raises(RunError) as caught:
        PostTrainingQuantization(input_output="int8").apply(context.original, context)
    assert caught.value.code == "LOOP_NOT_QUANTIZABLE"


def test_embeddings_and_gates_of_an_lstm_are_stored_in_int8_with_float_activations(tmp_path: Path) -> None:
    context, _ = sequences("LSTM", tmp_path)
    result = PostTrainingQuantization(activations="float32").apply(context.original, context)
    file = LiteRTFile(result.litert or b"")
    assert all(tensor.dtype == "INT8" for tensor in file.constants if tensor.values.size >= 1024)
    x = context.data.dataset.test.x
    wanted = np.asarray(context.original.keras(x))
    np.testing.assert_allclose(run(file.content, [(context.data.inputs(x), None)]), wanted, atol=0.01)


def test_a_sample_does_not_remember_the_one_before(tmp_path: Path) -> None:
    from optimizer.conversion import convert

    context, _ = sequences("LSTM", tmp_path)
    content = convert(context.original.keras)
    x = context.data.inputs(context.data.dataset.test.x)
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in [operator.name for operator in LiteRTFile(content).operators]
    outputs = run(content, [(x, None)])
    np.testing.assert_allclose(outputs, np.asarray(context.original.keras(x)), atol=1e-4)


def int16_file(model: Any, samples: Any) -> bytes:
    """What TensorFlow's converter alone makes of a model with int16 activations."""
    import tensorflow as tf

    from optimizer.conversion import convert, representative_dataset

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative_dataset(model, samples)
        int16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [int16, tf.lite.OpsSet.TFLITE_BUILTINS]

    return convert(model, configure)


def attention(x: Any) -> Any:
    import tensorflow as tf

    steps = tf.keras.layers.Reshape((16, 16))(x)
    mixed = tf.keras.layers.MultiHeadAttention(2, 8)(steps, steps)
    return tf.keras.layers.LayerNormalization()(mixed + steps)


def chosen(x: Any) -> Any:
    import tensorflow as tf

    return tf.where(x > 0.0, x, x * 0.2) + tf.reduce_sum(x, -1, keepdims=True)


def recurrent(x: Any) -> Any:
    import tensorflow as tf

    return tf.keras.layers.LSTM(4, unroll=True)(tf.keras.layers.Reshape((8, 32))(x))


def grouped(x: Any) -> Any:
    import tensorflow as tf

    return tf.keras.layers.GroupNormalization(groups=2)(x)


def offset_of_zeros(x: Any) -> Any:
    import tensorflow as tf

    return np.zeros(4, np.float32) - tf.sigmoid(x)


def masked(x: Any) -> Any:
    """Attention that must not look ahead."""
    import tensorflow as tf

    steps = tf.keras.layers.Reshape((16, 16))(x)
    scores = tf.matmul(steps, steps, transpose_b=True) / 4.0
    return tf.matmul(tf.nn.softmax(scores + np.triu(np.full((16, 16), -1e9, np.float32), 1)), steps)


def softplus_of_large_numbers(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.softplus(4.0 * x)


@pytest.mark.parametrize("body", [attention, chosen, recurrent, grouped, offset_of_zeros, masked, softplus_of_large_numbers])
def test_int16_activations_compute_what_the_model_does(tmp_path: Path, body: Any) -> None:
    """LiteRT aborted the process on normalizations, and SELECT, SUM, masks and softplus were wrong without a word."""
    context = pictures(body, tmp_path)
    result = PostTrainingQuantization(activations="int16").apply(context.original, context)
    x = context.data.dataset.test.x
    wanted, given = np.asarray(context.original.keras(x)), run(result.content, [(x, None)])
    assert np.linalg.norm(wanted - given) < 0.015 * np.linalg.norm(wanted)


def test_a_file_that_would_abort_the_process_is_refused_before_it_runs(tmp_path: Path) -> None:
    context = pictures(grouped, tmp_path)
    (tmp_path / "aborts.tflite").write_bytes(int16_file(context.original.keras, context.data.dataset.calibration.x))
    with pytest.raises(InputError) as caught:
        read_model_summary(tmp_path / "aborts.tflite", name="aborts.tflite")
    assert "scale is 0" in caught.value.what
    assert "quantize it here" in caught.value.fix
