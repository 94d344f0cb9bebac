"""Two processes never work on one database: real processes, both databases, and every way to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.support import postgres

from notalone_crypto.errors import Fault, Misuse
from notalone_server.edge import database
from notalone_server.edge.lock import exclusive

_HOLDER = """
import sys, time
from notalone_server.edge.lock import exclusive
with exclusive(sys.argv[1], sys.argv[2], 0.2) as still_ours:
    print("held", flush=True)
    for line in sys.stdin:
        print(still_ours(), flush=True)
print("left", flush=True)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'some.db'}"
    return postgres.new_database(request.getfixturevalue("cluster"))


def _hold(url: str, name: str = "issuer") -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, url, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def _end(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait(10)
    for stream in (holder.stdin, holder.stdout):
        if stream is not None:
            stream.close()


def test_a_second_process_on_the_same_database_is_refused_with_a_sentence(url: str) -> None:
    holder = _hold(url)
    try:
        started = time.monotonic()
        with pytest.raises(Misuse, match="another issuer process runs on this database") as refused:
            exclusive(url, "issuer", 0.5).__enter__()
        assert refused.value.fault is Fault.OPERATOR
        assert 0.4 < time.monotonic() - started < 5
        with exclusive(url, "board", 0.2) as still_ours:  # another service is not in the way
            assert still_ours()
    finally:
        _end(holder)


def test_a_killed_process_leaves_the_database_free(url: str) -> None:
    holder = _hold(url)
    os.kill(holder.pid, signal.SIGKILL)
    with exclusive(url, "issuer", 5) as still_ours:
        assert still_ours()
    _end(holder)


def test_who_waits_gets_it_when_the_other_ends_well(url: str) -> None:
    holder = _hold(url)
    assert holder.stdin is not None
    holder.stdin.close()
    engine = database.open_engine(url)
    with exclusive(engine, "issuer", 10) as still_ours:
        assert still_ours()
    with exclusive(engine, "issuer", 1):
        pass
    engine.dispose()
    _end(holder)


def test_a_child_of_the_holder_does_not_keep_the_lock(url: str) -> None:
    """A descriptor that a child inherits would hold a file's lock after the service ended."""
    with exclusive(url, "issuer", 1):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        with exclusive(url, "issuer", 1):
            pass
    finally:
        child.communicate(b"\n", 10)


def test_a_lock_lost_with_its_session_is_taken_again_or_reported(cluster: str) -> None:
    url = postgres.new_database(cluster)
    admin = create_engine(cluster, isolation_level="AUTOCOMMIT")
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'notalone lock' AND pid <> pg_backend_pid()"
    )
    holder = _hold(url)
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        with admin.connect() as connection:
            connection.execute(cut)
        holder.stdin.write("?\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "True\n"
        with pytest.raises(Misuse):
            exclusive(url, "issuer", 0.3).__enter__()
        with admin.connect() as connection:
            connection.execute(cut)
        with exclusive(url, "issuer", 5):  # faster than the one who lost it
            for _ in range(3):  # and it stays lost, however often it is asked
                holder.stdin.write("?\n")
                holder.stdin.flush()
                assert holder.stdout.readline() == "False\n"
    finally:
        admin.dispose()
        _end(holder)


def test_a_database_that_is_away_or_a_folder_that_takes_no_file_is_the_operators(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="does not answer"):
        exclusive(f"postgresql+psycopg://nobody@127.0.0.1:{postgres.free_port()}/x", "issuer").__enter__()
    with pytest.raises(Misuse, match="cannot make the lock file"):
        exclusive(f"sqlite:///{tmp_path / 'missing' / 'some.db'}", "issuer").__enter__()


def test_a_lock_file_is_the_services_own_and_memory_needs_none(tmp_path: Path) -> None:
    with exclusive(f"sqlite:///{tmp_path / 'some.db'}", "issuer"):
        assert (tmp_path / "some.db.issuer.lock").stat().st_mode & 0o777 == 0o600
    with exclusive("sqlite://", "issuer") as still_ours, exclusive("sqlite://", "issuer"):
        assert still_ours()
