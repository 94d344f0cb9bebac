"""Erasing bundles that everybody has: what the board does not keep cannot be taken from it.

Owns when a filing's sealed parts go and what remains of it for auditors
(specs/40-http-api.md#board). Refuses to know what the parts contain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.filing import Filing
from notalone_server.board.ports import Clock
from notalone_server.board.service import BoardService

FORGET_SECONDS: Final = 10
_AT_ONCE: Final = 32


@dataclass(slots=True)
class Forgetting:
    """Makes what was erased unreadable in the database's files, at once or a few seconds later.

    Not each time: it holds up every writer, and filings that come quickly are erased one after the other.
    """

    forget: Callable[[], None]
    clock: Clock
    _waiting: bool = field(init=False, default=False)
    _last: int | None = field(init=False, default=None)

    def work(self, erased: int) -> None:
        """Call it from time to time with what was erased since; what fails is tried again."""
        self._waiting = self._waiting or erased > 0
        now = self.clock()
        if self._waiting and (self._last is None or not 0 <= now - self._last < FORGET_SECONDS):
            self.forget()
            self._waiting, self._last = False, now


def erase_bundles(board: BoardService, readers: Iterable[str]) -> int:
    """Erase filings that every trustee accepted and every reader has read past; how many.

    `readers` are the names under which trustees sign their requests. Nobody waits
    for auditors, who may come years later: a trace says all they need.
    An acceptance is posted after its bundle's shares are stored, and a reader
    asks for what follows only after storing what came before: nobody needs them again.
    """
    wanted = tuple(readers)
    erased = 0
    for name in board.scopes():
        with board.store.reading() as view:
            cursors = board.cursors(view, name)
            until = min(cursors.get(reader, 0) for reader in wanted)
            found = view.erasable(name, board.committee.count, until)
            leaving = found[:_AT_ONCE]
            filings = view.payloads(name, [entry.sequence for entry in leaving])
        # What is read does not change any more; the database is locked for as short as can be.
        remains = {
            entry.name: (entry.sequence, Filing.decode(filings[entry.sequence]).trace.encode())
            for entry in leaving
        }
        if remains:
            with board.store.writing() as store:
                for reader in wanted:
                    store.put_cursor(name, reader, cursors[reader])
                store.erase(name, FeedKind.ERASED_FILING, remains)
            erased += len(remains)
    return erased
