"""A desk's two clients, `Desk` and `AsyncDesk`, and the file in which its key is kept.

Owns the list of calls and the checks on the key's file. Refuses everything
else: what is asked and checked is in `steps_desk.py`.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

from notalone_client.running import Asynchronous, Blocking, Call
from notalone_client.steps_desk import Counsellor
from notalone_client.system import system_clock, system_randomness
from notalone_client.trust import Trust
from notalone_crypto.errors import Code, Fault, Misuse
from notalone_crypto.primitives.hpke import HpkePrivateKey, generate_key
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import HPKE_KEY_LENGTH

_OTHERS = 0o077


def create_desk_key(path: Path, randomness: Randomness = system_randomness) -> bytes:
    """Make a desk's key on the counsellors' own machine; the 32-byte public key is for the scope's rules.

    The file is readable by its owner alone and never overwritten. Raises: FileExistsError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     public = create_desk_key(Path(folder) / "desk.key")
    ...     read_desk_key(Path(folder) / "desk.key").public == public
    True
    """
    key = generate_key(randomness)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.secret)
        file.flush()
        os.fsync(file.fileno())
    return key.public


def read_desk_key(path: Path) -> HpkePrivateKey:
    """The key in a file of this user that nobody else may read.

    Raises: Misuse (caller.misuse, encoding.length; the operator's fault).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Misuse(Code.MISUSE, f"cannot read the key file {path}", fault=Fault.OPERATOR) from error
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_mode & _OTHERS or about.st_uid != os.geteuid():
            raise Misuse(
                Code.MISUSE,
                f"{path} must be a regular file of this user with mode 0600: "
                f"chmod 600 {shlex.quote(str(path))}",
                fault=Fault.OPERATOR,
            )
        secret = os.read(descriptor, HPKE_KEY_LENGTH + 1)
    finally:
        os.close(descriptor)
    if len(secret) != HPKE_KEY_LENGTH:
        raise Misuse(Code.LENGTH, f"{path} must hold exactly {HPKE_KEY_LENGTH} bytes", fault=Fault.OPERATOR)
    return HpkePrivateKey(secret)


def _opened(key: Path | HpkePrivateKey) -> HpkePrivateKey:
    return key if isinstance(key, HpkePrivateKey) else read_desk_key(key)


class _Calls:
    """What a desk can do. Each is documented where its steps are."""

    policy = Call(Counsellor.policy)
    committee = Call(Counsellor.committee)
    matches = Call(Counsellor.matches)
    conversations = Call(Counsellor.conversations)
    write = Call(Counsellor.write)
    introduce = Call(Counsellor.introduce)


class Desk(_Calls, Blocking[Counsellor]):
    """The blocking client of one desk. Use it as a context manager."""

    def __init__(
        self,
        trust: Trust,
        key: Path | HpkePrivateKey,
        *,
        board: str,
        proxy: str | None = None,
        clock: Callable[[], int] = system_clock,
        randomness: Randomness = system_randomness,
    ) -> None:
        """Nothing is asked yet.

        Args:
            trust: the pinned fingerprint of the committee and the scope.
            key: the desk's private key: a file as `create_desk_key` made it, or the key itself where
                the application opened it, for example from a file under a passphrase.
            board: the board's address, https (http on this machine or to an onion address).
            proxy: for example `socks5://127.0.0.1:9050`; none is taken from the environment.
            clock: seconds since 1970.
            randomness: fresh bytes; the operating system's unless tests say otherwise.

        Raises:
            Misuse: a key file that others may read, or that holds no key.
            NotSafe: an address without TLS that is not on this machine.
        """
        session = Counsellor(trust=trust, key=_opened(key), clock=clock, randomness=randomness)
        super().__init__(session, board, None, proxy)


class AsyncDesk(_Calls, Asynchronous[Counsellor]):
    """The same for asyncio: every call is a coroutine. Use it with `async with`."""

    def __init__(
        self,
        trust: Trust,
        key: Path | HpkePrivateKey,
        *,
        board: str,
        proxy: str | None = None,
        clock: Callable[[], int] = system_clock,
        randomness: Randomness = system_randomness,
    ) -> None:
        """As `Desk`."""
        session = Counsellor(trust=trust, key=_opened(key), clock=clock, randomness=randomness)
        super().__init__(session, board, None, proxy)
