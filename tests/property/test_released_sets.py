"""The protocol releases exactly what a plaintext reference model says, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.stories import PEOPLE, Story, plan
from tests.support.world import World

from notalone_crypto.messages.committee import ReleaseMode

COMMITTEES = ((3, 2), (4, 2), (5, 3))

filings = st.tuples(
    st.just("file"),
    st.integers(0, PEOPLE - 1),
    st.dictionaries(st.sampled_from((1, 2)), st.integers(0, 1), min_size=1, max_size=2),
    st.integers(2, 4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1),
)
withdrawals = st.tuples(st.just("withdraw"), st.integers(0, 20))
batches = st.tuples(st.just("batch"))
stories = st.lists(
    st.one_of(filings, filings, filings, filings, withdrawals, batches), min_size=3, max_size=12
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.sampled_from(COMMITTEES),
    st.sampled_from(((2, 3), (2, 3, 4))),
    stories,
    st.binary(min_size=4, max_size=4),
)
def test_released_sets_equal_those_of_the_plaintext_reference(
    committee: tuple[int, int],
    levels: tuple[int, ...],
    events: list[tuple],
    seed: bytes,  # type: ignore[type-arg]
) -> None:
    """FIND-2."""
    story = Story.begin(plan(*committee, levels), seed)
    for kind, *details in events:
        if kind == "file":
            person, subjects, threshold, peers, preconsent, desk = details
            bounded = min(threshold, levels[-1])
            story.file(person, subjects, bounded, peers=peers, preconsent=preconsent, desk=desk)
        elif kind == "withdraw":
            story.withdraw(details[0])
        else:
            story.batch()
    story.batch()
    assert story.observed() == story.expected


def test_the_comparison_can_fail() -> None:
    """The reference says something, and one report less changes it."""
    story = Story.begin(plan(3, 2, (2, 3)), b"control")
    for person in (0, 1, 2):
        story.file(person, {1: 0}, 2)
    story.batch()
    assert len(story.expected) == 6
    assert story.observed() == story.expected
    story.expected.pop()
    assert story.observed() != story.expected


@pytest.mark.parametrize(("count", "threshold"), [(7, 3), (7, 4)])
def test_large_committees_release_to_whom_they_should(count: int, threshold: int) -> None:
    world = World(count, threshold, slots=(1,), members=32)
    first = world.file(1, b"bob", 2, ReleaseMode.PEERS)
    second = world.file(2, b"bob", 2, ReleaseMode.PEERS)
    alone = world.file(3, b"carl", 2, ReleaseMode.PEERS)
    world.run_batch()
    assert world.opened_by(first.owner.recipient_key) == {(second.header.entry, 1)}
    assert world.opened_by(second.owner.recipient_key) == {(first.header.entry, 1)}
    assert world.opened_by(alone.owner.recipient_key) == set()
