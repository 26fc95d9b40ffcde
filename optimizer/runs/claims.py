"""What only a runner may do: take runs from the queue, report on them, end them, and clean up after a runner that died."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, update

from optimizer.context import Event
from optimizer.errors import RunError
from optimizer.runs.home import touch
from optimizer.runs.listing import is_alive
from optimizer.runs.processes import ProcessIdentity
from optimizer.runs.retention import INSPECTIONS
from optimizer.runs.rows import DOCUMENT_COLUMNS, find_project, find_run, progress_text, save_document, to_text
from optimizer.runs.run import UNNAMED, Progress, Run, RunKind, RunState
from optimizer.runs.store import Store
from optimizer.runs.tables import events, projects, runners, runs
from optimizer.sources.naming import name_from_file

_UNFINISHED = (RunState.QUEUED.value, RunState.RUNNING.value)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended. `project` holds what changes in the project: "model", "data", "second_model" or "data_source"."""

    state: RunState
    error: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    project: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Event] = ()


@dataclass(frozen=True, kw_only=True)
class News:
    """What was heard of one running run since the last time."""

    run_id: str
    events: Sequence[tuple[float, Event]] = ()
    progress: Progress | None = None


@dataclass(frozen=True, kw_only=True)
class LostRun:
    """A running run whose runner died, with the process that worked on it."""

    run: Run
    worker: ProcessIdentity | None
    work_folder: str
    heartbeat_at: float


class Claims:
    """A runner's side of the store. Runs that it claims are its own: nobody else can write to them while it lives."""

    def __init__(self, store: Store, identity: ProcessIdentity) -> None:
        self._store = store
        self._identity = identity
        self.runner_id = secrets.token_hex(8)
        now = time.time()
        with store.database.write() as connection:
            connection.execute(
                runners.insert().values(
                    id=self.runner_id,
                    host=identity.host,
                    pid=identity.pid,
                    start_ticks=identity.start_ticks,
                    boot_id=identity.boot_id,
                    started_at=now,
                    heartbeat_at=now,
                )
            )

    def claim(self, kinds: Sequence[RunKind], worker: ProcessIdentity, work_folder: str) -> Run | None:
        """Take the oldest queued run of these kinds that waits for no other; it is RUNNING then. None where there is none."""
        chosen = [kind.value for kind in kinds]
        query = select(runs.c.id).where(runs.c.state == RunState.QUEUED.value, runs.c.kind.in_(chosen), ~_waits())
        with self._store.database.write() as connection:
            run_id = connection.scalar(query.order_by(runs.c.number).limit(1).with_for_update(skip_locked=True))
            if run_id is None:
                return None
            taken = update(runs).where(runs.c.id == run_id, runs.c.state == RunState.QUEUED.value)
            connection.execute(
                taken.values(
                    state=RunState.RUNNING.value,
                    started_at=time.time(),
                    runner_id=self.runner_id,
                    worker_pid=worker.pid,
                    worker_start_ticks=worker.start_ticks,
                    work_folder=work_folder,
                )
            )
            return find_run(connection, run_id)

    def queued(self, kinds: Sequence[RunKind]) -> int:
        """How many runs of these kinds could be claimed now."""
        chosen = [kind.value for kind in kinds]
        query = select(runs.c.id).where(runs.c.state == RunState.QUEUED.value, runs.c.kind.in_(chosen), ~_waits()).limit(100)
        with self._store.database.read() as connection:
            return len(connection.scalars(query).all())

    def cancelled(self) -> list[str]:
        """Running runs of this runner that someone wants to stop."""
        query = select(runs.c.id).where(self._mine, runs.c.cancel_requested)
        with self._store.database.read() as connection:
            return list(connection.scalars(query))

    @property
    def _mine(self) -> ColumnElement[bool]:
        return and_(runs.c.runner_id == self.runner_id, runs.c.state == RunState.RUNNING.value)

    def report(self, news: Sequence[News], *, spares_ready: int) -> None:
        """Write what was heard of the running runs, and the heartbeat, in one transaction. Runs that are over are passed over."""
        with self._store.database.write() as connection:
            mine = set(connection.scalars(select(runs.c.id).where(self._mine)))
            rows = []
            for item in news:
                if item.run_id not in mine:
                    continue
                rows += [_event_row(item.run_id, moment, event) for moment, event in item.events]
                if item.progress is not None:
                    this = update(runs).where(runs.c.id == item.run_id)
                    connection.execute(this.values(progress=progress_text(item.progress)))
            if rows:
                connection.execute(events.insert(), rows)
            beat = update(runners).where(runners.c.id == self.runner_id)
            connection.execute(beat.values(heartbeat_at=time.time(), spares_ready=spares_ready))

    def finish(self, run_id: str, outcome: Outcome) -> Run:
        """End a run, and change its project where it says so, in one transaction.

        Raises:
            RunError: RUN_FINISHED where the run is not (or no more) this runner's running run; nothing is written.
        """
        with self._store.database.write() as connection:
            finished = self._finish(connection, run_id, outcome, self._mine)
        touch(self._store.files.wake)
        return finished

    def _finish(self, connection: Connection, run_id: str, outcome: Outcome, allowed: ColumnElement[bool]) -> Run:
        now = time.time()
        values = {
            "state": outcome.state.value,
            "finished_at": now,
            "error": _optional_text(outcome.error),
            "metrics": _optional_text(outcome.metrics),
            "comparison": _optional_text(outcome.comparison),
            "artifacts": to_text(dict(outcome.artifacts)),
        }
        changed = connection.execute(update(runs).where(runs.c.id == run_id, allowed).values(**values))
        if changed.rowcount != 1:
            raise RunError("This run is over; it cannot be changed", code="RUN_FINISHED", place=run_id)
        if outcome.events:
            connection.execute(events.insert(), [_event_row(run_id, now, event) for event in outcome.events])
        run = find_run(connection, run_id)
        connection.execute(update(runs).where(runs.c.id == run_id).values(progress=progress_text(_last_progress(run))))
        changes: dict[str, Any] = {"active_at": now}
        if outcome.project and find_project(connection, run.project_id).name == UNNAMED:
            changes["name"] = name_from_file(run.name) or UNNAMED
        for name, value in outcome.project.items():
            if name in DOCUMENT_COLUMNS:
                changes[name] = None if value is None else save_document(connection, value)
            else:
                changes[name] = _optional_text(value)
        connection.execute(update(projects).where(projects.c.id == run.project_id).values(**changes))
        return find_run(connection, run_id)

    def lost_runs(self) -> list[LostRun]:
        """Running runs whose runner is dead. This runner's own are not among them."""
        query = select(runs.c.id.label("run"), runs.c.worker_pid, runs.c.worker_start_ticks, runs.c.work_folder, runners)
        query = query.join(runners, runs.c.runner_id == runners.c.id)
        query = query.where(runs.c.state == RunState.RUNNING.value).order_by(runs.c.number)
        lost = []
        with self._store.database.read() as connection:
            for row in connection.execute(query).mappings().all():
                if row["id"] == self.runner_id or is_alive(row):
                    continue
                worker = None
                if row["worker_pid"] is not None:
                    pid, ticks = row["worker_pid"], row["worker_start_ticks"]
                    worker = ProcessIdentity(host=row["host"], boot_id=row["boot_id"], pid=pid, start_ticks=ticks)
                run = find_run(connection, row["run"])
                folder = row["work_folder"] or ""
                lost.append(LostRun(run=run, worker=worker, work_folder=folder, heartbeat_at=row["heartbeat_at"]))
        return lost

    def interrupt(self, run_id: str, *, artifacts: Mapping[str, str]) -> Run:
        """Mark a lost run INTERRUPTED. Raises RunError RUN_FINISHED where it is not running."""
        error = RunError(
            "The runner stopped before this run was done",
            code="INTERRUPTED",
            fix="Run it again. It is not run again by itself, because it may be what stopped the runner.",
        )
        outcome = Outcome(state=RunState.INTERRUPTED, error=error.to_json(), artifacts=artifacts)
        with self._store.database.write() as connection:
            return self._finish(connection, run_id, outcome, runs.c.state == RunState.RUNNING.value)


def _waits() -> ColumnElement[bool]:
    """Whether a queued run must wait for another of its project.

    An experiment waits for its baseline and for the run it starts from; inspections go one after the other, because the fit of
    data and model is judged with what the earlier one left in the project.
    """
    other = runs.alias("other")
    waits_for = or_(
        other.c.id == runs.c.parent_id,
        and_(
            runs.c.kind == RunKind.EXPERIMENT.value,
            other.c.kind == RunKind.BASELINE.value,
            other.c.baseline_key == runs.c.baseline_key,
        ),
        and_(runs.c.kind.in_(INSPECTIONS), other.c.kind.in_(INSPECTIONS), other.c.number < runs.c.number),
    )
    return exists().where(other.c.project_id == runs.c.project_id, other.c.state.in_(_UNFINISHED), waits_for)


def _last_progress(run: Run) -> Progress:
    """A run that succeeded is all done; another one stays where it was; neither has time left."""
    if run.state is RunState.SUCCEEDED:
        return dataclasses.replace(run.progress, fraction=1.0, seconds_left=None)
    return dataclasses.replace(run.progress, seconds_left=None)


def _event_row(run_id: str, moment: float, event: Event) -> dict[str, Any]:
    return {"run_id": run_id, "time": moment, "kind": event.kind, "data": to_text(dict(event.data))}


def _optional_text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else to_text(dict(value))
