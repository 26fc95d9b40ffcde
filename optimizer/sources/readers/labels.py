"""What the labels of a data set are: class numbers, values to predict, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.errors import InputError, printable
from optimizer.sources.dataset import Array
from optimizer.sources.targets import ONE_HOT_NOTE

MAX_CLASSES = 1_000
"""More distinct whole numbers than this are values, not classes."""

MAX_CLASS_NUMBER = 10_000
MAX_CHARACTER = 0x10FFFF


@dataclass(frozen=True, kw_only=True)
class Labels:
    """`y` is int64 class numbers (n,) where `kind` is "class", numbers (n, ...) where it is "value", None where "none"."""

    y: Array | None
    kind: str
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def understand_labels(y: Array | None, *, place: str, floats_are_values: bool = False) -> Labels:
    """Tell classes from values.

    Text becomes classes in sorted order; one row of 0 and 1 with a single 1 (one-hot) becomes its class number; few distinct
    whole numbers from 0 are classes; all else is values.

    Raises:
        InputError: NON_FINITE, BAD_ARRAY.
    """
    if y is None:
        return Labels(y=None, kind="none")
    if y.ndim > 1 and y.shape[-1] == 1:
        y = y.reshape(y.shape[:-1])
    if y.ndim == 0:
        raise InputError("The labels are a single number", code="BAD_ARRAY", place=place, expected="one label a sample")
    if y.dtype.kind in "US":
        return _text_classes(y, place)
    if y.dtype.kind not in "biuf":
        raise InputError("The labels are neither numbers nor text", code="BAD_ARRAY", place=place, received=str(y.dtype))
    _require_finite(y, place)
    if y.ndim == 1:
        if _look_like_classes(y, floats_are_values):
            return _numbered_classes(y.astype(np.int64))
        return Labels(y=y.astype(np.float32), kind="value")
    if y.ndim == 2 and _is_one_hot(y):
        found = _numbered_classes(np.argmax(y, axis=1).astype(np.int64), count=y.shape[1])
        note = f"{ONE_HOT_NOTE} {y.shape[1]} columns were turned into class numbers."
        return Labels(y=found.y, kind="class", class_names=found.class_names, notes=(note,))
    # Whole numbers keep their type: masks of segmentation would take four times the memory in float32.
    return Labels(y=y.astype({"f": np.float32, "b": np.uint8}.get(y.dtype.kind, y.dtype)), kind="value")


def _require_finite(y: Array, place: str) -> None:
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.argwhere(~np.isfinite(y))[0][0])
        raise InputError(
            "The labels contain NaN or infinity", code="NON_FINITE", place=place, received=f"first at sample {row} (from 0)"
        )


def _text_classes(y: Array, place: str) -> Labels:
    if y.ndim != 1:
        raise InputError("Text labels have more than one column", code="BAD_ARRAY", place=place, received=f"shape {y.shape}")
    if y.dtype.kind == "U" and not _is_unicode(y):
        raise InputError("The text labels are damaged", code="BAD_ARRAY", place=place, expected="Unicode")
    names, numbers = np.unique(y, return_inverse=True)
    texts = tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names)
    note = f"Text labels are numbered in alphabetical order: {printable(texts[0], 40)} is 0, {printable(texts[-1], 40)} is {len(texts) - 1}."
    return Labels(y=numbers.astype(np.int64), kind="class", class_names=texts, notes=(note,))


def _is_unicode(y: Array) -> bool:
    """Whether every number in an array of text stands for a character: a file can hold halves of characters, and numbers beyond all."""
    codes = np.ascontiguousarray(y).view(np.dtype(np.uint32).newbyteorder(y.dtype.byteorder))
    return not bool(np.any((codes > MAX_CHARACTER) | ((codes >= 0xD800) & (codes <= 0xDFFF))))


def _look_like_classes(y: Array, floats_are_values: bool) -> bool:
    if y.dtype.kind == "b":
        return True
    if y.dtype.kind == "f" and (floats_are_values or bool(np.any(y != np.floor(y)))):
        return False
    if y.min() < 0 or y.max() > MAX_CLASS_NUMBER:
        return False
    distinct = len(np.unique(y))
    return distinct <= MAX_CLASSES and distinct <= max(2, len(y) // 2)


def _numbered_classes(y: Array, count: int = 0) -> Labels:
    count = max(count, int(y.max()) + 1)
    return Labels(y=y, kind="class", class_names=tuple(str(number) for number in range(count)))


def _is_one_hot(y: Array) -> bool:
    return y.shape[1] > 1 and bool(np.all((y == 0) | (y == 1))) and bool(np.all(y.sum(axis=1) == 1))
