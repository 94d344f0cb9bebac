"""The durable state of a trustee as canonical bytes, and back.

Owns one generic, strict encoding of the plain data classes in protocol/state.py.
Refuses to know where the bytes are kept and how they are encrypted. Fields
marked as derived are left out and rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Final, TypeVar

from notalone_crypto.codec import MAX_VARIABLE_LENGTH, Reader, Writer
from notalone_crypto.errors import Code, MalformedInput, Misuse
from notalone_crypto.messages.committee import Desk, Organisation, ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, BatchRecord
from notalone_crypto.messages.filing import Acceptance, Header, Withdrawal
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol.accept import EntryShares
from notalone_crypto.protocol.entries import EntryRows, EntrySecrets, PublicEntry
from notalone_crypto.protocol.log import LogView
from notalone_crypto.protocol.outline import Outline
from notalone_crypto.protocol.record import SealedRecord
from notalone_crypto.protocol.release import Release
from notalone_crypto.protocol.rounds import Point
from notalone_crypto.protocol.state import (
    CurrentBatch,
    LiveEntry,
    Outgoing,
    PendingEntry,
    Phase,
    Post,
    ScopeState,
    TrusteeState,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FormerLiveEntry:
    """A live entry as it was stored before its points got an outline of their own. Read, never written."""

    public: PublicEntry
    secrets: EntrySecrets
    products: tuple[int, ...]
    points: tuple[Point, ...]


# The number of a type is part of the stored format: append, never reorder.
_CLASSES: tuple[type[Any], ...] = (
    TrusteeState,
    ScopeState,
    CurrentBatch,
    PendingEntry,
    FormerLiveEntry,
    Post,
    PublicEntry,
    EntrySecrets,
    EntryShares,
    Share,
    Point,
    LogView,
    SealedRecord,
    Release,
    ScopePolicy,
    Organisation,
    Desk,
    BatchPlan,
    BatchRecord,
    Acceptance,
    Header,
    Withdrawal,
    EntryRows,
    LiveEntry,
    Outline,
)
# The fields that are stored, in their declared order.
_NAMES: dict[type[Any], tuple[str, ...]] = {
    one: tuple(field.name for field in fields(one) if not field.metadata.get("derived")) for one in _CLASSES
}
_ENUMS: tuple[type[Enum], ...] = (Phase, Outgoing)
_NUMBERS: dict[type[Any], bytes] = {
    one: b"\x09" + number.to_bytes(2, "big") for number, one in enumerate(_CLASSES)
}
_INT: Final = b"\x02"
_BYTES: Final = b"\x03"
_TUPLE: Final = 5
_LIST: Final = 6
_SHORT: Final = 256  # lengths whose heads are made once
_BYTES_OF: Final = tuple(_BYTES + size.to_bytes(4, "big") for size in range(_SHORT))
_TUPLE_OF: Final = tuple(b"\x05" + size.to_bytes(4, "big") for size in range(_SHORT))


def dump(value: object) -> bytes:
    """Canonical bytes of a state; raises Misuse for a type that is not part of one."""
    parts: list[bytes] = []
    _write(parts, value)
    return b"".join(parts)


def load(data: bytes, expected: type[T]) -> T:
    """The state these bytes hold. Raises MalformedInput for anything else."""
    reader = Reader(data)
    try:
        value = _read(reader)
    except (TypeError, ValueError, RecursionError) as error:
        # A list as a key, a field missing from a type, nesting without end.
        raise MalformedInput(Code.RANGE, "the stored bytes are damaged") from error
    reader.finish()
    if not isinstance(value, expected):
        raise MalformedInput(Code.RANGE, f"the stored bytes are not a {expected.__name__}")
    return value


def head(data: bytes, count: int) -> tuple[Any, ...]:
    """The first `count` parts of a stored tuple; the rest is neither decoded nor checked."""
    reader = Reader(data)
    try:
        kind, length = reader.u8(), reader.u32()
        parts = tuple(_read(reader) for _ in range(min(count, length)))
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedInput(Code.RANGE, "the stored bytes are damaged") from error
    if kind != _TUPLE or len(parts) != count:
        raise MalformedInput(Code.RANGE, "the stored bytes are not such a tuple")
    return parts


def _write(parts: list[bytes], value: Any) -> None:  # noqa: ANN401 - one branch for each kind
    # By exact type, commonest first: an entry has some hundred parts, and each save writes entries.
    kind = type(value)
    if kind is bytes:
        size = len(value)
        parts += (_BYTES_OF[size] if size < _SHORT else _BYTES + _length(value), value)
    elif kind is int:
        raw = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
        parts += (_INT + _length(raw), raw)
    elif kind is tuple:
        parts.append(_TUPLE_OF[len(value)] if len(value) < _SHORT else b"\x05" + _count(value))
        for item in value:
            _write(parts, item)
    elif kind in _NUMBERS:
        parts.append(_NUMBERS[kind])
        for name in _NAMES[kind]:
            _write(parts, getattr(value, name))
    else:
        _write_rare(parts, value)


def _write_rare(parts: list[bytes], value: Any) -> None:  # noqa: ANN401 - one branch for each kind
    if value is None:
        parts.append(b"\x00")
    elif isinstance(value, Enum):
        parts.append(Writer().u8(1).u8(_ENUMS.index(type(value))).text(value.value).finish())
    elif isinstance(value, int | bytes):
        _write(parts, int(value) if isinstance(value, int) else bytes(value))
    elif isinstance(value, str):
        parts.append(Writer().u8(4).text(value).finish())
    else:
        _write_many(parts, value)


def _write_many(parts: list[bytes], value: Any) -> None:  # noqa: ANN401 - one branch for each kind
    if isinstance(value, tuple | list):
        parts += (bytes([_TUPLE if isinstance(value, tuple) else _LIST]), _count(value))
        for item in value:
            _write(parts, item)
    elif isinstance(value, set | frozenset):
        parts += (b"\x07", _count(value))
        for encoded in sorted(dump(item) for item in value):
            parts += (_length(encoded), encoded)
    elif isinstance(value, Mapping):
        parts += (b"\x08", _count(value))
        for key, item in value.items():  # order is part of the state
            _write(parts, key)
            _write(parts, item)
    else:
        raise Misuse(Code.RANGE, f"a {type(value).__name__} is not part of a state")


def _length(value: bytes) -> bytes:
    if len(value) > MAX_VARIABLE_LENGTH:
        raise Misuse(Code.LENGTH, "byte string is too long to encode")
    return len(value).to_bytes(4, "big")


def _count(value: Sized) -> bytes:
    return len(value).to_bytes(4, "big")


def _read(reader: Reader) -> Any:  # noqa: ANN401, PLR0911 - one branch for each kind
    kind = reader.u8()
    if kind == 0:
        return None
    if kind == 1:
        enum = _at(_ENUMS, reader.u8())
        try:
            return enum(reader.text())
        except ValueError as error:
            raise MalformedInput(Code.RANGE, "unknown value in a stored state") from error
    if kind == 2:
        return int.from_bytes(reader.variable(), "big", signed=True)
    if kind == 3:
        return reader.variable()
    if kind == 4:
        return reader.text()
    if kind in (_TUPLE, _LIST):
        items = [_read(reader) for _ in range(reader.u32())]
        return tuple(items) if kind == _TUPLE else items
    if kind == 7:
        return {_whole(reader.variable()) for _ in range(reader.u32())}
    if kind == 8:
        return {_read(reader): _read(reader) for _ in range(reader.u32())}
    if kind == 9:
        stored = _at(_CLASSES, reader.u16())
        return stored(**{name: _read(reader) for name in _NAMES[stored]})
    raise MalformedInput(Code.RANGE, "unknown kind in a stored state")


def _whole(data: bytes) -> Any:  # noqa: ANN401 - any kind
    reader = Reader(data)
    value = _read(reader)
    reader.finish()
    return value


def _at(table: tuple[type[T], ...], index: int) -> type[T]:
    if index >= len(table):
        raise MalformedInput(Code.RANGE, "unknown type in a stored state")
    return table[index]
