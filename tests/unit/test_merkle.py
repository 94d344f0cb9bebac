"""RFC 9162 tree: published roots and proofs, every size up to 40, every edge of the checks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from notalone_crypto.errors import Code, Misuse, VerificationFailed
from notalone_crypto.primitives import merkle
from notalone_crypto.primitives.merkle import EMPTY_ROOT, MerkleTree

SIZES = range(1, 41)
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
# Published test data of Certificate Transparency (RFC 6962), roots of sizes 1 to 8.
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSION_0_OF_8 = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
INCLUSION_5_OF_8 = (
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
)
CONSISTENCY_6_TO_8 = (
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
)
CONSISTENCY_2_TO_5 = (
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
)


def _tree(size: int) -> MerkleTree:
    return MerkleTree.of(b"leaf %d" % index for index in range(size))


BIG = _tree(40)


def _recursive_root(leaves: Sequence[bytes]) -> bytes:
    """The definition of MTH, read from RFC 9162 section 2.1.1, without any cache."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    children = _recursive_root(leaves[:split]) + _recursive_root(leaves[split:])
    return hashlib.sha256(b"\x01" + children).digest()


def _inclusion_refused(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> None:
    with pytest.raises(VerificationFailed) as caught:
        merkle.verify_inclusion(root, size, index, leaf, proof)
    assert caught.value.code is Code.INCLUSION


def _consistency_refused(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    with pytest.raises(VerificationFailed) as caught:
        merkle.verify_consistency(first, first_root, second, second_root, proof)
    assert caught.value.code is Code.CONSISTENCY


def test_published_roots_of_sizes_0_to_8() -> None:
    tree = MerkleTree.of(LEAVES)
    assert tree.root(0) == EMPTY_ROOT == hashlib.sha256(b"").digest()
    assert [tree.root(size).hex() for size in range(1, 9)] == list(ROOTS)


def test_published_proofs() -> None:
    tree = MerkleTree.of(LEAVES)
    assert tuple(node.hex() for node in tree.inclusion_proof(0)) == INCLUSION_0_OF_8
    assert tuple(node.hex() for node in tree.inclusion_proof(5)) == INCLUSION_5_OF_8
    assert tuple(node.hex() for node in tree.consistency_proof(1)) == INCLUSION_0_OF_8
    assert tuple(node.hex() for node in tree.consistency_proof(6)) == CONSISTENCY_6_TO_8
    assert tuple(node.hex() for node in tree.consistency_proof(2, 5)) == CONSISTENCY_2_TO_5


def test_every_root_is_the_recursive_definition() -> None:
    leaves = [b"leaf %d" % index for index in range(40)]
    for size in range(41):
        assert _tree(size).root() == BIG.root(size) == _recursive_root(leaves[:size])


def test_appending_one_by_one_gives_the_same_value_and_changes_no_older_tree() -> None:
    tree = MerkleTree()
    for size in range(40):
        before = (tree, tree.root(), tree.size)
        longer = tree.append(b"leaf %d" % size)
        assert (tree, tree.root(), tree.size) == before
        assert longer == _tree(size + 1)
        assert longer.size == size + 1
        tree = longer


def test_every_inclusion_proof_verifies_for_every_size_and_only_at_its_index() -> None:
    for size in SIZES:
        root = BIG.root(size)
        for index in range(size):
            proof = BIG.inclusion_proof(index, size)
            leaf = merkle.leaf_hash(b"leaf %d" % index)
            merkle.verify_inclusion(root, size, index, leaf, proof)
            _inclusion_refused(root, size, (index + 1) % (size + 1), leaf, proof)
            _inclusion_refused(root, size, index, merkle.leaf_hash(b"leaf"), proof)


def test_every_consistency_proof_verifies_for_every_pair_of_sizes() -> None:
    for second in SIZES:
        for first in range(second + 1):
            proof = BIG.consistency_proof(first, second)
            merkle.verify_consistency(first, BIG.root(first), second, BIG.root(second), proof)


def test_truncated_extended_and_reordered_proofs_are_refused() -> None:
    for size in (2, 7, 8, 13, 40):
        for index in range(size):
            leaf, proof = BIG.levels[0][index], BIG.inclusion_proof(index, size)
            for bad in (proof[1:], proof[:-1], (*proof, leaf), (leaf, *proof)):
                _inclusion_refused(BIG.root(size), size, index, leaf, bad)
            if len(set(proof)) > 1:
                _inclusion_refused(BIG.root(size), size, index, leaf, proof[::-1])
        for first in range(1, size):
            honest = BIG.consistency_proof(first, size)
            for bad in (honest[1:], honest[:-1], (*honest, honest[0]), (honest[0], *honest)):
                _consistency_refused(first, BIG.root(first), size, BIG.root(size), bad)


def test_wrong_sizes_are_refused_although_the_hashes_are_genuine() -> None:
    leaf, proof, root = BIG.levels[0][3], BIG.inclusion_proof(3, 7), BIG.root(7)
    for size in (0, 3, 4, 15, -1, 2**63):
        _inclusion_refused(root, size, 3, leaf, proof)
    for index in (-1, 7, 2**63):
        _inclusion_refused(root, 7, index, leaf, proof)


def test_node_taken_for_a_leaf_is_refused() -> None:
    # The second-preimage attack: an inner node as the content of a leaf one level up.
    content = b"".join(BIG.levels[0][:2])
    _inclusion_refused(BIG.root(4), 2, 0, merkle.leaf_hash(content), (BIG.levels[1][1],))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_nodes_of_other_lengths_are_refused(length: int) -> None:
    leaf, root, proof = BIG.levels[0][0], BIG.root(8), BIG.inclusion_proof(0, 8)
    odd = bytes(length)
    _inclusion_refused(odd, 8, 0, leaf, proof)
    _inclusion_refused(root, 8, 0, odd, proof)
    _inclusion_refused(root, 8, 0, leaf, (odd, *proof[1:]))
    _consistency_refused(4, odd, 8, root, proof)
    _consistency_refused(8, root, 8, odd, ())
    _consistency_refused(4, root, 8, root, (odd,))
    with pytest.raises(Misuse) as caught:
        MerkleTree.of_hashes([odd])
    assert caught.value.code is Code.LENGTH


def test_a_shrunken_log_is_refused() -> None:
    _consistency_refused(8, BIG.root(8), 7, BIG.root(7), ())
    _consistency_refused(8, BIG.root(8), 7, BIG.root(7), BIG.consistency_proof(7, 8))
    _consistency_refused(1, BIG.root(1), 0, EMPTY_ROOT, ())
    _consistency_refused(-1, EMPTY_ROOT, 0, EMPTY_ROOT, ())


def test_a_forked_log_is_refused() -> None:
    fork = MerkleTree.of([b"leaf 0", b"another leaf", *(b"leaf %d" % index for index in range(2, 8))])
    for first in range(2, 8):
        _consistency_refused(first, BIG.root(first), 8, fork.root(), fork.consistency_proof(first))
    _consistency_refused(8, BIG.root(8), 8, fork.root(), ())


def test_equal_and_empty_trees_need_an_empty_proof_and_the_right_roots() -> None:
    node = BIG.levels[0][0]
    merkle.verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, ())
    merkle.verify_consistency(0, EMPTY_ROOT, 5, BIG.root(5), ())
    merkle.verify_consistency(5, BIG.root(5), 5, BIG.root(5), ())
    _consistency_refused(0, EMPTY_ROOT, 5, BIG.root(5), (node,))
    _consistency_refused(5, BIG.root(5), 5, BIG.root(5), (node,))
    _consistency_refused(0, node, 5, BIG.root(5), ())
    _consistency_refused(0, node, 0, node, ())
    _consistency_refused(0, EMPTY_ROOT, 0, node, ())
    _consistency_refused(4, BIG.root(4), 5, BIG.root(5), ())


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (0, 41), (0, -1)])
def test_inclusion_proof_outside_the_tree_is_misuse(index: int, size: int) -> None:
    with pytest.raises(Misuse) as caught:
        BIG.inclusion_proof(index, size)
    assert caught.value.code is Code.RANGE


@pytest.mark.parametrize(("first", "second"), [(-1, 5), (6, 5), (0, 41)])
def test_consistency_proof_outside_the_tree_is_misuse(first: int, second: int) -> None:
    with pytest.raises(Misuse) as caught:
        BIG.consistency_proof(first, second)
    assert caught.value.code is Code.RANGE


def test_root_of_a_size_the_tree_never_had_is_misuse() -> None:
    for size in (-1, 41):
        with pytest.raises(Misuse):
            BIG.root(size)
