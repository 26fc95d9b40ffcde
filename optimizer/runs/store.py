"""The store: projects, runs, events and files, as pages, scripts and the runner see them.

Pages read it and submit to it; what only a runner may do (claim, report, finish) is in `claims.py`.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from optimizer.errors import InputError, printable
from optimizer.recipe import Recipe
from optimizer.runs.database import Database, sqlite_url
from optimizer.runs.home import Home, touch
from optimizer.runs.listing import RunFilter, outcome_column, runner_status
from optimizer.runs.objects import Objects
from optimizer.runs.rows import (
    RUN_COLUMNS,
    event_from_row,
    find_project,
    find_run,
    project_from_row,
    run_from_row,
    to_text,
)
from optimizer.runs.run import Project, Run, RunKind, RunnerStatus, RunState, StoredEvent, StoredFile
from optimizer.runs.submission import MAX_NAME_LENGTH, Order, enqueue
from optimizer.runs.tables import events, projects, runs

URL_VARIABLE = "LITESMITH_DATABASE_URL"


class Store:
    """Everything that is kept under one LITESMITH_HOME.

    Args:
        home: The folder; made where it is missing.
        url: SQLAlchemy URL of the database; LITESMITH_DATABASE_URL, or a SQLite file in `home`, where it is None.
        busy_timeout_s: How long a call waits for another writer before it raises RunError BUSY.

    Raises:
        RunError: NEWER_SCHEMA, BUSY, DISK_FULL, DAMAGED_DATABASE, DATABASE_ERROR.
        InputError: BAD_DATABASE_URL.
    """

    def __init__(self, home: Path, *, url: str | None = None, busy_timeout_s: float = 10.0) -> None:
        self.files = Home(home.absolute())
        self.files.prepare()
        self.objects = Objects(self.files.objects)
        url = url or os.environ.get(URL_VARIABLE) or sqlite_url(self.files.database)
        self.database = Database(url, busy_timeout_s=busy_timeout_s)

    @property
    def home(self) -> Path:
        """The folder that holds the state."""
        return self.files.root

    def close(self) -> None:
        """Close the connections to the database."""
        self.database.close()

    # Files

    def add_file(self, stream: BinaryIO, name: str) -> StoredFile:
        """Copy a stream into the object store in chunks of 1 MiB. Raises RunError DISK_FULL and then leaves nothing behind."""
        return self.objects.add(stream, name)

    def object_path(self, sha256: str) -> Path:
        """Where a stored file is. Its bytes are not checked: hand out `read_object` instead."""
        return self.objects.path(sha256)

    def read_object(self, sha256: str) -> bytes:
        """The bytes of a stored file, hashed again. Raises RunError MISSING or DAMAGED."""
        return self.objects.read(sha256)

    # Projects

    def create_project(self, name: str, *, key: str | None = None) -> Project:
        """Make a project; the same `key` gives the same project, however often it is asked for."""
        try:
            return self._create_project(name, key)
        except IntegrityError:
            return self._create_project(name, key)  # Another process has just made the one with this key: it is found now.

    def _create_project(self, name: str, key: str | None) -> Project:
        with self.database.write() as connection:
            found = None if key is None else connection.scalar(select(projects.c.id).where(projects.c.key == key))
            if found is None:
                now, found = time.time(), secrets.token_hex(8)
                row = {"id": found, "key": key, "name": _name(name), "created_at": now, "active_at": now}
                connection.execute(projects.insert().values(**row))
            return find_project(connection, found)

    def project(self, project_id: str) -> Project:
        """The project of that id. Raises KeyError."""
        with self.database.read() as connection:
            return find_project(connection, project_id)

    def projects(self) -> list[Project]:
        """All projects, the one with the newest activity first."""
        with self.database.read() as connection:
            rows = connection.execute(select(projects).order_by(projects.c.active_at.desc(), projects.c.number.desc())).mappings()
            return [project_from_row(connection, row) for row in rows.all()]

    def last_activity(self, project_id: str) -> float:
        """When a run of the project was last submitted or finished (seconds since 1970). Raises KeyError."""
        with self.database.read() as connection:
            found: float | None = connection.scalar(select(projects.c.active_at).where(projects.c.id == project_id))
        if found is None:
            raise KeyError(project_id)
        return found

    def run_counts(self, project_id: str, *, kinds: Iterable[RunKind] = ()) -> dict[RunState, int]:
        """How many jobs of the project are in each state, of some kinds only, where given; states without one are left out."""
        query = RunFilter(project_id, tuple(kinds)).apply(select(runs.c.state, func.count())).group_by(runs.c.state)
        with self.database.read() as connection:
            return {RunState(state): count for state, count in connection.execute(query)}

    def outcome_counts(self, project_id: str, *, kinds: Iterable[RunKind] = ()) -> dict[str, int]:
        """How many jobs of the project there are of each `Run.outcome`; outcomes without one are left out."""
        outcome = outcome_column().label("outcome")
        query = RunFilter(project_id, tuple(kinds)).apply(select(outcome, func.count().label("number"))).group_by(outcome)
        with self.database.read() as connection:
            return {row.outcome: row.number for row in connection.execute(query)}

    def rename_project(self, project_id: str, name: str) -> None:
        """Give a project another name. Raises KeyError, and InputError NO_NAME."""
        self._update_project(project_id, name=_name(name))

    def set_budget(self, project_id: str, budget: Mapping[str, Any]) -> None:
        """Set device, max_bytes, max_ms, max_accuracy_drop; what is not in `budget` is unset. Raises KeyError."""
        self._update_project(project_id, budget=to_text(dict(budget)))

    def _update_project(self, project_id: str, **values: Any) -> None:
        with self.database.write() as connection:
            if connection.execute(update(projects).where(projects.c.id == project_id).values(**values)).rowcount != 1:
                raise KeyError(project_id)

    # Runs

    def submit(
        self,
        project_id: str,
        kind: RunKind,
        *,
        name: str = "",
        note: str = "",
        recipe: Recipe | None = None,
        parent_id: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Run:
        """Queue a run; the same `key` gives the same run, however often and from however many processes it is asked for.

        `inputs` holds "model" and "second_model" ({"sha256", "name"}) and "data" (a project's data_source).

        Raises:
            KeyError: there is no such project or parent.
            InputError: FILE_GONE, NO_RECIPE or OTHER_PROJECT.
            RunError: BUSY.
        """
        order = Order(
            project_id=project_id,
            kind=kind,
            name=name,
            note=note,
            recipe=recipe,
            parent_id=parent_id,
            inputs=inputs or {},
            key=key,
        )
        try:
            run = self._enqueue(order)
        except IntegrityError:
            run = self._enqueue(order)  # Another process has just used this key: its run is found now.
        touch(self.files.wake)
        return run

    def _enqueue(self, order: Order) -> Run:
        with self.database.write() as connection:
            return enqueue(connection, self.objects, order)

    def run(self, run_id: str) -> Run:
        """The run of that id. Raises KeyError."""
        with self.database.read() as connection:
            return find_run(connection, run_id)

    def runs(
        self,
        project_id: str | None = None,
        *,
        kinds: Iterable[RunKind] = (),
        states: Iterable[RunState] = (),
        outcomes: Iterable[str] = (),
        search: str = "",
        limit: int = 200,
        offset: int = 0,
    ) -> list[Run]:
        """Runs, newest first. `search` looks in name, note and the recipe in words, without regard to case."""
        chosen = RunFilter(project_id, tuple(kinds), tuple(states), search, tuple(outcomes))
        query = chosen.apply(select(*RUN_COLUMNS)).order_by(runs.c.number.desc()).limit(limit).offset(offset)
        with self.database.read() as connection:
            return [run_from_row(row) for row in connection.execute(query).mappings()]

    def count_runs(
        self,
        project_id: str | None = None,
        *,
        kinds: Iterable[RunKind] = (),
        states: Iterable[RunState] = (),
        outcomes: Iterable[str] = (),
        search: str = "",
    ) -> int:
        """How many runs `runs` would list without a limit."""
        chosen = RunFilter(project_id, tuple(kinds), tuple(states), search, tuple(outcomes))
        with self.database.read() as connection:
            return connection.scalar(chosen.apply(select(func.count()).select_from(runs))) or 0

    def baselines(self, project_id: str, baseline_key: str) -> list[Run]:
        """Baselines of a project for the same model, data and seed (see `Order.baseline_key`), newest first."""
        query = RunFilter(project_id, (RunKind.BASELINE,)).apply(select(*RUN_COLUMNS)).where(runs.c.baseline_key == baseline_key)
        with self.database.read() as connection:
            return [run_from_row(row) for row in connection.execute(query.order_by(runs.c.number.desc())).mappings()]

    def events(self, run_id: str, *, after: int = 0, kinds: Iterable[str] = ()) -> list[StoredEvent]:
        """Events of a run whose number is above `after`, in order; of some kinds only, where given."""
        query = select(events).where(events.c.run_id == run_id, events.c.number > after).order_by(events.c.number)
        chosen = tuple(kinds)
        if chosen:
            query = query.where(events.c.kind.in_(chosen))
        with self.database.read() as connection:
            return [event_from_row(row) for row in connection.execute(query).mappings()]

    def request_cancel(self, run_id: str) -> None:
        """Cancel a queued run at once, ask the runner to stop a running one; a finished run stays as it is. Raises KeyError."""
        with self.database.write() as connection:
            find_run(connection, run_id)
            this = runs.c.id == run_id
            queued = {"state": RunState.CANCELLED.value, "finished_at": time.time(), "cancel_requested": True}
            connection.execute(update(runs).where(this, runs.c.state == RunState.QUEUED.value).values(**queued))
            connection.execute(update(runs).where(this, runs.c.state == RunState.RUNNING.value).values(cancel_requested=True))
        touch(self.files.wake)

    def report(self, run_id: str) -> dict[str, Any] | None:
        """report.json of a run, or the result of an inspection; None until it has one. Raises KeyError, RunError DAMAGED."""
        sha256 = self.run(run_id).artifacts.get("report.json")
        if sha256 is None:
            return None
        report: dict[str, Any] = json.loads(self.objects.read(sha256))
        return report

    def log(self, run_id: str) -> str:
        """The end of what the run's process printed; also while it runs. Raises KeyError, RunError DAMAGED."""
        try:
            return self._finished_log(run_id) or (self.files.logs / f"{run_id}.txt").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return self._finished_log(run_id)  # It may have finished between the two looks.

    def _finished_log(self, run_id: str) -> str:
        sha256 = self.run(run_id).artifacts.get("log.txt")
        return "" if sha256 is None else self.objects.read(sha256).decode("utf-8", errors="replace")

    def runner_status(self) -> RunnerStatus:
        """Whether a runner lives, since when it has not been heard of, and what it does."""
        with self.database.read() as connection:
            return runner_status(connection)


def _name(name: str) -> str:
    clean = printable(name, MAX_NAME_LENGTH)
    if not clean:
        raise InputError("A project needs a name", code="NO_NAME")
    return clean
