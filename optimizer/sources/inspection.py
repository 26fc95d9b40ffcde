"""What the Model & Data page and `python -m optimizer inspect` show, as plain JSON. No TensorFlow."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.job import DataSource
from optimizer.sources.dataset import IGNORED, TASK_WORDS, Array, Dataset, PreparedData
from optimizer.sources.fit import prepare
from optimizer.sources.joined import JoinedSamples, parts_of
from optimizer.sources.keras_model import with_output_shapes
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.readers import read_dataset
from optimizer.sources.scaling import expected_range_in_words, value_range
from optimizer.sources.targets import SPLITS

MAX_PREVIEW = 24
MIN_PREVIEW_PIXELS = 48
MAX_PREVIEW_PIXELS = 256
MAX_PREVIEW_COLUMNS = 12


def inspect_model(path: Path, name: str) -> dict[str, Any]:
    """ModelSummary JSON of a model file, with `expects`: the values it takes, in words. Raises InputError."""
    summary = read_model_summary(path, name=name)
    return {**summary.to_json(), "expects": expected_range_in_words(summary)}


def inspect_data(source: DataSource, model_path: Path | None, model_name: str, seed: int) -> dict[str, Any]:
    """What was understood of a data set, matched to a model where one is given.

    Returns:
        name, sha256, kind, labels, inputs (of a model of several), task and task_words (None without a model), class_names,
        sample_shape, dtype, value_range, expects, splits (counts), class_balance (one record a class with its count in each split),
        notes, preview (up to 24 records of `label` and either `image`, a PNG in base64, or `row`, the first numbers).

    Raises:
        InputError: The data are at fault, or do not go with the model.
    """
    summary = None if model_path is None else read_model_summary(model_path, name=model_name)
    dataset = read_dataset(source, seed=seed, inputs=() if summary is None else summary.names_of_several_inputs)
    prepared: PreparedData | None = None
    expects = ""
    if summary is not None and model_path is not None:
        summary = with_output_shapes(model_path, summary)
        prepared = prepare(dataset, summary, source.task)
        dataset, expects = prepared.dataset, expected_range_in_words(summary)
    return {
        "name": dataset.name,
        "sha256": dataset.sha256,
        "kind": dataset.kind,
        "labels": dataset.labels,
        "task": None if prepared is None else prepared.task.value,
        "task_words": None if prepared is None else TASK_WORDS[prepared.task],
        "class_names": list(dataset.class_names),
        "sample_shape": list(_first(dataset.train.x).shape[1:]),
        "dtype": str(_first(dataset.train.x).dtype),
        "inputs": _inputs(dataset.train.x),
        "value_range": value_range(dataset),
        "expects": expects,
        "splits": dataset.counts(),
        "class_balance": class_balance(dataset),
        "notes": [*dataset.notes, *(() if prepared is None else prepared.notes)],
        "preview": preview(dataset),
    }


def class_balance(dataset: Dataset) -> list[dict[str, Any]]:
    """Samples (or steps) of each class in each split: [{"class": name, "train": n, ..., "total": n}, ...]; empty without classes."""
    if dataset.labels not in ("class", "steps", "labels"):
        return []
    count = len(dataset.class_names)
    columns: dict[str, Array] = {}
    for name in SPLITS:
        y = getattr(dataset, name).y
        columns[name] = np.zeros(count, np.int64) if y is None else _counts(y, dataset.labels, count)
    records = []
    for number, class_name in enumerate(dataset.class_names):
        counts = {name: int(column[number]) for name, column in columns.items()}
        records.append({"class": class_name, **counts, "total": sum(counts.values())})
    return records


def _counts(y: Array, labels: str, count: int) -> Array:
    """How often each class or label occurs."""
    if labels == "labels":
        return np.asarray(y.reshape((-1, y.shape[-1])).sum(axis=0, dtype=np.int64))
    return np.bincount(y[y != IGNORED], minlength=count)


def preview(dataset: Dataset) -> list[dict[str, Any]]:
    """Up to 24 training samples, the classes taking turns."""
    x, y = dataset.train.x, dataset.train.y
    low, high = (0.0, 1.0) if isinstance(x, JoinedSamples) else (float(x.min()), float(x.max()))
    records = []
    for number in _turns(dataset):
        label = None if y is None else _label_text(dataset, y[number])
        picture = as_picture(x[number], low, high) if dataset.kind == "images" else None
        row = None if picture else [float(f"{value:.6g}") for value in _flat(x[number])[:MAX_PREVIEW_COLUMNS].astype(np.float64)]
        records.append({"label": label, "image": picture, "row": row})
    return records


def _first(x: Any) -> Array:
    """The samples, those of the first input where there are several."""
    array: Array = next(iter(parts_of(x, "").values()))
    return array


def _inputs(x: Any) -> list[dict[str, Any]]:
    """Name, sample shape and dtype of each of several inputs; empty for one."""
    if not isinstance(x, JoinedSamples):
        return []
    return [{"name": name, "shape": list(array.shape[1:]), "dtype": str(array.dtype)} for name, array in x.arrays.items()]


def _flat(sample: Any) -> Array:
    """One sample's numbers, those of all inputs one after the other."""
    return np.concatenate([np.ravel(part) for part in parts_of(sample, "").values()])


def _turns(dataset: Dataset) -> list[int]:
    """Sample numbers: the first of each class, then the second of each, and so on."""
    y = dataset.train.y
    if dataset.labels != "class" or y is None:
        return list(range(min(MAX_PREVIEW, len(dataset.train))))
    seen: dict[int, int] = {}
    turns = []
    for number, label in enumerate(y.tolist()):
        seen[label] = seen.get(label, 0) + 1
        turns.append((seen[label], label, number))
    return [number for _, _, number in sorted(turns)[:MAX_PREVIEW]]


def _label_text(dataset: Dataset, value: Array) -> str:
    names = dataset.class_names
    if dataset.labels == "class" and int(value) < len(names):
        return names[int(value)]
    if dataset.labels == "labels" and value.shape == (len(names),):
        return ", ".join(names[number] for number in np.flatnonzero(value)[:6]) or "none"
    if dataset.labels == "steps":
        return " ".join(names[number] if number != IGNORED else "·" for number in np.ravel(value)[:8])
    return ", ".join(f"{number:.4g}" for number in np.ravel(value)[:4])


def as_picture(sample: Array, low: float, high: float) -> str:
    """One image (height, width) or (height, width, 1, 3 or 4) as a PNG in base64, `low` black and `high` white."""
    from PIL import Image

    pixels = np.asarray(sample, dtype=np.float32)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    pixels = pixels[..., :3] if pixels.ndim == 3 else pixels
    if not (low >= 0 and 128 <= high <= 255):
        pixels = (pixels - low) / max(high - low, 1e-12) * 255
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    factor = -(-MIN_PREVIEW_PIXELS // min(image.size))
    if factor > 1:
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.thumbnail((MAX_PREVIEW_PIXELS, MAX_PREVIEW_PIXELS))
    target = io.BytesIO()
    image.save(target, format="PNG")
    return base64.b64encode(target.getvalue()).decode("ascii")
