"""What a party holds, as plain data that a page can show: the same for a simulation and for processes.

Owns these shapes and the auditor's run over them. Refuses to know where they come
from (simulation/look.py, live/look.py) and how they are shown (views.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, LogUpdate
from notalone_crypto.messages.feed import CONFIDENTIAL_KINDS, Envelope, FeedItem, FeedKind
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import checkpoint, hpke
from notalone_crypto.protocol import envelope
from notalone_crypto.protocol.audit import Audit
from notalone_crypto.protocol.audit_record import Shown
from notalone_crypto.protocol.audit_report import AuditReport
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.state import Outgoing, ScopeState

_TAKEN: dict[FeedKind, Shown | Outgoing] = {
    FeedKind.SNAPSHOT: Shown.SNAPSHOT,
    FeedKind.FILING: Shown.FILING,
    FeedKind.ERASED_FILING: Shown.TRACE,
    FeedKind.WITHDRAWAL: Shown.WITHDRAWAL,
    FeedKind.PLAN: Shown.PLAN,
    FeedKind.ACCEPTANCE: Outgoing.ACCEPTANCE,
    FeedKind.COMPLAINT: Outgoing.COMPLAINT,
    FeedKind.PLAN_VOTE: Outgoing.PLAN_VOTE,
    FeedKind.ROUND_ONE: Outgoing.ROUND_ONE,
    FeedKind.ROUND_TWO: Outgoing.ROUND_TWO,
    FeedKind.RECORD_VOTE: Outgoing.RECORD_VOTE,
    FeedKind.RELEASES: Outgoing.RELEASES,
}


@dataclass(frozen=True, slots=True)
class BoardSeen:
    """Everything one scope's board received, in order, and the letters it keeps."""

    feed: Sequence[FeedItem]
    letters: int = 0


@dataclass(frozen=True, slots=True)
class TrusteeSeen:
    """One trustee's memory of a scope."""

    index: int
    name: str
    policy: ScopePolicy
    scope: ScopeState = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicSeen:
    """What anybody may fetch: the newest note, the log's leaves with their index, one roll."""

    note: bytes
    leaves: Sequence[tuple[int, bytes]]
    roll: RollSnapshot


@dataclass(frozen=True, slots=True)
class IssuerSeen:
    """What one issuer counts."""

    places: int
    unused_cards: int


@dataclass(frozen=True, slots=True)
class PersonSeen:
    """What one filing's owner sees, or a desk (with no state)."""

    name: str
    state: str
    opened: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuditorSeen:
    """The board's feed, the auditor's own key, and the log's consistency proofs between two sizes."""

    committee: Committee
    feed: Sequence[FeedItem]
    key: hpke.HpkePrivateKey = field(repr=False)
    consistency: Callable[[int, int], tuple[bytes, ...]] = field(repr=False)

    def report(self) -> AuditReport:
        """Everything the auditor can say of the one scope."""
        run = Audit(self.committee)
        policy: ScopePolicy | None = None
        plan: BatchPlan | None = None
        for item in self.feed:
            kind = FeedKind(item.kind)
            payload = self._opened(item)
            if kind in _TAKEN:
                run.take(_TAKEN[kind], payload)
            if kind == FeedKind.POLICY:
                policy = ScopePolicy.decode(payload)
            elif kind == FeedKind.PLAN:
                plan = BatchPlan.decode(payload)
            elif kind == FeedKind.POLICY_NOTE and policy is not None:
                run.take_policy(policy, self._with_consistency(run, payload))
            elif kind == FeedKind.BATCH_NOTE and plan is not None:
                run.close_batch(plan, self._with_consistency(run, payload))
        return run.report()

    def _opened(self, item: FeedItem) -> bytes:
        if FeedKind(item.kind) not in CONFIDENTIAL_KINDS:
            return item.payload
        sealed = Envelope.decode(item.payload)
        return envelope.open_for(self.committee, item.scope, item.kind, sealed, self.key)

    def _with_consistency(self, run: Audit, payload: bytes) -> LogUpdate:
        update = LogUpdate.decode(payload)
        size = checkpoint.Note.decode(update.note).checkpoint.size
        return replace(update, consistency=self.consistency(run.view.size, size))
