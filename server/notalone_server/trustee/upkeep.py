"""What an operator does to a trustee that is stopped: another passphrase, everything posted again.

Owns the order in which files are written. Refuses to work beside a running
trustee where both would answer the board.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from notalone_crypto.errors import Code, Fault, Misuse
from notalone_crypto.randomness import Randomness
from notalone_server.edge.lock import exclusive
from notalone_server.trustee import app
from notalone_server.trustee.keyfile import Cost, KeyFile, read_key_file, write_key_file
from notalone_server.trustee.ports import BoardUnreachable
from notalone_server.trustee.settings import TrusteeSettings


@dataclass(frozen=True, slots=True)
class Repeated:
    """What `repeat` did in one scope."""

    scope: str
    messages: int
    arrived: bool  # otherwise they are stored, and go out at the next start


def change_passphrase(
    path: Path, old: bytes, new: bytes, randomness: Randomness, cost: Cost | None = None
) -> None:
    """Put the key file under another passphrase: after any crash the one or the other opens it.

    The file is never left without a copy that was read back. No backup is kept, and
    what lay under the old passphrase is overwritten, as far as the disk lets us:
    who changes a passphrase because it is known must not leave the old lock beside
    the new one. Copies elsewhere still open with the old one.

    Raises: Misuse (the operator's fault).
    """
    if new == old:
        raise Misuse(Code.MISUSE, "the new passphrase is the old one", fault=Fault.OPERATOR)
    content = read_key_file(path, old)
    fresh = path.with_name(f"{path.name}.new")
    write_key_file(fresh, content, new, randomness, cost)
    try:
        _read_back(fresh, new, content)
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fresh.replace(path)
            _flush_folder(path.parent)
            _overwrite(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def repeat(settings: TrusteeSettings) -> list[Repeated]:
    """Post everything of the current and the last batch of each scope again, for a board that lost it.

    The bytes are those that were posted before. Raises Misuse while the trustee runs, StoreRefused,
    StoreUnavailable, CommitteeHalted.
    """
    done = []
    with exclusive(settings.database_url(), "trustee") as still_ours, ExitStack() as stack:
        worker = app.assemble(settings, still_ours=still_ours)
        stack.callback(worker.close)
        service = worker.build()
        for name, scope in worker.scopes:
            if scope not in service.machine.state.scopes:
                continue
            count = len(service.machine.repeat(scope))
            try:
                service.repeat_all(scope)
            except BoardUnreachable:
                done.append(Repeated(name, count, arrived=False))
            else:
                done.append(Repeated(name, count, arrived=True))
    return done


def _read_back(path: Path, passphrase: bytes, content: KeyFile) -> None:
    if read_key_file(path, passphrase).encode() != content.encode():
        raise Misuse(Code.MISUSE, f"{path} was not written as it should be", fault=Fault.OPERATOR)


def _overwrite(descriptor: int) -> None:
    """Zeros over what the descriptor holds. A disk that moves what is written keeps the old: who knows."""
    size = os.fstat(descriptor).st_size
    os.pwrite(descriptor, bytes(size), 0)
    os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
