"""A trustee's entries stay in its database: read when needed, checked then, and few are held at a time."""

from __future__ import annotations

import gc
import hashlib
import random
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.stories import Story, plan
from tests.support.trustee_databases import Checked, change, open_store, tell, with_sql

from notalone_crypto.messages.filing import Header
from notalone_crypto.protocol import batch, persist, statement
from notalone_crypto.protocol.outline import Outline
from notalone_crypto.protocol.persist import FormerLiveEntry
from notalone_crypto.protocol.rounds import Point
from notalone_crypto.protocol.state import LiveEntry, ScopeState
from notalone_server.edge import database
from notalone_server.edge.metrics import Metrics
from notalone_server.trustee import rows
from notalone_server.trustee import store as stores
from notalone_server.trustee.lazy import RECENT, TOGETHER, LazyDict
from notalone_server.trustee.memory import Memory, whole
from notalone_server.trustee.ports import StoreRefused, StoreUnavailable
from notalone_server.trustee.rows import Kind
from notalone_server.trustee.store import SqlStore
from notalone_server.trustee.worker import COUNTERS, GAUGES, Condition, Halt, Worker

OLD = Path(__file__).parent / "data" / "trustee_before_outlines.sql"
"""What the program before outlines wrote, with KEY: three entries after two batches, in epoch 1."""
OLD_CONTENT = "0543f00aa713cb95d54801eb5f317d9e41bef0d77215fb210902dae76b8c7cf5"  # as that program read it
MOST_BYTES = 5000  # for each entry, of which the eight columns of four slots take about a third


def loaded(store: SqlStore) -> tuple[Memory, ScopeState]:
    memory = store.load()
    assert memory is not None
    (scope,) = memory.state.scopes.values()
    return memory, scope


def eager(memory: Memory) -> bytes:
    """Everything, from plain dicts."""
    scopes = {
        name: replace(scope, live=dict(scope.live.items()), outlines=dict(scope.outlines.items()))
        for name, scope in memory.state.scopes.items()
    }
    return whole(Memory(replace(memory.state, scopes=scopes), memory.durable))


def grow(store: SqlStore, count: int) -> None:
    """Copies of one entry, each a person of its own to the finder."""
    memory, scope = loaded(store)
    entry = next(iter(scope.live))
    held, outline, curve = scope.live[entry], scope.outlines[entry], scope.outlines[entry].points[0].curve
    width = len(outline.points)
    for number in range(count):
        name = hashlib.sha256(b"%d" % number).digest()
        # One x at level 3: a search among many would take long.
        points = [Point(2 + number if place == 0 else 1, curve) for place in range(width)]
        scope.live[name], scope.outlines[name] = held, outline.with_points(points)
    store.save(memory)


# --- changed after the start ---------------------------------------------------------------------------

ONE = "(SELECT name FROM trustee_rows WHERE kind = {kind} ORDER BY name LIMIT 1)"
CHANGES = {
    "changed": "UPDATE trustee_rows SET body = ZEROS WHERE kind = {kind}",
    "cut off": "UPDATE trustee_rows SET body = ZEROS_32 WHERE kind = {kind}",
    "swapped": "UPDATE trustee_rows SET body = (SELECT body FROM trustee_rows o WHERE o.kind = {kind} "
    "AND o.name != trustee_rows.name LIMIT 1) WHERE kind = {kind}",
    "removed": "DELETE FROM trustee_rows WHERE kind = {kind}",
    "in another kind's place": "UPDATE trustee_rows SET kind = 99 WHERE kind = {kind}",
}


@pytest.mark.parametrize("kind", [Kind.LIVE, Kind.OUTLINE])
@pytest.mark.parametrize("what", CHANGES)
def test_attack_a_row_changed_after_the_start_is_refused_when_it_is_read(
    copy: str, what: str, kind: Kind
) -> None:
    _, scope = loaded(open_store(copy))
    held = scope.live if kind == Kind.LIVE else scope.outlines
    change(copy, CHANGES[what].format(kind=int(kind)))
    refused = []
    for entry in held:
        with suppress(StoreRefused):
            assert held[entry]
            continue
        refused.append(entry)
    # The last to be swapped finds its own value in the other's place.
    assert len(refused) >= len(held) - int(what == "swapped")
    with pytest.raises(StoreRefused, match="while this trustee was running"):
        list(held.items())
    with pytest.raises(StoreRefused, match="somebody changed it"):
        open_store(copy).load()


@pytest.mark.parametrize("kind", [Kind.LIVE, Kind.OUTLINE])
def test_attack_a_row_brought_back_after_the_start_is_refused_when_it_is_read(copy: str, kind: Kind) -> None:
    """The old row was really written by this trustee, under the very same name."""
    store = open_store(copy)
    memory, scope = loaded(store)
    where = stores.table.c.kind == int(kind)
    with database.read(store.engine) as connection:
        before = connection.execute(sa.select(stores.table).where(where)).all()
    for entry in list(scope.live):
        scope.live[entry] = replace(scope.live[entry], products=(1,))
        scope.outlines[entry] = replace(scope.outlines[entry], expiry_week=1)
    store.save(memory)
    _, scope = loaded(store)
    with database.write(store.engine) as connection:
        for row in before:
            connection.execute(
                sa.update(stores.table).where(where, stores.table.c.name == row.name).values(body=row.body)
            )
    held = scope.live if kind == Kind.LIVE else scope.outlines
    for entry in held:
        with pytest.raises(StoreRefused, match="while this trustee was running"):
            held[entry]


def test_attack_a_withdrawn_entry_brought_back_is_not_there_and_stops_the_next_start(copy: str) -> None:
    store = open_store(copy)
    memory, scope = loaded(store)
    with database.read(store.engine) as connection:
        before = connection.execute(sa.select(stores.table)).all()
    entry = next(iter(scope.live))
    assert scope.live.pop(entry, None) is not None
    scope.outlines.pop(entry, None)
    store.save(memory)
    with database.write(store.engine) as connection:
        present = {bytes(name) for (name,) in connection.execute(sa.select(stores.table.c.name))}
        gone = [row._asdict() for row in before if bytes(row.name) not in present]
        assert {row["kind"] for row in gone} == {Kind.LIVE, Kind.OUTLINE}
        connection.execute(sa.insert(stores.table), gone)
    assert entry not in scope.live
    with pytest.raises(KeyError):
        scope.live[entry]
    assert len(list(scope.live.items())) == len(scope.live)
    with pytest.raises(StoreRefused, match="somebody changed it"):
        open_store(copy).load()


def test_attack_a_row_put_where_this_trustee_stored_none_is_refused(copy: str) -> None:
    """Control: without it, the same save is taken."""
    store = open_store(copy)
    memory, _ = loaded(store)
    enc = b"\x07" * 32
    memory.state.seen_encs.add(enc)
    store.save(memory)
    with database.read(store.engine) as connection:
        rows_of_seen = connection.execute(
            sa.select(stores.table).where(stores.table.c.kind == Kind.SEEN)
        ).all()
    memory.state.seen_encs.discard(enc)
    store.save(memory)
    memory, _ = loaded(store)
    with database.write(store.engine) as connection:
        present = connection.execute(sa.select(stores.table.c.name).where(stores.table.c.kind == Kind.SEEN))
        known = {bytes(name) for (name,) in present}
        connection.execute(
            sa.insert(stores.table), [row._asdict() for row in rows_of_seen if bytes(row.name) not in known]
        )
    memory.state.seen_encs.add(enc)
    with pytest.raises(StoreRefused, match="while this trustee was running"):
        store.save(memory)


def test_attack_a_row_changed_while_it_runs_stops_the_worker_for_a_person(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Control: the same withdrawal without the change is taken."""
    urls = iter([f"sqlite:///{tmp_path}/{number}.db" for number in range(9)])
    made = with_sql(monkeypatch, lambda: Checked(next(urls)))
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"halted")
    tell(story)
    deployment = story.deployment
    deployment.start_trustee(1)
    change(
        made[1].store.engine.url.render_as_string(hide_password=False),
        "UPDATE trustee_rows SET body = ZEROS WHERE kind = 4",
    )
    story.withdraw(0)
    workers = {}
    for index in (1, 2):
        deployment.start_trustee(2)
        service = deployment.trustees[index]
        scopes = [("university", deployment.policy.scope)]
        workers[index] = Worker(
            lambda service=service: service, scopes, lambda: 1000, Metrics("trustee", COUNTERS, GAUGES), 8
        )  # fmt: skip
        workers[index].step()
    assert (workers[2].condition, workers[2].halt) == (Condition.WORKING, None)
    assert (workers[1].condition, workers[1].halt) == (Condition.HALTED, Halt.DATABASE)
    assert "while this trustee was running" in workers[1].detail


def test_what_an_earlier_load_gave_reads_nothing_after_a_failure_or_another_load(copy: str) -> None:
    """It would be compared with what a later memory knows."""
    store = open_store(copy)
    memory, first = loaded(store)
    loaded(store)
    with pytest.raises(StoreUnavailable):
        list(first.live.values())
    memory, scope = loaded(store)
    memory.durable.refusals.append((1, "state.duplicate"))

    def full(*_args: object) -> None:
        raise OSError(28, "no space left on device")

    sa.event.listen(store.engine, "before_cursor_execute", full)
    with pytest.raises(StoreUnavailable):
        store.save(memory)
    sa.event.remove(store.engine, "before_cursor_execute", full)
    with pytest.raises(StoreUnavailable):
        list(scope.live.values())


# --- few are held ----------------------------------------------------------------------------------------


def alive(*kinds: type) -> int:
    """How many objects of these types there are, those of other tests included."""
    gc.collect()
    return sum(type(one) in kinds for one in gc.get_objects())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """The type of every stored value that was decoded whole."""
    seen: list[type] = []
    inner = rows.value_of

    def value_of(body: bytes) -> object:
        value = inner(body)
        seen.append(type(value))
        return value

    monkeypatch.setattr(rows, "value_of", value_of)
    return seen


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_start_decodes_no_entry_and_a_batch_without_departures_only_outlines(
    copy: str, decoded: list[type]
) -> None:
    grow(open_store(copy), 400)
    decoded.clear()
    before = alive(LiveEntry, Outline, Point, Header)
    memory, scope = loaded(open_store(copy))
    assert decoded == []
    assert alive(LiveEntry, Outline, Point, Header) <= before
    for position in range(len(statement.positions(scope.policy))):
        batch.matches(scope, position, scope.epoch)
    assert scope.expiries.expired(scope.outlines, 0) == []
    assert set(decoded) == {Outline}
    assert len(decoded) == 2 * len(scope.live)  # for the finders of all positions, and for the weeks
    assert alive(LiveEntry, Outline, Point, Header) <= before
    assert memory.state.scopes


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_looking_at_every_entry_holds_few_of_them(copy: str) -> None:
    grow(open_store(copy), 400)
    _, scope = loaded(open_store(copy))
    before = alive(LiveEntry)
    most = max(alive(LiveEntry) - before for number, _ in enumerate(scope.live.items()) if number % 50 == 0)
    assert most <= TOGETHER
    for entry in scope.live:
        assert scope.live[entry] is scope.live[entry]
    assert alive(LiveEntry) - before <= RECENT
    assert len(scope.live) > 3 * RECENT


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_memory_for_each_entry_is_bounded(copy: str) -> None:
    """With everything that a start and the first batch build. Before, an entry took seven times as much."""
    taken = []
    for _ in range(2):
        grow(open_store(copy), 400 * (1 + 2 * len(taken)))
        gc.collect()
        tracemalloc.start()
        memory, scope = loaded(open_store(copy))
        for position in range(len(statement.positions(scope.policy))):
            batch.matches(scope, position, scope.epoch)
        scope.expiries.expired(scope.outlines, 0)
        gc.collect()
        taken.append((tracemalloc.get_traced_memory()[0], len(scope.live)))
        tracemalloc.stop()
        del memory, scope
    (few_bytes, few), (many_bytes, many) = taken
    assert many - few == 800
    assert (many_bytes - few_bytes) / (many - few) < MOST_BYTES


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_entries_read_one_by_one_make_the_same_memory_as_all_at_once(copy: str) -> None:
    grow(open_store(copy), 300)
    store = open_store(copy)
    memory, scope = loaded(store)
    assert whole(memory) == eager(memory)
    entry = list(scope.live)[7]
    scope.live[entry] = replace(scope.live[entry], products=(5,))
    scope.outlines[entry] = replace(scope.outlines[entry], expiry_week=9)
    assert whole(memory) == eager(memory)
    store.save(memory)
    assert whole(memory) == eager(memory) == whole(loaded(open_store(copy))[0])
    assert scope.live[entry].products == (5,)


# --- databases of an older program -------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.executescript(OLD.read_text(encoding="ascii"))
    connection.close()
    return f"sqlite:///{tmp_path}/old.db"


def content(scope: ScopeState) -> str:
    found = hashlib.sha256()
    for name, live in scope.live.items():
        found.update(name)
        for point in scope.outlines[name].points:
            found.update(point.x.to_bytes(32, "little") + point.curve)
        for number in [*live.products, *(one.value for one in live.secrets.shares.identifiers)]:
            found.update(number.to_bytes(32, "little"))
    return found.hexdigest()


def former_rows(url: str) -> list[int]:
    """How many live entries are stored in the old form and in the new one, and how many outlines."""
    store = open_store(url)
    store.look()
    (scope,) = [scope for scope, kind in store._index if kind == Kind.LIVE]
    keys = [persist.load(key, bytes) for key in store._index[scope, Kind.LIVE]]
    values = [persist.load(body, tuple)[2] for body in store._bodies((scope, Kind.LIVE), keys)]
    kinds = [type(value) for value in values]
    outlines = store._index.get((scope, Kind.OUTLINE), {})
    return [kinds.count(FormerLiveEntry), kinds.count(LiveEntry), len(outlines)]


def test_a_database_of_the_program_before_opens_and_is_brought_up_to_date(old: str) -> None:
    assert former_rows(old) == [3, 0, 0]
    memory, scope = loaded(open_store(old))
    assert content(scope) == OLD_CONTENT
    assert list(scope.outlines) == list(scope.live)
    assert {one.public.header.expiry_week for one in scope.live.values()} == {
        one.expiry_week for one in scope.outlines.values()
    }
    assert former_rows(old) == [0, 3, 3]
    # The finder checks that the stored groups lie on curves through these points.
    assert [batch.matches(scope, place, scope.epoch)[0][: place + 2] for place in range(2)] == [
        scope.groups[place][0] for place in range(2)
    ]
    assert whole(loaded(open_store(old))[0]) == whole(memory) == eager(memory)


def test_a_look_from_outside_changes_nothing_in_an_old_database(old: str) -> None:
    store = open_store(old)
    memory = store.look()
    assert memory is not None
    assert [len(scope.live) for scope in memory.state.scopes.values()] == [3]
    assert former_rows(old) == [3, 0, 0]


def test_killed_while_bringing_up_to_date_it_goes_on_where_it_was(
    old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_TOGETHER", 1)
    store, saves = open_store(old), []

    def dies(*_args: object) -> None:
        saves.append(1)
        if len(saves) > 1:
            raise OSError(5, "killed")

    inner = SqlStore._write

    def write(self: SqlStore, *args: object) -> None:
        dies()
        inner(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(SqlStore, "_write", write)
        with pytest.raises(StoreUnavailable):
            store.load()
    assert former_rows(old) == [2, 1, 1]
    _, scope = loaded(open_store(old))
    assert content(scope) == OLD_CONTENT
    assert former_rows(old) == [0, 3, 3]


def test_attack_an_entry_without_its_outline_is_refused(copy: str) -> None:
    """Nothing that this trustee wrote looks like that: an outline is of one entry and an entry has one."""
    store = open_store(copy)
    memory, scope = loaded(store)
    scope.outlines.pop(next(iter(scope.outlines)), None)
    store.save(memory)
    with pytest.raises(StoreRefused):
        open_store(copy).load()


# --- the mapping itself ----------------------------------------------------------------------------


class Shelf:
    """What a store does for a mapping, and how often it was asked for what."""

    def __init__(self) -> None:
        self.values: dict[bytes, int] = {}
        self.asked: list[bytes] = []

    def read(self, keys: Sequence[bytes]) -> list[int]:
        self.asked += keys
        return [self.values[key] for key in keys]

    def save(self, held: LazyDict[int]) -> None:
        for key in held.touched:
            value = held.changed(key)
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        held.settled()


def test_a_lazy_mapping_is_a_dict_to_whoever_uses_it() -> None:
    choices, shelf = random.Random(8), Shelf()
    held: LazyDict[int] = LazyDict(shelf.read)
    plain: dict[bytes, int] = {}
    actions: list[Callable[[bytes, int], None]] = [
        lambda key, value: [one.update({key: value}) for one in (held, plain)] and None,
        lambda key, _: _same(held.pop(key, None), plain.pop(key, None)),
        lambda key, _: _same(held.get(key), plain.get(key)),
        lambda key, _: _same(key in held, key in plain),
        lambda *_: shelf.save(held),
        lambda *_: _same(list(held.items()), list(plain.items())),
        lambda *_: _same(list(held.values()), list(plain.values())),
        lambda *_: _same(list(reversed(held)), list(reversed(plain))),
        lambda *_: _same(held.keys() | {b"more"}, plain.keys() | {b"more"}),
    ]
    for step in range(4000):
        choices.choice(actions)(bytes([choices.randrange(200)]), step)
        assert len(held) == len(plain)
    shelf.save(held)
    assert held == plain == shelf.values
    assert sorted(held, key=held.ordinals.__getitem__) == list(held)


def _same(left: object, right: object) -> None:
    assert left == right


def test_what_changed_is_held_until_it_is_saved_and_reading_is_no_change() -> None:
    shelf = Shelf()
    held: LazyDict[int] = LazyDict(shelf.read)
    keys = [number.to_bytes(2, "big") for number in range(3 * RECENT)]
    for number, key in enumerate(keys):
        held[key] = number
    assert [held[key] for key in keys] == list(range(3 * RECENT))
    assert shelf.asked == []
    assert len(held.touched) == len(keys)
    shelf.save(held)
    assert [held[key] for key in keys] == list(range(3 * RECENT))
    assert len(shelf.asked) == len(keys)  # one after the other, the oldest leave before they are asked for
    assert held.touched == set()
    assert held[keys[-1]] == held[keys[-1]] == 3 * RECENT - 1
    assert len(shelf.asked) == len(keys)


def iterate_and_grow(held: LazyDict[int]) -> Iterator[None]:
    for number, _ in enumerate(held.items()):
        held[b"new %d" % number] = 1
        yield


def test_a_lazy_mapping_does_not_grow_while_it_is_looked_through() -> None:
    shelf = Shelf()
    held = LazyDict(shelf.read, [(bytes([number]), number) for number in range(2 * TOGETHER)])
    with pytest.raises(RuntimeError, match="changed size"):
        list(iterate_and_grow(held))
