"""The board's feed: one ordered list per scope, read by trustees and auditors.

Owns the kinds of items and the envelope for confidential ones. Refuses to
know what the items mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Annotated, ClassVar

from notalone_crypto.messages.wire import U8, U64, Fixed, Hash, ListOf, Message, Variable


@unique
class FeedKind(IntEnum):
    """What an item carries. Confidential kinds carry an Envelope."""

    SNAPSHOT = 1
    FILING = 2
    ACCEPTANCE = 3
    COMPLAINT = 4
    WITHDRAWAL = 5
    PLAN = 6
    PLAN_VOTE = 7
    ROUND_ONE = 8
    ROUND_TWO = 9
    RECORD_VOTE = 10
    RELEASES = 11
    BATCH_LEAF = 12  # a nudge: fetch the log update for the leaf at this index
    BATCH_NOTE = 13
    POLICY = 14
    POLICY_LEAF = 15
    POLICY_NOTE = 16
    ERASED_FILING = 17  # a FilingTrace in a filing's place, once every trustee has its bundle


CONFIDENTIAL_KINDS = frozenset({FeedKind.PLAN_VOTE, FeedKind.ROUND_ONE, FeedKind.ROUND_TWO})


@dataclass(frozen=True, slots=True)
class FeedItem(Message):
    """One item at its place in a scope's feed."""

    TYPE: ClassVar[int] = 70
    scope: Hash
    sequence: U64
    kind: U8
    payload: Annotated[bytes, Variable(1 << 24)]


@dataclass(frozen=True, slots=True)
class Envelope(Message):
    """A payload for several readers: its key sealed to each, in the manifest's order."""

    TYPE: ClassVar[int] = 71
    keys: Annotated[tuple[bytes, ...], ListOf(Fixed(80), 64)]
    body: Annotated[bytes, Variable(1 << 24)]


@dataclass(frozen=True, slots=True)
class Nudge(Message):
    """The index of a leaf the trustees should now verify and cosign."""

    TYPE: ClassVar[int] = 72
    index: U64
