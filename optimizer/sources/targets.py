"""The labels of a data set over all its splits, and the same data with labels of another meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from optimizer.sources.dataset import IGNORED, Array, Dataset, Split

ONE_HOT_NOTE = "One-hot labels of"
"""How the note of a reader begins that turned one-hot labels into class numbers."""

SPLITS = ("train", "calibration", "validation", "test")


def targets(dataset: Dataset) -> Mapping[str, Array]:
    """Labels of each split that has some."""
    parts = {name: getattr(dataset, name).y for name in SPLITS}
    return {name: y for name, y in parts.items() if y is not None and len(y)}


def target_shape(dataset: Dataset) -> tuple[int, ...]:
    """Shape of one sample's label: () for a single number."""
    return tuple(next(iter(targets(dataset).values())).shape[1:])


def class_range(dataset: Dataset) -> tuple[int, int]:
    """Smallest and largest class number over all splits."""
    found = targets(dataset).values()
    return min(int(y.min()) for y in found), max(int(y.max()) for y in found)


def all_targets(dataset: Dataset, holds: Callable[[Array], bool]) -> bool:
    """Whether something holds for the labels of every split."""
    return all(holds(y) for y in targets(dataset).values())


def with_labels_of(dataset: Dataset, change: Callable[[Split], Array | None]) -> Dataset:
    """The same samples, each split with the labels that `change` makes of the split."""

    def changed(part: Split) -> Split:
        return Split(x=part.x, y=change(part))

    return replace(
        dataset,
        train=changed(dataset.train),
        calibration=changed(dataset.calibration),
        validation=changed(dataset.validation),
        test=changed(dataset.test),
    )


def with_targets(dataset: Dataset, change: Callable[[Array], Array | None]) -> Dataset:
    """The same data with `change` applied to the labels of each split that has some."""
    return with_labels_of(dataset, lambda part: None if part.y is None else change(part.y))


def as_classes(dataset: Dataset) -> Dataset:
    """The same data with whole-numbered values as class numbers."""
    changed = with_targets(dataset, lambda y: y.reshape(-1).astype(np.int64))
    count = max(2, class_range(changed)[1] + 1)
    return replace(changed, labels="class", class_names=tuple(str(number) for number in range(min(count, 10_000))))


def as_one_hot(dataset: Dataset) -> Dataset:
    """Class numbers as the one-hot rows (n, classes) uint8 that the file held."""
    rows = np.eye(len(dataset.class_names), dtype=np.uint8)
    kept = tuple(note for note in dataset.notes if not note.startswith(ONE_HOT_NOTE))
    return replace(with_targets(dataset, lambda y: rows[y]), labels="value", class_names=(), notes=kept)


def largest_as_class(dataset: Dataset) -> Dataset:
    """Shares (n, ..., classes) as the number of the largest: int64 (n,), or (n, *steps) with IGNORED where a row holds zeros only."""
    count = target_shape(dataset)[-1]

    def chosen(y: Array) -> Array:
        return np.where(y.any(axis=-1), y.argmax(axis=-1), IGNORED)

    changed = with_targets(dataset, chosen)
    if int(np.prod(target_shape(changed))) > 1:
        return changed
    return replace(reshaped(changed, ()), labels="class", class_names=tuple(str(number) for number in range(count)))


def as_labels(dataset: Dataset) -> Dataset:
    """Zeros and ones as labels, uint8."""
    return replace(with_targets(dataset, lambda y: y.astype(np.uint8)), labels="labels")


def reshaped(dataset: Dataset, shape: tuple[int, ...]) -> Dataset:
    """The same labels, each in `shape`."""
    return with_targets(dataset, lambda y: y.reshape((len(y), *shape)))


def as_values(dataset: Dataset) -> Dataset:
    """The same data with class numbers as values to predict."""
    return replace(with_targets(dataset, lambda y: y.astype(np.float32)), labels="value", class_names=())


def without_labels(dataset: Dataset) -> Dataset:
    """The same data with the labels left out."""
    return replace(with_targets(dataset, lambda y: None), labels="none", class_names=())
