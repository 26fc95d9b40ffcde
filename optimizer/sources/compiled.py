"""What the loss and the metrics that a model was compiled with say about its task, whatever their authors called them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class LossFamily(StrEnum):
    """What a loss compares outputs with."""

    CATEGORICAL = "one class of several"
    BINARY = "yes or no for each output"
    SHAPE = "classes, of which the output's shape tells the kind"
    VALUES = "numbers"
    UNKNOWN = "a loss of the author's own"
    NONE = "no loss in the file"


@dataclass(frozen=True, kw_only=True)
class CompiledLoss:
    """The loss in the file: its family, the name that told it, and whether it takes logits (None where neither the file nor Keras says)."""

    family: LossFamily
    name: str = ""
    from_logits: bool | None = None


# Looked up in this order: "categorical_focal_crossentropy" is categorical before it is focal, "binary_iou" binary before it is an overlap.
# A likelihood is of numbers where a distribution of numbers is named ("gaussian_nll"), and of classes otherwise; "class" alone tells of weights
# as often ("class_weighted_mse").
WORDS: tuple[tuple[LossFamily, frozenset[str]], ...] = (
    (LossFamily.CATEGORICAL, frozenset({"categorical", "cce", "scce", "softmax", "multiclass", "arcface", "cosface", "ctc"})),
    (LossFamily.BINARY, frozenset({"binary", "bce", "sigmoid", "multilabel", "hinge", "asl"})),
    (LossFamily.SHAPE, frozenset({"focal", "dice", "jaccard", "iou", "tversky", "lovasz", "crossentropy", "xent", "ce", "f1", "fbeta",
        "accuracy", "acc", "auc", "precision", "recall", "logloss", "classification", "kld", "kullback", "divergence"})),
    (LossFamily.VALUES, frozenset({"mse", "mae", "mape", "msle", "rmse", "rmsle", "squared", "absolute", "huber", "logcosh", "cosh",
        "quantile", "pinball", "poisson", "gaussian", "l1", "l2", "smoothl1", "r2", "regression", "psnr", "ssim", "cosine",
        "charbonnier", "euclidean", "reconstruction", "perceptual", "wing", "laplace"})),
    (LossFamily.CATEGORICAL, frozenset({"nll"})),
    (LossFamily.SHAPE, frozenset({"class"})),
)  # fmt: skip
JOINED = (
    ("cross_entropy", "crossentropy"), ("io_u", "iou"), ("log_cosh", "logcosh"), ("log_loss", "logloss"), ("multi_label", "multilabel"),
    ("multi_class", "multiclass"), ("smooth_l1", "smoothl1"),
)  # fmt: skip
OF_PROBABILITIES = frozenset({
    "binarycrossentropy", "binaryfocalcrossentropy", "categoricalcrossentropy", "categoricalfocalcrossentropy", "sparsecategoricalcrossentropy",
    "kldivergence", "kullbackleiblerdivergence", "kld",
})  # fmt: skip
"""Losses of Keras's own, as functions or classes, which take probabilities unless they are told otherwise."""


def family_of(name: str) -> LossFamily:
    """Family of a loss or metric by the words in its name: "MyFocalLoss", "BCEDiceLoss", "weighted_bce"; UNKNOWN where none is known."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    for apart, joined in JOINED:
        snake = snake.replace(apart, joined)
    words = set(re.split(r"[^a-z0-9]+", snake))
    return next((family for family, known in WORDS if words & known), LossFamily.UNKNOWN)


def compiled_loss(training_config: Mapping[str, Any], output: int = 0, *names: str) -> CompiledLoss:
    """The loss of one output, by the loss's name or, where that is the author's own, by the names of the metrics beside it.

    Args:
        training_config: What the file says: `loss` and `metrics` as Keras 2 or Keras 3 stores them.
        output: Position of the output among the model's.
        names: What the output is called, by the dictionary that the model gives or by its layer; losses may be stored by name.
    """
    loss = _of_output(training_config.get("loss"), output, names)
    if loss is None:
        return CompiledLoss(family=LossFamily.NONE)
    name, config = _name_of(loss), _config_of(loss)
    stored = config.get("from_logits")
    family = family_of(name)
    if family is LossFamily.UNKNOWN:
        family = _family_of_metrics(training_config.get("metrics"), output, names)
    told = stored if isinstance(stored, bool) else False if name.replace("_", "").lower() in OF_PROBABILITIES else None
    return CompiledLoss(family=family, name=name, from_logits=told)


def _of_output(stored: Any, output: int, names: tuple[str, ...]) -> Any:
    """What belongs to one output: there is one entry for all, one for each in a list, or one by each output's name."""
    if isinstance(stored, Mapping) and "class_name" not in stored:
        return next((stored[name] for name in names if name in stored), None)
    if isinstance(stored, Sequence) and not isinstance(stored, str):
        return stored[output] if output < len(stored) else None
    return stored


def _name_of(stored: Any) -> str:
    """Name of a loss or metric: the function's own name where Keras stores one inside of "function" or "MeanMetricWrapper"."""
    if not isinstance(stored, Mapping):
        return str(stored)
    config = stored.get("config")
    if isinstance(config, str):
        return config
    inner = config.get("fn") if isinstance(config, Mapping) else None
    if isinstance(inner, Mapping):
        return _name_of(inner)
    return str(inner or stored.get("class_name", ""))


def _config_of(stored: Any) -> Mapping[str, Any]:
    config = stored.get("config") if isinstance(stored, Mapping) else None
    return config if isinstance(config, Mapping) else {}


def _family_of_metrics(stored: Any, output: int, names: tuple[str, ...]) -> LossFamily:
    if isinstance(stored, Mapping) or (isinstance(stored, list) and any(isinstance(entry, list) for entry in stored)):
        stored = _of_output(stored, output, names)
    entries = stored if isinstance(stored, list) else [stored]
    found = {family_of(_name_of(entry)) for entry in entries if entry is not None} - {LossFamily.UNKNOWN}
    # Two metrics of different families (accuracy beside MAE) tell nothing.
    return found.pop() if len(found) == 1 else LossFamily.UNKNOWN
