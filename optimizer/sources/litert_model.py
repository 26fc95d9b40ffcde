"""The bytes of a .tflite that a person brought, after the preflight has passed it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from optimizer.errors import InputError
from optimizer.sources.preflight.litert import check_tflite
from optimizer.sources.preflight.litert_summary import summarize_tflite
from optimizer.sources.summary import ModelSummary


def check_timeable(path: Path) -> None:
    """Refuse a .tflite that crashes the interpreter, or whose latency depends on samples that are not there.

    Raises:
        InputError: what `check_tflite` and `summarize_tflite` raise, OPEN_AXES.
    """
    check_tflite(path, path.name)
    summary = summarize_tflite(path, name=path.name, sha256="")
    if any(None in shape[1:] for shape in summary.input_shapes):
        raise InputError(
            "The file takes inputs of any size, and its latency depends on theirs",
            code="OPEN_AXES",
            place=path.name,
            fix="Measure it with data: python -m optimizer run --model FILE --data DATA, with a recipe without steps.",
        )


def load_tflite(path: Path, summary: ModelSummary) -> bytes:
    """Read the file that `summary` was read from. Raises InputError CHANGED where it is another one by now."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != summary.sha256:
        raise InputError("The file has changed since it was checked", code="CHANGED", place=summary.name, fix="Check it again.")
    return content
