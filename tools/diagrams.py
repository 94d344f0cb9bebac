"""Writes the diagram of a batch's phases into ARCHITECTURE.md, from the table in the code.

Owns the block between its two marks. Refuses to know anything but
`notalone_crypto.protocol.state.TRANSITIONS`; `tests/architecture/test_specs.py`
refuses a diagram that is not current.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "crypto")]

from notalone_crypto.protocol.state import TRANSITIONS, Phase  # noqa: E402 - the path is set above

PAGE: Final = ROOT / "ARCHITECTURE.md"
BEGIN: Final = "<!-- written by tools/diagrams.py -->"
END: Final = "<!-- end of what is written -->"


def phases() -> str:
    """The mermaid block: every transition of the table; a phase that no event leads to stands alone."""
    lines = ["```mermaid", "stateDiagram-v2", f"  [*] --> {Phase.IDLE.name}"]
    lines += [f"  {start.name} --> {end.name}: {event.value}" for (start, event), end in TRANSITIONS.items()]
    ends = {phase for phase, _ in TRANSITIONS} | set(TRANSITIONS.values())
    lines += [f"  state {phase.name}" for phase in Phase if phase not in ends]
    return "\n".join([*lines, "```"])


def rewritten(page: str) -> str:
    """The page with its diagram renewed."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"error: {PAGE.name} has no place for the diagram between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{phases()}\n\n{END}{after}"


def main() -> None:
    """Rewrite the page."""
    old = PAGE.read_text(encoding="utf-8")
    new = rewritten(old)
    if new != old:
        PAGE.write_text(new, encoding="utf-8")
    print(f"{PAGE.name}: {'rewritten' if new != old else 'current'}")


if __name__ == "__main__":
    main()
