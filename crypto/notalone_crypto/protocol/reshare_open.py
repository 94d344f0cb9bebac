"""A re-share from its receiving side: open, complain, judge, add up.

Owns a new trustee's part (specs/20-protocol.md#re-share). Refuses to know how
dealings are made and publicly checked (protocol/reshare.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from notalone_crypto.codec import Reader
from notalone_crypto.errors import CeremonyFailed, Code, NotAloneError
from notalone_crypto.messages.reshare import ReshareComplaint, ReshareDealing
from notalone_crypto.primitives import aead, kem, pedersen
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import derive, digest
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_crypto.protocol.entries import EntryRows
from notalone_crypto.protocol.reshare import LEVEL_KEYS, Resharing, check_dealing, dealing_context
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import Tag


@dataclass(frozen=True, slots=True)
class EntryParts:
    """One new trustee's shares of one entry with their commitments, in order of kind."""

    rows: EntryRows
    shares: tuple[tuple[Share, ...], ...] = field(repr=False)  # identifiers, inverses, contents, masks


@dataclass(frozen=True, slots=True)
class Reshared:
    """What one new trustee has after a complete re-share; `transcript` hashes all dealings (32 bytes)."""

    transcript: bytes
    level_rows: tuple[tuple[bytes, ...], ...] | None  # None after a re-key: the ceremony has them
    level_shares: Mapping[int, Share] | None = field(repr=False)
    entries: Mapping[bytes, EntryParts]


def open_dealing(
    resharing: Resharing, keys: CeremonyKeys, index: int, dealing: ReshareDealing
) -> tuple[Share, ...]:
    """New trustee `index`'s part of a checked dealing.

    Raises: CeremonyFailed naming the dealer; then `complain`.
    """
    context = dealing_context(resharing.plan, dealing.dealer, dealing.entry)
    key = kem.decapsulate(keys.bundle_key, dealing.enc, index, context)
    return _open_part(resharing, dealing, index, key)


def complain(
    resharing: Resharing, keys: CeremonyKeys, index: int, dealing: ReshareDealing, randomness: Randomness
) -> ReshareComplaint:
    """Publish what a dealer sealed to this trustee, with proof; only after `check_dealing` passed.

    After a complaint the attempt is over: a new plan with fresh keys follows,
    without the one who was named.
    """
    check_dealing(resharing, dealing)  # its enc above all: see messages/reshare.py
    complaint = kem.complain(keys.bundle_key, dealing.enc, _complaint_session(index, dealing), randomness)
    message = ReshareComplaint(
        resharing.plan.fingerprint,
        index,
        dealing.dealer,
        dealing.entry,
        complaint.shared_point,
        complaint.proof,
        UNSIGNED,
    )
    return sign_message(message, keys.signing_key, Tag.COMPLAINT)


def judge(resharing: Resharing, dealing: ReshareDealing, complaint: ReshareComplaint) -> CeremonyFailed:
    """The verdict, the same for everybody: it names dealer or accuser."""
    accuser = complaint.accuser
    about = (complaint.plan, complaint.dealer, complaint.entry)
    if not 1 <= accuser <= resharing.committee.count or about != (
        dealing.plan,
        dealing.dealer,
        dealing.entry,
    ):
        return CeremonyFailed(Code.COMPLAINT, "a complaint about nothing")
    keys = resharing.keys[accuser - 1]
    try:
        check_signature(complaint, keys.verify_key, Tag.COMPLAINT)
    except NotAloneError:
        return CeremonyFailed(Code.COMPLAINT, "a complaint that nobody signed")
    liar = CeremonyFailed(Code.COMPLAINT, "a complaint that does not hold", culprits=(accuser,))
    try:
        check_dealing(resharing, dealing)
    except CeremonyFailed as verdict:
        return verdict
    try:
        opened = kem.Complaint(complaint.shared, complaint.proof)
        shared = kem.check_complaint(
            keys.bundle_key, dealing.enc, _complaint_session(accuser, dealing), opened
        )
    except NotAloneError:
        return liar
    context = dealing_context(resharing.plan, dealing.dealer, dealing.entry)
    try:
        _open_part(
            resharing,
            dealing,
            accuser,
            kem.derive_key(shared, dealing.enc, keys.bundle_key, accuser, context),
        )
    except CeremonyFailed as verdict:
        return verdict
    return liar


def receive(
    resharing: Resharing, keys: CeremonyKeys, index: int, dealings: Sequence[ReshareDealing]
) -> Reshared:
    """Check and open every dealing and add them up to new trustee `index`'s shares.

    Raises: CeremonyFailed; with one culprit for a bad dealing, with all who are
    missing where dealings are.
    """
    by_subject: dict[bytes, dict[int, ReshareDealing]] = {subject: {} for subject in resharing.subjects}
    for dealing in dealings:
        check_dealing(resharing, dealing)
        if by_subject[dealing.entry].setdefault(dealing.dealer, dealing) != dealing:
            raise CeremonyFailed(Code.EQUIVOCATION, "a dealer dealt twice", culprits=(dealing.dealer,))
    dealers = resharing.plan.dealers
    missing = sorted({one for given in by_subject.values() for one in dealers if one not in given})
    if missing:
        raise CeremonyFailed(Code.DEALING, "dealings are missing", culprits=tuple(missing))
    weights = pedersen.lagrange_at_zero(dealers)
    rows: dict[bytes, tuple[tuple[bytes, ...], ...]] = {}
    shares: dict[bytes, tuple[Share, ...]] = {}
    for subject, given in by_subject.items():
        opened = [open_dealing(resharing, keys, index, given[dealer]) for dealer in dealers]
        shares[subject] = tuple(_weighted(weights, column) for column in zip(*opened, strict=True))
        tables = zip(*(given[dealer].commitments for dealer in dealers), strict=True)
        rows[subject] = tuple(
            tuple(RISTRETTO255.small_combination(weights, column) for column in zip(*table, strict=True))
            for table in tables
        )
    ordered = [by_subject[subject][dealer].encode() for subject in by_subject for dealer in dealers]
    transcript = digest(Tag.RESHARE, b"transcript", resharing.plan.fingerprint, *ordered)
    entries = {name: _parts(resharing, name, rows[name], shares[name]) for name in resharing.entries}
    if resharing.plan.rekey:
        return Reshared(transcript, None, None, entries)
    levels = resharing.committee.manifest.parameters.levels
    level_shares = dict(zip(levels, shares[LEVEL_KEYS], strict=True))
    return Reshared(transcript, rows[LEVEL_KEYS], level_shares, entries)


def _parts(
    resharing: Resharing, name: bytes, rows: tuple[tuple[bytes, ...], ...], shares: tuple[Share, ...]
) -> EntryParts:
    width = len(resharing.entries[name].header.identifier_commitments)
    starts = (0, width, 2 * width, 2 * width + 2, len(rows))
    pairs = list(pairwise(starts))
    return EntryParts(
        EntryRows(*(rows[start:end] for start, end in pairs)),
        tuple(shares[start:end] for start, end in pairs),
    )


def _weighted(weights: Sequence[int], shares: Sequence[Share]) -> Share:
    value = sum(weight * share.value for weight, share in zip(weights, shares, strict=True))
    blind = sum(weight * share.blind for weight, share in zip(weights, shares, strict=True))
    return Share(shares[0].index, value % ORDER, blind % ORDER)


def _open_part(resharing: Resharing, dealing: ReshareDealing, index: int, key: bytes) -> tuple[Share, ...]:
    context = dealing_context(resharing.plan, dealing.dealer, dealing.entry)
    count = len(dealing.commitments)
    try:
        plaintext = aead.open_sealed(key, context, dealing.sealed[index - 1])
        reader = Reader(plaintext)
        shares = tuple(
            Share(
                index,
                RISTRETTO255.decode_scalar(reader.fixed(32)),
                RISTRETTO255.decode_scalar(reader.fixed(32)),
            )
            for _ in range(count)
        )
        reader.finish()
        # The weights hash the opened part itself, so its dealer could not foresee them.
        seed = derive(key, Tag.BATCH_WEIGHT, context, dealing.encode(), plaintext, length=16 * count)
        weights = [int.from_bytes(seed[start : start + 16], "little") for start in range(0, len(seed), 16)]
        pairs = list(zip(dealing.commitments, shares, strict=True))
        pedersen.verify_shares(pairs, resharing.committee.threshold, weights)
    except NotAloneError as error:
        raise CeremonyFailed(
            Code.DEALING, "a dealing's sealed part is bad", culprits=(dealing.dealer,)
        ) from error
    return shares


def _complaint_session(accuser: int, dealing: ReshareDealing) -> bytes:
    return digest(Tag.COMPLAINT, b"reshare", bytes([accuser]), dealing.encode())
