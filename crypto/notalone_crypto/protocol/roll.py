"""The roll: places of members, their proofs, snapshots and cohorts.

Owns enrolment and the rings that filings hide in (specs/20-protocol.md#roll).
Refuses to know who a member is and how she showed it. The issuer takes no
part in filing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, ContextMismatch, RollRefused
from notalone_crypto.messages.roll import Enrolment, RollEntry, RollSnapshot
from notalone_crypto.primitives import sigma, signing
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import derive, derive_scalar, digest
from notalone_crypto.primitives.linear import LinearRelation
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR, commit
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.protocol.withdraw import week_of
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import (
    COHORT_SIZE,
    MAX_WHOLE_ROLL,
    MIN_ROLL,
    PHRASE_LENGTH,
    SNAPSHOT_GRACE_SECONDS,
    Tag,
)


@dataclass(frozen=True, slots=True)
class Member:
    """What a member holds: her secret, the blinding of her place, and a key for all else."""

    secret: int = field(repr=False)  # spec: p
    blind: int = field(repr=False)  # spec: r_j
    phrase_key: bytes = field(repr=False)  # 32 bytes

    @property
    def place(self) -> bytes:
        """`p*G + r*H`, 32 bytes: the only thing the roll shows of her."""
        return commit(self.secret, self.blind)


def member_from_phrase(entropy: bytes, instance: str, issuer_key: bytes) -> Member:
    """The member behind 12 words (`entropy`: 16 bytes).

    The secret depends on the instance alone, so that one person with one
    phrase in two organisations counts once; the blinding on the issuer too.
    """
    if len(entropy) != PHRASE_LENGTH:
        raise RollRefused(Code.LENGTH, f"a phrase carries {PHRASE_LENGTH} bytes")
    name = instance.encode()
    phrase_key = derive(entropy, Tag.PHRASE_KEY, name)
    return Member(
        derive_scalar(phrase_key, Tag.MEMBER_SECRET, name),
        derive_scalar(phrase_key, Tag.MEMBER_BLIND, name, issuer_key),
        phrase_key,
    )


def enrol(member: Member, instance: str, issuer_key: bytes, randomness: Randomness) -> Enrolment:
    """Ask for a place: the commitment and proof of knowledge bound to instance and issuer."""
    place = member.place
    proof = sigma.prove(
        _session(instance, issuer_key), [_relation(place)], [[member.secret, member.blind]], randomness
    )
    return Enrolment(place, proof)


def accept_enrolment(
    request: Enrolment,
    instance: str,
    issuer: signing.SigningKey,
    roll: Sequence[RollEntry],
    *,
    eligible_from: int,
) -> RollEntry:
    """The issuer's signed entry.

    Raises: VerificationFailed (proof.invalid), RollRefused (roll.duplicate).
    """
    if any(entry.place == request.place for entry in roll):
        raise RollRefused(Code.ROLL_DUPLICATE, "this place is already on the roll")
    sigma.verify(_session(instance, issuer.verify_key), [_relation(request.place)], request.proof)
    entry = RollEntry(issuer.verify_key, len(roll), request.place, eligible_from, UNSIGNED)
    return sign_message(entry, issuer, Tag.ROLL_ENTRY)


def cohorts(roll: Sequence[RollEntry]) -> tuple[tuple[RollEntry, ...], ...]:
    """The whole roll up to 512 places; beyond, closed cohorts of 256, never cut again, then the open one."""
    if len(roll) <= MAX_WHOLE_ROLL:
        return (tuple(roll),)
    return tuple(tuple(roll[start : start + COHORT_SIZE]) for start in range(0, len(roll), COHORT_SIZE))


def take_snapshots(
    roll: Sequence[RollEntry],
    closed: frozenset[int],
    issuer: signing.SigningKey,
    *,
    scope: bytes,
    number: int,
    now: int,
    declared: int,
) -> tuple[RollSnapshot, ...]:
    """One signed snapshot for each cohort: closed and not yet eligible places are left out."""
    snapshots = []
    for cohort, entries in enumerate(cohorts(roll)):
        places = _counting(entries, closed, now)
        snapshot = RollSnapshot(
            scope, issuer.verify_key, number, now, cohort, declared, len(roll) - len(closed), places, UNSIGNED
        )
        snapshots.append(sign_message(snapshot, issuer, Tag.ROLL_SNAPSHOT))
    return tuple(snapshots)


def next_snapshots(
    roll: Sequence[RollEntry],
    closed: frozenset[int],
    issuer: signing.SigningKey,
    known: Mapping[int, RollSnapshot],
    *,
    scope: bytes,
    now: int,
    declared: int,
) -> tuple[RollSnapshot, ...]:
    """The signed snapshots that replace some of the newest ones (`known`, by cohort).

    Always the open cohort's, which carries the numbers of today; a closed one's only if its
    places, the declared members or the week changed: retention is counted from the week of
    the snapshot a filing names. Each cohort counts its own snapshots, since the grace of an
    old one is for the number just before.
    """
    cut = cohorts(roll)
    fresh = []
    for cohort, entries in enumerate(cut):
        places = _counting(entries, closed, now)
        before = known.get(cohort)
        if before is not None and cohort < len(cut) - 1:
            stands = (before.places, before.declared, week_of(before.issued_at))
            if stands == (places, declared, week_of(now)):
                continue
        number = 1 if before is None else before.number + 1
        snapshot = RollSnapshot(
            scope, issuer.verify_key, number, now, cohort, declared, len(roll) - len(closed), places, UNSIGNED
        )
        fresh.append(sign_message(snapshot, issuer, Tag.ROLL_SNAPSHOT))
    return tuple(fresh)


def check_snapshot(
    snapshot: RollSnapshot, *, scope: bytes, issuer_keys: Sequence[bytes], minimum: int = MIN_ROLL
) -> None:
    """What client and trustee check of a snapshot by itself.

    Raises: ContextMismatch, VerificationFailed, RollRefused (roll.too_small, roll.duplicate,
        context.snapshot for more places than the issuer says there are members).
    """
    if snapshot.scope != scope or snapshot.issuer_key not in issuer_keys:
        raise ContextMismatch(Code.SNAPSHOT, "a roll of another scope or organisation")
    check_signature(snapshot, snapshot.issuer_key, Tag.ROLL_SNAPSHOT)
    if len(set(snapshot.places)) != len(snapshot.places):
        raise RollRefused(Code.ROLL_DUPLICATE, "a place appears twice in the roll")
    if not len(snapshot.places) <= snapshot.enrolled <= snapshot.declared:
        # Ghosts are bounded by declared minus enrolled only if these numbers cover every place.
        raise RollRefused(Code.SNAPSHOT, "the roll has more places than the numbers it was signed with")
    if len(snapshot.places) < minimum:
        raise RollRefused(Code.ROLL_TOO_SMALL, f"fewer than {minimum} members: too few to hide among")


def is_current(snapshot: RollSnapshot, newest: RollSnapshot, now: int) -> bool:
    """Whether `snapshot` may still be used: the newest of its cohort, or replaced under two minutes ago."""
    same_roll = (snapshot.issuer_key, snapshot.cohort) == (newest.issuer_key, newest.cohort)
    in_grace = snapshot.number == newest.number - 1 and now <= newest.issued_at + SNAPSHOT_GRACE_SECONDS
    return same_roll and (snapshot == newest or in_grace)


def _session(instance: str, issuer_key: bytes) -> bytes:
    return digest(Tag.ENROLMENT, instance.encode(), issuer_key)


def _relation(place: bytes) -> LinearRelation:
    relation = LinearRelation(RISTRETTO255)
    secret, blind = relation.scalars(2)
    relation.equation(place, (secret, RISTRETTO255.generator), (blind, BLINDING_GENERATOR))
    return relation


def _counting(entries: Sequence[RollEntry], closed: frozenset[int], now: int) -> tuple[bytes, ...]:
    return tuple(
        entry.place for entry in entries if entry.number not in closed and entry.eligible_from <= now
    )
