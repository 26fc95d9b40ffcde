from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optimizer.surgery.batch_normalization import fold_batch_normalization


def randomized(model: Any) -> Any:
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape).astype(np.float32) for w in model.get_weights()])
    return model


def one_of_each(kind: str) -> Any:
    import tensorflow as tf

    layers = tf.keras.layers
    first = {
        "Conv1D": (lambda: layers.Conv1D(4, 3), (8, 3)),
        "Conv2D": (lambda: layers.Conv2D(4, 3, use_bias=False), (6, 6, 3)),
        "Conv3D": (lambda: layers.Conv3D(4, 2), (4, 4, 4, 2)),
        "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 3)),
        "Dense": (lambda: layers.Dense(5), (7,)),
        "Conv2DTranspose": (lambda: layers.Conv2DTranspose(4, 3, strides=2), (5, 5, 3)),
    }[kind]
    return tf.keras.Sequential([layers.Input(first[1]), first[0](), layers.BatchNormalization(), layers.ReLU()])


@pytest.mark.parametrize("kind", ["Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "Dense", "Conv2DTranspose"])
def test_the_folded_model_computes_the_same(kind: str) -> None:
    model = randomized(one_of_each(kind))
    folded, names = fold_batch_normalization(model)
    assert len(names) == 1
    assert not any(type(layer).__name__ == "BatchNormalization" for layer in folded.layers)
    x = np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-4, atol=1e-5)


def test_a_branching_functional_model_keeps_its_outputs(digits_model: Any, digits: Any) -> None:
    folded, names = fold_batch_normalization(digits_model)
    assert set(names) == {"first_bn", "depthwise_bn", "second_bn"}
    x = digits.dataset.test.x[:16]
    np.testing.assert_allclose(folded(x), digits_model(x), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_folded_is_left() -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = layers.Input((6, 6, 3))
    activated = layers.BatchNormalization(name="after_activation")(layers.Conv2D(4, 3, activation="relu")(inputs))
    shared = layers.Conv2D(4, 3)(inputs)
    read_twice = layers.BatchNormalization(name="read_twice")(shared)
    model = randomized(tf.keras.Model(inputs, [activated, read_twice, shared]))
    folded, names = fold_batch_normalization(model)
    assert names == ()
    x = np.ones((1, 6, 6, 3), np.float32)
    for old, new in zip(model(x), folded(x), strict=True):
        np.testing.assert_allclose(old, new)
