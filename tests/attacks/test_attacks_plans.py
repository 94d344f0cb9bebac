"""Attacks on a batch by plans: two of one number, a newer one out of turn, one dated back.

A vote may move on to a newer plan after an expiry. What must never follow is
that two plans of one number are opened: somebody would look at a result, and
then have another.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from itertools import product

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.protocol import persist
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.state import Outgoing, Phase
from notalone_crypto.protocol.withdraw import DAY_SECONDS, WEEK_SECONDS, week_of
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS

EVERYBODY = (1, 2, 3)


@cache
def world() -> tuple[World, BatchPlan, BatchPlan]:
    """Never changed: a plan made just before an entry expires, and one of some days later."""
    one = World(members=32, slots=(1,))
    one.file(0, b"bob", weeks=0)
    one.run_batch()
    one.now = (week_of(one.now) + 1) * WEEK_SECONDS - 100
    one.file(1, b"bob")
    before = one.plan()
    one.now += 3 * DAY_SECONDS
    after = one.plan()
    assert (before.number, before.expired, len(after.expired)) == (after.number, (), 1)
    return one, before, after


def machines() -> dict[int, Machine]:
    one, _, _ = world()
    return {index: copy.deepcopy(machine) for index, machine in one.machines.items()}


def vote(machine: Machine, plan: BatchPlan, now: int) -> bytes:
    """This trustee's vote for a plan."""
    posts = machine.receive_plan(plan, now, world()[0].randomness)
    return next(post.payload for post in posts if post.kind == Outgoing.PLAN_VOTE)


def refused(machine: Machine, plan: BatchPlan, now: int, code: Code) -> None:
    before = persist.dump(machine.state)
    with pytest.raises(NotAloneError) as caught:
        machine.receive_plan(plan, now, world()[0].randomness)
    assert caught.value.code == code
    assert persist.dump(machine.state) == before


def give(machine: Machine, votes: list[bytes]) -> bool:
    """Hand over votes; whether the trustee opens anything then."""
    one = world()[0]
    posts = []
    for payload in votes:
        try:
            posts += machine.receive_message(one.policy.scope, Outgoing.PLAN_VOTE, payload, one.randomness)
        except NotAloneError:
            continue
    return any(post.kind == Outgoing.ROUND_ONE for post in posts)


@pytest.mark.parametrize("shown", list(product([False, True], repeat=3)))
def test_two_plans_of_one_number_are_never_both_opened(shown: tuple[bool, ...]) -> None:
    """[BAT-11] The board shows all votes for the first plan to whom it likes, then the second plan to all.

    With everybody's votes of both plans in its hands it brings about openings of one plan at most.
    """
    one, before, after = world()
    trustees = machines()
    first = [vote(machine, before, before.opened_at) for machine in trustees.values()]
    opened = {index for index, told in zip(EVERYBODY, shown, strict=True) if told}
    for index in opened:
        assert give(trustees[index], first)
    second = []
    for index, machine in trustees.items():
        if index in opened:
            refused(machine, after, one.now, Code.BATCH_OPEN)
        else:
            second.append(vote(machine, after, one.now))
            refused(machine, before, one.now, Code.BATCH_OPEN)  # never back
    for index in set(EVERYBODY) - opened:
        both = first + second
        assert give(trustees[index], both) == (not opened)


def test_a_vote_moves_for_an_expiry_only_and_to_a_newer_plan_of_all_only() -> None:
    """[BAT-11] The board would have a plan taken back for another reason, or for another kind of plan."""
    one, before, after = world()
    (machine, *_) = machines().values()
    vote(machine, before, before.opened_at)
    hours = before.opened_at + 90  # the week has not ended, by this trustee's clock
    refused(machine, replace(after, opened_at=hours, expired=(), epoch=before.epoch), hours, Code.BATCH_OPEN)
    at_once = before.opened_at + CLOCK_TOLERANCE_SECONDS  # it ended, but others may still vote in time
    refused(machine, replace(after, opened_at=at_once), at_once, Code.BATCH_OPEN)
    for change, code in (
        ({"number": after.number + 1}, Code.BATCH_OPEN),
        ({"previous": bytes(32)}, Code.BATCH_OPEN),
        ({"evaluators": (1, 2)}, Code.BATCH_OPEN),
        ({"opened_at": before.opened_at}, Code.BATCH_OPEN),
        ({"opened_at": one.now + CLOCK_TOLERANCE_SECONDS + 1}, Code.PERIOD),
        ({"expired": ()}, Code.EXPIRED),
        ({"epoch": before.epoch}, Code.OUT_OF_ORDER),
    ):
        refused(machine, replace(after, **change), one.now, code)  # type: ignore[arg-type]
    assert machine.state.scopes[one.policy.scope].phase == Phase.VOTING
    assert vote(machine, after, one.now)


def test_a_plan_dated_back_to_keep_what_expired_is_refused_by_who_has_not_voted() -> None:
    """[BAT-10] Giving way to a newer plan makes no late one acceptable, with fewer than m votes."""
    one, before, _ = world()
    (first, second, _) = machines().values()
    helper = vote(first, before, before.opened_at)
    refused(second, before, one.now, Code.PERIOD)
    with pytest.raises(NotAloneError) as caught:
        second.receive_plan(before, one.now, one.randomness, [helper])
    assert caught.value.code == Code.PERIOD


def test_a_plan_dated_before_the_period_of_a_filing_in_it_is_refused() -> None:
    """[BAT-12] The board dates a plan back over the end of a period: an audit would accuse who accepted."""
    one = World(members=32, slots=(1,))
    length = one.policy.period_days * DAY_SECONDS
    one.now = (one.now // length + 1) * length
    one.file(0, b"bob")
    plan = one.plan()
    assert plan.entries
    for ago, code in ((CLOCK_TOLERANCE_SECONDS, None), (CLOCK_TOLERANCE_SECONDS + 1, Code.PERIOD)):
        dated, machine = replace(plan, opened_at=one.now - ago), copy.deepcopy(one.machines[1])
        if code is None:
            assert machine.receive_plan(dated, one.now, one.randomness)
        else:
            with pytest.raises(NotAloneError) as caught:
                machine.receive_plan(dated, one.now, one.randomness)
            assert caught.value.code == code
