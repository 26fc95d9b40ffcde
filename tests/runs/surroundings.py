"""A home with a real runner on it, and ways to look at both. No part of it stands in for code of ours."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from optimizer.runs import requests
from optimizer.runs.launch import ensure_runner
from optimizer.runs.processes import start_ticks
from optimizer.runs.run import Run, RunState
from optimizer.runs.store import Store

T = TypeVar("T")
NO_TRAINING = ("--slots", "0", "--spares", "0")
MODEL = requests.SAMPLE_MODEL.read_bytes()


def wait_for(what: Callable[[], T | None], *, within_s: float) -> T:
    """The first true answer."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {within_s} s: {what}")


def assert_sound(store: Store) -> None:
    """SQLite itself finds nothing wrong with the store's database. Every test of a fault ends with this."""
    with sqlite3.connect(store.files.database) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    assert found == [("ok",)]


class Surroundings:
    """A home with a store, and a runner that the test starts and that ends with it."""

    def __init__(self, home: Path) -> None:
        self.store = Store(home)
        self.project = self.store.create_project("test")
        self._pipes: list[int] = []

    def start(self, *options: str) -> int:
        """Start a runner, as a page does that is drawn again and again, and return its pid."""

        def look() -> int | None:
            ensure_runner(self.store.home, options=options)
            status = self.store.runner_status()
            return status.pid if status.alive else None

        return wait_for(look, within_s=20)

    def ready_workers(self, kind: str = "inspection") -> list[int]:
        """Pids of the living workers that have said that they are ready."""
        pids = [int(pid) for pid in re.findall(kind + r" worker (\d+) is ready", self.runner_log())]
        return [pid for pid in pids if start_ticks(pid) is not None]

    def runner_log(self) -> str:
        return self.store.files.runner_log.read_text()

    def hang_next(self) -> int:
        """Stop the worker that will get the next inspection; its pid."""
        pid = wait_for(self.ready_workers, within_s=20)[0]
        os.kill(pid, signal.SIGSTOP)
        return pid

    def hang_at_work(self, run: Run, worker: int) -> None:
        """Let a worker that `hang_next` stopped begin its run, and hang in it: job.json becomes a pipe that nobody ever writes to."""
        job = self.store.files.work / self.work_folder(run) / "job.json"
        wait_for(job.exists, within_s=5)
        job.unlink()
        os.mkfifo(job)
        os.kill(worker, signal.SIGCONT)

        def is_read() -> bool:
            try:
                self._pipes.append(os.open(job, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                if error.errno != errno.ENXIO:  # Nobody reads from it yet.
                    raise
            return bool(self._pipes)

        wait_for(is_read, within_s=10)

    def work_folder(self, run: Run) -> str:
        """Name of the folder that a run works in."""
        with sqlite3.connect(self.store.files.database) as connection:
            (folder,) = connection.execute("SELECT work_folder FROM runs WHERE id = ?", (run.id,)).fetchone()
        connection.close()
        return Path(folder).name

    def upload(self, content: bytes = MODEL, name: str = "digits_cnn.keras") -> Run:
        return requests.bring_model(self.store, self.project.id, io.BytesIO(content), name)

    def reaches(self, run: Run, *states: RunState, within_s: float = 20) -> Run:
        def look() -> Run | None:
            now = self.store.run(run.id)
            return now if now.state in states else None

        return wait_for(look, within_s=within_s)

    def ends(self, run: Run, within_s: float = 20) -> Run:
        return self.reaches(run, *(state for state in RunState if state.is_final), within_s=within_s)

    def worker_of(self, run: Run, *, attempt: int = 1) -> int:
        """Pid of the process that works on a run; with `attempt`, of the second or third that was given it."""

        def look() -> list[str]:
            return re.findall(rf"run {run.id}: .* began in process (\d+)", self.runner_log())[attempt - 1 :]

        return int(wait_for(look, within_s=60)[0])

    def stop(self) -> None:
        """End the runner as a crash would; the database must be whole after whatever the test has done."""
        pid = self.store.runner_status().pid
        if pid is not None and self.store.runner_status().alive:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: start_ticks(pid) is None, within_s=5)
        assert_sound(self.store)
        self.store.close()
        while self._pipes:
            os.close(self._pipes.pop())


def gone(pid: int) -> bool:
    return start_ticks(pid) is None


def work_folders(store: Store) -> set[str]:
    return {path.name for path in store.files.work.iterdir()}
