"""Contact after a match, between real clients over HTTP: consent, refusal, block, another device, a desk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support.town import Town, about

from notalone_client import (
    AsyncClient,
    AsyncDesk,
    Choice,
    Client,
    Conversation,
    Desk,
    OwnFiling,
    Phrase,
    Sealed,
    Stage,
    Unavailable,
    UnexpectedAnswer,
    create_desk_key,
)
from notalone_client.transport import Answer, Request, SyncTransport
from notalone_crypto.errors import Code, ContextMismatch, Misuse, NotAloneError, StateConflict
from notalone_crypto.messages import contact as wire
from notalone_crypto.messages.contact import LETTER_LENGTH, LetterContent, LetterKind, ReplyCard
from notalone_crypto.primitives import hpke
from notalone_demo.simulation.deployment import Plan

PLACES = 14  # members, each with twelve filings at most
PAIR, OTHERS, LONELY, HIDDEN = ("Alma", "Berthe"), ("Carla", "Dora"), ("Zoe",), ("Alma QX", "Berthe QX")
# Everything that is filed, in one batch, because batches are slow: who, in which mode, how many times.
STORIES = (
    (PAIR, True, 10),
    (OTHERS, True, 1),
    (LONELY, True, 1),
    (HIDDEN, True, 1),
    ((*PAIR, *OTHERS), True, 1),
    (tuple(f"P{number}" for number in range(5)), True, 1),
    (PAIR, False, 7),
    (OTHERS, False, 1),
    (LONELY, False, 1),
)


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    made = Town(Plan(declared=60, release_blobs=128))
    yield made
    made.stop()


@dataclass(frozen=True)
class Person:
    """Somebody with a filing, as her device knows it."""

    client: Client
    sealed: Sealed

    @property
    def talks(self) -> tuple[Conversation, ...]:
        return self.client.conversations(self.sealed)

    @property
    def talk(self) -> Conversation:
        """Her conversation with the only other reporter."""
        (found,) = [one for one in self.talks if not one.with_desk]
        return found

    @property
    def desk(self) -> Conversation:
        (found,) = [one for one in self.talks if one.with_desk]
        return found

    def answer(self, choice: Choice) -> Conversation:
        return self.client.consent(self.talk, choice)


_waiting: dict[tuple[tuple[str, ...], bool], list[list[Person]]] = {}


def people(town: Town, *aliases: str, peers: bool = True, only_read: bool = False) -> list[Person]:
    """Matched reporters of somebody whom no other test names, or only tests that write nothing."""
    if not _waiting:
        _file_everything(town)
    waiting = _waiting[aliases, peers]
    return waiting[0] if only_read else waiting.pop()


def _file_everything(town: Town) -> None:
    clients = [town.client() for _ in range(PLACES)]
    for client in clients:
        client.enrol(town.cards.pop())
    town.settle()
    subject = place = 0
    for aliases, peers, count in STORIES:
        for _ in range(count):
            group = []
            for alias in aliases:
                phrase = clients[place % PLACES]._session.phrase
                client = town.client(phrase)
                form = about(f"p{subject}@example.org", alias=alias, peers=peers, words=f"words of {alias}")
                sealed = client.seal(form)
                client.file(sealed)
                group.append(Person(client, sealed))
                place += 1
            _waiting.setdefault((aliases, peers), []).append(group)
            subject += 1
    town.deployment.run_batch()


def record(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Every request from now on."""
    honest = SyncTransport.send
    seen: list[Request] = []

    def send(self: SyncTransport, request: Request) -> Answer:
        seen.append(request)
        return honest(self, request)

    monkeypatch.setattr(SyncTransport, "send", send)
    return seen


# --- two reporters --------------------------------------------------------------------------------------


def test_two_matched_people_agree_write_and_share(town: Town) -> None:
    """CONTACT-7, CONTACT-8."""
    alma, berthe = people(town, "Alma", "Berthe")
    assert (alma.talk.name, berthe.talk.name) == ("Berthe", "Alma")
    with pytest.raises(StateConflict) as early:
        alma.client.send(alma.talk, "too early")
    assert early.value.code is Code.CONSENT
    assert alma.client.consent(alma.talk, Choice.WRITE).mine is Stage.WRITE
    assert alma.talk.agreed is Stage.NOTHING
    assert berthe.client.consent(berthe.talk, Choice.WRITE).agreed is Stage.WRITE
    alma.client.send(alma.talk, "bonjour, c'est Alma")
    after = berthe.client.send(berthe.client.send(berthe.talk, "first"), "second")
    assert after.received == ("bonjour, c'est Alma",)
    assert after.sent == ("first", "second")
    assert alma.talk.received == ("first", "second")
    with pytest.raises(StateConflict):
        alma.client.share(alma.talk, "06")
    alma.client.consent(alma.talk, Choice.SHARE_CONTACT)
    with pytest.raises(StateConflict):
        alma.client.share(alma.talk, "06")
    berthe.client.consent(berthe.talk, Choice.SHARE_CONTACT)
    alma.client.share(alma.talk, "06 12 34 56 78")
    assert berthe.talk.details == ("06 12 34 56 78",)
    assert alma.talk.details == ()


def test_refusal_block_and_silence_look_alike_to_the_other(town: Town) -> None:
    """CONTACT-9."""
    alma, berthe = people(town, "Alma", "Berthe")
    alma.client.consent(alma.talk, Choice.WRITE)
    before = alma.talk
    for choice in (Choice.NOT_NOW, Choice.TALK_TO_COUNSELLOR, Choice.BLOCK):
        berthe.client.consent(berthe.talk, choice)
        assert alma.talk == before
        assert repr(alma.talk) == repr(before)
    # Before she agreed herself, an agreement of the other looks like silence, too.
    carla, dora = people(town, "Carla", "Dora")
    silence = carla.talk
    dora.client.consent(dora.talk, Choice.SHARE_CONTACT)
    assert carla.talk == silence


def test_who_blocked_reads_nothing_until_she_chooses_again(town: Town) -> None:
    """CONTACT-10."""
    alma, berthe = people(town, "Alma", "Berthe")
    for one in (alma, berthe):
        one.client.consent(one.talk, Choice.WRITE)
    alma.client.send(alma.talk, "one")
    assert berthe.talk.received == ("one",)
    closed = berthe.client.consent(berthe.talk, Choice.BLOCK)
    assert (closed.received, closed.agreed) == ((), Stage.NOTHING)
    alma.client.send(alma.talk, "two")
    assert berthe.talk.received == ()
    assert berthe.client.receive(berthe.sealed) == ()
    with pytest.raises(StateConflict):
        berthe.client.send(berthe.talk, "no")
    assert berthe.client.consent(berthe.talk, Choice.WRITE).received == ("one", "two")


def test_the_words_alone_bring_back_the_same_conversation(town: Town) -> None:
    """CONTACT-2."""
    alma, berthe = people(town, "Alma", "Berthe")
    for one in (alma, berthe):
        one.client.consent(one.talk, Choice.WRITE)
    alma.client.send(alma.talk, "hers")
    berthe.client.send(berthe.talk, "theirs")
    words = alma.client._session.phrase.words("english")
    other = town.client(Phrase.parse(words))
    (found,) = [one for one in other.find() if one.entry == alma.sealed.entry]
    restored = other.conversations(found)
    assert restored == alma.client.conversations(alma.sealed)
    (talk,) = [one for one in restored if not one.with_desk]
    assert (talk.sent, talk.received) == (("hers",), ("theirs",))
    other.send(talk, "from the other device")
    assert berthe.talk.received == ("hers", "from the other device")


def test_what_is_new_is_told_once_by_one_client(town: Town) -> None:
    alma, berthe = people(town, "Alma", "Berthe")
    for one in (alma, berthe):
        one.client.consent(one.talk, Choice.SHARE_CONTACT)
    assert alma.client.receive(alma.sealed) == ()
    talk = berthe.client.send(berthe.talk, "one")
    berthe.client.share(talk, "mail")
    (news,) = alma.client.receive(alma.sealed)
    assert (news.conversation.name, news.texts, news.details) == ("Berthe", ("one",), ("mail",))
    assert alma.client.receive(alma.sealed) == ()
    berthe.client.send(berthe.talk, "two")
    assert [one.texts for one in alma.client.receive(alma.sealed)] == [("two",)]
    again = town.client(alma.client._session.phrase)
    assert [one.texts for one in again.receive(alma.sealed)] == [("one", "two")]


def test_every_pair_agrees_for_itself(town: Town) -> None:
    """A late joiner starts at nothing; five mailboxes more than one request holds still are asked for."""
    people_ = people(town, "Alma", "Berthe", "Carla", "Dora")
    alma, others = people_[0], people_[1:]
    talks = {one.name: one for one in alma.client.conversations(alma.sealed) if not one.with_desk}
    assert set(talks) == {"Berthe", "Carla", "Dora"}
    alma.client.consent(talks["Berthe"], Choice.WRITE)
    for one in others:
        (mine,) = [talk for talk in one.client.conversations(one.sealed) if talk.name == "Alma"]
        one.client.consent(mine, Choice.WRITE)
    stages = {one.name: one.agreed for one in alma.client.conversations(alma.sealed) if not one.with_desk}
    assert stages == {"Berthe": Stage.WRITE, "Carla": Stage.NOTHING, "Dora": Stage.NOTHING}


# --- what the board sees --------------------------------------------------------------------------------


def shape(requests: list[Request]) -> list[tuple[str, str, int, int]]:
    return [(one.method, one.path, len(one.body or b""), one.limit) for one in requests]


def test_looking_for_news_asks_the_same_with_and_without_a_match(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    alma, _ = people(town, "Alma", "Berthe", only_read=True)
    (lonely,) = people(town, "Zoe", only_read=True)
    for person in (alma, lonely):
        person.client.policy()
    seen = record(monkeypatch)
    shapes, addresses = [], []
    calls = (
        (alma.client.matches, alma),  # the first call takes the blobs, too
        (alma.client.conversations, alma),
        (lonely.client.receive, lonely),
        (lonely.client.matches, lonely),
    )
    for call, person in calls:
        seen.clear()
        call(person.sealed)
        shapes.append(shape(seen))
        bodies = [one.body for one in seen if one.path.endswith("/mailboxes")]
        addresses.append([pair for body in bodies for pair in wire.decode_request(body or b"")])
    assert shapes[0] == shapes[2]
    assert shapes[1] == shapes[3]
    assert sum(path.endswith("/mailboxes") for _, path, _, _ in shapes[0]) == 2
    for asked in addresses:
        assert len({address for address, _ in asked}) == len(asked) == 16
        assert {after for _, after in asked} == {0}
    # Random ones are new every time; hers are among them, at places that change.
    hers = {address for address, _ in addresses[0]} & {address for address, _ in addresses[1]}
    assert hers == {address for one in alma.client.conversations(alma.sealed) for address in one.addresses}


def test_requests_come_in_powers_of_two(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    person, *_ = people(town, *(f"P{number}" for number in range(5)))
    seen = record(monkeypatch)
    found = person.client.conversations(person.sealed)
    wanted = {address for one in found for address in one.addresses}
    assert len(wanted) == 2 * 5 + 1  # four peers, a desk, the notebook
    assert sum(one.path.endswith("/mailboxes") for one in seen) == 2 + 1


def test_every_letter_has_one_size_and_says_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONTACT-5."""
    alma, berthe = people(town, "Alma", "Berthe")
    seen = record(monkeypatch)
    talk = berthe.client.consent(berthe.talk, Choice.BLOCK)
    talk = berthe.client.consent(talk, Choice.WRITE)
    alma.client.consent(alma.talk, Choice.WRITE)
    berthe.client.send(talk, "x") if talk.said.may_write else berthe.client.send(berthe.talk, "x")
    posts = [one for one in seen if one.path.endswith("/letters")]
    assert {len(one.body or b"") for one in posts} == {32 + LETTER_LENGTH}
    assert len(posts) == 1 + 2 + 1 + 1
    for one in seen:
        text = f"{one.path} {dict(one.headers)}"
        assert talk.channel.outgoing_address.hex() not in text
        assert berthe.sealed.entry.hex() not in text


# --- a dishonest board ----------------------------------------------------------------------------------


def test_repeated_reordered_and_made_up_letters_change_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONTACT-6."""
    alma, berthe = people(town, "Alma", "Berthe")
    for one in (alma, berthe):
        one.client.consent(one.talk, Choice.WRITE)
    talk = berthe.talk
    for text in ("one", "two", "three"):
        talk = berthe.client.send(talk, text)
    honest_view = alma.talk
    transport, committee = alma.client._transport, town.deployment.committee.fingerprint
    session = alma.client._session
    world = session.world
    assert world is not None
    asked = [(address, 0) for address in honest_view.addresses]
    asked += [(os.urandom(32), 0) for _ in range(8 - len(asked))]
    letters = wire.decode_answer(
        transport.send(session.ask("/mailboxes", world, wire.encode_request(asked), wire.ANSWER_LENGTH)).body
    )
    stored = [letter for page in letters for _, letter in page]
    for address in honest_view.addresses:
        for letter in (*reversed(stored), os.urandom(LETTER_LENGTH), bytes(LETTER_LENGTH)):
            transport.send(session.ask("/letters", world, wire.encode_post(address, letter)))
    assert committee
    assert alma.talk == honest_view
    assert alma.talk.received == ("one", "two", "three")


def test_a_mailbox_without_end_is_left(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    (lonely,) = people(town, "Zoe", only_read=True)
    honest = SyncTransport.send
    turn = iter(range(1, 10_000))

    def send(self: SyncTransport, request: Request) -> Answer:
        if not request.path.endswith("/mailboxes"):
            return honest(self, request)
        number = next(turn)
        return Answer(200, wire.encode_answer([[(number, bytes(LETTER_LENGTH))] for _ in range(8)]))

    with monkeypatch.context() as patch:
        patch.setattr(SyncTransport, "send", send)
        with pytest.raises(UnexpectedAnswer):
            lonely.client.conversations(lonely.sealed)
        patch.setattr(
            SyncTransport,
            "send",
            lambda self, request: (
                Answer(200, b"short") if request.path.endswith("/mailboxes") else honest(self, request)
            ),
        )
        with pytest.raises(NotAloneError):
            lonely.client.matches(lonely.sealed)
    assert lonely.client.matches(lonely.sealed) == ()


def test_a_letter_whose_answer_was_lost_is_there_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    alma, berthe = people(town, "Alma", "Berthe")
    for one in (alma, berthe):
        one.client.consent(one.talk, Choice.WRITE)
    talk = alma.talk
    honest = SyncTransport.send
    posted: list[bytes | None] = []

    def lossy(self: SyncTransport, request: Request) -> Answer:
        answer = honest(self, request)
        if request.path.endswith("/letters"):
            posted.append(request.body)
            raise Unavailable("the answer was lost")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(SyncTransport, "send", lossy)
        with pytest.raises(Unavailable):
            alma.client.send(talk, "once")
    assert len(posted) == 3
    assert len(set(posted)) == 1
    assert alma.client.send(talk, "once").sent == ("once",)  # the caller tries again
    assert berthe.talk.received == ("once",)


def test_a_filing_without_its_name_has_no_conversations_yet_asks_the_same(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    alma, _ = people(town, "Alma", "Berthe", only_read=True)
    header = alma.sealed.header
    seen = record(monkeypatch)
    assert alma.client.conversations(OwnFiling(header.period, header.quota_tag)) == ()
    assert sum(one.path.endswith("/mailboxes") for one in seen) == 2


def test_a_copied_card_under_another_entry_reaches_nobody(town: Town) -> None:
    """Whoever opened a card could file it as her own; her ends are inside the addresses."""
    alma, berthe = people(town, "Alma", "Berthe", only_read=True)
    end = alma.talk.channel.other
    stolen = replace(end, entry=bytes(31) + b"x")
    session = alma.client._session
    assert session.world is not None
    own = OwnFiling.of(alma.sealed)
    copied = session._channel(session.world, own, stolen)
    theirs = berthe.client._session._channel(
        session.world, OwnFiling.of(berthe.sealed), alma.talk.channel.own
    )
    assert not {copied.outgoing_address, copied.incoming_address} & {
        theirs.outgoing_address,
        theirs.incoming_address,
    }


# --- the desk -------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(town: Town, tmp_path: Path) -> Path:
    return key_in(town, tmp_path)


def key_in(town: Town, folder: Path) -> Path:
    path = folder / "desk.key"
    path.write_bytes(town.deployment.desks["Counsellors"].key.secret)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def desk(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    options = {"board": town.board.address, "clock": town.deployment.clock}
    with Desk(town.trust, key_in(town, tmp_path_factory.mktemp("desk")), **options) as made:  # type: ignore[arg-type]
        yield made


def group_of(desk: Desk, *persons: Person) -> tuple[str, ...]:
    entries = {one.sealed.entry for one in persons}
    (match,) = [one for one in desk.matches() if entries & {two.entry for two in one.reporters}]
    return tuple(sorted(f"{one.alias}: {one.words}" for one in match.reporters))


def test_a_desk_sees_matches_and_nothing_else(town: Town, desk: Desk) -> None:
    """Nothing unmatched ever appears."""
    alma, berthe = people(town, "Alma", "Berthe", peers=False)
    (lonely,) = people(town, "Zoe", peers=False)
    peers = people(town, "Alma", "Berthe", only_read=True)
    assert group_of(desk, alma, berthe) == ("Alma: words of Alma", "Berthe: words of Berthe")
    shown = {one.entry for match in desk.matches() for one in match.reporters}
    named = {entry for match in desk.matches() for entry in match.members}
    hidden = {one.sealed.entry for one in (lonely, *peers)}
    assert not hidden & (shown | named)
    assert not hidden & {one.entry for one in desk.conversations()}
    with pytest.raises(ContextMismatch) as caught:
        desk.write(lonely.sealed.entry, "hello")
    assert caught.value.code is Code.UNKNOWN_ENTRY
    assert alma.client.matches(alma.sealed) == ()


def test_a_desk_introduces_two_reporters_who_both_asked(town: Town, desk: Desk) -> None:
    """CONTACT-11."""
    alma, berthe = people(town, "Alma", "Berthe", peers=False)
    entries = alma.sealed.entry, berthe.sealed.entry
    desk.write(alma.sealed.entry, "Bonjour, ici votre conseillère.")
    assert alma.desk.received == ("Bonjour, ici votre conseillère.",)
    assert berthe.desk.received == ()
    alma.client.send(alma.desk, "Merci.")
    talks = {one.entry: one for one in desk.conversations()}
    assert talks[alma.sealed.entry].received == ("Merci.",)
    alma.client.consent(alma.desk, Choice.WRITE)
    with pytest.raises(StateConflict) as caught:
        desk.introduce(*entries)
    assert caught.value.code is Code.CONSENT
    assert len(alma.client.conversations(alma.sealed)) == 1
    berthe.client.consent(berthe.desk, Choice.WRITE)
    desk.introduce(*entries)
    desk.introduce(*entries)  # the same again sends nothing twice
    assert (alma.talk.name, berthe.talk.name) == ("Berthe", "Alma")
    assert alma.talk.agreed is Stage.NOTHING  # an ordinary pair
    for one in (alma, berthe):
        one.client.consent(one.talk, Choice.WRITE)
    alma.client.send(alma.talk, "enfin")
    assert berthe.talk.received == ("enfin",)
    # The desk, who introduced them, cannot read along.
    everything = [text for one in desk.conversations() for text in (*one.received, *one.sent)]
    assert "enfin" not in everything


def test_an_introduction_that_stopped_half_way_goes_on(
    town: Town, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    alma, berthe = people(town, "Alma", "Berthe", peers=False)
    for one in (alma, berthe):
        one.client.consent(one.desk, Choice.WRITE)
    honest = SyncTransport.send
    posted = 0

    def send(self: SyncTransport, request: Request) -> Answer:
        nonlocal posted
        posted += request.path.endswith("/letters")
        if request.path.endswith("/letters") and posted > 1:
            raise Unavailable("away")
        return honest(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(SyncTransport, "send", send)
        with pytest.raises(Unavailable):
            desk.introduce(alma.sealed.entry, berthe.sealed.entry)
    assert len(alma.client.conversations(alma.sealed)) + len(berthe.client.conversations(berthe.sealed)) == 3
    desk.introduce(alma.sealed.entry, berthe.sealed.entry)
    assert (alma.talk.name, berthe.talk.name) == ("Berthe", "Alma")


def test_a_desk_introduces_nobody_across_matches(town: Town, desk: Desk) -> None:
    alma, _ = people(town, "Alma", "Berthe", peers=False)
    carla, _ = people(town, "Carla", "Dora", peers=False)
    for one in (alma, carla):
        one.client.consent(one.desk, Choice.WRITE)
    for pair in ((alma, carla), (alma, alma)):
        with pytest.raises(ContextMismatch):
            desk.introduce(pair[0].sealed.entry, pair[1].sealed.entry)


def test_a_reporter_may_block_a_desk(town: Town, desk: Desk) -> None:
    alma, _ = people(town, "Alma", "Berthe", peers=False)
    desk.write(alma.sealed.entry, "hello")
    assert alma.client.consent(alma.desk, Choice.BLOCK).received == ()
    desk.write(alma.sealed.entry, "again")
    assert alma.desk.received == ()
    assert alma.client.consent(alma.desk, Choice.WRITE).received == ("hello", "again")


def test_an_unusable_card_from_a_desk_stops_nobody(town: Town, desk: Desk) -> None:
    """CONTACT-1."""
    alma, berthe = people(town, "Alma", "Berthe", peers=False)
    talks = {one.entry: one for one in desk.conversations()}
    session = desk._session
    assert session.world is not None
    one = talks[alma.sealed.entry]
    cards = (
        (berthe.sealed.entry, ReplyCard(bytes(32), "low order")),
        (alma.sealed.entry, ReplyCard(one.channel.other.key, "herself")),
        (bytes(31) + b"2", ReplyCard(one.channel.other.key, "her own key")),
    )
    for number, (entry, card) in enumerate(cards, 1):
        content = LetterContent(LetterKind.INTRODUCTION, number, entry=entry, text=card.encode())
        letter = one.channel.seal(content, os.urandom)
        request = session.ask(
            "/letters", session.world, wire.encode_post(one.channel.outgoing_address, letter)
        )
        desk._transport.send(request)
    desk.write(alma.sealed.entry, "still here")
    (only,) = alma.client.conversations(alma.sealed)
    assert only.received == ("still here",)


def test_another_key_is_no_desk(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "other.key"
    public = create_desk_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    key = hpke.HpkePrivateKey(path.read_bytes())
    assert key.public == public
    with pytest.raises(FileExistsError):
        create_desk_key(path)
    options = {"board": town.board.address, "clock": town.deployment.clock}
    for given in (path, key):
        with Desk(town.trust, given, **options) as other:  # type: ignore[arg-type]
            for call in (other.matches, other.conversations):
                with pytest.raises(ContextMismatch):
                    call()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(town: Town, key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(Misuse):
        Desk(town.trust, key_file, board=town.board.address)


def test_key_files_that_are_none_are_refused(town: Town, key_file: Path, tmp_path: Path) -> None:
    link, short, long = tmp_path / "link", tmp_path / "short", tmp_path / "long"
    link.symlink_to(key_file)
    short.write_bytes(bytes(31))
    long.write_bytes(bytes(33))
    for path in (link, short, long, tmp_path, tmp_path / "missing"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o600)
        with pytest.raises(Misuse):
            Desk(town.trust, path, board=town.board.address)


def test_asynchronous_clients_and_desks_do_the_same(town: Town, key_file: Path) -> None:
    alma, berthe = people(town, "Alma", "Berthe", peers=False)

    async def story() -> None:
        options = town.options()
        phrase = alma.client._session.phrase
        desk_options = {"board": town.board.address, "clock": town.deployment.clock}
        async with (
            AsyncClient(town.trust, phrase, **options) as client,  # type: ignore[arg-type]
            AsyncDesk(town.trust, key_file, **desk_options) as desk,  # type: ignore[arg-type]
        ):
            await desk.write(alma.sealed.entry, "bonjour")
            (talk,) = await client.conversations(alma.sealed)
            assert talk.received == ("bonjour",)
            talk = await client.consent(talk, Choice.WRITE)
            talk = await client.send(talk, "merci")
            (news,) = await client.receive(alma.sealed)
            assert news.texts == ("bonjour",)
            berthe.client.consent(berthe.desk, Choice.WRITE)
            await desk.introduce(alma.sealed.entry, berthe.sealed.entry)
            found = await client.conversations(alma.sealed)
            assert [one.name for one in found] == ["Counsellors", "Berthe"]
            assert {one.entry for match in await desk.matches() for one in match.reporters} >= {
                alma.sealed.entry,
                berthe.sealed.entry,
            }
            mine = [one for one in await desk.conversations() if one.entry == alma.sealed.entry]
            assert [one.received for one in mine] == [("merci",)]

    asyncio.run(story())


def test_what_is_said_does_not_show_in_repr(town: Town) -> None:
    alma, berthe = people(town, "Alma QX", "Berthe QX")
    for one in (alma, berthe):
        one.client.consent(one.talk, Choice.SHARE_CONTACT)
    alma.client.share(alma.client.send(alma.talk, "text QX"), "details QX")
    talk = berthe.talk
    shown = repr((talk, berthe.client.receive(berthe.sealed), berthe.client._session))
    assert "QX" not in shown
    assert talk.channel.incoming.key.hex() not in shown
    assert repr(talk.channel.incoming.key) not in shown


def test_the_other_end_cannot_agree_in_her_name(town: Town) -> None:
    """CONTACT-13, through the client: both know the keys of both boxes."""
    alma, berthe = people(town, "Alma", "Berthe", peers=True)
    berthe.client.consent(berthe.talk, Choice.WRITE)
    session, forged = berthe.client._session, berthe.talk
    assert session.world is not None
    content = LetterContent(LetterKind.CONSENT, 1, stage=2)
    letter = forged.channel.incoming.seal(content, forged.channel.hand, os.urandom)
    body = wire.encode_post(forged.channel.incoming_address, letter)
    berthe.client._transport.send(session.ask("/letters", session.world, body))
    assert alma.talk.mine is Stage.NOTHING
    assert alma.talk.agreed is Stage.NOTHING
