"""A worker as the runner sees it: a process with two pipes, a folder and a log."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optimizer.runs.home import Home
from optimizer.runs.messages import Message, MessageReader
from optimizer.runs.processes import ProcessIdentity, identity_of, kill_group
from optimizer.runs.sandbox.limits import FILE_VARIABLE, MEMORY_VARIABLE
from optimizer.runs.worker_log import WorkerLog
from optimizer.sources.readers.bundled import CACHE_VARIABLE

READ_BYTES = 64 * 1024
# Variables that a worker inherits; everything else (keys, tokens, proxies of the person) stays outside.
PASSED_ON = (
    "PATH",
    "TZ",
    "LITESMITH_TECHNIQUE_PACKAGES",
    "CUDA_VISIBLE_DEVICES",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTRAOP_THREADS",
    MEMORY_VARIABLE,
    FILE_VARIABLE,
)
KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**26),
}
"""Lets glibc keep what TensorFlow frees: given back to the kernel and asked for anew, every large tensor would be zeroed page by page."""
_PROJECT = Path(__file__).parents[2]
_START = "import sys; sys.path[:0] = {path!r}; sys.argv[0] = 'worker'; from optimizer.runs.confined import main; main()"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended: `signal_name` where a signal killed it, else its exit status."""

    status: int
    signal_name: str = ""


class WorkerProcess:
    """Starts a worker and keeps its ends of the pipes. It must be made in the runner's main thread (see confined.die_with_runner).

    Args:
        home: Gives the worker its folder and its cache.
        kind: What the worker imports ahead (see optimizer.runs.worker).
        readable: Files outside its folder that it may read.
    """

    def __init__(self, home: Home, kind: str, *, readable: Sequence[Path] = ()) -> None:
        self.kind = kind
        self.missing_layers: tuple[str, ...] = ()
        self.id = secrets.token_hex(8)
        self.folder = home.work / self.id
        self.folder.mkdir(mode=0o700)
        self.log = WorkerLog()
        self.is_ready = False
        self.started_at = time.monotonic()
        self._reader = MessageReader()
        self._at_end: set[int] = set()
        self._start(home, [home.cache, *readable])
        self.identity: ProcessIdentity = identity_of(self._process.pid)

    def _start(self, home: Home, readable: Sequence[Path]) -> None:
        control_read, self._control = os.pipe()
        self.event_fd, event_write = os.pipe()
        self.log_fd, log_write = os.pipe()
        command = [sys.executable, "-I", "-u", "-c", _START.format(path=[str(_PROJECT), *filter(None, sys.path)])]
        command += ["--kind", self.kind, "--control-fd", str(control_read), "--event-fd", str(event_write)]
        command += ["--parent-pid", str(os.getpid()), *(f"--read={path}" for path in readable)]
        try:
            self._process = subprocess.Popen(
                command,
                env=worker_environment(os.environ, home, self.folder),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log_write,
                stderr=log_write,
                pass_fds=(control_read, event_write),
                start_new_session=True,
            )
        finally:
            for descriptor in (control_read, event_write, log_write):
                os.close(descriptor)
        for descriptor in (self.event_fd, self.log_fd):
            os.set_blocking(descriptor, False)

    @property
    def pid(self) -> int:
        """The worker's pid, which is also its process group and session."""
        return self._process.pid

    def hear_ready(self, message: Message) -> None:
        """Take in that the worker can take a job now, and which layers of the sandbox its kernel lacks."""
        self.is_ready = True
        self.missing_layers = tuple(str(message.data.get("missing_layers", "")).split())

    def send_job(self, timeout_s: float | None) -> None:
        """Tell the worker to begin with its folder's job. A worker that has just died is noticed by `ended`."""
        order = json.dumps({"folder": str(self.folder), "timeout_s": timeout_s})
        try:
            os.write(self._control, f"{order}\n".encode())
        except BrokenPipeError:
            return

    @property
    def open_ends(self) -> set[int]:
        """Descriptors that may still bring something: waiting on one that is at its end would never wait."""
        return {self.event_fd, self.log_fd} - self._at_end

    def messages(self) -> list[Message]:
        """Messages that have come since. Raises BadMessageError."""
        return list(self._reader.feed(self._read(self.event_fd)))

    def collect_log(self) -> None:
        """Move what was printed into the log."""
        self.log.write(self._read(self.log_fd))

    def _read(self, descriptor: int) -> bytes:
        if descriptor in self._at_end:
            return b""
        try:
            content = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        if not content:
            self._at_end.add(descriptor)
        return content

    def ended(self) -> Ended | None:
        """How the process ended; None while it lives."""
        status = self._process.poll()
        if status is None:
            return None
        if status < 0:
            return Ended(status=status, signal_name=_signal_name(-status))
        return Ended(status=status)

    def kill(self) -> None:
        """SIGKILL the process group and wait for the end."""
        if self._process.poll() is None:
            kill_group(self.pid)
            self._process.wait()

    def drain(self) -> list[Message]:
        """What a process that has ended left in its pipes. Raises BadMessageError."""
        while content := self._read(self.log_fd):
            self.log.write(content)
        found: list[Message] = []
        while content := self._read(self.event_fd):
            found += list(self._reader.feed(content))
        return found

    def close(self) -> None:
        """Kill what is left, and close the pipes."""
        self.kill()
        for descriptor in (self._control, self.event_fd, self.log_fd):
            os.close(descriptor)


def worker_environment(inherited: Mapping[str, str], home: Home, folder: Path) -> dict[str, str]:
    """A worker's environment, built from nothing."""
    home.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        **{name: inherited[name] for name in PASSED_ON if name in inherited},
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        CACHE_VARIABLE: str(home.cache),
        "KERAS_HOME": str(folder / ".keras"),
        # Its pools of processes have no place in a sandbox, and it warns about that otherwise.
        "JOBLIB_MULTIPROCESSING": "0",
        **KEPT_MEMORY,
    }


def _signal_name(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)
