"""What a trustee keeps at hand about its live entries, so that a batch costs what is new in it.

Owns two look-ups that are derived and never stored: which entries expire when,
and the finder of one (slot, level). Refuses to decide anything: each gives
exactly what looking at every live entry would give, and builds itself anew
whenever an entry left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

from notalone_crypto.protocol.find import CurveFinder
from notalone_crypto.protocol.outline import Entries, Outline
from notalone_crypto.protocol.withdraw import week_of

V = TypeVar("V")


def latest(live: Entries[V], known: Collection[bytes]) -> list[bytes] | None:
    """Entries of `live` that are not in `known`, in order; None when some of `known` may have left.

    New entries come at the end and one that left never returns, so only the end
    is looked at; that the numbers add up shows that nothing left meanwhile.
    """
    fresh = []
    for entry in reversed(live):
        if entry in known:
            break
        fresh.append(entry)
    return fresh[::-1] if len(known) + len(fresh) == len(live) else None


@dataclass(slots=True)
class Expiries:
    """Live entries by their last week. Their names hash their headers, so a week never changes."""

    _live: object = None  # the very container that was indexed
    _known: set[bytes] = field(default_factory=set, repr=False)
    _weeks: dict[int, list[bytes]] = field(default_factory=dict, repr=False)

    def expired(self, live: Entries[Outline], now: int) -> list[bytes]:
        """Entries of `live` whose last week is over at `now`."""
        fresh = latest(live, self._known) if self._live is live else None
        if fresh is None:
            self._live, self._known, self._weeks = live, set(), {}
        # All at once by `items`, which may read many together.
        held = live.items() if fresh is None else [(entry, live[entry]) for entry in fresh]
        for entry, one in held:
            self._known.add(entry)
            self._weeks.setdefault(one.expiry_week, []).append(entry)
        return [entry for week, entries in self._weeks.items() if week < week_of(now) for entry in entries]


@dataclass(slots=True)
class Search:
    """A finder that lives as long as its epoch, and the groups that changed and were not dealt with yet."""

    epoch: int
    finder: CurveFinder
    changed: set[int] = field(repr=False)

    @property
    def known(self) -> Collection[bytes]:
        """Entries that the finder looked at."""
        return self.finder.names
