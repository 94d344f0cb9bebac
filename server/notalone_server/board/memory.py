"""The board's store in memory, for simulations and tests.

Owns plain collections and a disk that keeps copies of them. Refuses to know
rules. A transaction that fails half-way is not undone here: the service checks
before it changes, and the tests run the same stories on the SQL store, which does undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives.merkle import MerkleTree
from notalone_server.board.state import BoardEntry, LeafInProgress, QueuedLeaf, Rules, ScopeRecord


class Disk(Protocol):
    """Keeps the board's state; `save` returns only once it is durable."""

    def save(self, state: object) -> None:
        """Store the whole state."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter at its address."""

    position: int
    week: int
    data: bytes


@dataclass(slots=True)
class BoardScope(ScopeRecord):
    """One scope with everything in it."""

    feed: list[FeedItem] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    snapshots: dict[tuple[bytes, int], RollSnapshot] = field(default_factory=dict)
    entries: dict[bytes, BoardEntry] = field(default_factory=dict)  # in order of arrival
    spent: dict[int, dict[bytes, bytes]] = field(default_factory=dict)  # period -> tag -> entry
    blobs: dict[int, dict[int, tuple[bytes, ...]]] = field(default_factory=dict)  # batch -> trustee
    inclusions: dict[bytes, bytes] = field(default_factory=dict)  # recipient key -> sealed path
    leaves: dict[bytes, int] = field(default_factory=dict)  # leaf -> index in the log
    letters: dict[bytes, list[Letter]] = field(default_factory=dict)  # address -> in order of position


@dataclass(slots=True)
class BoardState:
    """Everything the board keeps."""

    scopes: dict[bytes, BoardScope] = field(default_factory=dict)
    tree: MerkleTree = field(default_factory=lambda: MerkleTree.of([]))
    note: bytes = b""
    waiting: list[QueuedLeaf] = field(default_factory=list)
    in_progress: LeafInProgress | None = None


@dataclass(slots=True)
class MemoryStore:
    """A BoardStore over `state`."""

    disk: Disk
    state: BoardState = field(default_factory=BoardState)

    @contextmanager
    def reading(self) -> Iterator[MemoryStore]:
        """The state as it is."""
        yield self

    @contextmanager
    def writing(self) -> Iterator[MemoryStore]:
        """The state, saved at the end."""
        yield self
        self.disk.save(self.state)

    # --- reading -----------------------------------------------------------------------------------

    def scopes(self) -> tuple[bytes, ...]:
        """See ports."""
        return tuple(self.state.scopes)

    def scope(self, name: bytes) -> ScopeRecord | None:
        """See ports; the record is the stored one."""
        return self.state.scopes.get(name)

    def rules(self, name: bytes) -> Rules | None:
        """See ports."""
        scope = self.scope(name)
        if scope is None:
            return None
        return Rules(scope.policy, scope.active, scope.number, scope.open_batch is not None)

    def feed(self, scope: bytes, after: int, limit: int) -> tuple[FeedItem, ...]:
        """See ports."""
        taken: list[FeedItem] = []
        for item in self.state.scopes[scope].feed[max(after, 0) :]:
            limit -= len(item.payload)
            if limit < 0 and taken:
                break
            taken.append(item)
        return tuple(taken)

    def payloads(self, scope: bytes, sequences: Sequence[int]) -> dict[int, bytes]:
        """See ports."""
        feed = self.state.scopes[scope].feed
        return {number: feed[number - 1].payload for number in sequences}

    def cursors(self, scope: bytes) -> dict[str, int]:
        """See ports."""
        return dict(self.state.scopes[scope].cursors)

    def snapshots(self, scope: bytes) -> tuple[RollSnapshot, ...]:
        """See ports."""
        return tuple(self.state.scopes[scope].snapshots.values())

    def entry(self, scope: bytes, name: bytes) -> BoardEntry | None:
        """See ports."""
        return self.state.scopes[scope].entries.get(name)

    def entries(self, scope: bytes, names: Sequence[bytes]) -> dict[bytes, BoardEntry]:
        """See ports."""
        known = self.state.scopes[scope].entries
        return {name: known[name] for name in names if name in known}

    def ready(self, scope: bytes, trustees: int, week: int) -> tuple[BoardEntry, ...]:
        """See ports."""
        return tuple(
            entry
            for entry in self.state.scopes[scope].entries.values()
            if not (entry.gone or entry.complained)
            and len(entry.accepted_by) == trustees
            and (not entry.batch or entry.withdrawn or entry.expiry_week < week)
        )

    def erasable(self, scope: bytes, trustees: int, until: int) -> tuple[BoardEntry, ...]:
        """See ports."""
        return tuple(
            entry
            for entry in self.state.scopes[scope].entries.values()
            if not entry.erased and len(entry.accepted_by) == trustees and entry.sequence <= until
        )

    def spent_by(self, scope: bytes, tag: bytes) -> bytes | None:
        """See ports."""
        lists = self.state.scopes[scope].spent.values()
        return next((tags[tag] for tags in lists if tag in tags), None)

    def spent(self, scope: bytes, period: int) -> tuple[bytes, ...]:
        """See ports."""
        return tuple(sorted(self.state.scopes[scope].spent.get(period, ())))

    def blobs(self, scope: bytes, batch: int) -> dict[int, tuple[bytes, ...]]:
        """See ports."""
        return dict(self.state.scopes[scope].blobs.get(batch, {}))

    def inclusion(self, scope: bytes, recipient: bytes) -> bytes | None:
        """See ports."""
        return self.state.scopes[scope].inclusions.get(recipient)

    def letter_count(self, scope: bytes) -> int:
        """See ports."""
        return sum(len(kept) for kept in self.state.scopes[scope].letters.values())

    def letters_at(self, scope: bytes, address: bytes) -> int:
        """See ports."""
        return len(self.state.scopes[scope].letters.get(address, ()))

    def has_letter(self, scope: bytes, address: bytes, letter: bytes) -> bool:
        """See ports."""
        return any(one.data == letter for one in self.state.scopes[scope].letters.get(address, ()))

    def letters_after(
        self, scope: bytes, address: bytes, after: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """See ports."""
        kept = self.state.scopes[scope].letters.get(address, ())
        return [(one.position, one.data) for one in kept if one.position > after][:limit]

    def expired_letters(self, scope: bytes, week: int) -> bool:
        """See ports."""
        return any(one.week < week for kept in self.state.scopes[scope].letters.values() for one in kept)

    def tree(self) -> MerkleTree:
        """See ports."""
        return self.state.tree

    def leaf_index(self, scope: bytes, leaf: bytes) -> int | None:
        """See ports."""
        return self.state.scopes[scope].leaves.get(leaf)

    def note(self) -> bytes:
        """See ports."""
        return self.state.note

    def in_progress(self) -> LeafInProgress | None:
        """See ports."""
        return self.state.in_progress

    # --- writing -----------------------------------------------------------------------------------

    def put_scope(self, record: ScopeRecord) -> None:
        """See ports."""
        name = record.policy.scope
        if name not in self.state.scopes:
            self.state.scopes[name] = BoardScope(record.policy)
        kept = self.state.scopes[name]
        kept.policy, kept.active, kept.number = record.policy, record.active, record.number
        kept.epoch, kept.leaf, kept.opened_at = record.epoch, record.leaf, record.opened_at
        kept.open_batch = record.open_batch

    def append(self, scope: bytes, kind: int, payload: bytes) -> int:
        """See ports."""
        return self.append_all(scope, kind, (payload,))

    def append_all(self, scope: bytes, kind: int, payloads: Sequence[bytes]) -> int:
        """See ports."""
        feed = self.state.scopes[scope].feed
        first = len(feed) + 1
        feed += [FeedItem(scope, first + place, kind, payload) for place, payload in enumerate(payloads)]
        return first

    def erase(self, scope: bytes, kind: int, remains: Mapping[bytes, tuple[int, bytes]]) -> None:
        """See ports."""
        kept = self.state.scopes[scope]
        for name, (sequence, payload) in remains.items():
            kept.feed[sequence - 1] = FeedItem(scope, sequence, kind, payload)
            kept.entries[name].erased = True

    def put_cursor(self, scope: bytes, reader: str, sequence: int) -> None:
        """See ports."""
        self.state.scopes[scope].cursors[reader] = sequence

    def put_snapshot(self, snapshot: RollSnapshot) -> None:
        """See ports."""
        kept = self.state.scopes[snapshot.scope].snapshots
        kept[snapshot.issuer_key, snapshot.cohort] = snapshot

    def add_entries(self, scope: bytes, entries: Sequence[BoardEntry]) -> None:
        """See ports."""
        self.state.scopes[scope].entries |= {entry.name: entry for entry in entries}

    def put_entry(self, scope: bytes, entry: BoardEntry) -> None:
        """See ports."""
        self.state.scopes[scope].entries[entry.name] = entry

    def accept(self, scope: bytes, trustee: int, names: Sequence[bytes]) -> None:
        """See ports."""
        for name in names:
            self.state.scopes[scope].entries[name].accepted_by.add(trustee)

    def close_entries(
        self, scope: bytes, batch: int, evaluated: Iterable[bytes], gone: Iterable[bytes]
    ) -> None:
        """See ports."""
        entries = self.state.scopes[scope].entries
        for name in evaluated:
            entries[name].batch = batch
        for name in gone:
            entries[name].gone = True

    def spend(self, scope: bytes, period: int, tag: bytes, entry: bytes) -> bool:
        """See ports."""
        spent = self.state.scopes[scope].spent.setdefault(period, {})
        if tag in spent:
            return False
        spent[tag] = entry
        return True

    def put_blobs(self, scope: bytes, batch: int, trustee: int, blobs: tuple[bytes, ...]) -> None:
        """See ports."""
        self.state.scopes[scope].blobs.setdefault(batch, {})[trustee] = blobs

    def put_inclusions(self, scope: bytes, paths: Sequence[tuple[bytes, bytes]]) -> None:
        """See ports."""
        self.state.scopes[scope].inclusions |= dict(paths)

    def add_letter(self, scope: bytes, address: bytes, letter: bytes, week: int) -> None:
        """See ports."""
        kept = self.state.scopes[scope].letters.setdefault(address, [])
        kept.append(Letter(kept[-1].position + 1 if kept else 1, week, letter))

    def drop_letters(self, scope: bytes, week: int) -> int:
        """See ports."""
        before, letters = self.letter_count(scope), self.state.scopes[scope].letters
        for address in tuple(letters):
            letters[address] = [one for one in letters[address] if one.week >= week]
            if not letters[address]:
                del letters[address]
        return before - self.letter_count(scope)

    def append_leaf(self, scope: bytes, leaf: bytes) -> MerkleTree:
        """See ports."""
        del scope
        self.state.tree = self.state.tree.append(leaf)
        return self.state.tree

    def confirm_leaf(self, current: LeafInProgress) -> None:
        """See ports."""
        self.state.note = current.note
        self.state.in_progress = None
        self.state.scopes[current.scope].leaves[current.leaf] = current.index

    def put_in_progress(self, current: LeafInProgress) -> None:
        """See ports."""
        self.state.in_progress = current

    def queue_leaf(self, queued: QueuedLeaf) -> None:
        """See ports."""
        self.state.waiting.append(queued)

    def next_leaf(self) -> QueuedLeaf | None:
        """See ports."""
        return self.state.waiting.pop(0) if self.state.waiting else None
