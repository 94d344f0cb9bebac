"""The board's store in SQL, through SQLAlchemy Core.

Owns statements and the translation of rows into records. Refuses to know
rules. One transaction for each request, alone among writers (edge/database.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, delete, false, func, insert, select, true, update

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives.merkle import MerkleTree
from notalone_server.board import schema as tables
from notalone_server.board.state import BoardEntry, LeafInProgress, OpenBatch, QueuedLeaf, Rules, ScopeRecord
from notalone_server.board.store_letters import SqlLetters
from notalone_server.edge import database
from notalone_server.edge.octets import frame, unframe
from notalone_server.edge.statements import add_row, insert_rows, one_row, parameters, put_row, rows_by

_PAGE = 500
_policy = lru_cache(maxsize=64)(ScopePolicy.decode)
_LAST_SEQUENCE = (
    update(tables.scopes)
    .where(tables.scopes.c.scope == bindparam("of_scope"))
    .values(last_sequence=tables.scopes.c.last_sequence + bindparam("more"))
    .returning(tables.scopes.c.last_sequence)
)
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
    .limit(_PAGE)
)
_FEED_ITEMS = (
    select(tables.feed)
    .where(*_FEED_ABOVE, tables.feed.c.sequence <= bindparam("last"))
    .order_by(tables.feed.c.sequence)
)
_INTO_FEED, _INTO_ENTRIES = insert(tables.feed), insert(tables.entries)


@dataclass(slots=True)
class SqlStore:
    """A BoardStore over an engine whose database is migrated."""

    engine: Engine
    _tree: MerkleTree = field(default_factory=lambda: MerkleTree.of([]))  # committed leaves seen so far

    @contextmanager
    def reading(self) -> Iterator[SqlView]:
        """One consistent view."""
        with database.read(self.engine) as connection:
            yield SqlView(connection, self)

    @contextmanager
    def writing(self) -> Iterator[SqlView]:
        """One transaction; an exception undoes all of it."""
        with database.write(self.engine) as connection:
            yield SqlView(connection, self)

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

    def tree_with(self, connection: Connection) -> MerkleTree:
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
class SqlView(SqlLetters):
    """One transaction, for `Reading` and `Writing`."""

    store: SqlStore

    # --- reading -----------------------------------------------------------------------------------

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
            if full or limit <= 0 or len(sizes) < _PAGE:
                return tuple(taken)
            after = last

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
                    table.c.accepted == _mask(range(1, trustees + 1)),
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
                table.c.accepted == _mask(range(1, trustees + 1)),
            )
            .order_by(table.c.sequence)
            .limit(_PAGE)
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
        return self.store.tree_with(self.connection)

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

    # --- writing -----------------------------------------------------------------------------------

    def put_scope(self, record: ScopeRecord) -> None:
        """See ports."""
        name, batch = record.policy.scope, record.open_batch
        values = {
            "policy": record.policy.encode(),
            "active": record.active,
            "number": record.number,
            "epoch": record.epoch,
            "leaf": record.leaf,
            "opened_at": record.opened_at,
            "plan": None if batch is None else batch.plan,
            "plan_leaf": None if batch is None else batch.leaf,
            "plan_voted": 0 if batch is None else _mask(batch.voted),
        }
        put_row(self.connection, tables.scopes, {"scope": name}, values, {"last_sequence": 0})
        votes = tables.record_votes
        self.connection.execute(delete(votes).where(votes.c.scope == name))
        if batch is not None and batch.record_votes:
            self.connection.execute(
                insert(votes),
                [{"scope": name, "trustee": one, "leaf": leaf} for one, leaf in batch.record_votes.items()],
            )

    def append(self, scope: bytes, kind: int, payload: bytes) -> int:
        """See ports."""
        return self.append_all(scope, kind, (payload,))

    def append_all(self, scope: bytes, kind: int, payloads: Sequence[bytes]) -> int:
        """See ports."""
        asked = {"of_scope": scope, "more": len(payloads)}
        last: int = self.connection.execute(_LAST_SEQUENCE, asked).scalar_one()
        first = last - len(payloads) + 1
        items = [
            {"scope": scope, "sequence": first + place, "kind": int(kind), "payload": payload}
            for place, payload in enumerate(payloads)
        ]
        insert_rows(self.connection, _INTO_FEED, items)
        return first

    def replace(self, scope: bytes, sequence: int, kind: int, payload: bytes) -> None:
        """See ports."""
        put_row(
            self.connection,
            tables.feed,
            {"scope": scope, "sequence": sequence},
            {"kind": int(kind), "payload": payload},
        )

    def put_cursor(self, scope: bytes, reader: str, sequence: int) -> None:
        """See ports."""
        put_row(self.connection, tables.cursors, {"scope": scope, "reader": reader}, {"sequence": sequence})

    def put_snapshot(self, snapshot: RollSnapshot) -> None:
        """See ports."""
        key = {"scope": snapshot.scope, "issuer_key": snapshot.issuer_key, "cohort": snapshot.cohort}
        put_row(self.connection, tables.snapshots, key, {"data": snapshot.encode()})

    def add_entries(self, scope: bytes, entries: Sequence[BoardEntry]) -> None:
        """See ports."""
        key = {"scope": scope}
        rows = [{**key, "entry": entry.name, **_columns(entry)} for entry in entries]
        insert_rows(self.connection, _INTO_ENTRIES, rows)

    def put_entry(self, scope: bytes, entry: BoardEntry) -> None:
        """See ports."""
        put_row(self.connection, tables.entries, {"scope": scope, "entry": entry.name}, _columns(entry))

    def close_entries(
        self, scope: bytes, batch: int, evaluated: Iterable[bytes], gone: Iterable[bytes]
    ) -> None:
        """See ports."""
        table = tables.entries
        for names, change in ((tuple(evaluated), {"batch": batch}), (tuple(gone), {"gone": True})):
            for start in range(0, len(names), _PAGE):
                self.connection.execute(
                    update(table)
                    .where(table.c.scope == scope, table.c.entry.in_(names[start : start + _PAGE]))
                    .values(**change)
                )

    def spend(self, scope: bytes, period: int, tag: bytes, entry: bytes) -> bool:
        """See ports."""
        key = {"scope": scope, "period": period, "tag": tag}
        return add_row(self.connection, tables.spent, key, {"entry": entry})

    def put_blobs(self, scope: bytes, batch: int, trustee: int, blobs: tuple[bytes, ...]) -> None:
        """See ports."""
        key = {"scope": scope, "batch": batch, "trustee": trustee}
        put_row(self.connection, tables.releases, key, {"blobs": frame(blobs)})

    def put_inclusion(self, scope: bytes, recipient: bytes, sealed: bytes) -> None:
        """See ports."""
        put_row(
            self.connection, tables.inclusions, {"scope": scope, "recipient": recipient}, {"sealed": sealed}
        )

    def append_leaf(self, scope: bytes, leaf: bytes) -> MerkleTree:
        """See ports."""
        tree = self.tree().append(leaf)
        self.connection.execute(
            insert(tables.log_leaves).values(position=tree.size - 1, scope=scope, leaf=leaf, cosigned=False)
        )
        return tree

    def confirm_leaf(self, current: LeafInProgress) -> None:
        """See ports."""
        leaves = tables.log_leaves
        self.connection.execute(
            update(leaves).where(leaves.c.position == current.index).values(cosigned=True)
        )
        nothing = dict.fromkeys(("scope", "leaf", "position", "policy", "candidate", "cosigned"))
        put_row(self.connection, tables.log_state, {"one": 1}, {"note": current.note, **nothing})

    def put_in_progress(self, current: LeafInProgress) -> None:
        """See ports."""
        values = {
            "scope": current.scope,
            "leaf": current.leaf,
            "position": current.index,
            "policy": current.policy,
            "candidate": current.note,
            "cosigned": _mask(current.cosigned_by),
        }
        put_row(self.connection, tables.log_state, {"one": 1}, values, {"note": b""})

    def queue_leaf(self, queued: QueuedLeaf) -> None:
        """See ports."""
        table = tables.log_queue
        last = self.connection.execute(select(func.max(table.c.place))).scalar() or 0
        self.connection.execute(
            insert(table).values(place=last + 1, scope=queued.scope, leaf=queued.leaf, policy=queued.policy)
        )

    def next_leaf(self) -> QueuedLeaf | None:
        """See ports."""
        table = tables.log_queue
        row = self.connection.execute(select(table).order_by(table.c.place).limit(1)).first()
        if row is None:
            return None
        self.connection.execute(delete(table).where(table.c.place == row.place))
        return QueuedLeaf(bytes(row.scope), bytes(row.leaf), bytes(row.policy))


def _mask(members: Iterable[int]) -> int:
    return sum(1 << (member - 1) for member in set(members))


def _members(mask: int) -> set[int]:
    return {position + 1 for position in range(mask.bit_length()) if mask >> position & 1}


def _columns(entry: BoardEntry) -> dict[str, object]:
    return {
        "filing": entry.filing,
        "owner_key": entry.owner_key,
        "expiry_week": entry.expiry_week,
        "sequence": entry.sequence,
        "promised": entry.promised,
        "accepted": _mask(entry.accepted_by),
        "complained": entry.complained,
        "batch": entry.batch,
        "withdrawn": entry.withdrawn,
        "gone": entry.gone,
        "erased": entry.erased,
    }


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
