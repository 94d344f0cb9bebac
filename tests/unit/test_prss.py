"""Sharings without a dealer: degrees, zero, commitments that fit, and who knows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import pytest

from notalone_crypto.primitives import pedersen, prss
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.suite import Tag

COMMITTEES = [(count, threshold) for count in range(3, 8) for threshold in range(2, (count + 1) // 2 + 1)]
CONTEXT = bytes(32)
each = pytest.mark.parametrize(("count", "threshold"), COMMITTEES)


def key(subset: prss.Subset) -> bytes:
    return digest(Tag.SUBSET_KEY, b"test", bytes(subset))


def drawn(count: int, threshold: int, holder: int | None = None) -> dict[prss.Subset, list[prss.SubsetValue]]:
    """Values of all subsets, or of those `holder` has keys for."""
    held = prss.subsets(count, threshold) if holder is None else prss.held_subsets(count, threshold, holder)
    return {subset: [prss.subset_value(key(subset), CONTEXT, n) for n in range(threshold)] for subset in held}


def random_shares(count: int, threshold: int) -> list[pedersen.Share]:
    return [
        prss.random_share({s: v[0] for s, v in drawn(count, threshold, i).items()}, i)
        for i in range(1, count + 1)
    ]


def zero_shares(count: int, threshold: int) -> list[pedersen.Share]:
    return [
        prss.zero_share({s: tuple(v[1:]) for s, v in drawn(count, threshold, i).items()}, i)
        for i in range(1, count + 1)
    ]


def at(points: Sequence[tuple[int, int]], target: int) -> int:
    """The polynomial through `points` at `target`."""
    total = 0
    for index, worth in points:
        numerator = denominator = 1
        for second, _ in points:
            if second != index:
                numerator = numerator * (target - second) % ORDER
                denominator = denominator * (index - second) % ORDER
        total += worth * numerator * pow(denominator, -1, ORDER)
    return total % ORDER


@each
def test_subsets_are_all_and_each_key_is_held_by_all_outside(count: int, threshold: int) -> None:
    everything = prss.subsets(count, threshold)
    assert len(everything) == comb(count, threshold - 1)
    assert list(everything) == sorted(set(everything))
    for holder in range(1, count + 1):
        assert prss.held_subsets(count, threshold, holder) == tuple(s for s in everything if holder not in s)


@each
def test_any_m_minus_one_trustees_lack_a_key_and_any_m_have_all(count: int, threshold: int) -> None:
    """So m - 1 of them know nothing of any value, and no m of them are short of one."""
    everything = set(prss.subsets(count, threshold))
    for few in combinations(range(1, count + 1), threshold - 1):
        known = {subset for member in few for subset in prss.held_subsets(count, threshold, member)}
        assert everything - known == {few}
    for enough in combinations(range(1, count + 1), threshold):
        assert {s for member in enough for s in prss.held_subsets(count, threshold, member)} == everything


@each
def test_random_shares_lie_on_one_polynomial_of_degree_m_minus_one(count: int, threshold: int) -> None:
    for part in ("value", "blind"):
        points = [(share.index, getattr(share, part)) for share in random_shares(count, threshold)]
        secrets = {at(chosen, 0) for chosen in combinations(points, threshold)}
        assert len(secrets) == 1
        assert len({at(chosen, 0) for chosen in combinations(points, threshold - 1)}) > 1


@each
def test_zero_shares_lie_on_one_polynomial_of_degree_2m_minus_2_that_is_zero_at_zero(
    count: int, threshold: int
) -> None:
    for part in ("value", "blind"):
        points = [(share.index, getattr(share, part)) for share in zero_shares(count, threshold)]
        full = points[: 2 * threshold - 1]
        assert at(full, 0) == 0
        assert all(at(full, index) == worth for index, worth in points)
        assert at(full[1:], 0) != 0  # the degree is not smaller
        assert all(worth for _, worth in points)


@each
def test_commitments_fit_the_shares(count: int, threshold: int) -> None:
    values = drawn(count, threshold)
    masks = {subset: own[0].commitment() for subset, own in values.items()}
    zeros = {subset: tuple(part.commitment() for part in own[1:]) for subset, own in values.items()}
    for share, zero in zip(random_shares(count, threshold), zero_shares(count, threshold), strict=True):
        assert prss.random_share_commitment(masks, share.index) == pedersen.commit(share.value, share.blind)
        assert prss.zero_share_commitment(zeros, zero.index) == pedersen.commit(zero.value, zero.blind)


def test_polynomial_of_a_subset_vanishes_on_it_and_only_there() -> None:
    for subset in prss.subsets(7, 4):
        for index in range(1, 8):
            assert (prss.coefficient(subset, index) == 0) == (index in subset)
    assert prss.coefficient((2, 5), 1) == 4
    assert prss.coefficient((2, 5), 7) == 10
    assert prss.coefficient((2, 5), 3) == -2


def test_whose_key_is_missing_has_a_share_that_does_not_depend_on_it() -> None:
    """A member of A knows nothing of A's value: its own share is the same whatever that is."""
    values = {subset: own[0] for subset, own in drawn(5, 3).items()}
    subset = (2, 4)
    other = {**values, subset: prss.SubsetValue(1, 2)}
    for index in range(1, 6):
        same = prss.random_share(values, index) == prss.random_share(other, index)
        assert same == (index in subset)


def test_values_are_the_same_for_one_context_and_independent_for_others() -> None:
    """ENT-2: for ever the same, so no second dealing exists; new for every context, key and position."""
    made = {
        prss.subset_value(one, context, position).commitment()
        for one in (key((1,)), key((2,)))
        for context in (CONTEXT, b"\x01" * 32)
        for position in (0, 1)
    }
    assert len(made) == 8
    value = prss.subset_value(key((1,)), CONTEXT, 0)
    assert value == prss.subset_value(key((1,)), CONTEXT, 0)
    assert value.value != value.blind
    assert repr(value) == "SubsetValue()"


def test_hash_of_a_key_depends_on_key_and_subset() -> None:
    hashes = {
        prss.subset_key_hash(key((number,)), subset) for number in (1, 2) for subset in ((1,), (2,), (1, 2))
    }
    assert len(hashes) == 6


def test_a_commitment_without_any_holder_is_the_identity() -> None:
    assert prss.random_share_commitment({(1,): RISTRETTO255.generator}, 1) == RISTRETTO255.identity
