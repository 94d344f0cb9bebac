"""What the issuer needs from outside: a clock, durable storage, a mail server, a board.

Owns the shapes of these four and of what passes through them. Refuses to know
which database, which mail server and which transport stand behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Protocol

from notalone_server.issuer.state import IssuerState

Clock = Callable[[], int]
"""Seconds since 1970."""


@unique
class MailKind(StrEnum):
    """What somebody asked for by typing an address."""

    CODE = "code"
    RESET = "reset"


@unique
class LetterKind(StrEnum):
    """What the owner of a listed address then reads."""

    CODE = "code"
    USED = "used"  # the address has its place already
    RESET = "reset"  # announced: the old place closes at `until`, unless stopped with `code`


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A typed address, waiting to be looked at; nobody has checked whether it is known."""

    number: int
    kind: MailKind
    address: str = field(repr=False)
    attempts: int = 0  # how often its mailbox put a letter off


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to be written and sent; the code exists in clear here and nowhere else."""

    kind: LetterKind
    address: str = field(repr=False)
    code: str = field(repr=False)
    until: int  # seconds since 1970


class IssuerStore(Protocol):
    """Keeps the issuer's state; `save` returns only once it is durable."""

    def save(self, state: object) -> None:
        """Store the whole state."""


class StateChanged(Exception):
    """Another process wrote since this one read; read again."""


class DurableStore(IssuerStore, Protocol):
    """A store that several processes may write to, and that keeps typed addresses for the worker."""

    def load(self) -> IssuerState:
        """The stored state; an empty one for a scope that is new here."""

    def is_stale(self) -> bool:
        """Whether the store holds something this process has not read."""

    def forget(self) -> None:
        """Something failed in the middle: what is in memory no longer counts."""

    def add_mail(self, kind: MailKind, address: str) -> bool:
        """Keep a typed address; the same work whoever it belongs to. False when full."""

    def waiting_mail(self, now: int, limit: int = 100) -> tuple[MailRequest, ...]:
        """The typed addresses whose turn it is, those first that wait longest."""

    def put_off_mail(self, number: int, due_at: int, *, counted: bool = True) -> None:
        """Try this one again, not before `due_at`; its attempts grow if `counted`."""

    def drop_mail(self, number: int) -> None:
        """This one is done with: nothing of it stays."""


class LetterRefused(Exception):
    """The mail server will never take this letter."""


class LetterDelayed(Exception):
    """This one mailbox does not take the letter now; others are not concerned."""


class Mailer(Protocol):
    """Hands a letter to a mail server."""

    def send(self, letter: Letter) -> None:
        """Return once the server took it.

        Raises: LetterRefused or LetterDelayed, about this letter alone; OSError when
            the server itself fails, so that no other letter would leave either.
        """


class BoardLink(Protocol):
    """The board, as far as the issuer needs it."""

    def publish_snapshot(self, data: bytes) -> None:
        """Return once the board keeps this signed snapshot; raises OSError otherwise."""
