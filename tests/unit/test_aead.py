"""Committing AEAD: one key and context, one plaintext, one answer to every forgery."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from notalone_crypto.errors import Code, Misuse, VerificationFailed
from notalone_crypto.primitives import aead, hashing
from notalone_crypto.suite import Tag

KEY = bytes(range(32))
CONTEXT = b"bundle 1"


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 4096])
def test_what_was_sealed_opens_and_is_overhead_longer(length: int) -> None:
    plaintext = bytes(length)
    sealed = aead.seal(KEY, CONTEXT, plaintext)
    assert len(sealed) == length + aead.OVERHEAD
    assert aead.open_sealed(KEY, CONTEXT, sealed) == plaintext


def test_overhead_is_commitment_and_tag() -> None:
    assert aead.OVERHEAD == 48


def test_format_is_commitment_then_chacha20poly1305_under_zero_nonce() -> None:
    sealed = aead.seal(KEY, CONTEXT, b"words")
    assert sealed[:32] == hashing.derive(KEY, Tag.KEY_COMMITMENT, CONTEXT)
    key = hashing.derive(KEY, Tag.AEAD_KEY, CONTEXT)
    assert ChaCha20Poly1305(key).decrypt(bytes(12), sealed[32:], None) == b"words"


def _refused(key: bytes, context: bytes, sealed: bytes) -> None:
    with pytest.raises(VerificationFailed) as caught:
        aead.open_sealed(key, context, sealed)
    assert caught.value.code is Code.DECRYPTION


def test_wrong_key_is_refused() -> None:
    _refused(bytes(32), CONTEXT, aead.seal(KEY, CONTEXT, b"words"))


def test_wrong_context_is_refused() -> None:
    """SEAL-1."""
    _refused(KEY, b"bundle 2", aead.seal(KEY, CONTEXT, b"words"))


def test_every_flipped_bit_is_refused() -> None:
    sealed = aead.seal(KEY, CONTEXT, b"words")
    for position in range(len(sealed)):
        for bit in (1, 128):
            changed = bytearray(sealed)
            changed[position] ^= bit
            _refused(KEY, CONTEXT, bytes(changed))


def test_every_truncation_and_a_trailing_byte_are_refused() -> None:
    sealed = aead.seal(KEY, CONTEXT, b"words")
    for length in range(len(sealed)):
        _refused(KEY, CONTEXT, sealed[:length])
    _refused(KEY, CONTEXT, sealed + b"\x00")


def test_a_ciphertext_that_decrypts_under_another_key_is_stopped_by_the_commitment() -> None:
    # The attack on non-committing encryption: here the ciphertext part is even
    # genuine for the victim's key, and only the commitment names another one.
    genuine = aead.seal(KEY, CONTEXT, b"words")
    other = aead.seal(bytes(32), CONTEXT, b"words")
    _refused(KEY, CONTEXT, other[:32] + genuine[32:])
    _refused(bytes(32), CONTEXT, other[:32] + genuine[32:])


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_keys_of_other_lengths_are_misuse(length: int) -> None:
    with pytest.raises(Misuse) as caught:
        aead.seal(bytes(length), CONTEXT, b"")
    assert caught.value.code is Code.LENGTH
    with pytest.raises(Misuse):
        aead.open_sealed(bytes(length), CONTEXT, bytes(64))


def test_failure_says_nothing_about_its_cause() -> None:
    sealed = aead.seal(KEY, CONTEXT, b"words")
    details = set()
    for bad in (sealed[:-1], b"", bytes(len(sealed)), sealed[:32] + bytes(21)):
        with pytest.raises(VerificationFailed) as caught:
            aead.open_sealed(KEY, CONTEXT, bad)
        details.add(caught.value.detail)
    assert len(details) == 1
