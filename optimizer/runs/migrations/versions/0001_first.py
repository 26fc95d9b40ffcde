"""The first schema: documents, projects, runners, runs, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "documents",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )

    op.create_table(
        "projects",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("key", sa.String(200), unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("active_at", sa.Float, nullable=False, index=True),
        sa.Column("model", sa.String(64), sa.ForeignKey("documents.sha256")),
        sa.Column("data", sa.String(64), sa.ForeignKey("documents.sha256")),
        sa.Column("second_model", sa.String(64), sa.ForeignKey("documents.sha256")),
        sa.Column("data_source", sa.Text),
        sa.Column("budget", sa.Text, nullable=False, default="{}"),
        sqlite_autoincrement=True,
    )

    op.create_table(
        "runners",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("start_ticks", sa.BigInteger, nullable=False),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("heartbeat_at", sa.Float, nullable=False, index=True),
        sa.Column("spares_ready", sa.Integer, nullable=False, default=0),
    )

    op.create_table(
        "runs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("key", sa.String(200), unique=True),
        sa.Column("project_id", sa.String(32), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("recipe", sa.Text),
        sa.Column("recipe_in_words", sa.Text, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("parent_id", sa.String(32), sa.ForeignKey("runs.id")),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("baseline_key", sa.String(64)),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sa.Column("progress", sa.Text),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, default=False),
        sa.Column("error", sa.Text),
        sa.Column("metrics", sa.Text),
        sa.Column("comparison", sa.Text),
        sa.Column("artifacts", sa.Text, nullable=False, default="{}"),
        sa.Column("runner_id", sa.String(32), sa.ForeignKey("runners.id")),
        sa.Column("worker_pid", sa.Integer),
        sa.Column("worker_start_ticks", sa.BigInteger),
        sa.Column("work_folder", sa.Text),
        sa.Index("runs_of_project", "project_id", "number"),
        sa.Index("runs_by_state", "state", "number"),
        sa.Index("runs_by_baseline", "project_id", "baseline_key"),
        sqlite_autoincrement=True,
    )

    op.create_table(
        "events",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Index("events_of_run", "run_id", "number"),
        sqlite_autoincrement=True,
    )
