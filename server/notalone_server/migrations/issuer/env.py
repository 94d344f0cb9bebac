"""Alembic's entry for the issuer's database; the connection comes from edge/database.py."""

from __future__ import annotations

from alembic import context

from notalone_server.issuer.store import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="issuer_version",
    transactional_ddl=False,  # the caller's transaction holds all of it
)
context.run_migrations()
