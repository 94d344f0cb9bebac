"""Output points made from known persons, subjects and keys, and what matching must mean for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol.rounds import Point


def scalar(*parts: object) -> int:
    return int.from_bytes(hashlib.sha512(repr(parts).encode()).digest(), "little") % ORDER


def name(number: object) -> bytes:
    return hashlib.sha256(repr(number).encode()).digest()


@dataclass(frozen=True, slots=True)
class Report:
    number: int
    person: int
    subject: int

    @property
    def entry(self) -> bytes:
        return name(self.number)


class World:
    """One slot, level and epoch with a key that the tests know."""

    def __init__(self, level: int, epoch: int = 0) -> None:
        self.level = level
        self.epoch = epoch
        self.key = scalar("key", level)
        self.bases = [
            RISTRETTO255.from_uniform_bytes(hashlib.sha512(repr((level, epoch, j)).encode()).digest())
            for j in range(level - 1)
        ]

    def at(self, x: int, factor: int) -> Point:
        """factor * B(x), for any factor at all."""
        powers = [factor * pow(x, j, ORDER) for j in range(self.level - 1)]
        return Point(x, RISTRETTO255.multi_multiply(powers, self.bases))

    def point(self, person: object, subject: object) -> Point:
        x = scalar("x", self.level, self.epoch, person, subject)
        return self.at(x, self.factor(subject))

    def factor(self, subject: object) -> int:
        return pow(self.key + scalar("subject", subject), -1, ORDER)

    def outputs(self, reports: Iterable[Report]) -> list[tuple[bytes, Point]]:
        return [(report.entry, self.point(report.person, report.subject)) for report in reports]


def plaintext_groups(reports: Iterable[Report], level: int) -> set[frozenset[bytes]]:
    """The reference: by subject, one entry (the earliest) for each person, at least `level` of them."""
    people: dict[int, dict[int, bytes]] = {}
    for report in reports:
        people.setdefault(report.subject, {}).setdefault(report.person, report.entry)
    return {frozenset(entries.values()) for entries in people.values() if len(entries) >= level}
