"""The issuer as a process: settings in, a running service out.

Owns the wiring. Refuses rules and SQL, which are below it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.types import ASGIApp

from notalone_crypto.errors import Code, Fault, Misuse
from notalone_crypto.primitives import signing
from notalone_server.edge import database
from notalone_server.edge.clock import system_clock
from notalone_server.edge.limits import AnonymousLimiter, BodyLimit
from notalone_server.edge.lock import StillOurs, exclusive
from notalone_server.edge.metrics import Metrics, operations_app
from notalone_server.edge.openapi import ServiceApi
from notalone_server.edge.outgoing import open_client
from notalone_server.edge.problem import install
from notalone_server.edge.process import Periodic, serve
from notalone_server.edge.redaction import QuietErrors, configure
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.secretfile import read_secret
from notalone_server.issuer.live import LiveIssuer
from notalone_server.issuer.mail import SmtpMailer
from notalone_server.issuer.ports import Clock
from notalone_server.issuer.publish import HttpBoard, Workers
from notalone_server.issuer.routes import IssuerRoutes
from notalone_server.issuer.service import IssuerService, Rules
from notalone_server.issuer.settings import IssuerSettings
from notalone_server.issuer.store import SqlIssuerStore

BODY_LIMIT = 64 * 1024
TICK_SECONDS = 5.0
MAIL_SECONDS = 2.0
_TIMEOUT = httpx.Timeout(20.0)


@dataclass(frozen=True, slots=True)
class Built:
    """An issuer, ready to serve."""

    live: LiveIssuer
    api: FastAPI
    metrics: Metrics

    @property
    def app(self) -> ASGIApp:
        """The interface behind its guards."""
        return QuietErrors(BodyLimit(self.api, BODY_LIMIT, BODY_LIMIT), self.metrics)


def rules_of(settings: IssuerSettings) -> Rules:
    """The rules of enrolment that the settings ask for."""
    return Rules(
        by_mail=settings.enrolment == "email",
        batch_size=settings.batch_size,
        batch_seconds=settings.batch_hours * 3600,
        reset_delay_seconds=settings.reset_days * 24 * 3600,
        longest_expiry_weeks=settings.longest_expiry_weeks,
    )


def open_issuer(
    settings: IssuerSettings, clock: Clock = system_clock, engine: Engine | None = None
) -> LiveIssuer:
    """The service on its migrated database. Raises Misuse for files and settings that do not fit."""
    key = signing.SigningKey(read_secret(settings.key_file, signing.SEED_LENGTH))
    engine = engine or database.open_engine(settings.database_url())
    database.migrate(engine, "issuer")
    store = SqlIssuerStore(engine, settings.scope)
    state = store.load()
    service = IssuerService(
        settings.instance, settings.scope, settings.declared, key, clock, store, state, rules_of(settings)
    )
    return LiveIssuer(service, store)


@contextmanager
def opened(settings: IssuerSettings) -> Iterator[LiveIssuer]:
    """The service for one short command, beside a running one or not. Raises as `open_issuer`."""
    with database.disposing(database.open_engine(settings.database_url())) as engine:
        yield open_issuer(settings, engine=engine)


def build(live: LiveIssuer, limiter: AnonymousLimiter) -> Built:
    """The HTTP interface of an opened issuer."""
    api = ServiceApi("NotAlone issuer", "The roll of one organisation. It takes no part in filing.")
    install(api)
    database.install(api)
    api.include_router(IssuerRoutes(live, limiter).router())
    return Built(live, api, Metrics("issuer", ("letters_total", "snapshots_total"), ("places",)))


def mailer_of(settings: IssuerSettings, clock: Clock = system_clock) -> SmtpMailer | None:
    """The configured mail server, if any."""
    mail = settings.mail
    if mail is None:
        return None
    password = "" if mail.password_file is None else read_secret(mail.password_file).decode("utf-8").strip()
    if mail.ca_file is not None:
        try:
            ssl.create_default_context(cafile=str(mail.ca_file))
        except ssl.SSLError as error:
            raise Misuse(Code.MISUSE, f"{mail.ca_file} holds no certificate", fault=Fault.OPERATOR) from error
        except OSError as error:
            raise Misuse(
                Code.MISUSE, f"cannot read the authorities {mail.ca_file}", fault=Fault.OPERATOR
            ) from error
    return SmtpMailer(
        mail.host, mail.port, mail.security, mail.sender, clock, mail.username, password, mail.ca_file
    )


def run(settings: IssuerSettings) -> None:
    """Serve until a signal asks to stop. Raises Misuse, also when another issuer runs on this database."""
    configure("issuer")
    engine = database.open_engine(settings.database_url())
    # Two would send letters twice, and each would bring the board snapshots that the other replaced.
    with exclusive(engine, "issuer") as alone, database.disposing(engine):
        _serve(settings, open_issuer(settings, engine=engine), alone)


def _serve(settings: IssuerSettings, live: LiveIssuer, alone: StillOurs) -> None:
    audience = live.service.signing_key.verify_key
    limiter = AnonymousLimiter(
        audience, system_clock, settings.token_bits, per_second=settings.requests_per_second
    )
    built = build(live, limiter)
    client = open_client(settings.board, _TIMEOUT, settings.board_ca_file)
    workers = Workers(live, HttpBoard(client, settings.scope), mailer_of(settings), system_randomness)

    def push() -> None:
        for _ in range(workers.push()):
            built.metrics.count("snapshots_total")
        built.metrics.put("places", live.change(lambda issuer: issuer.counts()["enrolled"]))

    def letters() -> None:
        for _ in range(workers.write_letters()):
            built.metrics.count("letters_total")

    def ready() -> bool:
        live.change(IssuerService.touch)  # a database that is full or read-only still answers questions
        return alone()

    work = [
        Periodic("tick", TICK_SECONDS, workers.tick),
        Periodic("push", settings.publish_seconds, push),
        Periodic("letters", MAIL_SECONDS, letters),
    ]
    with client:
        serve(
            built.app,
            (settings.host, settings.port),
            operations_app(built.metrics, ready),
            (settings.operations_host, settings.operations_port),
            work,
        )
