"""A network that can misbehave, a disk that survives, processes that can be killed.

Owns faults and when they strike, from one seeded stream, so that a failing run
can be repeated. Refuses to know what the messages mean.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_server.board.service import BoardService
from notalone_server.trustee.ports import BoardUnreachable

T = TypeVar("T")


class Killed(BaseException):
    """The process died at this instant; nothing in it may catch this."""


@dataclass(slots=True)
class Faults:
    """Probabilities, each per call or per item; all zero is a perfect network."""

    drop: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    kill: float = 0.0  # of a trustee
    kill_board: float = 0.0  # of board or issuer
    choices: random.Random = field(default_factory=lambda: random.Random(0))

    def strikes(self, probability: float) -> bool:
        """Whether a fault of this probability happens now."""
        return probability > 0 and self.choices.random() < probability

    def calm(self) -> None:
        """From here on nothing goes wrong."""
        self.drop = self.delay = self.duplicate = self.reorder = self.corrupt = 0.0
        self.kill = self.kill_board = 0.0


@dataclass(slots=True)
class Disk:
    """A trustee's durable bytes: a save happens whole or not at all."""

    faults: Faults
    data: bytes | None = None
    full: bool = False

    def load(self) -> bytes | None:
        """What was saved last."""
        return self.data

    def save(self, data: bytes) -> None:
        """Replace the bytes, or die just before or just after."""
        if self.full:
            raise OSError(28, "no space left on device")
        if self.faults.strikes(self.faults.kill):
            raise Killed
        self.data = data
        if self.faults.strikes(self.faults.kill):
            raise Killed


@dataclass(slots=True)
class StateDisk:
    """Durable state of the board or the issuer; a kill loses what was not saved."""

    faults: Faults
    restore: Callable[[object], None]
    kept: object = None
    kills: int = 0

    def save(self, state: object) -> None:
        """Keep a copy, or die just before or just after: then the caller gets no answer."""
        if not self.faults.kill_board:
            self.kept = None
            return
        if self.kept is not None and self.faults.strikes(self.faults.kill_board):
            self.kills += 1
            self.restore(copy.deepcopy(self.kept))
            raise BoardUnreachable
        self.kept = copy.deepcopy(state)
        if self.faults.strikes(self.faults.kill_board):
            self.kills += 1
            raise BoardUnreachable


@dataclass(slots=True)
class Link:
    """One trustee's connection to the board."""

    board: Callable[[], BoardService]
    faults: Faults
    reachable: bool = True

    def feed(self, scope: bytes, after: int) -> tuple[FeedItem, ...]:
        """The board's items, some late, twice, out of order or damaged."""
        items = list(self._call(lambda: self.board().feed(scope, after)))
        kept: list[FeedItem] = []
        for item in items:
            if self.faults.strikes(self.faults.delay):
                continue
            if self.faults.strikes(self.faults.corrupt) and item.payload:
                kept.append(replace(item, payload=self._damage(item.payload)))
            else:
                kept.append(item)
            if self.faults.strikes(self.faults.duplicate):
                kept.append(item)
        if self.faults.strikes(self.faults.reorder):
            self.faults.choices.shuffle(kept)
        return tuple(kept)

    def log_update(self, index: int, from_size: int) -> LogUpdate:
        """As the board answers."""
        return self._call(lambda: self.board().log_update(index, from_size))

    def post(self, trustee: int, scope: bytes, kind: FeedKind, payloads: Sequence[bytes]) -> None:
        """Delivered once, twice, or not at all (then an error is seen)."""
        self._call(lambda: self.board().post(trustee, scope, kind, payloads))

    def post_inclusions(self, scope: bytes, paths: Sequence[tuple[bytes, bytes]]) -> None:
        """As `post`."""
        self._call(lambda: self.board().post_inclusions(scope, paths))

    def post_cosignature(self, data: bytes) -> None:
        """As `post`."""
        self._call(lambda: self.board().post_cosignature(data))

    def _call(self, action: Callable[[], T]) -> T:
        if not self.reachable or self.faults.strikes(self.faults.drop):
            raise BoardUnreachable
        if self.faults.strikes(self.faults.kill):
            raise Killed
        result = action()
        if self.faults.strikes(self.faults.duplicate):
            result = action()
        if self.faults.strikes(self.faults.drop):
            raise BoardUnreachable  # it arrived, but the answer was lost
        return result

    def _damage(self, payload: bytes) -> bytes:
        position = self.faults.choices.randrange(len(payload))
        flipped = payload[position] ^ (1 << self.faults.choices.randrange(8))
        return payload[:position] + bytes([flipped]) + payload[position + 1 :]
