"""The Python SDK against a real board, issuer and three trustees over HTTP on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support.town import Town, about

from notalone_client import (
    AsyncClient,
    Client,
    DateRefused,
    EntryState,
    Form,
    Named,
    NotSafe,
    Phrase,
    Refused,
    RollMoved,
    RulesChanged,
    SealAgain,
    Sealed,
    Trust,
    Unavailable,
    UnexpectedAnswer,
    WrongPhrase,
)
from notalone_client.cli_input import sentence
from notalone_client.texts import Speaker
from notalone_client.transport import Answer, Request, SyncTransport, check_address
from notalone_crypto.errors import (
    Code,
    ContextMismatch,
    InvalidIdentifier,
    MalformedInput,
    NotAloneError,
    RollRefused,
    VerificationFailed,
)
from notalone_crypto.messages.contact import ReplyCard
from notalone_crypto.messages.filing import Filing, Header
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol import release
from notalone_crypto.protocol.withdraw import DAY_SECONDS
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS


@pytest.fixture(scope="module")
def one_town() -> Iterator[Town]:
    made = Town()
    yield made
    made.stop()


@pytest.fixture
def town(one_town: Town) -> Iterator[Town]:
    yield one_town
    while one_town.clients:
        one_town.clients.pop().close()


def test_two_people_file_match_and_only_they_can_read_it(town: Town) -> None:
    first, second, third = town.member(), town.member(), town.member()
    sealed = [
        first.seal(about("One.Person@Example.org", alias="Alma", preconsent=True)),
        second.seal(about("one.person@example.org", alias="Berthe")),
        third.seal(about("somebody.else@example.org")),
    ]
    clients = (first, second, third)
    receipts = [client.file(one) for client, one in zip(clients, sealed, strict=True)]
    filed = list(zip(clients, sealed, receipts, strict=True))
    assert not any(client.verify_receipt(one, receipt) for client, one, receipt in filed)
    assert first.matches(sealed[0]) == ()
    town.deployment.run_batch()
    town.settle()
    assert all(client.verify_receipt(one, receipt) for client, one, receipt in filed)
    assert [ReplyCard.decode(one.plaintext).alias for one in first.matches(sealed[0])] == ["Berthe"]
    assert {
        one.plaintext if one.content == 2 else ReplyCard.decode(one.plaintext).alias
        for one in second.matches(sealed[1])
    } == {"Alma", b"the words"}
    assert third.matches(sealed[2]) == ()
    assert first.matches(sealed[0], since=99) == ()


def test_a_restored_device_finds_everything_from_the_words_alone(town: Town) -> None:
    """FILE-6: keys follow from phrase and quota tag."""
    client = town.member()
    sealed = client.seal(about("restored@example.org"))
    client.file(sealed)
    town.deployment.run_batch()
    words = client._session.phrase.words("french")
    other = town.client(Phrase.parse(words.upper()))
    (status,) = other.status()
    assert status.state is EntryState.EVALUATED
    assert status.counted
    assert status.filing.entry == sealed.entry
    other.withdraw(status.filing)
    assert other.status()[0].state is EntryState.WITHDRAWN
    town.deployment.run_batch()
    assert other.status()[0].state is EntryState.GONE
    assert town.client().status() == ()


def test_a_restored_device_finds_a_filing_before_its_first_batch(town: Town) -> None:
    client = town.member()
    sealed = client.seal(about("early@example.org"))
    (unsent,) = client.status(sealed)
    assert (unsent.state, unsent.filing.entry, unsent.counted) == (None, sealed.entry, False)
    client.file(sealed)
    other = town.client(client._session.phrase)
    (found,) = other.find()
    assert found.entry == sealed.entry
    (one,) = other.status()
    assert one.state in (EntryState.WAITING, EntryState.ACCEPTED)
    assert (one.batch, one.counted) == (0, False)
    assert client.status(sealed) == (one,)
    other.withdraw(found)
    assert client.status()[0].state is EntryState.WITHDRAWN


def test_a_filing_without_its_name_is_not_withdrawn(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    client = town.member()
    sealed = client.seal(about("unnamed@example.org"))
    client.file(sealed)
    meddle(monkeypatch, "/own", lambda _: Answer(200, bytes(64)))
    (unnamed,) = client.find()  # a board that says nothing
    assert unnamed.entry == b""
    with pytest.raises(ContextMismatch):
        client.withdraw(unnamed)
    assert {one.state for one in client.status(sealed)} == {None}
    meddle(monkeypatch, "/own", lambda _: Answer(200, b"\0\0\0\4\3\0\0\0".ljust(64, b"\0")))
    with pytest.raises(UnexpectedAnswer):
        client.find()


def test_nobody_else_finds_out_what_a_tag_paid_for(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP-18."""
    client = town.member()
    client.file(client.seal(about("whose@example.org")))
    asked = []
    honest = SyncTransport.send

    def send(self: SyncTransport, request: Request) -> Answer:
        if request.path.endswith("/own"):
            asked.append(request)
            name, _, rest = request.headers["Authorization"].rpartition(" ")
            wrong = {**request.headers, "Authorization": f"{name} {rest[::-1]}"}
            return honest(self, replace(request, headers=wrong))
        return honest(self, request)

    monkeypatch.setattr(SyncTransport, "send", send)
    assert [one.entry for one in client.find()] == [b""]
    assert len(asked) == 1


def test_resumed_filing_sends_the_same_bytes_and_spends_one_place(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = town.member()
    sealed = client.seal(about("resumed@example.org"))
    sent: list[bytes | None] = []
    honest = SyncTransport.send

    def lossy(self: SyncTransport, request: Request) -> Answer:
        answer = honest(self, request)
        if request.path.endswith("/filings"):
            sent.append(request.body)
            if len(sent) <= 3:
                raise Unavailable("the answer was lost")
        return answer

    monkeypatch.setattr(SyncTransport, "send", lossy)
    with pytest.raises(Unavailable):
        client.file(sealed)  # three attempts, all lost
    kept = sealed.data  # the process ends here; the caller kept the bytes
    again = town.client(client._session.phrase)
    receipt = again.file(Sealed(kept))
    assert sent == [kept] * 4
    assert receipt.entry == sealed.entry
    assert len(again.find()) == 1


def test_a_report_sealed_under_an_older_roll_spends_nothing_and_is_sealed_again(town: Town) -> None:
    one = town.member()
    sealed = one.seal(about("moved@example.org"))
    town.member()  # somebody joins between sealing and sending
    with pytest.raises(RollMoved) as moved:
        one.file(sealed)
    assert moved.value.code == Code.SNAPSHOT
    assert one.find() == ()
    again = one.seal(about("moved@example.org"))
    assert one.file(again).entry == again.entry


def test_a_report_sealed_for_a_period_that_ended_spends_nothing_and_is_sealed_again(town: Town) -> None:
    one, clock = town.member(), town.deployment.clock
    length = town.deployment.policy.period_days * DAY_SECONDS
    clock.now = (clock.now // length + 1) * length - 1
    sealed = one.seal(about("period@example.org"))
    clock.now += CLOCK_TOLERANCE_SECONDS
    with pytest.raises(DateRefused) as refused:
        one.file(sealed)
    assert isinstance(refused.value, SealAgain)
    assert refused.value.code == Code.PERIOD
    assert one.find() == ()
    again = one.seal(about("period@example.org"))
    assert one.file(again).entry == again.entry
    assert [found.entry for found in one.find()] == [again.entry]


def test_damaged_bytes_are_no_sealed_report(town: Town) -> None:
    """A file that was cut off says so before anything is sent."""
    data = town.member().seal(about("damaged@example.org")).data
    for damaged in (b"", data[:-1], data + b"x", b"x" + data[1:]):
        with pytest.raises(MalformedInput):
            Sealed(damaged)


def test_changed_rules_are_told_in_words_and_not_sealed_under_unread(town: Town) -> None:
    """Whom a report opens to is part of the rules: nobody seals again under new ones without asking her."""
    one = town.member()
    filing = Filing.decode(one.seal(about("rules@example.org")).data)
    header = Header.decode(filing.header).with_field("policy", bytes(32))
    with pytest.raises(RulesChanged) as refused:
        one.file(Sealed(filing.with_field("header", header.encode()).encode()))
    assert not isinstance(refused.value, SealAgain)
    assert sentence(Speaker("fr"), refused.value).startswith("Les règles ont changé")
    assert sentence(Speaker("en"), refused.value).startswith("The rules have changed")


def test_a_device_a_little_slow_takes_the_period_of_the_roll(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would name a period before its roll's, and be refused however often it sealed again."""
    clock = town.deployment.clock
    length = town.deployment.policy.period_days * DAY_SECONDS
    clock.now = (clock.now // length + 1) * length
    one = town.member()  # joins in the first second of a period
    monkeypatch.setattr(one._session, "clock", lambda: clock.now - CLOCK_TOLERANCE_SECONDS // 4)
    sealed = one.seal(about("slow@example.org"))
    assert one.file(sealed).entry == sealed.entry
    assert [found.entry for found in one.find()] == [sealed.entry]


def test_edit_replaces_a_filing(town: Town) -> None:
    client, other = town.member(), town.member()
    old = client.seal(about("edited@example.org", threshold=3))
    client.file(old)
    theirs = other.seal(about("edited@example.org", alias="Theirs"))
    other.file(theirs)
    town.deployment.run_batch()
    assert client.matches(old) == ()
    new = client.edit(old, about("edited@example.org"))
    client.file(new)
    town.deployment.run_batch()
    town.deployment.run_batch()
    assert [ReplyCard.decode(one.plaintext).alias for one in client.matches(new)] == ["Theirs"]
    states = {one.filing.entry: one.state for one in client.status(old, new)}
    assert states == {old.entry: EntryState.GONE, new.entry: EntryState.EVALUATED}


def test_enrolment_that_lost_its_answer_is_not_a_second_place(town: Town) -> None:
    client = town.client()
    card = town.cards.pop()
    assert client.enrol(card) is not None
    assert client.enrol(card) is None
    with pytest.raises(Refused) as caught:
        town.client().enrol(card)
    assert (caught.value.status, caught.value.problem) == (403, "refused")


def test_somebody_who_is_not_on_the_roll_cannot_seal(town: Town) -> None:
    with pytest.raises(RollRefused):
        town.client().seal(about("nobody@example.org"))


def test_asynchronous_client_does_the_same(town: Town) -> None:
    async def story() -> None:
        phrase = Phrase.new(town.deployment.randomness)
        async with AsyncClient(town.trust, phrase, **town.options()) as client:  # type: ignore[arg-type]
            assert await client.enrol(town.cards.pop()) is not None
            town.settle()
            sealed = await client.seal(about("async@example.org"))
            receipt = await client.file(sealed)
            assert await client.verify_receipt(sealed, receipt) is False
            assert (await client.status(sealed))[0].state is not None
            assert len(await client.find()) == 1
            assert await client.matches(sealed) == ()
            await client.withdraw(sealed)
            assert (await client.status(sealed))[0].state is EntryState.WITHDRAWN
            assert (await client.policy()).scope == town.trust.scope
            assert await client.enrol("2222") is None  # her place is on the roll

    asyncio.run(story())


# --- a dishonest board ----------------------------------------------------------------------------------


def meddle(monkeypatch: pytest.MonkeyPatch, path: str, change: object) -> None:
    honest = SyncTransport.send

    def send(self: SyncTransport, request: Request) -> Answer:
        answer = honest(self, request)
        return change(answer) if request.path.endswith(path) else answer  # type: ignore[operator,no-any-return]

    monkeypatch.setattr(SyncTransport, "send", send)


def test_another_committee_than_the_pinned_one_is_refused(town: Town) -> None:
    with pytest.raises(ContextMismatch) as caught:
        town.client(trust=replace(town.trust, committee=bytes(32))).policy()
    assert caught.value.code is Code.COMMITTEE


def test_rules_of_another_scope_or_not_in_the_log_are_refused(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((Refused, ContextMismatch)):
        town.client(trust=replace(town.trust, scope=bytes(32))).policy()
    weaker = replace(town.deployment.policy, quota=4000)
    honest = town.deployment.policy.encode()
    meddle(monkeypatch, "/policy", lambda answer: Answer(200, answer.body.replace(honest, weaker.encode())))
    with pytest.raises(VerificationFailed):
        town.client().policy()


def test_a_receipt_for_another_filing_is_refused(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    client = town.member()
    receipt = client.file(client.seal(about("a@example.org")))
    second = client.seal(about("b@example.org"))  # after the first: else both may draw one quota place
    meddle(monkeypatch, "/filings", lambda _: Answer(200, receipt.encode()))
    with pytest.raises(VerificationFailed):
        client.file(second)
    with pytest.raises(VerificationFailed):
        client.verify_receipt(second, receipt)


def test_made_up_matches_open_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    client = town.member()
    sealed = client.seal(about("made.up@example.org"))
    client.file(sealed)
    town.deployment.run_batch()
    forged = hpke.seal(
        sealed.header.recipient_key,
        release.blob_context(town.deployment.committee, town.trust.scope),
        bytes(4096),
    )
    framed = len(forged).to_bytes(4, "big") + forged
    meddle(monkeypatch, "/blobs", lambda _: Answer(200, framed * 3))
    assert client.matches(sealed) == ()
    meddle(monkeypatch, "/blobs", lambda _: Answer(200, b"\0\0\0\1x"))
    with pytest.raises(NotAloneError):
        town.client(client._session.phrase).matches(sealed)


def test_answers_of_a_telling_size_or_without_end_are_refused(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = town.member()
    sealed = client.seal(about("size@example.org"))
    client.file(sealed)
    with monkeypatch.context() as patch:
        meddle(patch, "/inclusions", lambda _: Answer(200, bytes(100)))
        with pytest.raises(UnexpectedAnswer):
            client.status()
    with monkeypatch.context() as patch:
        patch.setattr("notalone_client.steps.LARGE", 10)
        with pytest.raises(UnexpectedAnswer):
            client.find()
    with monkeypatch.context() as patch:
        meddle(patch, "/v1/board", lambda _: Answer(200, b'{"token_bits": 60}'))
        with pytest.raises(UnexpectedAnswer):
            town.client().policy()


def test_an_issuer_that_is_not_of_the_scope_is_refused(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    other = signing.SigningKey(b"x" * 32).verify_key.hex().encode()
    key = town.deployment.issuer.signing_key.verify_key.hex().encode()
    meddle(monkeypatch, "/v1/issuer", lambda answer: Answer(200, answer.body.replace(key, other)))
    with pytest.raises(ContextMismatch):
        town.client().enrol(town.cards[-1])


# --- no server ----------------------------------------------------------------------------------------


def test_a_service_that_is_away_is_unavailable_and_nothing_is_lost(town: Town) -> None:
    options = {**town.options(), "board": "http://127.0.0.1:9"}
    with Client(town.trust, Phrase(bytes(16)), **options) as client, pytest.raises(Unavailable):  # type: ignore[arg-type]
        client.policy()


@pytest.mark.parametrize(
    "address",
    [
        "http://board.example.org",
        "ftp://board.example.org",
        "https://",
        "https://a@b.example",
        "https://b.example/?q=1",
    ],
)
def test_addresses_without_tls_or_with_more_than_a_host_are_refused(address: str) -> None:
    with pytest.raises(NotSafe):
        check_address(address)
    assert check_address("https://board.example.org/") == "https://board.example.org"
    assert check_address("http://abc.onion") == "http://abc.onion"


def test_identifiers_are_canonical_before_anything_is_asked(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = town.client()
    client.policy()
    asked: list[str] = []
    monkeypatch.setattr(SyncTransport, "send", lambda _, request: asked.append(request.path))
    with pytest.raises(InvalidIdentifier):
        client.seal(about("contact@example.org"))  # a shared mailbox
    with pytest.raises(ContextMismatch):
        client.seal(Form([Named.email("a@example.org"), Named.directory("a1")]))
    with pytest.raises(ContextMismatch):
        client.seal(about("a@example.org", desk="no such desk"))
    assert asked == []


def test_words_in_both_languages_are_one_phrase() -> None:
    phrase = Phrase(bytes(range(16)))
    french, english = phrase.words("french"), phrase.words("english")
    assert Phrase.parse(french) == Phrase.parse(english) == phrase
    plain = french.replace("é", "e").replace("è", "e").upper()
    assert Phrase.parse(f"  {plain}\n") == phrase
    words = english.split()
    for wrong in (
        words[:-1],
        [*words, "zoo"],
        [*words[:-1], "zzzz"],
        [*words[:-1], "zoo"],
        french.split()[:6] + words[:6],
    ):
        with pytest.raises(WrongPhrase):
            Phrase.parse(" ".join(wrong))


def test_secrets_do_not_show_in_repr(town: Town) -> None:
    phrase = Phrase(b"QX" * 8)
    form = Form([Named.email("secret.person@example.org")], threshold=3, words="secret words")
    client = Client(Trust(bytes(32), bytes(32)), phrase, board="https://board.example.org")
    assert repr(town.member().seal(about("repr@example.org"))) == "Sealed()"
    shown = repr((phrase, form, client._session))
    assert "QX" not in shown
    assert "secret" not in shown
    client.close()
