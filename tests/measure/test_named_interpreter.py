"""Several inputs and outputs: whatever order the converter puts them in, each value reaches its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.conversion import convert
from optimizer.errors import RunError
from optimizer.job import DataSource, Job
from optimizer.measure.named_interpreter import run_named
from optimizer.pipeline import perform
from optimizer.recipe import recipe_from_json

RANDOM = np.random.default_rng(0)
NUMBER = 90
TABLE = RANDOM.random((NUMBER, 6), np.float32)
WORDS = RANDOM.integers(0, 9, (NUMBER, 5))


@pytest.fixture(scope="module")
def model() -> Any:
    """Inputs "zeta" (6) and "alpha" (5 word numbers); outputs "kind" (3, softmax), "area" (1), "mood" (2, sigmoid)."""
    import tensorflow as tf

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    zeta, alpha = layers.Input((6,), name="zeta"), layers.Input((5,), dtype="int32", name="alpha")
    hidden = layers.Concatenate()([zeta, layers.Flatten()(layers.Embedding(9, 3)(alpha))])
    hidden = layers.Dense(12, "relu")(hidden)
    heads = [layers.Dense(3, "softmax", name="kind"), layers.Dense(1, name="area"), layers.Dense(2, "sigmoid", name="mood")]
    made = tf.keras.Model([zeta, alpha], [head(hidden) for head in heads])
    made.compile("adam", {"kind": "sparse_categorical_crossentropy", "area": "mse", "mood": "binary_crossentropy"})
    return made


def test_every_output_is_that_of_the_keras_model(model: Any) -> None:
    content = convert(model)
    inputs = [TABLE[:7], WORDS[:7].astype(np.int32)]
    for place, expected in enumerate(model(inputs)):
        found = run_named(content, [inputs], inputs=["zeta", "alpha"], output=f"output_{place}")
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    with pytest.raises(RunError, match="other inputs"):
        run_named(content, [inputs], inputs=["zeta", "beta"], output="output_0")


@pytest.mark.parametrize(
    ("labels", "task", "metric"),
    [
        ({"y": WORDS[:, 0] % 3}, "classification", "accuracy"),
        ({"y_area": TABLE[:, 0]}, "regression", "mae"),
        ({"y_mood": TABLE[:, :2] > 0.5}, "multi_label", "auc"),
    ],
    ids=["kind", "area", "mood"],
)
def test_it_runs_through_all_techniques(tmp_path: Path, model: Any, labels: Any, task: str, metric: str) -> None:
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_zeta=TABLE, x_alpha=WORDS, **labels)
    steps = [
        {"technique": "knowledge_distillation", "epochs": 1, "student": "narrower_copy"},
        {"technique": "magnitude_pruning", "epochs": 1},
        {"technique": "weight_clustering", "epochs": 1, "number_of_clusters": 6},
        {"technique": "quantization_aware_training", "epochs": 1}
        if task == "regression"
        else {"technique": "post_training_quantization"},
    ]
    job = Job(
        model=tmp_path / "model.keras",
        model_name="model.keras",
        data=DataSource(name="data.npz", path=tmp_path / "data.npz"),
        recipe=recipe_from_json({"steps": steps}),
        out=tmp_path / "out",
        work=tmp_path / "work",
    )
    report = perform(job, lambda event: None, lambda: False)
    assert report["data"]["task"] == task
    assert report["data"]["inputs"] == ["zeta", "alpha"]
    assert np.isfinite(report["result"][metric]["value"])
