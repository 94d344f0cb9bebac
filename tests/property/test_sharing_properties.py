"""Any m shares are enough, any m - 1 say nothing, and a sum of checks is all the checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notalone_crypto.errors import VerificationFailed
from notalone_crypto.primitives import pedersen
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.randomness import SeededStream

SCALARS = st.integers(0, ORDER - 1)


@st.composite
def committees(draw: st.DrawFn) -> tuple[int, int]:
    count = draw(st.integers(1, 9))
    return count, draw(st.integers(1, count))


@settings(max_examples=25)
@given(committees(), SCALARS, SCALARS, st.binary(min_size=4, max_size=4), st.data())
def test_any_m_shares_recover_and_bad_ones_do_no_harm(
    committee: tuple[int, int], value: int, blind: int, seed: bytes, data: st.DataObject
) -> None:
    count, threshold = committee
    made = pedersen.deal(value, blind, threshold, count, SeededStream(seed))
    order = data.draw(st.permutations(made.shares))
    chosen = order[:threshold]
    spoiled = [replace(share, value=(share.value + 1) % ORDER) for share in order[threshold:]]
    mixed = data.draw(st.permutations([*chosen, *spoiled]))
    assert pedersen.recover(made.commitments, threshold, mixed) == value
    assert pedersen.interpolate({share.index: share.value for share in chosen}, threshold) == value
    with pytest.raises(VerificationFailed) as caught:
        pedersen.recover(made.commitments, threshold, [*chosen[1:], *spoiled])
    assert caught.value.culprits == tuple(sorted(share.index for share in spoiled))


@given(committees(), SCALARS, SCALARS, st.binary(min_size=4, max_size=4), st.data())
def test_fewer_than_m_shares_are_consistent_with_every_secret(
    committee: tuple[int, int], value: int, other: int, seed: bytes, data: st.DataObject
) -> None:
    """For each other secret there is a sharing with the same m - 1 shares: they say nothing."""
    count, threshold = committee
    made = pedersen.deal(value, 1, threshold, count, SeededStream(seed))
    known = data.draw(st.permutations(made.shares))[: threshold - 1]
    points = {share.index: share.value for share in known}

    def at(target: int) -> int:
        """The polynomial through the known shares and `other` at zero, at `target`."""
        total = 0
        for index, worth in {**points, 0: other}.items():
            numerator = denominator = 1
            for second in {**points, 0: other}:
                if second != index:
                    numerator = numerator * (target - second) % ORDER
                    denominator = denominator * (index - second) % ORDER
            total += worth * numerator * pow(denominator, -1, ORDER)
        return total % ORDER

    alternative = {index: at(index) for index in range(1, count + 1)}
    assert all(alternative[index] == worth for index, worth in points.items())
    assert pedersen.interpolate(alternative, threshold) == other


@settings(max_examples=25)
@given(st.lists(st.booleans(), min_size=1, max_size=5), st.binary(min_size=4, max_size=4), st.data())
def test_checking_together_is_checking_one_by_one(
    spoiled: list[bool], seed: bytes, data: st.DataObject
) -> None:
    stream = SeededStream(seed)
    pairs = []
    for bad in spoiled:
        made = pedersen.deal(5, 6, 2, 3, stream)
        share = made.shares[1]
        if bad:
            name = data.draw(st.sampled_from(("value", "blind")))
            share = replace(share, **{name: (getattr(share, name) + 1) % ORDER})
        pairs.append((made.commitments, share))
    weights = [int.from_bytes(stream(16), "big") | 1 for _ in pairs]
    singly = []
    for commitments, share in pairs:
        try:
            pedersen.verify_share(commitments, 2, share)
        except VerificationFailed:
            singly.append(True)
        else:
            singly.append(False)
    assert singly == spoiled
    if any(spoiled):
        with pytest.raises(VerificationFailed):
            pedersen.verify_shares(pairs, 2, weights)
    else:
        pedersen.verify_shares(pairs, 2, weights)
