"""Which task a model and its data make together: told by shapes, labels, the output's activation and the compiled loss, or asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optimizer.sources.compiled import LossFamily
from optimizer.sources.dataset import Array, Dataset, Task
from optimizer.sources.matching import Found, Matching, in_words
from optimizer.sources.steps import as_steps, per_step
from optimizer.sources.targets import (
    all_targets,
    as_classes,
    as_labels,
    as_one_hot,
    as_values,
    class_range,
    largest_as_class,
    reshaped,
    target_shape,
    with_targets,
    without_labels,
)


def find_task(case: Matching, wanted: Task | None) -> Found:
    """The task that was asked for, or the one that data and model tell.

    Raises:
        InputError: DATA_MODEL_MISMATCH where labels and output cannot go together, TASK_UNCLEAR where they allow two tasks.
    """
    if wanted is not None:
        return WANTED[wanted](case)
    if case.dataset.labels == "none":
        return _unlabelled(case)
    if _gives_back_its_input(case):
        return _reconstruction(case)
    _require_training_labels(case)
    return _from_classes(case) if case.dataset.labels == "class" else _from_values(case)


def _mirrors(case: Matching) -> bool:
    return case.output_shape == case.input_shape and case.units > 1 and not case.picks_one


def _unlabelled(case: Matching) -> Found:
    if _mirrors(case):
        return Found(dataset=case.dataset, task=Task.RECONSTRUCTION)
    # Only shares of one class can be imitated as such; all else is imitated as numbers.
    return Found(dataset=case.dataset, task=Task.UNLABELLED, from_logits=case.activation != "softmax")


def _gives_back_its_input(case: Matching) -> bool:
    """An autoencoder: labels of whole samples are no use to its output, or they repeat the samples."""
    if not _mirrors(case):
        return False
    if case.dataset.labels == "class":
        several = class_range(case.dataset)[1] > 1
        if several and case.is_flat and case.activation == "linear" and not case.takes_values:
            if case.loss.family is LossFamily.SHAPE:
                return False
            if case.is_open:
                raise case.unclear(Task.CLASSIFICATION, Task.RECONSTRUCTION)
        return True
    train = case.dataset.train
    return train.y is not None and train.y.size == train.x.size and np.allclose(train.y.ravel(), train.x.ravel(), atol=1e-6)


def _reconstruction(case: Matching) -> Found:
    """An autoencoder with labels: 0 and 1 mark normal and anomalous samples, other labels are of no use."""
    dataset = case.dataset
    if dataset.labels == "class" and class_range(dataset)[1] <= 1:
        note = "The model gives back its input; labels 0 (normal) and 1 (anomaly) are used for the AUC only."
        return Found(dataset=dataset, task=Task.RECONSTRUCTION, notes=(note,))
    note = "The model gives back its input, so the labels are not used."
    return Found(dataset=without_labels(dataset), task=Task.RECONSTRUCTION, notes=(note,))


def _require_training_labels(case: Matching) -> None:
    if case.dataset.train.y is None:
        fix = "Bring y_train; labels of the test part alone are enough for an autoencoder only."
        raise case.mismatch("labels for the training samples", "labels for the test samples only", fix)


def _from_classes(case: Matching) -> Found:
    """Class numbers (n,)."""
    if case.units == 1:
        return _one_unit(case)
    if case.is_flat:
        return _classification(case)
    if case.steps == (len(case.dataset.class_names),):
        # A row of one 1 was read as one-hot, but the output speaks of the row's steps.
        return _from_values(case.with_data(as_one_hot(case.dataset)))
    raise case.mismatch(f"a label for each step: shape {in_words(case.steps)}", "one label a sample")


def _from_values(case: Matching) -> Found:
    """Numbers (n, ...): one a sample, one a step, or one for each number of the output."""
    shape = target_shape(case.dataset)
    if case.units == 1 and shape in ((), (1,), case.output_shape):
        return _one_number(case)
    if shape == ():
        return _classification(case.with_data(_whole_classes(case)))
    if shape == case.output_shape or (*shape, 1) == case.output_shape or _flattens_to_output(case, shape):
        aligned = case.with_data(reshaped(case.dataset, case.output_shape))
        return _one_a_step(aligned) if case.width == 1 else _one_for_each_output(aligned)
    if shape == case.steps:
        return per_step(case)
    expected = (
        f"class numbers 0 to {case.width - 1} of shape {in_words(case.steps)}, or values of shape {in_words(case.output_shape)}"
    )
    if case.is_flat:
        expected = f"class numbers 0 to {case.units - 1}, or values of shape {in_words(case.output_shape)}"
    raise case.mismatch(expected, f"values of shape {in_words(shape)}")


def _flattens_to_output(case: Matching, shape: tuple[int, ...]) -> bool:
    return int(np.prod(shape)) == case.units and 1 in (len(shape), len(case.output_shape))


def _whole_classes(case: Matching) -> Dataset:
    """Whole-numbered values as class numbers, for an output of one unit a class."""
    if case.is_flat and all_targets(case.dataset, lambda y: bool(np.all(y == np.floor(y)) and y.min() >= 0)):
        return as_classes(case.dataset)
    expected = f"class numbers 0 to {case.units - 1}, or values of shape {in_words(case.output_shape)}"
    raise case.mismatch(expected, "fractional or negative values")


def _zeros_and_ones(y: Array) -> bool:
    return bool(np.all((y == 0) | (y == 1)))


def _minus_or_plus_one(y: Array) -> bool:
    return bool(np.all(np.abs(y) == 1))


def _one_number(case: Matching) -> Found:
    """One number a sample for one unit: two classes where the unit says yes or no, a value otherwise."""
    if case.activation == "softmax":
        raise case.mismatch("a model with a linear output", "one softmax unit, which is always 1")
    flat = case.with_data(reshaped(case.dataset, ()))
    if all_targets(case.dataset, _minus_or_plus_one) and (case.says_yes_or_no or case.activation == "tanh"):
        found = _one_unit(case.with_data(as_classes(with_targets(flat.dataset, lambda y: (y + 1) / 2))))
        return replace(found, notes=(*found.notes, "Labels -1 and 1 are read as the first and the second class."))
    if case.says_yes_or_no and all_targets(case.dataset, _zeros_and_ones):
        return _one_unit(case.with_data(as_classes(flat.dataset)))
    return Found(dataset=case.dataset, task=Task.REGRESSION)


def _one_unit(case: Matching) -> Found:
    """Class numbers for one output: the second class's probability (or logit), or a value."""
    low, high = class_range(case.dataset)
    if high <= 1 and (case.activation == "sigmoid" or not case.takes_values):
        if case.loss.family is LossFamily.UNKNOWN and case.activation != "sigmoid":
            raise case.unclear(Task.CLASSIFICATION, Task.REGRESSION)
        return _two_classes(case)
    if case.activation == "sigmoid":
        fix = "A model with one sigmoid unit tells two classes apart: label them 0 and 1."
        raise case.mismatch("class numbers 0 and 1", f"{low} to {high}", fix)
    note = "The model gives one number, so the whole-numbered labels are values to predict."
    return Found(dataset=as_values(case.dataset), task=Task.REGRESSION, notes=(note,))


def _two_classes(case: Matching) -> Found:
    named = replace(case.dataset, class_names=names(case, 2))
    note = "The output has no sigmoid, so it is read as a logit: above 0 means the second class."
    logits = case.activation != "sigmoid"
    return Found(dataset=named, task=Task.CLASSIFICATION, from_logits=logits, notes=(note,) if logits else ())


def _classification(case: Matching) -> Found:
    low, high = class_range(case.dataset)
    if high >= case.units:
        shifted = low >= 1 and high == case.units
        fix = "Subtract 1 from the labels." if shifted else ""
        raise case.mismatch(f"class numbers 0 to {case.units - 1}", f"{low} to {high}", fix)
    notes = []
    if case.gives_logits:
        notes.append(f"The output ends in {case.activation}, without softmax; it is read as logits.")
    known = len(case.dataset.class_names)
    if known < case.units:
        notes.append(f"The data have {known} classes, the model has {case.units} outputs.")
    return Found(
        dataset=replace(case.dataset, class_names=names(case, case.units)),
        task=Task.CLASSIFICATION,
        from_logits=case.gives_logits,
        independent=case.says_yes_or_no,
        notes=tuple(notes),
    )


def names(case: Matching, count: int) -> tuple[str, ...]:
    """Names of `count` classes: those that the data bring, numbers for the others."""
    known = case.dataset.class_names
    return (*known, *(str(number) for number in range(len(known), count)))


def _one_a_step(case: Matching) -> Found:
    """One unit a step, and a number for each (n, *steps, 1)."""
    steps = as_steps(case, classes=2)
    if case.picks_one or (steps is not None and (case.says_yes_or_no or case.loss.family is LossFamily.SHAPE)):
        return per_step(case)
    if steps is not None and case.is_open:
        raise case.unclear(Task.PER_STEP, Task.REGRESSION)
    return Found(dataset=case.dataset, task=Task.REGRESSION)


def _one_for_each_output(case: Matching) -> Found:
    """A number for each of several outputs: one-hot classes, labels, or values (n, *output_shape)."""
    if case.picks_one:
        return _shares(case)
    if not all_targets(case.dataset, _zeros_and_ones):
        return Found(dataset=case.dataset, task=Task.REGRESSION)
    one_hot = bool(case.steps) and all_targets(case.dataset, lambda y: bool(np.all(y.sum(axis=-1) == 1)))
    if one_hot and (case.activation == "sigmoid" or not case.takes_values):
        return per_step(case.with_data(largest_as_class(case.dataset)))
    if case.says_yes_or_no or case.loss.family is LossFamily.SHAPE:
        return multi_label(case)
    if case.is_open:
        raise case.unclear(Task.MULTI_LABEL, Task.REGRESSION)
    return Found(dataset=case.dataset, task=Task.REGRESSION)


def _shares(case: Matching) -> Found:
    """Shares of each class: one-hot, or soft labels that add up to 1. Rows of zeros are steps that do not count."""
    sums = [y.sum(axis=-1) for y in (case.dataset.train.y, case.dataset.test.y) if y is not None]
    positive = all_targets(case.dataset, lambda y: bool(np.all(y >= 0)))
    if not positive or not all(np.all(np.isclose(s, 1, atol=1e-3) | ((s == 0) & bool(case.steps))) for s in sums):
        expected = f"class numbers 0 to {case.width - 1}, one-hot labels, or shares that add up to 1"
        raise case.mismatch(
            expected, "values that are no shares of one class", "For several labels a sample the model needs sigmoid units."
        )
    found = case.with_data(largest_as_class(case.dataset))
    result = per_step(found) if case.steps and not case.is_flat else _classification(found)
    if all_targets(case.dataset, _zeros_and_ones):
        return result
    return replace(result, notes=(*result.notes, "Soft labels: the class with the largest share is each sample's class."))


def multi_label(case: Matching) -> Found:
    """Yes or no for each output."""
    notes = ["The output has no sigmoid, so it is read as logits: above 0 means yes."] if case.gives_logits else []
    dataset = as_labels(case.dataset)
    return Found(
        dataset=replace(dataset, class_names=names(case, case.width)),
        task=Task.MULTI_LABEL,
        from_logits=case.gives_logits,
        independent=True,
        notes=tuple(notes),
    )


def _asked_classification(case: Matching) -> Found:
    _require_labels(case, Task.CLASSIFICATION)
    if target_shape(case.dataset) == case.output_shape and case.units > 1:
        return _shares(case)
    if case.dataset.labels == "value" and case.units == 1 and all_targets(case.dataset, _minus_or_plus_one):
        case = case.with_data(with_targets(case.dataset, lambda y: (y + 1) / 2))
    if case.dataset.labels == "value":
        case = case.with_data(_whole_classes(case))
    if case.units > 1:
        return _classification(case)
    if class_range(case.dataset)[1] > 1:
        raise case.mismatch("class numbers 0 and 1 for one unit")
    return _two_classes(case)


def _asked_multi_label(case: Matching) -> Found:
    _require_labels(case, Task.MULTI_LABEL)
    case = case.with_data(_in_shape_of_output(case))
    if not all_targets(case.dataset, _zeros_and_ones) or case.activation == "softmax":
        raise case.mismatch("labels 0 and 1 for each output, and an output of sigmoid units or logits")
    return multi_label(case)


def _asked_regression(case: Matching) -> Found:
    _require_labels(case, Task.REGRESSION)
    return Found(dataset=_in_shape_of_output(case), task=Task.REGRESSION)


def _in_shape_of_output(case: Matching) -> Dataset:
    """Labels as numbers, one for each output."""
    dataset = case.dataset
    if dataset.labels == "class":
        dataset = as_one_hot(dataset) if case.units == len(dataset.class_names) > 2 else as_values(dataset)
    if int(np.prod(target_shape(dataset))) != case.units:
        raise case.mismatch(f"values of shape {in_words(case.output_shape)}")
    return reshaped(dataset, case.output_shape)


def _asked_reconstruction(case: Matching) -> Found:
    if case.units != int(np.prod(case.input_shape)):
        received = f"{in_words(case.input_shape)} in, {in_words(case.output_shape)} out"
        raise case.mismatch("a model that gives back as many numbers as it takes", received, "Choose another task.")
    return Found(dataset=case.dataset, task=Task.RECONSTRUCTION) if case.dataset.labels == "none" else _reconstruction(case)


def _asked_per_step(case: Matching) -> Found:
    _require_labels(case, Task.PER_STEP)
    if case.dataset.labels == "class" and case.steps == (len(case.dataset.class_names),):
        case = case.with_data(as_one_hot(case.dataset))
    shape = target_shape(case.dataset)
    if shape == case.output_shape and case.width > 1:
        return _shares(case)
    if not case.steps or shape not in (case.steps, case.output_shape):
        raise case.mismatch(
            f"a class number for each step: shape {in_words(case.steps)}" if case.steps else "an output with steps"
        )
    return per_step(case)


def _asked_unlabelled(case: Matching) -> Found:
    return Found(dataset=without_labels(case.dataset), task=Task.UNLABELLED, from_logits=case.activation != "softmax")


def _require_labels(case: Matching, task: Task) -> None:
    if case.dataset.labels == "none":
        raise case.mismatch(f"labels, for {task.value}", "samples alone", "Bring y_train and y_test.")
    _require_training_labels(case)


WANTED: dict[Task, Callable[[Matching], Found]] = {
    Task.CLASSIFICATION: _asked_classification,
    Task.MULTI_LABEL: _asked_multi_label,
    Task.PER_STEP: _asked_per_step,
    Task.REGRESSION: _asked_regression,
    Task.RECONSTRUCTION: _asked_reconstruction,
    Task.UNLABELLED: _asked_unlabelled,
}
