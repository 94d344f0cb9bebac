"""Padding: what is sealed has a fixed size, what is answered has few sizes.

Owns the padded format `u32 length || data || zeros` and the size buckets.
Refuses to know what the sizes protect; padding comes before sealing and its
check after opening, so it sees authenticated bytes only and is no oracle.
"""

from __future__ import annotations

from typing import Final

from notalone_crypto.codec import MAX_VARIABLE_LENGTH
from notalone_crypto.errors import Code, MalformedInput, Misuse

PREFIX_LENGTH: Final = 4
MIN_BUCKET: Final = 1024  # everything shorter looks alike


def pad(data: bytes, size: int) -> bytes:
    """`data` behind its length, zero-filled to exactly `size` bytes.

    `data` may have at most `size - 4` bytes.

    Raises: Misuse (encoding.length) if it does not fit: truncating would lose a
    reporter's words and growing would show their length.
    """
    if len(data) > MAX_VARIABLE_LENGTH or len(data) + PREFIX_LENGTH > size:
        raise Misuse(Code.LENGTH, "the data does not fit in the padded size")
    return (len(data).to_bytes(PREFIX_LENGTH, "big") + data).ljust(size, b"\x00")


def unpad(padded: bytes) -> bytes:
    """The data inside `padded`; exactly one padding of given data and size is accepted.

    Raises: MalformedInput (encoding.truncated, encoding.length for a prefix that
    points past the end, encoding.non_canonical for filling that is not zero: it
    would be a hidden channel).
    """
    if len(padded) < PREFIX_LENGTH:
        raise MalformedInput(Code.TRUNCATED, "padded data is shorter than its prefix")
    length = int.from_bytes(padded[:PREFIX_LENGTH], "big")
    end = PREFIX_LENGTH + length
    if end > len(padded):
        raise MalformedInput(Code.LENGTH, "a padding prefix points past the end")
    if padded[end:].strip(b"\x00"):
        raise MalformedInput(Code.NON_CANONICAL, "padding holds something other than zeros")
    return padded[PREFIX_LENGTH:end]


def bucket_size(length: int) -> int:
    """Smallest bucket that holds `length` bytes (0 or more): 1024 or a Padmé size.

    Padmé (Nikitin et al., PETS 2019, "Reducing Metadata Leakage from Encrypted
    Files") keeps O(log log) bits of a length at an overhead below 12 %.

    Raises: Misuse (encoding.range) for a negative length.
    """
    if length < 0:
        raise Misuse(Code.RANGE, "a length cannot be negative")
    if length <= MIN_BUCKET:
        return MIN_BUCKET
    exponent = length.bit_length() - 1
    kept_bits = exponent.bit_length()
    mask = (1 << (exponent - kept_bits)) - 1
    return (length + mask) & ~mask


def pad_to_bucket(data: bytes) -> bytes:
    """`pad` to the smallest bucket; raises Misuse (encoding.length) above 16 MiB."""
    return pad(data, bucket_size(len(data) + PREFIX_LENGTH))


def unpad_bucket(padded: bytes) -> bytes:
    """Inverse of `pad_to_bucket`; raises as `unpad`, and refuses any other size.

    Raises: MalformedInput (encoding.non_canonical) for a size that is not the
    smallest bucket.
    """
    data = unpad(padded)
    if bucket_size(len(data) + PREFIX_LENGTH) != len(padded):
        raise MalformedInput(Code.NON_CANONICAL, "padded data is not in its own bucket")
    return data
