"""A trustee's view of the log only grows, and it cosigns what it checked."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.primitives import checkpoint, merkle, signing
from notalone_crypto.protocol import log
from notalone_crypto.protocol.log import LogView

LEAVES = [bytes([number]) * 32 for number in range(6)]


@cache
def world() -> World:
    return World(members=0, slots=(1,))


def tree(count: int) -> merkle.MerkleTree:
    return merkle.MerkleTree.of(LEAVES[:count])


def view(count: int) -> LogView:
    return LogView(count, tree(count).root())


def update(
    new: int, old: int, index: int, *, origin: str = "", key: signing.SigningKey | None = None
) -> LogUpdate:
    head = checkpoint.Checkpoint(origin or log.origin(world().committee), new, tree(new).root())
    note = checkpoint.sign_checkpoint(head, key or world().board_key).encode()
    grown = tree(new)
    return LogUpdate(note, index, grown.inclusion_proof(index), grown.consistency_proof(old))


def refused(old: LogView, shown: LogUpdate, leaf: bytes, *codes: Code) -> None:
    with pytest.raises(NotAloneError) as caught:
        log.check_update(world().committee, old, shown, leaf)
    assert caught.value.code in codes


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 2), (2, 5), (3, 6), (4, 4)])
def test_a_log_that_grew_is_taken(old: int, new: int) -> None:
    for index in range(new):
        shown = update(new, old, index)
        assert log.check_update(world().committee, view(old), shown, LEAVES[index]) == view(new)


def test_a_smaller_log_is_a_rollback_and_says_what_happened() -> None:
    """LOG-1."""
    with pytest.raises(StateConflict) as caught:
        log.check_update(world().committee, view(5), update(3, 3, 0), LEAVES[0])
    assert caught.value.code == Code.ROLLBACK
    assert "restored from an old copy or forked" in str(caught.value)


def test_other_history_other_leaf_other_place() -> None:
    committee = world().committee
    good = update(5, 3, 4)
    forked = LogView(3, merkle.MerkleTree.of([*LEAVES[:2], bytes(32)]).root())
    refused(forked, good, LEAVES[4], Code.CONSISTENCY)
    refused(view(3), replace(good, consistency=()), LEAVES[4], Code.CONSISTENCY, Code.LENGTH)
    refused(view(3), good, LEAVES[3], Code.INCLUSION)
    refused(view(3), replace(good, index=3), LEAVES[4], Code.INCLUSION)
    refused(view(3), replace(good, index=5), LEAVES[4], Code.INCLUSION, Code.RANGE)
    refused(view(3), replace(good, inclusion=good.inclusion[:-1]), LEAVES[4], Code.INCLUSION)
    assert log.check_update(committee, view(3), good, LEAVES[4]) == view(5)


def test_a_log_of_that_size_with_another_root_is_a_fork() -> None:
    same_size = LogView(5, bytes(32))
    refused(same_size, update(5, 5, 4), LEAVES[4], Code.CONSISTENCY, Code.FORK)


def test_only_the_boards_signature_under_this_logs_name_counts() -> None:
    stranger = signing.SigningKey(b"\x09" * 32)
    refused(view(3), update(5, 3, 4, key=stranger), LEAVES[4], Code.SIGNATURE)
    refused(view(3), update(5, 3, 4, origin="notalone/elsewhere"), LEAVES[4], Code.FORK)
    good = update(5, 3, 4)
    for note in (b"", good.note[:-5], good.note + b"x", b"\xff" * 50, good.note.replace(b"\n5\n", b"\n6\n")):
        with pytest.raises(NotAloneError):
            log.check_update(world().committee, view(3), replace(good, note=note), LEAVES[4])


def test_quorum_of_distinct_trustees_closes_and_one_less_does_not() -> None:
    """LOG-3 at three trustees, of whom all three are needed."""
    committee, good = world().committee, update(2, 1, 1)
    lines = {
        index: log.cosign(committee, index, own.signing_key, good, world().now).line
        for index, own in world().secrets.items()
    }
    full = good.note + b"".join(lines.values())
    assert log.check_quorum(committee, full).size == 2
    assert log.check_leaf(committee, full, LEAVES[1], 1, good.inclusion).size == 2
    with pytest.raises(VerificationFailed):
        log.check_leaf(committee, full, LEAVES[0], 1, good.inclusion)
    posing = log.cosign(committee, 3, world().secrets[1].signing_key, good, world().now).line
    for note in (
        good.note,
        good.note + lines[1] + lines[2],
        good.note + lines[1] * 3,
        good.note + lines[1] + lines[2] + posing,
    ):
        with pytest.raises(NotAloneError) as caught:
            log.check_quorum(committee, note)
        assert caught.value.code in {Code.QUORUM, Code.SIGNATURE, Code.DUPLICATE, Code.NON_CANONICAL}


def test_names_tell_logs_and_trustees_apart() -> None:
    other = World(members=0, slots=(1,), seed=b"other").committee
    assert log.origin(world().committee) != log.origin(other)
    assert len({log.cosigner_name(world().committee, index) for index in (1, 2, 3)}) == 3
    assert log.policy_leaf(world().policy) != log.policy_leaf(replace(world().policy, quota=13))


def test_no_scope_is_served_before_its_policy_is_in_a_cosigned_log() -> None:
    """LOG-4."""
    one = World(members=0, slots=(1,))
    machine = one.machines[1]
    other = replace(one.policy, scope_name="elsewhere")
    shown = one.append_leaf(log.policy_leaf(other))
    with pytest.raises(VerificationFailed):
        machine.install_policy(other, shown.note, shown.index, shown.inclusion)
    with pytest.raises(VerificationFailed):
        machine.install_policy(other, one.last_note, 0, ())
    assert other.scope not in machine.state.scopes
