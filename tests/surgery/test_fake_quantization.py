"""A model that was prepared for quantization-aware training computes what it did before, but for the rounding.

The cells of the matrix compare a .tflite with the prepared model, and would not see what the preparation itself loses.
"""

from __future__ import annotations

import numpy as np
import pytest
import zoo
from agreement import rounded_outputs

from optimizer.surgery.batch_normalization import FOLDABLE, fold_batch_normalization
from optimizer.surgery.describing import wiring_of_keras
from optimizer.surgery.fake_quantization import calibrate, with_fake_quantization
from optimizer.surgery.flattening import flattened
from optimizer.surgery.integer_layout import TRAINED_WITH_NORMALIZATION, integer_layout
from optimizer.surgery.wrapping import without_activity_penalties

FACTOR = 3.0
"""The preparation may move the outputs this many times as far as random rounding of all kernels and layers does; 0.4 to 1.9 is usual."""


@pytest.mark.parametrize("name", zoo.MODELS)
def test_nothing_but_rounding_is_added(name: str) -> None:
    model, (x, _) = zoo.MODELS[name]()
    original = flattened(model)
    x = x[: model.inputs[0].shape[0] or 64].astype(original.inputs[0].dtype.name)
    expected = np.asarray(original(x, training=False), np.float64)
    plain, _ = fold_batch_normalization(original, FOLDABLE - TRAINED_WITH_NORMALIZATION)
    plain = without_activity_penalties(plain)
    prepared = with_fake_quantization(plain, integer_layout(wiring_of_keras(plain)), per_tensor=False)
    calibrate(prepared, [x], steps=4)
    moved, usual = (
        float(np.linalg.norm(expected - other)) for other in (prepared.keras(x, training=False), rounded_outputs(original, x))
    )
    assert moved <= FACTOR * usual
