"""Committing authenticated encryption under a key that seals one message.

Owns the sealed format `commitment (32) || ciphertext || tag (16)` and the two
derivations behind it. Refuses to know whose key it is and what is inside.

ChaCha20-Poly1305 alone does not commit: one ciphertext can be made that opens
under two keys to two plaintexts, so that two trustees could honestly disagree
about a bundle. The commitment in front settles key and context
(Albertini et al., USENIX Security 2022, "How to Abuse and Fix Authenticated
Encryption Without Key Commitment").
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from notalone_crypto.errors import Code, Misuse, VerificationFailed
from notalone_crypto.primitives import hashing
from notalone_crypto.suite import SECRET_LENGTH, Tag

COMMITMENT_LENGTH: Final = 32
TAG_LENGTH: Final = 16
OVERHEAD: Final = COMMITMENT_LENGTH + TAG_LENGTH

# A constant nonce is safe only because no derived key ever seals twice; see `seal`.
_NONCE: Final = bytes(12)


def seal(key: bytes, context: bytes, plaintext: bytes) -> bytes:
    """Seal `plaintext` under `key` (32 bytes); the result is OVERHEAD bytes longer.

    The AEAD key is derived from key and context and the nonce is zero, so the
    caller must use each pair (key, context) for **one plaintext only**: two
    plaintexts under one pair give away their difference and the authenticator.
    Sealing the same plaintext again returns the same bytes and is harmless.

    Raises: Misuse (encoding.length) for a key that is not 32 bytes.
    """
    aead_key, commitment = _derive(key, context)
    # The context is inside the derived key; associated data would repeat it.
    return commitment + ChaCha20Poly1305(aead_key).encrypt(_NONCE, plaintext, None)


def open_sealed(key: bytes, context: bytes, sealed: bytes) -> bytes:
    """The plaintext of `sealed`, if it was made by `seal` with this key and context.

    Raises: VerificationFailed (seal.decryption), one answer for a wrong key, a
    wrong context, a changed byte and a wrong length; Misuse (encoding.length)
    for a key that is not 32 bytes.
    """
    aead_key, expected = _derive(key, context)
    if len(sealed) < OVERHEAD:
        raise _failure()
    commitment, ciphertext = sealed[:COMMITMENT_LENGTH], sealed[COMMITMENT_LENGTH:]
    # The commitment is checked first: a ciphertext under another key is never decrypted.
    if not hmac.compare_digest(commitment, expected):
        raise _failure()
    try:
        return ChaCha20Poly1305(aead_key).decrypt(_NONCE, ciphertext, None)
    except InvalidTag as error:
        raise _failure() from error


def _derive(key: bytes, context: bytes) -> tuple[bytes, bytes]:
    # Exactly 32 bytes: HMAC pads and hashes other lengths, so that two different
    # keys could share one commitment.
    if not isinstance(key, bytes) or len(key) != SECRET_LENGTH:
        raise Misuse(Code.LENGTH, f"a sealing key must be exactly {SECRET_LENGTH} bytes")
    aead_key = hashing.derive(key, Tag.AEAD_KEY, context, length=32)
    commitment = hashing.derive(key, Tag.KEY_COMMITMENT, context, length=COMMITMENT_LENGTH)
    return aead_key, commitment


def _failure() -> VerificationFailed:
    return VerificationFailed(Code.DECRYPTION, "the sealed bytes do not open with this key and context")
