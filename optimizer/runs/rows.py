"""Between rows of the tables and the frozen records that everyone else sees."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from optimizer.runs.run import Progress, Project, Run, RunKind, RunState, StoredEvent
from optimizer.runs.tables import documents, projects, runs

_NOT_SHOWN = {"number", "key", "baseline_key", "runner_id", "worker_pid", "worker_start_ticks", "work_folder"}
RUN_COLUMNS = tuple(column for column in runs.c if column.name not in _NOT_SHOWN)
DOCUMENT_COLUMNS = ("model", "data", "second_model")


def to_text(value: Any) -> str:
    """JSON text with sorted keys, so that equal values have equal text. Raises ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@functools.lru_cache(maxsize=8192)
def _parsed(text: str) -> Any:
    """Many runs share recipe and inputs, and a page asks again every second: parse each text once."""
    return json.loads(text)


def from_text(text: str | None) -> Any:
    """Parsed JSON, shared between callers; None for None."""
    return None if text is None else _parsed(text)


def run_from_row(row: RowMapping) -> Run:
    """A Run from a row with RUN_COLUMNS."""
    values = dict(row)
    for name in ("recipe", "inputs", "error", "metrics", "comparison", "artifacts"):
        values[name] = from_text(values[name])
    progress = values.pop("progress")
    return Run(
        **{**values, "kind": RunKind(values["kind"]), "state": RunState(values["state"])},
        progress=Progress() if progress is None else Progress(**json.loads(progress)),
    )


def progress_text(progress: Progress) -> str:
    """A Progress as the store keeps it."""
    return to_text(dataclasses.asdict(progress))


def event_from_row(row: RowMapping) -> StoredEvent:
    """A StoredEvent from a row of `events`."""
    return StoredEvent(number=row["number"], time=row["time"], kind=row["kind"], data=json.loads(row["data"]))


def project_from_row(connection: Connection, row: RowMapping) -> Project:
    """A Project from a row of `projects`; its large parts are looked up."""
    return Project(
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        data_source=from_text(row["data_source"]),
        budget=from_text(row["budget"]),
        **{name: document(connection, row[name]) for name in DOCUMENT_COLUMNS},
    )


_documents: dict[str, Mapping[str, Any]] = {}
_documents_lock = threading.Lock()
_MAX_DOCUMENTS = 64


def document(connection: Connection, sha256: str | None) -> Mapping[str, Any] | None:
    """A large JSON part by the sha256 of its text. It never changes, so the last few stay parsed in this process."""
    if sha256 is None:
        return None
    found = _documents.get(sha256)
    if found is None:
        body = connection.scalar(select(documents.c.body).where(documents.c.sha256 == sha256))
        found = json.loads(str(body))
        with _documents_lock:
            while len(_documents) >= _MAX_DOCUMENTS:
                del _documents[next(iter(_documents))]
            _documents[sha256] = found
    return found


def save_document(connection: Connection, value: Mapping[str, Any]) -> str:
    """Store a large JSON part; returns the sha256 of its text."""
    body = to_text(value)
    sha256 = hashlib.sha256(body.encode()).hexdigest()
    if connection.scalar(select(documents.c.sha256).where(documents.c.sha256 == sha256)) is None:
        connection.execute(documents.insert().values(sha256=sha256, body=body))
    return sha256


def find_run(connection: Connection, run_id: str) -> Run:
    """The run of that id. Raises KeyError."""
    row = connection.execute(select(*RUN_COLUMNS).where(runs.c.id == run_id)).mappings().first()
    if row is None:
        raise KeyError(run_id)
    return run_from_row(row)


def find_project(connection: Connection, project_id: str) -> Project:
    """The project of that id. Raises KeyError."""
    row = connection.execute(select(projects).where(projects.c.id == project_id)).mappings().first()
    if row is None:
        raise KeyError(project_id)
    return project_from_row(connection, row)
