"""`make bench-http`: filings through real processes, with N entries stored before.

For each database and N: filings per second and the time until the receipt,
then from filing to evaluated, to a match and to its opened introduction, and
the processor time of every party. Goals are printed as met or not met and
nothing is asserted. Entries are loaded, not filed (loader.py says how).

Run: python tests/bench/over_http.py [--quick] [--json PATH] [--database sqlite|postgresql]
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

if not __package__:  # run as a script: make the project's packages importable without an installation
    ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [
        str(ROOT),
        *(str(ROOT / name) for name in ("crypto", "server", "client_sdk/python", "demo")),
    ]

from tests.bench import http_report, loader, where
from tests.bench.machine import measure_unit
from tests.bench.parties import Parties
from tests.bench.people import People, Ready, filing_of, numbers
from tests.support import postgres

from notalone_client import Form, Named
from notalone_crypto.messages.filing import Receipt
from notalone_server.edge.process import SWITCH_SECONDS

BATCH_SECONDS: Final = 2
SENDERS: Final = (1, 2, 4)
_PAUSE: Final = 0.02
_PARTIES: Final = ("board", "issuer", "trustee-1", "trustee-2", "trustee-3")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    entries: tuple[int, ...]
    filings: int  # for each number of senders
    spaced: int  # one after the other, with time for the trustees in between
    pairs: int
    idle_seconds: float
    profiled: int  # filings of the batch whose steps are timed


FULL: Final = Size((0, 1_000, 100_000), 40, 30, 5, 12.0, 10)
QUICK: Final = Size((0, 1_000), 8, 4, 2, 6.0, 4)


@dataclass(slots=True)
class Figures:
    """What was measured with N entries in one database; times in seconds."""

    database: str
    entries: int
    accepted: dict[str, list[float]] = field(default_factory=dict)  # way of sending -> seconds to receipt
    rates: dict[str, float] = field(default_factory=dict)  # filings per second
    evaluated: list[float] = field(default_factory=list)
    readable: list[float] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)  # party -> seconds for each filing, idling taken out
    whole_cpu: dict[str, float] = field(default_factory=dict)  # the same with all that went on meanwhile
    idle_cpu: dict[str, float] = field(default_factory=dict)  # party -> seconds of each second
    unit: float = 0.0  # seconds of one multiplication, right before and after `cpu` was measured
    batch_seconds: float = 0.0  # from one closed batch to the next, while nobody files
    load_seconds: float = 0.0
    start_seconds: float = 0.0
    seal_seconds: float = 0.0  # by the SDK, spent tags downloaded
    status_seconds: float = 0.0
    steps: dict[str, dict[str, float]] = field(default_factory=dict)  # where.py
    trustee_cpu: float = 0.0  # of one filing, in multiplications, services in one process (where.py)
    trustee_multiplications: float = 0.0  # the same, counted


def main() -> None:
    """Measure, print, and write the same as JSON if asked."""
    arguments = _arguments()
    size = QUICK if arguments.quick else FULL
    if arguments.entries:
        size = replace(size, entries=tuple(arguments.entries))
    sys.setswitchinterval(SWITCH_SECONDS)  # nor do they wait for one another's turn in it
    started, unit = time.perf_counter(), measure_unit()
    http_report.print_machine(unit, BATCH_SECONDS)
    found: list[Figures] = []
    for name in arguments.database or ("sqlite", "postgresql"):
        with _server(name) as server:
            chosen = size.entries if server is not None else ()
            found += [_one_size(name, _fresh(server), size, entries) for entries in chosen]
    http_report.print_all(found)
    print(f"\n{time.perf_counter() - started:.0f} s")
    if arguments.json:
        whole: dict[str, Any] = {"unit_microseconds": unit.variable * 1e6, "batch_seconds": BATCH_SECONDS}
        whole |= {"figures": [asdict(one) for one in found], "goals": http_report.goals(found)}
        arguments.json.write_text(json.dumps(whole, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="N = 0 and 1,000, few filings")
    parser.add_argument("--json", type=Path, help="write everything to this file as well")
    parser.add_argument(
        "--database", action="append", choices=("sqlite", "postgresql"), help="both by default"
    )
    parser.add_argument(
        "--entries", action="append", type=int, help="other numbers of stored entries, rising"
    )
    return parser.parse_args()


@contextmanager
def _server(name: str) -> Iterator[str | None]:
    """A database server's URL (empty for SQLite), or None (and why) where there is no PostgreSQL."""
    with ExitStack() as stack:
        if name == "sqlite":
            yield ""
            return
        try:
            server = stack.enter_context(postgres.running())
        except postgres.NoServerError as error:
            print(f"\nPostgreSQL is not measured: {error}")
            yield None
            return
        yield server


def _fresh(server: str | None) -> dict[str, str]:
    """An empty database for each party; SQLite files beside the settings need no mention."""
    return {party: postgres.new_database(server) for party in _PARTIES} if server else {}


def _one_size(name: str, databases: dict[str, str], size: Size, entries: int) -> Figures:
    """A deployment of its own: what was really filed before is then the same for every N."""
    phones, one = numbers(), Figures(name, entries)
    with (
        tempfile.TemporaryDirectory(prefix="notalone-bench-") as folder,
        Parties(Path(folder) / "parties", BATCH_SECONDS, databases) as parties,
    ):
        people = People(parties)
        ready = people.sealed(2 * size.profiled, phones)
        if entries:
            _tell(name, entries, "loading")
            one.load_seconds = _load(parties, people, next(phones), entries)
        _tell(name, entries, "measuring in one process")
        _profile(parties, ready, one)
        began = time.perf_counter()
        parties.start()
        one.start_seconds = time.perf_counter() - began
        _tell(name, entries, "measuring over HTTP")
        _measure(parties, people, phones, size, one)
        http_report.print_one(one)
        people.close()
    return one


def _load(parties: Parties, people: People, phone: str, count: int) -> float:
    """Seconds to load that many; the processes are stopped then."""
    template = filing_of(people.seal(phone))
    parties.stop()
    began = time.perf_counter()
    loader.load(parties, [template], count, seed=b"load %d" % count)
    parties.tidy()
    return time.perf_counter() - began


def _profile(parties: Parties, ready: list[Ready], one: Figures) -> None:
    """Where the time goes; before anything else is filed, for at level 3 that costs N multiplications."""
    parties.stop()
    half = len(ready) // 2
    found = where.profile(parties, ready[:half], ready[half:])
    one.trustee_cpu, one.trustee_multiplications = found.trustee_cpu, found.multiplications
    one.steps = {f"{party}: {step}": asdict(times) for (party, step), times in found.steps.items()}
    http_report.print_steps(where.rows(one.database, one.entries, found.steps), half)


def _measure(parties: Parties, people: People, phones: Iterator[str], size: Size, one: Figures) -> None:
    for client in people.clients:
        client.policy()  # what a client asks once
    _warm_up(people, phones)
    one.idle_cpu, one.batch_seconds = _idle(parties, people, size.idle_seconds)
    for senders in SENDERS:
        ready = people.sealed(size.filings, phones)
        unit, before, began = measure_unit(), parties.cpu(), time.perf_counter()
        times, rate, sent = _closed_loop(ready, senders)
        people.wait_evaluated(sent)
        after, taken = parties.cpu(), time.perf_counter() - began
        name = f"{senders} sender{'s' if senders > 1 else ''}"
        one.accepted[name], one.rates[name] = times, rate
        if senders == 1:
            one.unit = unit.mean(measure_unit()).variable
            one.whole_cpu = {party: (after[party] - before[party]) / len(ready) for party in after}
            one.cpu = {
                party: (after[party] - before[party] - one.idle_cpu[party] * taken) / len(ready)
                for party in after
            }
    one.accepted["one every second"] = _spaced(people, people.sealed(size.spaced, phones))
    for _ in range(size.pairs):
        _pair(people, next(phones), one)
    one.seal_seconds, one.status_seconds = _sdk(people, next(phones))


def _warm_up(people: People, phones: Iterator[str]) -> None:
    """One filing through everything: the first batch after a start builds the finders anew."""
    (ready,) = people.sealed(1, phones)
    people.wait_evaluated([(ready, ready.send())])


def _idle(parties: Parties, people: People, seconds: float) -> tuple[dict[str, float], float]:
    """Processor time of each party for each second without filings, and the time from batch to batch."""
    before, first, began = parties.cpu(), people.board.batches(), time.perf_counter()
    time.sleep(seconds)
    after, last, taken = parties.cpu(), people.board.batches(), time.perf_counter() - began
    return {name: (after[name] - before[name]) / taken for name in after}, taken / max(last - first, 1)


def _closed_loop(ready: list[Ready], senders: int) -> tuple[list[float], float, list[tuple[Ready, Receipt]]]:
    """Every sender sends the next as soon as it has its receipt."""
    waiting, lock = list(reversed(ready)), threading.Lock()
    times: list[float] = []
    sent: list[tuple[Ready, Receipt]] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            while True:
                with lock:
                    if not waiting:
                        return
                    one = waiting.pop()
                began = time.perf_counter()
                receipt = one.send()
                taken = time.perf_counter() - began
                with lock:
                    times.append(taken)
                    sent.append((one, receipt))
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(senders)]
    gc.collect()  # reporters do not share one interpreter and its pauses
    gc.freeze()
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - began
    if failures:
        raise failures[0]
    return times, len(ready) / taken, sent


def _spaced(people: People, ready: list[Ready]) -> list[float]:
    """One filing, then a second for the trustees: what one reporter sees where few file."""
    times, sent = [], []
    for one in ready:
        began = time.perf_counter()
        sent.append((one, one.send()))
        times.append(time.perf_counter() - began)
        time.sleep(max(0.0, 1.0 - times[-1]))
    people.wait_evaluated(sent)
    return times


def _pair(people: People, phone: str, one: Figures) -> None:
    """Two people name one person, the second when the first is evaluated; times from the second's sending."""
    first, second = people.seal(phone), people.seal(phone)
    people.wait_evaluated([(first, first.send())])
    began = time.perf_counter()
    receipt = second.send()
    batch = receipt.batch
    while True:
        closed = people.board.batches()
        if closed < batch:
            time.sleep(_PAUSE)
            continue
        at = time.perf_counter() - began
        if not one_more(second, batch):
            batch = closed + 1
            continue
        one.readable.append(at)
        one.opened.append(time.perf_counter() - began)
        people.wait_evaluated([(second, receipt)])
        one.evaluated.append(at)
        return


def one_more(second: Ready, batch: int) -> bool:
    """Whether the blobs from that batch on open somebody's introduction to her."""
    return bool(second.matches(batch))


def _sdk(people: People, phone: str) -> tuple[float, float]:
    """Seconds of the SDK's own `seal`, which downloads all spent tags, and of `status`."""
    client: Any = people.clients[-1]
    steps: list[Callable[[], object]] = [
        lambda: client.seal(Form([Named.phone(phone)], words="words")),
        client.status,
    ]
    times = []
    for step in steps:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return times[0], times[1]


def _tell(name: str, entries: int, what: str) -> None:
    print(f"\n{name}, N = {entries:,}: {what}", flush=True)


if __name__ == "__main__":
    main()
