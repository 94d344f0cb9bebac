"""Databases of trustees in tests: empty ones, one that a story filled, and stores that check themselves."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support import postgres
from tests.support.stories import Story

from notalone_demo.simulation.deployment import Deployment
from notalone_demo.simulation.network import Faults, Killed
from notalone_server.edge import database
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee.memory import Memory, whole
from notalone_server.trustee.service import TrusteeService
from notalone_server.trustee.store import SqlStore

KEY = bytes(range(32))
OPEN: list[sa.Engine] = []


@dataclass
class Backend:
    """Where databases come from: files, or one PostgreSQL server."""

    folder: Path
    cluster: str = ""
    made: int = 0

    def new(self) -> str:
        self.made += 1
        if self.cluster:
            return postgres.new_database(self.cluster)
        return f"sqlite:///{self.folder}/{self.made}.db"

    def copy(self, url: str) -> str:
        """Another database with the same content; nobody is connected to the first."""
        if not self.cluster:
            other = self.new()
            shutil.copy(sa.make_url(url).database or "", sa.make_url(other).database or "")
            return other
        name = f"copy_{self.made}_{random.randrange(1 << 40)}"
        engine = sa.create_engine(self.cluster, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {sa.make_url(url).database}"))
        engine.dispose()
        return sa.make_url(self.cluster).set(database=name).render_as_string(hide_password=False)


def open_store(url: str = "sqlite://", key: bytes = KEY) -> SqlStore:
    engine = database.open_engine(url)
    OPEN.append(engine)
    database.migrate(engine, "trustee")
    return SqlStore(engine, key, system_randomness)


class Checked:
    """The real store; after every save a second one reads it all back. May die before or after a save."""

    def __init__(self, url: str = "sqlite://", faults: Faults | None = None) -> None:
        self.store = open_store(url)
        self.faults = faults or Faults()
        self.saves = 0
        self.written: list[int] = []

    def load(self) -> Memory | None:
        return self.store.load()

    def save(self, memory: Memory) -> None:
        if self.faults.strikes(self.faults.kill):
            raise Killed
        self.store.save(memory)
        self.saves += 1
        second = SqlStore(self.store.engine, KEY, system_randomness).load()
        assert second is not None
        assert whole(second) == whole(memory)
        if self.faults.strikes(self.faults.kill):
            raise Killed


def with_sql(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Checked]) -> dict[int, Checked]:
    """The simulation on real databases."""
    made: dict[int, Checked] = {}

    def start(self: Deployment, index: int) -> None:
        stored = made.setdefault(index, make())
        self.trustees[index] = TrusteeService(
            self.committee, self.secrets[index], self.links[index], stored, self.clock, self.randomness,
            frozenset({self.policy.fingerprint}),
        )  # fmt: skip

    monkeypatch.setattr(Deployment, "start_trustee", start)
    return made


def tell(story: Story) -> None:
    story.file(0, {1: 0}, 2, peers=True)
    story.file(1, {1: 0}, 2, peers=True)
    story.file(2, {1: 1}, 3)
    story.batch()
    story.withdraw(2)
    story.file(3, {1: 0}, 2)
    story.batch()


def change(url: str, statement: str) -> None:
    engine = database.open_engine(url)
    words = (
        {
            "ROW": "ctid",
            "ZEROS_32": "decode(repeat('00', 32), 'hex')",
            "ZEROS": "decode(repeat('00', length(body)), 'hex')",
        }
        if engine.dialect.name == "postgresql"
        else {"ROW": "rowid", "ZEROS_32": "zeroblob(32)", "ZEROS": "zeroblob(length(body))"}
    )
    for word, meaning in words.items():
        statement = statement.replace(word, meaning)
    with database.write(engine) as connection:
        assert connection.exec_driver_sql(statement).rowcount > 0
    engine.dispose()
