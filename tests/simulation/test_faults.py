"""Messages are lost, late, doubled, reordered, damaged; processes die: the outcome is the same."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.stories import PEOPLE, Story, plan

from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_crypto.protocol import file, withdraw
from notalone_crypto.protocol.state import Outgoing, Phase
from notalone_demo.simulation.network import Faults, Link
from notalone_demo.simulation.people import Reporter, make_report
from notalone_server.trustee.service import MAX_BAD_POLLS


def faults(seed: int, **chances: float) -> Faults:
    return Faults(choices=random.Random(seed), **chances)


def tell(story: Story) -> None:
    """A fixed story with a match at two, one at three, a lone report and a withdrawal."""
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True, preconsent=True)
    story.file(2, {1: 1}, 3)
    story.file(3, {2: 0}, 2)
    story.batch()
    story.withdraw(3)
    story.file(4, {2: 0}, 2)
    story.file(5, {1: 1}, 2)
    story.file(6, {1: 1}, 3, desk=1)
    story.batch()


@pytest.mark.parametrize(
    "chances",
    [
        {"drop": 0.25},
        {"delay": 0.3},
        {"duplicate": 0.5},
        {"reorder": 0.8},
        {"corrupt": 0.1},
        {"kill": 0.06},
        {"kill_board": 0.05},
        {"drop": 0.1, "delay": 0.1, "duplicate": 0.1, "reorder": 0.3, "corrupt": 0.03, "kill": 0.03},
    ],
    ids="+".join,
)
def test_the_outcome_under_faults_is_the_reference(chances: dict[str, float]) -> None:
    story = Story.begin(plan(3, 2, (2, 3)), b"faults", faults(7, **chances))
    tell(story)
    assert story.observed() == story.expected
    assert len(story.expected) > 4
    if "kill" in chances:
        assert story.deployment.kills > 0
    if "kill_board" in chances:
        assert story.deployment.board_disk.kills > 0


def test_a_killed_trustee_repeats_the_same_bytes() -> None:
    """Attack: kill and restart a trustee to make it post other values (a fresh dealing gave k_T away)."""
    story = Story.begin(plan(3, 2, (2, 3)), b"repeat")
    story.file(0, {1: 0}, 2)
    story.file(1, {1: 0}, 2)
    deployment = story.deployment
    deployment.settle()
    seen: dict[Outgoing, bytes] = {}
    original = deployment.trustees[1].machine
    deployment.run_batch()
    for post in original.repeat(deployment.policy.scope):
        seen[post.kind] = post.payload
    deployment.start_trustee(1)
    restarted = deployment.trustees[1].machine
    assert restarted is not original
    again = {post.kind: post.payload for post in restarted.repeat(deployment.policy.scope)}
    assert again == seen
    assert {Outgoing.PLAN_VOTE, Outgoing.ROUND_ONE, Outgoing.ROUND_TWO} <= set(again)


def test_a_trustee_away_queues_filings_and_loses_nothing() -> None:
    story = Story.begin(plan(3, 2, (2, 3)), b"away")
    story.deployment.links[3].reachable = False
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    with pytest.raises(NotAloneError):
        story.deployment.run_batch(rounds=10)
    assert story.observed() == set()
    story.deployment.links[3].reachable = True
    for _ in range(10):
        story.deployment.settle()
    assert story.deployment.board_store.state.scopes[story.deployment.policy.scope].number == 1
    story.batch()
    assert story.observed() == story.expected
    assert story.expected


def test_a_full_disk_posts_nothing_and_goes_on_when_there_is_room() -> None:
    story = Story.begin(plan(3, 2, (2, 3)), b"disk")
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    story.deployment.disks[2].full = True
    with pytest.raises(OSError, match="no space"):
        story.deployment.settle()
    assert not any(
        2 in entry.accepted_by
        for entry in story.deployment.board_store.state.scopes[story.deployment.policy.scope].entries.values()
    )
    story.deployment.disks[2].full = False
    story.deployment.start_trustee(2)
    story.batch()
    assert story.observed() == story.expected


def test_a_bad_bundle_is_shown_to_everybody_and_stops_nobody() -> None:
    """Attack: a reporter gives one trustee bad shares, so that batches with honest reports fail."""
    story = Story.begin(plan(3, 2, (2, 3)), b"bundle")
    deployment = story.deployment
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    reporter = deployment.reporters["person 2"]
    bad = _with_a_bad_bundle(story, reporter)
    deployment.board.submit_filing(bad.filing.encode())
    story.batch()
    assert story.observed() == story.expected
    assert story.expected
    assert deployment.board_store.state.scopes[deployment.policy.scope].entries[bad.header.entry].complained
    for trustee in deployment.trustees.values():
        scope = trustee.machine.state.scopes[deployment.policy.scope]
        assert bad.header.entry in scope.gone
        assert not trustee.halted


def _with_a_bad_bundle(story: Story, reporter: Reporter) -> file.SealedReport:
    """Her own filing, signed by herself, but trustee 2's bundle is trustee 1's."""
    deployment = story.deployment
    sealed = file.seal_report(
        deployment.committee,
        deployment.policy,
        deployment.board.newest_snapshots(deployment.policy.scope)[0],
        reporter.member,
        make_report(
            identifiers={1: b"subject 0"},
            threshold=2,
            mode=ReleaseMode.PEERS,
            preconsent=False,
            desk_key=deployment.desks["desk one"].key.public,
            now=deployment.clock(),
            weeks=52,
            alias="a",
            words="w",
        ),
        period=withdraw.period_of(deployment.clock(), deployment.policy.period_days),
        spent_tags=frozenset(),
        randomness=deployment.randomness,
    )
    bundles = (sealed.filing.bundles[0], sealed.filing.bundles[0], sealed.filing.bundles[2])
    filing = file.sign_filing(replace(sealed.filing, bundles=bundles), sealed.owner.signing_key)
    return file.SealedReport(filing, sealed.header, sealed.owner)


@pytest.mark.parametrize("times", [1, MAX_BAD_POLLS - 1])
def test_a_plan_damaged_on_its_way_is_read_again(times: int) -> None:
    """A changed number looks like another past; one that stays so is one (next test)."""
    story = Story.begin(plan(3, 2, (2, 3)), b"damage")
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    _plans_of_another_past(story, 2, times)
    story.batch()
    assert story.observed() == story.expected
    assert not story.deployment.trustees[2].halted


def test_a_plan_of_another_past_that_stays_halts_before_anything_after_it_is_handled() -> None:
    story = Story.begin(plan(3, 2, (2, 3)), b"past")
    story.file(0, {1: 0}, 2, peers=True)
    _plans_of_another_past(story, 2, 1000)
    with pytest.raises(NotAloneError):
        story.deployment.run_batch(rounds=3 * MAX_BAD_POLLS)
    halted = story.deployment.trustees[2]
    assert halted.halted.startswith(Code.ROLLBACK)
    scope = story.deployment.policy.scope
    feed = story.deployment.board.feed(scope, 0)
    planned = next(item.sequence for item in feed if item.kind == FeedKind.PLAN)
    assert halted.durable.done[scope] < planned < feed[-1].sequence
    assert not any(number > planned for number in halted.durable.handled[scope])


def test_a_board_cannot_make_up_for_hours_without_a_batch_by_many_at_once() -> None:
    """BAT-10. Attack: it waits, then dates plans back, so that every report gets a batch of its own."""
    story = Story.begin(plan(3, 2, (2, 3)), b"backlog")
    deployment, scope = story.deployment, story.deployment.policy.scope
    story.batch()
    hours = 5
    for _ in range(hours):  # trustees are there all the time, and see no plan
        deployment.clock.now += deployment.plan.batch_seconds
        for trustee in deployment.trustees.values():
            trustee.poll(scope)
    closed = deployment.board_store.state.scopes[scope].number
    dated = deployment.board_store.state.scopes[scope].opened_at
    now = deployment.clock.now
    for number in range(1, hours):
        story.file(number, {1: number}, 2)
        deployment.settle()
        deployment.clock.now = dated + number * deployment.plan.batch_seconds  # the board's clock alone
        deployment.board.tick()
        deployment.clock.now = now
        for _ in range(40):
            for trustee in deployment.trustees.values():
                trustee.poll(scope)
    assert deployment.board_store.state.scopes[scope].number == closed
    assert not [one.halted for one in deployment.trustees.values() if one.halted]


def _plans_of_another_past(story: Story, index: int, times: int) -> None:
    """The next plans that this trustee reads carry a number too low."""
    link = story.deployment.links[index]
    left = iter(range(times))

    def feed(scope: bytes, after: int) -> tuple[FeedItem, ...]:
        items = link.feed(scope, after)
        if any(item.kind == FeedKind.PLAN for item in items) and next(left, None) is not None:
            return tuple(_renumbered(item) if item.kind == FeedKind.PLAN else item for item in items)
        return items

    class Past(Link):
        def feed(self, scope: bytes, after: int) -> tuple[FeedItem, ...]:
            return feed(scope, after)

    story.deployment.trustees[index].board = Past(link.board, link.faults)


def _renumbered(item: FeedItem) -> FeedItem:
    made = BatchPlan.decode(item.payload)
    return replace(item, payload=replace(made, number=made.number + 7).encode())


class FaultyDeployment(RuleBasedStateMachine):
    """Random events and random faults, then calm: the reference must hold."""

    story: Story

    @initialize(
        committee=st.sampled_from(((3, 2), (5, 3))),
        seed=st.integers(0, 1 << 16),
        drop=st.sampled_from((0.0, 0.1)),
        corrupt=st.sampled_from((0.0, 0.05)),
        kill=st.sampled_from((0.0, 0.03)),
        disorder=st.sampled_from((0.0, 0.3)),
    )
    def begin(
        self, committee: tuple[int, int], seed: int, drop: float, corrupt: float, kill: float, disorder: float
    ) -> None:
        chosen = faults(
            seed, drop=drop, corrupt=corrupt, kill=kill, reorder=disorder, duplicate=disorder, delay=disorder
        )
        self.story = Story.begin(plan(*committee, (2, 3), slots=(1,)), seed.to_bytes(4, "big"), chosen)

    @rule(
        person=st.integers(0, PEOPLE - 1),
        subject=st.integers(0, 1),
        threshold=st.integers(2, 3),
        peers=st.booleans(),
    )
    def file(self, person: int, subject: int, threshold: int, peers: bool) -> None:
        if len(self.story.names) < 10:
            self.story.file(person, {1: subject}, threshold, peers=peers)

    @rule(index=st.integers(0, 9))
    def withdraw(self, index: int) -> None:
        self.story.withdraw(index)

    @rule(index=st.integers(1, 3))
    def restart(self, index: int) -> None:
        self.story.deployment.start_trustee(index)

    @rule()
    def batch(self) -> None:
        self.story.batch()

    @invariant()
    def nothing_halted(self) -> None:
        if hasattr(self, "story"):
            assert not [one.halted for one in self.story.deployment.trustees.values() if one.halted]

    def teardown(self) -> None:
        if not hasattr(self, "story"):
            return
        self.story.deployment.faults.calm()
        self.story.batch()
        assert self.story.observed() == self.story.expected
        phases = {
            one.status(self.story.deployment.policy.scope) for one in self.story.deployment.trustees.values()
        }
        assert phases == {Phase.IDLE}


TestFaultyDeployment = FaultyDeployment.TestCase
TestFaultyDeployment.settings = settings(
    max_examples=8, stateful_step_count=8, suppress_health_check=list(HealthCheck)
)
