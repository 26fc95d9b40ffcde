"""HDF5 read with h5py alone: only what lies inside the file itself, and only as much as it really stores."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from optimizer.errors import InputError, printable
from optimizer.sources.limits import MAX_CONFIG_BYTES, MAX_FILL_BYTES, MAX_HDF5_OBJECTS, MAX_TEXTS_BYTES, MAX_ZIP_RATIO

Stored = dict[str, tuple[int, ...]]
"""Shape of each data set by its path within a group, in the order of `weight_names` or of the path."""

HEAP_MARK = b"GCOL"
_HEAP_HEAD_BYTES = 16
_SCAN_BYTES = 4 * 1024**2


@contextmanager
def opened(source: Path | IO[bytes], place: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading after its links are checked. Raises InputError TRUNCATED, EXTERNAL_DATA, TOO_LARGE."""
    try:
        with h5py.File(source, "r") as file:
            check_inside(file, place)
            yield file
    # h5py reports damage with whatever the C library met on its way.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "The file is cut off or damaged",
            code="TRUNCATED",
            place=place,
            received=str(error),
            fix="Copy or download it again, and compare the sizes.",
        ) from error


def check_inside(file: h5py.File, place: str) -> None:
    """Walk every link: hard links only, no external or virtual storage, no claims beyond what is stored.

    Raises:
        InputError: EXTERNAL_DATA, TOO_LARGE.
    """
    pending: list[tuple[str, h5py.Group]] = [("", file)]
    seen: set[Any] = {file.id.__hash__()}
    count = 0
    while pending:
        path, group = pending.pop()
        _check_attributes(group, place, path)
        for key in group:
            count += 1
            if count > MAX_HDF5_OBJECTS:
                raise InputError("The file holds too many objects", code="TOO_LARGE", place=place, limit=f"{MAX_HDF5_OBJECTS:,}")
            where = f"{path}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise _outside(place, where, "a link")
            item = group.get(key)
            if isinstance(item, h5py.Dataset):
                _check_dataset(item, place, where)
            elif isinstance(item, h5py.Group):
                address = h5py.h5o.get_info(item.id).addr
                if address not in seen:
                    seen.add(address)
                    pending.append((where, item))
            else:
                raise InputError("The file holds an object that no model has", code="NOT_A_MODEL", place=place, received=where)


def _check_attributes(group: h5py.Group, place: str, where: str) -> None:
    """Bound what reading an attribute would load: libhdf5 takes all of it into memory as soon as it is opened."""
    size = h5py.h5o.get_info(group.id).meta_size.attr.heap_size
    if size > 2 * MAX_CONFIG_BYTES:
        raise InputError(
            "An attribute is too large",
            code="TOO_LARGE",
            place=f"{place}, {where or '/'}",
            received=f"{size:,} bytes",
            limit=f"{2 * MAX_CONFIG_BYTES:,}",
        )


def _check_dataset(item: h5py.Dataset, place: str, where: str) -> None:
    if item.external:
        raise _outside(place, where, "external storage")
    if item.is_virtual:
        raise _outside(place, where, "a virtual data set")
    if item.dtype.kind not in "fiub":
        raise InputError("The file holds data that are no numbers", code="NOT_A_MODEL", place=place, received=where)
    stored = item.id.get_storage_size()
    if item.nbytes > MAX_FILL_BYTES + MAX_ZIP_RATIO * stored:
        raise InputError(
            "A weight claims more than the file holds",
            code="TOO_LARGE",
            place=f"{place}, {where}",
            received=f"{item.nbytes:,} bytes claimed, {stored:,} stored",
            limit=f"{MAX_ZIP_RATIO} times",
        )


def _outside(place: str, where: str, kind: str) -> InputError:
    return InputError(
        "The file points outside itself",
        code="EXTERNAL_DATA",
        place=f"{place}, {where}",
        received=kind,
        fix="Save the model again with model.save(...): Keras keeps all weights inside the file.",
    )


def _attribute_texts(item: h5py.Group, key: str) -> list[str]:
    """The texts that an attribute holds; none where it is empty.

    Only strings are read: libhdf5 has been seen to crash on damaged attributes of other types with variable length.

    Raises:
        ValueError: It holds something else.
    """
    attribute = item.attrs.get_id(key)
    if 0 in attribute.shape:
        return []
    kind = attribute.get_type()
    if kind.get_class() != h5py.h5t.STRING:
        raise ValueError(f"the attribute {printable(key, 60)} is not text")
    if kind.is_variable_str():
        _check_heap(Path(item.file.filename), key, math.prod(attribute.shape))
    found = item.attrs[key]
    # An array of numpy gives every text the room of the longest.
    values = found.ravel() if isinstance(found, np.ndarray) else [found]
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]


def _check_heap(path: Path, key: str, count: int) -> None:
    """Bound what reading `count` texts of variable length would load: all of them may point at one piece of the file.

    Raises:
        InputError: TOO_LARGE.
    """
    found = path.stat()
    largest = _largest_heap_bytes(path, found.st_size, found.st_mtime_ns)
    # A heap rounds up, and holds a few small texts beside its one large one.
    if largest > MAX_CONFIG_BYTES + MAX_FILL_BYTES or largest * count > MAX_TEXTS_BYTES:
        raise InputError(
            f"The attribute {printable(key, 60)} is too large",
            code="TOO_LARGE",
            place=path.name,
            received=f"{count:,} {'text' if count == 1 else 'texts'} of up to {largest:,} bytes",
            limit=f"{MAX_CONFIG_BYTES:,} bytes each, {MAX_TEXTS_BYTES:,} together",
        )


@functools.lru_cache(maxsize=1)
def _largest_heap_bytes(path: Path, file_bytes: int, changed_ns: int) -> int:
    """Size of the largest global heap, where texts of variable length lie, by the mark that libhdf5 asks of each.

    The HDF5 library does not tell the length of such an attribute before it has loaded it.
    https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html (III.E. Global Heap)
    """
    del changed_ns
    largest, rest, start = 0, b"", 0
    with path.open("rb") as file:
        while chunk := file.read(_SCAN_BYTES):
            chunk = rest + chunk
            place = chunk.find(HEAP_MARK)
            while 0 <= place <= len(chunk) - _HEAP_HEAD_BYTES:
                claimed = int.from_bytes(chunk[place + 8 : place + _HEAP_HEAD_BYTES], "little")
                largest = max(largest, min(claimed, file_bytes - start - place))
                place = chunk.find(HEAP_MARK, place + 1)
            rest = chunk[-(_HEAP_HEAD_BYTES - 1) :]
            start += len(chunk) - len(rest)
    return largest


def text_attribute(item: h5py.Group, key: str, place: str, limit: int = MAX_CONFIG_BYTES) -> str | None:
    """A text attribute, None where there is none. Raises InputError TOO_LARGE, BAD_CONFIG."""
    if key not in item.attrs:
        return None
    texts = _attribute_texts(item, key)
    if len(texts) != 1:
        raise InputError(f"The attribute {key} is not one text", code="BAD_CONFIG", place=place, received=str(len(texts)))
    if len(texts[0]) > limit:
        raise InputError(f"The attribute {key} is too large", code="TOO_LARGE", place=place, limit=f"{limit:,} bytes")
    return texts[0]


def _names(item: h5py.Group, key: str) -> list[str]:
    """A list of names, which Keras splits into key0, key1, ... where it is long."""
    pieces = [key]
    if key not in item.attrs:
        pieces = list(itertools.takewhile(lambda piece: piece in item.attrs, (f"{key}{n}" for n in itertools.count())))
    return [text for piece in pieces for text in _attribute_texts(item, piece)]


def legacy_weights(group: h5py.Group) -> dict[str, Stored]:
    """Weights of a whole-model .h5 by layer, in Keras's order: {"conv2d": {"conv2d/kernel:0": (3, 3, 1, 8), ...}, ...}."""
    found: dict[str, Stored] = {}
    # A layer's name may hold slashes, and is then a path of groups: the keys of the group do not tell the layers.
    for layer in _names(group, "layer_names"):
        names = _names(group[layer], "weight_names")
        found[layer] = {name: tuple(group[layer][name].shape) for name in names}
    return found


def checkpoint_weights(file: h5py.File) -> Stored:
    """Weights of a .keras archive by path, optimizer left out: {"layers/conv2d/vars/0": (3, 3, 1, 8), ...}."""
    found: Stored = {}

    def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[path] = tuple(item.shape)

    file.visititems(visit)
    return found
