"""HPKE (RFC 9180), base mode, one message per encapsulation.

Owns the one suite of the project: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
AES-256-GCM (the suite browsers open without a second AEAD library). Refuses to
know who the recipient is. For bundles that may have to be opened in public see
`kem`; HPKE offers no such proof.

The library draws its own ephemeral key. So nothing sealed here can be made
again byte for byte, whatever randomness the caller has: services **store what
they sealed before they post it** and repeat the stored bytes.

Base mode authenticates nobody, and AES-GCM commits to no key: what comes out
must be checked by its meaning (a share against its commitments, a signature).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from notalone_crypto.codec import check_length
from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import DST_PREFIX, HPKE_KEY_LENGTH

ENC_LENGTH: Final = 32
TAG_LENGTH: Final = 16
OVERHEAD: Final = ENC_LENGTH + TAG_LENGTH

_FIELD_PRIME: Final = 2**255 - 19
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
# Any clamped scalar sends exactly the points of low order to zero.
_PROBE: Final = X25519PrivateKey.from_private_bytes(b"\x01" * 32)


@dataclass(frozen=True, slots=True, eq=False)
class HpkePrivateKey:
    """An X25519 private key; its `repr` shows the public key only."""

    secret: bytes = field(repr=False)  # 32 bytes, clamped by X25519 itself
    public: bytes = field(init=False)  # 32 bytes

    def __post_init__(self) -> None:
        """Refuse a wrong length and derive the public key."""
        if not isinstance(self.secret, bytes) or len(self.secret) != HPKE_KEY_LENGTH:
            raise Misuse(Code.LENGTH, f"an HPKE private key must be exactly {HPKE_KEY_LENGTH} bytes")
        public = X25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()
        object.__setattr__(self, "public", public)

    @classmethod
    def from_bytes(cls, secret: bytes) -> HpkePrivateKey:
        """Key from 32 uniform secret bytes, for example derived from a phrase.

        Raises: Misuse (encoding.length).
        """
        return cls(secret)


def generate_key(randomness: Randomness) -> HpkePrivateKey:
    """Fresh private key from 32 bytes of `randomness`."""
    return HpkePrivateKey.from_bytes(randomness(HPKE_KEY_LENGTH))


def check_public(public: bytes) -> bytes:
    """Return `public` if it is a usable, canonical X25519 key of 32 bytes.

    RFC 7748 lets several encodings stand for one key and lets points of low
    order through, whose shared secret everyone knows; both are refused here.

    Raises: MalformedInput (encoding.length, encoding.non_canonical,
    encoding.identity).
    """
    check_length(public, HPKE_KEY_LENGTH, "an HPKE public key")
    if int.from_bytes(public, "little") >= _FIELD_PRIME:
        raise MalformedInput(Code.NON_CANONICAL, "an HPKE public key is not reduced")
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise MalformedInput(Code.IDENTITY, "an HPKE public key has low order") from error
    return public


def shared_secret(private: HpkePrivateKey, public: bytes) -> bytes:
    """The 32 bytes that the holders of two X25519 keys have in common (RFC 7748 section 6.1).

    Never a key by itself: derive from it under a tag. Both keys are long-lived,
    so it is always the same.

    Raises: MalformedInput (encoding.length, encoding.non_canonical,
    encoding.identity: with a key of low order everybody has this secret).
    """
    key = X25519PublicKey.from_public_bytes(check_public(public))
    # The library refuses an all-zero result; after `check_public` there is none.
    return X25519PrivateKey.from_private_bytes(private.secret).exchange(key)


def seal(public: bytes, context: bytes, plaintext: bytes) -> bytes:
    """`enc (32) || ciphertext || tag (16)` for the holder of `public` (32 bytes).

    `context` is bound through the `info` parameter (the library has no
    associated data) and must be given again to open.

    Raises: MalformedInput for an unusable public key (see `check_public`).
    """
    key = X25519PublicKey.from_public_bytes(check_public(public))
    return _SUITE.encrypt(plaintext, key, _info(context))


def open_sealed(private: HpkePrivateKey, context: bytes, sealed: bytes) -> bytes:
    """The plaintext of `sealed`, if it was sealed to this key with this context.

    Raises: VerificationFailed (seal.decryption), one answer for a wrong key, a
    wrong context, a changed byte, an `enc` of low order and a wrong length.
    """
    if len(sealed) < OVERHEAD:
        raise _failure()
    try:
        check_public(sealed[:ENC_LENGTH])  # a second encoding of enc must not open either
        key = X25519PrivateKey.from_private_bytes(private.secret)
        return _SUITE.decrypt(sealed, key, _info(context))
    except (InvalidTag, ValueError, MalformedInput) as error:
        raise _failure() from error


def _info(context: bytes) -> bytes:
    return DST_PREFIX + b"hpke/" + context


def _failure() -> VerificationFailed:
    return VerificationFailed(Code.DECRYPTION, "the sealed bytes do not open with this key and context")
