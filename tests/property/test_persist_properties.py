"""Whatever the disk gives back: the state that was stored, another state, or MalformedInput."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.world import World

from notalone_crypto.errors import MalformedInput, Misuse
from notalone_crypto.protocol import persist
from notalone_crypto.protocol.state import TrusteeState


@cache
def stored() -> bytes:
    world = World(members=32, slots=(1,))
    world.file(0, b"bob")
    world.file(1, b"bob")
    world.run_batch()
    world.file(2, b"al")
    world.deliver(world.start_batch())
    return persist.dump(world.machines[1].state)


VALUES = st.recursive(
    st.none() | st.integers() | st.binary(max_size=9) | st.text(alphabet="aé名", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.binary(max_size=4), inner, max_size=3)
        | st.sets(st.integers() | st.binary(max_size=4), max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_plain_values_come_back_as_they_were(value: object) -> None:
    assert persist.load(persist.dump(value), object) == value


@settings(max_examples=60)
@given(st.data())
def test_damage_is_malformed_or_another_state_and_never_a_crash(data: st.DataObject) -> None:
    raw = bytearray(stored())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        persist.load(bytes(raw), TrusteeState)
    except MalformedInput:
        return


@given(st.lists(st.sampled_from((0, 1, 2, 3, 5, 6, 7, 8, 9)), max_size=60).map(bytes))
@example(b"\x05\x00\x00\x00\x01" * 20_000)  # nesting without end
@example(b"\x08\x00\x00\x00\x01\x06\x00\x00\x00\x00\x00")  # a list as a key
@example(b"\x07\x00\x00\x00\x01\x00\x00\x00\x05\x06\x00\x00\x00\x00")  # a list in a set
@example(b"\x07\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00")  # a set's item with bytes after it
@example(b"\x09\x00\xff")
@example(b"\x01\x07")
@example(b"")
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    try:
        persist.load(data, object)
    except MalformedInput:
        return


def test_truncated_or_trailing_is_malformed() -> None:
    raw = stored()
    assert persist.dump(persist.load(raw, TrusteeState)) == raw
    for end in (*range(20), *range(20, len(raw), max(1, len(raw) // 40)), len(raw) - 1):
        with pytest.raises(MalformedInput):
            persist.load(raw[:end], TrusteeState)
    with pytest.raises(MalformedInput):
        persist.load(raw + b"\x00", TrusteeState)
    with pytest.raises(MalformedInput):
        persist.load(persist.dump(5), TrusteeState)


def test_what_is_no_state_is_not_stored() -> None:
    for value in (1.5, object(), World, bytearray(b"x")):
        with pytest.raises(Misuse):
            persist.dump(value)
