"""A run on a model of Keras 3: compared with the original once, and then like any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer import opening
from optimizer.context import Event
from optimizer.errors import InputError
from optimizer.job import DataSource, Job
from optimizer.pipeline import perform
from optimizer.recipe import recipe_from_json
from optimizer.sources.summary import ModelSummary


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


def test_a_teacher_of_keras_3_is_compared_with_its_original_too(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = keras.layers
    for name in ("student", "teacher"):
        inputs = keras.Input((8, 8, 1))
        x = layers.Flatten()(layers.Rescaling(1 / 16)(inputs))
        keras.Model(inputs, layers.Dense(10, activation="softmax")(x)).save(tmp_path / f"{name}.keras")
    steps = [{"technique": "knowledge_distillation", "teacher": "second_model", "epochs": 1}]
    job = Job(
        model=tmp_path / "student.keras",
        model_name="student.keras",
        second_model=tmp_path / "teacher.keras",
        data=DataSource(name="digits"),
        recipe=recipe_from_json({"steps": steps}),
        out=tmp_path / "run",
        work=tmp_path / "work",
    )
    notes: list[str] = []

    def keep(event: Event) -> None:
        if event.kind == "note":
            notes.append(str(event.data["text"]))

    report = perform(job, keep, lambda: False)
    found = report["second_model"]["translation"]
    assert found["samples"] == 3
    assert f"teacher.keras, the second model: {found['text']}" in notes

    without = dataclasses.replace(job, recipe=recipe_from_json({"steps": []}), out=tmp_path / "other")
    assert perform(without, lambda event: None, lambda: False)["second_model"] is None

    # A translation that is wrong ends the run: here the teacher's biases are not those of its file.
    honest = opening.load_keras_model

    def damaged(path: Path, summary: ModelSummary) -> Any:
        model = honest(path, summary)
        if path == job.second_model:
            model.layers[-1].bias.assign(np.arange(10.0))
        return model

    monkeypatch.setattr(opening, "load_keras_model", damaged)
    with pytest.raises(InputError) as caught:
        perform(dataclasses.replace(job, out=tmp_path / "third"), lambda event: None, lambda: False)
    assert caught.value.code == "TRANSLATION_MISMATCH"
    assert caught.value.place == "teacher.keras"
