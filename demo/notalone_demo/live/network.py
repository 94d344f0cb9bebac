"""The processes: start, kill, start again, wait until they are ready, stop.

Owns process handles and log files. Refuses to know what is in settings
(operators.py) or in a report. Everything is on loopback.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from notalone_crypto.errors import Code, StateConflict
from notalone_demo.live.operators import Party, Prepared, Wishes, children_environment, prepare
from notalone_demo.reports_file import ScopeInput

PATIENCE: Final = 90.0  # seconds; a busy machine starts five processes in ten
_PAUSE: Final = 0.05
_GRACE: Final = 20.0
PROGRAM: Final = ("-m", "notalone_demo.cli")


class LiveError(StateConflict):
    """A process that did not do its part in time; the text names its log file."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.BATCH_OPEN, detail)


def until(
    condition: Callable[[], bool], what: str, patience: float = PATIENCE, pause: float = _PAUSE
) -> None:
    """Wait for `condition`. Raises LiveError."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise LiveError(f"{what} did not happen within {patience:.0f} s")
        time.sleep(pause)


@dataclass(slots=True)
class Process:
    """One service as its operator runs it: `notalone <command> run --config FILE`."""

    party: Party
    log: Path
    program: Sequence[str] = PROGRAM
    extra: Mapping[str, str] = field(default_factory=dict)  # added to its environment
    starts: int = 0
    _handle: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again if need be; does not wait."""
        arguments = [self.party.command, "run", "--config", str(self.party.config)]
        with self.log.open("ab") as log:
            self._handle = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, *self.program, *arguments],
                env={**children_environment(self.log.parent), **self.extra},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.starts += 1

    @property
    def pid(self) -> int:
        """Of the process that runs. Raises LiveError when none does."""
        if self._handle is None or self._handle.poll() is not None:
            raise LiveError(f"{self.party.name} does not run: see {self.log}")
        return self._handle.pid

    def kill(self) -> None:
        """SIGKILL: no chance to end anything in order."""
        if self._handle is not None:
            self._handle.kill()
            self._handle.wait(_GRACE)
            self._handle = None

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self._handle is not None:
            self._handle.terminate()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not end."""
        if self._handle is not None:
            self.ask_to_stop()
            try:
                self._handle.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self.kill()
            self._handle = None

    def is_ready(self, client: httpx.Client) -> bool:
        """Whether it says so itself. Raises LiveError when it ended."""
        if self._handle is None:
            return False
        if self._handle.poll() is not None:
            raise LiveError(f"{self.party.name} ended with code {self._handle.returncode}: see {self.log}")
        try:
            return client.get(f"{self.party.operations}/ready").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def metric(self, client: httpx.Client, name: str) -> float:
        """One of its counters; 0 while it does not answer."""
        try:
            lines = client.get(f"{self.party.operations}/metrics").text.splitlines()
        except httpx.HTTPError:
            return 0.0
        wanted = f"notalone_{self.party.command}_{name} "
        return next((float(line.split()[-1]) for line in lines if line.startswith(wanted)), 0.0)


@dataclass(slots=True)
class Network:
    """Board, issuer and trustees of one committee. Use it as a context manager."""

    folder: Path
    scope: ScopeInput
    batch_seconds: int
    told: Callable[[str], None]
    wishes: Wishes = field(default_factory=Wishes)
    program: Sequence[str] = PROGRAM
    extras: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # a party's name -> environment
    prepared: Prepared = field(init=False)
    processes: dict[str, Process] = field(init=False, default_factory=dict)
    _http: httpx.Client = field(init=False, repr=False)

    def __enter__(self) -> Self:
        """Ceremony, settings, all processes; returns once the scope's rules are in force."""
        self._http = httpx.Client(timeout=5, trust_env=False)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self.prepared = prepare(self.folder, self.scope, self.batch_seconds, self.told, self.wishes)
            parties = (self.prepared.board, self.prepared.issuer, *self.prepared.trustees)
            self.told(f"{len(parties)} processes start: {', '.join(one.name for one in parties)}")
            self.processes = {
                one.name: Process(
                    one, self.folder / f"{one.name}.log", self.program, self.extras.get(one.name, {})
                )
                for one in parties
            }
            for process in self.processes.values():
                process.start()
                if process.party is self.prepared.board:  # who starts without it only waits for it
                    self.wait_ready(parties[:1])
            self.wait_ready(parties)
            until(self.is_active, "the cosigning of the rules by a quorum of trustees")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.close()

    def close(self) -> None:
        """Stop every process, all at the same time."""
        for process in self.processes.values():
            process.ask_to_stop()
        for process in self.processes.values():
            process.stop()
        self._http.close()

    def wait_ready(self, parties: Sequence[Party]) -> None:
        """Until their processes say that they work. Raises LiveError."""
        for process in [self.processes[one.name] for one in parties]:
            until(partial(process.is_ready, self._http), f"{process.party.name}'s start ({process.log})")

    def is_active(self) -> bool:
        """Whether a quorum of trustees cosigned the log that holds the scope's rules."""
        address = f"{self.prepared.board.address}/v1/scopes/{self.prepared.policy.scope.hex()}"
        try:
            return bool(self._http.get(address).json().get("active"))
        except (httpx.HTTPError, ValueError):
            return False

    def metric(self, party: str, name: str) -> float:
        """A counter of one process."""
        return self.processes[party].metric(self._http, name)
