"""The table of contents of a zip archive, checked before anything is unpacked."""

from __future__ import annotations

import stat
import unicodedata
import zipfile
from pathlib import PurePosixPath

from optimizer.errors import InputError
from optimizer.sources.readers.parts import MAX_DATA_BYTES, in_megabytes

MAX_MEMBERS = 80_000
MAX_RATIO = 100
MIN_RATIO_BYTES = 1024**2
"""Members that unpack to less than this may have any ratio."""
LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


def checked_members(
    archive: zipfile.ZipFile, name: str, *, most: int = MAX_MEMBERS, most_bytes: int = MAX_DATA_BYTES
) -> list[zipfile.ZipInfo]:
    """The files of an archive, without folders and the litter of file managers.

    Args:
        archive: The open archive.
        name: What the person calls it.
        most: Most entries it may have.
        most_bytes: Most bytes that all entries together may unpack to.

    Raises:
        InputError: TOO_MANY, UNSAFE_PATH, DUPLICATE, ENCRYPTED, ZIP_BOMB.
    """
    members = archive.infolist()
    if len(members) > most:
        received = f"{len(members):,}"
        raise InputError("The archive holds too many files", code="TOO_MANY", place=name, received=received, limit=f"{most:,}")
    seen: set[str] = set()
    for member in members:
        _check_name(member, name)
        # Two spellings of one accent look alike, and some file systems make them one file.
        spelled = unicodedata.normalize("NFC", member.filename)
        if spelled in seen:
            raise InputError("The archive holds two files of one name", code="DUPLICATE", place=name, received=member.filename)
        seen.add(spelled)
        if member.flag_bits & 1:
            raise InputError("The archive is encrypted", code="ENCRYPTED", place=name, fix="Make it again without a password.")
    _check_sizes(members, name, most_bytes)
    return [member for member in members if not member.is_dir() and not _is_litter(member.filename)]


def _is_litter(filename: str) -> bool:
    parts = PurePosixPath(filename).parts
    return any(part in LITTER or part.startswith(".") for part in parts)


def _check_name(member: zipfile.ZipInfo, name: str) -> None:
    # zipfile cuts a name at its first NUL and turns backslashes of some systems into slashes: look at what was stored.
    stored = member.orig_filename
    path = PurePosixPath(stored)
    linked = stat.S_ISLNK(member.external_attr >> 16)
    # A name may be empty, or begin with what zipfile takes for its end.
    if (
        not member.filename
        or "\\" in stored
        or "\0" in stored
        or path.is_absolute()
        or ".." in path.parts
        or ":" in stored[:2]
        or linked
    ):
        raise InputError(
            "The archive holds a link" if linked else "A name in the archive points outside of it",
            code="UNSAFE_PATH",
            place=name,
            received=stored,
            fix="Make the archive again from plain folders.",
        )


def _check_sizes(members: list[zipfile.ZipInfo], name: str, most_bytes: int) -> None:
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        limit = in_megabytes(most_bytes)
        raise InputError(
            "The archive unpacks to too much", code="ZIP_BOMB", place=name, received=in_megabytes(total), limit=limit
        )
    for member in members:
        if member.file_size > MIN_RATIO_BYTES and member.file_size > MAX_RATIO * max(member.compress_size, 1):
            limit = f"{MAX_RATIO} times"
            raise InputError(
                "A file unpacks to far more than is stored", code="ZIP_BOMB", place=f"{name}, {member.filename}", limit=limit
            )
    end = -1
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < end:
            raise InputError("Files in the archive overlap", code="ZIP_BOMB", place=f"{name}, {member.filename}")
        end = member.header_offset + member.compress_size


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bytes:
    """The bytes of one member, never more than it promises. Raises InputError BAD_ZIP."""
    with archive.open(member) as file:
        data = file.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise InputError(
            "A file in the archive has another size than it promises", code="BAD_ZIP", place=f"{name}, {member.filename}"
        )
    return data
