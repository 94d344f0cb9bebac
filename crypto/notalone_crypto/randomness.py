"""Randomness as an argument: the type, and helpers that draw from it.

Owns the shape of a randomness source. Refuses to know where bytes come from:
services pass the operating system's, tests and vectors a seeded stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from notalone_crypto.primitives.group import ORDER

Randomness = Callable[[int], bytes]
"""`randomness(length)` returns that many fresh, uniform, independent bytes."""


def random_scalar(randomness: Randomness) -> int:
    """Uniform scalar in [1, q) (64 bytes reduced; zero is drawn again)."""
    while True:
        scalar = int.from_bytes(randomness(64), "little") % ORDER
        if scalar:
            return scalar


class SeededStream:
    """Deterministic stream for vectors, tests and the demo: never for real filings."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._counter = 0

    def __call__(self, length: int) -> bytes:
        """The next `length` bytes of the stream."""
        block = hashlib.shake_256(self._seed + self._counter.to_bytes(8, "big")).digest(length)
        self._counter += 1
        return block
