"""Every service's interface over a database in memory, with what a valid request to each address needs.

For tests that send anything at all: whatever they send, `dump` shows whether it changed something.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import Engine, MetaData
from starlette.types import ASGIApp
from tests.support.board_http import BITS, BoardUser
from tests.support.world import World

from notalone_crypto.messages import contact
from notalone_crypto.messages.evaluation import CosignatureMessage
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.primitives import signing as ed25519
from notalone_crypto.protocol import ceremony, intake, log, roll, withdraw
from notalone_crypto.protocol.state import Outgoing
from notalone_crypto.randomness import SeededStream
from notalone_server.board.app import build as build_board
from notalone_server.board.service import BoardService
from notalone_server.board.store import SqlStore
from notalone_server.edge import database, octets, signing
from notalone_server.edge.limits import AnonymousLimiter, make_token
from notalone_server.edge.metrics import Metrics, operations_app
from notalone_server.issuer.app import build as build_issuer
from notalone_server.issuer.live import LiveIssuer
from notalone_server.issuer.ports import MailKind
from notalone_server.issuer.service import IssuerService, Rules
from notalone_server.issuer.store import SqlIssuerStore
from notalone_server.trustee.agreement import write_agreement
from notalone_server.trustee.app import operations as trustee_operations
from notalone_server.trustee.exchange import MAX_MESSAGE, Exchange
from notalone_server.trustee.exchange import build as build_exchange
from notalone_server.trustee.ports import BoardUnreachable
from notalone_server.trustee.service import TrusteeService
from notalone_server.trustee.worker import COUNTERS, GAUGES, Worker

PLENTY = 1_000_000


class Caller:
    """httpx over an ASGI app, on one event loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://service", headers={"accept": "*/*"}
        )

    def send(self, request: httpx.Request) -> httpx.Response:
        return self._loop.run_until_complete(self._client.send(request))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.send(self._client.build_request(method, path, **options))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


Opener = Callable[[str, str, bytes], dict[str, str]]


def closed(_method: str, _path: str, _body: bytes) -> dict[str, str]:
    """What somebody brings who was told nothing."""
    return {}


@dataclass
class Interface:
    """One application and what its callers know."""

    name: str
    api: FastAPI
    app: ASGIApp
    caller: Caller
    opener: Opener  # headers that open every gate for a method, path and body
    dump: Callable[[], object]
    bodies: dict[str, list[bytes]] = field(default_factory=dict)  # address -> valid messages
    parameters: dict[str, list[str]] = field(default_factory=dict)  # names in addresses -> values that exist
    body_limit: int = 512 * 1024
    signed_limit: int = 512 * 1024
    engine: Engine | None = None

    def path(self, template: str) -> str:
        """An address that exists."""
        for name, values in self.parameters.items():
            template = template.replace("{" + name + "}", values[0])
        return template

    def post(self, template: str, body: bytes, **headers: str) -> httpx.Response:
        """A request with everything that the gate asks for."""
        path = self.path(template)
        sent = {"content-type": octets.MEDIA_TYPE, **self.opener("POST", path, body), **headers}
        return self.caller.request("POST", path, content=body, headers=sent)

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Method, address and description of every route."""
        for path, methods in self.api.openapi()["paths"].items():
            for method, described in methods.items():
                yield method.upper(), path, described


def rows(engine: Engine) -> Callable[[], object]:
    """Reads every row of a database."""
    metadata = MetaData()
    metadata.reflect(engine)

    def read() -> object:
        with database.read(engine) as connection:
            return {
                table.name: sorted(repr(tuple(row)) for row in connection.execute(table.select()))
                for table in metadata.sorted_tables
            }

    return read


@contextmanager
def board_interface(folder: Path) -> Iterator[Interface]:
    """A board with a filing that every trustee accepted."""
    world = World()
    engine = database.open_engine(f"sqlite:///{folder / 'board.sqlite'}")
    database.migrate(engine, "board")
    clock = lambda: world.now  # noqa: E731
    board = BoardService(world.committee, world.board_key, clock, SqlStore(engine))
    limiter = AnonymousLimiter(world.committee.fingerprint, clock, BITS, PLENTY, PLENTY)
    running = build_board(board, world.signed_manifest, (), limiter)
    board.publish_policy(world.policy)
    caller = Caller(running.app)
    user = BoardUser(world, caller, clock)
    user.cosign_policy()
    assert user.ask("POST", user.scope + "/snapshots", world.snapshot.encode()).status_code == 204
    sealed = world.seal(0, world.report(b"somebody"))
    assert user.anonymous("/filings", sealed.filing.encode()).status_code == 200
    acceptances = []
    for index, machine in world.machines.items():
        posts, _ = intake.receive_filings(
            machine.state, machine.secrets, world.view(), [sealed.filing], world.randomness
        )
        acceptances += [(index, post.payload) for post in posts if post.kind == Outgoing.ACCEPTANCE]
    for index, payload in acceptances[1:]:
        address = f"{user.scope}/posts/{int(FeedKind.ACCEPTANCE)}"
        assert user.trustee(index, "POST", address, octets.frame([payload])).status_code == 204
    token = user.token()

    def opener(method: str, path: str, body: bytes) -> dict[str, str]:
        owners = path.endswith(("/status", "/own"))
        key = sealed.owner.signing_key if owners else world.secrets[1].signing_key
        value = signing.authorization(
            key,
            "owner" if owners else "trustee/1",
            world.committee.fingerprint,
            method,
            path,
            body,
            world.now,
            os.urandom,
        )
        return {"authorization": value, "notalone-token": token}

    another = world.seal(1, world.report(b"somebody else"))
    scope = "/v1/scopes/{scope}"
    bodies = {
        f"{scope}/snapshots": [world.refresh_snapshot(2).encode()],
        f"{scope}/filings": [another.filing.encode(), sealed.filing.encode()],
        f"{scope}/withdrawals": [withdraw.withdraw(sealed.header.entry, sealed.owner.signing_key).encode()],
        f"{scope}/inclusions": [sealed.owner.recipient_key.public],
        f"{scope}/leaves": [log.policy_leaf(world.policy)],
        f"{scope}/status": [sealed.header.entry],
        f"{scope}/own": [sealed.header.quota_tag],
        f"{scope}/letters": [bytes(range(32)) + bytes(contact.LETTER_LENGTH)],
        f"{scope}/mailboxes": [bytes(contact.REQUEST_LENGTH)],
        f"{scope}/posts/{{kind}}": [octets.frame([acceptances[0][1]])],
        f"{scope}/paths": [octets.frame([sealed.owner.recipient_key.public, b"sealed path"])],
        "/v1/log/cosignatures": [_cosignature(world)],
    }
    parameters = {
        "scope": [world.policy.scope.hex()],
        "kind": [str(int(FeedKind.ACCEPTANCE)), str(int(FeedKind.ROUND_ONE))],
        "after": ["0", "1"],
        "number": ["1"],
        "period": [str(sealed.header.period)],
        "first": ["1"],
        "second": ["1"],
        "index": ["0"],
        "from_size": ["0"],
    }
    try:
        yield Interface(
            "board", running.api, running.app, caller, opener, rows(engine), bodies, parameters,
            signed_limit=(1 << 24) + (1 << 16), engine=engine,
        )  # fmt: skip
    finally:
        caller.close()
        engine.dispose()


def _cosignature(world: World) -> bytes:
    line = world.last_note.partition(b"\n\n")[2].splitlines(keepends=True)[1]
    return CosignatureMessage(1, line).encode()


@contextmanager
def issuer_interface(folder: Path, *, by_mail: bool = False) -> Iterator[Interface]:
    """An issuer with a place on its roll, and a card or a listed address."""
    name = "issuer by mail" if by_mail else "issuer"
    randomness = SeededStream(b"issuer")
    now = 1_790_000_000
    instance, scope = "test-instance", hashlib.sha256(b"a scope").digest()
    key = ed25519.SigningKey(b"k" * 32)
    engine = database.open_engine(f"sqlite:///{folder / f'{name}.sqlite'}")
    database.migrate(engine, "issuer")
    store = SqlIssuerStore(engine, scope)
    service = IssuerService(
        instance, scope, 100, key, lambda: now, store, store.load(), Rules(by_mail=by_mail)
    )
    live = LiveIssuer(service, store)
    built = build_issuer(live, AnonymousLimiter(key.verify_key, lambda: now, BITS, PLENTY, PLENTY))
    caller = Caller(built.app)
    token = make_token(key.verify_key, BITS, now, randomness)

    def request() -> bytes:
        member = roll.member_from_phrase(randomness(16), instance, key.verify_key)
        return roll.enrol(member, instance, key.verify_key, randomness).encode()

    if by_mail:
        live.change(lambda issuer: issuer.list_members(("member@example.org",)))
        letter = live.change(
            lambda issuer: issuer.answer_mail(MailKind.CODE, "member@example.org", randomness)
        )
        assert letter is not None
        codes = [letter.code]
    else:
        codes = list(live.change(lambda issuer: issuer.make_cards(2, randomness)))
        enrolment = octets.frame([codes.pop().encode(), request()])
        sent = {"content-type": octets.MEDIA_TYPE, "notalone-token": token}
        assert caller.request("POST", "/v1/enrolments", content=enrolment, headers=sent).status_code == 200
    address = octets.pad(b"member@example.org", 512)
    bodies = {
        "/v1/enrolments": [octets.frame([codes[0].encode(), request()])],
        "/v1/codes": [address],
        "/v1/resets": [address],
        "/v1/resets/stop": [octets.frame([codes[0].encode()])],
    }
    opener: Opener = lambda _method, _path, _body: {"notalone-token": token}  # noqa: E731
    try:
        yield Interface(
            name, built.api, built.app, caller, opener, rows(engine), bodies, {},
            body_limit=64 * 1024, signed_limit=64 * 1024, engine=engine,
        )  # fmt: skip
    finally:
        caller.close()
        engine.dispose()


@contextmanager
def exchange_interface(folder: Path) -> Iterator[Interface]:
    """A ceremony's exchange with the agreement of three trustees and nothing else yet."""
    randomness = SeededStream(b"exchange")
    now = 1_790_000_000
    place = folder / "ceremony"
    place.mkdir()
    board_key = ed25519.generate_key(randomness).verify_key
    trustees = ("one", "two", "three")
    agreement = write_agreement(place, "test", trustees, 2, (2, 3), board_key, (), randomness)
    keys, public = ceremony.create_keys(agreement.parameters, 1, randomness)
    api, app = build_exchange(Exchange.open(place, lambda: now))
    caller = Caller(app)

    def opener(method: str, path: str, body: bytes) -> dict[str, str]:
        return {
            "authorization": signing.authorization(
                keys.signing_key, "trustee/1", agreement.fingerprint, method, path, body, now, os.urandom
            )
        }

    def dump() -> object:
        return {path.name: path.read_bytes() for path in place.iterdir()}

    address = "/v1/ceremonies/{ceremony}/messages/{message}"
    parameters = {"ceremony": [agreement.name], "message": ["keys-1"]}
    try:
        yield Interface(
            "exchange", api, app, caller, opener, dump, {address: [public.encode()]}, parameters,
            body_limit=MAX_MESSAGE, signed_limit=MAX_MESSAGE,
        )  # fmt: skip
    finally:
        caller.close()


@contextmanager
def operations_interfaces() -> Iterator[list[Interface]]:
    """The operators' own ports: one as board and issuer have it, and a trustee's with its page."""
    metrics = Metrics("trustee", COUNTERS, GAUGES)

    def build() -> TrusteeService:
        raise BoardUnreachable

    worker = Worker(build, [("university", bytes(32))], lambda: 0, metrics, 1)
    apps = {
        "operations": operations_app(Metrics("board", ()), lambda: True),
        "trustee": trustee_operations(worker, lambda: 0, "first trustee"),
    }
    made = [
        Interface(name, app, app, Caller(app), closed, lambda: None, body_limit=1024, signed_limit=1024)
        for name, app in apps.items()
    ]
    try:
        yield made
    finally:
        for one in made:
            one.caller.close()


@contextmanager
def every_interface(folder: Path) -> Iterator[dict[str, Interface]]:
    """All that listens on a port for others."""
    with ExitStack() as stack:
        made = [
            stack.enter_context(board_interface(folder)),
            stack.enter_context(issuer_interface(folder)),
            stack.enter_context(issuer_interface(folder, by_mail=True)),
            stack.enter_context(exchange_interface(folder)),
            *stack.enter_context(operations_interfaces()),
        ]
        yield {one.name: one for one in made}
