"""Bodies of wire messages: their media type and the framing of lists.

Owns how messages lie in an HTTP body (specs/40-http-api.md#bodies). Refuses to
know what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from notalone_crypto.errors import Code, MalformedInput
from notalone_server.edge.problem import ProblemError

MEDIA_TYPE: Final = "application/vnd.notalone.v1+octets"
LENGTH_BYTES: Final = 4


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
    if request.headers.get("content-type", "") != MEDIA_TYPE:
        raise ProblemError(415, "media-type", "The body is not of the media type of this interface.")
    return await request.body()


Octets = Annotated[bytes, Depends(_read)]
"""A route's argument: the raw body, of our media type and within the size limit."""


def describe(example: bytes, what: str) -> dict[str, Any]:
    """OpenAPI's words for a body of octets; pass it as `openapi_extra`."""
    return {
        "requestBody": {
            "required": True,
            "description": what,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"type": "string", "format": "binary"},
                    "example": example.hex(),
                }
            },
        }
    }


def answers(what: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's words for an answer of octets; pass it as `responses`."""
    return {
        200: {
            "description": what,
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
    }
