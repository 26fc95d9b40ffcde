"""From a data source to a Dataset: pick the reader, understand the labels, split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.errors import InputError
from optimizer.job import DataSource
from optimizer.sources.dataset import Array, Dataset, Split
from optimizer.sources.joined import JoinedSamples, parts_of
from optimizer.sources.readers.bundled import BUNDLED, parts_sha256, read_bundled
from optimizer.sources.readers.images import read_image_folders
from optimizer.sources.readers.labels import Labels, understand_labels
from optimizer.sources.readers.npz import read_npz
from optimizer.sources.readers.parts import MAX_SAMPLES, Parts, file_sha256
from optimizer.sources.readers.splits import split_indices
from optimizer.sources.readers.table import read_csv

Reader = Callable[[Path, str, str, Sequence[str]], Parts]

READERS: dict[str, Reader] = {
    ".npz": lambda path, name, label, inputs: read_npz(path, name, inputs),
    ".csv": lambda path, name, label, inputs: read_csv(path, name, label),
    ".zip": lambda path, name, label, inputs: read_image_folders(path, name),
}
"""Reader of each extension: (path, name for errors, label column, names of a model's several inputs) -> Parts."""


def read_dataset(source: DataSource, *, seed: int, inputs: Sequence[str] = ()) -> Dataset:
    """Read a file or a bundled set, and split it into train, calibration, validation and test.

    The same source and seed give the same splits. Where the data bring a test part it is the test split, untouched.

    Args:
        source: The file, or the name of a bundled set.
        seed: Of the splits.
        inputs: Names of the inputs of a model that has several, for an error that says what to bring.

    Raises:
        InputError: The data are at fault; see the readers for the codes.
    """
    if source.path is None:
        parts = read_bundled(source.name)
        sha256 = parts_sha256(parts)
    else:
        parts = _read_file(source.path, source.name, source.label, inputs)
        sha256 = file_sha256(source.path)
    if source.test_path is not None:
        parts = _with_test_file(parts, source, inputs)
        sha256 = hashlib.sha256(f"{sha256}{file_sha256(source.test_path)}".encode()).hexdigest()
    for place, x in parts_of(parts.x, f"{source.name}, x").items():
        _check_samples(x, parts.y, place)
    for place, x in parts_of(parts.x_test, f"{source.name}, x_test").items():
        if x is not None:
            _check_samples(x, parts.y_test, place)
    labels, y, y_test = _understand(parts, source.name)
    return _split(parts, labels, y, y_test, name=source.name, sha256=sha256, seed=seed)


def _read_file(path: Path, name: str, label: str, inputs: Sequence[str]) -> Parts:
    suffix = Path(name).suffix.lower()
    reader = READERS.get(suffix)
    if reader is None:
        raise InputError(
            "This kind of data file is not known",
            code="UNSUPPORTED_FORMAT",
            place=name,
            expected="a name that ends in " + ", ".join(READERS) + ", or one of the bundled sets " + ", ".join(BUNDLED),
            received=suffix or "no extension",
        )
    if not path.is_file():
        raise InputError("There is no such file", code="NOT_FOUND", place=name)
    if path.stat().st_size == 0:
        raise InputError("The file is empty", code="EMPTY", place=name)
    return reader(path, name, label, inputs)


def _with_test_file(parts: Parts, source: DataSource, inputs: Sequence[str]) -> Parts:
    """The same data with the test split of a second file (its x_test where it has one, all of it otherwise)."""
    path = source.test_path
    if path is None:
        return parts
    # A stored file is named by its hash: without an extension of its own it is of the first file's kind.
    name = path.name if path.suffix.lower() in READERS else f"test data of {source.name}"
    test = _read_file(path, name, source.label, inputs)
    x_test, y_test = (test.x, test.y) if test.x_test is None else (test.x_test, test.y_test)
    if parts.y is not None and y_test is None:
        raise InputError("The training file has labels and the test file has none", code="DATA_MISMATCH", place=name)
    if test.class_names != parts.class_names:
        raise InputError(
            "The test file has other classes than the training file",
            code="DATA_MISMATCH",
            place=name,
            expected=", ".join(parts.class_names),
            received=", ".join(test.class_names),
        )
    return replace(parts, x_test=x_test, y_test=y_test, notes=(*parts.notes, *test.notes))


def _check_samples(x: Array, y: Array | None, place: str) -> None:
    if x.dtype.kind not in "biuf":
        raise InputError("The samples are not numbers", code="BAD_ARRAY", place=place, received=str(x.dtype))
    if x.ndim == 0 or len(x) == 0 or 0 in x.shape:
        raise InputError("There are no samples", code="TOO_FEW_SAMPLES", place=place, received=f"shape {x.shape}")
    if len(x) > MAX_SAMPLES:
        raise InputError(
            "There are too many samples", code="TOO_MANY", place=place, received=f"{len(x):,}", limit=f"{MAX_SAMPLES:,}"
        )
    if y is not None and len(np.atleast_1d(y)) != len(x):
        received = f"{len(x):,} samples and {len(np.atleast_1d(y)):,} labels"
        raise InputError("The numbers of samples and labels differ", code="BAD_ARRAY", place=place, received=received)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0][0])
        raise InputError(
            "The samples contain NaN or infinity",
            code="NON_FINITE",
            place=place,
            received=f"first at sample {row} (from 0)",
            fix="Remove or fill those values before training and here in the same way.",
        )


def _understand(parts: Parts, name: str) -> tuple[Labels, Array | None, Array | None]:
    """Labels of both parts, understood together so that one class has one number in both."""
    if parts.y is None or parts.y_test is None:
        only = parts.y_test if parts.y is None else parts.y
        labels = understand_labels(only, place=f"{name}, labels", floats_are_values=parts.floats_are_values)
        return (labels, None, labels.y) if parts.y is None else (labels, labels.y, None)
    if parts.y.shape[1:] != parts.y_test.shape[1:]:
        received = f"shapes {parts.y.shape} and {parts.y_test.shape}"
        raise InputError(
            "The labels of the train and test parts differ in shape", code="BAD_ARRAY", place=name, received=received
        )
    if (parts.y.dtype.kind in "US") != (parts.y_test.dtype.kind in "US"):
        raise InputError("The labels are text in one part and numbers in the other", code="BAD_ARRAY", place=name)
    both = np.concatenate([parts.y, parts.y_test])
    labels = understand_labels(both, place=f"{name}, labels", floats_are_values=parts.floats_are_values)
    if labels.y is None:
        return labels, None, None
    return labels, labels.y[: len(parts.y)], labels.y[len(parts.y) :]


def _split(parts: Parts, labels: Labels, y: Array | None, y_test: Array | None, *, name: str, sha256: str, seed: int) -> Dataset:
    x, x_test = _columned(parts.x), _columned(parts.x_test)
    if x_test is not None and _shapes(x_test) != _shapes(x):
        received = f"train {_shapes(x)} and test {_shapes(x_test)}"
        raise InputError("The samples of train and test differ in shape", code="BAD_ARRAY", place=name, received=received)
    if len({len(part) for part in parts_of(x, "").values()}) > 1:
        raise InputError("The inputs differ in their number of samples", code="BAD_ARRAY", place=name)
    classes = y if labels.kind == "class" else None
    chosen = split_indices(len(x), classes, seed=seed, with_test=x_test is None, place=name)

    def part(indices: Array) -> Split:
        return Split(x=x[indices], y=None if y is None else y[indices])

    test = part(chosen.test) if chosen.test is not None else Split(x=x if x_test is None else x_test, y=y_test)
    notes = [*parts.notes, *labels.notes]
    if classes is not None and not chosen.stratified:
        notes.append("Some classes have too few samples to be in every split, so the splits are drawn at random.")
    return Dataset(
        name=name,
        sha256=sha256,
        kind=_kind(parts, x),
        labels=labels.kind,
        class_names=_class_names(parts, labels),
        train=part(chosen.train),
        calibration=part(chosen.calibration),
        validation=part(chosen.validation),
        test=test,
        notes=tuple(notes),
        output_name=parts.output_name,
    )


def _columned(x: Any) -> Any:
    """Samples of a single number each as a column (n, 1)."""
    if isinstance(x, JoinedSamples):
        return JoinedSamples({name: _columned(array) for name, array in x.arrays.items()})
    return x.reshape(-1, 1) if x is not None and x.ndim == 1 else x


def _shapes(x: Any) -> Any:
    """Shape of a sample, or of each of its parts by name."""
    if isinstance(x, JoinedSamples):
        return {name: array.shape[1:] for name, array in sorted(x.arrays.items())}
    return x.shape[1:]


def _kind(parts: Parts, x: Any) -> str:
    """Arrays that look like pictures are called so: (n, h, w) or (n, h, w, 1 | 3 | 4) with at least 8 pixels a side."""
    if parts.kind != "arrays" or isinstance(x, JoinedSamples):
        return parts.kind
    picture = (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3, 4))) and min(x.shape[1:3]) >= 8
    if picture and (x.ndim == 4 or x.dtype == np.uint8):
        return "images"
    return "table" if x.ndim == 2 else "arrays"


def _class_names(parts: Parts, labels: Labels) -> tuple[str, ...]:
    if labels.kind == "class" and len(parts.class_names) >= len(labels.class_names):
        return parts.class_names
    return labels.class_names
