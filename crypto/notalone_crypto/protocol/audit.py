"""The audit: everything a committee did, checked from the record alone.

Owns the order of checks on a batch and the auditor's view of the log
(specs/20-protocol.md#audit). Refuses to know keys, transport and how a page is
shown. It applies the trustees' own rules (batch, rounds, find, record, log) to
a state that holds no share, so that no second implementation can disagree with
the first. It cannot say what a blob holds, nor what a board never published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from notalone_crypto.errors import Code, ContextMismatch, StateConflict, VerificationFailed
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, LogUpdate, PlanVote, RecordVote, RoundOne, RoundTwo
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives import merkle
from notalone_crypto.protocol import batch as batches
from notalone_crypto.protocol import log, record, release, rounds, statement
from notalone_crypto.protocol.audit_record import NO_SHARES, PublicRecord, Shown
from notalone_crypto.protocol.audit_report import AuditReport, BatchReport, Docket, MatchCount
from notalone_crypto.protocol.entries import EntrySecrets
from notalone_crypto.protocol.evaluate import check_counts
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.log import LogView
from notalone_crypto.protocol.record import SealedRecord
from notalone_crypto.protocol.state import Outgoing, Phase, ScopeState

M = TypeVar("M", bound=Message)

_NO_SECRETS: Final = EntrySecrets(NO_SHARES, (), ())


class Audit:
    """One audit of one committee's log and any of its scopes; feed it the record in published order.

    No method raises for what the record shows: it becomes a finding of `report`.
    """

    def __init__(self, committee: Committee) -> None:
        self._committee = committee
        self._docket = Docket()
        self._record = PublicRecord(committee, self._docket)
        self._view = LogView()
        self._notes: dict[int, tuple[bytes, frozenset[int]]] = {}  # size -> root, cosigners
        self._explained: set[int] = set()
        self._grouped: dict[tuple[bytes, int], set[bytes]] = {}  # (scope, position) -> who was in a group
        self._batches: list[BatchReport] = []

    @property
    def view(self) -> LogView:
        """The largest verified log so far; the next consistency proof starts here."""
        return self._view

    def take_policy(self, policy: ScopePolicy, update: LogUpdate) -> None:
        """A scope's rules with the cosigned note (in `update`) that holds them."""
        with self._docket.noting():
            self._advance(update.note, update.consistency)
            self._find_leaf(update, log.policy_leaf(policy))
            batches.adopt_policy(self._committee, self._record.state, policy)
            self._record.policies[policy.fingerprint] = policy

    def take(self, kind: Shown | Outgoing, payload: bytes) -> None:
        """Any other message of the record, as it was published (opened, if it came sealed)."""
        with self._docket.noting():
            self._record.take(kind, payload)

    def take_note(self, note: bytes, consistency: Sequence[bytes] = ()) -> None:
        """A cosigned note from anywhere, a reporter for instance: it must be a part of the same log.

        `consistency` joins it to `view`, from the smaller to the larger.
        """
        with self._docket.noting():
            self._advance(note, consistency)

    def close_batch(self, plan: BatchPlan, update: LogUpdate) -> BatchReport:
        """Check a whole batch whose messages were taken; `update.note` is its cosigned note."""
        found = len(self._docket.findings)
        self._docket.batch = plan.number
        scope = self._record.state.scopes.get(plan.scope)
        with self._docket.noting():
            self._record.add_plan(plan)
        with self._docket.noting():
            self._advance(update.note, update.consistency)
        matches: tuple[MatchCount, ...] = ()
        sealed: SealedRecord | None = None
        logged = False
        if scope is None:
            self._docket.note(ContextMismatch(Code.SCOPE, "a batch of a scope without a policy in the log"))
        elif scope.phase == Phase.HALTED:
            self._docket.note(StateConflict(Code.OUT_OF_ORDER, "not judged: an earlier batch does not stand"))
        else:
            sealed = self._follow(scope, plan)
            if sealed is None:
                scope.phase = Phase.HALTED
            else:
                with self._docket.noting():
                    matches = self._count_matches(scope, plan)
                logged = self._check_record(scope, plan, update, sealed)
        report = BatchReport(
            "unknown scope" if scope is None else scope.policy.scope_name,
            plan.number,
            plan.opened_at,
            plan.epoch,
            len(plan.entries),
            len(plan.withdrawn),
            len(plan.expired),
            matches,
            sealed is not None,
            logged,
            tuple(self._docket.findings[found:]),
        )
        self._docket.batch = 0
        self._batches.append(report)
        return report

    def report(self) -> AuditReport:
        """All batches and findings so far."""
        return AuditReport(
            self._committee.fingerprint,
            tuple(self._batches),
            tuple(self._docket.findings),
            self._view.size,
            len(self._explained),
        )

    def _follow(self, scope: ScopeState, plan: BatchPlan) -> SealedRecord | None:
        """The record as it must be, or None where the batch cannot be followed any further."""
        voters = self._record.voters(plan)
        sealed: SealedRecord | None = None
        self._record.admit(scope, plan)
        planned = False
        with self._docket.noting(voters):
            if set(plan.entries) & (scope.gone | scope.live.keys()):
                raise StateConflict(Code.DUPLICATE, "the plan takes in an entry that left, or is in already")
            # The auditor has no clock of that hour: trustees compared the plan's time with theirs.
            batches.check_plan(self._committee, scope, plan, plan.opened_at)
            planned = True
        if planned:
            with self._docket.noting():
                sealed = self._evaluate(scope, plan)
        return sealed

    def _evaluate(self, scope: ScopeState, plan: BatchPlan) -> SealedRecord:
        """Verify every proof and recompute every output."""
        votes = self._complete(plan, Outgoing.PLAN_VOTE, PlanVote)
        first = self._complete(plan, Outgoing.ROUND_ONE, RoundOne)
        second = self._complete(plan, Outgoing.ROUND_TWO, RoundTwo)
        batches.apply_plan(self._committee, scope, plan, lambda _: _NO_SECRETS)
        work = batches.workload(self._committee, scope, plan)
        check_counts(work.batch, list(first.values()))
        check_counts(work.batch, list(second.values()))
        rounds.check_round_one(work.batch, list(first.values()))
        xs, fresh = rounds.combine_round_one(work.batch, first)
        rounds.check_round_two(work.batch, list(second.values()), xs)
        products = work.known_products + fresh
        points = rounds.combine_round_two(work.batch, second, xs, products)
        batches.store_outputs(scope, work, points, products)
        names = [item.public.name for item in work.batch.items]
        return record.make_record(plan, votes, first, second, names, points)

    def _complete(self, plan: BatchPlan, kind: Outgoing, message_type: type[M]) -> dict[int, M]:
        """One message of every evaluator and of nobody else."""
        shown = self._record.messages(plan.fingerprint, kind)
        missing = sorted(set(plan.evaluators) - set(shown))
        if missing:
            # Withheld by the board or never sent: no signature tells.
            raise StateConflict(
                Code.OUT_OF_ORDER, f"the record lacks {kind} of trustees {', '.join(map(str, missing))}"
            )
        strangers = tuple(sorted(set(shown) - set(plan.evaluators)))
        if strangers:
            raise StateConflict(Code.OUT_OF_ORDER, "this trustee does not evaluate", culprits=strangers)
        return {index: message_type.decode(shown[index]) for index in plan.evaluators}

    def _count_matches(self, scope: ScopeState, plan: BatchPlan) -> tuple[MatchCount, ...]:
        counts = []
        for position, (slot, level) in enumerate(statement.positions(scope.policy)):
            before = self._grouped.setdefault((plan.scope, position), set())
            formed = joined = 0
            for members in batches.matches(scope, position, plan.epoch):
                newcomers = set(members) - before
                if len(newcomers) == len(members):
                    formed += 1
                else:
                    joined += len(newcomers)
                before |= newcomers
            if formed or joined:
                counts.append(MatchCount(slot, level, formed, joined))
        return tuple(counts)

    def _check_record(
        self, scope: ScopeState, plan: BatchPlan, update: LogUpdate, sealed: SealedRecord
    ) -> bool:
        """Votes on the leaf, blobs, and what was left lying; whether the leaf is in the log."""
        with self._docket.noting():
            votes = self._complete(plan, Outgoing.RECORD_VOTE, RecordVote)
            others = tuple(index for index, vote in votes.items() if vote.leaf != sealed.leaf)
            if others:
                raise VerificationFailed(
                    Code.FORK, "trustees signed another record than their messages give", culprits=others
                )
        logged = False
        with self._docket.noting():
            self._find_leaf(update, sealed.leaf)
            logged = True
        self._check_releases(scope, plan)
        batches.close(scope, plan, sealed.leaf)
        since = self._record.waiting_since
        late = {entry for entry in scope.pending if since.get(entry, plan.number) < plan.number}
        if late - scope.withdrawals.keys():
            # A filing may miss the batch that was being planned when it came, not the next one too.
            self._docket.note(
                StateConflict(Code.OUT_OF_ORDER, "filings accepted by all trustees are left out again")
            )
        return logged

    def _check_releases(self, scope: ScopeState, plan: BatchPlan) -> None:
        """From every trustee, evaluator or not: fewer blobs would show that nothing matched."""
        shown = self._record.messages(plan.fingerprint, Outgoing.RELEASES)
        for index in range(1, self._committee.count + 1):
            with self._docket.noting():
                if index not in shown:
                    detail = f"the record lacks the release batch of trustee {index}"
                    raise VerificationFailed(Code.LENGTH, detail)
                message = ReleaseBatch.decode(shown[index])
                release.check_batch(self._committee, message, plan.fingerprint, scope.policy.release_blobs)

    def _find_leaf(self, update: LogUpdate, leaf: bytes) -> None:
        log.check_leaf(self._committee, update.note, leaf, update.index, update.inclusion)
        self._explained.add(update.index)

    def _advance(self, note: bytes, consistency: Sequence[bytes]) -> None:
        """Take a note into the one history, or say which trustees signed two."""
        verified = log.verify_note(self._committee, note)
        head = verified.checkpoint
        cosigners = self._cosigners(verified.times)
        known = self._notes.get(head.size)
        if known is not None:
            if known[0] != head.root:
                raise VerificationFailed(
                    Code.FORK,
                    f"two notes show different logs of {head.size} leaves",
                    culprits=tuple(sorted(known[1] & cosigners)),
                )
            return
        shown = LogView(head.size, head.root)
        smaller, larger = (self._view, shown) if self._view.size <= head.size else (shown, self._view)
        merkle.verify_consistency(smaller.size, smaller.root, larger.size, larger.root, tuple(consistency))
        self._notes[head.size] = (head.root, cosigners)
        self._view = larger

    def _cosigners(self, times: Mapping[str, int]) -> frozenset[int]:
        everyone = range(1, self._committee.count + 1)
        return frozenset(index for index in everyone if log.cosigner_name(self._committee, index) in times)
