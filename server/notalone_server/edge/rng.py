"""The system's randomness. Owns the one place where a service draws it; everybody else takes an argument."""

from __future__ import annotations

import os


def system_randomness(length: int) -> bytes:
    """`length` fresh bytes from the operating system."""
    return os.urandom(length)
