"""The text of `inspect`: what a person needs to lay out their data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zoo

from optimizer.grid import technique_grid
from optimizer.inspection_text import inspection_in_words
from optimizer.sources.preflight import read_model_summary


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Summary of a Keras model that takes "left" and "right", and gives "kind" and "price"."""
    layers = zoo.layers()
    import tensorflow as tf

    left, right = layers.Input((4,), name="left"), layers.Input((2,), name="right")
    joined = layers.Concatenate()([left, right])
    heads = [layers.Dense(3, "softmax", name="kind")(joined), layers.Dense(1, name="price")(joined)]
    path: Path = tmp_path_factory.mktemp("several") / "several.h5"
    tf.keras.Model([left, right], heads).save(path, save_format="h5")
    return read_model_summary(path, name="several.h5")


def test_the_arrays_of_several_inputs_and_outputs_are_named(several: Any) -> None:
    text = inspection_in_words(several, technique_grid(several))
    assert "inputs left (n, 4), right (n, 2), outputs kind (n, 3), price (n, 1)" in text
    assert "data: an .npz with x_train_left, x_train_right" in text
    assert "y_train_kind, y_train_price" in text
    assert "input values: left: the file does not say; values are taken as stored; right: " in text


def test_one_input_needs_no_name(several: Any) -> None:
    single = replace(several, input_shapes=((None, 4),), output_shapes=((None, 3),), output_layers=("kind",))
    text = inspection_in_words(single, technique_grid(single))
    assert "inputs (n, 4), outputs (n, 3)" in text
    assert "x_train_" not in text


def test_what_is_refused_as_a_whole_has_no_column_of_its_own(several: Any) -> None:
    quantized = replace(several, format="tflite")
    text = inspection_in_words(quantized, technique_grid(quantized))
    rows = [line for line in text.splitlines() if line.startswith("kind ")]
    assert len(rows) == 1
    assert "impossible" not in rows[0]
    assert "magnitude_pruning: impossible: a .tflite cannot be trained further" in text
