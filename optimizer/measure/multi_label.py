"""What the field reports of several labels a sample beside the accuracy: the ranking (AUC) and the balance of misses and false alarms (F1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.measure.significance import RESAMPLES, Interval, mean_interval

Array = npt.NDArray[Any]


def label_metrics(outputs: Array, labels: Array, *, from_logits: bool) -> dict[str, Interval]:
    """Macro-averaged "auc" and "f1" of outputs (n, labels) against labels 0 or 1 of the same shape.

    Labels that no sample has, or that all have, have no AUC and are left out of it; labels that nobody has are left out of F1.
    """
    metrics = {"f1": macro_f1(outputs > (0.0 if from_logits else 0.5), labels == 1)}
    area = macro_auc(outputs, labels)
    return metrics if area is None else {"auc": area, **metrics}


def macro_auc(outputs: Array, labels: Array) -> Interval | None:
    """Mean over labels of the area under the ROC curve, with the interval of DeLong, DeLong & Clarke-Pearson 1988 (Biometrics 44:837).

    None where no label has samples of both kinds.
    """
    adds = [
        _auc_parts(outputs[:, label], labels[:, label])
        for label in range(labels.shape[1])
        if 0 < labels[:, label].sum() < len(labels)
    ]
    if not adds:
        return None
    # Labels of one sample are not independent: what the sample adds to each area is averaged before its variance is taken.
    interval = mean_interval(np.mean(adds, axis=0))
    return Interval(value=interval.value, low=max(0.0, interval.low), high=min(1.0, interval.high), n=len(labels))


def _auc_parts(scores: Array, labels: Array) -> npt.NDArray[np.float64]:
    """What each sample adds to one area (n,): the area plus the sample's influence on it, so that the mean is the area."""
    positive = labels == 1
    values = np.asarray(scores, dtype=np.float64)
    placements = np.where(positive, _share_below(values, values[~positive]), 1.0 - _share_below(values, values[positive]))
    area = float(placements[positive].mean())
    shares = np.where(positive, positive.mean(), 1.0 - positive.mean())
    # The placements of either kind have the area as their mean, so the influences add up to zero.
    parts: npt.NDArray[np.float64] = area + (placements - area) / shares
    return parts


def _share_below(values: Array, others: Array) -> Array:
    """Share of `others` below each value, ties counting half."""
    ordered = np.sort(others)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + up_to) / (2.0 * len(ordered))


def macro_f1(answers: Array, truth: Array, *, seed: int = 0) -> Interval:
    """Mean over labels of F1, with a bootstrap interval over samples (percentiles of 400 resamples)."""
    counts = [np.asarray(part, dtype=np.float64) for part in (answers & truth, answers & ~truth, ~answers & truth)]
    used: Array = np.asarray(truth.any(axis=0))
    number = len(truth)
    if not used.any() or number == 0:
        return Interval(value=0.0, low=0.0, high=1.0, n=number)
    value = float(_mean_f1([part.sum(axis=0) for part in counts], used))
    weights = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=RESAMPLES).astype(np.float64)
    low, high = np.percentile(_mean_f1([weights @ part for part in counts], used), [2.5, 97.5])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value), n=number)


def _mean_f1(counts: list[Array], used: Array) -> Array:
    """Mean over the used labels of 2 TP / (2 TP + FP + FN), 0 where a resample has neither."""
    right, false_alarms, misses = counts
    total = 2 * right + false_alarms + misses
    scores = np.divide(2 * right, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(scores[..., used].mean(axis=-1))
