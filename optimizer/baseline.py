"""The float32 .tflite of the model as it came: what every result is compared with, and what tells how inputs must be scaled."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.answers import ANSWERING, log_likelihood
from optimizer.context import RunContext
from optimizer.errors import InputError
from optimizer.measure.direction import HIGHER_IS_BETTER
from optimizer.measure.latency import measure_latency
from optimizer.measure.metrics import Measured, measure
from optimizer.measure.quality import Quality, measure_quality
from optimizer.measure.significance import Interval
from optimizer.sources.dataset import InputScaling, PreparedData, Split, Task
from optimizer.sources.scaling import scaling_candidates
from optimizer.sources.summary import ModelSummary

TRIAL_SAMPLES = 1024
CLEARLY_BETTER = 0.1
"""A scaling must cut the mean error by a tenth: the right one cuts it several times over, a wrong one differs by chance."""


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
    return Baseline(content=content, measured=measured, scaling=context.data.scaling)


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


def choose_scaling(data: PreparedData, summary: ModelSummary, content: bytes, wanted: str) -> tuple[PreparedData, str]:
    """Find how stored values must be scaled for this model: try the candidates on training samples and keep the best.

    "as stored" stays unless another is clearly better. No test sample is looked at.

    Args:
        data: Prepared data without scaling.
        summary: The model, which may scale its input itself.
        content: The baseline .tflite.
        wanted: "auto", or a candidate's name.

    Returns:
        The data with the scaling, and the trial's scores in words ("as stored log-likelihood -0.300, x / 255 log-likelihood -0.040").

    Raises:
        InputError: UNKNOWN_SCALING for a name that is no candidate.
    """
    candidates = scaling_candidates(data, summary)
    if wanted != "auto":
        for candidate in candidates:
            if candidate.name == wanted:
                return dataclasses.replace(data, scaling=candidate), "as you asked"
        raise InputError(
            f"There is no input scaling named {wanted!r} for these data",
            code="UNKNOWN_SCALING",
            expected=", ".join(["auto", *(c.name for c in candidates)]),
        )
    if len(candidates) < 2 or data.task is Task.UNLABELLED:
        return data, ""
    split = Split(
        x=data.dataset.train.x[:TRIAL_SAMPLES], y=None if data.dataset.train.y is None else data.dataset.train.y[:TRIAL_SAMPLES]
    )
    trials = [_trial(dataclasses.replace(data, scaling=candidate), content, split) for candidate in candidates]
    best = 0
    for index in range(1, len(candidates)):
        old, new = float(trials[best].mean()), float(trials[index].mean())
        if new > old + CLEARLY_BETTER * abs(old):
            best = index
    words = ", ".join(
        f"{candidate.name} {_in_words(data.task, trial)}" for candidate, trial in zip(candidates, trials, strict=True)
    )
    return dataclasses.replace(data, scaling=candidates[best]), words


def _trial(data: PreparedData, content: bytes, split: Split) -> npt.NDArray[np.float64]:
    """Per-sample merit (higher is better): log-likelihood of the truth, or the negative error relative to the targets' own size.

    Accuracy alone would not tell: many nets give the same classes for x and x / 255, but one of them with absurd certainty.
    """
    quality = measure_quality(content, data, split)
    targets = data.targets(split)
    if data.task in ANSWERING:
        return log_likelihood(quality.outputs, targets, data)
    scores = quality.scores
    size = float(np.mean(np.square(targets - targets.mean()))) if data.task is Task.RECONSTRUCTION else float(np.std(targets))
    merit: npt.NDArray[np.float64] = -scores / max(size, 1e-12)
    return np.nan_to_num(merit, nan=-1e12, posinf=-1e12, neginf=-1e12)


def _in_words(task: Task, trial: npt.NDArray[Any]) -> str:
    mean = float(trial.mean())
    return f"log-likelihood {mean:.3f}" if task in ANSWERING else f"error {-mean:.3g}"
