"""Sharing with public verification: one degree, bad shares found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notalone_crypto.errors import Code, Misuse, VerificationFailed
from notalone_crypto.primitives import pedersen
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.randomness import SeededStream


def dealing(threshold: int = 2, count: int = 3, value: int = 41) -> pedersen.Dealing:
    return pedersen.deal(value, 7, threshold, count, SeededStream(b"deal"))


def test_commitment_is_both_terms_and_the_first_of_a_dealing() -> None:
    expected = RISTRETTO255.multi_multiply([5, 6], [RISTRETTO255.generator, pedersen.BLINDING_GENERATOR])
    assert pedersen.commit(5, 6) == expected
    assert pedersen.commit(0, 0) == RISTRETTO255.identity
    assert pedersen.BLINDING_GENERATOR not in {RISTRETTO255.generator, RISTRETTO255.identity}
    assert dealing().commitments[0] == pedersen.commit(41, 7)


def test_every_share_opens_its_own_commitment_and_no_other() -> None:
    made = dealing(3, 5)
    for share in made.shares:
        pedersen.verify_share(made.commitments, 3, share)
        assert pedersen.share_commitment(made.commitments, share.index) == pedersen.commit(
            share.value, share.blind
        )
        for wrong in (
            replace(share, value=(share.value + 1) % ORDER),
            replace(share, blind=(share.blind + 1) % ORDER),
            replace(share, index=share.index % 5 + 1),
        ):
            with pytest.raises(VerificationFailed) as caught:
                pedersen.verify_share(made.commitments, 3, wrong)
            assert caught.value.code == Code.SHARE


@pytest.mark.parametrize("length", [0, 1, 3, 4])
def test_commitments_of_another_degree_are_refused_everywhere(length: int) -> None:
    """Attack: over-long commitments let a dealer hand out shares on which no m trustees agree."""
    made = dealing()
    rows = (made.commitments * 2)[:length]
    for use in (
        lambda: pedersen.verify_share(rows, 2, made.shares[0]),
        lambda: pedersen.verify_shares([(rows, made.shares[0])], 2, [1]),
        lambda: pedersen.recover(rows, 2, made.shares),
        lambda: pedersen.check_commitment_count(rows, 2),
    ):
        with pytest.raises(VerificationFailed) as caught:
            use()
        assert caught.value.code == Code.COMMITMENT_LENGTH


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (4, 3), (-1, 3)])
def test_threshold_outside_the_committee_is_misuse(threshold: int, count: int) -> None:
    with pytest.raises(Misuse):
        pedersen.deal(1, 1, threshold, count, SeededStream(b"x"))


def test_recover_ignores_bad_shares_and_names_them_when_too_few_are_left() -> None:
    made = dealing(2, 4)
    good = list(made.shares)
    bad = [replace(share, value=(share.value + 1) % ORDER) for share in good]
    assert pedersen.recover(made.commitments, 2, [bad[0], good[1], bad[2], good[3]]) == 41
    with pytest.raises(VerificationFailed) as caught:
        pedersen.recover(made.commitments, 2, [bad[0], good[1], bad[2]])
    assert (caught.value.code, caught.value.culprits) == (Code.SHARE, (1, 3))
    # A liar's earlier lie does not shadow what it says later, and does not blame it.
    assert pedersen.recover(made.commitments, 2, [bad[0], good[0], bad[0], good[1]]) == 41
    with pytest.raises(VerificationFailed) as caught:
        pedersen.recover(made.commitments, 2, [bad[0], good[0]])
    assert caught.value.culprits == ()


def test_the_same_share_twice_is_one_share() -> None:
    made = dealing()
    with pytest.raises(VerificationFailed):
        pedersen.recover(made.commitments, 2, [made.shares[0], made.shares[0]])


@pytest.mark.parametrize("indices", [(1, 1), (0, 1), (2, 3, 2)])
def test_interpolation_needs_distinct_indices_that_are_not_zero(indices: tuple[int, ...]) -> None:
    """Attack: a share "at zero" is the secret itself."""
    with pytest.raises(Misuse):
        pedersen.lagrange_at_zero(indices)


def test_interpolation_in_the_exponent_is_the_same() -> None:
    made = dealing(3, 7)
    for chosen in ((1, 2, 3), (1, 4, 7), (2, 3, 6), (5, 6, 7)):
        values = {index: made.shares[index - 1].value for index in chosen}
        elements = {index: RISTRETTO255.base_multiply(value) for index, value in values.items()}
        assert pedersen.interpolate(values, 3) == 41
        assert pedersen.interpolate_elements(elements, 3) == RISTRETTO255.base_multiply(41)
    for interpolate in (pedersen.interpolate, pedersen.interpolate_elements):
        with pytest.raises(Misuse):
            interpolate({1: 5, 2: 6}, 3)  # type: ignore[arg-type, dict-item]


def test_batch_check_takes_one_weight_each_and_one_trustee() -> None:
    one, two = dealing(), pedersen.deal(5, 6, 2, 3, SeededStream(b"two"))
    pedersen.verify_shares([], 2, [])
    pairs = [(one.commitments, one.shares[1]), (two.commitments, two.shares[1])]
    pedersen.verify_shares(pairs, 2, [3, 5])
    with pytest.raises(Misuse):
        pedersen.verify_shares(pairs, 2, [3])
    with pytest.raises(Misuse):
        pedersen.verify_shares([pairs[0], (two.commitments, two.shares[2])], 2, [3, 5])


def test_errors_that_cancel_under_equal_weights_do_not_under_others() -> None:
    one, two = dealing(), pedersen.deal(5, 6, 2, 3, SeededStream(b"two"))
    up = replace(one.shares[0], value=one.shares[0].value + 1)
    down = replace(two.shares[0], value=two.shares[0].value - 1)
    pairs = [(one.commitments, up), (two.commitments, down)]
    pedersen.verify_shares(pairs, 2, [1, 1])  # why the weights must be unforeseen
    with pytest.raises(VerificationFailed):
        pedersen.verify_shares(pairs, 2, [2**100 + 1, 2**99 + 7])


def test_shares_are_not_printed() -> None:
    made = dealing()
    assert repr(Share(1, 123456789, 987654321)) == "Share(index=1)"
    assert str(made.shares[0].value) not in repr(made)
