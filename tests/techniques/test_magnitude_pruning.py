"""Which weights are zeroed where several are equal."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.techniques.pruning.magnitude_pruning import smallest


@pytest.mark.parametrize("number", [0, 1, 40, 99, 100])
@pytest.mark.parametrize("levels", [1, 5, 1000])
def test_the_smallest_are_those_that_a_stable_sort_puts_first(number: int, levels: int) -> None:
    magnitudes = np.random.default_rng(0).integers(0, levels, 100).astype(np.float32)
    expected = np.zeros(100, bool)
    expected[np.argsort(magnitudes, kind="stable")[:number]] = True
    assert np.array_equal(smallest(magnitudes, number), expected)
