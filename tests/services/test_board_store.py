"""The board's store: both databases tell the stories that memory tells, and undo what failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, func, select
from tests.support import postgres
from tests.support.stories import Story, plan
from tests.support.world import World

from notalone_crypto.errors import Code, NotAloneError, StateConflict
from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.filing import Acceptance, Filing, FilingTrace, Header, Receipt
from notalone_crypto.protocol import intake
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.protocol.state import Outgoing
from notalone_crypto.protocol.withdraw import DAY_SECONDS, WEEK_SECONDS, week_of
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS, Tag
from notalone_demo.simulation import deployment as simulation
from notalone_server.board import schema
from notalone_server.board.erasure import erase_bundles
from notalone_server.board.memory import MemoryStore
from notalone_server.board.ports import BoardStore
from notalone_server.board.service import NO_LIMIT, BoardService
from notalone_server.board.state import BoardEntry, QueuedLeaf
from notalone_server.board.store import SqlStore
from notalone_server.edge import database


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/board.sqlite"
    else:
        url = postgres.new_database(request.getfixturevalue("postgres_url"))
    made = database.open_engine(url)
    database.migrate(made, "board")
    yield made
    made.dispose()


class NoDisk:
    def save(self, state: object) -> None:
        pass


def open_board(world: World, store: BoardStore) -> BoardService:
    """A board whose scope is open: the policy's leaf is confirmed without cosigners."""
    board = BoardService(world.committee, world.board_key, lambda: world.now, store)
    board.publish_policy(world.policy)
    with store.writing() as changing:
        current = changing.in_progress()
        assert current is not None
        changing.confirm_leaf(current)
        record = changing.scope(world.policy.scope)
        assert record is not None
        record.active = True
        changing.put_scope(record)
    return board


def test_a_whole_story_over_sql_is_the_reference(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same service, trustees and people as in the simulation; only the store is another."""
    monkeypatch.setattr(simulation, "MemoryStore", lambda _disk: SqlStore(engine))
    story = Story.begin(plan(3, 2, (2, 3)), b"sql")
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True, preconsent=True)
    story.file(3, {2: 0}, 2)
    story.batch()
    story.withdraw(2)
    story.file(4, {2: 0}, 2)
    story.batch()
    assert story.observed() == story.expected
    assert len(story.expected) > 1
    board, scope = story.deployment.board, story.deployment.policy.scope
    assert board.scope_record(scope).number == 2
    assert story.deployment.reporters["person 0"].was_counted(board)
    # Another process over the same database goes on where this one stopped.
    again = BoardService(board.committee, board.signing_key, board.clock, SqlStore(engine))
    assert again.feed(scope, 0) == board.feed(scope, 0)
    assert again.consistency(1, 3) == board.consistency(1, 3)
    assert again.note() == board.note()


def test_migrations_make_exactly_the_tables_that_the_store_uses(engine: Engine) -> None:
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), schema.metadata)
    assert difference == []
    database.migrate(engine, "board")  # again: nothing to do


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    """Attack: die between the spent tag and the filing, so that a place is lost for good."""
    world = World()
    store = SqlStore(engine)
    board = open_board(world, store)
    before = (board.feed(world.policy.scope, 0), board.consistency(0, 1))
    with pytest.raises(RuntimeError), store.writing() as changing:  # noqa: PT012 - the transaction fails late
        changing.spend(world.policy.scope, 1, b"t" * 32, bytes(32))
        changing.append(world.policy.scope, 2, b"half a filing")
        changing.append_leaf(world.policy.scope, b"l" * 32)
        changing.queue_leaf(QueuedLeaf(world.policy.scope, b"m" * 32, b""))
        raise RuntimeError
    assert (board.feed(world.policy.scope, 0), board.consistency(0, 1)) == before
    assert board.spent_tags(world.policy.scope, 1) == ()
    with store.reading() as view:
        assert view.tree().size == 1
    with store.writing() as changing:
        assert changing.next_leaf() is None


def test_one_filing_sent_by_many_at_once_is_one_entry(engine: Engine) -> None:
    """Attack: race the same quota place; and a lost answer is asked for again."""
    world = World()
    board = open_board(world, SqlStore(engine))
    first = world.seal(0, world.report(b"x"))
    second = first
    while second is first or second.header.quota_tag != first.header.quota_tag:
        second = world.seal(0, world.report(b"y"))  # which of her tags is drawn
    data, other = first.filing.encode(), second.filing.encode()
    ready = threading.Barrier(6)

    def send(which: bytes) -> Receipt | Code:
        ready.wait()
        try:
            return board.submit_filing(which)
        except NotAloneError as error:
            return error.code

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, [data, other] * 3))
    receipts = [one for one in answers if isinstance(one, Receipt)]
    assert len(receipts) == 3
    assert len({one.encode() for one in receipts}) == 1
    assert [one for one in answers if isinstance(one, Code)] == [Code.TAG_SPENT] * 3
    assert sum(item.kind == 2 for item in board.feed(world.policy.scope, 0)) == 1


def test_the_feed_comes_in_pages_without_gaps(engine: Engine) -> None:
    world = World()
    board = open_board(world, SqlStore(engine))
    with board.store.writing() as changing:
        for _ in range(520):
            changing.append(world.policy.scope, 8, b"x" * 100)
        changing.append(world.policy.scope, 8, b"y" * 5000)
    everything = board.feed(world.policy.scope, 0)
    assert [item.sequence for item in everything] == list(range(1, len(everything) + 1))
    paged: list[object] = []
    while page := board.feed(world.policy.scope, len(paged), 1000):
        assert sum(len(item.payload) for item in page) <= 1000 or len(page) == 1
        paged += page
    assert tuple(paged) == everything


def accept_everywhere(world: World, board: BoardService, filing_data: list[bytes]) -> None:
    """Every trustee accepts, and posts it."""
    for machine in world.machines.values():
        for data in filing_data:
            filing = Filing.decode(data)
            posts, errors = intake.receive_filings(
                machine.state, machine.secrets, world.view(), [filing], world.randomness
            )
            assert errors == [None]
            for post in posts:
                if post.kind == Outgoing.ACCEPTANCE:
                    board.post(machine.secrets.index, world.policy.scope, FeedKind.ACCEPTANCE, [post.payload])


def test_bundles_are_erased_when_everybody_has_them_and_not_before(engine: Engine, tmp_path: Path) -> None:
    world = World()
    board = open_board(world, SqlStore(engine))
    scope = world.policy.scope
    sealed = world.seal(0, world.report(b"x"))
    waiting = world.seal(1, world.report(b"x"))
    board.submit_filing(sealed.filing.encode())
    board.submit_filing(waiting.filing.encode())
    readers = ("trustee/1", "trustee/2", "trustee/3")
    accept_everywhere(world, board, [sealed.filing.encode()])
    last = len(board.feed(scope, 0))
    assert erase_bundles(board, readers) == 0
    for reader in readers[:2]:
        board.read_feed(reader, scope, last, NO_LIMIT)
    assert erase_bundles(board, readers) == 0  # the third has not read it
    board.read_feed(readers[2], scope, last + 1000, NO_LIMIT)  # nobody has read what does not exist
    assert erase_bundles(board, readers) == 0
    board.read_feed(readers[2], scope, last, NO_LIMIT)
    assert erase_bundles(board, readers) == 1
    assert erase_bundles(board, readers) == 0
    items = board.feed(scope, 0)
    (left,) = [item for item in items if item.kind == FeedKind.ERASED_FILING]
    trace = FilingTrace.decode(left.payload)
    assert trace == sealed.filing.trace
    assert trace.fingerprint == sealed.filing.fingerprint
    check_signature(trace, sealed.header.owner_key, Tag.FILING_SIGNATURE)
    with engine.connect() as connection:
        stored = b"".join(connection.execute(select(schema.feed.c.payload)).scalars())
    assert sealed.filing.bundles[0] not in stored
    assert sealed.filing.second_introduction not in stored
    assert waiting.filing.bundles[0] in stored
    SqlStore(engine).forget()
    if (
        engine.dialect.name == "sqlite"
    ):  # not even in the files: not in free pages, not in the write-ahead log
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert waiting.filing.bundles[0][:64] in files
        assert sealed.filing.bundles[0][:64] not in files
    # She may still ask again for her receipt.
    assert board.submit_filing(sealed.filing.encode()).filing == sealed.filing.fingerprint


def test_acceptances_are_the_posters_own_and_for_this_filing(engine: Engine) -> None:
    """Attack: one trustee accepts in the name of all, so that bundles are erased early."""
    world = World()
    board = open_board(world, SqlStore(engine))
    sealed = world.seal(0, world.report(b"x"))
    board.submit_filing(sealed.filing.encode())
    machine = world.machines[1]
    posts, _ = intake.receive_filings(
        machine.state, machine.secrets, world.view(), [sealed.filing], world.randomness
    )
    (acceptance,) = [post.payload for post in posts if post.kind == Outgoing.ACCEPTANCE]
    with pytest.raises(NotAloneError):
        board.post(2, world.policy.scope, FeedKind.ACCEPTANCE, [acceptance])
    changed = Acceptance.decode(acceptance).with_field("filing", bytes(32)).encode()
    with pytest.raises(NotAloneError):
        board.post(1, world.policy.scope, FeedKind.ACCEPTANCE, [changed])
    board.post(1, world.policy.scope, FeedKind.ACCEPTANCE, [acceptance])
    with board.store.reading() as view:
        entry = view.entry(world.policy.scope, sealed.header.entry)
    assert entry is not None
    assert entry.accepted_by == {1}


def test_acceptances_of_one_post_are_taken_together_or_not_at_all(engine: Engine) -> None:
    """New ones count once each, in their order; what is known or of no entry changes nothing."""
    world = World()
    board, scope = open_board(world, SqlStore(engine)), world.policy.scope
    filings = [world.seal(member, world.report(b"x")).filing for member in range(4)]
    unknown = world.seal(5, world.report(b"x")).filing
    for filing in filings:
        board.submit_filing(filing.encode())
    machine = world.machines[1]
    posts, errors = intake.receive_filings(
        machine.state, machine.secrets, world.view(), [*filings, unknown], world.randomness
    )
    assert errors == [None] * 5
    made = [post.payload for post in posts if post.kind == Outgoing.ACCEPTANCE]
    first, second, third, fourth, strange = made

    def accepted() -> list[bytes]:
        with board.store.reading() as view:
            names = [Header.decode(filing.header).entry for filing in filings]
            known = view.entries(scope, [*names, bytes(32)])
            assert set(known) == set(names)
            assert all(known[name] == view.entry(scope, name) for name in names)
            marked = [number for number, name in enumerate(names) if known[name].accepted_by == {1}]
        told = [item.payload for item in board.feed(scope, 0) if item.kind == FeedKind.ACCEPTANCE]
        assert sorted(told) == sorted(made[number] for number in marked)
        return told

    forged = Acceptance.decode(fourth).with_field("filing", bytes(32)).encode()
    with pytest.raises(NotAloneError):
        board.post(1, scope, FeedKind.ACCEPTANCE, [first, forged])
    assert accepted() == []
    board.post(1, scope, FeedKind.ACCEPTANCE, [third, strange, third, first])
    assert accepted() == [third, first]
    board.post(1, scope, FeedKind.ACCEPTANCE, [first, second, third])
    assert accepted() == [third, first, second]
    board.post(1, scope, FeedKind.ACCEPTANCE, [strange])
    with board.store.writing() as changing:  # what another said meanwhile stays
        changing.accept(scope, 3, [Header.decode(filings[0].header).entry])
        changing.accept(scope, 1, [Header.decode(filings[0].header).entry])
        entry = changing.entry(scope, Header.decode(filings[0].header).entry)
    assert entry is not None
    assert entry.accepted_by == {1, 3}


def test_an_old_snapshot_is_no_news(engine: Engine) -> None:
    """Attack: replay the issuer's snapshot from before a place was closed."""
    world = World()
    board = open_board(world, SqlStore(engine))
    old = world.snapshot
    new = world.refresh_snapshot(old.number + 1)
    board.publish_snapshot(new)
    board.publish_snapshot(new)
    with pytest.raises(StateConflict) as caught:
        board.publish_snapshot(old)
    assert caught.value.code == Code.ROLLBACK
    assert board.newest_snapshots(world.policy.scope) == (new,)
    assert sum(item.kind == 1 for item in board.feed(world.policy.scope, 0)) == 1


def test_no_column_can_hold_a_time_or_an_address_of_a_filing() -> None:
    """HTTP-10."""
    names = {f"{table.name}.{column.name}" for table in schema.metadata.sorted_tables for column in table.c}
    times = {name for name in names if name.endswith(("_at", "_time", ".date"))}
    assert times == {"scopes.opened_at"}  # of batches, which are public
    places = {name for name in names if "address" in name or "agent" in name or name.endswith("ip")}
    assert places == {"letters.address"}  # a mailbox's: 32 bytes that two people computed


def test_memory_and_sql_plan_the_same_batch(engine: Engine) -> None:
    """Waiting, refused, evaluated, withdrawn, expired: which entries a plan names, and in which order."""
    world = World()
    plans = []
    for store in (MemoryStore(NoDisk()), SqlStore(engine)):
        board = open_board(world, store)
        with store.writing() as changing:
            for number in range(64):
                entry = _entry(number, changing.append(world.policy.scope, 2, b"f"))
                changing.put_entry(world.policy.scope, entry)
        board.tick()
        record = board.scope_record(world.policy.scope)
        assert record.open_batch is not None
        plans.append(record.open_batch.plan)
    assert plans[0] == plans[1]
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(schema.entries)).scalar() == 64


@pytest.mark.parametrize("voters", [(), (1, 1), (1, 3)])
def test_a_plan_over_an_expiry_gives_way_only_while_fewer_than_the_threshold_voted(
    engine: Engine, voters: tuple[int, ...]
) -> None:
    """BAT-11, at the board. A vote that is posted twice is one; who voted is in the database."""
    world = World()
    scope, week = world.policy.scope, week_of(world.now)
    board = open_board(world, SqlStore(engine))
    with board.store.writing() as changing:
        sequence = changing.append(scope, 2, b"f")
        changing.put_entry(
            scope, BoardEntry(bytes(32), bytes(32), bytes(32), week, sequence, 1, {1, 2, 3}, batch=1)
        )
    board.tick()
    for trustee in voters:
        board.post(trustee, scope, FeedKind.PLAN_VOTE, [b"sealed"])
    board = BoardService(world.committee, world.board_key, lambda: world.now, SqlStore(engine))
    for later, wanted in (
        (CLOCK_TOLERANCE_SECONDS - 1, 1),  # by the slowest clock the week has not ended
        (CLOCK_TOLERANCE_SECONDS, 1 if len(set(voters)) == 2 else 2),
        (DAY_SECONDS, 1 if len(set(voters)) == 2 else 2),  # and only once
    ):
        world.now = (week + 1) * WEEK_SECONDS + later
        board.tick()
        plans = [
            BatchPlan.decode(item.payload) for item in board.feed(scope, 0) if item.kind == FeedKind.PLAN
        ]
        assert [len(one.expired) for one in plans] == [0, 1][:wanted]
        assert {(one.number, one.previous) for one in plans} == {(1, bytes(32))}


def _entry(number: int, sequence: int) -> BoardEntry:
    bits = [bool(number >> position & 1) for position in range(6)]
    return BoardEntry(
        bytes([255 - number]) * 32,
        bytes(32),
        bytes(32),
        0 if bits[0] else 1 << 20,
        sequence,
        1,
        {1, 2} if bits[1] else {1, 2, 3},
        bits[2],
        int(bits[3]),
        bits[4],
        bits[5],
    )
