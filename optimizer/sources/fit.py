"""Matching data to a model: the task, the shape of a sample, the meaning of the labels."""

from __future__ import annotations

import math

import numpy as np

from optimizer.errors import InputError
from optimizer.sources.compiled import compiled_loss
from optimizer.sources.dataset import Dataset, PreparedData, Task
from optimizer.sources.matching import Matching
from optimizer.sources.matching import in_words as _words
from optimizer.sources.summary import LayerSummary, ModelSummary
from optimizer.sources.targets import SPLITS
from optimizer.sources.tasks import find_task

AUTO = "auto"
"""The task is told by the model and the data."""


def chosen_task(name: str) -> Task | None:
    """The task that a person chose, None where it is to be found. Raises InputError BAD_SETTING."""
    if name == AUTO:
        return None
    try:
        return Task(name)
    except ValueError:
        expected = ", ".join([AUTO, *(task.value for task in Task)])
        raise InputError("There is no such task", code="BAD_SETTING", expected=expected, received=name) from None


def prepare(dataset: Dataset, summary: ModelSummary, task: str = AUTO) -> PreparedData:
    """Match `dataset` to the model; values are not scaled yet.

    Args:
        dataset: The data as read.
        summary: The model.
        task: "auto", or the value of the Task that the person chose.

    Raises:
        InputError: UNSUPPORTED_MODEL for several inputs or outputs, DATA_MODEL_MISMATCH where data and model cannot go together,
            TASK_UNCLEAR where they allow two tasks, BAD_SETTING for a task that there is not.
    """
    wanted = chosen_task(task)
    _require_single(summary)
    input_shape, notes = agreed_shape(dataset, summary)
    output_shape = _output_shape(summary, input_shape)
    _check_vocabulary(dataset, summary)
    case = Matching(
        dataset=dataset,
        summary=summary,
        input_shape=input_shape,
        output_shape=output_shape,
        activation=summary.output_activation,
        loss=compiled_loss(summary.training_config, output_name=summary.output_layers[0]),
    )
    found = find_task(case, wanted)
    return PreparedData(
        dataset=found.dataset,
        task=found.task,
        input_shape=input_shape,
        output_shape=output_shape,
        input_dtype=_input_dtype(summary),
        from_logits=found.from_logits,
        independent=found.independent,
        notes=(*notes, *found.notes),
    )


def _require_single(summary: ModelSummary) -> None:
    for kind, count in (("inputs", len(summary.input_shapes)), ("outputs", len(summary.output_shapes))):
        if count != 1:
            raise InputError(
                f"The model has {count} {kind}; models of several {kind} come in a later version",
                code="UNSUPPORTED_MODEL",
                place=summary.name,
                expected="one input and one output",
                fix=f"Make a keras.Model with one of its {kind}, and save that.",
            )


def _input_dtype(summary: ModelSummary) -> str:
    dtype = summary.input_dtypes[0]
    return dtype if dtype.startswith(("int", "uint", "bool")) else "float32"


def _sample_shape(dataset: Dataset) -> tuple[int, ...]:
    return tuple(dataset.train.x.shape[1:])


def agreed_shape(dataset: Dataset, summary: ModelSummary) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Shape of the model's input without the batch axis, and what was done to the samples to get there.

    Raises:
        InputError: DATA_MODEL_MISMATCH.
    """
    wanted, given = summary.input_shapes[0][1:], _sample_shape(dataset)
    if _fits(given, wanted):
        note = f"The model takes any size along its open axes; the data's {_words(given)} is used."
        return given, ((note,) if None in wanted else ())
    if _fits((*given, 1), wanted):
        return (*given, 1), ("A channel axis of length 1 was added to the samples.",)
    if given[-1:] == (1,) and _fits(given[:-1], wanted):
        return given[:-1], ("The channel axis of length 1 was dropped from the samples.",)
    if None not in wanted:
        fixed = tuple(length or 0 for length in wanted)
        if math.prod(fixed) == math.prod(given) and 1 in (len(fixed), len(given)):
            return fixed, (f"Samples of {_words(given)} were reshaped to {_words(fixed)}.",)
    raise InputError(
        "The samples do not have the shape that the model takes",
        code="DATA_MODEL_MISMATCH",
        place=f"{dataset.name} with {summary.name}",
        expected=f"samples of shape {_words(wanted)}",
        received=_words(given),
        fix=_shape_fix(given, wanted),
    )


def _fits(given: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(given) == len(wanted) and all(w is None or g == w for g, w in zip(given, wanted, strict=True))


def _shape_fix(given: tuple[int, ...], wanted: tuple[int | None, ...]) -> str:
    if len(given) == 3 and _fits((*given[1:], given[0]), wanted):
        return "The channels come first: use np.transpose(x, (0, 2, 3, 1))."
    if len(given) == len(wanted) and len(given) == 1:
        return "Keep the columns that the model was trained on, in the same order."
    if len(given) == len(wanted) and _fits(given[:-1], wanted[:-1]):
        return "Convert between grey and colour as it was done for training."
    if len(given) in (2, 3) and len(wanted) == 3:
        return "Resize the images as it was done for training."
    return "Bring the data as the model was trained on them."


def _output_shape(summary: ModelSummary, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the output without the batch axis; open axes take the input's length where input and output have one rank."""
    shape = summary.output_shapes[0]
    if shape is None or (None in shape[1:] and len(shape) != len(input_shape) + 1):
        unknown = next((layer.name for layer in summary.layers if layer.output_shape is None), summary.output_layers[0])
        raise InputError(
            "The shape of the model's output could not be worked out",
            code="UNSUPPORTED_MODEL",
            place=f"{summary.name}, layer {unknown}",
            fix="Give the input a fixed shape, or replace that layer.",
        )
    return tuple(length or input_shape[axis] for axis, length in enumerate(shape[1:]))


def _check_vocabulary(dataset: Dataset, summary: ModelSummary) -> None:
    """A model that starts with an Embedding takes whole numbers below its `input_dim`."""
    first = _first_layer(summary)
    if first is None or first.class_name != "Embedding":
        return
    rows = int(first.config.get("input_dim", 0))
    for name in SPLITS:
        x = getattr(dataset, name).x
        if x.min() < 0 or x.max() >= rows or (x.dtype.kind == "f" and np.any(x != np.floor(x))):
            raise InputError(
                "The samples are not the word numbers that the model takes",
                code="DATA_MODEL_MISMATCH",
                place=f"{dataset.name}, {name}",
                expected=f"whole numbers 0 to {rows - 1}",
                received=f"{x.min():g} to {x.max():g}",
                fix="Use the vocabulary that the model was trained with.",
            )


def _first_layer(summary: ModelSummary) -> LayerSummary | None:
    return next((layer for layer in summary.layers if layer.class_name != "InputLayer"), None)
