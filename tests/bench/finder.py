"""What one more entry costs the finder: multiplications, seconds, and their ratio.

Run: python tests/bench/finder.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.counting import counted

from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.protocol.find import CurveFinder
from notalone_crypto.protocol.rounds import Point
from notalone_crypto.randomness import SeededStream, random_scalar

SIZES = {2: (100, 1_000, 10_000), 3: (100, 1_000, 10_000), 4: (30, 100, 300)}


@dataclass(frozen=True, slots=True)
class Cost:
    """One entry added to `size` points of distinct subjects."""

    level: int
    size: int
    multiplications: int
    additions: int
    seconds: float
    ratio: float | None  # seconds / (multiplications * seconds of one); None where there are none


def multiplication_seconds(rounds: int = 400) -> float:
    """One multiplication of a varying element by a full scalar, here and now (best of five runs)."""
    stream = SeededStream(b"multiplication")
    scalar, element = random_scalar(stream), RISTRETTO255.base_multiply(random_scalar(stream))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(rounds):
            element = RISTRETTO255.multiply(scalar, element)
        best = min(best, (time.perf_counter() - start) / rounds)
    return best


def random_outputs(count: int, seed: bytes) -> list[tuple[bytes, Point]]:
    """Points of distinct subjects: to the finder they are random elements."""
    stream = SeededStream(seed)
    return [
        (stream(32), Point(random_scalar(stream), RISTRETTO255.base_multiply(random_scalar(stream))))
        for _ in range(count)
    ]


def measure(level: int, sizes: Sequence[int], repeats: int = 3) -> list[Cost]:
    """The cost of the next entry at each size: counted once, timed apart from it (best of `repeats`)."""
    costs = []
    outputs = random_outputs(max(sizes), b"outputs")
    newcomers = random_outputs(repeats, b"newcomers")
    for size in sizes:
        live = outputs[:size]
        names = [entry for entry, _ in live]
        with_count, _ = CurveFinder.resume(level, live, names, ())
        with counted() as counts:
            with_count.add(*newcomers[0])
        seconds = float("inf")
        for newcomer in newcomers:
            finder, _ = CurveFinder.resume(level, live, names, ())
            start = time.perf_counter()
            finder.add(*newcomer)
            seconds = min(seconds, time.perf_counter() - start)
        number = counts.multiplications
        ratio = seconds / (number * multiplication_seconds()) if number else None
        costs.append(Cost(level, size, number, counts.additions, seconds, ratio))
    return costs


def main() -> None:
    """Print a table."""
    print(f"one multiplication: {multiplication_seconds() * 1e6:.1f} us")
    print(f"{'level':>5} {'points':>7} {'multiplications':>15} {'additions':>9} {'seconds':>9} {'ratio':>6}")
    for level, sizes in SIZES.items():
        for cost in measure(level, sizes):
            ratio = "-" if cost.ratio is None else f"{cost.ratio:.2f}"
            print(
                f"{cost.level:>5} {cost.size:>7} {cost.multiplications:>15} {cost.additions:>9}"
                f" {cost.seconds:>9.6f} {ratio:>6}"
            )


if __name__ == "__main__":
    main()
