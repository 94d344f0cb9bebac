"""The compose file's own commands as processes of this machine: healthy, with passwords; copied and restored.

Only what a container would give is translated: paths of mounted files, host names and ports.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, make_url, text
from tests.support import postgres

from notalone_demo.live.operators import Prepared, children_environment, free_ports, prepare
from notalone_demo.reports_file import ScopeInput
from notalone_server.edge.lock import exclusive
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.secretfile import write_secret
from notalone_server.issuer.app import open_issuer
from notalone_server.issuer.settings import read_settings
from notalone_server.issuer.store import SqlIssuerStore

ROOT = Path(__file__).resolve().parents[2]
COPIES = ROOT / "deploy" / "copies.py"
PARTIES = ("board", "issuer", "trustee1", "trustee2", "trustee3")
SCOPE = ScopeInput("example", "university", "FR", 1200, (2, 3), ("A", "B", "C"), 2, ("Desk",))
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))[
    "services"
]
PATIENCE = 120


@dataclass
class Deployment:
    """Every party's settings as deploy/ has them, filled in; its command and check as compose has them."""

    folder: Path
    made: Prepared
    urls: dict[str, str] = field(default_factory=dict)  # without password
    ports: dict[str, tuple[int, int]] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def config(self, party: str) -> Path:
        return self.folder / f"{party}.toml"

    def write(self, party: str) -> None:
        """deploy/<party>.toml with what its operator fills in."""
        kind = party.rstrip("123")
        text_of = (ROOT / "deploy" / f"{kind}.toml").read_text("utf-8")
        home = self.folder / (f"trustee-{party[-1]}" if kind == "trustee" else kind)
        policy = self.folder / "board" / "policy.bin"
        front, back = self.ports[party]
        changes = [
            (r"/run/secrets/database-password", str(self.folder / f"{party}.password")),
            (r"/run/secrets/", f"{home}/"),
            (r"/etc/notalone/manifest\.signed", str(self.folder / "ceremony" / "manifest.signed")),
            (r"/etc/notalone/policy\.bin", str(policy)),
            (r"postgresql\+psycopg://notalone@database/notalone", self.urls[party]),
            (r"https://board\.example\.org:8443", f"http://127.0.0.1:{self.ports['board'][0]}"),
            (r'"0\.0\.0\.0"', '"127.0.0.1"'),
            (r"(?m)^port = \d+", f"port = {front}"),
            (r"(?m)^operations_port = \d+", f"operations_port = {back}"),
            (
                r'manifest_fingerprint = "[^"]*"',
                f'manifest_fingerprint = "{self.made.committee.fingerprint.hex()}"',
            ),
            (r"approved_policies = \[\]", f'approved_policies = ["{self.made.policy.fingerprint.hex()}"]'),
        ]
        for old, new in changes:
            text_of = re.sub(old, new, text_of)
        self.config(party).write_text(text_of, "utf-8")

    def start(self, party: str) -> None:
        words = [
            one.replace("/etc/notalone/settings.toml", str(self.config(party)))
            for one in SERVICES[party]["command"]
        ]
        with (self.folder / f"{party}.log").open("ab") as log:
            self.running[party] = subprocess.Popen(
                [sys.executable, "-m", "notalone_demo.cli", *words],
                env=children_environment(self.folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self, party: str) -> int:
        handle = self.running.pop(party)
        handle.terminate()
        return handle.wait(60)

    def check(self, party: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """The health check of the compose file, or another page of the same port."""
        words = list(SERVICES[party]["healthcheck"]["test"][1:])
        words[:2] = [sys.executable, str(ROOT / "tools" / "probe.py")]
        words[2] = str(self.ports[party][1])
        if path is not None:
            words[3] = path
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=30)

    def wait(self, party: str) -> None:
        until = time.monotonic() + PATIENCE
        while self.check(party).returncode != 0:
            log = (self.folder / f"{party}.log").read_text()
            assert self.running[party].poll() is None, log
            assert time.monotonic() < until, log
            time.sleep(0.3)

    def metric(self, party: str, name: str) -> float:
        page = self.check(party, "/metrics").stdout
        found = re.search(rf"^notalone_\w+?_{name} (\S+)$", page, re.MULTILINE)
        assert found is not None, page
        return float(found[1])

    def copies(self, party: str, *words: object) -> subprocess.CompletedProcess[str]:
        """deploy/copies.py as a guide has it: the password in a file that PGPASSFILE names."""
        url = make_url(self.urls[party])
        secret = (self.folder / f"{party}.password").read_text()
        passes = self.folder / "pgpass"
        passes.write_text(f"{url.host}:{url.port}:{url.database}:{url.username}:{secret}\n")
        passes.chmod(0o600)
        return copies(*words, environment={"PGPASSFILE": str(passes)})

    def plain_url(self, party: str) -> str:
        return self.urls[party].replace("+psycopg", "")


def copies(*words: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(COPIES), *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    with postgres.server() as cluster, contextlib.ExitStack() as after:
        one = Deployment(folder, prepare(folder, SCOPE, 3600, lambda _: None))
        ports = iter(free_ports(10))
        one.ports = {party: (next(ports), next(ports)) for party in PARTIES}
        admin = create_engine(cluster, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            postgres.ask_for_passwords(connection, *PARTIES)
            for party in PARTIES:
                password = system_randomness(16).hex()
                write_secret(folder / f"{party}.password", password.encode())
                connection.execute(text(f"CREATE ROLE {party} LOGIN PASSWORD '{password}'"))
                connection.execute(text(f"CREATE DATABASE {party} OWNER {party}"))
                one.urls[party] = f"postgresql+psycopg://{party}@127.0.0.1:{admin.url.port}/{party}"
        admin.dispose()
        for party in PARTIES:
            one.write(party)
        after.callback(lambda: [handle.kill() or handle.wait() for handle in one.running.values()])
        for party in PARTIES:
            one.start(party)
            if party == "board":
                one.wait(party)
        for party in PARTIES:
            one.wait(party)
        yield one


def test_every_service_of_the_compose_file_becomes_healthy(deployment: Deployment) -> None:
    """Exactly its command, its settings, its check; each with a database and a password of its own."""
    for party in PARTIES:
        assert deployment.check(party, "/ready").returncode == 0, party
        assert deployment.check(party, "/nothing").returncode == 1
        secret = (deployment.folder / f"{party}.password").read_text()
        assert secret not in (deployment.folder / f"{party}.log").read_text()
    for party in PARTIES[2:]:
        assert deployment.metric(party, "halted") == 0


def test_a_board_is_copied_while_it_runs_and_its_newest_state_restored(deployment: Deployment) -> None:
    """The trustees go on with the newest state; nobody restores beside a running board."""
    url = deployment.plain_url("board")
    first, last = deployment.folder / "running.dump", deployment.folder / "stopped.dump"
    done = deployment.copies("board", "backup", url, first)
    assert done.returncode == 0, done.stderr
    assert first.stat().st_mode & 0o777 == 0o600
    again = deployment.copies("board", "backup", url, first)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)
    beside = deployment.copies("board", "restore", url, first, "board")
    assert (beside.returncode, "stop the service first" in beside.stderr) == (2, True)
    assert deployment.stop("board") == 0
    assert deployment.copies("board", "backup", url, last).returncode == 0
    engine = create_engine(url_with_password(deployment, "board"))
    with engine.begin() as connection:  # the machine lost its database
        for table in connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).scalars():
            connection.execute(text(f'DROP TABLE "{table}" CASCADE'))
    engine.dispose()
    restored = deployment.copies("board", "restore", url, last, "board")
    assert restored.returncode == 0, restored.stderr
    deployment.start("board")
    deployment.wait("board")
    before = {party: deployment.metric(party, "polls_total") for party in PARTIES[2:]}
    until = time.monotonic() + PATIENCE
    while any(
        deployment.metric(party, "polls_total") <= count
        or deployment.metric(party, "seconds_since_board") > 5
        for party, count in before.items()
    ):
        assert time.monotonic() < until
        time.sleep(0.3)
    assert [deployment.metric(party, "halted") for party in before] == [0, 0, 0]


def url_with_password(deployment: Deployment, party: str) -> str:
    secret = (deployment.folder / f"{party}.password").read_text()
    return make_url(deployment.urls[party]).set(password=secret).render_as_string(hide_password=False)


def test_a_copy_that_is_none_changes_nothing(deployment: Deployment) -> None:
    bad = deployment.folder / "bad.dump"
    bad.write_bytes(b"PGDMP but not really")
    assert deployment.stop("issuer") == 0
    refused = deployment.copies("issuer", "restore", deployment.plain_url("issuer"), bad, "issuer")
    assert refused.returncode == 2
    missing = deployment.copies("issuer", "restore", deployment.plain_url("issuer"), "/none", "issuer")
    assert (missing.returncode, "there is no file" in missing.stderr) == (2, True)
    deployment.start("issuer")
    deployment.wait("issuer")


def test_an_sqlite_issuer_is_copied_while_written_to_and_restored(tmp_path: Path) -> None:
    write_secret(tmp_path / "issuer.key", bytes(range(32)))
    config = tmp_path / "issuer.toml"
    config.write_text(
        'instance="i"\nscope_name="s"\ndeclared=40\ndatabase="sqlite:///issuer.db"\nkey_file="issuer.key"\n'
        'board="http://127.0.0.1:9"\n'
    )

    def cards() -> int:
        opened = open_issuer(read_settings(config))
        assert isinstance(opened.store, SqlIssuerStore)
        opened.store.engine.dispose()
        return len(opened.service.state.unused_cards)

    live = open_issuer(read_settings(config))
    assert isinstance(live.store, SqlIssuerStore)
    live.change(lambda issuer: issuer.make_cards(5, system_randomness))
    database, copy = tmp_path / "issuer.db", tmp_path / "copy.db"
    with exclusive(f"sqlite:///{database}", "issuer"):
        done = copies("backup", database, copy)
        assert done.returncode == 0, done.stderr
        live.change(lambda issuer: issuer.make_cards(2, system_randomness))
        beside = copies("restore", database, copy, "issuer")
        assert (beside.returncode, "stop it first" in beside.stderr) == (2, True)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert cards() == 7
    live.store.engine.dispose()
    restored = copies("restore", database, copy, "issuer")
    assert restored.returncode == 0, restored.stderr
    assert cards() == 5
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(copy.read_bytes()[:5000])
    assert copies("restore", database, damaged, "issuer").returncode == 2
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at " * 50)
    assert copies("restore", database, tmp_path / "text.db", "issuer").returncode == 2
    assert cards() == 5
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert copies("backup", tmp_path / "none.db", tmp_path / "x.db").returncode == 2
    assert not (tmp_path / "x.db").exists()
    assert copies().returncode == 2
