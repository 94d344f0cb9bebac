"""The trustee's process: settings to running worker, and the operator's own page.

Owns the wiring, start and stop. Refuses to start with keys, manifest and
database that do not belong together. Nobody calls a trustee: its one port is
for the operator, and shows nothing about people.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
from fastapi import FastAPI, Query, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from notalone_crypto.errors import Code, Fault, Misuse
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.suite import Tag
from notalone_server.edge import database, process, redaction
from notalone_server.edge.clock import system_clock
from notalone_server.edge.lock import StillOurs, exclusive
from notalone_server.edge.metrics import Metrics, operations_app
from notalone_server.edge.openapi import answers_text
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee import page
from notalone_server.trustee.board_client import HttpBoard
from notalone_server.trustee.ceremony import read_signed_manifest
from notalone_server.trustee.keyfile import KeyFile, read_key_file, read_passphrase
from notalone_server.trustee.ports import Clock, StoreUnavailable
from notalone_server.trustee.service import TrusteeService
from notalone_server.trustee.settings import TrusteeSettings, read_settings
from notalone_server.trustee.store import SqlStore
from notalone_server.trustee.worker import COUNTERS, GAUGES, Worker

Language = Annotated[str, Query(description="`fr` for French; English otherwise.", examples=["fr"])]
SOONER = 5  # times as soon, after something moved, it asks again: the others' answers are on their way
_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def load_keys(settings: TrusteeSettings) -> tuple[Committee, KeyFile, TrusteeSecrets]:
    """Manifest and secrets that belong together. Raises Misuse, VerificationFailed, ContextMismatch."""
    signed = read_signed_manifest(settings.manifest)
    committee = Committee.verified(signed, bytes.fromhex(settings.manifest_fingerprint))
    own = read_key_file(settings.key_file, read_passphrase(settings.passphrase_file))
    if own.secrets is None or own.manifest != committee.fingerprint:
        raise Misuse(
            Code.COMMITTEE,
            "the key file does not belong to this manifest: finish the ceremony, or name the right files",
            fault=Fault.OPERATOR,
        )
    return committee, own, own.secrets


def scope_name(instance: str, name: str) -> bytes:
    """A scope's 32-byte identifier, as its policy derives it."""
    return digest(Tag.POLICY, b"scope", instance.encode(), name.encode())


def open_database(settings: TrusteeSettings) -> sa.Engine:
    """The database, migrated. Raises StoreUnavailable."""
    engine = database.open_engine(settings.database_url())
    try:
        database.migrate(engine, "trustee")
    except SQLAlchemyError as error:
        raise StoreUnavailable(
            "the database takes no migration: check that it runs, free space, permissions and its version"
        ) from error
    return engine


def open_board(settings: TrusteeSettings, committee: Committee, own: KeyFile, clock: Clock) -> HttpBoard:
    """The board of the settings, asked in this trustee's name. Raises Misuse for a bad `board_ca_file`."""
    return HttpBoard(
        settings.board,
        committee.fingerprint,
        own.index,
        own.keys.signing_key,
        clock,
        system_randomness,
        authority=settings.board_ca_file,
    )


def assemble(
    settings: TrusteeSettings, clock: Clock = system_clock, still_ours: StillOurs = lambda: True
) -> Worker:
    """Open everything the settings name; the database is read before the board is asked anything."""
    committee, own, secrets = load_keys(settings)
    engine = open_database(settings)
    store = SqlStore(engine, own.storage_key, system_randomness)
    board = open_board(settings, committee, own, clock)
    approved = frozenset(bytes.fromhex(one) for one in settings.approved_policies)

    def build() -> TrusteeService:
        if not still_ours():
            raise StoreUnavailable("the database is away, or another trustee process took it meanwhile")
        return TrusteeService(committee, secrets, board, store, clock, system_randomness, approved)

    instance = committee.manifest.parameters.instance
    scopes = [(name, scope_name(instance, name)) for name in settings.scopes]
    metrics = Metrics("trustee", COUNTERS, GAUGES)

    def close() -> None:
        board.close()
        engine.dispose()

    return Worker(build, scopes, clock, metrics, settings.longest_wait_polls, close)


def operations(worker: Worker, clock: Clock, title: str) -> FastAPI:
    """Status page, health, readiness and metrics, for the operator alone."""
    app = operations_app(worker.metrics, lambda: worker.is_ready)

    @app.middleware("http")
    async def ages(request: Request, call_next: Callable[[Request], object]) -> Response:
        if worker.last_contact:
            worker.metrics.put("seconds_since_board", max(0, clock() - worker.last_contact))
        answer: Response = await call_next(request)  # type: ignore[misc]
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Content-Security-Policy"] = _CSP
        return answer

    @app.get(
        "/",
        tags=["operations"],
        summary="The status page",
        responses=answers_text("In plain words.", "<!doctype html>", "text/html"),
        response_class=Response,
    )
    def status(lang: Language = "") -> Response:
        """For the operator: what this trustee does, and what to do when it does not."""
        language = "fr" if lang == "fr" else "en"
        return Response(page.render(worker, clock(), title, language), media_type="text/html; charset=utf-8")

    return app


def run(config: Path) -> None:
    """Run one trustee until it is told to stop. Raises NotAloneError, StoreRefused when it cannot start."""
    settings = read_settings(config)
    redaction.configure("trustee")
    # Two with the same keys would answer the same question with different bytes.
    with exclusive(settings.database_url(), "trustee") as still_ours:
        committee, own, _ = load_keys(settings)
        worker = assemble(settings, still_ours=still_ours)
        title = committee.manifest.parameters.trustees[own.index - 1]
        # On a machine shared with a board, whoever files waits for the board, and nobody for a trustee.
        often = settings.poll_seconds
        loop = process.Periodic("trustee", often, worker.step, settings.niceness, soonest=often / SOONER)
        try:
            process.serve_operations(
                operations(worker, system_clock, title),
                (settings.operations_host, settings.operations_port),
                [loop],
            )
        finally:
            worker.stop()
            worker.close()  # SQLite's log goes into the file: whoever copies that has all of it
