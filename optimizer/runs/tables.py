"""The tables of the store. Change them together with a new revision in `migrations/versions`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

# Large JSON (layers of a model, preview of data) by the sha256 of its text: it never changes, so it is parsed once a process.
documents = Table(
    "documents",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("body", Text, nullable=False),
)

projects = Table(
    "projects",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("key", String(200), unique=True),
    Column("name", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("active_at", Float, nullable=False, index=True),
    Column("model", String(64), ForeignKey("documents.sha256")),
    Column("data", String(64), ForeignKey("documents.sha256")),
    Column("second_model", String(64), ForeignKey("documents.sha256")),
    Column("data_source", Text),
    Column("budget", Text, nullable=False, default="{}"),
    sqlite_autoincrement=True,
)

# One row a runner process; a running run's lease is its runner's row (pid, start time, boot id, heartbeat).
runners = Table(
    "runners",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("start_ticks", BigInteger, nullable=False),
    Column("boot_id", String(64), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("heartbeat_at", Float, nullable=False, index=True),
    Column("spares_ready", Integer, nullable=False, default=0),
)

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("key", String(200), unique=True),
    Column("project_id", String(32), ForeignKey("projects.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("state", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("recipe", Text),
    Column("recipe_in_words", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("parent_id", String(32), ForeignKey("runs.id")),
    Column("inputs", Text, nullable=False),
    Column("baseline_key", String(64)),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("progress", Text),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("error", Text),
    Column("metrics", Text),
    Column("comparison", Text),
    Column("artifacts", Text, nullable=False, default="{}"),
    Column("runner_id", String(32), ForeignKey("runners.id")),
    Column("worker_pid", Integer),
    Column("worker_start_ticks", BigInteger),
    Column("work_folder", Text),
    Index("runs_of_project", "project_id", "number"),
    Index("runs_by_state", "state", "number"),
    Index("runs_by_baseline", "project_id", "baseline_key"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(32), ForeignKey("runs.id"), nullable=False),
    Column("time", Float, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", Text, nullable=False),
    Index("events_of_run", "run_id", "number"),
    sqlite_autoincrement=True,
)
