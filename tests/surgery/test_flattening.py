"""Models within models: the flat one computes the same bits, and its layers have the preflight's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo

from optimizer.errors import RunError
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.wiring import wiring_of
from optimizer.surgery.describing import wiring_of_keras
from optimizer.surgery.flattening import flattened

NESTED = ["nested", "nested_and_shared", "nested_with_two_outputs", "model_at_each_step"]


def outputs(model: Any, *inputs: Any) -> list[Any]:
    import tensorflow as tf

    given = inputs[0] if len(inputs) == 1 else list(inputs)
    return [tensor.numpy() for tensor in tf.nest.flatten(model(given, training=False))]


@pytest.mark.parametrize("name", [*NESTED, "functions_as_layers", "masked_words", "transformer", "adapted_normalization"])
def test_the_flat_model_computes_the_same_bits(name: str) -> None:
    model, (x, _) = zoo.MODELS[name]()
    flat = flattened(model)
    for old, new in zip(outputs(model, x[:4]), outputs(flat, x[:4]), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any(hasattr(layer, "layers") for layer in flat.layers)


@pytest.mark.parametrize("name", [*NESTED, "bidirectional", "squeeze_and_excite", "sequential_without_input"])
def test_layers_have_the_names_and_neighbours_that_the_preflight_gave_them(name: str, tmp_path: Path) -> None:
    model, _ = zoo.MODELS[name]()
    path = tmp_path / "model.h5"
    model.save(path)
    before, after = wiring_of(read_model_summary(path, name=path.name)), wiring_of_keras(flattened(model))
    assert set(before.layers) == set(after.layers)
    assert {n: layer.calls for n, layer in before.layers.items()} == {n: layer.calls for n, layer in after.layers.items()}
    single = [n for n, layer in after.layers.items() if layer.calls == 1]
    assert {n: set(before.inbound[n]) & set(after.layers) for n in single} == {
        n: set(after.inbound[n]) & set(after.layers) for n in single
    }
    assert before.outputs == after.outputs


def test_a_model_called_twice_stays_one() -> None:
    model, _ = zoo.MODELS["nested_and_shared"]()
    flat = flattened(model)
    assert flat.count_params() == model.count_params()
    assert len(flat.get_layer("tower/dense").inbound_nodes) == 2


def test_an_inner_model_that_was_called_as_for_inference_keeps_its_statistics() -> None:
    model, (x, _) = zoo.MODELS["nested"]()
    flat = flattened(model)
    before = flat.get_layer("backbone/block/batch_normalization").moving_mean.numpy()
    flat(x, training=True)
    np.testing.assert_array_equal(before, flat.get_layer("backbone/block/batch_normalization").moving_mean.numpy())


def test_a_frozen_inner_model_stays_frozen() -> None:
    model, _ = zoo.MODELS["nested"]()
    model.get_layer("backbone").trainable = False
    assert len(flattened(model).trainable_weights) == len(model.trainable_weights) == 2


def test_several_inputs_and_outputs_keep_their_order_and_names() -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    left, right = layers.Input((6,), name="left"), layers.Input((4,), name="right")
    inner = tf.keras.Model([left, right], [layers.Dense(3)(right), layers.Dense(5)(left)], name="inner")
    first, second = layers.Input((4,), name="first"), layers.Input((6,), name="second")
    small, large = inner([second, first])
    model = tf.keras.Model([first, second], [large, layers.Dense(2)(small), small])
    flat = flattened(model)
    assert [tensor.name for tensor in flat.inputs] == [tensor.name for tensor in model.inputs]
    random = np.random.default_rng(0)
    given = random.random((2, 4)).astype(np.float32), random.random((2, 6)).astype(np.float32)
    for old, new in zip(outputs(model, *given), outputs(flat, *given), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_subclassed_model_is_refused() -> None:
    import tensorflow as tf

    class Own(tf.keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    model = Own()
    model(np.zeros((1, 2), np.float32))
    with pytest.raises(RunError) as caught:
        flattened(model)
    assert caught.value.code == "NOT_COPYABLE"
