"""Every task from files to report, through all five techniques in one recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.job import DataSource, Job
from optimizer.pipeline import perform
from optimizer.recipe import recipe_from_json

RANDOM = np.random.default_rng(0)
NUMBER = 240
TABLE = RANDOM.random((NUMBER, 6), np.float32)
SERIES = RANDOM.random((NUMBER, 5, 2), np.float32)
IMAGES = RANDOM.random((NUMBER, 6, 6, 1), np.float32)
ODD = TABLE.copy()
ODD[::4] += 1.5
TOKENS = RANDOM.integers(1, 9, (NUMBER, 5))
TOKENS[:, 3:] *= RANDOM.integers(0, 2, (NUMBER, 2))
STEPS = [
    {"technique": "knowledge_distillation", "epochs": 1},
    {"technique": "magnitude_pruning", "final_sparsity": 0.5, "epochs": 1},
    {"technique": "weight_clustering", "epochs": 1, "number_of_clusters": 6},
    {"technique": "quantization_aware_training", "epochs": 1},
    {"technique": "post_training_quantization"},
]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task: how its model is built and compiled, its arrays, and what the report must hold."""

    task: str
    net: Callable[[Any], list[Any]]
    loss: str | None
    arrays: dict[str, Any]
    metrics: tuple[str, ...]


def dense(outputs: int, activation: str) -> Callable[[Any], list[Any]]:
    return lambda layers: [layers.Input((6,)), layers.Dense(8, "relu"), layers.Dense(outputs, activation)]


def over_steps(outputs: int, activation: str) -> Callable[[Any], list[Any]]:
    return lambda layers: [layers.Input((5, 2)), layers.Dense(8, "relu"), layers.Dense(outputs, activation)]


def over_pixels(outputs: int, activation: str) -> Callable[[Any], list[Any]]:
    return lambda layers: [
        layers.Input((6, 6, 1)),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.Conv2D(outputs, 1, activation=activation),
    ]


def over_tokens(layers: Any) -> list[Any]:
    return [layers.Input((5,)), layers.Embedding(9, 6, mask_zero=True), layers.Dense(8, "relu"), layers.Dense(3, "softmax")]


CASES = {
    "binary": Case(
        task="classification",
        net=dense(1, "sigmoid"),
        loss="binary_crossentropy",
        arrays={"x": TABLE, "y": TABLE[:, 0] > 0.5},
        metrics=("accuracy",),
    ),
    "logits": Case(
        task="classification", net=dense(3, "linear"), loss=None, arrays={"x": TABLE, "y": (TABLE[:, 0] * 3).astype(int)}, metrics=("accuracy",)
    ),
    "multi-label": Case(
        task="multi_label",
        net=dense(4, "sigmoid"),
        loss="weighted_bce",
        arrays={"x": TABLE, "y": (TABLE[:, :4] > 0.5).astype(np.float32)},
        metrics=("accuracy", "auc", "f1"),
    ),
    "regression": Case(
        task="regression", net=dense(2, "linear"), loss="huber", arrays={"x": TABLE, "y": TABLE[:, :2] * 3}, metrics=("mae",)
    ),
    "anomalies": Case(
        task="reconstruction",
        net=dense(6, "linear"),
        loss="mse",
        arrays={"x_train": TABLE, "x_test": ODD, "y_test": np.arange(NUMBER) % 4 == 0},
        metrics=("mse", "auc"),
    ),
    "time series": Case(
        task="regression", net=over_steps(1, "linear"), loss="mse", arrays={"x": SERIES, "y": SERIES[..., 0]}, metrics=("mae",)
    ),
    "tags of a series": Case(
        task="per_step",
        net=over_steps(3, "softmax"),
        loss="sparse_categorical_crossentropy",
        arrays={"x": SERIES, "y": np.where(SERIES[..., 1] > 0.8, -100, (SERIES[..., 0] * 3).astype(int))},
        metrics=("accuracy",),
    ),
    "tags of masked tokens": Case(
        task="per_step",
        net=over_tokens,
        loss="sparse_categorical_crossentropy",
        arrays={"x": TOKENS, "y": TOKENS % 3},
        metrics=("accuracy",),
    ),
    "mask of pixels": Case(
        task="per_step",
        net=over_pixels(1, "sigmoid"),
        loss="dice_coef_loss",
        arrays={"x": IMAGES, "y": (IMAGES > 0.5).astype(np.uint8) * 255},
        metrics=("accuracy",),
    ),
}  # fmt: skip


def loss_of_that_name(name: str | None) -> Any:
    """The loss of the case: Keras's own by its name, a function of the author's for any other."""
    import tensorflow as tf

    if name is None or hasattr(tf.keras.losses, name) or name == "mse":
        return name

    def custom(truth: Any, outputs: Any) -> Any:
        return tf.reduce_mean(tf.square(tf.cast(truth, tf.float32) - outputs))

    custom.__name__ = name
    return custom


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_runs_through_all_techniques(tmp_path: Path, case: Case) -> None:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential(case.net(tf.keras.layers))
    if case.loss is not None:
        model.compile("adam", loss_of_that_name(case.loss))
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", **case.arrays)
    job = Job(
        model=tmp_path / "model.keras",
        model_name="model.keras",
        data=DataSource(name="data.npz", path=tmp_path / "data.npz"),
        recipe=recipe_from_json({"steps": STEPS}),
        out=tmp_path / "out",
        work=tmp_path / "work",
    )
    report = perform(job, lambda event: None, lambda: False)
    assert report["data"]["task"] == case.task
    assert [stage["technique"] for stage in report["stages"]] == [step["technique"] for step in STEPS]
    for metric in case.metrics:
        assert np.isfinite(report["result"][metric]["value"])
    assert report["comparison"]["quality"]["metric"] == ("auc" if "mse" in case.metrics else case.metrics[0])
