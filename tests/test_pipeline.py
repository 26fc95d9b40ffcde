"""A job from files to files, over the tasks, with a baseline handed in and with a start from an earlier run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.context import Event
from optimizer.errors import Cancelled, InputError
from optimizer.job import DataSource, Job, job_from_json
from optimizer.pipeline import perform
from optimizer.recipe import recipe_from_json
from optimizer.size_estimate import USUAL_ERROR, estimate_file
from optimizer.sources.preflight import read_model_summary

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "assets" / "models" / "digits_cnn.keras"
PRUNE = {"technique": "magnitude_pruning", "final_sparsity": 0.6, "epochs": 1}
PTQ = {"technique": "post_training_quantization"}


def job_for(folder: Path, *steps: dict[str, Any], name: str = "run", **changes: Any) -> Job:
    job = Job(
        model=SAMPLE,
        model_name=SAMPLE.name,
        data=DataSource(name="digits"),
        recipe=recipe_from_json({"steps": list(steps)}),
        out=folder / name,
        work=folder / f"{name}-work",
    )
    return dataclasses.replace(job, **changes)


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Job:
    job = job_for(tmp_path_factory.mktemp("baseline"))
    perform(job, lambda event: None, never)
    return job


def test_a_recipe_without_steps_is_the_baseline(baseline: Job) -> None:
    report = json.loads((baseline.out / "report.json").read_text())
    assert report["result"] == report["baseline"]
    assert report["comparison"] == {}
    assert report["result"]["accuracy"]["value"] > 0.95
    assert sum(report["data"][part] for part in ("train", "calibration", "validation", "test")) == 1797


def test_a_baseline_is_measured_once_and_handed_on(tmp_path: Path, baseline: Job) -> None:
    events: list[Event] = []
    report = perform(job_for(tmp_path, PTQ, baseline=baseline.out), events.append, never)
    assert report["baseline"] == json.loads((baseline.out / "report.json").read_text())["result"]
    assert report["comparison"]["size_ratio"] > 2
    guess = estimate_file(recipe_from_json({"steps": [PTQ]}), read_model_summary(SAMPLE, name=SAMPLE.name), report["baseline"])
    assert guess.size == pytest.approx(report["result"]["size_bytes"], rel=USUAL_ERROR)
    stages = [event.data for event in events if event.kind == "stage"]
    assert [stage["index"] for stage in stages] == list(range(stages[0]["count"]))


def test_a_later_run_starts_where_an_earlier_one_ended_and_keeps_its_promises(tmp_path: Path, baseline: Job) -> None:
    first = job_for(tmp_path, PRUNE, name="first", baseline=baseline.out)
    perform(first, lambda event: None, never)
    second = job_for(
        tmp_path, {"technique": "quantization_aware_training", "epochs": 1}, name="second", baseline=baseline.out, start=first.out
    )
    report = perform(second, lambda event: None, never)
    held = {promise["technique"]: promise["holds"] for promise in report["stages"][-1]["promises"]}
    assert held["magnitude_pruning"] is True


def test_the_same_job_gives_the_same_file(tmp_path: Path, baseline: Job) -> None:
    jobs = [job_for(tmp_path, PRUNE, PTQ, name=name, baseline=baseline.out) for name in ("a", "b")]
    for job in jobs:
        perform(job, lambda event: None, never)
    assert (jobs[0].out / "model.tflite").read_bytes() == (jobs[1].out / "model.tflite").read_bytes()


def test_the_test_split_is_out_of_reach_of_every_step(tmp_path: Path) -> None:
    """Two data sets that differ in their test part alone must give the same file."""
    random = np.random.default_rng(0)
    x, y = random.random((300, 8, 8, 1), np.float32), np.arange(300) % 10
    files = []
    for name, test in (("a", random.random((50, 8, 8, 1), np.float32)), ("b", random.random((50, 8, 8, 1), np.float32))):
        np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y, x_test=test, y_test=np.arange(50) % 10)
        data = DataSource(name=f"{name}.npz", path=tmp_path / f"{name}.npz")
        job = job_for(tmp_path, PRUNE, {"technique": "quantization_aware_training", "epochs": 1}, PTQ, name=name, data=data)
        perform(job, lambda event: None, never)
        files.append((job.out / "model.tflite").read_bytes())
    assert files[0] == files[1]


def test_cancelling_stops_a_training_at_once(tmp_path: Path, baseline: Job) -> None:
    seen: list[Event] = []
    job = job_for(tmp_path, {**PRUNE, "epochs": 200}, baseline=baseline.out)
    with pytest.raises(Cancelled):
        perform(job, seen.append, lambda: any(event.kind == "metrics" for event in seen))
    assert sum(event.kind == "metrics" for event in seen) <= 2
    assert not (job.out / "report.json").exists()


def test_a_job_survives_json(tmp_path: Path) -> None:
    job = job_for(tmp_path, PRUNE, PTQ, baseline=tmp_path / "b", start=tmp_path / "s", second_model=tmp_path / "m.h5")
    assert job_from_json(json.loads(json.dumps(job.to_json()))) == job


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


def tiny_net(inputs: int, outputs: int, activation: str) -> Any:
    import tensorflow as tf

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    return tf.keras.Sequential([layers.Input((inputs,)), layers.Dense(8, "relu"), layers.Dense(outputs, activation)])


def test_an_original_that_only_guesses_is_told(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = {part: random.integers(0, 17, (n, 8, 8, 1)).astype(np.float32) for part, n in (("x_train", 120), ("x_test", 60))}
    np.savez(tmp_path / "noise.npz", **noise, y_train=np.arange(120) % 10, y_test=np.arange(60) % 10)
    told: dict[str, list[str]] = {}
    for name, path in (("digits", None), ("noise.npz", tmp_path / "noise.npz")):
        events: list[Event] = []
        perform(job_for(tmp_path, name=f"on {name}", data=DataSource(name=name, path=path)), events.append, never)
        told[name] = [event.data["text"] for event in events if event.kind == "note"]
    assert not any("not clearly more" in text for text in told["digits"])
    (text,) = (text for text in told["noise.npz"] if "not clearly more" in text)
    assert "frequent class would be (10.0%)" in text


def test_unlabelled_samples_give_a_classifier_its_agreement(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((120, 6), np.float32))
    model = saved(tiny_net(6, 3, "softmax"), tmp_path / "model.keras")
    job = job_for(tmp_path, PTQ, model=model, model_name=model.name, data=DataSource(name="data.npz", path=tmp_path / "data.npz"))
    report = perform(job, lambda event: None, never)
    assert report["baseline"]["agreement"]["value"] == 1.0
    assert 0.5 < report["result"]["agreement"]["value"] <= 1.0


def test_a_second_model_teaches_and_its_absence_is_an_input_error(tmp_path: Path, baseline: Job) -> None:
    step = {"technique": "knowledge_distillation", "teacher": "second_model", "epochs": 1}
    with pytest.raises(InputError) as caught:
        perform(job_for(tmp_path, step, baseline=baseline.out), lambda event: None, never)
    assert caught.value.code == "NO_SECOND_MODEL"
    report = perform(
        job_for(tmp_path, step, name="taught", baseline=baseline.out, second_model=SAMPLE), lambda event: None, never
    )
    assert report["result"]["accuracy"]["value"] > 0.8
    other = saved(tiny_net(6, 3, "softmax"), tmp_path / "other.keras")
    with pytest.raises(InputError) as caught:
        perform(job_for(tmp_path, step, name="wrong", baseline=baseline.out, second_model=other), lambda event: None, never)
    assert caught.value.code == "MODELS_DIFFER"


def test_a_model_whose_outputs_are_not_numbers_is_an_input_error(tmp_path: Path) -> None:
    model = tiny_net(6, 3, "softmax")
    model.layers[-1].kernel.assign(np.full((8, 3), np.nan))
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((120, 6), np.float32), y=np.arange(120) % 3)
    path = saved(model, tmp_path / "model.keras")
    job = job_for(tmp_path, PTQ, model=path, model_name=path.name, data=DataSource(name="data.npz", path=tmp_path / "data.npz"))
    with pytest.raises(InputError) as caught:
        perform(job, lambda event: None, never)
    assert caught.value.code == "NON_FINITE"
