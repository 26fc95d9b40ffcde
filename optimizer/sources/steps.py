"""A class for each step of a sequence or each pixel of an image: which steps count, and what their labels are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.sources.dataset import IGNORED, Array, Dataset, Split, Task
from optimizer.sources.joined import JoinedSamples
from optimizer.sources.matching import Found, Matching, in_words
from optimizer.sources.scaling import first_layer
from optimizer.sources.targets import reshaped, targets, with_labels_of

VOID = 255
"""The label of pixels that do not count, as PASCAL VOC and Cityscapes store them."""


def per_step(case: Matching) -> Found:
    """Match labels (n, *steps) to an output (n, *steps, classes); one unit a step tells two classes apart.

    Raises:
        InputError: DATA_MODEL_MISMATCH.
    """
    classes = max(case.width, 2)
    dataset = as_steps(case, classes=classes)
    if dataset is None:
        received = _range_in_words(case.dataset)
        expected = (
            f"a whole class number 0 to {classes - 1} for each of {in_words(case.steps)} steps; negative numbers do not count"
        )
        raise case.mismatch(expected, received)
    notes = []
    masked = _without_padding(case, dataset)
    if masked is not None:
        dataset = masked
        notes.append("Padded steps, which the model masks, neither train nor count.")
    ignored = sum(int((y == IGNORED).sum()) for y in targets(dataset).values())
    if ignored and masked is None:
        notes.append(f"{ignored:,} steps have no class (a negative number, or {VOID}); they neither train nor count.")
    notes.extend(case.reading)
    names = tuple(str(number) for number in range(classes))
    return Found(
        dataset=replace(dataset, labels="steps", class_names=names),
        task=Task.PER_STEP,
        from_logits=case.gives_logits,
        independent=case.width > 1 and case.says_yes_or_no,
        notes=tuple(notes),
    )


def as_steps(case: Matching, *, classes: int) -> Dataset | None:
    """The data with class numbers int32 (n, *steps), IGNORED where a step does not count; None where the labels are no classes."""
    found = targets(case.dataset)
    if any(y.dtype.kind == "f" and bool(np.any(y != np.floor(y))) for y in found.values()):
        return None
    distinct = set(np.unique(np.concatenate([np.unique(y) for y in found.values()])).tolist())
    if classes == 2 and distinct <= {0, VOID}:
        table = {0: 0, VOID: 1}
    elif classes == 2 and distinct == {-1, 1}:
        table = {-1: 0, 1: 1}
    else:
        table = {}
    if not table and any(number >= classes and (number != VOID or classes > VOID) for number in distinct):
        return None

    def numbered(y: Array) -> Array:
        whole = y.astype(np.int32)
        if table:
            return np.where(whole == max(table), 1, 0).astype(np.int32)
        return np.where((whole < 0) | (whole >= classes), IGNORED, whole).astype(np.int32)

    return with_labels_of(reshaped(case.dataset, case.steps), lambda part: numbered(part.y) if part.y is not None else None)


def _without_padding(case: Matching, dataset: Dataset) -> Dataset | None:
    """The data with padded steps IGNORED, where the model begins with a layer that masks them; None where it does not."""
    layer = first_layer(case.summary)
    if layer is None or len(case.steps) != 1 or isinstance(dataset.train.x, JoinedSamples):
        return None
    masks_zero = layer.class_name == "Embedding" and bool(layer.config.get("mask_zero"))
    if not masks_zero and layer.class_name != "Masking":
        return None
    padding = 0.0 if masks_zero else float(layer.config.get("mask_value", 0.0))

    def masked(part: Split) -> Array | None:
        if part.y is None or part.x.shape[1] != part.y.shape[1]:
            return part.y
        kept = part.x != padding
        kept = kept.reshape((*part.y.shape, -1)).any(axis=-1)
        return np.where(kept, part.y, IGNORED)

    return with_labels_of(dataset, masked)


def _range_in_words(dataset: Dataset) -> str:
    found = targets(dataset).values()
    return f"numbers {min(float(y.min()) for y in found):g} to {max(float(y.max()) for y in found):g}"
