"""HPKE: an independent RFC 9180 reading opens it; unusable keys and forgeries are refused."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.primitives import hpke
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import DST_PREFIX

CONTEXT = b"blob 7"
PRIME = 2**255 - 19
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (PRIME - 1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]
NON_CANONICAL = [
    PRIME.to_bytes(32, "little"),
    (PRIME + 1).to_bytes(32, "little"),
    (PRIME + 9).to_bytes(32, "little"),
    (9 + 2**255).to_bytes(32, "little"),
    b"\xff" * 32,
]


def _key(name: bytes = b"desk") -> hpke.HpkePrivateKey:
    return hpke.generate_key(SeededStream(name))


def _extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def _expand(key: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
    message = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, message + b"\x01", "sha256")[:length]


def _independent_open(private: bytes, info: bytes, sealed: bytes) -> bytes:
    """RFC 9180 base mode, read from the RFC: KEM 0x0020, KDF 0x0001, AEAD 0x0002."""
    own = X25519PrivateKey.from_private_bytes(private)
    enc = sealed[:32]
    shared = own.exchange(X25519PublicKey.from_public_bytes(enc))
    kem_suite = b"KEM" + b"\x00\x20"
    context = enc + own.public_key().public_bytes_raw()
    secret = _expand(_extract(b"", kem_suite, b"eae_prk", shared), kem_suite, b"shared_secret", context, 32)
    suite = b"HPKE" + b"\x00\x20\x00\x01\x00\x02"
    schedule = b"\x00" + _extract(b"", suite, b"psk_id_hash", b"") + _extract(b"", suite, b"info_hash", info)
    prk = _extract(secret, suite, b"secret", b"")
    key = _expand(prk, suite, b"key", schedule, 32)
    nonce = _expand(prk, suite, b"base_nonce", schedule, 12)
    return AESGCM(key).decrypt(nonce, sealed[32:], b"")


def test_an_independent_rfc_9180_implementation_opens_what_we_seal() -> None:
    key = _key()
    sealed = hpke.seal(key.public, CONTEXT, b"words")
    assert _independent_open(key.secret, DST_PREFIX + b"hpke/" + CONTEXT, sealed) == b"words"


@pytest.mark.parametrize("length", [0, 1, 1000])
def test_what_was_sealed_opens_and_is_overhead_longer(length: int) -> None:
    key = _key()
    sealed = hpke.seal(key.public, CONTEXT, bytes(length))
    assert len(sealed) == length + hpke.OVERHEAD
    assert hpke.open_sealed(key, CONTEXT, sealed) == bytes(length)


def test_sealing_twice_differs_since_the_library_draws_its_own_randomness() -> None:
    key = _key()
    assert hpke.seal(key.public, CONTEXT, b"") != hpke.seal(key.public, CONTEXT, b"")


def test_the_public_key_is_x25519_of_the_secret() -> None:
    # RFC 7748 section 5.2, the first step of the iterated test.
    key = hpke.HpkePrivateKey.from_bytes((9).to_bytes(32, "little"))
    assert key.public.hex() == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"


def _refused(key: hpke.HpkePrivateKey, context: bytes, sealed: bytes) -> None:
    with pytest.raises(VerificationFailed) as caught:
        hpke.open_sealed(key, context, sealed)
    assert caught.value.code is Code.DECRYPTION


def test_wrong_key_and_wrong_context_are_refused() -> None:
    key = _key()
    sealed = hpke.seal(key.public, CONTEXT, b"words")
    _refused(_key(b"another desk"), CONTEXT, sealed)
    _refused(key, CONTEXT + b"8", sealed)
    _refused(key, b"", sealed)


def test_every_flipped_byte_is_refused() -> None:
    key = _key()
    sealed = hpke.seal(key.public, CONTEXT, b"words")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 0x80  # in byte 31 this is the bit that X25519 ignores
        _refused(key, CONTEXT, bytes(changed))


def test_every_truncation_and_a_trailing_byte_are_refused() -> None:
    key = _key()
    sealed = hpke.seal(key.public, CONTEXT, b"words")
    for length in range(len(sealed)):
        _refused(key, CONTEXT, sealed[:length])
    _refused(key, CONTEXT, sealed + b"\x00")


@pytest.mark.parametrize("enc", LOW_ORDER + NON_CANONICAL)
def test_unusable_enc_is_refused_as_any_other_forgery(enc: bytes) -> None:
    _refused(_key(), CONTEXT, enc + bytes(16))


@pytest.mark.parametrize("public", LOW_ORDER)
def test_low_order_public_key_is_refused(public: bytes) -> None:
    with pytest.raises(MalformedInput) as caught:
        hpke.seal(public, CONTEXT, b"words")
    assert caught.value.code is Code.IDENTITY


@pytest.mark.parametrize("public", NON_CANONICAL)
def test_second_encoding_of_a_public_key_is_refused(public: bytes) -> None:
    with pytest.raises(MalformedInput) as caught:
        hpke.check_public(public)
    assert caught.value.code is Code.NON_CANONICAL


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(MalformedInput) as caught:
        hpke.seal(bytes(length), CONTEXT, b"")
    assert caught.value.code is Code.LENGTH
    with pytest.raises(Misuse):
        hpke.HpkePrivateKey.from_bytes(bytes(length))


def test_generation_is_determined_by_randomness_and_repr_is_blank() -> None:
    key = _key()
    assert key.secret == _key().secret == SeededStream(b"desk")(32)
    assert _key(b"other").public != key.public
    assert repr(key.secret) not in repr(key)
    assert key.secret.hex() not in repr(key)
