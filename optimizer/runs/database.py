"""Connections to the database, with the rules that keep SQLite safe under several processes."""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, NoSuchModuleError

from optimizer.errors import InputError, RunError
from optimizer.runs.objects import disk_full_error
from optimizer.runs.schema import open_schema

# Before 3.51.3 SQLite's WAL mode can corrupt the file when two connections reset the log at once (stack.md).
FIRST_SAFE_WAL = (3, 51, 3)
_WRITES = "litesmith_writes"


def journal_mode() -> str:
    """The journal mode that this SQLite is safe with."""
    return "wal" if sqlite3.sqlite_version_info >= FIRST_SAFE_WAL else "delete"


class Database:
    """One database: `with database.read()` and `with database.write()` give a connection inside a transaction.

    Args:
        url: SQLAlchemy URL; SQLite or PostgreSQL.
        busy_timeout_s: How long to wait for another writer before RunError BUSY.

    Raises:
        RunError: NEWER_SCHEMA (the file is left untouched), BUSY, DISK_FULL, DAMAGED_DATABASE.
        InputError: BAD_DATABASE_URL.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = 10.0) -> None:
        self.url = url
        self._busy_timeout_ms = int(busy_timeout_s * 1000)
        self._engine = self._make_engine()
        self._writer = self._engine.execution_options(**{_WRITES: True})
        # Whoever forgets `close`, or an opening that fails, must not leave connections to the garbage collector.
        weakref.finalize(self, self._engine.dispose)
        with _plain_errors():
            open_schema(self._engine, self._writer, self._set_journal_mode)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with _plain_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; on SQLite it holds the write lock from its first moment (BEGIN IMMEDIATE)."""
        with _plain_errors(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _make_engine(self) -> Engine:
        try:
            engine = create_engine(make_url(self.url))
        except (ValueError, ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise InputError(
                "LITESMITH_DATABASE_URL cannot be used",
                code="BAD_DATABASE_URL",
                received=str(error),
                fix="Name a sqlite:///... or postgresql+psycopg://... URL, and install the driver it needs.",
            ) from error
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", self._prepare_connection)
            event.listen(engine, "begin", _begin)
        return engine

    def _prepare_connection(self, connection: Any, record: Any) -> None:
        del record
        connection.isolation_level = (
            None  # The driver's own transactions begin deferred, which fails at once when two writers meet.
        )
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    def _set_journal_mode(self) -> None:
        """Change the file's journal mode where it is not the safe one; it is a property of the file and stays."""
        if not self.is_sqlite:
            return
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            current = cursor.execute("PRAGMA journal_mode").fetchone()[0]
            if current != journal_mode():
                cursor.execute(f"PRAGMA journal_mode = {journal_mode()}")
            cursor.close()
        finally:
            connection.close()


def sqlite_url(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{path}"


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DatabaseError as error:
        raise _plain_error(str(error.orig)) from error


def _plain_error(text: str) -> RunError:
    if "locked" in text or "busy" in text:
        return RunError("Another process is writing to the database", code="BUSY", fix="Try again in a moment.")
    if "full" in text or "disk I/O error" in text:
        return disk_full_error(text)
    if "malformed" in text or "not a database" in text:
        return RunError(
            "The database file is damaged",
            code="DAMAGED_DATABASE",
            received=text,
            fix="Put back a copy of litesmith.db (backups made before updates stand beside it), or move it away to start afresh.",
        )
    return RunError("The database did not answer as expected", code="DATABASE_ERROR", received=text)
