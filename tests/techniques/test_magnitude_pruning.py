"""Which weights are zeroed: of several equal ones, and of very few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cells import Member

from optimizer.kernels import kernel_key
from optimizer.techniques.pruning.magnitude_pruning import _zero_smallest, smallest


@pytest.mark.parametrize("number", [0, 1, 40, 99, 100])
@pytest.mark.parametrize("levels", [1, 5, 1000])
def test_the_smallest_are_those_that_a_stable_sort_puts_first(number: int, levels: int) -> None:
    magnitudes = np.random.default_rng(0).integers(0, levels, 100).astype(np.float32)
    expected = np.zeros(100, bool)
    expected[np.argsort(magnitudes, kind="stable")[:number]] = True
    assert np.array_equal(smallest(magnitudes, number), expected)


def test_a_kernel_of_one_weight_is_left_alone_and_named(tmp_path: Path) -> None:
    """It is the last one of this model: without it, all samples would get the same answer."""
    cell = Member("kernel_of_one_weight", tmp_path).cell("prune")
    (kernel, _) = cell.model.keras.layers[-1].get_weights()
    assert kernel.shape == (1, 1)
    assert kernel.all()
    assert any("one weight" in note for note in cell.notes)
    assert [promise.statement for promise in cell.promises] == ["2 kernels are at least 50.0% zero"]


def test_a_kernel_keeps_its_largest_weight() -> None:
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.layers.Input((2,)), tf.keras.layers.Dense(1, use_bias=False, name="scale")])
    model.set_weights([np.asarray([[0.5], [-2.0]], np.float32)])
    assert _zero_smallest(model, {kernel_key("scale", "kernel:0")}, 0.98) == {"scale/kernel": 0.5}
    assert model.get_weights()[0].ravel().tolist() == [0.0, -2.0]
