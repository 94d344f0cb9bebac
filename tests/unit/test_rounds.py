"""The two rounds: counts, equal outputs whoever evaluates, and what equal x means."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, VerificationFailed
from notalone_crypto.messages.evaluation import RoundOne, RoundTwo
from notalone_crypto.protocol import rounds
from notalone_crypto.protocol.batch import prepare, workload
from notalone_crypto.protocol.evaluate import check_counts


@cache
def batch() -> tuple[
    World, dict[int, RoundOne], dict[int, RoundTwo], rounds.Batch, tuple[int, ...], tuple[int, ...]
]:
    """Four trustees of threshold 2, so that any three are enough; four reports, two of one person."""
    world = World(members=32, slots=(1,), count=4)
    for person, subject in ((0, b"bob"), (0, b"bob"), (1, b"bob"), (0, b"al")):
        world.file(person, subject)
    plan = world.plan()
    works = {}
    for index, own in world.secrets.items():
        scope = world.scope_of(index)
        prepare(world.committee, own, scope, plan)
        works[index] = workload(world.committee, scope, plan)
    first = {
        index: rounds.make_round_one(works[index].batch, own, works[index].secrets, world.randomness)
        for index, own in world.secrets.items()
    }
    rounds.check_round_one(works[1].batch, list(first.values()))
    xs, products = rounds.combine_round_one(works[1].batch, first)
    second = {
        index: rounds.make_round_two(works[index].batch, own, works[index].secrets, xs, world.randomness)
        for index, own in world.secrets.items()
    }
    rounds.check_round_two(works[1].batch, list(second.values()), xs)
    return world, first, second, works[1].batch, xs, products


def test_any_sufficient_evaluators_give_the_same_outputs() -> None:
    """EVAL-3."""
    _, first, second, plan, xs, products = batch()
    points = rounds.combine_round_two(plan, second, xs, products)
    for chosen in combinations(first, 3):
        some_first = {index: first[index] for index in chosen}
        assert rounds.combine_round_one(plan, some_first) == (xs, products)
        for pair in combinations(second, 2):
            assert (
                rounds.combine_round_two(plan, {index: second[index] for index in pair}, xs, products)
                == points
            )


def test_equal_x_is_one_person_and_one_subject() -> None:
    """EVAL-4: at each position; other people and subjects differ."""
    world, _, _, plan, xs, _ = batch()
    rows = [xs[start : start + plan.width] for start in range(0, len(xs), plan.width)]
    assert rows[0] == rows[1]
    everything = [x for row in rows[1:] for x in row]
    assert len(set(everything)) == len(everything) == 3 * plan.width
    args = (world.policy.scope, 1, 2, 0, b"\x01" * 32)
    point = rounds.point_x(world.committee, *args)
    for place, other in enumerate((bytes(32), 2, 3, 1, b"\x02" * 32)):
        changed = (*args[:place], other, *args[place + 1 :])
        assert rounds.point_x(world.committee, *changed) != point  # type: ignore[arg-type]


def test_wrong_number_of_values_names_the_sender() -> None:
    """EVAL-2."""
    _, first, second, plan, _, _ = batch()
    one, two = first[3], second[2]
    for bad in (
        replace(one, duplicates=one.duplicates[1:]),
        replace(one, duplicates=(*one.duplicates, one.duplicates[0])),
        replace(one, openings=one.openings[1:]),
        replace(one, openings=()),
        replace(one, openings=(b"\xff" * 32, *one.openings[1:])),
        replace(two, trustee=3, points=two.points[1:]),
        replace(two, trustee=3, points=()),
    ):
        with pytest.raises(VerificationFailed) as caught:
            check_counts(plan, [bad])  # type: ignore[list-item]
        assert caught.value.culprits == (3,)


def test_every_bad_message_is_named_and_no_good_one() -> None:
    """EVAL-1."""
    _, first, second, plan, xs, _ = batch()
    swapped = replace(first[2], duplicates=first[2].duplicates[::-1])
    unproved = replace(first[4], proof=bytes(len(first[4].proof)))
    with pytest.raises(VerificationFailed) as caught:
        rounds.check_round_one(plan, [first[1], swapped, first[3], unproved])
    assert (caught.value.code, caught.value.culprits) == (Code.PROOF, (2, 4))
    renamed = replace(second[1], trustee=2)
    with pytest.raises(VerificationFailed) as caught:
        rounds.check_round_two(plan, [second[1], renamed, second[3]], xs)
    assert caught.value.culprits == (2,)
