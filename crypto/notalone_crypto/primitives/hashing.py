"""Hashing: to bytes, to scalars, to the group, always under a registered tag.

Owns expand_message_xmd with SHA-512 (RFC 9380 section 5.3.1) as RFC 9497 uses
it for ristretto255. Refuses to know contexts and protocols; callers pass
their context as leading parts (specs/00-conventions.md#derivations).
"""

from __future__ import annotations

import hashlib
import hmac

from notalone_crypto import codec
from notalone_crypto.errors import Code, Misuse
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.suite import DST_PREFIX, HASH_LENGTH, Tag

_BLOCK_LENGTH = 128  # SHA-512 input block
_DIGEST_LENGTH = 64


def expand_message_xmd(message: bytes, dst: bytes, length: int) -> bytes:
    """RFC 9380 section 5.3.1 with SHA-512; `dst` 1..255 bytes, `length` 1..16320."""
    blocks = -(-length // _DIGEST_LENGTH)
    if not 1 <= blocks <= 255 or not 1 <= len(dst) <= 255:
        raise Misuse(Code.RANGE, "expand_message_xmd length or DST is out of range")
    suffix = dst + bytes([len(dst)])
    first = hashlib.sha512(
        bytes(_BLOCK_LENGTH) + message + length.to_bytes(2, "big") + b"\x00" + suffix
    ).digest()
    previous = hashlib.sha512(first + b"\x01" + suffix).digest()
    output = previous
    for index in range(2, blocks + 1):
        mixed = bytes(a ^ b for a, b in zip(first, previous, strict=True))
        previous = hashlib.sha512(mixed + bytes([index]) + suffix).digest()
        output += previous
    return output[:length]


def hash_to_group_with_dst(message: bytes, dst: bytes) -> bytes:
    """RFC 9497 section 4.1 HashToGroup for ristretto255; 32-byte element."""
    return RISTRETTO255.from_uniform_bytes(expand_message_xmd(message, dst, 64))


def hash_to_scalar_with_dst(message: bytes, dst: bytes) -> int:
    """RFC 9497 section 4.1 HashToScalar for ristretto255."""
    return int.from_bytes(expand_message_xmd(message, dst, 64), "little") % ORDER


def _dst(tag: Tag) -> bytes:
    return DST_PREFIX + tag.value.encode("ascii")


def hash_to_group(tag: Tag, *parts: bytes) -> bytes:
    """Element nobody knows the discrete logarithm of, from tagged parts."""
    return hash_to_group_with_dst(codec.join(*parts), _dst(tag))


def hash_to_scalar(tag: Tag, *parts: bytes) -> int:
    """Scalar in [0, q) from tagged parts (bias below 2^-250)."""
    return hash_to_scalar_with_dst(codec.join(*parts), _dst(tag))


def digest(tag: Tag, *parts: bytes) -> bytes:
    """32-byte collision-resistant digest of tagged parts."""
    return hashlib.sha512(codec.join(_dst(tag), *parts)).digest()[:HASH_LENGTH]


def derive(key: bytes, tag: Tag, *parts: bytes, length: int = 32) -> bytes:
    """Pseudorandom bytes: HMAC-SHA-512 in counter mode under a secret `key` (16 bytes or more)."""
    if len(key) < 16:
        raise Misuse(Code.LENGTH, "a derivation key must be at least 16 bytes")
    message = codec.join(_dst(tag), *parts, length.to_bytes(4, "big"))
    output = b""
    counter = 0
    while len(output) < length:
        output += hmac.digest(key, counter.to_bytes(4, "big") + message, "sha512")
        counter += 1
    return output[:length]


def derive_scalar(key: bytes, tag: Tag, *parts: bytes) -> int:
    """Pseudorandom scalar in [0, q) (64 bytes reduced: bias below 2^-250)."""
    return int.from_bytes(derive(key, tag, *parts, length=64), "little") % ORDER
