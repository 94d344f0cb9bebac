"""The board's process: settings to running service.

Owns the wiring, start and stop. Refuses to start with keys, manifest and
policies that do not belong together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp

from notalone_crypto.errors import Code, Fault, Misuse
from notalone_crypto.messages.committee import ScopePolicy, SignedManifest
from notalone_crypto.primitives.signing import SEED_LENGTH, SigningKey, generate_key
from notalone_crypto.protocol.keys import Committee
from notalone_server.board.erasure import Forgetting, erase_bundles
from notalone_server.board.gate import Gate
from notalone_server.board.mailboxes import LETTERS_PER_SCOPE, Mailboxes
from notalone_server.board.routes import COUNTERS, add_routes
from notalone_server.board.service import BoardService
from notalone_server.board.settings import TEMPLATE, BoardSettings, load
from notalone_server.board.store import SqlStore
from notalone_server.edge import database, problem, process, redaction
from notalone_server.edge.clock import system_clock
from notalone_server.edge.limits import AnonymousLimiter, BodyLimit
from notalone_server.edge.lock import StillOurs, exclusive
from notalone_server.edge.metrics import Metrics, operations_app
from notalone_server.edge.openapi import ServiceApi
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.secretfile import read_secret, write_secret
from notalone_server.edge.signing import RequestVerifier

CONFIG_NAME = "board.toml"


@dataclass(slots=True)
class Turn:
    """Whether this process is the only one that works on the database, as of the last look."""

    still_ours: StillOurs = lambda: True
    ours: bool = True

    def check(self) -> None:
        """Look again. Raises Misuse when another process took the lock: two must not plan batches."""
        self.ours = self.still_ours()
        if not self.ours:
            raise Misuse(Code.MISUSE, "another board process works on this database", fault=Fault.OPERATOR)


@dataclass(frozen=True, slots=True)
class Running:
    """Everything a process needs to serve."""

    board: BoardService
    mailboxes: Mailboxes
    app: ASGIApp
    api: FastAPI
    operations: FastAPI
    metrics: Metrics
    readers: tuple[str, ...]  # who must have read a filing before its bundles are erased
    forgetting: Forgetting
    turn: Turn
    everybody_there: Callable[[], bool]
    close: Callable[[], None] = lambda: None  # what `assemble` opened

    def work(self) -> None:
        """What has to be done from time to time: due batches, bundles that everybody has, old letters."""
        self.turn.check()
        # A plan is dated by this machine's clock. Where that jumped, trustees' requests are refused,
        # and nothing is planned for a day that nobody else has.
        if self.everybody_there():
            self.board.tick()
        erased = erase_bundles(self.board, self.readers)
        self.metrics.count("erased_total", erased)
        letters = self.mailboxes.erase()
        self.metrics.count("letters_erased_total", letters)
        self.forgetting.work(erased + letters)


def build(
    board: BoardService,
    manifest: SignedManifest,
    auditors: tuple[bytes, ...] = (),
    limiter: AnonymousLimiter | None = None,
    ready: Callable[[], bool] = lambda: True,
    forget: Callable[[], None] = lambda: None,
    letters_per_scope: int = LETTERS_PER_SCOPE,
    turn: Turn | None = None,
) -> Running:
    """The applications for both ports."""
    committee = board.committee
    keys = {f"trustee/{one.index}": one.verify_key for one in committee.manifest.trustees}
    keys |= {f"auditor/{number}": key for number, key in enumerate(auditors, 1)}
    gate = Gate(
        RequestVerifier(keys, committee.fingerprint, board.clock),
        limiter or AnonymousLimiter(committee.fingerprint, board.clock),
    )
    metrics = Metrics("board", COUNTERS)
    api = ServiceApi(
        "NotAlone board", "The public log, reports in transit and release blobs of one committee."
    )
    problem.install(api)
    database.install(api)
    mailboxes = Mailboxes(board.store, board.clock, letters_per_scope)
    add_routes(api, board, mailboxes, manifest, gate, metrics)
    app = redaction.QuietErrors(BodyLimit(api), metrics)
    trustees = tuple(f"trustee/{one.index}" for one in committee.manifest.trustees)
    operations = operations_app(metrics, ready)
    return Running(
        board,
        mailboxes,
        app,
        api,
        operations,
        metrics,
        trustees,
        Forgetting(forget, board.clock),
        turn or Turn(),
        lambda: gate.is_everybody_there(trustees),
    )


def assemble(
    settings: BoardSettings, clock: Callable[[], int] = system_clock, turn: Turn | None = None
) -> Running:
    """Open everything the settings name. Raises Misuse, VerificationFailed, MalformedInput."""
    turn = turn or Turn()
    key = SigningKey(read_secret(settings.path(settings.signing_key), SEED_LENGTH))
    manifest = SignedManifest.decode(_read(settings.path(settings.manifest)))
    committee = Committee.verified(manifest)
    if committee.manifest.board_key != key.verify_key:
        raise Misuse(Code.MANIFEST, "the manifest names another board key", fault=Fault.OPERATOR)
    engine = database.open_engine(settings.database_url())
    store = SqlStore(engine)
    board = BoardService(committee, key, clock, store)
    try:
        database.migrate(engine, "board")
        for path in settings.policies:
            publish_once(board, ScopePolicy.decode(_read(settings.path(path))))
    except DBAPIError as error:
        # Its own words may quote data; its kind is enough to look for a full disk, rights, a server away.
        raise Misuse(
            Code.MISUSE,
            f"the database cannot be read and written ({type(error.orig).__name__})",
            fault=Fault.OPERATOR,
        ) from error
    limiter = AnonymousLimiter(
        committee.fingerprint,
        clock,
        settings.token_bits,
        settings.requests_per_token,
        settings.requests_per_second,
    )
    auditors = tuple(bytes.fromhex(one) for one in settings.auditors)
    running = build(
        board,
        manifest,
        auditors,
        limiter,
        lambda: turn.ours and store.is_writable(),
        store.forget,
        settings.letters_per_scope,
        turn,
    )
    return replace(running, close=engine.dispose)


def publish_once(board: BoardService, policy: ScopePolicy) -> None:
    """Put a policy forward unless it is known; a lower version is refused. Raises Misuse."""
    if policy.scope in board.scopes():
        known = board.scope_record(policy.scope).policy
        if known == policy:
            return
        if known.version >= policy.version:
            raise Misuse(
                Code.POLICY,
                "the database holds rules of a higher version for this scope",
                fault=Fault.OPERATOR,
            )
    board.publish_policy(policy)


def main(config: Path) -> None:
    """Run the board until it is told to stop. Raises NotAloneError when it cannot start."""
    settings = load(config)
    redaction.configure("board")
    # Before the first look into the database: a second process must not even migrate it.
    with exclusive(settings.database_url(), "board") as still_ours:
        running = assemble(settings, turn=Turn(still_ours))
        # SQLite's log goes into the file with the last connection: whoever copies that has all of it.
        try:
            process.serve(
                running.app,
                (settings.host, settings.port),
                running.operations,
                (settings.operations_host, settings.operations_port),
                [process.Periodic("board", settings.tick_seconds, running.work)],
            )
        finally:
            running.close()


def init(folder: Path) -> bytes:
    """Make a folder with a signing key and settings; the verify key, for the ceremony.

    Raises: FileExistsError when there is a key already.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = generate_key(system_randomness)
    write_secret(folder / "board.key", key.seed)
    (folder / CONFIG_NAME).write_text(TEMPLATE, encoding="utf-8")
    return key.verify_key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misuse(Code.MISUSE, f"cannot read {path}", fault=Fault.OPERATOR) from error
