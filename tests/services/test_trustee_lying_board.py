"""A real board over HTTP that lost or forked its past: trustees stop, and their operators read what to do."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.types import Receive, Scope, Send
from tests.services.test_trustee_worker import Processes, RealClock, serving
from tests.support.asgi import AppClient
from tests.support.stories import Story, plan

from notalone_demo.simulation import deployment as simulation
from notalone_demo.simulation.deployment import Deployment
from notalone_server.board import schema
from notalone_server.board.app import build
from notalone_server.board.service import BoardService
from notalone_server.board.store import SqlStore as BoardSqlStore
from notalone_server.edge import database, redaction
from notalone_server.edge.clock import system_clock
from notalone_server.trustee import app as trustee_app
from notalone_server.trustee.page import HALTS
from notalone_server.trustee.settings import read_settings
from notalone_server.trustee.worker import Condition, Halt, Worker

GUIDES = {"en": "operators.md", "fr": "operateurs.md"}
DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass
class Board:
    """The real application; its operator may exchange the database under it."""

    deployment: Deployment
    path: Path
    engines: list[sa.Engine] = field(default_factory=list)

    def open(self) -> None:
        """Start the board on what the file holds now."""
        engine = database.open_engine(f"sqlite:///{self.path}")
        database.migrate(engine, "board")
        self.engines.append(engine)
        board = self.deployment.board
        self.deployment.board = BoardService(
            board.committee, board.signing_key, board.clock, BoardSqlStore(engine)
        )
        self.app = build(self.deployment.board, self.deployment.signed_manifest).app

    def close(self) -> None:
        while self.engines:
            self.engines.pop().dispose()

    def backup(self, copy: Path) -> None:
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)

    def restore(self, copy: Path) -> None:
        """As an operator does: stop, put the copy in place, start."""
        self.close()
        for end in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        shutil.copy(copy, self.path)
        self.open()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@dataclass
class Town:
    """One board and three trustees' workers, each with settings, key file and database of its own."""

    story: Story
    board: Board
    workers: dict[int, Worker]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 240
        while not condition():
            assert time.monotonic() < deadline, (what, [one.detail for one in self.workers.values()])
            self.story.deployment.board.tick()
            for worker in self.workers.values():
                worker.step()

    def batch(self) -> None:
        deployment = self.story.deployment
        before = deployment._closed_batches()
        self.until(lambda: deployment._closed_batches() > before + 1, "a batch closes")

    def halted(self) -> None:
        self.until(
            lambda: all(one.condition == Condition.HALTED for one in self.workers.values()),
            "all trustees stop",
        )


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Town]:
    path = tmp_path / "board.sqlite"
    first = database.open_engine(f"sqlite:///{path}")
    database.migrate(first, "board")
    monkeypatch.setattr(simulation, "MemoryStore", lambda _disk: BoardSqlStore(first))
    monkeypatch.setattr(simulation, "MockClock", RealClock)
    monkeypatch.setattr(Deployment, "start_trustee", lambda *_: None)
    chosen = replace(plan(3, 2, (2, 3), slots=(1,)), batch_seconds=1)
    story = Story(Deployment(chosen, b"lies", clock=RealClock()))
    board = Board(story.deployment, path)
    board.open()
    first.dispose()
    with serving(board) as port:
        processes = Processes(tmp_path, story, port)
        workers = {}
        for index in story.deployment.secrets:
            processes.configure(index)
            settings = read_settings(tmp_path / str(index) / "trustee.toml")
            workers[index] = trustee_app.assemble(settings.model_copy(update={"longest_wait_polls": 1}))
        made = Town(story, board, workers)
        scope = story.deployment.policy.scope
        made.until(lambda: story.deployment.board.scope_record(scope).active, "the policy is cosigned")
        story.deployment.enrol([f"person {number}" for number in range(34)])
        story.file(0, {1: 0}, 2, peers=True)
        made.batch()
        yield made
        for worker in workers.values():
            service = worker.build()
            service.board.close()  # type: ignore[attr-defined]
            service.store.engine.dispose()  # type: ignore[attr-defined]
    board.close()


def page_of(worker: Worker, language: str) -> str:
    app = trustee_app.operations(worker, system_clock, "Association")
    answer = AppClient(app).get("/", params={"lang": language})
    assert answer.status_code == 200
    return unescape(re.sub(r"<[^>]+>", "\n", answer.text))


def check_told(town: Town, halt: Halt, logged: str) -> None:
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    stops: list[dict[str, Any]] = [line for line in lines if line.get("event") == "halted"]
    assert len(stops) == 3
    assert {line["kind"] for line in stops} == {halt.value}
    assert all(line["level"] == "error" and "database" in line["action"] for line in stops)
    for worker in town.workers.values():
        assert worker.halt == halt
        assert not worker.is_ready
        assert "notalone_trustee_halted 1" in worker.metrics.render()
        for language, word in (
            ("en", "STOPPED. A person has to act."),
            ("fr", "ARRÊT. Une personne doit agir."),
        ):
            page = page_of(worker, language)
            assert word in page
            what, steps = HALTS[language][halt]
            for sentence in (what, *steps):
                assert sentence in page
    assert all(name.hex() not in logged for name in town.story.names)


def test_attack_a_board_restored_from_an_old_copy_stops_trustees_and_the_newest_state_lets_them_go_on(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redaction.configure("trustee")
    town.board.backup(tmp_path / "yesterday.sqlite")
    town.story.file(1, {1: 0}, 2, peers=True)
    town.batch()
    town.board.backup(tmp_path / "newest.sqlite")
    capsys.readouterr()
    town.board.restore(tmp_path / "yesterday.sqlite")
    town.halted()
    check_told(town, Halt.ROLLBACK, capsys.readouterr().err)
    assert all(one.detail.startswith("state.rollback: ") for one in town.workers.values())
    # What the page and the guide tell: restore the newest state, then restart. Nothing was lost.
    town.board.restore(tmp_path / "newest.sqlite")
    for index in town.workers:
        settings = read_settings(tmp_path / str(index) / "trustee.toml")
        old = town.workers[index].build()
        old.board.close()  # type: ignore[attr-defined]
        old.store.engine.dispose()  # type: ignore[attr-defined]
        town.workers[index] = trustee_app.assemble(settings.model_copy(update={"longest_wait_polls": 1}))
    town.story.file(2, {1: 0}, 2, peers=True)
    town.batch()
    assert all(one.condition == Condition.WORKING for one in town.workers.values())


def test_attack_a_forked_board_stops_trustees(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same feed, another log below it, signed by the board's own key."""
    redaction.configure("trustee")
    town.board.close()
    town.board.backup(tmp_path / "fork.sqlite")
    engine = database.open_engine(f"sqlite:///{tmp_path}/fork.sqlite")
    with database.write(engine) as connection:
        first = schema.log_leaves.c.position == 0
        changed = connection.execute(sa.update(schema.log_leaves).where(first).values(leaf=bytes(32)))
        assert changed.rowcount == 1
    engine.dispose()
    town.board.restore(tmp_path / "fork.sqlite")
    capsys.readouterr()
    town.story.file(1, {1: 0}, 2, peers=True)
    town.halted()
    check_told(town, Halt.FORK, capsys.readouterr().err)
    assert all(one.detail.startswith("log.consistency: ") for one in town.workers.values())


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_guide_says_what_the_page_says(language: str) -> None:
    """Law: an operator who reads the guide while the page is red finds the same sentences."""
    text = (DOCS / GUIDES[language]).read_text("utf-8")
    guide = " ".join(re.sub(r"[*]", "", text).split())
    for what, steps in HALTS[language].values():
        for sentence in (what, *steps):
            assert sentence in guide, sentence
