"""Properties of the finder: it finds what the plaintext reference finds, in any order of arrival."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.matching import Report, World, plaintext_groups

from notalone_crypto.protocol.find import CurveFinder

every_level = pytest.mark.parametrize("level", [2, 3, 4])

# Few people and subjects, so that duplicates, groups and late joiners are common at every level.
PAIRS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from((0, 0, 0, 1, 1, 2))), min_size=4, max_size=16)
REPORTS = PAIRS.map(lambda pairs: [Report(i, person, subject) for i, (person, subject) in enumerate(pairs)])


def run(world: World, reports: list[Report]) -> CurveFinder:
    finder = CurveFinder(world.level)
    joined: list[bytes] = []
    for entry, point in world.outputs(reports):
        event = finder.add(entry, point)
        if event is not None:
            assert finder.groups[event.group] == event.members
            assert set(event.joined) <= set(event.members)
            joined += event.joined
    # Every member is announced exactly once.
    assert sorted(joined) == sorted(entry for group in finder.groups for entry in group)
    return finder


@every_level
@settings(max_examples=60)
@given(REPORTS)
def test_groups_are_the_plaintext_groups(level: int, reports: list[Report]) -> None:
    finder = run(World(level), reports)
    assert {frozenset(group) for group in finder.groups} == plaintext_groups(reports, level)
    order = [report.entry for report in reports]
    for group in finder.groups:
        assert list(group) == sorted(group, key=order.index)


@every_level
@settings(max_examples=40)
@given(st.data())
def test_people_grouped_do_not_depend_on_the_order(level: int, data: st.DataObject) -> None:
    reports = data.draw(REPORTS)
    shuffled = data.draw(st.permutations(reports))
    pair = {report.entry: (report.person, report.subject) for report in reports}
    partitions = [
        {frozenset(pair[entry] for entry in group) for group in run(World(level), order).groups}
        for order in (reports, shuffled)
    ]
    assert partitions[0] == partitions[1]


@every_level
@settings(max_examples=60)
@given(st.data())
def test_resuming_in_the_next_epoch_is_the_same_as_searching_again(level: int, data: st.DataObject) -> None:
    reports = data.draw(REPORTS)
    withdrawn = data.draw(st.sets(st.integers(0, 15)))
    live = [report for report in reports if report.number not in withdrawn]
    old = run(World(level), reports)
    world = World(level, epoch=1)
    resumed, events = CurveFinder.resume(level, world.outputs(live), old.representatives, old.groups)
    again = run(world, live)
    assert resumed.groups == again.groups
    assert resumed.representatives == again.representatives
    assert {frozenset(group) for group in resumed.groups} == plaintext_groups(live, level)
    # Nobody already in a group is announced again unless the group had dissolved.
    kept = {entry for group in old.groups for entry in group if len(set(group) & names(live)) >= level}
    announced = [entry for event in events for entry in event.joined]
    assert not kept & set(announced)
    assert kept | set(announced) == {entry for group in resumed.groups for entry in group} | (
        kept - names(live)
    )
    late = Report(99, person=99, subject=0)
    assert resumed.add(*world.outputs([late])[0]) == again.add(*world.outputs([late])[0])


def names(reports: list[Report]) -> set[bytes]:
    return {report.entry for report in reports}
