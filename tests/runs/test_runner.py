"""The runner with real processes and real signals; no TensorFlow but in the last class.

A worker that hangs is one that was stopped (SIGSTOP) while it waited for its job: to the runner it looks like any endless loop.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from optimizer.runs import launch, requests
from optimizer.runs.launch import ensure_runner, take_lock, touch_web_alive
from optimizer.runs.processes import start_ticks
from optimizer.runs.run import Project, Run, RunKind, RunState
from optimizer.runs.store import Store
from tests.runs.surroundings import MODEL, NO_TRAINING, Surroundings, gone, wait_for, work_folders


class TestInspection:
    def test_an_upload_is_inspected_within_a_second_of_a_warm_worker(self, here: Surroundings) -> None:
        here.start(*NO_TRAINING)
        wait_for(here.ready_workers, within_s=20)
        submitted = time.time()
        run = here.ends(here.upload())

        assert run.state is RunState.SUCCEEDED, run.error
        assert run.started_at is not None
        assert run.started_at - submitted < 1.0
        model = here.store.project(here.project.id).model
        assert model is not None
        assert (model["sha256"], model["name"]) == (run.inputs["model"]["sha256"], "digits_cnn.keras")
        report = here.store.report(run.id)
        assert report is not None
        assert report["model"]["parameters"] > 0

    def test_data_are_matched_to_the_model_and_the_baseline_is_queued_by_itself(self, here: Surroundings) -> None:
        here.start(*NO_TRAINING)
        model = here.upload()
        data = requests.bring_bundled_data(here.store, here.project.id, "digits")
        here.ends(model)
        assert here.ends(data).state is RunState.SUCCEEDED

        project = here.store.project(here.project.id)
        assert project.data is not None
        assert (project.data["task"], project.data_source) == ("classification", {"bundled": "digits"})
        (baseline,) = wait_for(lambda: here.store.runs(project.id, kinds=[RunKind.BASELINE]), within_s=5)
        assert baseline.state is RunState.QUEUED

    def test_data_that_do_not_fit_a_new_model_are_set_aside_with_the_reason(self, here: Surroundings) -> None:
        here.start(*NO_TRAINING)
        table = io.BytesIO()
        np.savez(table, x=np.arange(300, dtype=np.float32).reshape(60, 5), y=np.arange(60) % 3)
        table.seek(0)
        data = here.ends(requests.bring_data(here.store, here.project.id, table, "table.npz"))
        assert data.state is RunState.SUCCEEDED, data.error
        before = here.store.project(here.project.id)
        assert before.data_source == {"sha256": data.inputs["data"]["sha256"], "name": "table.npz", "label": ""}
        run = here.ends(here.upload())

        project = here.store.project(here.project.id)
        assert run.state is RunState.SUCCEEDED
        assert project.model is not None
        assert (project.data, project.data_source) == (None, None)
        (note,) = here.store.events(run.id, kinds=["note"])
        assert "table.npz" in note.data["text"]

    def test_a_bad_upload_fails_in_plain_words_and_changes_nothing(self, here: Surroundings) -> None:
        here.start(*NO_TRAINING)
        good = here.ends(here.upload())
        before = here.store.project(here.project.id)
        bad = here.ends(here.upload(MODEL[: len(MODEL) // 2], "cut.keras"))

        assert bad.state is RunState.FAILED
        assert bad.error is not None
        assert "cut.keras" in bad.error["line"]
        assert here.store.project(here.project.id) == before
        wait_for(lambda: not here.store.objects.exists(bad.inputs["model"]["sha256"]), within_s=5)
        assert here.store.read_object(good.inputs["model"]["sha256"]) == MODEL
        assert "Traceback" in here.store.log(bad.id)


class TestSandbox:
    def test_every_worker_that_waits_for_a_file_is_confined(self, here: Surroundings) -> None:
        here.start(*NO_TRAINING)
        for pid in wait_for(here.ready_workers, within_s=20):
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            assert tasks
            for task in tasks:
                status = (task / "status").read_text()
                assert "NoNewPrivs:\t1\n" in status
                assert "Seccomp:\t2\n" in status


class TestFaults:
    def test_a_killed_worker_is_a_crash_that_names_the_signal_and_the_next_job_runs(self, here: Surroundings) -> None:
        here.start(*NO_TRAINING)
        pid = here.hang_next()
        run = here.reaches(here.upload(), RunState.RUNNING)
        here.hang_at_work(run, pid)
        os.kill(pid, signal.SIGKILL)
        crashed = here.ends(run, within_s=5)

        assert crashed.state is RunState.CRASHED
        assert crashed.error is not None
        assert "SIGKILL" in crashed.error["line"]
        assert set(crashed.artifacts) <= {"log.txt"}
        assert here.ends(here.upload()).state is RunState.SUCCEEDED

    def test_a_run_whose_worker_dies_before_it_began_is_done_by_the_next(self, here: Surroundings) -> None:
        here.start(*NO_TRAINING)
        pid = here.hang_next()
        upload = here.upload()
        run = here.reaches(upload, RunState.RUNNING)
        os.kill(pid, signal.SIGKILL)
        done = here.ends(run)

        assert done.state is RunState.SUCCEEDED, done.error
        assert (done.id, done.created_at) == (upload.id, upload.created_at)
        assert here.store.count_runs() == 1
        assert here.worker_of(run, attempt=2) != pid
        (note,) = here.store.events(run.id, kinds=["note"])
        assert "9 (SIGKILL) before it began" in note.data["text"]
        wait_for(lambda: len(work_folders(here.store)) == len(here.ready_workers()) == 1, within_s=20)

    def test_a_run_is_crashed_when_the_third_worker_dies_before_it_began(self, here: Surroundings) -> None:
        here.start(*NO_TRAINING)
        worker = here.hang_next()
        run = here.reaches(here.upload(), RunState.RUNNING)
        for attempt in (2, 3):
            (spare,) = wait_for(lambda busy=worker: set(here.ready_workers()) - {busy}, within_s=20)
            os.kill(spare, signal.SIGSTOP)
            os.kill(worker, signal.SIGKILL)
            worker = here.worker_of(run, attempt=attempt)
            assert worker == spare
            assert not here.store.run(run.id).state.is_final
        os.kill(worker, signal.SIGKILL)
        crashed = here.ends(run)

        assert crashed.state is RunState.CRASHED
        assert crashed.error is not None
        assert "9 (SIGKILL). Limit: 3 processes that end before they have begun the run." in crashed.error["line"]
        assert len(here.store.events(run.id, kinds=["note"])) == 2
        assert here.ends(here.upload()).state is RunState.SUCCEEDED

    def test_an_endless_job_is_stopped_at_its_time_limit(self, here: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LITESMITH_JOB_TIMEOUT_S", "0.5")
        here.start(*NO_TRAINING)
        pid = here.hang_next()
        run = here.ends(here.upload(), within_s=6)

        assert run.state is RunState.TIMED_OUT
        assert run.error is not None
        assert "0.5 s" in run.error["line"]
        assert gone(pid)

    def test_a_job_that_fills_its_folder_with_many_files_is_stopped(
        self, here: Surroundings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LITESMITH_FOLDER_LIMIT_GIB", "0.01")
        here.start(*NO_TRAINING)
        pid = here.hang_next()
        run = here.reaches(here.upload(), RunState.RUNNING)
        work = here.store.files.work
        folder = wait_for(lambda: next((path for path in work.iterdir() if (path / "job.json").exists()), None), within_s=5)
        for number in range(8):
            (folder / "tmp" / f"part{number}").write_bytes(bytes(2**21))
        full = here.ends(run, within_s=6)

        assert full.state is RunState.FAILED
        assert full.error is not None
        assert full.error["code"] == "DISK_FULL"
        assert "0.01 GiB" in full.error["limit"]
        assert gone(pid)
        wait_for(lambda: not folder.exists(), within_s=5)

    def test_a_killed_runner_takes_its_workers_with_it_and_the_next_one_cleans_up(self, here: Surroundings) -> None:
        first = here.start(*NO_TRAINING)
        pid = here.hang_next()
        run = here.reaches(here.upload(), RunState.RUNNING)
        orphan = leave_half_a_result(here.store)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: gone(pid), within_s=5)
        assert not here.store.runner_status().alive
        assert here.store.run(run.id).state is RunState.RUNNING

        second = here.start(*NO_TRAINING)
        interrupted = here.ends(run, within_s=10)
        assert second != first
        assert interrupted.state is RunState.INTERRUPTED
        wait_for(lambda: not here.store.objects.exists(orphan), within_s=5)
        assert here.ends(requests.run_again(here.store, run.id)).state is RunState.SUCCEEDED

    def test_a_runner_that_is_told_to_stop_interrupts_its_jobs_itself(self, here: Surroundings) -> None:
        runner = here.start(*NO_TRAINING)
        pid = here.hang_next()
        run = here.reaches(here.upload(), RunState.RUNNING)
        os.kill(runner, signal.SIGTERM)

        assert here.ends(run, within_s=5).state is RunState.INTERRUPTED
        assert gone(pid)
        wait_for(lambda: gone(runner), within_s=5)
        assert work_folders(here.store) == set()

    def test_a_damaged_upload_is_refused_before_any_work(self, here: Surroundings) -> None:
        run = here.upload()
        path = here.store.object_path(run.inputs["model"]["sha256"])
        path.chmod(0o600)
        path.write_bytes(MODEL[:-1] + bytes([MODEL[-1] ^ 1]))
        here.start(*NO_TRAINING)

        failed = here.ends(run)
        assert failed.state is RunState.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "DAMAGED"


def leave_half_a_result(store: Store) -> str:
    """What a runner leaves that is killed between the rename of an artefact and the commit: the object, and its source."""
    content = os.urandom(1000)
    job = wait_for(lambda: next(store.files.work.glob("*/job.json"), None), within_s=5)
    (job.parent / "out" / "model.tflite").write_bytes(content)
    return store.objects.add_bytes(content, "model.tflite").sha256


class TestLife:
    def test_one_home_has_one_runner_however_many_ask_for_it(self, here: Surroundings) -> None:
        code = (
            "import sys; from pathlib import Path; from optimizer.runs.launch import ensure_runner\n"
            "for _ in range(20): ensure_runner(Path(sys.argv[1]), options=('--slots', '0', '--inspection-slots', '0'))"
        )
        processes = [subprocess.Popen([sys.executable, "-c", code, str(here.store.home)]) for _ in range(3)]
        assert [process.wait(timeout=30) for process in processes] == [0, 0, 0]
        pid = here.start()

        wait_for(lambda: f"runner {pid} is ready" in here.runner_log(), within_s=5)
        assert here.runner_log().count("is ready") == 1
        assert start_ticks(pid) is not None
        assert take_lock(here.store.files) is None

    def test_a_runner_that_nobody_needs_ends(self, here: Surroundings) -> None:
        touch_web_alive(here.store.home)
        pid = here.start(*NO_TRAINING, "--inspection-slots", "0", "--idle-exit-s", "0.3")
        wait_for(lambda: gone(pid), within_s=10)
        lock = take_lock(here.store.files)
        assert lock is not None
        os.close(lock)

    def test_a_runner_of_older_code_ends_when_its_jobs_are_done_and_a_new_one_goes_on(
        self, here: Surroundings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = here.start(*NO_TRAINING)
        worker = here.hang_next()
        begun = here.reaches(here.upload(), RunState.RUNNING)
        here.store.files.runner_lock.write_text("the code before the update")
        monkeypatch.setattr(launch, "CODE_LOOK_S", 0.0)
        ensure_runner(here.store.home, options=NO_TRAINING)
        waiting = here.upload(name="later.keras")
        os.kill(worker, signal.SIGCONT)

        assert here.ends(begun).state is RunState.SUCCEEDED
        wait_for(lambda: gone(old), within_s=10)
        assert here.store.run(waiting.id).state is RunState.QUEUED
        assert here.start(*NO_TRAINING) != old
        assert here.ends(waiting).state is RunState.SUCCEEDED

    def test_a_worker_that_cannot_start_fails_one_job_with_the_reason_and_not_the_queue(
        self, here: Surroundings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LITESMITH_TECHNIQUE_PACKAGES", "no_such_package")
        run = here.store.submit(here.project.id, RunKind.BASELINE, inputs={})
        next_run = here.store.submit(here.project.id, RunKind.BASELINE, inputs={"threads": 2})
        here.start("--spares", "0")
        failed = here.ends(run, within_s=60)
        assert here.store.run(next_run.id).state is RunState.QUEUED

        assert failed.state is RunState.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "WORKER_START"
        assert "no_such_package" in failed.error["line"]


WEB = """
import os, signal, sys
from pathlib import Path
from optimizer.runs import launch, requests
from optimizer.runs.launch import ensure_runner
from optimizer.runs.store import Store
home = Path(sys.argv[1])
requests.try_sample(Store(home))
ensure_runner(home)
os.kill(0, signal.SIGKILL)
"""


class TestTraining:
    def test_the_sample_runs_to_its_end_although_the_web_process_was_killed_and_a_worker_too(self, here: Surroundings) -> None:
        web = subprocess.run([sys.executable, "-c", WEB, str(here.store.home)], start_new_session=True, check=False)
        assert web.returncode == -9
        project = next(project for project in here.store.projects() if project.name == "digits sample")
        runs = {run.name: run for run in here.store.runs(project.id)}
        child = continue_from(here, project, runs["Safe"])
        self.kill_while(here, runs["Balanced"], "prune 50 %")
        here.store.request_cancel(runs["Tiny"].id)

        assert here.ends(runs["baseline"], within_s=120).state is RunState.SUCCEEDED
        self.check_result(here.store, here.ends(runs["Safe"], within_s=60))
        self.check_result(here.store, here.ends(child, within_s=60))
        assert here.ends(runs["Tiny"]).state is RunState.CANCELLED

    def kill_while(self, here: Surroundings, run: Run, stage: str) -> None:
        def pid_at_stage() -> int | None:
            if here.store.run(run.id).progress.stage != stage:
                return None
            begun = re.search(rf"run {run.id}: experiment began in process (\d+)", here.runner_log())
            return int(begun[1]) if begun else None

        os.kill(wait_for(pid_at_stage, within_s=120), signal.SIGKILL)
        crashed = here.ends(run, within_s=5)
        assert crashed.state is RunState.CRASHED
        assert crashed.error is not None
        assert stage in crashed.error["line"]
        assert "SIGKILL" in crashed.error["line"]
        assert set(crashed.artifacts) == {"log.txt"}

    def check_result(self, store: Store, run: Run) -> None:
        assert run.state is RunState.SUCCEEDED, run.error
        assert run.metrics is not None
        assert run.comparison is not None
        assert run.progress.fraction == 1.0
        content = store.read_object(run.artifacts["model.tflite"])
        assert run.metrics["size_bytes"] == len(content)
        report = store.report(run.id)
        assert report is not None
        assert report["result"] == run.metrics
        assert [event.data["name"] for event in store.events(run.id, kinds=["stage"])][:2] == ["Load the model", "Baseline"]
        assert set(run.artifacts) >= {"model.tflite", "report.json", "recipe.json", "log.txt"}


def continue_from(here: Surroundings, project: Project, parent: Run) -> Run:
    """Queue a run that starts from another's result, before that one is done."""
    recipe = requests.presets()["Safe"]
    return requests.run_recipe(here.store, project.id, recipe, parent_id=parent.id, name="child")
