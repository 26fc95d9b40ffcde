"""A data set beside a model: what decides the task, and the ways to refuse what cannot go together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from optimizer.errors import InputError
from optimizer.sources.compiled import CompiledLoss, LossFamily
from optimizer.sources.dataset import Dataset, Task
from optimizer.sources.summary import ModelSummary
from optimizer.sources.targets import target_shape


@dataclass(frozen=True, kw_only=True)
class Found:
    """The task, with the data set as the task needs it. `from_logits` and `independent` are those of PreparedData."""

    dataset: Dataset
    task: Task
    from_logits: bool = False
    independent: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Data and model side by side; shapes without the batch axis, `activation` is what the output ends in."""

    dataset: Dataset
    summary: ModelSummary
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    activation: str
    loss: CompiledLoss

    @property
    def units(self) -> int:
        """How many numbers the output holds."""
        return math.prod(self.output_shape)

    @property
    def width(self) -> int:
        """Length of the output's last axis: classes, labels or values of one step."""
        return self.output_shape[-1] if self.output_shape else 1

    @property
    def steps(self) -> tuple[int, ...]:
        """The axes before the last: steps of a sequence, rows and columns of an image."""
        return self.output_shape[:-1]

    @property
    def is_flat(self) -> bool:
        """Whether only the output's last axis is longer than 1, so that it speaks of the whole sample."""
        return self.units == self.width

    @property
    def picks_one(self) -> bool:
        """Whether the outputs are shares of one class among several."""
        return self.activation == "softmax" or self.loss.family is LossFamily.CATEGORICAL

    @property
    def says_yes_or_no(self) -> bool:
        """Whether each output is a yes or no of its own."""
        return not self.picks_one and (self.activation == "sigmoid" or self.loss.family is LossFamily.BINARY)

    @property
    def takes_values(self) -> bool:
        """Whether the loss compares numbers."""
        return self.loss.family is LossFamily.VALUES

    @property
    def is_open(self) -> bool:
        """Whether the loss leaves the task open."""
        return self.loss.family in (LossFamily.NONE, LossFamily.UNKNOWN)

    @property
    def gives_logits(self) -> bool:
        """Whether the outputs are still to be brought between 0 and 1: the activation tells, or else the loss."""
        return self.activation not in ("softmax", "sigmoid") and self.loss.from_logits is not False

    @property
    def reading(self) -> tuple[str, ...]:
        """How outputs without softmax or sigmoid are read, for people; nothing where they have one."""
        if self.activation in ("softmax", "sigmoid"):
            return ()
        if not self.gives_logits:
            told = f"and the loss {self.loss.name!r} takes probabilities; it is read as those."
            return (f"The output ends in {self.activation}, {told}",)
        yes = ": above 0 means yes" if self.width == 1 or self.says_yes_or_no else ""
        return (f"The output ends in {self.activation}; it is read as logits{yes}.",)

    @property
    def place(self) -> str:
        """Both names, for errors."""
        return f"{self.dataset.name} with {self.summary.name}"

    def with_data(self, dataset: Dataset) -> Matching:
        """The same with the labels in another form."""
        return replace(self, dataset=dataset)

    def mismatch(self, expected: str, received: str = "", fix: str = "") -> InputError:
        """The error for labels that do not fit the output."""
        return InputError(
            "The labels do not fit the model's output",
            code="DATA_MODEL_MISMATCH",
            place=self.place,
            expected=expected,
            received=received or f"labels of shape {in_words(target_shape(self.dataset))}",
            fix=fix or "Bring the labels that the model was trained on.",
        )

    def unclear(self, *tasks: Task) -> InputError:
        """The error where data and model allow more than one task, and the file does not tell which."""
        told = f"the loss {self.loss.name!r}, which is not known" if self.loss.name else "a model saved without its loss"
        names = " or ".join(task.value for task in tasks)
        return InputError(
            "The file does not tell what the model is for",
            code="TASK_UNCLEAR",
            place=self.place,
            expected=names,
            received=f"{told}, and an output without sigmoid or softmax",
            fix=f"Choose the task on Model & Data, or pass `--task {tasks[0].value}` or `--task {tasks[1].value}`.",
        )


def in_words(shape: tuple[int | None, ...]) -> str:
    """A shape for people: "8 x 8 x 1"."""
    return " x ".join("any" if length is None else str(length) for length in shape) or "one number"
