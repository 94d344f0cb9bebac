"""The chain of manifests: what must change, who signs, how a client follows.

Owns the step from one manifest to the next (specs/20-protocol.md#re-share).
Refuses to know shares and entries. A public delay is kept by whoever publishes
the votes; here `not_before` is part of what is signed and checked against `now`.
"""

from __future__ import annotations

from dataclasses import replace

from notalone_crypto.errors import CeremonyFailed, Code, ContextMismatch
from notalone_crypto.messages.committee import Manifest
from notalone_crypto.messages.reshare import ResharePlan, Succession, SuccessionVote
from notalone_crypto.primitives import prss
from notalone_crypto.protocol import reshare
from notalone_crypto.protocol.ceremony import check_keys
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.suite import Tag


def check_manifest(old: Committee, manifest: Manifest, *, rekey: bool) -> None:
    """Everything that must and must not change from `old` to its successor.

    Raises: ContextMismatch (context.committee, context.generation),
    CeremonyFailed (ceremony.manifest and others), naming culprits where there are.
    """
    before = old.manifest
    if manifest.parameters != before.parameters or manifest.previous != old.fingerprint:
        raise ContextMismatch(Code.COMMITTEE, "the manifest does not succeed the one before")
    if manifest.generation != before.generation + 1:
        raise ContextMismatch(Code.GENERATION, "a manifest leads to the next generation")
    check_keys(manifest.parameters, manifest.trustees)
    reshare.check_rotation(old, manifest.generation, manifest.trustees)
    hashes = manifest.subset_key_hashes
    expected = len(prss.subsets(old.count, old.threshold))
    # One key redrawn alone: its values change and the others' do not, so masks of
    # two generations differ by what its holders know, and openings give k_T.
    if len(set(hashes)) != expected or len(hashes) != expected or set(hashes) & set(before.subset_key_hashes):
        raise CeremonyFailed(Code.MANIFEST, "all subset keys change together, or none is safe")
    for row, earlier in zip(manifest.level_commitments, before.level_commitments, strict=True):
        if set(row[1:]) & set(earlier[1:]):
            raise CeremonyFailed(Code.MANIFEST, "the shares of a key were not renewed")
        if (row[0] == earlier[0]) == rekey:
            raise CeremonyFailed(Code.MANIFEST, "a refresh keeps every key, a re-key keeps none")


def vote(old: Committee, secrets: TrusteeSecrets, plan: ResharePlan, manifest: Manifest) -> SuccessionVote:
    """An old trustee's signature on the new manifest, which must be the one its plan led to."""
    check_manifest(old, manifest, rekey=bool(plan.rekey))
    if plan.keys != reshare.keys_digest(manifest.trustees) or plan.previous != old.fingerprint:
        raise ContextMismatch(Code.COMMITTEE, "the manifest has other keys than the approved plan")
    message = SuccessionVote(
        old.fingerprint,
        manifest.fingerprint,
        plan.rekey,
        plan.not_before,
        plan.names,
        secrets.index,
        UNSIGNED,
    )
    return sign_message(message, secrets.signing_key, Tag.RESHARE)


def verify_succession(old: Committee, succession: Succession, now: int) -> Committee:
    """The committee after `old`: signed by all of the new trustees and n - m + 1 of the old.

    What a client does that pinned the old manifest; nothing else replaces it.
    Raises: ContextMismatch, VerificationFailed (signature.invalid), CeremonyFailed.
    """
    manifest = succession.manifest.manifest
    votes = succession.votes
    if len({replace(one, trustee=1, signature=UNSIGNED) for one in votes}) != 1:
        raise CeremonyFailed(Code.QUORUM, "old trustees voted for different things, or not at all")
    said = votes[0]
    if (said.previous, said.manifest) != (old.fingerprint, manifest.fingerprint):
        raise ContextMismatch(Code.COMMITTEE, "the votes are about another succession")
    if len(said.names) != old.count or len(set(said.names)) != old.count:
        raise ContextMismatch(Code.COMMITTEE, "the votes do not name every seat")
    if now < said.not_before:
        raise ContextMismatch(Code.PERIOD, "the public delay of this succession is not over")
    for one in votes:
        check_signature(one, old.verify_key(one.trustee), Tag.RESHARE)
    if len({one.trustee for one in votes}) < old.count - old.threshold + 1:
        raise CeremonyFailed(Code.QUORUM, "too few old trustees signed: n - m + 1 are needed")
    check_manifest(old, manifest, rekey=bool(said.rekey))
    return Committee.verified(succession.manifest)
