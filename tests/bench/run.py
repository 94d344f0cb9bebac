"""`make bench`: what a filing costs, counted in scalar multiplications and timed against one of them.

Counts are exact; times are printed as a ratio to (multiplications x this
machine's cost of one in the same minute), so that they mean something
elsewhere. Goals are printed as met or not met and nothing is asserted.

Run: python tests/bench/run.py [--quick] [--json PATH] [--no-finder]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: make the project's packages importable without an installation
    ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [
        str(ROOT),
        *(str(ROOT / name) for name in ("crypto", "server", "client_sdk/python", "demo")),
    ]

from tests.bench import finder, rolls, steps, summary
from tests.bench.machine import Step, measure_unit
from tests.bench.tables import print_steps, print_table

COMMITTEES = ((3, 2), (5, 3))
ROLL = 256


def main() -> None:
    """Measure, print, and write the same as JSON if asked."""
    arguments = _arguments()
    started = time.perf_counter()
    unit = measure_unit()
    print(
        f"one multiplication: {unit.variable * 1e6:.1f} us with a varying element,"
        f" {unit.base * 1e6:.1f} us with the generator (counted as {unit.base / unit.variable:.2f});"
        f" one addition {unit.addition * 1e6:.1f} us ({unit.addition / unit.variable:.2f})"
    )
    print("ratio = time / ('= mult.' x cost of one); 'with add.' also divides by the additions' share")
    result: dict[str, Any] = {"unit_microseconds": unit.variable * 1e6, "committees": []}
    ours: summary.Totals | None = None
    for count, threshold in COMMITTEES:
        measured = _committee(count, threshold, quick=arguments.quick)
        totals = summary.totals(count, threshold, 8, measured)
        result["committees"].append(
            {"n": count, "m": threshold, "steps": [step.as_json() for step in measured.values()]}
            | {"totals": [step.as_json() for step in totals.steps]}
        )
        print_steps(f"TOTALS  n={count}, m={threshold}, per filing", totals.steps)
        ours = ours or totals
    result["membership"] = _membership(quick=arguments.quick)
    if not arguments.no_finder:
        result["finder"] = _finder(quick=arguments.quick)
    if ours is not None:
        result["row"] = summary.print_row(ours)
        result["goals"] = summary.print_goals(ours)
    print(f"\n{time.perf_counter() - started:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    parser.add_argument("--no-finder", action="store_true", help="leave out the finder, the longest part")
    parser.add_argument("--json", type=Path, help="write everything to this file as well")
    return parser.parse_args()


def _committee(count: int, threshold: int, *, quick: bool) -> dict[str, Step]:
    """All steps of one committee, by name."""
    setting = steps.make_setting(count, threshold, ROLL)
    print(f"\n=== n={count}, m={threshold}: 4 slots x 2 levels, roll of {ROLL}")
    found: dict[str, Step] = {}

    def part(title: str, group: list[Step]) -> None:
        print_steps(title, group)
        found.update((step.name, step) for step in group)

    part("Client, per filing", steps.client_steps(setting))
    part("One trustee: acceptance, per filing", steps.acceptance_steps(setting))
    entries = steps.accepted_entries(setting)
    part("One trustee: evaluation in a batch of one", steps.round_steps(setting, entries, 1))
    part(
        f"One trustee: evaluation in a batch of {steps.BATCH}",
        steps.round_steps(setting, entries, steps.BATCH),
    )
    part("One trustee: re-output in a new epoch", steps.round_steps(setting, entries, steps.BATCH, new=False))
    part("One trustee: once per batch", [steps.release_step(setting), steps.record_step(setting, entries)])
    if not quick:
        machines = [steps.machine_step(count, threshold, ROLL, size) for size in (1, steps.BATCH)]
        part("All trustees through the real machines: intake, batch, record, log, blobs", machines)
    return found


def _membership(*, quick: bool) -> list[dict[str, Any]]:
    measured = [step for size in ((32, 256) if quick else (32, 256, 1024)) for step in rolls.steps(size)]
    print_steps("Membership proof alone", measured)
    return [step.as_json() for step in measured]


def _finder(*, quick: bool) -> list[dict[str, Any]]:
    costs = [
        cost
        for level, sizes in finder.SIZES.items()
        for cost in finder.measure(level, sizes[:-1] if quick else sizes)
    ]
    rows = [
        (
            f"level {cost.level}",
            f"N = {cost.size:,}",
            f"{cost.multiplications:,}",
            f"{cost.additions:,}",
            f"{cost.seconds * 1e3:,.2f}",
            "-" if cost.ratio is None else f"{cost.ratio:.2f}",
        )
        for cost in costs
    ]
    print_table(
        "Finder: one more entry at one (slot, level)",
        ("level", "live", "mult.", "additions", "ms", "ratio"),
        rows,
    )
    return [
        {
            "level": cost.level,
            "size": cost.size,
            "multiplications": cost.multiplications,
            "additions": cost.additions,
            "milliseconds": cost.seconds * 1e3,
            "ratio": cost.ratio,
        }
        for cost in costs
    ]


if __name__ == "__main__":
    main()
