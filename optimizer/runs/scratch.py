"""Folders for one command each, under a folder of the temporary directory that only we own; what a killed command left is removed.

A command holds a lock (flock) on its folder as long as it lives: the kernel lets go of it however the command ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "litesmith-"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder that is removed at the end; removes those of commands that are gone, too.

    Raises:
        OSError: the temporary directory cannot be written.
    """
    with _shared_folder() as parent:
        if parent is not None:
            _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix="" if parent else PREFIX, dir=parent)).resolve()
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep() -> None:
    """Remove the folders of commands that were killed. Those of living ones are locked, and stay."""
    with _shared_folder() as parent:
        if parent is not None:
            _sweep(parent)


def kept_folder() -> Path:
    """A new folder for results that their owner must be able to fetch: nothing removes it. Raises OSError."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}result-"))


@contextlib.contextmanager
def _shared_folder() -> Iterator[Path | None]:
    """The folder of all our commands, locked so that nobody sweeps while a new one is made.

    None where something of that name is there that is not ours alone: in a directory that everyone may write, anyone could have put it there.
    """
    path = Path(tempfile.gettempdir()) / f"{PREFIX}{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield None
        return
    try:
        found = os.fstat(descriptor)
        ours = found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == stat.S_IRWXU
        if ours:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield path if ours else None
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    for folder in parent.iterdir():
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
