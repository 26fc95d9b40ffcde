"""What the summary of a layer says of its activation, which may be a layer itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer.sources.preflight import read_model_summary

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda k: None,
    "relu": lambda k: k.ReLU(name="linear"),
    "relu6": lambda k: k.ReLU(6.0),
    "ReLU": lambda k: k.ReLU(4.0, name="relu"),
    "softmax": lambda k: k.Softmax(name="softmax_1"),
    "LeakyReLU": lambda k: k.LeakyReLU(name="softmax"),
    "tanh": lambda k: "tanh",
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_name_of_an_activation_is_what_it_computes_not_what_it_is_called(name: str, suffix: str, tmp_path: Path) -> None:
    import tensorflow as tf

    k = tf.keras.layers
    path = tmp_path / f"model{suffix}"
    tf.keras.Sequential([k.Input((4,)), k.Dense(3, activation=ACTIVATIONS[name](k))]).save(path)
    assert read_model_summary(path, name=path.name).output_activation == name
