"""Layers with several inputs, layers around layers, and what calls carry besides tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.sources.keras_3.agreement import Agreement


def merged(name: str, **settings: Any) -> Callable[[Any], Any]:
    def build(keras: Any) -> Any:
        inputs = [keras.Input((4, 3)), keras.Input((4, 3))]
        return keras.Model(inputs, getattr(keras.layers, name)(**settings)(inputs))

    return build


def on_sequence(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def build(keras: Any) -> Any:
        inputs = keras.Input((5, 4))
        return keras.Model(inputs, make(keras.layers)(inputs))

    return build


def attending(make: Callable[[Any], Any], *, alone: bool = False, **call: Any) -> Callable[[Any], Any]:
    def build(keras: Any) -> Any:
        query, value = keras.Input((5, 4)), keras.Input((6, 4))
        layer = make(keras.layers)
        return keras.Model([query, value], layer([query, value], **call) if alone else layer(query, value, **call))

    return build


def with_states(keras: Any) -> Any:
    inputs, state = keras.Input((5, 4)), keras.Input((3,))
    output, last = keras.layers.GRU(3, return_state=True)(inputs, initial_state=state)
    return keras.Model([inputs, state], [output, last])


def encoder_and_decoder(keras: Any) -> Any:
    layers = keras.layers
    source, target = keras.Input((5,)), keras.Input((6,))
    embedded = layers.Embedding(9, 4, mask_zero=True)(source)
    _, *states = layers.LSTM(3, return_state=True)(embedded)
    decoded = layers.LSTM(3, return_sequences=True)(layers.Embedding(9, 4)(target), initial_state=states)
    return keras.Model([source, target], layers.Dense(2)(decoded))


def normalized_steps(keras: Any) -> Any:
    """A model for each step with layers that become others in tf-keras, beside one of the class that they become."""
    layers = keras.layers
    step, inputs = keras.Input((4, 3)), keras.Input((5, 4, 3))
    x = layers.RMSNormalization()(layers.Dense(3)(step))
    x = layers.RMSNormalization()(layers.DepthwiseConv1D(2)(x))
    return keras.Model(inputs, layers.TimeDistributed(keras.Model(step, layers.BatchNormalization()(x)))(inputs))


def steps_of_steps(keras: Any) -> Any:
    layers = keras.layers
    row, inputs = keras.Input((3,)), keras.Input((5, 4, 3))
    model = keras.Model(row, layers.Dense(2)(layers.RMSNormalization()(layers.Dense(3)(row))))
    return keras.Model(inputs, layers.TimeDistributed(layers.TimeDistributed(model))(inputs))


def masked(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    return keras.Model(inputs, layers.GlobalAveragePooling1D()(x))


BUILDS: dict[str, Callable[[Any], Any]] = {
    **{name: merged(name) for name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")},
    "Concatenate of steps": merged("Concatenate", axis=1),
    "Dot": merged("Dot", axes=2, normalize=True),
    "Bidirectional LSTM": on_sequence(lambda layers: layers.Bidirectional(layers.LSTM(3, return_sequences=True))),
    "Bidirectional of two": on_sequence(
        lambda layers: layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True), merge_mode="sum")
    ),
    "TimeDistributed": on_sequence(lambda layers: layers.TimeDistributed(layers.Dense(3, activation="relu"))),
    "TimeDistributed model": normalized_steps,
    "TimeDistributed twice": steps_of_steps,
    "RNN of a cell": on_sequence(lambda layers: layers.RNN(layers.LSTMCell(3))),
    "RNN of cells": on_sequence(lambda layers: layers.RNN([layers.GRUCell(3), layers.GRUCell(2), layers.SimpleRNNCell(2)])),
    "StackedRNNCells": on_sequence(lambda layers: layers.RNN(layers.StackedRNNCells([layers.LSTMCell(3), layers.LSTMCell(2)]))),
    "SpectralNormalization": on_sequence(lambda layers: layers.SpectralNormalization(layers.Dense(3))),
    "GRU without reset_after": on_sequence(lambda layers: layers.GRU(3, reset_after=False)),
    "rms_scaling": on_sequence(lambda layers: layers.LayerNormalization(rms_scaling=True)),
    "Attention": attending(lambda layers: layers.Attention(use_scale=True), alone=True),
    "AdditiveAttention": attending(lambda layers: layers.AdditiveAttention(), alone=True),
    "MultiHeadAttention": attending(lambda layers: layers.MultiHeadAttention(2, 3, value_dim=5, output_shape=7)),
    "MultiHeadAttention, causal": attending(lambda layers: layers.MultiHeadAttention(2, 3), use_causal_mask=True),
    "MultiHeadAttention, scores": attending(lambda layers: layers.MultiHeadAttention(2, 3), return_attention_scores=True),
    "GroupQueryAttention": attending(lambda layers: layers.GroupQueryAttention(3, 4, 2)),
    "states": with_states,
    "encoder and decoder": encoder_and_decoder,
    "masks": masked,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
@pytest.mark.parametrize("extension", ["keras", "h5"])
@pytest.mark.parametrize("name", BUILDS)
def test_a_composite_layer_computes_the_same(name: str, extension: str, keras: Any, agreement: Callable[..., Agreement]) -> None:
    found = agreement(BUILDS[name](keras), extension)
    if extension == "keras":
        assert found.relative is not None, found.reason
    assert (found.relative or 0.0) < 1e-5


def test_a_pipeline_of_preprocessing_becomes_its_layers(keras: Any, agreement: Callable[..., Agreement]) -> None:
    inputs = keras.Input((8, 8, 3))
    steps = [keras.layers.Resizing(4, 4), keras.layers.Rescaling(0.5), keras.layers.RandomHue(0.2)]
    found = agreement(keras.Model(inputs, keras.layers.Pipeline(steps)(inputs)))
    assert found.relative is not None
    assert found.relative < 1e-5


REFUSALS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "recurrent activation": (on_sequence(lambda layers: layers.LSTM(3, recurrent_activation="hard_sigmoid")), "hard_sigmoid"),
    "gate": (attending(lambda layers: layers.MultiHeadAttention(2, 3, use_gate=True)), "use_gate"),
    "window": (attending(lambda layers: layers.MultiHeadAttention(2, 3, sliding_window=2)), "sliding_window"),
    "padded resizing": (
        lambda keras: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Resizing(4, 4, pad_to_aspect_ratio=True)]),
        "pad_to_aspect_ratio",
    ),
    "resizing of bytes in a pipeline": (
        lambda keras: keras.Sequential(
            [
                keras.Input((8, 8, 3), dtype="uint8"),
                keras.layers.Pipeline([keras.layers.Resizing(4, 4), keras.layers.Rescaling(0.5)]),
            ]
        ),
        "whole numbers",
    ),
    "wrapped expression": (on_sequence(lambda layers: layers.TimeDistributed(layers.Dense(3, activation="hard_silu"))), "Dense"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_tf_keras_cannot_express_is_named(name: str, keras: Any, refused: Callable[..., InputError]) -> None:
    build, word = REFUSALS[name]
    error = refused(build(keras))
    assert word in error.what, error.line
    assert "layer " in error.place
    assert error.fix
