"""The public record as an auditor collects it, and which filings it proves accepted.

Owns signatures, contradictions between messages of one sender, and the checks
of a filing that every trustee accepted (specs/20-protocol.md#audit). Refuses to
know batches (protocol/audit.py). Holds a trustee's state without any secret.
Nothing is judged before a batch needs it: rubbish on the board is nobody's
fault as long as no trustee accepted it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final

from notalone_crypto.errors import Code, ContextMismatch, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, PlanVote, RecordVote, RoundOne, RoundTwo
from notalone_crypto.messages.filing import (
    Acceptance,
    BundleComplaint,
    Filing,
    FilingTrace,
    Header,
    Withdrawal,
)
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.messages.wire import Message
from notalone_crypto.protocol import accept
from notalone_crypto.protocol.accept import EntryShares, View
from notalone_crypto.protocol.audit_report import Docket
from notalone_crypto.protocol.batch import is_newer
from notalone_crypto.protocol.evaluate import same_as_before
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.roll import check_snapshot, is_current
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.protocol.state import Outgoing, PendingEntry, ScopeState, TrusteeState
from notalone_crypto.protocol.withdraw import WEEK_SECONDS, check_withdrawal
from notalone_crypto.suite import Tag

NO_SHARES: Final = EntryShares((), (), ())


@unique
class Shown(StrEnum):
    """Kinds of messages in the record that no trustee posts."""

    SNAPSHOT = "snapshot"
    FILING = "filing"
    TRACE = "trace"  # of a filing whose bundles the board erased
    WITHDRAWAL = "withdrawal"
    PLAN = "plan"


_TYPES: Final[dict[Shown | Outgoing, type[Message]]] = {
    Shown.SNAPSHOT: RollSnapshot,
    Shown.FILING: Filing,
    Shown.TRACE: FilingTrace,
    Shown.WITHDRAWAL: Withdrawal,
    Shown.PLAN: BatchPlan,
    Outgoing.ACCEPTANCE: Acceptance,
    Outgoing.COMPLAINT: BundleComplaint,
    Outgoing.PLAN_VOTE: PlanVote,
    Outgoing.ROUND_ONE: RoundOne,
    Outgoing.ROUND_TWO: RoundTwo,
    Outgoing.RECORD_VOTE: RecordVote,
    Outgoing.RELEASES: ReleaseBatch,
}
_BATCH_TAGS: Final = {
    Outgoing.PLAN_VOTE: Tag.PLAN_VOTE,
    Outgoing.ROUND_ONE: Tag.ROUND_ONE,
    Outgoing.ROUND_TWO: Tag.ROUND_TWO,
    Outgoing.RECORD_VOTE: Tag.BATCH_RECORD,
    Outgoing.RELEASES: Tag.RELEASE,
}


@dataclass(slots=True)
class PublicRecord:
    """Everything an auditor was shown, in the order it was published."""

    committee: Committee
    docket: Docket
    state: TrusteeState = field(default_factory=TrusteeState)
    policies: dict[bytes, ScopePolicy] = field(default_factory=dict)  # found in the log, by fingerprint
    waiting_since: dict[bytes, int] = field(default_factory=dict)  # accepted entry -> batch that saw it so
    _plans: dict[bytes, BatchPlan] = field(default_factory=dict)
    _snapshots: dict[bytes, RollSnapshot] = field(default_factory=dict)
    _newest: dict[tuple[bytes, bytes, int], RollSnapshot] = field(default_factory=dict)
    _filings: dict[bytes, tuple[Filing | FilingTrace, Header]] = field(default_factory=dict)
    _entries: dict[bytes, list[bytes]] = field(default_factory=dict)  # not yet settled -> filings
    _headers: dict[bytes, Header] = field(default_factory=dict)
    _acceptances: dict[bytes, dict[int, Acceptance]] = field(default_factory=dict)
    _complaints: list[BundleComplaint] = field(default_factory=list)
    _withdrawals: dict[bytes, tuple[Withdrawal, int]] = field(default_factory=dict)
    _messages: dict[bytes, dict[str, dict[int, bytes]]] = field(default_factory=dict)

    def take(self, kind: Shown | Outgoing, payload: bytes) -> None:
        """Keep one message. Raises NotAloneError when it can be refused by itself."""
        message_type = _TYPES.get(kind)
        if message_type is None:
            return  # sealed to somebody else, or part of a note
        message = message_type.decode(payload)
        match message:
            case RollSnapshot():
                self._take_snapshot(message)
            case Filing() | FilingTrace():
                self._take_filing(message)
            case Withdrawal():
                self._take_withdrawal(message)
            case BatchPlan():
                self.add_plan(message)
            case Acceptance():
                self._take_acceptance(message)
            case BundleComplaint():
                check_signature(message, self.committee.verify_key(message.trustee), Tag.COMPLAINT)
                self._complaints.append(message)
            case PlanVote() | RoundOne() | RoundTwo() | RecordVote() | ReleaseBatch():
                self._take_batch_message(Outgoing(kind), message)
            case _:
                return

    def messages(self, plan: bytes, kind: Outgoing) -> dict[int, bytes]:
        """Signed messages of one kind for the plan of this fingerprint, by trustee."""
        return self._messages.get(plan, {}).get(kind, {})

    def voters(self, plan: BatchPlan) -> tuple[int, ...]:
        """Trustees who signed this plan: to them a wrong one is due."""
        return tuple(sorted(self.messages(plan.fingerprint, Outgoing.PLAN_VOTE)))

    def _openers(self, plan: BatchPlan) -> tuple[int, ...]:
        return tuple(sorted(self.messages(plan.fingerprint, Outgoing.ROUND_ONE)))

    def add_plan(self, plan: BatchPlan) -> None:
        """Keep a plan. Raises StateConflict (state.equivocation) if somebody voted for two of its number.

        A vote may move on to a newer plan (batch.check_replacement) that opened nothing before.
        """
        self._plans[plan.fingerprint] = plan
        for other in self._plans.values():
            if (other.scope, other.number) == (plan.scope, plan.number) and other != plan:
                moved = is_newer(self.committee, plan, other) or is_newer(self.committee, other, plan)
                seen = self._openers if moved else self.voters
                twice = tuple(sorted(set(seen(plan)) & set(seen(other))))
                if twice:
                    raise StateConflict(
                        Code.EQUIVOCATION, "a trustee agreed to two plans of one number", culprits=twice
                    )

    def admit(self, scope: ScopeState, plan: BatchPlan) -> None:
        """Make pending what the record shows to be accepted, and note what should not have been.

        A filing that all trustees signed for and that fails a check before its
        proof cannot be evaluated: it stays out, so that a plan with it fails.
        One whose proof alone is wrong is noted and followed.
        """
        self._judge_complaints(scope)
        everyone = set(range(1, self.committee.count + 1))
        admitted: list[tuple[Filing | FilingTrace, Header]] = []
        for entry in [name for name in self._entries if self._headers[name].scope == scope.policy.scope]:
            if entry in scope.gone:
                del self._entries[entry]
                continue
            acceptances = self._acceptances.get(entry, {})
            accepted = {one.filing for one in acceptances.values()}
            if set(acceptances) == everyone and len(accepted) == 1 and accepted <= set(self._entries[entry]):
                del self._entries[entry]
                filing, header = self._filings[accepted.pop()]
                with self.docket.noting():
                    self._check_filing(scope, plan, filing, header, acceptances)
                    scope.pending[entry] = _pending(filing, header, acceptances)
                    self.waiting_since[entry] = plan.number
                    admitted.append((filing, header))
            elif entry in plan.withdrawn + plan.expired:
                # Some trustees may hold what others never got; its header alone decides whether it leaves.
                filing, header = self._filings[self._entries.pop(entry)[0]]
                scope.pending[entry] = _pending(filing, header, acceptances)
        view = self._view(scope, admitted, plan.opened_at)
        for error in accept.verify_statements(view, admitted):
            if error is not None:
                self.docket.note(error, sorted(everyone))
        for entry, (withdrawal, seen) in list(self._withdrawals.items()):
            if entry in scope.pending or entry in scope.live:
                scope.withdrawals[entry] = (withdrawal, seen)
                del self._withdrawals[entry]

    def _take_snapshot(self, snapshot: RollSnapshot) -> None:
        scope = self.state.scopes.get(snapshot.scope)
        if scope is None:
            raise ContextMismatch(Code.SCOPE, "a roll of a scope without a policy in the log")
        keys = [organisation.issuer_key for organisation in scope.policy.organisations]
        # A roll may begin small; a filing under such a one is what trustees refuse.
        check_snapshot(snapshot, scope=snapshot.scope, issuer_keys=keys, minimum=0)
        place = (snapshot.scope, snapshot.issuer_key, snapshot.cohort)
        newest = self._newest.get(place)
        if newest is not None and snapshot.number == newest.number and snapshot != newest:
            raise StateConflict(Code.EQUIVOCATION, "an issuer signed two rolls of one number")
        self._snapshots[snapshot.fingerprint] = snapshot
        if newest is None or snapshot.number > newest.number:
            self._newest[place] = snapshot

    def _take_filing(self, filing: Filing | FilingTrace) -> None:
        header = Header.decode(filing.header)
        trace = filing if isinstance(filing, FilingTrace) else filing.trace
        check_signature(trace, header.owner_key, Tag.FILING_SIGNATURE)
        if filing.fingerprint in self._filings:
            return
        self._filings[filing.fingerprint] = (filing, header)
        self._headers[header.entry] = header
        self._entries.setdefault(header.entry, []).append(filing.fingerprint)
        snapshot = self._snapshots.get(header.snapshot)
        if snapshot is None:
            return  # counts only if trustees accept it, and is then refused
        newest = self._newest[snapshot.scope, snapshot.issuer_key, snapshot.cohort]
        if not is_current(snapshot, newest, newest.issued_at):
            # The record's order is the board's, so nobody is named: a closed place may have filed.
            raise ContextMismatch(Code.SNAPSHOT, "a filing was published after its roll was replaced")

    def _take_withdrawal(self, withdrawal: Withdrawal) -> None:
        header = self._headers.get(withdrawal.entry)
        scope = None if header is None else self.state.scopes.get(header.scope)
        if header is None or scope is None:
            raise StateConflict(Code.UNKNOWN_ENTRY, "a withdrawal of a filing that the record does not show")
        check_withdrawal(withdrawal, header)
        if withdrawal.entry not in scope.gone and withdrawal.entry not in scope.withdrawals:
            self._withdrawals.setdefault(withdrawal.entry, (withdrawal, scope.number))

    def _take_acceptance(self, acceptance: Acceptance) -> None:
        check_signature(acceptance, self.committee.verify_key(acceptance.trustee), Tag.ACCEPT)
        if acceptance.generation != self.committee.manifest.generation:
            raise ContextMismatch(Code.GENERATION, "an acceptance of another generation")
        known = self._acceptances.setdefault(acceptance.entry, {}).setdefault(acceptance.trustee, acceptance)
        if known != acceptance:
            raise StateConflict(
                Code.EQUIVOCATION, "a trustee accepted twice, differently", culprits=(acceptance.trustee,)
            )

    def _take_batch_message(
        self, kind: Outgoing, message: PlanVote | RoundOne | RoundTwo | RecordVote | ReleaseBatch
    ) -> None:
        check_signature(message, self.committee.verify_key(message.trustee), _BATCH_TAGS[kind])
        received = self._messages.setdefault(message.plan, {})
        same_as_before(received, kind, message.trustee, message)
        received.setdefault(kind, {}).setdefault(message.trustee, message.encode())
        if kind in {Outgoing.PLAN_VOTE, Outgoing.ROUND_ONE} and message.plan in self._plans:
            self.add_plan(self._plans[message.plan])

    def _check_filing(
        self,
        scope: ScopeState,
        plan: BatchPlan,
        filing: Filing | FilingTrace,
        header: Header,
        acceptances: dict[int, Acceptance],
    ) -> None:
        """What every trustee had to check before it signed, as far as the record shows times."""
        for acceptance in acceptances.values():
            accept.check_acceptance(self.committee, scope.policy, acceptance, filing.fingerprint)
        policy = self.policies.get(header.policy)
        if policy is None:
            # Perhaps only withheld from the auditor: nobody is named.
            raise ContextMismatch(Code.POLICY, "a filing under a policy that was not shown in the log")
        # The record has no trustworthy time of acceptance: it lies between the
        # roll's and the plan's, and before the end of the entry's last week.
        latest = min(plan.opened_at, (header.expiry_week + 1) * WEEK_SECONDS - 1)
        view = self._view(scope, [(filing, header)], latest)
        accept.find_snapshot(view, header)
        try:
            view = View(self.committee, policy, view.snapshots, {}, 0, latest)
            spent = self.state.spent.setdefault(header.period, set())
            if isinstance(filing, FilingTrace):
                accept.check_trace_cheaply(view, filing, self.state.seen_encs, spent)
            else:
                accept.check_cheaply(view, filing, self.state.seen_encs, spent)
        except NotAloneError as error:
            error.culprits = tuple(sorted(acceptances))  # each signed that it had checked
            raise
        self._count_as_used(header)

    def _count_as_used(self, header: Header) -> None:
        self.state.seen_encs.add(header.enc)
        self.state.spent.setdefault(header.period, set()).add(header.quota_tag)

    def _view(
        self, scope: ScopeState, filings: Sequence[tuple[Filing | FilingTrace, Header]], now: int
    ) -> View:
        """A trustee's view without "newest": which roll was current was judged when the filing came."""
        named = {header.snapshot for _, header in filings}
        snapshots = [self._snapshots[name] for name in named if name in self._snapshots]
        own = [snapshot for snapshot in snapshots if snapshot.scope == scope.policy.scope]
        return View(self.committee, scope.policy, own, {}, 0, now)

    def _judge_complaints(self, scope: ScopeState) -> None:
        waiting: list[BundleComplaint] = []
        for complaint in self._complaints:
            filing, header = self._filings.get(complaint.filing, (None, None))
            if filing is None or header is None or header.scope != scope.policy.scope:
                waiting.append(complaint)
                continue
            with self.docket.noting():
                accepted = complaint.trustee in self._acceptances.get(header.entry, {})
                if isinstance(filing, FilingTrace):
                    if not accepted:  # the evidence was withheld from the auditor: nobody is named
                        raise ContextMismatch(Code.COMPLAINT, "a complaint about a filing without bundles")
                    verdict: NotAloneError = StateConflict(
                        Code.EQUIVOCATION, "a trustee accepted and complained", culprits=(complaint.trustee,)
                    )
                else:
                    verdict = accept.judge(self.committee, filing, header, complaint)
                if header.entry != complaint.entry:
                    verdict = VerificationFailed(
                        Code.COMPLAINT, "a complaint about another filing", culprits=(complaint.trustee,)
                    )
                if verdict.culprits:
                    raise verdict
                if accepted:
                    # After ACCEPT it counts for nothing: else a bundle could be opened at will.
                    raise StateConflict(
                        Code.EQUIVOCATION, "a trustee accepted and complained", culprits=(complaint.trustee,)
                    )
                scope.gone.add(header.entry)
                self._count_as_used(header)
        self._complaints = waiting


def _pending(
    filing: Filing | FilingTrace, header: Header, acceptances: dict[int, Acceptance]
) -> PendingEntry:
    introductions = (b"", b"")  # erased with the bundles; an audit does not need them
    if isinstance(filing, Filing):
        introductions = (filing.first_introduction, filing.second_introduction)
    return PendingEntry(
        filing.fingerprint,
        header,
        *introductions,
        NO_SHARES,
        b"",
        dict(acceptances),
    )
