"""Pseudorandom secret sharing and zero-sharing from subset keys.

Owns the subsets, their polynomials and the values drawn from a subset key
(Cramer, Damgård, Ishai, TCC 2005). Refuses to know how keys are agreed and
what the values are used for. Nobody has a dealing to vary: the same context
gives the same sharing, for ever.

A subset A has threshold - 1 members; its key is held by everyone *outside* A.
f_A(X) = prod_{a in A} (a - X) has degree threshold - 1 and vanishes on A. It is
not normalised to f_A(0) = 1: the factor prod(a) only rescales a uniform value,
and integer coefficients let commitments be combined by additions
(specs/adr/0009-integer-subset-polynomials.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from math import prod

from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import derive_scalar, digest
from notalone_crypto.primitives.pedersen import Share, commit
from notalone_crypto.suite import Tag

Subset = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SubsetValue:
    """A pseudorandom value and its blinding, known to the holders of one key."""

    value: int = field(repr=False)
    blind: int = field(repr=False)

    def commitment(self) -> bytes:
        """`Com(value, blind)`, 32 bytes."""
        return commit(self.value, self.blind)


@cache
def subsets(count: int, threshold: int) -> tuple[Subset, ...]:
    """All subsets of 1..count with threshold - 1 members, in lexicographic order."""
    return tuple(combinations(range(1, count + 1), threshold - 1))


@cache
def held_subsets(count: int, threshold: int, holder: int) -> tuple[Subset, ...]:
    """The subsets whose key trustee `holder` knows: those it is not in."""
    return tuple(subset for subset in subsets(count, threshold) if holder not in subset)


@cache
def coefficient(subset: Subset, index: int) -> int:
    """f_A(index), a public integer."""
    return prod(member - index for member in subset)


def subset_key_hash(key: bytes, subset: Subset) -> bytes:
    """The 32-byte hash of a subset key that the manifest carries."""
    return digest(Tag.SUBSET_KEY_HASH, key, bytes(subset))


def subset_value(key: bytes, context: bytes, position: int) -> SubsetValue:
    """Value number `position` of one key under one 32-byte context."""
    number = position.to_bytes(2, "big")
    return SubsetValue(
        derive_scalar(key, Tag.SUBSET_VALUE, context, number, b"value"),
        derive_scalar(key, Tag.SUBSET_VALUE, context, number, b"blind"),
    )


def random_share(values: Mapping[Subset, SubsetValue], index: int) -> Share:
    """Trustee `index`'s share of a random value of degree threshold - 1.

    `values` holds one value for each subset the trustee is not in.
    """
    value = blind = 0
    for subset, drawn in values.items():
        factor = coefficient(subset, index)
        value += factor * drawn.value
        blind += factor * drawn.blind
    return Share(index, value % ORDER, blind % ORDER)


def zero_share(values: Mapping[Subset, tuple[SubsetValue, ...]], index: int) -> Share:
    """Trustee `index`'s share of zero, degree 2*threshold - 2.

    z(X) = sum_A sum_j r_{A,j} X^j f_A(X), j = 1..threshold-1: one value per A
    would leave the sharing in a smaller space and broke threshold 3.
    """
    value = blind = 0
    for subset, drawn in values.items():
        factor = coefficient(subset, index)
        for power, part in enumerate(drawn, start=1):
            value += factor * index**power * part.value
            blind += factor * index**power * part.blind
    return Share(index, value % ORDER, blind % ORDER)


def random_share_commitment(commitments: Mapping[Subset, bytes], index: int) -> bytes:
    """Public commitment to `random_share`, from every subset's; those with `index` in them count zero."""
    used = [subset for subset in commitments if index not in subset]
    return RISTRETTO255.small_combination(
        [coefficient(subset, index) for subset in used], [commitments[subset] for subset in used]
    )


def zero_share_commitment(commitments: Mapping[Subset, tuple[bytes, ...]], index: int) -> bytes:
    """Public commitment to `zero_share`."""
    factors: list[int] = []
    elements: list[bytes] = []
    for subset, parts in commitments.items():
        if index in subset:
            continue
        for power, part in enumerate(parts, start=1):
            factors.append(coefficient(subset, index) * index**power)
            elements.append(part)
    return RISTRETTO255.small_combination(factors, elements)
