"""What an audit found, and the one page that says so.

Owns findings, the line of a batch and the page's text (specs/20-protocol.md#audit).
Refuses to know who: no field holds an entry's name, a tag, a key or a point,
only counts, so that the page can be shown to anybody the auditor answers to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from notalone_crypto.errors import Code, NotAloneError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be.

    `culprits` are trustees (1..n) against whom signatures in the record speak;
    empty where the board or nobody in particular can be named. `batch` is the
    number of the batch under check, 0 between batches.
    """

    code: Code
    detail: str
    culprits: tuple[int, ...] = ()
    batch: int = 0

    def line(self) -> str:
        """One line of the page."""
        named = f" [trustees {', '.join(map(str, self.culprits))}]" if self.culprits else ""
        place = f"batch {self.batch}" if self.batch else "record"
        return f"{place}: {self.code}: {self.detail}{named}"


@dataclass(slots=True)
class Docket:
    """Collects findings, so that one failure does not hide the next."""

    findings: list[Finding] = field(default_factory=list)
    batch: int = 0

    def note(self, error: NotAloneError, culprits: Sequence[int] = ()) -> None:
        """Record a failure; `culprits` count where the error itself names nobody."""
        finding = Finding(error.code, error.detail, tuple(error.culprits or culprits), self.batch)
        self.findings.append(finding)

    @contextmanager
    def noting(self, culprits: Sequence[int] = ()) -> Iterator[None]:
        """Record what fails inside and go on after it."""
        try:
            yield
        except NotAloneError as error:
            self.note(error, culprits)


@dataclass(frozen=True, slots=True)
class MatchCount:
    """Anonymous match events of one batch at one (slot, level)."""

    slot: int
    level: int
    formed: int  # groups of which no member was in a group before
    joined: int  # people who came to a group that had members


@dataclass(frozen=True, slots=True)
class BatchReport:
    """One batch: counts, and whether its record stands.

    `evaluated` says that every proof was checked and every output recomputed;
    `logged` that the recomputed leaf is in the cosigned log.
    """

    scope: str
    number: int
    opened_at: int
    epoch: int
    filings: int
    withdrawals: int
    expiries: int
    matches: tuple[MatchCount, ...]
    evaluated: bool
    logged: bool
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether everything about this batch verified."""
        return self.evaluated and self.logged and not self.findings

    @property
    def uneventful(self) -> bool:
        """Whether it is clean and nothing happened in it."""
        return self.clean and not (self.filings or self.withdrawals or self.expiries or self.matches)

    def line(self) -> str:
        """One line of the page: numbers only."""
        events = ", ".join(
            f"slot {one.slot} level {one.level}: {one.formed} formed {one.joined} joined"
            for one in self.matches
        )
        verdict = "ok" if self.clean else "NOT OK"
        leaf = "in the log" if self.logged else "NOT IN THE LOG"
        return (
            f"{self.scope} batch {self.number} at {self.opened_at}, epoch {self.epoch}: "
            f"{self.filings} filed, {self.withdrawals} withdrawn, {self.expiries} expired; "
            f"matches: {events or 'none'}; leaf {leaf}; {verdict}"
        )


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Everything one audit can say. It is clean only if nothing at all was found."""

    committee: bytes  # 32-byte fingerprint of the manifest
    batches: tuple[BatchReport, ...]
    findings: tuple[Finding, ...]  # those of all batches too, in the order found
    leaves: int  # of the largest log seen
    explained: int  # of these, leaves that a policy or an audited batch explains

    @property
    def clean(self) -> bool:
        """Whether every batch verified and there is no finding."""
        return not self.findings and all(batch.clean for batch in self.batches)

    def page(self) -> str:
        """The page an audit command prints."""
        lines = [
            f"committee {self.committee.hex()}",
            f"log of {self.leaves} leaves, {self.explained} explained by this audit",
            *self._batch_lines(),
            "no findings" if not self.findings else f"{len(self.findings)} findings:",
            *(finding.line() for finding in self.findings),
            "verdict: the record stands" if self.clean else "verdict: THE RECORD DOES NOT STAND",
        ]
        return "\n".join(lines) + "\n"

    def _batch_lines(self) -> Iterator[str]:
        """A line for each batch; clean ones in a row without any event share one."""
        for quiet, run in groupby(self.batches, key=lambda batch: (batch.scope, batch.uneventful)):
            batches = list(run)
            if quiet[1] and len(batches) > 1:
                first, last = batches[0], batches[-1]
                numbers = f"{first.number} to {last.number}"
                yield f"{first.scope} batches {numbers}: no event; leaves in the log; ok"
            else:
                yield from (batch.line() for batch in batches)
