"""A data set as read from a file, and the same data made ready for one model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.sources.joined import InputSpec

Array = npt.NDArray[Any]

IGNORED = -1
"""Class number of a step that neither trains nor counts: padding, and whatever the person marked so."""


class Task(StrEnum):
    """What the model is for; it decides loss, metric and the wording of every chart."""

    CLASSIFICATION = "classification"
    MULTI_LABEL = "multi_label"
    PER_STEP = "per_step"
    REGRESSION = "regression"
    RECONSTRUCTION = "reconstruction"
    UNLABELLED = "unlabelled"


TASK_WORDS = {
    Task.CLASSIFICATION: "one class a sample",
    Task.MULTI_LABEL: "any number of labels a sample, yes or no for each",
    Task.PER_STEP: "a class for each step of a sequence or each pixel of an image",
    Task.REGRESSION: "numbers to predict",
    Task.RECONSTRUCTION: "the model gives back its input; labels 0 and 1 of the test part mark anomalies",
    Task.UNLABELLED: "no labels: outputs are compared with the original model's",
}
"""Each task in words, for the command line's help and the Model & Data page."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Samples of one split: `x` (n, ...) in the dtype it was stored with, `y` (n, ...), None without labels.

    `x` is an Array, or JoinedSamples for a model of several inputs.
    """

    x: Any
    y: Array | None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Data as a file holds it, split into four disjoint parts; nothing is scaled or reshaped yet.

    `labels` says what `y` holds: "class" (int64 class numbers, shape (n,); one-hot labels were turned into them), "value" (float32
    targets, shape (n, ...)), "none"; once matched to a model also "steps" (int64 class numbers (n, *steps), IGNORED where a step does
    not count) and "labels" (uint8 0 or 1, in the shape of the output). `class_names` has a name for each class number or label.
    `kind` is "images", "table" or "arrays". `output_name` is the output that the labels are for, where the data name one.
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
    output_name: str = ""

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
    without softmax or sigmoid, or an autoencoder's loss takes logits; `independent` where each of a classifier's outputs is a yes or no of its
    own (sigmoid units).
    Where the model has several inputs, `joined` describes each in the model's order, and `input_shape` is that of the first. Where it has
    several outputs (`output_count`), `output` is the position of the one that the task is about, and `output_argument` what the .tflite's
    signature calls it.
    """

    dataset: Dataset
    task: Task
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_dtype: str
    from_logits: bool
    independent: bool = False
    joined: tuple[InputSpec, ...] = ()
    output: int = 0
    output_count: int = 1
    output_argument: str = "output_0"
    scaling: InputScaling = UNSCALED
    notes: tuple[str, ...] = ()

    @property
    def is_joined(self) -> bool:
        """Whether the model has several inputs or several outputs."""
        return bool(self.joined) or self.output_count > 1

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """Shape of what a file's only input takes, for files that leave axes open; None for several inputs."""
        return None if self.joined else self.input_shape

    def inputs(self, x: Any) -> Any:
        """Stored samples (n, ...) as the model's input batch (n, *input_shape), float32 unless the model takes integers.

        For several inputs a list of such batches, in the model's order.
        """
        if self.joined:
            arrays = list(x.arrays.values())
            return [
                part.reshape((len(x), *spec.shape)).astype(spec.dtype) for part, spec in zip(arrays, self.joined, strict=True)
            ]
        batch = np.asarray(x).reshape((len(x), *self.input_shape))
        if self.input_dtype != "float32":
            return batch.astype(self.input_dtype)
        return self.scaling.apply(batch)

    def targets(self, split: Split) -> Array:
        """What a loss compares the outputs with.

        Class numbers int64 (n,), or (n, *steps) with IGNORED where a step does not count; values or labels float32 (n, *output_shape);
        or the inputs themselves.
        """
        if self.task in (Task.RECONSTRUCTION, Task.UNLABELLED) or split.y is None:
            inputs: Array = self.inputs(split.x)[0] if self.joined else self.inputs(split.x)
            return inputs
        if self.task in (Task.CLASSIFICATION, Task.PER_STEP):
            return split.y.astype(np.int64)
        return split.y.astype(np.float32).reshape((len(split), *self.output_shape))

    def batches(self, split: Split, batch_size: int, order: npt.NDArray[np.int64] | None = None) -> Iterator[tuple[Any, Array]]:
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
            **({"inputs": [spec.name for spec in self.joined]} if self.joined else {}),
            **({"output": self.output} if self.output_count > 1 else {}),
            "class_names": list(self.dataset.class_names),
            "notes": [*self.dataset.notes, *self.notes],
        }
