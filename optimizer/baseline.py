"""The float32 .tflite of the model as it came: what every result is compared with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optimizer.context import RunContext
from optimizer.errors import InputError
from optimizer.measure.direction import HIGHER_IS_BETTER
from optimizer.measure.latency import measure_latency
from optimizer.measure.metrics import Measured, measure
from optimizer.measure.quality import Quality
from optimizer.measure.significance import Interval
from optimizer.sources.dataset import InputScaling, Task


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """A measured baseline: the file, its metrics and per-sample scores, and the input scaling it was scored with."""

    content: bytes
    measured: Measured
    scaling: InputScaling


def measure_baseline(content: bytes, context: RunContext) -> Baseline:
    """Measure the float32 .tflite on the test split of `context.data`, whose scaling is chosen already; latency is left to the end.

    Raises:
        InputError: NON_FINITE when the model as it came gives something that is no number.
    """
    measured = measure(content, context)
    if not np.isfinite(measured.quality.outputs).all():
        raise InputError(
            "The original model's outputs on the test samples are not all finite numbers",
            code="NON_FINITE",
            place=context.data.dataset.name,
            received="NaN or infinity",
            fix="Check the model's weights, and that the data have the value range that it was trained on.",
        )
    _note_guessing(measured, context)
    return Baseline(content=content, measured=measured, scaling=context.data.scaling)


def _note_guessing(measured: Measured, context: RunContext) -> None:
    """Say so where a classifier is not clearly better than one that always names the most frequent class of the test samples."""
    if context.data.task is not Task.CLASSIFICATION:
        return
    targets = context.data.targets(context.data.dataset.test)
    most = float(np.unique(targets, return_counts=True)[1].max()) / len(targets)
    accuracy = measured.quality.interval
    if accuracy.low <= most:
        context.note(
            f"The original is right for {accuracy.value:.1%} of the test samples, which is not clearly more than always naming their most "
            f"frequent class would be ({most:.1%}). What follows says little about accuracy: look at the order of the classes, the values of "
            "the inputs, and whether these data are those that the model was trained for."
        )


def timed_alone(baseline: Baseline, context: RunContext) -> Measured:
    """METRICS of a baseline that nothing is compared with."""
    latency = measure_latency(
        [baseline.content],
        threads=context.threads,
        seed=context.seed,
        sample_shape=context.data.sample_shape,
        check_cancelled=context.check_cancelled,
    )
    return baseline.measured.with_latency(latency[0])


def baseline_from_folder(folder: Path) -> Baseline:
    """The baseline that an earlier run of the same model, data and seed left in `folder`."""
    report = json.loads((folder / "report.json").read_text())
    with np.load(folder / "scores.npz", allow_pickle=False) as scores:
        outputs = scores["outputs"] if "outputs" in scores.files else np.empty((0,), np.float32)
        sample_scores = scores["scores"]
    metrics = report["result"]
    metric = next(name for name in HIGHER_IS_BETTER if name in metrics)
    quality = Quality(metric=metric, interval=Interval(**metrics[metric]), scores=sample_scores, outputs=outputs, extra={})
    stored = report["data"]["input_scaling"]
    scaling = InputScaling(
        name=stored["name"],
        **{key: tuple(stored[key]) if isinstance(stored[key], list) else stored[key] for key in ("scale", "offset")},
    )
    measured = Measured(metrics=metrics, quality=quality)
    return Baseline(content=(folder / "model.tflite").read_bytes(), measured=measured, scaling=scaling)
