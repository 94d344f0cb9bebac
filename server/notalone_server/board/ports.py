"""What the board needs from outside: a clock and durable storage of its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Clock = Callable[[], int]
"""Seconds since 1970."""


class BoardStore(Protocol):
    """Keeps the board's state; `save` returns only once it is durable."""

    def save(self, state: object) -> None:
        """Store the whole state."""
