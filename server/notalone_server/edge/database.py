"""Databases: SQLite by default, PostgreSQL by URL, through SQLAlchemy Core.

Owns engines, transactions and migrations. Refuses to know tables. Writers take
turns in both databases: SQLite by BEGIN IMMEDIATE, PostgreSQL by one advisory
lock, so that one rule of order holds whatever the database.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from alembic import command
from alembic.config import Config
from fastapi import FastAPI, Request, Response
from sqlalchemy import Connection, Engine, ExceptionContext, QueuePool, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from notalone_server.edge.problem import problem
from notalone_server.edge.redaction import log_exception
from notalone_server.edge.secretfile import begin_private

_WRITERS: Final = 0x6E6F7461  # the advisory lock's number: any constant of ours
_TAKE_TURN: Final = text("SELECT pg_advisory_xact_lock(:number)")
_PRIMARY: Final = 0xFF  # the last byte of SQLite's extended error codes
_READ_ONLY_TRANSACTION: Final = "25006"  # PostgreSQL's SQLSTATE
_READ_ONLY: Final = "notalone_read_only"
_IDLE_SECONDS: Final = 1.0
_turns: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()
_MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "migrations"


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///file`, `sqlite://` (memory, for tests) or `postgresql+psycopg://...`.

    A commit is durable when it returns: WAL with synchronous=FULL, or PostgreSQL's default.
    Parameters never appear in errors.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(parsed, hide_parameters=True)
        event.listen(engine, "handle_error", _leave_read_only)
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", partial(_try_idle, engine))
        return engine
    memory = parsed.database in (None, "", ":memory:")
    if not memory:
        begin_private(Path(str(parsed.database)))  # SQLite gives its log and index the same mode
    engine = create_engine(
        parsed,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": 30},
        poolclass=QueuePool,
        # A memory database lives in one connection; whoever comes second waits for it.
        pool_size=1 if memory else 5,
        max_overflow=0 if memory else 40,
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    if not memory:
        event.listen(engine, "handle_error", _leave_read_only)
    return engine


@contextmanager
def disposing(engine: Engine) -> Iterator[Engine]:
    """Close every connection at the end.

    SQLite's last one brings the write-ahead log into the file: whoever copies the file alone
    after an orderly stop has everything.
    """
    try:
        yield engine
    finally:
        engine.dispose()


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _try_idle(engine: Engine, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401
    """Ask over a connection before it is used again, unless it was used a moment ago: that costs two ways."""
    if time.monotonic() - record.info.get("used", 0.0) > _IDLE_SECONDS:
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:  # whatever it is, a new connection is made
            raise DisconnectionError from error


def _leave_read_only(context: ExceptionContext) -> None:
    """A connection that was opened while nothing could be written stays read-only for ever: drop it.

    Else the service would stay busy after its database can be written again.
    """
    error = context.original_exception
    sqlite = getattr(error, "sqlite_errorcode", 0) & _PRIMARY == sqlite3.SQLITE_READONLY
    if sqlite or getattr(error, "sqlstate", None) == _READ_ONLY_TRANSACTION:
        context.is_disconnect = True


def _configure_sqlite(connection: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's types
    connection.isolation_level = None  # transactions begin where we say so
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """One transaction, alone among writers: committed at the end, undone by any exception."""
    postgresql = engine.dialect.name == "postgresql"
    with ExitStack() as stack:
        if not postgresql:
            # SQLite lets whoever comes second sleep for up to 100 ms; threads of one process need not.
            stack.enter_context(_turns.setdefault(engine, threading.Lock()))
        connection = stack.enter_context(engine.begin())
        if postgresql:
            connection.execute(_TAKE_TURN, {"number": _WRITERS})
        yield connection


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """One consistent view; nothing is changed."""
    with engine.connect() as plain:
        options: dict[str, Any] = {_READ_ONLY: True}
        if engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"
        connection = plain.execution_options(**options)
        with connection.begin() as transaction:
            yield connection
            transaction.rollback()


def forget(engine: Engine, table: str) -> None:
    """Make deleted rows of a table unreadable in the database's own files, as far as it can.

    SQLite overwrites them (secure_delete) and its write-ahead log is emptied;
    PostgreSQL frees them for reuse. Backups and the disk below are the operator's.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM {connection.dialect.identifier_preparer.quote(table)}")
        return
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        raw.close()


def install(app: FastAPI) -> None:
    """Answer a database that is full, read-only or away with 503: nothing was changed, try again later."""

    @app.exception_handler(DBAPIError)
    async def _unavailable(_request: Request, error: DBAPIError) -> Response:
        log_exception("database failed", error)
        return problem(503, "busy", "The service is busy.", headers={"Retry-After": "30"})


def migrate(engine: Engine, service: str, revision: str = "head") -> None:
    """Bring the database of `service` to a revision (forward only), in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS / service))
    config.set_main_option("path_separator", "os")
    with write(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
