"""The system's clock. Owns the one place where a service reads it; everybody else takes an argument."""

from __future__ import annotations

import time


def system_clock() -> int:
    """Seconds since 1970."""
    return int(time.time())
