"""Where Litesmith keeps its state on disk."""

from __future__ import annotations

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
    def runner_lock(self) -> Path:
        """Locked (flock) as long as a runner lives."""
        return self.root / "runner.lock"

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
    """Set a file's time to now in nanoseconds, making it where it is missing."""
    path.touch(mode=0o600)
    now = time.time_ns()
    os.utime(path, ns=(now, now))
