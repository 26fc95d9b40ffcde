"""Intervals and paired comparisons: what of a difference is more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Z_95 = 1.959964
RESAMPLES = 400

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its 95 % interval and the number of samples it rests on.

    `per` says what the value counts where that is not the sample: "label", "step".
    """

    value: float
    low: float
    high: float
    n: int
    per: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `per` only where it says something."""
        record = {"value": self.value, "low": self.low, "high": self.high, "n": self.n}
        return {**record, "per": self.per} if self.per else record


def proportion_interval(successes: int, n: int) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927); stays inside [0, 1] and honest near its ends."""
    if n == 0:
        return Interval(value=math.nan, low=0.0, high=1.0, n=0)
    low, high = _wilson(successes / n, n)
    return Interval(value=successes / n, low=low, high=high, n=n)


def clustered_proportion_interval(successes: FloatArray, counted: FloatArray, *, per: str) -> Interval:
    """Share of `successes` (n,) among all that was `counted` (n,) in n samples, whose answers resemble each other.

    Wilson's interval for the number of independent answers that would vary as much (Korn & Graubard 1998, Survey Methodology 24:193):
    a thousand pixels of one image are no thousand trials. Where nothing varies, that number is the number of samples.
    """
    n, total = len(counted), float(counted.sum())
    if total == 0:
        return Interval(value=math.nan, low=0.0, high=1.0, n=n, per=per)
    p = float(successes.sum()) / total
    residuals = (successes - p * counted) / (total / n)
    variance = float(np.var(residuals, ddof=1)) / n if n > 1 else 0.0
    effective = p * (1 - p) / variance if variance > 0 and 0 < p < 1 else float(n)
    bounds = _wilson(p, min(max(effective, 1.0), total))
    return Interval(value=p, low=bounds[0], high=bounds[1], n=n, per=per)


def _wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's bounds for a share `p` of `n` trials."""
    denominator = 1 + Z_95**2 / n
    centre = (p + Z_95**2 / (2 * n)) / denominator
    half = Z_95 * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n**2)) / denominator
    return max(0.0, min(centre - half, p)), min(1.0, max(centre + half, p))


def mean_interval(values: FloatArray) -> Interval:
    """Mean of a continuous error with its normal interval."""
    n = len(values)
    mean = float(np.mean(values))
    half = Z_95 * float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Interval(value=mean, low=mean - half, high=mean + half, n=n)


def area_under_curve(scores: FloatArray, labels: npt.NDArray[Any]) -> float:
    """Area under the ROC curve of an anomaly score (higher means more anomalous; labels 1 are anomalies)."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def auc_interval(scores: FloatArray, labels: npt.NDArray[Any]) -> Interval:
    """AUC with the interval of Hanley & McNeil (1982, Radiology 143:29)."""
    auc = area_under_curve(scores, labels)
    positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + (positive - 1) * (q1 - auc**2) + (negative - 1) * (q2 - auc**2)) / (positive * negative)
    half = Z_95 * math.sqrt(max(variance, 0.0))
    return Interval(value=auc, low=max(0.0, auc - half), high=min(1.0, auc + half), n=len(labels))


def paired_difference(new: FloatArray, old: FloatArray) -> Interval:
    """Mean of `new - old` over the same samples, with its interval.

    For right/wrong scores this is the difference of two accuracies with the variance of McNemar's setting, with one half added to each
    discordant cell (Agresti & Min 2005) so that two files that never differ do not pretend to certainty.
    """
    n = len(new)
    difference = np.asarray(new, dtype=np.float64) - np.asarray(old, dtype=np.float64)
    mean = float(difference.mean()) if n else 0.0
    if n == 0:
        return Interval(value=0.0, low=-math.inf, high=math.inf, n=0)
    if set(np.unique(difference)) <= {-1.0, 0.0, 1.0}:
        better, worse = float((difference > 0).sum()) + 0.5, float((difference < 0).sum()) + 0.5
        centre = (better - worse) / (n + 2)
        half = Z_95 * math.sqrt(max((better + worse) - (better - worse) ** 2 / (n + 2), 0.0)) / (n + 2)
        return Interval(value=mean, low=min(centre - half, mean), high=max(centre + half, mean), n=n)
    half = Z_95 * float(np.std(difference, ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Interval(value=mean, low=mean - half, high=mean + half, n=n)


def paired_auc_difference(new: FloatArray, old: FloatArray, labels: npt.NDArray[Any], *, seed: int = 0) -> Interval:
    """AUC of `new` minus AUC of `old` over the same samples, with a bootstrap interval (stratified, 400 resamples)."""
    random = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == value) for value in (0, 1)]
    value = area_under_curve(new, labels) - area_under_curve(old, labels)
    differences = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([random.choice(group, len(group)) for group in groups])
        differences.append(area_under_curve(new[chosen], labels[chosen]) - area_under_curve(old[chosen], labels[chosen]))
    low, high = np.percentile(differences, [2.5, 97.5])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value), n=len(labels))
