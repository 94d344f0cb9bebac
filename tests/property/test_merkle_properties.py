"""Properties of the log's tree: honest proofs verify, tampered ones never do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notalone_crypto.errors import VerificationFailed
from notalone_crypto.primitives import merkle
from notalone_crypto.primitives.merkle import MerkleTree

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=70, unique=True)
NODE = st.binary(min_size=32, max_size=32)


@given(LEAVES, st.data())
def test_inclusion_verifies_and_any_changed_input_is_refused(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = MerkleTree.of(leaves)
    index = data.draw(st.integers(0, tree.size - 1))
    leaf, proof = merkle.leaf_hash(leaves[index]), tree.inclusion_proof(index)
    merkle.verify_inclusion(tree.root(), tree.size, index, leaf, proof)

    nodes = [tree.root(), leaf, *proof]
    position = data.draw(st.integers(0, len(nodes) - 1))
    replacement = data.draw(NODE.filter(lambda node: node != nodes[position]))
    nodes[position] = replacement
    with pytest.raises(VerificationFailed):
        merkle.verify_inclusion(nodes[0], tree.size, index, nodes[1], nodes[2:])

    other = data.draw(st.integers(-2, 80).filter(lambda value: value != index))
    with pytest.raises(VerificationFailed):
        merkle.verify_inclusion(tree.root(), tree.size, other, leaf, proof)


@given(LEAVES, st.data())
def test_consistency_verifies_and_any_changed_node_is_refused(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = MerkleTree.of(leaves)
    first = data.draw(st.integers(1, tree.size))
    proof = tree.consistency_proof(first)
    merkle.verify_consistency(first, tree.root(first), tree.size, tree.root(), proof)

    nodes = [tree.root(first), tree.root(), *proof]
    position = data.draw(st.integers(0, len(nodes) - 1))
    nodes[position] = data.draw(NODE.filter(lambda node: node != nodes[position]))
    with pytest.raises(VerificationFailed):
        merkle.verify_consistency(first, nodes[0], tree.size, nodes[1], nodes[2:])


@given(LEAVES, st.binary(max_size=8), st.data())
def test_a_rewritten_past_is_never_consistent(leaves: list[bytes], other: bytes, data: st.DataObject) -> None:
    tree = MerkleTree.of(leaves)
    first = data.draw(st.integers(1, tree.size))
    index = data.draw(st.integers(0, first - 1))
    if leaves[index] == other:
        return
    rewritten = MerkleTree.of([*leaves[:index], other, *leaves[index + 1 :]])
    with pytest.raises(VerificationFailed):
        merkle.verify_consistency(
            first, tree.root(first), rewritten.size, rewritten.root(), rewritten.consistency_proof(first)
        )


@given(LEAVES, LEAVES)
def test_appending_equals_building(old: list[bytes], new: list[bytes]) -> None:
    tree = MerkleTree.of(old)
    for leaf in new:
        tree = tree.append(leaf)
    assert tree == MerkleTree.of(old + new)
    merkle.verify_consistency(
        len(old), MerkleTree.of(old).root(), tree.size, tree.root(), tree.consistency_proof(len(old))
    )
