"""The task that a person asked for, with the labels brought into its form, or the reason why that cannot be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optimizer.sources.dataset import Dataset, Task
from optimizer.sources.matching import Found, Matching, in_words
from optimizer.sources.steps import per_step
from optimizer.sources.targets import (
    all_targets,
    as_one_hot,
    as_values,
    class_range,
    reshaped,
    target_shape,
    with_targets,
    without_labels,
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


def _asked_classification(case: Matching) -> Found:
    _require_labels(case, Task.CLASSIFICATION)
    if target_shape(case.dataset) == case.output_shape and case.units > 1:
        return shares(case)
    if case.dataset.labels == "value" and case.units == 1 and all_targets(case.dataset, minus_or_plus_one):
        case = case.with_data(with_targets(case.dataset, lambda y: (y + 1) / 2))
    if case.dataset.labels == "value":
        case = case.with_data(whole_classes(case))
    if case.units > 1:
        return classification(case)
    if class_range(case.dataset)[1] > 1:
        raise case.mismatch("class numbers 0 and 1 for one unit")
    return two_classes(case)


def _asked_multi_label(case: Matching) -> Found:
    _require_labels(case, Task.MULTI_LABEL)
    case = case.with_data(_in_shape_of_output(case))
    if not all_targets(case.dataset, zeros_and_ones) or case.activation == "softmax":
        raise case.mismatch("labels 0 and 1 for each output, and an output of sigmoid units or logits")
    return multi_label(case)


def _asked_regression(case: Matching) -> Found:
    _require_labels(case, Task.REGRESSION)
    dataset = _in_shape_of_output(case)
    notes: tuple[str, ...] = ()
    if case.dataset.labels == "class" and case.units > 1:
        notes = (f"Class numbers are read as {case.units} values a sample, 1 for the class and 0 for the others.",)
    return Found(dataset=dataset, task=Task.REGRESSION, notes=notes)


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
    return reconstruction(case)


def _asked_per_step(case: Matching) -> Found:
    _require_labels(case, Task.PER_STEP)
    if case.dataset.labels == "class" and case.steps == (len(case.dataset.class_names),):
        case = case.with_data(as_one_hot(case.dataset))
    shape = target_shape(case.dataset)
    if shape == case.output_shape and case.width > 1:
        return shares(case)
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
    require_training_labels(case)


ASKED: dict[Task, Callable[[Matching], Found]] = {
    Task.CLASSIFICATION: _asked_classification,
    Task.MULTI_LABEL: _asked_multi_label,
    Task.PER_STEP: _asked_per_step,
    Task.REGRESSION: _asked_regression,
    Task.RECONSTRUCTION: _asked_reconstruction,
    Task.UNLABELLED: _asked_unlabelled,
}
