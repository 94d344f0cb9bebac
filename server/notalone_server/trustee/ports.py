"""What a trustee needs from outside: the board, storage, a clock, randomness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_server.trustee.memory import Memory

Clock = Callable[[], int]
"""Seconds since 1970."""


class BoardUnreachable(Exception):
    """The board did not answer; the next poll tries again."""


class BoardPort(Protocol):
    """The board as a trustee sees it. Every call may raise BoardUnreachable."""

    def feed(self, scope: bytes, after: int) -> tuple[FeedItem, ...]:
        """Items above a sequence number."""

    def log_update(self, index: int, from_size: int) -> LogUpdate:
        """Checkpoint and proofs for a leaf, from the caller's last view."""

    def post(self, trustee: int, scope: bytes, kind: FeedKind, payloads: Sequence[bytes]) -> None:
        """Deliver messages of one kind; delivering one twice is harmless."""

    def post_inclusions(self, scope: bytes, paths: Sequence[tuple[bytes, bytes]]) -> None:
        """Deliver owners' sealed paths, each with its owner's recipient key."""

    def post_cosignature(self, data: bytes) -> None:
        """Deliver a cosignature."""


class StoreUnavailable(Exception):
    """Nothing was stored (full disk, read-only or unreachable database): nothing may be posted."""


class StoreRefused(Exception):
    """What is stored is not what this trustee stored: changed, mixed, or in use by another process."""


class TrusteeStore(Protocol):
    """Durable memory; `save` returns only once it is durable, all or nothing."""

    def load(self) -> Memory | None:
        """What was saved last, or None on a new machine."""

    def save(self, memory: Memory) -> None:
        """Make durable whatever changed since the last call."""
