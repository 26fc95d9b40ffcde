"""Matching data to a model: task, shapes, labels."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.dataset import Dataset, Split, Task
from optimizer.sources.fit import prepare
from optimizer.sources.summary import LayerSummary, ModelSummary


def model(
    shape: Any = (4,),
    out: Any = (3,),
    activation: Any = "softmax",
    first: Any = None,
    last: Any = "Dense",
    loss: Any = None,
    dtype: Any = "float32",
) -> Any:
    """A summary of input `shape` and output `out`."""
    layers = [LayerSummary(name="in", class_name="InputLayer")]
    if first is not None:
        layers.append(LayerSummary(name="first", class_name=first[0], config=first[1], inbound=("in",)))
    config = {"function": activation} if last == "TFOpLambda" else {"activation": activation}
    layers.append(LayerSummary(name="out", class_name=last, config=config, inbound=(layers[-1].name,)))
    return ModelSummary(
        name="m.h5",
        sha256="0" * 64,
        format="h5",
        size_bytes=1,
        class_name="Functional",
        layers=tuple(layers),
        input_shapes=((None, *shape),),
        output_shapes=((None, *out),),
        output_layers=("out",),
        input_dtypes=(dtype,),
        training_config={} if loss is None else {"loss": loss},
    )


def data(x: Any, y: Any = None, labels: Any = "none", names: Any = ()) -> Any:
    """A data set of four equal splits."""
    part = Split(x=np.asarray(x), y=None if y is None else np.asarray(y))
    parts = dict.fromkeys(("train", "calibration", "validation", "test"), part)
    return Dataset(name="d.npz", sha256="0" * 64, kind="arrays", labels=labels, class_names=names, **parts)


def classes(x: Any, numbers: Any) -> Any:
    return data(x, np.resize(np.asarray(numbers, np.int64), len(x)), "class", tuple(str(n) for n in range(max(numbers) + 1)))


def values(x: Any, y: Any) -> Any:
    return data(x, np.asarray(y, np.float32), "value")


def refused(dataset: Any, summary: Any, code: str = "DATA_MODEL_MISMATCH") -> Any:
    with pytest.raises(InputError) as caught:
        prepare(dataset, summary)
    assert caught.value.code == code, caught.value.line
    return caught.value


X = np.zeros((8, 4), np.float32)


def test_softmax_and_class_numbers_are_classification() -> None:
    found = prepare(classes(X, [0, 1, 2]), model())
    assert (found.task, found.from_logits, found.notes) == (Task.CLASSIFICATION, False, ())
    assert found.input_shape == (4,)
    assert found.output_shape == (3,)


@pytest.mark.parametrize("last", ["Dense", "Activation"])
def test_a_linear_output_of_several_units_is_read_as_logits(last: Any) -> None:
    found = prepare(classes(X, [0, 1, 2]), model(activation="linear", last=last))
    assert (found.task, found.from_logits) == (Task.CLASSIFICATION, True)
    assert "logits" in found.notes[0]


def test_a_softmax_function_of_tensorflow_counts_as_softmax() -> None:
    assert not prepare(classes(X, [0, 1, 2]), model(activation="nn.softmax", last="TFOpLambda")).from_logits


def test_one_sigmoid_unit_tells_two_classes_apart() -> None:
    found = prepare(classes(X, [0, 1]), model(out=(1,), activation="sigmoid"))
    assert (found.task, found.from_logits) == (Task.CLASSIFICATION, False)
    assert found.dataset.class_names == ("0", "1")
    assert "0 and 1" in refused(classes(X, [0, 1, 2]), model(out=(1,), activation="sigmoid")).fix


def test_zero_and_one_as_fractions_of_a_table_are_classes_for_a_sigmoid() -> None:
    found = prepare(values(X, np.arange(8) % 2), model(out=(1,), activation="sigmoid"))
    assert found.task is Task.CLASSIFICATION
    assert found.dataset.train.y.dtype == np.int64


def test_one_linear_unit_and_values_are_regression() -> None:
    found = prepare(values(X, np.linspace(0, 1, 8)), model(out=(1,), activation="linear"))
    assert found.task is Task.REGRESSION
    assert found.targets(found.dataset.train).shape == (8, 1)


def test_one_linear_unit_and_whole_numbers_are_regression_too() -> None:
    found = prepare(classes(X, [3, 9, 4]), model(out=(1,), activation="linear"))
    assert found.task is Task.REGRESSION
    assert found.dataset.labels == "value"
    assert found.dataset.train.y.dtype == np.float32


def test_one_linear_unit_and_two_classes_go_by_the_loss() -> None:
    assert prepare(classes(X, [0, 1]), model(out=(1,), activation="linear", loss="mse")).task is Task.REGRESSION
    for loss, logits in (
        ({"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}, True),
        ("hinge", True),
        ("binary_crossentropy", False),
    ):
        found = prepare(classes(X, [0, 1]), model(out=(1,), activation="linear", loss=loss))
        assert (found.task, found.from_logits) == (Task.CLASSIFICATION, logits)
        assert str(loss)[:6] in found.notes[0] or logits


def test_whole_values_are_classes_where_the_model_has_a_unit_for_each() -> None:
    found = prepare(values(X, np.arange(8) % 3), model())
    assert found.task is Task.CLASSIFICATION
    assert found.dataset.train.y.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_an_output_like_the_input_without_labels_is_reconstruction() -> None:
    assert prepare(data(X), model(out=(4,), activation="linear")).task is Task.RECONSTRUCTION
    assert prepare(data(X), model(out=(3,))).task is Task.UNLABELLED


def test_an_autoencoder_keeps_labels_zero_and_one_for_the_auc() -> None:
    found = prepare(classes(X, [0, 1]), model(out=(4,), activation="sigmoid"))
    assert found.task is Task.RECONSTRUCTION
    assert found.dataset.test.y is not None
    found = prepare(classes(X, [0, 1, 2]), model(out=(4,), activation="sigmoid"))
    assert found.dataset.test.y is None
    assert found.dataset.labels == "none"


def test_a_classifier_with_as_many_classes_as_features_stays_a_classifier() -> None:
    assert prepare(classes(X, [0, 1, 2, 3]), model(out=(4,))).task is Task.CLASSIFICATION


def test_labels_beyond_the_outputs() -> None:
    error = refused(classes(X, [0, 1, 5]), model())
    assert error.expected == "class numbers 0 to 2"
    assert error.received == "0 to 5"
    assert "Subtract 1" in refused(classes(X, [1, 2, 3]), model()).fix


def test_a_label_beyond_the_outputs_in_the_test_split_alone() -> None:
    good = classes(X, [0, 1, 2])
    refused(replace(good, test=Split(x=X, y=np.full(8, 3))), model())


def test_values_that_no_classifier_has() -> None:
    refused(values(X, np.linspace(0.1, 0.9, 8)), model())
    refused(values(X, np.linspace(0.1, 0.9, 8) - 1), model())
    refused(values(X, np.zeros((8, 2))), model())
    refused(values(X, np.ones((8, 1, 1))), model(out=(3, 3)))


def test_fewer_classes_than_outputs_is_said() -> None:
    found = prepare(classes(X, [0, 1]), model())
    assert found.dataset.class_names == ("0", "1", "2")
    assert "2 classes" in found.notes[0]


@pytest.mark.parametrize(
    ("given", "wanted", "shape"),
    [
        ((8, 8), (8, 8, 1), (8, 8, 1)),
        ((8, 8, 1), (8, 8), (8, 8)),
        ((64,), (8, 8, 1), (8, 8, 1)),
        ((8, 8, 1), (64,), (64,)),
        ((8, 8, 3), (None, None, 3), (8, 8, 3)),
        ((8, 8), (None, None, 1), (8, 8, 1)),
    ],
)
def test_shapes_that_can_be_agreed_are_agreed_and_said(given: Any, wanted: Any, shape: Any) -> None:
    found = prepare(classes(np.zeros((8, *given), np.uint8), [0, 1, 2]), model(shape=wanted))
    assert found.input_shape == shape
    assert len(found.notes) == 1
    assert found.inputs(found.dataset.train.x).shape == (8, *shape)


@pytest.mark.parametrize(
    ("given", "wanted", "fix"),
    [
        ((4, 16), (8, 8), "Bring"),
        ((3, 8, 8), (8, 8, 3), "transpose"),
        ((8, 8, 1), (8, 8, 3), "colour"),
        ((28, 28, 3), (32, 32, 3), "Resize"),
        ((5,), (4,), "columns"),
        ((4, 2), (4,), "Bring"),
    ],
)
def test_shapes_that_cannot_be_agreed_are_refused_with_a_hint(given: Any, wanted: Any, fix: Any) -> None:
    error = refused(classes(np.zeros((8, *given)), [0, 1, 2]), model(shape=wanted))
    assert fix in error.fix
    assert error.received == " x ".join(map(str, given))


def test_word_numbers_beyond_the_vocabulary() -> None:
    embedding = model(first=("Embedding", {"input_dim": 5, "output_dim": 2}))
    assert prepare(classes(np.ones((8, 4), int), [0, 1, 2]), embedding).task is Task.CLASSIFICATION
    assert refused(classes(np.full((8, 4), 5), [0, 1, 2]), embedding).expected == "whole numbers 0 to 4"
    refused(classes(np.full((8, 4), 0.5), [0, 1, 2]), embedding)


def test_an_output_of_unknown_shape_names_the_layer() -> None:
    assert "in" in refused(classes(X, [0, 1]), replace(model(), output_shapes=(None,)), "UNSUPPORTED_MODEL").place


def test_a_model_of_whole_numbers_gets_them() -> None:
    found = prepare(classes(np.ones((8, 4)), [0, 1, 2]), model(dtype="int32"))
    assert found.inputs(found.dataset.train.x).dtype == np.int32


def test_labels_of_the_test_part_alone_serve_an_autoencoder_only() -> None:
    labelled = classes(X, [0, 1])
    bare = Split(x=X, y=None)
    dataset = replace(labelled, train=bare, calibration=bare, validation=bare)
    found = prepare(dataset, model(out=(4,), activation="linear"))
    assert found.task is Task.RECONSTRUCTION
    assert found.dataset.test.y is not None
    assert "y_train" in refused(dataset, model()).fix
