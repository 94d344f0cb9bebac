"""The board's store in SQL: what a view answers.

Owns the statements that change nothing and the translation of rows into records. Refuses to
know rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, false, func, select, true

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives.merkle import MerkleTree
from notalone_server.board import schema as tables
from notalone_server.board.state import BoardEntry, LeafInProgress, OpenBatch, Rules, ScopeRecord
from notalone_server.board.store_letters import SqlLetters
from notalone_server.edge.octets import unframe
from notalone_server.edge.statements import one_row, parameters, rows_by

PAGE: Final = 500  # rows or parameters of one statement
_policy = lru_cache(maxsize=64)(ScopePolicy.decode)
_RULES = select(
    tables.scopes.c.policy,
    tables.scopes.c.active,
    tables.scopes.c.number,
    tables.scopes.c.plan.is_not(None),
).where(tables.scopes.c.scope == bindparam("of_scope"))
_FEED_ABOVE = (tables.feed.c.scope == bindparam("of_scope"), tables.feed.c.sequence > bindparam("after"))
_FEED_SIZES = (
    select(tables.feed.c.sequence, func.length(tables.feed.c.payload))
    .where(*_FEED_ABOVE)
    .order_by(tables.feed.c.sequence)
    .limit(PAGE)
)
_FEED_ITEMS = (
    select(tables.feed)
    .where(*_FEED_ABOVE, tables.feed.c.sequence <= bindparam("last"))
    .order_by(tables.feed.c.sequence)
)
_SOME_PAYLOADS = select(tables.feed.c.sequence, tables.feed.c.payload).where(
    tables.feed.c.scope == bindparam("of_scope"),
    tables.feed.c.sequence.in_(bindparam("numbers", expanding=True)),
)
_SOME_ENTRIES = select(tables.entries).where(
    tables.entries.c.scope == bindparam("of_scope"),
    tables.entries.c.entry.in_(bindparam("names", expanding=True)),
)


@dataclass(slots=True)
class KeptTree:
    """The log's tree of one database, as far as it was seen: leaves never change."""

    _tree: MerkleTree = field(default_factory=lambda: MerkleTree.of([]))

    def of(self, connection: Connection) -> MerkleTree:
        """The tree of this view; leaves never change, so only new ones are read.

        What is kept stays a prefix of the log even if this view is undone: it is
        replaced only by leaves of the same database that were read again.
        """
        kept = self._tree
        rows = connection.execute(
            select(tables.log_leaves.c.leaf, tables.log_leaves.c.cosigned)
            .where(tables.log_leaves.c.position >= kept.size)
            .order_by(tables.log_leaves.c.position)
        ).all()
        tree = kept
        for leaf, cosigned in rows:
            tree = tree.append(bytes(leaf))
            if cosigned and tree.size == kept.size + 1:  # committed long ago: a later transaction cosigned it
                kept = tree
        if kept.size > self._tree.size:
            self._tree = kept
        return tree


@dataclass(frozen=True, slots=True)
class SqlReading(SqlLetters):
    """One transaction, for `Reading`."""

    kept_tree: KeptTree

    def scopes(self) -> tuple[bytes, ...]:
        """See ports."""
        rows = self.connection.execute(select(tables.scopes.c.scope).order_by(tables.scopes.c.scope))
        return tuple(bytes(row.scope) for row in rows)

    def scope(self, name: bytes) -> ScopeRecord | None:
        """See ports."""
        row = one_row(self.connection, tables.scopes, scope=name)
        if row is None:
            return None
        batch = None
        if row.plan is not None:
            votes = self.connection.execute(
                rows_by(tables.record_votes, "scope"), parameters({"scope": name})
            )
            batch = OpenBatch(
                bytes(row.plan),
                {vote.trustee: bytes(vote.leaf) for vote in votes},
                bytes(row.plan_leaf),
                _members(row.plan_voted),
            )
        return ScopeRecord(
            _policy(bytes(row.policy)),
            row.active,
            row.number,
            row.epoch,
            bytes(row.leaf),
            row.opened_at,
            batch,
        )

    def rules(self, name: bytes) -> Rules | None:
        """See ports."""
        row = self.connection.execute(_RULES, parameters({"scope": name})).first()
        if row is None:
            return None
        policy, active, number, planned = row
        return Rules(_policy(bytes(policy)), active, number, planned)

    def feed(self, scope: bytes, after: int, limit: int) -> tuple[FeedItem, ...]:
        """See ports."""
        taken: list[FeedItem] = []
        while True:
            # Sizes first: a page of large payloads is not read only to be thrown away.
            asked = {"of_scope": scope, "after": after}
            sizes = self.connection.execute(_FEED_SIZES, asked).all()
            if not sizes:
                return tuple(taken)
            last, full = after, False
            for sequence, size in sizes:
                limit -= size
                if limit < 0 and (taken or last > after):
                    full = True
                    break
                last = sequence
            rows = self.connection.execute(_FEED_ITEMS, {**asked, "last": last})
            taken += [FeedItem(scope, row.sequence, row.kind, bytes(row.payload)) for row in rows]
            if full or limit <= 0 or len(sizes) < PAGE:
                return tuple(taken)
            after = last

    def payloads(self, scope: bytes, sequences: Sequence[int]) -> dict[int, bytes]:
        """See ports; for few: each is a parameter."""
        rows = self.connection.execute(_SOME_PAYLOADS, {"of_scope": scope, "numbers": sequences})
        return {row.sequence: bytes(row.payload) for row in rows}

    def cursors(self, scope: bytes) -> dict[str, int]:
        """See ports."""
        rows = self.connection.execute(select(tables.cursors).where(tables.cursors.c.scope == scope))
        return {row.reader: row.sequence for row in rows}

    def snapshots(self, scope: bytes) -> tuple[RollSnapshot, ...]:
        """See ports."""
        table = tables.snapshots
        rows = self.connection.execute(
            select(table.c.data).where(table.c.scope == scope).order_by(table.c.issuer_key, table.c.cohort)
        )
        return tuple(RollSnapshot.decode(bytes(row.data)) for row in rows)

    def entry(self, scope: bytes, name: bytes) -> BoardEntry | None:
        """See ports."""
        row = one_row(self.connection, tables.entries, scope=scope, entry=name)
        return None if row is None else _entry(row)

    def entries(self, scope: bytes, names: Sequence[bytes]) -> dict[bytes, BoardEntry]:
        """See ports."""
        found: dict[bytes, BoardEntry] = {}
        for start in range(0, len(names), PAGE):
            asked = {"of_scope": scope, "names": names[start : start + PAGE]}
            found |= {bytes(row.entry): _entry(row) for row in self.connection.execute(_SOME_ENTRIES, asked)}
        return found

    def ready(self, scope: bytes, trustees: int, week: int) -> tuple[BoardEntry, ...]:
        """See ports; three look-ups by index, so that what is stored costs nothing."""
        table = tables.entries
        found: dict[bytes, BoardEntry] = {}
        for reason in (table.c.batch == 0, table.c.withdrawn == true(), table.c.expiry_week < week):
            rows = self.connection.execute(
                select(table).where(
                    table.c.scope == scope,
                    table.c.gone == false(),
                    reason,
                    table.c.complained == false(),
                    table.c.accepted == mask(range(1, trustees + 1)),
                )
            )
            found |= {bytes(row.entry): _entry(row) for row in rows}
        return tuple(sorted(found.values(), key=lambda entry: entry.sequence))

    def erasable(self, scope: bytes, trustees: int, until: int) -> tuple[BoardEntry, ...]:
        """See ports."""
        table = tables.entries
        rows = self.connection.execute(
            select(table)
            .where(
                table.c.scope == scope,
                table.c.erased == false(),
                table.c.sequence <= until,
                table.c.accepted == mask(range(1, trustees + 1)),
            )
            .order_by(table.c.sequence)
            .limit(PAGE)
        )
        return tuple(_entry(row) for row in rows)

    def spent_by(self, scope: bytes, tag: bytes) -> bytes | None:
        """See ports."""
        row = one_row(self.connection, tables.spent, scope=scope, tag=tag)
        return None if row is None or row.entry is None else bytes(row.entry)

    def spent(self, scope: bytes, period: int) -> tuple[bytes, ...]:
        """See ports."""
        table = tables.spent
        rows = self.connection.execute(
            select(table.c.tag).where(table.c.scope == scope, table.c.period == period).order_by(table.c.tag)
        )
        return tuple(bytes(row.tag) for row in rows)

    def blobs(self, scope: bytes, batch: int) -> dict[int, tuple[bytes, ...]]:
        """See ports."""
        table = tables.releases
        rows = self.connection.execute(
            select(table).where(table.c.scope == scope, table.c.batch == batch).order_by(table.c.trustee)
        )
        return {row.trustee: unframe(bytes(row.blobs)) for row in rows}

    def inclusion(self, scope: bytes, recipient: bytes) -> bytes | None:
        """See ports."""
        row = one_row(self.connection, tables.inclusions, scope=scope, recipient=recipient)
        return None if row is None else bytes(row.sealed)

    def tree(self) -> MerkleTree:
        """See ports."""
        return self.kept_tree.of(self.connection)

    def leaf_index(self, scope: bytes, leaf: bytes) -> int | None:
        """See ports."""
        table = tables.log_leaves
        return self.connection.execute(
            select(func.max(table.c.position)).where(
                table.c.scope == scope, table.c.leaf == leaf, table.c.cosigned == true()
            )
        ).scalar()

    def note(self) -> bytes:
        """See ports."""
        row = one_row(self.connection, tables.log_state, one=1)
        return b"" if row is None else bytes(row.note)

    def in_progress(self) -> LeafInProgress | None:
        """See ports."""
        row = one_row(self.connection, tables.log_state, one=1)
        if row is None or row.candidate is None:
            return None
        return LeafInProgress(
            bytes(row.scope),
            bytes(row.leaf),
            row.position,
            bytes(row.policy),
            bytes(row.candidate),
            _members(row.cosigned),
        )


def mask(members: Iterable[int]) -> int:
    """Bit i - 1: trustee i."""
    return sum(1 << (member - 1) for member in set(members))


def _members(mask: int) -> set[int]:
    return {position + 1 for position in range(mask.bit_length()) if mask >> position & 1}


def _entry(row: Row[Any]) -> BoardEntry:
    return BoardEntry(
        bytes(row.entry),
        bytes(row.filing),
        bytes(row.owner_key),
        row.expiry_week,
        row.sequence,
        row.promised,
        _members(row.accepted),
        row.complained,
        row.batch,
        row.withdrawn,
        row.gone,
        row.erased,
    )
