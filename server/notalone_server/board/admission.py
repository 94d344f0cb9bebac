"""What the board checks of a filing before it promises anything.

Owns these checks and the names of the newest rolls. Refuses to know proofs and
bundles: those are the trustees' to judge.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from notalone_crypto.errors import Code, ContextMismatch
from notalone_crypto.messages.filing import Filing, Header
from notalone_crypto.protocol import accept
from notalone_crypto.protocol.keys import Committee
from notalone_server.board.ports import Reading
from notalone_server.board.state import ScopeRecord


def check_filing(committee: Committee, scope: ScopeRecord, filing: Filing, header: Header) -> None:
    """Whether the scope is open, and everything that costs little.

    Raises: ContextMismatch, MalformedInput, VerificationFailed.
    """
    if not scope.active:
        raise ContextMismatch(Code.SCOPE, "this scope is not open yet")
    accept.check_parts(committee, scope.policy, filing, header)


@dataclass(slots=True)
class NewestRolls:
    """Fingerprints of the newest rolls of each scope: decoding them for each filing costs too much."""

    _known: dict[bytes, frozenset[bytes]] = field(init=False, default_factory=dict)

    def forget(self, scope: bytes) -> None:
        """A newer one came."""
        self._known.pop(scope, None)

    def check(self, store: Reading, header: Header) -> None:
        """Raise ContextMismatch unless the filing names a newest roll, in the order of the feed.

        Trustees refuse older ones, each at the time when it reads: a promise would not be kept. The
        reporter seals again; nothing was spent.
        """
        current = self._known.get(header.scope)
        if current is None:
            current = frozenset(one.fingerprint for one in store.snapshots(header.scope))
            self._known[header.scope] = current
        if current and header.snapshot not in current:  # without any roll no client can have sealed
            raise ContextMismatch(Code.SNAPSHOT, "the roll has moved on: seal the report again")
