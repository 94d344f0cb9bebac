"""A quota period ends between a filing and its reading: nobody's report is lost, and nobody files more.

In one process, with real services on a clock of the test; every deployment here ends with the plaintext
reference. Before, every trustee that read such a filing a second later refused it for good.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.stories import Story, plan

from notalone_crypto.errors import Code, ContextMismatch
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.protocol import file, roll
from notalone_crypto.protocol.withdraw import DAY_SECONDS, period_of, week_of
from notalone_demo.seen import AuditorSeen
from notalone_demo.simulation.people import make_report
from notalone_server.board.admission import CLOCK_DIFFERENCE_SECONDS
from notalone_server.trustee.service import MAX_BAD_POLLS

PERIOD_SECONDS = 365 * DAY_SECONDS
EVERYBODY = (1, 2, 3)


def at_the_end(*, batches: int = 1, seconds: int = 1) -> Story:
    """A deployment some seconds before the end of a quota period, with its roll of that period."""
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"period")
    clock = story.deployment.clock
    clock.now = (clock.now // PERIOD_SECONDS + 1) * PERIOD_SECONDS - 10 * DAY_SECONDS
    for _ in range(batches):
        story.batch()
    clock.now = (clock.now // PERIOD_SECONDS + 1) * PERIOD_SECONDS - seconds
    for trustee in story.deployment.trustees.values():
        trustee.poll(story.deployment.policy.scope)
    return story


def finished(story: Story, *, one_batch: bool = True) -> None:
    """Everything counts as it would in clear, nothing was refused, and an auditor finds nothing."""
    for _ in range(1 if one_batch else 2):
        story.batch()
    assert story.expected
    assert story.observed() == story.expected
    for trustee in story.deployment.trustees.values():
        assert not trustee.halted
        assert trustee.durable.refusals == []
    board, key = story.deployment.board, story.deployment.auditor_key
    feed = board.feed(story.deployment.policy.scope, 0)
    assert AuditorSeen(story.deployment.committee, feed, key, board.consistency).report().clean


@pytest.mark.parametrize("batches", [0, 1], ids=["before any batch", "after a batch"])
@pytest.mark.parametrize("pause", [1, 21 * DAY_SECONDS], ids=["a second later", "weeks later"])
def test_a_filing_of_the_last_second_read_in_the_next_period_counts(batches: int, pause: int) -> None:
    """ACC-9."""
    story = at_the_end(batches=batches)
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    story.deployment.clock.now += pause
    finished(story)


def test_a_trustee_away_for_weeks_over_the_end_of_a_period_takes_what_was_filed_before() -> None:
    """ACC-9. The others accept in time; it comes to the same conclusion three weeks later."""
    story = at_the_end(seconds=DAY_SECONDS)
    deployment = story.deployment
    deployment.links[3].reachable = False
    story.file(0, {1: 0}, 2, peers=True)
    deployment.settle()
    deployment.clock.now += 21 * DAY_SECONDS
    deployment.board.tick()
    story.file(1, {1: 0}, 2, peers=True)
    deployment.settle()
    deployment.links[3].reachable = True
    deployment.settle()
    finished(story, one_batch=False)


def test_a_trustee_started_again_in_the_next_period_takes_what_was_filed_before() -> None:
    """ACC-9. What it has to know for that is in its database."""
    story = at_the_end()
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    for index in EVERYBODY:
        story.deployment.start_trustee(index)
    story.deployment.clock.now += DAY_SECONDS
    finished(story)


@pytest.mark.parametrize("who", [1, 3])
def test_a_device_whose_clock_is_minutes_fast_and_a_trustee_whose_clock_is_slow(who: int) -> None:
    """ACC-9. The period of her filing has not begun for the trustee, however often it looks."""
    story = at_the_end(seconds=CLOCK_DIFFERENCE_SECONDS)
    deployment = story.deployment
    deployment.clock.now += CLOCK_DIFFERENCE_SECONDS  # her device's clock
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    deployment.clock.now -= CLOCK_DIFFERENCE_SECONDS
    deployment.trustees[who].clock = lambda: deployment.clock.now - CLOCK_DIFFERENCE_SECONDS
    for _ in range(2 * MAX_BAD_POLLS):
        deployment.settle()
    assert deployment.trustees[who].durable.refusals == []
    finished(story)


def test_attack_a_board_that_holds_filings_back_gets_no_places_of_a_period_that_is_over() -> None:
    """ACC-9. A member's places of last year, kept by the board until a batch of this year is closed."""
    story = at_the_end()
    deployment, scope = story.deployment, story.deployment.policy.scope
    story.file(0, {1: 0}, 2)
    (held,) = [item for item in deployment.board.feed(scope, 0) if item.kind == FeedKind.FILING]
    kept = deployment.board_store.state.scopes[scope]
    kept.feed[held.sequence - 1] = replace(held, kind=FeedKind.RELEASES, payload=b"")
    deployment.settle()
    deployment.clock.now += DAY_SECONDS
    deployment.run_batch()
    deployment.board_store.append(scope, FeedKind.FILING, held.payload)
    for _ in range(MAX_BAD_POLLS + 1):
        deployment.settle()
    for trustee in deployment.trustees.values():
        assert [code for _, code in trustee.durable.refusals] == [Code.PERIOD]
        assert trustee.machine.state.scopes[scope].pending == {}
    # It cannot deny it: her receipt names a batch that is closed without her.
    (receipt,) = deployment.reporters["person 0"].receipts
    assert receipt.batch <= kept.number


def test_attack_an_issuer_dates_a_roll_back_to_give_a_member_the_places_of_past_years() -> None:
    """ACC-9. A roll's time alone is the issuer's word: the last batch counts as well."""
    story = at_the_end()
    deployment, scope = story.deployment, story.deployment.policy.scope
    board = deployment.board
    now, deployment.clock.now = deployment.clock.now, deployment.clock.now - 3 * PERIOD_SECONDS
    (newest,) = board.newest_snapshots(scope)
    (dated,) = roll.take_snapshots(
        deployment.issuer.state.entries, frozenset(), deployment.issuer.signing_key,
        scope=scope, number=newest.number + 1, now=deployment.clock.now, declared=newest.declared,
    )  # fmt: skip
    board.publish_snapshot(dated)
    story.file(0, {1: 0}, 2)  # the board's clock is put back as well: it takes it
    deployment.clock.now = now
    for _ in range(MAX_BAD_POLLS + 1):
        deployment.settle()
    for trustee in deployment.trustees.values():
        assert [code for _, code in trustee.durable.refusals] == [Code.PERIOD]


def test_no_receipt_is_given_for_a_place_of_a_period_that_is_over_and_sealing_again_is_free() -> None:
    """HTTP-27."""
    story = at_the_end(seconds=1)
    deployment, scope = story.deployment, story.deployment.policy.scope
    last = period_of(deployment.clock.now, deployment.policy.period_days)
    board_time = deployment.clock.now + CLOCK_DIFFERENCE_SECONDS + 1
    board = deployment.board
    board.clock = lambda: board_time
    with pytest.raises(ContextMismatch) as caught:
        story.file(0, {1: 0}, 2, peers=True)
    assert caught.value.code == Code.PERIOD
    assert board.spent_tags(scope, last) == ()
    deployment.clock.now = board_time
    board.clock = deployment.clock
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    assert board.spent_tags(scope, last) == ()
    finished(story)


def test_no_receipt_is_given_for_what_trustees_would_call_too_early_or_kept_for_too_long() -> None:
    """HTTP-27. A device's clock far ahead: the next period, and an expiry beyond the rules."""
    story = at_the_end(seconds=CLOCK_DIFFERENCE_SECONDS + 2)
    deployment, now = story.deployment, story.deployment.clock.now
    deployment.board.clock = lambda: now
    deployment.clock.now += CLOCK_DIFFERENCE_SECONDS + 2
    with pytest.raises(ContextMismatch) as caught:
        story.file(0, {1: 0}, 2)
    assert caught.value.code == Code.PERIOD
    deployment.clock.now, deployment.board.clock = now, deployment.clock
    reporter, rules = deployment.reporters["person 0"], deployment.policy
    report = make_report(
        identifiers={1: b"somebody"}, threshold=2, mode=ReleaseMode.COUNSELLOR, preconsent=False,
        desk_key=next(iter(deployment.desks.values())).key.public, now=now, weeks=52, alias="a", words="w",
    )  # fmt: skip
    (newest,) = deployment.board.newest_snapshots(rules.scope)
    sealed = file.seal_report(
        deployment.committee, rules, newest, reporter.member, report,
        period=period_of(now, rules.period_days), spent_tags=frozenset(), randomness=deployment.randomness,
    )  # fmt: skip
    for week, code in ((week_of(now) - 1, Code.EXPIRED), (week_of(now) + 105, Code.EXPIRY)):
        header = replace(sealed.header, expiry_week=week).encode()
        changed = file.sign_filing(replace(sealed.filing, header=header), sealed.owner.signing_key)
        with pytest.raises(ContextMismatch) as caught:
            deployment.board.submit_filing(changed.encode())
        assert caught.value.code == code
    assert deployment.board.submit_filing(sealed.filing.encode())


def test_no_receipt_is_given_for_a_report_under_rules_that_were_replaced() -> None:
    """HTTP-27. Else she would hold a promise, and every trustee would refuse what it promises."""
    story = at_the_end(seconds=3600)
    deployment, old = story.deployment, story.deployment.policy
    new = replace(old, version=old.version + 1, quota=old.quota + 1)
    deployment.board.publish_policy(new)
    with pytest.raises(ContextMismatch) as caught:
        story.file(0, {1: 0}, 2)
    assert caught.value.code == Code.POLICY
    assert deployment.board.spent_tags(old.scope, period_of(deployment.clock.now, old.period_days)) == ()
