"""Plaintext stories run through the simulation, and what should come out.

Owns the bookkeeping that the property and fault tests share. Refuses to know
how stories are generated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from notalone_crypto.messages.committee import ReleaseMode
from notalone_demo.reference import PlainReport, Released, released
from notalone_demo.simulation.deployment import Deployment, Plan
from notalone_demo.simulation.network import Faults
from notalone_demo.simulation.people import make_report

DESKS = ("desk one", "desk two")
PEOPLE = 8


def plan(count: int, threshold: int, levels: tuple[int, ...], *, slots: tuple[int, ...] = (1, 2)) -> Plan:
    """A small scope for `count` trustees."""
    return Plan(
        trustees=tuple(f"trustee {index}" for index in range(1, count + 1)),
        threshold=threshold,
        levels=levels,
        slots=slots,
        desks=DESKS,
        declared=40,
        release_blobs=160,
    )


@dataclass(slots=True)
class Story:
    """A deployment, and the same events in clear."""

    deployment: Deployment
    live: list[PlainReport] = field(default_factory=list)
    fresh: list[PlainReport] = field(default_factory=list)
    names: dict[bytes, str] = field(default_factory=dict)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)  # report -> person, position
    leaving: set[str] = field(default_factory=set)
    expected: set[Released] = field(default_factory=set)

    @classmethod
    def begin(cls, chosen: Plan, seed: bytes, faults: Faults | None = None) -> Story:
        """Deploy and enrol."""
        deployment = Deployment(chosen, seed, faults or Faults())
        deployment.enrol([f"person {number}" for number in range(36)])
        return cls(deployment)

    def file(
        self,
        person: int,
        subjects: dict[int, int],
        threshold: int,
        *,
        peers: bool = False,
        preconsent: bool = False,
        desk: int = 0,
    ) -> None:
        """One person files about subjects given as small numbers per slot."""
        alias = f"person {person}"
        reporter = self.deployment.reporters[alias]
        identifiers = {slot: f"subject {subject}".encode() for slot, subject in subjects.items()}
        sealed = reporter.seal_and_send(
            self.deployment.board,
            make_report(
                identifiers=identifiers,
                threshold=threshold,
                mode=ReleaseMode.PEERS if peers else ReleaseMode.COUNSELLOR,
                preconsent=preconsent,
                desk_key=self.deployment.desks[DESKS[desk]].key.public,
                now=self.deployment.clock(),
                weeks=52,
                alias=alias,
                words="words",
            ),
            self.deployment.clock(),
            self.deployment.randomness,
        )
        name = f"report {len(self.names)}"
        self.names[sealed.header.entry] = name
        self.places[name] = (alias, len(reporter.filed) - 1)
        self.fresh.append(
            PlainReport(
                name, alias, tuple(sorted(identifiers.items())), threshold, peers, preconsent, DESKS[desk]
            )
        )

    def withdraw(self, index: int) -> None:
        """One of the live or waiting reports is taken back."""
        everything = self.live + self.fresh
        if everything:
            report = everything[index % len(everything)]
            person, position = self.places[report.name]
            self.deployment.reporters[person].withdraw(self.deployment.board, position)
            self.leaving.add(report.name)

    def batch(self) -> None:
        """Evaluate, in the deployment and in clear."""
        self.deployment.run_batch()
        self.live = [report for report in self.live + self.fresh if report.name not in self.leaving]
        self.fresh = []
        self.expected |= released(self.live, self.deployment.plan.levels)

    def observed(self) -> set[Released]:
        """Who can open what, with each party's own keys."""
        deployment = self.deployment
        out: set[Released] = set()
        for name, (person, position) in self.places.items():
            for one in deployment.reporters[person].introductions(deployment.board, position):
                out.add((self.names[one.entry], name, one.content))
        for desk in deployment.desks.values():
            for case in desk.cases(deployment.committee, deployment.policy, deployment.board):
                out |= {(self.names[entry], desk.name, 1) for entry in case.first}
                out |= {(self.names[entry], desk.name, 2) for entry in case.second}
        return out
