"""One encoding per value: what the writer refuses to write and the reader refuses to read."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable

import pytest

from notalone_crypto.codec import MAX_VARIABLE_LENGTH, Reader, Writer, check_length, join
from notalone_crypto.errors import Code, MalformedInput, Misuse


def test_integers_are_big_endian_of_their_length() -> None:
    data = Writer().u8(1).u16(2).u32(3).u64(4).uint(5, 3).finish()
    assert data.hex() == "010002000000030000000000000004000005"
    reader = Reader(data)
    assert (reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.uint(3)) == (1, 2, 3, 4, 5)
    reader.finish()


@pytest.mark.parametrize("length", [1, 2, 4, 8])
def test_integers_at_and_over_their_bounds(length: int) -> None:
    top = 256**length - 1
    assert Reader(Writer().uint(top, length).finish()).uint(length) == top
    for value in (-1, top + 1):
        with pytest.raises(Misuse) as caught:
            Writer().uint(value, length)
        assert caught.value.code == Code.RANGE


@pytest.mark.parametrize("value", [b"", b"abc", bytes(1000)])
def test_strings_are_behind_their_length(value: bytes) -> None:
    data = Writer().variable(value).fixed(value, len(value)).finish()
    assert data == len(value).to_bytes(4, "big") + value + value
    reader = Reader(data)
    assert (reader.variable(), reader.fixed(len(value))) == (value, value)
    reader.finish()


def test_fixed_string_of_another_length_is_not_written() -> None:
    with pytest.raises(Misuse):
        Writer().fixed(b"abc", 4)
    with pytest.raises(Misuse):
        Writer().fixed_list([b"ab", b"c"], 2)


@pytest.mark.parametrize("text", ["", "é", "Université", "名", "\U0001f600"])
def test_text_is_utf_8(text: str) -> None:
    assert Reader(Writer().text(text).finish()).text() == text


@pytest.mark.parametrize("text", ["e\u0301", "\u212b", "\ud800", "a\udfff"])
def test_text_with_a_second_form_or_none_is_not_written(text: str) -> None:
    """Not NFC; half a surrogate pair, which JSON can carry and UTF-8 cannot."""
    with pytest.raises(Misuse) as caught:
        Writer().text(text)
    assert caught.value.code == Code.TEXT


@pytest.mark.parametrize(
    "raw", ["e\u0301".encode(), b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
)
def test_text_with_a_second_form_or_none_is_not_read(raw: bytes) -> None:
    with pytest.raises(MalformedInput) as caught:
        Reader(Writer().variable(raw).finish()).text()
    assert caught.value.code == Code.TEXT


def test_lists_are_behind_their_count() -> None:
    data = (
        Writer()
        .listing([7, 8, 9], lambda writer, value: writer.u8(value))
        .fixed_list([b"ab", b"cd"], 2)
        .finish()
    )
    assert data.hex() == "0003070809000261626364"
    reader = Reader(data)
    assert reader.listing(lambda inner: inner.u8()) == (7, 8, 9)
    assert reader.fixed_list(2) == (b"ab", b"cd")
    reader.finish()
    with pytest.raises(Misuse):
        Writer().listing([b""] * 65536, lambda writer, value: writer.fixed(value, 0))


READS: dict[str, tuple[bytes, Callable[[Reader], object]]] = {
    "u8": (Writer().u8(1).finish(), Reader.u8),
    "u16": (Writer().u16(1).finish(), Reader.u16),
    "u32": (Writer().u32(1).finish(), Reader.u32),
    "u64": (Writer().u64(1).finish(), Reader.u64),
    "fixed": (b"abc", lambda reader: reader.fixed(3)),
    "variable": (Writer().variable(b"abc").finish(), Reader.variable),
    "text": (Writer().text("abc").finish(), Reader.text),
    "listing": (
        Writer().listing([1, 2], lambda w, v: w.u8(v)).finish(),
        lambda r: r.listing(lambda i: i.u8()),
    ),
    "fixed_list": (Writer().fixed_list([b"ab"] * 2, 2).finish(), lambda reader: reader.fixed_list(2)),
}


@pytest.mark.parametrize(("data", "read"), READS.values(), ids=READS)
def test_every_shorter_string_is_truncated(data: bytes, read: Callable[[Reader], object]) -> None:
    for end in range(len(data)):
        with pytest.raises(MalformedInput) as caught:
            read(Reader(data[:end]))
        assert caught.value.code == Code.TRUNCATED


@pytest.mark.parametrize(("data", "read"), READS.values(), ids=READS)
def test_bytes_after_the_end_are_refused(data: bytes, read: Callable[[Reader], object]) -> None:
    reader = Reader(data + b"\x00")
    read(reader)
    with pytest.raises(MalformedInput) as caught:
        reader.finish()
    assert caught.value.code == Code.TRAILING


def test_limits_come_before_allocation() -> None:
    """WIRE-3: a short message that announces much costs nothing."""
    over = {
        "variable": lambda: Reader((2**32 - 1).to_bytes(4, "big")).variable(),
        "variable limit": lambda: Reader(Writer().variable(b"abcd").finish()).variable(3),
        "text": lambda: Reader(Writer().variable(b"a" * 4097).finish()).text(),
        "just above": lambda: Reader((MAX_VARIABLE_LENGTH + 1).to_bytes(4, "big")).variable(),
    }
    for read in over.values():
        with pytest.raises(MalformedInput) as caught:
            read()
        assert caught.value.code == Code.LENGTH
    with pytest.raises(MalformedInput) as caught:
        Reader(b"\x00\x03\x01\x02\x03").listing(lambda reader: reader.u8(), limit=2)
    assert caught.value.code == Code.RANGE
    tracemalloc.start()
    try:
        for data in (MAX_VARIABLE_LENGTH.to_bytes(4, "big"), (2**32 - 1).to_bytes(4, "big")):
            with pytest.raises(MalformedInput):
                Reader(data).variable()
        with pytest.raises(MalformedInput):
            Reader(b"\xff\xff").fixed_list(1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 1 << 18
    finally:
        tracemalloc.stop()
    with pytest.raises(Misuse):
        Writer().variable(bytes(MAX_VARIABLE_LENGTH + 1))
    with pytest.raises(Misuse):
        join(bytes(MAX_VARIABLE_LENGTH + 1))


def test_join_is_injective() -> None:
    """CONV-6: no two lists of parts give the same bytes, also when parts look like lengths."""
    pieces = [b"", b"\x00", b"a", b"\x00\x00\x00\x00", b"\x00\x00\x00\x01a", b"\x00\x00\x00\x01"]
    lists = [parts for count in range(4) for parts in itertools.product(pieces, repeat=count)]
    assert len({join(*parts) for parts in lists}) == len(lists)


def test_what_was_read_cannot_be_changed_from_outside() -> None:
    data = bytearray(b"\x01\x02")
    reader = Reader(data)  # type: ignore[arg-type]
    data[0] = 9
    assert reader.u8() == 1


@pytest.mark.parametrize("value", [b"", b"abc", b"abcde", bytearray(b"abcd"), "abcd", None])
def test_check_length_takes_only_bytes_of_that_length(value: object) -> None:
    with pytest.raises(MalformedInput) as caught:
        check_length(value, 4, "a thing")  # type: ignore[arg-type]
    assert caught.value.code == Code.LENGTH
    assert check_length(b"abcd", 4, "a thing") == b"abcd"
