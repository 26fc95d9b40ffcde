"""Whether samples have the shape that a model takes, or can be brought to it without changing a number."""

from __future__ import annotations

import math

import numpy as np

from optimizer.errors import InputError
from optimizer.sources.dataset import Array
from optimizer.sources.matching import in_words


def agreed_shape(given: tuple[int, ...], wanted: tuple[int | None, ...], place: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Shape of an input without the batch axis, and what is done to samples of shape `given` to get there.

    Raises:
        InputError: DATA_MODEL_MISMATCH.
    """
    if _fits(given, wanted):
        note = f"The model takes any size along its open axes; the data's {in_words(given)} is used."
        return given, ((note,) if None in wanted else ())
    if _fits((*given, 1), wanted):
        return (*given, 1), ("A channel axis of length 1 was added to the samples.",)
    if given[-1:] == (1,) and _fits(given[:-1], wanted):
        return given[:-1], ("The channel axis of length 1 was dropped from the samples.",)
    if None not in wanted:
        fixed = tuple(length or 0 for length in wanted)
        if math.prod(fixed) == math.prod(given) and 1 in (len(fixed), len(given)):
            return fixed, (f"Samples of {in_words(given)} were reshaped to {in_words(fixed)}.",)
    raise InputError(
        "The samples do not have the shape that the model takes",
        code="DATA_MODEL_MISMATCH",
        place=place,
        expected=f"samples of shape {in_words(wanted)}",
        received=in_words(given),
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


def require_word_numbers(x: Array, rows: int, place: str) -> None:
    """Refuse samples that an Embedding of `rows` rows cannot look up. Raises InputError DATA_MODEL_MISMATCH."""
    if x.min() < 0 or x.max() >= rows or (x.dtype.kind == "f" and np.any(x != np.floor(x))):
        raise InputError(
            "The samples are not the word numbers that the model takes",
            code="DATA_MODEL_MISMATCH",
            place=place,
            expected=f"whole numbers 0 to {rows - 1}",
            received=f"{x.min():g} to {x.max():g}",
            fix="Use the vocabulary that the model was trained with.",
        )
