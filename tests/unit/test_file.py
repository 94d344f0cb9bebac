"""Filing on her device: what the policy does not offer is refused, and nothing tells how much was used."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from tests.support.world import ALIAS, World

from notalone_crypto.errors import (
    Code,
    ContextMismatch,
    MalformedInput,
    Misuse,
    NotAloneError,
    RollRefused,
    StateConflict,
)
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.contact import MAX_ALIAS, ReplyCard
from notalone_crypto.messages.filing import SECOND_INTRODUCTION_LENGTH, Header
from notalone_crypto.primitives import pedersen
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.protocol import accept, file, statement
from notalone_crypto.protocol.roll import Member, member_from_phrase
from notalone_crypto.protocol.withdraw import period_of
from notalone_crypto.suite import PHRASE_LENGTH


@cache
def world() -> World:
    """Never filed into: tests here only seal."""
    return World(members=32, slots=(1, 2))


def period() -> int:
    return period_of(world().now, world().policy.period_days)


def scalars(who: int, identifiers: dict[int, bytes], threshold: int) -> dict[tuple[int, int], int]:
    one = world()
    found = file.identifier_scalars(
        one.committee, one.policy, one.people[who], one.report(identifiers, threshold)
    )
    return dict(zip(statement.positions(one.policy), found, strict=True))


def test_sizes_are_equal_whatever_the_report_says() -> None:
    """FILE-1: slots used, threshold, mode, consent, length of the words."""
    one = world()
    longest = SECOND_INTRODUCTION_LENGTH - 4
    reports = [
        one.report({1: b"a"}, 2),
        one.report({1: b"a" * 500, 2: b"b"}, 3),
        one.report({2: b"a"}, 3, ReleaseMode.PEERS, preconsent=True),
        one.report({1: b"a"}, 2, words=b""),
        one.report({1: b"a"}, 2, words=b"w" * longest),
        replace(one.report({1: b"a"}, 2), alias=""),
        replace(one.report({1: b"a"}, 2), alias="f" * MAX_ALIAS),
    ]
    filings = [one.seal(number, report).filing for number, report in enumerate(reports)]
    assert len({len(filing.encode()) for filing in filings}) == 1
    assert len({len(filing.header) for filing in filings}) == 1
    assert {len(bundle) for filing in filings for bundle in filing.bundles} == {accept.bundle_length(4)}
    assert {len(filing.proof) for filing in filings} == {len(filings[0].proof)}
    with pytest.raises(Misuse):
        one.seal(1, one.report({1: b"a"}, 2, words=b"w" * (longest + 1)))


def test_levels_below_the_threshold_and_unused_slots_get_dummies() -> None:
    """FILE-3: a real scalar is everybody's, a dummy is hers alone."""
    mine, hers = scalars(0, {1: b"bob"}, 3), scalars(1, {1: b"bob"}, 3)
    assert mine[1, 3] == hers[1, 3]
    for place in ((1, 2), (2, 2), (2, 3)):
        assert mine[place] != hers[place]
    assert len(set(mine.values())) == 4
    both = scalars(0, {1: b"bob", 2: b"bob"}, 2)
    assert both[1, 2] == both[1, 3] == scalars(1, {1: b"bob"}, 2)[1, 2]
    assert both[1, 2] != both[2, 2]
    assert all(0 <= value < ORDER for value in both.values())


def test_the_same_report_again_has_the_same_scalars_and_another_has_not() -> None:
    """FILE-4; a dummy of a used slot follows its identifier, of an unused one the whole report."""
    first, again = scalars(0, {1: b"bob"}, 3), scalars(0, {1: b"bob"}, 3)
    assert first == again
    other = scalars(0, {1: b"al"}, 3)
    assert not set(first.values()) & set(other.values())
    more = scalars(0, {1: b"bob", 2: b"x"}, 3)
    assert more[1, 2] == first[1, 2]
    assert not {more[2, 2], more[2, 3]} & set(first.values())


def test_report_outside_the_policy_is_refused() -> None:
    """FILE-5."""
    one = world()
    good = one.report({1: b"a"}, 2)
    for wrong in (
        replace(good, identifiers={}),
        replace(good, identifiers={3: b"a"}),
        replace(good, identifiers={1: b"a", 9: b"b"}),
        replace(good, threshold=4),
        replace(good, threshold=1),
        replace(good, release_mode=3),  # type: ignore[arg-type]
        replace(good, desk_key=bytes(32)),
    ):
        with pytest.raises(ContextMismatch) as caught:
            one.seal(0, wrong)
        assert caught.value.code == Code.POLICY


def test_a_roll_she_is_not_on_or_that_is_too_small_is_refused() -> None:
    one = World(members=32, slots=(1,))
    stranger = World(members=32, slots=(1,), seed=b"other").people[0]
    with pytest.raises(RollRefused) as caught:
        one.seal(stranger, one.report({1: b"a"}))
    assert caught.value.code == Code.NOT_ELIGIBLE
    one.refresh_snapshot(2, frozenset({5}))
    with pytest.raises(RollRefused) as caught:
        one.seal(0, one.report({1: b"a"}))
    assert caught.value.code == Code.ROLL_TOO_SMALL


def test_quota_place_is_random_among_unused_ones() -> None:
    """FILE-2: counting up would tell how many she filed."""
    one = world()
    tags = file.own_tags(one.committee, one.policy, one.people[0], period())
    assert len(set(tags)) == one.policy.quota == 12
    report = one.report({1: b"a"})
    drawn = {one.seal(0, report).header.quota_index for _ in range(10)}
    assert len(drawn) > 3
    only = frozenset(tags[:7] + tags[8:])
    sealed = one.seal(0, report, only)
    assert (sealed.header.quota_index, sealed.header.quota_tag) == (7, tags[7])
    with pytest.raises(StateConflict) as caught:
        one.seal(0, report, frozenset(tags))
    assert caught.value.code == Code.QUOTA
    others = file.own_tags(one.committee, one.policy, one.people[1], period())
    later = file.own_tags(one.committee, one.policy, one.people[0], period() + 1)
    assert len({*tags, *others, *later}) == 36


def test_owner_keys_are_found_again_from_phrase_and_tags() -> None:
    """FILE-6: a new device knows twelve words and the public list of spent tags, nothing else."""
    one = World(members=0, slots=(1,))
    entropy = one.randomness(PHRASE_LENGTH)
    mine = file.owner_keys(member_of(one, entropy), b"\x07" * 32)
    again = file.owner_keys(member_of(one, entropy), b"\x07" * 32)
    assert mine.signing_key.verify_key == again.signing_key.verify_key
    assert mine.recipient_key.public == again.recipient_key.public
    assert (
        file.owner_keys(member_of(one, entropy), b"\x08" * 32).signing_key.verify_key
        != mine.signing_key.verify_key
    )
    full = world()
    sealed = full.seal(0, full.report({1: b"a"}))
    tags = file.own_tags(full.committee, full.policy, full.people[0], sealed.header.period)
    assert sealed.header.quota_tag in tags
    found = file.owner_keys(full.people[0], sealed.header.quota_tag)
    assert found.signing_key.verify_key == sealed.header.owner_key
    assert found.recipient_key.public == sealed.header.recipient_key


def member_of(one: World, entropy: bytes) -> Member:
    return member_from_phrase(entropy, one.instance, one.issuer.verify_key)


def test_the_filing_carries_its_header_and_nothing_of_the_report_in_clear() -> None:
    one = world()
    sealed = one.seal(0, one.report({1: b"laurent.morel"}, 2, words=b"the very words"))
    data = sealed.filing.encode()
    assert Header.decode(sealed.filing.header) == sealed.header
    for secret in (
        b"laurent.morel",
        b"the very words",
        ALIAS.encode(),
        sealed.owner.reply_key.public,
        one.people[0].phrase_key,
    ):
        assert secret not in data
        assert repr(secret)[2:-1] not in repr(sealed)
    assert one.people[0].place not in data


def test_introductions_open_under_their_own_key_tag_and_number_only() -> None:
    one = world()
    sealed = one.seal(0, one.report({1: b"a"}, 2, words=b"hello"))
    view = one.view()
    shares = [
        accept.open_bundle(one.committee, own, sealed.filing, sealed.header) for own in one.secrets.values()
    ]
    keys = [
        pedersen.recover(
            sealed.header.content_commitments[number], 2, [own.contents[number] for own in shares]
        )
        for number in (0, 1)
    ]
    scope, tag = one.policy.scope, sealed.header.quota_tag
    first, second = sealed.filing.first_introduction, sealed.filing.second_introduction
    card = ReplyCard.decode(file.open_introduction(view.committee, scope, tag, 1, keys[0], first))
    assert card == ReplyCard(sealed.owner.reply_key.public, ALIAS)
    assert file.open_introduction(view.committee, scope, tag, 2, keys[1], second) == b"hello"
    for wrong in (
        (scope, tag, 2, keys[0], first),
        (scope, tag, 1, keys[1], first),
        (scope, one.people[0].place, 1, keys[0], first),
        (bytes(32), tag, 1, keys[0], first),
        (scope, tag, 1, keys[0], first[:-1] + bytes([first[-1] ^ 1])),
        (scope, tag, 1, keys[0], b""),
    ):
        with pytest.raises(NotAloneError) as caught:
            file.open_introduction(view.committee, *wrong)
        assert caught.value.code == Code.DECRYPTION


def test_shares_have_one_encoding() -> None:
    share = pedersen.Share(2, 5, ORDER - 1)
    assert file.decode_share(file.encode_share(share), 2) == share
    for bad in (b"\xff" * 64, bytes(32) + ORDER.to_bytes(32, "little"), bytes(63), bytes(65)):
        with pytest.raises(MalformedInput):
            file.decode_share(bad, 2)


@pytest.mark.parametrize("weeks", [-1, 105])
def test_an_expiry_every_trustee_would_refuse_is_refused_before_anything_leaves(weeks: int) -> None:
    """Sealed and sent, it would spend a quota place for nothing."""
    world = World(slots=(1,), members=32)
    with pytest.raises(ContextMismatch) as caught:
        world.seal(1, world.report(b"bob", weeks=weeks))
    assert caught.value.code == Code.EXPIRY
