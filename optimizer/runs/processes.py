"""Which process is meant: a pid alone may have been given to another process since."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """A process for all time: host, boot of that host, pid, and the pid's start time in clock ticks since boot."""

    host: str
    boot_id: str
    pid: int
    start_ticks: int

    @property
    def is_here(self) -> bool:
        """Whether it ran on this machine since it was switched on; only then can `is_alive` tell."""
        return self.host == socket.gethostname() and self.boot_id == boot_id()

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs here."""
        return self.is_here and start_ticks(self.pid) == self.start_ticks


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    return identity_of(os.getpid())


def identity_of(pid: int) -> ProcessIdentity:
    """The identity of a process that runs here now; start_ticks is 0 where it is gone already."""
    return ProcessIdentity(host=socket.gethostname(), boot_id=boot_id(), pid=pid, start_ticks=start_ticks(pid) or 0)


def boot_id() -> str:
    """A random name that the kernel made at boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None where no such process runs (a zombie has ended)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets, which may itself hold spaces and brackets.
    fields = status.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def kill_group(pid: int) -> None:
    """SIGKILL a session's whole process group. A group that is gone is fine."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
