"""NumPy archives (.npz): headers and sizes are checked before a single array is read, and nothing is ever unpickled."""

from __future__ import annotations

import math
import re
import tokenize
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from optimizer.errors import InputError
from optimizer.sources.damage import ZIP_DAMAGE
from optimizer.sources.dataset import Array
from optimizer.sources.joined import JoinedSamples
from optimizer.sources.readers.parts import MAX_DATA_BYTES, Parts, in_megabytes

MAX_ARRAYS = 64
MAX_RATIO = 100
"""Largest ratio of unpacked to stored size for arrays above MIN_RATIO_BYTES; real data stays under 20."""
MIN_RATIO_BYTES = 64 * 1024**2
MAX_HEADER_BYTES = 10_000
HEADER_DAMAGE = (ValueError, TypeError, KeyError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError, OverflowError)
"""What NumPy raises on headers that are no header: it takes them apart as Python text."""
NAMED = re.compile(r"(x_train|x_test|y_train|y_test|x(?!_train|_test)|y(?!_train|_test))(?:_(.+))?")
"""The arrays that a data set can use: the part, and the input or output that it belongs to where there are several."""
KNOWN_NAMES = "x_train, y_train, x_test, y_test, or x and y, or x alone"


def read_npz(path: Path, name: str, inputs: Sequence[str] = ()) -> Parts:
    """Read x_train, y_train and, where they are, x_test and y_test; or x and y; or x alone.

    A model of several inputs takes x_train_<input> (or x_train_0, x_train_1) for each, one of several outputs y_train_<output>.

    `inputs` are the names of the inputs of a model that has several, for errors.

    Labels of the test part alone are fine for anomaly detection: an autoencoder learns from normal samples without labels.

    Raises:
        InputError: BAD_ZIP, ENCRYPTED, PICKLE_REFUSED, BAD_ARRAY, MISSING_ARRAY, TOO_LARGE, TOO_MANY.
    """
    arrays, names = _read_arrays(path, name)
    x, x_test = _samples(arrays, "x_train") or _samples(arrays, "x"), _samples(arrays, "x_test")
    output_name, notes = _named_output(arrays)
    y, y_test = (arrays.get(part) for part in (_with_name("y_train", output_name), _with_name("y_test", output_name)))
    y = arrays.get(_with_name("y", output_name)) if y is None else y
    if x is None and x_test is not None:
        # A file that holds a test split only: all that a second file for the test split needs.
        x, y, x_test, y_test = x_test, y_test, None, None
    if x is None:
        raise _missing(name, _names_of_samples(inputs), names, inputs)
    if x_test is not None and y is not None and y_test is None:
        raise _missing(name, "y_test beside y_train", names, inputs)
    return Parts(x=_single(x), y=y, x_test=_single(x_test), y_test=y_test, kind="arrays", output_name=output_name, notes=notes)


def _samples(arrays: Mapping[str, Array], part: str) -> JoinedSamples | None:
    """The array of that name, or those of several inputs: x_train_left, x_train_right; None where there is neither."""
    if part in arrays:
        return JoinedSamples({"": arrays[part]})
    named = {match[2]: array for key, array in arrays.items() if (match := NAMED.fullmatch(key)) and match[1] == part}
    return JoinedSamples(named) if named else None


def _single(samples: JoinedSamples | None) -> Any:
    """A lone array for one input."""
    if samples is None or len(samples.arrays) > 1:
        return samples
    return next(iter(samples.arrays.values()))


def _with_name(part: str, output_name: str) -> str:
    return f"{part}_{output_name}" if output_name else part


def _named_output(arrays: Mapping[str, Array]) -> tuple[str, tuple[str, ...]]:
    """The first output in the file that has labels of its own (y_train_price), "" where the labels name none; and what is to be said of it."""
    if {"y", "y_train", "y_test"} & arrays.keys():
        return "", ()
    found = list(dict.fromkeys(match[2] for key in arrays if (match := NAMED.fullmatch(key)) and match[1][0] == "y"))
    if not found:
        return "", ()
    left = f" The labels of {', '.join(found[1:])} are not used." if found[1:] else ""
    return found[0], (f"The labels are those of the output {found[0]}.{left}",)


def _names_of_samples(inputs: Sequence[str]) -> str:
    if not inputs:
        return f"{KNOWN_NAMES}; for a model of several inputs x_train_<input> for each of them"
    listed = ", ".join(f"x_train_{name}" for name in inputs)
    return f"{listed} (or x_train_0, x_train_1, ... in that order), y_train, and likewise x_test_... and y_test; or x_... and y"


def _missing(name: str, expected: str, names: list[str], inputs: Sequence[str]) -> InputError:
    samples = ", ".join(f"x_train_{one}=..." for one in inputs) or "x_train=..."
    tests = ", ".join(f"x_test_{one}=..." for one in inputs) or "x_test=..."
    return InputError(
        "An array is missing",
        code="MISSING_ARRAY",
        place=name,
        expected=expected,
        received=", ".join(sorted(names)) or "no array at all",
        fix=f"Save it with np.savez_compressed(path, {samples}, y_train=..., {tests}, y_test=...).",
    )


def _read_arrays(path: Path, name: str) -> tuple[dict[str, Array], list[str]]:
    """The arrays that a data set can use, and the names of all arrays in the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(archive, name)
            total = 0
            for member in members:
                total += _checked_size(archive, member, name)
            if total > MAX_DATA_BYTES:
                raise _too_large(name, total)
            used = [member for member in members if NAMED.fullmatch(member.filename[:-4].lower())]
            arrays = {member.filename[:-4].lower(): _read_array(archive, member, name) for member in used}
            return arrays, [member.filename[:-4] for member in members]
    except InputError:
        raise
    except ZIP_DAMAGE as error:
        raise InputError("The .npz archive is damaged", code="BAD_ZIP", place=name, received=str(error)) from error


def _checked_members(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MAX_ARRAYS:
        raise InputError(
            "The .npz holds too many arrays", code="TOO_MANY", place=name, received=str(len(members)), limit=str(MAX_ARRAYS)
        )
    seen: set[str] = set()
    for member in members:
        if member.flag_bits & 1:
            raise InputError("The archive is encrypted", code="ENCRYPTED", place=name, fix="Save it again without a password.")
        if not member.filename.endswith(".npy"):
            raise InputError("The .npz holds something that is no array", code="BAD_ARRAY", place=name, received=member.filename)
        if member.filename.lower() in seen:
            raise InputError("The .npz holds two arrays of one name", code="DUPLICATE", place=name, received=member.filename)
        seen.add(member.filename.lower())
    return members


def _checked_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> int:
    """Bytes of one array according to its header, which must agree with what the archive stores. Raises InputError."""
    place = f"{name}, array {member.filename[:-4]}"
    if member.file_size > MIN_RATIO_BYTES and member.file_size > MAX_RATIO * max(member.compress_size, 1):
        raise InputError(
            "The array unpacks to far more than the file holds",
            code="TOO_LARGE",
            place=place,
            received=f"{in_megabytes(member.file_size)} from {in_megabytes(member.compress_size)}",
            limit=f"{MAX_RATIO} times",
        )
    with archive.open(member) as file:
        shape, dtype, header_bytes = _read_header(file, place)
    if dtype.hasobject:
        raise InputError(
            "The array holds Python objects, which only code in the file could rebuild",
            code="PICKLE_REFUSED",
            place=place,
            fix="Save plain numbers: np.asarray(values, dtype=np.float32).",
        )
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_DATA_BYTES:
        raise _too_large(place, size)
    if min(shape, default=0) < 0 or header_bytes + size != member.file_size:
        raise InputError(
            "The array's header does not agree with its data",
            code="BAD_ARRAY",
            place=place,
            expected=f"shape {shape} of {dtype}, {size:,} bytes",
            received=f"{max(0, member.file_size - header_bytes):,} bytes",
        )
    return size


def _read_header(file: IO[bytes], place: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, dtype and header length of a .npy. Raises InputError BAD_ARRAY."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file, max_header_size=MAX_HEADER_BYTES)
    except HEADER_DAMAGE as error:
        raise InputError("The array has no readable header", code="BAD_ARRAY", place=place, received=str(error)) from error
    return shape, dtype, file.tell()


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Array:
    try:
        with archive.open(member) as file:
            array = np.lib.format.read_array(file, allow_pickle=False, max_header_size=MAX_HEADER_BYTES)
    except ValueError as error:
        place = f"{name}, array {member.filename[:-4]}"
        raise InputError("The array could not be read", code="BAD_ARRAY", place=place, received=str(error)) from error
    return np.asarray(array)


def _too_large(place: str, size: int) -> InputError:
    return InputError(
        "The data are too large",
        code="TOO_LARGE",
        place=place,
        received=in_megabytes(size),
        limit=in_megabytes(MAX_DATA_BYTES),
        fix="Keep fewer samples, or store whole numbers as uint8.",
    )
