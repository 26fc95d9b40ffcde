"""What range the values have, what range the model seems to expect, and the scalings that could bridge the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optimizer.errors import InputError
from optimizer.sources.dataset import UNSCALED, Array, Dataset, InputScaling, PreparedData
from optimizer.sources.joined import parts_of
from optimizer.sources.summary import LayerSummary, ModelSummary

RAW_INPUT = ("Rescaling", "Normalization", "Embedding", "Masking", "GATHER", "EMBEDDING_LOOKUP")
"""First layers that take raw values: any scaling before them would be one too many, or move the value that marks padding."""


def value_range(dataset: Dataset) -> str:
    """The range of the training samples in words: "whole numbers 0 to 255", "numbers -1.5 to 2.25"."""
    ranges = [_range_in_words(x) for x in parts_of(dataset.train.x, "").values()]
    return "; ".join(ranges)


def _range_in_words(x: Array) -> str:
    kind = "whole numbers" if _whole(x) else "numbers"
    return f"{kind} {float(x.min()):.4g} to {float(x.max()):.4g}"


def scaling_candidates(prepared: PreparedData, summary: ModelSummary | None = None) -> list[InputScaling]:
    """Scalings worth trying on the validation split, "as stored" first; it is the only one where the model takes raw values.

    Args:
        prepared: The data, matched to the model; statistics come from its train split only.
        summary: The model, to see whether it scales its input itself.
    """
    if prepared.joined:
        return [UNSCALED]
    x = prepared.dataset.train.x
    first = None if summary is None else first_layer(summary)
    if prepared.input_dtype != "float32" or (first is not None and first.class_name in RAW_INPUT):
        return [UNSCALED]
    low, high = float(x.min()), float(x.max())
    candidates = [UNSCALED]
    if low >= 0 and _whole(x) and high > 1:
        candidates += _whole_number_scalings(255.0 if 128 <= high <= 255 else high)
    elif low >= 0 and high <= 1:
        candidates += [InputScaling(name="x * 255", scale=255.0), InputScaling(name="2 x - 1", scale=2.0, offset=-1.0)]
    if len(prepared.input_shape) == 1 or prepared.dataset.kind == "images":
        candidates.append(_standardized(prepared))
    return candidates


def named_scaling(prepared: PreparedData, summary: ModelSummary, name: str) -> InputScaling:
    """The candidate of that name. Raises InputError UNKNOWN_SCALING."""
    candidates = {candidate.name: candidate for candidate in scaling_candidates(prepared, summary)}
    if name not in candidates:
        raise InputError(
            f"There is no input scaling named {name!r} for these data",
            code="UNKNOWN_SCALING",
            place=prepared.dataset.name,
            expected=", ".join(["auto", *candidates]),
        )
    return candidates[name]


def _whole_number_scalings(top: float) -> list[InputScaling]:
    """0 to `top` brought to 0..1 and to -1..1."""
    half = top / 2
    return [
        InputScaling(name=f"x / {top:g}", scale=1 / top),
        InputScaling(name=f"x / {half:g} - 1", scale=1 / half, offset=-1.0),
    ]


def _standardized(prepared: PreparedData) -> InputScaling:
    """Mean 0 and deviation 1: for each column of a table, for each channel of images."""
    x = np.asarray(prepared.dataset.train.x)
    x = x.reshape((len(x), *prepared.input_shape))
    if prepared.dataset.kind == "images" and len(prepared.input_shape) != 3:
        axes: tuple[int, ...] | None = None
    else:
        axes = tuple(range(x.ndim - 1))
    mean, deviation = np.mean(x, axis=axes, dtype=np.float64), np.std(x, axis=axes, dtype=np.float64)
    # A column that never changes stays at 0 after its mean is taken away.
    deviation = np.where(deviation > 0, deviation, 1.0)
    scale, offset = 1 / deviation, -mean / deviation
    if scale.ndim == 0:
        return InputScaling(name="standardized", scale=float(scale), offset=float(offset))
    return InputScaling(name="standardized", scale=tuple(map(float, scale)), offset=tuple(map(float, offset)))


def _whole(x: Array) -> bool:
    return x.dtype.kind in "biu" or bool(np.all(x == np.floor(x)))


def first_layer(summary: ModelSummary) -> LayerSummary | None:
    """The first layer that changes values: inputs and random augmentation are passed over."""
    for layer in summary.layers:
        if layer.class_name != "InputLayer" and not layer.class_name.startswith("Random"):
            return layer
    return None


def expected_range_in_words(summary: ModelSummary) -> str:
    """What the file alone says about the values that the model takes, for each of several inputs."""
    if len(summary.input_shapes) == 1:
        unknown = "the file does not say; it is found by trying the usual scalings on training samples"
        return _expected_in_words(summary, 0, first_layer(summary)) or unknown
    unknown = "the file does not say; values are taken as stored"
    told = [_expected_in_words(summary, place, reader_of_input(summary, place)) for place in range(len(summary.input_shapes))]
    return "; ".join(f"{name}: {words or unknown}" for name, words in zip(summary.input_names, told, strict=True))


def _expected_in_words(summary: ModelSummary, place: int, layer: LayerSummary | None) -> str:
    """What the file says about the values of one input, "" for nothing; `layer` is the first that reads them."""
    name = "" if layer is None else layer.class_name
    if layer is not None and name == "Rescaling":
        return f"raw values: the model starts with {_rescaling_in_words(layer.config)}"
    if name == "Normalization":
        return "raw values: the model starts with Normalization, which knows their mean and variance"
    rows = rows_of_input(summary, place)
    if rows:
        return (
            f"whole numbers 0 to {rows - 1}: the model starts with {'an Embedding' if name == 'Embedding' else 'a table of them'}"
        )
    if any(summary.input_quantization[place : place + 1]):
        return _quantized_in_words(summary, place)
    if summary.input_dtypes[place].startswith(("int", "uint", "bool")):
        return f"whole numbers ({summary.input_dtypes[place]})"
    return ""


def reader_of_input(summary: ModelSummary, place: int) -> LayerSummary | None:
    """The first layer that reads one of several inputs, random augmentation passed over; None where the file does not tell."""
    taken = {_input_layer(summary, place)}
    for layer in summary.layers:
        if taken & set(layer.inbound):
            if not layer.class_name.startswith("Random"):
                return layer
            taken.add(layer.name)
    return None


def rows_of_input(summary: ModelSummary, place: int) -> int:
    """Rows of the smallest table that an input's numbers are looked up in; 0 for none."""
    if len(summary.input_shapes) == 1:
        layer = first_layer(summary)
        return 0 if layer is None else vocabulary(layer)
    taken = _input_layer(summary, place)
    return min((rows for layer in summary.layers if taken in layer.inbound and (rows := vocabulary(layer))), default=0)


def _input_layer(summary: ModelSummary, place: int) -> str:
    """Name of the layer that stands for an input; those of a .tflite and SavedModel come first, in order."""
    return summary.input_names[place] if summary.is_keras else summary.layers[place].name


def vocabulary(layer: LayerSummary) -> int:
    """Rows of the table that a layer looks numbers up in; 0 where it looks up none."""
    if layer.class_name == "Embedding":
        return int(layer.config.get("input_dim", 0))
    looks_up = layer.kind == "Embedding" or layer.class_name == "GATHER"
    table = next(iter(layer.weight_shapes.values()), ()) if looks_up else ()
    return table[0] if len(table) > 1 else 0


def _quantized_in_words(summary: ModelSummary, place: int) -> str:
    """The real values that an integer input stands for."""
    found, dtype = summary.input_quantization[place], summary.input_dtypes[place]
    bits = dtype.lstrip("uint")
    if found is None or not bits.isdigit():
        return f"whole numbers ({dtype})"
    lowest = 0 if dtype.startswith("u") else -(2 ** (int(bits) - 1))
    low, high = (found.scale * (end - found.zero_point) for end in (lowest, lowest + 2 ** int(bits) - 1))
    return f"numbers {low:.4g} to {high:.4g}, which the file takes as {dtype} (scale {found.scale:.4g}, zero point {found.zero_point})"


def _rescaling_in_words(config: Mapping[str, Any]) -> str:
    scale, offset = config.get("scale", 1.0), config.get("offset", 0.0)
    if not isinstance(scale, int | float) or not isinstance(offset, int | float) or scale == 0:
        return "Rescaling"
    text = f"x / {1 / scale:.6g}" if abs(scale) < 1 else f"{scale:.6g} x"
    if offset:
        text += f" {'+' if offset > 0 else '-'} {abs(offset):.6g}"
    return f"Rescaling ({text})"
