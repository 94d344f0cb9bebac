"""One deployment through what operators fear: an absence, a wrong clock, an old backup, a full disk.

Real processes. The tests share one deployment: each one leaves it working, and each compares
everything that was filed until then with the plaintext reference.
"""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests.support.live_feed import Auditor, Examined
from tests.support.live_storm import PATIENCE, Clocks, Town, Wanted, scope, together

from notalone_client import ClientError, EntryState, Unavailable
from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS
from notalone_demo.live.network import LiveError, Network, Process, until
from notalone_demo.live.operators import Wishes
from notalone_server.trustee.service import ROLLED_BACK

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ("-m", "tests.support.live_launch")
MEMBERS = 33  # one more than a ring needs: somebody enrols while the issuer's disk is full
BATCH_SECONDS = 3
DAY = 24 * 3600
PARTIES = ("board", "issuer", "trustee-1", "trustee-2", "trustee-3")
TRUSTEES = PARTIES[2:]


@dataclass
class Place:
    """The town, its clocks and its auditor."""

    town: Town
    clocks: Clocks
    auditor: Auditor
    reports: int = 0

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
            who = f"person {number % (MEMBERS - 1)}"
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

    def all_is_well(self) -> None:
        """Everything filed so far is evaluated, and exactly what is due is open."""
        for name in TRUSTEES:
            until(partial(self.runs_well, name), f"{name} works again", PATIENCE)
        self.town.wait_done()
        self.town.wait_batches(2)
        feed = self.feed()
        assert self.town.opened() == self.town.due(feed)
        for one in self.town.kept.values():
            taken = sum(one.sealed.entry in plan.entries for _, plan in feed.plans)
            assert taken == 1 or (taken == 0 and one.withdrawal_taken)

    def log(self, name: str) -> str:
        return self.process(name).log.read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("troubles")
    clocks = Clocks(folder)
    # Ten days into a period of quotas, a day into a week: what is not under test does not come due.
    period = 365 * DAY
    begin = (int(time.time()) // period + 1) * period + 10 * DAY
    begin += -(begin - 4 * DAY) % (7 * DAY) + DAY
    clocks.set("world", begin - int(time.time()))
    auditor = Auditor()
    wishes = Wishes((1,), 8, MEMBERS, (auditor.public,))
    extras = {name: clocks.environment(name) for name in PARTIES}
    with (
        Network(
            folder / "parties", scope(MEMBERS), BATCH_SECONDS, lambda _: None, wishes, LAUNCHER, extras
        ) as network,
        Town(network, clocks) as town,
    ):
        together([partial(town.enrol, f"person {number}") for number in range(MEMBERS - 1)], 2)
        town.wait_on_roll()
        yield Place(town, clocks, auditor)


def test_a_trustee_away_for_weeks_delays_everything_and_loses_nothing(place: Place) -> None:
    """BAT-10. Filings queue, since every batch needs 2m - 1 = 3 of 3; back again, it catches up by itself."""
    town = place.town
    early = place.file_pair()
    town.wait_done()
    opened = town.opened()
    assert {(early[0], early[1], 1), (early[1], early[0], 1)} <= opened
    place.process("trustee-3").kill()
    # A plan is out that the others vote on: it will be weeks old when trustee 3 sees it.
    closed = town.board.batches()
    until(lambda: place.feed().plans[-1][1].number > closed, "a plan", PATIENCE)
    late = place.file_pair()
    place.clocks.move(21 * DAY)
    later = place.file_pair()
    town.withdraw(later[1])
    time.sleep(3 * BATCH_SECONDS)
    assert place.states(*late, later[0]) == {EntryState.WAITING}
    assert town.board.batches() <= closed + 1
    assert place.feed().plans[-1][1].number <= closed + 1  # nobody plans on without it
    assert town.opened() == opened
    for name in ("trustee-1", "trustee-2"):
        assert place.ready(name)
        assert "Everything works." in place.operations(name).text
    place.process("trustee-3").start()
    place.all_is_well()
    assert place.states(*late, later[0]) == {EntryState.EVALUATED}
    assert place.states(later[1]) == {EntryState.GONE}
    assert {(late[0], late[1], 1), (late[1], late[0], 1)} <= town.opened()
    assert place.network.metric("trustee-3", "refused_items") == 0


@pytest.mark.parametrize("name", ["trustee-2", "board"])
def test_a_clock_that_jumps_delays_and_changes_nothing(place: Place, name: str) -> None:
    """HTTP-3. Forty days ahead, then an hour behind: refused, and tried again until it is right."""
    town = place.town
    refused = TRUSTEES if name == "board" else (name,)
    first = place.file_pair()
    waiting: list[str] = []
    for wrong in (40 * DAY, -3600):
        place.clocks.set(name, wrong)
        for trustee in refused:
            place.says(trustee, "is the clock right")
            assert not place.ready(trustee)
        if name != "board":
            waiting += place.file_pair()
        elif wrong > 0:  # clients' tokens are of another hour than the board's
            kept = town.kept[first[0]]
            with pytest.raises(ClientError):
                town.people[kept.wanted.person].file(kept.sealed)
        time.sleep(2 * BATCH_SECONDS)
        if name != "board":
            assert EntryState.EVALUATED not in place.states(*waiting)
    place.clocks.set(name, 0)
    place.all_is_well()
    assert place.states(*first, *waiting) == {EntryState.EVALUATED}
    for trustee in TRUSTEES:
        assert place.network.metric(trustee, "refused_items") == 0
        assert place.network.metric(trustee, "refused_posts") == 0


def test_attack_a_board_from_an_old_backup_stops_everybody_and_the_newest_data_heal_it(place: Place) -> None:
    """LOG-1. The trustees' page and log say what docs/operators.md explains; clients refuse it too."""
    town, board = place.town, place.process("board")
    database = board.party.config.parent / "board.sqlite"
    old, newest = database.with_name("old.copy"), database.with_name("newest.copy")
    first = place.file_pair()
    town.wait_done()
    copied(board, database, old)
    board.start()
    place.file_pair(first)
    place.all_is_well()
    copied(board, database, newest)
    replaced(database, old)
    board.start()
    try:
        check_stopped(place, first)
    finally:
        # As the page says: the newest state, then every trustee again.
        board.stop()
        replaced(database, newest)
        board.start()
        for name in TRUSTEES:
            place.process(name).stop()
            place.process(name).start()
    place.file_pair()
    place.all_is_well()


def check_stopped(place: Place, first: tuple[str, str]) -> None:
    """Trustees and clients refuse the old copy, in words that docs/operators.md explains."""
    town = place.town
    for name in TRUSTEES:
        place.says(name, "STOPPED. A person has to act.")
        page = place.operations(name).text
        assert ROLLED_BACK.replace("'", "&#x27;") in page
        assert "ARRÊT. Une personne doit agir." in place.operations(name, "?lang=fr").text
        assert not place.ready(name)
        assert '"halted"' in place.log(name)
        assert str(Code.ROLLBACK) in place.log(name)
    closed = town.board.batches()
    kept = town.kept[first[0]]
    client = town.people[kept.wanted.person]  # it saw that her newer report was counted
    with pytest.raises(NotAloneError) as caught:
        client.verify_receipt(kept.sealed, kept.receipt)
    assert caught.value.code == Code.ROLLBACK
    time.sleep(2 * BATCH_SECONDS)
    assert town.board.batches() == closed  # nobody works for it
    advice = " ".join((ROOT / "docs" / "operators.md").read_text().split()).lower()
    assert ROLLED_BACK.split(". ")[0] in advice  # an operator finds the page's words, and what to do
    assert "leave every database as it is" in advice
    assert "then restart this trustee" in advice


def copied(process: Process, database: Path, copy: Path) -> None:
    """A backup as docs/operators.md says: stop the service, copy the one file."""
    process.stop()
    for beside in ("-wal", "-journal"):
        extra = Path(f"{database}{beside}")
        assert not extra.exists() or not extra.stat().st_size, f"the file alone is no backup: {extra.name}"
    shutil.copy(database, copy)


def replaced(database: Path, copy: Path) -> None:
    for beside in ("-wal", "-shm"):
        Path(f"{database}{beside}").unlink(missing_ok=True)
    shutil.copy(copy, database)


def fill_disk(process: Process) -> None:
    """No file of this process may grow beyond its log and a few lines more: the kernel refuses the write."""
    room = process.log.stat().st_size + 1500
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


def make_room(process: Process) -> None:
    everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, everything)


def test_a_trustee_whose_disk_is_full_posts_nothing_says_so_and_goes_on_by_itself(place: Place) -> None:
    process = place.process("trustee-1")
    fill_disk(process)
    names = place.file_pair()
    entries = {place.town.kept[name].sealed.entry for name in names}
    place.says("trustee-1", "database takes no writes")
    assert not place.ready("trustee-1")
    time.sleep(2 * BATCH_SECONDS)
    feed = place.feed()
    until(
        lambda: all(2 in place.feed().accepted.get(entry, {}) for entry in entries), "others accept", PATIENCE
    )
    assert not any(1 in feed.accepted.get(entry, {}) for entry in entries)
    written = place.log("trustee-1")
    assert '"no_store"' in written
    make_room(process)
    place.all_is_well()  # the process is the same: nobody restarted it
    assert place.states(*names) == {EntryState.EVALUATED}
    assert "Traceback" not in place.log("trustee-1")
    for entry in entries:
        assert entry.hex() not in written


def test_a_trustee_whose_database_is_read_only_says_so_and_posts_nothing(place: Place) -> None:
    process = place.process("trustee-2")
    folder = process.party.config.parent
    process.stop()
    files = [folder, *folder.glob("trustee.sqlite*")]
    modes = {path: path.stat().st_mode & 0o777 for path in files}
    for path in files:
        if ".lock" not in path.name:
            path.chmod(0o500 if path == folder else 0o400)
    length = len(place.log("trustee-2"))
    process.extra = {**process.extra, "NOTALIVE_PLAIN": "1"}
    process.start()
    try:
        names = place.file_pair()
        entries = {place.town.kept[name].sealed.entry for name in names}
        until(lambda: "database" in place.log("trustee-2")[length:], "trustee 2 says why", PATIENCE)
        assert not place.runs_well("trustee-2")
        time.sleep(BATCH_SECONDS)
        accepted = place.feed().accepted
        assert not any(2 in accepted.get(entry, {}) for entry in entries)
        assert "Traceback" not in place.log("trustee-2")[length:]
    finally:
        process.stop()
        for path, mode in modes.items():
            path.chmod(mode)
    process.extra = {name: value for name, value in process.extra.items() if name != "NOTALIVE_PLAIN"}
    process.start()
    place.all_is_well()


def test_an_issuer_whose_disk_is_full_enrols_nobody_by_halves_and_goes_on_by_itself(place: Place) -> None:
    town, process = place.town, place.process("issuer")
    fill_disk(process)
    client_places = town.board.places()
    with pytest.raises(Unavailable):
        town.enrol_once("late")
    assert not place.ready("issuer")
    assert place.operations("issuer", "health").status_code == 200
    assert town.board.places() == client_places
    assert '"database failed"' in place.log("issuer")
    make_room(process)
    town.enrol_once("late")  # the same card
    town.wait_on_roll()
    assert town.board.places() == client_places + 1
    until(partial(place.ready, "issuer"), "the issuer works again", PATIENCE)
    assert "Traceback" not in place.log("issuer")
    town.file(Wanted("of somebody new", "late", "nobody.else"))
    place.all_is_well()
