"""What `make bench-http` prints: machine, one table for each question, goals as met or not met."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.bench.machine import Unit
from tests.bench.parties import NICENESS
from tests.bench.tables import print_table

from notalone_server.trustee.settings import TrusteeSettings

if TYPE_CHECKING:
    from tests.bench.over_http import Figures

ACCEPTED_GOAL: Final = 0.050
READABLE_GOAL: Final = 5.0
FLAT_GOAL: Final = 1.10
_POLL_SECONDS: Final = TrusteeSettings.model_fields["poll_seconds"].default


def print_machine(unit: Unit, batch_seconds: int) -> None:
    """Where this ran, and what one multiplication costs here."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}; load before: {load}")
    print(
        f"one multiplication: {unit.variable * 1e6:.1f} us with a varying element,"
        f" {unit.base * 1e6:.1f} us with the generator; 'mult.' is time divided by the former"
    )
    print(
        f"a batch every {batch_seconds} s (a real scope: a day), trustees ask every {_POLL_SECONDS} s, with"
        f" niceness {NICENESS}; roll of 64, n=3, m=2, 4 slots at levels 2 and 3; all on this machine"
    )
    print(
        "stored entries are loaded, not filed: distinct people at level 2, one person at level 3,"
        " where the protocol's cost grows with N"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def print_one(one: Figures) -> None:
    """One database and N, as soon as it is measured."""
    print_all([one], goals_too=False)


def print_all(found: Sequence[Figures], *, goals_too: bool = True) -> None:
    """Every table."""
    print_table(
        "Accepted: from sending to the verified receipt, in ms",
        ("database", "sending", "N", "filings", "per s", "p50", "p95", "p99", "most"),
        [
            (
                one.database, way, f"{one.entries:,}", str(len(times)),
                f"{one.rates[way]:.1f}" if way in one.rates else "-",
                *(_ms(percentile(times, share)) for share in (0.5, 0.95, 0.99)), _ms(max(times)),
            )
            for one in found
            for way, times in one.accepted.items()
        ],
    )  # fmt: skip
    print_table(
        "From sending the second filing about one person, in s (median, most)",
        ("database", "", "N", "pairs", "evaluated, match readable", "introduction opened"),
        [
            (
                one.database, "", f"{one.entries:,}", str(len(one.opened)),
                _two(one.readable), _two(one.opened),
            )
            for one in found
        ],
    )  # fmt: skip
    parties = list(dict.fromkeys(name for one in found for name in one.cpu))
    print_table(
        "Processor time of each party for one filing, in ms (one sender; batches included)",
        ("database", "", "N", *parties, "all", "a trustee, idling taken out"),
        [
            (
                one.database, "", f"{one.entries:,}", *(_ms(one.whole_cpu.get(name, 0)) for name in parties),
                _ms(sum(one.whole_cpu.values())), _ms(_trustee(one) * one.unit),
            )
            for one in found
        ],
    )  # fmt: skip
    print_table(
        "Without filings: processor time of each party in ms for each second; batches, and the rest",
        ("database", "", "N", *parties, "s a batch", "load s", "start s", "SDK seal s", "SDK status s"),
        [
            (
                one.database, "", f"{one.entries:,}", *(_ms(one.idle_cpu.get(name, 0)) for name in parties),
                f"{one.batch_seconds:.2f}", f"{one.load_seconds:.0f}", f"{one.start_seconds:.0f}",
                f"{one.seal_seconds:.2f}", f"{one.status_seconds:.2f}",
            )
            for one in found
        ],
    )  # fmt: skip
    if goals_too:
        _print_units(found)
        _print_goals(found)


def print_steps(rows: Sequence[tuple[str, ...]], filings: int) -> None:
    """Where the time goes (where.py)."""
    print_table(
        f"Where it goes, in ms for one filing among {filings}, services in one process, without HTTP",
        ("step", "database", "N", "cpu", "wall"),
        rows,
    )


def _print_units(found: Sequence[Figures]) -> None:
    print_table(
        "The same in multiplications, each measured in the same minute: a busy neighbour slows both alike",
        (
            "database", "", "N", "one in us", "accepted p50", "a trustee's cpu", "all cpu",
            "a trustee's, one process", "counted",
        ),
        [
            (
                one.database, "", f"{one.entries:,}", f"{one.unit * 1e6:.1f}",
                f"{percentile(one.accepted['one every second'], 0.5) / one.unit:,.0f}",
                f"{_trustee(one):,.0f}", f"{sum(one.whole_cpu.values()) / one.unit:,.0f}",
                f"{one.trustee_cpu:,.0f}", f"{one.trustee_multiplications:,.1f}",
            )
            for one in found
        ],
    )  # fmt: skip


def _print_goals(found: Sequence[Figures]) -> None:
    print_table("Goals", ("goal", "", "measured", "limit"), [_row(goal) for goal in goals(found)])


def goals(found: Sequence[Figures]) -> list[dict[str, Any]]:
    """Each goal with what was measured."""
    made = []
    for one in found:
        where = f"{one.database}, N = {one.entries:,}"
        made += [
            _goal(
                f"{where}: accepted in ms at the 95th percentile, {way}",
                percentile(times, 0.95) * 1e3,
                ACCEPTED_GOAL * 1e3,
            )
            for way, times in one.accepted.items()
        ]
        made.append(_goal(f"{where}: match readable, most s", max(one.readable), READABLE_GOAL))
    for name in dict.fromkeys(one.database for one in found):
        rows = [one for one in found if one.database == name]
        for one in rows[1:]:
            of = f"{name}: a trustee's {{}} for a filing, N = {one.entries:,} against {rows[0].entries:,}"
            cpu = one.trustee_cpu / rows[0].trustee_cpu
            counted = one.trustee_multiplications / rows[0].trustee_multiplications
            made.append(_goal(of.format("cpu"), cpu, FLAT_GOAL))
            made.append(_goal(of.format("multiplications"), counted, FLAT_GOAL))
    return made


def _trustee(one: Figures) -> float:
    """The mean trustee's processor time for one filing, in multiplications."""
    times = [seconds for name, seconds in one.cpu.items() if name.startswith("trustee")]
    return sum(times) / len(times) / one.unit


def _goal(text: str, measured: float, limit: float) -> dict[str, Any]:
    return {"goal": text, "measured": round(measured, 3), "limit": limit, "met": measured <= limit}


def _row(goal: dict[str, Any]) -> tuple[str, ...]:
    return (
        goal["goal"],
        "met" if goal["met"] else "NOT MET",
        f"{goal['measured']:,.2f}",
        f"{goal['limit']:,}",
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f}"


def _two(values: Sequence[float]) -> str:
    return f"{percentile(values, 0.5):.2f}, {max(values):.2f}" if values else "-"
