"""The roll: one proved place each, cohorts that stand still, snapshots that cannot be stretched."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from notalone_crypto.errors import Code, ContextMismatch, RollRefused, VerificationFailed
from notalone_crypto.messages.roll import RollEntry, RollSnapshot
from notalone_crypto.primitives import signing
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.protocol import roll
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag

ISSUER, OTHER = (signing.SigningKey(bytes([number]) * 32) for number in (1, 2))
SCOPE = b"\x05" * 32
NOW = 1_790_000_000


def member(number: int = 1, instance: str = "test", issuer: signing.SigningKey = ISSUER) -> roll.Member:
    return roll.member_from_phrase(bytes([number]) * 16, instance, issuer.verify_key)


@cache
def entries(count: int) -> tuple[RollEntry, ...]:
    """That many places; unsigned, since only the issuer reads its own list."""
    places, element = [], RISTRETTO255.generator
    for number in range(count):
        places.append(RollEntry(ISSUER.verify_key, number, element, 0, bytes(64)))
        element = RISTRETTO255.add(element, RISTRETTO255.generator)
    return tuple(places)


def snapshots(
    on_roll: tuple[RollEntry, ...], closed: frozenset[int] = frozenset(), number: int = 1, now: int = NOW
) -> tuple[RollSnapshot, ...]:
    return roll.take_snapshots(on_roll, closed, ISSUER, scope=SCOPE, number=number, now=now, declared=2000)


def check(snapshot: RollSnapshot) -> None:
    roll.check_snapshot(snapshot, scope=SCOPE, issuer_keys=[ISSUER.verify_key])


def resigned(snapshot: RollSnapshot, **change: object) -> RollSnapshot:
    return sign_message(replace(snapshot, **change), ISSUER, Tag.ROLL_SNAPSHOT)  # type: ignore[arg-type]


def test_duplicate_place_and_foreign_proof_are_refused() -> None:
    """ROLL-1: a place is proved for one instance and one issuer, and bought once."""
    one = member()
    request = roll.enrol(one, "test", ISSUER.verify_key, SeededStream(b"enrol"))
    entry = roll.accept_enrolment(request, "test", ISSUER, [], eligible_from=7)
    assert (entry.place, entry.number, entry.eligible_from) == (one.place, 0, 7)
    with pytest.raises(RollRefused) as caught:
        roll.accept_enrolment(request, "test", ISSUER, [entry], eligible_from=0)
    assert caught.value.code == Code.ROLL_DUPLICATE
    foreign = [
        roll.enrol(one, "elsewhere", ISSUER.verify_key, SeededStream(b"enrol")),
        roll.enrol(one, "test", OTHER.verify_key, SeededStream(b"enrol")),
        replace(request, place=member(2).place),
        replace(request, place=RISTRETTO255.add(one.place, RISTRETTO255.generator)),
    ]
    for wrong in foreign:
        with pytest.raises(VerificationFailed) as refused:
            roll.accept_enrolment(wrong, "test", ISSUER, [], eligible_from=0)
        assert refused.value.code == Code.PROOF


def test_a_member_is_one_person_in_every_organisation_of_an_instance() -> None:
    """ROLL-6."""
    here, there, elsewhere = member(), member(issuer=OTHER), member(instance="other")
    assert here.secret == there.secret != elsewhere.secret
    assert here.place != there.place
    assert here.phrase_key == there.phrase_key != elsewhere.phrase_key
    assert member(2).secret != here.secret
    assert repr(here) == "Member()"


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_phrase_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(RollRefused) as caught:
        roll.member_from_phrase(bytes(length), "test", ISSUER.verify_key)
    assert caught.value.code == Code.LENGTH


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, [0]),
        (31, [31]),
        (32, [32]),
        (512, [512]),
        (513, [256, 256, 1]),
        (768, [256, 256, 256]),
        (769, [256, 256, 256, 1]),
    ],
)
def test_the_whole_roll_up_to_512_then_cohorts_of_256(count: int, sizes: list[int]) -> None:
    cut = roll.cohorts(entries(count))
    assert [len(cohort) for cohort in cut] == sizes
    assert tuple(entry for cohort in cut for entry in cohort) == entries(count)
    taken = snapshots(entries(count))
    assert [len(snapshot.places) for snapshot in taken] == sizes
    assert [snapshot.cohort for snapshot in taken] == list(range(len(sizes)))


def test_closed_cohorts_are_never_cut_again() -> None:
    """ROLL-5: later members do not move anybody; who leaves is missing and nobody takes her place."""
    first = [snapshot.places for snapshot in snapshots(entries(513))][:2]
    for count in (600, 769, 1100):
        assert [snapshot.places for snapshot in snapshots(entries(count))][:2] == first
    closed = snapshots(entries(769), frozenset({3, 300}))
    assert closed[0].places == tuple(p for number, p in enumerate(first[0]) if number != 3)
    assert closed[1].places == tuple(p for number, p in enumerate(first[1], 256) if number != 300)
    assert {snapshot.enrolled for snapshot in closed} == {767}


def test_places_not_yet_eligible_are_left_out_until_their_second() -> None:
    waiting = (*entries(32), replace(entries(33)[32], eligible_from=NOW + 1))
    assert len(snapshots(waiting)[0].places) == 32
    assert len(snapshots(waiting, now=NOW + 1)[0].places) == 33


def test_fewer_than_32_are_too_few_to_hide_among() -> None:
    check(snapshots(entries(32))[0])
    with pytest.raises(RollRefused) as caught:
        check(snapshots(entries(31))[0])
    assert caught.value.code == Code.ROLL_TOO_SMALL
    with pytest.raises(RollRefused):
        check(snapshots(entries(33), frozenset({1, 2}))[0])


def test_a_last_cohort_too_small_is_refused_until_it_fills() -> None:
    """ROLL-2."""
    for count, good in ((513, False), (543, False), (544, True)):
        last = snapshots(entries(count))[-1]
        if good:
            check(last)
        else:
            with pytest.raises(RollRefused):
                check(last)


def test_snapshot_numbers_that_do_not_add_up_are_refused() -> None:
    """ROLL-7: ghosts are bounded by declared minus enrolled, so both must cover every place."""
    good = snapshots(entries(40))[0]
    check(good)
    check(resigned(good, declared=40))
    for change in ({"enrolled": 39}, {"declared": 39}, {"enrolled": 41, "declared": 40}):
        with pytest.raises(RollRefused) as caught:
            check(resigned(good, **change))
        assert caught.value.code == Code.SNAPSHOT
    with pytest.raises(RollRefused) as caught:
        check(resigned(good, places=(*good.places, good.places[0]), enrolled=41))
    assert caught.value.code == Code.ROLL_DUPLICATE


def test_snapshot_is_the_issuers_own_and_of_this_scope() -> None:
    good = snapshots(entries(40))[0]
    for change in (
        {"number": 2},
        {"cohort": 1},
        {"issued_at": 0},
        {"places": good.places[::-1]},
        {"declared": 99},
    ):
        with pytest.raises(VerificationFailed) as caught:
            check(replace(good, **change))  # type: ignore[arg-type]
        assert caught.value.code == Code.SIGNATURE
        assert replace(good, **change).fingerprint != good.fingerprint  # type: ignore[arg-type]
    for change in ({"scope": bytes(32)}, {"issuer_key": OTHER.verify_key}):
        with pytest.raises(ContextMismatch) as mismatch:
            check(resigned(good, **change))
        assert mismatch.value.code == Code.SNAPSHOT


@pytest.mark.parametrize(
    ("change", "now", "current"),
    [
        ({}, NOW + 10**6, True),
        ({"number": 2}, NOW + 120, True),
        ({"number": 2}, NOW + 121, False),
        ({"number": 3}, NOW, False),
        ({"number": 1, "declared": 41}, NOW, False),
        ({"number": 2, "cohort": 1}, NOW, False),
        ({"number": 2, "issuer_key": OTHER.verify_key}, NOW, False),
        ({"number": 0}, NOW, False),
    ],
    ids=str,
)
def test_a_replaced_snapshot_is_good_for_two_minutes(
    change: dict[str, object], now: int, *, current: bool
) -> None:
    mine = snapshots(entries(40))[0]
    newest = resigned(mine, **change)
    assert roll.is_current(mine, newest, now) == current
