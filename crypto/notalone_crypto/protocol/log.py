"""A trustee's view of the log: it only grows, and the trustee cosigns what it verified.

Owns the checks before a cosignature and the quorum after it. Refuses to know
the tree itself and how notes travel. Attack: a forked or rolled-back board
shows two parties two pasts; with a quorum s > (n+m-1)/2 and honest trustees
remembering their last view, no two views both carry one.
"""

from __future__ import annotations

from dataclasses import dataclass

from notalone_crypto.errors import Code, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import CosignatureMessage, LogUpdate
from notalone_crypto.primitives import checkpoint, merkle, signing
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.suite import Tag


@dataclass(frozen=True, slots=True)
class LogView:
    """The largest tree a trustee ever cosigned."""

    size: int = 0
    root: bytes = merkle.EMPTY_ROOT


def origin(committee: Committee) -> str:
    """The log's name: one log for each committee."""
    return f"notalone/{committee.identifier.hex()}"


def cosigner_name(committee: Committee, index: int) -> str:
    """Trustee `index`'s name in signed notes."""
    return f"{origin(committee)}/trustee/{index}"


def policy_leaf(policy: ScopePolicy) -> bytes:
    """32-byte leaf under which a scope's rules are public; not salted, for they are no secret."""
    return digest(Tag.LEAF, b"policy", policy.fingerprint)


def check_update(committee: Committee, view: LogView, update: LogUpdate, leaf: bytes) -> LogView:
    """The new view, if the board's note extends the old one and holds `leaf` (32 bytes).

    Raises: VerificationFailed (signature.invalid, log.*), StateConflict (state.rollback).
    """
    note = checkpoint.Note.decode(update.note)
    head = note.checkpoint
    _check_log_signature(committee, note)
    if head.size < view.size:
        raise StateConflict(
            Code.ROLLBACK,
            f"the board shows a log of {head.size} leaves after one of {view.size}: "
            "it was restored from an old copy or forked; do not continue",
        )
    merkle.verify_consistency(view.size, view.root, head.size, head.root, update.consistency)
    merkle.verify_inclusion(head.root, head.size, update.index, merkle.leaf_hash(leaf), update.inclusion)
    return LogView(head.size, head.root)


def cosign(
    committee: Committee, index: int, key: signing.SigningKey, update: LogUpdate, now: int
) -> CosignatureMessage:
    """This trustee's cosignature over a note that `check_update` passed and that was stored."""
    note = checkpoint.Note.decode(update.note)
    signature = checkpoint.cosign(note.checkpoint, cosigner_name(committee, index), key, now)
    return CosignatureMessage(index, signature.line())


def check_quorum(committee: Committee, note: bytes) -> checkpoint.Checkpoint:
    """The checkpoint of a note that a quorum cosigned. Raises VerificationFailed."""
    return verify_note(committee, note).checkpoint


def verify_note(committee: Committee, note: bytes) -> checkpoint.VerifiedCheckpoint:
    """The same with who cosigned it and when. Raises VerificationFailed."""
    names = {cosigner_name(committee, keys.index): keys.verify_key for keys in committee.manifest.trustees}
    return checkpoint.verify_quorum(
        note, origin(committee), committee.manifest.board_key, names, committee.manifest.parameters.quorum
    )


def check_leaf(
    committee: Committee, note: bytes, leaf: bytes, index: int, inclusion: tuple[bytes, ...]
) -> checkpoint.Checkpoint:
    """The cosigned checkpoint that holds `leaf`: for reporters, desks and auditors."""
    head = check_quorum(committee, note)
    merkle.verify_inclusion(head.root, head.size, index, merkle.leaf_hash(leaf), inclusion)
    return head


def _check_log_signature(committee: Committee, note: checkpoint.Note) -> None:
    head = note.checkpoint
    if head.origin != origin(committee):
        raise VerificationFailed(Code.FORK, "a checkpoint of another log")
    for signature in note.signatures:
        if signature.name == head.origin:
            try:
                signing.verify_text(committee.manifest.board_key, signature.body, head.text())
            except NotAloneError as error:
                raise VerificationFailed(Code.SIGNATURE, "the board did not sign this note") from error
            return
    raise VerificationFailed(Code.SIGNATURE, "the board did not sign this note")
