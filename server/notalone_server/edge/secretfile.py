"""Secrets in files: readable by the service's user alone, written whole or not at all.

Owns the permission checks. Refuses to know what the secrets are for.
"""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from notalone_crypto.errors import Code, Fault, Misuse

_OTHERS = 0o077


def read_secret(path: Path, length: int | None = None) -> bytes:
    """A secret's bytes, exactly `length` of them if given.

    Raises: Misuse (caller.misuse, encoding.length; the operator's fault) when the file is
    missing, not a regular file of ours, or open to group or others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Misuse(Code.MISUSE, f"cannot read the secret file {path}", fault=Fault.OPERATOR) from error
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_mode & _OTHERS or about.st_uid != os.geteuid():
            raise Misuse(
                Code.MISUSE,
                f"{path} must be a regular file of the service's own user with mode 0600: "
                f"chmod 600 {shlex.quote(str(path))}",
                fault=Fault.OPERATOR,
            )
        data = file.read()
    if length is not None and len(data) != length:
        raise Misuse(Code.LENGTH, f"{path} must hold exactly {length} bytes", fault=Fault.OPERATOR)
    return data


def begin_private(path: Path) -> None:
    """Create an empty file with mode 0600 for a program that would make one that others may read.

    A file that is there stays as it is; where none can be made, that program says why.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def write_secret(path: Path, data: bytes) -> None:
    """Create the file with mode 0600, durably, whole or not at all.

    Raises: FileExistsError: a key is never overwritten; another OSError when it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
