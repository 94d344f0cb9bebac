"""What the board keeps: feeds, the log's tree, blobs, and nothing about people.

Owns the shape of that data. Refuses to know identities, subjects, thresholds
and matches: none of these can be written down here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.messages.filing import Header
from notalone_crypto.primitives import merkle


@dataclass(slots=True)
class BoardEntry:
    """A filing's public face."""

    header: Header
    filing: bytes  # fingerprint
    promised: int  # the batch its receipt names
    accepted_by: set[int] = field(default_factory=set)
    complained: bool = False
    batch: int = 0  # the batch that evaluated it; 0 while it waits
    withdrawn: bool = False
    gone: bool = False  # left in a closed batch


@dataclass(slots=True)
class OpenBatch:
    """The plan in progress and what the board sees of it."""

    number: int
    plan: bytes  # encoded
    entries: tuple[bytes, ...]
    leaving: tuple[bytes, ...]
    opened_at: int
    record_votes: dict[int, bytes] = field(default_factory=dict)  # trustee -> leaf
    leaf: bytes = b""


@dataclass(slots=True)
class BoardScope:
    """One scope as the board sees it."""

    policy: ScopePolicy
    active: bool = False  # the policy's leaf is cosigned
    feed: list[FeedItem] = field(default_factory=list)
    entries: dict[bytes, BoardEntry] = field(default_factory=dict)  # in order of arrival
    number: int = 0
    epoch: int = 0
    leaf: bytes = bytes(32)
    opened_at: int = 0
    open_batch: OpenBatch | None = None
    spent: dict[int, list[bytes]] = field(default_factory=dict)
    blobs: dict[int, dict[int, tuple[bytes, ...]]] = field(default_factory=dict)  # batch -> trustee
    inclusions: dict[bytes, bytes] = field(default_factory=dict)  # recipient key -> sealed path
    leaves: dict[bytes, int] = field(default_factory=dict)  # leaf -> index in the log


@dataclass(slots=True)
class LeafInProgress:
    """A leaf that was appended and waits for a quorum of cosignatures."""

    scope: bytes
    leaf: bytes
    index: int
    policy: bytes  # encoded policy, or empty for a batch
    note: bytes
    cosigned_by: set[int] = field(default_factory=set)


@dataclass(slots=True)
class BoardState:
    """Everything the board keeps."""

    scopes: dict[bytes, BoardScope] = field(default_factory=dict)
    tree: merkle.MerkleTree = field(default_factory=lambda: merkle.MerkleTree.of([]))
    note: bytes = b""  # the newest checkpoint with a quorum
    waiting: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)  # scope, leaf, policy
    in_progress: LeafInProgress | None = None
