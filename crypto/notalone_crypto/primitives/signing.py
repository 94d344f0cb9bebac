"""Ed25519 signatures (RFC 8032) by libsodium, always over tagged messages.

Owns the tagged message format and the wrapper around the private key. Refuses
to know what is signed. A signature made for one tag verifies under no other;
the one exception, plain text for the log's signed notes, cannot collide with
tagged messages because those begin with a zero byte and text never does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import nacl.bindings
import nacl.signing
from nacl.exceptions import BadSignatureError

from notalone_crypto import codec
from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import DST_PREFIX, SIGNATURE_LENGTH, VERIFY_KEY_LENGTH, Tag

SEED_LENGTH: Final = 32
_FIRST_PRINTABLE: Final = 0x20


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """An Ed25519 private key from its 32-byte seed; its `repr` shows the verify key only."""

    seed: bytes = field(repr=False)  # 32 bytes
    verify_key: bytes = field(init=False)  # 32 bytes

    def __post_init__(self) -> None:
        """Refuse a wrong length and derive the verify key."""
        if not isinstance(self.seed, bytes) or len(self.seed) != SEED_LENGTH:
            raise Misuse(Code.LENGTH, f"a signing seed must be exactly {SEED_LENGTH} bytes")
        object.__setattr__(self, "verify_key", bytes(nacl.signing.SigningKey(self.seed).verify_key))

    def sign(self, tag: Tag, *parts: bytes) -> bytes:
        """64-byte signature over the tag and the parts, each behind its length."""
        return self._sign(_message(tag, parts))

    def sign_text(self, text: bytes) -> bytes:
        """64-byte signature over plain text, for formats that others define (C2SP notes).

        Raises: Misuse (encoding.text) unless the text begins with a printable character.
        """
        return self._sign(_plain_text(text))

    def _sign(self, message: bytes) -> bytes:
        return bytes(nacl.signing.SigningKey(self.seed).sign(message).signature)


def generate_key(randomness: Randomness) -> SigningKey:
    """Fresh signing key from 32 bytes of `randomness`."""
    return SigningKey(randomness(SEED_LENGTH))


def verify(verify_key: bytes, signature: bytes, tag: Tag, *parts: bytes) -> None:
    """Check a signature (64 bytes) by `verify_key` (32 bytes) over tag and parts.

    libsodium refuses scalars that are not reduced and points of low order, so a
    valid signature cannot be turned into a second one by an outsider.

    Raises: MalformedInput (encoding.length) for wrong lengths;
    VerificationFailed (signature.invalid).
    """
    _verify(verify_key, signature, _message(tag, parts))


def verify_text(verify_key: bytes, signature: bytes, text: bytes) -> None:
    """Check a signature made by `sign_text`; raises as `verify` and `sign_text` do."""
    _verify(verify_key, signature, _plain_text(text))


def _verify(verify_key: bytes, signature: bytes, message: bytes) -> None:
    codec.check_length(verify_key, VERIFY_KEY_LENGTH, "a verify key")
    codec.check_length(signature, SIGNATURE_LENGTH, "a signature")
    try:
        nacl.signing.VerifyKey(verify_key).verify(message, signature)
    except BadSignatureError as error:
        raise VerificationFailed(Code.SIGNATURE, "a signature does not verify") from error


def check_verify_key(verify_key: bytes) -> bytes:
    """Return `verify_key` if it is a canonical point of the main subgroup (32 bytes).

    For keys that enter a manifest: with a point of low order any message verifies
    in lax implementations.

    Raises: MalformedInput (encoding.length, encoding.non_canonical).
    """
    codec.check_length(verify_key, VERIFY_KEY_LENGTH, "a verify key")
    if not nacl.bindings.crypto_core_ed25519_is_valid_point(verify_key):
        raise MalformedInput(Code.NON_CANONICAL, "a verify key is not a canonical Ed25519 point")
    return verify_key


def _message(tag: Tag, parts: tuple[bytes, ...]) -> bytes:
    return codec.join(DST_PREFIX + tag.value.encode("ascii"), *parts)


def _plain_text(text: bytes) -> bytes:
    # Tagged messages begin with a u32 length below 2^24, hence with a zero byte.
    if not text or text[0] < _FIRST_PRINTABLE:
        raise Misuse(Code.TEXT, "plain text to sign must begin with a printable character")
    return text
