"""A conversation is a function of the set of letters: order and repetition, the board's, do nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from tests.support.pairs import people

from notalone_crypto.messages.contact import Choice, LetterContent, LetterKind, ReplyCard, Stage
from notalone_crypto.protocol.conversation import With, letters_for_choice, read

OTHERS = [bytes([number]) * 32 for number in range(3)]  # a desk, a peer, another peer
CARD = ReplyCard(b"\x09" * 32, "A.").encode()
NUMBERS = some.integers(1, 4)
LETTERS = some.one_of(
    some.builds(LetterContent, some.just(LetterKind.CONSENT), NUMBERS, stage=some.sampled_from([1, 2])),
    some.builds(
        LetterContent,
        some.sampled_from([LetterKind.TEXT, LetterKind.DETAILS]),
        NUMBERS,
        text=some.sampled_from([b"a", b"b", "é".encode()]),
    ),
    some.builds(
        LetterContent,
        some.just(LetterKind.INTRODUCTION),
        NUMBERS,
        entry=some.sampled_from(OTHERS[1:]),
        text=some.just(CARD),
    ),
)
NOTES = some.builds(
    LetterContent,
    some.just(LetterKind.NOTE),
    NUMBERS,
    stage=some.integers(1, 5),
    entry=some.sampled_from(OTHERS),
)
BOXES = some.tuples(
    some.lists(LETTERS, max_size=6), some.lists(LETTERS, max_size=6), some.lists(NOTES, max_size=5)
)
ENDS = some.sampled_from([(With.DESK, OTHERS[0]), (With.PEER, OTHERS[1]), (With.REPORTER, OTHERS[1])])


@given(BOXES, ENDS, some.data())
def test_order_and_repetition_of_letters_change_nothing(boxes: Any, end: Any, data: some.DataObject) -> None:
    """[CONTACT-6]"""
    kind, other = end
    expected = read(kind, boxes[0], boxes[1], boxes[2], other)
    changed = [
        data.draw(
            some.permutations(
                box + (data.draw(some.lists(some.sampled_from(box), max_size=4)) if box else [])
            )
        )
        for box in boxes
    ]
    mine, theirs, notes = changed
    assert read(kind, mine, theirs, notes, other) == expected


@given(BOXES)
def test_nothing_of_a_peers_letters_shows_before_both_agreed(boxes: Any) -> None:
    """[CONTACT-9]"""
    mine, theirs, notes = boxes
    shown = read(With.PEER, mine, theirs, notes, OTHERS[1])
    if shown.stage_open == Stage.NOTHING:
        silent = read(With.PEER, mine, [], notes, OTHERS[1])
        assert shown == silent
        assert repr(shown) == repr(silent)
    if shown.stage_open < Stage.CONTACT:
        assert not [one for one in shown.details if one.who == 2]
    assert shown.introductions == ()
    assert shown.stage_open <= shown.mine <= shown.given


@given(BOXES, ENDS, some.sampled_from(list(Choice)))
def test_after_a_choice_it_holds_and_only_agreeing_sends_anything(
    boxes: Any, end: Any, choice: Choice
) -> None:
    """[CONTACT-10] Whatever was chosen before, the newest choice is the one in force."""
    kind, other = end
    if kind == With.REPORTER:
        return
    mine, theirs, notes = boxes
    before = read(kind, mine, theirs, notes, other)
    answer = letters_for_choice(before, choice)
    after = read(kind, [*mine, *answer.letters], theirs, [*notes, *answer.notes], other)
    agreeing = {Choice.WRITE: Stage.WRITE, Choice.SHARE_CONTACT: Stage.CONTACT}.get(choice)
    if choice in (Choice.NOT_NOW, Choice.BLOCK):
        assert after.mine == Stage.NOTHING
        assert not [one for one in after.texts + after.details if one.who == 2]
    elif agreeing is not None:
        assert after.mine >= agreeing
    if agreeing is None:
        assert answer.letters == ()
    assert len(answer.letters) <= 1
    assert len(answer.notes) <= 1
    # Chosen twice is chosen once, as far as the other end and the board can tell from letters to it.
    assert letters_for_choice(after, choice).letters == ()


def test_the_drawn_letters_are_what_people_send() -> None:
    """Control: the same function reads what was really sealed and opened."""
    alma, berthe = people("alma", "berthe")
    alma.choose(berthe, Choice.WRITE)
    assert alma.talk(berthe).mine == Stage.WRITE
