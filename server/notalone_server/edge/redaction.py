"""Logs that cannot name anybody: only listed events with listed fields leave the process.

Owns what may be logged (specs/40-http-api.md#logs). Refuses by default: an unknown
field is dropped, an exception is reduced to its type and where it happened,
because messages of libraries quote the data they failed on.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notalone_server.edge.metrics import Metrics
from notalone_server.edge.problem import problem

# Names of fields whose values are ours: counts, our own codes, settings of the operator.
ALLOWED: Final = frozenset(
    {
        "event", "level", "timestamp", "service", "version", "code", "kind", "count", "batch", "trustee",
        "phase", "port", "operations_port", "seconds", "size", "error", "where", "action",
    }
)  # fmt: skip
_MAX_TEXT: Final = 300


def _only_allowed(
    _logger: object,
    _name: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in event.items():
        if name in ALLOWED and isinstance(value, str | int | float | bool):
            kept[name] = value[:_MAX_TEXT] if isinstance(value, str) else value
    return kept


class _Lines:
    """Standard error, whatever it is at the time.

    A disk that is full refuses log lines, too: the line is lost then, and neither the request nor
    the background work that wanted to write it.
    """

    def msg(self, message: str) -> None:
        """One line."""
        with suppress(OSError):
            print(message, file=sys.stderr, flush=True)  # noqa: T201 - this is the log

    debug = info = warning = error = critical = log = msg


def configure(service: str) -> None:
    """JSON lines on standard error; libraries' own loggers are silenced, for they log addresses and data."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_allowed,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    root = logging.getLogger()
    root.handlers = [logging.NullHandler()]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "fastapi", "sqlalchemy", "alembic", "asyncio"):
        library = logging.getLogger(name)
        library.handlers = [logging.NullHandler()]
        library.propagate = False
    log().info("configured", service=service)


def log() -> Any:  # noqa: ANN401 - structlog's bound logger
    """The logger; call it with a fixed event name and allowed fields only."""
    return structlog.get_logger()


def log_exception(event: str, error: BaseException) -> None:
    """An exception's type and place, never its message."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-6:]))
    log().error(event, error=type(error).__name__, where=where)


class QuietErrors:
    """Outermost ASGI middleware: an unexpected failure is counted, logged without data, answered 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 - the last resort before the library would log it whole
            self.metrics.count("failures_total")
            log_exception("request failed", error)
            if not started:
                await problem(500, "internal", "The service failed.")(scope, receive, send)
