"""What a worker prints, kept within bounds: the beginning and the end."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

HEAD_BYTES = 512 * 1024
TAIL_BYTES = 256 * 1024
RECENT_BYTES = 64 * 1024


class WorkerLog:
    """A log of at most 768 KB however much is printed.

    The head goes to a file at once, so that it can be read while the job runs; the tail stays in memory until `close`. What is
    printed before the job begins (imports) is kept for its head. A full disk costs the log, not the job.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._early = b""
        self._written = 0
        self._tail = bytearray()
        self._left_out = 0
        self._recent = b""

    def begin(self, path: Path) -> None:
        """Open the file, now that it is known which job this is."""
        self._path = path
        try:
            self._file = path.open("wb", buffering=0)
        except OSError:
            self._file = None
        early, self._early, self._recent = self._early, b"", b""
        self.write(early)

    def write(self, content: bytes) -> None:
        """Add what the worker printed."""
        self._recent = (self._recent + content)[-RECENT_BYTES:]
        if self._path is None:
            self._early = (self._early + content)[-HEAD_BYTES:]
            return
        head, tail = content[: HEAD_BYTES - self._written], content[HEAD_BYTES - self._written :]
        self._to_file(head)
        self._written += len(head)
        self._tail += tail
        excess = len(self._tail) - TAIL_BYTES
        if excess > 0:
            del self._tail[:excess]
            self._left_out += excess

    def close(self) -> Path | None:
        """Write the tail and close the file; its path, or None where nothing was kept."""
        if self._left_out:
            self._to_file(f"\n... {self._left_out} bytes left out ...\n".encode())
        self._to_file(bytes(self._tail))
        self._tail.clear()
        if self._file is None:
            return None
        self._file.close()
        self._file = None
        return self._path

    @property
    def early_text(self) -> str:
        """What was printed before any job began; the reason why a worker did not start."""
        return self._early.decode("utf-8", errors="replace")

    @property
    def recent_text(self) -> str:
        """The end of what was printed; why a process died may stand there."""
        return self._recent.decode("utf-8", errors="replace")

    def _to_file(self, content: bytes) -> None:
        if self._file is None or not content:
            return
        try:
            self._file.write(content)
        except OSError:
            self._file.close()
            self._file = None
