"""Mailboxes over HTTP: two addresses, every body and every answer of one size.

Owns the shape of answers. Refuses to know rules (mailboxes.py).
"""

# No `from __future__ import annotations`: FastAPI reads the annotations.
from fastapi import APIRouter, Depends, Response

from notalone_crypto.messages.contact import (
    ADDRESS_LENGTH,
    LETTER_LENGTH,
    MAILBOXES,
    PAGE,
    POST_LENGTH,
    REQUEST_LENGTH,
)
from notalone_server.board.gate import DONE, Gate, ScopeName
from notalone_server.board.mailboxes import Mailboxes, MailboxesFull
from notalone_server.edge.metrics import Metrics
from notalone_server.edge.octets import Octets, OctetsResponse
from notalone_server.edge.openapi import answers, describe, problems
from notalone_server.edge.problem import ProblemError

_FULL = (
    "There is no room for another letter now, here or at all; or too much is asked of the service at once."
)


def mailbox_routes(mailboxes: Mailboxes, gate: Gate, metrics: Metrics) -> APIRouter:
    """Leaving letters and fetching them; both need a token."""
    router = APIRouter(tags=["reporters"], dependencies=[Depends(gate.anonymous)])

    @router.post(
        "/scopes/{scope}/letters",
        status_code=204,
        summary="Leave a letter",
        responses={**DONE, **problems("context"), 503: {"description": _FULL}},
        openapi_extra=describe(
            bytes(POST_LENGTH),
            f"address ({ADDRESS_LENGTH} bytes), letter ({LETTER_LENGTH})",
        ),
    )
    def leave_letter(scope: ScopeName, body: Octets) -> None:
        """Leave a sealed letter at an address; the same again changes nothing."""
        try:
            mailboxes.post(scope, body)
        except MailboxesFull as error:
            raise ProblemError(503, "busy", "The service is busy.", {"Retry-After": "30"}) from error
        metrics.count("letters_total")

    @router.post(
        "/scopes/{scope}/mailboxes",
        summary="Look into mailboxes",
        responses={
            **answers(
                f"{MAILBOXES} times {PAGE} letters: u32 position, letter ({LETTER_LENGTH} bytes), or zeros.",
                bytes(64),
                whole=False,
            ),
            **problems("context"),
        },
        response_class=Response,
        openapi_extra=describe(
            bytes(REQUEST_LENGTH),
            f"{MAILBOXES} times: address ({ADDRESS_LENGTH} bytes), u32 position after which to look",
        ),
    )
    def visit_mailboxes(scope: ScopeName, body: Octets) -> OctetsResponse:
        """What lies in eight mailboxes; one that nobody ever used is an empty one."""
        return OctetsResponse(mailboxes.visit(scope, body))

    return router
