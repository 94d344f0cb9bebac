"""Operations on sealing, padding, the provable KEM, HPKE opening and signatures.

Owns the translation from a case's inputs to calls of notalone_crypto.primitives.
Refuses to know which cases exist. HPKE has no sealing operation: the library
draws its own ephemeral key, so its ciphertexts are frozen and only opened.
"""

from __future__ import annotations

from tools.vectors.registry import Scalar, Table, operation

from notalone_crypto.primitives import aead, hpke, kem, padding, signing
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag


@operation("aead.seal")
def aead_seal(key: bytes, context: bytes, plaintext: bytes) -> Table:
    """Commitment || ciphertext || tag."""
    return {"sealed": aead.seal(key, context, plaintext)}


@operation("aead.open")
def aead_open(key: bytes, context: bytes, sealed: bytes) -> Table:
    """The plaintext."""
    return {"plaintext": aead.open_sealed(key, context, sealed)}


@operation("padding.pad")
def pad(data: bytes, size: int) -> Table:
    """u32 length || data || zeros."""
    return {"padded": padding.pad(data, size)}


@operation("padding.unpad")
def unpad(padded: bytes) -> Table:
    """The data."""
    return {"data": padding.unpad(padded)}


@operation("padding.bucket_size")
def bucket_size(length: int) -> Table:
    """The smallest bucket for a length."""
    return {"size": padding.bucket_size(length)}


@operation("padding.unpad_bucket")
def unpad_bucket(padded: bytes) -> Table:
    """The data, if it fills its own bucket."""
    return {"data": padding.unpad_bucket(padded)}


@operation("kem.public_key")
def kem_public(secret: Scalar) -> Table:
    """A recipient's public key; also `enc` of an ephemeral scalar."""
    return {"public": kem.encapsulation(secret)}


@operation("kem.encapsulate")
def encapsulate(ephemeral: Scalar, recipient: bytes, index: int, header_hash: bytes) -> Table:
    """The sender's key for one recipient."""
    return {"key": kem.encapsulate(ephemeral, recipient, index, header_hash)}


@operation("kem.decapsulate")
def decapsulate(secret: Scalar, enc: bytes, index: int, header_hash: bytes) -> Table:
    """The recipient's key."""
    return {"key": kem.decapsulate(kem.EncryptionKey(secret), enc, index, header_hash)}


@operation("kem.derive_key")
def derive_key(shared_point: bytes, enc: bytes, recipient: bytes, index: int, header_hash: bytes) -> Table:
    """The key behind a shared point."""
    return {"key": kem.derive_key(shared_point, enc, recipient, index, header_hash)}


@operation("kem.prove_key")
def prove_key(secret: Scalar, session: bytes, seed: bytes) -> Table:
    """Proof of knowledge of a secret key."""
    return {"proof": kem.prove_key(kem.EncryptionKey(secret), session, SeededStream(seed))}


@operation("kem.check_key")
def check_key(public: bytes, session: bytes, proof: bytes) -> Table:
    """Accept a public key whose proof verifies."""
    return {"public": kem.check_key(public, session, proof)}


@operation("kem.complain")
def complain(secret: Scalar, enc: bytes, session: bytes, seed: bytes) -> Table:
    """Shared point and its proof."""
    complaint = kem.complain(kem.EncryptionKey(secret), enc, session, SeededStream(seed))
    return {"shared_point": complaint.shared_point, "proof": complaint.proof}


@operation("kem.check_complaint")
def check_complaint(recipient: bytes, enc: bytes, session: bytes, shared_point: bytes, proof: bytes) -> Table:
    """Accept a shared point whose proof verifies."""
    complaint = kem.Complaint(shared_point, proof)
    return {"shared_point": kem.check_complaint(recipient, enc, session, complaint)}


@operation("hpke.public_key")
def hpke_public(secret: bytes) -> Table:
    """Public key of a private key of 32 bytes."""
    return {"public": hpke.HpkePrivateKey.from_bytes(secret).public}


@operation("hpke.check_public")
def hpke_check(public: bytes) -> Table:
    """Accept a usable, canonical public key."""
    return {"public": hpke.check_public(public)}


@operation("hpke.open")
def hpke_open(secret: bytes, context: bytes, sealed: bytes) -> Table:
    """The plaintext of enc || ciphertext || tag."""
    return {"plaintext": hpke.open_sealed(hpke.HpkePrivateKey.from_bytes(secret), context, sealed)}


@operation("signing.public_key")
def signing_public(seed: bytes) -> Table:
    """Verify key of a 32-byte seed."""
    return {"verify_key": signing.SigningKey(seed).verify_key}


@operation("signing.sign")
def sign(seed: bytes, tag: str, parts: list[bytes]) -> Table:
    """Signature over tag and parts."""
    return {"signature": signing.SigningKey(seed).sign(Tag(tag), *parts)}


@operation("signing.verify")
def verify(verify_key: bytes, signature: bytes, tag: str, parts: list[bytes]) -> Table:
    """Check a signature over tag and parts."""
    signing.verify(verify_key, signature, Tag(tag), *parts)
    return {"valid": True}


@operation("signing.sign_text")
def sign_text(seed: bytes, text: bytes) -> Table:
    """Signature over plain text."""
    return {"signature": signing.SigningKey(seed).sign_text(text)}


@operation("signing.verify_text")
def verify_text(verify_key: bytes, signature: bytes, text: bytes) -> Table:
    """Check a signature over plain text."""
    signing.verify_text(verify_key, signature, text)
    return {"valid": True}


@operation("signing.check_verify_key")
def check_verify_key(verify_key: bytes) -> Table:
    """Accept a canonical point of the main subgroup."""
    return {"verify_key": signing.check_verify_key(verify_key)}
