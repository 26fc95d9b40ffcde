"""A data set as read from a file, and the same data made ready for one model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Task(StrEnum):
    """What the model is for; it decides loss, metric and the wording of every chart."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    RECONSTRUCTION = "reconstruction"
    UNLABELLED = "unlabelled"


@dataclass(frozen=True, kw_only=True)
class Split:
    """Samples of one split: `x` (n, ...) in the dtype it was stored with, `y` (n,) or (n, k), None without labels."""

    x: Array
    y: Array | None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Data as a file holds it, split into four disjoint parts; nothing is scaled or reshaped yet.

    `labels` says what `y` holds: "class" (int64 class numbers, shape (n,)), "one_hot" was already turned into "class",
    "value" (float32 targets, shape (n,) or (n, k)), "none". `class_names` has a name for each class number.
    `kind` is "images", "table" or "arrays".
    """

    name: str
    sha256: str
    kind: str
    labels: str
    class_names: tuple[str, ...]
    train: Split
    calibration: Split
    validation: Split
    test: Split
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Number of samples in each split."""
        return {name: len(getattr(self, name)) for name in ("train", "calibration", "validation", "test")}


@dataclass(frozen=True, kw_only=True)
class InputScaling:
    """`x * scale + offset`, in float32: how stored values become what the model was trained on.

    `scale` and `offset` are numbers, or arrays of one value a feature (standardized tables).
    """

    name: str
    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0

    def apply(self, x: Array) -> npt.NDArray[np.float32]:
        """Scale a batch (n, ...); the result is float32."""
        result: npt.NDArray[np.float32] = np.asarray(x, dtype=np.float32)
        if self.scale != 1.0:
            result = result * np.asarray(self.scale, dtype=np.float32)
        if self.offset != 0.0:
            result = result + np.asarray(self.offset, dtype=np.float32)
        return result

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"name": self.name, "scale": self.scale, "offset": self.offset}


UNSCALED = InputScaling(name="as stored")


@dataclass(frozen=True, kw_only=True)
class PreparedData:
    """A data set matched to one model: task found, shapes agreed, scaling chosen.

    `input_shape` and `output_shape` are the model's, without the batch axis. `from_logits` is true where a classifier ends
    without softmax or sigmoid.
    """

    dataset: Dataset
    task: Task
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_dtype: str
    from_logits: bool
    scaling: InputScaling = UNSCALED
    notes: tuple[str, ...] = ()

    def inputs(self, x: Array) -> Array:
        """Stored samples (n, ...) as the model's input batch (n, *input_shape), float32 unless the model takes integers."""
        batch = np.asarray(x).reshape((len(x), *self.input_shape))
        if self.input_dtype != "float32":
            return batch.astype(self.input_dtype)
        return self.scaling.apply(batch)

    def targets(self, split: Split) -> Array:
        """What a loss compares the outputs with: class numbers (n,), values (n, *output_shape), or the inputs themselves."""
        if self.task in (Task.RECONSTRUCTION, Task.UNLABELLED) or split.y is None:
            return self.inputs(split.x)
        if self.task is Task.CLASSIFICATION:
            return split.y.astype(np.int64)
        return split.y.astype(np.float32).reshape((len(split), *self.output_shape))

    def batches(self, split: Split, batch_size: int, order: npt.NDArray[np.int64] | None = None) -> Iterator[tuple[Array, Array]]:
        """Yield (inputs, targets) of at most `batch_size` samples, in `order` (sample numbers) or as stored."""
        order = np.arange(len(split)) if order is None else order
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            part = Split(x=split.x[chosen], y=None if split.y is None else split.y[chosen])
            yield self.inputs(part.x), self.targets(part)

    def to_json(self) -> dict[str, Any]:
        """The `data` part of report.json."""
        return {
            "name": self.dataset.name,
            "sha256": self.dataset.sha256,
            **self.dataset.counts(),
            "task": self.task.value,
            "input_scaling": self.scaling.to_json(),
            "from_logits": self.from_logits,
            "class_names": list(self.dataset.class_names),
            "notes": [*self.dataset.notes, *self.notes],
        }
