"""A trustee's database: what is read is what was written, or nothing; a step costs what it changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.support.stories import Story, plan
from tests.support.trustee_databases import KEY, OPEN, Backend, Checked, change, open_store, tell, with_sql

from notalone_demo.simulation.network import Faults
from notalone_server.edge import database
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee import store as stores
from notalone_server.trustee.memory import TrackedDict, TrackedSet, whole
from notalone_server.trustee.ports import StoreRefused, StoreUnavailable
from notalone_server.trustee.store import SqlStore


def test_every_save_reads_back_as_the_same_memory(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    made = with_sql(monkeypatch, lambda: Checked(backend.new()))
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"sql")
    tell(story)
    assert story.observed() == story.expected
    assert story.expected
    assert all(one.saves > 20 for one in made.values())


def test_killed_around_any_save_the_outcome_is_the_reference(
    monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    faults = Faults(choices=random.Random(5))
    with_sql(monkeypatch, lambda: Checked(backend.new(), faults))
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"sql kill", faults)
    faults.kill = 0.05
    tell(story)
    faults.calm()
    assert story.deployment.kills > 3
    assert story.observed() == story.expected
    assert story.expected


def refused(url: str, key: bytes = KEY) -> None:
    with pytest.raises(StoreRefused, match="somebody changed it"):
        open_store(url, key).load()


def test_the_filled_database_opens(copy: str) -> None:
    memory = open_store(copy).load()
    assert memory is not None
    assert [len(scope.live) for scope in memory.state.scopes.values()] == [3]


ANY = "(SELECT ROW FROM trustee_rows WHERE kind = 4 LIMIT 1)"

SWAP = (
    "UPDATE trustee_rows SET body = (SELECT body FROM trustee_rows o WHERE o.ROW != trustee_rows.ROW LIMIT 1)"
)


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM trustee_rows WHERE ROW = {ANY}",
        f"UPDATE trustee_rows SET body = ZEROS WHERE ROW = {ANY}",
        f"UPDATE trustee_rows SET name = ZEROS_32 WHERE ROW = {ANY}",
        f"UPDATE trustee_rows SET scope = ZEROS_32 WHERE ROW = {ANY}",
        f"UPDATE trustee_rows SET kind = 3 WHERE ROW = {ANY}",
        "DELETE FROM trustee_rows WHERE kind = 5",
        "DELETE FROM trustee_rows WHERE kind = 18",
        "DELETE FROM trustee_head",
        "UPDATE trustee_head SET revision = revision - 1",
        SWAP,
    ],
)
def test_attack_a_changed_moved_or_removed_row_is_refused(copy: str, statement: str) -> None:
    change(copy, statement)
    refused(copy)


def test_attack_an_old_copy_of_one_row_is_refused(copy: str) -> None:
    store = open_store(copy)
    memory = store.load()
    assert memory is not None
    where = stores.table.c.kind == stores.Kind.PROGRESS
    with database.read(store.engine) as connection:
        (old,) = connection.execute(sa.select(stores.table).where(where)).all()
    memory.durable.done[old.scope] += 1
    store.save(memory)
    with database.write(store.engine) as connection:
        connection.execute(sa.update(stores.table).where(where).values(body=old.body))
    refused(copy)


def test_another_key_opens_nothing(copy: str) -> None:
    refused(copy, bytes(32))


def test_nothing_of_an_entry_is_in_clear(copy: str) -> None:
    store = open_store(copy)
    memory = store.load()
    assert memory is not None
    path = store.engine.url.database or ""
    if store.engine.dialect.name == "sqlite":
        filled = Path(path).read_bytes()
    else:
        with database.read(store.engine) as connection:
            found = [connection.execute(sa.select(one)).all() for one in (stores.table, stores.head)]
        filled = b"".join(
            bytes(value) for rows in found for row in rows for value in row if not isinstance(value, int)
        )
    for scope in memory.state.scopes.values():
        for name, live in scope.live.items():
            assert name not in filled
            assert live.public.header.quota_tag not in filled
            for share in live.secrets.shares.contents:
                assert share.value.to_bytes(32, "little") not in filled
        assert scope.policy.scope in filled  # the public name of the scope is the one thing that is
    assert all(enc not in filled for enc in memory.state.seen_encs)


def test_a_second_process_on_one_database_is_refused(copy: str) -> None:
    first, second = open_store(copy), open_store(copy)
    memories = [first.load(), second.load()]
    assert memories[0] is not None
    assert memories[1] is not None
    first.save(memories[0])
    with pytest.raises(StoreRefused, match="another process"):
        second.save(memories[1])


def test_after_a_failed_save_nothing_goes_on_until_it_is_loaded_again(copy: str) -> None:
    store = open_store(copy)
    memory = store.load()
    assert memory is not None
    memory.durable.refusals.append((1, "state.duplicate"))
    before = whole(memory)

    def full(*_args: object) -> None:
        raise OSError(28, "no space left on device")

    sa.event.listen(store.engine, "before_cursor_execute", full)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.save(memory)
    sa.event.remove(store.engine, "before_cursor_execute", full)
    with pytest.raises(StoreUnavailable):
        store.save(memory)
    again = store.load()
    assert again is not None
    assert whole(again) != before
    again.durable.refusals.append((1, "state.duplicate"))
    store.save(again)
    assert whole(again) == before


def test_a_read_only_database_takes_nothing(copy: str) -> None:
    url = sa.make_url(copy)
    if url.get_backend_name() == "sqlite":
        engine = database.open_engine(f"sqlite:///file:{url.database}?mode=ro&uri=true")
    else:
        engine = database.open_engine(copy)
        with database.write(engine) as connection:
            connection.exec_driver_sql(
                f"ALTER DATABASE {url.database} SET default_transaction_read_only = on"
            )
        engine.dispose()
    OPEN.append(engine)
    store = SqlStore(engine, KEY, system_randomness)
    memory = store.load()
    assert memory is not None
    with pytest.raises(StoreUnavailable):
        store.save(memory)


def written(store: SqlStore, action: Callable[[], None]) -> int:
    """Bytes of the rows that an action writes."""
    sizes: list[int] = []

    def watch(*args: object) -> None:
        values = args[3]
        rows = values if isinstance(values, list) else [values]
        sizes.extend(
            len(one) for row in rows if isinstance(row, tuple) for one in row if isinstance(one, bytes)
        )

    sa.event.listen(store.engine, "before_cursor_execute", watch)
    action()
    sa.event.remove(store.engine, "before_cursor_execute", watch)
    return sum(sizes)


def test_a_step_costs_the_same_whatever_is_stored(copy: str) -> None:
    """Law: bytes written for one more filing do not depend on how many there are."""
    store = open_store(copy)
    memory = store.load()
    assert memory is not None
    (scope,) = memory.state.scopes.values()
    entry, held = next(iter(scope.live.items()))
    outline = scope.outlines[entry]

    def grow(count: int, seed: int) -> None:
        for number in range(count):
            name = (seed + number).to_bytes(32, "big")
            scope.live[name], scope.outlines[name] = held, outline
            memory.state.seen_encs.add(name)
            memory.durable.filings[name] = bytes(2000)
            next(iter(memory.state.spent.values())).add(name)
            scope.gone.add(name)

    def one_more(seed: int) -> int:
        grow(1, seed)
        assert scope.live.get(entry) is not None
        return written(store, lambda: store.save(memory))

    few = one_more(1 << 20)
    grow(1500, 1 << 30)
    store.save(memory)
    many = one_more(1 << 21)
    assert many == few
    again = SqlStore(store.engine, KEY, system_randomness).load()
    assert again is not None
    assert whole(again) == whole(memory)


def test_tracked_containers_are_their_plain_kinds() -> None:
    choices = random.Random(3)
    tracked, plain = TrackedSet({1, 2}), {1, 2}
    for step in range(400):
        other = {choices.randrange(12) for _ in range(choices.randrange(5))}
        name = choices.choice(
            [
                "update",
                "difference_update",
                "intersection_update",
                "symmetric_difference_update",
                "|",
                "-",
                "&",
                "^",
            ]
        )
        before = set(tracked)
        tracked.settled()
        if len(name) == 1:
            method = {"|": "__ior__", "-": "__isub__", "&": "__iand__", "^": "__ixor__"}[name]
            assert getattr(tracked, method)(other) is tracked
            getattr(plain, method)(other)
        else:
            getattr(tracked, name)(other)
            getattr(plain, name)(other)
        assert tracked == plain, step
        assert tracked.touched >= before ^ plain
    held: TrackedDict[int, list[int]] = TrackedDict()
    reference: dict[int, list[int]] = {}
    for _ in range(400):
        key = choices.randrange(8)
        before_dict = {one: list(value) for one, value in reference.items()}
        held.settled()
        action = choices.randrange(4)
        for one in (held, reference):
            if action == 0:
                one[key] = [key]
            elif action == 1:
                one.pop(key, None)
            elif action == 2 and one.get(key) is not None:
                one[key].append(1)
            else:
                one.setdefault(key, []).append(2)
        assert list(held.items()) == list(reference.items())
        changed = {one for one in {*before_dict, *reference} if before_dict.get(one) != reference.get(one)}
        assert held.touched >= changed
        assert sorted(held, key=held.ordinals.__getitem__) == list(held)


def test_the_migrations_make_the_tables_of_the_store(backend: Backend) -> None:
    store = open_store(backend.new())
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "trustee_version"})
        assert compare_metadata(context, stores.metadata) == []
    database.migrate(store.engine, "trustee")  # again: nothing to do
