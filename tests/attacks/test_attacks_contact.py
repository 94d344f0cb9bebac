"""Attacks on contact: by the board, by trustees who know both cards, and by the other end."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import pytest
from tests.attacks.adversary import small_world
from tests.support.pairs import COMMITTEE, SCOPE, Person, people, said

from notalone_crypto.errors import Code, MalformedInput, NotAloneError, StateConflict
from notalone_crypto.messages import contact as wire
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.contact import Choice, LetterContent, LetterKind, ReplyCard, Stage
from notalone_crypto.primitives import aead, hpke, padding, pedersen
from notalone_crypto.primitives.hashing import derive
from notalone_crypto.protocol import accept, file, release
from notalone_crypto.protocol.contact import (
    Acquaintance,
    Channel,
    End,
    Notebook,
    acquaintance,
    acquaintances,
    introduction,
)
from notalone_crypto.protocol.conversation import details_letter, letters_for_choice, text_letter
from notalone_crypto.suite import Tag

LOW_ORDER = (
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
)


def writing(*names: str) -> tuple[Person, ...]:
    """People of whom the first two agreed to share contact."""
    found = people(*names)
    for one, other in ((found[0], found[1]), (found[1], found[0])):
        one.choose(other, Choice.SHARE_CONTACT)
    return found


# --- who computes a mailbox -------------------------------------------------------------------------


def test_copied_card_under_another_entry() -> None:
    """[CONTACT-3] Mallory met Alma before and files with Alma's card as his own.

    Berthe, matched with his entry, writes into a mailbox that Alma never looks
    into and that he cannot compute. Control: Alma's true end is read by Alma.
    """
    alma, berthe, mallory = people("alma", "berthe", "mallory")
    copied = acquaintance(mallory.entry, ReplyCard(alma.key.public, "Alma").encode())
    way = Channel.between(COMMITTEE, SCOPE, berthe.key, berthe.end, copied.end)
    letter = way.seal(LetterContent(LetterKind.TEXT, 1, text=b"to whom?"), berthe.randomness)
    looked_into = {alma.channel(other).incoming_address for other in (berthe, mallory)}
    assert way.outgoing_address not in looked_into
    assert alma.channel(berthe).open_incoming([letter]) == ()
    with pytest.raises(NotAloneError):  # he has not the private key of this end
        Channel.between(COMMITTEE, SCOPE, mallory.key, copied.end, berthe.end)
    pretended = Channel.between(COMMITTEE, SCOPE, mallory.key, mallory.end, berthe.end)
    assert pretended.incoming_address != way.outgoing_address
    assert berthe.channel(alma).outgoing_address == alma.channel(berthe).incoming_address


def test_m_trustees_who_know_both_cards_compute_neither_address_nor_key() -> None:
    """[CONTACT-4] They open every κ1, so they know both reply keys, both entries and all names.

    Everything that these public values give differs from the channel; with one
    private key more, and nothing else, the channel is there (control).
    """
    world = small_world()
    sealed = [world.file(who, b"bob", 2, ReleaseMode.PEERS) for who in (0, 1)]
    cards = []
    for one in sealed:
        shares = [
            accept.open_bundle(world.committee, own, one.filing, one.header) for own in world.secrets.values()
        ][:2]
        scalar = pedersen.recover(one.header.content_commitments[0], 2, [own.contents[0] for own in shares])
        opened = file.open_introduction(
            world.committee,
            world.policy.scope,
            one.header.quota_tag,
            1,
            scalar,
            one.filing.first_introduction,
        )
        cards.append(acquaintance(one.header.entry, opened).end)
    assert [end.key for end in cards] == [one.owner.reply_key.public for one in sealed]
    scope = world.policy.scope
    channel = Channel.between(world.committee, scope, sealed[0].owner.reply_key, *cards)
    control = Channel.between(world.committee, scope, sealed[1].owner.reply_key, *cards[::-1])
    assert (channel.outgoing, channel.incoming) == (control.incoming, control.outgoing)
    true = {channel.outgoing.address, channel.incoming.address, channel.outgoing.key, channel.incoming.key}
    names = [world.committee.instance, world.committee.identifier, scope]
    known = [end.key for end in cards] + [one.owner.recipient_key.public for one in sealed] + [bytes(32)]
    low, high = sorted(cards)

    def derived(secret: bytes) -> set[bytes]:
        root = derive(secret, Tag.MAILBOX, *names, low.key, low.entry, high.key, high.entry)
        found = set()
        for mine, theirs in permutations(cards):
            ends = (mine.key, mine.entry, theirs.key, theirs.entry)
            found |= {derive(root, Tag.MAILBOX, b"address", *ends), derive(root, Tag.LETTER, b"key", *ends)}
        return found

    assert derived(hpke.shared_secret(sealed[0].owner.reply_key, cards[1].key)) == true
    for guess in known:
        assert not derived(guess) & true
    trustee = hpke.HpkePrivateKey(b"\x07" * 32)
    for own, other in permutations(cards):
        with pytest.raises(NotAloneError):
            Channel.between(world.committee, scope, trustee, own, other)
        theirs = Channel.between(world.committee, scope, trustee, End(trustee.public, own.entry), other)
        assert not {theirs.outgoing.address, theirs.outgoing.key, theirs.incoming.address} & true


def test_the_reply_key_is_in_no_filing_and_is_none_of_the_public_keys() -> None:
    """[CONTACT-2] Board and trustees see recipient and owner key in the header; this one they must not."""
    world = small_world()
    sealed = world.file(0, b"bob")
    owner = file.owner_keys(world.people[0], sealed.header.quota_tag)
    assert owner.reply_key.secret == sealed.owner.reply_key.secret
    assert owner.reply_key.public not in sealed.filing.encode()
    assert owner.reply_key.secret not in (owner.recipient_key.secret, owner.signing_key.seed)


@pytest.mark.parametrize("key", LOW_ORDER, ids=lambda key: key[:3].hex())
def test_low_order_reply_key(key: bytes) -> None:
    """[CONTACT-1] With such a key everybody, the board too, would know the shared secret."""
    alma = people("alma")[0]
    with pytest.raises(MalformedInput) as caught:
        acquaintance(b"\x01" * 32, ReplyCard(key, "L.").encode())
    assert caught.value.code == Code.IDENTITY
    with pytest.raises(MalformedInput):
        hpke.shared_secret(alma.key, key)
    usable = (alma.entry, ReplyCard(alma.key.public, "Alma").encode())
    both = acquaintances([(b"\x01" * 32, ReplyCard(key, "L.").encode()), usable])
    assert both == (Acquaintance(alma.end, "Alma"),)


def test_own_reflection() -> None:
    """[CONTACT-4] The board gives her letters back as the other's, and somebody files with her own card."""
    alma, berthe = people("alma", "berthe")
    alma.choose(berthe, Choice.WRITE)
    way, held = alma.channel(berthe), alma.boxes.letters
    before = alma.talk(berthe)
    held[way.incoming_address] = list(held[way.outgoing_address])
    assert alma.talk(berthe) == before
    assert before.stage_open == Stage.NOTHING
    for other in (replace(alma.end, entry=berthe.entry), alma.end):
        with pytest.raises(StateConflict) as caught:
            Channel.between(COMMITTEE, SCOPE, alma.key, alma.end, other)
        assert caught.value.code == Code.DUPLICATE


# --- what the board may do to letters ---------------------------------------------------------------


def test_board_injects_letters() -> None:
    """[CONTACT-6] Noise, other mailboxes' letters, changed bytes and other sizes open to nothing."""
    alma, berthe, chloe = writing("alma", "berthe", "chloe")
    chloe.choose(alma, Choice.WRITE)
    berthe.write(alma, "from me")
    before = alma.talk(berthe)
    held, way = alma.boxes.letters, alma.channel(berthe)
    true = held[way.incoming_address][-1]
    forged = [
        bytes(wire.LETTER_LENGTH),
        berthe.randomness(wire.LETTER_LENGTH),
        b"",
        true[:-1],
        true + b"\x00",
    ]
    forged += [true[:at] + bytes([true[at] ^ 1]) + true[at + 1 :] for at in (0, 31, 32, 63, 64, 500, 1103)]
    forged += [
        letter for address, letters in held.items() if address != way.incoming_address for letter in letters
    ]
    assert len(forged) > 13
    held[way.incoming_address] += forged
    assert alma.talk(berthe) == before
    held[alma.notebook.address] += forged
    assert alma.talk(berthe) == before


def test_board_replays_reorders_and_doubles_letters() -> None:
    """[CONTACT-6]"""
    alma, berthe = writing("alma", "berthe")
    for number in range(3):
        alma.write(berthe, f"a{number}")
        berthe.write(alma, f"b{number}")
    expected = alma.talk(berthe)
    held, way = alma.boxes.letters, alma.channel(berthe)
    true = list(held[way.incoming_address])
    for order in list(permutations(true))[::7]:
        held[way.incoming_address] = [*order, *order[:2]]
        assert alma.talk(berthe) == expected
    assert said(expected) == [(1, "a0"), (1, "a1"), (1, "a2"), (2, "b0"), (2, "b1"), (2, "b2")]


def test_board_hides_her_own_letters_and_brings_them_back() -> None:
    """[CONTACT-6] Her second device counts from 1 again; neither letter is lost, and a refusal wins."""
    alma, berthe = writing("alma", "berthe")
    alma.write(berthe, "first")
    held, way = alma.boxes.letters, alma.channel(berthe)
    hidden = held[way.outgoing_address].pop()
    alma.write(berthe, "second")
    held[way.outgoing_address].append(hidden)
    assert {text for who, text in said(berthe.talk(alma)) if who == 2} == {"first", "second"}
    alma.choose(berthe, Choice.BLOCK)
    block = held[alma.notebook.address].pop()
    alma.choose(berthe, Choice.TALK_TO_COUNSELLOR)
    held[alma.notebook.address].insert(0, block)
    assert alma.talk(berthe).stage_open == Stage.NOTHING


def test_board_that_withholds_consents_opens_nothing() -> None:
    """[CONTACT-7] What it withholds looks like silence; it never looks like consent."""
    alma, berthe = writing("alma", "berthe")
    berthe.write(alma, "hello")
    held, way = alma.boxes.letters, alma.channel(berthe)
    true = list(held[way.incoming_address])
    for kept in (true[1:], []):
        held[way.incoming_address] = kept
        assert alma.talk(berthe).stage_open == Stage.NOTHING
        assert said(alma.talk(berthe)) == []


def test_letters_all_have_one_size_and_nothing_else_in_common() -> None:
    """[CONTACT-5] Kinds, texts and directions cannot be told apart by what the board carries."""
    alma, berthe, desk = writing("alma", "berthe", "desk")
    alma.write(berthe, "a")
    alma.write(berthe, "w" * wire.MAX_TEXT)
    berthe.share(alma, "01 23")
    alma.choose(berthe, Choice.BLOCK)
    desk.post(alma, introduction(1, Acquaintance(berthe.end, "B.")))
    letters = [letter for kept in alma.boxes.letters.values() for letter in kept]
    assert len(letters) == 7
    assert {len(letter) for letter in letters} == {wire.LETTER_LENGTH}
    pieces = [letter[at : at + 16] for letter in letters for at in range(0, wire.LETTER_LENGTH, 16)]
    assert len(set(pieces)) == len(pieces)


# --- what the other end may do ----------------------------------------------------------------------


@pytest.mark.parametrize("mine", [None, Choice.WRITE, Choice.SHARE_CONTACT])
def test_refusal_block_silence_and_unanswered_consent_are_indistinguishable(mine: Choice | None) -> None:
    """[CONTACT-9] What she sees of somebody who did not agree is one object, and one repr.

    Where she has not agreed herself, a consent looks like silence too. Control:
    once both agreed the conversation is another.
    """
    others = ("silence", Choice.NOT_NOW, Choice.BLOCK, Choice.TALK_TO_COUNSELLOR)
    seen = []
    for theirs in others + ((Choice.WRITE, Choice.SHARE_CONTACT) if mine is None else ()):
        alma, berthe = people("alma", "berthe")
        if mine is not None:
            alma.choose(berthe, mine)
        if isinstance(theirs, Choice):
            berthe.choose(alma, theirs)
        seen.append(
            (alma.talk(berthe), repr(alma.talk(berthe)), letters_for_choice(alma.talk(berthe), Choice.WRITE))
        )
    assert all(one == seen[0] for one in seen)
    if mine is not None:
        alma, berthe = people("alma", "berthe")
        alma.choose(berthe, mine)
        berthe.choose(alma, Choice.WRITE)
        assert alma.talk(berthe) != seen[0][0]


def test_a_refusal_reaches_no_mailbox_of_the_other() -> None:
    """[CONTACT-9] Not one letter lies where she looks, so not even their number tells."""
    for choice in (Choice.NOT_NOW, Choice.BLOCK, Choice.TALK_TO_COUNSELLOR):
        alma, berthe = people("alma", "berthe")
        berthe.choose(alma, choice)
        assert alma.boxes.letters[alma.channel(berthe).incoming_address] == []
        assert alma.boxes.total() == 1


def test_text_before_consent_is_not_shown() -> None:
    """[CONTACT-8] A modified client sends what it likes; it is shown once she agreed, not before."""
    alma, berthe = people("alma", "berthe")
    nothing = alma.talk(berthe)
    berthe.post(alma, LetterContent(LetterKind.CONSENT, 1, stage=2))
    berthe.post(alma, LetterContent(LetterKind.TEXT, 2, text=b"I know who you are"))
    assert alma.talk(berthe) == nothing
    with pytest.raises(StateConflict) as caught:
        text_letter(nothing, "a")
    assert caught.value.code == Code.CONSENT
    alma.choose(berthe, Choice.WRITE)
    assert said(alma.talk(berthe)) == [(2, "I know who you are")]


def test_text_without_the_senders_own_consent_is_not_shown() -> None:
    """[CONTACT-8]"""
    alma, berthe = people("alma", "berthe")
    alma.choose(berthe, Choice.SHARE_CONTACT)
    waiting = alma.talk(berthe)
    berthe.post(alma, LetterContent(LetterKind.TEXT, 1, text=b"no need to agree"))
    berthe.post(alma, LetterContent(LetterKind.DETAILS, 2, text=b"01 23"))
    assert alma.talk(berthe) == waiting


def test_details_before_both_consented_are_neither_shown_nor_sent() -> None:
    """[CONTACT-8]"""
    stages = (None, Choice.WRITE, Choice.SHARE_CONTACT)
    for mine, theirs in product(stages, repeat=2):
        alma, berthe = people("alma", "berthe")
        for one, other, choice in ((alma, berthe, mine), (berthe, alma, theirs)):
            if choice is not None:
                one.choose(other, choice)
        both = mine == theirs == Choice.SHARE_CONTACT
        number = berthe.talk(alma).next_number
        berthe.post(alma, LetterContent(LetterKind.DETAILS, number, text=b"01 23"))
        assert len(alma.talk(berthe).details) == both
        if both:
            details_letter(alma.talk(berthe), "45 67")
        else:
            with pytest.raises(StateConflict) as caught:
                details_letter(alma.talk(berthe), "45 67")
            assert caught.value.code == Code.CONSENT


def test_block_after_consent() -> None:
    """[CONTACT-10] Nothing of the other's is shown any more, old or new, and the other sees no change."""
    alma, berthe = writing("alma", "berthe")
    berthe.write(alma, "hello")
    berthe.share(alma, "01 23")
    before = berthe.talk(alma)
    alma.choose(berthe, Choice.BLOCK)
    assert berthe.talk(alma) == before
    blocked = alma.talk(berthe)
    assert (blocked.stage_open, said(blocked), blocked.details) == (Stage.NOTHING, [], ())
    berthe.write(alma, "please")
    berthe.choose(alma, Choice.SHARE_CONTACT)
    assert alma.talk(berthe) == blocked
    for make in (text_letter, details_letter):
        with pytest.raises(StateConflict):
            make(blocked, "a")
    alma.choose(berthe, Choice.SHARE_CONTACT)
    assert said(alma.talk(berthe)) == [(2, "hello"), (2, "please")]


def test_late_joiner_starts_at_nothing() -> None:
    """[CONTACT-7] Consent is per pair: that two write to each other opens nothing to a third."""
    alma, berthe, chloe = writing("alma", "berthe", "chloe")
    for one in (alma, berthe):
        assert one.talk(chloe).stage_open == chloe.talk(one).stage_open == Stage.NOTHING
        assert one.talk(chloe).mine == Stage.NOTHING
    chloe.choose(alma, Choice.SHARE_CONTACT)
    assert alma.talk(chloe).stage_open == berthe.talk(chloe).stage_open == Stage.NOTHING
    again = people("berthe")[0]
    moved = replace(again.end, entry=b"\x33" * 32)  # an edited filing is a new entry: a new pair
    way = Channel.between(COMMITTEE, SCOPE, alma.key, alma.end, moved)
    assert way.incoming_address != alma.channel(berthe).incoming_address


def test_introduction_by_somebody_who_is_not_the_desk() -> None:
    """[CONTACT-11] A peer, a reporter writing to the desk, and a forged desk end introduce nobody."""
    alma, berthe, mallory, desk = writing("alma", "berthe", "mallory", "desk")
    content = introduction(9, Acquaintance(mallory.end, "a friend"))
    before = alma.talk(berthe), desk.talk(berthe), alma.talk(desk)
    for receiver in (alma, desk):
        way = berthe.channel(receiver)
        letter = way.outgoing.seal(content, way.hand, berthe.randomness)
        berthe.boxes.letters[way.outgoing_address].append(letter)
    pretended = Channel.between(COMMITTEE, SCOPE, mallory.key, End.desk(mallory.key.public), alma.end)
    letter = pretended.seal(content, mallory.randomness)
    for address in (pretended.outgoing_address, alma.channel(desk).incoming_address):
        alma.boxes.letters[address].append(letter)
    assert (alma.talk(berthe), desk.talk(berthe), alma.talk(desk)) == before
    desk.post(alma, content)
    assert alma.talk(desk).introductions == (Acquaintance(mallory.end, "a friend"),)


def test_consent_sent_to_the_desk_opens_nothing_with_a_peer() -> None:
    """[CONTACT-11] Asking to be introduced is not agreeing to write to whoever it will be."""
    alma, berthe, desk = people("alma", "berthe", "desk")
    for one in (alma, berthe):
        one.choose(desk, Choice.SHARE_CONTACT)
    assert alma.talk(berthe).stage_open == Stage.NOTHING
    letters = alma.boxes.letters
    letters[berthe.channel(alma).outgoing_address] += letters[berthe.channel(desk).outgoing_address]
    assert alma.talk(berthe).stage_open == Stage.NOTHING


def test_a_malformed_letter_of_the_other_stops_no_other_letter() -> None:
    """[CONTACT-6] The other has the key, so what opens may still be nonsense."""
    alma, berthe = writing("alma", "berthe")
    berthe.write(alma, "hello")
    before = alma.talk(berthe)
    way = berthe.channel(alma)
    wrong = [b"", b"\x00" * 3, LetterContent(LetterKind.CONSENT, 9, stage=2).encode() + b"\x00",
             LetterContent(LetterKind.TEXT, 9, text=b"a").encode()[:-1] + b"\xff"]  # fmt: skip
    for number, plaintext in enumerate(wrong):
        salt = bytes([number]) * 32
        key = derive(way.outgoing.key, Tag.LETTER, salt)
        sealed = salt + aead.seal(key, way.outgoing_address, padding.pad(plaintext, 1024))
        assert len(sealed) == wire.LETTER_LENGTH
        berthe.boxes.letters[way.outgoing_address].insert(0, sealed)
    assert alma.talk(berthe) == before


def test_notebooks_of_two_filings_have_nothing_in_common() -> None:
    """[CONTACT-2] One phrase, two filings: the board cannot link their notebooks."""
    world = small_world()
    sealed = [world.file(0, name) for name in (b"bob", b"al")]
    one, two = (Notebook.of(world.people[0], filed.header.quota_tag) for filed in sealed)
    assert one.box.address != two.box.address
    assert one.box.key != two.box.key
    assert one.address not in sealed[0].filing.encode()


def test_cards_released_after_a_match_lead_to_one_channel() -> None:
    """[CONTACT-1] The whole way: two file, match, open each other's card, and agree."""
    world = small_world()
    sealed = [world.file(who, b"bob", 2, ReleaseMode.PEERS) for who in (0, 1)]
    blobs = world.blobs(world.run_batch())
    scope = world.policy.scope
    ways = []
    for filed in sealed:
        items = release.try_blobs(world.committee, scope, filed.owner.recipient_key, blobs)
        opened = release.open_items(world.committee, items)
        (met,) = acquaintances((one.entry, one.plaintext) for one in opened if one.content == 1)
        own = End(filed.owner.reply_key.public, filed.header.entry)
        ways.append(Channel.between(world.committee, scope, filed.owner.reply_key, own, met.end))
    assert ways[0].outgoing == ways[1].incoming
    consent = LetterContent(LetterKind.CONSENT, 1, stage=1)
    letter = ways[0].seal(consent, world.randomness)
    assert ways[1].open_incoming([letter]) == ways[0].open_outgoing([letter]) == (consent,)


# --- what the other end may do to her own side ------------------------------------------------------


def test_the_other_makes_her_consent_and_her_words() -> None:
    """[CONTACT-13] Both ends have both directions' keys: without her hand in it, nothing counts as hers.

    Else the other agrees in her name, reads on, and puts words into her own history.
    """
    alma, berthe = people("alma", "berthe")
    berthe.choose(alma, Choice.SHARE_CONTACT)
    berthe.post(alma, LetterContent(LetterKind.TEXT, 2, text=b"read me"))
    before = alma.talk(berthe)
    way = berthe.channel(alma)
    agreed = LetterContent(LetterKind.CONSENT, 1, stage=2)
    invented = LetterContent(LetterKind.TEXT, 2, text=b"he did nothing")
    for content in (agreed, invented):
        letter = way.incoming.seal(content, way.hand, berthe.randomness)
        assert way.incoming.open_letter(letter) == content, "it is a perfect letter but for the hand"
        alma.boxes.letters[way.incoming_address].append(letter)
    assert alma.talk(berthe) == before
    assert before.stage_open == Stage.NOTHING
    # Her own true letter under another content, and her nonce with it, are no better.
    alma.choose(berthe, Choice.WRITE)
    true = alma.boxes.letters[way.incoming_address][-1]
    now = alma.talk(berthe)
    assert now.stage_open == Stage.WRITE
    key = derive(way.incoming.key, Tag.LETTER, true[:32])
    changed = true[:32] + aead.seal(key, way.incoming_address, padding.pad(agreed.encode(), 1024))
    alma.boxes.letters[way.incoming_address].append(changed)
    assert alma.talk(berthe) == now


def test_her_letter_to_one_is_not_hers_to_another() -> None:
    """[CONTACT-13] The hand covers the address: what she wrote to Berthe is not to Chloé."""
    alma, berthe, chloe = people("alma", "berthe", "chloe")
    alma.choose(berthe, Choice.SHARE_CONTACT)
    to_berthe, to_chloe = alma.channel(berthe), alma.channel(chloe)
    true = alma.boxes.letters[to_berthe.outgoing_address][-1]
    content = to_berthe.outgoing.open_letter(true)
    nonce_and_hand = true[:32]
    key = derive(to_chloe.outgoing.key, Tag.LETTER, nonce_and_hand)
    moved = nonce_and_hand + aead.seal(key, to_chloe.outgoing_address, padding.pad(content.encode(), 1024))
    alma.boxes.letters[to_chloe.outgoing_address].append(moved)
    assert to_chloe.outgoing.open_letter(moved) == content
    assert alma.talk(chloe).mine == Stage.NOTHING
