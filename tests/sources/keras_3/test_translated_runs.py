"""A run on a model of Keras 3: compared with the original once, and then like any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from optimizer.context import Event
from optimizer.job import DataSource, Job
from optimizer.pipeline import perform
from optimizer.recipe import recipe_from_json


def test_a_baseline_says_how_far_the_translation_is_from_the_original(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="hard_silu")(layers.Rescaling(1 / 16)(inputs)))
    x = keras.ops.mean(keras.ops.relu(x) * 2, axis=(1, 2))
    keras.Model(inputs, layers.Dense(10, activation="softmax")(x)).save(tmp_path / "digits.keras")
    events: list[Event] = []
    baseline = Job(
        model=tmp_path / "digits.keras",
        model_name="digits.keras",
        data=DataSource(name="digits"),
        recipe=recipe_from_json({"steps": []}),
        out=tmp_path / "baseline",
        work=tmp_path / "work",
    )
    report = perform(baseline, events.append, lambda: False)
    translation = report["model"]["translation"]
    assert translation["keras_version"] == keras.__version__
    assert translation["relative"] < 1e-5
    assert translation["samples"] == 3
    assert translation["text"] in [event.data["text"] for event in events if event.kind == "note"]

    steps = [{"technique": "magnitude_pruning", "epochs": 1}, {"technique": "post_training_quantization"}]
    recipe = recipe_from_json({"steps": steps})
    again = dataclasses.replace(baseline, recipe=recipe, out=tmp_path / "run", work=tmp_path / "work2", baseline=baseline.out)
    later: list[Event] = []
    assert perform(again, later.append, lambda: False)["model"]["translation"] == translation
    assert translation["text"] not in [event.data.get("text") for event in later]
