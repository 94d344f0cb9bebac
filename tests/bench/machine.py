"""What one group operation costs on this machine right now, and how a step is measured by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.bench.counting import counted

from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.randomness import SeededStream, random_scalar


@dataclass(frozen=True, slots=True)
class Unit:
    """Seconds of one operation; `variable` is the unit of every ratio."""

    variable: float
    base: float
    addition: float

    def mean(self, other: Unit) -> Unit:
        """Halfway between two measurements."""
        return Unit(
            (self.variable + other.variable) / 2,
            (self.base + other.base) / 2,
            (self.addition + other.addition) / 2,
        )


def measure_unit(rounds: int = 100, repeats: int = 3) -> Unit:
    """Best of a few runs, with varying operands and full scalars; about 30 ms."""
    stream = SeededStream(b"unit")
    scalar = random_scalar(stream)
    start = RISTRETTO255.base_multiply(random_scalar(stream))
    other = RISTRETTO255.base_multiply(random_scalar(stream))
    operations: list[Callable[[bytes], bytes]] = [
        lambda element: RISTRETTO255.multiply(scalar, element),
        lambda _: RISTRETTO255.base_multiply(scalar),
        lambda element: RISTRETTO255.add(element, other),
    ]
    seconds = []
    for operation in operations:
        best = float("inf")
        for _ in range(repeats):
            element = start
            begin = time.perf_counter()
            for _ in range(rounds):
                element = operation(element)
            best = min(best, (time.perf_counter() - begin) / rounds)
        seconds.append(best)
    return Unit(*seconds)


@dataclass(frozen=True, slots=True)
class Step:
    """One measured step of one party; counts and seconds are per filing (or what `per` says).

    `work` is what its multiplications alone cost in the minute it was measured,
    so that sums of steps stay right when the machine's speed changes.
    """

    name: str
    party: str
    per: str
    variable: float
    base: float
    additions: float
    checks: float  # encodings validated on their own: no scalar multiplication, but a square root each
    multiplications: float  # in units of one with a varying element
    seconds: float
    work: float  # seconds of the multiplications
    addition_work: float  # seconds of the additions

    @property
    def ratio(self) -> float | None:
        """Seconds / (multiplications x cost of one); None where there are none."""
        return self.seconds / self.work if self.work else None

    @property
    def ratio_with_additions(self) -> float | None:
        """The same with additions counted as work."""
        work = self.work + self.addition_work
        return self.seconds / work if work else None

    def plus(self, other: Step, name: str, times: float = 1) -> Step:
        """This step and `times` the other; negative to take one out."""
        sums = {one: getattr(self, one) + times * getattr(other, one) for one in _ADDED}
        return replace(self, name=name, **sums)

    def scaled(self, factor: float, name: str, party: str) -> Step:
        """The same work done `factor` times."""
        return replace(self, name=name, party=party, **{one: factor * getattr(self, one) for one in _ADDED})

    def as_json(self) -> dict[str, Any]:
        """Plain values for the JSON file."""
        values = {one: round(getattr(self, one), 3) for one in _ADDED[:5]}
        return (
            {"step": self.name, "party": self.party, "per": self.per}
            | values
            | {
                "milliseconds": round(self.seconds * 1e3, 4),
                "ratio": _rounded(self.ratio),
                "ratio_with_additions": _rounded(self.ratio_with_additions),
            }
        )


_ADDED = ("variable", "base", "additions", "checks", "multiplications", "seconds", "work", "addition_work")


def measure(
    name: str,
    party: str,
    work: Callable[[], object],
    *,
    share: int = 1,
    per: str = "filing",
    repeats: int = 3,
) -> Step:
    """Count `work` once, time it apart from that, divide by `share`.

    The unit is measured right before and after every run and averaged, so that a
    busy neighbour slows both alike; the quickest run counts. `work` must be repeatable.
    """
    with counted() as counts:
        work()
    runs: list[tuple[float, Unit]] = []
    before = measure_unit()
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken = time.perf_counter() - begin
        after = measure_unit()
        runs.append((taken, before.mean(after)))
        before = after
    seconds, unit = min(runs, key=lambda run: run[0])
    multiplications = counts.variable + counts.base * unit.base / unit.variable
    return Step(
        name,
        party,
        per,
        counts.variable / share,
        counts.base / share,
        counts.additions / share,
        counts.checks / share,
        multiplications / share,
        seconds / share,
        multiplications * unit.variable / share,
        counts.additions * unit.addition / share,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
