"""Content-addressed files: an object's name is the sha256 of its bytes, so a file is stored once and damage shows."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import secrets
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from optimizer.errors import InputError, RunError, printable
from optimizer.runs.run import StoredFile

CHUNK_BYTES = 1024 * 1024
SHA256 = re.compile(r"[0-9a-f]{64}")
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Objects:
    """The folder `objects/ab/<sha256>`.

    A file appears under its name only when all its bytes are on disk: it is written beside, synced, renamed, and then the
    folder is synced. A crash at any point leaves either the whole object or a leftover in `objects/incoming`, which
    `discard_leftovers` removes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the object of that hash is, or would be. Raises InputError BAD_HASH for anything that is no sha256."""
        if not SHA256.fullmatch(sha256):
            raise InputError("This is not the hash of a stored file", code="BAD_HASH", received=repr(sha256)[:100])
        return self.folder / sha256[:2] / sha256

    def add(self, stream: BinaryIO, name: str) -> StoredFile:
        """Copy a stream into the store, 1 MiB at a time.

        An object that is there already is replaced by the same bytes: that mends a damaged one, and makes it young again for
        `discard_unused`.

        Raises:
            RunError: DISK_FULL; nothing is left behind.
        """
        partial = self._incoming / secrets.token_hex(16)
        digest, size = hashlib.sha256(), 0
        try:
            with disk_full_as_error():
                with partial.open("xb") as target:
                    while chunk := stream.read(CHUNK_BYTES):
                        digest.update(chunk)
                        size += len(chunk)
                        target.write(chunk)
                    target.flush()
                    os.fchmod(target.fileno(), 0o400)
                    os.fsync(target.fileno())
                sha256 = digest.hexdigest()
                self._publish(partial, self.path(sha256))
        finally:
            partial.unlink(missing_ok=True)
        return StoredFile(sha256=sha256, size_bytes=size, name=printable(name, 255))

    def add_bytes(self, content: bytes, name: str) -> StoredFile:
        """Store bytes that are in memory already."""
        return self.add(io.BytesIO(content), name)

    def _publish(self, partial: Path, target: Path) -> None:
        if not target.parent.exists():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self.folder)
        partial.replace(target)
        _sync_folder(target.parent)

    def exists(self, sha256: str) -> bool:
        """Whether an object of that hash is stored; its bytes are not looked at."""
        return self.path(sha256).is_file()

    def read(self, sha256: str) -> bytes:
        """The bytes of an object, hashed again.

        Raises:
            RunError: MISSING or DAMAGED.
        """
        path = self.path(sha256)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise RunError(
                "This stored file is gone", code="MISSING", place=sha256[:12], fix="Run the experiment again."
            ) from None
        received = hashlib.sha256(content).hexdigest()
        if received != sha256:
            raise RunError(
                "This stored file is damaged: its bytes are not those that were saved",
                code="DAMAGED",
                place=sha256[:12],
                expected=f"sha256 {sha256[:12]}",
                received=f"sha256 {received[:12]}",
                fix="Run the experiment again; the file is not handed out.",
            )
        return content

    def all(self) -> Iterator[str]:
        """Hashes of every stored object."""
        for folder in self.folder.iterdir():
            if len(folder.name) == 2:
                yield from (path.name for path in folder.iterdir() if SHA256.fullmatch(path.name))

    def discard_unused(self, used: Set[str], *, older_than_s: float, among: Set[str] | None = None) -> list[str]:
        """Delete objects that are not in `used` and were last added over `older_than_s` seconds ago.

        The age protects an upload whose run is not queued yet. `among` limits the search to some hashes.
        """
        limit = time.time() - older_than_s
        discarded = []
        for sha256 in list(self.all()) if among is None else sorted(among):
            path = self.path(sha256)
            if sha256 not in used and path.is_file() and path.stat().st_mtime <= limit:
                path.unlink(missing_ok=True)
                discarded.append(sha256)
        return discarded

    def discard_leftovers(self, *, older_than_s: float) -> None:
        """Delete what writers left behind that were killed in the middle."""
        limit = time.time() - older_than_s
        for path in self._incoming.iterdir():
            if path.stat().st_mtime <= limit:
                path.unlink(missing_ok=True)


@contextmanager
def disk_full_as_error() -> Iterator[None]:
    """Turn the operating system's words for "no space" into a RunError DISK_FULL."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise disk_full_error(error.strerror or "") from error


def disk_full_error(received: str = "") -> RunError:
    """The error for a full disk."""
    return RunError(
        "The disk is full, or a file passed the size limit",
        code="DISK_FULL",
        received=received,
        fix="Free some space and try again; what was stored before is safe.",
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
