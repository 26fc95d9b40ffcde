"""Questions that pages ask again every second: which runs, and is a runner there."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from sqlalchemy import Case, Connection, RowMapping, Select, and_, case, func, or_, select

from optimizer.runs.processes import ProcessIdentity
from optimizer.runs.run import FAILURE_WORDS, RunKind, RunnerStatus, RunState
from optimizer.runs.tables import runners, runs

# A runner on another machine (PostgreSQL only) counts as alive until its heartbeat is this old; here we look at the process.
HEARTBEAT_LIMIT_S = 15.0


class RunFilter(NamedTuple):
    """Which runs a listing shows; an empty part lets everything through."""

    project_id: str | None = None
    kinds: tuple[RunKind, ...] = ()
    states: tuple[RunState, ...] = ()
    search: str = ""
    outcomes: tuple[str, ...] = ()

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Add the conditions to a query on `runs`."""
        if self.project_id is not None:
            query = query.where(runs.c.project_id == self.project_id)
        if self.kinds:
            query = query.where(runs.c.kind.in_([kind.value for kind in self.kinds]))
        if self.states:
            query = query.where(runs.c.state.in_([state.value for state in self.states]))
        if self.outcomes:
            query = query.where(outcome_column().in_(self.outcomes))
        if self.search.strip():
            text = self.search.strip().lower()
            columns = (runs.c.name, runs.c.note, runs.c.recipe_in_words)
            query = query.where(or_(*(func.lower(column).contains(text, autoescape=True) for column in columns)))
        return query


def outcome_column() -> Case[Any]:
    """`Run.outcome` as the database works it out."""
    failed = runs.c.state == RunState.FAILED.value
    words = [
        (and_(failed, runs.c.error.contains(f'"code":"{code}"', autoescape=True)), text) for code, text in FAILURE_WORDS.items()
    ]
    return case(*words, else_=runs.c.state)


def identity_from_row(row: RowMapping) -> ProcessIdentity:
    """The process of a row of `runners`."""
    return ProcessIdentity(host=row["host"], boot_id=row["boot_id"], pid=row["pid"], start_ticks=row["start_ticks"])


def is_alive(row: RowMapping) -> bool:
    """Whether the runner of a row of `runners` still lives."""
    identity = identity_from_row(row)
    return identity.is_alive if identity.is_here else time.time() - row["heartbeat_at"] < HEARTBEAT_LIMIT_S


def runner_status(connection: Connection) -> RunnerStatus:
    """What the newest runner does."""
    newest = select(runners).order_by(runners.c.heartbeat_at.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    if row is None:
        return RunnerStatus(alive=False)
    mine = select(runs.c.id).where(runs.c.state == RunState.RUNNING.value, runs.c.runner_id == row["id"])
    alive = is_alive(row)
    return RunnerStatus(
        alive=alive,
        pid=row["pid"],
        heartbeat_age_s=max(0.0, time.time() - row["heartbeat_at"]),
        spares_ready=row["spares_ready"] if alive else 0,
        running=tuple(connection.scalars(mine.order_by(runs.c.number))) if alive else (),
    )
