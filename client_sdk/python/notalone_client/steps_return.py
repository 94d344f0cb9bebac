"""A reporter who comes back: her filings found again from the words, where they stand, her proofs.

Owns look-ups of one reporter's things, made so that an answer's size and status
tell nothing. Refuses to do I/O (`running.py`), and what matched people say to
one another (steps_contact.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum, unique
from typing import Final

from notalone_client.errors import UnexpectedAnswer
from notalone_client.report import Form, Sealed
from notalone_client.session import LOOK_UP_BLOCK, Steps
from notalone_client.steps import Filer
from notalone_client.transport import owner_authorization
from notalone_client.trust import World
from notalone_crypto.errors import Code, ContextMismatch, VerificationFailed
from notalone_crypto.messages.evaluation import Inclusion
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.primitives import hpke
from notalone_crypto.protocol import file, record, release, withdraw
from notalone_crypto.protocol.file import OwnerKeys
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS, HASH_LENGTH

_STATUS_BLOCK: Final = 64
_OWN_LENGTH: Final = 5 + HASH_LENGTH  # state, batch, entry


@unique
class EntryState(IntEnum):
    """Where a filing stands, as the board tells its owner."""

    WAITING = 1
    ACCEPTED = 2  # by every trustee
    EVALUATED = 3
    WITHDRAWN = 4  # taken back at the next batch
    GONE = 5
    REFUSED = 6  # by a trustee


@dataclass(frozen=True, slots=True)
class OwnFiling:
    """One of her filings, found again from the phrase alone. `entry` is its name, empty if unknown."""

    period: int
    quota_tag: bytes = field(repr=False)
    entry: bytes = b""
    # The key of the desk she sealed to, where this device still has the sealed bytes.
    desk: bytes = field(default=b"", compare=False)

    @classmethod
    def of(cls, filing: OwnFiling | Sealed) -> OwnFiling:
        """What a client needs of a filing, from sealed bytes too."""
        if isinstance(filing, OwnFiling):
            return filing
        header = filing.header
        return cls(header.period, header.quota_tag, header.entry, header.desk_key)


@dataclass(frozen=True, slots=True)
class FilingStatus:
    """What the owner sees of one filing."""

    filing: OwnFiling
    state: EntryState | None  # None: sealed, but the board does not have it: file it (again)
    batch: int  # the batch that evaluated it, or 0
    counted: bool  # a verified path shows it in a cosigned batch


@dataclass(slots=True, kw_only=True)
class Returning(Filer):
    """Somebody who filed, on any device."""

    def find(self) -> Steps[tuple[OwnFiling, ...]]:
        """Her filings of every period in which one may still be alive, from the phrase alone.

        By batch, those that wait for one last.
        """
        return tuple(one.filing for one in (yield from self._known()))

    def status(self, *sealed: Sealed) -> Steps[tuple[FilingStatus, ...]]:
        """Every filing of hers and where it stands, from the phrase alone.

        Pass the sealed reports that this device still keeps, and those that were never filed are
        in the answer too, without a state.
        """
        world = yield from self.open()
        desks = {one.entry: one.header.desk_key for one in sealed}
        statuses: list[FilingStatus] = []
        for one in (yield from self._known()):
            entry, counted = yield from self._counted(world, one.filing)
            known = one.filing.entry
            if entry and known and entry != known:
                raise VerificationFailed(Code.INCLUSION, "the path is for another entry")
            name = known or entry
            filing = replace(one.filing, entry=name, desk=desks.get(name, b""))
            statuses.append(replace(one, filing=filing, counted=counted))
        filed = {one.filing.entry for one in statuses}
        unfiled = {one.entry: OwnFiling.of(one) for one in sealed if one.entry not in filed}
        return (*statuses, *(FilingStatus(one, None, 0, counted=False) for one in unfiled.values()))

    def _known(self) -> Steps[tuple[FilingStatus, ...]]:
        """Spent tags are public, and she alone knows hers; the board tells their owner what they paid for."""
        world = yield from self.open()
        policy = world.policy
        # What was filed a moment ago may be of a period that has not begun by this clock.
        last = withdraw.period_of(self.clock() + CLOCK_TOLERANCE_SECONDS, policy.period_days)
        reach = policy.maximum_weeks * 7 // policy.period_days + 1
        # Her secret is the same in every organisation; only the blinding of the place differs.
        member = next(iter(self.members(world).values()))
        found: list[FilingStatus] = []
        for period in range(max(last - reach, 0), last + 1):
            spent = frozenset((yield from self._spent(period)))
            mine = [tag for tag in file.own_tags(world.committee, policy, member, period) if tag in spent]
            for tag in mine:
                one = yield from self._state(world, OwnFiling(period, tag))
                found.append(one)
        # Places are used in random order: the batch is the only thing that tells old from new.
        found.sort(key=lambda one: (one.filing.period, one.batch or 1 << 32, one.filing.quota_tag))
        return tuple(found)

    def _state(self, world: World, filing: OwnFiling) -> Steps[FilingStatus]:
        request = self.ask("/own", world, filing.quota_tag)
        key = self._owner(world, filing.quota_tag).signing_key
        header = owner_authorization(key, world.committee.fingerprint, request, self.clock(), self.randomness)
        answer = yield replace(request, headers={**request.headers, "Authorization": header})
        told = answer.padded(_STATUS_BLOCK)
        if not told:
            return FilingStatus(filing, None, 0, counted=False)
        if len(told) != _OWN_LENGTH or told[0] not in tuple(EntryState):
            raise UnexpectedAnswer("a status has another shape")
        named = replace(filing, entry=told[5:])
        return FilingStatus(named, EntryState(told[0]), int.from_bytes(told[1:5], "big"), counted=False)

    def _counted(self, world: World, filing: OwnFiling) -> Steps[tuple[bytes, bool]]:
        """The entry's name and whether a cosigned batch counted it, from the sealed path."""
        key = self._owner(world, filing.quota_tag).recipient_key
        answer = yield self.ask("/inclusions", world, key.public)
        sealed = answer.padded(LOOK_UP_BLOCK)
        if not sealed:
            return b"", False
        context = release.blob_context(world.committee, self.trust.scope)
        path = Inclusion.decode(hpke.open_sealed(key, context, sealed))
        leaf = record.check_inclusion(path, path.entry)
        return path.entry, (yield from self.check_leaf(world, leaf))

    def withdraw(self, filing: OwnFiling | Sealed) -> Steps[None]:
        """Take a filing back, at the next batch. What was opened cannot be taken back."""
        world = yield from self.open()
        own = OwnFiling.of(filing)
        if not own.entry:
            raise ContextMismatch(Code.UNKNOWN_ENTRY, "this filing has no name here: find it first")
        key = self._owner(world, own.quota_tag).signing_key
        yield self.ask("/withdrawals", world, withdraw.withdraw(own.entry, key).encode())

    def edit(self, old: OwnFiling | Sealed, form: Form) -> Steps[Sealed]:
        """Replace a filing: the new one is sealed first, then the old one is withdrawn; `file` the result.

        An edit spends a quota place. Both take effect at the next batch. Raises: Unavailable; the
        same call again is safe, for nothing of the new one was sent.
        """
        sealed = yield from self.seal(form)
        yield from self.withdraw(old)
        return sealed

    def verify_receipt(self, sealed: Sealed, receipt: Receipt) -> Steps[bool]:
        """Whether the promise was kept: True once a verified path shows the filing in a cosigned batch.

        Raises: VerificationFailed when the receipt is not the board's for this filing, or
        the path it shows is false.
        """
        world = yield from self.open()
        header = sealed.header
        self._check_promise(world, receipt, sealed)
        entry, counted = yield from self._counted(world, OwnFiling(header.period, header.quota_tag))
        if counted and entry != sealed.entry:
            raise VerificationFailed(Code.INCLUSION, "the path is for another entry")
        return counted

    def _owner(self, world: World, tag: bytes) -> OwnerKeys:
        return file.owner_keys(next(iter(self.members(world).values())), tag)
