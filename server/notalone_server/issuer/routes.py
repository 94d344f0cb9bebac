"""The issuer's HTTP interface (specs/40-http-api.md#issuer).

Owns addresses, bodies and answers. Refuses to look anything up while somebody
waits whose address she typed: that is a worker's job (publish.py), so that
neither answer nor time tells who is listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from notalone_crypto.errors import Code, MalformedInput, RollRefused
from notalone_crypto.messages.roll import Enrolment
from notalone_server.edge.limits import AnonymousLimiter
from notalone_server.edge.octets import Octets, OctetsResponse, answers, describe, frame, pad, unframe, unpad
from notalone_server.edge.problem import ProblemError
from notalone_server.issuer.live import LiveIssuer
from notalone_server.issuer.ports import MailKind

ADDRESS_BLOCK = 512
ANSWER_BLOCK = 512
MAX_CODE = 64
MAX_ADDRESS = 254
_CODE = b"2345-6789-ABCD-EFGH"  # for the description
_ADDRESS = b"somebody@example.org"
Token = Annotated[str, Header(alias="Notalone-Token", description="anonymous token", max_length=64)]


@dataclass(frozen=True, slots=True)
class IssuerRoutes:
    """The routes of one issuer."""

    live: LiveIssuer
    limiter: AnonymousLimiter

    def router(self) -> APIRouter:
        """Every address under /v1."""
        made = APIRouter(prefix="/v1", tags=["issuer"])
        made.get("/issuer", summary="Who this issuer is")(self.about)
        made.get("/counts", summary="Public counts")(self.counts)
        made.get(
            "/snapshots",
            summary="The newest snapshot of every cohort",
            response_class=OctetsResponse,
            responses=answers("frames of RollSnapshot"),
        )(self.snapshots)
        made.post(
            "/enrolments",
            summary="Spend a code on a place",
            response_class=OctetsResponse,
            responses=answers("padded to 512: RollEntry, or nothing when it joins with a daily batch"),
            openapi_extra=describe(frame([_CODE, bytes(8)]), "frames: code (ASCII), Enrolment"),
        )(self.enrol)
        for path, kind, summary in (
            ("/codes", MailKind.CODE, "Ask for a code by e-mail"),
            ("/resets", MailKind.RESET, "Ask to start again after lost words"),
        ):
            made.post(
                path,
                status_code=204,
                summary=summary,
                openapi_extra=describe(pad(_ADDRESS, ADDRESS_BLOCK), "padded to 512: an address"),
            )(self._mail(kind))
        made.post(
            "/resets/stop",
            status_code=204,
            summary="Stop a reset that somebody else asked for",
            openapi_extra=describe(frame([_CODE]), "frames: code (ASCII)"),
        )(self.stop_reset)
        return made

    def about(self) -> dict[str, Any]:
        """Instance, scope, verify key, and how to enrol."""
        service = self.live.service
        return {
            "instance": service.instance,
            "scope": service.scope.hex(),
            "issuer_key": service.signing_key.verify_key.hex(),
            "enrolment": "email" if service.rules.by_mail else "cards",
            "token_bits": self.limiter.bits,
            "requests_per_token": self.limiter.per_token,
        }

    def counts(self) -> dict[str, int]:
        """Declared members, places that are open, closed ones, resets."""
        return self.live.change(lambda issuer: issuer.counts())

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
                raise ProblemError(409, "conflict", "This place is on the roll already.") from error
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
