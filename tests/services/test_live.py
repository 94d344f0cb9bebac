"""The main job over HTTP: five real processes, each with its database, and people with the SDK alone."""

from __future__ import annotations

import io
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

import pytest
from rich.console import Console
from typer.testing import CliRunner

from notalone_client import EntryState
from notalone_crypto.errors import NotAloneError
from notalone_crypto.protocol.identify import CanonicalIdentifier, IdentifierKind
from notalone_crypto.suite import MIN_ROLL
from notalone_demo import views
from notalone_demo.cli import app
from notalone_demo.live import look
from notalone_demo.live.contact import Contact
from notalone_demo.live.network import LiveError, Network, until
from notalone_demo.live.operators import HOST, Wishes, children_environment
from notalone_demo.live.story import LiveRun, named
from notalone_demo.reports_file import Story, read_story
from notalone_demo.seen import IssuerSeen

BATCH_SECONDS = 2
AUDITOR = look.Auditor.new()
WISHES = Wishes(auditors=(AUDITOR.public,))
DESK = "Écoute"
KILLED = ("board", "trustee-1", "trustee-2", "board", "trustee-3", "board")
MODES = ("peers", "counsellor")

QUIET = (
    (1, "Ada", 2, "peers", {"email": "a.one@example.org"}, True),
    (1, "Bea", 2, "peers", {"email": "A.One@Example.org"}, False),
    (1, "Cleo", 3, "counsellor", {"phone": "06 12 34 56 78"}, False),
    (1, "Dora", 2, "peers", {"account": {"platform": "instagram", "handle": "@b.two"}}, False),
    (2, "Edna", 2, "peers", {"account": "https://www.instagram.com/b.two"}, False),  # Dora took hers back
    (2, "Faye", 2, "counsellor", {"phone": "+33 6 12 34 56 78"}, False),
)
NAMED = [
    "c.three",
    "d.four",
    "c.three",
    "d.four",
    "e.five",
    "d.four",
    "f.six",
    "g.seven",
    "f.six",
    "h.eight",
    "e.five",
    "d.four",
]
STORMY = tuple(
    (3, f"Person {number}", 2 + number % 2, MODES[number % 2], {"email": f"{about}@example.org"}, False)
    for number, about in enumerate(NAMED)
)


def tell(folder: Path) -> Story:
    """Both parts as one reports file, read as the command reads it."""
    reports = [
        {"batch": batch, "from": who, "threshold": threshold, "opens_to": opens, "about": about,
         "preconsent": preconsent, "words": f"words of {who}"}
        for batch, who, threshold, opens, about, preconsent in (*QUIET, *STORMY)
    ]  # fmt: skip
    scope = {
        "instance": "test", "name": "Université « test »", "region": "FR", "members": MIN_ROLL,
        "levels": [2, 3], "trustees": ["One", "Two", "Three"], "threshold": 2, "desks": [DESK],
        "directory": [],
    }  # fmt: skip
    path = folder / "reports.json"
    path.write_text(json.dumps({"scope": scope, "reports": [*reports, {"batch": 2, "withdraw": "Dora"}]}))
    return read_story(path)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    """One deployment for the module; a test compares everything filed so far, in whatever order they run."""
    folder = tmp_path_factory.mktemp("live")
    story = tell(folder)
    told: list[str] = []
    with (
        Network(folder / "parties", story.scope, BATCH_SECONDS, told.append, WISHES) as network,
        closing(LiveRun(story, network, told.append)) as run,
    ):
        run.enrol()
        yield run


def logs(run: LiveRun) -> str:
    return "".join(process.log.read_text() for process in run.network.processes.values())


@dataclass
class Storm:
    """Kills one process after the other at moments drawn from a seed, and starts each again."""

    network: Network
    choices: random.Random = field(default_factory=lambda: random.Random("storm"))
    killed: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self._blow, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join(120)
        assert not self.thread.is_alive()
        assert not self.failures

    def _blow(self) -> None:
        try:
            for name in KILLED:
                time.sleep(self.choices.uniform(0.05, 0.8))
                self.network.processes[name].kill()
                self.killed.append(name)
                time.sleep(self.choices.uniform(0, 0.3))
                self.network.processes[name].start()
                if self.choices.random() < 0.5:  # else the next one falls while this one starts
                    self.network.wait_ready([self.network.processes[name].party])
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.failures.append(error)


def test_a_story_over_real_processes_releases_what_the_plaintext_reference_does(live: LiveRun) -> None:
    numbers = list(islice(live.batches(), 2))
    assert numbers == [1, 2]
    observed = live.finish()
    assert observed == live.expected, logs(live)
    assert {("Ada", "Bea", 1), ("Ada", "Bea", 2), ("Bea", "Ada", 1)} <= observed
    assert not any("Dora" in one or "Edna" in one or "Cleo" in one for one in observed)
    ada = live.people["Ada"]
    (status,) = ada.status()  # found again without the sealed bytes
    assert (status.state, status.counted) == (EntryState.EVALUATED, True)
    # Every party has its own database, and nobody's log names anybody.
    folder = live.network.folder
    databases = {path.parent.name for path in folder.rglob("*.sqlite")}
    assert databases == {"board", "issuer", "trustee-1", "trustee-2", "trustee-3"}
    written = logs(live)
    for one in live.filed:
        assert one.entry.hex() not in written
        assert one.name not in written
    assert "a.one" not in written
    assert "612345678" not in written


def test_filings_while_board_and_trustees_are_killed_are_all_evaluated_and_released_as_due(
    live: LiveRun,
) -> None:
    """HTTP-9. SIGKILL at seeded moments: every receipt is kept, and no other set is released."""
    with Storm(live.network) as storm:
        mine = [live.file(report) for report in live.story.reports if report.batch == 3]
        live.withdraw("Person 9")
        live.wait_evaluated()
    live.network.wait_ready([one.party for one in live.network.processes.values()])
    assert storm.killed == list(KILLED)
    live.expect()
    observed = live.finish()
    assert observed == live.expected, logs(live)
    assert {("Person 0", "Person 2", 1), ("Person 2", "Person 0", 1)} <= observed
    assert ("Person 1", DESK, 2) in observed
    for one in mine:
        client = live.people[one.report.person]
        (status,) = client.status(one.sealed)
        if one.withdrawn:
            assert status.state is EntryState.GONE
            continue
        assert status.state is EntryState.EVALUATED
        assert status.filing.entry == one.entry == one.receipt.entry
        assert client.verify_receipt(one.sealed, one.receipt)
        assert client.file(one.sealed).entry == one.entry  # an answer lost and asked for again
    written = logs(live)
    for word in ('"halted"', "poll failed", "request failed", "Traceback"):
        assert word not in written
    for name in live.network.processes:
        if name.startswith("trustee"):
            assert live.network.metric(name, "refused_items") == 0
            assert live.network.metric(name, "polls_total") > 0


def test_after_the_matches_nobody_reads_a_word_before_both_agreed(live: LiveRun, tmp_path: Path) -> None:
    """Consent, refusal and a desk's introduction, each through the SDK alone."""
    told: list[str] = []
    if not live.filed:
        assert list(islice(live.batches(), 2)) == [1, 2]
    contact = Contact(live, live.observed(), told.append)
    assert contact.play(tmp_path), contact.read ^ contact.expected
    assert {(reader, writer) for reader, writer, _ in contact.read} >= {("Ada", "Bea"), ("Bea", "Ada")}
    assert (DESK in " ".join(told)) == any(one.report.batch == 3 for one in live.filed)
    written = logs(live)
    assert not any(words in written for _, _, words in contact.read)


def test_every_partys_own_memory_can_be_shown_while_it_runs_and_names_nobody(live: LiveRun) -> None:
    if not live.filed:
        assert list(islice(live.batches(), 2)) == [1, 2]
    prepared = live.network.prepared
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    for index in (1, 2, 3):
        seen = look.trustee(prepared, index)
        assert len(seen.scope.live) == sum(not one.withdrawn for one in live.filed)
        views.trustee_view(console, seen)
    board = look.board(prepared)
    assert [item.sequence for item in board.feed] == list(range(1, len(board.feed) + 1))
    views.board_view(console, board)
    assert look.issuer(prepared) == IssuerSeen(MIN_ROLL, 0)
    views.issuer_view(console, look.issuer(prepared))
    views.public_view(console, look.public(live))
    auditor = AUDITOR.look(prepared)
    assert auditor.report().clean, auditor.report().page()
    views.auditor_view(console, auditor)
    text = stream.getvalue()
    for one in live.filed:
        assert one.report.person not in text
        assert one.entry.hex() not in text
    assert "a.one" not in text
    people = {one.name: one for one in look.people(live)}
    assert people["Ada"].state == "yes"
    assert any(line.startswith("Bea: ") for line in people["Ada"].opened)


def test_a_process_that_cannot_start_is_told_at_once_and_names_its_log(
    live: LiveRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(live.network.folder / "compiled"))
    folder = tmp_path / "parties"

    def spoil(_: str) -> None:
        (folder / "board" / "manifest.signed").unlink(missing_ok=True)

    with (
        pytest.raises(LiveError, match=r"board\.log"),
        Network(folder, live.story.scope, BATCH_SECONDS, spoil),
    ):
        pass


def test_what_does_not_happen_in_time_is_an_error() -> None:
    with pytest.raises(LiveError, match="the end"):
        until(lambda: False, "the end", 0.1)


def test_settings_in_the_environment_do_not_reach_the_services(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTALONE_BOARD_HOST", "0.0.0.0")
    assert "NOTALONE_BOARD_HOST" not in children_environment(tmp_path)
    assert HOST == "127.0.0.1"


def test_an_identifier_that_the_sdk_would_compare_otherwise_is_refused() -> None:
    with pytest.raises(NotAloneError):
        named(1, CanonicalIdentifier(IdentifierKind.EMAIL, b"Not.Canonical@example.org"))


def test_a_live_run_from_a_seed_is_bad_input() -> None:
    reports = Path(__file__).resolve().parents[2] / "examples" / "university.json"
    done = CliRunner().invoke(app, ["demo", "--live", "--seed", "x", "--reports", str(reports)])
    assert done.exit_code == 2
