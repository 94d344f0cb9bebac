"""Envelopes: evaluation messages for trustees and named auditors, for nobody else.

Owns who the readers are and in which order. Refuses to know what is inside.
The board carries these and learns their size, which follows from the public
number of filings.
"""

from __future__ import annotations

from notalone_crypto.errors import Code, VerificationFailed
from notalone_crypto.messages.feed import Envelope
from notalone_crypto.primitives import aead, hpke
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import SECRET_LENGTH, Tag


def readers(committee: Committee) -> tuple[bytes, ...]:
    """HPKE keys of all trustees in order of index, then of the manifest's auditors."""
    return tuple(keys.channel_key for keys in committee.manifest.trustees) + committee.manifest.auditors


def seal(committee: Committee, scope: bytes, kind: int, payload: bytes, randomness: Randomness) -> Envelope:
    """`payload` for every reader."""
    key = randomness(SECRET_LENGTH)
    context = _context(committee, scope, kind)
    wrapped = tuple(hpke.seal(reader, context, key) for reader in readers(committee))
    return Envelope(wrapped, aead.seal(key, context, payload))


def open_for(
    committee: Committee, scope: bytes, kind: int, envelope: Envelope, key: hpke.HpkePrivateKey
) -> bytes:
    """The payload, for the holder of one reader's key.

    Raises: VerificationFailed (seal.decryption).
    """
    everyone = readers(committee)
    if key.public not in everyone or len(envelope.keys) != len(everyone):
        raise VerificationFailed(Code.DECRYPTION, "this envelope is not for this reader")
    context = _context(committee, scope, kind)
    content_key = hpke.open_sealed(key, context, envelope.keys[everyone.index(key.public)])
    if len(content_key) != SECRET_LENGTH:
        raise VerificationFailed(Code.DECRYPTION, "an envelope's key has a wrong length")
    return aead.open_sealed(content_key, context, envelope.body)


def _context(committee: Committee, scope: bytes, kind: int) -> bytes:
    return digest(Tag.EVALUATION_MESSAGE, committee.instance, committee.fingerprint, scope, bytes([kind]))
