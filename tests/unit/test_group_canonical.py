"""One element has one encoding: libsodium 1.0.18 alone does not see to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.primitives.group import RISTRETTO255

TWIN = RISTRETTO255.generator[:31] + bytes([RISTRETTO255.generator[31] | 0x80])
IDENTITY_TWIN = bytes(31) + b"\x80"
USES: dict[str, Callable[[bytes], bytes]] = {
    "check_element": RISTRETTO255.check_element,
    "negate": RISTRETTO255.negate,
    "add left": lambda element: RISTRETTO255.add(element, RISTRETTO255.generator),
    "add right": lambda element: RISTRETTO255.add(RISTRETTO255.generator, element),
    "subtract": lambda element: RISTRETTO255.subtract(element, RISTRETTO255.generator),
    "multiply": lambda element: RISTRETTO255.multiply(7, element),
    "multiply by zero": lambda element: RISTRETTO255.multiply(0, element),
    "multi_multiply": lambda element: RISTRETTO255.multi_multiply([1, 7], [RISTRETTO255.generator, element]),
    "small_combination": lambda element: RISTRETTO255.small_combination(
        [1, 7], [RISTRETTO255.generator, element]
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("element", [TWIN, IDENTITY_TWIN], ids=["generator", "identity"])
def test_an_element_with_bit_255_set_is_refused_so_that_spent_tags_and_encs_have_no_twin(
    use: Callable[[bytes], bytes], element: bytes
) -> None:
    """[CONV-9, CONV-1]"""
    with pytest.raises(MalformedInput) as caught:
        use(element)
    assert caught.value.code == Code.NON_CANONICAL
