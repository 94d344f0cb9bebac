"""Pedersen commitments and Pedersen verifiable secret sharing.

Owns `Com(v, b) = v*G + b*H`, sharing with public verification, and Lagrange
interpolation. Refuses to know who deals, why, and what happens to a bad
share. Indices are 1..n; the polynomial has degree exactly threshold - 1, and a
commitment list of any other length is refused (an over-long one let a dealer
hand out shares that no m trustees agree on).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from notalone_crypto.errors import Code, Misuse, VerificationFailed
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import hash_to_group
from notalone_crypto.randomness import Randomness, random_scalar
from notalone_crypto.suite import Tag

BLINDING_GENERATOR: Final = hash_to_group(Tag.PEDERSEN_H)  # spec: H


@dataclass(frozen=True, slots=True)
class Share:
    """One trustee's part of a shared value: `index` 1..n and two scalars."""

    index: int
    value: int = field(repr=False)
    blind: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dealing:
    """What a dealer makes: `threshold` public commitments and n private shares."""

    commitments: tuple[bytes, ...]
    shares: tuple[Share, ...] = field(repr=False)


def commit(value: int, blind: int) -> bytes:
    """`value*G + blind*H`, 32 bytes."""
    group = RISTRETTO255
    return group.add(group.base_multiply(value), group.multiply(blind, BLINDING_GENERATOR))


def deal(value: int, blind: int, threshold: int, count: int, randomness: Randomness) -> Dealing:
    """Share `value` among `count` trustees so that `threshold` recover it.

    The first commitment is `commit(value, blind)` (Pedersen, CRYPTO '91).
    Raises: Misuse when not 1 <= threshold <= count.
    """
    if not 1 <= threshold <= count:
        raise Misuse(Code.RANGE, "threshold must be between 1 and the number of trustees")
    values = [value] + [random_scalar(randomness) for _ in range(threshold - 1)]
    blinds = [blind] + [random_scalar(randomness) for _ in range(threshold - 1)]
    shares = tuple(
        Share(index, _evaluate(values, index), _evaluate(blinds, index)) for index in range(1, count + 1)
    )
    return Dealing(tuple(commit(v, b) for v, b in zip(values, blinds, strict=True)), shares)


def share_commitment(commitments: Sequence[bytes], index: int) -> bytes:
    """The commitment to trustee `index`'s share: `sum index^k * C_k`."""
    group = RISTRETTO255
    total = commitments[-1]
    for commitment in reversed(commitments[:-1]):
        total = group.small_combination((index, 1), (total, commitment))
    return total


def check_commitment_count(commitments: Sequence[bytes], threshold: int) -> None:
    """Raise VerificationFailed (share.commitment_length) unless the degree is exactly threshold - 1."""
    if len(commitments) != threshold:
        raise VerificationFailed(
            Code.COMMITMENT_LENGTH, f"expected {threshold} commitments, got {len(commitments)}"
        )


def verify_share(commitments: Sequence[bytes], threshold: int, share: Share) -> None:
    """Raise VerificationFailed unless `share` opens its public commitment."""
    check_commitment_count(commitments, threshold)
    if commit(share.value, share.blind) != share_commitment(commitments, share.index):
        raise VerificationFailed(Code.SHARE, "a share does not open its commitment")


def verify_shares(
    dealings: Sequence[tuple[Sequence[bytes], Share]], threshold: int, weights: Sequence[int]
) -> None:
    """Check many shares of one trustee at once by a random linear combination.

    `weights` are at least 128-bit numbers that the dealers could not foresee.
    Raises: VerificationFailed; which share is wrong is for `verify_share` to say.
    """
    if len(weights) != len(dealings):
        raise Misuse(Code.LENGTH, "one weight for each share is needed")
    if not dealings:
        return
    group = RISTRETTO255
    index = dealings[0][1].index
    value_sum = blind_sum = 0
    sums: list[list[bytes]] = [[] for _ in range(threshold)]
    for (commitments, share), weight in zip(dealings, weights, strict=True):
        check_commitment_count(commitments, threshold)
        if share.index != index:
            raise Misuse(Code.RANGE, "only one trustee's shares can be checked together")
        value_sum += weight * share.value
        blind_sum += weight * share.blind
        for degree, commitment in enumerate(commitments):
            sums[degree].append(commitment)
    public = [
        share_commitment([column[position] for column in sums], index) for position in range(len(weights))
    ]
    if group.multi_multiply(weights, public) != commit(value_sum % ORDER, blind_sum % ORDER):
        raise VerificationFailed(Code.SHARE, "a share does not open its commitment")


@cache
def lagrange_at_zero(indices: tuple[int, ...]) -> tuple[int, ...]:
    """Coefficients c_i with f(0) = sum c_i f(i) for deg f < len(indices)."""
    if len(set(indices)) != len(indices) or 0 in indices:
        raise Misuse(Code.RANGE, "interpolation needs distinct non-zero indices")
    coefficients = []
    for i in indices:
        numerator = denominator = 1
        for j in indices:
            if j != i:
                numerator *= j
                denominator *= j - i
        if numerator % denominator == 0:  # a small integer: additions are enough
            coefficients.append(numerator // denominator)
        else:
            coefficients.append(numerator * pow(denominator, -1, ORDER) % ORDER)
    return tuple(coefficients)


def interpolate(values: Mapping[int, int], count: int) -> int:
    """f(0) from the `count` lowest indices of `values`; deg f < count."""
    if len(values) < count:
        raise Misuse(Code.LENGTH, "not enough shares to interpolate")
    chosen = tuple(sorted(values)[:count])
    terms = zip(lagrange_at_zero(chosen), chosen, strict=True)
    return sum(coefficient * values[index] for coefficient, index in terms) % ORDER


def interpolate_elements(values: Mapping[int, bytes], count: int) -> bytes:
    """Interpolation in the exponent from the `count` lowest indices."""
    if len(values) < count:
        raise Misuse(Code.LENGTH, "not enough shares to interpolate")
    chosen = tuple(sorted(values)[:count])
    return RISTRETTO255.small_combination(lagrange_at_zero(chosen), [values[index] for index in chosen])


def recover(commitments: Sequence[bytes], threshold: int, shares: Sequence[Share]) -> int:
    """The shared value from any shares, ignoring those that do not open (section release).

    Raises: VerificationFailed (share.invalid, culprits = indices of bad
    shares) when fewer than `threshold` good ones remain.
    """
    check_commitment_count(commitments, threshold)
    good: dict[int, int] = {}
    bad: set[int] = set()
    for share in shares:
        try:
            verify_share(commitments, threshold, share)
        except VerificationFailed:
            bad.add(share.index)
        else:
            good[share.index] = share.value
    if len(good) < threshold:
        raise VerificationFailed(
            Code.SHARE, "not enough good shares to open", culprits=tuple(sorted(bad - set(good)))
        )
    return interpolate(good, threshold)


def _evaluate(coefficients: Sequence[int], index: int) -> int:
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * index + coefficient) % ORDER
    return total
