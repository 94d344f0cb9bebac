"""Messages of a re-share: plan, approvals, dealings, complaints, succession.

Owns their shapes. Refuses to know how shares are dealt again
(protocol/reshare.py) and how a state moves on (protocol/succeed.py). All but
`Succession` are for trustees and named auditors: a plan lists live entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.messages.committee import SignedManifest
from notalone_crypto.messages.wire import (
    U8,
    U32,
    U64,
    Element,
    ElementRows,
    Hash,
    Hashes,
    ListOf,
    Message,
    Nested,
    Proof,
    Signature,
    Text,
    Unsigned,
    Variable,
)
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.suite import MAX_TRUSTEES, Tag


@dataclass(frozen=True, slots=True)
class ResharePlan(Message):
    """What is re-shared, by whom, to which keys; nothing is dealt before it is approved and due."""

    TYPE: ClassVar[int] = 60
    committee: Hash
    previous: Hash  # fingerprint of the manifest it succeeds
    generation: U32  # the new one
    rekey: U8  # 1 when every k_T is drawn anew
    not_before: U64  # seconds since 1970: the end of the public delay
    keys: Hash  # of all new TrusteeKeys, in order
    names: Annotated[tuple[str, ...], ListOf(Text(200), MAX_TRUSTEES)]  # who holds each seat from now on
    dealers: Annotated[tuple[int, ...], ListOf(Unsigned(1), MAX_TRUSTEES)]  # spec: Q
    state: Hash  # of what old trustees agree about: live entries, groups, queues
    live: Hashes  # entries with a mask, all scopes in order
    pending: Hashes  # entries that everybody accepted and no batch took

    def check(self) -> None:
        """A flag is 0 or 1; dealers are in order, each once."""
        if self.rekey > 1 or list(self.dealers) != sorted(set(self.dealers)):
            raise MalformedInput(Code.RANGE, "a re-share plan has a bad flag or dealers out of order")

    @property
    def fingerprint(self) -> bytes:
        """32-byte hash that every later message of the re-share names."""
        return digest(Tag.RESHARE, b"plan", self.encode())


@dataclass(frozen=True, slots=True)
class ReshareApproval(Message):
    """An old trustee agrees to this plan, hence to the keys it deals to."""

    TYPE: ClassVar[int] = 61
    plan: Hash
    trustee: U8
    signature: Signature


@dataclass(frozen=True, slots=True)
class ReshareDealing(Message):
    """One old trustee's shares of one entry (or, under zeros, of every k_T), shared again."""

    TYPE: ClassVar[int] = 62
    plan: Hash
    dealer: U8
    entry: Hash
    commitments: ElementRows  # a row of m for each share, whose first element is known beforehand
    enc: Element
    sealed: Annotated[tuple[bytes, ...], ListOf(Variable(1 << 16), MAX_TRUSTEES)]
    proof: Proof  # knowledge of enc; without it a complaint about a copied enc opens another's dealing
    signature: Signature


@dataclass(frozen=True, slots=True)
class ReshareComplaint(Message):
    """A new trustee shows what a dealer sealed to it, so that everyone can judge."""

    TYPE: ClassVar[int] = 63
    plan: Hash
    accuser: U8
    dealer: U8
    entry: Hash
    shared: Element
    proof: Proof
    signature: Signature


@dataclass(frozen=True, slots=True)
class SuccessionVote(Message):
    """An old trustee's word that this manifest succeeds its own."""

    TYPE: ClassVar[int] = 64
    previous: Hash
    manifest: Hash
    rekey: U8
    not_before: U64
    names: Annotated[tuple[str, ...], ListOf(Text(200), MAX_TRUSTEES)]
    trustee: U8
    signature: Signature


@dataclass(frozen=True, slots=True)
class Succession(Message):
    """All that a client which pinned the old manifest needs to follow to the new one."""

    TYPE: ClassVar[int] = 65
    manifest: Annotated[SignedManifest, Nested(SignedManifest)]
    votes: Annotated[tuple[SuccessionVote, ...], ListOf(Nested(SuccessionVote), MAX_TRUSTEES)]
