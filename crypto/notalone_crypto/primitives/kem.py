"""The provable KEM: DHKEM's shape on ristretto255, so that a complaint can be proved.

Owns encryption keys with their proof of knowledge, the derivation of one key
per recipient from one `enc`, and complaints: a recipient publishes the shared
point with a proof that it is the right one, everybody derives the key, opens
the bundle (`aead`) and judges. Refuses to know bundles, headers, committees.

A complaint publishes e*EK_i for whatever `enc` was under it. So the caller must
refuse an `enc` it has seen before and one whose sender has not proved knowledge
of its discrete logarithm; otherwise a copied `enc` turns honest complainers
into an oracle that opens other people's bundles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from notalone_crypto.codec import check_length
from notalone_crypto.errors import Code, Misuse
from notalone_crypto.primitives import hashing, sigma
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.linear import LinearRelation
from notalone_crypto.randomness import Randomness, random_scalar
from notalone_crypto.suite import HASH_LENGTH, MAX_TRUSTEES, Tag

KEY_LENGTH: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class EncryptionKey:
    """A recipient's key pair; its `repr` shows the public key only."""

    secret: int = field(repr=False)  # spec: ek_i, in [1, q)
    public: bytes = field(init=False)  # spec: EK_i, 32 bytes

    def __post_init__(self) -> None:
        """Refuse a scalar out of range and derive the public key."""
        object.__setattr__(self, "public", _public_of(self.secret))


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a recipient publishes to show what was sealed to it.

    `shared_point`: 32-byte element; `proof`: DLEQ proof over it, variable length.
    """

    shared_point: bytes
    proof: bytes


def generate_key(randomness: Randomness) -> EncryptionKey:
    """Fresh key pair."""
    return EncryptionKey(random_scalar(randomness))


def prove_key(key: EncryptionKey, session: bytes, randomness: Randomness) -> bytes:
    """Proof of knowledge of the secret key, bound to `session` (any bytes).

    It keeps a trustee from publishing another's key, or a combination of others'
    keys, as its own.
    """
    relation = _key_relation(key.public)
    return sigma.prove(sigma.session_tag(Tag.KEM_KEY_PROOF, session), [relation], [[key.secret]], randomness)


def check_key(public: bytes, session: bytes, proof: bytes) -> bytes:
    """Return `public` (32 bytes) if its proof of knowledge verifies for `session`.

    Raises: MalformedInput for the identity or a non-canonical element;
    VerificationFailed (proof.invalid) or MalformedInput for the proof.
    """
    relation = _key_relation(RISTRETTO255.check_element(public))
    sigma.verify(sigma.session_tag(Tag.KEM_KEY_PROOF, session), [relation], proof)
    return public


def encapsulation(ephemeral: int) -> bytes:
    """`enc`, 32 bytes, for an ephemeral scalar in [1, q): published once for all recipients.

    The scalar must be fresh for every header. Knowledge of it is proved by the
    sender in its own statement.

    Raises: Misuse (encoding.range).
    """
    return _public_of(ephemeral)


def encapsulate(ephemeral: int, recipient_public: bytes, recipient_index: int, header_hash: bytes) -> bytes:
    """The sender's 32-byte key for one recipient.

    `ephemeral`: scalar in [1, q); `recipient_public`: 32 bytes; `recipient_index`:
    1..9; `header_hash`: 32 bytes.

    Raises: MalformedInput for the identity or a non-canonical public key;
    Misuse (encoding.range).
    """
    enc = encapsulation(ephemeral)
    # The check comes first: multiplying the identity would give every secret the same key.
    shared = RISTRETTO255.multiply(ephemeral, RISTRETTO255.check_element(recipient_public))
    return derive_key(shared, enc, recipient_public, recipient_index, header_hash)


def decapsulate(key: EncryptionKey, enc: bytes, recipient_index: int, header_hash: bytes) -> bytes:
    """The recipient's 32-byte key; lengths and errors as for `encapsulate`."""
    shared = RISTRETTO255.multiply(key.secret, RISTRETTO255.check_element(enc))
    return derive_key(shared, enc, key.public, recipient_index, header_hash)


def derive_key(
    shared_point: bytes, enc: bytes, recipient_public: bytes, recipient_index: int, header_hash: bytes
) -> bytes:
    """32-byte key from a shared point; also what everybody does after `check_complaint`.

    Both public points are hashed in, as in DHKEM, and index and header, so that a
    bundle that is moved to another recipient or filing does not open.

    Raises: MalformedInput for an invalid element or a header hash that is not 32
    bytes; Misuse (encoding.range) for an index outside 1..9.
    """
    for element in (shared_point, enc, recipient_public):
        RISTRETTO255.check_element(element)
    check_length(header_hash, HASH_LENGTH, "a header hash")
    if not 1 <= recipient_index <= MAX_TRUSTEES:
        raise Misuse(Code.RANGE, f"a recipient index must lie between 1 and {MAX_TRUSTEES}")
    index = bytes([recipient_index])
    return hashing.derive(shared_point, Tag.KEM, enc, recipient_public, index, header_hash, length=KEY_LENGTH)


def complain(key: EncryptionKey, enc: bytes, session: bytes, randomness: Randomness) -> Complaint:
    """Publish the shared point of `enc` (32 bytes) with its DLEQ proof.

    `session` must name committee, filing (header hash) and recipient index, so
    that the complaint counts nowhere else. Before calling, see this module's
    warning about copied `enc`: the shared point opens the bundle for everyone.

    Raises: MalformedInput for the identity or a non-canonical `enc`.
    """
    shared = RISTRETTO255.multiply(key.secret, RISTRETTO255.check_element(enc))
    relation = _complaint_relation(key.public, enc, shared)
    proof = sigma.prove(sigma.session_tag(Tag.KEM_COMPLAINT, session), [relation], [[key.secret]], randomness)
    return Complaint(shared, proof)


def check_complaint(recipient_public: bytes, enc: bytes, session: bytes, complaint: Complaint) -> bytes:
    """The shared point (32 bytes) for `derive_key`, if the complaint's proof verifies.

    `recipient_public` comes from the manifest and `enc` from the header, never
    from the complaint. A valid complaint only shows what the key was; whether the
    bundle is bad is judged by opening it.

    Raises: MalformedInput for the identity or a non-canonical element;
    VerificationFailed (proof.invalid) or MalformedInput for the proof.
    """
    for element in (recipient_public, enc, complaint.shared_point):
        RISTRETTO255.check_element(element)
    relation = _complaint_relation(recipient_public, enc, complaint.shared_point)
    sigma.verify(sigma.session_tag(Tag.KEM_COMPLAINT, session), [relation], complaint.proof)
    return complaint.shared_point


def _key_relation(public: bytes) -> LinearRelation:
    relation = LinearRelation(RISTRETTO255)
    (secret,) = relation.scalars(1)
    relation.equation(public, (secret, RISTRETTO255.generator))
    return relation


def _complaint_relation(recipient_public: bytes, enc: bytes, shared: bytes) -> LinearRelation:
    """One scalar for both equations: log_G(EK) = log_enc(shared)."""
    relation = LinearRelation(RISTRETTO255)
    (secret,) = relation.scalars(1)
    relation.equation(recipient_public, (secret, RISTRETTO255.generator))
    relation.equation(shared, (secret, enc))
    return relation


def _public_of(secret: int) -> bytes:
    if not 1 <= secret < ORDER:
        raise Misuse(Code.RANGE, "a secret scalar must lie in [1, q)")
    return RISTRETTO255.base_multiply(secret)
