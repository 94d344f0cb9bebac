"""Limits: the size of a body, and how often an anonymous token may ask.

Owns both for every service (specs/40-http-api.md#limits). Refuses to know
addresses: limits by IP address would need a record of them and punish those
who share an exit. A token costs its maker a little computation, says nothing
about her, and may be a new one for every request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from limits import RateLimitItemPerHour, RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notalone_crypto.randomness import Randomness
from notalone_server.edge.problem import ProblemError, problem

TOKEN_HEADER: Final = "Notalone-Token"  # noqa: S105 - the header's name
TOKEN_LENGTH: Final = 32  # u64 hour, 16 random bytes, u64 counter
_PREFIX: Final = b"NotAlone-v1/request-token"
HOUR: Final = 3600
_SWEEP_SECONDS: Final = 60.0
ANONYMOUS_BODY: Final = 512 * 1024
SIGNED_BODY: Final = (1 << 24) + (1 << 16)


def make_token(audience: bytes, bits: int, now: int, randomness: Randomness) -> str:
    """A token for this hour: 2^bits hashes of work on average."""
    start = (now // HOUR).to_bytes(8, "big") + randomness(16)
    counter = 0
    while True:
        token = start + counter.to_bytes(8, "big")
        if _work(audience, token) >= bits:
            return base64.urlsafe_b64encode(token).decode("ascii").rstrip("=")
        counter += 1


def _work(audience: bytes, token: bytes) -> int:
    """Leading zero bits of the token's hash."""
    return 256 - int.from_bytes(hashlib.sha256(_PREFIX + audience + token).digest(), "big").bit_length()


class Counts(Storage):
    """Counters of this process, for the library's strategies.

    Its own storage in memory starts a thread and looks through all counters every few milliseconds: with
    a token for each request that is the work of a flood.
    """

    STORAGE_SCHEME: list[str] | None = None

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, tuple[int, float]] = {}  # key -> how often, until when
        self._lock = threading.Lock()
        self._swept = time.monotonic()

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing here fails."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """One more; a counter begins anew `expiry` seconds after it began."""
        now = time.monotonic()
        with self._lock:
            if now - self._swept > _SWEEP_SECONDS:
                self._counts = {one: kept for one, kept in self._counts.items() if kept[1] > now}
                self._swept = now
            count, until = self._counts.get(key, (0, 0.0))
            if until <= now:
                count, until = 0, now + expiry
            self._counts[key] = (count + amount, until)
            return count + amount

    def get(self, key: str) -> int:
        """How often so far."""
        count, until = self._counts.get(key, (0, 0.0))
        return count if until > time.monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """When the counter begins anew, on the wall clock."""
        left = self._counts.get(key, (0, 0.0))[1] - time.monotonic()
        return time.time() + max(0.0, left)

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Begin anew."""
        with self._lock:
            gone = len(self._counts)
            self._counts.clear()
        return gone

    def clear(self, key: str) -> None:
        """Begin one counter anew."""
        with self._lock:
            self._counts.pop(key, None)


@dataclass(slots=True)
class AnonymousLimiter:
    """Accepts requests with a fresh token, a few per token, and not more in all than the machine can do."""

    audience: bytes
    clock: Callable[[], int]
    bits: int = 16
    per_token: int = 30  # requests per hour
    per_second: int = 200  # of everybody together
    _limiter: FixedWindowRateLimiter = field(
        init=False, default_factory=lambda: FixedWindowRateLimiter(Counts())
    )

    def check(self, header: str) -> None:
        """Raise ProblemError (428 without a good token, 429 with one used up, 503 when busy)."""
        try:
            token = base64.b64decode(header + "=" * (-len(header) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            token = b""
        hour = int.from_bytes(token[:8], "big")
        this_hour = self.clock() // HOUR
        if len(token) != TOKEN_LENGTH or abs(hour - this_hour) > 1 or _work(self.audience, token) < self.bits:
            raise ProblemError(428, "token", "The request needs a fresh anonymous token.")
        if not self._limiter.hit(RateLimitItemPerHour(self.per_token), token.hex()):
            raise ProblemError(429, "rate", "This token was used too often.", {"Retry-After": "0"})
        self.check_load()

    def check_load(self) -> None:
        """Raise ProblemError (503) when everybody together asks too often."""
        if not self._limiter.hit(RateLimitItemPerSecond(self.per_second), "everybody"):
            raise ProblemError(503, "busy", "The service is busy.", {"Retry-After": "1"})


class BodyLimit:
    """ASGI middleware: reads a body up to its limit, then hands it on; a longer one is answered 413.

    Signed requests may be larger; whether the signature is good is checked later.
    """

    def __init__(self, app: ASGIApp, anonymous: int = ANONYMOUS_BODY, signed: int = SIGNED_BODY) -> None:
        self.app = app
        self.anonymous = anonymous
        self.signed = signed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        names = {name for name, _ in scope["headers"]}
        limit = self.signed if b"authorization" in names else self.anonymous
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                answer = problem(413, "too-large", "The body is larger than any message here.")
                await answer(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        whole: list[Message] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send)
