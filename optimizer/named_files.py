"""Files and folders that someone names on the command line: looked at before any work begins."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from optimizer.errors import InputError
from optimizer.recipe import Recipe, recipe_from_text

MAX_RECIPE_BYTES = 1_000_000


def check_writable(out: Path) -> None:
    """Fail before the work, not after it, where results cannot be written. Raises InputError BAD_OUT."""
    if out.exists() and not out.is_dir():
        raise InputError("The output folder is a file", code="BAD_OUT", place=str(out), fix="Name a folder with --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".litesmith-{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            "The output folder cannot be written", code="BAD_OUT", place=str(out), received=error.strerror or ""
        ) from error


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
    return recipe_from_text(text)
