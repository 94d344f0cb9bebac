"""Copies of a service's database: `backup DATABASE COPY` and `restore DATABASE COPY SERVICE`.

DATABASE is an SQLite file or a URL `postgresql://user@host/name` (its password in the file
that PGPASSFILE names). Owns that a copy is whole, private and checked before it gets its
name. Refuses to restore beside a running service, and to judge whether a copy is too old:
docs/operators.md says for which service an old one may be used at all.

Standard library, pg_dump and pg_restore only. Exit code 0: done; 2: nothing was changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BAD_INPUT = 2


class Refused(Exception):
    """One sentence for the operator."""


def backup(database: str, copy: Path) -> None:
    """Write `copy` (mode 0600) while the service runs."""
    if copy.exists():
        raise Refused(f"{copy} exists already")
    with _private(copy) as made:
        if _is_url(database):
            _run("pg_dump", "--format=custom", f"--file={made}", f"--dbname={database}")
            _run("pg_restore", "--list", str(made))
        else:
            source = _existing(Path(database))
            with (
                contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as here,
                contextlib.closing(sqlite3.connect(made)) as there,
            ):
                here.backup(there)
            _check(made)


def restore(database: str, copy: Path, service: str) -> None:
    """Put `copy` in the place of what the database holds; the service has to be stopped."""
    _existing(copy)
    if _is_url(database):
        _run("pg_restore", "--list", str(copy))
        _nobody_works(database)
        # One transaction: an error leaves the database as it was.
        words = ("--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={database}")
        _run("pg_restore", *words, str(copy))
        return
    _check(copy)
    target = Path(database).resolve()
    with _stopped(target, service), _private(target) as made:
        shutil.copyfile(copy, made)
        # What is in the old log belongs to the old file; SQLite would write it into the new one.
        for rest in ("-wal", "-shm"):
            target.with_name(target.name + rest).unlink(missing_ok=True)


@contextlib.contextmanager
def _private(target: Path) -> Iterator[Path]:
    """A new file of mode 0600 that gets the name `target` when all went well."""
    made = target.with_name(f".{target.name}.{os.getpid()}.new")
    os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield made
        with made.open("rb+") as file:
            os.fsync(file.fileno())
        made.replace(target)
    finally:
        for rest in ("", "-wal", "-shm", "-journal"):
            made.with_name(made.name + rest).unlink(missing_ok=True)


@contextlib.contextmanager
def _stopped(target: Path, service: str) -> Iterator[None]:
    """Hold the lock that a running service holds (edge/lock.py)."""
    path = target.with_name(f"{target.name}.{service}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Refused(f"the {service} runs on {target}: stop it first") from error
    finally:
        os.close(descriptor)


def _nobody_works(url: str) -> None:
    """Attack on oneself: a service that still runs would write into the restored past."""
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    found = _run("psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--command={others}", url)
    if found.strip() != "0":
        raise Refused("somebody is connected to the database: stop the service first")


def _check(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            answer = connection.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.DatabaseError as error:
            raise Refused(f"{path} is no SQLite database") from error
    if answer != ("ok",):
        raise Refused(f"{path} is damaged")


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise Refused(f"there is no file {path}")
    return path


def _is_url(database: str) -> bool:
    return database.startswith(("postgresql://", "postgres://"))


def _run(*words: str) -> str:
    try:
        found = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    except FileNotFoundError as error:
        raise Refused(f"{words[0]} is not installed (Debian: postgresql-client)") from error
    except subprocess.CalledProcessError as error:
        raise Refused(f"{words[0]} failed: {error.stderr.strip()}") from error
    return found.stdout


def main(words: list[str]) -> int:
    """Exit code; one sentence on standard error if it is not 0."""
    try:
        match words:
            case ["backup", database, copy]:
                backup(database, Path(copy))
            case ["restore", database, copy, service]:
                restore(database, Path(copy), service)
            case _:
                sys.stderr.write("copies: backup DATABASE COPY | restore DATABASE COPY SERVICE\n")
                return BAD_INPUT
    except (Refused, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"copies: {error}\n")
        return BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
