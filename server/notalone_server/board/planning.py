"""Which plan the board proposes, and when one that nobody can take any more gives way to the next.

Owns these two decisions. Refuses to know what trustees compute; each of them
votes only for the plan it would have made itself (specs/20-protocol.md#batches).
"""

from __future__ import annotations

from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.withdraw import week_of
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS
from notalone_server.board.ports import Reading
from notalone_server.board.state import OpenBatch, ScopeRecord


def make_plan(committee: Committee, view: Reading, scope: ScopeRecord, now: int) -> BatchPlan:
    """The plan of the next batch: everything that is ready, and what has to leave."""
    name, week = scope.policy.scope, week_of(now)
    ready = view.ready(name, committee.count, week)
    expired = tuple(sorted(entry.name for entry in ready if entry.expiry_week < week))
    withdrawn = tuple(sorted(entry.name for entry in ready if entry.withdrawn and entry.name not in expired))
    leaving = frozenset(expired + withdrawn)
    fresh = tuple(entry.name for entry in ready if not entry.batch and entry.name not in leaving)
    leaves_evaluated = any(entry.batch for entry in ready if entry.name in leaving)
    return BatchPlan(
        committee.identifier,
        committee.manifest.generation,
        name,
        scope.number + 1,
        scope.leaf,
        now,
        scope.epoch + int(leaves_evaluated),
        tuple(range(1, committee.count + 1)),
        withdrawn,
        expired,
        fresh,
    )


def is_stale(committee: Committee, view: Reading, scope: ScopeRecord, batch: OpenBatch, now: int) -> bool:
    """Whether trustees that have not voted for the plan in progress never will.

    They refuse one that is late, if an entry expired since it was made, unless threshold-many others
    voted in time. Where so many did, it waits for the rest; where fewer did, nobody opened anything,
    since all votes have to be there, and those few move on. Trustees' clocks may be slower than ours.
    """
    slowest = now - CLOCK_TOLERANCE_SECONDS
    plan = BatchPlan.decode(batch.plan)
    if len(batch.voted) >= committee.threshold or plan.opened_at >= slowest - CLOCK_TOLERANCE_SECONDS:
        return False
    before, week = week_of(plan.opened_at), week_of(slowest)
    return before < week and any(
        before <= entry.expiry_week < week for entry in view.ready(scope.policy.scope, committee.count, week)
    )
