"""Where the time of one filing goes: the same services and databases in this process, step by step.

Owns the stopwatch around named functions; each step's time is its own, without
that of the steps inside it. Refuses HTTP: what it costs is the difference to
the times of the processes (over_http.py). Processor time of this thread, so
that waiting for disks and neighbours shows in the other column only.

It also says how the cost grows with what is stored: the same number of filings
in one batch of the same make-up for every N, which processes that run freely
do not give; once timed, and once with every multiplication counted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.engine.base import Connection
from sqlalchemy.engine.default import DefaultDialect
from tests.bench import counting
from tests.bench.machine import measure_unit
from tests.bench.parties import Parties
from tests.bench.people import Ready

from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol import accept, batch, evaluate, persist, record, release, rounds
from notalone_crypto.protocol.state import Phase
from notalone_server.board.service import BoardService
from notalone_server.trustee.service import TrusteeService
from notalone_server.trustee.store import SqlStore

_OUTER: Final = (
    (BoardService, "submit_filing", "filing"), (BoardService, "post", "trustees' posts"),
    (BoardService, "post_inclusions", "trustees' posts"),
    (BoardService, "post_cosignature", "trustees' posts"),
    (BoardService, "read_feed", "feed"), (BoardService, "log_update", "feed"), (BoardService, "tick", "plan"),
    (TrusteeService, "poll", "one trustee"),
)  # fmt: skip
_STEPS: Final = (
    (accept, "verify_statements", "check the filing's proof"), (accept, "open_bundle", "open the bundle"),
    (accept, "accept", "commit to subset values"), (accept, "check_acceptance", "check acceptances"),
    (batch, "prepare", "derive masks and zero shares"), (batch, "queue_releases", "finder, due releases"),
    (rounds, "make_round_one", "round 1 make"), (rounds, "check_round_one", "round 1 verify"),
    (rounds, "combine_round_one", "round 1 combine"), (rounds, "make_round_two", "round 2 make"),
    (rounds, "check_round_two", "round 2 verify"), (rounds, "combine_round_two", "round 2 combine"),
    (record, "make_record", "record"), (release, "seal_batch", "release blobs"),
    (evaluate, "_decoded", "decode"),
    (signing, "verify", "check signatures"), (signing.SigningKey, "sign", "sign"),
    (hpke, "seal", "seal and open (HPKE)"), (hpke, "open_sealed", "seal and open (HPKE)"),
    (persist, "dump", "encode the state"), (SqlStore, "save", "find, seal and write what changed"),
    (Connection, "execute", "SQL statements"), (DefaultDialect, "do_commit", "commit, durable"),
)  # fmt: skip


@dataclass(slots=True)
class Step:
    """Sums of one step of one party."""

    wall: float = 0.0
    cpu: float = 0.0
    calls: int = 0


@dataclass(slots=True)
class _Stopwatch:
    """Exclusive times by (party's work, step)."""

    found: defaultdict[tuple[str, str], Step] = field(default_factory=lambda: defaultdict(Step))
    _open: list[tuple[str, str]] = field(default_factory=list)
    _last: tuple[float, float] = (0.0, 0.0)

    def _switch(self) -> None:
        """Book what passed since the last change on the step that was open."""
        now = (time.perf_counter(), time.thread_time())
        if self._open:
            step = self.found[self._open[-1]]
            step.wall += now[0] - self._last[0]
            step.cpu += now[1] - self._last[1]
        self._last = now

    def timed(self, original: Callable[..., Any], label: str, *, outer: bool) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if not outer and not self._open:
                return original(*arguments, **named)
            self._switch()
            party = label if outer else self._open[-1][0]
            self._open.append((party, "the rest") if outer else (party, label))
            self.found[self._open[-1]].calls += 1
            try:
                return original(*arguments, **named)
            finally:
                self._switch()
                self._open.pop()

        return wrapped


@contextmanager
def _watching() -> Iterator[_Stopwatch]:
    watch = _Stopwatch()
    saved = []
    every = [(*one, True) for one in _OUTER] + [(*one, False) for one in _STEPS]
    for owner, name, label, outer in every:
        original = getattr(owner, name)
        saved.append((owner, name, original))
        setattr(owner, name, watch.timed(original, label, outer=outer))
    decode = Message.__dict__["decode"]
    timed = watch.timed(decode.__func__, "decode", outer=False)
    Message.decode = classmethod(timed)  # type: ignore[assignment,method-assign]
    try:
        yield watch
    finally:
        Message.decode = decode  # type: ignore[method-assign]
        for owner, name, original in saved:
            setattr(owner, name, original)


Steps = dict[tuple[str, str], Step]


@dataclass(frozen=True, slots=True)
class Profile:
    """What one filing costs among as many; "one trustee" is the mean of all."""

    steps: Steps  # (party, step) -> times for one filing
    multiplications: float  # of one trustee for one filing, with those by the generator
    unit: float  # seconds of one multiplication, the mean of many measurements in between

    @property
    def trustee_cpu(self) -> float:
        """One trustee's processor time for one filing, in multiplications of the same minute."""
        return sum(step.cpu for (party, _), step in self.steps.items() if party == "one trustee") / self.unit


def profile(parties: Parties, timed: Sequence[Ready], counted: Sequence[Ready]) -> Profile:
    """These filings, each group from arrival to closed batch. The processes must be stopped."""
    board = parties.open_board()
    trustees = {index: service for index, (service, _) in parties.open_trustees(board).items()}
    parties.settle(board, trustees)
    for _ in range(2):  # the first batch after a start builds the finders anew
        _run_batch(parties, board, trustees)
    units: list[float] = []  # one alone takes 6 ms: on a shared host it wanders by half

    def measure() -> None:
        units.append(measure_unit().variable)

    with _watching() as watch:
        _file(parties, board, trustees, timed, measure)
    unit = sum(units) / len(units)
    with counting.counted() as counts:
        _file(parties, board, trustees, counted)
    share = {"one trustee": len(timed) * len(trustees)}
    steps = {
        key: Step(*(value / share.get(key[0], len(timed)) for value in (step.wall, step.cpu)), step.calls)
        for key, step in watch.found.items()
    }
    # The board multiplies nothing: what is counted is the trustees' work.
    return Profile(steps, counts.multiplications / len(counted) / len(trustees), unit)


def _file(
    parties: Parties,
    board: BoardService,
    trustees: dict[int, TrusteeService],
    ready: Sequence[Ready],
    between: Callable[[], None] = lambda: None,
) -> None:
    scope = parties.network.prepared.policy.scope
    for one in ready:
        board.submit_filing(one.sealed.data, scope)
        for service in trustees.values():
            service.poll(scope)
        between()
    _run_batch(parties, board, trustees, between)


def _run_batch(
    parties: Parties,
    board: BoardService,
    trustees: dict[int, TrusteeService],
    between: Callable[[], None] = lambda: None,
) -> None:
    scope = parties.network.prepared.policy.scope
    parties.settle(board, trustees)
    before = board.scope_record(scope).number
    while board.scope_record(scope).number == before:
        board.tick()
        moved = sum(one.poll(scope) for one in trustees.values())
        if not moved and all(one.status(scope) == Phase.IDLE for one in trustees.values()):
            time.sleep(0.1)  # the batch is not due yet
        between()
    parties.settle(board, trustees)


def rows(database: str, entries: int, found: Steps) -> list[tuple[str, ...]]:
    """For a table: the longest steps of each party's work first, those below 0.05 ms left out."""
    made = []
    for party in dict.fromkeys(key[0] for key in sorted(found)):
        steps = {name: step for (owner, name), step in found.items() if owner == party}
        for name, step in sorted(steps.items(), key=lambda one: -one[1].wall):
            if step.wall >= 5e-5:
                made.append(
                    (
                        f"{party}: {name}",
                        database,
                        f"{entries:,}",
                        f"{step.cpu * 1e3:,.2f}",
                        f"{step.wall * 1e3:,.2f}",
                    )
                )
        cpu, wall = (sum(getattr(step, name) for step in steps.values()) for name in ("cpu", "wall"))
        made.append((f"{party}: ALL", database, f"{entries:,}", f"{cpu * 1e3:,.2f}", f"{wall * 1e3:,.2f}"))
    return made
