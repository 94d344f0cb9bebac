"""Padding: fixed sizes, one encoding, bounded overhead."""

from __future__ import annotations

import pytest

from notalone_crypto.codec import MAX_VARIABLE_LENGTH
from notalone_crypto.errors import Code, MalformedInput, Misuse
from notalone_crypto.primitives import padding


@pytest.mark.parametrize("length", [0, 1, 59, 60])
def test_all_lengths_that_fit_get_one_size_and_come_back(length: int) -> None:
    data = b"\x00" * (length // 2) + b"x" * (length - length // 2)
    padded = padding.pad(data, 64)
    assert len(padded) == 64
    assert padding.unpad(padded) == data


def test_trailing_zeros_of_the_data_survive() -> None:
    assert padding.unpad(padding.pad(b"a\x00\x00", 32)) == b"a\x00\x00"


def test_format_is_length_data_zeros() -> None:
    assert padding.pad(b"ab", 8) == b"\x00\x00\x00\x02ab\x00\x00"


@pytest.mark.parametrize(("length", "size"), [(61, 64), (1, 4), (0, 3), (0, 0), (0, -1)])
def test_data_that_does_not_fit_is_refused_not_truncated(length: int, size: int) -> None:
    with pytest.raises(Misuse) as caught:
        padding.pad(bytes(length), size)
    assert caught.value.code is Code.LENGTH


def test_data_above_the_limit_is_refused() -> None:
    with pytest.raises(Misuse):
        padding.pad(bytes(MAX_VARIABLE_LENGTH + 1), MAX_VARIABLE_LENGTH + 64)


@pytest.mark.parametrize("padded", [b"", b"\x00", b"\x00\x00\x00"])
def test_shorter_than_the_prefix_is_truncated(padded: bytes) -> None:
    with pytest.raises(MalformedInput) as caught:
        padding.unpad(padded)
    assert caught.value.code is Code.TRUNCATED


@pytest.mark.parametrize("padded", [b"\x00\x00\x00\x01", b"\xff\xff\xff\xffabcd", b"\x00\x00\x00\x05abcd"])
def test_prefix_past_the_end_is_refused(padded: bytes) -> None:
    with pytest.raises(MalformedInput) as caught:
        padding.unpad(padded)
    assert caught.value.code is Code.LENGTH


def test_filling_is_no_hidden_channel() -> None:
    """WIRE-5."""
    padded = padding.pad(b"ab", 64)
    for position in range(6, 64):
        changed = bytearray(padded)
        changed[position] = 1
        with pytest.raises(MalformedInput) as caught:
            padding.unpad(bytes(changed))
        assert caught.value.code is Code.NON_CANONICAL


def test_buckets_hold_their_length_grow_and_cost_at_most_12_percent() -> None:
    previous = 0
    for length in range(70_000):
        size = padding.bucket_size(length)
        assert size >= max(length, previous)
        if length > padding.MIN_BUCKET:
            assert size * 100 <= length * 112
        previous = size


def test_buckets_are_few_and_fixed_points() -> None:
    sizes = {padding.bucket_size(length) for length in range(1, 1 << 16)}
    assert min(sizes) == padding.MIN_BUCKET
    assert len(sizes) < 100
    assert all(padding.bucket_size(size) == size for size in sizes)


def test_padme_example() -> None:
    # 1025 = 2^10 + 1: exponent 10 needs 4 bits, so 6 low bits are rounded up.
    assert padding.bucket_size(1025) == 1088
    assert padding.bucket_size(1 << 20) == 1 << 20


def test_negative_length_is_misuse() -> None:
    with pytest.raises(Misuse) as caught:
        padding.bucket_size(-1)
    assert caught.value.code is Code.RANGE


@pytest.mark.parametrize("length", [0, 1020, 1021, 5000])
def test_bucketed_data_comes_back(length: int) -> None:
    padded = padding.pad_to_bucket(b"x" * length)
    assert len(padded) == padding.bucket_size(length + 4)
    assert padding.unpad_bucket(padded) == b"x" * length


def test_bucketed_data_in_a_larger_size_is_refused() -> None:
    with pytest.raises(MalformedInput) as caught:
        padding.unpad_bucket(padding.pad(b"x", 2048))
    assert caught.value.code is Code.NON_CANONICAL
