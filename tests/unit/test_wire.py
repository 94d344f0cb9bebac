"""Every message class there is: one encoding, checked when made, nothing secret in its repr."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import sys
from typing import Annotated, Any, get_type_hints

import pytest

import notalone_crypto.messages as package
from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.messages import wire
from notalone_crypto.messages.committee import CommitteeParameters, Manifest, ScopePolicy
from notalone_crypto.messages.contact import LetterContent, LetterKind, ReplyCard
from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.messages.reshare import ResharePlan
from notalone_crypto.primitives.group import RISTRETTO255

for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"{package.__name__}.{module.name}")


def all_messages(base: type[wire.Message] = wire.Message) -> list[type[wire.Message]]:
    return [
        found
        for direct in base.__subclasses__()
        # slots=True makes a second class of each; only that one is the module's.
        if getattr(sys.modules[direct.__module__], direct.__name__, None) is direct
        for found in (direct, *all_messages(direct))
    ]


MESSAGES = sorted(set(all_messages()), key=lambda message: message.TYPE)
# What must never be printed, by name: shares and the salts that hide who was in a batch.
SECRET_NAME = re.compile(r"(^|_)(share|salt|shares|secret)(s?)$")
SHOWN_ON_PURPOSE: set[tuple[str, str]] = set()


def sample(kind: wire.Kind, seed: int) -> Any:  # noqa: PLR0911 - one for each kind
    """A value of a field kind; another seed gives another value."""
    if isinstance(kind, wire.ElementKind):
        return RISTRETTO255.base_multiply(seed + 2)
    if isinstance(kind, wire.Unsigned):
        return seed % 251
    if isinstance(kind, wire.Fixed):
        return bytes([0x40 + seed % 64]) * kind._length
    if isinstance(kind, wire.Variable):
        return bytes([seed % 256]) * min(5, kind._limit)
    if isinstance(kind, wire.Text):
        return "é" if kind._limit < 4 else f"né {seed}"
    if isinstance(kind, wire.ListOf):
        return tuple(sample(kind._kind, seed + number) for number in range(min(2, kind._limit)))
    assert isinstance(kind, wire.Nested)
    return message_of(kind._message, seed)


def overrides(message: type[wire.Message], seed: int) -> dict[str, Any]:
    """Fields that a cross-field rule ties to others."""
    if message is CommitteeParameters:
        return {"trustees": ("one", "two", f"three {seed}"), "threshold": 2, "levels": (2, 3)}
    if message is Manifest:
        keys = [
            message_of(kind._kind._message, seed, index=number)  # type: ignore[attr-defined]
            for number in (1, 2, 3)
            for name, kind in wire._kinds(Manifest)
            if name == "trustees"
        ]
        row = (RISTRETTO255.generator, RISTRETTO255.base_multiply(seed + 9))
        return {"trustees": tuple(keys), "level_commitments": (row, row)}
    if message is ScopePolicy:
        return {"levels": (2, 3), "release_modes": (1, 2), "quota": 12 + seed, "slots": (1, 2 + seed % 100)}
    if message is LetterContent:
        card = ReplyCard(bytes([seed % 256]) * 32, "A.").encode()
        return {"kind": LetterKind.INTRODUCTION, "stage": 0, "text": card}
    if message is ResharePlan:
        return {"rekey": seed % 2}
    return {}


def message_of(message: type[wire.Message], seed: int, **given: Any) -> Any:
    values = {name: sample(kind, seed + place) for place, (name, kind) in enumerate(wire._kinds(message))}
    return message(**{**values, **overrides(message, seed), **given})


each = pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)


def test_the_tests_below_see_all_messages() -> None:
    assert len(MESSAGES) >= 40
    assert {"Header", "Filing", "RoundOne", "ReshareDealing", "Envelope"} <= {
        one.__name__ for one in MESSAGES
    }


def test_type_numbers_are_unique() -> None:
    numbers = [message.__dict__["TYPE"] for message in MESSAGES]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < number < 256 for number in numbers)


@each
def test_round_trip(message: type[wire.Message]) -> None:
    for seed in (0, 1, 77):
        made = message_of(message, seed)
        data = made.encode()
        assert data[:3] == bytes((0, 1, message.TYPE))
        again = message.decode(data)
        assert again == made
        assert again.encode() == data
    assert message_of(message, 0).encode() != message_of(message, 1).encode()


@each
def test_truncated_anywhere_is_refused(message: type[wire.Message]) -> None:
    data = message_of(message, 1).encode()
    ends = (
        range(len(data)) if len(data) < 700 else [*range(0, len(data), 41), *range(len(data) - 40, len(data))]
    )
    for end in ends:
        with pytest.raises(MalformedInput):
            message.decode(data[:end])


@each
def test_trailing_bytes_and_other_versions_and_types_are_refused(message: type[wire.Message]) -> None:
    data = message_of(message, 1).encode()
    with pytest.raises(MalformedInput) as caught:
        message.decode(data + b"\x00")
    assert caught.value.code == Code.TRAILING
    for head in (bytes((0, 2)), bytes((0, 0)), bytes((1, 1))):
        with pytest.raises(MalformedInput) as caught:
            message.decode(head + data[2:])
        assert caught.value.code == Code.VERSION
    for other in MESSAGES:
        if other is not message:
            with pytest.raises(MalformedInput) as caught:
                other.decode(data)
            assert caught.value.code == Code.VERSION


@each
def test_messages_are_frozen_and_slotted(message: type[wire.Message]) -> None:
    made = message_of(message, 1)
    assert message.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(made, "__dict__")
    name = dataclasses.fields(message)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, name, getattr(made, name))
    assert hash(made) == hash(message.decode(made.encode()))


@each
def test_a_field_of_another_kind_is_refused_when_the_message_is_made(message: type[wire.Message]) -> None:
    """WIRE-4, field by field."""
    good = message_of(message, 1)
    for name, kind in wire._kinds(message):
        for wrong in (None, object(), 1.0, True, -1, [b""], bytearray(32), {}):
            with pytest.raises(MalformedInput):
                dataclasses.replace(good, **{name: wrong})
            with pytest.raises(MalformedInput):
                good.with_field(name, wrong)
        if isinstance(kind, wire.Fixed):
            with pytest.raises(MalformedInput):
                dataclasses.replace(good, **{name: bytes(kind._length + 1)})
        if isinstance(kind, wire.Unsigned):
            with pytest.raises(MalformedInput):
                dataclasses.replace(good, **{name: 256**kind._length})


@each
def test_secret_fields_are_absent_from_the_repr(message: type[wire.Message]) -> None:
    made = message_of(message, 1)
    shown = repr(made)
    for field in dataclasses.fields(message):  # type: ignore[arg-type]
        secret = (
            bool(SECRET_NAME.search(field.name)) and (message.__name__, field.name) not in SHOWN_ON_PURPOSE
        )
        assert not (secret and field.repr), f"{message.__name__}.{field.name} is printed"
        value = getattr(made, field.name)
        if not field.repr and isinstance(value, bytes):
            assert repr(value) not in shown
            assert value.hex() not in shown


def test_changing_one_field_checks_that_field_and_the_rules_across() -> None:
    parameters = message_of(CommitteeParameters, 1)
    assert parameters.with_field("threshold", 2) == parameters
    with pytest.raises(MalformedInput):
        parameters.with_field("threshold", 3)
    assert parameters.with_field("instance", "other").instance == "other"


@pytest.mark.parametrize("text", ["e\u0301", "\ud800", "x" * 201, "é" * 101])
def test_text_without_one_encoding_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(MalformedInput) as caught:
        dataclasses.replace(message_of(CommitteeParameters, 1), instance=text)
    assert caught.value.code == Code.TEXT


def test_text_limit_counts_bytes() -> None:
    assert dataclasses.replace(message_of(CommitteeParameters, 1), instance="é" * 100).instance == "é" * 100


def test_a_list_over_its_limit_is_refused_when_made_and_when_read() -> None:
    parameters = message_of(CommitteeParameters, 1)
    with pytest.raises(MalformedInput):
        dataclasses.replace(parameters, trustees=tuple(map(str, range(10))))
    data = bytearray(parameters.encode())
    place = data.index(b"\x00\x03\x00\x00\x00\x03one")
    data[place : place + 2] = b"\x00\x0a"
    with pytest.raises(MalformedInput) as caught:
        CommitteeParameters.decode(bytes(data))
    assert caught.value.code == Code.RANGE


def test_a_field_must_say_its_kind() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Unsaid(wire.Message):
        TYPE = 255
        plain: Annotated[int, "no kind"]

    assert "plain" in get_type_hints(Unsaid)
    with pytest.raises(TypeError, match="does not say its kind"):
        Unsaid(1)


def test_digest_of_a_message_is_remembered_by_value() -> None:
    one, two = (FeedItem(bytes(32), number, 1, b"") for number in (1, 2))
    tag = wire.Tag.LEAF
    assert (
        wire.name_of(tag, one) == wire.name_of(tag, FeedItem.decode(one.encode())) != wire.name_of(tag, two)
    )
    assert wire.name_of(tag, one) != wire.name_of(tag, one, b"before")
