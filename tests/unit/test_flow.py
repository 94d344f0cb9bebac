"""The whole path once: seal, accept, evaluate, match, release, withdraw."""

from tests.support.world import World

from notalone_crypto.messages.committee import ReleaseMode


def test_two_reports_match_at_two_and_open_to_the_right_people() -> None:
    world = World()
    first = world.file(1, b"bob", 2, ReleaseMode.PEERS)
    second = world.file(2, b"bob", 2, ReleaseMode.PEERS)
    waiting = world.file(3, b"bob", 3, ReleaseMode.PEERS)
    alone = world.file(4, b"al", 2)
    world.run_batch()
    assert (second.header.entry, 1) in world.opened_by(first.owner.recipient_key)
    assert (first.header.entry, 1) in world.opened_by(second.owner.recipient_key)
    assert world.opened_by(alone.owner.recipient_key) == set()
    # Three accept being three, so the patient one is in too.
    assert world.opened_by(waiting.owner.recipient_key) == {(first.header.entry, 1), (second.header.entry, 1)}
    assert world.opened_by(world.desk) == set()


def test_one_who_waits_for_three_does_not_count_for_one_who_asked_for_two() -> None:
    world = World()
    first = world.file(1, b"bob", 2, ReleaseMode.PEERS)
    second = world.file(2, b"bob", 3, ReleaseMode.PEERS)
    world.run_batch()
    assert world.opened_by(first.owner.recipient_key) == set()
    assert world.opened_by(second.owner.recipient_key) == set()


def test_a_withdrawn_report_matches_nothing_afterwards() -> None:
    world = World()
    first = world.file(1, b"bob")
    world.run_batch()
    world.withdraw(first)
    second = world.file(2, b"bob")
    world.run_batch()
    assert world.opened_by(world.desk) == set()
    third = world.file(3, b"bob")
    world.run_batch()
    assert world.opened_by(world.desk) == {
        (entry, content) for entry in (second.header.entry, third.header.entry) for content in (1, 2)
    }
