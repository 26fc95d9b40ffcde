from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from optimizer.errors import InputError, RunError
from optimizer.runs import database, migrations, schema
from optimizer.runs.database import Database, journal_mode, sqlite_url
from optimizer.runs.store import Store
from optimizer.runs.tables import metadata

# A second revision, as a later Litesmith would bring it: it changes a table that holds rows, and their content.
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None
def upgrade():
    op.add_column("projects", sa.Column("owner", sa.Text))
    op.execute("UPDATE projects SET owner = 'nobody'")
    with op.batch_alter_table("projects") as batch:
        batch.alter_column("owner", nullable=False, existing_type=sa.Text())
    op.create_table("owners", sa.Column("name", sa.Text, primary_key=True))
"""
# Opens one copy of a database after the other as the Litesmith of that revision would: the first is killed before its first statement,
# the second before its second, and so on, until one comes through. Each is a process of its own, forked from one that has imported all.
OPEN = """
import os, shutil, signal, sys
from pathlib import Path
import alembic.command
from sqlalchemy import event
from sqlalchemy.engine import Engine
from optimizer.runs import schema
from optimizer.runs.database import Database, sqlite_url
schema.MIGRATIONS, folder, left = Path(sys.argv[1]), Path(sys.argv[2]), 0
schema.REVISIONS, schema.CURRENT = ("0001", "0002"), "0002"
@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, parameters, context, executemany):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
for statements in range(1000):
    home = folder / f"{statements:03}"
    shutil.copytree(folder / "before", home)
    child = os.fork()
    if child == 0:
        left = statements
        Database(sqlite_url(home / "a.db")).close()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != -signal.SIGKILL:
        sys.exit(status)
"""


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The migrations of a later Litesmith."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder)
    (folder / "versions" / "0002_owners.py").write_text(SECOND)
    return folder


def kill_at_each_statement(folder: Path, later: Path) -> list[Path]:
    """Open copies of `folder`/before as the later Litesmith, each killed one statement later. Returns them; the last one came through."""
    answer = subprocess.run([sys.executable, "-c", OPEN, str(later), str(folder)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return sorted(path for path in folder.iterdir() if path.name != "before")


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    made = Database(sqlite_url(tmp_path / "a.db"))
    with made.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_every_revision_is_known_without_asking_alembic() -> None:
    folder = Path(str(migrations.__file__)).parent
    revisions = [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()]
    assert tuple(reversed(revisions)) == schema.REVISIONS


def test_a_first_start_killed_at_any_statement_leaves_nothing_and_is_made_whole_at_the_next(tmp_path: Path, later: Path) -> None:
    (tmp_path / "homes" / "before").mkdir(parents=True)
    *killed, whole = kill_at_each_statement(tmp_path / "homes", later)
    assert len(killed) > 15
    for home in killed:
        assert not (home / "a.db").exists() or query(home / "a.db", "SELECT name FROM sqlite_master") == []
    for home in (*killed[::6], killed[-1]):
        Database(sqlite_url(home / "a.db")).close()
        assert query(home / "a.db", "PRAGMA integrity_check") == [("ok",)]
        assert query(home / "a.db", "SELECT version_num FROM alembic_version") == [(schema.CURRENT,)]
    assert query(whole / "a.db", "SELECT version_num FROM alembic_version") == [("0002",)]


@pytest.mark.parametrize("old", schema.REVISIONS)
def test_a_migration_killed_at_any_statement_leaves_all_of_the_old_or_all_of_the_new_and_a_backup(
    tmp_path: Path, later: Path, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = tmp_path / "homes"
    (homes / "before").mkdir(parents=True)
    with monkeypatch.context() as past:
        past.setattr(schema, "CURRENT", old)
        Database(sqlite_url(homes / "before" / "a.db")).close()
    fill(homes / "before" / "a.db")
    *killed, whole = kill_at_each_statement(homes, later)
    for home in killed:
        assert query(home / "a.db", "PRAGMA integrity_check") == [("ok",)]
        (version,) = query(home / "a.db", "SELECT version_num FROM alembic_version")
        owners = query(home / "a.db", "SELECT name FROM sqlite_master WHERE name = 'owners'")
        assert (version, owners) in [((old,), []), (("0002",), [("owners",)])]
        assert query(home / "a.db", "SELECT name FROM projects") == [("kept",)]
    assert len(killed) > 10
    assert query(whole / "a.db", "SELECT name, owner FROM projects") == [("kept", "nobody")]
    assert query(whole / "a.db", "PRAGMA integrity_check") == [("ok",)]
    backups = [backup for home in (*killed, whole) for backup in home.glob(f"a.db.backup-{old}-*") if backup.suffix != ".partial"]
    assert any(backup.parent == whole for backup in backups)
    for backup in backups:
        assert query(backup, "SELECT name FROM projects") == [("kept",)]
        assert query(backup, "SELECT version_num FROM alembic_version") == [(old,)]
    with pytest.raises(RunError, match="newer Litesmith"):
        Database(sqlite_url(whole / "a.db"))


def fill(path: Path) -> None:
    """A row that every revision so far can hold."""
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO projects (id, name, created_at, active_at, budget) VALUES ('a', 'kept', 1, 1, '{}')")
    connection.close()


def test_a_newer_schema_is_refused_and_its_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL" if journal_mode() != "wal" else "PRAGMA journal_mode = DELETE")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns

    with pytest.raises(RunError, match="newer Litesmith") as caught:
        Store(tmp_path, url=sqlite_url(path))
    assert caught.value.code == "NEWER_SCHEMA"
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) == before
    assert not list(tmp_path.glob("a.db.backup*"))


def test_the_journal_mode_is_the_safe_one_for_this_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database.sqlite3, "sqlite_version_info", (3, 51, 2))
    assert journal_mode() == "delete"
    monkeypatch.setattr(database.sqlite3, "sqlite_version_info", (3, 51, 3))
    assert journal_mode() == "wal"
    monkeypatch.undo()

    with Database(sqlite_url(tmp_path / "a.db")).read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == journal_mode()
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "litesmith.db").write_bytes(b"not a database at all, but long enough to look like one" * 100)
    with pytest.raises(RunError) as caught:
        Store(tmp_path)
    assert caught.value.code == "DAMAGED_DATABASE"


def test_a_database_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for url in ("nonsense", "postgresql+nodriver://x/y", "mystery://x"):
        with pytest.raises(InputError) as caught:
            Store(tmp_path, url=url)
        assert caught.value.code == "BAD_DATABASE_URL"


def test_two_processes_that_open_a_new_home_at_once_both_succeed(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from optimizer.runs.store import Store; Store(Path(sys.argv[1])).runs()"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4


def test_reading_goes_on_while_another_process_holds_the_write_lock(tmp_path: Path) -> None:
    store = Store(tmp_path, busy_timeout_s=0.2)
    project = store.create_project("a")
    with sqlite3.connect(store.files.database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.projects() == [project]
        with pytest.raises(RunError, match="Try again") as caught:
            store.create_project("b")
        other.execute("ROLLBACK")
    other.close()
    assert caught.value.code == "BUSY"
    assert store.create_project("b").name == "b"
