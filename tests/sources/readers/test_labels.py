"""Labels: classes or values."""

from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.readers.labels import understand_labels


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (np.arange(30) % 3, "class"),
        ((np.arange(30) % 3).astype(np.float32), "class"),
        ((np.arange(30) % 2).astype(bool), "class"),
        ((np.arange(30) % 3).reshape(30, 1), "class"),
        (np.arange(30) - 15, "value"),
        (np.arange(30), "value"),
        (np.linspace(0, 1, 30), "value"),
        (np.zeros((30, 2)) + 0.5, "value"),
        (np.arange(30) % 3 + 20_000, "value"),
    ],
)
def test_few_whole_numbers_are_classes_and_the_rest_are_values(y: Any, kind: str) -> None:
    labels = understand_labels(y, place="y")
    assert labels.kind == kind
    assert labels.y.dtype == (np.int64 if kind == "class" else np.float32)


def test_one_hot_rows_become_class_numbers() -> None:
    labels = understand_labels(np.eye(4, dtype=np.float32)[np.arange(20) % 3], place="y")
    np.testing.assert_array_equal(labels.y, np.arange(20) % 3)
    assert labels.class_names == ("0", "1", "2", "3")
    assert "One-hot" in labels.notes[0]


def test_text_of_both_kinds_becomes_classes() -> None:
    for y in (np.array(["b", "a"] * 5), np.array([b"b", b"a"] * 5)):
        labels = understand_labels(y, place="y")
        assert labels.class_names == ("a", "b")
        assert labels.y.tolist() == [1, 0] * 5


def test_no_labels() -> None:
    assert understand_labels(None, place="y").kind == "none"


@pytest.mark.parametrize(
    ("y", "code"),
    [
        (np.array([1.0, np.nan]), "NON_FINITE"),
        (np.array(3), "BAD_ARRAY"),
        (np.array([["a", "b"]]), "BAD_ARRAY"),
        (np.zeros(3, complex), "BAD_ARRAY"),
    ],
)
def test_labels_that_are_none(y: Any, code: str) -> None:
    with pytest.raises(InputError) as caught:
        understand_labels(y, place="y")
    assert caught.value.code == code


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", [0xD800, 0x110000, 0xFFFFFFFF])
def test_text_labels_that_are_no_unicode_are_refused(order: str, code: int) -> None:
    labels = np.frombuffer(np.array([ord("a"), code], order + "u4").tobytes(), order + "U1")
    with pytest.raises(InputError) as caught:
        understand_labels(labels, place="y")
    assert caught.value.code == "BAD_ARRAY"
