"""Which weights are zeroed: of several equal ones, and of very few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cells import Member

from optimizer.techniques.pruning.magnitude_pruning import smallest


@pytest.mark.parametrize("number", [0, 1, 40, 99, 100])
@pytest.mark.parametrize("levels", [1, 5, 1000])
def test_the_smallest_are_those_that_a_stable_sort_puts_first(number: int, levels: int) -> None:
    magnitudes = np.random.default_rng(0).integers(0, levels, 100).astype(np.float32)
    expected = np.zeros(100, bool)
    expected[np.argsort(magnitudes, kind="stable")[:number]] = True
    assert np.array_equal(smallest(magnitudes, number), expected)


def test_a_kernel_keeps_its_largest_weight(tmp_path: Path) -> None:
    """The last kernel of this model holds one weight: without it, all samples would get the same answer."""
    kernel = Member("kernel_of_one_weight", tmp_path).cell("prune").model.keras.layers[-1].kernel.numpy()
    assert kernel.shape == (1, 1)
    assert kernel.all()
