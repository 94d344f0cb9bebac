"""One process at a time on one database.

Owns the lock: a locked file beside an SQLite database, an advisory lock of a
session inside PostgreSQL. Refuses to know what would go wrong with two: whoever
runs a service takes it, operators' short commands do not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from notalone_crypto.errors import Code, Fault, Misuse

PATIENCE_SECONDS: Final = 10.0  # a killed process's PostgreSQL session ends a moment after it
_POLL_SECONDS: Final = 0.1
_MODE: Final = 0o600
_MEMORY: Final = frozenset({None, "", ":memory:"})

StillOurs = Callable[[], bool]
"""Whether the lock is held now; a lock that PostgreSQL lost in a restart is taken again first."""


@contextmanager
def exclusive(
    database: Engine | str, name: str, patience_seconds: float = PATIENCE_SECONDS
) -> Iterator[StillOurs]:
    """Hold the only right to run the service `name` on a database (an engine or its URL).

    SQLite: `<file>.<name>.lock` beside the file, released by the kernel whatever ends the
    process; a database in memory needs none. PostgreSQL: a session of its own, released when
    its connection ends (through a pooler this needs session pooling). Another service on the
    same database is not in the way.

    Raises: Misuse (caller.misuse, the operator's fault) when another process holds it for
    longer than `patience_seconds`, or when the lock cannot be made.
    """
    url = make_url(database) if isinstance(database, str) else database.url
    if url.get_backend_name() != "sqlite":
        session = _Session(url.render_as_string(hide_password=False), name)
        try:
            _wait(session.take, name, patience_seconds)
            yield session.still_ours
        finally:
            session.close()
        return
    if url.database in _MEMORY:
        yield lambda: True
        return
    descriptor = _open(Path(str(url.database)).resolve(), name)
    try:
        _wait(lambda: _flock(descriptor), name, patience_seconds)
        yield lambda: True
    finally:
        os.close(descriptor)  # ends the lock; the file stays: removing it would let two in


def _open(path: Path, name: str) -> int:
    lock = path.with_name(f"{path.name}.{name}.lock")
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise _refused(f"cannot make the lock file {lock}: {error.strerror}") from error


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _refused(f"the database's file system has no locks: {error.strerror}") from error
    return True


def _wait(take: Callable[[], bool], name: str, patience_seconds: float) -> None:
    until = time.monotonic() + patience_seconds
    while not take():
        if time.monotonic() >= until:
            raise _refused(
                f"another {name} process runs on this database; stop it first, or wait until it has ended"
            )
        time.sleep(_POLL_SECONDS)


class _Session:
    """A PostgreSQL connection of its own that holds an advisory lock."""

    def __init__(self, url: str, name: str) -> None:
        self._engine = create_engine(
            url, hide_parameters=True, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        event.listen(self._engine, "connect", _prepare)
        # One number for each service; PostgreSQL keeps a number apart for each database.
        self._number = int.from_bytes(hashlib.sha256(f"notalone {name}".encode()).digest()[:8], signed=True)
        self._connection: Connection | None = None
        self._held = False

    def take(self) -> bool:
        """Try once."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            question = text("SELECT pg_try_advisory_lock(:number)")
            self._held = bool(self._connection.execute(question, {"number": self._number}).scalar_one())
        except DBAPIError as error:
            self.close()
            raise _refused("the database does not answer, so nobody can be alone on it") from error
        return self._held

    def still_ours(self) -> bool:
        try:
            # A session alone is not enough: it may be one in which another was faster.
            if self._connection is not None and self._held:
                self._connection.execute(text("SELECT 1"))
                return True
        except DBAPIError:
            self.close()
        try:
            return self.take()
        except Misuse:
            return False

    def close(self) -> None:
        connection, self._connection = self._connection, None
        self._held = False
        if connection is not None:
            # Whatever a broken connection says while it closes: it is gone, and the lock with it.
            connection.invalidate()
            connection.close()


def _prepare(connection: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's types
    """The server ends the session of a machine that vanished, and no other."""
    autocommit, connection.autocommit = connection.autocommit, True
    for name, value in (
        ("tcp_keepalives_idle", "15"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("idle_session_timeout", "0"),
        ("application_name", "notalone lock"),
    ):
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    connection.autocommit = autocommit


def _refused(detail: str) -> Misuse:
    return Misuse(Code.MISUSE, detail, fault=Fault.OPERATOR)
