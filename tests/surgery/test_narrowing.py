from __future__ import annotations

from typing import Any

import pytest

from optimizer.errors import RunError
from optimizer.surgery.narrowing import narrowed_width, narrower_copy


def test_half_the_width_is_about_a_quarter_of_the_weights(digits_model: Any) -> None:
    student = narrower_copy(digits_model, 0.5, input_shape=(8, 8, 1), output_shape=(10,))
    assert student.output_shape == (None, 10)
    assert student.get_layer("first").filters == 4
    assert student.get_layer("classes").units == 10
    assert student.count_params() < 0.45 * digits_model.count_params()


def test_widths_become_multiples_of_four() -> None:
    assert [narrowed_width(width, 0.3) for width in (64, 20, 8, 4, 1)] == [20, 8, 4, 1, 1]


def test_a_width_that_is_fixed_elsewhere_is_refused_with_the_reason() -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = layers.Input((16,))
    outputs = layers.Dense(2)(layers.Add()([layers.Dense(16)(inputs), inputs]))
    with pytest.raises(RunError) as caught:
        narrower_copy(tf.keras.Model(inputs, outputs), 0.5, input_shape=(16,), output_shape=(2,))
    assert caught.value.code == "NOT_NARROWABLE"
