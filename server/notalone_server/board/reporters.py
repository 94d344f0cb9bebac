"""What reporters ask of the board: specs/40-http-api.md#board, the lines marked T.

Owns the shape of answers, which is the same whether or not there is something.
Refuses to know rules (service.py, mailboxes.py). Routes run on threads; each is
one transaction.
"""

# No `from __future__ import annotations`: FastAPI reads the annotations.
from fastapi import APIRouter, Depends, Request, Response

from notalone_crypto.errors import Code, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.filing import Withdrawal
from notalone_crypto.suite import HASH_LENGTH, HPKE_KEY_LENGTH, SIGNATURE_LENGTH
from notalone_server.board.gate import (
    DONE,
    LOOK_UP_BLOCK,
    STATUS_BLOCK,
    Authorization,
    Gate,
    ScopeName,
    exactly,
    path_of,
)
from notalone_server.board.service import BoardService
from notalone_server.edge.metrics import Metrics
from notalone_server.edge.octets import Octets, OctetsResponse, pad
from notalone_server.edge.openapi import answers, describe, problems
from notalone_server.edge.problem import ProblemError

_WITHDRAWAL = Withdrawal(bytes(HASH_LENGTH), bytes(SIGNATURE_LENGTH))


def reporters(board: BoardService, gate: Gate, metrics: Metrics) -> APIRouter:
    """Requests that need a token."""
    router = APIRouter(tags=["reporters"], dependencies=[Depends(gate.anonymous)])

    @router.post(
        "/scopes/{scope}/filings",
        summary="File a report",
        responses={
            **answers("Receipt.", b"\0\1", whole=False),
            **problems("context", "conflict", "refused"),
        },
        response_class=Response,
        openapi_extra=describe(b"\0\1\x1f", "Filing.", whole=False),
    )
    def file_report(scope: ScopeName, body: Octets) -> OctetsResponse:
        """Take a filing; the answer is the board's promise to include it."""
        receipt = board.submit_filing(body, scope)
        metrics.count("filings_total")
        return OctetsResponse(receipt.encode())

    @router.post(
        "/scopes/{scope}/withdrawals",
        status_code=204,
        summary="Take a report back",
        responses={**DONE, **problems("context", "refused")},
        openapi_extra=describe(_WITHDRAWAL.encode(), "Withdrawal."),
    )
    def withdraw_report(scope: ScopeName, body: Octets) -> None:
        """Take an entry back at the next batch."""
        try:
            board.submit_withdrawal(scope, body)
        except StateConflict as error:
            # The same answer as for a wrong signature: nobody learns which entries exist.
            raise VerificationFailed(Code.SIGNATURE, "not this entry's owner") from error
        metrics.count("withdrawals_total")

    @router.post(
        "/scopes/{scope}/inclusions",
        summary="That a report was counted",
        responses={
            **answers("Padded to 4096: the sealed path, or (shown) nothing.", bytes(64), whole=False),
            **problems("context"),
        },
        response_class=Response,
        openapi_extra=describe(bytes(HPKE_KEY_LENGTH), "An entry's recipient key (32 bytes)."),
    )
    def find_inclusion(scope: ScopeName, body: Octets) -> OctetsResponse:
        """The path that shows an owner that her report was counted."""
        sealed = board.inclusion(scope, exactly(body, HPKE_KEY_LENGTH))
        return OctetsResponse(pad(sealed or b"", LOOK_UP_BLOCK))

    @router.post(
        "/scopes/{scope}/leaves",
        summary="That a leaf is in the log",
        responses={
            **answers("Padded to 4096: LogUpdate, or (shown) nothing.", bytes(64), whole=False),
            **problems("context"),
        },
        response_class=Response,
        openapi_extra=describe(bytes(HASH_LENGTH), "A leaf (32 bytes)."),
    )
    def find_leaf(scope: ScopeName, body: Octets) -> OctetsResponse:
        """The newest cosigned note with a proof of a leaf."""
        board.scope_record(scope)
        try:
            found = board.find_leaf(scope, exactly(body, HASH_LENGTH)).encode()
        except StateConflict:
            found = b""
        return OctetsResponse(pad(found, LOOK_UP_BLOCK))

    @router.post(
        "/scopes/{scope}/status",
        summary="Where a report stands",
        responses={
            **answers("Padded to 64: u8 state, u32 batch, or nothing.", pad(b"\3\0\0\0\x29", STATUS_BLOCK)),
            **problems("context"),
        },
        response_class=Response,
        openapi_extra=describe(bytes(HASH_LENGTH), "An entry (32 bytes), in a request signed by its owner."),
    )
    def entry_status(
        request: Request, scope: ScopeName, body: Octets, authorization: Authorization = ""
    ) -> OctetsResponse:
        """Where an entry stands, for its owner alone."""
        entry = exactly(body, HASH_LENGTH)
        key = board.owner_key(scope, entry)
        try:
            # An unknown entry is checked against some key: it takes as long and fails as a wrong one.
            gate.verifier.verify(
                authorization, request.method, path_of(request), body, key or board.signing_key.verify_key
            )
            state, batch = board.entry_state(scope, entry)
        except (ProblemError, NotAloneError):
            return OctetsResponse(pad(b"", STATUS_BLOCK))
        return OctetsResponse(pad(bytes([state]) + batch.to_bytes(4, "big"), STATUS_BLOCK))

    @router.post(
        "/scopes/{scope}/own",
        summary="Which report spent a tag",
        responses={
            **answers(
                "Padded to 64: u8 state, u32 batch, entry (32 bytes), or nothing.",
                pad(b"\3\0\0\0\x29" + bytes(HASH_LENGTH), STATUS_BLOCK),
            ),
            **problems("context"),
        },
        response_class=Response,
        openapi_extra=describe(
            bytes(HASH_LENGTH), "A spent tag (32 bytes), in a request signed by its owner."
        ),
    )
    def find_own_entry(
        request: Request, scope: ScopeName, body: Octets, authorization: Authorization = ""
    ) -> OctetsResponse:
        """The entry that spent a tag, for its owner alone: how a restored device finds it again."""
        key, state, entry, batch = board.find_own(scope, exactly(body, HASH_LENGTH))
        try:
            gate.verifier.verify(authorization, request.method, path_of(request), body, key)
        except ProblemError:
            entry = b""
        found = bytes([state]) + batch.to_bytes(4, "big") + entry
        return OctetsResponse(pad(found if entry else b"", STATUS_BLOCK))

    return router
