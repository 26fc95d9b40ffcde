"""The labels of a data set over all its splits, and the same data with labels of another meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from optimizer.sources.dataset import Array, Dataset, Split

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


def _with_targets(dataset: Dataset, change: Callable[[Array], Array | None]) -> Dataset:
    def changed(part: Split) -> Split:
        return Split(x=part.x, y=None if part.y is None else change(part.y))

    return replace(
        dataset,
        train=changed(dataset.train),
        calibration=changed(dataset.calibration),
        validation=changed(dataset.validation),
        test=changed(dataset.test),
    )


def as_classes(dataset: Dataset) -> Dataset:
    """The same data with whole-numbered values as class numbers."""
    changed = _with_targets(dataset, lambda y: y.reshape(-1).astype(np.int64))
    count = max(2, class_range(changed)[1] + 1)
    return replace(changed, labels="class", class_names=tuple(str(number) for number in range(min(count, 10_000))))


def as_values(dataset: Dataset) -> Dataset:
    """The same data with class numbers as values to predict."""
    return replace(_with_targets(dataset, lambda y: y.astype(np.float32)), labels="value", class_names=())


def without_labels(dataset: Dataset) -> Dataset:
    """The same data with the labels left out."""
    return replace(_with_targets(dataset, lambda y: None), labels="none", class_names=())
