"""Contact after a match: who computes which mailbox, and what is shown once both agreed."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import pytest
from tests.support.pairs import COMMITTEE, SCOPE, committee, people, said

from notalone_crypto.errors import Code, MalformedInput, Misuse, NotAloneError, StateConflict
from notalone_crypto.messages import contact as wire
from notalone_crypto.messages.contact import Choice, LetterContent, LetterKind, ReplyCard, Stage
from notalone_crypto.messages.filing import FIRST_INTRODUCTION_LENGTH
from notalone_crypto.primitives import hpke
from notalone_crypto.primitives.padding import PREFIX_LENGTH
from notalone_crypto.protocol.contact import (
    Acquaintance,
    Channel,
    End,
    Notebook,
    acquaintance,
    acquaintances,
    introduction,
    ordered,
)
from notalone_crypto.protocol.conversation import (
    With,
    Words,
    details_letter,
    letters_for_choice,
    read,
    text_letter,
)
from notalone_crypto.randomness import SeededStream

ONE_OF_EACH = (
    LetterContent(LetterKind.CONSENT, 1, stage=2),
    LetterContent(LetterKind.TEXT, 2, text=b"a"),
    LetterContent(LetterKind.TEXT, 3, text=b"w" * wire.MAX_TEXT),
    LetterContent(LetterKind.DETAILS, 4, text="à 18 h".encode()),
    LetterContent(LetterKind.NOTE, 5, stage=5, entry=b"\x07" * 32),
    LetterContent(
        LetterKind.INTRODUCTION, 6, entry=b"\x08" * 32, text=ReplyCard(b"\x09" * 32, "é" * 100).encode()
    ),
)


# --- messages ---------------------------------------------------------------------------------------


def test_a_reply_card_of_any_alias_fits_in_the_first_introduction() -> None:
    longest = ReplyCard(b"\x09" * 32, "a" * wire.MAX_ALIAS)
    assert len(longest.encode()) <= FIRST_INTRODUCTION_LENGTH - PREFIX_LENGTH
    assert ReplyCard.decode(longest.encode()) == longest
    for alias in ("a" * (wire.MAX_ALIAS + 1), "é" * 101, "e\u0301", "\ud800"):
        with pytest.raises(MalformedInput) as caught:
            ReplyCard(b"\x09" * 32, alias)
        assert caught.value.code == Code.TEXT


@pytest.mark.parametrize("content", ONE_OF_EACH, ids=lambda one: f"{one.kind}-{one.number}")
def test_letters_come_back_and_have_one_size(content: LetterContent) -> None:
    """[CONTACT-5]"""
    assert LetterContent.decode(content.encode()) == content
    box = people("a")[0].notebook.box
    letter = box.seal(content, bytes(32), SeededStream(b"salt"))
    assert len(letter) == wire.LETTER_LENGTH == 1104
    assert box.open_letter(letter) == content


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": 0}, {"kind": 6}, {"number": 0}, {"number": 1 << 32},
        {"stage": 0}, {"stage": 3}, {"entry": b"\x01" * 32}, {"text": b"x"},
        {"kind": 2}, {"kind": 2, "stage": 0, "text": b""}, {"kind": 2, "text": b"a"},
        {"kind": 2, "stage": 0, "text": b"\xff"}, {"kind": 2, "stage": 0, "text": "e\u0301".encode()},
        {"kind": 2, "stage": 0, "text": b"w" * (wire.MAX_TEXT + 1)},
        {"kind": 2, "stage": 0, "text": b"a", "entry": b"\x01" * 32},
        {"kind": 3, "stage": 0}, {"kind": 4, "stage": 0, "entry": b"\x01" * 32},
        {"kind": 4, "stage": 0, "text": ReplyCard(b"\x09" * 32, "a").encode()},
        {"kind": 5, "stage": 0}, {"kind": 5, "stage": 6}, {"kind": 5, "text": b"a"},
    ],
    ids=str,
)  # fmt: skip
def test_a_letter_that_says_what_its_kind_cannot_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MalformedInput):
        replace(LetterContent(LetterKind.CONSENT, 1, stage=1), **wrong)  # type: ignore[arg-type]


def test_bodies_of_posts_requests_and_answers_have_one_size_and_one_encoding() -> None:
    """[CONTACT-12]"""
    address, letter = b"\x01" * 32, b"\x02" * wire.LETTER_LENGTH
    assert wire.decode_post(wire.encode_post(address, letter)) == (address, letter)
    asked = [(bytes([n]) * 32, n) for n in range(8)]
    request = wire.encode_request(asked)
    assert len(request) == wire.REQUEST_LENGTH == 288
    assert wire.decode_request(request) == tuple(asked)
    pages = [[(8 + n, letter) for n in range(count)] for count in (0, 1, 2, 3, 4, 0, 0, 1)]
    bodies = [wire.encode_answer(pages), wire.encode_answer([[]] * 8)]
    assert {len(body) for body in bodies} == {wire.ANSWER_LENGTH} == {35456}
    assert wire.decode_answer(bodies[0], asked) == tuple(map(tuple, pages))
    assert wire.decode_answer(bodies[1], asked) == ((),) * 8
    for made in (
        lambda: wire.encode_post(address[1:], letter),
        lambda: wire.encode_post(address, letter[1:]),
        lambda: wire.decode_post(address + letter[1:]),
        lambda: wire.encode_request(asked[:7]),
        lambda: wire.encode_request([*asked, asked[0]]),
        lambda: wire.encode_request([(address, 1 << 32), *asked[1:]]),
        lambda: wire.decode_request(request + b"\x00"),
        lambda: wire.encode_answer(pages[:7]),
        lambda: wire.encode_answer([[(n, letter) for n in range(1, 6)], *pages[1:]]),
        lambda: wire.encode_answer([[(2, letter), (2, letter)], *pages[1:]]),
        lambda: wire.encode_answer([[(0, letter)], *pages[1:]]),
        lambda: wire.decode_answer(bodies[0][1:]),
    ):
        with pytest.raises(MalformedInput):
            made()


def test_answers_that_are_not_filled_up_with_zeros_or_repeat_positions_are_refused() -> None:
    """[CONTACT-12]"""
    letter = b"\x02" * wire.LETTER_LENGTH
    slot = 4 + wire.LETTER_LENGTH
    body = wire.encode_answer([[(3, letter), (5, letter)], *[[]] * 7])
    asked = [(bytes(32), 2)] + [(bytes(32), 0)] * 7
    assert wire.decode_answer(body, asked)[0] == ((3, letter), (5, letter))
    hole = bytes(slot) + body[:slot] + body[2 * slot :]
    for bad in (
        body[:-1] + b"\x01",  # a letter without a position
        hole,
        body[slot : 2 * slot] + body[:slot] + body[2 * slot :],
    ):
        with pytest.raises(MalformedInput):
            wire.decode_answer(bad, asked)
    with pytest.raises(MalformedInput) as caught:
        wire.decode_answer(body, [(bytes(32), 3), *asked[1:]])
    assert caught.value.code == Code.RANGE


# --- channels ---------------------------------------------------------------------------------------


def test_both_ends_compute_the_same_two_mailboxes_and_nobody_elses() -> None:
    """[CONTACT-3]"""
    alma, berthe, chloe, desk = people("alma", "berthe", "chloe", "desk")
    mine, hers = alma.channel(berthe), berthe.channel(alma)
    assert (mine.outgoing, mine.incoming) == (hers.incoming, hers.outgoing)
    found = {
        way.outgoing_address
        for one, two in combinations((alma, berthe, chloe, desk), 2)
        for way in (one.channel(two), two.channel(one))
    }
    assert len(found) == 12
    assert len(found | {one.notebook.address for one in (alma, berthe, chloe)}) == 15


def test_addresses_change_with_instance_committee_scope_key_and_entry() -> None:
    """[CONTACT-3]"""
    alma, berthe, chloe = people("alma", "berthe", "chloe")
    other_end = replace(berthe.end, entry=b"\x05" * 32)
    own_end = replace(alma.end, entry=b"\x05" * 32)
    committees = [COMMITTEE, committee(instance=b"other"), committee(identifier=b"\x12" * 32)]
    addresses = {
        Channel.between(committee, scope, alma.key, own, other).outgoing_address
        for committee, scope in [(one, SCOPE) for one in committees] + [(COMMITTEE, b"\x23" * 32)]
        for own, other in [(alma.end, berthe.end), (alma.end, other_end), (own_end, berthe.end)]
    }
    assert len(addresses) == 12
    assert alma.channel(chloe).outgoing_address not in addresses


def test_a_channel_needs_two_ends_and_the_own_key() -> None:
    alma, berthe = people("alma", "berthe")
    for other in (alma.end, replace(alma.end, entry=berthe.entry), replace(berthe.end, entry=alma.entry)):
        with pytest.raises(StateConflict) as caught:
            Channel.between(COMMITTEE, SCOPE, alma.key, alma.end, other)
        assert caught.value.code == Code.DUPLICATE
    with pytest.raises(Misuse):
        Channel.between(COMMITTEE, SCOPE, berthe.key, alma.end, berthe.end)


def test_every_letter_of_one_content_has_its_own_key() -> None:
    alma, berthe = people("alma", "berthe")
    box, text = alma.channel(berthe).outgoing, LetterContent(LetterKind.TEXT, 1, text=b"the same")
    one, two = (box.seal(text, bytes(32), alma.randomness) for _ in range(2))
    assert one != two
    assert not set(zip(*[iter(one[64:])] * 16, strict=False)) & set(zip(*[iter(two[64:])] * 16, strict=False))
    assert box.open_all([one, two]) == (text,)


def test_kinds_go_only_their_way() -> None:
    """[CONTACT-6]"""
    alma, berthe, desk = people("alma", "berthe", "desk")
    note = LetterContent(LetterKind.NOTE, 1, stage=1)
    introduced = introduction(1, Acquaintance(berthe.end, "B."))
    with pytest.raises(Misuse):
        alma.notebook.seal(LetterContent(LetterKind.TEXT, 1, text=b"a"), alma.randomness)
    for content, sender, receiver in (
        (note, alma, berthe),
        (introduced, alma, berthe),
        (introduced, alma, desk),
    ):
        with pytest.raises(Misuse):
            sender.channel(receiver).seal(content, alma.randomness)
        forced = sender.channel(receiver).outgoing.seal(content, alma.notebook.hand, alma.randomness)
        assert receiver.channel(sender).open_incoming([forced]) == ()
    letter = desk.channel(alma).seal(introduced, desk.randomness)
    assert alma.channel(desk).open_incoming([letter]) == (introduced,)


def test_a_restored_device_finds_key_notebook_and_own_letters_from_the_words() -> None:
    """[CONTACT-2]"""
    alma, berthe = people("alma", "berthe")
    alma.choose(berthe, Choice.WRITE)
    alma.choose(berthe, Choice.NOT_NOW)
    again = people("alma")[0]
    again.boxes = alma.boxes
    assert again.talk(berthe) == alma.talk(berthe)
    assert again.talk(berthe).given == Stage.WRITE
    other_tag = Notebook.of(alma.member, b"\x03" * 32)
    assert other_tag.box.address != alma.notebook.address
    assert other_tag.box.key != alma.notebook.box.key


def test_contents_have_one_order_even_with_one_number() -> None:
    """[CONTACT-6]"""
    texts = [LetterContent(LetterKind.TEXT, 1, text=text) for text in (b"a", b"b", b"c", b"d", b"e")]
    later = LetterContent(LetterKind.CONSENT, 2, stage=1)
    assert ordered([later, *texts[::-1], *texts]) == (*texts, later)


# --- conversations ----------------------------------------------------------------------------------


def test_stage_is_what_both_agreed_to() -> None:
    """[CONTACT-7]"""
    for mine, theirs in product((None, Choice.WRITE, Choice.SHARE_CONTACT), repeat=2):
        alma, berthe = people("alma", "berthe")
        stages = {None: Stage.NOTHING, Choice.WRITE: Stage.WRITE, Choice.SHARE_CONTACT: Stage.CONTACT}
        for person, other, choice in ((alma, berthe, mine), (berthe, alma, theirs)):
            if choice is not None:
                person.choose(other, choice)
        expected = min(stages[mine], stages[theirs])
        assert alma.talk(berthe).stage_open == berthe.talk(alma).stage_open == expected
        assert alma.talk(berthe).may_write == (expected >= Stage.WRITE)
        assert alma.talk(berthe).may_share == (expected >= Stage.CONTACT)


def test_texts_and_details_once_both_agreed() -> None:
    """[CONTACT-8]"""
    alma, berthe = people("alma", "berthe")
    alma.choose(berthe, Choice.WRITE)
    berthe.choose(alma, Choice.WRITE)
    alma.write(berthe, "hello")
    berthe.write(alma, "good evening")
    alma.write(berthe, "how are you?")
    assert said(alma.talk(berthe)) == [(1, "hello"), (1, "how are you?"), (2, "good evening")]
    assert said(berthe.talk(alma)) == [(1, "good evening"), (2, "hello"), (2, "how are you?")]
    with pytest.raises(StateConflict):
        alma.share(berthe, "01 23")
    alma.choose(berthe, Choice.SHARE_CONTACT)
    berthe.choose(alma, Choice.SHARE_CONTACT)
    alma.share(berthe, "01 23")
    (shown,) = berthe.talk(alma).details
    assert (int(shown.who), shown.number, shown.text) == (2, 5, "01 23")


def test_sending_needs_both_consents() -> None:
    """[CONTACT-8]"""
    alma, berthe = people("alma", "berthe")
    for choice in (None, Choice.WRITE, Choice.SHARE_CONTACT):
        if choice is not None:
            alma.choose(berthe, choice)
        for make in (text_letter, details_letter):
            with pytest.raises(StateConflict) as caught:
                make(alma.talk(berthe), "a")
            assert caught.value.code == Code.CONSENT


def test_letters_of_each_choice() -> None:
    """[CONTACT-9]"""
    for choice in Choice:
        alma, berthe = people("alma", "berthe")
        answer = letters_for_choice(alma.talk(berthe), choice)
        if choice in (Choice.WRITE, Choice.SHARE_CONTACT):
            assert [(one.kind, one.stage) for one in answer.letters] == [(1, choice - 1)]
            assert answer.notes == ()
        else:
            assert answer.letters == ()
            assert [(one.kind, one.stage, one.entry) for one in answer.notes] == [(5, choice, berthe.entry)]


def test_agreeing_twice_or_less_sends_nothing_more() -> None:
    alma, berthe = people("alma", "berthe")
    alma.choose(berthe, Choice.SHARE_CONTACT)
    before = alma.boxes.total()
    alma.choose(berthe, Choice.SHARE_CONTACT)
    alma.choose(berthe, Choice.WRITE)
    assert alma.boxes.total() == before
    assert alma.talk(berthe).mine == Stage.CONTACT


def test_not_now_closes_until_she_chooses_again() -> None:
    """[CONTACT-10]"""
    alma, berthe = people("alma", "berthe")
    for one, other in ((alma, berthe), (berthe, alma)):
        one.choose(other, Choice.SHARE_CONTACT)
    berthe.write(alma, "are you there?")
    for refusal in (Choice.NOT_NOW, Choice.BLOCK):
        alma.choose(berthe, refusal)
        assert (alma.talk(berthe).mine, alma.talk(berthe).stage_open) == (Stage.NOTHING, Stage.NOTHING)
        assert said(alma.talk(berthe)) == []
        alma.choose(berthe, Choice.TALK_TO_COUNSELLOR)
        assert alma.talk(berthe).stage_open == Stage.NOTHING
        alma.choose(berthe, Choice.WRITE)
        assert alma.talk(berthe).stage_open == Stage.WRITE
        assert said(alma.talk(berthe)) == [(2, "are you there?")]
        alma.choose(berthe, Choice.SHARE_CONTACT)
        assert alma.talk(berthe).stage_open == Stage.CONTACT


def test_a_lower_consent_after_a_refusal_can_be_raised_again() -> None:
    alma, berthe = people("alma", "berthe")
    alma.choose(berthe, Choice.NOT_NOW)
    alma.choose(berthe, Choice.WRITE)
    assert alma.talk(berthe).mine == Stage.WRITE
    alma.choose(berthe, Choice.SHARE_CONTACT)
    assert alma.talk(berthe).mine == Stage.CONTACT


def test_notes_about_one_end_do_not_concern_another() -> None:
    alma, berthe, chloe, desk = people("alma", "berthe", "chloe", "desk")
    for other in (berthe, chloe):
        alma.choose(other, Choice.WRITE)
    alma.choose(berthe, Choice.BLOCK)
    assert alma.talk(berthe).mine == Stage.NOTHING
    assert alma.talk(chloe).mine == Stage.WRITE
    assert alma.talk(desk).may_write


def test_a_desk_and_a_reporter_talk_at_once_until_she_closes_it() -> None:
    """[CONTACT-11]"""
    alma, desk = people("alma", "desk")
    alma.write(desk, "I would like to talk")
    desk.write(alma, "so would we")
    assert said(desk.talk(alma)) == [(1, "so would we"), (2, "I would like to talk")]
    assert said(alma.talk(desk)) == [(1, "I would like to talk"), (2, "so would we")]
    alma.choose(desk, Choice.BLOCK)
    assert said(alma.talk(desk)) == [(1, "I would like to talk")]
    with pytest.raises(StateConflict):
        alma.write(desk, "a")
    assert desk.talk(alma).may_write
    alma.choose(desk, Choice.TALK_TO_COUNSELLOR)
    assert said(alma.talk(desk))[-1] == (2, "so would we")


def test_a_desk_introduces_two_who_asked_for_it_and_they_start_at_nothing() -> None:
    """[CONTACT-11]"""
    alma, berthe, desk = people("alma", "berthe", "desk")
    assert desk.talk(alma).asked == Stage.NOTHING
    for one in (alma, berthe):
        one.choose(desk, Choice.WRITE)
        assert desk.talk(one).asked == Stage.WRITE
    for one, other in ((alma, berthe), (berthe, alma)):
        desk.post(one, introduction(desk.talk(one).next_number, Acquaintance(other.end, "B.")))
    assert alma.talk(desk).introductions == (Acquaintance(berthe.end, "B."),)
    assert berthe.talk(desk).introductions == (Acquaintance(alma.end, "B."),)
    assert alma.talk(berthe).stage_open == Stage.NOTHING
    assert alma.talk(desk).asked == Stage.NOTHING
    alma.choose(desk, Choice.NOT_NOW)
    assert alma.talk(desk).introductions == ()
    with pytest.raises(Misuse):
        letters_for_choice(desk.talk(alma), Choice.WRITE)


def test_conversations_are_read_with_the_right_kind_of_end() -> None:
    for kind, other in ((With.PEER, bytes(32)), (With.REPORTER, bytes(32)), (With.DESK, b"\x01" * 32)):
        with pytest.raises(Misuse):
            read(kind, (), (), (), other)


def test_unusable_cards_are_passed_over_and_stop_nobody() -> None:
    """[CONTACT-1]"""
    alma = people("alma")[0]
    good = ReplyCard(alma.key.public, "Alma").encode()
    low_order = ReplyCard(bytes(32), "Low").encode()
    twin = ReplyCard((2**255 - 19 + 9).to_bytes(32, "little"), "Twin").encode()
    bad = [low_order, twin, b"", good[:-1], good + b"\x00", b"reply key"]
    for card in bad:
        with pytest.raises(NotAloneError):
            acquaintance(alma.entry, card)
    found = acquaintances([*((b"\x01" * 32, card) for card in bad), (alma.entry, good), (bytes(32), good)])
    assert found == (Acquaintance(End(alma.key.public, alma.entry), "Alma"),)


def test_shared_secrets_follow_rfc_7748_and_refuse_low_order() -> None:
    """RFC 7748 section 6.1."""
    alice, bob = (
        hpke.HpkePrivateKey(bytes.fromhex(secret))
        for secret in (
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        )
    )
    common = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert hpke.shared_secret(alice, bob.public) == hpke.shared_secret(bob, alice.public) == common
    for low in (bytes(32), (1).to_bytes(32, "little"), (2**255 - 20).to_bytes(32, "little")):
        with pytest.raises(MalformedInput):
            hpke.shared_secret(alice, low)


def test_nothing_of_a_conversation_is_in_a_repr() -> None:
    alma, berthe, desk = people("alma", "berthe", "desk")
    for one, other in ((alma, berthe), (berthe, alma)):
        one.choose(other, Choice.SHARE_CONTACT)
    for one, other in ((alma, berthe), (berthe, alma)):
        one.write(other, "a most secret text")
        one.share(other, "a most secret number")
    desk.post(alma, introduction(1, Acquaintance(berthe.end, "a most secret name")))
    way = alma.channel(berthe)
    shown = [
        way, way.outgoing, alma.end, alma.notebook, alma.talk(berthe), alma.talk(desk), Words(1, 1, "secret"),  # type: ignore[arg-type]
        letters_for_choice(alma.talk(desk), Choice.BLOCK), *ONE_OF_EACH,
        ReplyCard(berthe.key.public, "a most secret name"), alma.talk(desk).introductions,
    ]  # fmt: skip
    hidden = [b"secret", way.outgoing.key, way.incoming.key, way.outgoing_address, alma.key.public,
              berthe.key.public, alma.entry, berthe.entry, alma.notebook.address,
              alma.notebook.box.key]  # fmt: skip
    for printed in map(repr, shown):
        for secret in hidden:
            assert repr(secret)[2:-1] not in printed
            assert secret.hex() not in printed
