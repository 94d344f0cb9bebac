"""Messages of a filing: header, sealed bundles, acceptance, complaint, withdrawal.

Owns their shapes. Refuses to know what is proved about them
(protocol/statement.py) and who checks it (protocol/accept.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from notalone_crypto.messages.wire import (
    U8,
    U16,
    U32,
    Element,
    ElementRows,
    Fixed,
    Hash,
    HpkeKey,
    ListOf,
    Message,
    Proof,
    Signature,
    Variable,
    VerifyKey,
    name_of,
)
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.suite import MAX_TRUSTEES, Tag

FIRST_INTRODUCTION_LENGTH = 256  # padded plaintext under the first content key
SECOND_INTRODUCTION_LENGTH = 2048  # padded plaintext under the second
SEAL_OVERHEAD = 48


@dataclass(frozen=True, slots=True)
class Header(Message):
    """Everything public about a filing; its hash names the entry."""

    TYPE: ClassVar[int] = 30
    committee: Hash
    generation: U32
    scope: Hash
    policy: Hash
    release_mode: U8
    preconsent: U8  # 1 when the second content key may follow the first to peers
    desk_key: HpkeKey
    snapshot: Hash
    period: U32
    quota_index: U16
    quota_tag: Element  # spec: t
    expiry_week: U32  # weeks since 1970
    owner_key: VerifyKey
    recipient_key: HpkeKey
    member: Element  # spec: P
    enc: Element
    identifier_commitments: ElementRows  # spec: M, a row of m for each (slot, level)
    inverse_commitments: ElementRows  # spec: V, likewise
    content_commitments: ElementRows  # two rows of m: the content keys
    first_introduction_hash: Hash
    second_introduction_hash: Hash

    @property
    def entry(self) -> bytes:
        """32-byte name of the entry: the hash of the whole header."""
        return name_of(Tag.HEADER, self)


@dataclass(frozen=True, slots=True)
class Filing(Message):
    """One report as it leaves the reporter's device."""

    TYPE: ClassVar[int] = 31
    header: Annotated[bytes, Variable(1 << 16)]
    proof: Proof
    bundles: Annotated[tuple[bytes, ...], ListOf(Variable(1 << 15), MAX_TRUSTEES)]
    first_introduction: Annotated[bytes, Fixed(FIRST_INTRODUCTION_LENGTH + SEAL_OVERHEAD)]
    second_introduction: Annotated[bytes, Fixed(SECOND_INTRODUCTION_LENGTH + SEAL_OVERHEAD)]
    signature: Signature

    @property
    def trace(self) -> FilingTrace:
        """What its owner signs; the header names the introductions."""
        hashes = tuple(digest(Tag.BUNDLE, bundle) for bundle in self.bundles)
        return FilingTrace(self.header, self.proof, hashes, self.signature)

    @property
    def fingerprint(self) -> bytes:
        """What the board promises to include: header, proof and every bundle."""
        return self.trace.fingerprint


@dataclass(frozen=True, slots=True)
class FilingTrace(Message):
    """A filing with hashes for its bundles: what is signed, and what remains once they are erased."""

    TYPE: ClassVar[int] = 37
    header: Annotated[bytes, Variable(1 << 16)]
    proof: Proof
    bundle_hashes: Annotated[tuple[bytes, ...], ListOf(Fixed(32), MAX_TRUSTEES)]
    signature: Signature

    @property
    def fingerprint(self) -> bytes:
        """32-byte name of the filing: its bundles may be erased, its name stays."""
        return digest(Tag.FILING, self.header, self.proof, *self.bundle_hashes)


@dataclass(frozen=True, slots=True)
class BundleContent(Message):
    """One trustee's shares of a filing, before sealing. All scalars are 32 bytes."""

    TYPE: ClassVar[int] = 32
    identifier_shares: Annotated[tuple[bytes, ...], ListOf(Fixed(64), 64)] = field(repr=False)
    inverse_shares: Annotated[tuple[bytes, ...], ListOf(Fixed(64), 64)] = field(repr=False)
    content_shares: Annotated[tuple[bytes, ...], ListOf(Fixed(64), 2)] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acceptance(Message):
    """A trustee's word that its bundle is good, with commitments to every subset value it will use."""

    TYPE: ClassVar[int] = 33
    entry: Hash
    filing: Hash
    trustee: U8
    generation: U32
    subset_commitments: ElementRows  # a row per held subset: for each (slot, level) m elements
    signature: Signature


@dataclass(frozen=True, slots=True)
class BundleComplaint(Message):
    """A trustee opens its own bundle to everyone, with proof, because its shares are bad."""

    TYPE: ClassVar[int] = 34
    entry: Hash
    filing: Hash
    trustee: U8
    shared: Element
    proof: Proof
    signature: Signature


@dataclass(frozen=True, slots=True)
class Withdrawal(Message):
    """The owner takes an entry back, at the next batch."""

    TYPE: ClassVar[int] = 35
    entry: Hash
    signature: Signature


@dataclass(frozen=True, slots=True)
class Receipt(Message):
    """The board's signed promise to include a filing."""

    TYPE: ClassVar[int] = 36
    filing: Hash
    entry: Hash
    batch: U32
    signature: Signature
