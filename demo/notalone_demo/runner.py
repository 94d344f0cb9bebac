"""The main job: a story through a real deployment, and the comparison with the reference.

Owns the order of events. Refuses to know how they are shown (views.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from notalone_crypto.protocol.identify import CanonicalIdentifier
from notalone_demo.reference import PlainReport, Released, released
from notalone_demo.reports_file import ReportInput, Story
from notalone_demo.simulation.deployment import Deployment, Plan
from notalone_demo.simulation.people import make_report

Progress = Callable[[str], None]


@dataclass(slots=True)
class Filed:
    """One filing of the story and where it went."""

    name: str
    report: ReportInput
    entry: bytes
    position: int  # among this person's filings
    withdrawn: bool = False


@dataclass(slots=True)
class Run:
    """A story in progress."""

    story: Story
    deployment: Deployment
    filed: list[Filed] = field(default_factory=list)
    expected: set[Released] = field(default_factory=set)

    @classmethod
    def start(cls, story: Story, seed: bytes, progress: Progress) -> Run:
        """Ceremony, services, roll."""
        scope = story.scope
        progress(f"Key ceremony: {len(scope.trustees)} trustees deal, check every dealing, sign the manifest")
        deployment = Deployment(
            Plan(
                instance=scope.instance,
                scope_name=scope.name,
                organisation=scope.name,
                trustees=scope.trustees,
                threshold=scope.threshold,
                levels=scope.levels,
                desks=scope.desks,
                region=scope.region,
                declared=scope.members,
            ),
            seed,
        )
        progress(f"Enrolment: {scope.members} members redeem cards that nobody noted")
        others = [f"member {number}" for number in range(scope.members - len(story.people))]
        deployment.enrol([*story.people, *others])
        return cls(story, deployment)

    def batches(self, progress: Progress) -> Iterator[int]:
        """File, withdraw and evaluate batch after batch; yields each number once it is closed."""
        for number in range(1, self.story.batches + 1):
            for report in self.story.reports:
                if report.batch == number:
                    self._do(report, progress)
            self.deployment.settle()
            progress(
                f"Batch {number}: three rounds of messages between the trustees, then one leaf in the log"
            )
            self.deployment.run_batch()
            live = [plain(one) for one in self.filed if not one.withdrawn]
            self.expected |= released(live, self.story.scope.levels)
            yield number

    def observed(self) -> set[Released]:
        """Who could in fact open what, found with each party's own keys."""
        deployment = self.deployment
        names = {one.entry: one.name for one in self.filed}
        out: set[Released] = set()
        for one in self.filed:
            reporter = deployment.reporters[one.report.person]
            for introduction in reporter.introductions(deployment.board, one.position):
                out.add((names[introduction.entry], one.name, introduction.content))
        for desk in deployment.desks.values():
            for case in desk.cases(deployment.committee, deployment.policy, deployment.board):
                out |= {(names[entry], desk.name, 1) for entry in case.first}
                out |= {(names[entry], desk.name, 2) for entry in case.second}
        return out

    def _do(self, report: ReportInput, progress: Progress) -> None:
        reporter = self.deployment.reporters[report.person]
        if report.withdraws:
            for one in self.filed:
                if one.report.person == report.person and not one.withdrawn:
                    one.withdrawn = True
                    reporter.withdraw(self.deployment.board, one.position)
            progress(f"{report.person} takes her report back")
            return
        now = self.deployment.clock()
        sealed = reporter.seal_and_send(
            self.deployment.board,
            make_report(
                identifiers={slot: identifier.encode() for slot, identifier in report.identifiers.items()},
                threshold=report.threshold,
                mode=report.mode,
                preconsent=report.preconsent,
                desk_key=self.deployment.desks[report.desk].key.public,
                now=now,
                weeks=52,
                alias=f"alias of {report.person}",
                words=report.words,
            ),
            now,
            self.deployment.randomness,
        )
        earlier = sum(one.report.person == report.person for one in self.filed)
        name = report.person if not earlier else f"{report.person} ({earlier + 1})"
        self.filed.append(Filed(name, report, sealed.header.entry, earlier))
        progress(f"{report.person} seals a report on her device")


def plain(one: Filed) -> PlainReport:
    """What the reference model needs of a filing."""
    report = one.report
    subject = tuple((slot, _bytes(identifier)) for slot, identifier in report.identifiers.items())
    return PlainReport(
        one.name,
        report.person,
        subject,
        report.threshold,
        report.mode == 2,
        report.preconsent,
        report.desk,
    )


def _bytes(identifier: CanonicalIdentifier) -> bytes:
    return identifier.encode()
