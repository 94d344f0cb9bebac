"""Taking filings: what is checked before the database is locked, and one transaction for those that wait.

Owns the promise that each filing gets, once and for all. Refuses to know proofs, bundles and
what becomes of a filing afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from notalone_crypto.errors import Code, ContextMismatch, NotAloneError, StateConflict
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.filing import Filing, Header
from notalone_crypto.protocol.keys import Committee
from notalone_server.board import admission
from notalone_server.board.ports import BoardStore, Clock, Reading, Writing
from notalone_server.board.state import BoardEntry, Rules
from notalone_server.board.together import Together


@dataclass(frozen=True, slots=True)
class Arrival:
    """A filing with what is computed of it once."""

    data: bytes = field(repr=False)
    filing: Filing = field(repr=False)
    header: Header
    entry: bytes  # 32-byte name
    fingerprint: bytes  # 32 bytes
    policy: ScopePolicy  # the rules by which it was checked


@dataclass(slots=True)
class _Taking:
    """What one transaction takes into one scope."""

    rules: Rules
    fresh: dict[bytes, tuple[Arrival, int]] = field(default_factory=dict)  # entry -> filing, promised batch


@dataclass(slots=True)
class Intake:
    """Takes filings into one board's store."""

    committee: Committee
    clock: Clock
    store: BoardStore
    rolls: admission.NewestRolls
    _seen: dict[bytes, Rules] = field(init=False, default_factory=dict)  # perhaps no longer in force
    _together: Together[Arrival, int] = field(init=False)

    def __post_init__(self) -> None:
        """Nobody waits yet."""
        self._together = Together(self._take_all)

    def take(self, data: bytes, scope_name: bytes | None) -> tuple[bytes, bytes, int]:
        """Entry and fingerprint (32 bytes each) of a filing, and the batch that is promised.

        The same filing again gets the same promise, whatever the rules are by then.
        `scope_name`: the one it was sent to, if it was sent to one.

        Raises: MalformedInput, ContextMismatch, StateConflict, VerificationFailed.
        """
        filing = Filing.decode(data)
        header = Header.decode(filing.header)
        if scope_name not in (None, header.scope):
            raise ContextMismatch(Code.SCOPE, "a filing for another scope")
        rules = self._seen.get(header.scope)
        if rules is None:
            with self.store.reading() as view:
                rules = admission.known_rules(view, header.scope)
        arrival = Arrival(data, filing, header, header.entry, filing.fingerprint, rules.policy)
        try:
            # Before the database is locked: what breaks the rules costs nobody else's time.
            self._check(arrival, rules)
        except NotAloneError:
            # Perhaps it was taken before, or the rules are new.
            with self.store.reading() as view:
                rules, promised = admission.known_rules(view, header.scope), self._promised(view, arrival)
            if promised is not None:
                return arrival.entry, arrival.fingerprint, promised
            self._check(arrival, rules)
            arrival = replace(arrival, policy=rules.policy)
        return arrival.entry, arrival.fingerprint, self._together.run(arrival)

    def _take_all(self, arrivals: Sequence[Arrival]) -> list[int | NotAloneError]:
        outcomes: list[int | NotAloneError] = []
        taking: dict[bytes, _Taking] = {}
        with self.store.writing() as store:
            for arrival in arrivals:
                name = arrival.header.scope
                try:
                    if name not in taking:
                        taking[name] = _Taking(admission.known_rules(store, name))
                    outcomes.append(self._take(store, taking[name], arrival))
                except NotAloneError as error:
                    outcomes.append(error)  # raised before anything was changed for this filing
            for name, one in taking.items():
                _keep(store, name, tuple(one.fresh.values()))
        self._seen |= {name: one.rules for name, one in taking.items()}
        return outcomes

    def _take(self, store: Writing, taking: _Taking, arrival: Arrival) -> int:
        header, rules = arrival.header, taking.rules
        try:
            if rules.policy != arrival.policy:
                self._check(arrival, rules)
            self.rolls.check(store, rules.policy, header, self.clock())
        except NotAloneError:
            promised = self._promised(store, arrival)
            if promised is None:
                raise
            return promised
        if not store.spend(header.scope, header.period, header.quota_tag, arrival.entry):
            if arrival.entry in taking.fresh:  # sent twice at once
                first, promised = taking.fresh[arrival.entry]
                return _same(first.fingerprint, promised, arrival)
            promised = self._promised(store, arrival)
            if promised is None:
                raise StateConflict(Code.TAG_SPENT, "this quota place is spent")
            return promised
        taking.fresh[arrival.entry] = arrival, rules.next_batch
        return rules.next_batch

    def _promised(self, view: Reading, arrival: Arrival) -> int | None:
        """What this very filing was promised before. Raises StateConflict (state.duplicate) for another."""
        known = view.entry(arrival.header.scope, arrival.entry)
        return None if known is None else _same(known.filing, known.promised, arrival)

    def _check(self, arrival: Arrival, rules: Rules) -> None:
        admission.check_filing(self.committee, rules, arrival.filing, arrival.header)


def _same(filing: bytes, promised: int, arrival: Arrival) -> int:
    if filing != arrival.fingerprint:
        raise StateConflict(Code.DUPLICATE, "another filing with this header exists")
    return promised


def _keep(store: Writing, scope: bytes, fresh: Sequence[tuple[Arrival, int]]) -> None:
    """Into the feed, in the order in which they came, and what is known of each."""
    if not fresh:
        return
    first = store.append_all(scope, FeedKind.FILING, [arrival.data for arrival, _ in fresh])
    entries = [
        BoardEntry(
            arrival.entry,
            arrival.fingerprint,
            arrival.header.owner_key,
            arrival.header.expiry_week,
            first + place,
            promised,
        )
        for place, (arrival, promised) in enumerate(fresh)
    ]
    store.add_entries(scope, entries)
