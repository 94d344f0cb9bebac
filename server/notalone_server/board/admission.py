"""What the board checks of a filing before it promises anything.

Owns these checks and the names and times of the newest rolls. Refuses to know proofs and
bundles: those are the trustees' to judge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from notalone_crypto.errors import Code, ContextMismatch
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.filing import Filing, Header
from notalone_crypto.protocol import accept
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS
from notalone_server.board.ports import Reading
from notalone_server.board.state import Rules, ScopeRecord

Found = TypeVar("Found")
CLOCK_DIFFERENCE_SECONDS: Final = (
    CLOCK_TOLERANCE_SECONDS // 2
)  # of a device's clock, or a trustee's, from ours


def known_scope(view: Reading, name: bytes) -> ScopeRecord:
    """Where a scope stands. Raises ContextMismatch (context.scope) for one that is not served."""
    return _served(view.scope(name))


def known_rules(view: Reading, name: bytes) -> Rules:
    """What a scope's filings are taken by. Raises ContextMismatch (context.scope)."""
    return _served(view.rules(name))


def _served(found: Found | None) -> Found:
    if found is None:
        raise ContextMismatch(Code.SCOPE, "the board does not serve this scope")
    return found


def check_filing(committee: Committee, rules: Rules, filing: Filing, header: Header) -> None:
    """Whether the scope is open, and everything that costs little; trustees would refuse the rest.

    Raises: ContextMismatch, MalformedInput, VerificationFailed.
    """
    if not rules.active:
        raise ContextMismatch(Code.SCOPE, "this scope is not open yet")
    accept.check_rules(committee, rules.policy, header)
    accept.check_parts(committee, rules.policy, filing, header)


@dataclass(slots=True)
class NewestRolls:
    """Names and times of the newest rolls of each scope: decoding them for each filing costs too much."""

    _known: dict[bytes, dict[bytes, int]] = field(init=False, default_factory=dict)

    def forget(self, scope: bytes) -> None:
        """A newer one came."""
        self._known.pop(scope, None)

    def check(self, store: Reading, policy: ScopePolicy, header: Header, now: int) -> None:
        """Raise ContextMismatch unless the filing is of now and names a newest roll in the feed's order.

        Trustees refuse other ones, each at the time when it reads: a promise would not be kept. The
        reporter seals again; nothing was spent.
        """
        current = self._known.get(header.scope)
        if current is None:
            current = {one.fingerprint: one.issued_at for one in store.snapshots(header.scope)}
            self._known[header.scope] = current
        if current and header.snapshot not in current:  # without any roll no client can have sealed
            raise ContextMismatch(Code.SNAPSHOT, "the roll has moved on: seal the report again")
        issued_at = min(current.get(header.snapshot, 0), now)
        # Closer than trustees look: their clocks may differ from this one by as much again.
        since = max(now - CLOCK_DIFFERENCE_SECONDS, issued_at)
        accept.check_calendar(policy, header, since, now, CLOCK_DIFFERENCE_SECONDS)
