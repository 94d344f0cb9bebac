"""Messages of the roll of members.

Owns their shapes. Refuses to know who a member is: an entry is a commitment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from notalone_crypto.messages.wire import (
    U16,
    U32,
    U64,
    Element,
    Elements,
    Hash,
    Message,
    Proof,
    Signature,
    VerifyKey,
    name_of,
)
from notalone_crypto.suite import Tag


@dataclass(frozen=True, slots=True)
class Enrolment(Message):
    """A new place: `E = p*G + r*H` and proof that its maker knows p and r."""

    TYPE: ClassVar[int] = 20
    place: Element  # spec: E_j
    proof: Proof


@dataclass(frozen=True, slots=True)
class RollEntry(Message):
    """A place the issuer signed."""

    TYPE: ClassVar[int] = 21
    issuer_key: VerifyKey
    number: U32
    place: Element
    eligible_from: U64  # seconds since 1970; later than now after a reset
    signature: Signature


@dataclass(frozen=True, slots=True)
class RollSnapshot(Message):
    """One cohort of the roll as it stands: the ring a filing hides in."""

    TYPE: ClassVar[int] = 22
    scope: Hash
    issuer_key: VerifyKey
    number: U32
    issued_at: U64
    cohort: U16
    declared: U32  # members the organisation says it has
    enrolled: U32  # places on the roll: the difference bounds ghosts
    places: Elements
    signature: Signature

    @property
    def fingerprint(self) -> bytes:
        """32-byte hash that a header names."""
        return name_of(Tag.ROLL_SNAPSHOT, self)
