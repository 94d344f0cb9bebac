"""A board, an issuer and three trustees for tests of the SDK: real HTTP on loopback, time on a mock clock."""

from __future__ import annotations

import threading
import time
from functools import partial

import httpx
import uvicorn

from notalone_client import Client, Form, Named, Phrase, Trust
from notalone_crypto.protocol import roll
from notalone_demo.simulation.deployment import Deployment, Plan
from notalone_server.board import app as board_app
from notalone_server.edge import database
from notalone_server.edge.limits import AnonymousLimiter
from notalone_server.issuer.app import build
from notalone_server.issuer.live import LiveIssuer
from notalone_server.issuer.publish import HttpBoard, Workers
from notalone_server.issuer.service import IssuerService
from notalone_server.issuer.store import SqlIssuerStore


class Serving:
    """An ASGI app on an ephemeral port of this machine, on its own thread."""

    def __init__(self, app: object) -> None:
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off"
        )  # type: ignore[arg-type]
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


class Town:
    """Everything that runs, with time that passes only when told to."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.clients: list[Client] = []
        self.deployment = Deployment(plan or Plan(declared=60), seed=b"sdk")
        one = self.deployment
        limits = {"bits": 4, "per_second": 100_000}
        limiter = AnonymousLimiter(one.committee.fingerprint, one.clock, **limits)  # type: ignore[arg-type]
        self.board = Serving(board_app.build(one.board, one.signed_manifest, limiter=limiter).app)
        engine = database.open_engine("sqlite://")
        database.migrate(engine, "issuer")
        store = SqlIssuerStore(engine, one.policy.scope)
        key = one.issuer.signing_key
        service = IssuerService(one.plan.instance, one.policy.scope, 60, key, one.clock, store, store.load())
        self.live = LiveIssuer(service, store)
        limiter = AnonymousLimiter(key.verify_key, one.clock, **limits)  # type: ignore[arg-type]
        self.issuer = Serving(build(self.live, limiter).app)
        self.http = httpx.Client(base_url=self.board.address)
        self.workers = Workers(self.live, HttpBoard(self.http, one.policy.scope), None, one.randomness)
        self.cards = list(
            self.live.change(partial(IssuerService.make_cards, count=60, randomness=one.randomness))
        )
        for _ in range(32):
            member = roll.member_from_phrase(one.randomness(16), one.plan.instance, key.verify_key)
            request = roll.enrol(member, one.plan.instance, key.verify_key, one.randomness)
            self.live.change(partial(IssuerService.enrol, code=self.cards.pop(), request=request))
        self.live.change(IssuerService.take_snapshots)
        self.settle()
        self.trust = Trust(one.committee.fingerprint, one.policy.scope)

    def settle(self) -> None:
        self.workers.push()
        self.deployment.settle()

    def options(self) -> dict[str, object]:
        return {
            "board": self.board.address,
            "issuer": self.issuer.address,
            "clock": self.deployment.clock,
        }

    def client(self, phrase: Phrase | None = None, trust: Trust | None = None) -> Client:
        mine = phrase or Phrase.new(self.deployment.randomness)
        made = Client(trust or self.trust, mine, **self.options())  # type: ignore[arg-type]
        self.clients.append(made)
        return made

    def member(self) -> Client:
        """A client whose place is on the current roll."""
        client = self.client()
        entry = client.enrol(self.cards.pop())
        assert entry is not None
        self.settle()
        return client

    def stop(self) -> None:
        while self.clients:
            self.clients.pop().close()
        self.http.close()
        self.board.stop()
        self.issuer.stop()


def about(address: str, **options: object) -> Form:
    defaults: dict[str, object] = {"peers": True, "alias": "A.", "words": "the words"}
    return Form([Named.email(address)], **{**defaults, **options})  # type: ignore[arg-type]
