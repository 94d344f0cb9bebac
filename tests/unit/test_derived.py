"""What is kept at hand about live entries gives exactly what looking at all of them would give."""

from __future__ import annotations

import random

from tests.support.world import World

from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.protocol.derived import Expiries, latest
from notalone_crypto.protocol.outline import Outline
from notalone_crypto.protocol.withdraw import week_of

NOW = 1_790_000_000


def expired(live: dict[bytes, Outline], now: int) -> set[bytes]:
    return {name for name, one in live.items() if one.expiry_week < week_of(now)}


def test_expired_entries_are_those_of_a_full_look_whatever_came_and_left() -> None:
    choices = random.Random("expiries")
    for _ in range(30):
        index, live, asked = Expiries(), {}, 0
        for step in range(60):
            action = choices.random()
            if action < 0.6:
                week = week_of(NOW) + choices.randint(-3, 3)
                live[step.to_bytes(32, "big")] = Outline(week)
            elif action < 0.75 and live:
                del live[choices.choice(list(live))]
            elif action < 0.8:
                live = dict(live)  # as after a re-share
            else:
                now = NOW + choices.randint(-2, 2) * 7 * 86400
                found = index.expired(live, now)
                assert len(found) == len(set(found))
                assert set(found) == expired(live, now)
                asked += 1
        assert asked > 3


def test_new_entries_are_found_at_the_end_and_a_departure_is_noticed() -> None:
    live = dict.fromkeys((b"a", b"b", b"c", b"d"), 0)
    assert latest(live, {b"a", b"b"}) == [b"c", b"d"]
    assert latest(live, set(live)) == []
    assert latest(live, set()) == [b"a", b"b", b"c", b"d"]
    assert latest(live, {b"gone", b"a", b"b"}) is None
    del live[b"b"]
    assert latest(live, {b"a", b"b"}) is None


def test_a_trustee_that_forgets_its_finders_in_every_batch_releases_the_same() -> None:
    """Only groups that changed are looked at: what is due, and its order, is as when all are."""
    world = World()
    subjects = (b"one", b"two", b"one", b"three", b"one", b"two", b"two")
    filed = []
    for person, subject in enumerate(subjects):
        mode = ReleaseMode.PEERS if person % 2 else ReleaseMode.COUNSELLOR
        filed.append(world.file(person, subject, mode=mode))
        if person == 4:
            world.withdraw(filed[0])
        world.scope_of(2).finders.clear()  # as a restart does
        world.run_batch()
        kept, forgot = world.scope_of(1), world.scope_of(2)
        assert (kept.groups, kept.queue, kept.released) == (forgot.groups, forgot.queue, forgot.released)
        assert kept.searched == forgot.searched
        assert all(not one.changed for one in kept.finders.values())
    assert world.scope_of(1).released
