"""A story through real processes, each person with the SDK's client and nothing else.

Owns the order of events and what everybody could open in the end. Refuses to
look into any service: people and desks use public addresses and their own keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from notalone_client import Client, EntryState, Form, Named, Phrase, SealAgain, Sealed, Trust, Unavailable
from notalone_client.transport import LARGE, Answer, Request, SyncTransport
from notalone_crypto.errors import Code, Misuse, RollRefused
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.protocol import release
from notalone_crypto.protocol.identify import CanonicalIdentifier, IdentifierKind, Platform, SlotKind
from notalone_crypto.protocol.release import Introduction
from notalone_demo.live.network import PATIENCE, LiveError, Network, until
from notalone_demo.reference import Released, released
from notalone_demo.reports_file import ReportInput, Story
from notalone_demo.runner import Filed, Progress, plain
from notalone_server.edge.rng import system_randomness

T = TypeVar("T")
WEEKS: Final = 52
_PAUSE: Final = 0.1
_DONE: Final = {False: EntryState.EVALUATED, True: EntryState.GONE}


@dataclass(slots=True)
class PublicBoard:
    """What anybody may download."""

    scope: bytes
    transport: SyncTransport = field(repr=False)

    def batches(self) -> int:
        """Closed batches."""
        return int(str(self._get("").json()["batches"]))

    def places(self) -> int:
        """Places on the current rolls."""
        frames = self._get("/snapshots").frames()
        return sum(len(RollSnapshot.decode(data).places) for data in frames)

    def blobs(self) -> tuple[bytes, ...]:
        """Every release blob of every closed batch."""
        last = insist(self.batches)
        return tuple(
            blob
            for number in range(1, last + 1)
            for blob in insist(partial(self._get, f"/batches/{number}/blobs")).frames()
        )

    def _get(self, path: str) -> Answer:
        whole = f"/v1/scopes/{self.scope.hex()}{path}"
        return self.transport.send(Request("board", "GET", whole, limit=LARGE))


@dataclass(slots=True)
class LiveFiled(Filed):
    """A filing with what its owner's device keeps."""

    sealed: Sealed = field(kw_only=True)
    receipt: Receipt = field(kw_only=True)


def _seal_and_file(client: Client, form: Form) -> tuple[Sealed, Receipt]:
    """The very same bytes until there is a receipt, unless the roll or the period moved on meanwhile."""
    while True:
        sealed = insist(partial(client.seal, form))
        try:
            return sealed, insist(partial(client.file, sealed))
        except SealAgain:
            continue


def insist(call: Callable[[], T], patience: float = PATIENCE) -> T:
    """Call again while a service is away, or while a new place is not on the roll yet, as a person does."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return call()
        except (Unavailable, RollRefused):
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)


@dataclass(slots=True)
class LiveRun:
    """A story in progress over HTTP. Close it."""

    story: Story
    network: Network
    told: Progress
    people: dict[str, Client] = field(init=False, default_factory=dict)
    board: PublicBoard = field(init=False)
    filed: list[LiveFiled] = field(init=False, default_factory=list)
    expected: set[Released] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        address = self.network.prepared.board.address
        self.board = PublicBoard(self.network.prepared.policy.scope, SyncTransport({"board": address}))

    @property
    def trust(self) -> Trust:
        """What every client pins."""
        prepared = self.network.prepared
        return Trust(prepared.committee.fingerprint, prepared.policy.scope)

    def close(self) -> None:
        """Close every connection."""
        for client in self.people.values():
            client.close()
        self.board.transport.close()

    def enrol(self) -> None:
        """Every member redeems a card that nobody noted; wait until all are on the roll."""
        prepared, members = self.network.prepared, self.story.scope.members
        self.told(f"Enrolment: {members} members redeem cards that nobody noted")
        names = [*self.story.people, *[""] * (members - len(self.story.people))]
        for name, card in zip(names, prepared.cards, strict=True):
            phrase = Phrase.new(system_randomness)
            client = Client(self.trust, phrase, board=prepared.board.address, issuer=prepared.issuer.address)
            try:
                insist(partial(client.enrol, card))
            finally:
                if not name:
                    client.close()
            if name:
                self.people[name] = client
        until(lambda: insist(self.board.places) == members, "the roll's way to the board")

    def batches(self) -> Iterator[int]:
        """File, withdraw and wait for evaluation, batch after batch of the story; yields each number.

        The board's clock decides when a batch closes, so one of the story's may become several;
        withdrawals go first, that they count for all of them.
        """
        for number in range(1, self.story.batches + 1):
            chosen = [report for report in self.story.reports if report.batch == number]
            for report in chosen:
                if report.withdraws:
                    self.withdraw(report.person)
            for report in chosen:
                if not report.withdraws:
                    self.file(report)
            self.wait_evaluated()
            self.expect()
            closed = insist(self.board.batches)
            self.told(f"Batch {number} of the story: every filing is evaluated, in {closed} closed batches")
            yield number

    def expect(self) -> None:
        """What the reference model makes due now is due for good."""
        live = [plain(one) for one in self.filed if not one.withdrawn]
        self.expected |= released(live, self.story.scope.levels)

    def file(self, report: ReportInput) -> LiveFiled:
        """Seal on the device and send until there is a receipt: always the same bytes."""
        client = self.people[report.person]
        earlier = sum(one.report.person == report.person for one in self.filed)
        name = report.person if not earlier else f"{report.person} ({earlier + 1})"
        form = Form(
            [named(slot, one) for slot, one in report.identifiers.items()],
            report.threshold,
            report.mode == 2,
            report.preconsent,
            report.desk,
            WEEKS,
            f"alias of {report.person}",
            report.words,
        )
        sealed, receipt = _seal_and_file(client, form)
        one = LiveFiled(name, report, sealed.entry, earlier, sealed=sealed, receipt=receipt)
        self.filed.append(one)
        self.told(f"{report.person} seals a report on her device; receipt for batch {receipt.batch}")
        return one

    def withdraw(self, person: str) -> None:
        """She takes back everything she filed."""
        for one in self.filed:
            if one.report.person == person and not one.withdrawn:
                insist(partial(self.people[person].withdraw, one.sealed))
                one.withdrawn = True
        self.told(f"{person} takes her report back")

    def wait_evaluated(self, patience: float = PATIENCE) -> None:
        """Until every filing is in a cosigned batch, and every withdrawn one is gone. Raises LiveError."""
        deadline = time.monotonic() + patience
        for one in self.filed:
            while not self.is_done(one):
                if time.monotonic() > deadline:
                    raise LiveError(f"the evaluation of every filing took more than {patience:.0f} s")
                time.sleep(_PAUSE)

    def is_done(self, one: LiveFiled) -> bool:
        """What its owner finds out: evaluated and counted by the log, or gone."""
        client = self.people[one.report.person]
        mine = insist(lambda: client.status(*[own.sealed for own in self._of(one.report.person)]))
        states = {status.filing.entry: status for status in mine}
        status = states.get(one.entry)
        if status is None or status.state is not _DONE[one.withdrawn]:
            return False
        return one.withdrawn or insist(lambda: client.verify_receipt(one.sealed, one.receipt))

    def observed(self) -> set[Released]:
        """Who could in fact open what, with her own keys and the public blobs."""
        names = {one.entry: one.name for one in self.filed}
        out: set[Released] = set()
        for one in self.filed:
            for intro in self.opened_by(one):
                out.add((names[intro.entry], one.name, intro.content))
        for desk, introductions in self.opened_by_desks().items():
            for intro in introductions:
                out.add((names[intro.entry], desk, intro.content))
        return out

    def opened_by(self, one: LiveFiled) -> tuple[Introduction, ...]:
        """What its owner's client opens among all blobs."""
        return tuple(insist(partial(self.people[one.report.person].matches, one.sealed, one.receipt.batch)))

    def opened_by_desks(self) -> dict[str, tuple[Introduction, ...]]:
        """What each desk opens among all blobs, by the desk's name."""
        prepared, blobs = self.network.prepared, self.board.blobs()
        return {
            desk: release.open_items(
                prepared.committee,
                release.try_blobs(prepared.committee, prepared.policy.scope, key, blobs),
            )
            for desk, key in prepared.desk_keys.items()
        }

    def state_of(self, one: LiveFiled) -> str:
        """As its owner's client says, in a word."""
        if one.withdrawn:
            return "withdrawn"
        client = self.people[one.report.person]
        return "yes" if insist(lambda: client.verify_receipt(one.sealed, one.receipt)) else "not yet"

    def finish(self) -> set[Released]:
        """Two more batches, in which nothing may be released that was not due; then who opened what."""
        last = insist(self.board.batches)
        until(lambda: insist(self.board.batches) >= last + 2, "two more batches")
        return self.observed()

    def _of(self, person: str) -> list[LiveFiled]:
        return [one for one in self.filed if one.report.person == person]


def named(slot: int, identifier: CanonicalIdentifier) -> Named:
    """The SDK's form of an identifier that the story's directory resolved already.

    Raises: Misuse if it would be compared as something else.
    """
    text = identifier.text
    kind = SlotKind(slot)
    if identifier.kind is IdentifierKind.ACCOUNT:
        platform, _, text = text.partition(":")
        made = Named(kind, identifier.kind, text, platform=Platform(platform))
    elif identifier.kind is IdentifierKind.NAME:
        text, _, unit = text.partition("|")
        made = Named(kind, identifier.kind, text, unit=unit)
    else:
        made = Named(kind, identifier.kind, text)
    if made.canonical("FR").encode() != identifier.encode():
        raise Misuse(Code.MISUSE, "an identifier has another canonical form in the SDK")
    return made
