"""The zip archive that a .keras file is: three members with known names and bounded sizes."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from optimizer.errors import InputError
from optimizer.sources.damage import ZIP_DAMAGE
from optimizer.sources.limits import (
    MAX_CONFIG_BYTES,
    MAX_FILE_BYTES,
    MAX_METADATA_BYTES,
    MAX_ZIP_MEMBERS,
    MAX_ZIP_RATIO,
    MIN_RATIO_BYTES,
)

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
MEMBERS = {METADATA: MAX_METADATA_BYTES, CONFIG: MAX_CONFIG_BYTES, WEIGHTS: MAX_FILE_BYTES}
"""Every member a .keras file may hold, with the most bytes it may unpack to."""


class ModelArchive:
    """An open .keras archive whose table of contents has passed all checks."""

    def __init__(self, archive: zipfile.ZipFile, place: str) -> None:
        self._archive, self._place = archive, place

    def text(self, member: str) -> str:
        """A member as UTF-8 text. Raises InputError BAD_CONFIG."""
        try:
            return self._archive.read(member).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError("The text is not UTF-8", code="BAD_CONFIG", place=f"{self._place}, {member}") from error

    @contextmanager
    def unpacked(self, member: str) -> Iterator[IO[bytes]]:
        """A member in a temporary file, its checksum verified."""
        with tempfile.TemporaryFile() as target:
            with self._archive.open(member) as source:
                shutil.copyfileobj(source, target, 1024**2)
            target.seek(0)
            yield target


@contextmanager
def opened_archive(path: Path, place: str) -> Iterator[ModelArchive]:
    """Open a .keras archive.

    Raises:
        InputError: TRUNCATED, MISSING_PART, NOT_A_MODEL, DUPLICATE, ENCRYPTED, ZIP_BOMB, TOO_LARGE.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path.stat().st_size, place)
            yield ModelArchive(archive, place)
    except InputError:
        raise
    except ZIP_DAMAGE as error:
        raise InputError(
            "The archive is cut off or damaged",
            code="TRUNCATED",
            place=place,
            received=str(error),
            fix="Copy or download it again, and compare the sizes.",
        ) from error


def _check_members(archive: zipfile.ZipFile, file_bytes: int, place: str) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(names) > MAX_ZIP_MEMBERS:
        raise InputError("The archive holds too many files", code="TOO_LARGE", place=place, received=str(len(names)))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError("The archive holds two files of one name", code="DUPLICATE", place=place, received=twice)
    if not set(names) & set(MEMBERS):
        raise InputError("The zip archive is not a Keras model", code="NOT_A_MODEL", place=place, expected=" and ".join(MEMBERS))
    for wanted in MEMBERS:
        if wanted not in names:
            fix = "Save the whole model again with model.save('model.keras')."
            raise InputError(f"The archive lacks {wanted}", code="MISSING_PART", place=place, fix=fix)
    for member in members:
        _check_member(member, place)
    if sum(member.compress_size for member in members) > file_bytes:
        raise InputError("The files in the archive overlap", code="ZIP_BOMB", place=place)


def _check_member(member: zipfile.ZipInfo, place: str) -> None:
    limit = MEMBERS.get(member.filename)
    where = f"{place}, {member.filename}"
    if limit is None:
        if member.filename == "assets/":
            return
        raise InputError("The archive holds a file that no Keras model has", code="NOT_A_MODEL", place=where)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError("The archive holds a link", code="UNSAFE_PATH", place=where, fix="Save the model again.")
    if member.flag_bits & 1:
        raise InputError("The archive is encrypted", code="ENCRYPTED", place=where, fix="Save it again without a password.")
    if member.file_size > limit:
        raise InputError(
            "The member is too large", code="TOO_LARGE", place=where, received=f"{member.file_size:,} bytes", limit=f"{limit:,}"
        )
    if member.file_size > MIN_RATIO_BYTES and member.file_size > MAX_ZIP_RATIO * max(member.compress_size, 1):
        raise InputError(
            "The member unpacks to far more than the file holds", code="ZIP_BOMB", place=where, limit=f"{MAX_ZIP_RATIO} times"
        )
