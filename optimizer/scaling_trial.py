"""How stored values must be scaled for a model: the usual ways are tried on training samples, and only a clear winner is taken."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.answers import ANSWERING, LEAST_LIKELY, log_likelihood
from optimizer.measure.quality import measure_quality
from optimizer.measure.significance import paired_difference
from optimizer.sources.dataset import IGNORED, UNSCALED, PreparedData, Split, Task
from optimizer.sources.scaling import named_scaling, scaling_candidates
from optimizer.sources.summary import ModelSummary

TRIAL_SAMPLES = 1024
LEAST_CUT = 1 / 4
"""A scaling must surely cut the mean error by this share: the right one cuts it several times over, a wrong one differs by chance."""
LEAST_GAIN = 1 / 100
"""And by this share of what guessing errs: among errors that are next to nothing, a ratio says nothing."""
WORST = -1e12

Merit = npt.NDArray[np.float64]


def choose_scaling(data: PreparedData, summary: ModelSummary, content: bytes, wanted: str) -> tuple[PreparedData, str]:
    """Find how stored values must be scaled for this model: try the candidates on training samples and keep the best.

    "as stored" stays unless another is clearly better, and better than guessing: a model that has learned nothing tells nothing about its
    inputs. No test sample is looked at.

    Args:
        data: Prepared data without scaling.
        summary: The model, which may scale its input itself.
        content: The baseline .tflite.
        wanted: "auto", or a candidate's name.

    Returns:
        The data with the scaling, and why it was taken, in words; empty for "as stored".

    Raises:
        InputError: UNKNOWN_SCALING for a name that is no candidate.
    """
    candidates = scaling_candidates(data, summary)
    if wanted != "auto":
        return dataclasses.replace(data, scaling=named_scaling(data, summary, wanted)), "as you asked"
    if len(candidates) < 2 or data.task is Task.UNLABELLED:
        return data, ""
    split = Split(
        x=data.dataset.train.x[:TRIAL_SAMPLES], y=None if data.dataset.train.y is None else data.dataset.train.y[:TRIAL_SAMPLES]
    )
    chance = _merit_of_guessing(data, split)
    as_stored = best = _merit(data, content, split)
    scaling = UNSCALED
    for candidate in candidates[1:]:
        trial = _merit(dataclasses.replace(data, scaling=candidate), content, split)
        if is_clearly_better(trial, best, chance):
            best, scaling = trial, candidate
    words = "" if scaling is UNSCALED else _in_words(data.task, best, as_stored)
    return dataclasses.replace(data, scaling=scaling), words


def is_clearly_better(new: Merit, old: Merit, chance: float) -> bool:
    """Whether the per-sample merits `new` (n,) leave `old` (n,) and a guess's mean merit well behind."""
    gain = paired_difference(new, old)
    return bool(new.mean() > chance and gain.low > max(LEAST_CUT * abs(old.mean()), LEAST_GAIN * abs(chance)))


def _merit(data: PreparedData, content: bytes, split: Split) -> Merit:
    """Per-sample merit (n,), higher is better: log-likelihood of the truth, or the negative error relative to the targets' own size.

    Accuracy alone would not tell: many nets give the same classes for x and x / 255, but one of them with absurd certainty.
    """
    quality = measure_quality(content, data, split)
    targets = data.targets(split)
    if data.task in ANSWERING:
        return np.nan_to_num(log_likelihood(quality.outputs, targets, data), nan=np.log(LEAST_LIKELY))
    merit: Merit = -quality.scores / _size(data.task, targets)
    return np.nan_to_num(merit, nan=WORST, posinf=WORST, neginf=WORST)


def _size(task: Task, targets: npt.NDArray[Any]) -> float:
    """What errors are relative to: the targets' variance for squared ones, their deviation for absolute ones."""
    return max(float(np.var(targets) if task is Task.RECONSTRUCTION else np.std(targets)), 1e-12)


def _merit_of_guessing(data: PreparedData, split: Split) -> float:
    """Mean merit of always giving the same answer: the classes' or labels' frequencies, or the middle of the targets."""
    targets = data.targets(split)
    if data.task is Task.RECONSTRUCTION:
        return -1.0
    if data.task is Task.REGRESSION:
        return -float(np.mean(np.abs(targets - np.median(targets, axis=0)))) / _size(data.task, targets)
    if data.task is Task.MULTI_LABEL:
        shares = targets.reshape(len(targets), -1).mean(axis=0)
        shares = np.stack([shares, 1 - shares])
        return float(np.sum(shares * np.log(np.maximum(shares, LEAST_LIKELY)), axis=0).mean())
    shares = np.unique(targets[targets != IGNORED], return_counts=True)[1] / max(1, int((targets != IGNORED).sum()))
    return float(np.sum(shares * np.log(shares)))


def _in_words(task: Task, merit: Merit, as_stored: Merit) -> str:
    """What was seen, for people who never heard of a likelihood."""
    new, old = float(merit.mean()), float(as_stored.mean())
    tried = f"on {len(merit):,} training samples"
    if task in ANSWERING:
        return f"{tried} this model then gives the right answer {np.exp(new):.1%} probability on average, {np.exp(old):.1%} with the values as stored"
    of = "variance" if task is Task.RECONSTRUCTION else "standard deviation"
    return f"{tried} this model's error is then {-new:.3g} times the targets' {of}, {-old:.3g} times with the values as stored"
