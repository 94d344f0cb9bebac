"""P-256 for tests: slow, simple, not constant-time; it lets the CFRG vectors check generic code.

Implements `primitives.group.Group` with compressed SEC 1 points of 33 bytes and
big-endian scalars of 32. The identity is 33 zero bytes inside this process and
is never accepted as an encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from notalone_crypto.errors import Code, MalformedInput

PRIME: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CONSTANT: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GENERATOR: Final = bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
IDENTITY: Final = bytes(33)

Affine = tuple[int, int] | None


@lru_cache(maxsize=1024)
def _decode(element: bytes) -> Affine:
    if element == IDENTITY:
        return None
    if not isinstance(element, bytes) or len(element) != 33:
        raise MalformedInput(Code.LENGTH, "a P-256 element must be exactly 33 bytes")
    x = int.from_bytes(element[1:], "big")
    square = (x**3 - 3 * x + CONSTANT) % PRIME
    y = pow(square, (PRIME + 1) // 4, PRIME)
    if element[0] not in (2, 3) or x >= PRIME or y * y % PRIME != square:
        raise MalformedInput(Code.NON_CANONICAL, "not a compressed P-256 element")
    return x, y if y & 1 == element[0] & 1 else PRIME - y


def _encode(point: Affine) -> bytes:
    if point is None:
        return IDENTITY
    return bytes([2 + (point[1] & 1)]) + point[0].to_bytes(32, "big")


def _add(left: Affine, right: Affine) -> Affine:
    if left is None:
        return right
    if right is None:
        return left
    if left[0] == right[0]:
        if (left[1] + right[1]) % PRIME == 0:
            return None
        slope = (3 * left[0] ** 2 - 3) * pow(2 * left[1], -1, PRIME)
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, PRIME)
    x = (slope * slope - left[0] - right[0]) % PRIME
    return x, (slope * (left[0] - x) - left[1]) % PRIME


def _double(x: int, y: int, z: int) -> tuple[int, int, int]:
    """Jacobian doubling for the coefficient -3; the order is odd, so y is never zero."""
    square = y * y % PRIME
    cross = 4 * x * square % PRIME
    slope = 3 * (x - z * z) * (x + z * z) % PRIME
    new_x = (slope * slope - 2 * cross) % PRIME
    return new_x, (slope * (cross - new_x) - 8 * square * square) % PRIME, 2 * y * z % PRIME


def _multiply(scalar: int, point: Affine) -> Affine:
    reduced = scalar % ORDER
    if reduced == 0 or point is None:
        return None
    x, y, z = point[0], point[1], 1
    for bit in bin(reduced)[3:]:
        x, y, z = _double(x, y, z)
        if bit == "1":
            # The partial scalar is below the order: equal or opposite points meet only at the end.
            run = (point[0] * z * z - x) % PRIME
            if run == 0:
                inverse = pow(z, -1, PRIME)
                sum_of_both = _add((x * inverse**2 % PRIME, y * inverse**3 % PRIME), point)
                if sum_of_both is None:
                    return None
                x, y, z = sum_of_both[0], sum_of_both[1], 1
                continue
            rise = (point[1] * z * z * z - y) % PRIME
            area = run * run % PRIME
            cross = x * area % PRIME
            new_x = (rise * rise - run * area - 2 * cross) % PRIME
            x, y, z = new_x, (rise * (cross - new_x) - y * run * area) % PRIME, z * run % PRIME
    inverse = pow(z, -1, PRIME)
    return x * inverse**2 % PRIME, y * inverse**3 % PRIME


class P256:
    """NIST P-256 with the interface of `primitives.group.Group`."""

    name = "P256"
    order = ORDER
    element_length = 33
    scalar_length = 32
    generator = GENERATOR
    identity = IDENTITY

    def check_element(self, element: bytes) -> bytes:
        """Return a canonical non-identity element or raise MalformedInput."""
        if element == IDENTITY:
            raise MalformedInput(Code.IDENTITY, "the identity element is not allowed here")
        _decode(element)
        return element

    def add(self, left: bytes, right: bytes) -> bytes:
        """Sum of two elements."""
        return _encode(_add(_decode(left), _decode(right)))

    def negate(self, element: bytes) -> bytes:
        """Inverse of an element."""
        return _encode(_multiply(ORDER - 1, _decode(element)))

    def multiply(self, scalar: int, element: bytes) -> bytes:
        """Scalar times element."""
        return _encode(_multiply(scalar, _decode(element)))

    def base_multiply(self, scalar: int) -> bytes:
        """Scalar times the generator."""
        return self.multiply(scalar, GENERATOR)

    def multi_multiply(self, scalars: Sequence[int], elements: Sequence[bytes]) -> bytes:
        """Sum of products."""
        total: Affine = None
        for scalar, element in zip(scalars, elements, strict=True):
            total = _add(total, _multiply(scalar, _decode(element)))
        return _encode(total)

    def encode_scalar(self, scalar: int) -> bytes:
        """32 big-endian bytes."""
        return scalar.to_bytes(32, "big")

    def decode_scalar(self, data: bytes) -> int:
        """Scalar in [0, order) or MalformedInput."""
        if len(data) != 32:
            raise MalformedInput(Code.LENGTH, "a scalar must be exactly 32 bytes")
        scalar = int.from_bytes(data, "big")
        if scalar >= ORDER:
            raise MalformedInput(Code.NON_CANONICAL, "a scalar is not reduced")
        return scalar


P256_GROUP: Final = P256()
