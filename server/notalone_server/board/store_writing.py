"""The board's store in SQL: what a transaction changes.

Owns the statements that change something. Refuses to know rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update

from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives.merkle import MerkleTree
from notalone_server.board import schema as tables
from notalone_server.board.state import BoardEntry, LeafInProgress, QueuedLeaf, ScopeRecord
from notalone_server.board.store_reading import PAGE, SqlReading, mask
from notalone_server.edge.octets import frame
from notalone_server.edge.statements import add_row, insert_rows, put_row, put_rows

_LAST_SEQUENCE = (
    update(tables.scopes)
    .where(tables.scopes.c.scope == bindparam("of_scope"))
    .values(last_sequence=tables.scopes.c.last_sequence + bindparam("more"))
    .returning(tables.scopes.c.last_sequence)
)
_INTO_FEED, _INTO_ENTRIES = insert(tables.feed), insert(tables.entries)


@dataclass(frozen=True, slots=True)
class SqlWriting(SqlReading):
    """One transaction, for `Writing`."""

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
            "plan_voted": 0 if batch is None else mask(batch.voted),
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

    def erase(self, scope: bytes, kind: int, remains: Mapping[bytes, tuple[int, bytes]]) -> None:
        """See ports."""
        feed = tables.feed
        self.connection.execute(
            update(feed)
            .where(feed.c.scope == scope, feed.c.sequence == bindparam("at"))
            .values(kind=int(kind), payload=bindparam("left")),
            [{"at": sequence, "left": payload} for sequence, payload in remains.values()],
        )
        self._change_entries(scope, tuple(remains), {"erased": True})

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

    def accept(self, scope: bytes, trustee: int, names: Sequence[bytes]) -> None:
        """See ports."""
        accepted = tables.entries.c.accepted.bitwise_or(mask([trustee]))
        self._change_entries(scope, names, {"accepted": accepted})

    def close_entries(
        self, scope: bytes, batch: int, evaluated: Iterable[bytes], gone: Iterable[bytes]
    ) -> None:
        """See ports."""
        self._change_entries(scope, tuple(evaluated), {"batch": batch})
        self._change_entries(scope, tuple(gone), {"gone": True})

    def _change_entries(self, scope: bytes, names: Sequence[bytes], change: Mapping[str, object]) -> None:
        table = tables.entries
        for start in range(0, len(names), PAGE):
            self.connection.execute(
                update(table)
                .where(table.c.scope == scope, table.c.entry.in_(names[start : start + PAGE]))
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

    def put_inclusions(self, scope: bytes, paths: Sequence[tuple[bytes, bytes]]) -> None:
        """See ports."""
        rows = [{"scope": scope, "recipient": recipient, "sealed": sealed} for recipient, sealed in paths]
        put_rows(self.connection, tables.inclusions, ("sealed",), rows)

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
            "cosigned": mask(current.cosigned_by),
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


def _columns(entry: BoardEntry) -> dict[str, object]:
    return {
        "filing": entry.filing,
        "owner_key": entry.owner_key,
        "expiry_week": entry.expiry_week,
        "sequence": entry.sequence,
        "promised": entry.promised,
        "accepted": mask(entry.accepted_by),
        "complained": entry.complained,
        "batch": entry.batch,
        "withdrawn": entry.withdrawn,
        "gone": entry.gone,
        "erased": entry.erased,
    }
