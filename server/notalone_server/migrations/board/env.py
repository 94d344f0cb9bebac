"""Alembic's entry: runs the board's migrations on the connection that edge/database.py gives."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
