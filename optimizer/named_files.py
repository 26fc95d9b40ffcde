"""Files and folders that someone names on the command line: looked at before any work begins."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from optimizer.errors import InputError, RunError
from optimizer.recipe import Recipe, recipe_from_text

MAX_RECIPE_BYTES = 1_000_000
SPARE_BYTES = 2**20


def check_writable(out: Path, model: Path) -> None:
    """Fail before the work, not after it, where results cannot be written: a .tflite and a Keras model, each about as large as `model`.

    Raises:
        InputError: BAD_OUT.
        RunError: DISK_FULL.
    """
    if out.exists() and not out.is_dir():
        raise InputError("The output folder is a file", code="BAD_OUT", place=str(out), fix="Name a folder with --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".litesmith-{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            "The output folder cannot be written",
            code="BAD_OUT",
            place=str(out),
            received=error.strerror or "",
            fix="Give yourself the right to write there, or name another folder with --out.",
        ) from error
    needed, free = 2 * model.stat().st_size + SPARE_BYTES, shutil.disk_usage(out).free
    if free < needed:
        raise RunError(
            "The disk of the output folder has too little room for the results",
            code="DISK_FULL",
            place=str(out),
            expected=f"{needed / 2**20:,.0f} MiB",
            received=f"{free / 2**20:,.0f} MiB free",
            fix="Free some space, or name a folder on another disk with --out.",
        )


def check_readable(*paths: Path | None) -> None:
    """Raises InputError NOT_FOUND or NOT_READABLE; None is passed over."""
    for path in paths:
        if path is not None and not path.is_file():
            raise InputError("There is no such file", code="NOT_FOUND", place=str(path), fix="Check the path.")
        if path is not None and not os.access(path, os.R_OK):
            raise InputError("The file may not be read by you", code="NOT_READABLE", place=str(path), fix="Change its mode.")


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file. Raises InputError."""
    check_readable(path)
    if path.stat().st_size > MAX_RECIPE_BYTES:
        raise InputError("The recipe is too long", code="BAD_RECIPE", place=str(path), limit=f"{MAX_RECIPE_BYTES} bytes")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError("The recipe is not UTF-8 text", code="BAD_JSON", place=str(path)) from error
    try:
        return recipe_from_text(text)
    except InputError as error:
        raise error.within(path.name) from error
