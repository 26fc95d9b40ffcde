"""Which task a model and its data make together: told by shapes, labels, the output's activation and the compiled loss, or asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.sources.asked_tasks import ASKED
from optimizer.sources.compiled import LossFamily
from optimizer.sources.dataset import Task
from optimizer.sources.matching import Found, Matching, in_words
from optimizer.sources.steps import as_steps, per_step
from optimizer.sources.targets import (
    all_targets,
    as_classes,
    as_one_hot,
    as_values,
    class_range,
    largest_as_class,
    reshaped,
    target_shape,
    with_targets,
)
from optimizer.sources.task_forms import (
    classification,
    minus_or_plus_one,
    multi_label,
    reconstruction,
    require_training_labels,
    shares,
    two_classes,
    whole_classes,
    zeros_and_ones,
)


def find_task(case: Matching, wanted: Task | None) -> Found:
    """The task that was asked for, or the one that data and model tell.

    Raises:
        InputError: DATA_MODEL_MISMATCH where labels and output cannot go together, TASK_UNCLEAR where they allow two tasks.
    """
    if wanted is not None:
        return ASKED[wanted](case)
    if case.dataset.labels == "none":
        return _unlabelled(case)
    if _gives_back_its_input(case):
        return reconstruction(case)
    require_training_labels(case)
    return _from_classes(case) if case.dataset.labels == "class" else _from_values(case)


def _mirrors(case: Matching) -> bool:
    return case.output_shape == case.input_shape and case.units > 1 and not case.picks_one


def _unlabelled(case: Matching) -> Found:
    if _mirrors(case):
        return reconstruction(case)
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


def _from_classes(case: Matching) -> Found:
    """Class numbers (n,)."""
    if case.units == 1:
        return _one_unit(case)
    if case.is_flat:
        return classification(case)
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
        return classification(case.with_data(whole_classes(case)))
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


def _one_number(case: Matching) -> Found:
    """One number a sample for one unit: two classes where the unit says yes or no, a value otherwise."""
    if case.activation == "softmax":
        raise case.mismatch("a model with a linear output", "one softmax unit, which is always 1")
    flat = case.with_data(reshaped(case.dataset, ()))
    if all_targets(case.dataset, minus_or_plus_one) and (case.says_yes_or_no or case.activation == "tanh"):
        found = _one_unit(case.with_data(as_classes(with_targets(flat.dataset, lambda y: (y + 1) / 2))))
        return replace(found, notes=(*found.notes, "Labels -1 and 1 are read as the first and the second class."))
    if case.says_yes_or_no and all_targets(case.dataset, zeros_and_ones):
        return _one_unit(case.with_data(as_classes(flat.dataset)))
    return Found(dataset=case.dataset, task=Task.REGRESSION)


def _one_unit(case: Matching) -> Found:
    """Class numbers for one output: the second class's probability (or logit), or a value."""
    low, high = class_range(case.dataset)
    if high <= 1 and (case.activation == "sigmoid" or not case.takes_values):
        if case.loss.family is LossFamily.UNKNOWN and case.activation != "sigmoid":
            raise case.unclear(Task.CLASSIFICATION, Task.REGRESSION)
        return two_classes(case)
    if case.activation == "sigmoid":
        fix = "A model with one sigmoid unit tells two classes apart: label them 0 and 1."
        raise case.mismatch("class numbers 0 and 1", f"{low} to {high}", fix)
    note = "The model gives one number, so the whole-numbered labels are values to predict."
    return Found(dataset=as_values(case.dataset), task=Task.REGRESSION, notes=(note,))


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
        return shares(case)
    if not all_targets(case.dataset, zeros_and_ones):
        return Found(dataset=case.dataset, task=Task.REGRESSION)
    one_hot = bool(case.steps) and all_targets(case.dataset, lambda y: bool(np.all(y.sum(axis=-1) == 1)))
    if one_hot and (case.activation == "sigmoid" or not case.takes_values):
        return per_step(case.with_data(largest_as_class(case.dataset)))
    if case.says_yes_or_no or case.loss.family is LossFamily.SHAPE:
        return multi_label(case)
    if case.is_open:
        raise case.unclear(Task.MULTI_LABEL, Task.REGRESSION)
    return Found(dataset=case.dataset, task=Task.REGRESSION)
