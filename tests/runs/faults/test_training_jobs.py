"""Faults of training workers, on one runner that must survive them all: rows 1, 2, 7, 8, 9 and 12 of docs/security.md.

One run stands in its step from the first test to the last, so that every fault has a sibling that it must not touch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from optimizer.recipe import Recipe
from optimizer.runs import requests
from optimizer.runs.run import Run, RunKind, RunState
from optimizer.runs.store import Store
from optimizer.technique import PACKAGES_VARIABLE, Technique
from tests.browser.web_server import Server
from tests.runs.faults.hostile_techniques import HOSTILE_PACKAGE
from tests.runs.faults.hostile_techniques.hostile import BOUNDARIES, READING, STEP, CrashingFile, Hostile
from tests.runs.surroundings import MODEL, Surroundings, assert_sound, wait_for, work_folders

LIMITS = {"LITESMITH_MEMORY_LIMIT_GIB": "0.5", "LITESMITH_FILE_LIMIT_GIB": "0.01"}
FILE_LIMIT_BYTES = int(0.01 * 2**30)
START_S = 90
"""How long a worker may take to import TensorFlow on a machine that does other things too; no pass criterion."""


@dataclass(kw_only=True)
class Workshop:
    """A runner with two places, a web server beside it, and a run that holds one of the places."""

    here: Surroundings
    web: Server
    inputs: dict[str, Any]
    runner_pid: int
    sibling: Run

    @property
    def store(self) -> Store:
        return self.here.store

    def submit(self, step: Technique, **inputs: Any) -> Run:
        return submit(self.here, step, {**self.inputs, **inputs})

    def stands_at(self, run: Run, boundary: str) -> int:
        """Wait until the worker of a run has stopped at a boundary, and everything it has said is in the store; its pid."""
        pid = self.here.worker_of(run)
        wait_for(lambda: state_of(pid) == "T", within_s=START_S)
        stage = {READING: "", "done": "Measure"}.get(boundary, boundary)
        wait_for(lambda: self.store.run(run.id).progress.stage == stage, within_s=5)
        return pid

    def ends(self, run: Run, state: RunState, code: str) -> Run:
        """The run once it is over: in that state, with that error, without any result, and without a work folder."""
        done = self.here.ends(run, within_s=START_S)
        assert (done.state, (done.error or {}).get("code", "")) == (state, code), done.error
        assert set(done.artifacts) == {"log.txt"}
        assert (done.metrics, done.comparison) == (None, None)
        working = {self.folder_of(each) for each in self.store.runs(states=[RunState.RUNNING])}
        assert working == {self.folder_of(self.sibling)}
        wait_for(lambda: self.folder_of(run) not in work_folders(self.store), within_s=1)
        return done

    def folder_of(self, run: Run) -> str:
        """Name of the folder that a run works in."""
        with sqlite3.connect(self.store.files.database) as connection:
            (folder,) = connection.execute("SELECT work_folder FROM runs WHERE id = ?", (run.id,)).fetchone()
        connection.close()
        return Path(folder).name

    def assert_untouched(self) -> None:
        """The sibling still works, and neither the runner nor the web server has been replaced."""
        assert self.store.run(self.sibling.id).state is RunState.RUNNING
        status = self.store.runner_status()
        assert (status.alive, status.pid) == (True, self.runner_pid)
        assert self.web.process is not None
        assert self.web.process.poll() is None
        assert self.web.answers()
        assert_sound(self.store)


def line(run: Run) -> str:
    assert run.error is not None
    return str(run.error["line"])


def place(run: Run) -> str:
    assert run.error is not None
    return str(run.error["place"])


def taken_s(run: Run, *, since: float | None = None) -> float:
    """Seconds until the run's end, from its start where nothing else is given."""
    begun = run.started_at if since is None else since
    assert begun is not None
    assert run.finished_at is not None
    return run.finished_at - begun


def submit(here: Surroundings, step: Technique, inputs: dict[str, Any]) -> Run:
    return here.store.submit(here.project.id, RunKind.EXPERIMENT, name=step.name, recipe=Recipe(steps=(step,)), inputs=inputs)


def state_of(pid: int) -> str:
    """R, S, T (stopped), ...; "-" where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "-"


def members(group: int) -> list[str]:
    """Living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[2] == str(group) and fields[0] not in "ZX":
                found.append(path.parent.name)
    return found


def results_in(store: Store) -> set[str]:
    """Stored objects that are no logs."""
    return set(store.objects.all()) - {run.artifacts.get("log.txt", "") for run in store.runs()}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**LIMITS, PACKAGES_VARIABLE: HOSTILE_PACKAGE}.items():
            patch.setenv(name, value)
        here = Surroundings(tmp_path_factory.mktemp("faults") / "home")
        web = Server(here.store.home)
        try:
            runner_pid = here.start("--slots", "2", "--spares", "2")
            model = here.store.objects.add_bytes(MODEL, "digits_cnn.keras")
            inputs = {"model": {"sha256": model.sha256, "name": model.name}, "data": requests.SAMPLE_DATA}
            sibling = submit(here, Hostile(act="halt", at=STEP), inputs)
            web.start()
            made = Workshop(here=here, web=web, inputs=inputs, runner_pid=runner_pid, sibling=sibling)
            made.stands_at(sibling, STEP)
            yield made
        finally:
            web.kill()
            here.stop()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_worker_killed_at_a_phase_boundary_is_a_crash_that_names_it(workshop: Workshop, boundary: str) -> None:
    run = workshop.submit(Hostile(act="halt", at=boundary))
    pid = workshop.stands_at(run, boundary)
    before = results_in(workshop.store)
    os.kill(pid, signal.SIGKILL)
    killed_at = time.time()
    crashed = workshop.ends(run, RunState.CRASHED, "CRASHED")

    assert taken_s(crashed, since=killed_at) < 5
    assert "9 (SIGKILL)" in line(crashed)
    assert place(crashed) == {READING: "start", "done": "Measure"}.get(boundary, boundary)
    assert results_in(workshop.store) == before
    workshop.assert_untouched()


def test_a_file_that_crashes_the_interpreter_ends_its_own_run_only(workshop: Workshop) -> None:
    before = results_in(workshop.store)
    run = workshop.submit(CrashingFile())
    ended = workshop.here.ends(run, within_s=START_S)

    # The interpreter follows an index of -1 to whatever lies in memory there: most often SIGSEGV, but a huge size or an odd type, too.
    assert (ended.error or {}).get("code") in ("CRASHED", "OUT_OF_MEMORY", "BAD_TFLITE"), ended.error
    assert ended.state in (RunState.CRASHED, RunState.FAILED)
    assert set(ended.artifacts) == {"log.txt"}
    last_word = workshop.store.events(run.id)[-1]
    assert last_word.data["name"] == "Measure"
    assert taken_s(ended, since=last_word.time) < 5
    assert results_in(workshop.store) == before
    workshop.assert_untouched()


def test_a_segmentation_fault_in_c_code_is_a_crash_that_names_signal_and_stage(workshop: Workshop) -> None:
    before = results_in(workshop.store)
    run = workshop.submit(Hostile(act="crash", at="Measure"))
    crashed = workshop.ends(run, RunState.CRASHED, "CRASHED")

    assert taken_s(crashed, since=workshop.store.events(run.id)[-1].time) < 5
    assert "11 (SIGSEGV)" in line(crashed)
    assert place(crashed) == "Measure"
    assert results_in(workshop.store) == before
    workshop.assert_untouched()


@pytest.mark.parametrize("act", ["memory", "memory in C"])
def test_a_job_over_its_memory_limit_fails_soon_and_names_the_limit(workshop: Workshop, act: str) -> None:
    run = workshop.submit(Hostile(act=act))
    failed = workshop.ends(run, RunState.FAILED, "OUT_OF_MEMORY")

    assert taken_s(failed) <= 10
    assert "memory limit 0.5 GiB" in line(failed)
    workshop.assert_untouched()


def test_a_job_that_fills_the_disk_fails_and_leaves_nothing_of_it(workshop: Workshop) -> None:
    before = results_in(workshop.store)
    run = workshop.submit(Hostile(act="disk", at=STEP))
    workshop.ends(run, RunState.FAILED, "DISK_FULL")

    assert results_in(workshop.store) == before
    assert list((workshop.store.files.objects / "incoming").iterdir()) == []
    workshop.assert_untouched()


def test_an_endless_loop_in_c_is_stopped_at_its_time_limit_and_its_process_group_is_empty(workshop: Workshop) -> None:
    run = workshop.submit(Hostile(act="loop"), timeout_s=2)
    pid = workshop.here.worker_of(run)
    timed_out = workshop.ends(run, RunState.TIMED_OUT, "TIMED_OUT")

    assert taken_s(timed_out) <= 2 + 5
    assert "2 s" in line(timed_out)
    assert members(pid) == []
    workshop.assert_untouched()


def test_a_job_that_computes_is_cancelled_once_however_often_it_is_asked_to(workshop: Workshop) -> None:
    cancelled_before = workshop.store.run_counts(workshop.here.project.id).get(RunState.CANCELLED, 0)
    run = workshop.submit(Hostile(act="loop", at="Load the model"))
    pid = workshop.here.worker_of(run)
    asked_at = time.time()
    workshop.store.request_cancel(run.id)
    workshop.store.request_cancel(run.id)
    cancelled = workshop.ends(run, RunState.CANCELLED, "")

    assert taken_s(cancelled, since=asked_at) <= 5
    assert members(pid) == []
    workshop.store.request_cancel(run.id)
    assert workshop.store.run(run.id) == cancelled
    assert workshop.store.run_counts(workshop.here.project.id)[RunState.CANCELLED] == cancelled_before + 1
    workshop.assert_untouched()


def test_the_sibling_of_all_these_faults_finishes(workshop: Workshop) -> None:
    os.kill(workshop.here.worker_of(workshop.sibling), signal.SIGCONT)
    done = workshop.here.ends(workshop.sibling, within_s=60)

    assert done.state is RunState.SUCCEEDED, done.error
    for sha256 in done.artifacts.values():
        workshop.store.read_object(sha256)
    assert done.metrics is not None
    assert done.metrics["size_bytes"] == len(workshop.store.read_object(done.artifacts["model.tflite"]))
