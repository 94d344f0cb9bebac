"""The board over HTTP, as one trustee sees it.

Owns signed requests, time-outs and bounds on what is read. Refuses to know
what the messages mean, and to follow the board anywhere else (no redirects).
Whatever goes wrong on the way is BoardUnreachable: the next poll tries again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from notalone_crypto.errors import Code, NotAloneError, StateConflict
from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_crypto.primitives.signing import SigningKey
from notalone_crypto.randomness import Randomness
from notalone_server.edge.octets import MEDIA_TYPE, frame, unframe
from notalone_server.edge.outgoing import open_client
from notalone_server.edge.signing import authorization
from notalone_server.trustee.ports import BoardUnreachable, Clock

TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
MAX_PAGE: Final = 26 << 20  # a page of the feed, or one item of the longest kind
MAX_FEED: Final = 64 << 20
SHORT_PAGE: Final = 1 << 20
_TEMPORARY: Final = frozenset({401, 408, 425, 428, 429})
_SERVER_ERROR: Final = 500


@dataclass(slots=True)
class HttpBoard:
    """BoardPort over HTTP. Not shared between threads."""

    address: str  # scheme, host and port; no path
    committee: bytes  # the manifest's fingerprint: the requests' audience
    index: int
    key: SigningKey = field(repr=False)
    clock: Clock
    randomness: Randomness
    transport: httpx.BaseTransport | None = None
    authority: Path | None = None  # a private certificate authority; the public ones otherwise
    refused_posts: int = field(init=False, default=0)
    _last: dict[bytes, tuple[int, int]] = field(init=False, default_factory=dict)  # the last page's limits
    _client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """One connection pool. Raises Misuse for an authority without certificates."""
        self._client = open_client(self.address, TIMEOUT, self.authority, self.transport)

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def feed(self, scope: bytes, after: int) -> tuple[FeedItem, ...]:
        """Items above a sequence number, all pages of them up to MAX_FEED bytes.

        A short page is taken to be the last, which spares a request; when the next call finds the
        very same page, because all of it waits for what comes later, the next ones are asked for.
        """
        items: list[FeedItem] = []
        read, begun, short = 0, after, False
        while read < MAX_FEED:
            page = self._items(scope, after)
            if not page:
                break
            items += page
            read += sum(len(item.payload) for item in page)
            newest = max(item.sequence for item in page)
            if newest <= after:  # a board that repeats itself must not keep us here
                break
            if after == begun:
                short = read < SHORT_PAGE and self._last.get(scope) != (begun, newest)
                self._last[scope] = (begun, newest)
            if short:
                break
            after = newest
        return tuple(items)

    def log_update(self, index: int, from_size: int) -> LogUpdate:
        """Checkpoint and proofs. Raises StateConflict (state.out_of_order) when there are none."""
        status, body = self._request("GET", f"/v1/log/updates/{index}/{from_size}")
        if status != httpx.codes.OK:
            raise StateConflict(Code.OUT_OF_ORDER, "the board has no such leaf")
        return LogUpdate.decode(body)

    def post(self, trustee: int, scope: bytes, kind: FeedKind, payloads: Sequence[bytes]) -> None:
        """Deliver messages. The board knows the sender by the request's signature."""
        del trustee
        self._deliver(f"/v1/scopes/{scope.hex()}/posts/{int(kind)}", [frame([one]) for one in payloads])

    def post_inclusions(self, scope: bytes, paths: Sequence[tuple[bytes, bytes]]) -> None:
        """Deliver owners' sealed paths."""
        self._deliver(f"/v1/scopes/{scope.hex()}/paths", [frame(one) for one in paths])

    def post_cosignature(self, data: bytes) -> None:
        """Deliver a cosignature."""
        self._deliver("/v1/log/cosignatures", [data])

    def _items(self, scope: bytes, after: int) -> list[FeedItem]:
        status, body = self._request("GET", f"/v1/scopes/{scope.hex()}/feed/{after}")
        if status != httpx.codes.OK:
            raise BoardUnreachable("the board does not serve this scope (yet)")
        try:
            items = [FeedItem.decode(data) for data in unframe(body)]
        except NotAloneError as error:
            raise BoardUnreachable("the board's answer is damaged") from error
        return [item for item in items if item.scope == scope]

    def _deliver(self, path: str, parts: Sequence[bytes]) -> None:
        """In one request; where the board refuses that, each part alone, for one bad part spoils all."""
        status, _ = self._request("POST", path, b"".join(parts))
        if status in {httpx.codes.OK, httpx.codes.NO_CONTENT}:
            return
        if len(parts) > 1:
            for part in parts:
                self._deliver(path, [part])
            return
        # For good: it is too late for this message, and what comes after it must not wait for ever.
        self.refused_posts += 1

    def _request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body, for an answer that says something. Raises BoardUnreachable."""
        header = authorization(
            self.key,
            f"trustee/{self.index}",
            self.committee,
            method,
            path,
            body,
            self.clock(),
            self.randomness,
        )
        headers = {"Authorization": header, "Accept": MEDIA_TYPE}
        if method == "POST":
            headers["Content-Type"] = MEDIA_TYPE
        try:
            with self._client.stream(method, path, content=body or None, headers=headers) as answer:
                data = bytearray()
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > MAX_PAGE:
                        raise BoardUnreachable("the board's answer does not end")
                status = answer.status_code
                kind = answer.headers.get("content-type", "")
        except httpx.HTTPError as error:
            raise BoardUnreachable("no connection to the board") from error
        except httpx.InvalidURL as error:
            raise BoardUnreachable("the board's address is no address") from error
        if status == httpx.codes.UNAUTHORIZED:
            raise BoardUnreachable(
                "the board refuses this trustee: is the clock right, the manifest the same?"
            )
        if status in _TEMPORARY or status >= _SERVER_ERROR:
            raise BoardUnreachable("the board cannot answer now")
        if status == httpx.codes.OK and kind != MEDIA_TYPE:
            raise BoardUnreachable("something else answers at the board's address")
        return status, bytes(data)
