"""Random inputs that a model of a given summary can take."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.sources.masks import makes_a_mask
from optimizer.sources.summary import ModelSummary, Shape

COUNT = 3
OPEN_PIXELS, OPEN_STEPS = 64, 16
"""Lengths given to open axes, of pictures and of sequences."""
INDEXED = {"Embedding": "input_dim", "CategoryEncoding": "num_tokens"}
"""Layers that take whole numbers below the one in this setting."""
COMPARISONS = ("math.equal", "math.not_equal", "math.greater")


def random_samples(summary: ModelSummary, seed: int) -> list[npt.NDArray[Any]] | None:
    """Three samples for each input: values from 0 to 1, around 0, and from 0 to 255; indices where a layer looks them up.

    Where a model masks steps, the second sample is padded for a quarter of its steps, the third for half of them.

    Returns:
        One array an input, of shape (3, ...) or with the batch size that the model insists on; None where an input takes no numbers.
    """
    random = np.random.default_rng(seed)
    arrays = []
    padding = _padding(summary)
    for position, (shape, dtype) in enumerate(zip(summary.input_shapes, summary.input_dtypes, strict=True)):
        if dtype == "string":
            return None
        full = (COUNT, *_closed(shape))
        # Layers come in another order than inputs.
        below = _indices_below(summary, summary.input_names[position])
        if below is not None:
            values: npt.NDArray[Any] = random.integers(0, below, full)
        elif dtype == "bool":
            values = random.integers(0, 2, full)
        elif dtype.startswith(("int", "uint")):
            values = random.integers(0, 256 if dtype == "uint8" else 10, full)
        else:
            values = np.stack([random.uniform(0, 1, full[1:]), random.normal(0, 1, full[1:]), random.uniform(0, 255, full[1:])])
        if padding is not None and values.ndim > 1:
            steps = values.shape[1]
            for number in range(1, COUNT):
                values[number, steps - steps * number // 4 :] = padding
        arrays.append(values.astype(dtype))
    return arrays


def _padding(summary: ModelSummary) -> float | None:
    """What padded steps hold; None where no layer makes a mask, and no function compares values as masks are made by hand."""
    for layer in summary.layers:
        if layer.class_name == "Masking":
            return float(layer.config.get("mask_value", 0.0))
    made = any(
        makes_a_mask(layer.class_name, layer.config) or layer.config.get("function") in COMPARISONS for layer in summary.layers
    )
    return 0.0 if made else None


def _closed(shape: Shape) -> tuple[int, ...]:
    length = OPEN_PIXELS if len(shape) > 3 else OPEN_STEPS
    return tuple(length if n is None else n for n in shape[1:])


def _indices_below(summary: ModelSummary, name: str) -> int | None:
    """The bound of the indices that an input must hold: that of the first layer that looks them up, nothing with weights between."""
    reached, bounds = {name}, []
    for _ in summary.layers:
        followers = [layer for layer in summary.layers if layer.name not in reached and reached & set(layer.inbound)]
        if not followers:
            break
        for layer in followers:
            if layer.class_name in INDEXED:
                bounds.append(int(layer.config.get(INDEXED[layer.class_name], 2)))
            elif not layer.weight_shapes:
                reached.add(layer.name)
        if all(layer.weight_shapes for layer in followers):
            break
    return min(bounds, default=None)
