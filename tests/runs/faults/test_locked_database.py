"""Row 13 of docs/security.md: another process holds the database's write lock for ten seconds."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from optimizer.errors import RunError
from optimizer.runs.home import HOME_VARIABLE
from optimizer.runs.run import Run, RunKind, RunState
from optimizer.runs.store import Store
from tests.runs.samples import DIGITS
from tests.runs.surroundings import NO_TRAINING, Surroundings, wait_for

APP = Path(__file__).resolve().parents[3] / "app.py"
HELD_S = 10.0
READ_LIMIT_S = 1.0
WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE projects SET budget = '{\\"max_bytes\\": 60000}'")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("COMMIT")
"""


@pytest.fixture
def page(here: Surroundings, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The dashboard, drawn once, so that what it imports is there."""
    monkeypatch.setenv(HOME_VARIABLE, str(here.store.home))
    here.start(*NO_TRAINING)
    wait_for(here.ready_workers, within_s=20)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app.switch_page("pages/runs.py").run()
    assert not app.exception
    return app


@pytest.fixture
def inspected(here: Surroundings, page: AppTest) -> Run:
    """An upload, from before the lock."""
    return here.upload()


@pytest.fixture
def writer(here: Surroundings, inspected: Run) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock, and then commits a change of its own."""
    command = [sys.executable, "-c", WRITER, str(here.store.files.database), str(HELD_S)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_pages_read_on_and_nothing_is_lost_while_another_writer_holds_the_lock(
    here: Surroundings, page: AppTest, inspected: Run, writer: subprocess.Popen[str]
) -> None:
    assert writer.stdout is not None
    before = here.store.runner_status().pid
    assert writer.stdout.readline() == "locked\n"
    submitted: list[Run | RunError] = []
    patient = threading.Thread(target=lambda: submitted.append(submit(here.store, here.project.id, "patient")))
    patient.start()
    hasty = submit(Store(here.store.home, busy_timeout_s=0.2), here.project.id, "hasty")
    times = []
    while writer.poll() is None:
        began = time.monotonic()
        page.run()
        times.append(time.monotonic() - began)
        assert not page.exception
    patient.join()

    # A read that waited for the writer would take all its time; the middle one, because other processes take turns here.
    assert len(times) > 5
    assert sorted(times)[len(times) // 2] < READ_LIMIT_S
    assert max(times) < HELD_S / 2
    assert isinstance(hasty, RunError)
    assert (hasty.code, "Try again" in hasty.line) == ("BUSY", True)
    check_nothing_is_lost(here, inspected, submitted[0])
    assert here.store.runner_status().pid == before


def submit(store: Store, project_id: str, key: str) -> Run | RunError:
    try:
        return store.submit(project_id, RunKind.INSPECT_DATA, inputs={"data": DIGITS}, key=key)
    except RunError as error:
        return error


def check_nothing_is_lost(here: Surroundings, inspected: Run, patient: Run | RunError) -> None:
    """The writer's change, the run that was queued or worked on meanwhile, and the one that waited to be queued are all there."""
    if isinstance(patient, RunError):
        assert patient.code == "BUSY"
    again = submit(here.store, here.project.id, "patient")
    assert isinstance(again, Run)
    assert isinstance(patient, RunError) or again.id == patient.id
    assert here.ends(inspected).state is RunState.SUCCEEDED
    assert here.ends(again).state is RunState.SUCCEEDED
    project = here.store.project(here.project.id)
    assert dict(project.budget) == {"max_bytes": 60000}
    assert project.model is not None
    assert project.data is not None
    with sqlite3.connect(here.store.files.database) as connection:
        keys = [key for (key,) in connection.execute("SELECT key FROM runs WHERE key IS NOT NULL AND kind = 'inspect data'")]
    connection.close()
    assert keys == ["patient"]
