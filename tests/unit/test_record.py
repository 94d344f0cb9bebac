"""The record: one leaf for all who followed, and a path that fits one entry in one place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, VerificationFailed
from notalone_crypto.messages.evaluation import Inclusion
from notalone_crypto.primitives import hpke
from notalone_crypto.protocol import record, release
from notalone_crypto.protocol.record import SealedRecord
from notalone_crypto.protocol.state import Outgoing


def closed(count: int = 3) -> tuple[World, list[SealedRecord], list[bytes]]:
    """A batch of `count` filings up to its record: every trustee's record and the entries."""
    world = World(members=32, slots=(1,))
    entries = [world.file(person, b"bob").header.entry for person in range(count)]
    world.deliver(world.start_batch())
    records = [world.scope_of(index).batch.sealed_record for index in world.machines]  # type: ignore[union-attr]
    return world, [one for one in records if one], entries


def test_all_who_followed_a_batch_make_one_leaf() -> None:
    """REC-1; and another batch of the same entries makes another."""
    _, records, _ = closed()
    assert len(records) == 3
    assert len({one.leaf for one in records}) == 1
    world = World(members=32, slots=(1,), seed=b"again")
    world.file(0, b"bob")
    world.deliver(world.start_batch())
    other = world.scope_of(1).batch.sealed_record  # type: ignore[union-attr]
    assert other is not None
    assert other.leaf != records[0].leaf
    assert repr(records[0].salt) not in repr(records[0])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_owners_path_leads_to_the_leaf(count: int) -> None:
    _, records, entries = closed(count)
    for entry in entries:
        assert record.check_inclusion(records[0].inclusion(entry), entry) == records[0].leaf


def test_path_is_refused_elsewhere() -> None:
    """REC-3: for another entry, place, count, plan, salt or with a node more or less."""
    _, records, entries = closed(5)
    leaf, path = records[0].leaf, records[0].inclusion(entries[1])
    with pytest.raises(VerificationFailed) as caught:
        record.check_inclusion(path, entries[0])
    assert caught.value.code == Code.INCLUSION
    changes = [
        {"entry": entries[0]},
        {"position": 2},
        {"position": 5},
        {"count": 4},
        {"count": 1},
        {"count": 0},
        {"count": 2**32 - 1, "position": 2**32 - 1},
        {"path": path.path[1:]},
        {"path": ()},
        {"path": (*path.path, bytes(32))},
        {"path": path.path[::-1]},
        {"plan": bytes(32)},
        {"messages": bytes(32)},
        {"outputs": bytes(32)},
        {"part_salt": bytes(32)},
        {"leaf_salt": bytes(32)},
    ]
    for change in changes:
        wrong = replace(path, **change)  # type: ignore[arg-type]
        try:
            found = record.check_inclusion(wrong, wrong.entry)
        except VerificationFailed as error:
            assert error.code == Code.INCLUSION  # noqa: PT017 - or it leads to another leaf
        else:
            assert found != leaf, change


def test_one_path_does_not_test_for_another_entry() -> None:
    """REC-4: what a reporter's path shows differs for every entry but for the leaf's own salt."""
    _, records, entries = closed(2)
    one, two = (records[0].inclusion(entry) for entry in entries)
    assert one.part_salt != two.part_salt != one.leaf_salt == two.leaf_salt
    forged = replace(two, entry=entries[0], part_salt=one.part_salt)
    assert record.check_inclusion(replace(forged, position=two.position), entries[0]) != records[0].leaf
    shown = repr(one)
    assert repr(one.part_salt) not in shown
    assert repr(one.leaf_salt) not in shown


def test_paths_are_posted_by_one_trustee_each_for_its_owner_only() -> None:
    world = World(members=32, slots=(1,))
    sealed = [world.file(person, b"bob") for person in range(3)]
    posts = [(sender, post) for sender, post in world.run_batch() if post.kind == Outgoing.INCLUSION]
    assert {sender for sender, _ in posts} == {1}
    assert {post.recipient for _, post in posts} == {one.header.recipient_key for one in sealed}
    assert len({len(post.payload) for _, post in posts}) == 1 or len(posts) == 3
    context = release.blob_context(world.committee, world.policy.scope)
    for one in sealed:
        for _, post in posts:
            mine = post.recipient == one.header.recipient_key
            if mine:
                path = Inclusion.decode(hpke.open_sealed(one.owner.recipient_key, context, post.payload))
                assert record.check_inclusion(path, one.header.entry) == world.scope_of(1).leaf
            else:
                with pytest.raises(VerificationFailed):
                    hpke.open_sealed(one.owner.recipient_key, context, post.payload)
