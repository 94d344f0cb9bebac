"""How a wire message is declared: field kinds, validation, canonical bytes.

Owns the mapping from annotated dataclass fields to specs/30-wire-format.md.
Refuses to know any particular message. Every message starts with the protocol
version (u16) and its type (u8); a message is checked when it is constructed,
so one that exists is well-formed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import fields
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self, get_args, get_type_hints

from notalone_crypto.codec import Reader, Writer
from notalone_crypto.errors import Code, MalformedInput, Misuse
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.suite import (
    ELEMENT_LENGTH,
    HASH_LENGTH,
    HPKE_KEY_LENGTH,
    PROTOCOL_VERSION,
    SIGNATURE_LENGTH,
    VERIFY_KEY_LENGTH,
    Tag,
)


class Kind(ABC):
    """How one field is checked, written and read."""

    @abstractmethod
    def check(self, value: Any, name: str) -> None:
        """Raise MalformedInput unless `value` is of this kind."""

    @abstractmethod
    def write(self, writer: Writer, value: Any) -> None:
        """Append the canonical bytes of a checked value."""

    @abstractmethod
    def read(self, reader: Reader) -> Any:
        """Take one value; the message's constructor checks it."""


class Unsigned(Kind):
    """Big-endian unsigned integer of `length` bytes."""

    def __init__(self, length: int) -> None:
        self._length = length

    def check(self, value: Any, name: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << (8 * self._length):
            raise MalformedInput(Code.RANGE, f"{name} is out of range")

    def write(self, writer: Writer, value: Any) -> None:
        writer.uint(value, self._length)

    def read(self, reader: Reader) -> Any:
        return reader.uint(self._length)


class Fixed(Kind):
    """Exactly `length` bytes."""

    def __init__(self, length: int) -> None:
        self._length = length

    def check(self, value: Any, name: str) -> None:
        if not isinstance(value, bytes) or len(value) != self._length:
            raise MalformedInput(Code.LENGTH, f"{name} must be exactly {self._length} bytes")

    def write(self, writer: Writer, value: Any) -> None:
        writer.fixed(value, self._length)

    def read(self, reader: Reader) -> Any:
        return reader.fixed(self._length)


class ElementKind(Fixed):
    """A canonical, non-identity ristretto255 element."""

    def __init__(self) -> None:
        super().__init__(ELEMENT_LENGTH)

    def check(self, value: Any, name: str) -> None:
        super().check(value, name)
        RISTRETTO255.check_element(value)


class Variable(Kind):
    """Length-prefixed bytes of at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def check(self, value: Any, name: str) -> None:
        if not isinstance(value, bytes) or len(value) > self._limit:
            raise MalformedInput(Code.LENGTH, f"{name} is longer than {self._limit} bytes")

    def write(self, writer: Writer, value: Any) -> None:
        writer.variable(value)

    def read(self, reader: Reader) -> Any:
        return reader.variable(self._limit)


class Text(Kind):
    """NFC text of at most `limit` UTF-8 bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def check(self, value: Any, name: str) -> None:
        too_long = MalformedInput(Code.TEXT, f"{name} is not a text of at most {self._limit} bytes")
        if not isinstance(value, str):
            raise too_long
        try:
            written = Writer().text(value).finish()
        except Misuse as error:
            raise MalformedInput(Code.TEXT, f"{name} is not in normalization form NFC") from error
        if len(written) - len(Writer().text("").finish()) > self._limit:
            raise too_long

    def write(self, writer: Writer, value: Any) -> None:
        writer.text(value)

    def read(self, reader: Reader) -> Any:
        return reader.text(self._limit)


class ListOf(Kind):
    """u16 count, then that many values of one kind."""

    def __init__(self, kind: Kind, limit: int = 65535) -> None:
        self._kind = kind
        self._limit = limit

    def check(self, value: Any, name: str) -> None:
        if not isinstance(value, tuple) or len(value) > self._limit:
            raise MalformedInput(Code.RANGE, f"{name} is not a list of at most {self._limit}")
        for item in value:
            self._kind.check(item, name)

    def write(self, writer: Writer, value: Any) -> None:
        writer.u16(len(value))
        for item in value:
            self._kind.write(writer, item)

    def read(self, reader: Reader) -> Any:
        return reader.listing(self._kind.read, self._limit)


class Nested(Kind):
    """Another message, without its version and type."""

    def __init__(self, message: type[Message]) -> None:
        self._message = message

    def check(self, value: Any, name: str) -> None:
        if type(value) is not self._message:
            raise MalformedInput(Code.RANGE, f"{name} is not a {self._message.__name__}")

    def write(self, writer: Writer, value: Any) -> None:
        value.write_fields(writer)

    def read(self, reader: Reader) -> Any:
        return self._message.read_fields(reader)


class Message:
    """Base of all wire messages; subclasses are frozen, slotted dataclasses.

    `TYPE` is the message's number in specs/30-wire-format.md#message-types.
    """

    __slots__ = ()
    TYPE: ClassVar[int]

    def __post_init__(self) -> None:
        for name, kind in _kinds(type(self)):
            kind.check(getattr(self, name), name)
        self.check()

    def check(self) -> None:
        """Cross-field rules; raise MalformedInput."""

    def encode(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().u16(PROTOCOL_VERSION).u8(self.TYPE)
        self.write_fields(writer)
        return writer.finish()

    def with_field(self, name: str, value: Any) -> Self:
        """A copy with one other field, of which only that field is checked again.

        `dataclasses.replace` would validate every element a second time, at a
        square root each. Raises: MalformedInput.
        """
        copy = object.__new__(type(self))
        for known, kind in _kinds(type(self)):
            if known == name:
                kind.check(value, name)
            object.__setattr__(copy, known, value if known == name else getattr(self, known))
        copy.check()
        return copy

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The message these bytes encode.

        Raises: MalformedInput (encoding.*); never anything else, whatever the
        bytes, and no partial result exists.
        """
        reader = Reader(data)
        if reader.u16() != PROTOCOL_VERSION:
            raise MalformedInput(Code.VERSION, "unknown protocol version")
        if reader.u8() != cls.TYPE:
            raise MalformedInput(Code.VERSION, f"these bytes are not a {cls.__name__}")
        message = cls.read_fields(reader)
        reader.finish()
        return message

    def write_fields(self, writer: Writer) -> None:
        """Append the fields in their declared order."""
        for name, kind in _kinds(type(self)):
            kind.write(writer, getattr(self, name))

    @classmethod
    def read_fields(cls, reader: Reader) -> Self:
        """Take the fields in their declared order."""
        return cls(**{name: kind.read(reader) for name, kind in _kinds(cls)})


_KINDS: dict[type[Message], tuple[tuple[str, Kind], ...]] = {}


@lru_cache(maxsize=1024)
def name_of(tag: Tag, message: Message, *before: bytes) -> bytes:
    """32-byte digest of a message's canonical bytes, remembered because it is asked for at every step.

    For public messages only: what was asked about lately stays in memory.
    """
    return digest(tag, *before, message.encode())


def _kinds(message: type[Message]) -> tuple[tuple[str, Kind], ...]:
    kinds = _KINDS.get(message)
    if kinds is None:
        kinds = _KINDS[message] = tuple(_declared(message))
    return kinds


def _declared(message: type[Message]) -> Iterator[tuple[str, Kind]]:
    hints = get_type_hints(message, include_extras=True)
    for field in fields(message):  # type: ignore[arg-type]  # every subclass is a dataclass
        kinds = [part for part in get_args(hints[field.name]) if isinstance(part, Kind)]
        if len(kinds) != 1:
            raise TypeError(f"{message.__name__}.{field.name} does not say its kind")
        yield field.name, kinds[0]


U8 = Annotated[int, Unsigned(1)]
U16 = Annotated[int, Unsigned(2)]
U32 = Annotated[int, Unsigned(4)]
U64 = Annotated[int, Unsigned(8)]
Hash = Annotated[bytes, Fixed(HASH_LENGTH)]
VerifyKey = Annotated[bytes, Fixed(VERIFY_KEY_LENGTH)]
HpkeKey = Annotated[bytes, Fixed(HPKE_KEY_LENGTH)]
Signature = Annotated[bytes, Fixed(SIGNATURE_LENGTH)]
Element = Annotated[bytes, ElementKind()]
Elements = Annotated[tuple[bytes, ...], ListOf(ElementKind())]
ElementRows = Annotated[tuple[tuple[bytes, ...], ...], ListOf(ListOf(ElementKind()))]
Hashes = Annotated[tuple[bytes, ...], ListOf(Fixed(HASH_LENGTH))]
Proof = Annotated[bytes, Variable(1 << 20)]
