"""Disjoint, seeded splits: test, then calibration and validation out of what is left for training."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optimizer.errors import InputError
from optimizer.sources.dataset import Array
from optimizer.sources.readers.parts import MIN_SAMPLES

TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.1
MAX_VALIDATION = 5_000
CALIBRATION_FRACTION = 0.1
MAX_CALIBRATION = 512

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SplitIndices:
    """Sample numbers (int64, disjoint) of each split; `test` is None where the test samples come from elsewhere."""

    train: Indices
    calibration: Indices
    validation: Indices
    test: Indices | None
    stratified: bool


def split_indices(count: int, classes: Array | None, *, seed: int, with_test: bool, place: str) -> SplitIndices:
    """Split `count` samples; the same arguments give the same split.

    Args:
        count: Number of samples.
        classes: Class number of each sample (n,), None where there are no classes to balance.
        seed: Seeds the draw.
        with_test: Take the test split out of these samples too.
        place: Name of the data for errors.

    Raises:
        InputError: TOO_FEW_SAMPLES.
    """
    if count < MIN_SAMPLES:
        raise InputError(
            "There are too few samples to split into train, calibration, validation and test",
            code="TOO_FEW_SAMPLES",
            place=place,
            expected=f"at least {MIN_SAMPLES}",
            received=str(count),
        )
    left: Indices = np.arange(count, dtype=np.int64)
    test: Indices | None = None
    stratified = classes is not None
    class_count = 0 if classes is None else len(np.unique(classes))
    if with_test:
        left, test, balanced = _take(left, round(TEST_FRACTION * count), classes, seed)
        stratified &= balanced
    validation_count = _bounded(VALIDATION_FRACTION, len(left), MAX_VALIDATION, class_count)
    calibration_count = _bounded(CALIBRATION_FRACTION, len(left), MAX_CALIBRATION, class_count)
    left, validation, balanced = _take(left, validation_count, classes, seed + 1)
    stratified &= balanced
    left, calibration, balanced = _take(left, calibration_count, classes, seed + 2)
    return SplitIndices(train=left, calibration=calibration, validation=validation, test=test, stratified=stratified and balanced)


def _bounded(fraction: float, count: int, most: int, class_count: int) -> int:
    """A fraction of `count`, at most `most`, at least one sample a class as long as that leaves most samples for training."""
    wanted = min(most, round(fraction * count))
    return max(1, wanted, min(class_count, count // 4))


def _take(left: Indices, size: int, classes: Array | None, seed: int) -> tuple[Indices, Indices, bool]:
    """Draw `size` of the samples `left`: (rest, drawn, whether each class got its share)."""
    from sklearn.model_selection import train_test_split

    size = max(1, size)
    strata = None if classes is None else np.asarray(classes)[left]
    possible = False
    if strata is not None:
        counts = np.unique(strata, return_counts=True)[1]
        possible = bool(counts.min() >= 2) and size >= len(counts) and len(left) - size >= len(counts)
    with warnings.catch_warnings():
        # scikit-learn warns about many classes for few samples; the caller is told by `stratified` and by the class counts.
        warnings.simplefilter("ignore")
        rest, drawn = train_test_split(left, test_size=size, random_state=seed % 2**32, stratify=strata if possible else None)
    return rest, drawn, possible or classes is None
