"""One deployment through what operators fear: an absence, a wrong clock, an old backup, no writes.

Real processes. The tests share one deployment: each one leaves it working, and each compares
everything that was filed until then with the plaintext reference.
"""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.support import read_only
from tests.support.live_feed import Auditor
from tests.support.live_place import BATCH_SECONDS, LAUNCHER, PARTIES, POLL_SECONDS, TRUSTEES, Place
from tests.support.live_storm import PATIENCE, Clocks, Town, scope, together

from notalone_client import ClientError, EntryState
from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.suite import MIN_ROLL
from notalone_demo.live.network import Network, Process, until
from notalone_demo.live.operators import Wishes
from notalone_server.trustee.service import ROLLED_BACK

ROOT = Path(__file__).resolve().parents[2]
DAY = 24 * 3600
MEMBERS = MIN_ROLL + 2  # somebody enrols while the issuer's disk is full, and while it is read-only


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
    wishes = Wishes((1,), 8, MEMBERS, (auditor.public,), poll_seconds=POLL_SECONDS)
    extras = {name: clocks.environment(name) for name in PARTIES}
    with (
        Network(
            folder / "parties", scope(MEMBERS), BATCH_SECONDS, lambda _: None, wishes, LAUNCHER, extras
        ) as network,
        Town(network, clocks) as town,
    ):
        together([partial(town.enrol, f"person {number}") for number in range(MIN_ROLL)], 2)
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
    until(lambda: place.feed().plans[-1][1].number > closed, "a plan", PATIENCE, pause=0.5)
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
    place.all_is_well(anew=True)


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


@contextmanager
def full_disk(process: Process, _database: Path) -> Iterator[None]:
    """No file of this process may grow beyond its log and a few lines more: the kernel refuses the write."""
    everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    room = process.log.stat().st_size + 1500
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, everything)


def read_only_files(_process: Process, database: Path) -> AbstractContextManager[None]:
    """The process has its database open, and may not write to it any more."""
    return read_only.files(database)


Fault = Callable[[Process, Path], AbstractContextManager[None]]


@pytest.fixture(params=[full_disk, read_only_files])
def fault(request: pytest.FixtureRequest) -> Fault:
    found: Fault = request.param
    return found


def test_a_trustee_that_may_not_write_posts_nothing_says_so_and_goes_on_by_itself(
    place: Place, fault: Fault
) -> None:
    """HTTP-20."""
    process = place.process("trustee-1")
    place.posts_nothing("trustee-1", fault(process, process.party.config.parent / "trustee.sqlite"))


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

        def says_why() -> bool:
            # Without a -wal file from before it cannot start, and says so; with one it can read, and waits.
            written = place.log("trustee-2")[length:]
            return "database" in written or '"no_store"' in written

        until(says_why, "trustee 2 says why", PATIENCE)
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


def test_an_issuer_that_may_not_write_enrols_nobody_by_halves_and_goes_on_by_itself(
    place: Place, fault: Fault
) -> None:
    """HTTP-20."""
    process = place.process("issuer")
    place.enrols_nobody_by_halves(fault(process, process.party.config.parent / "issuer.sqlite"))
