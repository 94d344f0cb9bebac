"""What the board needs from outside: a clock and a store with transactions.

Owns the store's contract. Refuses to know databases. Every request is one
transaction: all of it is durable when it ends, or nothing of it happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives.merkle import MerkleTree
from notalone_server.board.state import BoardEntry, LeafInProgress, QueuedLeaf, Rules, ScopeRecord

Clock = Callable[[], int]
"""Seconds since 1970."""


class Reading(Protocol):
    """One consistent view."""

    def scopes(self) -> tuple[bytes, ...]:
        """Names of all scopes."""

    def scope(self, name: bytes) -> ScopeRecord | None:
        """One scope; a changed record counts only after `put_scope`."""

    def rules(self, name: bytes) -> Rules | None:
        """What a scope's filings are taken by: the part of it that each of them needs."""

    def feed(self, scope: bytes, after: int, limit: int) -> tuple[FeedItem, ...]:
        """Items above a sequence number, in order, at most `limit` bytes of payload but at least one item."""

    def payloads(self, scope: bytes, sequences: Sequence[int]) -> dict[int, bytes]:
        """Payloads of single items that are there, by their sequence numbers."""

    def cursors(self, scope: bytes) -> dict[str, int]:
        """How far each reader has read and stored the feed."""

    def snapshots(self, scope: bytes) -> tuple[RollSnapshot, ...]:
        """The newest of every issuer's cohorts."""

    def entry(self, scope: bytes, name: bytes) -> BoardEntry | None:
        """One entry; a changed record counts only after `put_entry`."""

    def entries(self, scope: bytes, names: Sequence[bytes]) -> dict[bytes, BoardEntry]:
        """As `entry`, for several at once; without those that are not there."""

    def ready(self, scope: bytes, trustees: int, week: int) -> tuple[BoardEntry, ...]:
        """Entries a plan must name, in order of arrival.

        Accepted by all `trustees`, no complaint, not gone; and not yet evaluated,
        or withdrawn, or expired before `week`.
        """

    def erasable(self, scope: bytes, trustees: int, until: int) -> tuple[BoardEntry, ...]:
        """Entries accepted by all whose filing, at a sequence up to `until`, is still whole."""

    def spent_by(self, scope: bytes, tag: bytes) -> bytes | None:
        """The name of the entry that spent the tag, in whichever period."""

    def spent(self, scope: bytes, period: int) -> tuple[bytes, ...]:
        """The whole list, sorted: its order tells nothing."""

    def blobs(self, scope: bytes, batch: int) -> dict[int, tuple[bytes, ...]]:
        """A batch's release blobs by trustee."""

    def inclusion(self, scope: bytes, recipient: bytes) -> bytes | None:
        """A sealed path."""

    def letter_count(self, scope: bytes) -> int:
        """How many letters the scope keeps."""

    def letters_at(self, scope: bytes, address: bytes) -> int:
        """How many letters an address keeps."""

    def has_letter(self, scope: bytes, address: bytes, letter: bytes) -> bool:
        """Whether this letter is at this address."""

    def letters_after(
        self, scope: bytes, address: bytes, after: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """(position, letter) above a position, in order, at most `limit`."""

    def expired_letters(self, scope: bytes, week: int) -> bool:
        """Whether a letter's last week is before this one."""

    def tree(self) -> MerkleTree:
        """The log's tree with every appended leaf."""

    def leaf_index(self, scope: bytes, leaf: bytes) -> int | None:
        """Where a cosigned leaf is."""

    def note(self) -> bytes:
        """The newest checkpoint with a quorum, or nothing."""

    def in_progress(self) -> LeafInProgress | None:
        """The leaf that waits for cosignatures."""


class Writing(Reading, Protocol):
    """A view that may change; nobody else writes meanwhile."""

    def put_scope(self, record: ScopeRecord) -> None:
        """Add or replace."""

    def append(self, scope: bytes, kind: int, payload: bytes) -> int:
        """One more item; its sequence number (from 1, without gaps)."""

    def append_all(self, scope: bytes, kind: int, payloads: Sequence[bytes]) -> int:
        """As many items (at least one) one after the other; the first one's sequence number."""

    def erase(self, scope: bytes, kind: int, remains: Mapping[bytes, tuple[int, bytes]]) -> None:
        """Entry -> (its filing's place in the feed, what remains): that, as `kind`, replaces the filing."""

    def put_cursor(self, scope: bytes, reader: str, sequence: int) -> None:
        """Remember how far a reader has come."""

    def put_snapshot(self, snapshot: RollSnapshot) -> None:
        """Replace the cohort's newest."""

    def add_entries(self, scope: bytes, entries: Sequence[BoardEntry]) -> None:
        """Add entries (at least one) that are not there."""

    def put_entry(self, scope: bytes, entry: BoardEntry) -> None:
        """Replace one."""

    def accept(self, scope: bytes, trustee: int, names: Sequence[bytes]) -> None:
        """Entries that are there (at least one) are accepted by a trustee, too."""

    def close_entries(
        self, scope: bytes, batch: int, evaluated: Iterable[bytes], gone: Iterable[bytes]
    ) -> None:
        """Mark what a closed batch evaluated and what left in it."""

    def spend(self, scope: bytes, period: int, tag: bytes, entry: bytes) -> bool:
        """Put a tag on the list, with the entry that spent it; False (and no change) if it is on it."""

    def put_blobs(self, scope: bytes, batch: int, trustee: int, blobs: tuple[bytes, ...]) -> None:
        """Keep a trustee's blobs of a batch."""

    def put_inclusions(self, scope: bytes, paths: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep or replace sealed paths (at least one), each under its recipient."""

    def add_letter(self, scope: bytes, address: bytes, letter: bytes, week: int) -> None:
        """Keep a letter at the address's next position (from 1) up to the end of a week."""

    def drop_letters(self, scope: bytes, week: int) -> int:
        """Erase letters whose last week is before this one; how many."""

    def append_leaf(self, scope: bytes, leaf: bytes) -> MerkleTree:
        """The tree with one more leaf."""

    def confirm_leaf(self, current: LeafInProgress) -> None:
        """The leaf has its quorum: its note is the newest, and nothing is in progress."""

    def put_in_progress(self, current: LeafInProgress) -> None:
        """Add or replace the leaf in progress."""

    def queue_leaf(self, queued: QueuedLeaf) -> None:
        """Put a leaf at the queue's end."""

    def next_leaf(self) -> QueuedLeaf | None:
        """Take the queue's first."""


class BoardStore(Protocol):
    """Durable storage; a transaction that fails changes nothing."""

    def reading(self) -> AbstractContextManager[Reading]:
        """A view."""

    def writing(self) -> AbstractContextManager[Writing]:
        """A transaction, durable when the block ends without an exception."""
