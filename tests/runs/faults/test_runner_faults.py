"""Faults of the runner and of the disk beneath it, with inspections, which need no TensorFlow: rows 5, 7, 12 and 15 of docs/security.md."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizer.errors import RunError
from optimizer.runs import requests
from optimizer.runs.claims import Claims
from optimizer.runs.processes import ProcessIdentity, start_ticks, this_process
from optimizer.runs.run import Run, RunKind, RunState
from optimizer.runs.store import Store
from tests.runs.samples import INSPECTION_KINDS
from tests.runs.surroundings import MODEL, NO_TRAINING, Surroundings, gone, wait_for, work_folders

CANCEL_S = 5.0


@contextlib.contextmanager
def write_lock(store: Store) -> Iterator[sqlite3.Connection]:
    """Hold the database's write lock, as any other writer would."""
    other = sqlite3.connect(store.files.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
        other.execute("COMMIT")
    finally:
        other.close()


def kill_runner(here: Surroundings) -> None:
    pid = here.store.runner_status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gone(pid), within_s=5)


def assert_readable(store: Store, run: Run) -> None:
    """Every file of a succeeded run still has the bytes that it was stored under."""
    assert run.state is RunState.SUCCEEDED, run.error
    assert set(run.artifacts) >= {"report.json", "log.txt"}
    for sha256 in run.artifacts.values():
        store.read_object(sha256)


def test_a_runner_killed_between_rename_and_commit_leaves_no_result_and_no_orphan(here: Surroundings) -> None:
    here.start(*NO_TRAINING)
    worker = here.hang_next()
    run = here.reaches(here.upload(), RunState.RUNNING)
    before = set(here.store.objects.all())
    with write_lock(here.store):
        os.kill(worker, signal.SIGCONT)
        # The result lies in the object store now, and cannot be committed.
        wait_for(lambda: f"run {run.id} cannot be finished yet" in here.runner_log(), within_s=20)
        orphans = set(here.store.objects.all()) - before
        kill_runner(here)
    assert orphans
    assert here.store.run(run.id).state is RunState.RUNNING

    here.start(*NO_TRAINING)
    interrupted = here.ends(run, within_s=10)
    assert interrupted.state is RunState.INTERRUPTED
    orphans -= set(interrupted.artifacts.values())  # The log of an interrupted run is kept.
    assert orphans
    wait_for(lambda: not any(here.store.objects.exists(sha256) for sha256 in orphans), within_s=5)
    again = here.ends(requests.run_again(here.store, run.id))
    assert_readable(here.store, again)
    wait_for(lambda: len(work_folders(here.store)) == 1, within_s=5)


def test_a_spare_worker_that_is_killed_costs_no_run(here: Surroundings) -> None:
    here.start(*NO_TRAINING)
    # At once: the run may be handed over while the process is still dying.
    os.kill(wait_for(here.ready_workers, within_s=20)[0], signal.SIGKILL)
    assert_readable(here.store, here.ends(here.upload()))
    assert here.store.count_runs() == 1


def test_a_run_whose_worker_died_before_it_began_waits_for_a_locked_database(here: Surroundings) -> None:
    here.start(*NO_TRAINING)
    worker = here.hang_next()
    run = here.reaches(here.upload(), RunState.RUNNING)
    with write_lock(here.store):
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: f"run {run.id} cannot be" in here.runner_log(), within_s=20)
    assert_readable(here.store, here.ends(run))


def limit_file_size(pid: int, limit_bytes: int) -> None:
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit_bytes, hard))


def test_a_runner_that_cannot_write_any_more_fails_the_run_and_goes_on_when_it_can_again(here: Surroundings) -> None:
    runner = here.start(*NO_TRAINING)
    old = here.ends(here.upload(name="old.keras"))
    worker = here.hang_next()
    run = here.reaches(here.upload(), RunState.RUNNING)
    before = set(here.store.objects.all())
    wait_for(lambda: f"run {run.id}: " in here.runner_log(), within_s=5)
    limit_file_size(runner, 0)
    os.kill(worker, signal.SIGCONT)
    # It gives up the run's folder, whose space may be what is missing, once it has failed to store the result and to say so.
    wait_for(lambda: not list(here.store.files.work.glob("*/job.json")), within_s=20)
    assert here.store.run(run.id).state is RunState.RUNNING
    assert_readable(here.store, old)
    limit_file_size(runner, resource.RLIM_INFINITY)

    failed = here.ends(run, within_s=10)
    assert (failed.state, (failed.error or {})["code"]) == (RunState.FAILED, "DISK_FULL")
    assert set(failed.artifacts) <= {"log.txt"}
    assert set(here.store.objects.all()) - before <= set(failed.artifacts.values())
    assert list((here.store.files.objects / "incoming").iterdir()) == []
    assert_readable(here.store, here.ends(requests.run_again(here.store, old.id)))
    assert here.store.runner_status().pid == runner


# Runs in a mount namespace of its own, where the home is a small disk.
SMALL_DISK = """
import io, os, subprocess, sys
from pathlib import Path
home = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(home)], check=True)
from optimizer.errors import RunError
from optimizer.runs import requests
from optimizer.runs.run import RunState
from tests.runs.surroundings import MODEL, NO_TRAINING, Surroundings, wait_for
here = Surroundings(home)
here.start(*NO_TRAINING)
old = here.ends(here.upload(name="old.keras"))
assert old.state is RunState.SUCCEEDED, old.error
wait_for(lambda: not list(here.store.files.work.glob("*/job.json")), within_s=20)
objects = set(here.store.objects.all())
ballast = home / "ballast"
def fill(free_bytes):
    state = os.statvfs(home)
    with ballast.open("ab") as file:
        file.write(bytes(max(0, state.f_bavail * state.f_frsize - free_bytes)))
fill(len(MODEL) // 2)
try:
    here.upload(MODEL + b"\\0", "new.keras")
    raise AssertionError("an upload fitted on a full disk")
except RunError as error:
    assert error.code == "DISK_FULL", error
failed = here.ends(requests.run_again(here.store, old.id))
assert (failed.state, failed.error["code"]) == (RunState.FAILED, "DISK_FULL"), failed.error
assert set(here.store.objects.all()) - set(failed.artifacts.values()) <= objects
assert list((here.store.files.objects / "incoming").iterdir()) == []
for sha256 in old.artifacts.values():
    here.store.read_object(sha256)
ballast.unlink()
again = here.ends(requests.run_again(here.store, old.id))
assert again.state is RunState.SUCCEEDED, again.error
here.stop()
print("whole")
"""
NAMESPACES = (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"])


def test_on_a_full_disk_a_run_fails_old_results_stay_and_the_next_run_works_when_there_is_space(
    tmp_path: Path,
) -> None:
    for namespace in NAMESPACES:
        if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip(
            "A small disk needs a mount namespace, which this machine does not give; the limit on file sizes stands in for it."
        )
    done = subprocess.run(
        [*namespace, sys.executable, "-c", SMALL_DISK, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "whole\n", done.stderr


def finished_runs(here: Surroundings) -> dict[RunState, Run]:
    """One run for each way in which a run can end, but `cancelled`."""
    found = {RunState.SUCCEEDED: here.ends(here.upload())}
    found[RunState.FAILED] = here.ends(here.upload(MODEL[:1000], "cut.keras"))
    worker = here.hang_next()
    crashed = here.reaches(here.upload(), RunState.RUNNING)
    here.hang_at_work(crashed, worker)
    os.kill(worker, signal.SIGKILL)
    found[RunState.CRASHED] = here.ends(crashed)
    here.hang_next()
    endless = here.store.submit(here.project.id, RunKind.INSPECT_MODEL, inputs={**crashed.inputs, "timeout_s": 0.2})
    found[RunState.TIMED_OUT] = here.ends(endless)
    here.hang_next()
    lost = here.reaches(here.upload(), RunState.RUNNING)
    kill_runner(here)
    here.start(*NO_TRAINING)
    found[RunState.INTERRUPTED] = here.ends(lost)
    assert {state: run.state for state, run in found.items()} == {state: state for state in found}
    return found


def cancel_twice(store: Store, run: Run) -> None:
    store.request_cancel(run.id)
    store.request_cancel(run.id)


def test_cancel_ends_a_run_once_in_whatever_state_it_is(here: Surroundings) -> None:
    here.start(*NO_TRAINING)
    finished = finished_runs(here)
    worker = here.hang_next()
    running = here.reaches(here.upload(), RunState.RUNNING)
    queued = here.upload()
    asked_at = time.time()
    for run in (queued, running, *finished.values()):
        cancel_twice(here.store, run)
    cancelled = [here.ends(run, within_s=CANCEL_S) for run in (queued, running)]

    for run in cancelled:
        assert run.state is RunState.CANCELLED
        assert run.finished_at is not None
        assert run.finished_at - asked_at <= CANCEL_S
        cancel_twice(here.store, run)
        assert here.store.run(run.id) == run
    assert gone(worker)
    assert [here.store.run(run.id) for run in finished.values()] == list(finished.values())
    assert here.store.run_counts(here.project.id) == {RunState.CANCELLED: 2, **dict.fromkeys(finished, 1)}
    assert_readable(here.store, finished[RunState.SUCCEEDED])
    ready = wait_for(here.ready_workers, within_s=20)
    wait_for(lambda: len(work_folders(here.store)) == len(ready) == 1, within_s=5)


@pytest.mark.parametrize("is_the_worker", [False, True])
def test_only_the_very_process_that_worked_for_a_dead_runner_is_killed(here: Surroundings, is_the_worker: bool) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    ticks = start_ticks(process.pid)
    assert ticks is not None
    run = here.upload()
    here_now = this_process()

    def process_of_the_past(pid: int, ticks: int) -> ProcessIdentity:
        return ProcessIdentity(host=here_now.host, boot_id=here_now.boot_id, pid=pid, start_ticks=ticks)

    # The dead runner had a pid that is this test's now; the dead worker one that is `process`'s now, or still is.
    dead = Claims(here.store, process_of_the_past(here_now.pid, here_now.start_ticks - 1))
    dead.claim(INSPECTION_KINDS, process_of_the_past(process.pid, ticks if is_the_worker else ticks - 1), "")
    try:
        here.start(*NO_TRAINING)
        assert here.ends(run, within_s=10).state is RunState.INTERRUPTED
        wait_for(here.ready_workers, within_s=20)
        assert process.poll() == (-signal.SIGKILL if is_the_worker else None)
    finally:
        process.kill()
        process.wait()


def test_a_result_with_one_flipped_byte_is_not_handed_out(here: Surroundings) -> None:
    here.start(*NO_TRAINING)
    run = here.ends(here.upload())
    path = here.store.object_path(run.artifacts["report.json"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    with pytest.raises(RunError, match="damaged") as caught:
        here.store.report(run.id)
    assert caught.value.code == "DAMAGED"
