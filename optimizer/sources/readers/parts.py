"""What a reader hands over before anything is split: plain arrays, and what is known about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.sources.dataset import Array

MAX_DATA_BYTES = 2 * 1024**3
"""Largest total size of a data set's arrays in memory."""

MAX_SAMPLES = 5_000_000
"""Most samples a data set may hold."""

MIN_SAMPLES = 12
"""Fewest samples from which four disjoint splits still make sense."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Arrays as one file holds them.

    Args:
        x: Samples (n, ...) in the stored dtype: an array, or JoinedSamples where there is one for each of several inputs.
        y: Raw labels (n, ...), numbers or text; None without labels.
        x_test: Samples of the file's own test split, None where the file has none.
        y_test: Their labels.
        output_name: The output that the labels are for, where the file says so.
        kind: "images", "table" or "arrays".
        class_names: Names of the classes where the file tells them (folders of a .zip), in the order of the class numbers.
        floats_are_values: A whole-valued float column is a target to predict, not a class (true for tables).
        notes: Choices that were made while reading, one sentence each.
    """

    x: Any
    y: Array | None
    kind: str
    x_test: Any = None
    y_test: Array | None = None
    class_names: tuple[str, ...] = ()
    output_name: str = ""
    floats_are_values: bool = False
    notes: tuple[str, ...] = ()


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def in_megabytes(size_bytes: int) -> str:
    """A number of bytes for an error message, e.g. "1,024 MB"."""
    return f"{size_bytes / 1024**2:,.0f} MB" if size_bytes >= 1024**2 else f"{size_bytes:,} bytes"
