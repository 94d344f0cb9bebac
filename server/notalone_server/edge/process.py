"""Running a service: two ports, background work, graceful stop.

Owns uvicorn's settings (no access log, no server header) and threads. Refuses
to know what is served.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp

from notalone_server.edge.redaction import log, log_exception

GRACE_SECONDS = 10
MAX_CONNECTIONS = 512  # each may hold one body in memory


@dataclass(slots=True)
class Periodic:
    """Calls `action` every `seconds` on its own thread; a failure is logged and tried again."""

    name: str
    seconds: float
    action: Callable[[], object]
    _stop: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)

    def start(self) -> None:
        """Begin; the first call is at once."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the call in progress."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(GRACE_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                self.action()
            except Exception as error:  # noqa: BLE001 - background work goes on
                log_exception("background work failed", error)
            if self._stop.wait(self.seconds):
                return


def _outlive_signals() -> None:
    """Uvicorn raises the signal that stopped it again: the process would die before our `finally`."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)


def _server(app: ASGIApp, host: str, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
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
    """Serve until SIGTERM or SIGINT; then finish open requests and the work in progress."""
    second = _server(operations, *operations_address)
    thread = threading.Thread(target=second.run, name="operations", daemon=True)
    thread.start()
    for one in work:
        one.start()
    log().info("started", port=address[1], operations_port=operations_address[1])
    # uvicorn stops gracefully, then raises the signal again: the default handler would end the
    # process there, before the work in progress has ended.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    try:
        _server(app, *address).run()
    finally:
        for one in work:
            one.stop()
        second.should_exit = True
        thread.join(GRACE_SECONDS)
        log().info("stopped")


def serve_operations(operations: ASGIApp, address: tuple[str, int], work: Sequence[Periodic]) -> None:
    """For a service that nobody calls: the operator's port and the work, until SIGTERM or SIGINT."""
    for one in work:
        one.start()
    log().info("started", operations_port=address[1])
    _outlive_signals()
    try:
        _server(operations, *address).run()
    finally:
        for one in work:
            one.stop()
        log().info("stopped")
