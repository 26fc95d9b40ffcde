"""Matching data to a model: the task, the shape of a sample, the meaning of the labels."""

from __future__ import annotations

from optimizer.errors import InputError
from optimizer.sources.compiled import compiled_loss
from optimizer.sources.dataset import Dataset, PreparedData, Task
from optimizer.sources.matching import Matching
from optimizer.sources.sample_shapes import agreed_shape, require_word_numbers
from optimizer.sources.scaling import vocabulary
from optimizer.sources.several import chosen_output, handed_over_as, match_inputs, output_note
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
        raise InputError(
            "There is no such task",
            code="BAD_SETTING",
            expected=expected,
            received=name,
            fix="Leave it out (auto) where the model's file tells its task.",
        ) from None


def prepare(dataset: Dataset, summary: ModelSummary, task: str = AUTO) -> PreparedData:
    """Match `dataset` to the model; values are not scaled yet.

    Args:
        dataset: The data as read.
        summary: The model.
        task: "auto", or the value of the Task that the person chose.

    Raises:
        InputError: UNSUPPORTED_MODEL for an output of unknown shape, DATA_MODEL_MISMATCH where data and model cannot go together,
            TASK_UNCLEAR where they allow two tasks, BAD_SETTING for a task that there is not.
    """
    wanted = chosen_task(task)
    _require_numbers(summary)
    dataset, joined, notes = match_inputs(dataset, summary)
    if joined:
        input_shape = joined[0].shape
    else:
        input_shape, notes = agreed_shape(
            dataset.train.x.shape[1:], summary.input_shapes[0][1:], f"{dataset.name} with {summary.name}"
        )
        _check_vocabulary(dataset, summary)
    output = chosen_output(dataset, summary)
    output_shape = _output_shape(summary, input_shape, output)
    case = Matching(
        dataset=dataset,
        summary=summary,
        # Several inputs are nothing that one output could give back.
        input_shape=() if joined else input_shape,
        output_shape=output_shape,
        activation=summary.activation_of(summary.output_layers[output]),
        loss=compiled_loss(
            summary.training_config, output, summary.names_of_outputs[output], summary.output_layers[output].split("/")[0]
        ),
    )
    found = find_task(case, wanted)
    return PreparedData(
        dataset=found.dataset,
        task=found.task,
        input_shape=input_shape,
        output_shape=output_shape,
        input_dtype=handed_over_as(summary, 0),
        from_logits=found.from_logits,
        independent=found.independent,
        joined=joined,
        output=output,
        output_count=len(summary.output_shapes),
        output_argument=summary.output_names[output] if summary.format == "tflite" else f"output_{output}",
        notes=(*notes, *output_note(summary, output), *found.notes),
    )


def _require_numbers(summary: ModelSummary) -> None:
    for place, dtype in enumerate(summary.input_dtypes):
        if dtype.startswith(("string", "complex", "resource", "variant")):
            several = f", input {summary.input_names[place]}" if len(summary.input_dtypes) > 1 else ""
            raise InputError(
                "The model's input takes no numbers",
                code="UNSUPPORTED_MODEL",
                place=summary.name + several,
                expected="floating-point numbers or integers",
                received=dtype,
                fix="Take out the part that turns texts into numbers, and bring the numbers as data.",
            )


def _output_shape(summary: ModelSummary, input_shape: tuple[int, ...], output: int) -> tuple[int, ...]:
    """Shape of the output without the batch axis; open axes take the input's length where input and output have one rank."""
    shape = summary.output_shapes[output]
    if shape is None or (None in shape[1:] and len(shape) != len(input_shape) + 1):
        unknown = next((layer.name for layer in summary.layers if layer.output_shape is None), summary.output_layers[output])
        raise InputError(
            "The shape of the model's output could not be worked out",
            code="UNSUPPORTED_MODEL",
            place=f"{summary.name}, layer {unknown}",
            fix="Give the input a fixed shape, or replace that layer.",
        )
    return tuple(length or input_shape[axis] for axis, length in enumerate(shape[1:]))


def _check_vocabulary(dataset: Dataset, summary: ModelSummary) -> None:
    """A model that starts with an Embedding takes whole numbers below the number of its rows."""
    first = _first_layer(summary)
    rows = 0 if first is None else vocabulary(first)
    if not rows:
        return
    for name in SPLITS:
        require_word_numbers(getattr(dataset, name).x, rows, f"{dataset.name}, {name}")


def _first_layer(summary: ModelSummary) -> LayerSummary | None:
    return next((layer for layer in summary.layers if layer.class_name != "InputLayer"), None)
