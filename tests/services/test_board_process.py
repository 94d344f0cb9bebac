"""A real board process: killed at any moment it loses no promise; it starts only when sound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from tests.support import postgres
from tests.support.asgi import AppClient
from tests.support.board_http import BITS, BoardUser
from tests.support.world import World

from notalone_crypto.errors import NotAloneError
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_crypto.messages.filing import Filing, Receipt
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.suite import Tag
from notalone_server.board import app as board_app
from notalone_server.board.store import SqlStore
from notalone_server.edge.secretfile import write_secret

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """`notalone board run`, on a free port."""

    def __init__(self, world: World, folder: Path, database: str) -> None:
        self.port, self.operations = postgres.free_port(), postgres.free_port()
        self.config = folder / "board.toml"
        self.errors = folder / "errors.log"
        write_secret(folder / "board.key", world.board_key.seed)
        (folder / "manifest.signed").write_bytes(world.signed_manifest.encode())
        (folder / "policy.bin").write_bytes(world.policy.encode())
        self.config.write_text(
            f'database = "{database}"\nport = {self.port}\noperations_port = {self.operations}\n'
            f'policies = ["policy.bin"]\ntoken_bits = {BITS}\nrequests_per_second = 10000\n'
            "tick_seconds = 0.1\n"
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        paths = os.pathsep.join(str(ROOT / part) for part in ("crypto", "server", "demo"))
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "notalone_demo.cli", "board", "run", "--config", str(self.config)],
                env={**os.environ, "PYTHONPATH": paths},
                stdout=errors,
                stderr=errors,
            )

    def wait_until_ready(self) -> None:
        assert self.process is not None
        for _ in range(400):
            try:
                if self.is_ready():
                    self.client.get("/v1/board").raise_for_status()
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, self.errors.read_text()
            time.sleep(0.05)
        raise AssertionError(self.errors.read_text())

    def is_ready(self) -> bool:
        return httpx.get(f"http://127.0.0.1:{self.operations}/ready", timeout=40).status_code == 200

    def kill(self) -> None:
        self.client.close()
        if self.process is not None:
            self.end(signal.SIGKILL)

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(15)
        self.process = None
        return code


@pytest.fixture(params=["sqlite", "postgresql"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, Process]]:
    world = World(seed=os.urandom(8))
    if request.param == "sqlite":
        made = Process(world, tmp_path, "sqlite:///board.sqlite")
        yield from _running(world, made)
    else:
        with postgres.server() as url:
            yield from _running(world, Process(world, tmp_path, postgres.new_database(url)))


def _running(world: World, process: Process) -> Iterator[tuple[World, Process]]:
    try:
        process.start()
        yield world, process
    finally:
        process.kill()


def whole_feed(user: BoardUser) -> list[FeedItem]:
    items: list[FeedItem] = []
    while page := user.feed(after=len(items)):
        items += page
    return items


def test_a_killed_board_keeps_every_promise_and_no_half(board: tuple[World, Process]) -> None:
    """HTTP-9. SIGKILL while filings are on their way, again and again."""
    world, process = board
    user = BoardUser(world, process.client)
    user.cosign_policy()
    promised: dict[bytes, Receipt] = {}
    sent: dict[bytes, bytes] = {}
    for kill in range(4):
        # Over the whole time that the requests take, from before the first to after the last.
        reports = [world.seal(6 * kill + person, world.report(b"x")) for person in range(6)]
        for sealed in reports:
            sent[sealed.filing.fingerprint] = sealed.filing.encode()

        def send(data: bytes) -> Receipt | None:
            try:
                answer = user.anonymous("/filings", data)
            except httpx.TransportError:
                return None
            assert answer.status_code == 200, answer.text
            return Receipt.decode(answer.content)

        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(send, sealed.filing.encode()) for sealed in reports]
            time.sleep(0.03 * kill)
            process.end(signal.SIGKILL)
            receipts = [one.result() for one in waiting]
        promised |= {one.filing: one for one in receipts if one is not None}
        process.start()
        feed = whole_feed(user)
        assert [item.sequence for item in feed] == list(range(1, len(feed) + 1))
        held = {Filing.decode(item.payload).fingerprint for item in feed if item.kind == FeedKind.FILING}
        assert set(promised) <= held <= set(sent)
    for receipt in promised.values():
        check_signature(receipt, world.committee.manifest.board_key, Tag.RECEIPT)
    # Whoever got no answer sends the same bytes again, and nobody is in twice.
    for data in sent.values():
        assert user.anonymous("/filings", data).status_code == 200
    held_twice = [item for item in whole_feed(user) if item.kind == FeedKind.FILING]
    assert len(held_twice) == len(sent)
    kinds = [item.kind for item in whole_feed(user)]
    assert kinds.count(FeedKind.POLICY_NOTE) == kinds.count(FeedKind.PLAN) == 1
    # Told to stop, it stops in order.
    assert process.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    printed = process.errors.read_text()
    assert '"event": "stopped"' in printed
    assert "request failed" not in printed
    assert "127.0.0.1" not in printed


def test_a_board_whose_database_fails_promises_nothing_and_goes_on_afterwards(tmp_path: Path) -> None:
    """A full disk, simulated by SQLite's own page limit; the answer is 503 and quotes nothing."""
    world = World()
    settings = Process(world, tmp_path, "sqlite:///board.sqlite")
    settings.client.close()
    running = board_app.assemble(board_app.load(settings.config), lambda: world.now)
    user = BoardUser(world, AppClient(running.app), lambda: world.now)
    user.cosign_policy()
    store = running.board.store
    assert isinstance(store, SqlStore)
    limits: list[str] = ["PRAGMA max_page_count=1"]

    @event.listens_for(store.engine, "checkout")
    def _limit(connection: Any, *_: Any) -> None:
        connection.execute(limits[-1])

    data = world.seal(0, world.report(b"x")).filing.encode()
    refused = user.anonymous("/filings", data)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:notalone:problem:busy")
    before = len(user.feed())
    limits.append("PRAGMA max_page_count=1000000")
    taken = user.anonymous("/filings", data)
    assert taken.status_code == 200
    assert len(user.feed()) == before + 1
    store.engine.dispose()


def test_init_makes_a_key_for_one_user_once(tmp_path: Path) -> None:
    verify_key = board_app.init(tmp_path / "board")
    assert len(verify_key) == 32
    assert (tmp_path / "board" / "board.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        board_app.init(tmp_path / "board")


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda one: (one.config.parent / "board.key").chmod(0o644), "0600"),
        (lambda one: (one.config.parent / "board.key").write_bytes(bytes(32)), "another board key"),
        (lambda one: (one.config.parent / "manifest.signed").unlink(), "cannot read"),
        (lambda one: one.config.write_text("prot = 1\n"), "board.toml: prot: "),
        (lambda one: one.config.write_text("prot\n"), "cannot be read as TOML"),
        (lambda one: one.config.write_text('folder = "/"\n'), "folder"),
        (lambda one: one.config.unlink(), "cannot read the settings"),
        (lambda one: one.config.write_text('database = "nothing"\n'), "database: .*not a database URL"),
        (
            lambda one: one.config.write_text('database = "postgresql://a:hunter2@c/d"\n'),
            "database: .*password into a file",
        ),
    ],
    ids=[
        *("open key", "another key", "no manifest", "unknown setting", "no TOML", "not a setting"),
        *("no file", "no URL", "password"),
    ],
)
def test_a_board_that_is_not_set_up_soundly_does_not_start(tmp_path: Path, spoil, word: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    world = World()
    process = Process(world, tmp_path, "sqlite:///board.sqlite")
    process.client.close()
    spoil(process)
    with pytest.raises(NotAloneError, match=word) as refused:
        board_app.assemble(board_app.load(process.config))
    assert "hunter2" not in str(refused.value)  # what is refused ends up in logs
