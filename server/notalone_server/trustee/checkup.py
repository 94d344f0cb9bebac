"""Whether a trustee could start, looked at from outside: nothing is started, migrated or changed.

Owns the list of checks and what an operator reads. Refuses to guess: a check
that could not be made says so. Works beside a running trustee.
"""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import sqlalchemy as sa
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from notalone_crypto.errors import Misuse, NotAloneError, StateConflict
from notalone_crypto.protocol import log
from notalone_crypto.protocol.keys import Committee
from notalone_server.edge import database
from notalone_server.edge.lock import exclusive
from notalone_server.edge.outgoing import open_client
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.signing import WINDOW_SECONDS
from notalone_server.migrations.trustee import versions
from notalone_server.trustee.app import load_keys, open_board, scope_name
from notalone_server.trustee.board_client import TIMEOUT
from notalone_server.trustee.keyfile import KeyFile
from notalone_server.trustee.ports import BoardUnreachable, Clock, StoreRefused, StoreUnavailable
from notalone_server.trustee.settings import TrusteeSettings, read_settings
from notalone_server.trustee.store import SqlStore

_CLOSE: Final = 30  # seconds; a request is refused from WINDOW_SECONDS on
_MAX_NOTE: Final = 1 << 16
_FAILURES: Final = (NotAloneError, StoreRefused, StoreUnavailable, BoardUnreachable, SQLAlchemyError)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    good: bool
    what: str
    detail: str


def examine(config: Path, clock: Clock) -> Iterator[Finding]:
    """Every check that can be made, in the order in which a start would fail."""
    try:
        settings = read_settings(config)
    except NotAloneError as error:
        yield Finding(good=False, what="settings", detail=error.detail)
        return
    if settings.scopes:
        yield Finding(good=True, what="settings", detail=str(config))
    else:
        yield Finding(good=False, what="settings", detail=f"{config}: scopes is empty: nothing would be done")
    if not settings.approved_policies:
        yield Finding(
            good=False,
            what="policies",
            detail="approved_policies is empty: this trustee agrees to no scope's rules. Read the rules with "
            "`notalone trustee policy FILE` and put the line that it prints into the settings",
        )
    try:
        committee, own, _ = load_keys(settings)
    except NotAloneError as error:
        yield Finding(good=False, what="keys", detail=str(error))
        return
    name = committee.manifest.parameters.trustees[own.index - 1]
    yield Finding(
        good=True, what="keys", detail=f"trustee {own.index} ({name}), permissions and manifest fit"
    )
    yield _found("database", lambda: _version(settings))
    yield _found("content", lambda: _content(settings, own))
    yield _found("process", lambda: _running(settings))
    yield _found("board", lambda: _board(settings, committee, own, clock))
    yield _found("clock", lambda: _clock(settings, committee, clock))


def _found(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(good=True, what=what, detail=check())
    except SQLAlchemyError:
        return Finding(good=False, what=what, detail="the database cannot be reached or read")
    except _FAILURES as error:
        return Finding(good=False, what=what, detail=str(error))


def _is_new(settings: TrusteeSettings) -> bool:
    """Looking must not create the file."""
    url = sa.make_url(settings.database)
    return url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists()


def _version(settings: TrusteeSettings) -> str:
    """Which migration the database has, and which this program brings."""
    config = Config()
    config.set_main_option("script_location", str(Path(str(versions.__file__)).parents[1]))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    head, known = scripts.get_current_head(), {one.revision for one in scripts.walk_revisions()}
    if _is_new(settings):
        return "does not exist yet: the first start makes it"
    engine = database.open_engine(settings.database_url())
    try:
        with database.read(engine) as connection:
            context = MigrationContext.configure(connection, opts={"version_table": "trustee_version"})
            current = context.get_current_revision()
    finally:
        engine.dispose()
    if current == head:
        return f"version {current}, as this program's"
    if current is None:
        return f"empty: the first start brings version {head}"
    if current not in known:
        raise StoreRefused(
            f"its version {current} is newer than this program's ({head}): it was started with a newer one. "
            "Install that again"
        )
    return f"version {current}: the next start brings {head}. Take a backup first"


def _content(settings: TrusteeSettings, own: KeyFile) -> str:
    """Whether what is stored opens with the key file, whole."""
    if _is_new(settings):
        return "nothing stored yet"
    engine = database.open_engine(settings.database_url())
    try:
        tables = sa.inspect(engine).get_table_names()
        if "trustee_rows" not in tables:
            return "nothing stored yet"
        memory = SqlStore(engine, own.storage_key, system_randomness).look()
    finally:
        engine.dispose()
    if memory is None:
        return "nothing stored yet"
    return f"opens with the key file; {len(memory.state.scopes)} scopes"


def _running(settings: TrusteeSettings) -> str:
    if _is_new(settings):
        return "no trustee runs on this database"
    try:
        with exclusive(settings.database_url(), "trustee", 0):
            return "no trustee runs on this database"
    except Misuse:
        return "a trustee runs on this database: do not start a second one"


def _board(settings: TrusteeSettings, committee: Committee, own: KeyFile, clock: Clock) -> str:
    """One signed question, and an open one for each scope.

    Not the feed: to ask for what comes after a number tells the board that all up to it is stored here.
    """
    board = open_board(settings, committee, own, clock)
    try:
        board.log_update(0, 0)
    except StateConflict:
        pass  # an answer to a signed question, though there is no log yet
    finally:
        board.close()
    instance = committee.manifest.parameters.instance
    for name in settings.scopes:
        if _get(settings, f"/v1/scopes/{scope_name(instance, name).hex()}").status_code != httpx.codes.OK:
            raise BoardUnreachable(f"{settings.board} does not serve the scope {name}")
    return f"{settings.board} knows this trustee and serves {', '.join(settings.scopes) or 'no scope'}"


def _get(settings: TrusteeSettings, path: str) -> httpx.Response:
    try:
        with open_client(settings.board, TIMEOUT, settings.board_ca_file) as client:
            return client.get(path)
    except httpx.HTTPError as error:
        raise BoardUnreachable("no connection to the board: not compared") from error


def _clock(settings: TrusteeSettings, committee: Committee, clock: Clock) -> str:
    """This machine's clock against the board's answer and the trustees' cosignatures in its newest note."""
    answer = _get(settings, "/v1/log/note")
    now, told = clock(), []
    date = email.utils.parsedate_to_datetime(answer.headers["date"]) if "date" in answer.headers else None
    if date is not None:
        behind = int(date.timestamp()) - now
        if abs(behind) > _CLOSE:
            raise BoardUnreachable(
                f"this machine and the board differ by {abs(behind)} s (this one is "
                f"{'behind' if behind > 0 else 'ahead'}): set the clocks; above {WINDOW_SECONDS} s the board "
                "refuses this trustee"
            )
        told.append(f"{abs(behind)} s from the board's")
    if answer.status_code == httpx.codes.OK and len(answer.content) <= _MAX_NOTE:
        newest = max(log.verify_note(committee, answer.content).times.values())
        if newest > now + WINDOW_SECONDS:
            raise BoardUnreachable(
                f"trustees cosigned {newest - now} s after this machine's time: its clock is behind"
            )
        told.append(f"newest cosignature {max(0, now - newest)} s ago")
    return ", ".join(told) or "the board tells no time: not compared"
