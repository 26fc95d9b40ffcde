"""A .tflite as bytes: every table, list and text that its schema can reach is checked to lie inside the file before it is read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.sources.preflight.litert_schema import KINDS, NUMBERS, TABLES, UNIONS

MAX_TABLES = 2_000_000
"""Tables that are followed; tables that share parts could multiply them without end."""


class FlatBufferError(ValueError):
    """Something in the file points outside of it or contradicts the schema."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of a verified file; fields are read by the names of the schema."""

    data: memoryview
    position: int
    name: str

    def _at(self, field: str) -> int:
        """Position of a field's value, 0 where the field is absent."""
        (back,) = struct.unpack_from("<i", self.data, self.position)
        vtable = self.position - back
        (size,) = struct.unpack_from("<H", self.data, vtable)
        slot = 4 + 2 * NUMBERS[self.name][field]
        if slot + 2 > size:
            return 0
        (offset,) = struct.unpack_from("<H", self.data, vtable + slot)
        return self.position + offset if offset else 0

    def _target(self, field: str) -> int:
        at = self._at(field)
        return at + int(struct.unpack_from("<I", self.data, at)[0]) if at else 0

    def number(self, field: str, kind: str = "I") -> int:
        """A whole number in the format of the struct module; 0 where absent."""
        at = self._at(field)
        return int(struct.unpack_from("<" + kind, self.data, at)[0]) if at else 0

    def has(self, field: str) -> bool:
        """Whether the field is there."""
        return self._at(field) > 0

    def text(self, field: str) -> str:
        """A text; "" where absent."""
        at = self._target(field)
        if not at:
            return ""
        (length,) = struct.unpack_from("<I", self.data, at)
        return bytes(self.data[at + 4 : at + 4 + length]).decode("utf-8", "replace")

    def values(self, field: str, kind: str = "<i4") -> npt.NDArray[Any]:
        """A list of scalars (n,) of the NumPy type `kind`; empty where absent."""
        at = self._target(field)
        if not at:
            return np.empty(0, kind)
        (length,) = struct.unpack_from("<I", self.data, at)
        return np.frombuffer(self.data, kind, count=length, offset=at + 4)

    def length(self, field: str) -> int:
        """Number of elements of a list."""
        at = self._target(field)
        return int(struct.unpack_from("<I", self.data, at)[0]) if at else 0

    def table(self, field: str) -> Table | None:
        """A table within this one, None where absent."""
        at = self._target(field)
        kind = KINDS[self.name][field]
        return Table(data=self.data, position=at, name=str(kind)) if at else None

    def union(self, field: str, kind: int) -> Table | None:
        """The table of a union of that kind, None where absent."""
        at = self._target(field)
        return Table(data=self.data, position=at, name=UNIONS[field][kind]) if at and kind else None

    def tables(self, field: str) -> list[Table]:
        """A list of tables."""
        at = self._target(field)
        if not at:
            return []
        (length,) = struct.unpack_from("<I", self.data, at)
        name = str(KINDS[self.name][field])[1:-1]
        offsets = np.frombuffer(self.data, "<u4", count=length, offset=at + 4)
        return [Table(data=self.data, position=at + 4 + 4 * n + int(o), name=name) for n, o in enumerate(offsets)]


def verified_root(data: memoryview, name: str = "Model") -> Table:
    """The root table, after all that it reaches has been checked. Raises FlatBufferError."""
    check = _Check(data)
    root = check.offset(0)
    pending = [(root, name)]
    seen: set[tuple[int, str]] = set()
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        if len(seen) > MAX_TABLES:
            raise FlatBufferError("there are too many tables")
        pending.extend(check.table(*item))
    return Table(data=data, position=root, name=name)


class _Check:
    """Bounds of one file."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._size = data, len(data)

    def _inside(self, position: int, length: int, what: str) -> None:
        if position < 0 or position + length > self._size:
            raise FlatBufferError(f"{what} at byte {position:,} lies outside the file")

    def _number(self, position: int, kind: str, what: str) -> int:
        self._inside(position, struct.calcsize(kind), what)
        return int(struct.unpack_from("<" + kind, self._data, position)[0])

    def offset(self, position: int) -> int:
        distance = self._number(position, "I", "an offset")
        if distance < 4:
            raise FlatBufferError(f"the offset at byte {position:,} leads nowhere")
        self._inside(position + distance, 4, "a target")
        return position + distance

    def table(self, position: int, name: str) -> Iterator[tuple[int, str]]:
        """Check one table; yields the tables that it holds."""
        back = self._number(position, "i", name)
        vtable = position - back
        vtable_size = self._number(vtable, "H", f"the layout of {name}")
        table_size = self._number(vtable + 2, "H", f"the layout of {name}")
        if vtable_size < 4 or vtable_size % 2 or table_size < 4:
            raise FlatBufferError(f"the layout of {name} at byte {vtable:,} is impossible")
        self._inside(vtable, vtable_size, f"the layout of {name}")
        self._inside(position, table_size, name)
        union_kind = 0
        for number, (field, kind) in enumerate(TABLES[name]):
            slot = 4 + 2 * number
            offset = self._number(vtable + slot, "H", name) if slot + 2 <= vtable_size else 0
            size = kind if isinstance(kind, int) else 4
            if offset and (offset < 4 or offset + size > table_size):
                raise FlatBufferError(f"{field} of {name} lies outside its table")
            at = position + offset if offset else 0
            if kind == 1:
                union_kind = self._number(at, "B", name) if at else 0
            elif at and isinstance(kind, str):
                yield from self._value(at, kind, field, union_kind, name)

    def _value(self, at: int, kind: str, field: str, union_kind: int, name: str) -> Iterator[tuple[int, str]]:
        target = self.offset(at)
        if kind == "union":
            if union_kind >= len(UNIONS[field]):
                raise FlatBufferError(f"{field} of {name} is of the unknown kind {union_kind}")
            if union_kind:
                yield target, UNIONS[field][union_kind]
        elif kind == "text":
            self._text(target, f"{field} of {name}")
        elif kind.startswith("["):
            yield from self._list(target, kind[1:-1], f"{field} of {name}")
        else:
            yield target, kind

    def _text(self, at: int, what: str) -> None:
        length = self._number(at, "I", what)
        self._inside(at + 4, length + 1, what)
        if self._data[at + 4 + length]:
            raise FlatBufferError(f"{what} does not end in a zero")

    def _list(self, at: int, element: str, what: str) -> Iterator[tuple[int, str]]:
        length = self._number(at, "I", what)
        self._inside(at + 4, length * (int(element) if element.isdigit() else 4), what)
        if element.isdigit():
            return
        for number in range(length):
            target = self.offset(at + 4 + 4 * number)
            if element == "text":
                self._text(target, what)
            else:
                yield target, element
