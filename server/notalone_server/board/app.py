"""The board's process: settings to running service.

Owns the wiring, start and stop. Refuses to start with keys, manifest and
policies that do not belong together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp

from notalone_crypto.errors import Code, Fault, Misuse
from notalone_crypto.messages.committee import ScopePolicy, SignedManifest
from notalone_crypto.primitives.signing import SEED_LENGTH, SigningKey, generate_key
from notalone_crypto.protocol.keys import Committee
from notalone_server.board.erasure import erase_bundles
from notalone_server.board.routes import COUNTERS, Gate, add_routes
from notalone_server.board.service import BoardService
from notalone_server.board.settings import TEMPLATE, BoardSettings, load
from notalone_server.board.store import SqlStore
from notalone_server.edge import database, problem, process, redaction
from notalone_server.edge.clock import system_clock
from notalone_server.edge.limits import AnonymousLimiter, BodyLimit
from notalone_server.edge.metrics import Metrics, operations_app
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.secretfile import read_secret, write_secret
from notalone_server.edge.signing import RequestVerifier

CONFIG_NAME = "board.toml"


@dataclass(frozen=True, slots=True)
class Running:
    """Everything a process needs to serve."""

    board: BoardService
    app: ASGIApp
    api: FastAPI
    operations: FastAPI
    metrics: Metrics
    readers: tuple[str, ...]
    forget: Callable[[], None]

    def work(self) -> None:
        """What has to be done from time to time: due batches, bundles that everybody has."""
        self.board.tick()
        erased = erase_bundles(self.board, self.readers)
        for _ in range(erased):
            self.metrics.count("erased_total")
        if erased:
            self.forget()


def build(
    board: BoardService,
    manifest: SignedManifest,
    auditors: tuple[bytes, ...] = (),
    limiter: AnonymousLimiter | None = None,
    ready: Callable[[], bool] = lambda: True,
    forget: Callable[[], None] = lambda: None,
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
    api = FastAPI(title="NotAlone board", version="1", docs_url=None, redoc_url=None)
    problem.install(api)
    database.install(api)
    add_routes(api, board, manifest, gate, metrics)
    app = redaction.QuietErrors(BodyLimit(api), metrics)
    return Running(board, app, api, operations_app(metrics, ready), metrics, tuple(keys), forget)


def assemble(settings: BoardSettings, clock: Callable[[], int] = system_clock) -> Running:
    """Open everything the settings name. Raises Misuse, VerificationFailed, MalformedInput."""
    key = SigningKey(read_secret(settings.path(settings.signing_key), SEED_LENGTH))
    manifest = SignedManifest.decode(_read(settings.path(settings.manifest)))
    committee = Committee.verified(manifest)
    if committee.manifest.board_key != key.verify_key:
        raise Misuse(Code.MANIFEST, "the manifest names another board key", fault=Fault.OPERATOR)
    engine = database.open_engine(settings.database_url())
    database.migrate(engine, "board")
    store = SqlStore(engine)
    board = BoardService(committee, key, clock, store)
    for path in settings.policies:
        publish_once(board, ScopePolicy.decode(_read(settings.path(path))))
    limiter = AnonymousLimiter(
        committee.fingerprint,
        clock,
        settings.token_bits,
        settings.requests_per_token,
        settings.requests_per_second,
    )
    auditors = tuple(bytes.fromhex(one) for one in settings.auditors)
    return build(board, manifest, auditors, limiter, store.is_reachable, store.forget)


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
    running = assemble(settings)
    process.serve(
        running.app,
        (settings.host, settings.port),
        running.operations,
        (settings.operations_host, settings.operations_port),
        [process.Periodic("board", settings.tick_seconds, running.work)],
    )


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
