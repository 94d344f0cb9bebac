"""Errors as the outside sees them: RFC 9457 problems, coarse on purpose.

Owns the one table from our error tree to HTTP. Refuses to know routes. Precise
inside, coarse outside: a code is told only where the sender could have found
it out from public data, so that no answer is an oracle (specs/40-http-api.md#problems).
"""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from notalone_crypto.errors import (
    Code,
    CommitteeHalted,
    ContextMismatch,
    MalformedInput,
    NotAloneError,
    RollRefused,
    StateConflict,
    VerificationFailed,
)

MEDIA_TYPE: Final = "application/problem+json"

# (status, slug, title) for each branch of the tree; the first match counts.
_TABLE: Final[tuple[tuple[type[NotAloneError], tuple[int, str, str]], ...]] = (
    (MalformedInput, (400, "malformed", "The body is not a well-formed message.")),
    (ContextMismatch, (409, "context", "The message is for other rules, another scope or another time.")),
    (StateConflict, (409, "conflict", "The message cannot be taken now.")),
    (VerificationFailed, (403, "refused", "The message was refused.")),
    (RollRefused, (403, "refused", "The message was refused.")),
    (CommitteeHalted, (503, "halted", "The service waits for its operators.")),
)
_OTHERWISE: Final = (400, "malformed", "The body is not a well-formed message.")

# What a sender knows or can read in public lists anyway.
_TOLD: Final = frozenset(
    {
        Code.LENGTH, Code.NON_CANONICAL, Code.IDENTITY, Code.TRAILING, Code.TRUNCATED, Code.VERSION,
        Code.RANGE, Code.TEXT, Code.COMMITTEE, Code.SCOPE, Code.GENERATION, Code.POLICY, Code.SNAPSHOT,
        Code.PERIOD, Code.EXPIRED, Code.EXPIRY, Code.TAG_SPENT, Code.DUPLICATE, Code.ROLLBACK,
    }
)  # fmt: skip
_TITLES: Final = {
    404: ("not-found", "There is nothing at this address."),
    405: ("method", "This address does not take this method."),
}


class ProblemError(Exception):
    """A failure of the interface itself: status, slug (type) and one fixed sentence."""

    def __init__(self, status: int, slug: str, title: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(slug)
        self.status = status
        self.slug = slug
        self.title = title
        self.headers = headers or {}


def problem(
    status: int, slug: str, title: str, code: str = "", headers: dict[str, str] | None = None
) -> Response:
    """An RFC 9457 answer; it never quotes what was sent."""
    content: dict[str, Any] = {"type": f"urn:notalone:problem:{slug}", "title": title, "status": status}
    if code:
        content["code"] = code
    return Response(
        json.dumps(content), status, {"Cache-Control": "no-store", **(headers or {})}, media_type=MEDIA_TYPE
    )


def problem_of(error: NotAloneError) -> Response:
    """The coarse answer for a failure inside."""
    found = next((row for branch, row in _TABLE if isinstance(error, branch)), _OTHERWISE)
    told = error.code.value if error.code in _TOLD and found[1] != "refused" else ""
    return problem(*found, told)


def install(app: FastAPI) -> None:
    """Answer every failure with a problem; FastAPI's own answers would repeat the input."""

    @app.exception_handler(NotAloneError)
    async def _ours(_request: Request, error: NotAloneError) -> Response:
        return problem_of(error)

    @app.exception_handler(ProblemError)
    async def _interface(_request: Request, error: ProblemError) -> Response:
        return problem(error.status, error.slug, error.title, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, _error: RequestValidationError) -> Response:
        return problem(400, "malformed", "The request is not well-formed.")

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        slug, title = _TITLES.get(error.status_code, ("http", "The request cannot be answered."))
        return problem(error.status_code, slug, title, headers=dict(error.headers or {}))

    # Starlette raises it again afterwards, for redaction.QuietErrors to log.
    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> Response:
        return problem(500, "internal", "The service failed.")
