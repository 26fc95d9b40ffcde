"""Texts in the attributes of an HDF5 file, taken from its bytes and bounded before they are loaded.

libhdf5 tells the length of a text of variable length only after it has loaded it, believes a length of four gigabytes, loads one text as
often as it is referred to, and goes round for ever in a heap with an entry of no size. So such texts are followed by hand: from the object's
header to the attribute's message, from there to the global heap.
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html (III.E, IV.A.1, IV.A.2.m)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from optimizer.errors import InputError, printable
from optimizer.sources.limits import MAX_CONFIG_BYTES, MAX_FILE_BYTES, MAX_TEXTS_BYTES

_ADDRESS_BYTES = 8
_REFERENCE_BYTES = 4 + _ADDRESS_BYTES + 4
_HEAP_MARK, _HEAP_HEAD_BYTES, _HEAP_ENTRY_BYTES = b"GCOL\x01\0\0\0", 16, 16
_HEAP_ROUNDING_BYTES = 64 * 1024
_MAX_HEADER_BYTES = 16 * 1024**2
_MAX_HEADER_PIECES = 1_000
_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_SHARED = 2
Heap = dict[int, tuple[int, int]]
"""Number of an entry -> where its bytes begin and how many they are."""


class AttributeTexts:
    """Reads text attributes of one file. Damage raises ValueError, whatever `hdf5.opened` makes of that.

    Args:
        path: The file.
        place: What the person calls it.
    """

    def __init__(self, path: Path, place: str) -> None:
        self._path, self._place = path, place
        self._heaps: dict[int, Heap] = {}
        self._loaded_bytes = 0

    def one(self, item: h5py.Group, key: str, limit: int = MAX_CONFIG_BYTES) -> str | None:
        """A text attribute, None where there is none. Raises InputError TOO_LARGE, BAD_CONFIG, NOT_A_MODEL."""
        if key not in item.attrs:
            return None
        texts = self.all(item, key)
        if len(texts) != 1:
            raise InputError(
                f"The attribute {key} is not one text", code="BAD_CONFIG", place=self._place, received=str(len(texts))
            )
        if len(texts[0]) > limit:
            raise self._too_large(key, len(texts[0]), limit)
        return texts[0]

    def all(self, item: h5py.Group, key: str) -> list[str]:
        """The texts that an attribute holds; none where it is empty.

        Raises:
            InputError: TOO_LARGE, NOT_A_MODEL.
            ValueError: It is no text, or damaged.
        """
        attribute = item.attrs.get_id(key)
        if 0 in attribute.shape:
            return []
        kind = attribute.get_type()
        if kind.get_class() != h5py.h5t.STRING:
            raise ValueError(f"the attribute {printable(key, 60)} is not text")
        if kind.is_variable_str():
            with self._path.open("rb") as file:
                found = self._followed(file, item, key, math.prod(attribute.shape))
        else:
            found = [bytes(value) for value in np.atleast_1d(item.attrs[key]).ravel()]
        return [value.decode("utf-8", "replace") for value in found]

    def _followed(self, file: BinaryIO, item: h5py.Group, key: str, count: int) -> list[bytes]:
        if item.file.id.get_create_plist().get_sizes() != (_ADDRESS_BYTES, _ADDRESS_BYTES):
            raise ValueError("addresses of an unusual size")
        address = h5py.h5o.get_info(item.id).addr
        data = next((data for name, data in _attributes(file, address) if name == key.encode()), b"")
        if len(data) < _REFERENCE_BYTES * count:
            raise InputError(
                f"The attribute {printable(key, 60)} is not where Keras writes it",
                code="NOT_A_MODEL",
                place=self._place,
                expected="the object's header, of a size that fits its shape",
                fix="Save the model again with model.save(...).",
            )
        references = [data[n * _REFERENCE_BYTES : (n + 1) * _REFERENCE_BYTES] for n in range(count)]
        total = sum(_number(reference[:4]) for reference in references)
        if total > MAX_CONFIG_BYTES:
            raise self._too_large(key, total, MAX_CONFIG_BYTES)
        return [self._text(file, key, reference) for reference in references]

    def _text(self, file: BinaryIO, key: str, reference: bytes) -> bytes:
        length, address, number = (_number(reference[a:b]) for a, b in ((0, 4), (4, 12), (12, 16)))
        if length == 0:
            return b""
        start, size = self._heap(file, key, address).get(number, (0, -1))
        if size != length:
            raise ValueError(f"a text of the attribute {printable(key, 60)} is not there")
        self._count(key, length)
        return _read(file, start, length).split(b"\0", 1)[0]

    def _heap(self, file: BinaryIO, key: str, address: int) -> Heap:
        if address not in self._heaps:
            head = _read(file, address, _HEAP_HEAD_BYTES)
            if not head.startswith(_HEAP_MARK):
                raise ValueError("a text lies outside of every heap")
            size = _number(head[8:])
            if size > MAX_CONFIG_BYTES + _HEAP_ROUNDING_BYTES:
                raise self._too_large(key, size, MAX_CONFIG_BYTES)
            self._count(key, size)
            self._heaps[address] = _entries(_read(file, address, size), address, size)
        return self._heaps[address]

    def _count(self, key: str, size: int) -> None:
        self._loaded_bytes += size
        if self._loaded_bytes > MAX_TEXTS_BYTES:
            raise self._too_large(key, self._loaded_bytes, MAX_TEXTS_BYTES)

    def _too_large(self, key: str, size: int, limit: int) -> InputError:
        return InputError(
            f"The attribute {printable(key, 60)} is too large",
            code="TOO_LARGE",
            place=self._place,
            received=f"{size:,} bytes",
            limit=f"{limit:,} bytes",
        )


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    """What stands there; less where the file ends before. Raises ValueError for places that no file has."""
    if place > MAX_FILE_BYTES or size < 0:
        raise ValueError("an address is damaged")
    file.seek(place)
    return file.read(size)


def _entries(content: bytes, address: int, size: int) -> Heap:
    """What a heap holds. Raises ValueError where it is damaged."""
    if len(content) != size:
        raise ValueError("a heap of texts is cut off")
    found: Heap = {}
    place = _HEAP_HEAD_BYTES
    while place + _HEAP_ENTRY_BYTES <= size:
        number, length = _number(content[place : place + 2]), _number(content[place + 8 : place + 16])
        if number == 0:  # What is free, up to the end.
            if length < _HEAP_ENTRY_BYTES or place + length != size:
                raise ValueError("a heap of texts is damaged")
            break
        found[number] = (address + place + _HEAP_ENTRY_BYTES, length)
        place += _HEAP_ENTRY_BYTES + -(-length // 8) * 8
        if place > size:
            raise ValueError("a heap of texts is damaged")
    return found


@dataclass(frozen=True)
class _Form:
    """How the messages of an object's header are written: bytes of type, of the whole head, and of the checksum that ends a piece."""

    type_bytes: int
    head_bytes: int
    checksum_bytes: int = 0


def _attributes(file: BinaryIO, address: int) -> Iterator[tuple[bytes, bytes]]:
    """Names and raw values of the attributes that stand in an object's header."""
    for kind, flags, data in _messages(file, address):
        if kind != _ATTRIBUTE or flags & _SHARED or len(data) < 9:
            continue
        name_bytes, type_bytes, space_bytes = (_number(data[n : n + 2]) for n in (2, 4, 6))
        unit, place = (8, 8) if data[0] == 1 else (1, 8 if data[0] == 2 else 9)
        name = data[place : place + name_bytes]
        for size in (name_bytes, type_bytes, space_bytes):
            place += -(-size // unit) * unit
        yield name.split(b"\0", 1)[0], data[place:]


def _messages(file: BinaryIO, address: int) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and content of every message of an object's header, in both of its forms."""
    head = _read(file, address, 32)
    if head.startswith(b"OHDR\x02"):
        flags = head[5]
        start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        size_bytes = 1 << (flags & 3)
        form = _Form(1, 6 if flags & 4 else 4, checksum_bytes=4)
        size = _number(head[start : start + size_bytes])
        pieces = [(address + start + size_bytes, size)]
    elif head[:1] == b"\x01":
        form = _Form(2, 8)
        pieces = [(address + 16, _number(head[8:12]))]
    else:
        raise ValueError("an object's header is damaged")
    total = 0
    for count, (place, size) in enumerate(pieces):
        total += size
        if count > _MAX_HEADER_PIECES or total > _MAX_HEADER_BYTES:
            raise ValueError("an object's header is damaged")
        for kind, flags, data in _cut(_read(file, place, size), form):
            if kind == _CONTINUATION:
                place, size = _number(data[:8]), _number(data[8:16])
                skipped = 4 if form.checksum_bytes else 0  # The mark "OCHK".
                pieces.append((place + skipped, size - skipped - form.checksum_bytes))
            yield kind, flags, data


def _cut(content: bytes, form: _Form) -> Iterator[tuple[int, int, bytes]]:
    place = 0
    while place + form.head_bytes <= len(content):
        kind = _number(content[place : place + form.type_bytes])
        size = _number(content[place + form.type_bytes : place + form.type_bytes + 2])
        flags = content[place + form.type_bytes + 2]
        place += form.head_bytes
        yield kind, flags, content[place : place + size]
        place += size


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
