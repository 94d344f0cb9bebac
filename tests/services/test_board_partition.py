"""Ready to be hash-partitioned on the scope: every key begins with it, and PostgreSQL really does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, MetaData, Table, inspect, text
from tests.services.test_board_store import accept_everywhere, open_board
from tests.support import postgres
from tests.support.stories import Story, plan
from tests.support.world import World

from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.messages import contact
from notalone_demo.simulation import deployment as simulation
from notalone_server.board import schema
from notalone_server.board.erasure import erase_bundles
from notalone_server.board.mailboxes import Mailboxes
from notalone_server.board.service import NO_LIMIT
from notalone_server.board.store import SqlStore
from notalone_server.edge import database
from notalone_server.issuer import store as issuer
from notalone_server.trustee import store as trustee

PARTS = 4
# What is not of one scope: the log, one for the whole committee, and a trustee's head, one for all its
# scopes (an authentication of the whole database). Neither grows with what is reported.
WHOLE = {"log_leaves", "log_queue", "log_state", "trustee_head"}
SCHEMAS = {"board": schema.metadata, "issuer": issuer.metadata, "trustee": trustee.metadata}


def parted(metadata: MetaData) -> list[Table]:
    return [table for table in metadata.sorted_tables if table.name not in WHOLE]


@pytest.mark.parametrize("service", SCHEMAS)
def test_every_key_begins_with_the_scope(service: str) -> None:
    """An issuer serves one organisation in one scope; its tables are keyed alike, so that many can share."""
    tables = parted(SCHEMAS[service])
    assert len(tables) >= {"board": 9, "issuer": 9, "trustee": 1}[service]
    for table in tables:
        assert next(iter(table.primary_key.columns)).name == "scope", table.name
        # PostgreSQL keeps nothing unique across partitions, and a foreign key would have to name the scope.
        assert not table.foreign_keys, table.name
        unique = [index for index in table.indexes if index.unique]
        assert all(next(iter(index.columns)).name == "scope" for index in table.indexes), table.name
        assert all("scope" in index.columns for index in unique), table.name
        assert len(table.constraints) == 1, table.name  # the primary key


@pytest.mark.parametrize("service", SCHEMAS)
def test_what_the_migrations_make_is_keyed_alike(service: str) -> None:
    """The tables that exist, not those that are described."""
    engine = database.open_engine("sqlite://")
    database.migrate(engine, service)
    with engine.connect() as connection:
        seen = inspect(connection)
        for table in parted(SCHEMAS[service]):
            assert seen.get_pk_constraint(table.name)["constrained_columns"][0] == "scope", table.name
    engine.dispose()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture
def engine(cluster: str) -> Iterator[Engine]:
    """A database whose tables are those of the board, partitioned."""
    made = database.open_engine(postgres.new_database(cluster))
    create_partitioned(made, schema.metadata)
    yield made
    made.dispose()


def create_partitioned(engine: Engine, source: MetaData) -> None:
    metadata = MetaData()
    for table in source.sorted_tables:
        copied = table.to_metadata(metadata)
        if table.name not in WHOLE:
            copied.dialect_options["postgresql"]["partition_by"] = "HASH (scope)"
    with engine.begin() as connection:
        metadata.create_all(connection)
        for table in parted(source):
            for part in range(PARTS):
                connection.execute(
                    text(
                        f"CREATE TABLE {table.name}_{part} PARTITION OF {table.name} "
                        f"FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})"
                    )
                )


@pytest.mark.parametrize("service", SCHEMAS)
def test_postgresql_partitions_every_table(cluster: str, service: str) -> None:
    made = database.open_engine(postgres.new_database(cluster))
    create_partitioned(made, SCHEMAS[service])
    with made.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT relname, pg_get_partkeydef(oid) FROM pg_class"
                " WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace"
            )
        )
        keys = {name: key for name, key in rows}  # noqa: C416
    made.dispose()
    assert keys == {table.name: "HASH (scope)" for table in parted(SCHEMAS[service])}


def test_a_whole_story_over_partitions_is_the_reference(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same story as over one table: filings, batches, matches, withdrawal."""
    monkeypatch.setattr(simulation, "MemoryStore", lambda _disk: SqlStore(engine))
    story = Story.begin(plan(3, 2, (2, 3)), b"partitions")
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True, preconsent=True)
    story.file(3, {2: 0}, 2)
    story.batch()
    story.withdraw(2)
    story.file(4, {2: 0}, 2)
    story.batch()
    assert story.observed() == story.expected
    assert len(story.expected) > 1
    assert story.deployment.board.scope_record(story.deployment.policy.scope).number == 2


def test_scopes_spread_and_stay_apart(engine: Engine) -> None:
    """Filing, promise, double spending, look-up, feed, erasure and mailboxes, in several scopes."""
    store = SqlStore(engine)
    names = ("one", "two", "three", "four", "five", "six")
    worlds = [World(scope_name=name, members=32 if name in names[:2] else 2) for name in names]
    letter = bytes(contact.POST_LENGTH)
    for number, world in enumerate(worlds):
        board = open_board(world, store)
        boxes, scope = Mailboxes(store, lambda: world.now), world.policy.scope  # noqa: B023
        for _ in range(number + 1):
            boxes.post(scope, letter)
            boxes.post(scope, bytes(31) + bytes([number]) + letter[32:])
        if number > 1:
            continue  # the rest costs seconds
        sealed = world.seal(0, world.report(b"x"))
        receipt = board.submit_filing(sealed.filing.encode())
        assert board.submit_filing(sealed.filing.encode()) == receipt
        assert board.find_own(scope, sealed.header.quota_tag)[2] == sealed.header.entry
        second = sealed
        while second is sealed or second.header.quota_tag != sealed.header.quota_tag:
            second = world.seal(0, world.report(b"y"))
        with pytest.raises(NotAloneError) as caught:
            board.submit_filing(second.filing.encode())
        assert caught.value.code == Code.TAG_SPENT
        accept_everywhere(world, board, [sealed.filing.encode()])
        items = board.feed(scope, 0)
        assert [item.sequence for item in items] == list(range(1, len(items) + 1))
        readers = ("trustee/1", "trustee/2", "trustee/3")
        for reader in readers:
            board.read_feed(reader, scope, len(items), NO_LIMIT)
        assert erase_bundles(board, readers) == 1
    store.forget()
    assert store.is_writable()
    with store.reading() as view:
        counts = [view.letter_count(world.policy.scope) for world in worlds]
    assert counts == [1, 2, 2, 2, 2, 2]  # the same letter again is none
    with engine.connect() as connection:
        for table, rows in (("scopes", 6), ("letters", 11), ("entries", 2), ("spent", 2)):
            parts = [
                connection.execute(text(f"SELECT count(*) FROM {table}_{part}")).scalar_one()
                for part in range(PARTS)
            ]
            assert sum(parts) == rows, table
            if table in ("scopes", "letters"):
                assert sum(bool(part) for part in parts) > 1, table
