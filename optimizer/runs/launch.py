"""Starting the runner, and telling it that someone is there. Cheap enough for every rerun of a page."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

from optimizer.runs.home import Home, touch
from optimizer.runs.sandbox.policy import uploads_are_trusted

MAX_LOG_BYTES = 5 * 1024 * 1024
RETRY_S = 3.0
CODE_LOOK_S = 5.0
PROJECT = Path(__file__).parents[2]
# Kept so that a runner that ends before this process does not stay behind as a zombie.
_started: list[subprocess.Popen[bytes]] = []
_code_looked_at: dict[Path, float] = {}


def touch_web_alive(home: Path) -> None:
    """Say that someone uses the web process; the runner goes when nobody has for a while."""
    touch(Home(home).web_alive)


def ensure_runner(home: Path, *, options: tuple[str, ...] = ()) -> None:
    """Start a runner for this home where none is alive (20 microseconds where one is).

    The lock is taken here and handed to the new process, so that it is never free in between: of any number of processes that
    call this at once, one starts a runner. One that does not come up is tried again after three seconds. A runner that
    was started from older code is asked to end when its jobs are done.

    Args:
        home: LITESMITH_HOME.
        options: Further words of the runner's command line, e.g. ("--slots", "2").

    Raises:
        OSError: the home cannot be written, or the process cannot be started.
    """
    _started[:] = [process for process in _started if process.poll() is None]
    files = Home(home.absolute())
    lock = take_lock(files)
    if lock is None:
        _retire_old_code(files)
        return
    try:
        if time.time() - os.fstat(lock).st_mtime > RETRY_S or os.fstat(lock).st_size == 0:
            _start(files, lock, options)
    finally:
        os.close(lock)


def _retire_old_code(files: Home) -> None:
    """Ask a runner to end that still runs the code from before an update. Looked at every few seconds only."""
    now = time.monotonic()
    if now - _code_looked_at.get(files.root, -CODE_LOOK_S) < CODE_LOOK_S:
        return
    _code_looked_at[files.root] = now
    stamp = files.runner_lock.read_text(encoding="ascii").strip()
    if stamp and stamp != code_stamp():
        touch(files.retire)


def sign_lock(lock: int) -> None:
    """Write into the lock's file which code its holder runs; the file's time says when it began."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, code_stamp().encode(), 0)


def code_stamp() -> str:
    """A hash over the times and sizes of the package's modules, and whether uploads are trusted: it changes with every update."""
    digest = hashlib.sha256(b"trusted" if uploads_are_trusted() else b"")
    for path in sorted((PROJECT / "optimizer").rglob("*.py")):
        found = path.stat()
        digest.update(f"{path}\0{found.st_mtime_ns}\0{found.st_size}\n".encode())
    return digest.hexdigest()


def take_lock(files: Home) -> int | None:
    """Lock `runner.lock` for the life of the returned descriptor and its copies; None where a runner holds it."""
    files.prepare()
    descriptor = os.open(files.runner_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _start(files: Home, lock: int, options: tuple[str, ...]) -> None:
    sign_lock(lock)
    log = files.runner_log
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.old"))
    command = [sys.executable, "-m", "optimizer.runs.runner", "--home", str(files.root), "--lock-fd", str(lock), *options]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            start_new_session=True,
        )
    _started.append(process)
