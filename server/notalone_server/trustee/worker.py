"""The worker around the service: when to poll, what to do when something fails, what the operator is told.

Owns retries and the operator's view. Refuses to decide anything about the
protocol: a service that cannot store or fails in an unforeseen way is thrown
away and read again from its database, as after a crash.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final

from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.protocol.state import Phase
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS
from notalone_server.edge.metrics import Metrics
from notalone_server.edge.redaction import log, log_exception
from notalone_server.trustee.ports import BoardUnreachable, Clock, StoreRefused, StoreUnavailable
from notalone_server.trustee.service import TrusteeService

COUNTERS = ("polls_total", "items_total", "board_unreachable_total", "store_failures_total", "restarts_total")
GAUGES = ("halted", "seconds_since_board", "refused_items", "refused_posts")
_MAX_ROUNDS = 100


@unique
class Condition(StrEnum):
    """What the operator has to know at a glance."""

    STARTING = "starting"
    WORKING = "working"
    NO_BOARD = "no_board"
    NO_STORE = "no_store"
    FAILING = "failing"
    HALTED = "halted"


@unique
class Halt(StrEnum):
    """Why a person has to act."""

    ROLLBACK = "rollback"
    FORK = "fork"
    TRUSTEE = "trustee"
    DATABASE = "database"


# One line for whoever reads the log before the page; docs/operators.md has the whole list.
_ACTIONS: Final = {
    Halt.ROLLBACK: "keep every database; have the board restored to its newest state; then restart",
    Halt.FORK: "keep the database as evidence; compare checkpoints with the other operators",
    Halt.TRUSTEE: "call the operator of the trustee that is named; restart when all agree",
    Halt.DATABASE: "look for a second process or wrong files; otherwise treat the machine as broken into",
}
_HALTS: Final = {Code.ROLLBACK: Halt.ROLLBACK, Code.CONSISTENCY: Halt.FORK, Code.FORK: Halt.FORK}


@dataclass(frozen=True, slots=True)
class ScopeView:
    """One scope on the status page: nothing in it is about a person."""

    name: str
    batches: int
    phase: str
    active: bool
    missing: tuple[int, ...] = ()  # trustees for whose message the batch waits
    ahead: int = 0  # the last batch's time, if that is still to come by this clock
    untimely: bool = False  # a plan is here whose time does not fit this clock


@dataclass(slots=True)
class Worker:
    """Polls every scope; safe to ask for its condition from another thread."""

    build: Callable[[], TrusteeService]
    scopes: Sequence[tuple[str, bytes]]  # name and 32-byte identifier
    clock: Clock
    metrics: Metrics
    longest_wait: int = 64
    close: Callable[[], None] = lambda: None  # the connections, when the work has ended
    condition: Condition = field(init=False, default=Condition.STARTING)
    detail: str = field(init=False, default="")
    halt: Halt | None = field(init=False, default=None)
    last_contact: int = field(init=False, default=0)
    views: tuple[ScopeView, ...] = field(init=False, default=())
    _service: TrusteeService | None = field(init=False, default=None)
    _failures: int = field(init=False, default=0)
    _skip: int = field(init=False, default=0)
    _stopping: threading.Event = field(init=False, default_factory=threading.Event)

    def stop(self) -> None:
        """End after the item in progress; what is stored is whole at any time."""
        self._stopping.set()

    def step(self) -> bool:
        """Poll until nothing moves, unless the last failures ask for a pause; whether a batch moved.

        The others answer what was posted then: it is worth asking soon. Between batches it is not, and
        would hold up people who file.
        """
        if self._skip > 0:
            self._skip -= 1
            return False
        if self.condition == Condition.HALTED:
            return False
        try:
            return self._work()
        except BoardUnreachable as error:
            self._failed(Condition.NO_BOARD, str(error) or "no answer", "board_unreachable_total")
        except StoreUnavailable as error:
            self._service = None  # its memory is ahead of the database
            self._failed(Condition.NO_STORE, str(error), "store_failures_total")
        except StoreRefused as error:
            self._service = None
            self._halt(str(error), Halt.DATABASE)
        except Exception as error:  # noqa: BLE001 - as after a crash: read again what is stored
            self._service = None
            log_exception("poll failed", error)
            told = str(error) if isinstance(error, NotAloneError) else type(error).__name__
            self._failed(Condition.FAILING, told, "restarts_total")
        return False

    @property
    def is_ready(self) -> bool:
        """Whether the last poll reached the board and stored what it learned."""
        return self.condition == Condition.WORKING

    def _work(self) -> bool:
        service = self._service
        if service is None:
            service = self._service = self.build()
        any_moved = False
        for _ in range(_MAX_ROUNDS):
            moved = 0
            for _, scope in self.scopes:
                if self._stopping.is_set():
                    return False
                moved += service.poll(scope)
                self.metrics.count("polls_total")
                if service.halted:
                    self._look(service)
                    code = service.halted.split(":", 1)[0]
                    self._halt(service.halted, _HALTS.get(code, Halt.TRUSTEE))  # type: ignore[call-overload]
                    return False
            self.metrics.count("items_total", moved)
            self._reached(service)
            if not moved:
                break
            any_moved = True
        return any_moved and any(one.phase != Phase.IDLE for one in self.views)

    def _reached(self, service: TrusteeService) -> None:
        self._failures, self.detail = 0, ""
        if self.condition != Condition.WORKING:
            log().info("working")
        self.condition, self.last_contact = Condition.WORKING, self.clock()
        self._look(service)

    def _look(self, service: TrusteeService) -> None:
        found = []
        for name, scope in self.scopes:
            state = service.machine.state.scopes.get(scope)
            if state is None:
                found.append(ScopeView(name, 0, "idle", active=False))
                continue
            ahead = state.opened_at > self.clock() + CLOCK_TOLERANCE_SECONDS
            found.append(
                ScopeView(
                    name,
                    state.number,
                    state.phase.value,
                    active=True,
                    missing=service.machine.missing(scope),
                    ahead=state.opened_at if ahead else 0,
                    untimely=service.has_untimely_plan(scope),
                )
            )
        self.views = tuple(found)
        self.metrics.put("refused_items", len(service.durable.refusals))
        self.metrics.put("refused_posts", getattr(service.board, "refused_posts", 0))

    def _failed(self, condition: Condition, detail: str, counter: str) -> None:
        if self.condition != condition:
            log().warning("cannot work", kind=condition.value)
        self.condition, self.detail = condition, detail
        self.metrics.count(counter)
        self._failures += 1
        self._skip = min(2 ** min(self._failures, 16), self.longest_wait) - 1

    def _halt(self, reason: str, halt: Halt) -> None:
        self.condition, self.detail, self.halt = Condition.HALTED, reason, halt
        self.metrics.put("halted", 1)
        log().error("halted", kind=halt.value, code=reason.split(":", 1)[0][:40], action=_ACTIONS[halt])
