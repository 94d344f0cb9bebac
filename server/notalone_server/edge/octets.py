"""Bodies of wire messages: their media type and the framing of lists.

Owns how messages lie in an HTTP body (specs/40-http-api.md#bodies). Refuses to
know what they mean. How routes describe them is openapi.py's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from notalone_crypto.errors import Code, MalformedInput
from notalone_server.edge.problem import ProblemError

MEDIA_TYPE: Final = "application/vnd.notalone.v1+octets"
LENGTH_BYTES: Final = 4
NO_CONTENT: Final = 204


def frame(messages: Iterable[bytes]) -> bytes:
    """(u32 length, bytes) for each message."""
    return b"".join(
        part for message in messages for part in (len(message).to_bytes(LENGTH_BYTES, "big"), message)
    )


def unframe(data: bytes) -> tuple[bytes, ...]:
    """The messages of a framed list. Raises MalformedInput (encoding.truncated)."""
    messages: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + LENGTH_BYTES
        end = start + int.from_bytes(data[position:start], "big")
        if start > len(data) or end > len(data):
            raise MalformedInput(Code.TRUNCATED, "a framed list ends too early")
        messages.append(data[start:end])
        position = end
    return tuple(messages)


def pad(message: bytes, block: int) -> bytes:
    """The message in one frame, then zeros up to a multiple of `block` bytes.

    For answers that only their asker can tell apart: an empty message is a "no".
    """
    framed = frame([message])
    return framed + bytes(-len(framed) % block)


def unpad(data: bytes) -> bytes:
    """The message of `pad`. Raises MalformedInput (encoding.truncated, encoding.non_canonical)."""
    end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "big")
    if len(data) < end:
        raise MalformedInput(Code.TRUNCATED, "a padded message ends too early")
    if any(data[end:]):
        raise MalformedInput(Code.NON_CANONICAL, "padding is not zero")
    return data[LENGTH_BYTES:end]


class OctetsResponse(Response):
    """An answer of wire bytes; nothing on the way may keep a copy."""

    def __init__(self, content: bytes = b"", status_code: int = 200) -> None:
        super().__init__(content, status_code, {"Cache-Control": "no-store"}, MEDIA_TYPE)


async def _read(request: Request) -> bytes:
    sent = request.headers.get("content-type", "").strip().lower()
    # A compressed body would be another message than the one that was signed, and could grow without limit.
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if sent != MEDIA_TYPE or coding != "identity":
        raise ProblemError(
            415, "media-type", "The body is not of the media type of this interface.", {"Accept": MEDIA_TYPE}
        )
    return await request.body()


Octets = Annotated[bytes, Depends(_read)]
"""A route's argument: the raw body, of our media type and within the size limit."""


async def acceptable(request: Request) -> None:
    """Raise ProblemError (406) when the client takes no media type in which this route answers.

    Checked before anything is done: a filing that was taken must not be answered "not acceptable".
    """
    produced = _produced(request.scope.get("route"))
    lines = request.headers.getlist("accept")
    if produced and lines and not any(_accepts(",".join(lines), one) for one in produced):
        raise ProblemError(
            406, "not-acceptable", "This address has no answer of an accepted media type.", {"Vary": "Accept"}
        )


def _produced(route: object) -> list[str]:
    """What a route says it answers with: the media types of its 200, none for a 204."""
    if getattr(route, "status_code", None) == NO_CONTENT:
        return []
    described: dict[int | str, dict[str, Any]] = getattr(route, "responses", {})
    return list(described.get(200, {}).get("content", {})) or ["application/json"]


def _accepts(header: str, media_type: str) -> bool:
    """Whether an Accept header (RFC 9110, 12.5.1) takes this type: the most specific range decides."""
    kind = media_type.partition("/")[0]
    best, weight = 0, 0.0
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        rank = {media_type: 3, f"{kind}/*": 2, "*/*": 1}.get(name, 0)
        if rank > best:
            best, weight = rank, _weight(parameters)
    return weight > 0


def _weight(parameters: list[str]) -> float:
    """The q parameter; 1 without one, and for one that is no number."""
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 1.0
    return 1.0
