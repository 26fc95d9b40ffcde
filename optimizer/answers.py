"""From a model's outputs to its answers: which class, which labels, how many of them right, how likely the truth was held to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.sources.dataset import IGNORED, PreparedData, Task

Array = npt.NDArray[Any]
ANSWERING = frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL, Task.PER_STEP})
"""Tasks whose outputs are right or wrong."""
LEAST_LIKELY = 1e-6


def predicted_classes(outputs: Any, *, from_logits: bool) -> Any:
    """Class numbers (n,) from a classifier's outputs (n, classes), or (n, 1) for two classes."""
    flat = np.asarray(outputs).reshape(len(outputs), -1)
    if flat.shape[1] == 1:
        return (flat[:, 0] > (0.0 if from_logits else 0.5)).astype(np.int64)
    return flat.argmax(axis=1)


def right_answers(outputs: Array, targets: Array, data: PreparedData) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How many answers of each sample are right (n,), and how many it has (n,): one a class, one a label, or one a step that counts."""
    if data.task is Task.CLASSIFICATION:
        right = (predicted_classes(outputs, from_logits=data.from_logits) == targets).astype(np.float64)
        return right, np.ones(len(right))
    answers = outputs > (0.0 if data.from_logits else 0.5)
    if data.task is Task.PER_STEP:
        answers = (answers if data.output_shape[-1] == 1 else outputs.argmax(axis=-1)).reshape(targets.shape)
    counted = targets != IGNORED
    hits = (answers == targets) & counted
    return _a_sample(hits), _a_sample(counted)


def _a_sample(flags: Array) -> npt.NDArray[np.float64]:
    sums: npt.NDArray[np.float64] = flags.reshape((len(flags), -1)).sum(axis=1).astype(np.float64)
    return sums


def log_likelihood(outputs: Array, targets: Array, data: PreparedData) -> npt.NDArray[np.float64]:
    """Natural logarithm of the probability given to each sample's truth (n,), floored at one in a million; the mean over labels or steps."""
    values = np.asarray(outputs, dtype=np.float64)
    if data.task is Task.MULTI_LABEL or data.output_shape[-1] == 1:
        chance = 1 / (1 + np.exp(-np.clip(values, -50, 50))) if data.from_logits else values
        truth = targets.reshape(values.shape)
        likely = np.where(truth == 1, chance, 1 - chance)
    else:
        if data.from_logits:
            values = np.exp(values - values.max(axis=-1, keepdims=True))
            values /= values.sum(axis=-1, keepdims=True)
        truth = targets.reshape(values.shape[:-1])
        likely = np.take_along_axis(values, np.maximum(truth, 0)[..., np.newaxis], axis=-1)[..., 0]
    logarithms = np.log(np.clip(likely, LEAST_LIKELY, 1.0)).reshape((len(values), -1))
    counted = (truth != IGNORED).reshape(logarithms.shape)
    sums: npt.NDArray[np.float64] = (logarithms * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return sums
