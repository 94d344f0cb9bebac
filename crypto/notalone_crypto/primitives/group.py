"""The prime-order group: ristretto255 (RFC 9496) by the system's libsodium.

Owns the C boundary: every length is checked before a call, because libsodium
reads a short buffer out of bounds; identity results, which libsodium reports
as failures, are handled here. Refuses to know hashing to the group, proofs,
protocols. Scalars are Python integers in [0, q): arithmetic on them is not
guaranteed constant-time (SOUNDNESS.md#timing); point multiplication is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import cffi

from notalone_crypto.errors import Code, MalformedInput, Misuse

ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_SMALL: Final = 4  # a public coefficient up to this is cheaper by additions


class Group(Protocol):
    """A group of prime order; elements are their canonical encodings.

    Implementations: ristretto255 here; a slow P-256 in the tests, which lets
    the CFRG vectors check code that is generic over the group.
    """

    name: str
    order: int
    element_length: int
    scalar_length: int
    generator: bytes
    identity: bytes

    def check_element(self, element: bytes) -> bytes:
        """Return a canonical non-identity element or raise MalformedInput."""

    def add(self, left: bytes, right: bytes) -> bytes:
        """Sum of two elements."""

    def negate(self, element: bytes) -> bytes:
        """Inverse of an element."""

    def multiply(self, scalar: int, element: bytes) -> bytes:
        """Scalar times element; constant-time in the scalar for ristretto255."""

    def base_multiply(self, scalar: int) -> bytes:
        """Scalar times the generator."""

    def multi_multiply(self, scalars: Sequence[int], elements: Sequence[bytes]) -> bytes:
        """Sum of products; the number of terms is public."""

    def encode_scalar(self, scalar: int) -> bytes:
        """Canonical bytes of a scalar in [0, order)."""

    def decode_scalar(self, data: bytes) -> int:
        """Scalar in [0, order) or MalformedInput."""


_ffi: Any = cffi.FFI()
_ffi.cdef(
    """
    int sodium_init(void);
    int crypto_core_ristretto255_is_valid_point(const unsigned char *p);
    int crypto_core_ristretto255_add(unsigned char *r, const unsigned char *p, const unsigned char *q);
    int crypto_core_ristretto255_sub(unsigned char *r, const unsigned char *p, const unsigned char *q);
    int crypto_core_ristretto255_from_hash(unsigned char *p, const unsigned char *r);
    int crypto_scalarmult_ristretto255(unsigned char *q, const unsigned char *n, const unsigned char *p);
    int crypto_scalarmult_ristretto255_base(unsigned char *q, const unsigned char *n);
    """
)


_OUT: Any = _ffi.typeof("unsigned char[32]")  # parsed once, not at every call


def _load() -> Any:
    for name in ("libsodium.so.23", "libsodium.so.26", "libsodium.so", "libsodium.dylib"):
        try:
            library = _ffi.dlopen(name)
        except OSError:
            continue
        if library.sodium_init() >= 0:
            return library
    raise ImportError("libsodium 1.0.18 or newer is missing; on Debian: apt-get install libsodium23")


_sodium: Any = _load()


def _taken(out: Any) -> bytes:
    element: bytes = _ffi.buffer(out)[:]
    return element


class Ristretto255:
    """ristretto255; every element is 32 bytes, the identity is 32 zero bytes."""

    name = "ristretto255"
    order = ORDER
    element_length = 32
    scalar_length = 32
    identity = bytes(32)
    generator = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")

    def check_element(self, element: bytes) -> bytes:
        """Return `element` if it is 32 canonical bytes and not the identity.

        Raises: MalformedInput (encoding.length, encoding.identity,
        encoding.non_canonical).
        """
        self._length(element)
        if element == self.identity:
            raise MalformedInput(Code.IDENTITY, "the identity element is not allowed here")
        if _sodium.crypto_core_ristretto255_is_valid_point(element) != 1:
            raise MalformedInput(Code.NON_CANONICAL, "not a canonical ristretto255 element")
        return element

    def add(self, left: bytes, right: bytes) -> bytes:
        """Sum of two elements, either of which may be the identity."""
        self._length(left)
        self._length(right)
        out = _ffi.new(_OUT)
        if _sodium.crypto_core_ristretto255_add(out, left, right) != 0:
            raise MalformedInput(Code.NON_CANONICAL, "not a canonical ristretto255 element")
        return _taken(out)

    def subtract(self, left: bytes, right: bytes) -> bytes:
        """Difference of two elements."""
        self._length(left)
        self._length(right)
        out = _ffi.new(_OUT)
        if _sodium.crypto_core_ristretto255_sub(out, left, right) != 0:
            raise MalformedInput(Code.NON_CANONICAL, "not a canonical ristretto255 element")
        return _taken(out)

    def negate(self, element: bytes) -> bytes:
        """Inverse of an element."""
        return self.subtract(self.identity, element)

    def multiply(self, scalar: int, element: bytes) -> bytes:
        """`scalar` (any integer, taken mod q) times `element` (may be the identity)."""
        self._length(element)
        reduced = scalar % ORDER
        if reduced == 0 or element == self.identity:
            if element != self.identity:
                self.check_element(element)
            return self.identity
        out = _ffi.new(_OUT)
        # A zero scalar or an identity result cannot occur here: the order is prime.
        if _sodium.crypto_scalarmult_ristretto255(out, reduced.to_bytes(32, "little"), element) != 0:
            raise MalformedInput(Code.NON_CANONICAL, "not a canonical ristretto255 element")
        return _taken(out)

    def base_multiply(self, scalar: int) -> bytes:
        """`scalar` (any integer, taken mod q) times the generator."""
        reduced = scalar % ORDER
        if reduced == 0:
            return self.identity
        out = _ffi.new(_OUT)
        if _sodium.crypto_scalarmult_ristretto255_base(out, reduced.to_bytes(32, "little")) != 0:
            raise Misuse(Code.RANGE, "libsodium refused a reduced scalar")
        return _taken(out)

    def multi_multiply(self, scalars: Sequence[int], elements: Sequence[bytes]) -> bytes:
        """Sum of products. Terms with the generator use the fixed-base routine.

        No term is skipped for its value unless it is zero, so secrets may be
        used; their number is public.
        """
        if len(scalars) != len(elements):
            raise Misuse(Code.LENGTH, "as many scalars as elements are needed")
        total = self.identity
        for scalar, element in zip(scalars, elements, strict=True):
            if element == self.generator:
                term = self.base_multiply(scalar)
            else:
                term = self.multiply(scalar, element)
            total = term if total == self.identity else self.add(total, term)
        return total

    def small_combination(self, coefficients: Sequence[int], elements: Sequence[bytes]) -> bytes:
        """Sum of products for *public*, mostly small coefficients.

        Uses additions where they are cheaper than a multiplication; never for
        secrets, since the time depends on the coefficients.
        """
        total = self.identity
        for coefficient, element in zip(coefficients, elements, strict=True):
            magnitude = abs(coefficient)
            if magnitude == 0:
                self.multiply(0, element)  # checks it: the result says that all of these are elements
                continue
            small = magnitude <= _SMALL
            term = self._small_multiple(magnitude, element) if small else self.multiply(coefficient, element)
            if small and coefficient < 0:
                total = self.subtract(total, term)
            elif total == self.identity and magnitude > 1:
                total = term
            else:
                total = self.add(total, term)  # also what checks an element that is its own term
        return total

    def from_uniform_bytes(self, data: bytes) -> bytes:
        """Map 64 uniform bytes to an element (RFC 9496 section 4.3.4)."""
        if len(data) != 64:
            raise Misuse(Code.LENGTH, "the one-way map takes exactly 64 bytes")
        out = _ffi.new(_OUT)
        if _sodium.crypto_core_ristretto255_from_hash(out, data) != 0:
            raise Misuse(Code.RANGE, "libsodium refused uniform bytes")
        return _taken(out)

    def encode_scalar(self, scalar: int) -> bytes:
        """32 little-endian bytes of a scalar in [0, q)."""
        if not 0 <= scalar < ORDER:
            raise Misuse(Code.RANGE, "a scalar is outside [0, q)")
        return scalar.to_bytes(32, "little")

    def decode_scalar(self, data: bytes) -> int:
        """Scalar in [0, q) from 32 canonical bytes; MalformedInput otherwise."""
        if not isinstance(data, bytes) or len(data) != 32:
            raise MalformedInput(Code.LENGTH, "a scalar must be exactly 32 bytes")
        scalar = int.from_bytes(data, "little")
        if scalar >= ORDER:
            raise MalformedInput(Code.NON_CANONICAL, "a scalar is not reduced")
        return scalar

    def _small_multiple(self, magnitude: int, element: bytes) -> bytes:
        total = element
        for bit in bin(magnitude)[3:]:
            total = self.add(total, total)
            if bit == "1":
                total = self.add(total, element)
        return total

    @staticmethod
    def _length(element: bytes) -> None:
        if not isinstance(element, bytes) or len(element) != 32:
            raise MalformedInput(Code.LENGTH, "an element must be exactly 32 bytes")
        # libsodium 1.0.18 ignores bit 255 (RFC 9496 section 4.3.1 refuses it). Attack: a second
        # encoding of one element passes every look-up of spent tags, seen encs and the identity.
        if element[31] & 0x80:
            raise MalformedInput(Code.NON_CANONICAL, "not a canonical ristretto255 element")


RISTRETTO255: Final = Ristretto255()
