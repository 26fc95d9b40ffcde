"""Which stored files are still needed, and removal of the others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, and_, not_, select

from optimizer.runs.database import Database
from optimizer.runs.objects import CHUNK_BYTES, Objects
from optimizer.runs.run import RunKind, RunState
from optimizer.runs.tables import documents, projects, runs

# An upload is stored before its run is queued; nothing this young is ever removed.
GRACE_S = 3600.0
INSPECTIONS = (RunKind.INSPECT_MODEL.value, RunKind.INSPECT_DATA.value)
# An interrupted inspection can be run again with one click, so its upload stays.
_LOST = (RunState.FAILED.value, RunState.CRASHED.value, RunState.TIMED_OUT.value, RunState.CANCELLED.value)
_QUOTED_HASH = re.compile(r'"([0-9a-f]{64})"')


def used_objects(connection: Connection) -> set[str]:
    """Hashes that any run or project still speaks of. An inspection that failed does not keep its upload, only its log."""
    lost = and_(runs.c.kind.in_(INSPECTIONS), runs.c.state.in_(_LOST))
    texts: list[str | None] = list(connection.scalars(select(runs.c.artifacts)))
    texts += connection.scalars(select(runs.c.inputs).where(not_(lost)))
    texts += connection.scalars(select(projects.c.data_source))
    shown = select(documents.c.body).where(
        documents.c.sha256.in_(select(projects.c.model).union(select(projects.c.second_model), select(projects.c.data)))
    )
    texts += connection.scalars(shown)
    return {sha256 for text in texts if text for sha256 in _QUOTED_HASH.findall(text)}


def discard_unused(
    database: Database, objects: Objects, *, older_than_s: float = GRACE_S, among: Iterable[str] | None = None
) -> list[str]:
    """Remove objects that nothing speaks of, and return their hashes.

    The write lock is held meanwhile, so that no submission can begin to use a file between the look and the removal.
    """
    chosen = None if among is None else set(among)
    if chosen is not None and not chosen:
        return []
    with database.write() as connection:
        return objects.discard_unused(used_objects(connection), older_than_s=older_than_s, among=chosen)


def hashes_in(folder: Path) -> set[str]:
    """sha256 of every regular file of a folder, without following links; empty where there is no such folder."""
    found = set()
    for path in folder.glob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
        found.add(digest.hexdigest())
    return found
