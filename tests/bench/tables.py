"""Tables on stdout: plain text, one line per step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.bench.machine import Step

_HEAD = ("step", "party", "variable", "base", "additions", "checks", "= mult.", "ms", "ratio", "with add.")


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the first two to the left, numbers to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{title}")
    for number, line in enumerate(lines):
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def print_steps(title: str, steps: Iterable[Step]) -> None:
    """Counts per party, time, and both ratios."""
    print_table(title, _HEAD, [_row(step) for step in steps])


def ratio(value: float | None) -> str:
    """Two decimals, or a dash where there is nothing to divide by."""
    return "-" if value is None else f"{value:.2f}"


def _row(step: Step) -> tuple[str, ...]:
    return (
        step.name if step.per == "filing" else f"{step.name} [per {step.per}]",
        step.party,
        *(f"{number:,.1f}" for number in (step.variable, step.base, step.additions, step.checks)),
        f"{step.multiplications:,.1f}",
        f"{step.seconds * 1e3:,.2f}",
        ratio(step.ratio),
        ratio(step.ratio_with_additions),
    )
