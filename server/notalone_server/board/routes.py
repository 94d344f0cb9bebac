"""The board over HTTP: specs/40-http-api.md#board, line by line.

Owns addresses, who may use them and the shape of answers. Refuses to know rules
(service.py). Routes run on threads; each is one transaction.
"""

# No `from __future__ import annotations`: dependencies in annotations are local names (the gate's methods).
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Response
from pydantic import BaseModel, Field

from notalone_crypto.errors import Code, ContextMismatch, StateConflict
from notalone_crypto.messages.committee import SignedManifest
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.protocol import log
from notalone_crypto.suite import HPKE_KEY_LENGTH
from notalone_server.board.gate import DONE, LOOK_UP_BLOCK, MAX_NUMBER, Gate, ScopeName, exactly, number
from notalone_server.board.mailbox_routes import mailbox_routes
from notalone_server.board.mailboxes import Mailboxes
from notalone_server.board.reporters import reporters
from notalone_server.board.service import BoardService
from notalone_server.edge.metrics import Metrics
from notalone_server.edge.octets import Octets, OctetsResponse, frame, unframe
from notalone_server.edge.openapi import answers, answers_text, describe, problems
from notalone_server.edge.problem import ProblemError

FEED_BYTES = 8 << 20
MAX_TOGETHER = 64  # messages in one request
COUNTERS = (
    "filings_total",
    "withdrawals_total",
    "posts_total",
    "erased_total",
    "letters_total",
    "letters_erased_total",
)

_NOWHERE = ProblemError(404, "not-found", "There is nothing at this address.")
_LENGTH = bytes(2)  # how a list of messages begins
_NOTE = "notalone/v1/5f5f5f5f\n7\nX19fX19fX19fX19fX19fX19fX19fX19fX19fX19fX18=\n\n\u2014 ...\n"
Period = Annotated[int, number("A period of the quota (days since 1970, divided).", 575, MAX_NUMBER)]
Batch = Annotated[int, number("A batch; the first is 1.", 41, MAX_NUMBER)]
TreeSize = Annotated[int, number("How many leaves a tree has.", 7)]
LeafIndex = Annotated[int, number("A leaf; the first is 0.", 7)]
After = Annotated[int, number("The last sequence number that the reader stored; at first 0.", 1200)]
Kind = Annotated[int, Path(ge=1, le=255, description="The message's kind in the feed.", examples=[3])]


class BoardAnswer(BaseModel):
    """What a client needs before anything else; it pins the fingerprint by other means."""

    committee: str = Field(description="The manifest's fingerprint, hexadecimal.", examples=["c0" * 32])
    token_bits: int = Field(description="Zero bits that a token's hash must begin with.", examples=[16])
    requests_per_token: int = Field(description="How often one token counts in an hour.", examples=[30])
    scopes: list[str] = Field(description="Names of the scopes, hexadecimal.", examples=[["5f" * 32]])


class ScopeAnswer(BaseModel):
    """Where a scope's batches stand."""

    active: bool = Field(description="Whether every trustee agreed to the rules.", examples=[True])
    batches: int = Field(description="How many batches are closed.", examples=[41])
    epoch: int = Field(description="Grows whenever entries leave the stored ones.", examples=[3])
    opened_at: int = Field(description="When the newest batch was planned (seconds).", examples=[1790000000])


def add_routes(
    app: FastAPI,
    board: BoardService,
    mailboxes: Mailboxes,
    manifest: SignedManifest,
    gate: Gate,
    metrics: Metrics,
) -> None:
    """Everything under /v1."""
    app.include_router(reporters(board, gate, metrics), prefix="/v1")
    app.include_router(_public(board, manifest, gate), prefix="/v1", dependencies=[Depends(gate.public)])
    app.include_router(_log(board), prefix="/v1", dependencies=[Depends(gate.public)])
    app.include_router(mailbox_routes(mailboxes, gate, metrics), prefix="/v1")
    app.include_router(_machines(board, gate, metrics), prefix="/v1")


def _public(board: BoardService, manifest: SignedManifest, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["public"])
    encoded = manifest.encode()

    @router.get("/board", summary="Who this board serves")
    def about() -> BoardAnswer:
        """The committee's fingerprint, limits, scopes."""
        return BoardAnswer(
            committee=board.committee.fingerprint.hex(),
            token_bits=gate.limiter.bits,
            requests_per_token=gate.limiter.per_token,
            scopes=[name.hex() for name in board.scopes()],
        )

    @router.get(
        "/manifest",
        summary="The committee's manifest",
        responses=answers("SignedManifest.", b"\0\1\x07", whole=False),
        response_class=Response,
    )
    def signed_manifest() -> OctetsResponse:
        """The committee's manifest with every trustee's signature."""
        return OctetsResponse(encoded)

    @router.get("/scopes/{scope}", summary="Where a scope stands", responses=problems("context"))
    def scope_state(scope: ScopeName) -> ScopeAnswer:
        """How many batches are closed."""
        record = board.scope_record(scope)
        return ScopeAnswer(
            active=record.active, batches=record.number, epoch=record.epoch, opened_at=record.opened_at
        )

    @router.get(
        "/scopes/{scope}/policy",
        summary="A scope's rules",
        responses={
            **answers("Frames: ScopePolicy, LogUpdate.", _LENGTH, whole=False),
            **problems("context", "not-found"),
        },
        response_class=Response,
    )
    def scope_policy(scope: ScopeName) -> OctetsResponse:
        """The rules, and proof that they are in the log."""
        record = board.scope_record(scope)
        try:
            update = board.find_leaf(scope, log.policy_leaf(record.policy))
        except StateConflict as error:
            raise _NOWHERE from error
        return OctetsResponse(frame([record.policy.encode(), update.encode()]))

    @router.get(
        "/scopes/{scope}/snapshots",
        summary="The newest rolls",
        responses={**answers("Frames of RollSnapshot.", _LENGTH, whole=False), **problems("context")},
        response_class=Response,
    )
    def snapshots(scope: ScopeName) -> OctetsResponse:
        """The newest roll of every cohort."""
        return OctetsResponse(frame(one.encode() for one in board.newest_snapshots(scope)))

    @router.post(
        "/scopes/{scope}/snapshots",
        status_code=204,
        summary="Publish a roll",
        responses={**DONE, **problems("context", "conflict", "refused")},
        openapi_extra=describe(b"\0\1\x16", "RollSnapshot.", whole=False),
    )
    def publish_snapshot(scope: ScopeName, body: Octets) -> None:
        """From an issuer of the policy; the message's own signature suffices."""
        snapshot = RollSnapshot.decode(body)
        if snapshot.scope != scope:
            raise ContextMismatch(Code.SCOPE, "a snapshot of another scope")
        board.publish_snapshot(snapshot)

    @router.get(
        "/scopes/{scope}/spent/{period}",
        summary="Spent tags of a period",
        responses={
            **answers("Tags of 32 bytes, sorted, without frames.", bytes(32)),
            **problems("context"),
        },
        response_class=Response,
    )
    def spent_tags(scope: ScopeName, period: Period) -> OctetsResponse:
        """All spent tags of a period, sorted."""
        return OctetsResponse(b"".join(board.spent_tags(scope, period)))

    @router.get(
        "/scopes/{scope}/batches/{number}/blobs",
        summary="Release blobs of a batch",
        responses={
            **answers("Frames of release blobs.", _LENGTH, whole=False),
            **problems("context", "not-found"),
        },
        response_class=Response,
    )
    def batch_blobs(scope: ScopeName, number: Batch) -> OctetsResponse:
        """All release blobs of a closed batch: take all, try all."""
        try:
            return OctetsResponse(frame(board.batch_blobs(scope, number)))
        except StateConflict as error:
            raise _NOWHERE from error

    return router


def _log(board: BoardService) -> APIRouter:
    router = APIRouter(tags=["public"])

    @router.get(
        "/log/note",
        summary="The newest cosigned note",
        responses={
            **answers_text("A checkpoint (C2SP) with its cosignatures.", _NOTE),
            **problems("not-found"),
        },
        response_class=Response,
    )
    def log_note() -> Response:
        """The newest cosigned checkpoint."""
        found = board.note()
        if not found:
            raise _NOWHERE
        return Response(found, media_type="text/plain; charset=utf-8")

    @router.get(
        "/log/consistency/{first}/{second}",
        summary="That one tree continues another",
        responses={**answers("Nodes of 32 bytes, without frames.", bytes(32)), **problems("not-found")},
        response_class=Response,
    )
    def log_consistency(first: TreeSize, second: TreeSize) -> OctetsResponse:
        """RFC 9162 consistency proof."""
        try:
            return OctetsResponse(b"".join(board.consistency(first, second)))
        except StateConflict as error:
            raise _NOWHERE from error

    return router


def _several(body: bytes, frames: int) -> tuple[bytes, ...]:
    """The parts of 1 to MAX_TOGETHER messages of so many frames. Raises ContextMismatch (encoding.length)."""
    parts = unframe(body)
    if not parts or len(parts) % frames or len(parts) > frames * MAX_TOGETHER:
        raise ContextMismatch(Code.LENGTH, f"1 to {MAX_TOGETHER} messages travel in one request")
    return parts


def _machines(board: BoardService, gate: Gate, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["trustees and auditors"])

    @router.get(
        "/scopes/{scope}/feed/{after}",
        summary="What trustees and auditors read",
        responses={
            **answers("Frames of FeedItem, at most 8 MiB or one item.", _LENGTH, whole=False),
            **problems("context"),
        },
        response_class=Response,
    )
    def feed(scope: ScopeName, after: After, reader: Annotated[str, Depends(gate.reader)]) -> OctetsResponse:
        """Items above a sequence number; asking tells that all up to it are stored."""
        items = board.read_feed(reader, scope, after, FEED_BYTES)
        return OctetsResponse(frame(item.encode() for item in items))

    @router.get(
        "/log/updates/{index}/{from_size}",
        summary="The note in progress",
        responses={**answers("LogUpdate.", b"\0\1", whole=False), **problems("conflict")},
        response_class=Response,
    )
    def log_update(
        index: LeafIndex, from_size: TreeSize, _trustee: Annotated[int, Depends(gate.trustee)]
    ) -> OctetsResponse:
        """The note in progress, to be verified and cosigned."""
        return OctetsResponse(board.log_update(index, from_size).encode())

    @router.post(
        "/scopes/{scope}/posts/{kind}",
        status_code=204,
        summary="Post a trustee's messages",
        responses={**DONE, **problems("context", "conflict", "refused")},
        openapi_extra=describe(
            _LENGTH, f"Frames: 1 to {MAX_TOGETHER} messages of that kind; all or none are taken.", whole=False
        ),
    )
    def post_messages(
        scope: ScopeName,
        kind: Kind,
        body: Octets,
        trustee: Annotated[int, Depends(gate.trustee)],
    ) -> None:
        """Messages for the feed."""
        if kind not in tuple(FeedKind):
            raise ContextMismatch(Code.RANGE, "no such kind")
        messages = _several(body, 1)
        board.post(trustee, scope, FeedKind(kind), messages)
        metrics.count("posts_total", len(messages))

    @router.post(
        "/scopes/{scope}/paths",
        status_code=204,
        summary="Post sealed paths",
        responses={**DONE, **problems("context", "conflict", "refused")},
        openapi_extra=describe(
            frame([bytes(HPKE_KEY_LENGTH), b"\0"]),
            f"Frames: recipient key, sealed path; 1 to {MAX_TOGETHER} such pairs.",
        ),
    )
    def post_paths(scope: ScopeName, body: Octets, _trustee: Annotated[int, Depends(gate.trustee)]) -> None:
        """Sealed paths, each for one recipient."""
        parts = _several(body, 2)
        paths = list(zip(parts[::2], parts[1::2], strict=True))
        for recipient, sealed in paths:
            exactly(recipient, HPKE_KEY_LENGTH)
            if len(sealed) > LOOK_UP_BLOCK - 4:
                raise ContextMismatch(Code.LENGTH, "a path fits into one answer")
        board.post_inclusions(scope, paths)
        metrics.count("posts_total", len(paths))

    @router.post(
        "/log/cosignatures",
        status_code=204,
        summary="Post a cosignature",
        responses={**DONE, **problems("context", "conflict", "refused")},
        openapi_extra=describe(b"\0\1\x30", "CosignatureMessage.", whole=False),
    )
    def post_cosignature(body: Octets, _trustee: Annotated[int, Depends(gate.trustee)]) -> None:
        """A cosignature over the note in progress."""
        board.post_cosignature(body)
        metrics.count("posts_total")

    return router
