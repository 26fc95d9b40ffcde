"""Alembic's entry: it runs on the connection, and in the transaction, that `optimizer.runs.schema.upgrade` hands over."""

from alembic import context

from optimizer.runs.tables import metadata

# SQLite can roll back CREATE and ALTER; unless told so, alembic would leave half a migration after a crash.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
