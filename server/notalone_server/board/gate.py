"""The board's gate: who may come in, and the parts that its routes share.

Owns signatures of machines, tokens of reporters, and arguments of addresses.
Refuses to know what is behind it.
"""

# No `from __future__ import annotations`: FastAPI reads the annotations.
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request

from notalone_crypto.errors import Code, ContextMismatch
from notalone_server.edge.limits import AnonymousLimiter
from notalone_server.edge.problem import ProblemError
from notalone_server.edge.signing import WINDOW_SECONDS, RequestVerifier

LOOK_UP_BLOCK = 4096
STATUS_BLOCK = 64
MAX_NUMBER = (1 << 32) - 1
MAX_SIZE = (1 << 62) - 1

DONE: dict[int | str, dict[str, Any]] = {204: {"description": "Taken, durably."}}
_HEX = Path(
    pattern="^[0-9a-f]{64}$", description="The scope's name: hexadecimal, lower case.", examples=["5f" * 32]
)


def number(description: str, example: int, most: int = MAX_SIZE) -> Any:  # noqa: ANN401 - FastAPI's Path
    """A number in an address."""
    return Path(ge=0, le=most, description=description, examples=[example])


async def _scope(scope: Annotated[str, _HEX]) -> bytes:  # async: anything else is sent to another thread
    return bytes.fromhex(scope)


ScopeName = Annotated[bytes, Depends(_scope)]
Authorization = Annotated[str, Header(description="A signed request.")]
Token = Annotated[str, Header(alias="Notalone-Token", description="An anonymous token of this hour.")]


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may come in: signatures of machines, tokens of reporters.

    Which nonces and tokens were used is remembered by this process alone; that is why a board is
    one process (edge/lock.py). After a restart a request younger than the window may be played
    once more, over a connection that TLS did not protect the first time: what changes something
    is idempotent, and what answers would tell its thief what he could have read there.
    """

    verifier: RequestVerifier
    limiter: AnonymousLimiter
    heard: dict[str, int] = field(default_factory=dict)  # signer -> when, by this machine's clock

    def is_everybody_there(self, signers: Iterable[str]) -> bool:
        """Whether all of them sent a request lately whose time agrees with this machine's clock."""
        now = self.verifier.clock()
        return all(
            abs(now - self.heard.get(one, now - 2 * WINDOW_SECONDS)) <= WINDOW_SECONDS for one in signers
        )

    async def anonymous(self, token: Token = "") -> None:
        """For requests about one reporter."""
        self.limiter.check(token)

    async def public(self) -> None:
        """For lists that are the same for everybody."""
        self.limiter.check_load()

    async def reader(self, request: Request, authorization: Authorization = "") -> str:
        """A trustee or auditor: the signer's name."""
        name = self.verifier.verify(authorization, request.method, path_of(request), await request.body())
        self.heard[name] = self.verifier.clock()
        return name

    async def trustee(self, request: Request, authorization: Authorization = "") -> int:
        """A trustee's index."""
        kind, _, index = (await self.reader(request, authorization)).partition("/")
        if kind != "trustee":
            raise ProblemError(401, "unauthorized", "The request carries no valid signature.")
        return int(index)


def path_of(request: Request) -> str:
    """The path as it was sent and signed."""
    raw: bytes = request.scope["raw_path"]
    return raw.decode("ascii", "replace")


def exactly(body: bytes, length: int) -> bytes:
    """The body. Raises ContextMismatch (encoding.length)."""
    if len(body) != length:
        raise ContextMismatch(Code.LENGTH, "the body has a wrong length")
    return body
