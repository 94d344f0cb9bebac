"""The finder: what matches, what never does, what it costs."""

from __future__ import annotations

import time

import pytest
from tests.bench.counting import counted
from tests.support.matching import Report, World, name, plaintext_groups, scalar

from notalone_crypto.errors import Code, MalformedInput, Misuse, NotAloneError, StateConflict
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol.find import CurveFinder, MatchEvent
from notalone_crypto.protocol.rounds import Point

LEVELS = (2, 3, 4)
every_level = pytest.mark.parametrize("level", LEVELS)


def feed(level: int, outputs: list[tuple[bytes, Point]]) -> tuple[CurveFinder, list[MatchEvent]]:
    finder = CurveFinder(level)
    events = [finder.add(entry, point) for entry, point in outputs]
    return finder, [event for event in events if event is not None]


def garbage(count: int, seed: str = "garbage") -> list[tuple[bytes, Point]]:
    return [
        (name((seed, i)), Point(scalar(seed, "x", i), RISTRETTO255.base_multiply(scalar(seed, "y", i))))
        for i in range(count)
    ]


def on_polynomial(x: int, coefficients: list[int]) -> Point:
    """A point made by somebody who knows the bases' logarithms, which nobody does."""
    return Point(x, RISTRETTO255.base_multiply(sum(c * x**j for j, c in enumerate(coefficients)) % ORDER))


@every_level
def test_group_forms_with_the_last_of_t_people_among_garbage(level: int) -> None:
    world = World(level)
    same = world.outputs(Report(i, i, subject=7) for i in range(level))
    noise = garbage(6)
    finder, events = feed(level, [*noise[:3], *same[:-1], *noise[3:]])
    assert events == []
    assert not finder.groups
    members = tuple(entry for entry, _ in same)
    assert finder.add(*same[-1]) == MatchEvent(0, members, members)
    assert finder.groups == (members,)


@every_level
def test_two_subjects_form_two_groups_and_late_joiners_find_theirs(level: int) -> None:
    """FIND-3."""
    world = World(level)
    reports = [Report(10 * i + s, person=10 * i + s, subject=s) for i in range(level + 2) for s in (1, 2)]
    finder, events = feed(level, world.outputs(reports))
    first, second = (
        tuple(report.entry for report in reports if report.subject == subject) for subject in (1, 2)
    )
    assert finder.groups == (first, second)
    assert events == [
        MatchEvent(0, first[:level], first[:level]),
        MatchEvent(1, second[:level], second[:level]),
        MatchEvent(0, first[: level + 1], first[level : level + 1]),
        MatchEvent(1, second[: level + 1], second[level : level + 1]),
        MatchEvent(0, first, first[level + 1 :]),
        MatchEvent(1, second, second[level + 1 :]),
    ]


@every_level
def test_one_person_reporting_often_is_one_point(level: int) -> None:
    world = World(level)
    often = [Report(i, person=0, subject=1) for i in range(2 * level)]
    others = [Report(100 + i, person=i, subject=1) for i in range(1, level)]
    finder, events = feed(level, world.outputs([*often, *others[:-1]]))
    assert events == []
    assert finder.representatives == (often[0].entry, *(report.entry for report in others[:-1]))
    event = finder.add(*world.outputs(others)[-1])
    assert event is not None
    assert event.members == (often[0].entry, *(report.entry for report in others))
    # And once more after the match: no event, no new member.
    assert finder.add(name("again"), world.point(0, 1)) is None
    assert finder.groups == (event.members,)


@every_level
def test_equal_x_with_unequal_curve_is_one_point_and_never_a_pair(level: int) -> None:
    # Two colluders choose p + m equal: their x are equal and their subjects are not.
    world = World(level)
    outputs = world.outputs(Report(i, i, subject=1) for i in range(level))
    x = outputs[-1][1].x
    other_subject = (name("colluder"), world.at(x, world.factor("another")))
    finder, events = feed(level, [*outputs[:-1], other_subject, outputs[-1]])
    assert events == []
    assert finder.representatives == (*(entry for entry, _ in outputs[:-1]), name("colluder"))
    # The earliest stands for the point; in the other order the group is whole and the colluder is not in it.
    finder, events = feed(level, [*outputs, other_subject])
    assert [event.members for event in events] == [tuple(entry for entry, _ in outputs)]
    assert len(finder.representatives) == level


@every_level
def test_t_minus_one_people_and_garbage_never_match(level: int) -> None:
    world = World(level)
    outputs = world.outputs(Report(i, i, subject=1) for i in range(level - 1))
    finder, events = feed(level, [*garbage(8, "before"), *outputs, *garbage(8, "after")])
    assert events == []
    assert len(finder.representatives) == 15 + level


@every_level
def test_points_of_different_subjects_never_match(level: int) -> None:
    _, events = feed(level, World(level).outputs(Report(i, person=i % 3, subject=i) for i in range(14)))
    assert events == []


@every_level
def test_garbage_does_not_join_a_group(level: int) -> None:
    world = World(level)
    same = world.outputs(Report(i, i, subject=1) for i in range(level + 1))
    finder, events = feed(level, [*same, *garbage(5), *world.outputs([Report(99, 99, subject=2)])])
    assert len(events) == 2
    assert finder.groups == (tuple(entry for entry, _ in same),)


@pytest.mark.parametrize("level", [3, 4])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_colluders_whose_factors_lie_on_a_curve_do_not_match(level: int, degree: int) -> None:
    # Stronger than any filing: c_i = f(x_i) for a polynomial f, with factors chosen knowing k and x.
    world = World(level)
    coefficients = [scalar("f", j) for j in range(degree + 1)]
    outputs = []
    for i in range(level + 2):
        x = scalar("x", i)
        outputs.append((name(i), world.at(x, sum(c * x**j for j, c in enumerate(coefficients)) % ORDER)))
    _, events = feed(level, outputs)
    assert events == []


def test_equal_curve_values_do_not_match_above_level_two() -> None:
    # Differences that are the identity are handled and are no match by themselves.
    curve = RISTRETTO255.base_multiply(5)
    for level in (3, 4):
        outputs = [(name(i), Point(i + 1, curve)) for i in range(level - 1)]
        _, events = feed(level, [*outputs, *garbage(4)])
        assert events == []


def test_exactly_the_collinear_points_among_lines_through_every_pair() -> None:
    # A conic has no three points on a line, but every pair of its points is on one; one line is added.
    conic = [(name(("conic", x)), on_polynomial(x, [3, 0, 1])) for x in range(1, 9)]
    line = [(name(("line", x)), on_polynomial(x, [1000, 7])) for x in (20, 30, 40)]
    finder, _ = feed(3, [line[0], *conic[:4], line[1], *conic[4:], line[2]])
    assert finder.groups == (tuple(entry for entry, _ in line),)


def test_a_point_on_two_lines_goes_to_the_line_that_is_complete_first() -> None:
    first = [on_polynomial(x, [0, 1]) for x in (1, 2, 3)]
    second = [on_polynomial(x, [60, -19]) for x in (3, 4, 5, 6, 7)]  # both hold (3, 3)
    assert first[2] == second[0]
    outputs = [(name((p.x, p.curve)), p) for p in (*first, *second[1:])]
    finder, events = feed(3, outputs)
    entries = [entry for entry, _ in outputs]
    assert [event.members for event in events] == [
        tuple(entries[:3]), tuple(entries[3:6]), tuple(entries[3:7])
    ]  # fmt: skip
    assert feed(3, outputs)[0].groups == finder.groups == (tuple(entries[:3]), tuple(entries[3:7]))


def test_a_newcomer_that_completes_two_lines_at_once_takes_one_and_the_other_stays_open() -> None:
    points = [
        *(on_polynomial(x, [0, 1]) for x in (1, 2)),
        *(on_polynomial(x, [60, -19]) for x in (4, 5)),
        on_polynomial(3, [0, 1]),
        on_polynomial(6, [60, -19]),
    ]
    entries = [name(i) for i in range(len(points))]
    _, events = feed(3, list(zip(entries, points, strict=True)))
    members = [{entries.index(entry) for entry in event.members} for event in events]
    assert members == [{0, 1, 4}, {2, 3, 5}]


def test_four_points_of_a_parabola_match_at_level_four_and_of_a_cubic_do_not() -> None:
    parabola = [(name(x), on_polynomial(x, [5, 6, 7])) for x in range(1, 6)]
    finder, events = feed(4, parabola)
    assert [len(event.members) for event in events] == [4, 5]
    assert len(finder.groups) == 1
    _, events = feed(4, [(name(x), on_polynomial(x, [5, 6, 7, 8])) for x in range(1, 9)])
    assert events == []


def test_garbage_flood_ends_soon_and_matches_nothing() -> None:
    start = time.perf_counter()
    finder, events = feed(3, garbage(200))
    assert events == []
    assert len(finder.representatives) == 200
    assert time.perf_counter() - start < 30  # about 2 s: 19,900 multiplications


@pytest.mark.parametrize(("level", "expected"), [(2, 0), (3, 10), (4, 54)])
def test_a_newcomer_costs_what_the_docstring_says(level: int, expected: int) -> None:
    # 10 ungrouped points: N, and N(N+1)/2 less the first pair, which needs no quotient.
    finder, _ = feed(level, garbage(10))
    newcomer = garbage(1, "newcomer")[0]
    with counted() as counts:
        finder.add(*newcomer)
    assert counts.multiplications == expected


@pytest.mark.parametrize(("level", "expected"), [(2, 0), (3, 10 + 1), (4, 54 + 2)])
def test_points_in_a_group_are_not_searched_again(level: int, expected: int) -> None:
    finder, _ = feed(level, [*World(level).outputs(Report(i, i, subject=1) for i in range(9)), *garbage(10)])
    newcomer = garbage(1, "newcomer")[0]
    with counted() as counts:
        finder.add(*newcomer)
    assert counts.multiplications == expected


@every_level
def test_a_late_joiner_costs_t_minus_two_multiplications_and_no_search(level: int) -> None:
    world = World(level)
    outputs = world.outputs(Report(i, i, subject=1) for i in range(level + 1))
    finder, _ = feed(level, [*garbage(10), *outputs[:-1]])
    with counted() as counts:
        assert finder.add(*outputs[-1]) is not None
    assert counts.multiplications == level - 2


@every_level
def test_the_same_entry_twice_is_refused_and_changes_nothing(level: int) -> None:
    world = World(level)
    outputs = world.outputs(Report(i, i, subject=1) for i in range(level))
    finder, _ = feed(level, outputs[:-1])
    for point in (outputs[0][1], outputs[-1][1]):
        with pytest.raises(StateConflict) as error:
            finder.add(outputs[0][0], point)
        assert error.value.code == Code.DUPLICATE
    assert finder.add(*outputs[-1]) is not None


@every_level
@pytest.mark.parametrize(
    ("point", "kind", "code"),
    [
        (Point(5, bytes(32)), MalformedInput, Code.IDENTITY),
        (Point(5, b"\xff" * 32), MalformedInput, Code.NON_CANONICAL),
        (Point(5, RISTRETTO255.generator[:31]), MalformedInput, Code.LENGTH),
        (Point(5, RISTRETTO255.generator + b"\x00"), MalformedInput, Code.LENGTH),
        (Point(-1, RISTRETTO255.generator), Misuse, Code.RANGE),
        (Point(ORDER, RISTRETTO255.generator), Misuse, Code.RANGE),
    ],
)
def test_malformed_points_are_refused_and_change_nothing(
    level: int, point: Point, kind: type[NotAloneError], code: Code
) -> None:
    world = World(level)
    outputs = world.outputs(Report(i, i, subject=1) for i in range(level))
    finder, _ = feed(level, outputs[:-1])
    with pytest.raises(kind) as error:
        finder.add(outputs[-1][0], point)
    assert error.value.code == code
    assert finder.add(*outputs[-1]) is not None


@pytest.mark.parametrize("level", [-1, 0, 1, 5])
def test_there_is_no_other_level(level: int) -> None:
    with pytest.raises(Misuse) as error:
        CurveFinder(level)
    assert error.value.code == Code.RANGE


# --- resume: a restart, or the next epoch after a withdrawal --------------------------------------------


@every_level
def test_next_epoch_without_a_withdrawn_member_dissolves_a_group_too_small(level: int) -> None:
    reports = [Report(i, i, subject=1) for i in range(level)]
    old, _ = feed(level, World(level).outputs(reports))
    world = World(level, epoch=1)
    finder, events = CurveFinder.resume(level, world.outputs(reports[1:]), old.representatives, old.groups)
    assert events == ()
    assert finder.groups == ()
    newcomer = Report(50, 50, subject=1)
    event = finder.add(*world.outputs([newcomer])[0])
    entries = tuple(report.entry for report in [*reports[1:], newcomer])
    assert event == MatchEvent(0, entries, entries)


@every_level
def test_withdrawing_the_representative_lets_the_same_persons_other_entry_count(level: int) -> None:
    reports = [Report(i, i, subject=1) for i in range(level)]
    again = Report(50, person=0, subject=1)
    old, _ = feed(level, World(level).outputs([*reports, again]))
    live = [*reports[1:], again]
    finder, events = CurveFinder.resume(
        level, World(level, epoch=1).outputs(live), old.representatives, old.groups
    )
    entries = tuple(report.entry for report in live)
    assert events == (MatchEvent(0, entries, entries),)
    assert finder.groups == (entries,)


@every_level
def test_a_colluders_withdrawn_cover_cannot_hide_what_it_stood_for(level: int) -> None:
    # The cover had the x of a real point and another curve: the real one was never searched before.
    old_world, world = World(level), World(level, epoch=1)
    reports = [Report(i, i, subject=1) for i in range(level)]
    cover = (name("cover"), old_world.at(old_world.point(0, 1).x, scalar("other")))
    old, events = feed(level, [cover, *old_world.outputs(reports)])
    assert events == []
    _, resumed = CurveFinder.resume(level, world.outputs(reports), old.representatives, old.groups)
    assert [set(event.members) for event in resumed] == [{report.entry for report in reports}]


@every_level
def test_a_restart_searches_nothing_again_and_goes_on(level: int) -> None:
    """FIND-5."""
    world = World(level)
    reports = [Report(i, i, subject=1) for i in range(level + 1)]
    outputs = [*garbage(20), *world.outputs(reports)]
    old, _ = feed(level, outputs)
    with counted() as counts:
        finder, events = CurveFinder.resume(level, outputs, old.representatives, old.groups)
    assert counts.multiplications <= 3 + (level - 2) * (level + 1)
    assert events == ()
    assert (finder.groups, finder.representatives) == (old.groups, old.representatives)
    for report in (Report(60, 60, subject=1), Report(61, 61, subject=2)):
        output = world.outputs([report])[0]
        assert finder.add(*output) == old.add(*output)
    with pytest.raises(StateConflict):
        finder.add(*outputs[0])


@every_level
def test_a_store_that_contradicts_the_points_is_refused(level: int) -> None:
    world = World(level)
    reports = [Report(i, i, subject=1) for i in range(level)]
    stranger = Report(50, 50, subject=2)
    same_person = Report(51, person=0, subject=1)
    outputs = world.outputs([*reports, stranger, same_person])
    entries = tuple(report.entry for report in reports)
    honest = (*entries, stranger.entry)
    mixed = (*entries[:-1], stranger.entry)
    for searched, groups in (
        (honest, [mixed]),  # on no common curve
        (honest, [(*entries, stranger.entry)]),
        ((*honest, same_person.entry), [entries]),  # one x twice
        (honest[1:], [entries]),  # a member that was not searched
        (honest, [entries, entries]),  # in two groups
    ):
        with pytest.raises(Misuse) as error:
            CurveFinder.resume(level, outputs, searched, groups)
        assert error.value.code == Code.MISUSE
    finder, _ = CurveFinder.resume(level, outputs, honest, [entries])
    assert {frozenset(group) for group in finder.groups} == plaintext_groups(reports, level)


def test_a_stored_group_lost_at_level_two_is_noticed() -> None:
    outputs = World(2).outputs([Report(0, 0, subject=1), Report(1, 1, subject=1)])
    with pytest.raises(Misuse):
        CurveFinder.resume(2, outputs, [entry for entry, _ in outputs], [])
