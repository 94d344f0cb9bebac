"""Linear relations: what a valid statement is, and that each invalid one is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.p256 import P256_GROUP

from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.primitives import sigma
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.primitives.group import RISTRETTO255 as GROUP
from notalone_crypto.primitives.linear import LinearRelation, prove_compact, verify_compact
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR as H
from notalone_crypto.randomness import SeededStream

G = GROUP.generator
NOT_CANONICAL = b"\xff" * 32
ONE = (1).to_bytes(32, "little")


def le(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def pedersen(value: int, blind: int) -> tuple[LinearRelation, bytes]:
    image = GROUP.multi_multiply([value, blind], [G, H])
    relation = LinearRelation(GROUP)
    v, b = relation.scalars(2)
    relation.equation(image, (v, G), (b, H))
    return relation, image


def test_serialization_follows_the_draft_with_elements_by_first_appearance() -> None:
    relation, image = pedersen(3, 4)
    expected = le(1, 1, 1) + ONE + le(2, 0, 0) + ONE + le(1, 2) + ONE + image + H
    assert relation.instance_bytes() == expected
    assert LinearRelation.parse(GROUP, expected).instance_bytes() == expected


def test_equal_elements_are_serialized_once() -> None:
    relation = LinearRelation(GROUP)
    x, y = relation.scalars(2)
    first, second = GROUP.base_multiply(3), GROUP.multiply(3, H)
    relation.equation(first, (x, G))
    relation.equation(second, (x, H))
    relation.equation(first, (y, first))
    assert relation.instance_bytes().count(first) == 1
    relation.check_witness((3, 1))


def test_coefficients_and_affine_images_hold() -> None:
    # X - 5 H = 2 x G + y X, with every element bound on its own.
    x, y = 11, 7
    element = GROUP.base_multiply(9)
    image = GROUP.multi_multiply([2 * x, y, 5], [G, element, H])
    relation = LinearRelation(GROUP)
    sx, sy = relation.scalars(2)
    relation.equation([(1, image), (-5, H)], (sx, G, 2), (sy, element))
    relation.check_witness((x, y))
    proof = sigma.prove(b"s", [relation], [(x, y)], SeededStream(b"r"))
    sigma.verify(b"s", [relation], proof)
    with pytest.raises(Misuse):
        relation.check_witness((x + 1, y))


def no_equations(relation: LinearRelation) -> None:
    relation.scalars(0)


def empty_terms(relation: LinearRelation) -> None:
    relation.equation(H)


def empty_image(relation: LinearRelation) -> None:
    (x,) = relation.scalars(1)
    relation.equation([], (x, G))


def zero_image(relation: LinearRelation) -> None:
    (x,) = relation.scalars(1)
    relation.equation([(0, H)], (x, G))


def cancelling_image(relation: LinearRelation) -> None:
    (x,) = relation.scalars(1)
    relation.equation([(1, H), (-1, H)], (x, G))


def image_that_sums_to_identity(relation: LinearRelation) -> None:
    (x,) = relation.scalars(1)
    relation.equation([(1, GROUP.base_multiply(3)), (1, GROUP.base_multiply(ORDER - 3))], (x, H))


def image_that_sums_to_identity_by_coefficients(relation: LinearRelation) -> None:
    (x,) = relation.scalars(1)
    relation.equation([(1, GROUP.base_multiply(6)), (-2, GROUP.base_multiply(3))], (x, H))


def unused_scalar(relation: LinearRelation) -> None:
    x, _ = relation.scalars(2)
    relation.equation(H, (x, G))


def cancelled_scalar(relation: LinearRelation) -> None:
    x, y = relation.scalars(2)
    relation.equation(H, (x, G), (y, H), (y, H, -1))


@pytest.mark.parametrize(
    "build",
    [
        no_equations,
        empty_terms,
        empty_image,
        zero_image,
        cancelling_image,
        image_that_sums_to_identity,
        image_that_sums_to_identity_by_coefficients,
        unused_scalar,
        cancelled_scalar,
    ],
)
def test_invalid_statement_is_refused_by_prover_and_verifier(build: Callable[[LinearRelation], None]) -> None:
    """PRF-4."""
    relation = LinearRelation(GROUP)
    build(relation)
    with pytest.raises(VerificationFailed) as refused:
        sigma.prove(b"s", [relation], [[1] * relation.witness_length], SeededStream(b"r"))
    assert refused.value.code is Code.STATEMENT
    proof = bytes(relation.commitment_length + relation.response_length)
    with pytest.raises(VerificationFailed) as refused:
        sigma.verify(b"s", [relation], proof)
    assert refused.value.code is Code.STATEMENT


def test_identity_and_wrong_length_elements_are_refused_when_built() -> None:
    relation = LinearRelation(GROUP)
    (x,) = relation.scalars(1)
    for image, code in ((bytes(32), Code.IDENTITY), (G + b"\0", Code.LENGTH), (b"", Code.LENGTH)):
        with pytest.raises(MalformedInput) as refused:
            relation.equation(image, (x, G))
        assert refused.value.code is code
        with pytest.raises(MalformedInput):
            relation.equation(H, (x, image))


def test_variable_of_another_relation_is_refused() -> None:
    _, foreign = LinearRelation(GROUP).scalars(2)
    relation = LinearRelation(GROUP)
    relation.scalars(1)
    with pytest.raises(Misuse):
        relation.equation(H, (foreign, G))


@pytest.mark.parametrize("place", ["image", "base"])
def test_non_canonical_statement_element_is_refused_by_the_multiplication(place: str) -> None:
    relation = LinearRelation(GROUP)
    (x,) = relation.scalars(1)
    if place == "image":
        relation.equation(NOT_CANONICAL, (x, G))
    else:
        relation.equation(G, (x, NOT_CANONICAL))
    with pytest.raises(MalformedInput):
        sigma.verify(b"s", [relation], G + ONE)


def test_statement_parser_refuses_truncation_trailing_and_gaps() -> None:
    encoded = pedersen(3, 4)[0].instance_bytes()
    for end in range(len(encoded)):
        with pytest.raises((MalformedInput, VerificationFailed)):
            LinearRelation.parse(GROUP, encoded[:end])
    with pytest.raises(MalformedInput) as refused:
        LinearRelation.parse(GROUP, encoded + bytes(32))
    assert refused.value.code is Code.TRAILING
    gap = le(1, 1, 2) + ONE + le(1, 0, 0) + ONE + H + GROUP.base_multiply(2)
    with pytest.raises(VerificationFailed):
        LinearRelation.parse(GROUP, gap)
    scalar_gap = le(1, 1, 1) + ONE + le(1, 2**32 - 1, 0) + ONE + H
    with pytest.raises(VerificationFailed):
        LinearRelation.parse(GROUP, scalar_gap)
    with pytest.raises(MalformedInput):
        LinearRelation.parse(GROUP, le(1, 1, 2**32 - 1) + ONE + le(1, 0, 0) + ONE + H)
    for bad in (bytes(32), NOT_CANONICAL):
        with pytest.raises(MalformedInput):
            LinearRelation.parse(GROUP, le(1, 1, 1) + ONE + le(1, 0, 0) + ONE + bad)


def test_wrong_witness_length_is_refused() -> None:
    relation, _ = pedersen(3, 4)
    with pytest.raises(Misuse):
        relation.commit((3,), (1, 2))
    with pytest.raises(Misuse):
        relation.commit((3, 4), (1,))


def test_compact_proofs_hold_and_every_changed_byte_is_refused() -> None:
    relation, _ = pedersen(3, 4)
    proof = prove_compact(b"CMPT", relation, (3, 4), (1234, 5678))
    verify_compact(b"CMPT", relation, proof)
    for position in range(len(proof)):
        changed = bytearray(proof)
        changed[position] ^= 1
        with pytest.raises((MalformedInput, VerificationFailed)):
            verify_compact(b"CMPT", relation, bytes(changed))
    for wrong in (proof + b"\0", proof[:-1]):
        with pytest.raises(MalformedInput):
            verify_compact(b"CMPT", relation, wrong)
    with pytest.raises(VerificationFailed):
        verify_compact(b"another", relation, proof)


def test_compact_proof_whose_commitment_is_the_identity_is_refused() -> None:
    relation, _ = pedersen(3, 4)
    with pytest.raises(MalformedInput) as refused:
        relation.simulate_commitment(0, bytes(64))
    assert refused.value.code is Code.IDENTITY


def test_relation_is_generic_over_the_group() -> None:
    relation = LinearRelation(P256_GROUP)
    (x,) = relation.scalars(1)
    relation.equation(P256_GROUP.base_multiply(77), (x, P256_GROUP.generator))
    proof = sigma.prove(b"s", [relation], [(77,)], SeededStream(b"r"))
    sigma.verify(b"s", [relation], proof)
    with pytest.raises(VerificationFailed):
        sigma.verify(b"t", [relation], proof)
