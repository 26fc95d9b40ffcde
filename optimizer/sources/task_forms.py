"""Each task's form: labels as the task needs them, and what is read off the output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.sources.dataset import Array, Dataset, Task
from optimizer.sources.matching import Found, Matching, in_words
from optimizer.sources.steps import per_step
from optimizer.sources.targets import (
    all_targets,
    as_classes,
    as_labels,
    class_range,
    largest_as_class,
    target_shape,
    with_targets,
    without_labels,
)


def reconstruction(case: Matching) -> Found:
    """An autoencoder; where there are labels, 0 and 1 mark normal and anomalous samples, and others are of no use."""
    dataset, notes = case.dataset, []
    # Only a loss that takes logits tells that an autoencoder's outputs are such.
    logits = case.loss.from_logits is True and case.activation != "sigmoid"
    if logits:
        notes.append(
            f"The loss {case.loss.name!r} takes logits, so the outputs are brought between 0 and 1 before they are compared."
        )
    if dataset.labels == "class" and class_range(dataset)[1] <= 1:
        notes.append("The model gives back its input; labels 0 (normal) and 1 (anomaly) are used for the AUC only.")
    elif dataset.labels != "none":
        notes.append("The model gives back its input, so the labels are not used.")
        dataset = without_labels(dataset)
    return Found(dataset=dataset, task=Task.RECONSTRUCTION, from_logits=logits, notes=tuple(notes))


def require_training_labels(case: Matching) -> None:
    """Refuse labels of the test samples alone. Raises InputError DATA_MODEL_MISMATCH."""
    if case.dataset.train.y is None:
        fix = "Bring y_train; labels of the test part alone are enough for an autoencoder only."
        raise case.mismatch("labels for the training samples", "labels for the test samples only", fix)


def whole_classes(case: Matching) -> Dataset:
    """Whole-numbered values, one a sample, as class numbers for an output of one unit a class; -1 and 1 are the two of two units."""
    if case.is_flat and int(np.prod(target_shape(case.dataset))) == 1:
        if case.units == 2 and all_targets(case.dataset, minus_or_plus_one):
            return as_classes(with_targets(case.dataset, lambda y: (y + 1) / 2))
        if all_targets(case.dataset, lambda y: bool(np.all(y == np.floor(y)) and y.min() >= 0)):
            return as_classes(case.dataset)
    expected = f"class numbers 0 to {case.units - 1}, or values of shape {in_words(case.output_shape)}"
    shape = target_shape(case.dataset)
    raise case.mismatch(expected, f"values of shape {in_words(shape)}" if shape else "fractional or negative values")


def zeros_and_ones(y: Array) -> bool:
    """Whether labels are 0 and 1 only."""
    return bool(np.all((y == 0) | (y == 1)))


def minus_or_plus_one(y: Array) -> bool:
    """Whether labels are -1 and 1 only."""
    return bool(np.all(np.abs(y) == 1))


def two_classes(case: Matching) -> Found:
    """Class numbers 0 and 1 for one unit."""
    named = replace(case.dataset, class_names=names(case, 2))
    return Found(dataset=named, task=Task.CLASSIFICATION, from_logits=case.gives_logits, notes=case.reading)


def classification(case: Matching) -> Found:
    """Class numbers for one unit each. Raises InputError DATA_MODEL_MISMATCH."""
    if not case.is_flat:
        raise case.mismatch(
            "an output of one unit a class", f"an output of shape {in_words(case.output_shape)}", "Choose per_step."
        )
    low, high = class_range(case.dataset)
    if high >= case.units:
        shifted = low >= 1 and high == case.units
        fix = "Subtract 1 from the labels." if shifted else ""
        raise case.mismatch(f"class numbers 0 to {case.units - 1}", f"{low} to {high}", fix)
    notes = [*case.reading]
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


def shares(case: Matching) -> Found:
    """Shares of each class: one-hot, or soft labels that add up to 1. Rows of zeros are steps that do not count."""
    sums = [y.sum(axis=-1) for y in (case.dataset.train.y, case.dataset.test.y) if y is not None]
    several = bool(case.steps) and not case.is_flat
    positive = all_targets(case.dataset, lambda y: bool(np.all(y >= 0)))
    if not positive or not all(np.all(np.isclose(s, 1, atol=1e-3) | ((s == 0) & several)) for s in sums):
        expected = f"class numbers 0 to {case.width - 1}, one-hot labels, or shares that add up to 1"
        raise case.mismatch(
            expected, "values that are no shares of one class", "For several labels a sample the model needs sigmoid units."
        )
    found = case.with_data(largest_as_class(case.dataset))
    result = per_step(found) if several else classification(found)
    if all_targets(case.dataset, zeros_and_ones):
        return result
    return replace(result, notes=(*result.notes, "Soft labels: the class with the largest share is each sample's class."))


def multi_label(case: Matching) -> Found:
    """Yes or no for each output."""
    dataset = as_labels(case.dataset)
    return Found(
        dataset=replace(dataset, class_names=names(case, case.width)),
        task=Task.MULTI_LABEL,
        from_logits=case.gives_logits,
        independent=True,
        notes=case.reading,
    )
