"""The service on its database: one change at a time, on what is really stored.

Owns turns, retries and what a failure in the middle means: memory no longer
counts. Refuses to know rules (service.py) and SQL (store.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from notalone_crypto.errors import NotAloneError
from notalone_server.issuer.ports import DurableStore, StateChanged
from notalone_server.issuer.service import IssuerService

T = TypeVar("T")
ATTEMPTS: Final = 8


@dataclass(slots=True)
class LiveIssuer:
    """One process's issuer."""

    service: IssuerService
    store: DurableStore
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def change(self, action: Callable[[IssuerService], T]) -> T:
        """Run `action`; again if another process was faster. A refusal has changed nothing."""
        with self._lock:
            for _ in range(ATTEMPTS):
                if self.store.is_stale():
                    self.service.state = self.store.load()
                try:
                    return action(self.service)
                except NotAloneError:
                    raise
                except StateChanged:
                    self.store.forget()
                except BaseException:
                    self.store.forget()
                    raise
        raise StateChanged
