"""The schema of .tflite files and what we accept of it. Both are data: litert_schema.json, beside this file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DATA: Mapping[str, Any] = json.loads(Path(__file__).with_name("litert_schema.json").read_text(encoding="utf-8"))

Field = tuple[str, int | str]
"""Name and kind: bytes of a scalar (0: not read), "text", "[4]" (a list of four-byte scalars), "Tensor", "[Tensor]", "union"."""

TABLES: Mapping[str, tuple[Field, ...]] = {
    name: tuple((field, kind) for field, kind in fields) for name, fields in _DATA["tables"].items()
}
"""Fields of each table, in the order of the schema."""

NUMBERS: Mapping[str, Mapping[str, int]] = {
    name: {field: number for number, (field, _) in enumerate(fields) if field} for name, fields in TABLES.items()
}
"""Position of each field of each table."""

KINDS: Mapping[str, Mapping[str, int | str]] = {name: dict(fields) for name, fields in TABLES.items()}
"""Kind of each field of each table."""

UNIONS: Mapping[str, tuple[str, ...]] = {name: tuple(tables) for name, tables in _DATA["unions"].items()}
"""Tables that a union field may hold, by the number that stands in the field before it; the first means none."""

TYPES: tuple[tuple[str, int], ...] = tuple((name, bits) for name, bits in _DATA["types"])
"""Name and bits of each tensor type; 0 bits where the size does not follow from the shape."""

OPERATORS: tuple[str, ...] = tuple(_DATA["operators"])
"""Name of each builtin operator by its code."""

REFUSED_OPERATORS: frozenset[str] = frozenset(_DATA["refused_operators"])
"""Operators whose code is not LiteRT's own."""

OPTIONAL_INPUTS: Mapping[str, frozenset[int]] = {name: frozenset(numbers) for name, numbers in _DATA["optional_inputs"].items()}
"""Inputs that may be absent (-1); kernels read all others without asking."""

FEWEST_INPUTS: Mapping[str, int] = _DATA["fewest_inputs"]
"""Inputs that an operator needs at least."""
