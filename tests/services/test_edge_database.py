"""A service whose database was read-only for a while writes again through the engine that it has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError
from tests.support import postgres, read_only

from notalone_server.edge import database


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        made = database.open_engine(f"sqlite:///{tmp_path}/some.sqlite")
        yield made
        made.dispose()
        return
    with postgres.server() as cluster:
        made = database.open_engine(postgres.new_database(cluster))
        yield made
        made.dispose()


def fault(engine: Engine) -> AbstractContextManager[None]:
    if engine.dialect.name == "sqlite":
        return read_only.files(Path(str(engine.url.database)))
    return read_only.server(make_url(engine.url).render_as_string(hide_password=False))


def test_connections_made_while_nothing_could_be_written_are_not_kept(engine: Engine) -> None:
    """HTTP-20. SQLite opens a file for reading when it may not write, and a session keeps its setting."""

    def insert() -> None:
        with database.write(engine) as connection:
            connection.execute(text("INSERT INTO kept VALUES (1)"))

    def count() -> int:
        with database.read(engine) as connection:
            return int(connection.execute(text("SELECT count(*) FROM kept")).scalar_one())

    with database.write(engine) as connection:
        connection.execute(text("CREATE TABLE kept (number INTEGER)"))
    insert()
    with fault(engine):
        with engine.connect() as old, engine.connect() as young:  # one from before, one from now
            assert old is not young
        for _ in range(3):
            with pytest.raises(DBAPIError):
                insert()
            assert count() == 1
    for expected in (2, 3, 4):
        insert()
        assert count() == expected


def test_an_idle_connection_that_the_server_ended_is_replaced_unseen() -> None:
    """Nobody is told that a database server was restarted while nobody asked."""
    with postgres.server() as cluster:
        url = postgres.new_database(cluster)
        engine, other = database.open_engine(url), database.open_engine(url)
        with database.read(engine) as connection:
            first = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with database.write(other) as connection:
            connection.execute(text("SELECT pg_terminate_backend(:number)"), {"number": first})
        time.sleep(1.1)
        with database.read(engine) as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != first
        engine.dispose()
        other.dispose()
