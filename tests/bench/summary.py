"""Totals, the row in the unit of the published peers, and the goals, said honestly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.bench.machine import Step
from tests.bench.peers import PEERS
from tests.bench.steps import BATCH
from tests.bench.tables import print_table

RATIO_GOAL = 1.5
COUNT_GOAL = 3_000
TIME_GOAL = 1.2
PROTOTYPE = 160  # multiplications per (slot, level), all three trustees and the client, without membership


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of one committee's steps."""

    count: int
    threshold: int
    rounds_one: Step  # one trustee, batch of one
    rounds_ten: Step
    trustee_one: Step  # acceptance and rounds
    trustee_ten: Step
    all_one: Step  # client and every trustee
    all_ten: Step
    cell: Step  # all_ten without membership, per (slot, level)
    again: Step

    @property
    def steps(self) -> list[Step]:
        """In the order they are printed."""
        return [
            self.rounds_one,
            self.rounds_ten,
            self.trustee_one,
            self.trustee_ten,
            self.all_one,
            self.all_ten,
            self.cell,
            self.again,
        ]


def totals(count: int, threshold: int, width: int, found: dict[str, Step]) -> Totals:
    """Sums over the steps that `run` measured."""
    shared = [
        step
        for name, step in found.items()
        if name.startswith(("decode", "open bundle", "ACCEPT", "check the others"))
    ]
    alone, among = found["statement, alone"], found[f"statement, among {BATCH}"]
    rounds_one = _sum("evaluation (both rounds), batch of 1", "one trustee", _batch(found, "batch of 1:"))
    rounds_ten = _sum(
        f"evaluation (both rounds), batch of {BATCH}", "one trustee", _batch(found, f"batch of {BATCH}:")
    )
    again = _sum("re-output of one live entry", "one trustee", _batch(found, "re-output:"))
    trustee_one = _sum("acceptance and evaluation, alone", "one trustee", [*shared, alone, rounds_one])
    trustee_ten = _sum(
        f"acceptance and evaluation, among {BATCH}", "one trustee", [*shared, among, rounds_ten]
    )
    client = found["seal a filing"]
    all_one = trustee_one.scaled(count, "client and all trustees, alone", "all").plus(
        client, "client and all trustees, alone"
    )
    all_ten = trustee_ten.scaled(count, "", "all").plus(client, f"client and all trustees, among {BATCH}")
    proving = next(step for name, step in found.items() if "membership" in name)
    checking = found["  of it: membership among 10"]
    rest = all_ten.plus(proving, "", -1).plus(checking, "", -count)
    return Totals(
        count,
        threshold,
        rounds_one,
        rounds_ten,
        trustee_one,
        trustee_ten,
        all_one,
        all_ten,
        rest.scaled(1 / width, "per (slot, level), without membership", "all"),
        again,
    )


def print_row(ours: Totals) -> dict[str, Any]:
    """Our row beside the published ones."""
    rows = [
        (name, setting, f"{multiplications:,}", growth, "published")
        for name, setting, multiplications, growth in PEERS
    ]
    setting = f"n={ours.count}, m={ours.threshold}, 4 slots x 2 levels, roll of 256"
    for step, when in ((ours.all_one, "alone in its batch"), (ours.all_ten, f"among {BATCH}")):
        units = (step.ratio or 0) * step.multiplications
        rows.append((f"OURS, {when}: time", setting, f"{units:,.0f}", "finder: flat at level 2", "measured"))
        rows.append((f"OURS, {when}: counted", setting, f"{step.multiplications:,.0f}", "", "measured"))
    print_table(
        "One filing, all parties together, in multiplications (published: cited, not measured here)",
        ("system", "setting", "mult.", "growth", "source"),
        rows,
    )
    return {
        "alone": ours.all_one.as_json(),
        "batched": ours.all_ten.as_json(),
        "per_slot_and_level": ours.cell.as_json(),
    }


def print_goals(ours: Totals) -> list[dict[str, Any]]:
    """Each goal with what was measured."""
    goals = [
        _goal(f"{step.name}: ratio at most {RATIO_GOAL}", step.ratio, RATIO_GOAL)
        for step in (ours.rounds_one, ours.rounds_ten, ours.trustee_one, ours.trustee_ten)
    ]
    for step in (ours.all_one, ours.all_ten):
        goals.append(
            _goal(f"{step.name}: at most {COUNT_GOAL:,} multiplications", step.multiplications, COUNT_GOAL)
        )
        goals.append(
            _goal(f"{step.name}: time at most {TIME_GOAL} x multiplications x cost", step.ratio, TIME_GOAL)
        )
        goals.append(
            _goal(f"{step.name}: the same, additions counted as work", step.ratio_with_additions, TIME_GOAL)
        )
    goals.append(
        _goal(f"{ours.cell.name}: below the prototype's {PROTOTYPE}", ours.cell.multiplications, PROTOTYPE)
    )
    print_table(
        "Goals",
        ("goal", "", "measured", "limit"),
        [
            (
                goal["goal"],
                "met" if goal["met"] else "NOT MET",
                f"{goal['measured']:,.2f}",
                f"{goal['limit']:,}",
            )
            for goal in goals
        ],
    )
    return goals


def _goal(text: str, measured: float | None, limit: float) -> dict[str, Any]:
    value = measured if measured is not None else float("inf")
    return {"goal": text, "measured": round(value, 3), "limit": limit, "met": value <= limit}


def _batch(found: dict[str, Step], prefix: str) -> list[Step]:
    return [step for name, step in found.items() if name.startswith(prefix)]


def _sum(name: str, party: str, steps: list[Step]) -> Step:
    total = steps[0].scaled(1, name, party)
    for step in steps[1:]:
        total = total.plus(step, name)
    return total
