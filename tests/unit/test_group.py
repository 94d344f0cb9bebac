"""The C boundary: no wrong length, second encoding or identity gets through, and no sum goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from notalone_crypto.errors import Code, MalformedInput, Misuse
from notalone_crypto.primitives.group import ORDER, RISTRETTO255

G = RISTRETTO255.generator
ZERO = RISTRETTO255.identity
# RFC 9496 appendix A.3: not canonical, negative field elements, non-square x^2, negative t, y = 0.
BAD_ENCODINGS = [
    "00" + "ff" * 31,
    "ff" * 31 + "7f",
    "f3" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "01" + "00" * 31,
    "01" + "ff" * 30 + "7f",
    "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
    "ec" + "ff" * 30 + "7f",
]
TAKES_AN_ELEMENT: dict[str, Callable[[bytes], bytes]] = {
    "check_element": RISTRETTO255.check_element,
    "negate": RISTRETTO255.negate,
    "add left": lambda element: RISTRETTO255.add(element, G),
    "add right": lambda element: RISTRETTO255.add(G, element),
    "subtract left": lambda element: RISTRETTO255.subtract(element, G),
    "subtract right": lambda element: RISTRETTO255.subtract(G, element),
    "multiply": lambda element: RISTRETTO255.multiply(3, element),
    "multiply by zero": lambda element: RISTRETTO255.multiply(0, element),
    "multiply by the order": lambda element: RISTRETTO255.multiply(ORDER, element),
    "multi_multiply": lambda element: RISTRETTO255.multi_multiply([5], [element]),
    "multi_multiply by zero": lambda element: RISTRETTO255.multi_multiply([0], [element]),
    **{
        f"small_combination by {factor}": lambda element, factor=factor: RISTRETTO255.small_combination(  # type: ignore[misc]
            [factor], [element]
        )
        for factor in (-5, -1, 0, 1, 2, 3, 4, 5)
    },
}


@pytest.mark.parametrize("use", TAKES_AN_ELEMENT.values(), ids=TAKES_AN_ELEMENT)
@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_wrong_length_never_reaches_the_library(use: Callable[[bytes], bytes], length: int) -> None:
    with pytest.raises(MalformedInput) as caught:
        use(bytes([7]) * length)
    assert caught.value.code == Code.LENGTH


@pytest.mark.parametrize("use", TAKES_AN_ELEMENT.values(), ids=TAKES_AN_ELEMENT)
def test_only_bytes_are_an_element(use: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedInput):
        use(bytearray(RISTRETTO255.base_multiply(2)))  # type: ignore[arg-type]


@pytest.mark.parametrize("use", TAKES_AN_ELEMENT.values(), ids=TAKES_AN_ELEMENT)
@pytest.mark.parametrize("encoding", BAD_ENCODINGS)
def test_encoding_that_rfc_9496_calls_bad_is_refused(use: Callable[[bytes], bytes], encoding: str) -> None:
    """RFC 9496 appendix A.3; a sum that lets one through would put it under a proof."""
    with pytest.raises(MalformedInput) as caught:
        use(bytes.fromhex(encoding))
    assert caught.value.code == Code.NON_CANONICAL


def test_identity_is_refused_as_an_element_and_fine_as_a_term() -> None:
    with pytest.raises(MalformedInput) as caught:
        RISTRETTO255.check_element(ZERO)
    assert caught.value.code == Code.IDENTITY
    assert RISTRETTO255.add(ZERO, G) == RISTRETTO255.add(G, ZERO) == G
    assert RISTRETTO255.multiply(7, ZERO) == RISTRETTO255.multiply(0, ZERO) == ZERO
    assert RISTRETTO255.multi_multiply([3, 1], [ZERO, G]) == G
    assert RISTRETTO255.small_combination([1, 3, 1], [ZERO, ZERO, G]) == G


def test_results_that_libsodium_reports_as_failure_are_the_identity() -> None:
    minus = RISTRETTO255.negate(G)
    assert RISTRETTO255.add(G, minus) == RISTRETTO255.subtract(G, G) == ZERO
    assert RISTRETTO255.base_multiply(0) == RISTRETTO255.base_multiply(ORDER) == ZERO
    assert RISTRETTO255.multiply(0, G) == RISTRETTO255.multiply(-ORDER, G) == ZERO
    assert RISTRETTO255.multi_multiply([1, 1], [G, minus]) == ZERO
    assert RISTRETTO255.multi_multiply([], []) == RISTRETTO255.small_combination([], []) == ZERO
    assert RISTRETTO255.small_combination([2, 1, 1], [G, minus, minus]) == ZERO
    assert RISTRETTO255.negate(ZERO) == ZERO


def test_multiplication_is_a_ring_action_for_negative_and_large_scalars() -> None:
    point = RISTRETTO255.base_multiply(11)
    assert RISTRETTO255.multiply(-1, point) == RISTRETTO255.negate(point)
    assert RISTRETTO255.multiply(ORDER + 3, point) == RISTRETTO255.base_multiply(33)
    assert RISTRETTO255.multiply(ORDER - 1, point) == RISTRETTO255.base_multiply(-11)
    assert RISTRETTO255.add(RISTRETTO255.base_multiply(4), point) == RISTRETTO255.base_multiply(15)
    assert RISTRETTO255.multiply(5, G) == RISTRETTO255.base_multiply(5)


def test_small_combination_equals_multi_multiply() -> None:
    choices = random.Random(3)
    points = [RISTRETTO255.base_multiply(number) for number in range(1, 9)]
    interesting = [*range(-9, 10), 2**16, -(2**16), ORDER - 1, ORDER, ORDER + 1, -ORDER, 2**251]
    for _ in range(150):
        count = choices.randrange(1, 6)
        factors = [choices.choice(interesting) for _ in range(count)]
        chosen = [choices.choice([*points, ZERO]) for _ in range(count)]
        assert RISTRETTO255.small_combination(factors, chosen) == RISTRETTO255.multi_multiply(factors, chosen)


def test_as_many_scalars_as_elements() -> None:
    with pytest.raises(Misuse):
        RISTRETTO255.multi_multiply([1], [G, G])
    with pytest.raises(ValueError, match="zip"):
        RISTRETTO255.small_combination([1, 2], [G])


def test_scalars_have_one_encoding() -> None:
    for scalar in (0, 1, ORDER - 1, 2**251):
        data = RISTRETTO255.encode_scalar(scalar)
        assert (len(data), RISTRETTO255.decode_scalar(data)) == (32, scalar)
    assert RISTRETTO255.encode_scalar(1) == b"\x01" + bytes(31)
    for number in (ORDER, ORDER + 1, 2**255, 2**256 - 1):
        with pytest.raises(MalformedInput) as caught:
            RISTRETTO255.decode_scalar(number.to_bytes(32, "little"))
        assert caught.value.code == Code.NON_CANONICAL
    for number in (-1, ORDER):
        with pytest.raises(Misuse):
            RISTRETTO255.encode_scalar(number)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_scalar_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(MalformedInput) as caught:
        RISTRETTO255.decode_scalar(bytes(length))
    assert caught.value.code == Code.LENGTH
    with pytest.raises(MalformedInput):
        RISTRETTO255.decode_scalar(bytearray(32))  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_one_way_map_takes_64_bytes(length: int) -> None:
    with pytest.raises(Misuse):
        RISTRETTO255.from_uniform_bytes(bytes(length))


def test_multiples_of_the_generator_are_those_of_rfc_9496() -> None:
    """RFC 9496 appendix A.1."""
    assert RISTRETTO255.base_multiply(1).hex() == G.hex()
    assert (
        RISTRETTO255.base_multiply(2).hex()
        == "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919"
    )
    assert (
        RISTRETTO255.base_multiply(15).hex()
        == "e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e"
    )
