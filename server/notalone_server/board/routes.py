"""The board over HTTP: specs/40-http-api.md#board, line by line.

Owns addresses, who may use them and the shape of answers. Refuses to know rules
(service.py). Routes run on threads; each is one transaction.
"""

# No `from __future__ import annotations`: dependencies in annotations are local names (the gate's methods).
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Request, Response
from pydantic import BaseModel

from notalone_crypto.errors import Code, ContextMismatch, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.committee import SignedManifest
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.protocol import log
from notalone_crypto.suite import HASH_LENGTH, HPKE_KEY_LENGTH
from notalone_server.board.service import BoardService
from notalone_server.edge.limits import AnonymousLimiter
from notalone_server.edge.metrics import Metrics
from notalone_server.edge.octets import Octets, OctetsResponse, answers, describe, frame, pad, unframe
from notalone_server.edge.problem import ProblemError
from notalone_server.edge.signing import RequestVerifier

FEED_BYTES = 8 << 20
LOOK_UP_BLOCK = 4096
STATUS_BLOCK = 64
MAX_NUMBER = (1 << 32) - 1
MAX_SIZE = (1 << 62) - 1
COUNTERS = ("filings_total", "withdrawals_total", "posts_total", "erased_total")

_DONE: dict[int | str, dict[str, Any]] = {204: {"description": "Taken, durably."}}
_NOWHERE = ProblemError(404, "not-found", "There is nothing at this address.")
_HEX = Path(pattern="^[0-9a-f]{64}$", description="the scope's name", examples=["5f" * 32])
_START = "; begins with version and type as in the example"


class BoardAnswer(BaseModel):
    """What a client needs before anything else; it pins the fingerprint by other means."""

    committee: str
    token_bits: int
    requests_per_token: int
    scopes: list[str]


class ScopeAnswer(BaseModel):
    """Where a scope's batches stand."""

    active: bool
    batches: int
    epoch: int
    opened_at: int


def _scope(scope: Annotated[str, _HEX]) -> bytes:
    return bytes.fromhex(scope)


ScopeName = Annotated[bytes, Depends(_scope)]
Number = Annotated[int, Path(ge=0, le=MAX_NUMBER)]
Size = Annotated[int, Path(ge=0, le=MAX_SIZE)]
Authorization = Annotated[str, Header(description="signed request")]
Token = Annotated[str, Header(alias="Notalone-Token", description="anonymous token")]


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may come in: signatures of machines, tokens of reporters."""

    verifier: RequestVerifier
    limiter: AnonymousLimiter

    async def anonymous(self, token: Token = "") -> None:
        """For requests about one reporter."""
        self.limiter.check(token)

    async def public(self) -> None:
        """For lists that are the same for everybody."""
        self.limiter.check_load()

    async def reader(self, request: Request, authorization: Authorization = "") -> str:
        """A trustee or auditor: the signer's name."""
        return self.verifier.verify(authorization, request.method, _path(request), await request.body())

    async def trustee(self, request: Request, authorization: Authorization = "") -> int:
        """A trustee's index."""
        kind, _, index = (await self.reader(request, authorization)).partition("/")
        if kind != "trustee":
            raise ProblemError(401, "unauthorized", "The request carries no valid signature.")
        return int(index)


def _path(request: Request) -> str:
    raw: bytes = request.scope["raw_path"]
    return raw.decode("ascii", "replace")


def add_routes(
    app: FastAPI, board: BoardService, manifest: SignedManifest, gate: Gate, metrics: Metrics
) -> None:
    """Everything under /v1."""
    app.include_router(_public(board, manifest, gate), prefix="/v1", dependencies=[Depends(gate.public)])
    app.include_router(_log(board), prefix="/v1", dependencies=[Depends(gate.public)])
    app.include_router(_reporters(board, gate, metrics), prefix="/v1")
    app.include_router(_machines(board, gate, metrics), prefix="/v1")


def _public(board: BoardService, manifest: SignedManifest, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["public"])
    encoded = manifest.encode()

    @router.get("/board")
    def about() -> BoardAnswer:
        """The committee's fingerprint, limits, scopes."""
        return BoardAnswer(
            committee=board.committee.fingerprint.hex(),
            token_bits=gate.limiter.bits,
            requests_per_token=gate.limiter.per_token,
            scopes=[name.hex() for name in board.scopes()],
        )

    @router.get("/manifest", responses=answers("SignedManifest"), response_class=Response)
    def signed_manifest() -> OctetsResponse:
        """The committee's manifest with every trustee's signature."""
        return OctetsResponse(encoded)

    @router.get("/scopes/{scope}")
    def scope_state(scope: ScopeName) -> ScopeAnswer:
        """How many batches are closed."""
        record = board.scope_record(scope)
        return ScopeAnswer(
            active=record.active, batches=record.number, epoch=record.epoch, opened_at=record.opened_at
        )

    @router.get("/scopes/{scope}/policy", responses=answers("frames"), response_class=Response)
    def policy(scope: ScopeName) -> OctetsResponse:
        """The rules, and proof that they are in the log."""
        record = board.scope_record(scope)
        try:
            update = board.find_leaf(scope, log.policy_leaf(record.policy))
        except StateConflict as error:
            raise _NOWHERE from error
        return OctetsResponse(frame([record.policy.encode(), update.encode()]))

    @router.get("/scopes/{scope}/snapshots", responses=answers("frames"), response_class=Response)
    def snapshots(scope: ScopeName) -> OctetsResponse:
        """The newest roll of every cohort."""
        return OctetsResponse(frame(one.encode() for one in board.newest_snapshots(scope)))

    @router.post(
        "/scopes/{scope}/snapshots",
        status_code=204,
        responses=_DONE,
        openapi_extra=describe(b"\0\1\x16", "RollSnapshot" + _START),
    )
    def publish_snapshot(scope: ScopeName, body: Octets) -> None:
        """From an issuer of the policy; the message's own signature suffices."""
        snapshot = RollSnapshot.decode(body)
        if snapshot.scope != scope:
            raise ContextMismatch(Code.SCOPE, "a snapshot of another scope")
        board.publish_snapshot(snapshot)

    @router.get("/scopes/{scope}/spent/{period}", responses=answers("tags"), response_class=Response)
    def spent(scope: ScopeName, period: Number) -> OctetsResponse:
        """All spent tags of a period, sorted."""
        return OctetsResponse(b"".join(board.spent_tags(scope, period)))

    @router.get(
        "/scopes/{scope}/batches/{number}/blobs", responses=answers("frames"), response_class=Response
    )
    def blobs(scope: ScopeName, number: Number) -> OctetsResponse:
        """All release blobs of a closed batch: take all, try all."""
        try:
            return OctetsResponse(frame(board.batch_blobs(scope, number)))
        except StateConflict as error:
            raise _NOWHERE from error

    return router


def _log(board: BoardService) -> APIRouter:
    router = APIRouter(tags=["public"])

    @router.get("/log/note", response_class=Response)
    def note() -> Response:
        """The newest cosigned checkpoint."""
        found = board.note()
        if not found:
            raise _NOWHERE
        return Response(found, media_type="text/plain; charset=utf-8")

    @router.get("/log/consistency/{first}/{second}", responses=answers("nodes"), response_class=Response)
    def consistency(first: Size, second: Size) -> OctetsResponse:
        """RFC 9162 consistency proof."""
        try:
            return OctetsResponse(b"".join(board.consistency(first, second)))
        except StateConflict as error:
            raise _NOWHERE from error

    return router


def _reporters(board: BoardService, gate: Gate, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["reporters"], dependencies=[Depends(gate.anonymous)])

    @router.post(
        "/scopes/{scope}/filings",
        responses=answers("Receipt"),
        response_class=Response,
        openapi_extra=describe(b"\0\1\x1f", "Filing" + _START),
    )
    def file(scope: ScopeName, body: Octets) -> OctetsResponse:
        """Take a filing; the answer is the board's promise to include it."""
        receipt = board.submit_filing(body, scope)
        metrics.count("filings_total")
        return OctetsResponse(receipt.encode())

    @router.post(
        "/scopes/{scope}/withdrawals",
        status_code=204,
        responses=_DONE,
        openapi_extra=describe(b"\0\1\x23", "Withdrawal" + _START),
    )
    def withdraw(scope: ScopeName, body: Octets) -> None:
        """Take an entry back at the next batch."""
        try:
            board.submit_withdrawal(scope, body)
        except StateConflict as error:
            # The same answer as for a wrong signature: nobody learns which entries exist.
            raise VerificationFailed(Code.SIGNATURE, "not this entry's owner") from error
        metrics.count("withdrawals_total")

    @router.post(
        "/scopes/{scope}/inclusions",
        responses=answers("padded: the sealed path, or nothing"),
        response_class=Response,
        openapi_extra=describe(bytes(HPKE_KEY_LENGTH), "recipient key"),
    )
    def inclusion(scope: ScopeName, body: Octets) -> OctetsResponse:
        """The path that shows an owner that her report was counted."""
        sealed = board.inclusion(scope, _exactly(body, HPKE_KEY_LENGTH))
        return OctetsResponse(pad(sealed or b"", LOOK_UP_BLOCK))

    @router.post(
        "/scopes/{scope}/leaves",
        responses=answers("padded: LogUpdate, or nothing"),
        response_class=Response,
        openapi_extra=describe(bytes(HASH_LENGTH), "leaf"),
    )
    def leaf(scope: ScopeName, body: Octets) -> OctetsResponse:
        """The newest cosigned note with a proof of a leaf."""
        board.scope_record(scope)
        try:
            found = board.find_leaf(scope, _exactly(body, HASH_LENGTH)).encode()
        except StateConflict:
            found = b""
        return OctetsResponse(pad(found, LOOK_UP_BLOCK))

    @router.post(
        "/scopes/{scope}/status",
        responses=answers("padded: u8 state, u32 batch, or nothing"),
        response_class=Response,
        openapi_extra=describe(bytes(HASH_LENGTH), "entry, in a request signed by its owner"),
    )
    def status(
        request: Request, scope: ScopeName, body: Octets, authorization: Authorization = ""
    ) -> OctetsResponse:
        """Where an entry stands, for its owner alone."""
        entry = _exactly(body, HASH_LENGTH)
        key = board.owner_key(scope, entry)
        try:
            # An unknown entry is checked against some key: it takes as long and fails as a wrong one.
            gate.verifier.verify(
                authorization, request.method, _path(request), body, key or board.signing_key.verify_key
            )
            state, batch = board.entry_state(scope, entry)
        except (ProblemError, NotAloneError):
            return OctetsResponse(pad(b"", STATUS_BLOCK))
        return OctetsResponse(pad(bytes([state]) + batch.to_bytes(4, "big"), STATUS_BLOCK))

    return router


def _machines(board: BoardService, gate: Gate, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["trustees and auditors"])

    @router.get("/scopes/{scope}/feed/{after}", responses=answers("frames"), response_class=Response)
    def feed(scope: ScopeName, after: Size, reader: Annotated[str, Depends(gate.reader)]) -> OctetsResponse:
        """Items above a sequence number; asking tells that all up to it are stored."""
        items = board.read_feed(reader, scope, after, FEED_BYTES)
        return OctetsResponse(frame(item.encode() for item in items))

    @router.get("/log/updates/{index}/{from_size}", responses=answers("LogUpdate"), response_class=Response)
    def update(
        index: Size, from_size: Size, _trustee: Annotated[int, Depends(gate.trustee)]
    ) -> OctetsResponse:
        """The note in progress, to be verified and cosigned."""
        return OctetsResponse(board.log_update(index, from_size).encode())

    @router.post(
        "/scopes/{scope}/posts/{kind}",
        status_code=204,
        responses=_DONE,
        openapi_extra=describe(b"\0\1\x21", "for kind 3: Acceptance" + _START),
    )
    def post(
        scope: ScopeName,
        kind: Annotated[int, Path(ge=1, le=255, description="feed kind")],
        body: Octets,
        trustee: Annotated[int, Depends(gate.trustee)],
    ) -> None:
        """A trustee's message for the feed."""
        if kind not in tuple(FeedKind):
            raise ContextMismatch(Code.RANGE, "no such kind")
        board.post(trustee, scope, FeedKind(kind), body)
        metrics.count("posts_total")

    @router.post(
        "/scopes/{scope}/paths",
        status_code=204,
        responses=_DONE,
        openapi_extra=describe(frame([bytes(HPKE_KEY_LENGTH), b"\0"]), "frames: recipient key, sealed path"),
    )
    def path(scope: ScopeName, body: Octets, _trustee: Annotated[int, Depends(gate.trustee)]) -> None:
        """A sealed path for one recipient."""
        parts: Sequence[bytes] = unframe(body)
        if len(parts) != 2 or len(parts[1]) > LOOK_UP_BLOCK - 4:
            raise ContextMismatch(Code.LENGTH, "a path is two frames, and fits into one answer")
        board.post_inclusion(scope, _exactly(parts[0], HPKE_KEY_LENGTH), parts[1])
        metrics.count("posts_total")

    @router.post(
        "/log/cosignatures",
        status_code=204,
        responses=_DONE,
        openapi_extra=describe(b"\0\1\x30", "CosignatureMessage" + _START),
    )
    def cosignature(body: Octets, _trustee: Annotated[int, Depends(gate.trustee)]) -> None:
        """A cosignature over the note in progress."""
        board.post_cosignature(body)
        metrics.count("posts_total")

    return router


def _exactly(body: bytes, length: int) -> bytes:
    if len(body) != length:
        raise ContextMismatch(Code.LENGTH, "the body has a wrong length")
    return body
