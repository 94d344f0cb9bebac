"""Messages of a batch: plan, votes, two rounds, record.

Owns their shapes. Refuses to know what the values mean (protocol/rounds.py)
and when they are sent (protocol/evaluate.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from notalone_crypto.messages.wire import (
    U8,
    U32,
    U64,
    Elements,
    Fixed,
    Hash,
    Hashes,
    ListOf,
    Message,
    Proof,
    Signature,
    Unsigned,
    Variable,
    name_of,
)
from notalone_crypto.suite import MAX_TRUSTEES, Tag


@dataclass(frozen=True, slots=True)
class BatchPlan(Message):
    """What one batch of one scope does, in this order: expire, withdraw, re-output, evaluate."""

    TYPE: ClassVar[int] = 40
    committee: Hash
    generation: U32
    scope: Hash
    number: U32
    previous: Hash  # the leaf of the batch before; zeros for the first
    opened_at: U64
    epoch: U32  # the epoch its outputs belong to
    evaluators: Annotated[tuple[int, ...], ListOf(Unsigned(1), MAX_TRUSTEES)]
    withdrawn: Hashes
    expired: Hashes
    entries: Hashes

    @property
    def fingerprint(self) -> bytes:
        """32-byte hash that every later message of the batch names."""
        return name_of(Tag.BATCH_PLAN, self)


@dataclass(frozen=True, slots=True)
class PlanVote(Message):
    """A trustee agrees to exactly this plan and adds its part of the record's salt."""

    TYPE: ClassVar[int] = 41
    plan: Hash
    trustee: U8
    salt: Hash = field(repr=False)
    signature: Signature


@dataclass(frozen=True, slots=True)
class RoundOne(Message):
    """`v_i * Dup` for every item and openings of the masked products for new ones, with one proof."""

    TYPE: ClassVar[int] = 42
    plan: Hash
    trustee: U8
    duplicates: Elements  # spec: D_i, item-major, then slot, then level
    openings: Annotated[tuple[bytes, ...], ListOf(Fixed(32))]  # spec: pi_i, new items only
    proof: Proof
    signature: Signature


@dataclass(frozen=True, slots=True)
class RoundTwo(Message):
    """`rho_i * B(x)` for every item, with one proof."""

    TYPE: ClassVar[int] = 43
    plan: Hash
    trustee: U8
    points: Elements
    proof: Proof
    signature: Signature


@dataclass(frozen=True, slots=True)
class BatchRecord(Message):
    """What a batch's leaf commits to; kept by trustees and auditors."""

    TYPE: ClassVar[int] = 44
    plan: Hash
    messages: Hash  # votes and both rounds of every evaluator
    outputs: Hash
    parts_root: Hash  # Merkle root over one salted part for each entry


@dataclass(frozen=True, slots=True)
class RecordVote(Message):
    """A trustee signs the leaf of a closed batch."""

    TYPE: ClassVar[int] = 45
    plan: Hash
    trustee: U8
    leaf: Hash
    signature: Signature


@dataclass(frozen=True, slots=True)
class Inclusion(Message):
    """What a reporter gets to see that her report was counted: a path to her own part only."""

    TYPE: ClassVar[int] = 46
    entry: Hash
    part_salt: Hash = field(repr=False)
    position: U32
    count: U32
    path: Hashes
    plan: Hash
    messages: Hash
    outputs: Hash
    leaf_salt: Hash = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogUpdate(Message):
    """The board's next checkpoint, with proofs for one trustee's last view and this batch's leaf."""

    TYPE: ClassVar[int] = 47
    note: Annotated[bytes, Variable(1 << 14)]
    index: U64
    inclusion: Hashes
    consistency: Hashes


@dataclass(frozen=True, slots=True)
class CosignatureMessage(Message):
    """A trustee's cosignature line (C2SP) over a checkpoint."""

    TYPE: ClassVar[int] = 48
    trustee: U8
    line: Annotated[bytes, Variable(1024)]
