"""Operations on the group, hashes, commitments, shares and subset values.

Owns the translation from a case's inputs to calls of notalone_crypto.primitives.
Refuses to know which cases exist.
"""

from __future__ import annotations

from tools.vectors.registry import Scalar, Table, operation, scalar_bytes, scalar_of

from notalone_crypto import codec
from notalone_crypto.primitives import hashing, pedersen, prss
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import Tag


def share_table(share: Share) -> Table:
    """A share as JSON."""
    return {"index": share.index, "value": scalar_bytes(share.value), "blind": scalar_bytes(share.blind)}


def share_from(table: Table) -> Share:
    """A share from JSON."""
    return Share(table["index"], scalar_of(table["value"]), scalar_of(table["blind"]))


@operation("group.check_element")
def check_element(element: bytes) -> Table:
    """Accept a canonical element other than the identity."""
    return {"element": RISTRETTO255.check_element(element)}


@operation("group.decode_scalar")
def decode_scalar(scalar: bytes) -> Table:
    """Accept 32 canonical little-endian bytes."""
    return {"scalar": RISTRETTO255.encode_scalar(RISTRETTO255.decode_scalar(scalar))}


@operation("group.add")
def add(left: bytes, right: bytes) -> Table:
    """Sum of two elements; the identity is allowed."""
    return {"element": RISTRETTO255.add(left, right)}


@operation("group.subtract")
def subtract(left: bytes, right: bytes) -> Table:
    """Difference of two elements; the identity is allowed."""
    return {"element": RISTRETTO255.subtract(left, right)}


@operation("group.negate")
def negate(element: bytes) -> Table:
    """Inverse of an element."""
    return {"element": RISTRETTO255.negate(element)}


@operation("group.multiply")
def multiply(scalar: Scalar, element: bytes) -> Table:
    """Scalar, taken modulo q, times element; the identity is allowed."""
    return {"element": RISTRETTO255.multiply(scalar, element)}


@operation("group.base_multiply")
def base_multiply(scalar: Scalar) -> Table:
    """Scalar times the generator."""
    return {"element": RISTRETTO255.base_multiply(scalar)}


@operation("group.multi_multiply")
def multi_multiply(scalars: list[Scalar], elements: list[bytes]) -> Table:
    """Sum of products."""
    return {"element": RISTRETTO255.multi_multiply(scalars, elements)}


@operation("group.from_uniform_bytes")
def from_uniform_bytes(data: bytes) -> Table:
    """RFC 9496 one-way map of 64 bytes."""
    return {"element": RISTRETTO255.from_uniform_bytes(data)}


@operation("hashing.expand_message_xmd")
def expand_message_xmd(message: bytes, dst: bytes, length: int) -> Table:
    """RFC 9380 expand_message_xmd with SHA-512."""
    return {"bytes": hashing.expand_message_xmd(message, dst, length)}


@operation("hashing.hash_to_group")
def hash_to_group(tag: str, parts: list[bytes]) -> Table:
    """Element from tagged parts."""
    return {"element": hashing.hash_to_group(Tag(tag), *parts)}


@operation("hashing.hash_to_scalar")
def hash_to_scalar(tag: str, parts: list[bytes]) -> Table:
    """Scalar from tagged parts."""
    return {"scalar": scalar_bytes(hashing.hash_to_scalar(Tag(tag), *parts))}


@operation("hashing.digest")
def digest(tag: str, parts: list[bytes]) -> Table:
    """32-byte digest of tagged parts."""
    return {"digest": hashing.digest(Tag(tag), *parts)}


@operation("hashing.derive")
def derive(key: bytes, tag: str, parts: list[bytes], length: int) -> Table:
    """HMAC-SHA-512 in counter mode."""
    return {"bytes": hashing.derive(key, Tag(tag), *parts, length=length)}


@operation("hashing.derive_scalar")
def derive_scalar(key: bytes, tag: str, parts: list[bytes]) -> Table:
    """Pseudorandom scalar under a key."""
    return {"scalar": scalar_bytes(hashing.derive_scalar(key, Tag(tag), *parts))}


@operation("codec.join")
def join(parts: list[bytes]) -> Table:
    """Every part behind its u32 length."""
    return {"bytes": codec.join(*parts)}


@operation("randomness.seeded_stream")
def seeded_stream(seed: bytes, lengths: list[int]) -> Table:
    """Draws of these lengths: draw i is SHAKE256(seed || u64(i))."""
    stream = SeededStream(seed)
    return {"draws": [stream(length) for length in lengths]}


@operation("randomness.random_scalar")
def scalar_from_stream(seed: bytes) -> Table:
    """First scalar of a stream: 64 bytes, little-endian, reduced."""
    return {"scalar": scalar_bytes(random_scalar(SeededStream(seed)))}


@operation("pedersen.commit")
def commit(value: Scalar, blind: Scalar) -> Table:
    """Pedersen commitment."""
    return {"commitment": pedersen.commit(value, blind)}


@operation("pedersen.deal")
def deal(value: Scalar, blind: Scalar, threshold: int, count: int, seed: bytes) -> Table:
    """Verifiable sharing with coefficients from the seeded stream: values first, then blinds."""
    dealing = pedersen.deal(value, blind, threshold, count, SeededStream(seed))
    return {"commitments": dealing.commitments, "shares": [share_table(share) for share in dealing.shares]}


@operation("pedersen.share_commitment")
def share_commitment(commitments: list[bytes], index: int) -> Table:
    """Commitment to one trustee's share."""
    return {"commitment": pedersen.share_commitment(commitments, index)}


@operation("pedersen.verify_share")
def verify_share(commitments: list[bytes], threshold: int, share: Table) -> Table:
    """Check one share."""
    pedersen.verify_share(commitments, threshold, share_from(share))
    return {"valid": True}


@operation("pedersen.verify_shares")
def verify_shares(
    rows: list[list[bytes]], shares: list[Table], threshold: int, weights: list[Scalar]
) -> Table:
    """Check one trustee's shares by a weighted sum."""
    pairs = [(row, share_from(share)) for row, share in zip(rows, shares, strict=True)]
    pedersen.verify_shares(pairs, threshold, weights)
    return {"valid": True}


@operation("pedersen.lagrange_at_zero")
def lagrange_at_zero(indices: list[int]) -> Table:
    """Coefficients modulo q."""
    return {"coefficients": [scalar_bytes(one) for one in pedersen.lagrange_at_zero(tuple(indices))]}


@operation("pedersen.interpolate")
def interpolate(shares: list[Table], count: int) -> Table:
    """f(0) from the `count` lowest indices."""
    values = {share["index"]: scalar_of(share["value"]) for share in shares}
    return {"value": scalar_bytes(pedersen.interpolate(values, count))}


@operation("pedersen.interpolate_elements")
def interpolate_elements(indices: list[int], elements: list[bytes], count: int) -> Table:
    """Interpolation in the exponent."""
    values = dict(zip(indices, elements, strict=True))
    return {"element": pedersen.interpolate_elements(values, count)}


@operation("pedersen.recover")
def recover(commitments: list[bytes], threshold: int, shares: list[Table]) -> Table:
    """The shared value from those shares that open."""
    value = pedersen.recover(commitments, threshold, [share_from(share) for share in shares])
    return {"value": scalar_bytes(value)}


@operation("prss.subsets")
def subsets(count: int, threshold: int, holder: int) -> Table:
    """All subsets in order, those whose key `holder` knows, and f_A at the holder."""
    held = prss.held_subsets(count, threshold, holder)
    return {
        "subsets": prss.subsets(count, threshold),
        "held": held,
        "coefficients": [prss.coefficient(subset, holder) for subset in held],
    }


@operation("prss.subset_key_hash")
def subset_key_hash(key: bytes, subset: list[int]) -> Table:
    """Hash of a subset key in the manifest."""
    return {"hash": prss.subset_key_hash(key, tuple(subset))}


@operation("prss.subset_value")
def subset_value(key: bytes, context: bytes, position: int) -> Table:
    """One value of a key under a context, with its commitment."""
    drawn = prss.subset_value(key, context, position)
    return {
        "value": scalar_bytes(drawn.value),
        "blind": scalar_bytes(drawn.blind),
        "commitment": drawn.commitment(),
    }


@operation("prss.shares")
def shares(count: int, threshold: int, index: int, keys: list[bytes], context: bytes) -> Table:
    """Trustee `index`'s mask share and zero share; `keys` are those of its held subsets, in order."""
    held = prss.held_subsets(count, threshold, index)
    drawn = {
        subset: [prss.subset_value(key, context, number) for number in range(threshold)]
        for subset, key in zip(held, keys, strict=True)
    }
    mask = prss.random_share({subset: values[0] for subset, values in drawn.items()}, index)
    zero = prss.zero_share({subset: tuple(values[1:]) for subset, values in drawn.items()}, index)
    return {"mask": share_table(mask), "zero": share_table(zero)}


@operation("prss.share_commitments")
def share_commitments(count: int, threshold: int, index: int, rows: list[list[bytes]]) -> Table:
    """Public commitments to both shares; `rows` holds `threshold` commitments for each subset, in order."""
    named = dict(zip(prss.subsets(count, threshold), rows, strict=True))
    return {
        "mask": prss.random_share_commitment({subset: row[0] for subset, row in named.items()}, index),
        "zero": prss.zero_share_commitment({subset: tuple(row[1:]) for subset, row in named.items()}, index),
    }
