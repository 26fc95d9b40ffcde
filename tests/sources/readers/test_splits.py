"""Splits: disjoint, balanced, the same for the same seed."""

from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.readers.splits import split_indices


def parts(found: Any) -> Any:
    return [part for part in (found.train, found.calibration, found.validation, found.test) if part is not None]


def test_every_sample_is_in_exactly_one_split() -> None:
    found = split_indices(1000, np.arange(1000) % 7, seed=3, with_test=True, place="x")
    assert sorted(np.concatenate(parts(found))) == list(range(1000))
    assert [len(part) for part in parts(found)] == [640, 80, 80, 200]


def test_the_seed_decides() -> None:
    classes = np.arange(500) % 3
    first, again, other = (split_indices(500, classes, seed=seed, with_test=True, place="x") for seed in (1, 1, 2))
    for a, b in zip(parts(first), parts(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.test, other.test)


def test_classes_keep_their_shares() -> None:
    classes = np.repeat([0, 1], [900, 100])
    found = split_indices(1000, classes, seed=0, with_test=True, place="x")
    assert found.stratified
    assert [round(classes[part].mean(), 2) for part in parts(found)] == [0.1] * 4


def test_calibration_and_validation_have_upper_limits() -> None:
    found = split_indices(100_000, None, seed=0, with_test=False, place="x")
    assert (len(found.calibration), len(found.validation)) == (512, 5000)
    assert found.test is None


def test_each_class_is_in_calibration_where_possible() -> None:
    classes = np.arange(200) % 20
    found = split_indices(200, classes, seed=0, with_test=False, place="x")
    assert set(classes[found.calibration]) == set(range(20))


def test_a_class_of_one_sample_is_no_reason_to_refuse() -> None:
    classes = np.array([0] * 50 + [1])
    found = split_indices(51, classes, seed=0, with_test=True, place="x")
    assert not found.stratified
    assert sorted(np.concatenate(parts(found))) == list(range(51))


@pytest.mark.parametrize("count", [0, 1, 11])
def test_too_few_samples(count: Any) -> None:
    with pytest.raises(InputError) as caught:
        split_indices(count, None, seed=0, with_test=True, place="x")
    assert caught.value.code == "TOO_FEW_SAMPLES"


@pytest.mark.parametrize("count", [12, 13, 20, 37])
def test_the_smallest_data_sets_fill_every_split(count: Any) -> None:
    for with_test in (True, False):
        found = split_indices(count, np.arange(count) % 3, seed=0, with_test=with_test, place="x")
        assert min(len(part) for part in parts(found)) >= 1
        assert len(found.train) >= count // 2
