"""One transaction for all who wait: a commit takes longer than what it makes durable.

Owns who waits and whose turn it is. Refuses to know what is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from notalone_crypto.errors import NotAloneError

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_TOGETHER: Final = 64


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    outcome: Result | BaseException | None = None
    woken: threading.Event = field(default_factory=threading.Event)  # it has an outcome, or the turn


@dataclass(slots=True)
class Together(Generic[Item, Result]):
    """Runs `action` over all items that wait; whoever has the turn does it for the others.

    `action` takes up to `MOST_TOGETHER` items and gives as many outcomes, in their order: a
    result, or the error of that item alone. If it raises instead, nothing of it has happened and
    each item is tried alone, so that one that breaks it harms no other.
    """

    action: Callable[[Sequence[Item]], Sequence[Result | NotAloneError]]
    _queue: list[_Waiting[Item, Result]] = field(init=False, default_factory=list)
    _taken: bool = field(init=False, default=False)  # somebody has the turn
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def run(self, item: Item) -> Result:
        """The item's result, once the action is over. Raises what the action raised for it."""
        mine: _Waiting[Item, Result] = _Waiting(item)
        with self._lock:
            self._queue.append(mine)
            waits, self._taken = self._taken, True
        if waits:
            mine.woken.wait()
        if mine.outcome is None:
            self._lead()
        if isinstance(mine.outcome, BaseException):
            raise mine.outcome
        if mine.outcome is None:
            raise RuntimeError("an action without an outcome")
        return mine.outcome

    def _lead(self) -> None:
        """Serve the first in the queue, which include one's own, and give the turn to whoever is next."""
        with self._lock:
            taken = self._queue[:MOST_TOGETHER]
            del self._queue[: len(taken)]
        try:
            self._serve(taken)
        finally:
            with self._lock:
                self._taken = bool(self._queue)
                following = self._queue[:1]
            # Whoever has an outcome goes before the next turn begins: else they would wait for it, too.
            for one in (*taken, *following):
                one.woken.set()

    def _serve(self, taken: Sequence[_Waiting[Item, Result]]) -> None:
        outcomes: Sequence[Result | BaseException]
        try:
            outcomes = self.action([one.item for one in taken])
        except Exception as error:  # noqa: BLE001 - raised again by whom it concerns
            if len(taken) > 1:
                for one in taken:
                    self._serve([one])
                return
            outcomes = [error]
        for one, outcome in zip(taken, outcomes, strict=True):
            one.outcome = outcome
