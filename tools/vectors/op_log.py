"""Operations on the Merkle tree and on checkpoints.

Owns the translation from a case's inputs to calls of notalone_crypto.primitives.
Refuses to know which cases exist.
"""

from __future__ import annotations

from tools.vectors.registry import Table, operation

from notalone_crypto.primitives import checkpoint, merkle
from notalone_crypto.primitives.signing import SigningKey


@operation("merkle.leaf_hash")
def leaf_hash(leaf: bytes) -> Table:
    """Hash of a leaf."""
    return {"hash": merkle.leaf_hash(leaf)}


@operation("merkle.root")
def root(leaves: list[bytes], size: int) -> Table:
    """Root of the first `size` leaves."""
    return {"root": merkle.MerkleTree.of(leaves).root(size)}


@operation("merkle.inclusion_proof")
def inclusion_proof(leaves: list[bytes], index: int, size: int) -> Table:
    """Path of a leaf."""
    return {"proof": merkle.MerkleTree.of(leaves).inclusion_proof(index, size)}


@operation("merkle.consistency_proof")
def consistency_proof(leaves: list[bytes], first: int, second: int) -> Table:
    """Proof that a tree extends another."""
    return {"proof": merkle.MerkleTree.of(leaves).consistency_proof(first, second)}


@operation("merkle.verify_inclusion")
def verify_inclusion(root: bytes, size: int, index: int, leaf_hash: bytes, proof: list[bytes]) -> Table:
    """Check a path."""
    merkle.verify_inclusion(root, size, index, leaf_hash, proof)
    return {"valid": True}


@operation("merkle.verify_consistency")
def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: list[bytes]
) -> Table:
    """Check that a tree extends another."""
    merkle.verify_consistency(first, first_root, second, second_root, proof)
    return {"valid": True}


@operation("checkpoint.text")
def text(origin: str, size: int, root: bytes) -> Table:
    """The note text that is signed."""
    return {"text": checkpoint.Checkpoint(origin, size, root).text().decode()}


@operation("checkpoint.sign")
def sign(origin: str, size: int, root: bytes, seed: bytes) -> Table:
    """The note with the log's signature."""
    note = checkpoint.sign_checkpoint(checkpoint.Checkpoint(origin, size, root), SigningKey(seed))
    return {"note": note.encode().decode()}


@operation("checkpoint.cosign")
def cosign(origin: str, size: int, root: bytes, name: str, seed: bytes, time: int) -> Table:
    """One cosignature line."""
    signature = checkpoint.cosign(checkpoint.Checkpoint(origin, size, root), name, SigningKey(seed), time)
    return {"line": signature.line().decode(), "key_id": signature.key_id}


@operation("checkpoint.decode")
def decode(note: bytes) -> Table:
    """Parse a note strictly."""
    parsed = checkpoint.Note.decode(note)
    head = parsed.checkpoint
    return {
        "origin": head.origin,
        "size": head.size,
        "root": head.root,
        "signatures": [[one.name, one.key_id, one.body] for one in parsed.signatures],
    }


@operation("checkpoint.quorum_size")
def quorum_size(trustees: int, threshold: int) -> Table:
    """Cosignatures needed."""
    return {"quorum": checkpoint.quorum_size(trustees, threshold)}


@operation("checkpoint.verify_quorum")
def verify_quorum(note: bytes, origin: str, log_key: bytes, cosigners: Table, quorum: int) -> Table:
    """Check log signature and cosignatures; `cosigners` maps names to keys."""
    keys = {name: bytes.fromhex(key) for name, key in cosigners.items()}
    verified = checkpoint.verify_quorum(note, origin, log_key, keys, quorum)
    return {"size": verified.checkpoint.size, "root": verified.checkpoint.root, "times": dict(verified.times)}
