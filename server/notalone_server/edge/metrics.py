"""Prometheus metrics without content, and the second port where operators read them.

Owns counters, gauges, health and readiness. Refuses labels: what could tell one
reporter from another has no place here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from fastapi import FastAPI, Response

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Named numbers of one service; names are fixed at start, so that no data can become one."""

    def __init__(self, service: str, counters: tuple[str, ...], gauges: tuple[str, ...] = ()) -> None:
        self._prefix = f"notalone_{service}_"
        self._counters = dict.fromkeys(("failures_total", *counters), 0)
        self._gauges = dict.fromkeys(gauges, 0.0)
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        """One more. Raises KeyError for an unknown name."""
        with self._lock:
            self._counters[name] += 1

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
    app = FastAPI(openapi_url=None)

    @app.get("/health")
    def health() -> Response:
        return Response("ok\n", media_type=TEXT)

    @app.get("/ready")
    def readiness() -> Response:
        try:
            good = ready()
        except Exception:  # noqa: BLE001 - whatever it is, the service is not ready
            good = False
        return Response("ready\n" if good else "not ready\n", 200 if good else 503, media_type=TEXT)

    @app.get("/metrics")
    def metrics_page() -> Response:
        return Response(metrics.render(), media_type=TEXT)

    return app
