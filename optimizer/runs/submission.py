"""A run's way into the queue: what it works on, and what makes two orders the same."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select, update

from optimizer.errors import InputError, printable
from optimizer.recipe import Recipe
from optimizer.runs.objects import SHA256, Objects
from optimizer.runs.rows import RUN_COLUMNS, find_run, run_from_row, to_text
from optimizer.runs.run import RUN_KINDS, Run, RunKind, RunState
from optimizer.runs.tables import projects, runs

MAX_NAME_LENGTH = 200
MAX_NOTE_LENGTH = 4000


@dataclass(frozen=True, kw_only=True)
class Order:
    """One run as it is asked for. `key` makes it happen once, however often it is asked for."""

    project_id: str
    kind: RunKind
    name: str = ""
    note: str = ""
    recipe: Recipe | None = None
    parent_id: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None

    @property
    def baseline_key(self) -> str | None:
        """What a baseline depends on (model, data, seed) as one hash; None for inspections, which have none."""
        if self.kind not in RUN_KINDS:
            return None
        source = self.inputs.get("data") or {}
        data = {name: source.get(name) for name in ("bundled", "sha256", "label", "scaling", "task") if source.get(name)}
        data["test"] = (source.get("test") or {}).get("sha256")
        model = (self.inputs.get("model") or {}).get("sha256")
        seed = 0 if self.recipe is None else self.recipe.seed
        return hashlib.sha256(to_text({"model": model, "data": data, "seed": seed}).encode()).hexdigest()


def enqueue(connection: Connection, objects: Objects, order: Order) -> Run:
    """Insert a queued run, or return the one that was made with the same key.

    Raises:
        KeyError: there is no such project.
        InputError: FILE_GONE, NO_RECIPE or OTHER_PROJECT.
    """
    earlier = _run_with_key(connection, order.key)
    if earlier is not None:
        return earlier
    if connection.scalar(select(projects.c.id).where(projects.c.id == order.project_id)) is None:
        raise KeyError(order.project_id)
    _check(connection, objects, order)
    now, run_id = time.time(), secrets.token_hex(8)
    connection.execute(
        runs.insert().values(
            id=run_id,
            key=order.key,
            project_id=order.project_id,
            kind=order.kind.value,
            state=RunState.QUEUED.value,
            name=printable(order.name, MAX_NAME_LENGTH),
            note=printable(order.note, MAX_NOTE_LENGTH),
            recipe=None if order.recipe is None else to_text(order.recipe.to_json()),
            recipe_in_words="" if order.recipe is None else order.recipe.in_words(),
            seed=0 if order.recipe is None else order.recipe.seed,
            parent_id=order.parent_id,
            inputs=to_text(dict(order.inputs)),
            baseline_key=order.baseline_key,
            created_at=now,
        )
    )
    connection.execute(update(projects).where(projects.c.id == order.project_id).values(active_at=now))
    return find_run(connection, run_id)


def _run_with_key(connection: Connection, key: str | None) -> Run | None:
    if key is None:
        return None
    row = connection.execute(select(*RUN_COLUMNS).where(runs.c.key == key)).mappings().first()
    return None if row is None else run_from_row(row)


def _check(connection: Connection, objects: Objects, order: Order) -> None:
    if order.kind is RunKind.EXPERIMENT and order.recipe is None:
        raise InputError("An experiment needs a recipe", code="NO_RECIPE")
    if order.parent_id is not None and find_run(connection, order.parent_id).project_id != order.project_id:
        raise InputError("The run to start from belongs to another project", code="OTHER_PROJECT", received=order.parent_id)
    for sha256, name in stored_files(order.inputs):
        if not objects.exists(sha256):
            raise InputError("This file is not in the store any more", code="FILE_GONE", place=name, fix="Upload it again.")


def stored_files(value: Any) -> Iterator[tuple[str, str]]:
    """Every (sha256, name) of a stored file that some JSON speaks of, at any depth."""
    if isinstance(value, Mapping):
        sha256 = value.get("sha256")
        if isinstance(sha256, str) and SHA256.fullmatch(sha256):
            yield sha256, str(value.get("name", sha256[:12]))
        for part in value.values():
            yield from stored_files(part)
