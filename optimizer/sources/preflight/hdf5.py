"""HDF5 read with h5py alone: only what lies inside the file itself, and only as much as it really stores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py

from optimizer.errors import InputError
from optimizer.sources.limits import MAX_CONFIG_BYTES, MAX_FILL_BYTES, MAX_HDF5_OBJECTS, MAX_ZIP_RATIO
from optimizer.sources.preflight.hdf5_texts import AttributeTexts

Stored = dict[str, tuple[int, ...]]
"""Shape of each data set by its path within a group, in the order of `weight_names` or of the path."""


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
            key.encode()  # h5py makes halves of characters of bytes that are no Unicode; this is a ValueError then.
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
        raise InputError(
            "The file holds data that are no numbers",
            code="NOT_A_MODEL",
            place=place,
            received=where,
            fix="If these are weights in bfloat16: save the model in float32.",
        )
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


def _names(item: h5py.Group, key: str, texts: AttributeTexts) -> list[str]:
    """A list of names, which Keras splits into key0, key1, ... where it is long."""
    pieces = [key]
    if key not in item.attrs:
        pieces = list(itertools.takewhile(lambda piece: piece in item.attrs, (f"{key}{n}" for n in itertools.count())))
    return [text for piece in pieces for text in texts.all(item, piece)]


def legacy_weights(group: h5py.Group, texts: AttributeTexts) -> dict[str, Stored]:
    """Weights of a whole-model .h5 by layer, in Keras's order: {"conv2d": {"conv2d/kernel:0": (3, 3, 1, 8), ...}, ...}."""
    found: dict[str, Stored] = {}
    # A layer's name may hold slashes, and is then a path of groups: the keys of the group do not tell the layers.
    for layer in _names(group, "layer_names", texts):
        names = _names(group[layer], "weight_names", texts)
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
