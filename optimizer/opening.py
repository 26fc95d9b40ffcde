"""The first part of a run: read a person's files (without TensorFlow, where our rules tell all shapes), then load the models."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.context import Event, RunContext
from optimizer.errors import InputError
from optimizer.job import Job
from optimizer.model import Model
from optimizer.promises import promise_from_json
from optimizer.quiet import quiet_standard_error
from optimizer.recipe import check_takes
from optimizer.sources.dataset import PreparedData
from optimizer.sources.fit import prepare
from optimizer.sources.keras_3.agreement import agreement_record
from optimizer.sources.keras_model import load_keras_model, load_our_own, with_output_shapes
from optimizer.sources.litert_model import load_tflite
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.readers import read_dataset
from optimizer.sources.saved_model import load_saved_model
from optimizer.sources.scaling import named_scaling
from optimizer.sources.summary import ModelSummary
from optimizer.surgery.flattening import flattened

Report = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class JobFiles:
    """What was read from the person's files; without TensorFlow, but for a model of which our rules do not know all shapes."""

    summary: ModelSummary
    data: PreparedData
    second: ModelSummary | None


def read_files(job: Job) -> JobFiles:
    """Read and check a job's model, recipe and data. Raises InputError for whatever is wrong with them."""
    summary = read_model_summary(job.model, name=job.model_name)
    check_takes(job.recipe, summary)
    second = None if job.second_model is None else _read_second(job.second_model)
    summary = with_output_shapes(job.model, summary)
    dataset = read_dataset(job.data, seed=job.recipe.seed, inputs=summary.names_of_several_inputs)
    data = prepare(dataset, summary, job.data.task)
    if job.data.scaling != "auto":
        named_scaling(data, summary, job.data.scaling)
    return JobFiles(summary=summary, data=data, second=second)


def _read_second(path: Path) -> ModelSummary:
    """A teacher or student. Raises InputError NEEDS_KERAS_MODEL for what can neither train nor be trained from."""
    summary = read_model_summary(path, name=path.name)
    if not summary.is_keras:
        raise InputError(
            "A teacher or student must be a Keras model",
            code="NEEDS_KERAS_MODEL",
            place=path.name,
            received="a SavedModel" if summary.format == "saved_model" else "a .tflite",
            fix="Bring the Keras model (.keras or .h5) that the file was made from.",
        )
    return summary


def load(job: Job, read: JobFiles, report: Report, cancelled: Callable[[], bool]) -> RunContext:
    """Load the models and make what the steps work in.

    Args:
        job: Its work folder is made.
        read: What read_files gave.
        report: Takes the notes of the translation.
        cancelled: Asks whether someone wants the run to stop.
    """
    with quiet_standard_error():
        import tensorflow as tf

    # Names of new layers end up in the .tflite; counted from zero, the same job gives the same bytes in any process.
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(job.recipe.seed)
    job.work.mkdir(parents=True, exist_ok=True)
    original = _original(job, read)
    second = None
    if job.second_model is not None and read.second is not None:
        second = Model(keras=flattened(load_keras_model(job.second_model, read.second)))

    def say(text: str) -> None:
        report(Event(kind="note", data={"text": text}))

    translation = agreement_record(job.model, read.summary, original.keras, seed=job.recipe.seed, baseline=job.baseline, say=say)
    second_translation = None if second is None else _second_translation(job, read, second, say)
    # The original of Keras 3 took random numbers of its own.
    tf.keras.utils.set_random_seed(job.recipe.seed)
    return RunContext(
        seed=job.recipe.seed,
        data=read.data,
        original=original,
        second_model=second,
        work_folder=job.work,
        report=report,
        cancelled=cancelled,
        threads=job.threads,
        translation=translation,
        second_translation=second_translation,
    )


def _second_translation(job: Job, read: JobFiles, second: Model, say: Callable[[str], None]) -> dict[str, Any] | None:
    """How far a teacher or student is from its original, where a step uses it: no baseline has compared it."""
    if job.second_model is None or read.second is None:
        return None
    if not any("second_model" in step.to_json().values() for step in job.recipe.steps):
        return None
    name = read.second.name
    return agreement_record(
        job.second_model,
        read.second,
        second.keras,
        seed=job.recipe.seed,
        baseline=None,
        say=lambda text: say(f"{name}, the second model: {text}"),
    )


def _original(job: Job, read: JobFiles) -> Model:
    """The model as it came: a Keras model, something to convert, or a .tflite that is there already."""
    if read.summary.format == "tflite":
        return Model(litert=load_tflite(job.model, read.summary))
    if read.summary.format == "saved_model":
        folder = job.work / "saved_model"
        shapes = [spec.shape for spec in read.data.joined] or [read.data.input_shape]
        return Model(saved_model=load_saved_model(job.model, read.summary, folder=folder, input_shapes=shapes))
    return Model(keras=flattened(load_keras_model(job.model, read.summary)))


def start_model(folder: Path) -> Model:
    """The Keras model that an earlier run ended with, and its promises. We wrote both files ourselves."""
    keras = load_our_own(folder / "model.keras")
    record = json.loads((folder / "promises.json").read_text())
    return Model(keras=keras, promises=tuple(promise_from_json(promise) for promise in record))
