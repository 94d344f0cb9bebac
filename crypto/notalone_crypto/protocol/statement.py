"""The one composed statement of a filing, built from public data alone.

Owns what a reporter proves (specs/20-protocol.md#filing-statement): that P
opens to her secret, that some place of the roll is re-randomised by it, that
the quota tag is hers, that she knows enc, and for each (slot, level) that V
commits to the inverse of member secret plus identifier. Refuses to know any
witness; prover and verifier both call `build`, so that no statement is ever
taken from the prover.
"""

from __future__ import annotations

from collections.abc import Sequence

from notalone_crypto.errors import Code, ContextMismatch, VerificationFailed
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.filing import Header
from notalone_crypto.primitives import sigma
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import digest, hash_to_scalar
from notalone_crypto.primitives.linear import LinearRelation
from notalone_crypto.primitives.membership import Membership, Roll
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR
from notalone_crypto.protocol.keys import Committee, quota_base
from notalone_crypto.suite import Tag

Position = tuple[int, int]
"""(slot kind, level)."""

FIRST_SUM = 3
"""Index of the first row's sum among the statement's scalars; its blinding follows, then the next row's."""


def positions(policy: ScopePolicy) -> tuple[Position, ...]:
    """Every (slot, level) of a scope, slot-major: the order of all rows and shares."""
    return tuple((slot, level) for slot in policy.slots for level in policy.levels)


def check_shape(header: Header, committee: Committee, policy: ScopePolicy) -> None:
    """Row counts and degrees. Raises VerificationFailed (share.commitment_length)."""
    count, threshold = len(positions(policy)), committee.threshold
    tables = (
        (header.identifier_commitments, count),
        (header.inverse_commitments, count),
        (header.content_commitments, 2),
    )
    for rows, expected in tables:
        if len(rows) != expected or any(len(row) != threshold for row in rows):
            raise VerificationFailed(
                Code.COMMITMENT_LENGTH, "a header has commitment rows of another number or degree"
            )


def session(committee: Committee, header: Header) -> bytes:
    """The proof's session: purpose, committee and the whole header."""
    return sigma.session_tag(Tag.FILING_PROOF, committee.instance, committee.fingerprint, header.entry)


def build(committee: Committee, header: Header, roll: Roll) -> tuple[LinearRelation, Membership]:
    """The statement about `header`, whose shape was checked."""
    generator, blinding = RISTRETTO255.generator, BLINDING_GENERATOR
    relation = LinearRelation(RISTRETTO255)
    member, blind, ephemeral = relation.scalars(3)
    relation.equation(header.member, (member, generator), (blind, blinding))
    base = quota_base(committee, header.scope, header.period, header.quota_index)
    relation.equation(base, (member, header.quota_tag))
    relation.equation(header.enc, (ephemeral, generator))
    # One weighted sum instead of an equation for each inverse: the weights
    # depend on the whole header, so errors cannot be made to cancel.
    weights = inverse_weights(header)
    sums, inverses = [], []
    rows = zip(header.identifier_commitments, header.inverse_commitments, weights, strict=True)
    for identifier_row, inverse_row, weight in rows:
        total, opening = relation.scalars(2)  # spec: u, w
        relation.equation(
            [(1, header.member), (1, identifier_row[0])], (total, generator), (opening, blinding)
        )
        sums.append(total)
        inverses.append((total, inverse_row[0], weight))
    (remainder,) = relation.scalars(1)
    relation.equation([(sum(weights), generator)], *inverses, (remainder, blinding))
    return relation, Membership(roll, header.member)


def inverse_weights(header: Header) -> Sequence[int]:
    """One scalar for each row, from the whole header."""
    entry = header.entry
    return [
        hash_to_scalar(Tag.BATCH_WEIGHT, b"inverse", entry, index.to_bytes(2, "big"))
        for index in range(len(header.inverse_commitments))
    ]


def check_roll(header: Header, fingerprint: bytes) -> None:
    """Raise ContextMismatch unless the header names this snapshot."""
    if header.snapshot != fingerprint:
        raise ContextMismatch(Code.SNAPSHOT, "the filing names another snapshot of the roll")


def content_context(committee: Committee, scope: bytes, quota_tag: bytes, which: int) -> bytes:
    """32-byte context under which introduction `which` (1 or 2) is sealed."""
    return digest(
        Tag.INTRODUCTION, committee.instance, committee.identifier, scope, quota_tag, bytes([which])
    )
