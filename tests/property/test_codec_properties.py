"""Whatever bytes arrive: a value with one encoding, or MalformedInput, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from notalone_crypto.codec import Reader, Writer, join
from notalone_crypto.errors import MalformedInput

STEPS: tuple[tuple[Callable[[Reader], Any], Callable[[Writer, Any], Any]], ...] = (
    (Reader.u8, Writer.u8),
    (Reader.u16, Writer.u16),
    (Reader.u32, Writer.u32),
    (Reader.u64, Writer.u64),
    (Reader.variable, Writer.variable),
    (Reader.text, Writer.text),
    (lambda reader: reader.fixed(3), lambda writer, value: writer.fixed(value, 3)),
    (lambda reader: reader.fixed_list(2), lambda writer, value: writer.fixed_list(value, 2)),
    (
        lambda reader: reader.listing(lambda inner: inner.variable(10), 5),
        lambda writer, value: writer.listing(value, Writer.variable),
    ),
)
# Small numbers make lengths and counts that fit, so that reading gets somewhere.
BYTES = st.one_of(
    st.binary(max_size=60), st.lists(st.sampled_from((0, 1, 2, 3, 65, 0xC3)), max_size=60).map(bytes)
)


@given(BYTES, st.lists(st.integers(0, len(STEPS) - 1), max_size=6))
def test_any_bytes_are_refused_or_written_back_the_same(data: bytes, steps: list[int]) -> None:
    reader, writer = Reader(data), Writer()
    try:
        for step in steps:
            read, write = STEPS[step]
            write(writer, read(reader))
        reader.finish()
    except MalformedInput:
        return
    assert writer.finish() == data


@given(st.lists(st.binary(max_size=12), max_size=5), st.lists(st.binary(max_size=12), max_size=5))
def test_join_tells_lists_apart(left: list[bytes], right: list[bytes]) -> None:
    """CONV-6."""
    assert (join(*left) == join(*right)) == (left == right)
