"""A restored device finds its filing by a spent tag of its own; and old databases learn to answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, event, func, insert, select, update
from tests.services.test_board_http import Setup, shape
from tests.services.test_board_store import open_board
from tests.support import postgres
from tests.support.asgi import AppClient
from tests.support.board_http import BITS, BoardUser
from tests.support.world import World

from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.filing import Filing
from notalone_crypto.primitives import signing as ed25519
from notalone_crypto.protocol import file, withdraw
from notalone_crypto.protocol.file import SealedReport
from notalone_crypto.randomness import SeededStream
from notalone_server.board import schema
from notalone_server.board.app import build
from notalone_server.board.mailboxes import Mailboxes
from notalone_server.board.service import BoardService
from notalone_server.board.store import SqlStore
from notalone_server.edge import database, octets
from notalone_server.edge.limits import AnonymousLimiter


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/board.sqlite"
    if request.param == "postgresql":
        url = postgres.new_database(request.getfixturevalue("postgres_url"))
    made = database.open_engine(url)
    yield made
    made.dispose()


@pytest.fixture
def served(engine: Engine) -> Setup:
    world = World()
    database.migrate(engine, "board")
    board = open_board(world, SqlStore(engine))
    board.publish_snapshot(world.snapshot)
    clock = lambda: world.now  # noqa: E731
    limiter = AnonymousLimiter(world.committee.fingerprint, clock, bits=BITS, per_second=10_000)
    running = build(board, world.signed_manifest, limiter=limiter)
    auditor = ed25519.generate_key(SeededStream(b"auditor"))
    return Setup(world, running, BoardUser(world, AppClient(running.app), clock), auditor)


def ask(served: Setup, tag: bytes, key: ed25519.SigningKey, signer: str = "owner") -> httpx.Response:
    return served.user.signed(signer, key, "POST", served.user.scope + "/own", tag)


def test_a_restored_device_finds_its_entry_before_the_first_batch(served: Setup) -> None:
    """HTTP-18. All that is left are her words: tags and keys come from them, the entry's name does not."""
    world, sealed = served.world, served.file(3)
    member, period = world.people[3], sealed.header.period
    spent = served.user.ask("GET", f"{served.user.scope}/spent/{period}").content
    spent_tags = {spent[start : start + 32] for start in range(0, len(spent), 32)}
    own = [one for one in file.own_tags(world.committee, world.policy, member, period) if one in spent_tags]
    assert own == [sealed.header.quota_tag]
    keys = file.owner_keys(member, own[0])
    found = octets.unpad(ask(served, own[0], keys.signing_key).content)
    assert found == bytes([1, 0, 0, 0, 0]) + sealed.header.entry
    request = withdraw.withdraw(found[5:], keys.signing_key).encode()
    assert served.user.anonymous("/withdrawals", request).status_code == 204
    found = octets.unpad(ask(served, own[0], keys.signing_key).content)
    assert found == bytes([4, 0, 0, 0, 0]) + sealed.header.entry


def test_nobody_else_learns_whose_entry_spent_a_tag_or_whether_any_did(served: Setup) -> None:
    """HTTP-2, HTTP-18. Attack: ask about the tags of the public list, or about tags that nobody spent."""
    first, second = served.file(0), served.file(1)
    tag = first.header.quota_tag
    address, user = served.user.scope + "/own", served.user
    mine = ask(served, tag, first.owner.signing_key)
    assert octets.unpad(mine.content)[5:] == first.header.entry
    refused = [
        ask(served, tag, second.owner.signing_key),
        ask(served, second.header.quota_tag, first.owner.signing_key),
        ask(served, bytes(32), first.owner.signing_key),
        ask(served, tag, served.world.secrets[1].signing_key, "trustee/1"),
        user.anonymous("/own", tag),
        # What she signed for another question, or for another tag.
        user.ask("POST", address, tag, **taken_from(user, "/status", tag, first)),
        user.ask("POST", address, tag, **taken_from(user, "/own", bytes(32), first)),
    ]
    for answer in refused:
        assert shape(answer) == shape(mine)
        assert octets.unpad(answer.content) == b""
    assert len(mine.content) == 64
    assert ask(served, tag[:-1], first.owner.signing_key).status_code == 409


def taken_from(user: BoardUser, path: str, body: bytes, sealed: SealedReport) -> dict[str, str]:
    """The headers of a request that she made, for an attacker to use."""
    seen: list[dict[str, str]] = []

    class Tapped:
        def request(self, *_: str, **options: dict[str, str]) -> httpx.Response:
            seen.append(options["headers"])
            return httpx.Response(200)

    tapped = BoardUser(user.world, Tapped(), user.clock)  # type: ignore[arg-type]
    tapped.signed("owner", sealed.owner.signing_key, "POST", user.scope + path, body)
    return {name: seen[0][name] for name in ("authorization", "notalone-token")}


def test_a_request_cannot_be_played_again(served: Setup) -> None:
    """HTTP-7. Attack: repeat her question to watch her entry."""
    sealed = served.file()
    tag = sealed.header.quota_tag
    headers = taken_from(served.user, "/own", tag, sealed)
    first, again = (served.user.ask("POST", served.user.scope + "/own", tag, **headers) for _ in range(2))
    assert octets.unpad(first.content)[5:] == sealed.header.entry
    assert octets.unpad(again.content) == b""
    assert shape(first) == shape(again)


def test_known_and_unknown_tags_cost_the_same(served: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP-18. Attack: time the answers. The same statements, and one signature checked, for every tag."""
    sealed = served.file()
    work: list[str] = []
    store = served.running.board.store
    assert isinstance(store, SqlStore)

    @event.listens_for(store.engine, "before_cursor_execute")
    def _seen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        work.append(statement)

    verify = ed25519.verify_text
    monkeypatch.setattr(ed25519, "verify_text", lambda *all_: (work.append("verify"), verify(*all_))[1])
    other = ed25519.generate_key(SeededStream(b"other"))
    costs = []
    for tag, key in (
        (sealed.header.quota_tag, sealed.owner.signing_key),
        (sealed.header.quota_tag, other),
        (bytes(32), other),
    ):
        work.clear()
        ask(served, tag, key)
        costs.append(work.copy())
    assert costs[0] == costs[1] == costs[2]
    assert costs[0].count("verify") == 1
    assert sum("FROM spent" in one for one in costs[0]) == 1


# --- a database of the first version --------------------------------------------------------------------


def test_an_old_database_comes_along_and_its_owners_find_their_entries(engine: Engine) -> None:
    """HTTP-18. Rows of version 0001: filings whole, erased as they were then, erased as they are now."""
    world = World()
    filled = database.open_engine("sqlite://")
    database.migrate(filled, "board")
    board = open_board(world, SqlStore(filled))
    sealed = [world.seal(person, world.report(b"x")) for person in range(4)]
    for one in sealed:
        board.submit_filing(one.filing.encode())
    changed = [Filing.encode, first_traces, lambda filing: filing.trace.encode(), lambda _filing: b"lost"]
    with filled.begin() as connection:
        for one, payload in zip(sealed, changed, strict=True):
            connection.execute(
                update(schema.feed)
                .where(schema.feed.c.payload == one.filing.encode())
                .values(payload=payload(one.filing))
            )
    copy_into_first_version(filled, engine)
    with engine.connect() as connection:
        feed = connection.execute(select(schema.feed).order_by(schema.feed.c.sequence)).all()
    database.migrate(engine, "board")
    store = SqlStore(engine)
    board = BoardService(world.committee, world.board_key, lambda: world.now, store)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        assert connection.execute(select(schema.feed).order_by(schema.feed.c.sequence)).all() == feed
        assert connection.execute(select(func.count()).select_from(schema.spent)).scalar() == 4
    scope = world.policy.scope
    found = [board.find_own(scope, one.header.quota_tag) for one in sealed]
    for one, (key, state, entry, batch) in zip(sealed[:3], found, strict=False):
        assert (key, state, entry, batch) == (one.header.owner_key, 1, one.header.entry, 0)
    # Where the feed cannot say it, the tag is answered like one that nobody spent; it stays spent.
    assert found[3] == board.find_own(scope, bytes(32))
    assert set(board.spent_tags(scope, sealed[3].header.period)) == {one.header.quota_tag for one in sealed}
    # And what is new works beside what is old.
    boxes = Mailboxes(store, lambda: world.now)
    boxes.post(scope, bytes(32 + 1104))
    with store.reading() as view:
        assert view.letter_count(scope) == 1
    board.submit_filing(world.seal(9, world.report(b"x")).filing.encode())
    filled.dispose()


def first_traces(filing: Filing) -> bytes:
    """What version 0001 left of an erased filing: frames."""
    parts = [filing.header, filing.proof, filing.fingerprint, filing.signature]
    return octets.frame([*parts, *(hashlib.sha256(bundle).digest() for bundle in filing.bundles)])


def copy_into_first_version(source: Engine, target: Engine) -> None:
    """Every row that a database of version 0001 would hold."""
    database.migrate(target, "board", "0001")
    old = MetaData()
    old.reflect(target)
    assert set(schema.metadata.tables) - set(old.tables) == {"letters"}
    with source.connect() as reading, target.begin() as writing:
        for name, table in old.tables.items():
            if name == "alembic_version":
                continue
            columns = [schema.metadata.tables[name].c[column] for column in table.c.keys()]  # noqa: SIM118
            rows = reading.execute(select(*columns)).mappings().all()
            if rows:
                writing.execute(insert(table), [dict(row) for row in rows])
    assert "entry" not in old.tables["spent"].c
    assert "letters" not in old.tables["scopes"].c
    assert FeedKind.FILING == 2
