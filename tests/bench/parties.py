"""Real processes for the benchmark, and the same parties opened in this process while those are stopped.

Owns start, stop, databases and CPU time of the processes. Refuses to know what
is measured (over_http.py) and what is loaded (loader.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import httpx
from sqlalchemy import create_engine, text

from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_crypto.protocol.state import Phase
from notalone_demo.live.network import LiveError, Network, until
from notalone_demo.live.operators import Party, Wishes
from notalone_demo.reports_file import ScopeInput
from notalone_server.board import app as board_app
from notalone_server.board.routes import FEED_BYTES
from notalone_server.board.service import BoardService
from notalone_server.board.settings import load as board_settings
from notalone_server.edge.clock import system_clock
from notalone_server.edge.database import disposing
from notalone_server.trustee import app as trustee_app
from notalone_server.trustee.keyfile import KeyFile
from notalone_server.trustee.service import TrusteeService
from notalone_server.trustee.settings import read_settings

NICENESS: Final = 19  # one machine plays all parties: whoever files waits for the board, nobody for a trustee
START_PATIENCE: Final = 900.0  # a trustee reads everything it holds before it works
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MOST_POLLS: Final = 200

BENCH_SCOPE: Final = ScopeInput(
    "bench", "Bench", "FR", 64, (2, 3), ("one", "two", "three"), 2, ("Desk",)
)  # 4 slots (live/operators.py) at the two levels that every scope has


@dataclass(slots=True)
class Parties:
    """A deployment that can be stopped, opened here and started again. Use it as a context manager."""

    folder: Path
    batch_seconds: int
    databases: dict[str, str] = field(default_factory=dict)  # party -> URL; SQLite for who has none
    scope: ScopeInput = BENCH_SCOPE
    network: Network = field(init=False)

    def __enter__(self) -> Self:
        """Ceremony and start."""
        wishes = Wishes(databases=self.databases)
        self.network = Network(self.folder, self.scope, self.batch_seconds, self._told, wishes)
        self.network.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self.network.close()

    def _told(self, _: str) -> None:
        """Called between the settings and the first start, too: all look as often as by default."""
        for config in (*self.folder.glob("trustee-*/trustee.toml"), *self.folder.glob("board/board.toml")):
            text = config.read_text(encoding="utf-8")
            changed = text.replace("poll_seconds = 0.1\n", f"niceness = {NICENESS}\n")
            changed = changed.replace("tick_seconds = 0.2\n", "")
            if changed != text:
                config.write_text(changed, encoding="utf-8")

    # --- processes ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """End every process in order."""
        for process in self.network.processes.values():
            process.ask_to_stop()
        for process in self.network.processes.values():
            process.stop()

    def tidy(self) -> None:
        """What PostgreSQL does by itself minutes after many rows came, done now: they came long ago."""
        for url in self.databases.values():
            engine = create_engine(url, isolation_level="AUTOCOMMIT")
            with disposing(engine), engine.connect() as connection:
                connection.execute(text("VACUUM (ANALYZE)"))
                connection.execute(text("CHECKPOINT"))

    def start(self) -> None:
        """Start every process and wait until all work."""
        for process in self.network.processes.values():
            process.start()
        with httpx.Client(timeout=30, trust_env=False) as client:
            for process in self.network.processes.values():
                until(
                    lambda one=process: one.is_ready(client), f"{process.party.name}'s start", START_PATIENCE
                )

    def cpu(self) -> dict[str, float]:
        """Seconds of processor time that each process has used, system calls included."""
        found = {}
        for name, process in self.network.processes.items():
            handle = process._handle  # nobody else needs a process's number
            if handle is not None:
                found[name] = _seconds(handle.pid)
        for url in self.databases.values():
            if not url.startswith("sqlite"):
                found["PostgreSQL"] = _server_seconds(url)
                break
        return found

    # --- the same parties in this process ----------------------------------------------------------

    def open_board(self) -> BoardService:
        """The board's service over its own database; its process must be stopped."""
        return board_app.assemble(board_settings(self.network.prepared.board.config)).board

    def open_trustees(self, board: BoardService) -> dict[int, tuple[TrusteeService, KeyFile]]:
        """Every trustee's service over its own database, with its key file; stopped as well."""
        found = {}
        for party in self.network.prepared.trustees:
            service, own = open_trustee(party, board)
            found[own.index] = (service, own)
        return found

    def settle(self, board: BoardService, trustees: dict[int, TrusteeService]) -> None:
        """Let the trustees finish the batch in progress; no new one is planned meanwhile."""
        scope = self.network.prepared.policy.scope
        for _ in range(_MOST_POLLS):
            moved = sum(one.poll(scope) for one in trustees.values())
            idle = all(one.status(scope) == Phase.IDLE for one in trustees.values())
            if not moved and idle and board.scope_record(scope).open_batch is None:
                return
        raise LiveError("the batch in progress does not end")


@dataclass(slots=True)
class DirectBoard:
    """A trustee's port to a board in the same process."""

    board: BoardService
    index: int

    def feed(self, scope: bytes, after: int) -> tuple[FeedItem, ...]:
        """As the board's route."""
        return self.board.read_feed(f"trustee/{self.index}", scope, after, FEED_BYTES)

    def log_update(self, index: int, from_size: int) -> LogUpdate:
        """As the board's route."""
        return self.board.log_update(index, from_size)

    def post(self, trustee: int, scope: bytes, kind: FeedKind, payloads: Sequence[bytes]) -> None:
        """As the board's route."""
        self.board.post(trustee, scope, kind, payloads)

    def post_inclusions(self, scope: bytes, paths: Sequence[tuple[bytes, bytes]]) -> None:
        """As the board's route."""
        self.board.post_inclusions(scope, paths)

    def post_cosignature(self, data: bytes) -> None:
        """As the board's route."""
        self.board.post_cosignature(data)


def open_trustee(party: Party, board: BoardService) -> tuple[TrusteeService, KeyFile]:
    """One trustee's service in this process."""
    settings = read_settings(party.config)
    service = trustee_app.assemble(settings).build()
    _, own, _ = trustee_app.load_keys(settings)
    service.board = DirectBoard(board, own.index)
    service.clock = system_clock
    return service, own


def _seconds(pid: int) -> float:
    """User and system time of one process and of its children that ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    parts = stat.rpartition(")")[2].split()
    return sum(int(value) for value in parts[11:15]) / _TICKS


def _server_seconds(url: str) -> float:
    """The same for a PostgreSQL server with everything it started; 0 for one on another machine."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            folder = connection.execute(text("SHOW data_directory")).scalar_one()
        parent = int(Path(folder, "postmaster.pid").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return 0.0
    finally:
        engine.dispose()
    total = _seconds(parent)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "stat").read_text(encoding="ascii")
            except OSError:
                continue
            if line.rpartition(")")[2].split()[1] == str(parent):
                total += _seconds(int(entry.name))
    return total
