"""The trustee as a process: killed at any instant it repeats itself; a board that lost its past stops it."""

from __future__ import annotations

import copy
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from tests.support import postgres
from tests.support.stories import Story, plan

from notalone_crypto.errors import NotAloneError
from notalone_crypto.messages.feed import CONFIDENTIAL_KINDS, Envelope, FeedKind
from notalone_crypto.primitives import merkle
from notalone_crypto.protocol import envelope
from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_demo.simulation import deployment as simulation
from notalone_demo.simulation.deployment import Deployment, MockClock
from notalone_server.board.app import build
from notalone_server.board.service import BoardService
from notalone_server.board.store import SqlStore as BoardSqlStore
from notalone_server.edge import database, octets
from notalone_server.edge.metrics import Metrics
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee import app as trustee_app
from notalone_server.trustee.board_client import HttpBoard
from notalone_server.trustee.keyfile import Cost, KeyFile, write_key_file
from notalone_server.trustee.ports import BoardUnreachable, StoreUnavailable
from notalone_server.trustee.service import TrusteeService
from notalone_server.trustee.settings import read_settings
from notalone_server.trustee.store import SqlStore
from notalone_server.trustee.worker import COUNTERS, GAUGES, Condition, Worker

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join(str(ROOT / part) for part in ("crypto", "server", "client_sdk/python", "demo"))
PHRASE = b"a passphrase of an operator"
START = "from notalone_server.trustee.commands import app; app()"
PATIENCE = 240.0  # a loaded machine starts a process in ten seconds and more


class RealClock(MockClock):
    def __call__(self) -> int:
        return int(time.time())


def until(condition: object, what: str, step: object = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        if step is not None:
            step()  # type: ignore[operator]
        time.sleep(0.05)


@contextmanager
def serving(app: object) -> Iterator[int]:
    """An ASGI application on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the board starts")
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Processes:
    """Three trustees as operators run them."""

    folder: Path
    story: Story
    port: int
    choices: random.Random = field(default_factory=lambda: random.Random(1))
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    kills: int = 0
    next_kill: float = 0.0
    cluster: str = ""  # a PostgreSQL server; SQLite files otherwise

    def configure(self, index: int) -> None:
        place = self.folder / str(index)
        place.mkdir()
        deployment = self.story.deployment
        own = deployment.secrets[index]
        keys = CeremonyKeys(own.signing_key, own.channel_key, own.bundle_key)
        committee = deployment.committee
        content = KeyFile(
            index, committee.identifier, system_randomness(32), keys, b"", b"", own, committee.fingerprint
        )
        write_key_file(place / "trustee.key", content, PHRASE, system_randomness, Cost(19 * 1024, 1, 1))
        (place / "passphrase").write_bytes(PHRASE)
        (place / "passphrase").chmod(0o600)
        (place / "manifest.signed").write_bytes(deployment.signed_manifest.encode())
        (place / "trustee.toml").write_text(
            f'board = "http://127.0.0.1:{self.port}"\nmanifest = "manifest.signed"\n'
            f'manifest_fingerprint = "{committee.fingerprint.hex()}"\n'
            'key_file = "trustee.key"\npassphrase_file = "passphrase"\n'
            f'scopes = ["{deployment.plan.scope_name}"]\n'
            f'approved_policies = ["{deployment.policy.fingerprint.hex()}"]\n'
            f"operations_port = {operations_port(index)}\npoll_seconds = 0.05\nlongest_wait_polls = 4\n"
            + (f'database = "{postgres.new_database(self.cluster)}"\n' if self.cluster else "")
        )

    def start(self, index: int) -> None:
        with (self.folder / f"{index}.log").open("ab") as log:
            self.running[index] = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    START,
                    "run",
                    "--config",
                    str(self.folder / str(index) / "trustee.toml"),
                ],
                env={**os.environ, "PYTHONPATH": PATHS},
                stderr=log,
                stdout=log,
            )

    def kill_one(self) -> None:
        """SIGKILL at whatever instant this is, and start again; a start takes longer than many steps."""
        if time.monotonic() > self.next_kill:
            self.next_kill = time.monotonic() + self.choices.uniform(5.0, 8.0)
            index = self.choices.choice(sorted(self.running))
            self.running[index].kill()
            self.running[index].wait()
            self.kills += 1
            self.start(index)

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def logs(self) -> str:
        return "".join((self.folder / f"{index}.log").read_text() for index in self.running)


def operations_port(index: int) -> int:
    return 20_000 + os.getpid() % 10_000 + index


@dataclass
class Recorded:
    """Every message that ever reached the board, duplicates included."""

    posts: list[tuple[int, FeedKind, bytes]] = field(default_factory=list)

    def watch(self, board: BoardService, patch: pytest.MonkeyPatch) -> None:
        original = BoardService.post

        def post(
            this: BoardService, trustee: int, scope: bytes, kind: FeedKind, payloads: Sequence[bytes]
        ) -> None:
            self.posts.extend((trustee, kind, payload) for payload in payloads)
            original(this, trustee, scope, kind, payloads)

        patch.setattr(BoardService, "post", post)

    def contents(self, deployment: Deployment) -> dict[tuple[int, FeedKind, bytes], set[bytes]]:
        """What was posted for each place: trustee, kind and first 35 bytes (the plan's or entry's name)."""
        found: dict[tuple[int, FeedKind, bytes], set[bytes]] = {}
        for trustee, kind, payload in self.posts:
            content = payload
            if kind in CONFIDENTIAL_KINDS:
                content = envelope.open_for(
                    deployment.committee, deployment.policy.scope, kind, Envelope.decode(payload),
                    deployment.auditor_key,
                )  # fmt: skip
            found.setdefault((trustee, kind, content[:35]), set()).add(content)
        return found


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Story:
    """A deployment whose board is on disk and whose trustees are not started."""
    engine = database.open_engine(f"sqlite:///{tmp_path}/board.sqlite")
    database.migrate(engine, "board")
    monkeypatch.setattr(simulation, "MemoryStore", lambda _disk: BoardSqlStore(engine))
    monkeypatch.setattr(simulation, "MockClock", RealClock)
    monkeypatch.setattr(Deployment, "start_trustee", lambda *_: None)
    chosen = replace(plan(3, 2, (2, 3), slots=(1,)), batch_seconds=1)
    return Story(Deployment(chosen, b"processes", clock=RealClock()))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def processes(request: pytest.FixtureRequest, story: Story, tmp_path: Path) -> Iterator[Processes]:
    cluster = request.getfixturevalue("cluster") if request.param == "postgresql" else ""
    made = Processes(tmp_path, story, 0, cluster=cluster)
    yield made
    made.stop()


def test_killed_at_random_instants_they_post_the_same_bytes_and_lose_nothing(
    story: Story, monkeypatch: pytest.MonkeyPatch, processes: Processes
) -> None:
    deployment = story.deployment
    scope = deployment.policy.scope
    recorded = Recorded()
    recorded.watch(deployment.board, monkeypatch)
    with serving(build(deployment.board, deployment.signed_manifest).app) as port:
        processes.port = port

        def run_batch(self: Deployment, rounds: int = 0) -> None:
            before = self._closed_batches()
            # Whatever the machine's speed, somebody dies while this batch is under way.
            processes.next_kill = time.monotonic() + processes.choices.uniform(0.1, 0.8)

            def step() -> None:
                self.board.tick()
                processes.kill_one()

            until(lambda: self._closed_batches() > before + 1, "a batch closes: " + processes.logs(), step)

        monkeypatch.setattr(Deployment, "run_batch", run_batch)
        for index in deployment.secrets:
            processes.configure(index)
            processes.start(index)
        until(lambda: deployment.board.scope_record(scope).active, "the policy is cosigned")
        deployment.enrol([f"person {number}" for number in range(36)])
        story.file(0, {1: 0}, 2, peers=True)
        story.file(1, {1: 0}, 2, peers=True)
        story.file(2, {1: 1}, 3)
        wait_accepted(story, processes)
        story.batch()
        story.withdraw(2)
        story.file(3, {1: 0}, 2)
        wait_accepted(story, processes)
        story.batch()
        assert story.observed() == story.expected, processes.logs()
        assert len(story.expected) > 2
        assert processes.kills > 1
        check_operator_port(processes)
        stop_gracefully(processes)
    contents = recorded.contents(deployment)
    assert {kind for _, kind, _ in contents} >= {FeedKind.ROUND_ONE, FeedKind.ROUND_TWO, FeedKind.PLAN_VOTE}
    assert all(len(variants) == 1 for variants in contents.values())
    logs = processes.logs()
    for entry in story.names:
        assert entry.hex() not in logs


def wait_accepted(story: Story, processes: Processes) -> None:
    board = story.deployment.board
    scope = story.deployment.policy.scope

    def everybody() -> bool:
        with board.store.reading() as view:
            entries = [view.entry(scope, name) for name in story.names]
        return all(one is not None and len(one.accepted_by) == 3 for one in entries)

    until(everybody, "every filing is accepted: " + processes.logs(), processes.kill_one)


def check_operator_port(processes: Processes) -> None:
    address = f"http://127.0.0.1:{operations_port(1)}"

    def ready() -> bool:
        try:
            return httpx.get(f"{address}/ready").status_code == 200
        except httpx.HTTPError:
            return False

    until(ready, "ready: " + processes.logs())
    page = httpx.get(address)
    assert "Everything works." in page.text
    assert "Tout fonctionne." in httpx.get(address, params={"lang": "fr"}).text
    assert page.headers["Cache-Control"] == "no-store"
    metrics = httpx.get(f"{address}/metrics").text
    assert "notalone_trustee_items_total" in metrics
    assert "{" not in metrics  # no labels


def stop_gracefully(processes: Processes) -> None:
    process = processes.running[1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert '"stopped"' in (processes.folder / "1.log").read_text()


def test_a_second_process_on_one_database_says_so_and_the_first_goes_on(processes: Processes) -> None:
    """Attack or accident: a service started twice, a forgotten container."""
    processes.port = 9  # nobody listens there; the lock comes first
    processes.configure(1)
    processes.start(1)
    first = processes.running[1]

    def works() -> bool:
        assert first.poll() is None, processes.logs()
        try:
            return (
                "notalone_trustee_board_unreachable_total"
                in httpx.get(f"http://127.0.0.1:{operations_port(1)}/metrics").text
            )
        except httpx.HTTPError:
            return False

    until(works, "the first one runs")
    log = (processes.folder / "second.log").open("wb+")
    config = processes.folder / "1" / "trustee.toml"
    command = [sys.executable, "-c", START, "run", "--config", str(config)]
    with log:
        second = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": PATHS}, stdout=log, stderr=log, timeout=120, check=False
        )
        log.seek(0)
        said = log.read().decode()
    assert second.returncode == 2, said
    assert "another trustee process runs on this database; stop it first" in said
    assert works()
    first.kill()
    first.wait()
    processes.start(1)  # a killed one leaves the place free
    first = processes.running[1]
    until(works, "it runs again")


# --- a board that lost or changed its past ------------------------------------------------------------------


def told(trustee: TrusteeService, deployment: Deployment, polls: int = 600) -> str:
    for _ in range(polls):
        trustee.poll(deployment.policy.scope)
        if trustee.halted:
            break
    return trustee.halted


def begun() -> Story:
    story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"past")
    story.file(0, {1: 0}, 2, peers=True)
    story.batch()
    return story


def test_attack_a_board_restored_from_an_old_copy_is_refused_with_what_to_do() -> None:
    story = begun()
    deployment = story.deployment
    old = copy.deepcopy(deployment.board_store.state)
    story.file(1, {1: 0}, 2, peers=True)
    story.batch()
    deployment.board_store.state = old
    for trustee in deployment.trustees.values():
        reason = told(trustee, deployment)
        assert reason.startswith("state.rollback: ")
        assert "restored to its newest state" in reason
        assert trustee.poll(deployment.policy.scope) == 0


def test_attack_an_old_copy_that_went_on_is_refused() -> None:
    """The feed has grown past what the trustee handled, with other filings in the same places."""
    story = begun()
    deployment = story.deployment
    old = copy.deepcopy(deployment.board_store.state)
    story.file(1, {1: 0}, 2, peers=True)
    deployment.settle()
    trustee = deployment.trustees[1]
    deployment.links[1].reachable = False  # the board is restored behind a closed door
    with pytest.raises(BoardUnreachable):
        trustee.poll(deployment.policy.scope)
    deployment.board_store.state = old
    for person in range(2, 8):
        story.file(person, {1: 0}, 2)
    deployment.links[1].reachable = True
    before = trustee.durable.done[deployment.policy.scope]
    assert told(trustee, deployment).startswith("state.rollback: ")
    assert trustee.durable.done[deployment.policy.scope] == before


def test_attack_a_forked_log_is_refused_with_what_to_do() -> None:
    story = begun()
    deployment = story.deployment
    state = deployment.board_store.state
    state.tree = merkle.MerkleTree.of([bytes([number]) * 32 for number in range(state.tree.size)])
    story.file(1, {1: 0}, 2, peers=True)
    deployment.settle()
    deployment.clock.now += deployment.plan.batch_seconds
    deployment.board.tick()
    for _ in range(300):
        for index in deployment.trustees:
            deployment._poll(index)
    for trustee in deployment.trustees.values():
        assert trustee.halted.startswith("log.consistency: "), trustee._last_codes
        assert "evidence" in trustee.halted


def test_no_news_and_late_items_are_not_taken_for_a_rollback() -> None:
    story = begun()
    trustee = story.deployment.trustees[1]
    assert told(trustee, story.deployment, 200) == ""


# --- the worker around the service --------------------------------------------------------------------------


class Scripted:
    """A service that does as told."""

    def __init__(self, story: Story, results: list[object]) -> None:
        inner = story.deployment.trustees[1]
        self.machine, self.durable, self.board = inner.machine, inner.durable, inner.board
        self.has_untimely_plan = inner.has_untimely_plan
        self.results, self.halted = results, ""

    def poll(self, _scope: bytes) -> int:
        result = self.results.pop(0) if self.results else 0
        if isinstance(result, BaseException):
            raise result
        if isinstance(result, str):
            self.halted = result
        return result if isinstance(result, int) else 0


def worker_with(story: Story, *results: object) -> tuple[Worker, list[int]]:
    script, built = list(results), []

    def make() -> TrusteeService:
        built.append(1)
        return Scripted(story, script)  # type: ignore[return-value]

    scopes = [("university", story.deployment.policy.scope)]
    return Worker(make, scopes, lambda: 1000, Metrics("trustee", COUNTERS, GAUGES), 8), built


def test_after_a_failed_store_the_worker_reads_its_database_again() -> None:
    worker, built = worker_with(begun(), StoreUnavailable("full"), 1, 0)
    worker.step()
    assert worker.condition == Condition.NO_STORE
    assert not worker.is_ready
    for _ in range(3):
        worker.step()
    assert worker.condition == Condition.WORKING
    assert len(built) == 2


def test_pauses_grow_while_the_board_is_away_and_end_with_it() -> None:
    worker, built = worker_with(begun(), *[BoardUnreachable("away")] * 6, 0)
    steps = 0
    while worker.condition != Condition.WORKING:
        worker.step()
        steps += 1
        assert steps < 100
    assert steps == 2 + 4 + 8 * 4 + 1  # pauses of 2, 4, then 8 steps at most
    assert len(built) == 1  # nothing was lost, so nothing is read again


def test_a_trustee_asks_soon_while_a_batch_moves_and_not_for_filings() -> None:
    """People who file share the board with those questions."""
    story = begun()
    deployment = story.deployment
    scopes = [("university", deployment.policy.scope)]
    workers = [
        Worker(lambda one=one: one, scopes, lambda: 1000, Metrics("trustee", COUNTERS, GAUGES), 8)
        for one in deployment.trustees.values()
    ]
    story.file(1, {1: 0}, 2, peers=True)
    items = [worker.metrics for worker in workers]
    assert [worker.step() for worker in workers] == [False, False, False]
    assert all("notalone_trustee_items_total 0\n" not in one.render() for one in items)  # and yet it moved
    for worker in workers:
        worker.step()
    deployment.clock.now += deployment.plan.batch_seconds
    deployment.board.tick()
    assert workers[0].step() is True
    assert workers[0].step() is False  # nothing moves before the others answer
    turns = [[worker.step() for worker in workers] for _ in range(8)]
    assert any(turns[0])
    assert turns[-1] == [False, False, False]
    assert deployment.board.scope_record(deployment.policy.scope).number == 2


def test_a_halted_trustee_asks_for_a_person_and_does_nothing_more() -> None:
    worker, _ = worker_with(begun(), "state.rollback: <b>the board</b>", 5)
    for _ in range(3):
        worker.step()
    assert worker.condition == Condition.HALTED
    for language, word in (("en", "STOPPED"), ("fr", "ARRÊT")):
        page = trustee_app.page.render(worker, 1001, "Association", language)
        assert word in page
        assert "&lt;b&gt;" in page
    assert "notalone_trustee_halted 1" in worker.metrics.render()


# --- the board's answers ----------------------------------------------------------------------------------


def board_that(answer: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]) -> HttpBoard:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    own = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"past").deployment.secrets[1]
    return HttpBoard(
        "http://board.test", bytes(32), 1, own.signing_key, lambda: 1000, system_randomness,
        httpx.MockTransport(handle),
    )  # fmt: skip


OCTETS = {"content-type": "application/vnd.notalone.v1+octets"}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("no"),
        httpx.ReadTimeout("slow"),
        httpx.Response(302, headers={"location": "http://elsewhere.test/"}),
        httpx.Response(401),
        httpx.Response(500),
        httpx.Response(503),
        httpx.Response(404),
        httpx.Response(200, text="<html>a login page"),
        httpx.Response(200, headers=OCTETS, content=b"\0\0\0\5abc"),
        httpx.Response(200, headers=OCTETS, content=b"\0\0\0\3abc"),
        httpx.Response(200, headers=OCTETS, content=bytes(27 << 20)),
    ],
    ids=["refused", "slow", "redirect", "401", "500", "503", "404", "a page", "cut", "no item", "endless"],
)
def test_whatever_the_network_answers_is_no_board_and_no_crash(answer: httpx.Response | Exception) -> None:
    with pytest.raises(BoardUnreachable):
        board_that(answer).feed(bytes(32), 0)


def test_a_post_that_comes_too_late_for_good_does_not_hold_up_the_next() -> None:
    board = board_that(httpx.Response(409))
    board.post(1, bytes(32), FeedKind.ACCEPTANCE, [b"x"])
    assert board.refused_posts == 1


def test_one_bad_message_among_several_costs_only_itself() -> None:
    """The board takes all of a request or nothing: what it refuses together is sent one by one."""
    taken: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        parts = octets.unframe(request.content)
        if b"bad" in parts:
            return httpx.Response(409)
        taken.extend(parts)
        return httpx.Response(204)

    board = board_that(answer)
    board.post(1, bytes(32), FeedKind.ACCEPTANCE, [b"one", b"bad", b"two"])
    assert taken == [b"one", b"two"]
    assert board.refused_posts == 1


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('board = "http://board.example"', "https"),
        ('board = "https://board.example/path"', "without a path"),
        ('manifest_fingerprint = "12"', "sixteen groups"),
        ('database = "postgresql+psycopg://me:secret@host/db"', "database_password_file"),
        ('surprise = "x"', "surprise"),
    ],
)
def test_settings_that_would_harm_are_refused(tmp_path: Path, line: str, word: str) -> None:
    path = tmp_path / "trustee.toml"
    lines = {
        "board": 'board = "https://board.example"',
        "manifest": 'manifest = "m"',
        "manifest_fingerprint": f'manifest_fingerprint = "{"0f1e " * 16}"',
        "key_file": 'key_file = "k"',
        "passphrase_file": 'passphrase_file = "p"',
        "scopes": 'scopes = ["university"]',
    }
    path.write_text("\n".join(lines.values()))
    assert read_settings(path).key_file == tmp_path / "k"
    lines[line.split(" ", maxsplit=1)[0]] = line
    path.write_text("\n".join(lines.values()))
    with pytest.raises(NotAloneError, match=word) as caught:
        read_settings(path)
    assert "me:secret" not in str(caught.value)


def test_the_whole_worker_without_a_board_starts_and_says_so(tmp_path: Path) -> None:
    """Store and service from settings, in this process: nothing is listening at the board's address."""
    deployment = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"past")
    processes = Processes(tmp_path, deployment, 9)
    processes.configure(1)
    worker = trustee_app.assemble(read_settings(tmp_path / "1" / "trustee.toml"))
    worker.step()
    assert worker.condition == Condition.NO_BOARD
    assert isinstance(worker.build().store, SqlStore)
