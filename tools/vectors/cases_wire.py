"""Cases for every wire message: one valid encoding, and every way to spoil it.

Owns how a valid encoding is broken, field by field, from the declared kinds.
Refuses to know what a message means; where the deployment has no example of a
message, one is made up from its kinds alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.vectors.book import Book
from tools.vectors.op_wire import MESSAGES, fields_of, splice_between, spliced
from tools.vectors.registry import Json, Table, VectorMismatchError

from notalone_crypto.codec import Writer
from notalone_crypto.messages import wire
from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import PROTOCOL_VERSION

HEAD = 3  # version and type
OFF_LIMITS = 65535
NOT_NFC = "e\u0301"
NOT_UTF8 = b"\xff\xfe"


def example(message_type: type[Message], stream: SeededStream, known: dict[str, Message]) -> Message:
    """A known message, or one made up from its kinds: only for those without rules across fields."""
    if message_type.__name__ in known:
        return known[message_type.__name__]
    declared = wire._kinds(message_type)  # noqa: SLF001 - the declared kinds are the format
    return message_type(**{name: _made_up(kind, name, stream, known) for name, kind in declared})


def wire_books(examples: dict[str, Message], rules: dict[str, tuple[str, str, Table]]) -> Iterator[Book]:
    """One file for each module of messages; `rules` are refusals across fields: code, message, fields."""
    modules: dict[str, list[str]] = {}
    for name, message_type in MESSAGES.items():
        modules.setdefault(message_type.__module__.rpartition(".")[2], []).append(name)
    for module, names in modules.items():
        book = Book(f"wire_{module}", f"Wire messages of {module}: fields and bytes, and what is refused.")
        for name in names:
            made = example(MESSAGES[name], SeededStream(b"vectors/wire/" + name.encode()), examples)
            _message(book, made)
        for case, (code, name, fields) in rules.items():
            if name in names:
                book.bad(f"rule-{case}", code, "wire.encode", message=name, fields=fields)
        yield book


def _message(book: Book, message: Message) -> None:
    name = type(message).__name__
    data, fields = message.encode(), fields_of(message)
    valid = book.share(f"{name.lower()}_data", data)
    listed = book.share(f"{name.lower()}_fields", fields)
    made = book.good(f"{name}-encode".lower(), "wire.encode", message=name, fields=listed)
    decoded = book.good(f"{name}-decode".lower(), "wire.decode", message=name, data=valid)
    if (made["data"], decoded["fields"]) != (data.hex(), fields):
        raise VectorMismatchError(f"{name} does not survive encoding and decoding")

    def refuse(case: str, code: str, changed: bytes) -> None:
        splice = splice_between(data, changed)
        if spliced(data, splice) != changed:
            raise VectorMismatchError(f"{name}: a splice does not give the spoiled bytes")
        book.bad(f"{name}-{case}".lower(), code, "wire.decode", message=name, data=valid, splice=splice)

    other = next(one.TYPE for one in MESSAGES.values() if one is not type(message))
    spoiled = {
        "empty": ("encoding.truncated", b""),
        "head-only": ("encoding.truncated", data[:HEAD]),
        "truncated": ("encoding.truncated", data[:-1]),
        "trailing": ("encoding.trailing", data + b"\x00"),
        "version-zero": ("encoding.version", bytes(2) + data[2:]),
        "version-next": ("encoding.version", (PROTOCOL_VERSION + 1).to_bytes(2, "big") + data[2:]),
        "type": ("encoding.version", data[:2] + bytes([other]) + data[HEAD:]),
        "type-zero": ("encoding.version", data[:2] + b"\x00" + data[HEAD:]),
    }
    for kind, (code, changed) in spoiled.items():
        refuse(kind, code, changed)
    for field, kind, code, changed in _spoiled_fields(message):
        refuse(f"{field}-{kind}", code, changed)
    for field, kind, code, value in _unencodable(message, fields):
        book.bad(
            f"{name}-encode-{field}-{kind}".lower(), code, "wire.encode", message=name, fields=listed,
            changes={field: value},
        )  # fmt: skip


def _spoiled_fields(message: Message) -> Iterator[tuple[str, str, str, bytes]]:
    """Field, what is wrong, code, bytes: each field replaced in place by a bad encoding of it."""
    declared = wire._kinds(type(message))  # noqa: SLF001 - the declared kinds are the format
    parts = {name: _written(kind, getattr(message, name)) for name, kind in declared}
    for name, kind in declared:
        for what, code, replacement in _bad_encodings(kind, getattr(message, name)):
            body = b"".join(replacement if one == name else part for one, part in parts.items())
            yield name, what, code, message.encode()[:HEAD] + body


def _bad_encodings(kind: wire.Kind, value: Any) -> Iterator[tuple[str, str, bytes]]:  # noqa: ANN401 - a field of any kind
    if isinstance(kind, wire.ElementKind):
        yield "identity", "encoding.identity", bytes(32)
        yield "non-canonical", "encoding.non_canonical", b"\xff" * 32
        yield "high-bit", "encoding.non_canonical", value[:31] + bytes([value[31] | 0x80])
    elif isinstance(kind, wire.Variable):
        yield "too-long", "encoding.length", (vars(kind)["_limit"] + 1).to_bytes(4, "big") + value
        yield "past-end", "encoding.length", b"\xff" * 4 + value
    elif isinstance(kind, wire.Text):
        limit = vars(kind)["_limit"]
        yield "too-long", "encoding.length", (limit + 1).to_bytes(4, "big") + b"a" * (limit + 1)
        yield "not-utf8", "encoding.text", len(NOT_UTF8).to_bytes(4, "big") + NOT_UTF8
        if limit >= len(NOT_NFC.encode()):
            yield "not-nfc", "encoding.text", len(NOT_NFC.encode()).to_bytes(4, "big") + NOT_NFC.encode()
    elif isinstance(kind, wire.ListOf):
        yield from _bad_lists(kind, value)


def _bad_lists(kind: wire.ListOf, value: tuple[Any, ...]) -> Iterator[tuple[str, str, bytes]]:
    limit, inner = vars(kind)["_limit"], vars(kind)["_kind"]
    items = [_written(inner, item) for item in value]
    body = b"".join(items)
    if limit < OFF_LIMITS:
        yield "count-above-limit", "encoding.range", (limit + 1).to_bytes(2, "big") + body
    if not value or isinstance(inner, wire.Nested):
        return
    for what, code, replacement in _bad_encodings(inner, value[0]):
        yield f"first-{what}", code, len(value).to_bytes(2, "big") + replacement + b"".join(items[1:])


def _unencodable(message: Message, fields: Table) -> Iterator[tuple[str, str, str, Json]]:
    """Field, what is wrong, code, value: what a constructor refuses."""
    for name, kind in wire._kinds(type(message)):  # noqa: SLF001 - the declared kinds are the format
        if isinstance(kind, wire.Fixed):
            yield name, "short", "encoding.length", fields[name][:-2]
            yield name, "long", "encoding.length", fields[name] + "00"
        elif isinstance(kind, wire.Unsigned):
            yield name, "too-large", "encoding.range", 1 << (8 * vars(kind)["_length"])
            yield name, "negative", "encoding.range", -1
        elif isinstance(kind, wire.Text):
            yield name, "not-nfc", "encoding.text", NOT_NFC
        elif isinstance(kind, wire.ListOf):
            inner = vars(kind)["_kind"]
            if isinstance(inner, wire.Fixed) and fields[name]:
                yield name, "first-short", "encoding.length", [fields[name][0][:-2], *fields[name][1:]]


def _written(kind: wire.Kind, value: Any) -> bytes:  # noqa: ANN401 - a field of any kind
    writer = Writer()
    kind.write(writer, value)
    return writer.finish()


def _made_up(kind: wire.Kind, name: str, stream: SeededStream, known: dict[str, Message]) -> Any:  # noqa: ANN401, PLR0911 - one line for each kind
    if isinstance(kind, wire.ElementKind):
        return RISTRETTO255.base_multiply(random_scalar(stream))
    if isinstance(kind, wire.Fixed):
        return stream(vars(kind)["_length"])
    if isinstance(kind, wire.Unsigned):
        return 1
    if isinstance(kind, wire.Variable):
        return stream(40)
    if isinstance(kind, wire.Text):
        return name[: vars(kind)["_limit"]]
    if isinstance(kind, wire.ListOf):
        inner = vars(kind)["_kind"]
        if isinstance(inner, wire.Unsigned):
            return (1, 2)
        if isinstance(inner, wire.Text):
            return ("first", "second")
        count = 1 if name == "blobs" else 2  # a blob is large
        return tuple(_made_up(inner, name, stream, known) for _ in range(count))
    if isinstance(kind, wire.Nested):
        return example(vars(kind)["_message"], stream, known)
    raise TypeError(f"no example for a {type(kind).__name__}")
