"""Matching data to a model: the task, the shape of a sample, the meaning of the labels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from optimizer.errors import InputError
from optimizer.sources.dataset import Dataset, PreparedData, Task
from optimizer.sources.scaling import vocabulary
from optimizer.sources.summary import LayerSummary, ModelSummary
from optimizer.sources.targets import SPLITS, all_targets, as_classes, as_values, class_range, target_shape, without_labels

REGRESSION_LOSSES = ("mse", "mae", "mean_squared", "mean_absolute", "meansquared", "meanabsolute", "huber", "log_cosh", "logcosh")


def prepare(dataset: Dataset, summary: ModelSummary) -> PreparedData:
    """Match `dataset` to the model; values are not scaled yet.

    Raises:
        InputError: UNSUPPORTED_MODEL for several inputs or outputs, DATA_MODEL_MISMATCH where data and model cannot go together.
    """
    _require_single(summary)
    _require_numbers(summary)
    input_shape, notes = agreed_shape(dataset, summary)
    output_shape = _output_shape(summary, input_shape)
    _check_vocabulary(dataset, summary)
    found = _find_task(dataset, summary, input_shape, output_shape)
    return PreparedData(
        dataset=found.dataset,
        task=found.task,
        input_shape=input_shape,
        output_shape=output_shape,
        input_dtype=_input_dtype(summary),
        from_logits=found.from_logits,
        notes=(*notes, *found.notes),
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """The task, with the data set as the task needs it."""

    dataset: Dataset
    task: Task
    from_logits: bool = False
    notes: tuple[str, ...] = ()


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


def _require_numbers(summary: ModelSummary) -> None:
    if summary.input_dtypes[0].startswith(("string", "complex", "resource", "variant")):
        raise InputError(
            "The model's input takes no numbers",
            code="UNSUPPORTED_MODEL",
            place=summary.name,
            expected="floating-point numbers or integers",
            received=summary.input_dtypes[0],
            fix="Take out the part that turns texts into numbers, and bring the numbers as data.",
        )


def _input_dtype(summary: ModelSummary) -> str:
    """What samples are handed over as; a file with a quantized input is given real values, and quantizes them by its own scale."""
    dtype = summary.input_dtypes[0]
    if any(summary.input_quantization[:1]):
        return "float32"
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


def _words(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if length is None else str(length) for length in shape) or "one number"


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
    """A model that starts with an Embedding takes whole numbers below the number of its rows."""
    first = _first_layer(summary)
    rows = 0 if first is None else vocabulary(first)
    if not rows:
        return
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


def ending(summary: ModelSummary) -> str:
    """Activation that the output ends in, also where a TensorFlow function stands for it."""
    layer = summary.layer(summary.output_layers[0])
    if layer.class_name == "TFOpLambda":
        return str(layer.config.get("function", "linear")).rpartition(".")[2]
    return summary.output_activation


def _find_task(dataset: Dataset, summary: ModelSummary, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Found:
    activation, units = ending(summary), math.prod(output_shape)
    mirrors = output_shape == input_shape and units > 1 and activation != "softmax"
    if dataset.labels == "none":
        return Found(dataset=dataset, task=Task.RECONSTRUCTION if mirrors else Task.UNLABELLED)
    if mirrors and dataset.labels == "class":
        return _reconstruction(dataset)
    if dataset.train.y is None:
        fix = "Bring y_train; labels of the test part alone are enough for an autoencoder only."
        raise _label_mismatch(dataset, summary, "labels for the training samples", "labels for the test samples only", fix)
    if dataset.labels == "value":
        if target_shape(dataset) == output_shape or (units == 1 and target_shape(dataset) in ((), (1,))):
            if activation == "softmax" and units == 1:
                raise _label_mismatch(dataset, summary, "a model with a linear output", "one softmax unit, which is always 1", "")
            return _values(dataset, summary, activation, units)
        dataset = _values_to_classes(dataset, summary, output_shape)
    if units == 1:
        return _one_unit(dataset, summary, activation)
    return _classification(dataset, summary, activation, output_shape)


def _reconstruction(dataset: Dataset) -> Found:
    """An autoencoder with labels: 0 and 1 mark normal and anomalous samples, other labels are of no use."""
    numbers = class_range(dataset)
    if numbers[1] <= 1:
        note = "The model gives back its input; labels 0 (normal) and 1 (anomaly) are used for the AUC only."
        return Found(dataset=dataset, task=Task.RECONSTRUCTION, notes=(note,))
    note = "The model gives back its input, so the labels are not used."
    return Found(dataset=without_labels(dataset), task=Task.RECONSTRUCTION, notes=(note,))


def _values(dataset: Dataset, summary: ModelSummary, activation: str, units: int) -> Found:
    """Targets of the output's shape; whole numbers 0 and 1 of a table with one sigmoid unit are classes all the same."""
    if units == 1 and activation == "sigmoid" and all_targets(dataset, lambda y: bool(np.all((y == 0) | (y == 1)))):
        return _one_unit(as_classes(dataset), summary, activation)
    several = activation == "sigmoid" and units > 1
    note = "Several labels a sample are scored as values (mean absolute error)."
    return Found(dataset=dataset, task=Task.REGRESSION, notes=(note,) if several else ())


def _values_to_classes(dataset: Dataset, summary: ModelSummary, output_shape: tuple[int, ...]) -> Dataset:
    """Whole-numbered values as class numbers, for a model whose output has one unit a class. Raises InputError."""
    shape = target_shape(dataset)
    if shape == () and len(output_shape) == 1 and all_targets(dataset, lambda y: bool(np.all(y == np.floor(y)) and y.min() >= 0)):
        return as_classes(dataset)
    received = f"values of shape {_words(shape)}" if shape else "fractional or negative values"
    raise _label_mismatch(
        dataset,
        summary,
        f"class numbers 0 to {math.prod(output_shape) - 1}, or values of shape {_words(output_shape)}",
        received,
        "Bring the labels that the model was trained on.",
    )


def _one_unit(dataset: Dataset, summary: ModelSummary, activation: str) -> Found:
    """One output: the second class's probability (or logit), or a value."""
    low, high = class_range(dataset)
    loss = str(summary.training_config.get("loss", "")).lower()
    if high <= 1 and (activation == "sigmoid" or not any(name in loss for name in REGRESSION_LOSSES)):
        named = replace(dataset, class_names=_names(dataset, 2))
        note = "The output has no sigmoid, so it is read as a logit: above 0 means the second class."
        logits = activation != "sigmoid"
        return Found(dataset=named, task=Task.CLASSIFICATION, from_logits=logits, notes=(note,) if logits else ())
    if activation == "sigmoid":
        fix = "A model with one sigmoid unit tells two classes apart: label them 0 and 1."
        raise _label_mismatch(dataset, summary, "class numbers 0 and 1", f"{low} to {high}", fix)
    note = "The model gives one number, so the whole-numbered labels are values to predict."
    return Found(dataset=as_values(dataset), task=Task.REGRESSION, notes=(note,))


def _classification(dataset: Dataset, summary: ModelSummary, activation: str, output_shape: tuple[int, ...]) -> Found:
    units = math.prod(output_shape)
    if units != max(output_shape):
        received = f"an output of shape {_words(output_shape)}"
        raise _label_mismatch(
            dataset, summary, "a model with one output unit a class", received, "Labels of this shape come later."
        )
    low, high = class_range(dataset)
    if high >= units:
        shifted = low >= 1 and high == units
        fix = "Subtract 1 from the labels." if shifted else "Bring the labels that the model was trained on."
        raise _label_mismatch(dataset, summary, f"class numbers 0 to {units - 1}", f"{low} to {high}", fix)
    notes = []
    logits = activation not in ("softmax", "sigmoid")
    if logits:
        notes.append(f"The output ends in {activation}, without softmax; it is read as logits.")
    if len(dataset.class_names) < units:
        notes.append(f"The data have {len(dataset.class_names)} classes, the model has {units} outputs.")
    named = replace(dataset, class_names=_names(dataset, units))
    return Found(dataset=named, task=Task.CLASSIFICATION, from_logits=logits, notes=tuple(notes))


def _names(dataset: Dataset, count: int) -> tuple[str, ...]:
    known = dataset.class_names
    return (*known, *(str(number) for number in range(len(known), count)))


def _label_mismatch(dataset: Dataset, summary: ModelSummary, expected: str, received: str, fix: str) -> InputError:
    return InputError(
        "The labels do not fit the model's output",
        code="DATA_MODEL_MISMATCH",
        place=f"{dataset.name} with {summary.name}",
        expected=expected,
        received=received,
        fix=fix,
    )
