"""Models of several inputs or outputs: arrays find their inputs, labels their output."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_fit import classes, model, refused

from optimizer.errors import InputError
from optimizer.job import DataSource
from optimizer.sources.dataset import Dataset, Task
from optimizer.sources.fit import prepare
from optimizer.sources.joined import JoinedSamples
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.readers import read_dataset
from optimizer.sources.scaling import expected_range_in_words, scaling_candidates, value_range
from optimizer.sources.summary import LayerSummary, ModelSummary

NUMBER = 40
LEFT = np.random.default_rng(0).random((NUMBER, 4), np.float32)
RIGHT = np.arange(NUMBER * 2).reshape(NUMBER, 2) % 7
Y = np.arange(NUMBER) % 3


def read(folder: Path, **arrays: Any) -> Dataset:
    np.savez(folder / "d.npz", **arrays)
    return read_dataset(DataSource(name="d.npz", path=folder / "d.npz"), seed=0)


def two_inputs(**changes: Any) -> ModelSummary:
    """A model that takes "Right" (2 whole numbers) before "left" (4 numbers)."""
    one = model()
    summary = replace(one, input_shapes=((None, 2), (None, 4)), input_dtypes=("int32", "float32"), input_names=("Right", "left"))
    return replace(summary, **changes)


def two_outputs() -> ModelSummary:
    """A model that gives 3 softmax units "kind" and one number "price"."""
    one = model()
    kind = replace(one.layer("out"), name="kind")
    price = LayerSummary(name="price", class_name="Dense", inbound=("in",))
    return replace(
        one,
        layers=(one.layers[0], kind, price),
        output_layers=("kind", "price"),
        output_shapes=((None, 3), (None, 1)),
        training_config={"loss": {"kind": "sparse_categorical_crossentropy", "price": "mse"}},
    )


def test_an_input_answers_to_the_name_that_it_had_before_tensorflow(tmp_path: Path) -> None:
    renamed = two_inputs(input_names=("sensor_data", "entr_e"))
    found = prepare(read(tmp_path, **{"x_entrée": LEFT, "x_Sensor data": RIGHT, "y": Y}), renamed)
    assert [array.shape for array in found.inputs(found.dataset.train.x[:5])] == [(5, 2), (5, 4)]


@pytest.mark.parametrize("names", [("left", "right"), ("1", "0")], ids=str)
@pytest.mark.parametrize("part", ["x", "x_train"])
def test_arrays_find_their_inputs_by_name_or_number(tmp_path: Path, names: Any, part: str) -> None:
    labels = "y" if part == "x" else "y_train"
    found = prepare(read(tmp_path, **{f"{part}_{names[0]}": LEFT, f"{part}_{names[1]}": RIGHT, labels: Y}), two_inputs())
    assert found.task is Task.CLASSIFICATION
    assert [spec.name for spec in found.joined] == ["Right", "left"]
    right, left = found.inputs(found.dataset.train.x[:5])
    assert (right.shape, right.dtype, left.shape, left.dtype) == ((5, 2), np.int32, (5, 4), np.float32)
    # Samples stay together: both parts were numbered alike.
    rows = [int(np.flatnonzero((row == LEFT).all(axis=1))[0]) for row in left]
    np.testing.assert_array_equal(right, RIGHT[rows])
    np.testing.assert_array_equal(found.targets(found.dataset.train)[:5], Y[rows])
    assert [scaling.name for scaling in scaling_candidates(found)] == ["as stored"]
    assert value_range(found.dataset).startswith("whole numbers 0 to 6; numbers 0.")


def test_a_test_part_brings_the_same_inputs(tmp_path: Path) -> None:
    parts = {
        "x_train_left": LEFT,
        "x_train_right": RIGHT,
        "y_train": Y,
        "x_test_left": LEFT[:9],
        "x_test_right": RIGHT[:9],
        "y_test": Y[:9],
    }
    found = prepare(read(tmp_path, **parts), two_inputs())
    assert len(found.dataset.test) == 9
    for name, wrong in (("x_test_right", RIGHT[:9, :1]), ("x_test_right", RIGHT[:8]), ("x_train_left", LEFT[:-1])):
        with pytest.raises(InputError) as caught:
            read(tmp_path, **{**parts, name: wrong})
        assert caught.value.code == "BAD_ARRAY"
    del parts["x_test_right"]
    with pytest.raises(InputError):
        read(tmp_path, **parts)


def test_arrays_that_no_input_takes_are_refused_with_the_names_to_use(tmp_path: Path) -> None:
    error = refused(classes(LEFT, [0, 1, 2]), two_inputs())
    assert "x_train_Right, x_train_left" in error.expected
    other = read(tmp_path, x_left=LEFT, x_middle=RIGHT, y=Y)
    assert "x_train_middle" in refused(other, two_inputs()).received
    assert refused(other, model()).expected == "one input: x_train"
    shaped = read(tmp_path, x_left=RIGHT, x_right=LEFT, y=Y)
    assert "Right" in refused(shaped, two_inputs()).place


def test_a_file_without_samples_is_told_the_names_of_the_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", left=LEFT, right=RIGHT)
    with pytest.raises(InputError) as caught:
        read_dataset(DataSource(name="d.npz", path=tmp_path / "d.npz"), seed=0, inputs=two_inputs().names_of_several_inputs)
    assert caught.value.code == "MISSING_ARRAY"
    assert caught.value.expected.startswith("x_train_Right, x_train_left (or x_train_0, x_train_1, ... in that order), y_train")
    assert "x_train_Right=..., x_train_left=..., y_train=..., x_test_Right=..." in caught.value.fix
    with pytest.raises(InputError) as caught:
        read_dataset(DataSource(name="d.npz", path=tmp_path / "d.npz"), seed=0)
    assert "for a model of several inputs x_train_<input> for each" in caught.value.expected


def test_the_values_of_each_input_are_told(tmp_path: Path) -> None:
    words = LayerSummary(name="words", class_name="Embedding", config={"input_dim": 5}, inbound=("Right",))
    scaled = LayerSummary(name="scaled", class_name="Rescaling", config={"scale": 1 / 255}, inbound=("left",))
    summary = two_inputs(layers=(*model().layers, words, scaled))
    assert expected_range_in_words(summary) == (
        "Right: whole numbers 0 to 4: the model starts with an Embedding; left: raw values: the model starts with Rescaling (x / 255)"
    )
    told = expected_range_in_words(two_inputs())
    assert told == "Right: whole numbers (int32); left: the file does not say; values are taken as stored"


def test_word_numbers_of_one_input_are_checked(tmp_path: Path) -> None:
    words = LayerSummary(name="words", class_name="Embedding", config={"input_dim": 5}, inbound=("Right",))
    summary = two_inputs(layers=(*model().layers, words))
    assert refused(read(tmp_path, x_left=LEFT, x_right=RIGHT, y=Y), summary).expected == "whole numbers 0 to 4"


def test_labels_choose_their_output(tmp_path: Path) -> None:
    price = LEFT[:, 0]
    first = prepare(read(tmp_path, x=LEFT, y=Y), two_outputs())
    assert (first.task, first.output, first.output_count) == (Task.CLASSIFICATION, 0, 2)
    assert "price" in first.notes[0]
    second = prepare(read(tmp_path, x=LEFT, y_price=price, y_kind=Y), two_outputs())
    assert (second.task, second.output, second.output_shape) == (Task.REGRESSION, 1, (1,))
    assert "kind are not used" in second.dataset.notes[0]
    numbered = prepare(read(tmp_path, x_train=LEFT, y_train_1=price), two_outputs())
    assert numbered.output == 1
    assert "y_train_kind" in refused(read(tmp_path, x=LEFT, y_colour=Y), two_outputs()).expected


def test_joined_samples_are_indexed_by_sample() -> None:
    joined = JoinedSamples({"a": LEFT, "b": RIGHT})
    assert len(joined) == NUMBER
    assert {name: len(array) for name, array in joined[3:5].arrays.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize("extension", ["keras", "h5"])
def test_outputs_of_a_dictionary_go_by_its_keys_in_the_order_of_the_model(tmp_path: Path, extension: str) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((6,))
    heads = {"price": tf.keras.layers.Dense(1)(inputs), "kind": tf.keras.layers.Dense(3, activation="softmax")(inputs)}
    model = tf.keras.Model(inputs, heads)
    model.compile("adam", {"price": "mse", "kind": "sparse_categorical_crossentropy"})
    path = tmp_path / f"model.{extension}"
    model.save(path)
    summary = read_model_summary(path, name=path.name)
    assert summary.names_of_outputs == ("kind", "price")
    assert [shape[1:] for shape in summary.output_shapes if shape] == [tuple(tensor.shape[1:]) for tensor in model.outputs]
    priced = prepare(read(tmp_path, x=np.zeros((16, 6), np.float32), y_price=np.linspace(0, 1, 16, dtype=np.float32)), summary)
    assert (priced.task, priced.output) == (Task.REGRESSION, 1)
