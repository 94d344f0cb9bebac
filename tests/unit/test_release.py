"""Who gets what after a match: a table of it, in blobs that never change in number or size."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import pytest
from tests.support.world import ALIAS, World

from notalone_crypto.errors import Code, Misuse, NotAloneError
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.contact import ReplyCard
from notalone_crypto.messages.filing import Header
from notalone_crypto.messages.release import BLOB_LENGTH, MAX_NAMED_MEMBERS, ReleaseBatch, ReleaseItem
from notalone_crypto.primitives import hpke
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol import release
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import Outgoing
from notalone_crypto.suite import Tag

DESK, PEERS = ReleaseMode.COUNSELLOR, ReleaseMode.PEERS
GROUP = b"\x09" * 32
WORLD_SETTINGS = {"members": 32, "slots": (1,), "release_blobs": 4}


@cache
def template() -> Header:
    world = World(members=32, slots=(1,))
    return world.seal(0, world.report(b"bob")).header


def header(number: int, mode: int, *, preconsent: bool) -> Header:
    return replace(
        template(),
        release_mode=mode,
        preconsent=int(preconsent),
        recipient_key=bytes([number]) * 32,
        desk_key=bytes([0x80 + number]) * 32,
    )


def expected(first: Header, second: Header) -> set[tuple[bytes, int]]:
    """(recipient, content) due for `first`, as the specification's sentence says it."""
    if first.release_mode == second.release_mode == PEERS:
        return {(second.recipient_key, 1)} | ({(second.recipient_key, 2)} if first.preconsent else set())
    return {(first.desk_key, 1), (first.desk_key, 2)}


KINDS = list(product((DESK, PEERS), (False, True)))


@pytest.mark.parametrize("size", [2, 3])
def test_direct_only_if_both_sealed_policies_say_so(size: int) -> None:
    """REL-1, REL-2: every combination of modes and consents in groups of two and three."""
    for kinds in product(KINDS, repeat=size):
        headers = {
            bytes([number]) * 32: header(number, mode, preconsent=consent)
            for number, (mode, consent) in enumerate(kinds, 1)
        }
        found = release.due(headers, list(headers), GROUP)
        wanted = {
            (name, *one)
            for name, own in headers.items()
            for other, theirs in headers.items()
            if other != name
            for one in expected(own, theirs)
        }
        assert {(one.entry, one.recipient, one.content) for one in found} == wanted
        assert len(found) == len(wanted)  # nothing twice
        for one in found:
            to_desk = one.recipient[0] >= 0x80
            assert one.group == (GROUP if to_desk else release.NO_GROUP)
            assert one.members == (tuple(sorted(headers)) if to_desk else ())
            if to_desk:
                assert one.recipient == headers[one.entry].desk_key


def test_one_alone_makes_nothing_due() -> None:
    assert release.due({bytes(32): template()}, [bytes(32)], GROUP) == ()
    assert release.due({}, [], GROUP) == ()


def test_a_desk_hears_of_a_group_that_grew_and_a_peer_nothing_twice() -> None:
    names = [bytes([number]) * 32 for number in (1, 2, 3)]
    desks = {name: header(name[0], DESK, preconsent=False) for name in names}
    two, three = (release.due(desks, names[:count], GROUP) for count in (2, 3))
    assert not {one.name for one in two} & {one.name for one in three}
    peers = {name: header(name[0], PEERS, preconsent=True) for name in names}
    two, three = (release.due(peers, names[:count], GROUP) for count in (2, 3))
    assert {one.name for one in two} < {one.name for one in three}


def test_a_large_group_names_no_more_members_than_fit() -> None:
    names = [number.to_bytes(32, "big") for number in range(MAX_NAMED_MEMBERS + 5)]
    everyone = {name: header(1, DESK, preconsent=False) for name in names}
    assert {len(one.members) for one in release.due(everyone, names, GROUP)} == {MAX_NAMED_MEMBERS}


def test_group_name_depends_on_place_and_founders_not_on_their_order() -> None:
    founders = [bytes(32), b"\x01" * 32]
    name = release.group_name(bytes(32), 1, 2, founders)
    assert name == release.group_name(bytes(32), 1, 2, founders[::-1])
    others = [(b"\x01" * 32, 1, 2, founders), (bytes(32), 2, 2, founders), (bytes(32), 1, 3, founders)]
    assert len({name, *(release.group_name(*one) for one in others)}) == 4


def matched(mode: ReleaseMode = PEERS) -> tuple[World, bytes, hpke.HpkePrivateKey, list[ReleaseItem]]:
    """A match of two: the world, the second's entry, the first's key, and the items it opens."""
    world = World(**WORLD_SETTINGS)  # type: ignore[arg-type]
    first, second = world.file(1, b"bob", 2, mode), world.file(2, b"bob", 2, mode)
    posts = world.run_batch()
    key = first.owner.recipient_key if mode == PEERS else world.desk
    return (
        world,
        second.header.entry,
        key,
        list(release.try_blobs(world.committee, world.policy.scope, key, world.blobs(posts))),
    )


def test_number_and_size_of_blobs_never_change() -> None:
    """REL-4: no match, a match, more than fit, and what did not fit afterwards."""
    world = World(**WORLD_SETTINGS)  # type: ignore[arg-type]
    seen = []
    for batch in range(4):
        if batch == 1:
            world.file(1, b"bob", 2, PEERS)
            world.file(2, b"bob", 2, PEERS)
        if batch == 2:
            for person in range(3, 7):
                world.file(person, b"al", 2, DESK)
        posts = [post for _, post in world.run_batch() if post.kind == Outgoing.RELEASES]
        seen += [(len(post.payload), len(ReleaseBatch.decode(post.payload).blobs)) for post in posts]
    assert len(seen) == 12
    assert len(set(seen)) == 1
    assert seen[0][1] == 4
    assert {len(blob) for blob in world.blobs(world.posts)} == {BLOB_LENGTH}
    assert len(world.scope_of(1).queue) == 0 or world.run_batch()
    opened = world.opened_by(world.desk)
    assert len(opened) == 8


def test_fewer_than_m_items_open_nothing() -> None:
    """REL-6."""
    world, entry, _, items = matched()
    assert len(items) == 3
    for item in items:
        assert release.open_items(world.committee, [item]) == ()
        assert release.open_items(world.committee, [item, item]) == ()
    for some in (items[:2], items[1:], items[::2], items):
        (opened,) = release.open_items(world.committee, some)
        assert (opened.entry, opened.content) == (entry, 1)
        assert ReplyCard.decode(opened.plaintext).alias == ALIAS


def test_bad_shares_are_ignored_and_other_claims_are_kept_apart() -> None:
    """REL-5: one liar neither stops nor spoils an opening, whatever of its item is false."""
    world, _, _, items = matched()
    key = world.secrets[items[0].trustee].signing_key
    good = items[1:]
    share = int.from_bytes(items[0].share[:32], "little")
    lies: list[dict[str, object]] = [
        {"share": ((share + 1) % ORDER).to_bytes(32, "little") + items[0].share[32:]},
        {"share": b"\xff" * 64},
        {"commitments": items[0].commitments[::-1]},
        {"commitments": items[0].commitments[:1]},
        {"commitments": ()},
        {"introduction": b"x" * len(items[0].introduction)},
        {"introduction": b""},
        {"content": 2},
        {"content": 0},
        {"quota_tag": RISTRETTO255.generator},
        {"entry": bytes(32)},
        {"members": (bytes(32),)},
    ]
    for lie in lies:
        bad = sign_message(replace(items[0], **lie), key, Tag.RELEASE)  # type: ignore[arg-type]
        for mixed in ([bad, *good], [*good, bad], [bad, items[0], *good]):
            (opened,) = release.open_items(world.committee, mixed)
            assert ReplyCard.decode(opened.plaintext).alias == ALIAS
        assert release.open_items(world.committee, [bad, good[0]]) == ()


def test_item_for_a_peer_names_no_match() -> None:
    """REL-7: a peer must not learn how many others there are, or where the match was."""
    _, _, _, items = matched()
    for item in items:
        assert (item.group, item.members) == (release.NO_GROUP, ())
    names = {name.lower() for name in ReleaseItem.__dataclass_fields__}
    assert not names & {"slot", "level", "position", "size", "epoch"}
    _, entry, _, for_desk = matched(DESK)
    assert {item.group for item in for_desk} != {release.NO_GROUP}
    assert all(entry in item.members and len(item.members) == 2 for item in for_desk)


def test_blobs_are_for_one_key_one_scope_and_a_trustees_own() -> None:
    world, _, key, _ = matched()
    blobs, scope = world.blobs(world.posts), world.policy.scope
    assert release.try_blobs(world.committee, bytes(32), key, blobs) == ()
    assert release.try_blobs(world.committee, scope, hpke.generate_key(world.randomness), blobs) == ()
    assert release.try_blobs(world.committee, scope, key, [b"", b"x", bytes(BLOB_LENGTH)]) == ()
    assert release.try_blobs(World(**{**WORLD_SETTINGS, "seed": b"other"}).committee, scope, key, blobs) == ()  # type: ignore[arg-type]


def test_a_batch_of_blobs_is_signed_for_its_plan_and_complete() -> None:
    world, _, _, _ = matched()
    post = next(post for _, post in world.posts if post.kind == Outgoing.RELEASES)
    message = ReleaseBatch.decode(post.payload)
    release.check_batch(world.committee, message, message.plan, 4)
    for wrong, plan, count in (
        (message, bytes(32), 4),
        (message, message.plan, 5),
        (replace(message, blobs=message.blobs[1:]), message.plan, 3),
        (replace(message, blobs=message.blobs[::-1]), message.plan, 4),
        (replace(message, trustee=message.trustee % 3 + 1), message.plan, 4),
    ):
        with pytest.raises(NotAloneError):
            release.check_batch(world.committee, wrong, plan, count)


def test_nothing_secret_is_printed() -> None:
    _, _, _, items = matched()
    assert repr(items[0].share) not in repr(items[0])
    assert "plaintext" not in repr(release.Introduction(bytes(32), 1, bytes(32), (), b"words"))


def test_too_much_for_a_blob_is_misuse_not_a_longer_blob() -> None:
    world = World(members=0, slots=(1,))
    with pytest.raises((Misuse, NotAloneError)) as caught:  # noqa: PT012 - either step may refuse
        item = replace(
            matched()[3][0],
            members=(bytes(32),) * MAX_NAMED_MEMBERS,
            commitments=(RISTRETTO255.generator,) * 60,
            introduction=bytes(2096),
        )
        release.seal_batch(
            world.committee,
            world.secrets[1],
            bytes(32),
            bytes(32),
            [(world.desk.public, item)],
            1,
            world.randomness,
        )
    assert caught.value.code == Code.LENGTH
