"""The contract of the store; it runs on every backend of conftest.BACKENDS."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from optimizer.context import Event
from optimizer.errors import InputError, RunError
from optimizer.recipe import Recipe
from optimizer.runs.claims import Claims, News, Outcome
from optimizer.runs.processes import ProcessIdentity, this_process
from optimizer.runs.run import RUN_KINDS, UNNAMED, Progress, Project, Run, RunKind, RunState
from optimizer.runs.store import Store
from tests.runs.samples import DIGITS, INSPECTION_KINDS, TRAINING_KINDS, take


class TestProjects:
    def test_a_new_project_is_empty_and_can_be_read_back(self, store: Store) -> None:
        project = store.create_project("keywords v3")

        assert store.project(project.id) == project
        assert (project.name, project.model, project.data, project.budget) == ("keywords v3", None, None, {})

    def test_an_unknown_project_is_a_key_error(self, store: Store) -> None:
        for ask in (store.project, store.last_activity):
            with pytest.raises(KeyError):
                ask("nothing")
        with pytest.raises(KeyError):
            store.set_budget("nothing", {})
        with pytest.raises(KeyError):
            store.submit("nothing", RunKind.BASELINE)

    def test_the_project_with_the_newest_activity_comes_first(self, store: Store) -> None:
        old, new = store.create_project("old"), store.create_project("new")
        assert [p.id for p in store.projects()] == [new.id, old.id]

        store.submit(old.id, RunKind.INSPECT_DATA, inputs={"data": DIGITS})

        assert [p.id for p in store.projects()] == [old.id, new.id]
        assert store.last_activity(old.id) > store.last_activity(new.id)

    def test_name_and_budget_can_be_changed(self, store: Store, project: Project) -> None:
        store.rename_project(project.id, "a better name")
        store.set_budget(project.id, {"max_bytes": 60_000, "device": "Raspberry Pi 4"})

        changed = store.project(project.id)
        assert (changed.name, dict(changed.budget)) == ("a better name", {"max_bytes": 60_000, "device": "Raspberry Pi 4"})

    def test_a_hostile_name_becomes_one_printable_line(self, store: Store) -> None:
        project = store.create_project("a\n\u202eb<img src=x>" + "c" * 400)

        assert "\n" not in project.name
        assert "\u202e" not in project.name
        assert len(project.name) == 200
        with pytest.raises(InputError, match="needs a name"):
            store.create_project(" \n ")

    def test_the_same_key_gives_the_same_project(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(lambda _: store.create_project("sample", key="sample").id, range(20)))

        assert len(set(made)) == 1
        assert len(store.projects()) == 1


class TestSubmit:
    def test_a_submitted_run_is_queued_with_all_that_was_asked(
        self, store: Store, project: Project, inputs: dict[str, Any]
    ) -> None:
        run = store.submit(project.id, RunKind.EXPERIMENT, name="a", note="b", recipe=Recipe(seed=7), inputs=inputs)

        assert store.run(run.id) == run
        assert (run.state, run.kind, run.name, run.note, run.seed) == (RunState.QUEUED, RunKind.EXPERIMENT, "a", "b", 7)
        assert run.recipe == Recipe(seed=7).to_json()
        assert run.recipe_in_words == Recipe().in_words()
        assert run.inputs == inputs

    def test_twenty_concurrent_submits_with_one_key_make_one_run(self, store: Store, project: Project) -> None:
        start = threading.Barrier(20)

        def submit(_: int) -> str:
            start.wait()
            return store.submit(project.id, RunKind.INSPECT_DATA, inputs={"data": DIGITS}, key="once").id

        with ThreadPoolExecutor(20) as threads:
            made = set(threads.map(submit, range(20)))

        assert len(made) == 1
        assert store.count_runs() == 1

    def test_processes_that_submit_at_once_lose_nothing(self, store: Store, project: Project) -> None:
        code = (
            "import sys; from pathlib import Path; from optimizer.runs.store import Store; from optimizer.runs.run import RunKind\n"
            "store = Store(Path(sys.argv[1]), url=sys.argv[2])\n"
            "for i in range(10): store.submit(sys.argv[3], RunKind.INSPECT_DATA, inputs={'data': {'bundled': 'digits'}}, key=f'k{i}')\n"
            "for i in range(10): store.submit(sys.argv[3], RunKind.INSPECT_DATA, inputs={'data': {'bundled': 'digits'}})\n"
        )
        command = [sys.executable, "-c", code, str(store.home), store.database.url, project.id]
        processes = [subprocess.Popen(command) for _ in range(3)]

        assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
        assert store.count_runs() == 10 + 3 * 10

    def test_a_file_that_is_not_stored_is_refused(self, store: Store, project: Project) -> None:
        with pytest.raises(InputError, match=r"kws\.h5.*Upload it again"):
            store.submit(project.id, RunKind.INSPECT_MODEL, inputs={"model": {"sha256": "0" * 64, "name": "kws.h5"}})
        assert store.count_runs() == 0

    def test_a_start_in_another_project_is_refused(self, store: Store, experiment: Run, inputs: dict[str, Any]) -> None:
        other = store.create_project("other")
        with pytest.raises(InputError, match="another project"):
            store.submit(other.id, RunKind.EXPERIMENT, recipe=Recipe(), inputs=inputs, parent_id=experiment.id)


class TestListing:
    @pytest.fixture
    def many(self, store: Store, project: Project) -> list[Run]:
        return [store.submit(project.id, RunKind.INSPECT_DATA, name=f"run {i}", inputs={"data": DIGITS}) for i in range(5)]

    def test_runs_come_newest_first_in_pages(self, store: Store, project: Project, many: list[Run]) -> None:
        assert [run.name for run in store.runs(project.id, limit=2)] == ["run 4", "run 3"]
        assert [run.name for run in store.runs(project.id, limit=2, offset=3)] == ["run 1", "run 0"]
        assert store.run_counts(project.id) == {RunState.QUEUED: 5}

    def test_filters_narrow_the_listing_and_the_count_alike(self, store: Store, project: Project, many: list[Run]) -> None:
        store.request_cancel(many[2].id)
        other = store.create_project("other")
        for filters, expected in (
            ({"project_id": project.id}, 5),
            ({"project_id": other.id}, 0),
            ({"states": [RunState.CANCELLED]}, 1),
            ({"kinds": [RunKind.BASELINE]}, 0),
            ({"kinds": [RunKind.INSPECT_DATA, RunKind.BASELINE]}, 5),
            ({"search": "RUN 3"}, 1),
            ({"search": "%"}, 0),
        ):
            assert len(store.runs(**filters)) == store.count_runs(**filters) == expected, filters

    def test_an_outcome_is_the_same_in_the_database_as_in_a_run(self, store: Store, project: Project, claims: Claims) -> None:
        endings = [
            (RunState.SUCCEEDED, None),
            (RunState.FAILED, RunError("No", code="BAD_DATA")),
            (RunState.FAILED, RunError("No", code="OUT_OF_MEMORY")),
            (RunState.FAILED, RunError('Odd "code":"OUT_OF_MEMORY"', code="DISK_FULL")),
            (RunState.CRASHED, RunError("No", code="OUT_OF_MEMORY")),
        ]
        for number, (state, error) in enumerate(endings):
            run = store.submit(project.id, RunKind.INSPECT_DATA, name=f"run {number}", inputs={"data": DIGITS})
            assert claims.claim([RunKind.INSPECT_DATA], this_process(), "") is not None
            claims.finish(run.id, Outcome(state=state, error=None if error is None else error.to_json()))
        words = ["succeeded", "failed", "out of memory", "disk full", "crashed"]
        assert store.outcome_counts(project.id) == dict.fromkeys(words, 1)
        assert store.outcome_counts(project.id, kinds=RUN_KINDS) == {}
        for number, outcome in enumerate(words):
            (found,) = store.runs(project.id, outcomes=[outcome])
            assert (found.name, found.outcome) == (f"run {number}", outcome)
            assert store.count_runs(project.id, outcomes=[outcome]) == 1


class TestClaims:
    def test_a_new_project_is_named_by_the_first_file_that_is_accepted(self, store: Store, claims: Claims) -> None:
        project = store.create_project(UNNAMED)
        for name, state, changes in (
            ("refused.npz", RunState.FAILED, {}),
            ("accepted.npz", RunState.SUCCEEDED, {"data_source": {"bundled": "digits"}}),
            ("later.npz", RunState.SUCCEEDED, {"data_source": {"bundled": "digits"}}),
        ):
            run = store.submit(project.id, RunKind.INSPECT_DATA, name=name, inputs={"data": DIGITS})
            assert claims.claim([RunKind.INSPECT_DATA], this_process(), "") is not None
            claims.finish(run.id, Outcome(state=state, project=changes))
            assert store.project(project.id).name == (UNNAMED if state is RunState.FAILED else "accepted")

    def test_the_oldest_run_of_the_right_kind_is_claimed_once(self, store: Store, project: Project, claims: Claims) -> None:
        runs = [store.submit(project.id, RunKind.BASELINE, inputs={"data": {"bundled": name}}) for name in ("digits", "mnist")]
        assert claims.claim(INSPECTION_KINDS, this_process(), "") is None

        assert [take(claims).id, take(claims).id] == [run.id for run in runs]
        assert claims.claim(TRAINING_KINDS, this_process(), "") is None
        assert store.run(runs[0].id).state is RunState.RUNNING
        assert store.runner_status().running == tuple(run.id for run in runs)

    def test_several_runners_never_get_the_same_run(self, store: Store, project: Project) -> None:
        submitted = {store.submit(project.id, RunKind.BASELINE, inputs={"data": {"n": i}}).id for i in range(24)}

        def claim_all(_: int) -> list[str]:
            mine = Claims(store, this_process())
            found = []
            while (run := mine.claim(TRAINING_KINDS, this_process(), "")) is not None:
                found.append(run.id)
            return found

        with ThreadPoolExecutor(4) as threads:
            claimed = [run_id for part in threads.map(claim_all, range(4)) for run_id in part]
        assert sorted(claimed) == sorted(submitted)

    def test_an_experiment_waits_for_its_baseline(self, store: Store, project: Project, experiment: Run, claims: Claims) -> None:
        baseline = store.submit(project.id, RunKind.BASELINE, recipe=Recipe(), inputs=experiment.inputs)

        assert take(claims).id == baseline.id
        assert claims.claim(TRAINING_KINDS, this_process(), "") is None
        claims.finish(baseline.id, Outcome(state=RunState.FAILED))
        assert take(claims).id == experiment.id

    def test_an_experiment_waits_for_the_run_it_starts_from(self, store: Store, experiment: Run, claims: Claims) -> None:
        child = store.submit(
            experiment.project_id, RunKind.EXPERIMENT, recipe=Recipe(), inputs=experiment.inputs, parent_id=experiment.id
        )
        assert take(claims).id == experiment.id
        assert claims.claim(TRAINING_KINDS, this_process(), "") is None
        claims.finish(experiment.id, Outcome(state=RunState.SUCCEEDED))
        assert take(claims).id == child.id

    def test_inspections_of_a_project_go_one_after_the_other(self, store: Store, project: Project, claims: Claims) -> None:
        first, _ = (store.submit(project.id, RunKind.INSPECT_DATA, inputs={"data": DIGITS}) for _ in range(2))
        other = store.submit(store.create_project("other").id, RunKind.INSPECT_DATA, inputs={"data": DIGITS})

        assert [take(claims, *INSPECTION_KINDS).id for _ in range(2)] == [first.id, other.id]
        assert claims.claim(INSPECTION_KINDS, this_process(), "") is None


class TestReporting:
    def test_events_and_progress_can_be_read_while_a_run_works(self, store: Store, experiment: Run, claims: Claims) -> None:
        take(claims)
        metrics = Event(kind="metrics", data={"epoch": 1, "loss": 0.5})
        note = Event(kind="note", data={"text": "Layer a stays float."})
        progress = Progress(stage="prune 80 %", stage_index=2, stage_count=5, fraction=0.4, seconds_left=12.0)
        claims.report([News(run_id=experiment.id, events=[(1.0, metrics), (2.0, note)], progress=progress)], spares_ready=1)

        events = store.events(experiment.id)
        assert [(event.time, event.kind, event.data) for event in events] == [
            (1.0, "metrics", metrics.data),
            (2.0, "note", note.data),
        ]
        assert store.events(experiment.id, after=events[0].number) == events[1:]
        assert store.events(experiment.id, kinds=["note"]) == events[1:]
        assert store.run(experiment.id).progress == progress
        assert store.runner_status().spares_ready == 1

    def test_a_finished_run_keeps_its_result_and_refuses_writes(self, store: Store, experiment: Run, claims: Claims) -> None:
        take(claims)
        outcome = Outcome(state=RunState.SUCCEEDED, metrics={"size_bytes": 9}, artifacts={"model.tflite": "a" * 64})
        claims.finish(experiment.id, outcome)
        finished = store.run(experiment.id)
        assert (finished.state, finished.metrics, finished.artifacts) == (
            RunState.SUCCEEDED,
            {"size_bytes": 9},
            outcome.artifacts,
        )

        with pytest.raises(RunError, match="is over"):
            claims.finish(experiment.id, Outcome(state=RunState.FAILED))
        claims.report(
            [News(run_id=experiment.id, events=[(1.0, Event(kind="note"))], progress=Progress(fraction=0.1))], spares_ready=0
        )
        store.request_cancel(experiment.id)
        with pytest.raises(RunError, match="is over"):
            claims.interrupt(experiment.id, artifacts={})
        assert store.run(experiment.id) == finished
        assert store.events(experiment.id) == []

    def test_a_runner_cannot_end_the_run_of_another(self, store: Store, experiment: Run, claims: Claims) -> None:
        take(claims)
        with pytest.raises(RunError, match="is over"):
            Claims(store, this_process()).finish(experiment.id, Outcome(state=RunState.FAILED))
        assert store.run(experiment.id).state is RunState.RUNNING

    def test_the_project_changes_with_the_run_or_not_at_all(self, store: Store, project: Project, claims: Claims) -> None:
        run = store.submit(project.id, RunKind.INSPECT_DATA, inputs={"data": DIGITS})
        take(claims, *INSPECTION_KINDS)
        claims.finish(
            run.id, Outcome(state=RunState.SUCCEEDED, project={"data": {"task": "classification"}, "data_source": DIGITS})
        )

        assert store.project(project.id).data == {"task": "classification"}
        with pytest.raises(RunError):
            claims.finish(run.id, Outcome(state=RunState.SUCCEEDED, project={"data": None}))
        assert store.project(project.id).data_source == DIGITS


class TestCancel:
    def test_a_queued_run_is_cancelled_at_once_and_is_never_claimed(self, store: Store, experiment: Run, claims: Claims) -> None:
        store.request_cancel(experiment.id)
        store.request_cancel(experiment.id)

        cancelled = store.run(experiment.id)
        assert cancelled.state is RunState.CANCELLED
        assert cancelled.finished_at is not None
        assert claims.claim(TRAINING_KINDS, this_process(), "") is None

    def test_the_runner_is_told_about_a_running_run(self, store: Store, experiment: Run, claims: Claims) -> None:
        take(claims)
        assert claims.cancelled() == []
        store.request_cancel(experiment.id)

        assert store.run(experiment.id).state is RunState.RUNNING
        assert claims.cancelled() == [experiment.id]

    def test_an_unknown_run_is_a_key_error(self, store: Store) -> None:
        for ask in (store.run, store.request_cancel, store.report, store.log):
            with pytest.raises(KeyError):
                ask("nothing")


class TestReportAndLog:
    def test_they_are_read_from_the_object_store(self, store: Store, experiment: Run, claims: Claims) -> None:
        assert store.report(experiment.id) is None
        take(claims)
        (store.files.logs / f"{experiment.id}.txt").write_text("epoch 1")
        assert store.log(experiment.id) == "epoch 1"

        report = store.add_file(io.BytesIO(b'{"result": {}}'), "report.json")
        log = store.add_file(io.BytesIO(b"all of it"), "log.txt")
        artifacts = {"report.json": report.sha256, "log.txt": log.sha256}
        claims.finish(experiment.id, Outcome(state=RunState.SUCCEEDED, artifacts=artifacts))

        assert store.report(experiment.id) == {"result": {}}
        assert store.log(experiment.id) == "all of it"


class TestLeases:
    def dead_runner(self) -> ProcessIdentity:
        """A process that lived on this machine and has ended: the pid is in use again, by this test."""
        here = this_process()
        return ProcessIdentity(host=here.host, boot_id=here.boot_id, pid=here.pid, start_ticks=here.start_ticks - 1)

    def test_runs_of_a_dead_runner_are_lost_and_those_of_living_ones_are_not(
        self, store: Store, experiment: Run, claims: Claims
    ) -> None:
        dead = Claims(store, self.dead_runner())
        take(dead)
        assert [lost.run.id for lost in claims.lost_runs()] == [experiment.id]
        claims.interrupt(experiment.id, artifacts={})

        run = store.run(experiment.id)
        assert run.state is RunState.INTERRUPTED
        assert "Run it again" in str(run.error)
        assert claims.lost_runs() == []

    def test_a_pid_that_was_given_to_another_process_is_not_alive(self) -> None:
        assert this_process().is_alive
        assert not self.dead_runner().is_alive

    def test_the_status_tells_a_dead_runner_from_a_living_one(self, store: Store) -> None:
        assert not store.runner_status().alive
        Claims(store, self.dead_runner())
        assert not store.runner_status().alive
        Claims(store, this_process())
        status = store.runner_status()
        assert status.alive
        assert status.heartbeat_age_s is not None
        assert status.heartbeat_age_s < 5


def test_opening_a_store_that_is_current_imports_neither_alembic_nor_tensorflow(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from optimizer.runs.store import Store\n"
        "Store(Path(sys.argv[1]), url=sys.argv[2]).runs()\n"
        "import optimizer.runs.requests, optimizer.runs.launch\n"
        "print([name for name in ('alembic', 'tensorflow', 'streamlit', 'tf_keras') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(store.home), store.database.url]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
