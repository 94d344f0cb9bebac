"""Real processes in trouble: ask what they say, file, and compare with the plaintext reference.

Owns the town, its clocks, its auditor, and the two stories of every fault in which a
service may not write. Refuses to know what the fault is. Each story leaves all working.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest
from tests.support.live_feed import Auditor, Examined
from tests.support.live_storm import PATIENCE, Clocks, Town, Wanted

from notalone_client import EntryState, Unavailable
from notalone_crypto.protocol.batch import CLOCK_TOLERANCE_SECONDS
from notalone_crypto.suite import MIN_ROLL
from notalone_demo.live.network import LiveError, Network, Process, until
from notalone_demo.reference import Released

LAUNCHER = ("-m", "tests.support.live_launch")
BATCH_SECONDS = 3
POLL_SECONDS = 0.3  # a deployment that only waits takes a quarter of a core at the demo's 0.1
PARTIES = ("board", "issuer", "trustee-1", "trustee-2", "trustee-3")
TRUSTEES = PARTIES[2:]


@dataclass
class Place:
    """The town, its clocks, its auditor and its databases."""

    town: Town
    clocks: Clocks
    auditor: Auditor
    databases: Mapping[str, str] = field(default_factory=dict)  # by party, where they are not files
    reports: int = 0
    seen: set[Released] = field(default_factory=set)
    looked: dict[str, int] = field(default_factory=dict)  # report -> the last batch that was looked at

    @property
    def network(self) -> Network:
        return self.town.network

    def process(self, name: str) -> Process:
        return self.network.processes[name]

    def operations(self, name: str, path: str = "") -> httpx.Response:
        return httpx.get(f"{self.process(name).party.operations}/{path}", trust_env=False, timeout=30)

    def ready(self, name: str) -> bool:
        return self.operations(name, "ready").status_code == 200

    def runs_well(self, name: str) -> bool:
        """Whether there is a process that says that it works."""
        try:
            return self.process(name).pid > 0 and self.ready(name)
        except (LiveError, httpx.HTTPError):
            return False

    def says(self, name: str, words: str) -> None:
        """Until a trustee's status page says this."""

        def shown() -> bool:
            try:
                return words in self.operations(name).text
            except httpx.HTTPError:
                return False

        until(shown, f"{name} says: {words}", PATIENCE)

    def file_pair(self, again: tuple[str, ...] = ()) -> tuple[str, str]:
        """Two more people (or those of earlier reports) about one more subject; names of their reports."""
        names = []
        for place in range(2):
            number = self.reports
            self.reports += 1
            who = f"person {number % MIN_ROLL}"
            if again:
                who = self.town.kept[again[place]].wanted.person
            name = f"report {number}"
            self.town.file(Wanted(name, who, f"subject.{number // 2}"))
            names.append(name)
        return names[0], names[1]

    def states(self, *names: str) -> set[EntryState | None]:
        found = set()
        for name in names:
            one = self.town.kept[name]
            (status,) = [
                status
                for status in self.town.people[one.wanted.person].status(one.sealed)
                if status.filing.entry == one.sealed.entry
            ]
            found.add(status.state)
        return found

    def feed(self) -> Examined:
        """Everything in the feed, compared for randomness used twice; no plan has a time that was not."""
        prepared = self.network.prepared
        feed = Examined(prepared.committee, prepared.policy, self.town.feed(self.auditor), self.auditor)
        for _, plan in feed.plans:
            assert plan.opened_at <= self.clocks() + CLOCK_TOLERANCE_SECONDS
            assert plan.expired == ()
        return feed

    def opened(self, feed: Examined, *, anew: bool = False) -> set[Released]:
        """Who could ever open what. A report's batches are asked for once each, or all of them anew.

        A release is whole in its batch (`Town.due` checks that none waits), so none is missed
        between two looks; asking for every batch at every look costs more than all the rest here.
        """
        closed = self.town.board.batches()
        self.seen |= self.town.opened(feed, {} if anew else self.looked)
        self.looked = dict.fromkeys(
            self.town.kept, closed
        )  # the last one again: it may have closed meanwhile
        return self.seen

    def all_is_well(self, *, anew: bool = False) -> None:
        """Everything filed so far is evaluated, and exactly what is due is open."""
        for name in TRUSTEES:
            until(partial(self.runs_well, name), f"{name} works again", PATIENCE)
        self.town.wait_done()
        self.town.wait_batches(2)
        feed = self.feed()
        assert self.opened(feed, anew=anew) == self.town.due(feed)
        for one in self.town.kept.values():
            taken = sum(one.sealed.entry in plan.entries for _, plan in feed.plans)
            assert taken == 1 or (taken == 0 and one.withdrawal_taken)

    def log(self, name: str) -> str:
        return self.process(name).log.read_text()

    # --- a service may not write ------------------------------------------------------------------

    def posts_nothing(self, name: str, fault: AbstractContextManager[None]) -> None:
        """A trustee: no word to anybody that it could forget; its page says why; it goes on by itself."""
        process, index = self.process(name), TRUSTEES.index(name) + 1
        pid = process.pid
        length = len(self.log(name))
        with fault:
            names = self.file_pair()
            entries = {self.town.kept[one].sealed.entry for one in names}
            self.says(name, "database takes no writes")
            assert not self.ready(name)
            assert self.operations(name, "health").status_code == 200

            def others_accept() -> bool:
                found = self.feed().accepted
                others = {1, 2, 3} - {index}
                return all(others <= set(found.get(entry, {})) for entry in entries)

            until(others_accept, "others accept", PATIENCE, pause=0.5)  # each look reads the whole feed
            time.sleep(BATCH_SECONDS)
            feed = self.feed()
            assert not any(index in feed.accepted.get(entry, {}) for entry in entries)
            assert not self.ready(name)
        self.all_is_well()
        assert process.pid == pid  # nobody restarted it
        assert self.states(*names) == {EntryState.EVALUATED}
        written = self.log(name)[length:]
        assert '"no_store"' in written
        assert "Traceback" not in written
        assert "poll failed" not in written
        for entry in entries:
            assert entry.hex() not in written

    def enrols_nobody_by_halves(self, fault: AbstractContextManager[None]) -> None:
        """The issuer: a card is spent with its place or not at all; what was acknowledged is still told."""
        town, process = self.town, self.process("issuer")
        pid = process.pid
        length = len(self.log("issuer"))
        who = f"late {len(town.places)}"
        places = town.board.places()
        roll = self.roll()
        with fault:
            for _ in range(2):
                with pytest.raises(Unavailable):
                    town.enrol_once(who)
            until(lambda: not self.ready("issuer"), "the issuer says that it cannot work", PATIENCE)
            assert self.operations("issuer", "health").status_code == 200
            assert self.roll() == roll
            assert town.board.places() == places
        until(partial(self.ready, "issuer"), "the issuer works again", PATIENCE)
        assert process.pid == pid
        assert self.roll() == roll
        town.enrol_once(who)  # the same card
        town.wait_on_roll()
        assert town.board.places() == places + 1
        written = self.log("issuer")[length:]
        assert '"database failed"' in written
        assert "Traceback" not in written
        town.file(Wanted(f"of {who}", who, f"nobody.else.{len(town.kept)}"))
        self.all_is_well()

    def roll(self) -> bytes:
        """What the issuer tells everybody about who enrolled."""
        address = f"{self.network.prepared.issuer.address}/v1/snapshots"
        return httpx.get(address, trust_env=False, timeout=30).raise_for_status().content
