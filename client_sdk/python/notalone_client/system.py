"""The device's clock and randomness. Owns the one place that reads them; all else takes them as arguments."""

from __future__ import annotations

import os
import time


def system_clock() -> int:
    """Seconds since 1970."""
    return int(time.time())  # noqa: TID251 - the client's edge


def system_randomness(length: int) -> bytes:
    """`length` fresh bytes from the operating system."""
    return os.urandom(length)  # noqa: TID251 - the client's edge
