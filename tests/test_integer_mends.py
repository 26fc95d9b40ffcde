"""Files that TensorFlow's converter gets wrong, as they come out of the conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells import Member

from optimizer.conversion import convert, representative_dataset
from optimizer.integer_mends import mended
from optimizer.litert_file import LiteRTFile
from optimizer.measure.interpreter import run


def converted(model: Any, x: Any) -> bytes:
    import tensorflow as tf

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative_dataset(model, x)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

    return convert(model, configure)


@pytest.mark.parametrize("share", [0.6, 0.2])
def test_both_halves_of_a_bidirectional_lstm_are_right_in_int8(share: float) -> None:
    """The forward half has the wider range and gives both its scale; the states of the backward half are small, in one case below a half."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    inputs = layers.Input((10, 6))
    model = tf.keras.Model(inputs, layers.Bidirectional(layers.LSTM(5, return_sequences=True))(inputs))
    kernel, *others = model.layers[1].backward_layer.get_weights()
    model.layers[1].backward_layer.set_weights([kernel * share, *others])
    x = np.random.default_rng(0).random((32, 10, 6), np.float32)
    content = converted(model, x)
    assert mended(content) == content
    assert [operator.name for operator in LiteRTFile(content).operators].count("QUANTIZE") >= 2
    wanted, given = np.asarray(model(x)), run(content, [(x, None)])
    for half in (slice(0, 5), slice(5, 10)):
        assert np.linalg.norm(given[..., half] - wanted[..., half]) < 0.03 * np.linalg.norm(wanted[..., half])


def test_a_float_kernel_behind_rounded_layers_reads_floats(tmp_path: Path) -> None:
    member = Member("two_rounded_readers_before_attention", tmp_path)
    assert member.cell("train").difference < 0.05


def test_a_one_hot_of_computed_numbers_gives_them() -> None:
    """They came out in the scale of what they were computed in. They are of all samples at once: so one sample at a time is compared."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    inputs = layers.Input((6,), dtype=tf.int32)
    words = layers.Embedding(20, 4)(inputs)
    model = tf.keras.Model(inputs, tf.one_hot(inputs, 20, off_value=tf.reduce_max(words)))
    x = np.random.default_rng(0).integers(0, 20, (32, 6)).astype(np.int32)
    content = converted(model, x)
    for sample in (x[:1], x[1:2], x[2:3]):
        assert np.abs(run(content, [(sample, None)]) - np.asarray(model(sample))).max() < 0.01
