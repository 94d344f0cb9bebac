"""Attack: link two filings about two different people to their common author."""

from __future__ import annotations

from tests.support.world import World

from notalone_crypto.protocol.statement import positions


def test_two_filings_about_two_people_do_not_show_their_common_author() -> None:
    """A trustee compares all outputs of one person's two filings.

    Dummies of unused slots that depended on the person alone were equal and linked them (ADR 0013).
    """
    world = World(slots=(1, 2, 3), members=32)
    one = world.file(1, {1: b"bob"}, 2)
    other = world.file(1, {1: b"carl"}, 3)
    world.run_batch()
    outlines = world.scope_of(1).outlines
    first, second = (outlines[sealed.header.entry].points for sealed in (one, other))
    assert not {point.x for point in first} & {point.x for point in second}
    assert not {point.curve for point in first} & {point.curve for point in second}


def test_filing_the_same_report_again_does_not_show_which_slots_and_levels_are_unused() -> None:
    """Fresh dummies would differ exactly where she uses nothing; hers repeat, so all columns are alike."""
    world = World(slots=(1, 2, 3), members=32)
    one = world.file(1, {1: b"bob"}, 3)
    again = world.file(1, {1: b"bob"}, 3)
    world.run_batch()
    outlines = world.scope_of(1).outlines
    first, second = (outlines[sealed.header.entry].points for sealed in (one, again))
    assert [point.x for point in first] == [point.x for point in second]


def test_filing_again_with_one_more_identifier_does_not_show_which_slot_was_added() -> None:
    """Every slot that was unused differs, the added one and the others alike."""
    world = World(slots=(1, 2, 3), members=32)
    one = world.file(1, {1: b"bob"}, 3)
    more = world.file(1, {1: b"bob", 2: b"bob's phone"}, 3)
    world.run_batch()
    outlines = world.scope_of(1).outlines
    first, second = (outlines[sealed.header.entry].points for sealed in (one, more))
    for position, (slot, _) in enumerate(positions(world.policy)):
        assert (first[position].x == second[position].x) is (slot == 1)
