"""Layers with several inputs, layers around layers, and what calls carry besides tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.sources.keras_3.agreement import Agreement
from optimizer.sources.keras_3.samples import random_samples
from optimizer.sources.preflight import read_model_summary


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


def words(make: Callable[[Any, Any, Any, Any], Any]) -> Callable[[Any], Any]:
    """A model of two sequences, one masked and one not, both embedded; the samples are padded."""

    def build(keras: Any) -> Any:
        layers = keras.layers
        inputs = [keras.Input((8,), dtype="int32"), keras.Input((8,), dtype="int32")]
        masked, plain = (layers.Embedding(9, 4, mask_zero=zero)(x) for zero, x in zip((True, False), inputs, strict=True))
        return keras.Model(inputs, make(keras, layers, masked, plain))

    return build


def attended(layers: Any, x: Any) -> Any:
    return layers.Flatten()(layers.MultiHeadAttention(2, 3)(x, x))


def block(layers: Any, x: Any) -> Any:
    """In Keras 3 the mask ends here: the attention takes it off its input, which is then added without one."""
    x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 3)(layers.Dropout(0.1)(x), x)]))
    return layers.LayerNormalization()(layers.Add()([x, layers.Dense(4)(layers.Dense(6, activation="relu")(x))]))


def with_masks_of_two(keras: Any) -> Any:
    layers = keras.layers
    inputs = [keras.Input((8,), dtype="int32"), keras.Input((8, 4))]
    both = layers.Add()([layers.Embedding(9, 4, mask_zero=True)(inputs[0]), layers.Masking(0.0)(inputs[1])])
    return keras.Model(inputs, [attended(layers, both), layers.GRU(3)(both)])


def from_a_state(keras: Any, layers: Any, masked: Any, plain: Any) -> Any:
    """A decoder: Keras 3 computes it without the mask of its steps, and gives that mask on."""
    _, *state = layers.LSTM(4, return_state=True)(plain)
    x = layers.LSTM(4, return_sequences=True)(masked, initial_state=state)
    return layers.Concatenate()([layers.Flatten()(x), layers.GRU(3)(x)])


def with_a_masked_model_inside(keras: Any) -> Any:
    layers = keras.layers
    steps = keras.Input((8, 4))
    inner = keras.Model(steps, layers.GRU(3, return_sequences=True)(layers.Dense(3)(steps)))
    inputs = keras.Input((8,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(inputs)
    return keras.Model(inputs, [layers.GlobalAveragePooling1D()(inner(x)), attended(layers, inner(layers.Conv1D(4, 1)(x)))])


def in_a_chain(*make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A Sequential, which writes no masks down."""
    return lambda keras: keras.Sequential(
        [keras.Input((8, 4)), keras.layers.Masking(0.0), *(layer(keras.layers) for layer in make)]
    )


MASKED_BUILDS: dict[str, Callable[[Any], Any]] = {
    "a masked and a plain one, averaged": words(lambda keras, layers, x, y: layers.GlobalAveragePooling1D()(layers.Add()([x, y]))),
    "a masked and a plain one, attended": words(lambda keras, layers, x, y: attended(layers, layers.Add()([x, y]))),
    "a masked and a plain one, joined": words(lambda keras, layers, x, y: layers.LSTM(3)(layers.Concatenate()([x, y]))),
    "a masked one and its convolution": words(lambda keras, layers, x, y: layers.LSTM(3)(layers.Add()([x, layers.Conv1D(4, 3, padding="same")(x)]))),
    "query and value": words(lambda keras, layers, x, y: layers.Flatten()(layers.MultiHeadAttention(2, 3)(y, x))),
    "attention of Keras": words(lambda keras, layers, x, y: layers.Attention()([layers.Add()([x, y]), x])),
    "handed on by an identity": words(lambda keras, layers, x, y: attended(layers, layers.Identity()(x))),
    "an activation of several layers": words(lambda keras, layers, x, y: attended(layers, layers.Dense(4, activation="hard_silu")(x))),
    "a mask of the values": words(
        lambda keras, layers, x, y: layers.Flatten()(layers.MultiHeadAttention(2, 3)(y, y, value_mask=y[:, :, 0] > 0.3))
    ),
    "a mask of the values in place of theirs": words(
        lambda keras, layers, x, y: layers.Flatten()(layers.MultiHeadAttention(2, 3)(x, x, value_mask=y[:, :, 0] > 0.3))
    ),
    "steps joined": words(lambda keras, layers, x, y: layers.Flatten()(layers.Dense(3)(layers.Concatenate(axis=1)([x, y])))),
    "steps joined, both masked": words(lambda keras, layers, x, y: attended(layers, layers.Concatenate(axis=1)([x, x]))),
    "a mask of the query, which does nothing": words(
        lambda keras, layers, x, y: layers.Flatten()(layers.MultiHeadAttention(2, 3)(y, y, query_mask=y[:, :, 0] > 0.3))
    ),
    "a state given to a layer of masked steps": words(from_a_state),
    "a softmax that is an operation": words(lambda keras, layers, x, y: keras.ops.softmax(layers.Dense(1)(x), axis=1) * y),
    "steps joined by an operation": words(lambda keras, layers, x, y: layers.LSTM(3)(keras.ops.concatenate([x, y], axis=1))),
    "two masks": with_masks_of_two,
    "blocks of a transformer": words(lambda keras, layers, x, y: layers.GlobalAveragePooling1D()(block(layers, block(layers, x)))),
    "a model inside": with_a_masked_model_inside,
    "chain with a rescaling": in_a_chain(lambda layers: layers.Rescaling(2.0), lambda layers: layers.LSTM(3)),
    "chain with an activation of several layers": in_a_chain(
        lambda layers: layers.Dense(4, activation="hard_silu"), lambda layers: layers.GlobalAveragePooling1D()
    ),
    "chain that drops the mask": in_a_chain(lambda layers: layers.Conv1D(3, 2), lambda layers: layers.GRU(3)),
}  # fmt: skip

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


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize("name", MASKED_BUILDS)
def test_a_mask_is_what_it_is_in_keras_3(name: str, keras: Any, agreement: Callable[..., Agreement]) -> None:
    found = agreement(MASKED_BUILDS[name](keras))
    assert found.relative is not None, found.reason
    assert found.relative < 1e-5


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_samples_of_a_model_with_masks_are_padded(keras: Any, saved: Callable[..., Any]) -> None:
    path = saved(MASKED_BUILDS["two masks"](keras))
    words_, vectors = random_samples(read_model_summary(path, name=path.name), 0) or []
    assert [int((row == 0).all(axis=-1).sum()) for row in vectors] == [0, 2, 4]
    assert (words_[1, 6:] == 0).all()
    assert (words_[2, 4:] == 0).all()


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
