"""How good a .tflite is at its task, on samples that nothing was trained or calibrated on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.answers import ANSWERING, right_answers
from optimizer.errors import InputError
from optimizer.measure import interpreter
from optimizer.measure.direction import HIGHER_IS_BETTER
from optimizer.measure.multi_label import label_metrics
from optimizer.measure.named_interpreter import run_named
from optimizer.measure.significance import (
    Interval,
    auc_interval,
    clustered_proportion_interval,
    mean_interval,
    paired_auc_difference,
    paired_difference,
    proportion_interval,
)
from optimizer.sources.dataset import PreparedData, Split, Task

Array = npt.NDArray[Any]
BATCH = 256
PER = {Task.MULTI_LABEL: "label", Task.PER_STEP: "step"}
"""What one right answer is about, where it is not the whole sample."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quality:
    """The task's metric over one split.

    `scores` (n,) holds what each sample adds: 1 or 0 for right or wrong, a share of right labels or steps, an absolute or squared error;
    their mean is the metric. `outputs` (n, ...) are the file's outputs. `extra` holds further metrics of the same outputs, e.g. "auc"
    beside "mse".
    """

    metric: str
    interval: Interval
    scores: npt.NDArray[np.float64]
    outputs: npt.NDArray[np.float32]
    extra: dict[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """The quality part of METRICS: {"accuracy": {"value", "low", "high", "n"}}."""
        return {self.metric: self.interval.to_json(), **{name: interval.to_json() for name, interval in self.extra.items()}}


def measure_quality(
    content: bytes,
    data: PreparedData,
    split: Split,
    *,
    baseline_outputs: npt.NDArray[np.float32] | None = None,
    check_cancelled: Callable[[], None] | None = None,
) -> Quality:
    """Run a .tflite over `split` and score it for the data's task.

    Args:
        content: The .tflite.
        data: Tells task, scaling and shapes.
        split: Samples, with labels unless the task needs none.
        baseline_outputs: Outputs of the float32 baseline on the same split, for data without labels; None for the baseline itself.
        check_cancelled: Raises when the run should stop.

    Raises:
        InputError: UNSUPPORTED_MODEL for a model that makes several rows of one sample, or one of several.
    """
    outputs = _outputs(content, data, split, check_cancelled)
    wanted = len(split) * math.prod(data.output_shape)
    if outputs.size != wanted:
        raise InputError(
            "The rows that the model gives are no samples",
            code="UNSUPPORTED_MODEL",
            expected=f"{wanted} numbers for {len(split)} samples",
            received=str(outputs.size),
            fix="Keep the first axis for the samples: reshape and join along the others.",
        )
    return score(outputs, data, split, baseline_outputs=baseline_outputs)


def _outputs(
    content: bytes, data: PreparedData, split: Split, check_cancelled: Callable[[], None] | None
) -> npt.NDArray[np.float32]:
    batches = (data.inputs(split.x[i : i + BATCH]) for i in range(0, len(split), BATCH))
    if not data.is_joined:
        return interpreter.run(content, ((batch, None) for batch in batches), check_cancelled=check_cancelled)
    named = (batch if data.joined else [batch] for batch in batches)
    inputs = [spec.argument for spec in data.joined] or [""]
    return run_named(content, named, inputs=inputs, output=data.output_argument, check_cancelled=check_cancelled)


def score(
    outputs: npt.NDArray[np.float32], data: PreparedData, split: Split, *, baseline_outputs: npt.NDArray[np.float32] | None = None
) -> Quality:
    """Score outputs (n, ...) that were computed already. Arguments as for `measure_quality`."""
    if data.task in ANSWERING:
        return _accuracy(outputs, data, split)
    if data.task is Task.UNLABELLED:
        return _likeness(outputs, data, outputs if baseline_outputs is None else baseline_outputs)
    values = 1 / (1 + np.exp(-np.clip(outputs, -50, 50))) if data.from_logits else outputs
    difference = values.reshape((len(outputs), -1)) - _flat_targets(data, split)
    if data.task is Task.REGRESSION:
        return _mean_error("mae", np.abs(difference), outputs)
    quality = _mean_error("mse", np.square(difference), outputs)
    if anomaly_labels(split) is None:
        return quality
    return dataclasses.replace(quality, extra={"auc": auc_interval(quality.scores, np.asarray(split.y))})


def _accuracy(outputs: npt.NDArray[np.float32], data: PreparedData, split: Split) -> Quality:
    """Right answers: of each sample its class, its labels, or its steps that count.

    The scores' mean is the accuracy over all answers, as Keras counts it; samples of many steps weigh more.
    """
    targets = data.targets(split)
    right, counted = right_answers(outputs, targets, data)
    if data.task is Task.CLASSIFICATION:
        return _proportion("accuracy", right, outputs)
    extra = {}
    if data.task is Task.MULTI_LABEL:
        extra = label_metrics(
            outputs.reshape((len(outputs), -1)), targets.reshape((len(targets), -1)), from_logits=data.from_logits
        )
    return Quality(
        metric="accuracy",
        interval=clustered_proportion_interval(right, counted, per=PER[data.task]),
        scores=right / max(float(counted.mean()), 1e-12),
        outputs=outputs,
        extra=extra,
    )


def _likeness(outputs: npt.NDArray[np.float32], data: PreparedData, reference: npt.NDArray[np.float32]) -> Quality:
    """How alike the outputs are to the float32 baseline's: the share of equal classes where there are classes, the mean difference elsewhere."""
    if data.output_shape and data.output_shape[-1] > 1 and (len(data.output_shape) == 1 or not data.from_logits):
        equal = outputs.argmax(-1) == reference.argmax(-1)
        if equal.ndim == 1:
            return _proportion("agreement", equal.astype(np.float64), outputs)
        scores = equal.reshape((len(equal), -1)).mean(axis=1).astype(np.float64)
        interval = clustered_proportion_interval(scores * equal[0].size, np.full(len(scores), float(equal[0].size)), per="step")
        return Quality(metric="agreement", interval=interval, scores=scores, outputs=outputs, extra={})
    return _mean_error("deviation", np.abs(outputs - reference), outputs)


def _mean_error(metric: str, errors: Array, outputs: npt.NDArray[np.float32]) -> Quality:
    scores = errors.reshape((len(errors), -1)).mean(axis=1).astype(np.float64)
    return Quality(metric=metric, interval=mean_interval(scores), scores=scores, outputs=outputs, extra={})


def _flat_targets(data: PreparedData, split: Split) -> Array:
    targets = data.targets(split)
    return targets.reshape((len(targets), -1))


def _proportion(metric: str, scores: npt.NDArray[np.float64], outputs: npt.NDArray[np.float32]) -> Quality:
    return Quality(
        metric=metric, interval=proportion_interval(int(scores.sum()), len(scores)), scores=scores, outputs=outputs, extra={}
    )


def anomaly_labels(split: Split) -> Array | None:
    """Labels of normal (0) and anomalous (1) samples where a reconstruction split has both, else None."""
    if split.y is None or split.y.ndim != 1 or set(np.unique(split.y)) != {0, 1}:
        return None
    return split.y


def compare_quality(metric: str, new: npt.NDArray[np.float64], old: npt.NDArray[np.float64], split: Split) -> dict[str, Any]:
    """The paired difference `new - old` of the same samples' scores; a tie where its 95 % interval holds zero.

    AUC is compared where the split has anomaly labels, since it is what anomaly detection is judged by.
    """
    labels = anomaly_labels(split) if metric == "mse" else None
    if labels is not None:
        metric, interval = "auc", paired_auc_difference(new, old, labels)
    else:
        interval = paired_difference(new, old)
    return {
        "metric": metric,
        "difference": interval.value,
        "low": interval.low,
        "high": interval.high,
        "tie": interval.low <= 0.0 <= interval.high,
        "higher_is_better": HIGHER_IS_BETTER[metric],
    }
