"""A trustee that comes back in the worst moments, in one process: what it must not refuse for good."""

from __future__ import annotations

import pytest
from tests.support.stories import Story, plan

from notalone_crypto.errors import Code, ContextMismatch
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.protocol import file
from notalone_crypto.protocol.state import Phase
from notalone_crypto.protocol.withdraw import period_of
from notalone_demo.simulation.people import make_report
from notalone_server.board.state import EntryState


@pytest.mark.parametrize("phase", [Phase.VOTING, Phase.ROUND_ONE, Phase.LOGGING, Phase.IDLE])
@pytest.mark.parametrize("away_seconds", [0, 30 * 24 * 3600], ids=["soon", "after weeks"])
def test_filings_and_withdrawals_while_a_trustee_is_away_stop_no_batch(
    phase: Phase, away_seconds: int
) -> None:
    """BAT-10. It learns of withdrawals before it learns that its batch closed, and of plans weeks late."""
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"catch up")
    deployment = story.deployment
    scope, link = deployment.policy.scope, deployment.links[3]
    story.file(0, {1: 0}, 2, peers=True)
    deployment.settle()
    deployment.clock.now += deployment.plan.batch_seconds
    deployment.board.tick()
    for _ in range(60):
        if deployment.trustees[3].status(scope) == phase and phase != Phase.IDLE:
            break
        for index in (3, 1, 2):
            deployment.trustees[index].poll(scope)
            if index == 3 and deployment.trustees[3].status(scope) == phase != Phase.IDLE:
                break
    assert deployment.trustees[3].status(scope) == phase
    link.reachable = False
    story.live, story.fresh = list(story.fresh), []
    story.file(1, {1: 0}, 2, peers=True)
    story.file(2, {1: 1}, 2)
    story.withdraw(2)
    deployment.settle()
    deployment.clock.now += away_seconds + deployment.plan.batch_seconds
    deployment.board.tick()
    deployment.settle()
    link.reachable = True
    story.batch()
    story.batch()
    assert story.observed() == story.expected
    assert ("report 0", "report 1", 1) in story.expected
    for trustee in deployment.trustees.values():
        assert not trustee.halted
        assert trustee.durable.refusals == []
        assert trustee.status(scope) == Phase.IDLE


def test_what_came_while_the_last_cosigner_was_away_is_not_missed_in_the_plan_that_follows_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """BAT-10. Its cosignature closes the batch, and the board plans the next one before it hears the rest.

    Seen with real processes: the trustee took the withdrawal for one that the plan had to name,
    refused the plan that the others had voted for, and no batch closed any more.
    """
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"last cosigner")
    deployment = story.deployment
    scope, link = deployment.policy.scope, deployment.links[3]
    story.file(0, {1: 0}, 2, peers=True)
    deployment.settle()
    deployment.clock.now += deployment.plan.batch_seconds
    deployment.board.tick()
    while FeedKind.BATCH_LEAF not in [item.kind for item in deployment.board.feed(scope, 0)]:
        for index in deployment.trustees:
            deployment.trustees[index].poll(scope)
    link.reachable = False
    story.live, story.fresh = list(story.fresh), []
    story.file(1, {1: 0}, 2, peers=True)
    story.file(2, {1: 1}, 2)
    story.withdraw(2)
    deployment.settle()
    assert deployment.board.scope_record(scope).number == 0  # every cosignature is needed
    deployment.clock.now += deployment.plan.batch_seconds
    original = type(link).post_cosignature

    def post(this: object, data: bytes) -> None:
        original(this, data)  # type: ignore[arg-type]
        deployment.board.tick()

    monkeypatch.setattr(type(link), "post_cosignature", post)
    link.reachable = True
    deployment.settle()
    story.batch()
    story.batch()
    assert story.observed() == story.expected
    assert ("report 0", "report 1", 1) in story.expected
    for trustee in deployment.trustees.values():
        assert trustee.durable.refusals == []
        assert trustee.status(scope) == Phase.IDLE


def test_no_receipt_is_given_for_a_filing_under_a_roll_that_trustees_call_old() -> None:
    """HTTP-9. Two people join between sealing and sending: the board refuses, and sealing again is free."""
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"roll")
    deployment = story.deployment
    clock, board = deployment.clock, deployment.board
    reporter = deployment.reporters["person 0"]
    desk_key = next(iter(deployment.desks.values())).key.public
    report = make_report(
        identifiers={1: b"somebody"}, threshold=2, mode=ReleaseMode.COUNSELLOR, preconsent=False,
        desk_key=desk_key, now=clock(), weeks=52, alias="a", words="w",
    )  # fmt: skip
    period = period_of(clock(), deployment.policy.period_days)

    def seal() -> file.SealedReport:
        roll = board.newest_snapshots(deployment.policy.scope)[0]
        return file.seal_report(
            deployment.committee, deployment.policy, roll, reporter.member, report, period=period,
            spent_tags=frozenset(board.spent_tags(deployment.policy.scope, period)),
            randomness=deployment.randomness,
        )  # fmt: skip

    sealed = seal()
    deployment.enrol(["newcomer 1"])
    deployment.enrol(["newcomer 2"])
    with pytest.raises(ContextMismatch) as caught:
        board.submit_filing(sealed.filing.encode())
    assert caught.value.code == Code.SNAPSHOT
    assert board.spent_tags(deployment.policy.scope, period) == ()
    again = seal()
    receipt = board.submit_filing(again.filing.encode())
    deployment.enrol(["newcomer 3"])
    assert board.submit_filing(again.filing.encode()) == receipt  # an answer lost and asked for again
    deployment.run_batch()
    assert board.entry_state(deployment.policy.scope, receipt.entry)[0] is EntryState.EVALUATED
