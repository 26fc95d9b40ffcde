"""Row 6 of docs/security.md: two hundred kills in an order that a seed fixes, of workers, of the runner, and of those who submit."""

from __future__ import annotations

import functools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizer.runs.launch import ensure_runner
from optimizer.runs.processes import start_ticks
from optimizer.runs.run import RunState
from optimizer.runs.store import Store
from tests.runs.surroundings import NO_TRAINING, Surroundings, assert_sound, wait_for

KILLS = 200
SEED = 6
CLIENTS = 3
WEIGHTS = {"client": 29, "worker": 8, "runner": 3}
PAUSE_S = 0.25
LEFT_TO_DRAIN = 6
# Submits one upload after the other and writes down what was acknowledged. It is forked from a process that has imported all it needs,
# which replaces it when it is killed; the new one goes on with the first order that was not acknowledged.
CLIENT = """
import io, os, random, sys, time
from pathlib import Path
from optimizer.runs import requests
from optimizer.runs.sandbox.policy import require_sandbox_for_uploads
from optimizer.runs.store import Store
home, project, acknowledged = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
content = requests.SAMPLE_MODEL.read_bytes()
require_sandbox_for_uploads()  # Looked at once a process.
while True:
    child = os.fork()
    if child == 0:
        store, random = Store(home), random.Random(os.getpid())
        done = len(acknowledged.read_text().splitlines()) if acknowledged.exists() else 0
        with acknowledged.open("a", buffering=1) as told:
            while True:
                key = f"{project}:{done}"
                upload = io.BytesIO(content + bytes([random.randrange(256)]) * random.randrange(3))
                told.write(f"{key} {requests.bring_model(store, project, upload, 'a.keras', key=key).id}\\n")
                done += 1
                time.sleep(random.uniform(0.5, 1.5))
    os.waitpid(child, 0)
"""


def children(pid: int) -> list[int]:
    """Living children of a process."""
    try:
        named = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in named if start_ticks(int(child)) is not None]


class Crowd:
    """Clients that submit without end, each to a project of its own."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._told = [folder / f"acknowledged {number}" for number in range(CLIENTS)]
        projects = [store.create_project(f"client {number}") for number in range(CLIENTS)]
        self._parents = [
            subprocess.Popen([sys.executable, "-c", CLIENT, str(store.home), project.id, str(told)], start_new_session=True)
            for project, told in zip(projects, self._told, strict=True)
        ]
        wait_for(lambda: all(told.exists() for told in self._told), within_s=60)

    @property
    def pids(self) -> list[int]:
        return [child for parent in self._parents for child in children(parent.pid)]

    def acknowledged(self) -> dict[str, str]:
        """Run ids by the key of the order."""
        lines = [line for told in self._told for line in told.read_text().splitlines()]
        return dict(line.split() for line in lines)

    def stop(self) -> None:
        for parent in self._parents:
            if parent.poll() is None:
                os.killpg(parent.pid, signal.SIGKILL)
                parent.wait()


@pytest.fixture
def crowd(here: Surroundings, tmp_path: Path) -> Iterator[Crowd]:
    made = Crowd(here.store, tmp_path)
    yield made
    made.stop()


def kill_two_hundred(here: Surroundings, crowd: Crowd) -> Counter[str]:
    """Kill as the seed says: whose turn it is, after which pause. Which moment of their work that meets is up to the machine.

    Workers that are still importing are left alone: three of those in a row count as workers that do not start.
    """
    chance = random.Random(SEED)
    turns = chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()), k=KILLS)

    def victims(kind: str) -> list[int]:
        ensure_runner(here.store.home, options=NO_TRAINING)
        status = here.store.runner_status()
        runner = [status.pid] if status.alive and status.pid is not None else []
        if kind == "worker":
            return [pid for pid in here.ready_workers() if runner]
        return crowd.pids if kind == "client" else runner

    for turn in turns:
        time.sleep(chance.uniform(0.0, PAUSE_S))
        os.kill(chance.choice(wait_for(functools.partial(victims, turn), within_s=30)), signal.SIGKILL)
    return Counter(turns)


def test_two_hundred_random_kills_lose_and_double_nothing(here: Surroundings, crowd: Crowd) -> None:
    killed = kill_two_hundred(here, crowd)
    crowd.stop()
    acknowledged = crowd.acknowledged()
    waiting = here.store.runs(states=[RunState.QUEUED], limit=10_000)
    for run in waiting[: max(0, len(waiting) - LEFT_TO_DRAIN)]:
        here.store.request_cancel(run.id)

    def is_quiet() -> bool:
        ensure_runner(here.store.home, options=NO_TRAINING)
        return here.store.count_runs(states=[RunState.QUEUED, RunState.RUNNING]) == 0

    wait_for(is_quiet, within_s=120)
    runs = here.store.runs(limit=10_000)
    assert (killed.total(), min(killed.values()) > 10) == (KILLS, True), killed
    assert len(acknowledged) > 50
    check_that_each_is_there_once(here.store, acknowledged)
    succeeded = [run for run in runs if run.state is RunState.SUCCEEDED]
    assert succeeded
    for run in succeeded:
        assert set(run.artifacts) >= {"report.json", "log.txt"}
        for sha256 in (*run.artifacts.values(), run.inputs["model"]["sha256"]):
            here.store.read_object(sha256)
    assert_sound(here.store)


def check_that_each_is_there_once(store: Store, acknowledged: dict[str, str]) -> None:
    with sqlite3.connect(store.files.database) as connection:
        rows = connection.execute("SELECT key, id FROM runs").fetchall()
    connection.close()
    assert len({key for key, _ in rows}) == len({run_id for _, run_id in rows}) == len(rows)
    assert acknowledged.items() <= dict(rows).items()
    assert len(rows) - len(acknowledged) <= CLIENTS  # Orders that were in the store when their client was killed.
