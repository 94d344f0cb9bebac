"""Messages of the key ceremony, the committee manifest and the scope policy.

Owns their shapes. Refuses to know how keys are dealt or checked
(protocol/ceremony.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, ClassVar

from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.messages.wire import (
    U8,
    U16,
    U32,
    Element,
    ElementRows,
    Fixed,
    Hash,
    Hashes,
    HpkeKey,
    ListOf,
    Message,
    Nested,
    Proof,
    Signature,
    Text,
    Unsigned,
    Variable,
    VerifyKey,
    name_of,
)
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.suite import LEVELS, MAX_SLOTS, MAX_TRUSTEES, MIN_QUOTA, MIN_TRUSTEES, Tag

Level = Annotated[int, Unsigned(1)]
Levels = Annotated[tuple[int, ...], ListOf(Unsigned(1), 3)]
Name = Annotated[str, Text(200)]


class ReleaseMode(IntEnum):
    """To whom a match opens."""

    COUNSELLOR = 1  # the introduction goes to the desk alone
    PEERS = 2  # the first content key may go straight to the other reporter


@dataclass(frozen=True, slots=True)
class CommitteeParameters(Message):
    """What operators agree on before any key exists."""

    TYPE: ClassVar[int] = 1
    instance: Name
    trustees: Annotated[tuple[str, ...], ListOf(Text(200), MAX_TRUSTEES)]
    threshold: U8  # spec: m
    levels: Levels
    nonce: Hash

    def check(self) -> None:
        """N >= 2m - 1, m >= 2, distinct names, levels a prefix of 2, 3, 4 of at least two."""
        count = len(self.trustees)
        if not MIN_TRUSTEES <= count <= MAX_TRUSTEES or len(set(self.trustees)) != count:
            raise MalformedInput(Code.PARAMETERS, "a committee has 3 to 9 trustees with different names")
        if self.threshold < 2 or count < 2 * self.threshold - 1:
            raise MalformedInput(Code.PARAMETERS, "the threshold m must satisfy 2 <= m and 2m - 1 <= n")
        if self.levels != LEVELS[: len(self.levels)] or len(self.levels) < 2:
            raise MalformedInput(Code.PARAMETERS, "levels must be 2, 3 or 2, 3, 4")

    @property
    def count(self) -> int:
        """Number of trustees, n."""
        return len(self.trustees)

    @property
    def committee(self) -> bytes:
        """32-byte committee identifier, part of every derivation."""
        return name_of(Tag.COMMITTEE, self)

    @property
    def quorum(self) -> int:
        """Cosignatures needed so that no two views both have them: floor((n + m - 1) / 2) + 1."""
        return (self.count + self.threshold - 1) // 2 + 1


@dataclass(frozen=True, slots=True)
class TrusteeKeys(Message):
    """One trustee's public keys, with proof that it knows its bundle key."""

    TYPE: ClassVar[int] = 2
    committee: Hash
    generation: U32
    index: U8
    verify_key: VerifyKey
    channel_key: HpkeKey
    bundle_key: Element  # spec: EK_i
    proof: Proof
    signature: Signature


@dataclass(frozen=True, slots=True)
class Dealing(Message):
    """One dealer's contribution: public commitments and a sealed part for each trustee."""

    TYPE: ClassVar[int] = 3
    committee: Hash
    generation: U32
    dealer: U8
    commitments: ElementRows  # one row of m for each level
    contribution_hashes: Hashes  # one for each subset the dealer holds, in order
    enc: Element
    sealed: Annotated[tuple[bytes, ...], ListOf(Variable(1 << 16), MAX_TRUSTEES)]
    proof: Proof  # knowledge of enc: a copied one would open another's dealing by way of a complaint
    signature: Signature


@dataclass(frozen=True, slots=True)
class DealingComplaint(Message):
    """A trustee shows what a dealer sealed to it, so that everyone can judge."""

    TYPE: ClassVar[int] = 4
    committee: Hash
    generation: U32
    accuser: U8
    dealer: U8
    shared: Element
    proof: Proof
    signature: Signature


@dataclass(frozen=True, slots=True)
class SubsetHashes(Message):
    """The hashes of the subset keys one trustee holds, in order; also its consent to the dealings."""

    TYPE: ClassVar[int] = 5
    committee: Hash
    generation: U32
    index: U8
    dealings: Hash
    hashes: Hashes
    signature: Signature


@dataclass(frozen=True, slots=True)
class Manifest(Message):
    """Everything clients must pin: parameters, keys, commitments, generation."""

    TYPE: ClassVar[int] = 6
    parameters: Annotated[CommitteeParameters, Nested(CommitteeParameters)]
    generation: U32
    trustees: Annotated[tuple[TrusteeKeys, ...], ListOf(Nested(TrusteeKeys), MAX_TRUSTEES)]
    level_commitments: ElementRows  # row per level: commitments to k_T
    subset_key_hashes: Hashes
    board_key: VerifyKey
    auditors: Annotated[tuple[bytes, ...], ListOf(Fixed(32), 32)]
    previous: Hash

    def check(self) -> None:
        """Counts fit the parameters; trustees are in order of their index."""
        parameters = self.parameters
        if tuple(keys.index for keys in self.trustees) != tuple(range(1, parameters.count + 1)):
            raise MalformedInput(Code.MANIFEST, "the manifest must list each trustee once, in order")
        if len(self.level_commitments) != len(parameters.levels) or any(
            len(row) != parameters.threshold for row in self.level_commitments
        ):
            raise MalformedInput(Code.COMMITMENT_LENGTH, "level commitments do not fit the parameters")

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that clients pin and operators compare aloud."""
        return digest(Tag.MANIFEST, self.encode())

    @property
    def committee(self) -> bytes:
        """32-byte committee identifier."""
        return self.parameters.committee


@dataclass(frozen=True, slots=True)
class SignedManifest(Message):
    """A manifest with every trustee's signature, in order of index."""

    TYPE: ClassVar[int] = 7
    manifest: Annotated[Manifest, Nested(Manifest)]
    signatures: Annotated[tuple[bytes, ...], ListOf(Fixed(64), MAX_TRUSTEES)]


@dataclass(frozen=True, slots=True)
class Organisation(Message):
    """One organisation of a scope: a name and its issuer's key."""

    TYPE: ClassVar[int] = 8
    name: Name
    issuer_key: VerifyKey


@dataclass(frozen=True, slots=True)
class Desk(Message):
    """A counsellor desk: its name and HPKE root key."""

    TYPE: ClassVar[int] = 9
    name: Name
    key: HpkeKey


@dataclass(frozen=True, slots=True)
class ScopePolicy(Message):
    """The rules of one scope; its hash is on the log and inside every header."""

    TYPE: ClassVar[int] = 10
    instance: Name
    scope_name: Name
    organisations: Annotated[tuple[Organisation, ...], ListOf(Nested(Organisation), 64)]
    slots: Annotated[tuple[int, ...], ListOf(Unsigned(1), MAX_SLOTS)]  # slot kinds, in order
    levels: Levels
    release_modes: Annotated[tuple[int, ...], ListOf(Unsigned(1), 2)]
    desks: Annotated[tuple[Desk, ...], ListOf(Nested(Desk), 16)]
    default_region: Annotated[str, Text(2)]
    quota: U16
    period_days: U16
    maximum_weeks: U16
    release_blobs: U16  # per trustee and batch
    batch_seconds: U32  # at least this long between two batches
    version: U32  # rules are replaced by a higher version only

    def check(self) -> None:
        """At least one organisation, slot, mode and desk; levels a prefix of 2, 3, 4."""
        if not (self.organisations and self.slots and self.release_modes and self.desks):
            raise MalformedInput(Code.POLICY, "a policy needs an organisation, a slot, a mode and a desk")
        if self.levels != LEVELS[: len(self.levels)] or len(self.levels) < 2:
            raise MalformedInput(Code.POLICY, "a policy's levels are 2, 3 or 2, 3, 4")
        if len(set(self.slots)) != len(self.slots):
            raise MalformedInput(Code.POLICY, "a slot appears twice")
        if any(mode not in tuple(ReleaseMode) for mode in self.release_modes):
            raise MalformedInput(Code.POLICY, "unknown release mode")
        if self.quota < MIN_QUOTA or not (self.period_days and self.maximum_weeks and self.release_blobs):
            raise MalformedInput(Code.POLICY, "quota, period, retention or blob count is too small")

    @property
    def scope(self) -> bytes:
        """32-byte scope identifier: stable while other rules change."""
        return digest(Tag.POLICY, b"scope", self.instance.encode(), self.scope_name.encode())

    @property
    def fingerprint(self) -> bytes:
        """32-byte hash of all the rules."""
        return name_of(Tag.POLICY, self, b"rules")
