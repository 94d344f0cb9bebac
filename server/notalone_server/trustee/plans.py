"""Plans as the feed showed them, and votes that came before their plan could be taken.

Owns when this trustee last looked and saw no such plan, which of several plans
of one batch is the newest, and whose votes speak for which. Refuses to judge a
plan: that is the machine's, which is told what is known here. None of it is
stored: after a restart it is read again, and what is not known proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from notalone_crypto.errors import NotAloneError
from notalone_crypto.messages.evaluation import BatchPlan, PlanVote
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_crypto.protocol.batch import is_newer
from notalone_crypto.protocol.keys import Committee

MAX_VOTES = 256  # kept at once for plans that cannot be taken yet
MAX_PLANS = 64  # looked at for one batch


@dataclass(slots=True)
class _Seen:
    """One scope's."""

    looked: int | None = None  # when the feed was last read
    plans: dict[int, BatchPlan] = field(default_factory=dict)  # in that feed, by number
    # Fingerprint -> batch, and `looked` before this plan was first seen.
    absent: dict[bytes, tuple[int, int | None]] = field(default_factory=dict)
    votes: dict[int, bytes] = field(default_factory=dict)  # by number in the feed
    agreed: BatchPlan | None = None
    over: set[bytes] = field(default_factory=set)  # fingerprints of plans that a newer one replaced


@dataclass(slots=True)
class ShownPlans:
    """What one trustee saw of plans since the last batch of each scope."""

    committee: Committee
    _scopes: dict[bytes, _Seen] = field(init=False, default_factory=dict)

    def note(self, scope: bytes, found: Iterable[FeedItem], now: int) -> None:
        """Remember of each plan when this trustee last looked and did not see it: it was made after that."""
        seen = self._scopes.setdefault(scope, _Seen())
        seen.plans = {}  # what was damaged on its way is gone with the next answer
        for item in found:
            if item.kind != FeedKind.PLAN or len(seen.plans) >= MAX_PLANS:
                continue
            try:
                plan = BatchPlan.decode(item.payload)
            except NotAloneError:
                continue
            seen.plans[item.sequence] = plan
            if len(seen.absent) < MAX_PLANS:
                seen.absent.setdefault(plan.fingerprint, (plan.number, seen.looked))
        seen.looked = now

    def keep_vote(self, scope: bytes, number: int, vote: bytes) -> bool:
        """Keep a vote as the feed showed it; whether it is for a plan that counts no more."""
        seen = self._scopes.setdefault(scope, _Seen())
        if len(seen.votes) < MAX_VOTES:
            seen.votes[number] = vote
        return PlanVote.decode(vote).plan in seen.over

    def numbers(self, scope: bytes) -> tuple[int, ...]:
        """Where the newest answer of the feed had plans."""
        seen = self._scopes.get(scope)
        return () if seen is None else tuple(seen.plans)

    def evidence(self, plan: BatchPlan, now: int) -> tuple[tuple[bytes, ...], int | None]:
        """Others' votes, and when this trustee last saw that there was no such plan."""
        seen = self._scopes.setdefault(plan.scope, _Seen())
        # A plan that was not noted came after too many: it may be of now only.
        _, absent = seen.absent.get(plan.fingerprint, (plan.number, now))
        if absent is not None and absent > now:  # the clock was put back: what it said then means nothing
            absent = None
        if any(is_newer(self.committee, other, plan) for other in seen.plans.values()):
            # Votes for a plan whose place another took speak for it no more: those who cast them moved on.
            return (), absent
        return tuple(seen.votes.values()), absent

    def agree(self, plan: BatchPlan) -> list[int]:
        """Numbers in the feed of the plans whose place this one takes, which was agreed to.

        Left there they would look like items of another past once the batch is closed.
        """
        seen = self._scopes.setdefault(plan.scope, _Seen())
        numbers = [number for number, other in seen.plans.items() if is_newer(self.committee, plan, other)]
        seen.over.update(seen.plans[number].fingerprint for number in numbers)
        if seen.agreed is not None and is_newer(self.committee, plan, seen.agreed):
            seen.over.add(seen.agreed.fingerprint)
        seen.agreed = plan
        return numbers

    def forget(self, scope: bytes, closed: int) -> None:
        """The batch of this number is closed; what was seen of later ones stays."""
        seen = self._scopes.setdefault(scope, _Seen())
        seen.absent = {name: one for name, one in seen.absent.items() if one[0] > closed}
        seen.votes.clear()
