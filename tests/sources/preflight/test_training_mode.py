"""Calls `layer(x, training=True)` of tf-keras models: refused where they change what the layer gives, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.sources.preflight import read_model_summary

Body = Callable[[Any, Any], Any]
"""(tf_keras.layers, an input (n, 6, 4)) -> the output."""


def inner(k: Any, x: Any) -> Any:
    import tensorflow as tf

    inputs = tf.keras.Input((6, 4))
    return tf.keras.Model(inputs, k.Dropout(0.5, name="noise")(k.Dense(4)(inputs)), name="inner")(x, training=True)


REFUSED: dict[str, tuple[Body, str]] = {
    "BatchNormalization": (lambda k, x: k.BatchNormalization(name="normalized")(x, training=True), "normalized"),
    "Dropout": (lambda k, x: k.Dropout(0.5, name="dropped")(x, True), "dropped"),
    "a dropout in an LSTM": (lambda k, x: k.LSTM(3, dropout=0.5, name="loop")(x, training=True), "loop"),
    "a wrapped one": (lambda k, x: k.TimeDistributed(k.Dropout(0.5), name="each")(x, training=True), "each"),
    "a model around it": (inner, "inner/noise"),
}
TAKEN: dict[str, Body] = {
    "not told": lambda k, x: k.Dropout(0.5)(k.BatchNormalization()(x)),
    "told that it does not train": lambda k, x: k.Dropout(0.5)(k.BatchNormalization()(x, training=False), training=False),
    "a frozen BatchNormalization": lambda k, x: k.BatchNormalization(trainable=False)(x, training=True),
    "an LSTM without dropout": lambda k, x: k.LSTM(3)(x, training=True),
}


def saved(body: Body, path: Path) -> Path:
    import tensorflow as tf

    inputs = tf.keras.Input((6, 4))
    tf.keras.Model(inputs, body(tf.keras.layers, inputs)).save(path)
    return path


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_layer_that_always_trains_is_refused_by_name(case: str, name: str, tmp_path: Path) -> None:
    body, layer = REFUSED[case]
    with pytest.raises(InputError) as caught:
        read_model_summary(saved(body, tmp_path / name), name=name)
    assert caught.value.code == "UNSUPPORTED_MODEL"
    assert caught.value.place == f"{name}, layer {layer}"
    assert "without training=True" in caught.value.fix


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
@pytest.mark.parametrize("case", TAKEN)
def test_where_training_changes_nothing_the_model_is_taken(case: str, name: str, tmp_path: Path) -> None:
    assert read_model_summary(saved(TAKEN[case], tmp_path / name), name=name).layers
