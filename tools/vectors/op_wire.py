"""Operations on wire messages: fields to bytes and bytes to fields, for every message type.

Owns the JSON form of a message's fields. Refuses to know what a message means.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from tools.vectors.registry import Json, Table, VectorMismatchError, operation

from notalone_crypto import messages
from notalone_crypto.messages import wire
from notalone_crypto.messages.wire import Message


def message_types() -> dict[str, type[Message]]:
    """Every wire message by name, in the order of its number."""
    # Found by looking, so that a new message without vectors fails the tests.
    names = [f"{messages.__name__}.{module.name}" for module in pkgutil.iter_modules(messages.__path__)]
    found = {
        value
        for module in map(importlib.import_module, names)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Message) and value is not Message
    }
    return {one.__name__: one for one in sorted(found, key=lambda one: one.TYPE)}


MESSAGES = message_types()


def fields_of(message: Message) -> Table:
    """A message's fields as JSON, nested messages as tables."""
    return {name: _to_json(kind, getattr(message, name)) for name, kind in wire._kinds(type(message))}  # noqa: SLF001 - the declared kinds are the format


def from_fields(message_type: type[Message], table: Table) -> Message:
    """The message with these fields; raises as its constructor does."""
    declared = dict(wire._kinds(message_type))  # noqa: SLF001 - the declared kinds are the format
    return message_type(**{name: _from_json(declared[name], value) for name, value in table.items()})


@operation("wire.decode")
def decode(message: str, data: bytes, splice: Table | None = None) -> Table:
    """The fields of an encoded message. `splice` {at, remove, insert} first changes `data` in one place."""
    changed = data if splice is None else spliced(data, splice)
    decoded = MESSAGES[message].decode(changed)
    if decoded.encode() != changed:
        raise VectorMismatchError("decoding accepted a second encoding")
    return {"fields": fields_of(decoded)}


@operation("wire.encode")
def encode(message: str, fields: Table, changes: Table | None = None) -> Table:
    """The canonical bytes of a message with these fields, some of them replaced by `changes`."""
    return {"data": from_fields(MESSAGES[message], {**fields, **(changes or {})}).encode()}


def spliced(data: bytes, splice: Table) -> bytes:
    """`data` with `remove` bytes from `at` on replaced by `insert`."""
    start, end = splice["at"], splice["at"] + splice["remove"]
    return data[:start] + bytes.fromhex(splice["insert"]) + data[end:]


def splice_between(old: bytes, new: bytes) -> Table:
    """The one change that makes `new` from `old`."""
    shortest = min(len(old), len(new))
    start = next((place for place in range(shortest) if old[place] != new[place]), shortest)
    tail = 0
    while tail < shortest - start and old[len(old) - 1 - tail] == new[len(new) - 1 - tail]:
        tail += 1
    return {"at": start, "remove": len(old) - tail - start, "insert": new[start : len(new) - tail].hex()}


def _to_json(kind: wire.Kind, value: Any) -> Json:  # noqa: ANN401 - a field of any kind
    if isinstance(kind, wire.ListOf):
        return [_to_json(vars(kind)["_kind"], item) for item in value]
    if isinstance(kind, wire.Nested):
        return fields_of(value)
    return value.hex() if isinstance(value, bytes) else value


def _from_json(kind: wire.Kind, value: Json) -> Any:  # noqa: ANN401 - a field of any kind
    if isinstance(kind, wire.ListOf):
        return tuple(_from_json(vars(kind)["_kind"], item) for item in value)
    if isinstance(kind, wire.Nested):
        return from_fields(vars(kind)["_message"], value)
    if isinstance(kind, wire.Fixed | wire.Variable):
        return bytes.fromhex(value)
    return value
