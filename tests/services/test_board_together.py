"""Filings that wait together share a transaction: each keeps its own outcome, whatever the others are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.services.test_board_store import NoDisk, open_board, postgres_url
from tests.support import postgres
from tests.support.world import World

from notalone_crypto.errors import Code, ContextMismatch, NotAloneError, StateConflict
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.filing import Filing, Header, Receipt
from notalone_crypto.protocol.file import SealedReport
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.suite import Tag
from notalone_server.board.memory import MemoryStore
from notalone_server.board.ports import BoardStore, Reading, Writing
from notalone_server.board.service import BoardService
from notalone_server.board.store import SqlStore
from notalone_server.board.together import MOST_TOGETHER, Together
from notalone_server.edge import database

__all__ = ["postgres_url"]


@dataclass
class Gate:
    """A store whose first transaction waits, so that all others come together in the second."""

    inner: BoardStore
    entered: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    transactions: int = 0

    def reading(self) -> AbstractContextManager[Reading]:
        return self.inner.reading()

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        self.transactions += 1
        if self.transactions == 1:
            self.entered.set()
            assert self.go_on.wait(30)
        with self.inner.writing() as store:
            yield store


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BoardStore]:
    """Each story over the simulation's store, and over both databases."""
    if request.param == "memory":
        yield MemoryStore(NoDisk())
        return
    url = f"sqlite:///{tmp_path}/board.sqlite"
    if request.param == "postgresql":
        url = postgres.new_database(request.getfixturevalue("postgres_url"))
    with database.disposing(database.open_engine(url)) as engine:
        database.migrate(engine, "board")
        yield SqlStore(engine)


def header_of(data: bytes) -> Header:
    return Header.decode(Filing.decode(data).header)


def waiting(board: BoardService) -> int:
    return len(board._intake._together._queue)


def send_together(
    board: BoardService, gate: Gate, first: bytes, others: Sequence[bytes]
) -> list[Receipt | NotAloneError]:
    """`first` holds the turn until all the others wait; their outcomes in the order of `others`."""

    def send(data: bytes) -> Receipt | NotAloneError:
        try:
            return board.submit_filing(data)
        except NotAloneError as error:
            return error

    with ThreadPoolExecutor(len(others) + 1) as pool:
        leader = pool.submit(send, first)
        assert gate.entered.wait(30)
        sent: list[Future[Receipt | NotAloneError]] = []
        for number, data in enumerate(others, 1):
            sent.append(pool.submit(send, data))
            while waiting(board) < number:  # one behind the other, so that their order is known
                time.sleep(0.001)
        gate.go_on.set()
        assert isinstance(leader.result(30), Receipt)
        return [one.result(30) for one in sent]


def with_other_bundles(sealed: SealedReport) -> bytes:
    """The same header, signed by its owner over other bundles."""
    filing = replace(sealed.filing, bundles=tuple(bytes(len(one)) for one in sealed.filing.bundles))
    trace = sign_message(filing.trace, sealed.owner.signing_key, Tag.FILING_SIGNATURE)
    return replace(filing, signature=trace.signature).encode()


def gated(world: World, stored: BoardStore) -> tuple[BoardService, Gate]:
    open_board(world, stored)
    gate = Gate(stored)
    return BoardService(world.committee, world.board_key, lambda: world.now, gate), gate


def test_each_of_those_that_wait_together_gets_its_own_outcome(stored: BoardStore) -> None:
    world = World()
    board, gate = gated(world, stored)
    leader, good, another = (world.seal(person, world.report(b"x")) for person in range(3))
    rival = good
    while rival is good or rival.header.quota_tag != good.header.quota_tag:
        rival = world.seal(1, world.report(b"y"))
    data = [
        good.filing.encode(),
        good.filing.encode(),  # sent twice
        with_other_bundles(good),  # another filing under its header
        rival.filing.encode(),  # another header with its quota place
        leader.filing.encode(),  # taken a transaction before
        another.filing.encode(),
    ]
    outcomes = send_together(board, gate, data[4], data)
    assert gate.transactions == 2
    receipts = [one if isinstance(one, Receipt) else one.code for one in outcomes]
    assert receipts[0] == receipts[1]
    assert receipts[2:4] == [Code.DUPLICATE, Code.TAG_SPENT]
    named = [receipts[place] for place in (0, 4, 5)]
    assert [one.entry for one in named if isinstance(one, Receipt)] == [
        one.header.entry for one in (good, leader, another)
    ]
    feed = board.feed(world.policy.scope, 0)
    filed = [item for item in feed if item.kind == FeedKind.FILING]
    assert [item.payload for item in filed] == [data[4], data[0], data[5]]  # as they came
    assert [item.sequence for item in feed] == list(range(1, len(feed) + 1))
    with stored.reading() as view:
        for item in filed:
            header = header_of(item.payload)
            entry = view.entry(world.policy.scope, header.entry)
            assert entry is not None
            assert entry.sequence == item.sequence
            assert view.spent_by(world.policy.scope, header.quota_tag) == header.entry


def test_rules_that_change_while_filings_wait_are_the_ones_that_count(stored: BoardStore) -> None:
    """Attack: promise what trustees refuse. Nothing is spent: the reporter seals again."""
    world = World()
    board, gate = gated(world, stored)
    first, second = (world.seal(person, world.report(b"x")) for person in range(2))
    codes: list[Code] = []

    def send(sealed: SealedReport) -> None:
        with pytest.raises(ContextMismatch) as error:
            board.submit_filing(sealed.filing.encode())
        codes.append(error.value.code)

    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(send, first)]
        assert gate.entered.wait(30)
        sent.append(pool.submit(send, second))
        while waiting(board) < 1:
            time.sleep(0.001)
        with stored.writing() as changing:
            record = changing.scope(world.policy.scope)
            assert record is not None
            record.policy = replace(record.policy, maximum_weeks=record.policy.maximum_weeks + 1)
            changing.put_scope(record)
        gate.go_on.set()
        for one in sent:
            one.result(30)
    assert codes == [Code.POLICY] * 2
    assert board.spent_tags(world.policy.scope, first.header.period) == ()
    # Put back, the same bytes are taken: what was seen last is not what counts either.
    with stored.writing() as changing:
        record = changing.scope(world.policy.scope)
        assert record is not None
        record.policy = world.policy
        changing.put_scope(record)
    assert board.submit_filing(first.filing.encode()).entry == first.header.entry


# --- whose turn it is ------------------------------------------------------------------------------


@dataclass
class Counted:
    """An action that can be held, and remembers what it was given."""

    groups: list[list[int]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)

    def __call__(self, items: Sequence[int]) -> list[int | NotAloneError]:
        self.groups.append(list(items))
        self.entered.set()
        assert self.hold.wait(30)
        if any(item < 0 for item in items):
            raise OSError(f"disk full with {len(items)}")
        return [StateConflict(Code.DUPLICATE, "odd") if item % 2 else item * 10 for item in items]


def run_together(items: Sequence[int]) -> tuple[Counted, list[int | Exception]]:
    """0 first; all others wait until it is done."""
    action = Counted()
    together: Together[int, int] = Together(action)

    def one(item: int) -> int | Exception:
        try:
            return together.run(item)
        except (NotAloneError, OSError) as error:
            return error

    with ThreadPoolExecutor(len(items) + 1) as pool:
        first = pool.submit(one, 0)
        assert action.entered.wait(30)
        rest = []
        for number, item in enumerate(items, 1):
            rest.append(pool.submit(one, item))
            while len(together._queue) < number:
                time.sleep(0.001)
        action.hold.set()
        assert first.result(30) == 0
        outcomes = [waiting.result(30) for waiting in rest]
    assert together._queue == []
    assert together.run(8) == 80  # nobody holds the turn
    return action, outcomes


def test_all_that_wait_are_served_in_one_turn() -> None:
    action, outcomes = run_together([2, 3, 4])
    assert action.groups == [[0], [2, 3, 4], [8]]
    assert outcomes[::2] == [20, 40]
    assert isinstance(outcomes[1], StateConflict)


def test_what_breaks_an_action_harms_nobody_else() -> None:
    action, outcomes = run_together([2, -1, 4])
    assert action.groups == [[0], [2, -1, 4], [2], [-1], [4], [8]]
    assert outcomes[::2] == [20, 40]
    assert str(outcomes[1]) == "disk full with 1"


def test_a_turn_has_a_bound() -> None:
    action, outcomes = run_together([2] * (MOST_TOGETHER + 5))
    assert [len(group) for group in action.groups] == [1, MOST_TOGETHER, 5, 1]
    assert outcomes == [20] * (MOST_TOGETHER + 5)


def test_everybody_is_served_whoever_comes_when() -> None:
    together: Together[int, int] = Together(lambda items: [item + 1 for item in items])
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(together.run, range(5000))) == list(range(1, 5001))
