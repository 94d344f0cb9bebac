"""A database that takes no writes for a while: files by the kernel, a server by its own setting.

Owns beginning and ending the fault. Refuses to know who suffers it. The process that runs on it is
not touched: its open files stay open, its sessions end as in a failover to a replica.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
_IMMUTABLE = 0x10


@contextmanager
def files(database: Path) -> Iterator[None]:
    """Nobody, root included, writes to an SQLite file or its log: not even through a file that is open."""
    probe = database.with_name("probe")
    frozen: list[Path] = []
    try:
        with probe.open("wb", buffering=0) as file:
            try:
                _freeze(probe, on=True)
                frozen.append(probe)
            except OSError:
                pytest.skip("only root makes files immutable, and not on every file system")
            try:
                file.write(b"x")
                pytest.skip("this file system lets who has a file open write to it all the same")
            except OSError:
                pass
        for path in (database, Path(f"{database}-wal")):  # not -shm: that is the processes' common memory
            _freeze(path, on=True)
            frozen.append(path)
        yield
    finally:
        for path in frozen:
            _freeze(path, on=False)
        probe.unlink()


def _freeze(path: Path, *, on: bool) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        (flags,) = struct.unpack("i", fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("i", 0)))
        wanted = flags | _IMMUTABLE if on else flags & ~_IMMUTABLE
        fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("i", wanted))
    finally:
        os.close(descriptor)


@contextmanager
def server(url: str) -> Iterator[None]:
    """Every session with this PostgreSQL database begins again, read-only; later it may write again.

    At the end nobody ends the sessions: who has one that was begun read-only must notice by itself.
    """
    name = make_url(url).database
    admin = create_engine(make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    setting = f"ALTER DATABASE {name} SET default_transaction_read_only ="
    with admin.connect() as connection:
        connection.execute(text(f"{setting} on"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": name},
        )
    try:
        yield
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"{setting} off"))
        admin.dispose()
