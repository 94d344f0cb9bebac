"""Mailboxes: sealed letters under addresses that only two people can compute.

Owns what a letter's post and a visit to mailboxes cost and answer, the limits,
and when letters are erased (specs/40-http-api.md#mailboxes). Refuses to know
who writes to whom, how many mailboxes there are, and whether an address is
anybody's: to the board every address is 32 bytes, and an unknown one is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from notalone_crypto.errors import Code, ContextMismatch
from notalone_crypto.messages import contact
from notalone_crypto.protocol.withdraw import week_of
from notalone_server.board.ports import BoardStore, Clock, Reading

LETTERS_PER_ADDRESS: Final = 256
LETTERS_PER_SCOPE: Final = 200_000


class MailboxesFull(Exception):
    """No room for a letter: at its address or in its scope, which of the two is not told."""


@dataclass(slots=True)
class Mailboxes:
    """The mailboxes of every scope that a board serves."""

    store: BoardStore
    clock: Clock
    letters_per_scope: int = LETTERS_PER_SCOPE
    _erased_in: int | None = field(init=False, default=None)  # the week when nothing was left to erase

    def post(self, scope: bytes, body: bytes) -> None:
        """Keep a letter (address, then letter) until the scope's longest keeping is over.

        The same letter at the same address again changes nothing.

        Raises: MalformedInput, ContextMismatch (context.scope), MailboxesFull.
        """
        address, letter = contact.decode_post(body)
        with self.store.writing() as store:
            weeks = _weeks(store, scope)
            if store.has_letter(scope, address, letter):
                return
            if (
                store.letter_count(scope) >= self.letters_per_scope
                or store.letters_at(scope, address) >= LETTERS_PER_ADDRESS
            ):
                raise MailboxesFull
            # The week alone: any finer time would say when somebody wrote.
            store.add_letter(scope, address, letter, week_of(self.clock()) + weeks)

    def visit(self, scope: bytes, body: bytes) -> bytes:
        """The letters above a position in each of eight mailboxes, in an answer of one size.

        Raises: MalformedInput, ContextMismatch (context.scope).
        """
        asked = contact.decode_request(body)
        with self.store.reading() as view:
            _weeks(view, scope)
            pages = [view.letters_after(scope, address, after, contact.PAGE) for address, after in asked]
        return contact.encode_answer(pages)

    def erase(self) -> int:
        """Erase every letter whose last week is over; how many. Call it from time to time."""
        week = week_of(self.clock())
        if week == self._erased_in:
            return 0  # none that came since is over
        with self.store.reading() as view:
            due = [name for name in view.scopes() if view.expired_letters(name, week)]
        erased = 0
        if due:
            with self.store.writing() as store:
                erased = sum(store.drop_letters(name, week) for name in due)
        self._erased_in = week
        return erased


def _weeks(view: Reading, scope: bytes) -> int:
    record = view.scope(scope)
    if record is None:
        raise ContextMismatch(Code.SCOPE, "the board does not serve this scope")
    return record.policy.maximum_weeks
