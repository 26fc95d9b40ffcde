"""How good a .tflite is at its task, on samples that nothing was trained or calibrated on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.measure import interpreter
from optimizer.measure.direction import HIGHER_IS_BETTER
from optimizer.measure.significance import (
    Interval,
    auc_interval,
    mean_interval,
    paired_auc_difference,
    paired_difference,
    proportion_interval,
)
from optimizer.sources.dataset import PreparedData, Split, Task
from optimizer.training import predicted_classes

Array = npt.NDArray[Any]
BATCH = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Quality:
    """The task's metric over one split.

    `scores` (n,) holds what each sample adds: 1 or 0 for right or wrong, an absolute or squared error otherwise. `outputs` (n, ...) are the
    file's outputs. `extra` holds further metrics of the same outputs, e.g. "auc" beside "mse".
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
    """
    batches = ((data.inputs(split.x[i : i + BATCH]), None) for i in range(0, len(split), BATCH))
    outputs = interpreter.run(content, batches, check_cancelled=check_cancelled)
    return score(outputs, data, split, baseline_outputs=baseline_outputs)


def score(
    outputs: npt.NDArray[np.float32], data: PreparedData, split: Split, *, baseline_outputs: npt.NDArray[np.float32] | None = None
) -> Quality:
    """Score outputs (n, ...) that were computed already. Arguments as for `measure_quality`."""
    extra: dict[str, Interval] = {}
    if data.task is Task.CLASSIFICATION:
        scores = (predicted_classes(outputs, from_logits=data.from_logits) == data.targets(split)).astype(np.float64)
        return _proportion("accuracy", scores, outputs)
    if data.task is Task.UNLABELLED:
        reference = outputs if baseline_outputs is None else baseline_outputs
        if data.output_shape and data.output_shape[-1] > 1 and len(data.output_shape) == 1:
            return _proportion("agreement", (outputs.argmax(-1) == reference.argmax(-1)).astype(np.float64), outputs)
        metric, errors = "deviation", np.abs(outputs - reference)
    elif data.task is Task.REGRESSION:
        metric, errors = "mae", np.abs(outputs.reshape((len(outputs), -1)) - _flat_targets(data, split))
    else:
        metric, errors = "mse", np.square(outputs.reshape((len(outputs), -1)) - _flat_targets(data, split))
    scores = errors.reshape((len(errors), -1)).mean(axis=1).astype(np.float64)
    if data.task is Task.RECONSTRUCTION and anomaly_labels(split) is not None:
        extra["auc"] = auc_interval(scores, np.asarray(split.y))
    return Quality(metric=metric, interval=mean_interval(scores), scores=scores, outputs=outputs, extra=extra)


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
