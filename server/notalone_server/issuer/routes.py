"""The issuer's HTTP interface (specs/40-http-api.md#issuer).

Owns addresses, bodies and answers. Refuses to look anything up while somebody
waits whose address she typed: that is a worker's job (publish.py), so that
neither answer nor time tells who is listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from notalone_crypto.errors import Code, MalformedInput, RollRefused
from notalone_crypto.messages.roll import Enrolment
from notalone_server.edge.limits import AnonymousLimiter
from notalone_server.edge.octets import Octets, OctetsResponse, frame, pad, unframe, unpad
from notalone_server.edge.openapi import answers, describe, problems
from notalone_server.edge.problem import ProblemError
from notalone_server.issuer.live import LiveIssuer
from notalone_server.issuer.ports import MailKind

ADDRESS_BLOCK = 512
ANSWER_BLOCK = 512
MAX_CODE = 64
MAX_ADDRESS = 254
_CODE = b"2345-6789-ABCD-EFGH"  # for the description
_ADDRESS = b"somebody@example.org"
_DONE: dict[int | str, dict[str, Any]] = {204: {"description": "Taken; the same answer for everybody."}}
Token = Annotated[str, Header(alias="Notalone-Token", description="An anonymous token of this hour.")]


class EnrolmentKind(StrEnum):
    """How places are given out: never both ways, for one person could take two."""

    CARDS = "cards"
    EMAIL = "email"


class IssuerAnswer(BaseModel):
    """What a client needs before it enrols; it knows the key by other means."""

    instance: str = Field(description="The deployment's name.", examples=["notalone.example"])
    scope: str = Field(description="The scope's name, hexadecimal.", examples=["5f" * 32])
    issuer_key: str = Field(description="Ed25519 verify key, hexadecimal.", examples=["1e" * 32])
    enrolment: EnrolmentKind = Field(description="Whether codes come on cards or by e-mail.")
    token_bits: int = Field(description="Zero bits that a token's hash must begin with.", examples=[16])
    requests_per_token: int = Field(description="How often one token counts in an hour.", examples=[30])


class CountsAnswer(BaseModel):
    """Public numbers of this organisation's roll."""

    declared: int = Field(description="Members that the organisation says it has.", examples=[4000])
    enrolled: int = Field(description="Open places.", examples=[312])
    closed: int = Field(description="Places that were closed.", examples=[4])
    resets: int = Field(description="Resets so far.", examples=[2])


@dataclass(frozen=True, slots=True)
class IssuerRoutes:
    """The routes of one issuer."""

    live: LiveIssuer
    limiter: AnonymousLimiter

    def router(self) -> APIRouter:
        """Every address under /v1."""
        made = APIRouter(prefix="/v1", tags=["issuer"])
        made.get("/issuer", summary="Who this issuer is")(self.about)
        made.get("/counts", summary="Public counts of the roll")(self.counts)
        made.get(
            "/snapshots",
            summary="The newest snapshot of every cohort",
            response_class=OctetsResponse,
            responses=answers("Frames of RollSnapshot.", bytes(2), whole=False),
        )(self.snapshots)
        made.post(
            "/enrolments",
            summary="Spend a code on a place",
            response_class=OctetsResponse,
            responses=answers(
                "Padded to 512: RollEntry, or nothing (shown) when the place joins with a daily batch.",
                pad(b"", ANSWER_BLOCK),
            )
            | problems("refused", "conflict"),
            openapi_extra=describe(frame([_CODE]), "Frames: code (ASCII), Enrolment.", whole=False),
        )(self.enrol)
        for path, kind, summary in (
            ("/codes", MailKind.CODE, "Ask for a code by e-mail"),
            ("/resets", MailKind.RESET, "Ask to start again after lost words"),
        ):
            made.post(
                path,
                status_code=204,
                summary=summary,
                responses=_DONE,
                openapi_extra=describe(pad(_ADDRESS, ADDRESS_BLOCK), "Padded to 512: an e-mail address."),
            )(self._mail(kind))
        made.post(
            "/resets/stop",
            status_code=204,
            summary="Stop a reset that somebody else asked for",
            responses=_DONE,
            openapi_extra=describe(frame([_CODE]), "One frame: the code (ASCII) in the letter."),
        )(self.stop_reset)
        return made

    def about(self) -> IssuerAnswer:
        """Instance, scope, verify key, and how to enrol."""
        service = self.live.service
        return IssuerAnswer(
            instance=service.instance,
            scope=service.scope.hex(),
            issuer_key=service.signing_key.verify_key.hex(),
            enrolment=EnrolmentKind.EMAIL if service.rules.by_mail else EnrolmentKind.CARDS,
            token_bits=self.limiter.bits,
            requests_per_token=self.limiter.per_token,
        )

    def counts(self) -> CountsAnswer:
        """Those who wait for a daily batch are left out: one more of them is one person."""
        return CountsAnswer(**self.live.change(lambda issuer: issuer.counts()))

    def snapshots(self) -> OctetsResponse:
        """Signed, the same for everybody."""
        newest = self.live.change(lambda issuer: dict(issuer.state.snapshots))
        return OctetsResponse(frame(newest[cohort].encode() for cohort in sorted(newest)))

    def enrol(self, body: Octets, token: Token = "") -> OctetsResponse:
        """A place for a code; a refused request does not spend it."""
        self.limiter.check(token)
        messages = unframe(body)
        if len(messages) != 2 or len(messages[0]) > MAX_CODE:
            raise MalformedInput(Code.LENGTH, "an enrolment is a code and a request")
        code, request = _ascii(messages[0]), Enrolment.decode(messages[1])
        try:
            entry = self.live.change(lambda issuer: issuer.enrol(code, request, publish=True))
        except RollRefused as error:
            if error.code is Code.ROLL_DUPLICATE:  # the roll is public
                raise ProblemError(409, "conflict", "The message cannot be taken now.") from error
            raise
        return OctetsResponse(pad(b"" if entry is None else entry.encode(), ANSWER_BLOCK))

    def stop_reset(self, body: Octets, token: Token = "") -> Response:
        """The same answer whatever the code."""
        self.limiter.check(token)
        messages = unframe(body)
        if len(messages) != 1 or len(messages[0]) > MAX_CODE:
            raise MalformedInput(Code.LENGTH, "one code is expected")
        code = _ascii(messages[0])
        self.live.change(lambda issuer: issuer.stop_reset(code))
        return Response(status_code=204)

    def _mail(self, kind: MailKind) -> Any:  # noqa: ANN401 - FastAPI reads its signature
        def ask(body: Octets, token: Token = "") -> Response:
            """Always the same answer, after the same work: nothing was looked up yet."""
            self.limiter.check(token)
            raw = unpad(body)
            if len(body) != ADDRESS_BLOCK or len(raw) > MAX_ADDRESS:
                raise MalformedInput(Code.LENGTH, "an address is padded to 512 bytes")
            try:
                address = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise MalformedInput(Code.TEXT, "an address is UTF-8") from error
            if "\0" in address:
                raise MalformedInput(Code.TEXT, "an address has no zero characters")
            if not self.live.store.add_mail(kind, address):
                raise ProblemError(503, "busy", "The service is busy.", {"Retry-After": "60"})
            return Response(status_code=204)

        ask.__name__ = f"ask_{kind.value}"
        return ask


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedInput(Code.TEXT, "a code is ASCII") from error
