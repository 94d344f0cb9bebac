"""The log's Merkle tree: RFC 9162 section 2.1 with SHA-256.

Owns hashing of leaves and nodes, roots, inclusion and consistency proofs.
Refuses to know what a leaf means, who signs a root and where leaves are kept.
Proof checks take only public data and raise; every index and size comes from
the verifier's own record, never from the prover.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from notalone_crypto.errors import Code, Misuse, VerificationFailed

NODE_LENGTH: Final = 32
MAX_SIZE: Final = 2**63 - 1
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """32-byte hash of a leaf; the prefix keeps leaves and nodes apart (second preimages)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """32-byte hash of an inner node from its two 32-byte children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class MerkleTree:
    """Append-only tree as a value: `append` returns a new tree and changes none.

    `levels[h]` holds the hashes of all complete subtrees of 2^h leaves, left to
    right, so that proofs and roots for every past size need O(log n) look-ups.
    Build it with `MerkleTree.of` and `append`, not by hand.
    """

    levels: tuple[tuple[bytes, ...], ...] = ((),)

    @classmethod
    def of(cls, leaves: Iterable[bytes]) -> MerkleTree:
        """Tree over leaf contents (not hashes), in order."""
        return cls.of_hashes(leaf_hash(leaf) for leaf in leaves)

    @classmethod
    def of_hashes(cls, hashes: Iterable[bytes]) -> MerkleTree:
        """Tree over 32-byte leaf hashes; raises Misuse (encoding.length)."""
        level = list(hashes)
        if any(len(value) != NODE_LENGTH for value in level):
            raise Misuse(Code.LENGTH, f"a leaf hash must be exactly {NODE_LENGTH} bytes")
        levels = [tuple(level)]
        while len(level) > 1:
            level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            levels.append(tuple(level))
        return cls(tuple(levels))

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self.levels[0])

    def append(self, leaf: bytes) -> MerkleTree:
        """A new tree with one more leaf."""
        levels = list(self.levels)
        value = leaf_hash(leaf)
        height = 0
        while True:
            if height == len(levels):
                levels.append(())
            levels[height] += (value,)
            if len(levels[height]) % 2:
                return MerkleTree(tuple(levels))
            value = node_hash(*levels[height][-2:])
            height += 1

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves (all of them by default); Misuse (encoding.range)."""
        size = self._checked_size(size)
        return self._subtree(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Path of leaf `index` in the tree of the first `size` leaves (RFC 9162 section 2.1.3.1).

        Raises: Misuse (encoding.range) unless 0 <= index < size <= self.size.
        """
        size = self._checked_size(size)
        if not 0 <= index < size:
            raise Misuse(Code.RANGE, "a leaf index is outside the tree")
        path: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency_proof(self, first: int, second: int | None = None) -> tuple[bytes, ...]:
        """Proof that the tree of `second` leaves extends that of `first` (RFC 9162 section 2.1.4.1).

        Empty if `first` is 0 or equals `second`.

        Raises: Misuse (encoding.range) unless 0 <= first <= second <= self.size.
        """
        second = self._checked_size(second)
        if not 0 <= first <= second:
            raise Misuse(Code.RANGE, "a consistency proof goes from a smaller to a larger tree")
        if first in (0, second):
            return ()
        path: list[bytes] = []
        start, end = 0, second
        # Walk down to the node where the old tree ends; `start == 0` there means
        # that the old root itself is that node, which the verifier already has.
        while end != first:
            middle = start + _split(end - start)
            if first <= middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        if start:
            path.append(self._subtree(start, end))
        return tuple(reversed(path))

    def _checked_size(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise Misuse(Code.RANGE, "a tree size is larger than the tree")
        return size

    def _subtree(self, start: int, end: int) -> bytes:
        """Hash over the leaves [start, end); `start` is aligned to the width rounded up."""
        width = end - start
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            return self.levels[height][start >> height]
        middle = start + _split(width)
        return node_hash(self._subtree(start, middle), self._subtree(middle, end))


def verify_inclusion(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> None:
    """Check that leaf hash `leaf` (32 bytes) is at `index` under `root` (32 bytes) of `size` leaves.

    `leaf` is `leaf_hash(content)`, computed by the verifier: RFC 9162 section 2.1.3.2.

    Raises: VerificationFailed (log.inclusion).
    """
    if not _all_nodes((root,)) or not hmac.compare_digest(root_of_path(size, index, leaf, proof), root):
        raise VerificationFailed(Code.INCLUSION, "the leaf is not in the tree at this index")


def root_of_path(size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root (32 bytes) that a path leads to, for a caller that compares it with what it trusts.

    Raises: VerificationFailed (log.inclusion) when the path does not fit size and index.
    """
    failure = VerificationFailed(Code.INCLUSION, "the leaf is not in the tree at this index")
    if not 0 <= index < size <= MAX_SIZE or not _all_nodes((leaf, *proof)):
        raise failure
    position, last = index, size - 1
    value = leaf
    for node in proof:
        if last == 0:
            raise failure
        if position & 1 or position == last:
            value = node_hash(node, value)
            position, last = _climb(position, last)
        else:
            value = node_hash(value, node)
        position >>= 1
        last >>= 1
    if last:
        raise failure
    return value


def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (`second`, `second_root`) extends (`first`, `first_root`).

    RFC 9162 section 2.1.4.2, and the cases it leaves to the caller: equal sizes
    need equal roots, every tree extends the empty one, none shrinks; in all of
    these the proof must be empty.

    Raises: VerificationFailed (log.consistency).
    """
    failure = VerificationFailed(Code.CONSISTENCY, "the larger tree does not extend the smaller one")
    if not 0 <= first <= second <= MAX_SIZE or not _all_nodes((first_root, second_root, *proof)):
        raise failure
    if first in (0, second):
        if proof or not _trivially_consistent(first, first_root, second, second_root):
            raise failure
        return
    if not proof:
        raise failure
    nodes = list(proof)
    if first & (first - 1) == 0:
        nodes.insert(0, first_root)  # the old root is itself a node of the new tree
    position, last = first - 1, second - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise failure
        if position & 1 or position == last:
            old = node_hash(node, old)
            new = node_hash(node, new)
            position, last = _climb(position, last)
        else:
            new = node_hash(new, node)
        position >>= 1
        last >>= 1
    if last or not hmac.compare_digest(old, first_root) or not hmac.compare_digest(new, second_root):
        raise failure


def _climb(position: int, last: int) -> tuple[int, int]:
    """Skip the levels at which a node at the tree's right edge has no sibling."""
    while position and not position & 1:
        position >>= 1
        last >>= 1
    return position, last


def _trivially_consistent(first: int, first_root: bytes, second: int, second_root: bytes) -> bool:
    """The cases without a proof: the same tree, or one that extends the empty tree."""
    if first == second:
        return first_root == second_root and (first > 0 or first_root == EMPTY_ROOT)
    return first_root == EMPTY_ROOT


def _split(width: int) -> int:
    """Largest power of two smaller than `width` (2 or more)."""
    return 1 << (width - 1).bit_length() - 1


def _all_nodes(values: Sequence[bytes]) -> bool:
    return all(isinstance(value, bytes) and len(value) == NODE_LENGTH for value in values)
