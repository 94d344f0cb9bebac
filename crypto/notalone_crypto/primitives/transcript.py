"""Fiat-Shamir: the SHAKE128 duplex sponge and its codecs (draft-irtf-cfrg-fiat-shamir).

Owns how public messages become a challenge: session identifiers, absorbing,
squeezing, decoding to a scalar, and the strict byte codecs beside them.
Refuses to know groups, statements and what is absorbed; that everything which
must be absorbed is absorbed is the duty of `sigma`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

from notalone_crypto.errors import Code, MalformedInput, Misuse

SESSION_ID_LENGTH: Final = 32
_RATE: Final = 168  # SHAKE128 block in bytes
_EXTRA: Final = 16  # oversampling that keeps the bias of a decoded scalar below 2^-128
_SESSION_LABEL: Final = b"irtf-cfrg-fiat-shamir/session-id"
_PREFIX_LENGTH: Final = 4  # little-endian length before a variable-length string

ByteOrder = Literal["little", "big"]


class DuplexSponge:
    """SHAKE128 as a duplex sponge (draft-irtf-cfrg-fiat-shamir, suite SHAKE128).

    Squeezes continue one output stream of everything absorbed so far; a
    non-empty absorb starts a new stream. Squeezed bytes are not fed back.
    """

    __slots__ = ("_offset", "_state")

    def __init__(self, session_id: bytes) -> None:
        """Start a session. Raises Misuse unless `session_id` is 32 bytes."""
        if len(session_id) != SESSION_ID_LENGTH:
            raise Misuse(Code.LENGTH, "a session identifier must be exactly 32 bytes")
        # Padded to a whole block, so that no absorbed byte can be taken for part of it.
        self._state = hashlib.shake_128(session_id + bytes(_RATE - SESSION_ID_LENGTH))
        self._offset = 0

    def absorb(self, data: bytes) -> None:
        """Append `data`; boundaries between calls leave no trace, callers encode them."""
        if data:
            self._state.update(data)
            self._offset = 0

    def squeeze(self, length: int) -> bytes:
        """The next `length` bytes of the output stream."""
        start = self._offset
        self._offset += length
        return self._state.digest(self._offset)[start:]


def derive_session_id(tag: bytes) -> bytes:
    """32-byte session identifier from an application's tag of any length."""
    sponge = DuplexSponge(_SESSION_LABEL)
    sponge.absorb(tag)
    return sponge.squeeze(SESSION_ID_LENGTH)


def squeeze_scalar(sponge: DuplexSponge, modulus: int) -> int:
    """Challenge in [0, modulus), by 16 bytes of oversampling; bias below 2^-128."""
    return decode_uint(sponge.squeeze(field_length(modulus) + _EXTRA), modulus)


def decode_uint(data: bytes, modulus: int) -> int:
    """Squeezed bytes as a little-endian integer, reduced; it cannot fail.

    Little-endian for every modulus, also where the field serializes big-endian.
    """
    return int.from_bytes(data, "little") % modulus


def field_length(modulus: int) -> int:
    """Bytes of one canonical value in [0, modulus)."""
    return ((modulus - 1).bit_length() + 7) // 8


def serialize_varlen(data: bytes) -> bytes:
    """Four-byte little-endian length, then `data`."""
    return len(data).to_bytes(_PREFIX_LENGTH, "little") + data


def deserialize_varlen(data: bytes) -> tuple[bytes, bytes]:
    """The string at the head of `data`, and the rest.

    Raises: MalformedInput (encoding.truncated).
    """
    length = int.from_bytes(data[:_PREFIX_LENGTH], "little")
    # Compare with what is left: adding to an attacker's length is how others overflowed.
    if len(data) < _PREFIX_LENGTH or length > len(data) - _PREFIX_LENGTH:
        raise MalformedInput(Code.TRUNCATED, "a string is shorter than its length prefix")
    end = _PREFIX_LENGTH + length
    return data[_PREFIX_LENGTH:end], data[end:]


def serialize_uint(value: int, modulus: int, byte_order: ByteOrder = "little") -> bytes:
    """Fixed-length bytes of `value` in [0, modulus); Misuse outside."""
    if not 0 <= value < modulus:
        raise Misuse(Code.RANGE, "a value is outside its field")
    return value.to_bytes(field_length(modulus), byte_order)


def deserialize_uint(data: bytes, modulus: int, byte_order: ByteOrder = "little") -> int:
    """Value in [0, modulus) from exactly its fixed length of bytes.

    Raises: MalformedInput (encoding.length, encoding.non_canonical).
    """
    if len(data) != field_length(modulus):
        raise MalformedInput(Code.LENGTH, "a field value has the wrong length")
    value = int.from_bytes(data, byte_order)
    if value >= modulus:
        raise MalformedInput(Code.NON_CANONICAL, "a field value is not reduced")
    return value


def serialize_field(coordinates: Sequence[int], modulus: int, byte_order: ByteOrder = "little") -> bytes:
    """An element of an extension field, coordinate by coordinate."""
    return b"".join(serialize_uint(value, modulus, byte_order) for value in coordinates)


def deserialize_field(
    data: bytes, modulus: int, degree: int, byte_order: ByteOrder = "little"
) -> tuple[int, ...]:
    """`degree` canonical coordinates from exactly as many bytes.

    Raises: MalformedInput (encoding.length, encoding.non_canonical).
    """
    length = field_length(modulus)
    if len(data) != degree * length:
        raise MalformedInput(Code.LENGTH, "a field element has the wrong length")
    return tuple(
        deserialize_uint(data[start : start + length], modulus, byte_order)
        for start in range(0, len(data), length)
    )
