"""What a worker's folder takes on the disk: the limit of one file (RLIMIT_FSIZE) says nothing about a thousand files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from optimizer.errors import RunError
from optimizer.runs.sandbox.limits import FOLDER_VARIABLE, folder_limit_bytes, gib_in_words

MAX_ENTRIES = 50_000
"""Files and folders; looking at more would take the runner too long."""
_BLOCK_BYTES = 512
# Someone else's folder, or one that is gone since: nothing to count there.
_PASSED_OVER = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)


def over_folder_limit(folder: Path, pid: int, stage: str = "") -> RunError | None:
    """The error for a job that takes more of the disk than it may; None where it does not.

    Args:
        folder: The worker's folder.
        pid: The worker; files that it has deleted and still holds open take room, too.
        stage: What it is doing.
    """
    limit = folder_limit_bytes(os.environ)
    used, entries = used_bytes(folder)
    used += deleted_bytes(pid)
    if used <= limit and entries <= MAX_ENTRIES:
        return None
    received = gib_in_words(used) if used > limit else f"over {MAX_ENTRIES:,} files"
    return RunError(
        "The run has filled its folder",
        code="DISK_FULL",
        place=stage,
        received=received,
        limit=f"{gib_in_words(limit)} and {MAX_ENTRIES:,} files ({FOLDER_VARIABLE})",
        fix="Use a smaller model or fewer samples, or raise the limit; what was stored before is safe.",
    )


def used_bytes(folder: Path) -> tuple[int, int]:
    """Bytes on the disk below a folder (holes in files take none), and how many files and folders there are, counted to MAX_ENTRIES + 1."""
    pending, total, count = [str(folder)], 0, 0
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    count += 1
                    if count > MAX_ENTRIES:
                        return total, count
                    total += _bytes_of(entry)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError as error:
            if error.errno not in _PASSED_OVER:  # For one, a path that is too long to be followed: no job makes such.
                return total, MAX_ENTRIES + 1
    return total, count


def _bytes_of(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
    except FileNotFoundError:
        return 0


def deleted_bytes(pid: int) -> int:
    """Bytes of files that have no name any more and that a process holds open. 0 where the process is gone."""
    total = 0
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 (names are all that is needed)
    except OSError:
        return 0
    for number in numbers:
        try:
            found = os.stat(f"/proc/{pid}/fd/{number}")  # noqa: PTH116 (the link of a deleted file leads nowhere by its name)
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
            total += found.st_blocks * _BLOCK_BYTES
    return total
