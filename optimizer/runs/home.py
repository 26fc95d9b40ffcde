"""Where Litesmith keeps its state on disk."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "LITESMITH_HOME"


def default_home() -> Path:
    """The folder LITESMITH_HOME names, or ~/.litesmith."""
    return Path(os.environ.get(HOME_VARIABLE) or "~/.litesmith").expanduser().absolute()


@dataclass(frozen=True)
class Home:
    """The files of one LITESMITH_HOME. Only the owner may read them: models and data can be confidential."""

    root: Path
    shared_cache: Path | None = None
    """Another home's cache, for a home that is only there for one job."""

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "litesmith.db"

    @property
    def objects(self) -> Path:
        """Content-addressed files."""
        return self.root / "objects"

    @property
    def work(self) -> Path:
        """One folder for each worker; gone when the worker's job is over."""
        return self.root / "work"

    @property
    def logs(self) -> Path:
        """Logs of running jobs, written by the runner only; a finished run's log is an object."""
        return self.root / "logs"

    @property
    def cache(self) -> Path:
        """Downloaded data sets; workers may read it."""
        return self.shared_cache or self.root / "cache"

    @property
    def runner_lock(self) -> Path:
        """Locked (flock) as long as a runner lives."""
        return self.root / "runner.lock"

    @property
    def retire(self) -> Path:
        """Touched when the code has changed since the runner started: it takes no more runs, and ends when it has none."""
        return self.root / "retire"

    @property
    def runner_log(self) -> Path:
        """What the runner says about itself."""
        return self.root / "runner.log"

    @property
    def wake(self) -> Path:
        """Touched when there is something new for the runner, so that it need not ask the database all the time."""
        return self.root / "wake"

    @property
    def web_alive(self) -> Path:
        """Touched by the web process while someone uses it."""
        return self.root / "web.alive"

    def prepare(self) -> None:
        """Make the folders that are missing."""
        for folder in (self.root, self.objects, self.work, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def touch(path: Path) -> None:
    """Set a file's time to now in nanoseconds, making it where it is missing.

    It is a hint and no more: whoever waits for it looks for himself once a second, so a full disk must not fail the caller.
    """
    now = time.time_ns()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        os.utime(path, ns=(now, now))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def touched_at(path: Path) -> int:
    """When a file was last touched, in nanoseconds since 1970; -1 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return -1
