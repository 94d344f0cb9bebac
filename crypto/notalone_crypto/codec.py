"""Strict canonical bytes: one encoding per value, no trailing data.

Owns integers (big-endian), fixed and length-prefixed strings, lists.
Refuses to know what any message means. Reading never slices past the end and
never accepts a second encoding of the same value (specs/30-wire-format.md).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from notalone_crypto.errors import Code, MalformedInput, Misuse

T = TypeVar("T")
MAX_VARIABLE_LENGTH = 1 << 24


class Writer:
    """Accumulates canonical bytes."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def uint(self, value: int, length: int) -> Writer:
        """Unsigned big-endian integer of `length` bytes."""
        if not 0 <= value < 1 << (8 * length):
            raise Misuse(Code.RANGE, f"an integer does not fit in {length} bytes")
        self._parts.append(value.to_bytes(length, "big"))
        return self

    def u8(self, value: int) -> Writer:
        """One byte."""
        return self.uint(value, 1)

    def u16(self, value: int) -> Writer:
        """Two bytes, big-endian."""
        return self.uint(value, 2)

    def u32(self, value: int) -> Writer:
        """Four bytes, big-endian."""
        return self.uint(value, 4)

    def u64(self, value: int) -> Writer:
        """Eight bytes, big-endian."""
        return self.uint(value, 8)

    def fixed(self, value: bytes, length: int) -> Writer:
        """Exactly `length` bytes, no prefix."""
        if len(value) != length:
            raise Misuse(Code.LENGTH, f"expected {length} bytes, got {len(value)}")
        self._parts.append(value)
        return self

    def variable(self, value: bytes) -> Writer:
        """u32 length, then the bytes."""
        if len(value) > MAX_VARIABLE_LENGTH:
            raise Misuse(Code.LENGTH, "byte string is too long to encode")
        self._parts.append(len(value).to_bytes(4, "big"))
        self._parts.append(value)
        return self

    def text(self, value: str) -> Writer:
        """UTF-8 in normalization form NFC, as `variable`."""
        if unicodedata.normalize("NFC", value) != value:
            raise Misuse(Code.TEXT, "text is not in normalization form NFC")
        try:
            raw = value.encode("utf-8")
        except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can carry
            raise Misuse(Code.TEXT, "text has no UTF-8 encoding") from error
        return self.variable(raw)

    def listing(self, values: Sequence[T], write: Callable[[Writer, T], object]) -> Writer:
        """u16 count, then each value by `write`."""
        self.u16(len(values))
        for value in values:
            write(self, value)
        return self

    def fixed_list(self, values: Iterable[bytes], length: int) -> Writer:
        """u16 count, then strings of exactly `length` bytes each."""
        return self.listing(list(values), lambda writer, value: writer.fixed(value, length))

    def finish(self) -> bytes:
        """The bytes written so far."""
        return b"".join(self._parts)


class Reader:
    """Takes canonical bytes apart; every method raises MalformedInput."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)
        self._position = 0

    def fixed(self, length: int) -> bytes:
        """The next `length` bytes."""
        end = self._position + length
        if end > len(self._data):
            raise MalformedInput(Code.TRUNCATED, "the bytes end too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def uint(self, length: int) -> int:
        """Unsigned big-endian integer of `length` bytes."""
        return int.from_bytes(self.fixed(length), "big")

    def u8(self) -> int:
        """One byte."""
        position = self._position
        if position >= len(self._data):
            raise MalformedInput(Code.TRUNCATED, "the bytes end too early")
        self._position = position + 1
        return self._data[position]

    def u16(self) -> int:
        """Two bytes."""
        return self.uint(2)

    def u32(self) -> int:
        """Four bytes."""
        return int.from_bytes(self.fixed(4), "big")

    def u64(self) -> int:
        """Eight bytes."""
        return self.uint(8)

    def variable(self, limit: int = MAX_VARIABLE_LENGTH) -> bytes:
        """u32 length (at most `limit`), then that many bytes."""
        length = self.u32()
        if length > limit:
            raise MalformedInput(Code.LENGTH, "a length prefix is above its limit")
        return self.fixed(length)

    def text(self, limit: int = 4096) -> str:
        """UTF-8 in NFC; anything else is refused, not repaired."""
        raw = self.variable(limit)
        try:
            value = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedInput(Code.TEXT, "text is not UTF-8") from error
        if unicodedata.normalize("NFC", value) != value:
            raise MalformedInput(Code.TEXT, "text is not in normalization form NFC")
        return value

    def listing(self, read: Callable[[Reader], T], limit: int = 65535) -> tuple[T, ...]:
        """u16 count (at most `limit`), then each value by `read`."""
        count = self.u16()
        if count > limit:
            raise MalformedInput(Code.RANGE, "a list is longer than its limit")
        return tuple(read(self) for _ in range(count))

    def fixed_list(self, length: int, limit: int = 65535) -> tuple[bytes, ...]:
        """u16 count, then strings of exactly `length` bytes each."""
        return self.listing(lambda reader: reader.fixed(length), limit)

    def finish(self) -> None:
        """Refuse trailing bytes."""
        if self._position != len(self._data):
            raise MalformedInput(Code.TRAILING, "bytes follow the end of the message")


def join(*parts: bytes) -> bytes:
    """Injective concatenation: every part behind its u32 length."""
    pieces: list[bytes] = []
    for part in parts:
        if len(part) > MAX_VARIABLE_LENGTH:
            raise Misuse(Code.LENGTH, "byte string is too long to encode")
        pieces += (len(part).to_bytes(4, "big"), part)
    return b"".join(pieces)


def check_length(value: bytes, length: int, what: str) -> bytes:
    """Return `value` if it is exactly `length` bytes, else raise MalformedInput."""
    if not isinstance(value, bytes) or len(value) != length:
        raise MalformedInput(Code.LENGTH, f"{what} must be exactly {length} bytes")
    return value
