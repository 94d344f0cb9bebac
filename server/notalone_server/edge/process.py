"""Running a service: two ports, background work, graceful stop.

Owns uvicorn's settings (no access log, no server header) and threads. Refuses
to know what is served.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp

from notalone_crypto.errors import Code, Fault, Misuse
from notalone_server.edge.redaction import log, log_exception

GRACE_SECONDS = 10
_POLL_SECONDS = 0.02
MAX_CONNECTIONS = 512  # each may hold one body in memory
SWITCH_SECONDS = 0.0005


@dataclass(slots=True)
class Periodic:
    """Calls `action` every `seconds` on its own thread; a failure is logged and tried again.

    What gave True may soon have more to do: the next pause is `soonest`, and each one after it twice as
    long, up to `seconds` again.
    """

    name: str
    seconds: float
    action: Callable[[], object]
    niceness: int = 0  # 1 to 19: work that nobody waits for lets what somebody waits for go first
    soonest: float | None = None
    _stop: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)

    def start(self) -> None:
        """Begin; the first call is at once."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """No further call; the one in progress goes on."""
        self._stop.set()

    def stop(self) -> None:
        """End after the call in progress."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(GRACE_SECONDS)

    def _run(self) -> None:
        if self.niceness:
            _give_way(self.niceness)
        pause = self.seconds
        while True:
            pause = min(2 * pause, self.seconds)
            try:
                if self.action() is True and self.soonest is not None:
                    pause = min(self.soonest, self.seconds)
            except Exception as error:  # noqa: BLE001 - background work goes on
                log_exception("background work failed", error)
            if self._stop.wait(pause):
                return


def _give_way(niceness: int) -> None:
    """This thread alone: it interrupts nobody and gets less of a busy processor, if the system can."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # a sandbox may forbid it; the work is the same
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, thread, niceness)


def _server(app: ASGIApp, host: str, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            loop="uvloop",
            http="h11",  # bounds a request's head; uvicorn's faster parser does not
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


def serve(
    app: ASGIApp,
    address: tuple[str, int],
    operations: ASGIApp,
    operations_address: tuple[str, int],
    work: Sequence[Periodic] = (),
) -> None:
    """Serve until SIGTERM or SIGINT; then finish open requests and the work in progress.

    Raises: Misuse (caller.misuse, the operator's fault) when a port is taken.
    """
    # Whoever waits for a disk gets the interpreter back soon: a long answer to a machine is not in a hurry.
    sys.setswitchinterval(SWITCH_SECONDS)
    second = _server(operations, *operations_address)
    thread = threading.Thread(target=_serve_second, args=(second,), name="operations", daemon=True)
    thread.start()
    try:
        _wait_for(second, thread, operations_address)
        log().info("started", port=address[1], operations_port=operations_address[1])
        _serve_first(_server(app, *address), address, work)
    finally:
        second.should_exit = True
        thread.join(GRACE_SECONDS)


def serve_operations(operations: ASGIApp, address: tuple[str, int], work: Sequence[Periodic]) -> None:
    """For a service that nobody calls: the operator's port and the work, until SIGTERM or SIGINT.

    Raises: Misuse (caller.misuse, the operator's fault) when the port is taken.
    """
    log().info("started", operations_port=address[1])
    _serve_first(_server(operations, *address), address, work)


def _serve_first(server: uvicorn.Server, address: tuple[str, int], work: Sequence[Periodic]) -> None:
    """Run on the main thread, with the work beside it, whichever instant a signal comes in."""
    _stop_on_signals(server)
    gc.collect()
    gc.freeze()  # what stays until the end is not looked through again: that holds up everybody
    for one in work:
        one.start()
    try:
        server.run()
    except SystemExit as error:  # uvicorn's word for a port that it cannot have; its own log is silenced
        raise _taken(address) from error
    finally:
        for one in work:
            one.ask_to_stop()
        for one in work:
            one.stop()
        log().info("stopped")


def _stop_on_signals(server: uvicorn.Server) -> None:
    """A signal asks the server to stop: also before uvicorn listens for signals, and after.

    Uvicorn raises the signal that stopped it again: the default handler would then end the process
    before the work in progress has ended.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(server, "should_exit", True))


def _serve_second(server: uvicorn.Server) -> None:
    with contextlib.suppress(SystemExit):  # told to the operator by _wait_for
        server.run()


def _wait_for(server: uvicorn.Server, thread: threading.Thread, address: tuple[str, int]) -> None:
    """A service whose health nobody can ask for does not start."""
    while not server.started:
        thread.join(_POLL_SECONDS)
        if not thread.is_alive() and not server.started:
            raise _taken(address)


def _taken(address: tuple[str, int]) -> Misuse:
    return Misuse(
        Code.MISUSE, f"cannot listen on {address[0]} port {address[1]}: is it taken?", fault=Fault.OPERATOR
    )
