"""The version of the tables.

A current database opens with one query, an older one is backed up and migrated, a newer one is refused.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from optimizer.errors import RunError, printable

# Every revision of migrations/versions, oldest first; written out because a page cannot wait 130 ms for alembic to be imported.
REVISIONS = ("0001",)
CURRENT = REVISIONS[-1]
MIGRATIONS = Path(__file__).parent / "migrations"


def open_schema(engine: Engine, writer: Engine, set_journal_mode: Callable[[], None]) -> None:
    """Bring the database to the current schema.

    Nothing is written, not even the journal mode, before the version is known.

    Raises:
        RunError: NEWER_SCHEMA; the database is untouched.
    """
    version = _version(engine)
    if version != CURRENT:
        with _one_at_a_time(engine):
            version = _version(engine)
            if version != CURRENT:
                _migrate(engine, writer, version)
    set_journal_mode()


def _version(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one. Raises RunError NEWER_SCHEMA for one we do not know."""
    try:
        with engine.begin() as connection:
            version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    except DatabaseError:
        if not _is_empty(engine):
            raise
        return None
    if version is not None and version not in REVISIONS:
        raise RunError(
            "This database was written by a newer Litesmith",
            code="NEWER_SCHEMA",
            place=engine.url.render_as_string(hide_password=True),
            expected=f"schema {CURRENT} or older",
            received=f"schema {printable(version, 40)}",
            fix="Update Litesmith, or set LITESMITH_HOME to another folder. The database was not changed.",
        )
    return version


def _is_empty(engine: Engine) -> bool:
    with engine.begin() as connection:
        return not inspect(connection).get_table_names()


def _migrate(engine: Engine, writer: Engine, version: str | None) -> None:
    if version is not None and engine.dialect.name == "sqlite":
        _back_up(engine, version)
    with writer.begin() as connection:
        upgrade(connection)


def upgrade(connection: Connection) -> None:
    """Run the migrations up to the current revision inside the transaction of `connection`: all of them or none."""
    import alembic.command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, CURRENT)


def _back_up(engine: Engine, version: str) -> None:
    """Copy the database to `litesmith.db.backup-<version>-<time>` beside it, whole and on disk before anything changes."""
    source_path = Path(str(engine.url.database))
    target_path = source_path.with_name(f"{source_path.name}.backup-{version}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}")
    partial = target_path.with_suffix(".partial")
    source, target = sqlite3.connect(source_path), sqlite3.connect(partial)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(target_path)


@contextmanager
def _one_at_a_time(engine: Engine) -> Iterator[None]:
    """Hold a file lock, so that the web process and the runner do not migrate the same file at once.

    On PostgreSQL the second of two migrations fails on the tables that the first has made, and changes nothing.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    path = Path(str(engine.url.database))
    with path.with_name(path.name + ".migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
