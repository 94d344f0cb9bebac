"""A plan is made, a week ends, an entry expires, and only then the trustees come: the scope goes on.

In one process, with real services on a clock of the test. Before, nobody voted for such a plan, the board
never made another, and the scope waited for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.support.stories import Story, plan

from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.protocol.state import Phase
from notalone_crypto.protocol.withdraw import DAY_SECONDS, WEEK_SECONDS, week_of
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS
from notalone_demo.seen import AuditorSeen
from notalone_server.board.service import BoardService
from notalone_server.trustee.ports import BoardUnreachable
from notalone_server.trustee.service import MAX_BAD_POLLS

EVERYBODY = (1, 2, 3)


class Late:
    """A scope with a plan made 100 seconds before an entry expires, which nobody has read yet."""

    def __init__(self) -> None:
        self.story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"expiry")
        self.deployment = self.story.deployment
        self.scope = self.deployment.policy.scope
        clock = self.deployment.clock
        self.story.file(0, {1: 0}, 2, peers=True)  # leaves at the end of its week
        self.end = (week_of(clock.now) + 53) * WEEK_SECONDS
        clock.now += WEEK_SECONDS
        self.story.file(1, {1: 0}, 2, peers=True)  # a week later
        self.story.batch()
        clock.now = self.end - 3 * self.deployment.plan.batch_seconds
        self.story.batch()
        self.story.file(2, {1: 0}, 2, peers=True)
        self.deployment.settle()
        clock.now = self.end - 100
        self.deployment.board.tick()
        (self.first,) = self.plans()[2:]

    def plans(self) -> list[BatchPlan]:
        feed = self.deployment.board.feed(self.scope, 0)
        return [BatchPlan.decode(item.payload) for item in feed if item.kind == FeedKind.PLAN]

    def poll(self, *indices: int) -> None:
        for index in indices:
            self.deployment.trustees[index].poll(self.scope)

    def closed(self) -> int:
        return self.deployment.board.scope_record(self.scope).number

    def later(self, seconds: int) -> None:
        self.deployment.clock.now = self.end + seconds
        self.deployment.board.tick()

    def settled(self, polls: int = 2 * MAX_BAD_POLLS) -> None:
        for _ in range(polls):
            self.poll(*EVERYBODY)

    def ends_well(self, leaving: Sequence[str] = ("report 0",)) -> None:
        """One plan more, one batch more, and everything as in clear."""
        story = self.story
        story.leaving |= set(leaving)
        self.settled()
        assert self.closed() == 3
        story.batch()
        assert story.observed() == story.expected
        assert ("report 1", "report 2", 1) in story.expected
        for trustee in self.deployment.trustees.values():
            assert not trustee.halted
            assert trustee.status(self.scope) == Phase.IDLE
            assert trustee.durable.refusals == []
        board, key = self.deployment.board, self.deployment.auditor_key
        feed = board.feed(self.scope, 0)
        assert AuditorSeen(self.deployment.committee, feed, key, board.consistency).report().clean


def test_a_plan_that_nobody_voted_for_before_an_entry_expired_gives_way_to_a_newer_one() -> None:
    """BAT-11."""
    late = Late()
    late.later(CLOCK_TOLERANCE_SECONDS - 1)  # a slow trustee may still vote
    assert late.plans()[-1] == late.first
    late.deployment.clock.now = late.end + 3 * DAY_SECONDS
    late.settled()  # nobody votes for it any more
    assert late.closed() == 2
    late.deployment.board.tick()
    second = late.plans()[-1]
    assert (second.number, second.previous) == (late.first.number, late.first.previous)
    assert second.entries == late.first.entries
    assert len(second.expired) == 1
    late.ends_well()


def test_the_few_who_voted_for_it_move_on() -> None:
    """BAT-11. One vote convinces nobody who comes late: it may be that of a trustee which helps the board."""
    late = Late()
    late.poll(1)
    late.later(3 * DAY_SECONDS)
    assert len(late.plans()) == 4
    late.ends_well()


def test_a_vote_that_was_stored_and_not_posted_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """BAT-11. The board never saw it; the trustee was killed before it could post."""
    late = Late()

    def away(*_: object) -> None:
        raise BoardUnreachable

    with monkeypatch.context() as broken:
        broken.setattr(BoardService, "post", away)
        with pytest.raises(BoardUnreachable):
            late.poll(1)
    late.deployment.start_trustee(1)
    assert late.deployment.trustees[1].status(late.scope) == Phase.VOTING
    late.later(3 * DAY_SECONDS)
    late.ends_well()


def test_who_read_both_plans_at_once_and_who_was_started_again_in_between_agree() -> None:
    """BAT-11. In any order, and with a restart at every point."""
    late = Late()
    late.poll(2)
    late.later(DAY_SECONDS)
    for index in (3, 1, 2, 3, 2, 1):
        late.deployment.start_trustee(index)
        late.poll(index)
    late.ends_well()


def test_a_plan_that_enough_voted_for_waits_for_the_rest_across_any_number_of_expiries() -> None:
    """BAT-10. Those who come late see from the votes that it was made in time."""
    late = Late()
    late.poll(1, 2)
    late.later(3 * DAY_SECONDS)
    assert late.plans()[-1] == late.first
    late.deployment.clock.now += 2 * WEEK_SECONDS
    late.deployment.board.tick()
    assert late.plans()[-1] == late.first
    late.settled()
    assert late.closed() == 3
    assert not any(trustee.halted for trustee in late.deployment.trustees.values())


def test_who_comes_after_the_second_plan_is_late_as_well_takes_that_one() -> None:
    """BAT-11. The votes for the first plan, seen together with those for the second, speak for it no more."""
    late = Late()
    late.poll(1)
    late.later(3 * DAY_SECONDS)
    for _ in range(4):
        late.poll(1, 2)
    late.deployment.clock.now = late.end + WEEK_SECONDS + DAY_SECONDS  # report 1 expires
    late.deployment.board.tick()
    assert len(late.plans()) == 4
    late.settled()
    assert late.closed() == 3
    assert late.plans()[-1].opened_at == late.end + 3 * DAY_SECONDS
    assert not any(trustee.halted for trustee in late.deployment.trustees.values())
    assert [trustee.durable.refusals for trustee in late.deployment.trustees.values()] == [[]] * 3


def test_attack_a_board_makes_a_newer_plan_after_the_first_was_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """BAT-11. All voted; whoever opened the first plan goes to no other, and the first is what closes."""
    late = Late()
    opened: set[bytes] = set()
    post = BoardService.post

    def watch(this: BoardService, trustee: int, scope: bytes, kind: FeedKind, payload: bytes) -> None:
        batch = late.deployment.trustees[trustee].machine.state.scopes[scope].batch
        if kind == FeedKind.ROUND_ONE and batch is not None:
            opened.add(batch.plan.fingerprint)
        post(this, trustee, scope, kind, payload)

    monkeypatch.setattr(BoardService, "post", watch)
    late.poll(1, 2, 3)
    late.deployment.clock.now = late.end + 3 * DAY_SECONDS
    with late.deployment.board_store.writing() as store:
        held = store.scope(late.scope)
        assert held is not None
        closing = held.open_batch
        late.deployment.board._plan(store, held, late.deployment.clock.now)
        held.open_batch = closing
        store.put_scope(held)
    assert len(late.plans()) == 4
    late.settled()
    assert opened == {late.first.fingerprint}
    assert late.closed() == 3
