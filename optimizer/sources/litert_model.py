"""The bytes of a .tflite that a person brought, after the preflight has passed it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from optimizer.errors import InputError
from optimizer.sources.summary import ModelSummary


def load_tflite(path: Path, summary: ModelSummary) -> bytes:
    """Read the file that `summary` was read from. Raises InputError CHANGED where it is another one by now."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != summary.sha256:
        raise InputError("The file has changed since it was checked", code="CHANGED", place=summary.name, fix="Check it again.")
    return content
