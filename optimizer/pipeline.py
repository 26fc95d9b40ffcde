"""Run a recipe: steps in order, then convert, check every promise, measure on the exported file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from optimizer.baseline import Baseline, baseline_from_folder, measure_baseline, timed_alone
from optimizer.context import Event, RunContext
from optimizer.errors import RunError
from optimizer.job import Job
from optimizer.measure.latency import compare_latency, measure_latency
from optimizer.measure.metrics import measure
from optimizer.measure.quality import compare_quality
from optimizer.opening import load, read_files, start_model
from optimizer.report import Result, report_of, write_outputs
from optimizer.scaling_trial import choose_scaling
from optimizer.sources.dataset import UNSCALED
from optimizer.sources.summary import ModelSummary
from optimizer.steps import Stages, run_steps, unchanged

Report = Callable[[Event], None]


def perform(job: Job, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Do a whole job and write its files into `job.out`.

    Returns:
        The content of report.json.

    Raises:
        InputError: the model, the data or the recipe is at fault.
        RunError: the work failed; PromiseBroken where a step undid what an earlier one promised.
        Cancelled: someone asked the run to stop.
    """
    # Whatever is wrong with the files is said before any sign of progress, and as a rule before TensorFlow's import.
    read = read_files(job)
    summary = read.summary
    stages = Stages(job.recipe, report, already_converted=summary.format == "tflite")
    stages.enter("Load the model")
    context = load(job, read, report, cancelled)
    stages.enter("Baseline")
    baseline, context = _baseline(job, summary, context)
    context.check_cancelled()
    start = context.original if job.start is None else start_model(job.start)
    model, records = run_steps(job.recipe, start, context, stages)
    stages.enter("Measure")
    if job.recipe.steps or job.start is not None:
        result = _measure_result(model.content, context, baseline)
    else:
        measured = timed_alone(baseline, context)
        result = Result(measured=measured, baseline=measured, comparison={})
    content = report_of(job, summary, context, records, result)
    write_outputs(job, content, model, result.measured)
    return content


def _baseline(job: Job, summary: ModelSummary, context: RunContext) -> tuple[Baseline, RunContext]:
    """The baseline with the data scaled as the model expects; measured here where none was handed in."""
    if job.baseline is not None:
        baseline = baseline_from_folder(job.baseline)
        scaled = dataclasses.replace(context.data, scaling=baseline.scaling)
        return baseline, dataclasses.replace(context, data=scaled)
    content = unchanged(context.original)
    data, reason = choose_scaling(context.data, summary, content, job.data.scaling)
    context = dataclasses.replace(context, data=data)
    if data.scaling is not UNSCALED:
        context.note(f"Inputs are scaled to {data.scaling.name}: {reason}.")
    return measure_baseline(content, context), context


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
