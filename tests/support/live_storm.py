"""People who enrol, file, edit and withdraw over HTTP while processes die; what they were promised.

Owns the story, the kills, and what every client was told (receipts, answers to withdrawals and
enrolments). What should be released follows from the plans in the feed and the plaintext
reference model: which batch takes what in depends on who was dead when, what it then releases
does not.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from tests.support.live_feed import Auditor, Examined

from notalone_client import Client, EntryState, Form, Named, Phrase, Refused, Sealed, Trust
from notalone_client.transport import SyncTransport
from notalone_crypto.errors import Code
from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.protocol import release, roll
from notalone_demo.live.network import LiveError, Network, until
from notalone_demo.live.story import PublicBoard, insist
from notalone_demo.reference import PlainReport, Released, released
from notalone_demo.reports_file import ScopeInput
from notalone_server.edge.rng import system_randomness

DESK = "Listening"
PATIENCE = 150.0  # a loaded machine


def scope(members: int) -> ScopeInput:
    return ScopeInput("test", "A town in a storm", "FR", members, (2, 3), ("One", "Two", "Three"), 2, (DESK,))


@dataclass(frozen=True)
class Wanted:
    """One report in clear."""

    name: str
    person: str
    about: str
    threshold: int = 2
    peers: bool = True
    preconsent: bool = False

    @property
    def form(self) -> Form:
        return Form(
            [Named.email(f"{self.about}@example.org")], self.threshold, self.peers, self.preconsent, DESK, 52,
            f"alias {self.name}", f"words {self.name}",
        )  # fmt: skip

    @property
    def plain(self) -> PlainReport:
        about = ((1, self.about.encode()),)
        return PlainReport(self.name, self.person, about, self.threshold, self.peers, self.preconsent, DESK)


@dataclass
class Kept:
    """What a device keeps of a filing, and what it was told."""

    wanted: Wanted
    sealed: Sealed
    receipt: Receipt
    withdrawal_taken: bool = False


@dataclass
class Clocks:
    """What the test's world takes for the time: everybody's offset, and one party's own."""

    folder: Path

    def __call__(self) -> int:
        return int(time.time()) + self._read("world")

    def set(self, name: str, seconds: int) -> None:
        """Replace an offset, at once and whole."""
        file = self.folder / f"{name}.clock"
        fresh = file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(file)

    def move(self, seconds: int) -> None:
        """Let that much time pass for everybody."""
        self.set("world", self._read("world") + seconds)

    def environment(self, name: str) -> dict[str, str]:
        """For a party's launcher."""
        files = (str(self.folder / f"{one}.clock") for one in ("world", name))
        return {"NOTALIVE_CLOCK": os.pathsep.join(files)}

    def _read(self, name: str) -> int:
        file = self.folder / f"{name}.clock"
        return int(file.read_text()) if file.exists() else 0


@dataclass
class Town:
    """Everybody's clients. Close it."""

    network: Network
    clock: Callable[[], int] = lambda: int(time.time())
    people: dict[str, Client] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)  # by report
    places: set[bytes] = field(default_factory=set)  # whose enrolment was acknowledged
    _tickets: dict[str, tuple[Phrase, str]] = field(default_factory=dict)  # words and card
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.prepared = self.network.prepared
        self.trust = Trust(self.prepared.committee.fingerprint, self.prepared.policy.scope)
        address = self.prepared.board.address
        self.board = PublicBoard(self.prepared.policy.scope, SyncTransport({"board": address}))
        self._cards = iter(self.prepared.cards)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.people.values():
            client.close()
        self.board.transport.close()

    def enrol(self, name: str) -> None:
        """One person spends one card, and insists."""
        insist(partial(self.enrol_once, name), PATIENCE)

    def enrol_once(self, name: str) -> None:
        """One attempt; the next one has the same words and card. Raises Unavailable."""
        prepared = self.prepared
        with self._lock:
            if name not in self._tickets:
                self._tickets[name] = (Phrase.new(system_randomness), next(self._cards))
            phrase, card = self._tickets[name]
        board, issuer = prepared.board.address, prepared.issuer.address
        client = Client(self.trust, phrase, board=board, issuer=issuer, clock=self.clock)
        try:
            client.enrol(card)
        except BaseException:
            client.close()
            raise
        policy = prepared.policy
        issuer_key = policy.organisations[0].issuer_key
        with self._lock:
            self.places.add(roll.member_from_phrase(phrase.entropy, policy.instance, issuer_key).place)
            self.people[name] = client

    def wait_on_roll(self) -> None:
        until(lambda: insist(self.board.places) >= len(self.places), "the roll's way to the board", PATIENCE)

    def file(self, wanted: Wanted, sealed: Sealed | None = None) -> None:
        """Seal and send until there is a receipt; again from the start when the roll has moved on."""
        client = self.people[wanted.person]
        deadline = time.monotonic() + PATIENCE
        while True:
            mine = sealed or insist(lambda: client.seal(wanted.form), PATIENCE)
            try:
                receipt = insist(partial(client.file, mine), PATIENCE)
                break
            except Refused as refused:
                if refused.code != Code.SNAPSHOT or time.monotonic() > deadline:
                    raise
                sealed = None
        with self._lock:
            self.kept[wanted.name] = Kept(wanted, mine, receipt)

    def withdraw(self, name: str) -> None:
        one = self.kept[name]
        insist(partial(self.people[one.wanted.person].withdraw, one.sealed), PATIENCE)
        one.withdrawal_taken = True

    def edit(self, name: str, wanted: Wanted) -> None:
        """The SDK's edit: the new one is sealed, the old one withdrawn, then the new one is sent."""
        old = self.kept[name]
        client = self.people[wanted.person]
        sealed = insist(lambda: client.edit(old.sealed, wanted.form), PATIENCE)
        old.withdrawal_taken = True
        self.file(wanted, sealed)

    def is_done(self, one: Kept) -> bool:
        """Evaluated and counted by the log, or gone; as its owner finds out."""
        client = self.people[one.wanted.person]
        states = {status.filing.entry: status for status in insist(lambda: client.status(one.sealed))}
        status = states.get(one.sealed.entry)
        if status is None:
            return False
        if one.withdrawal_taken:
            return status.state is EntryState.GONE
        if status.state is not EntryState.EVALUATED:
            return False
        return insist(lambda: client.verify_receipt(one.sealed, one.receipt))

    def wait_done(self, patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        for one in self.kept.values():
            while not self.is_done(one):
                if time.monotonic() > deadline:
                    raise LiveError(f"{one.wanted.name} was not evaluated within {patience:.0f} s")
                time.sleep(0.2)

    def wait_batches(self, more: int, patience: float = PATIENCE) -> None:
        last = insist(self.board.batches)
        until(lambda: insist(self.board.batches) >= last + more, f"{more} more batches", patience)

    def opened(self, feed: Examined | None = None, looked: Mapping[str, int] | None = None) -> set[Released]:
        """Who can in fact open what, with her own keys (the SDK) and the desk's.

        With a feed, everybody looks from the batch on that took her report in: before it there was
        nothing to release. With `looked`, from her report's batch in there on.
        """
        names = {one.sealed.entry: name for name, one in self.kept.items()}
        since = {entry: plan.number for _, plan in feed.plans for entry in plan.entries} if feed else {}
        before = looked or {}
        found: set[Released] = set()
        for name, one in self.kept.items():
            look = partial(
                self.people[one.wanted.person].matches,
                one.sealed,
                max(before.get(name, 1), since.get(one.sealed.entry, 1)),
            )
            for intro in insist(look):
                found.add((names[intro.entry], name, intro.content))
        key = self.prepared.desk_keys[DESK]
        items = release.try_blobs(
            self.prepared.committee, self.prepared.policy.scope, key, self.board.blobs()
        )
        for intro in release.open_items(self.prepared.committee, items):
            found.add((names[intro.entry], DESK, intro.content))
        return found

    def due(self, feed: Examined) -> set[Released]:
        """What the plaintext reference releases, batch after batch of the feed's closed plans."""
        wanted = {one.sealed.entry: one.wanted.plain for one in self.kept.values()}
        live: dict[bytes, PlainReport] = {}
        due: set[Released] = set()
        closed = insist(self.board.batches)
        for _, plan in feed.plans:
            if plan.number > closed:
                break
            for entry in plan.withdrawn + plan.expired:
                live.pop(entry, None)
            live |= {entry: wanted[entry] for entry in plan.entries}
            now = released(list(live.values()), self.prepared.policy.levels)
            # Else some would wait for the next batch, and a withdrawal could still stop them.
            assert len(now - due) <= self.prepared.policy.release_blobs
            due |= now
        return due

    def feed(self, auditor: Auditor) -> list[FeedItem]:
        """The board's whole feed, as an auditor gets it."""
        prepared = self.prepared
        return auditor.feed(prepared.board.address, prepared.committee, prepared.policy.scope, self.clock())


@dataclass
class Weather:
    """SIGKILL for one process after the other, all of them again and again, at seeded moments."""

    network: Network
    seed: str
    kills: int
    longest_calm: float
    names: Sequence[str] = ()
    killed: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.choices = random.Random(self.seed)
        self.thread = threading.Thread(target=self._blow, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        if self.failures:
            raise self.failures[0]

    def _victims(self) -> Iterator[str]:
        while True:
            everybody = sorted(self.names or self.network.processes)
            self.choices.shuffle(everybody)
            yield from everybody

    def _blow(self) -> None:
        try:
            victims = self._victims()
            for _ in range(self.kills):
                name = next(victims)
                process = self.network.processes[name]
                time.sleep(self.choices.uniform(0.2, self.longest_calm))
                process.kill()
                self.killed.append(name)
                time.sleep(self.choices.uniform(0, 0.3))
                process.start()
                if self.choices.random() < 0.6:  # else the next one falls while this one starts
                    self.network.wait_ready([process.party])
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.failures.append(error)


def together(tasks: Sequence[Callable[[], None]], threads: int) -> None:
    """Do them side by side; the first failure is raised."""
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result()
