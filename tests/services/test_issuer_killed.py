"""A real issuer killed with SIGKILL at any moment: no card lost, no place twice, no letter too many.

Real processes (`notalone issuer run`), both databases, a real mail server, and a
board's address where every snapshot that arrives is written down.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from sqlalchemy import create_engine, text
from tests.support import postgres

from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import signing
from notalone_crypto.protocol import roll
from notalone_server.edge.limits import make_token
from notalone_server.edge.octets import MEDIA_TYPE, frame, pad, unframe
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.secretfile import write_secret
from notalone_server.issuer.app import open_issuer
from notalone_server.issuer.live import LiveIssuer
from notalone_server.issuer.ports import MailKind
from notalone_server.issuer.settings import read_settings
from notalone_server.issuer.state import IssuerState
from notalone_server.issuer.store import SqlIssuerStore

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
RUN = "from notalone_server.issuer.commands import app; app(prog_name='issuer')"


class Board:
    """The board's address for snapshots: keeps their order of arrival."""

    def __init__(self) -> None:
        self.got: list[RollSnapshot] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(RollSnapshot.decode(data))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Process:
    """`notalone issuer run`, on a free port, killed and started again."""

    def __init__(self, folder: Path, url: str, board: str, more: str) -> None:
        self.key = signing.generate_key(system_randomness)
        self.port, self.operations = postgres.free_port(), postgres.free_port()
        self.config, self.log = folder / "issuer.toml", folder / "issuer.log"
        write_secret(folder / "issuer.key", self.key.seed)
        self.config.write_text(
            f'instance = "i"\nscope_name = "s"\ndeclared = 200\ndatabase = "{url}"\nkey_file = "issuer.key"\n'
            f'board = "{board}"\nport = {self.port}\noperations_port = {self.operations}\ntoken_bits = 4\n'
            f"requests_per_second = 10000\n{more}"
        )
        self.handle: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10, trust_env=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.handle = subprocess.Popen(
                [sys.executable, "-c", RUN, "run", "--config", str(self.config)],
                env=ENVIRONMENT,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if self.client.get(f"http://127.0.0.1:{self.operations}/ready").status_code == 200:
                    self.client.get("/v1/issuer").raise_for_status()
                    return
            assert self.handle is None or self.handle.poll() is None, self.log.read_text()
            time.sleep(0.05)
        pytest.fail(self.log.read_text())

    def kill(self) -> None:
        if self.handle is not None:
            self.handle.kill()
            self.handle.wait(10)
            self.handle = None

    def restart(self) -> None:
        self.kill()
        self.start()
        self.wait()

    def post(self, path: str, body: bytes) -> int | None:
        """The answer's status, or None when there was none."""
        token = make_token(self.key.verify_key, 4, int(time.time()), system_randomness)
        headers = {"Content-Type": MEDIA_TYPE, "Notalone-Token": token}
        try:
            return self.client.post(path, content=body, headers=headers).status_code
        except httpx.TransportError:
            return None

    def snapshots(self) -> list[RollSnapshot] | None:
        try:
            answer = self.client.get("/v1/snapshots")
        except httpx.TransportError:
            return None
        return [RollSnapshot.decode(one) for one in unframe(answer.content)]


@contextlib.contextmanager
def operator(process: Process) -> Iterator[LiveIssuer]:
    """The issuer as an operator's short command opens it, beside the running one or without it."""
    live = open_issuer(read_settings(process.config))
    assert isinstance(live.store, SqlIssuerStore)
    try:
        yield live
    finally:
        live.store.engine.dispose()


def stored(process: Process) -> IssuerState:
    with operator(process) as live:
        return live.service.state


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return "sqlite:///issuer.db"
    return postgres.new_database(request.getfixturevalue("cluster"))


@pytest.fixture
def started(tmp_path: Path, url: str) -> Iterator[Callable[[str], tuple[Process, Board]]]:
    made: list[tuple[Process, Board]] = []

    def start(more: str) -> tuple[Process, Board]:
        board = Board()
        made.append((Process(tmp_path, url, board.address, more), board))
        return made[-1]

    yield start
    for process, board in made:
        process.kill()
        process.client.close()
        board.server.shutdown()
        board.server.server_close()


def test_no_card_is_spent_without_its_place_and_no_place_is_there_twice(  # noqa: C901 - one story
    started: Callable[[str], tuple[Process, Board]],
) -> None:
    process, board = started("")
    with operator(process) as live:
        made = live.change(lambda issuer: issuer.make_cards(30, system_randomness))
    members = [roll.member_from_phrase(system_randomness(16), "i", process.key.verify_key) for _ in made]
    acknowledged: set[bytes] = set()
    stop = threading.Event()
    wrong: list[str] = []

    def redeem(position: int) -> int:
        """Insist until there is an answer; how often there was none."""
        member, unanswered = members[position], 0
        request = roll.enrol(member, "i", process.key.verify_key, system_randomness).encode()
        body = frame([made[position].encode(), request])
        while not stop.is_set():
            status = process.post("/v1/enrolments", body)
            if status in {200, 409}:  # 409: her answer was lost, her place is there
                acknowledged.add(member.place)
                return unanswered
            if status is not None:
                wrong.append(f"card {position}: {status}")
                return unanswered
            unanswered += 1
            time.sleep(0.02)
        return unanswered

    def watch() -> None:
        """No snapshot is older than what was acknowledged before it was asked for."""
        number = 0
        while not stop.is_set():
            expected = set(acknowledged)
            for snapshot in process.snapshots() or ():
                if snapshot.number < number or not expected <= set(snapshot.places):
                    wrong.append(f"snapshot {snapshot.number} after {number}")
                number = snapshot.number
            time.sleep(0.01)

    process.start()
    process.wait()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(redeem, position) for position in range(27)]
            for _ in range(3):
                done = len(acknowledged)
                until = time.monotonic() + 20  # some requests in each life, then in the middle of another
                while len(acknowledged) < min(done + 3, 27) and time.monotonic() < until:
                    time.sleep(0.005)
                time.sleep(random.random() * 0.05)
                process.restart()
            for one in waiting:
                one.result(60)
        unanswered = sum(one.result() for one in waiting)
    finally:
        stop.set()
        watcher.join()
    assert wrong == []
    assert unanswered > 0, "no kill hit a request: the test showed nothing"
    process.restart()
    newest = process.snapshots()
    assert newest is not None
    places = [place for one in newest for place in one.places]
    assert sorted(places) == sorted(member.place for member in members[:27])
    state = stored(process)
    assert len(state.unused_cards) == 3
    assert [entry.number for entry in state.entries] == list(range(27))
    # The board gets the newest, and never one that it would have to refuse as older than the last.
    until = time.monotonic() + 20
    while (not board.got or board.got[-1] != newest[0]) and time.monotonic() < until:
        time.sleep(0.05)
    assert board.got[-1] == newest[0]
    numbers = [one.number for one in board.got]
    assert numbers == sorted(numbers)
    assert len({one.number for one in board.got}) == len({one.encode() for one in board.got})


class Postbox:
    """A real mail server that keeps letters, and may kill the issuer before or after it says so."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str]] = []  # address, code
        self.kill: Callable[[], None] | None = None
        self.changed = threading.Condition()

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        code = next(
            (
                line.strip()
                for line in str(message.get_payload(decode=True), "utf-8").splitlines()
                if line.count("-") == 3 and line.startswith("    ")
            ),
            "",
        )
        with self.changed:
            self.letters.append((envelope.rcpt_tos[0], code))
            self.changed.notify_all()
        if self.kill is not None:
            kill, self.kill = self.kill, None
            kill()  # the letter is taken; the answer is on its way to nobody
        return "250 OK"

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.letters) >= count, 40), self.letters


def _early_member(live: LiveIssuer, address: str, key: bytes) -> roll.Member:
    """Somebody whose place waits already, and whose code came long ago."""
    member = roll.member_from_phrase(system_randomness(16), "i", key)
    request = roll.enrol(member, "i", key, system_randomness)
    letter = live.change(lambda issuer: issuer.answer_mail(MailKind.CODE, address, system_randomness))
    assert letter is not None
    live.change(lambda issuer: issuer.enrol(letter.code, request))
    return member


def test_codes_and_resets_survive_and_a_kill_repeats_one_letter_at_most(
    started: Callable[[str], tuple[Process, Board]], tmp_path: Path
) -> None:
    """The outbox promises a letter once, and again for a kill between the mail server's answer and our note.

    The repeated letter carries a new code, and that one works.
    """
    box = Postbox()
    mail = Controller(box, hostname="127.0.0.1", port=postgres.free_port())
    mail.start()
    more = (
        'enrolment = "email"\n[mail]\nhost = "127.0.0.1"\nsecurity = "none"\nsender = "code@example.org"\n'
        f"port = {mail.port}\n"
    )
    process, _ = started(more)
    try:
        addresses = tuple(f"member{number}@example.org" for number in range(6))
        with operator(process) as live:
            live.change(lambda issuer: issuer.list_members(addresses))
            early = _early_member(live, addresses[5], process.key.verify_key)
        process.start()
        process.wait()
        handle = process.handle
        assert handle is not None
        box.kill = lambda: os.kill(handle.pid, signal.SIGKILL)
        for address in (*addresses[:4], "nobody@example.org"):
            status = process.post("/v1/codes", pad(address.encode(), 512))
            if status is None:  # killed already: what was acknowledged must still be answered
                break
            assert status == 204
        box.wait_for(1)
        process.restart()
        for address in addresses[:4]:
            # Asking again within a quarter of an hour brings no second letter to who has one.
            assert process.post("/v1/codes", pad(address.encode(), 512)) == 204
        until = time.monotonic() + 40
        while {address for address, _ in box.letters} < set(addresses[:4]) and time.monotonic() < until:
            time.sleep(0.05)
        process.restart()  # at once after the last letter
        time.sleep(3)  # a round of the worker and more: whatever waited has gone out
        letters = Counter(address for address, _ in box.letters)
        assert set(letters) == set(addresses[:4])
        assert sum(letters.values()) <= 4 + 2, "one more letter for each kill at most"
        newest = dict(box.letters)
        members = {}
        for address in addresses[:4]:
            first = [code for known, code in box.letters if known == address]
            member = roll.member_from_phrase(system_randomness(16), "i", process.key.verify_key)
            request = roll.enrol(member, "i", process.key.verify_key, system_randomness).encode()
            for stale in first[:-1]:
                assert process.post("/v1/enrolments", frame([stale.encode(), request])) == 403
            status = process.post("/v1/enrolments", frame([newest[address].encode(), request]))
            assert status == 200
            members[address] = member
        process.restart()
        # The held places and a reset's day are still there.
        before = len(box.letters)
        assert process.post("/v1/resets", pad(addresses[5].encode(), 512)) == 204
        box.wait_for(before + 1)
        process.restart()
        state = stored(process)
        assert set(state.held) == {member.place for member in (early, *members.values())}
        planned = dict(state.resets)
        assert [at > time.time() + 13 * 24 * 3600 for at in planned.values()] == [True]
        process.restart()
        assert stored(process).resets == planned
    finally:
        mail.stop()


def test_a_second_issuer_on_the_database_is_refused_with_a_sentence(
    started: Callable[[str], tuple[Process, Board]], tmp_path: Path
) -> None:
    process, _ = started("")
    process.start()
    process.wait()
    second = tmp_path / "second.toml"
    ports = {process.port: postgres.free_port(), process.operations: postgres.free_port()}
    changed = process.config.read_text()
    for old, new in ports.items():
        changed = changed.replace(f"= {old}\n", f"= {new}\n")
    second.write_text(changed)
    found = subprocess.run(
        [sys.executable, "-c", RUN, "run", "--config", str(second)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert found.returncode == 2
    assert "another issuer process runs on this database" in found.stderr
    assert process.post("/v1/codes", b"") == 400  # the first goes on
    # An operator's short commands work beside it.
    out = tmp_path / "cards.html"
    words = ["cards", "--config", str(process.config), "--count", "2", "--out", str(out)]
    subprocess.run([sys.executable, "-c", RUN, *words], env=ENVIRONMENT, check=True, timeout=60)
    assert out.exists()


def test_the_database_password_is_read_from_its_file(cluster: str, tmp_path: Path) -> None:
    """With a server that asks for it: right, wrong, and a file that others may read."""
    admin = create_engine(cluster, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        postgres.ask_for_passwords(connection, "shy")
        connection.execute(text("CREATE ROLE shy LOGIN PASSWORD 'a secret'"))
        connection.execute(text("CREATE DATABASE shy OWNER shy"))
    port = admin.url.port
    admin.dispose()
    process = Process(
        tmp_path,
        f"postgresql+psycopg://shy@127.0.0.1:{port}/shy",
        "http://127.0.0.1:9",
        'database_password_file = "database.password"\n',
    )
    write_secret(tmp_path / "database.password", b"a secret\n")
    try:
        process.start()
        process.wait()
        process.kill()
        for content, mode, reason in (
            (b"another", 0o600, "does not answer"),
            (b"a secret", 0o644, "0600"),
        ):
            (tmp_path / "database.password").write_bytes(content)
            (tmp_path / "database.password").chmod(mode)
            found = subprocess.run(
                [sys.executable, "-c", RUN, "run", "--config", str(process.config)],
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert found.returncode == 2
            assert reason in found.stderr
            assert "a secret" not in found.stderr
    finally:
        process.kill()
        process.client.close()
