"""A service as `notalone` runs it, in a test's world: another clock, fewer rights, notes of every 204.

Run it as a program: `python -m tests.support.live_launch board run --config FILE`. What is
served is the services' own code; only what it stands on is changed, as the environment says:

NOTALIVE_CLOCK: files (os.pathsep) with seconds to add to this process's clock, read at each call.
NOTALIVE_POSTS: file to which the hash of every body that the board acknowledged is appended.
NOTALIVE_PLAIN: root gives up reading and writing what file modes forbid.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import time
from pathlib import Path
from types import SimpleNamespace

from notalone_demo.cli import app
from notalone_server.edge import clock, octets

_CAPABILITIES_VERSION = 0x20080522


def shift_clock(named: str) -> None:
    """The services read the time in one place; this changes it there and nowhere else."""
    files = [Path(one) for one in named.split(os.pathsep)]

    def shifted() -> float:
        return time.time() + sum(int(file.read_text() or 0) for file in files if file.exists())

    clock.time = SimpleNamespace(time=shifted)  # type: ignore[attr-defined]


def note_posts(named: str) -> None:
    """Append what the board said it took, after it said so and before anything else happens."""
    # Here, since only trustees post: their libraries are not everybody's.
    from notalone_server.trustee import app as trustee_app  # noqa: PLC0415
    from notalone_server.trustee import board_client  # noqa: PLC0415

    file = Path(named)

    class Noting(board_client.HttpBoard):
        def _request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
            status, data = super()._request(method, path, body)
            if method == "POST" and status == 204:
                kind = path.rsplit("/", 2)[1]
                messages = octets.unframe(body) if kind == "posts" else (body,)
                with file.open("a") as notes:
                    notes.writelines(f"{kind} {hashlib.sha256(one).hexdigest()}\n" for one in messages)
            return status, data

    trustee_app.HttpBoard = Noting  # type: ignore[attr-defined,misc]


def obey_modes(_: str) -> None:
    """Drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, so that a read-only file is one for root too."""
    library = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    if library.capget(head, sets) == 0:
        for place in range(3):  # effective, permitted, inheritable of the first 32
            sets[place] &= ~0b110
        library.capset(head, sets)


def main() -> None:
    """Change the world as the environment says, then run the command."""
    changes = {"NOTALIVE_CLOCK": shift_clock, "NOTALIVE_POSTS": note_posts, "NOTALIVE_PLAIN": obey_modes}
    for name, change in changes.items():
        if name in os.environ:
            change(os.environ[name])
    app()


if __name__ == "__main__":
    main()
