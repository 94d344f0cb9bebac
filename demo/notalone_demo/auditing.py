"""The auditor's run over a board's feed, with the auditor's own key and nothing else.

Owns how published items become the audit's record. Refuses to know what is
checked (protocol/audit.py).
"""

from __future__ import annotations

from dataclasses import replace

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, LogUpdate
from notalone_crypto.messages.feed import CONFIDENTIAL_KINDS, Envelope, FeedItem, FeedKind
from notalone_crypto.primitives import checkpoint
from notalone_crypto.protocol import envelope
from notalone_crypto.protocol.audit import Audit
from notalone_crypto.protocol.audit_record import Shown
from notalone_crypto.protocol.audit_report import AuditReport
from notalone_crypto.protocol.state import Outgoing
from notalone_demo.simulation.deployment import Deployment

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


def audit(deployment: Deployment) -> AuditReport:
    """Everything the auditor can say of the deployment's one scope."""
    run = Audit(deployment.committee)
    policy: ScopePolicy | None = None
    plan: BatchPlan | None = None
    for item in deployment.board.feed(deployment.policy.scope, 0):
        kind = FeedKind(item.kind)
        payload = _opened(deployment, item)
        if kind in _TAKEN:
            run.take(_TAKEN[kind], payload)
        if kind == FeedKind.POLICY:
            policy = ScopePolicy.decode(payload)
        elif kind == FeedKind.PLAN:
            plan = BatchPlan.decode(payload)
        elif kind == FeedKind.POLICY_NOTE and policy is not None:
            run.take_policy(policy, _with_consistency(deployment, run, payload))
        elif kind == FeedKind.BATCH_NOTE and plan is not None:
            run.close_batch(plan, _with_consistency(deployment, run, payload))
    return run.report()


def audit_lines(deployment: Deployment) -> list[str]:
    """The page, line by line."""
    return audit(deployment).page().splitlines()


def _opened(deployment: Deployment, item: FeedItem) -> bytes:
    if FeedKind(item.kind) not in CONFIDENTIAL_KINDS:
        return item.payload
    return envelope.open_for(
        deployment.committee, item.scope, item.kind, Envelope.decode(item.payload), deployment.auditor_key
    )


def _with_consistency(deployment: Deployment, run: Audit, payload: bytes) -> LogUpdate:
    update = LogUpdate.decode(payload)
    size = checkpoint.Note.decode(update.note).checkpoint.size
    return replace(update, consistency=deployment.board.consistency(run.view.size, size))
