"""A PostgreSQL server of one test run: a temporary cluster on a free port of 127.0.0.1.

`NOTALONE_POSTGRESQL` (a URL of a server where databases may be made) is used instead when set.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

_counter = 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    return places[0].parent if places else None


class NoServerError(Exception):
    """This machine cannot have a server; says why."""


@contextmanager
def server() -> Iterator[str]:
    """The URL of a running server. A machine without one runs the SQLite half and says so."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(running())
        except NoServerError as reason:
            pytest.skip(str(reason))
        yield url


@contextmanager
def running() -> Iterator[str]:
    """The URL of a running server. Raises NoServerError when there can be none."""
    given = os.environ.get("NOTALONE_POSTGRESQL")
    if given:
        yield given
        return
    binaries = _binaries()
    if binaries is None:
        raise NoServerError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    account: str | None = None
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            raise NoServerError("PostgreSQL does not run as root, and there is no user postgres") from None
        account = "postgres"
    folder = Path(tempfile.mkdtemp(prefix="notalone-postgres-"))
    if account is not None:
        shutil.chown(folder, "postgres", "postgres")
    port = free_port()

    def run(*words: str) -> None:
        subprocess.run(
            words, check=True, cwd="/", capture_output=True, timeout=60, user=account, group=account
        )

    data = str(folder / "data")
    try:
        run(str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "notalone", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
        run(str(binaries / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://notalone@127.0.0.1:{port}/postgres"
        finally:
            run(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(url: str) -> str:
    """The URL of a fresh, empty database on that server."""
    global _counter  # noqa: PLW0603 - one number for each database of this process
    _counter += 1
    name = f"notalone_{os.getpid()}_{_counter}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def ask_for_passwords(connection: Connection, *roles: str) -> None:
    """Let the server ask these roles for their passwords, as an operator's does and a test's does not.

    Skips the test on a server of somebody else's (NOTALONE_POSTGRESQL): its rules are not ours to change.
    """
    rules = Path(connection.execute(text("SHOW hba_file")).scalar_one())
    if not os.access(rules, os.W_OK):
        pytest.skip("the PostgreSQL server's rules of access cannot be changed here")
    asked = "".join(f"host all {role} 127.0.0.1/32 scram-sha-256\n" for role in roles)
    rules.write_text(asked + rules.read_text())
    connection.execute(text("SELECT pg_reload_conf()"))
