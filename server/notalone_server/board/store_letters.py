"""Letters in SQL: addresses, positions, and the week after which each is erased.

Owns the table `letters` and the count of letters beside each scope. Refuses to
know rules, and keeps no order but that within one address: SQLite's rows lie in
the order of their keys, not of their arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from notalone_server.board import schema as tables


@dataclass(frozen=True, slots=True)
class SqlLetters:
    """The part of a transaction that is about letters."""

    connection: Connection

    def letter_count(self, scope: bytes) -> int:
        """See ports; kept beside the scope, so that a post costs the same however many there are."""
        table = tables.scopes
        return int(
            self.connection.execute(select(table.c.letters).where(table.c.scope == scope)).scalar_one()
        )

    def letters_at(self, scope: bytes, address: bytes) -> int:
        """See ports."""
        table = tables.letters
        return int(
            self.connection.execute(
                select(func.count()).where(table.c.scope == scope, table.c.address == address)
            ).scalar_one()
        )

    def has_letter(self, scope: bytes, address: bytes, letter: bytes) -> bool:
        """See ports."""
        table = tables.letters
        found = self.connection.execute(
            select(table.c.position)
            .where(table.c.scope == scope, table.c.address == address, table.c.letter == letter)
            .limit(1)
        )
        return found.first() is not None

    def letters_after(
        self, scope: bytes, address: bytes, after: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """See ports."""
        table = tables.letters
        rows = self.connection.execute(
            select(table.c.position, table.c.letter)
            .where(table.c.scope == scope, table.c.address == address, table.c.position > after)
            .order_by(table.c.position)
            .limit(limit)
        )
        return [(row.position, bytes(row.letter)) for row in rows]

    def add_letter(self, scope: bytes, address: bytes, letter: bytes, week: int) -> None:
        """See ports; writers take turns, so that no position is given twice."""
        table = tables.letters
        last = self.connection.execute(
            select(func.max(table.c.position)).where(table.c.scope == scope, table.c.address == address)
        ).scalar()
        self.connection.execute(
            insert(table).values(
                scope=scope, address=address, position=(last or 0) + 1, week=week, letter=letter
            )
        )
        self._grow(scope, 1)

    def expired_letters(self, scope: bytes, week: int) -> bool:
        """See ports."""
        table = tables.letters
        found = self.connection.execute(
            select(table.c.week).where(table.c.scope == scope, table.c.week < week).limit(1)
        )
        return found.first() is not None

    def drop_letters(self, scope: bytes, week: int) -> int:
        """See ports."""
        table = tables.letters
        gone = self.connection.execute(
            delete(table).where(table.c.scope == scope, table.c.week < week)
        ).rowcount
        self._grow(scope, -gone)
        return int(gone)

    def _grow(self, scope: bytes, change: int) -> None:
        table = tables.scopes
        self.connection.execute(
            update(table).where(table.c.scope == scope).values(letters=table.c.letters + change)
        )
