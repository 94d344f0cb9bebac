"""Mailboxes: a letter that was taken stays, and nothing tells whether an address is anybody's."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, event, select
from tests.services.test_board_http import Broken, forms
from tests.services.test_board_process import Process
from tests.services.test_board_store import NoDisk, open_board
from tests.support import postgres
from tests.support.asgi import AppClient
from tests.support.board_http import BITS, BoardUser
from tests.support.world import World

from notalone_crypto.errors import Code, ContextMismatch, MalformedInput
from notalone_crypto.messages import contact
from notalone_crypto.protocol.withdraw import WEEK_SECONDS, week_of
from notalone_server.board import schema
from notalone_server.board.app import Running, build
from notalone_server.board.mailboxes import LETTERS_PER_ADDRESS, Mailboxes, MailboxesFull
from notalone_server.board.memory import MemoryStore
from notalone_server.board.ports import BoardStore
from notalone_server.board.store import SqlStore
from notalone_server.edge import database, redaction
from notalone_server.edge.limits import AnonymousLimiter


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="module")
def world() -> World:
    return World(members=2)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BoardStore]:
    if request.param == "memory":
        yield MemoryStore(NoDisk())
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/board.sqlite"
    else:
        url = postgres.new_database(request.getfixturevalue("postgres_url"))
    engine = database.open_engine(url)
    database.migrate(engine, "board")
    yield SqlStore(engine)
    engine.dispose()


def engine_of(store: BoardStore) -> Engine:
    assert isinstance(store, SqlStore)
    return store.engine


def letter(number: int = 0) -> bytes:
    return number.to_bytes(4, "big") * (contact.LETTER_LENGTH // 4)


def address(number: int = 0) -> bytes:
    return bytes([number]) * 32


def post(number: int, place: int = 0) -> bytes:
    return contact.encode_post(address(place), letter(number))


def look(after: int = 0, place: int = 0) -> bytes:
    """A visit to one mailbox that is hers, among others of nobody."""
    others = [(os.urandom(32), 0) for _ in range(contact.MAILBOXES - 1)]
    return contact.encode_request([(address(place), after), *others])


def read(boxes: Mailboxes, scope: bytes, after: int = 0, place: int = 0) -> list[tuple[int, bytes]]:
    pages = contact.decode_answer(boxes.visit(scope, look(after, place)))
    assert not any(pages[1:])
    return list(pages[0])


def read_all(boxes: Mailboxes, scope: bytes, place: int = 0) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while page := read(boxes, scope, found[-1][0] if found else 0, place):
        found += page
    return found


# --- rules, on every store ------------------------------------------------------------------------------


def test_letters_come_in_pages_in_their_order_and_once(store: BoardStore, world: World) -> None:
    """HTTP-15."""
    open_board(world, store)
    boxes, scope = Mailboxes(store, lambda: world.now), world.policy.scope
    for number in range(6):
        boxes.post(scope, post(number))
        boxes.post(scope, post(number // 2))  # its answer was lost, or somebody repeats it
    boxes.post(scope, post(0, place=1))
    assert read(boxes, scope) == [(1 + number, letter(number)) for number in range(4)]
    assert read_all(boxes, scope) == [(1 + number, letter(number)) for number in range(6)]
    assert read_all(boxes, scope, place=1) == [(1, letter(0))]
    assert read(boxes, scope, after=6) == read(boxes, scope, after=(1 << 32) - 1) == []
    whole = boxes.visit(scope, contact.encode_request([(address(0), 0), (address(1), 0)] * 4))
    assert [len(page) for page in contact.decode_answer(whole)] == [4, 1] * 4


def test_what_is_no_post_or_visit_is_refused(store: BoardStore, world: World) -> None:
    open_board(world, store)
    boxes, scope = Mailboxes(store, lambda: world.now), world.policy.scope
    for bad in (b"", post(1)[:-1], post(1) + b"x"):
        with pytest.raises(MalformedInput):
            boxes.post(scope, bad)
        with pytest.raises(MalformedInput):
            boxes.visit(scope, bad)
    for wrong in (lambda: boxes.post(bytes(32), post(1)), lambda: boxes.visit(bytes(32), look())):
        with pytest.raises(ContextMismatch) as caught:
            wrong()
        assert caught.value.code == Code.SCOPE
    with store.reading() as view:
        assert view.letter_count(scope) == 0


def test_mailboxes_have_limits_and_erasure_makes_room(store: BoardStore, world: World) -> None:
    open_board(world, store)
    now = world.now
    boxes, scope = Mailboxes(store, lambda: now, LETTERS_PER_ADDRESS + 2), world.policy.scope
    with store.writing() as changing:
        for number in range(LETTERS_PER_ADDRESS):
            changing.add_letter(scope, address(), letter(number), week_of(now) + 1)
    with pytest.raises(MailboxesFull):  # the address
        boxes.post(scope, post(LETTERS_PER_ADDRESS))
    boxes.post(scope, post(3))  # one that is there already is no more than it was
    boxes.post(scope, post(0, place=1))
    boxes.post(scope, post(0, place=2))
    with pytest.raises(MailboxesFull):  # the scope
        boxes.post(scope, post(0, place=3))
    assert len(read_all(boxes, scope)) == LETTERS_PER_ADDRESS
    assert boxes.erase() == 0
    now += 2 * WEEK_SECONDS
    assert boxes.erase() == LETTERS_PER_ADDRESS
    assert boxes.erase() == 0
    assert read_all(boxes, scope) == []
    assert read_all(boxes, scope, place=1) == [(1, letter(0))]
    boxes.post(scope, post(0, place=3))
    with store.reading() as view:
        assert view.letter_count(scope) == 3


def test_a_letter_stays_as_long_as_the_scope_keeps_anything_and_no_longer(
    store: BoardStore, world: World
) -> None:
    """HTTP-17."""
    open_board(world, store)
    now = start = (world.now // WEEK_SECONDS) * WEEK_SECONDS + WEEK_SECONDS - 1  # just before a week ends
    boxes, scope = Mailboxes(store, lambda: now), world.policy.scope
    boxes.post(scope, post(1))
    now = start + 2
    boxes.post(scope, post(2))
    last = (week_of(start) + world.policy.maximum_weeks + 1) * WEEK_SECONDS
    now = last - 1
    assert boxes.erase() == 0
    now = last
    assert boxes.erase() == 1
    # Positions go on: whoever saw the first finds the second behind it.
    assert read(boxes, scope, after=1) == [(2, letter(2))]
    boxes.post(scope, post(3))
    assert [position for position, _ in read(boxes, scope)] == [2, 3]


def test_posts_to_one_address_at_once_get_positions_of_their_own(store: BoardStore, world: World) -> None:
    """Attack: race for one position, so that a letter takes another's place."""
    open_board(world, store)
    boxes, scope = Mailboxes(store, lambda: world.now), world.policy.scope
    with ThreadPoolExecutor(1 if isinstance(store, MemoryStore) else 8) as pool:  # memory is for one thread
        list(pool.map(lambda number: boxes.post(scope, post(number // 2)), range(48)))  # each sent twice
    found = read_all(boxes, scope)
    assert [position for position, _ in found] == list(range(1, 25))
    assert {data for _, data in found} == {letter(number) for number in range(24)}
    with store.reading() as view:
        assert view.letter_count(scope) == 24


def test_erased_letters_are_gone_from_the_files_too(tmp_path: Path, world: World) -> None:
    """HTTP-17. Attack: read free pages and the write-ahead log of a seized disk."""
    engine = database.open_engine(f"sqlite:///{tmp_path}/board.sqlite")
    database.migrate(engine, "board")
    store = SqlStore(engine)
    board = open_board(world, store)
    now = world.now
    running = build(
        board, world.signed_manifest, forget=store.forget, limiter=AnonymousLimiter(b"", lambda: now)
    )
    running.mailboxes.clock = lambda: now
    secret = os.urandom(contact.LETTER_LENGTH)
    running.mailboxes.post(world.policy.scope, contact.encode_post(address(7), secret))

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert secret[:64] in files()
    now += (world.policy.maximum_weeks + 1) * WEEK_SECONDS
    running.work()
    assert secret[:64] not in files()
    assert address(7) not in files()
    assert "notalone_board_letters_erased_total 1\n" in running.metrics.render()
    running.work()
    assert "notalone_board_letters_erased_total 1\n" in running.metrics.render()
    engine.dispose()


def test_the_table_tells_no_time_but_the_last_week_and_no_order_among_addresses(
    tmp_path: Path, world: World
) -> None:
    """HTTP-10, HTTP-17. Attack: seize the database and read who wrote when, or in which order."""
    assert set(schema.letters.c.keys()) == {"scope", "address", "position", "week", "letter"}
    dumps = []
    for name, order in (("one", (1, 2, 3)), ("two", (3, 1, 2))):
        engine = database.open_engine(f"sqlite:///{tmp_path}/{name}.sqlite")
        database.migrate(engine, "board")
        boxes = Mailboxes(SqlStore(engine), lambda: world.now)
        open_board(world, boxes.store)
        for place in order:
            boxes.post(world.policy.scope, post(place, place))
        with engine.connect() as connection:
            dumps.append(connection.execute(select(schema.letters)).all())  # as they lie there
            made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'letters'").scalar()
            assert "WITHOUT ROWID" in str(made)
        engine.dispose()
    assert dumps[0] == dumps[1]
    assert len(dumps[0]) == 3


# --- over HTTP ------------------------------------------------------------------------------------------


class Served:
    """A board with one scope, as an application in this process."""

    def __init__(self, world: World, engine: Engine, letters_per_scope: int = 1000) -> None:
        self.board = open_board(world, SqlStore(engine))
        clock = lambda: world.now  # noqa: E731
        limiter = AnonymousLimiter(world.committee.fingerprint, clock, bits=BITS, per_second=10_000)
        self.running: Running = build(
            self.board, world.signed_manifest, limiter=limiter, letters_per_scope=letters_per_scope
        )
        self.user = BoardUser(world, AppClient(self.running.app), clock)

    def post(self, number: int, place: int = 0) -> httpx.Response:
        return self.user.anonymous("/letters", post(number, place))

    def visit(self, *asked: tuple[bytes, int]) -> httpx.Response:
        filled = [*asked, *((os.urandom(32), 0) for _ in range(contact.MAILBOXES - len(asked)))]
        return self.user.anonymous("/mailboxes", contact.encode_request(filled))


@pytest.fixture
def served(world: World, tmp_path: Path) -> Iterator[Served]:
    engine = database.open_engine(f"sqlite:///{tmp_path}/board.sqlite")
    database.migrate(engine, "board")
    yield Served(world, engine, LETTERS_PER_ADDRESS + 1)
    engine.dispose()


def shape(answer: httpx.Response) -> tuple[object, ...]:
    return (answer.status_code, sorted(answer.headers.items()), len(answer.content))


def test_full_and_unknown_mailboxes_have_one_shape(served: Served, world: World) -> None:
    """HTTP-2, HTTP-15. Attack: tell by an answer's size whether somebody writes to an address."""
    with served.board.store.writing() as changing:
        for number in range(LETTERS_PER_ADDRESS):
            changing.add_letter(world.policy.scope, address(), letter(number), 9999)
    full, unknown = served.visit((address(), 0)), served.visit()
    assert shape(full) == shape(unknown)
    assert full.status_code == 200
    assert len(full.content) == contact.ANSWER_LENGTH
    assert contact.decode_answer(full.content)[0][-1] == (4, letter(3))
    assert not any(contact.decode_answer(unknown.content))
    assert not any(unknown.content)
    for number in (0, 7, 9):
        body = os.urandom(number * 36)
        assert served.user.anonymous("/mailboxes", body).status_code == 400


def test_a_post_says_nothing_about_whether_the_address_existed(served: Served) -> None:
    """HTTP-16. Attack: post to addresses to see which of them somebody uses."""
    first = served.post(1)
    again, known, other = served.post(1), served.post(2), served.post(1, place=9)
    assert first.status_code == 204
    assert shape(first) == shape(again) == shape(known) == shape(other)


def test_a_full_address_and_a_full_scope_are_one_answer_and_nothing_of_the_letter_is_kept(
    served: Served, world: World
) -> None:
    """HTTP-16."""
    scope = world.policy.scope
    with served.board.store.writing() as changing:
        for number in range(LETTERS_PER_ADDRESS):
            changing.add_letter(scope, address(), letter(number), 9999)
    full_address = served.post(1 << 20)
    assert served.post(1, place=1).status_code == 204
    full_scope = served.post(1, place=2)
    assert shape(full_address) == shape(full_scope)
    assert full_address.content == full_scope.content
    assert (full_scope.status_code, full_scope.json()["type"]) == (503, "urn:notalone:problem:busy")
    assert served.post(1, place=1).status_code == 204  # what was taken stays taken
    with served.board.store.reading() as view:
        assert view.letter_count(scope) == LETTERS_PER_ADDRESS + 1
        assert view.letters_at(scope, address(2)) == 0


def test_a_visit_costs_the_database_the_same_for_every_address(served: Served) -> None:
    """Attack: time answers. The same statements run whether or not there are letters."""
    for number in range(6):
        assert served.post(number).status_code == 204
    statements: list[str] = []
    assert isinstance(served.board.store, SqlStore)

    @event.listens_for(served.board.store.engine, "before_cursor_execute")
    def _seen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    served.visit((address(), 0))
    known = statements.copy()
    statements.clear()
    served.visit()
    assert statements == known
    assert sum("FROM letters" in one for one in known) == contact.MAILBOXES


def test_nothing_of_a_letter_or_address_is_logged_counted_or_put_into_an_address(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    """HTTP-1, HTTP-4, HTTP-8."""
    redaction.configure("board")
    place, words = os.urandom(32), os.urandom(contact.LETTER_LENGTH)
    body = contact.encode_post(place, words)
    user = served.user
    original = served.running.mailboxes.store
    visits = [
        user.anonymous("/letters", body),
        user.anonymous("/letters", body[:-1]),
        user.ask("POST", user.scope + "/letters", body),
        served.visit((place, 0)),
        user.anonymous("/mailboxes", place),
    ]
    served.running.mailboxes.store = Broken(body[:64])  # type: ignore[assignment]
    visits += [user.anonymous("/letters", body), served.visit((place, 0))]
    served.running.mailboxes.store = original
    assert [answer.status_code for answer in visits] == [204, 400, 428, 200, 400, 500, 500]
    told = [answer.text for answer in visits if answer.status_code >= 400]
    told += [
        AppClient(served.running.operations).get(path).text for path in ("/health", "/ready", "/metrics")
    ]
    printed = capfd.readouterr()
    assert "request failed" in printed.err
    assert "notalone_board_letters_total 1\n" in told[-1]
    told += [printed.out, printed.err, *user.log, json.dumps(served.running.api.openapi())]
    everything = "\n".join(told).lower()
    for secret in (place, words):
        for form in forms(secret):
            assert form.lower() not in everything


# --- real processes -------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def process(request: pytest.FixtureRequest, tmp_path: Path, world: World) -> Iterator[Process]:
    url = "sqlite:///board.sqlite"
    if request.param == "postgresql":
        url = postgres.new_database(request.getfixturevalue("postgres_url"))
    made = Process(world, tmp_path, url)
    try:
        made.start()
        yield made
    finally:
        made.kill()


def test_a_letter_that_was_taken_survives_every_kill(process: Process, world: World) -> None:
    """HTTP-9. SIGKILL while letters are on their way, again and again."""
    user = BoardUser(world, process.client)
    user.cosign_policy()
    taken: set[bytes] = set()
    sent: list[bytes] = []

    def send(number: int) -> int | None:
        try:
            return user.anonymous("/letters", post(number)).status_code
        except httpx.TransportError:
            return None

    for kill in range(4):
        numbers = range(10 * kill, 10 * kill + 10)
        sent += [letter(number) for number in numbers]
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(send, number) for number in numbers]
            time.sleep(0.02 + 0.03 * kill)
            process.end(signal.SIGKILL)
            answers = [one.result() for one in waiting]
        assert set(answers) <= {204, None}
        taken |= {letter(number) for number, answer in zip(numbers, answers, strict=True) if answer}
        process.start()
        held = [data for _, data in fetch(user)]
        assert taken <= set(held) <= set(sent)
        assert len(held) == len(set(held))
    for number in range(40):
        assert user.anonymous("/letters", post(number)).status_code == 204
    found = fetch(user)
    assert [position for position, _ in found] == list(range(1, 41))
    assert {data for _, data in found} == set(sent)


def fetch(user: BoardUser) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while True:
        answer = user.anonymous("/mailboxes", look(found[-1][0] if found else 0))
        assert answer.status_code == 200, answer.text
        page = contact.decode_answer(answer.content)[0]
        if not page:
            return found
        found += page
