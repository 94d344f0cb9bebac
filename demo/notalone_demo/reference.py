"""The plaintext reference model: what should be released if everybody could be trusted.

Owns one definition of the right outcome, in clear, that the protocol is
compared with. Refuses to know any cryptography.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlainReport:
    """A report in clear. `subject` maps slots to identifiers."""

    name: str
    person: str
    subject: tuple[tuple[int, bytes], ...]
    threshold: int
    peers: bool
    preconsent: bool
    desk: str


Released = tuple[str, str, int]
"""(report, to whom: a report's name or a desk's, which introduction)."""


def groups(live: Sequence[PlainReport], levels: Iterable[int]) -> list[list[PlainReport]]:
    """For each slot, level and subject: one report for each person with r <= T, if there are T people."""
    found = []
    for level in levels:
        for key in dict.fromkeys(item for report in live for item in report.subject):
            people: dict[str, PlainReport] = {}
            for report in live:
                if key in report.subject and report.threshold <= level:
                    people.setdefault(report.person, report)
            if len(people) >= level:
                found.append(list(people.values()))
    return found


def released(live: Sequence[PlainReport], levels: Iterable[int]) -> set[Released]:
    """Everything that these live reports make due."""
    out: set[Released] = set()
    for group in groups(live, levels):
        for source in group:
            for other in group:
                if source is other:
                    continue
                if source.peers and other.peers:
                    out.add((source.name, other.name, 1))
                    if source.preconsent:
                        out.add((source.name, other.name, 2))
                else:
                    out |= {(source.name, source.desk, 1), (source.name, source.desk, 2)}
    return out
