"""Sharing live secrets again: one path for refresh, replacement, rotation and re-keying.

Owns plan, approval and dealings (specs/20-protocol.md#re-share).
Refuses to know how dealings are opened (protocol/reshare_open.py), manifests
(protocol/succession.py) and states (protocol/succeed.py), and how subset keys
are drawn: that is a ceremony without levels, or with them when every k_T is
drawn anew (protocol/ceremony.py).

Each old trustee of a set Q shares each of its shares again, value and blinding
on fresh polynomials of degree m - 1, so that the first commitment is the one
that everybody can compute for its old share. A skewed refresh, which moves the
secret, is therefore seen by all and convicts its dealer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from notalone_crypto.codec import Writer
from notalone_crypto.errors import CeremonyFailed, Code, ContextMismatch, NotAloneError
from notalone_crypto.messages.committee import TrusteeKeys
from notalone_crypto.messages.reshare import ReshareApproval, ReshareDealing, ResharePlan
from notalone_crypto.primitives import aead, kem, pedersen
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol.ceremony import check_keys
from notalone_crypto.protocol.entries import EntrySecrets, PublicEntry
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.randomness import Randomness, random_scalar
from notalone_crypto.suite import Tag

LEVEL_KEYS = bytes(32)
"""Stands for the shares of every k_T where a dealing names an entry."""


@dataclass(frozen=True, slots=True)
class Resharing:
    """What everybody checks against: the old committee, the plan, the new keys, public entries."""

    committee: Committee
    plan: ResharePlan
    keys: tuple[TrusteeKeys, ...]
    entries: Mapping[bytes, PublicEntry]  # every entry the plan names, under its old rows

    def __post_init__(self) -> None:
        """Raise unless plan, keys and entries belong together."""
        check_new_keys(self.committee, self.plan, self.keys)
        if set(self.entries) != set(self.plan.live) | set(self.plan.pending):
            raise ContextMismatch(Code.UNKNOWN_ENTRY, "the plan names other entries than are held here")

    @property
    def subjects(self) -> tuple[bytes, ...]:
        """What every dealer deals: the level keys, unless drawn anew, then every entry."""
        return (() if self.plan.rekey else (LEVEL_KEYS,)) + self.plan.live + self.plan.pending

    def masked(self, entry: bytes) -> bool:
        """Whether an entry's masks are shared again; after a re-key fresh ones take their place."""
        return not self.plan.rekey and entry in self.plan.live

    def old_commitments(self, subject: bytes, dealer: int) -> tuple[bytes, ...]:
        """The commitments to a dealer's old shares, from public data alone."""
        if subject == LEVEL_KEYS:
            rows: Sequence[Sequence[bytes]] = self.committee.manifest.level_commitments
            return tuple(pedersen.share_commitment(row, dealer) for row in rows)
        public = self.entries[subject]
        width = len(public.header.identifier_commitments)
        rows = [public.identifier_row(position) for position in range(width)]
        rows += [public.inverse_row(position) for position in range(width)]
        rows += [public.content_row(content) for content in (1, 2)]
        commitments = [pedersen.share_commitment(row, dealer) for row in rows]
        for position in range(width if self.masked(subject) else 0):
            terms = public.mask_terms(self.committee.threshold, position, dealer)
            commitments.append(RISTRETTO255.small_combination(*zip(*terms, strict=True)))
        return tuple(commitments)

    def old_shares(self, subject: bytes, secrets: TrusteeSecrets, own: EntrySecrets | None) -> list[Share]:
        """A dealer's old shares in the same order."""
        if subject == LEVEL_KEYS:
            return [secrets.level_shares[level] for level in self.committee.manifest.parameters.levels]
        if own is None:
            raise ContextMismatch(Code.UNKNOWN_ENTRY, "this trustee holds no shares of an entry of the plan")
        shares = [*own.shares.identifiers, *own.shares.inverses, *own.shares.contents]
        return shares + list(own.masks if self.masked(subject) else ())


def keys_digest(keys: Sequence[TrusteeKeys]) -> bytes:
    """32-byte hash of all new public keys."""
    return digest(Tag.RESHARE, b"keys", *(one.encode() for one in keys))


def check_new_keys(old: Committee, plan: ResharePlan, keys: Sequence[TrusteeKeys]) -> None:
    """Plan and keys succeed `old`, and no bundle or channel key is used again.

    Raises: ContextMismatch (context.committee, context.generation), CeremonyFailed.
    """
    parameters = old.manifest.parameters
    if (plan.committee, plan.previous) != (old.identifier, old.fingerprint):
        raise ContextMismatch(Code.COMMITTEE, "a re-share of another committee or manifest")
    if plan.generation != old.manifest.generation + 1:
        raise ContextMismatch(Code.GENERATION, "a re-share leads to the next generation")
    check_keys(parameters, keys)
    if plan.keys != keys_digest(keys) or len(plan.names) != old.count or len(set(plan.names)) != old.count:
        raise ContextMismatch(Code.COMMITTEE, "the plan names other keys, or not every seat")
    if len(plan.dealers) < old.threshold or not set(plan.dealers) <= set(range(1, old.count + 1)):
        raise ContextMismatch(Code.PARAMETERS, "a re-share needs at least m old trustees")
    check_rotation(old, plan.generation, keys)


def check_rotation(old: Committee, generation: int, keys: Sequence[TrusteeKeys]) -> None:
    """Raise CeremonyFailed naming whoever brings an old bundle or channel key into a new generation."""
    used = {key for one in old.manifest.trustees for key in (one.bundle_key, one.channel_key)}
    late = tuple(
        one.index for one in keys if one.generation != generation or used & {one.bundle_key, one.channel_key}
    )
    if late:
        raise CeremonyFailed(
            Code.GENERATION, "bundle and channel keys change with every generation", culprits=late
        )


def approve(plan: ResharePlan, secrets: TrusteeSecrets) -> ReshareApproval:
    """An old trustee's consent, given by its operator who knows whose the new keys are."""
    message = ReshareApproval(plan.fingerprint, secrets.index, UNSIGNED)
    return sign_message(message, secrets.signing_key, Tag.RESHARE)


def check_approved(old: Committee, plan: ResharePlan, approvals: Sequence[ReshareApproval], now: int) -> None:
    """At least n - m + 1 old trustees agreed and the public delay is over.

    Before anything is dealt: afterwards the new holders have the secrets,
    whatever anybody signs then.
    Raises: ContextMismatch (context.period), VerificationFailed, CeremonyFailed (log.quorum).
    """
    if now < plan.not_before:
        raise ContextMismatch(Code.PERIOD, "the public delay of this re-share is not over")
    agreed = set()
    for approval in approvals:
        if approval.plan == plan.fingerprint:
            check_signature(approval, old.verify_key(approval.trustee), Tag.RESHARE)
            agreed.add(approval.trustee)
    if len(agreed) < old.count - old.threshold + 1:
        raise CeremonyFailed(Code.QUORUM, "too few old trustees approved: n - m + 1 are needed")


def deal(
    resharing: Resharing,
    secrets: TrusteeSecrets,
    held: Mapping[bytes, EntrySecrets],
    approvals: Sequence[ReshareApproval],
    now: int,
    randomness: Randomness,
) -> tuple[ReshareDealing, ...]:
    """Everything this old trustee holds, shared again; one message for each subject.

    The caller has checked the plan against its state (protocol/succeed.py).
    Raises: as `check_approved`.
    """
    check_approved(resharing.committee, resharing.plan, approvals, now)
    if secrets.index not in resharing.plan.dealers:
        raise ContextMismatch(Code.PARAMETERS, "this trustee is not among the plan's dealers")
    return tuple(
        deal_shares(
            resharing, secrets, subject, resharing.old_shares(subject, secrets, held.get(subject)), randomness
        )
        for subject in resharing.subjects
    )


def deal_shares(
    resharing: Resharing,
    secrets: TrusteeSecrets,
    subject: bytes,
    shares: Sequence[Share],
    randomness: Randomness,
) -> ReshareDealing:
    """One signed dealing of these old shares."""
    threshold, count = resharing.committee.threshold, resharing.committee.count
    dealings = [pedersen.deal(one.value, one.blind, threshold, count, randomness) for one in shares]
    ephemeral = random_scalar(randomness)
    context = dealing_context(resharing.plan, secrets.index, subject)
    sealed = []
    for recipient in resharing.keys:
        writer = Writer()
        for dealing in dealings:
            share = dealing.shares[recipient.index - 1]
            writer.fixed(RISTRETTO255.encode_scalar(share.value), 32)
            writer.fixed(RISTRETTO255.encode_scalar(share.blind), 32)
        key = kem.encapsulate(ephemeral, recipient.bundle_key, recipient.index, context)
        sealed.append(aead.seal(key, context, writer.finish()))
    message = ReshareDealing(
        resharing.plan.fingerprint,
        secrets.index,
        subject,
        tuple(dealing.commitments for dealing in dealings),
        kem.encapsulation(ephemeral),
        tuple(sealed),
        b"",
        UNSIGNED,
    )
    proof = kem.prove_key(kem.EncryptionKey(ephemeral), enc_session(message), randomness)
    return sign_message(replace(message, proof=proof), secrets.signing_key, Tag.RESHARE)


def check_dealing(resharing: Resharing, dealing: ReshareDealing) -> None:
    """What anybody can check; raises CeremonyFailed naming the dealer."""
    culprit = (dealing.dealer,)
    if dealing.dealer not in resharing.plan.dealers or dealing.entry not in resharing.subjects:
        raise CeremonyFailed(Code.DEALING, "a dealing by or about what the plan does not name")
    try:
        check_signature(dealing, resharing.committee.verify_key(dealing.dealer), Tag.RESHARE)
    except NotAloneError as error:
        raise CeremonyFailed(error.code, "a dealing is not signed by its dealer", culprits=culprit) from error
    if dealing.plan != resharing.plan.fingerprint:
        raise CeremonyFailed(Code.GENERATION, "a dealing of another re-share", culprits=culprit)
    expected = resharing.old_commitments(dealing.entry, dealing.dealer)
    if len(dealing.commitments) != len(expected) or any(
        len(row) != resharing.committee.threshold for row in dealing.commitments
    ):
        raise CeremonyFailed(Code.COMMITMENT_LENGTH, "a dealing has a wrong degree", culprits=culprit)
    if len(dealing.sealed) != resharing.committee.count:
        raise CeremonyFailed(Code.DEALING, "a dealing has missing parts", culprits=culprit)
    if tuple(row[0] for row in dealing.commitments) != expected:
        raise CeremonyFailed(
            Code.SHARE, "a skewed refresh: what is dealt is not the old share", culprits=culprit
        )
    try:
        kem.check_key(dealing.enc, enc_session(dealing), dealing.proof)
    except NotAloneError as error:
        raise CeremonyFailed(error.code, "a dealing's enc is not proved", culprits=culprit) from error


def dealing_context(plan: ResharePlan, dealer: int, subject: bytes) -> bytes:
    """32-byte context of everything one dealer seals about one subject."""
    return digest(Tag.RESHARE, b"dealing", plan.fingerprint, bytes([dealer]), subject)


def enc_session(dealing: ReshareDealing) -> bytes:
    """32-byte session of the proof that a dealer knows its enc: everything else in the dealing."""
    return digest(Tag.RESHARE, b"enc", replace(dealing, proof=b"", signature=UNSIGNED).encode())
