"""Requests as values, and two ways to send them: blocking and asynchronous.

Owns HTTP: bounded answers, no redirects, no cookies, no compression, no proxy
from the environment, no clear text off this machine. Refuses to know what the
bytes mean (steps.py).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

from notalone_client.errors import (
    ClientError,
    DateRefused,
    NotSafe,
    OtherVersion,
    Refused,
    RollMoved,
    RulesChanged,
    Unavailable,
    UnexpectedAnswer,
)
from notalone_crypto.codec import Reader
from notalone_crypto.errors import Code
from notalone_crypto.primitives import signing
from notalone_crypto.randomness import Randomness

MEDIA_TYPE: Final = "application/vnd.notalone.v1+octets"
PROBLEM: Final = "application/problem+json"
TOKEN_HEADER: Final = "Notalone-Token"  # noqa: S105 - the header's name
SMALL: Final = 64 * 1024
LARGE: Final = 32 * 1024 * 1024
TIMEOUT: Final = 30.0
_HOUR: Final = 3600
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_OTHER_VERSION: Final = frozenset({406, 415})
_REFUSALS: Final[dict[str, type[Refused]]] = {
    Code.SNAPSHOT: RollMoved, Code.PERIOD: DateRefused, Code.EXPIRED: DateRefused, Code.EXPIRY: DateRefused,
    Code.POLICY: RulesChanged,
}  # fmt: skip
_BUSY: Final = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the board or the issuer; nothing in `path` may tell what is in `body`."""

    service: str  # "board" or "issuer"
    method: str
    path: str
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    limit: int = SMALL
    allowed: frozenset[int] = frozenset({200, 204})


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and whole body."""

    status: int
    body: bytes = field(repr=False)

    def json(self) -> Mapping[str, object]:
        """The body as a JSON object. Raises: UnexpectedAnswer."""
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise UnexpectedAnswer("an answer is not JSON") from error
        if not isinstance(value, dict):
            raise UnexpectedAnswer("an answer is not a JSON object")
        return value

    def frames(self) -> tuple[bytes, ...]:
        """The messages of a framed list. Raises: MalformedInput."""
        messages: list[bytes] = []
        position = 0
        while position < len(self.body):
            one = Reader(self.body[position:]).variable()
            messages.append(one)
            position += 4 + len(one)
        return tuple(messages)

    def padded(self, block: int) -> bytes:
        """The one message in a padded answer; empty means nothing.

        Raises: MalformedInput; UnexpectedAnswer for another size or filling.
        """
        if not self.body or len(self.body) % block:
            raise UnexpectedAnswer("an answer has not its fixed size")
        message = Reader(self.body).variable()
        if any(self.body[4 + len(message) :]):
            raise UnexpectedAnswer("an answer is not padded with zeros")
        return message


def frame(*messages: bytes) -> bytes:
    """(u32 length, bytes) for each message."""
    return b"".join(part for one in messages for part in (len(one).to_bytes(4, "big"), one))


def pad(message: bytes, block: int) -> bytes:
    r"""One frame, then zeros up to a multiple of `block` bytes.

    >>> pad(b"ab", 8)
    b'\x00\x00\x00\x02ab\x00\x00'
    """
    framed = frame(message)
    return framed + bytes(-len(framed) % block)


def make_token(audience: bytes, bits: int, now: int, randomness: Randomness) -> str:
    """An anonymous token: 2^bits hashes of work on average, a new one for every request."""
    start = (now // _HOUR).to_bytes(8, "big") + randomness(16)
    prefix = hashlib.sha256(b"NotAlone-v1/request-token" + audience + start)
    counter = 0
    while True:
        hashed = prefix.copy()
        hashed.update(counter.to_bytes(8, "big"))
        if int.from_bytes(hashed.digest(), "big") >> (256 - bits) == 0:
            return _base64(start + counter.to_bytes(8, "big"))
        counter += 1


def owner_authorization(
    key: signing.SigningKey, audience: bytes, request: Request, now: int, randomness: Randomness
) -> str:
    """The Authorization header by which an entry's owner signs one request."""
    nonce = randomness(16)
    lines = (
        "NotAlone-v1 request",
        audience.hex(),
        "owner",
        f"{request.method} {request.path}",
        hashlib.sha256(request.body or b"").hexdigest(),
        str(now),
        nonce.hex(),
        "",
    )
    signature = key.sign_text("\n".join(lines).encode("ascii"))
    return f"NotAlone-v1 owner {now} {_base64(nonce)} {_base64(signature)}"


def check_address(address: str) -> str:
    """The base address of a service. Raises: NotSafe for clear text off this machine.

    An onion address may go without TLS: its transport is encrypted to the service's own key.

    >>> check_address("https://board.example.org/")
    'https://board.example.org'
    >>> check_address("http://board.example.org")
    Traceback (most recent call last):
    notalone_client.errors.NotSafe: without TLS everybody on the way could read and change what is sent
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if not host or parts.scheme not in ("https", "http") or parts.query or parts.fragment or parts.username:
        raise NotSafe("a service's address is https:// and a host")
    if parts.scheme == "http" and host not in _LOOPBACK and not host.endswith(".onion"):
        raise NotSafe("without TLS everybody on the way could read and change what is sent")
    return address.rstrip("/")


def _url(addresses: Mapping[str, str], request: Request) -> str:
    if request.service not in addresses:
        raise ClientError(f"this client was given no {request.service}")
    return addresses[request.service] + request.path


def _headers(request: Request) -> dict[str, str]:
    fixed = {
        "User-Agent": "notalone",
        "Accept": f"{MEDIA_TYPE}, application/json, text/plain",
        "Accept-Encoding": "identity",
    }
    if request.body is not None:
        fixed["Content-Type"] = MEDIA_TYPE
    return {**fixed, **request.headers}


def _checked(request: Request, status: int, media_type: str, body: bytes) -> Answer:
    if status in request.allowed:
        return Answer(status, body)
    problem, code = "http", ""
    if media_type.partition(";")[0] == PROBLEM:
        try:
            told = json.loads(body)
            problem = str(told.get("type", "http")).rpartition(":")[2][:40]
            code = str(told.get("code", ""))[:60]
        except (ValueError, AttributeError):
            pass
    if status in _BUSY:
        raise Unavailable(f"the {request.service} cannot answer now ({status})")
    if status in _OTHER_VERSION:
        raise OtherVersion(status, problem, code)
    raise _REFUSALS.get(code, Refused)(status, problem, code)


@dataclass(slots=True)
class SyncTransport:
    """Sends one request after the other."""

    addresses: Mapping[str, str]
    proxy: str | None = None
    _client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open nothing yet; connections come with the first request."""
        self._client = httpx.Client(
            timeout=TIMEOUT, follow_redirects=False, trust_env=False, proxy=self.proxy
        )

    def send(self, request: Request) -> Answer:
        """The answer, read up to its limit.

        Raises: Unavailable, Refused (OtherVersion: nothing helps but an update), UnexpectedAnswer.
        """
        url = _url(self.addresses, request)
        try:
            with self._client.stream(
                request.method, url, content=request.body, headers=_headers(request)
            ) as answer:
                body = bytearray()
                for chunk in answer.iter_raw():
                    body += chunk
                    _check_size(request, body)
                media_type = answer.headers.get("content-type", "")
                self._client.cookies.clear()
                return _checked(request, answer.status_code, media_type, bytes(body))
        except httpx.HTTPError as error:
            raise Unavailable(f"the {request.service} does not answer") from error

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


@dataclass(slots=True)
class AsyncTransport:
    """The same for asyncio."""

    addresses: Mapping[str, str]
    proxy: str | None = None
    _client: httpx.AsyncClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open nothing yet; connections come with the first request."""
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT, follow_redirects=False, trust_env=False, proxy=self.proxy
        )

    async def send(self, request: Request) -> Answer:
        """As `SyncTransport.send`."""
        url = _url(self.addresses, request)
        try:
            async with self._client.stream(
                request.method, url, content=request.body, headers=_headers(request)
            ) as answer:
                body = bytearray()
                async for chunk in answer.aiter_raw():
                    body += chunk
                    _check_size(request, body)
                media_type = answer.headers.get("content-type", "")
                self._client.cookies.clear()
                return _checked(request, answer.status_code, media_type, bytes(body))
        except httpx.HTTPError as error:
            raise Unavailable(f"the {request.service} does not answer") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def _check_size(request: Request, body: bytearray) -> None:
    if len(body) > request.limit:
        raise UnexpectedAnswer("an answer is larger than any honest one")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


__all__ = [
    "LARGE", "SMALL", "Answer", "AsyncTransport", "Request", "SyncTransport",
    "check_address", "frame", "make_token", "owner_authorization", "pad",
]  # fmt: skip
