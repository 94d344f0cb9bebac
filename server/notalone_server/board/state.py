"""What the board keeps: feeds, the log, blobs, and nothing about people.

Owns the shape of that data, in records that every store gives and takes.
Refuses to know identities, subjects, thresholds and matches, and when or from
where a filing came: none of these can be written down here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, unique

from notalone_crypto.messages.committee import ScopePolicy


@unique
class EntryState(IntEnum):
    """What an entry's owner is told (specs/40-http-api.md#board)."""

    WAITING = 1
    ACCEPTED = 2
    EVALUATED = 3
    WITHDRAWN = 4  # taken, effective at the next batch
    GONE = 5
    REFUSED = 6  # a trustee complained


@dataclass(slots=True)
class BoardEntry:
    """A filing's public face."""

    name: bytes
    filing: bytes  # fingerprint
    owner_key: bytes
    expiry_week: int
    sequence: int  # of the filing in the feed
    promised: int  # the batch its receipt names
    accepted_by: set[int] = field(default_factory=set)
    complained: bool = False
    batch: int = 0  # the batch that evaluated it; 0 while it waits
    withdrawn: bool = False
    gone: bool = False  # left in a closed batch
    erased: bool = False  # the feed holds its remains only

    def state(self, trustees: int) -> EntryState:
        """For the owner."""
        if self.gone:
            return EntryState.GONE
        if self.complained:
            return EntryState.REFUSED
        if self.withdrawn:
            return EntryState.WITHDRAWN
        if self.batch:
            return EntryState.EVALUATED
        return EntryState.ACCEPTED if len(self.accepted_by) == trustees else EntryState.WAITING


@dataclass(slots=True)
class OpenBatch:
    """The plan in progress and what the board sees of it."""

    plan: bytes  # encoded
    record_votes: dict[int, bytes] = field(default_factory=dict)  # trustee -> leaf
    leaf: bytes = b""
    voted: set[int] = field(default_factory=set)  # trustees that posted a vote, which the board cannot read


@dataclass(frozen=True, slots=True)
class Rules:
    """What filings are taken by."""

    policy: ScopePolicy
    active: bool
    number: int  # of the last closed batch
    planned: bool  # the plan of the next one is out

    @property
    def next_batch(self) -> int:
        """The first that can take a filing in: a plan that is out names what it takes."""
        return self.number + (2 if self.planned else 1)


@dataclass(slots=True)
class ScopeRecord:
    """One scope's rules and where its batches stand."""

    policy: ScopePolicy
    active: bool = False  # the policy's leaf is cosigned
    number: int = 0
    epoch: int = 0
    leaf: bytes = bytes(32)
    opened_at: int = 0
    open_batch: OpenBatch | None = None


@dataclass(slots=True)
class LeafInProgress:
    """A leaf that was appended and waits for a quorum of cosignatures."""

    scope: bytes
    leaf: bytes
    index: int
    policy: bytes  # encoded policy, or empty for a batch
    note: bytes
    cosigned_by: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class QueuedLeaf:
    """A leaf that waits until the one before it has its quorum."""

    scope: bytes
    leaf: bytes
    policy: bytes
