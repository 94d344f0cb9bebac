"""Alembic's entry for the trustee's database; the connection comes from edge/database.py."""

from __future__ import annotations

from alembic import context

from notalone_server.trustee.store import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="trustee_version",
    transactional_ddl=False,  # the caller's transaction holds all of it
)
context.run_migrations()
