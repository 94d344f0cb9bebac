"""The issuer as its users meet it: HTTP, a database on disk, a mail server, a board that may be away."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event, inspect, text
from tests.support import postgres
from tests.support.asgi import AppClient
from typer.testing import CliRunner

from notalone_crypto.errors import Misuse, RollRefused
from notalone_crypto.messages.roll import Enrolment, RollEntry, RollSnapshot
from notalone_crypto.primitives import pedersen, signing
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.protocol import roll
from notalone_crypto.protocol.signed import UNSIGNED, check_signature
from notalone_crypto.protocol.withdraw import WEEK_SECONDS
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag
from notalone_server.edge import database
from notalone_server.edge.limits import AnonymousLimiter, make_token
from notalone_server.edge.octets import MEDIA_TYPE, frame, pad, unframe, unpad
from notalone_server.issuer import cards as cards_module
from notalone_server.issuer import commands
from notalone_server.issuer.app import build, open_issuer
from notalone_server.issuer.live import LiveIssuer
from notalone_server.issuer.ports import Letter, LetterDelayed, LetterKind, LetterRefused, MailKind
from notalone_server.issuer.publish import HttpBoard, Workers
from notalone_server.issuer.service import IssuerService, Rules
from notalone_server.issuer.settings import read_settings
from notalone_server.issuer.store import SqlIssuerStore, metadata

INSTANCE = "test-instance"
SCOPE = hashlib.sha256(b"a scope").digest()
NOW = 1_790_000_000
DAY = 24 * 3600


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class Board:
    """Keeps what it gets, or is away."""

    def __init__(self) -> None:
        self.got: list[RollSnapshot] = []
        self.away = False

    def publish_snapshot(self, data: bytes) -> None:
        if self.away:
            raise ConnectionError("away")
        self.got.append(RollSnapshot.decode(data))


class Postbox:
    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.away = False
        self.refuses: set[str] = set()
        self.delays: set[str] = set()
        self.breaks: set[str] = set()

    def send(self, letter: Letter) -> None:
        if self.away or letter.address in self.breaks:
            raise ConnectionError("away")
        if letter.address in self.delays:
            raise LetterDelayed
        if letter.address in self.refuses:
            raise LetterRefused
        self.letters.append(letter)


class Setup:
    """One issuer on a file, its HTTP interface and its workers."""

    def __init__(self, url: str, rules: Rules, declared: int = 100) -> None:
        self.randomness = SeededStream(os.urandom(16))
        self.clock = Clock()
        self.url, self.rules, self.declared = url, rules, declared
        self.key = signing.SigningKey(b"k" * 32)
        self.board, self.postbox = Board(), Postbox()
        self.engines: list[Engine] = []
        self.start()

    def stop(self) -> None:
        for engine in self.engines:
            engine.dispose()

    def start(self) -> None:
        """As a process does after a kill: from the database alone."""
        self.live = self.open()
        limiter = AnonymousLimiter(self.key.verify_key, self.clock, bits=4, per_second=100_000)
        self.http = AppClient(build(self.live, limiter).app)
        self.workers = Workers(self.live, self.board, self.postbox, self.randomness)

    def open(self) -> LiveIssuer:
        engine = database.open_engine(self.url)
        self.engines.append(engine)
        database.migrate(engine, "issuer")
        store = SqlIssuerStore(engine, SCOPE)
        service = IssuerService(
            INSTANCE, SCOPE, self.declared, self.key, self.clock, store, store.load(), self.rules
        )
        return LiveIssuer(service, store)

    def member(self) -> roll.Member:
        return roll.member_from_phrase(self.randomness(16), INSTANCE, self.key.verify_key)

    def request(self, member: roll.Member) -> Enrolment:
        return roll.enrol(member, INSTANCE, self.key.verify_key, self.randomness)

    def post(self, path: str, body: bytes) -> httpx.Response:
        token = make_token(self.key.verify_key, 4, self.clock.now, self.randomness)
        headers = {"Content-Type": MEDIA_TYPE, "Notalone-Token": token}
        return self.http.post(path, content=body, headers=headers)

    def enrol(self, code: str, member: roll.Member | None = None) -> httpx.Response:
        request = self.request(member or self.member())
        return self.post("/v1/enrolments", frame([code.encode(), request.encode()]))

    def cards(self, count: int) -> tuple[str, ...]:
        return self.live.change(lambda issuer: issuer.make_cards(count, self.randomness))

    def ask(self, address: str, path: str = "/v1/codes") -> httpx.Response:
        return self.post(path, pad(address.encode(), 512))

    def mailed_code(self, address: str) -> str:
        """Ask for a code and read the letter."""
        self.clock.now += 3600
        assert self.ask(address).status_code == 204
        assert self.workers.write_letters() == 1
        letter = self.postbox.letters[-1]
        assert (letter.kind, letter.address) == (LetterKind.CODE, address)
        return letter.code

    def work(self, action: Callable[[], object]) -> list[tuple[str, tuple[object, ...]]]:
        """What `action` asks of the database: every statement, and the kinds and sizes of its parameters."""
        seen: list[tuple[str, tuple[object, ...]]] = []

        def note(
            _connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object
        ) -> None:
            values = parameters.values() if isinstance(parameters, dict) else parameters
            shape = tuple(
                (type(one).__name__, len(one) if isinstance(one, str | bytes) else 0) for one in values
            )
            seen.append((statement, shape))

        engine = self.engines[-1]
        event.listen(engine, "before_cursor_execute", note)
        try:
            action()
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return seen

    def waiting(self) -> list[str]:
        """Typed addresses that a letter may still leave for, now or later."""
        return [one.address for one in self.live.store.waiting_mail(1 << 40)]

    def places(self) -> tuple[bytes, ...]:
        answer = self.http.get("/v1/snapshots")
        return tuple(place for data in unframe(answer.content) for place in RollSnapshot.decode(data).places)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'issuer.db'}"
    return postgres.new_database(request.getfixturevalue("cluster"))


@pytest.fixture
def cards(url: str) -> Iterator[Setup]:
    setup = Setup(url, Rules())
    yield setup
    setup.stop()


@pytest.fixture
def mail(url: str) -> Iterator[Setup]:
    setup = Setup(url, Rules(by_mail=True))
    addresses = tuple(f"member{number}@example.org" for number in range(60))
    assert setup.live.change(lambda issuer: issuer.list_members(addresses)) == 60
    yield setup
    setup.stop()


# --- cards --------------------------------------------------------------------------------------------


def test_a_card_buys_one_place_and_the_current_snapshot_has_it_at_once(cards: Setup) -> None:
    card, member = cards.cards(1)[0], cards.member()
    answer = cards.enrol(card.lower().replace("-", " "), member)
    assert answer.status_code == 200
    assert len(answer.content) == 512
    entry = RollEntry.decode(unpad(answer.content))
    check_signature(entry, cards.key.verify_key, Tag.ROLL_ENTRY)
    assert entry.place == member.place
    assert cards.places() == (member.place,)
    assert cards.workers.push() == 1
    assert cards.board.got[-1].places == (member.place,)
    refused = cards.enrol(card)
    assert refused.status_code == 403
    assert refused.content == cards.enrol("2222-2222-2222-2222").content
    # Her answer was lost and she asks again: she learns that she has her place.
    assert cards.enrol(card, member).status_code == 409


def test_a_bad_proof_does_not_spend_the_card(cards: Setup) -> None:
    card = cards.cards(1)[0]
    other = roll.enrol(cards.member(), "another instance", cards.key.verify_key, cards.randomness)
    refused = cards.post("/v1/enrolments", frame([card.encode(), other.encode()]))
    assert refused.status_code == 403
    assert cards.enrol(card).status_code == 200


def test_nothing_stored_ties_a_card_to_a_place_or_shows_it(cards: Setup, tmp_path: Path) -> None:
    """HTTP-12."""
    made = cards.cards(5)
    member = cards.member()
    assert cards.enrol(made[2], member).status_code == 200
    with database.read(cards.engines[0]) as connection:
        for table in metadata.sorted_tables:
            rows = connection.execute(table.select()).all()
            text = repr(rows)
            assert all(card not in text and card.replace("-", "") not in text for card in made)
        columns = {column["name"] for column in inspect(connection).get_columns("issuer_entries")}
    assert columns == {"scope", "number", "data"}
    assert len(cards.live.service.state.unused_cards) == 4


def test_a_kill_between_any_two_steps_loses_nothing_that_was_answered(cards: Setup) -> None:
    made = cards.cards(3)
    members = [cards.member() for _ in made]
    for card, member in zip(made, members, strict=True):
        cards.board.away = True
        assert cards.enrol(card, member).status_code == 200
        with pytest.raises(ConnectionError):
            cards.workers.push()
        cards.start()  # all that was in memory is gone
        assert member.place in cards.places()
    cards.board.away = False
    assert cards.workers.push() == 1  # the newest only
    assert set(cards.board.got[-1].places) == {member.place for member in members}
    assert cards.workers.push() == 0


def test_an_issuer_from_an_old_copy_says_so_in_its_log(cards: Setup) -> None:
    """The board refuses a roll older than the one it knows; nobody would find out why from a bare failure."""
    from structlog.testing import capture_logs  # noqa: PLC0415

    conflict, context = ({"type": f"urn:notalone:problem:{name}"} for name in ("conflict", "context"))
    answers = iter(
        (httpx.Response(204), httpx.Response(409, json=conflict), httpx.Response(409, json=context))
    )
    transport = httpx.MockTransport(lambda _: next(answers))
    with httpx.Client(transport=transport, base_url="http://127.0.0.1") as client:
        board = HttpBoard(client, SCOPE)
        cards.workers = Workers(cards.live, board, cards.postbox, cards.randomness)
        said = []
        for expected in (1, None, None):
            assert cards.enrol(cards.cards(1)[0]).status_code == 200
            with capture_logs() as lines:
                if expected is None:
                    with pytest.raises(ConnectionError):
                        cards.workers.push()
                else:
                    assert cards.workers.push() == expected
            said.append([line["event"] for line in lines])
    assert said == [[], ["the board knows a newer roll: this database is an old copy"], []]


def test_cards_made_by_another_process_work_in_the_running_one(cards: Setup) -> None:
    assert cards.enrol(cards.cards(1)[0]).status_code == 200
    other = cards.open()
    card = other.change(lambda issuer: issuer.make_cards(1, cards.randomness))[0]
    assert cards.enrol(card).status_code == 200
    assert other.change(lambda issuer: issuer.counts())["enrolled"] == 2


def test_many_at_once_with_one_card_get_one_place(cards: Setup) -> None:
    card = cards.cards(1)[0]
    bodies = [frame([card.encode(), cards.request(cards.member()).encode()]) for _ in range(8)]
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda body=body: answers.append(cards.post("/v1/enrolments", body).status_code)
        )
        for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [403] * 7


def test_the_roll_never_grows_past_the_declared_members(url: str) -> None:
    setup = Setup(url, Rules(), declared=2)
    made = setup.cards(3)
    assert [setup.enrol(card).status_code for card in made] == [200, 200, 403]
    assert setup.http.get("/v1/counts").json() == {"declared": 2, "enrolled": 2, "closed": 0, "resets": 0}
    setup.stop()


def test_a_closed_place_is_gone_from_the_next_snapshot_and_counted(cards: Setup) -> None:
    member = cards.member()
    entry = RollEntry.decode(unpad(cards.enrol(cards.cards(1)[0], member).content))
    cards.live.change(lambda issuer: issuer.close_place(entry.number))
    assert member.place not in cards.places()
    assert cards.http.get("/v1/counts").json()["closed"] == 1
    with pytest.raises(RollRefused):
        cards.live.change(lambda issuer: issuer.close_place(entry.number))


# --- a large roll --------------------------------------------------------------------------------------


def _fill_roll(setup: Setup, count: int) -> None:
    """So many places without their proofs: what is asked here is what happens after them."""
    step, place = pedersen.commit(1, 0), pedersen.commit(7, 7)
    key = setup.key.verify_key
    for number in range(count):
        setup.live.service.state.entries.append(RollEntry(key, number, place, 0, UNSIGNED))
        place = RISTRETTO255.add(place, step)
    setup.live.change(IssuerService.take_snapshots)


def _newest(setup: Setup) -> dict[int, RollSnapshot]:
    answer = setup.http.get("/v1/snapshots")
    return {one.cohort: one for one in map(RollSnapshot.decode, unframe(answer.content))}


def test_an_enrolment_into_a_large_roll_signs_the_open_cohort_only(url: str) -> None:
    """ROLL-8: the bytes of closed cohorts stand still, in the database, at the board and after a restart."""
    setup = Setup(url, Rules(), declared=2000)
    _fill_roll(setup, 511)
    made = setup.cards(4)
    assert setup.enrol(made[0]).status_code == 200
    assert [(one.cohort, len(one.places)) for one in _newest(setup).values()] == [(0, 512)]
    whole = _newest(setup)[0]
    setup.workers.push()
    assert setup.enrol(made[1]).status_code == 200  # the 513th: the roll is cut, once
    cut = _newest(setup)
    assert [(cohort, len(one.places)) for cohort, one in cut.items()] == [(0, 256), (1, 256), (2, 1)]
    assert (cut[0].number, cut[1].number, cut[2].number) == (whole.number + 1, 1, 1)
    assert setup.workers.push() == 3
    setup.start()
    for card in made[2:]:
        setup.clock.now += 1
        before, pushed = _newest(setup), len(setup.board.got)
        assert setup.enrol(card).status_code == 200
        after = _newest(setup)
        assert [cohort for cohort in after if after[cohort] != before[cohort]] == [2]
        assert after[2].number == before[2].number + 1
        assert (after[2].enrolled, len(after[2].places)) == (
            before[2].enrolled + 1,
            len(before[2].places) + 1,
        )
        assert setup.workers.push() == 1
        assert setup.board.got[pushed:] == [after[2]]
    for one in _newest(setup).values():
        roll.check_snapshot(one, scope=SCOPE, issuer_keys=[setup.key.verify_key], minimum=1)
    setup.stop()


def test_a_closed_cohort_changes_with_its_own_places_and_keeps_its_grace(url: str) -> None:
    """ROLL-4: the snapshot just before, of its own cohort, stays good for two minutes."""
    setup = Setup(url, Rules(), declared=2000)
    _fill_roll(setup, 520)
    for card in setup.cards(3):
        setup.enrol(card)
    before = _newest(setup)
    setup.live.change(lambda issuer: issuer.close_place(300))
    after = _newest(setup)
    assert [cohort for cohort in after if after[cohort] != before[cohort]] == [1, 2]
    assert set(before[1].places) - set(after[1].places) == {setup.live.service.state.entries[300].place}
    assert roll.is_current(before[1], after[1], setup.clock.now + 119)
    assert not roll.is_current(before[1], after[1], setup.clock.now + 121)
    setup.stop()


def test_a_roll_that_nobody_joins_is_signed_anew_each_week(cards: Setup) -> None:
    """A client counts retention from the week of the roll: an old one makes a report seem too long."""
    assert cards.enrol(cards.cards(1)[0]).status_code == 200
    first = _newest(cards)[0]
    cards.workers.tick()
    assert _newest(cards)[0] == first
    cards.clock.now += WEEK_SECONDS
    cards.workers.tick()
    second = _newest(cards)[0]
    assert (second.number, second.places, second.issued_at) == (2, first.places, cards.clock.now)
    cards.workers.tick()
    assert _newest(cards)[0] == second


# --- e-mail -------------------------------------------------------------------------------------------


def test_known_and_unknown_addresses_get_the_same_answer_after_the_same_work(mail: Setup) -> None:
    """HTTP-11: account enumeration by answer and by time."""
    known, unknown = mail.ask("member1@example.org"), mail.ask("nobody@example.org")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (204, b"")
    assert {name: value for name, value in known.headers.items() if name != "date"} == {
        name: value for name, value in unknown.headers.items() if name != "date"
    }
    # By time, counted in work: the very same statements with parameters of the same sizes.
    asked = ("member2@example.org", "nobody2@example.org", "not an address here")
    assert len({len(address) for address in asked}) == 1
    for path in ("/v1/codes", "/v1/resets"):
        work = [mail.work(partial(mail.ask, address, path)) for address in asked]
        assert work[0] == work[1] == work[2]
        assert any("INSERT INTO issuer_mail" in statement for statement, _ in work[0])
        assert not any("issuer_members" in statement for statement, _ in work[0])
    # And in processor time, over the whole way of a request: the least of many, whatever else runs here.
    times: dict[str, list[float]] = {"member3@example.org": [], "nobody3@example.org": []}
    for _ in range(25):
        for address, taken in times.items():
            start = time.process_time()
            mail.ask(address)
            taken.append(time.process_time() - start)
    least = [min(taken) for taken in times.values()]
    assert max(least) < 1.5 * min(least)


def test_the_measure_of_work_would_show_a_look_up(mail: Setup) -> None:
    """Control: an answer that looked the address up while somebody waits is seen by its statements."""

    def work(address: str) -> list[tuple[str, tuple[object, ...]]]:
        answer = lambda issuer: issuer.answer_mail(MailKind.CODE, address, mail.randomness)  # noqa: E731
        return mail.work(lambda: mail.live.change(answer))

    assert work("member2@example.org") != work("nobody2@example.org")


def test_only_listed_addresses_are_written_to_and_no_typed_address_stays(mail: Setup) -> None:
    for address in ("nobody@example.org", "member1@example.org", "no address", "MEMBER2@Example.org"):
        mail.ask(address)
    assert mail.workers.write_letters() == 2
    assert [letter.address for letter in mail.postbox.letters] == [
        "member1@example.org",
        "MEMBER2@Example.org",
    ]
    assert mail.waiting() == []
    with database.read(mail.engines[0]) as connection:
        assert all(
            "example" not in repr(connection.execute(one.select()).all()) for one in metadata.sorted_tables
        )


def test_one_address_is_not_flooded_with_letters(mail: Setup) -> None:
    for _ in range(5):
        mail.ask("member1@example.org")
    assert mail.workers.write_letters() == 1


def test_mailed_places_join_together_after_a_day_and_never_under_32(mail: Setup) -> None:
    """HTTP-14."""
    members = []
    for number in range(31):
        member = mail.member()
        answer = mail.enrol(mail.mailed_code(f"member{number}@example.org"), member)
        assert (answer.status_code, unpad(answer.content), len(answer.content)) == (200, b"", 512)
        members.append(member)
    mail.clock.now += 40 * DAY
    mail.workers.tick()
    assert mail.places() == ()
    assert mail.http.get("/v1/counts").json()["enrolled"] == 0
    members.append(mail.member())
    assert mail.enrol(mail.mailed_code("member31@example.org"), members[-1]).status_code == 200
    mail.start()
    mail.workers.tick()
    # In the order of their names, which tells nothing about who came first.
    assert mail.places() == tuple(sorted(member.place for member in members))
    # The next 32 wait for the next day.
    for number in range(32, 60):
        mail.enrol(mail.mailed_code(f"member{number}@example.org"))
    mail.workers.tick()
    assert len(mail.places()) == 32


def test_a_second_code_for_one_address_replaces_the_first_and_a_used_one_gives_no_more(mail: Setup) -> None:
    first = mail.mailed_code("member1@example.org")
    second = mail.mailed_code("member1@example.org")
    assert mail.enrol(first).status_code == 403
    assert mail.enrol(second).status_code == 200
    mail.clock.now += 3600
    mail.ask("member1@example.org")
    assert mail.workers.write_letters() == 1
    assert (mail.postbox.letters[-1].kind, mail.postbox.letters[-1].code) == (LetterKind.USED, "")


def test_an_expired_code_is_refused(mail: Setup) -> None:
    code = mail.mailed_code("member1@example.org")
    mail.clock.now += mail.rules.code_seconds + 1
    assert mail.enrol(code).status_code == 403


def test_a_mail_server_that_is_away_delays_letters_and_loses_none(mail: Setup) -> None:
    mail.ask("member1@example.org")
    mail.postbox.away = True
    with pytest.raises(ConnectionError):
        mail.workers.write_letters()
    mail.postbox.away = False
    mail.start()
    assert mail.workers.write_letters() == 1
    assert mail.enrol(mail.postbox.letters[-1].code).status_code == 200


def test_an_address_the_mail_server_refuses_or_delays_stops_nobody_else(mail: Setup) -> None:
    mail.postbox.refuses, mail.postbox.delays = {"member1@example.org"}, {"member2@example.org"}
    for number in range(1, 4):
        mail.ask(f"member{number}@example.org")
    assert mail.workers.write_letters() == 1
    assert [letter.address for letter in mail.postbox.letters] == ["member3@example.org"]
    assert mail.waiting() == ["member2@example.org"]
    assert mail.workers.write_letters() == 0  # not its turn yet
    mail.postbox.delays = set()
    mail.clock.now += 30
    assert mail.workers.write_letters() == 1
    assert mail.waiting() == []


def test_a_mailbox_that_always_puts_off_is_given_up_after_hours_and_an_outage_never(mail: Setup) -> None:
    mail.postbox.delays = {"member1@example.org"}
    mail.ask("member1@example.org")
    waited = 0
    while mail.waiting():
        mail.workers.write_letters()
        mail.clock.now += 3600
        waited += 1
    assert 4 < waited < 24
    mail.ask("member2@example.org")
    mail.postbox.away = True
    for _ in range(60):
        mail.clock.now += 3600
        with pytest.raises(ConnectionError):
            mail.workers.write_letters()
    mail.postbox.away = False
    assert mail.workers.write_letters() == 1


def test_letters_that_break_the_mail_server_do_not_stand_in_the_way_for_ever(mail: Setup) -> None:
    mail.postbox.breaks = {f"member{number}@example.org" for number in range(4)}
    for number in range(8):
        mail.ask(f"member{number}@example.org")
    for _ in range(4):
        mail.clock.now += 2
        with pytest.raises(ConnectionError):
            mail.workers.write_letters()
    assert {letter.address for letter in mail.postbox.letters} == {
        f"member{number}@example.org" for number in range(4, 8)
    }
    assert len(mail.waiting()) == 4


def test_the_worker_writes_as_often_for_unknown_addresses(mail: Setup) -> None:
    """HTTP-11: a missing write would show in how long others' requests take."""
    writes = []
    for address in ("member1@example.org", "nobody@example.org", "no address"):
        mail.ask(address)
        before = mail.live.store._generation  # type: ignore[attr-defined]
        mail.workers.write_letters()
        writes.append(mail.live.store._generation - before)  # type: ignore[attr-defined]
    assert writes == [2, 2, 2]


def fill(mail: Setup) -> list[roll.Member]:
    members = [mail.member() for _ in range(32)]
    for number, member in enumerate(members):
        mail.enrol(mail.mailed_code(f"member{number}@example.org"), member)
    mail.workers.tick()
    assert len(mail.places()) == 32
    return members


def test_a_reset_closes_the_old_place_after_the_delay_and_the_new_one_waits_for_the_longest_expiry(
    mail: Setup,
) -> None:
    """ROLL-3: lost phrase, reset, file again must never read as two people."""
    members = fill(mail)
    mail.clock.now += DAY
    mail.ask("member5@example.org", "/v1/resets")
    assert mail.workers.write_letters() == 1
    letter = mail.postbox.letters[-1]
    assert letter.kind is LetterKind.RESET
    assert mail.enrol(letter.code).status_code == 403  # it stops, it does not enrol
    mail.clock.now = letter.until - 1
    mail.workers.tick()
    assert members[5].place in mail.places()
    mail.clock.now = letter.until
    closed_at = mail.clock.now
    mail.workers.tick()
    assert members[5].place not in mail.places()
    assert mail.http.get("/v1/counts").json() == {"declared": 100, "enrolled": 31, "closed": 1, "resets": 1}
    new = mail.member()
    assert mail.enrol(mail.mailed_code("member5@example.org"), new).status_code == 200
    others = [mail.member() for _ in range(28)]
    for number, member in enumerate(others, 32):
        assert mail.enrol(mail.mailed_code(f"member{number}@example.org"), member).status_code == 200
    more = tuple(f"late{number}@example.org" for number in range(3))
    mail.live.change(lambda issuer: issuer.list_members(more))
    for address in more:
        mail.enrol(mail.mailed_code(address))
    mail.workers.tick()
    assert others[0].place in mail.places()
    assert new.place not in mail.places()
    longest = mail.rules.longest_expiry_weeks * WEEK_SECONDS
    mail.clock.now = closed_at + longest
    mail.workers.tick()
    assert new.place not in mail.places()
    mail.clock.now = closed_at + longest + WEEK_SECONDS
    mail.workers.tick()
    assert new.place in mail.places()


def test_the_owner_of_an_address_stops_a_reset_that_somebody_else_asked_for(mail: Setup) -> None:
    members = fill(mail)
    mail.clock.now += DAY
    mail.ask("member5@example.org", "/v1/resets")
    mail.workers.write_letters()
    letter = mail.postbox.letters[-1]
    wrong = mail.post("/v1/resets/stop", frame([b"2222-2222-2222-2222"]))
    right = mail.post("/v1/resets/stop", frame([letter.code.encode()]))
    assert (wrong.status_code, wrong.content) == (right.status_code, right.content) == (204, b"")
    mail.clock.now = letter.until + 1
    mail.workers.tick()
    assert members[5].place in mail.places()
    assert mail.http.get("/v1/counts").json()["resets"] == 0


def test_asking_twice_for_a_reset_neither_hastens_nor_delays_it(mail: Setup) -> None:
    fill(mail)
    mail.clock.now += DAY
    mail.ask("member5@example.org", "/v1/resets")
    mail.workers.write_letters()
    first = mail.postbox.letters[-1]
    mail.clock.now += DAY
    mail.ask("member5@example.org", "/v1/resets")
    mail.workers.write_letters()
    assert mail.postbox.letters[-1].until == first.until


# --- interface ----------------------------------------------------------------------------------------


def test_cards_and_mail_never_both(cards: Setup, tmp_path: Path) -> None:
    with pytest.raises(RollRefused):
        cards.live.change(lambda issuer: issuer.list_members(("a@example.org",)))
    mailed = Setup(f"sqlite:///{tmp_path / 'other.db'}", Rules(by_mail=True))
    with pytest.raises(RollRefused):
        mailed.cards(1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/enrolments", b""),
        ("/v1/enrolments", b"\xff\xff\xff\xff"),
        ("/v1/enrolments", frame([b"\xff", b"x"])),
        ("/v1/enrolments", frame([b"A" * 65, b"x"])),
        ("/v1/codes", b""),
        ("/v1/codes", pad(b"a" * 255, 512)),
        ("/v1/codes", pad(b"\xff", 512)),
        ("/v1/codes", pad(b"a\0@b", 512)),
        ("/v1/codes", pad(b"a@b", 1024)),
        ("/v1/resets/stop", frame([b"a", b"b"])),
    ],
)
def test_malformed_bodies_are_refused_without_repeating_them(tmp_path: Path, path: str, body: bytes) -> None:
    setup = Setup(f"sqlite:///{tmp_path / 'issuer.db'}", Rules())
    answer = setup.post(path, body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_requests_without_a_token_or_of_another_type_are_refused(tmp_path: Path) -> None:
    setup = Setup(f"sqlite:///{tmp_path / 'issuer.db'}", Rules())
    body = pad(b"a@example.org", 512)
    assert setup.http.post("/v1/codes", content=body, headers={"Content-Type": MEDIA_TYPE}).status_code == 428
    assert setup.http.post("/v1/codes", json={"a": 1}).status_code == 415
    big = setup.http.post("/v1/codes", content=bytes(70_000), headers={"Content-Type": MEDIA_TYPE})
    assert big.status_code == 413


def test_openapi_describes_every_address_with_an_example(tmp_path: Path) -> None:
    setup = Setup(f"sqlite:///{tmp_path / 'issuer.db'}", Rules())
    described = setup.http.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/issuer", "/v1/counts", "/v1/snapshots", "/v1/enrolments", "/v1/codes", "/v1/resets",
        "/v1/resets/stop",
    }  # fmt: skip
    for path, methods in described["paths"].items():
        if "post" in methods:
            assert methods["post"]["requestBody"]["content"][MEDIA_TYPE]["example"], path


def test_migrated_tables_are_the_ones_the_code_uses(url: str) -> None:
    engine = database.open_engine(url)
    database.migrate(engine, "issuer")
    with database.read(engine) as connection:
        inspector = inspect(connection)
        assert set(inspector.get_table_names()) - {"issuer_version"} == set(metadata.tables)
        for name, table in metadata.tables.items():
            found = {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
            assert found == {column.name: column.nullable for column in table.columns}
            keys = inspector.get_pk_constraint(name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key.columns]
            assert keys[0] == "scope"
    database.migrate(engine, "issuer")  # again: nothing to do
    engine.dispose()


def test_a_database_made_by_an_earlier_version_is_brought_forward(url: str) -> None:
    engine = database.open_engine(url)
    database.migrate(engine, "issuer", "0001")
    with database.write(engine) as connection:
        for statement in (
            "INSERT INTO issuer_scopes VALUES (:scope, 5, 9, 0, 0)",
            "INSERT INTO issuer_mail VALUES (:scope, 1, 'code', 'member1@example.org')",
        ):
            connection.execute(text(statement), {"scope": SCOPE})
    database.migrate(engine, "issuer")
    store = SqlIssuerStore(engine, SCOPE)
    store.save(store.load())
    assert [one.address for one in store.waiting_mail(0)] == ["member1@example.org"]
    engine.dispose()


def test_a_sheet_is_neutral_and_takes_nothing_from_elsewhere() -> None:
    """product.md: a card says where to type it; what it is for, nobody who finds it learns."""
    made = tuple(f"AAAA-BBBB-CCCC-{number:04}" for number in range(19))
    page = cards_module.sheet(made, 'https://b.example/c"<')
    assert page.count("<main>") == 3
    assert page.count("<section>") == 19
    assert [page.index(card) for card in made] == sorted(page.index(card) for card in made)
    assert "https://b.example/c&quot;&lt;" in page
    assert not re.search(r"<script|<img|<link|src=|href=|url\(|@import", page)
    for form in cards_module.Format:
        text_of = cards_module.write(made, "b.example/c", form).decode("utf-8")
        assert all(text_of.count(card) == 1 for card in made)
        assert text_of.count("b.example/c") == 19
        words = re.sub(r"<style>.*?</style>|<meta[^>]*>", "", text_of)
        assert not re.search(
            r"notalone|pas seule|violen|harc|harass|report|signal|victim|help|aide|universit",
            words,
            re.IGNORECASE,
        )
    rows = list(csv.reader(io.StringIO(cards_module.table(made, "a,b"))))
    assert rows == [["code", "address"], *([card, "a,b"] for card in made)]


# --- processes ----------------------------------------------------------------------------------------


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def command(*arguments: str) -> int:
    return int(CliRunner().invoke(commands.app, list(arguments)).exit_code)


def test_init_cards_and_run_as_an_operator_does(tmp_path: Path) -> None:
    folder = tmp_path / "issuer"
    done = command(
        "init",
        str(folder),
        "--instance",
        "i",
        "--scope",
        'a "scope"',
        "--declared",
        "40",
        "--board",
        "http://127.0.0.1:9",
    )
    assert done == 0
    assert (folder / "issuer.key").stat().st_mode & 0o777 == 0o600
    config = folder / "issuer.toml"
    with socket.socket() as free, socket.socket() as second:
        for one in (free, second):
            one.bind(("127.0.0.1", 0))
        port, operations = free.getsockname()[1], second.getsockname()[1]
    text = (
        config.read_text()
        .replace("port = 8301", f"port = {port}")
        .replace("port = 9301", f"port = {operations}")
    )
    config.write_text(text)
    out = tmp_path / "sheet.html"
    assert command("cards", "--config", str(config), "--count", "40", "--out", str(out)) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    page = out.read_text("utf-8")
    found = re.findall(r"[2-9A-Z]{4}(?:-[2-9A-Z]{4}){3}", page)
    assert len(set(found)) == len(found) == 40
    assert not re.search(r"violen|harc|report|notalone|src=|href=|https?:", page, re.IGNORECASE)
    again = command("cards", "--config", str(config), "--count", "1", "--out", str(out))
    assert again == 2
    code = "from notalone_server.issuer.commands import app; app(prog_name='issuer')"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                about = httpx.get(f"{base}/v1/issuer").json()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        else:
            pytest.fail("the issuer did not start")
        key = bytes.fromhex(about["issuer_key"])
        randomness = SeededStream(b"process")
        member = roll.member_from_phrase(randomness(16), "i", key)
        token = make_token(key, about["token_bits"], int(time.time()), randomness)
        body = frame([found[7].encode(), roll.enrol(member, "i", key, randomness).encode()])
        headers = {"Content-Type": MEDIA_TYPE, "Notalone-Token": token}
        assert httpx.post(f"{base}/v1/enrolments", content=body, headers=headers).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{operations}/ready").status_code == 200
        assert "notalone_issuer_places" in httpx.get(f"http://127.0.0.1:{operations}/metrics").text
    finally:
        process.terminate()
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert found[7] not in log
    assert member.place.hex() not in log
    # Another secret file mode: refused, with the way out.
    (folder / "issuer.key").chmod(0o644)
    with pytest.raises(Misuse, match="0600"):
        open_issuer(read_settings(config))
