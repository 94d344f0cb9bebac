"""Each service as a real process: no access log, graceful stop, and no start without what it needs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.support import postgres
from tests.support.board_http import BITS
from tests.support.world import World

from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_crypto.randomness import SeededStream
from notalone_server.edge import limits, octets, process, redaction
from notalone_server.edge.secretfile import write_secret
from notalone_server.trustee.keyfile import Cost, KeyFile, write_key_file

ROOT = Path(__file__).resolve().parents[2]
SECRET = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"
PATIENCE = 120.0  # a loaded machine starts a process in ten seconds and more
PASSPHRASE = b"a passphrase of an operator"
SERVICES = ("board", "issuer", "trustee")


@dataclass
class Service:
    """`notalone board|issuer|trustee run`."""

    name: str
    folder: Path
    world: World
    port: int = field(default_factory=postgres.free_port)
    operations: int = field(default_factory=postgres.free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        getattr(self, f"_configure_{self.name}")()

    @property
    def output(self) -> str:
        return (self.folder / "output.log").read_text()

    def _write(self, text: str) -> None:
        (self.folder / "config.toml").write_text(text)

    def _configure_board(self) -> None:
        write_secret(self.folder / "board.key", self.world.board_key.seed)
        (self.folder / "manifest.signed").write_bytes(self.world.signed_manifest.encode())
        (self.folder / "policy.bin").write_bytes(self.world.policy.encode())
        self._write(
            f'database = "sqlite:///board.sqlite"\nport = {self.port}\noperations_port = {self.operations}\n'
            f'policies = ["policy.bin"]\ntoken_bits = {BITS}\n'
        )

    def _configure_issuer(self) -> None:
        write_secret(self.folder / "issuer.key", self.world.issuer.seed)
        self._write(
            f'instance = "{self.world.instance}"\nscope_name = "{self.world.scope_name}"\ndeclared = 100\n'
            f'enrolment = "email"\ndatabase = "sqlite:///{self.folder}/issuer.sqlite"\n'
            f'key_file = "{self.folder}/issuer.key"\nboard = "http://127.0.0.1:9"\nport = {self.port}\n'
            f"operations_port = {self.operations}\ntoken_bits = {BITS}\n"
            '[mail]\nhost = "127.0.0.1"\nport = 9\nsender = "nobody@example.org"\nsecurity = "none"\n'
        )

    def _configure_trustee(self) -> None:
        own, committee = self.world.secrets[1], self.world.committee
        keys = CeremonyKeys(own.signing_key, own.channel_key, own.bundle_key)
        content = KeyFile(1, committee.identifier, os.urandom(32), keys, b"", b"", own, committee.fingerprint)
        write_key_file(
            self.folder / "trustee.key", content, PASSPHRASE, SeededStream(b"key file"), Cost(19 * 1024, 1, 1)
        )
        write_secret(self.folder / "passphrase", PASSPHRASE)
        (self.folder / "manifest.signed").write_bytes(self.world.signed_manifest.encode())
        self._write(
            'board = "http://127.0.0.1:9"\nmanifest = "manifest.signed"\nkey_file = "trustee.key"\n'
            f'manifest_fingerprint = "{committee.fingerprint.hex()}"\npassphrase_file = "passphrase"\n'
            f'scopes = ["{self.world.scope_name}"]\noperations_port = {self.operations}\n'
        )

    def launch(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join(
            str(ROOT / part) for part in ("crypto", "server", "client_sdk/python", "demo")
        )
        command = ["-m", "notalone_demo.cli", self.name, "run", "--config", str(self.folder / "config.toml")]
        with (self.folder / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, "PYTHONPATH": paths},
                stdout=output,
                stderr=output,
            )
        return self.process

    def start(self) -> None:
        process = self.launch()
        for port in {self.operations, self.open_port}:
            deadline = time.monotonic() + PATIENCE
            while not listens(port):
                assert process.poll() is None, self.output
                assert time.monotonic() < deadline, self.output
                time.sleep(0.05)

    @property
    def open_port(self) -> int:
        """Where somebody asks for something: a trustee has its operator's port only."""
        return self.operations if self.name == "trustee" else self.port

    def slow_request(self) -> tuple[bytes, bytes, int]:
        """Head, body and expected status of a request that can be sent in two parts."""
        if self.name == "trustee":
            return b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n", b"whatever", 200
        board = self.name == "board"
        key = self.world.issuer.verify_key
        audience = self.world.committee.fingerprint if board else key
        token = limits.make_token(audience, BITS, int(time.time()), self.world.randomness)
        body = bytes(32) if board else octets.pad(b"member@example.org", 512)
        path = f"/v1/scopes/{self.world.policy.scope.hex()}/leaves" if board else "/v1/codes"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {octets.MEDIA_TYPE}\r\n"
            f"Notalone-Token: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode(), body, 200 if board else 204


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture
def service(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Service]:
    made = Service(request.param, tmp_path, world)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.mark.parametrize("service", SERVICES, indirect=True)
def test_a_service_finishes_what_it_began_and_has_logged_nobody(service: Service) -> None:
    """HTTP-8, HTTP-23."""
    service.start()
    for port in {service.operations, service.open_port}:
        base = f"http://127.0.0.1:{port}"
        headers = {"user-agent": SECRET, "notalone-token": SECRET, "x-forwarded-for": "203.0.113.7"}
        httpx.get(f"{base}/{SECRET}", headers=headers)
        httpx.get(f"{base}/v1/scopes/{SECRET}?{SECRET}", headers=headers)
        httpx.post(f"{base}/v1/{SECRET}", content=SECRET, headers=headers)
        httpx.get(f"{base}/health", headers=headers)
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(f"{SECRET} no request at all\r\n\r\n".encode())
            raw.recv(1000)
    head, body, status = service.slow_request()
    assert service.process is not None
    with socket.create_connection(("127.0.0.1", service.open_port), timeout=20) as slow:
        slow.sendall(head + body[:3])
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 8
        while listens(service.open_port):
            assert time.monotonic() < deadline, "it goes on taking requests"
            time.sleep(0.02)
        assert service.process.poll() is None, "it left a request unanswered"
        slow.sendall(body[3:])
        answer = b""
        while chunk := slow.recv(65536):
            answer += chunk
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:300]
    assert service.process.wait(30) == 0, service.output
    lines = service.output.splitlines()
    events = [json.loads(line) for line in lines]
    assert {"configured", "started", "stopped"} <= {one["event"] for one in events}
    assert all(set(one) <= redaction.ALLOWED for one in events)
    for word in (SECRET, "203.0.113.7", "127.0.0.1", "/v1/", "/health", "member@", "GET", "POST", "HTTP"):
        assert word not in service.output, word


@pytest.mark.parametrize("service", SERVICES, indirect=True)
def test_an_orderly_stop_leaves_everything_in_the_database_file(service: Service) -> None:
    """Attack: none; who copies the one file of a stopped service must not lose what was in SQLite's log."""
    service.start()
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(30) == 0, service.output
    left = {one.name for one in service.folder.glob(f"{service.name}.sqlite*")}
    assert left == {f"{service.name}.sqlite", f"{service.name}.sqlite.{service.name}.lock"}
    alone = service.folder / "alone"
    alone.write_bytes((service.folder / f"{service.name}.sqlite").read_bytes())
    with closing(sqlite3.connect(alone)) as copy:
        assert copy.execute("SELECT count(*) > 1 FROM sqlite_master").fetchone() == (1,)


@pytest.mark.parametrize("service", SERVICES, indirect=True)
def test_a_service_without_its_port_does_not_start_and_says_so(service: Service) -> None:
    """HTTP-23. A board whose health nobody can ask for would fail unseen."""
    for port in {service.operations, service.open_port}:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            assert service.launch().wait(PATIENCE) == 2, service.output
            assert f"port {port}" in " ".join(service.output.split()), service.output


@pytest.mark.parametrize("service", ["issuer"], indirect=True)
@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('board = "board.example"', "board: .*an address such as https://board.example"),
        ('board = "https://[::1"', "board: .*an address such as https://board.example"),
        ('board = "http://board.example"', "board: .*use https"),
        ('database = "nothing of the kind"', "database: not a database URL"),
    ],
)
def test_an_issuer_with_a_wrong_address_says_which_and_ends(service: Service, line: str, word: str) -> None:
    """Attack: none; a traceback tells an operator nothing."""
    config = service.folder / "config.toml"
    name = line.split(" ", maxsplit=1)[0]
    config.write_text(re.sub(rf"(?m)^{name} = .*$", line, config.read_text()))
    assert service.launch().wait(PATIENCE) == 2, service.output
    said = " ".join(service.output.split())
    assert re.search(word, said), said
    assert "Traceback" not in said


SIGNALLED = """
import os, pathlib, signal, sys, time
from notalone_server.edge import process, redaction
from notalone_server.edge.metrics import Metrics, operations_app

redaction.configure("test")
app = operations_app(Metrics("test", ()), lambda: True)
done = pathlib.Path(sys.argv[2])

def work():
    os.kill(os.getpid(), signal.SIGTERM)  # at once: uvicorn does not listen for signals yet
    time.sleep(1)
    done.write_text("done")

works = [process.Periodic("work", 60, work)]
ports = [int(one) for one in sys.argv[3:]]
if sys.argv[1] == "both":
    process.serve(app, ("127.0.0.1", ports[0]), app, ("127.0.0.1", ports[1]), works)
else:
    process.serve_operations(app, ("127.0.0.1", ports[0]), works)
"""


@pytest.mark.parametrize("kind", ["both", "operations"])
def test_a_signal_in_the_first_instant_stops_it_too_and_work_in_progress_ends(
    tmp_path: Path, kind: str
) -> None:
    """HTTP-23. Attack: none; a restart that hits the wrong moment must not leave half a batch."""
    paths = os.pathsep.join(str(ROOT / part) for part in ("crypto", "server"))
    ended = subprocess.run(
        [
            *(sys.executable, "-c", SIGNALLED, kind, str(tmp_path / "done")),
            *(str(postgres.free_port()) for _ in range(2)),
        ],
        env={**os.environ, "PYTHONPATH": paths},
        timeout=PATIENCE,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "done").read_text() == "done"
    assert b'"stopped"' in ended.stderr


def test_work_that_moved_something_is_done_again_soon_and_then_less_and_less_often() -> None:
    """A batch has a dozen steps, each of which waits for the other trustees."""
    results = [True, None, True, False, False, False, OSError("away"), True]
    pauses: list[float] = []

    class Recording(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return not results

    def act() -> object:
        result = results.pop(0)
        if isinstance(result, OSError):
            raise result
        return result

    work = process.Periodic("work", 0.5, act, soonest=0.1)
    work._stop = Recording()
    work._run()
    assert pauses == [0.1, 0.2, 0.1, 0.2, 0.4, 0.5, 0.5, 0.1]
    results, pauses = [True, True], []
    unhurried = process.Periodic("work", 0.5, act)
    unhurried._stop = Recording()
    unhurried._run()
    assert pauses == [0.5, 0.5]


def test_work_that_gives_way_is_nice_alone() -> None:
    """Whoever files waits for the board: a trustee on the same machine takes what is left."""
    found: list[tuple[int, int]] = []
    done = threading.Event()

    def look() -> None:
        thread = threading.get_native_id()
        found.append((os.getpriority(os.PRIO_PROCESS, thread), os.sched_getscheduler(thread)))
        done.set()

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    for niceness in (19, 0):
        work = process.Periodic("work", 60, look, niceness)
        done.clear()
        work.start()
        assert done.wait(PATIENCE)
        work.stop()
    assert found == [(19, os.SCHED_BATCH), (before, os.SCHED_OTHER)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
