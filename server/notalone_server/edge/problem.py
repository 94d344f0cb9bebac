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

# Every problem there is: slug -> status and title (RFC 9457: the same for every occurrence).
# specs/40-http-api.md has the same table; tests/services/test_openapi.py compares the two, and every use.
PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "malformed": (400, "The request is not well-formed."),
    "unauthorized": (401, "The request carries no valid signature."),
    "refused": (403, "The message was refused."),
    "not-found": (404, "There is nothing at this address."),
    "method": (405, "This address does not take this method."),
    "not-acceptable": (406, "This address has no answer of an accepted media type."),
    "context": (409, "The message is for other rules, another scope or another time."),
    "conflict": (409, "The message cannot be taken now."),
    "too-large": (413, "The body is larger than any message here."),
    "media-type": (415, "The body is not of the media type of this interface."),
    "token": (428, "The request needs a fresh anonymous token."),
    "rate": (429, "This token was used too often."),
    "internal": (500, "The service failed."),
    "busy": (503, "The service is busy."),
    "halted": (503, "The service waits for its operators."),
}

# The slug for each branch of the tree; the first match counts.
_TABLE: Final[tuple[tuple[type[NotAloneError], str], ...]] = (
    (MalformedInput, "malformed"),
    (ContextMismatch, "context"),
    (StateConflict, "conflict"),
    (VerificationFailed, "refused"),
    (RollRefused, "refused"),
    (CommitteeHalted, "halted"),
)

# What a sender knows or can read in public lists anyway.
TOLD: Final = frozenset(
    {
        Code.LENGTH, Code.NON_CANONICAL, Code.IDENTITY, Code.TRAILING, Code.TRUNCATED, Code.VERSION,
        Code.RANGE, Code.TEXT, Code.COMMITTEE, Code.SCOPE, Code.GENERATION, Code.POLICY, Code.SNAPSHOT,
        Code.PERIOD, Code.EXPIRED, Code.EXPIRY, Code.TAG_SPENT, Code.DUPLICATE, Code.ROLLBACK,
    }
)  # fmt: skip
# Problems that may carry a code.
CODED: Final = frozenset({"malformed", "context", "conflict"})


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
    slug = next((found for branch, found in _TABLE if isinstance(error, branch)), "malformed")
    status, title = PROBLEMS[slug]
    return problem(status, slug, title, error.code.value if error.code in TOLD and slug in CODED else "")


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
        # The framework's own refusals: no route, no such method; anything else is a request it cannot read.
        slug = {404: "not-found", 405: "method"}.get(error.status_code, "malformed")
        status, title = PROBLEMS[slug]
        return problem(status, slug, title, headers=dict(error.headers or {}))

    # Starlette raises it again afterwards, for redaction.QuietErrors to log.
    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> Response:
        return problem(500, "internal", "The service failed.")
