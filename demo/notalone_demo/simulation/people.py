"""Reporters and the counsellor desk, each with only what they would have.

Owns what happens on their devices. Refuses to know trustees' and board's insides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from notalone_crypto.errors import Code, NotAloneError, StateConflict
from notalone_crypto.messages.committee import ReleaseMode, ScopePolicy
from notalone_crypto.messages.evaluation import Inclusion
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import hpke
from notalone_crypto.protocol import file, log, record, release, roll, withdraw
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import Tag
from notalone_server.board.service import BoardService
from notalone_server.trustee.ports import BoardUnreachable


@dataclass(slots=True)
class Reporter:
    """One person with her 12 words' worth of entropy, her place and what she filed."""

    alias: str
    member: roll.Member = field(repr=False)
    committee: Committee
    policy: ScopePolicy
    filed: list[file.SealedReport] = field(default_factory=list, repr=False)
    receipts: list[Receipt] = field(default_factory=list)

    def seal_and_send(
        self, board: BoardService, report: file.Report, now: int, randomness: Randomness
    ) -> file.SealedReport:
        """Seal on the device, send one message, keep the board's promise."""
        period = withdraw.period_of(now, self.policy.period_days)
        sealed = file.seal_report(
            self.committee,
            self.policy,
            self._ring(board),
            self.member,
            report,
            period=period,
            spent_tags=frozenset(board.spent_tags(self.policy.scope, period)),
            randomness=randomness,
        )
        data = sealed.filing.encode()
        while True:
            try:
                receipt = board.submit_filing(data)
                break
            except BoardUnreachable:
                continue  # the very same bytes again: never sealed twice
        check_signature(receipt, self.committee.manifest.board_key, Tag.RECEIPT)
        self.filed.append(sealed)
        self.receipts.append(receipt)
        return sealed

    def withdraw(self, board: BoardService, which: int = -1) -> None:
        """Take a filing back."""
        sealed = self.filed[which]
        request = withdraw.withdraw(sealed.header.entry, sealed.owner.signing_key)
        while True:
            try:
                board.submit_withdrawal(self.policy.scope, request.encode())
                break
            except BoardUnreachable:
                continue

    def introductions(self, board: BoardService, which: int = -1) -> tuple[release.Introduction, ...]:
        """Download every blob, try each, open what m trustees vouch for."""
        key = self.filed[which].owner.recipient_key
        items = release.try_blobs(self.committee, self.policy.scope, key, board.blobs(self.policy.scope))
        return release.open_items(self.committee, items)

    def was_counted(self, board: BoardService, which: int = -1) -> bool:
        """Whether a verified path shows her report in a cosigned batch."""
        sealed = self.filed[which]
        data = board.inclusion(self.policy.scope, sealed.owner.recipient_key.public)
        if data is None:
            return False
        context = release.blob_context(self.committee, self.policy.scope)
        path = Inclusion.decode(hpke.open_sealed(sealed.owner.recipient_key, context, data))
        leaf = record.check_inclusion(path, sealed.header.entry)
        update = board.find_leaf(self.policy.scope, leaf)
        log.check_leaf(self.committee, update.note, leaf, update.index, update.inclusion)
        return True

    def _ring(self, board: BoardService) -> RollSnapshot:
        for snapshot in board.newest_snapshots(self.policy.scope):
            if self.member.place in snapshot.places:
                return snapshot
        raise StateConflict(Code.SNAPSHOT, "her place is in no current snapshot")


@dataclass(slots=True)
class DeskCase:
    """One match as the desk sees it: introductions by entry."""

    group: bytes
    members: frozenset[bytes]
    first: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    second: dict[bytes, bytes] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class CounsellorDesk:
    """The desk's browser: one root key, cases by match. Nothing unmatched ever appears."""

    name: str
    key: hpke.HpkePrivateKey = field(repr=False)

    def cases(self, committee: Committee, policy: ScopePolicy, board: BoardService) -> tuple[DeskCase, ...]:
        """Everything released to this desk so far, grouped by match."""
        try:
            items = release.try_blobs(committee, policy.scope, self.key, board.blobs(policy.scope))
        except NotAloneError:
            return ()
        found: dict[bytes, DeskCase] = {}
        for one in release.open_items(committee, items):
            case = found.setdefault(one.group, DeskCase(one.group, frozenset()))
            case.members |= frozenset(one.members)
            (case.first if one.content == 1 else case.second)[one.entry] = one.plaintext
        return tuple(found.values())


def make_report(
    *,
    identifiers: dict[int, bytes],
    threshold: int,
    mode: ReleaseMode,
    preconsent: bool,
    desk_key: bytes,
    now: int,
    weeks: int,
    alias: str,
    words: str,
) -> file.Report:
    """A report from a form's fields."""
    return file.Report(
        identifiers,
        threshold,
        mode,
        preconsent,
        desk_key,
        withdraw.week_of(now) + weeks,
        alias,
        words.encode("utf-8"),
    )
