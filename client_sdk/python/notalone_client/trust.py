"""What a client pins, and what it believes after checking.

Owns the way from one 32-byte fingerprint to committee and policy. Refuses
whatever the board says that does not follow from it: the manifest must be the
pinned one, the policy must be in a log that a quorum of trustees cosigned, and
that log must extend every log seen before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from notalone_crypto.errors import Code, ContextMismatch, StateConflict, VerificationFailed
from notalone_crypto.messages.committee import ScopePolicy, SignedManifest
from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.primitives import merkle
from notalone_crypto.primitives.checkpoint import Checkpoint
from notalone_crypto.protocol import log
from notalone_crypto.protocol.keys import Committee


@dataclass(frozen=True, slots=True)
class Trust:
    """What came with the application, not from a server.

    `committee` is the manifest's fingerprint (32 bytes) that operators compared
    aloud and published; `scope` is the scope's identifier (32 bytes).
    `remembered` is a note that an earlier client of this committee gave out
    (`Client.remembered`): a log that does not extend it is refused.
    """

    committee: bytes
    scope: bytes
    remembered: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, committee: str, scope: str, remembered: bytes = b"") -> Trust:
        """From hexadecimal; spaces do not count.

        >>> Trust.parse("ab" * 32, "cd " * 32).scope.hex()[:4]
        'cdcd'
        """
        try:
            both = bytes.fromhex(committee), bytes.fromhex(scope)
        except ValueError as error:
            raise ContextMismatch(Code.COMMITTEE, "a fingerprint is hexadecimal") from error
        if any(len(one) != 32 for one in both):
            raise ContextMismatch(Code.COMMITTEE, "a fingerprint has 32 bytes")
        return cls(*both, remembered)


@dataclass(slots=True)
class World:
    """Committee and policy, verified; and the largest log seen, with the note that vouches for it."""

    committee: Committee
    policy: ScopePolicy
    seen: Checkpoint | None = None
    note: bytes = field(default=b"", repr=False)

    def head(self, update: LogUpdate, leaf: bytes, before: Checkpoint | None) -> Checkpoint:
        """The cosigned checkpoint that holds `leaf` and is not smaller than `before`.

        Raises: VerificationFailed (log.*, signature.invalid), StateConflict (state.rollback).
        """
        head = log.check_leaf(self.committee, update.note, leaf, update.index, update.inclusion)
        if before is not None and head.size < before.size:
            raise StateConflict(
                Code.ROLLBACK,
                f"the board shows a log of {head.size} leaves after one of {before.size}: it was restored "
                "from an old copy, or it lies; do not continue",
            )
        return head

    def gap(self, head: Checkpoint) -> tuple[int, int] | None:
        """The two sizes between which growth must be proved; None where there is nothing to prove."""
        if self.seen is None or self.seen.size in (0, head.size) or head.size == 0:
            return None
        return min(self.seen.size, head.size), max(self.seen.size, head.size)

    @staticmethod
    def check_growth(head: Checkpoint, seen: Checkpoint | None, proof: tuple[bytes, ...]) -> None:
        """One of the two logs extends the other.

        Raises: VerificationFailed (log.fork for one size with two roots, log.consistency).
        """
        if seen is None:
            return
        if head.size == seen.size and head.root != seen.root:
            raise VerificationFailed(
                Code.FORK, "the board shows two different logs of one size; do not continue"
            )
        small, large = sorted((seen, head), key=lambda one: one.size)
        merkle.verify_consistency(small.size, small.root, large.size, large.root, proof)

    def remember(self, head: Checkpoint, note: bytes) -> None:
        """Keep the larger one; only what `check_growth` passed comes here."""
        if self.seen is None or head.size > self.seen.size:
            self.seen, self.note = head, note


def check_world(trust: Trust, manifest: bytes, policy: bytes) -> World:
    """Committee and rules from the board's bytes; whether the rules are in the log is checked next.

    Raises: MalformedInput, ContextMismatch (not the pinned committee or scope), VerificationFailed
    (also for a remembered note of another committee).
    """
    committee = Committee.verified(SignedManifest.decode(manifest), trust.committee)
    rules = ScopePolicy.decode(policy)
    if rules.scope != trust.scope or rules.instance.encode() != committee.instance:
        raise ContextMismatch(Code.SCOPE, "the board shows the rules of another scope")
    if not trust.remembered:
        return World(committee, rules)
    return World(committee, rules, log.check_quorum(committee, trust.remembered), trust.remembered)
