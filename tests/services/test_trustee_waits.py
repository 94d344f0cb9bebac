"""What the page says while a batch waits: for whom, or for which date. Nothing halts, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.stories import Story, plan

from notalone_crypto.protocol.state import Phase
from notalone_crypto.protocol.withdraw import DAY_SECONDS
from notalone_server.edge.metrics import Metrics
from notalone_server.trustee import page
from notalone_server.trustee.worker import COUNTERS, GAUGES, Worker

DOCS = Path(__file__).resolve().parents[2] / "docs"


def page_of(story: Story, index: int, language: str) -> str:
    """One trustee's page, polling once as its worker does."""
    deployment = story.deployment
    scopes = [("university", deployment.policy.scope)]
    metrics = Metrics("trustee", COUNTERS, GAUGES)
    worker = Worker(lambda: deployment.trustees[index], scopes, deployment.clock, metrics)
    worker.step()
    return page.render(worker, deployment.clock(), "Association", language)


def test_a_batch_in_progress_names_the_trustees_it_waits_for() -> None:
    """An evaluator that is away, perhaps for good: its operator is the one to call."""
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"waits")
    deployment, scope = story.deployment, story.deployment.policy.scope
    story.batch()
    assert "waits for" not in page_of(story, 1, "en")
    deployment.clock.now += deployment.plan.batch_seconds
    deployment.board.tick()
    for _ in range(3):
        deployment.trustees[2].poll(scope)
    shown = page_of(story, 1, "en")
    assert "agreeing on a batch; waits for trustee 3" in shown
    assert "\u00a0; attend le tiers 3" in page_of(story, 1, "fr")


@pytest.mark.parametrize(
    ("language", "words", "guide", "heading"),
    [
        (
            "en",
            "is still to come: no other batch can begin before",
            "operators.md",
            "### A batch dated in the future",
        ),
        ("fr", "encore à venir d’après l’horloge", "operateurs.md", "Un lot daté dans l’avenir"),
    ],
)
def test_all_clocks_were_wrong_together_and_the_scope_waits_for_that_date(
    language: str, words: str, guide: str, heading: str
) -> None:
    """All machines' clocks were a month ahead while a batch closed; nobody may close one before that date."""
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"ahead")
    deployment, scope = story.deployment, story.deployment.policy.scope
    story.batch()
    right = deployment.clock.now
    deployment.clock.now += 30 * DAY_SECONDS
    story.batch()
    ahead = deployment.clock.now
    deployment.clock.now = right + deployment.plan.batch_seconds
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    for _ in range(3):
        deployment.board.tick()
        deployment.settle()
    shown = page_of(story, 1, language)
    assert words in shown
    assert heading in (DOCS / guide).read_text(encoding="utf-8")
    for trustee in deployment.trustees.values():
        assert trustee.status(scope) == Phase.IDLE
        assert not trustee.halted
        assert trustee.durable.refusals == []  # filings are accepted, and wait
        assert len(trustee.machine.state.scopes[scope].pending) == 2
    deployment.clock.now = ahead
    story.batch()
    assert story.observed() == story.expected
    assert story.expected
    assert words not in page_of(story, 1, language)


@pytest.mark.parametrize(("language", "words"), [("en", "check the clock"), ("fr", "vérifiez l’horloge")])
def test_one_clock_is_wrong_and_its_operator_is_told(language: str, words: str) -> None:
    """A plan is far ahead of this machine's clock: it waits, and the page says for what."""
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"slow")
    deployment, scope = story.deployment, story.deployment.policy.scope
    story.batch()
    deployment.clock.now += deployment.plan.batch_seconds
    deployment.board.tick()
    slow = deployment.trustees[1]
    slow.clock = lambda: deployment.clock.now - 2 * deployment.plan.batch_seconds
    slow.poll(scope)
    assert words in page_of(story, 1, language)
    slow.clock = deployment.clock
    deployment.settle()
    assert words not in page_of(story, 1, language)
