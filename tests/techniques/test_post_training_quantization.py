"""PTQ of models that loop over time or look words up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.context import Event, RunContext
from optimizer.errors import RunError
from optimizer.litert_file import LiteRTFile
from optimizer.measure.interpreter import run
from optimizer.model import Model
from optimizer.sources.dataset import Dataset, PreparedData, Split, Task
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
