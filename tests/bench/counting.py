"""Counts group operations while a block runs, by wrapping the methods of Ristretto255."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from notalone_crypto.primitives.group import Ristretto255

# Composite methods (multi_multiply, small_combination, negate) call these and are counted through them.
_COUNTED = {
    "multiply": "variable",
    "base_multiply": "base",
    "add": "additions",
    "subtract": "additions",
    "from_uniform_bytes": "maps",
    "check_element": "checks",
}


@dataclass(slots=True)
class Counts:
    """Calls since the block began: products, products with the generator, sums, one-way maps, checks."""

    variable: int = 0
    base: int = 0
    additions: int = 0
    maps: int = 0
    checks: int = 0  # encodings validated on their own; multiplications validate their operands for free

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of both kinds."""
        return self.variable + self.base


@contextmanager
def counted() -> Iterator[Counts]:
    """Count in this process until the block ends; wrapping costs time, so never time inside it."""
    counts = Counts()
    originals = {name: getattr(Ristretto255, name) for name in _COUNTED}

    def wrap(original: Callable[..., bytes], field: str) -> Callable[..., bytes]:
        def wrapped(*args: Any) -> bytes:
            setattr(counts, field, getattr(counts, field) + 1)
            return original(*args)

        return wrapped

    try:
        for name, field in _COUNTED.items():
            setattr(Ristretto255, name, wrap(originals[name], field))
        yield counts
    finally:
        for name, original in originals.items():
            setattr(Ristretto255, name, original)
