"""A ceremony's exchange point: keeps what trustees send, hands it to whoever knows the ceremony's name.

Owns addresses, limits and who may put something where. Trusts nobody and needs
no trust: before keys exist the first keys at a place count, after that only
their owner writes there; whatever it does itself to the messages shows in the
fingerprint that operators compare aloud. Refuses to judge what trustees say:
a liar's signed message is kept, for it names the liar.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import uvicorn
from fastapi import FastAPI, Header, Request, Response
from fastapi import Path as Path_
from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from notalone_crypto.errors import Code, Fault, Misuse, NotAloneError, StateConflict
from notalone_server.edge import problem, redaction
from notalone_server.edge.address import is_loopback
from notalone_server.edge.clock import system_clock
from notalone_server.edge.limits import BodyLimit
from notalone_server.edge.metrics import Metrics
from notalone_server.edge.octets import Octets, OctetsResponse
from notalone_server.edge.openapi import ServiceApi, answers, answers_json, describe, problems
from notalone_server.edge.problem import ProblemError
from notalone_server.edge.signing import RequestVerifier
from notalone_server.trustee.agreement import read_agreement
from notalone_server.trustee.public import Place, PublicFiles

MAX_MESSAGE: Final = 1 << 18  # the longest dealing of nine trustees has some 30 KiB
ROOT: Final = "/v1/ceremonies"
_CONNECTIONS: Final = 64
_SHOWN: Final = {
    "format": "notalone-ceremony-1",
    "instance": "notalone.example",
    "trustees": ["one", "two", "three"],
    "threshold": 2,
    "levels": [2, 3],
    "nonce": "5f" * 32,
    "board_key": "b0" * 32,
    "auditors": [],
}
Ceremony = Annotated[
    str, Path_(description="The ceremony's name: the agreement's first digits.", examples=["5f" * 16])
]
Name = Annotated[str, Path_(description="The message's name.", examples=["keys-1"])]
Authorization = Annotated[str, Header(description="A request signed by the message's sender.")]


class MessagesAnswer(BaseModel):
    """What an exchange holds."""

    messages: dict[str, str] = Field(
        description="Name and SHA-256 (hexadecimal).", examples=[{"keys-1": "5f" * 32}]
    )


@dataclass(slots=True)
class Exchange:
    """One ceremony's messages, and the rule by which they come in."""

    files: PublicFiles
    clock: Callable[[], int]
    verifier: RequestVerifier

    @classmethod
    def open(cls, folder: Path, clock: Callable[[], int] = system_clock) -> Exchange:
        """Over a folder with an agreement. Raises Misuse (the operator's fault)."""
        agreement = read_agreement(folder)
        return cls(PublicFiles(folder, agreement), clock, RequestVerifier({}, agreement.fingerprint, clock))

    def listing(self) -> dict[str, str]:
        """SHA-256 of every message that is here."""
        return {
            place.name: hashlib.sha256(self.files.read(place.name)).hexdigest()
            for place in self.files.places()
        }

    def take(self, header: str, path: str, name: str, data: bytes) -> None:
        """Keep a message whose request and content its sender signed.

        Raises: ProblemError (401, 403, 404), StateConflict (duplicate, or too early), MalformedInput.
        """
        place = self.place(name)
        try:
            key = self.files.check_sender(place, data)
        except StateConflict:
            raise
        except NotAloneError as error:
            raise ProblemError(403, "refused", "The message was refused.") from error
        # The key is the one in the message, or in the sender's keys that came first: nobody else
        # can put a copy of somebody's message here before they do.
        signer = self.verifier.verify(header, "POST", path, data, key)
        if signer != f"trustee/{place.sender}":
            raise ProblemError(401, "unauthorized", "The request carries no valid signature.")
        self.files.add(place.name, data)

    def place(self, name: str) -> Place:
        """A message's place. Raises ProblemError (404)."""
        try:
            return Place.parse(name, self.files.parameters.count)
        except Misuse as error:
            raise _nothing() from error


def build(exchange: Exchange) -> tuple[FastAPI, ASGIApp]:
    """The interface, and the application with its limits around it."""
    api = ServiceApi(
        "NotAlone ceremony exchange", "One ceremony's signed messages; nobody has to trust whoever runs it."
    )
    problem.install(api)
    _add_routes(api, exchange)
    limited = BodyLimit(api, anonymous=MAX_MESSAGE, signed=MAX_MESSAGE)
    return api, redaction.QuietErrors(limited, Metrics("exchange", ("failures_total",)))


def _add_routes(api: FastAPI, exchange: Exchange) -> None:
    def known(ceremony: str) -> None:
        if ceremony != exchange.files.agreement.name:
            raise _nothing()

    @api.get(
        ROOT + "/{ceremony}/agreement",
        tags=["ceremony"],
        summary="The agreement",
        responses=answers_json("The agreement.", _SHOWN),
        response_class=Response,
    )
    def agreement(ceremony: Ceremony) -> Response:
        """What the operators agreed on; its fingerprint begins with the ceremony's name."""
        known(ceremony)
        return Response(
            exchange.files.agreement.document(), 200, {"Cache-Control": "no-store"}, "application/json"
        )

    @api.get(ROOT + "/{ceremony}/messages", tags=["ceremony"], summary="What is here")
    def messages(ceremony: Ceremony) -> MessagesAnswer:
        """The messages that are here, with their SHA-256."""
        known(ceremony)
        return MessagesAnswer(messages=exchange.listing())

    @api.get(
        ROOT + "/{ceremony}/messages/{message}",
        tags=["ceremony"],
        summary="Fetch a message",
        responses=answers("The message.", b"\0\1", whole=False),
        response_class=Response,
    )
    def fetch_message(ceremony: Ceremony, message: Name) -> OctetsResponse:
        """One message, as its sender sent it."""
        known(ceremony)
        place = exchange.place(message)
        if not exchange.files.has(place.name):
            raise _nothing()
        return OctetsResponse(exchange.files.read(place.name))

    @api.post(
        ROOT + "/{ceremony}/messages/{message}",
        status_code=204,
        tags=["ceremony"],
        summary="Put a message",
        responses={204: {"description": "Kept, durably."}, **problems("refused", "conflict")},
        openapi_extra=describe(b"\0\1", "The message that the name says.", whole=False),
    )
    def put_message(
        ceremony: Ceremony, message: Name, request: Request, body: Octets, authorization: Authorization = ""
    ) -> Response:
        """Keep a message; the same one again is answered as the first time, another one is refused."""
        known(ceremony)
        exchange.take(authorization, request.url.path, message, body)
        return Response(status_code=204)


def serve(folder: Path, host: str, port: int, certificate: Path | None, certificate_key: Path | None) -> None:
    """Serve until SIGTERM or SIGINT. Raises Misuse for clear text off this machine."""
    if not is_loopback(host) and certificate is None:
        raise Misuse(
            Code.MISUSE,
            "off this machine an exchange needs TLS: give --certificate and --certificate-key, or listen on "
            "127.0.0.1 behind a proxy that has them",
            fault=Fault.OPERATOR,
        )
    _, app = build(Exchange.open(folder))
    redaction.configure("exchange")
    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=5,
        ssl_certfile=certificate,
        ssl_keyfile=certificate_key,
    )


def _nothing() -> ProblemError:
    return ProblemError(404, "not-found", "There is nothing at this address.")
