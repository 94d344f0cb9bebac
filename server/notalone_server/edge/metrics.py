"""Prometheus metrics without content, and the second port where operators read them.

Owns counters, gauges, health and readiness. Refuses labels: what could tell one
reporter from another has no place here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from fastapi import FastAPI, Response

from notalone_server.edge import problem
from notalone_server.edge.limits import BodyLimit
from notalone_server.edge.openapi import ServiceApi, answers_text

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPERATIONS_BODY = 1024  # nothing is sent to this port; what is, is not kept
_METRICS = "# TYPE notalone_board_failures_total counter\nnotalone_board_failures_total 0\n"
_NOT_READY = {"description": "It cannot work now.", "content": {"text/plain": {"example": "not ready\n"}}}


class Metrics:
    """Named numbers of one service; names are fixed at start, so that no data can become one."""

    def __init__(self, service: str, counters: tuple[str, ...], gauges: tuple[str, ...] = ()) -> None:
        self._prefix = f"notalone_{service}_"
        self._counters = dict.fromkeys(("failures_total", *counters), 0)
        self._gauges = dict.fromkeys(gauges, 0.0)
        self._lock = threading.Lock()

    def count(self, name: str, times: int = 1) -> None:
        """One more, or several. Raises KeyError for an unknown name."""
        with self._lock:
            self._counters[name] += times

    def put(self, name: str, value: float) -> None:
        """Set a gauge. Raises KeyError for an unknown name."""
        with self._lock:
            if name not in self._gauges:
                raise KeyError(name)
            self._gauges[name] = value

    def render(self) -> str:
        """Prometheus' text format."""
        with self._lock:
            rows = [(name, "counter", float(value)) for name, value in self._counters.items()]
            rows += [(name, "gauge", value) for name, value in self._gauges.items()]
        return "".join(
            f"# TYPE {self._prefix}{name} {kind}\n{self._prefix}{name} {value:g}\n"
            for name, kind, value in rows
        )


def operations_app(metrics: Metrics, ready: Callable[[], bool]) -> FastAPI:
    """/health (the process answers), /ready (it can work: `ready` may ask the database), /metrics."""
    app = ServiceApi("NotAlone operations", "One service's own port, for its operator alone.", public=False)
    problem.install(app)
    app.add_middleware(BodyLimit, anonymous=OPERATIONS_BODY, signed=OPERATIONS_BODY)

    @app.get(
        "/health",
        tags=["operations"],
        summary="Whether the process answers",
        responses=answers_text("It does.", "ok\n"),
        response_class=Response,
    )
    def health() -> Response:
        """For whatever restarts processes: says nothing of the database."""
        return Response("ok\n", media_type=TEXT)

    @app.get(
        "/ready",
        tags=["operations"],
        summary="Whether the service can work",
        responses=answers_text("It can.", "ready\n") | {503: _NOT_READY},
        response_class=Response,
    )
    def readiness() -> Response:
        """For whatever sends requests: asks the database."""
        try:
            good = ready()
        except Exception:  # noqa: BLE001 - whatever it is, the service is not ready
            good = False
        return Response("ready\n" if good else "not ready\n", 200 if good else 503, media_type=TEXT)

    @app.get(
        "/metrics",
        tags=["operations"],
        summary="Counters without labels",
        responses=answers_text("Prometheus' text format.", _METRICS),
        response_class=Response,
    )
    def metrics_page() -> Response:
        """How often things happened; never who, what or where."""
        return Response(metrics.render(), media_type=TEXT)

    return app
