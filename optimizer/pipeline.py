"""Run a recipe: steps in order, then convert, check every promise, measure on the exported file."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.baseline import Baseline, baseline_from_folder, choose_scaling, measure_baseline, timed_alone
from optimizer.context import Event, RunContext
from optimizer.conversion import configure_trained, convert
from optimizer.errors import InputError, PromiseBroken, RunError
from optimizer.job import Job
from optimizer.litert_file import LiteRTFile
from optimizer.measure.latency import compare_latency, measure_latency
from optimizer.measure.metrics import measure
from optimizer.measure.quality import compare_quality
from optimizer.model import Model
from optimizer.promises import PromiseResult, promise_from_json
from optimizer.quiet import quiet_standard_error
from optimizer.recipe import Recipe, check_takes
from optimizer.report import Result, StageRecord, report_of, write_outputs
from optimizer.sources.dataset import PreparedData
from optimizer.sources.fit import prepare
from optimizer.sources.keras_3.agreement import agreement_record
from optimizer.sources.keras_model import load_keras_model
from optimizer.sources.litert_model import load_tflite
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.readers import read_dataset
from optimizer.sources.saved_model import load_saved_model
from optimizer.sources.summary import ModelSummary
from optimizer.surgery.flattening import flattened
from optimizer.technique import Stage, Technique

Report = Callable[[Event], None]


@dataclass(kw_only=True)
class _Narrator:
    """Listens to a step's events, keeps its notes and last metrics for the report, and passes everything on."""

    forward: Report
    notes: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        if event.kind == "note":
            self.notes.append(str(event.data["text"]))
        elif event.kind == "metrics":
            self.metrics = {k: v for k, v in event.data.items() if k not in ("epoch", "epochs")}
        self.forward(event)


def perform(job: Job, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Do a whole job and write its files into `job.out`.

    Returns:
        The content of report.json.

    Raises:
        InputError: the model, the data or the recipe is at fault.
        RunError: the work failed; PromiseBroken where a step undid what an earlier one promised.
        Cancelled: someone asked the run to stop.
    """
    # Whatever is wrong with the files is said before TensorFlow's import and before any sign of progress.
    read = _read(job)
    summary = read.summary
    stages = _Stages(job.recipe, report, already_converted=summary.format == "tflite")
    stages.enter("Load the model")
    context = _load(job, read, report, cancelled)
    stages.enter("Baseline")
    baseline, context = _baseline(job, summary, context)
    context.check_cancelled()
    start = context.original if job.start is None else _start_model(job.start)
    model, records = _run_steps(job.recipe, start, context, stages)
    stages.enter("Measure")
    if job.recipe.steps or job.start is not None:
        result = _measure_result(model.content, context, baseline)
    else:
        measured = timed_alone(baseline, context)
        result = Result(measured=measured, baseline=measured, comparison={})
    content = report_of(job, summary, context, records, result)
    write_outputs(job, content, model, result.measured)
    return content


class _Stages:
    """Numbers the parts of a run for progress bars."""

    def __init__(self, recipe: Recipe, report: Report, *, already_converted: bool = False) -> None:
        converts = already_converted or (bool(recipe.steps) and recipe.steps[-1].produces is Stage.LITERT)
        self._count = len(recipe.steps) + (3 if converts else 4)
        self._index = 0
        self._report = report

    def enter(self, name: str) -> None:
        self._report(Event(kind="stage", data={"index": self._index, "count": self._count, "name": name}))
        self._index += 1


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What was read from the person's files, without TensorFlow."""

    summary: ModelSummary
    data: PreparedData
    second: ModelSummary | None


def _read(job: Job) -> _Read:
    summary = read_model_summary(job.model, name=job.model_name)
    check_takes(job.recipe, summary)
    second = None if job.second_model is None else _read_second(job.second_model)
    data = prepare(read_dataset(job.data, seed=job.recipe.seed), summary, job.data.task)
    return _Read(summary=summary, data=data, second=second)


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


def _load(job: Job, read: _Read, report: Report, cancelled: Callable[[], bool]) -> RunContext:
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
    translation = agreement_record(
        job.model,
        read.summary,
        original.keras,
        seed=job.recipe.seed,
        baseline=job.baseline,
        say=lambda text: report(Event(kind="note", data={"text": text})),
    )
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
    )


def _original(job: Job, read: _Read) -> Model:
    """The model as it came: a Keras model, something to convert, or a .tflite that is there already."""
    if read.summary.format == "tflite":
        return Model(litert=load_tflite(job.model, read.summary))
    if read.summary.format == "saved_model":
        folder = job.work / "saved_model"
        return Model(saved_model=load_saved_model(job.model, read.summary, folder=folder, input_shape=read.data.input_shape))
    return Model(keras=flattened(load_keras_model(job.model, read.summary)))


def _baseline(job: Job, summary: ModelSummary, context: RunContext) -> tuple[Baseline, RunContext]:
    """The baseline with the data scaled as the model expects; measured here where none was handed in."""
    if job.baseline is not None:
        baseline = baseline_from_folder(job.baseline)
        scaled = dataclasses.replace(context.data, scaling=baseline.scaling)
        return baseline, dataclasses.replace(context, data=scaled)
    content = _unchanged(context.original)
    data, scores = choose_scaling(context.data, summary, content, job.data.scaling)
    context = dataclasses.replace(context, data=data)
    if data.scaling.name != "as stored":
        better = "with which this model does clearly better than with the values as stored"
        context.note(f"Inputs are scaled to {data.scaling.name}, {better} ({scores}).")
    return measure_baseline(content, context), context


def _start_model(folder: Path) -> Model:
    """The Keras model that an earlier run ended with, and its promises. We wrote both files ourselves."""
    import tensorflow as tf

    keras = tf.keras.models.load_model(folder / "model.keras", compile=False)
    record = json.loads((folder / "promises.json").read_text())
    return Model(keras=keras, promises=tuple(promise_from_json(promise) for promise in record))


def _run_steps(recipe: Recipe, model: Model, context: RunContext, stages: _Stages) -> tuple[Model, list[StageRecord]]:
    records = []
    for step in recipe.steps:
        stages.enter(step.in_words())
        narrator = _Narrator(forward=context.report)
        model, record = _run_step(step, model, dataclasses.replace(context, report=narrator), narrator)
        records.append(record)
    if model.stage is Stage.KERAS:
        stages.enter("Convert")
        narrator = _Narrator(forward=context.report)
        started = time.monotonic()
        model = model.changed(litert=_final_conversion(model))
        results = _checked(model, "conversion")
        records.append(_record("conversion", started, narrator, results))
    return model, records


def _run_step(step: Technique, model: Model, context: RunContext, narrator: _Narrator) -> tuple[Model, StageRecord]:
    import tensorflow as tf

    context.check_cancelled()
    # Every step starts from the same point of the random sequence, so that it gives the same result alone and after a cached prefix.
    tf.keras.utils.set_random_seed(context.seed)
    started = time.monotonic()
    model = step.apply(model, context)
    return model, _record(step.name, started, narrator, _checked(model, step.name))


def _record(name: str, started: float, narrator: _Narrator, results: list[PromiseResult]) -> StageRecord:
    return StageRecord(
        technique=name, seconds=time.monotonic() - started, metrics=narrator.metrics, promises=results, notes=narrator.notes
    )


def _final_conversion(model: Model) -> bytes:
    """Float32, or int8 where the model was trained for it."""
    if not model.quantization_aware:
        return _unchanged(model)
    return convert(model.keras, lambda converter: configure_trained(converter, per_tensor=model.shares_values))


def _unchanged(model: Model) -> bytes:
    """The model as .tflite, float32 unless it was brought as one."""
    return convert(model.convertible) if model.litert is None else model.litert


def _checked(model: Model, stage: str) -> list[PromiseResult]:
    """Check every promise on what the stage left. Raises PromiseBroken for the first that does not hold."""
    if model.litert is None:
        results = [promise.check_keras(model.keras) for promise in model.promises]
    else:
        file = LiteRTFile(model.litert)
        results = [promise.check_litert(file, model.keras) for promise in model.promises]
    for result in results:
        if result.holds is False:
            raise PromiseBroken(
                f"{stage} broke what {result.technique} had promised",
                code="PROMISE_BROKEN",
                place=stage,
                expected=result.statement,
                received=result.detail,
                fix=_way_out(stage, result.technique),
            )
    return results


def _way_out(stage: str, promiser: str) -> str:
    """What a person can do about a broken promise."""
    if stage == "conversion":
        return f"Name the layer in skip_layers of {promiser}, or loosen {promiser}."
    scales = "; set granularity to auto or per_tensor" if stage == "post_training_quantization" else ""
    return f"Change the order of the steps, or leave out {stage}, or loosen {promiser}{scales}."


def _measure_result(content: bytes, context: RunContext, baseline: Baseline) -> Result:
    """Measure the result beside the baseline. A baseline that was made within this run gets its latency here."""
    latencies = measure_latency(
        [baseline.content, content],
        threads=context.threads,
        seed=context.seed,
        sample_shape=context.data.sample_shape,
        check_cancelled=context.check_cancelled,
    )
    old = baseline.measured if "latency_ms" in baseline.measured.metrics else baseline.measured.with_latency(latencies[0])
    new = measure(content, context, baseline_outputs=old.quality.outputs).with_latency(latencies[1])
    if not np.isfinite(new.quality.outputs).all():
        raise RunError(
            "The result's outputs on the test samples are not all finite numbers",
            code="NON_FINITE",
            place="Measure",
            fix="Lower the learning rate, or take a milder quantization.",
        )
    comparison = {
        "size_ratio": len(baseline.content) / len(content),
        "gzip_ratio": old.metrics["gzip_bytes"] / new.metrics["gzip_bytes"],
        "latency": {**compare_latency(latencies[1], latencies[0]), "baseline_ms": latencies[0].to_json()},
        "quality": compare_quality(new.quality.metric, new.quality.scores, old.quality.scores, context.data.dataset.test),
    }
    return Result(measured=new, baseline=old, comparison=comparison)
