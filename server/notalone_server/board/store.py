"""The board's store in SQL, through SQLAlchemy Core.

Owns transactions and what must become unreadable. Refuses to know rules and statements
(store_reading.py, store_writing.py). One transaction for each request, alone among writers
(edge/database.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine, delete

from notalone_server.board import schema as tables
from notalone_server.board.store_reading import KeptTree, SqlReading
from notalone_server.board.store_writing import SqlWriting
from notalone_server.edge import database


@dataclass(slots=True)
class SqlStore:
    """A BoardStore over an engine whose database is migrated."""

    engine: Engine
    _tree: KeptTree = field(init=False, default_factory=KeptTree)

    @contextmanager
    def reading(self) -> Iterator[SqlReading]:
        """One consistent view."""
        with database.read(self.engine) as connection:
            yield SqlReading(connection, self._tree)

    @contextmanager
    def writing(self) -> Iterator[SqlWriting]:
        """One transaction; an exception undoes all of it."""
        with database.write(self.engine) as connection:
            yield SqlWriting(connection, self._tree)

    def is_writable(self) -> bool:
        """Whether the database takes a change. Raises DBAPIError if not.

        A row comes and goes in one transaction: SQLite does not write a row that stays as it is.
        """
        with self.writing() as view:
            view.put_cursor(b"", "", 0)
            view.connection.execute(delete(tables.cursors).where(tables.cursors.c.scope == b""))
        return True

    def forget(self) -> None:
        """Make what was erased from the feed and from mailboxes unreadable."""
        for table in (tables.feed, tables.letters):
            database.forget(self.engine, table.name)
