from __future__ import annotations

import pytest

from optimizer.conversion import convert
from optimizer.errors import InputError
from optimizer.measure.quality import measure_quality
from optimizer.sources.dataset import PreparedData


def test_a_model_that_makes_two_rows_of_a_sample_is_refused_in_words(digits: PreparedData) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((8, 8, 1))
    flat = tf.keras.layers.Flatten()(inputs)
    dense = [tf.keras.layers.Dense(10, activation="softmax")(flat) for _ in range(2)]
    content = convert(tf.keras.Model(inputs, tf.concat(dense, axis=0)))
    with pytest.raises(InputError, match="no samples") as caught:
        measure_quality(content, digits, digits.dataset.test)
    assert caught.value.code == "UNSUPPORTED_MODEL"
