"""What a client pins, and what it believes after checking.

Owns the way from one 32-byte fingerprint to committee and policy. Refuses
whatever the board says that does not follow from it: the manifest must be the
pinned one, the policy must be in a log that a quorum of trustees cosigned, and
that log must not shrink.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from notalone_crypto.errors import Code, ContextMismatch, StateConflict
from notalone_crypto.messages.committee import ScopePolicy, SignedManifest
from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.primitives.checkpoint import Checkpoint
from notalone_crypto.protocol import log
from notalone_crypto.protocol.keys import Committee


@dataclass(frozen=True, slots=True)
class Trust:
    """What came with the application, not from a server.

    `committee` is the manifest's fingerprint (32 bytes) that operators compared
    aloud and published; `scope` is the scope's identifier (32 bytes).
    """

    committee: bytes
    scope: bytes

    @classmethod
    def parse(cls, committee: str, scope: str) -> Trust:
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
        return cls(*both)


@dataclass(slots=True)
class World:
    """Committee and policy, verified; and the largest log seen."""

    committee: Committee
    policy: ScopePolicy
    log_size: int = field(default=0)

    def check_leaf(self, update: LogUpdate, leaf: bytes) -> Checkpoint:
        """The cosigned checkpoint that holds `leaf`.

        Raises: VerificationFailed; StateConflict (state.rollback) when the log is shorter than before.
        """
        head = log.check_leaf(self.committee, update.note, leaf, update.index, update.inclusion)
        if head.size < self.log_size:
            raise StateConflict(Code.ROLLBACK, "the board shows a shorter log than before")
        self.log_size = head.size
        return head


def check_world(trust: Trust, manifest: bytes, policy: bytes, update: bytes) -> World:
    """Committee and policy from the board's bytes.

    Raises: MalformedInput, ContextMismatch (not the pinned committee or scope), VerificationFailed.
    """
    committee = Committee.verified(SignedManifest.decode(manifest), trust.committee)
    rules = ScopePolicy.decode(policy)
    if rules.scope != trust.scope or rules.instance.encode() != committee.instance:
        raise ContextMismatch(Code.SCOPE, "the board shows the rules of another scope")
    world = World(committee, rules)
    world.check_leaf(LogUpdate.decode(update), log.policy_leaf(rules))
    return world
