"""A trustee's worker: polls the board, feeds the machine, stores, then posts.

Owns the order "store before post" and what is done with items that come too
early, twice, out of order or damaged. Refuses to know cryptography and HTTP.
It can be killed between any two instructions: what was posted is repeated
byte for byte from the stored outbox.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, CommitteeHalted, MalformedInput, NotAloneError, StateConflict
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, LogUpdate
from notalone_crypto.messages.feed import CONFIDENTIAL_KINDS, Envelope, FeedItem, FeedKind, Nudge
from notalone_crypto.messages.filing import (
    Acceptance,
    BundleComplaint,
    Filing,
    FilingTrace,
    Header,
    Withdrawal,
)
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.protocol import envelope, intake
from notalone_crypto.protocol.accept import View
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.roll import check_snapshot
from notalone_crypto.protocol.state import Outgoing, Phase, Post, ScopeState
from notalone_crypto.randomness import Randomness
from notalone_server.trustee.delivery import deliver, leading
from notalone_server.trustee.memory import Durable, Memory
from notalone_server.trustee.plans import ShownPlans
from notalone_server.trustee.ports import BoardPort, BoardUnreachable, Clock, TrusteeStore

MAX_EARLY_POLLS = 200
MAX_SNAPSHOTS = 64
MAX_BAD_POLLS = 12
MAX_TOGETHER = 16  # filings whose proofs are checked as one
IDLE_POLLS = 10  # after as many without news, see whether the board still has what it once showed
ROLLED_BACK = (
    "the board no longer shows items that this trustee already handled: it was restored from an old copy, "
    "or it shows different pasts to different trustees. Nothing more is signed here. Tell the other "
    "trustees' operators and the board's operator; have the board restored to its newest state; keep this "
    "trustee's database as it is; then start this trustee again"
)
FORKED = (
    "the board's log contradicts what this trustee cosigned before: it was forked. Nothing more is signed "
    "here. Keep this trustee's database as evidence; tell the other trustees' operators and compare the "
    "newest checkpoints with them; start this trustee again only when all agree which log is the true one"
)
_PROVEN = {Code.CONSISTENCY, Code.FORK}  # under the board's own signature
_TOO_EARLY = {Code.OUT_OF_ORDER, Code.UNKNOWN_ENTRY, Code.BATCH_OPEN, Code.SCOPE, Code.SNAPSHOT}


@dataclass(slots=True)
class TrusteeService:
    """One trustee's worker over its ports."""

    committee: Committee
    secrets: TrusteeSecrets = field(repr=False)
    board: BoardPort
    store: TrusteeStore
    clock: Clock
    randomness: Randomness
    approved_policies: frozenset[bytes]  # fingerprints the operator agreed to
    memory: Memory = field(init=False, repr=False)
    machine: Machine = field(init=False)
    halted: str = field(init=False, default="")
    _last_codes: dict[int, Code] = field(init=False, default_factory=dict)
    _quiet: dict[bytes, int] = field(init=False, default_factory=dict)  # polls since the board was compared
    _missing: dict[bytes, int] = field(init=False, default_factory=dict)
    _rolls: dict[bytes, RollSnapshot] = field(init=False, default_factory=dict)  # decoded once
    _news: bool = field(init=False, default=False)  # something was handled and is not stored yet
    _plans: ShownPlans = field(init=False)

    def __post_init__(self) -> None:
        """Load what was stored; what was not yet seen to arrive is posted again."""
        self.memory = self.store.load() or Memory()
        self.machine = Machine(self.committee, self.secrets, self.memory.state)
        self._plans = ShownPlans(self.committee)

    @property
    def durable(self) -> Durable:
        """What the service itself must not forget."""
        return self.memory.durable

    def poll(self, scope_name: bytes) -> int:
        """Handle everything new in one scope's feed; how many items were handled.

        Items that came too early stay for the next poll. A halted committee
        stays halted: `halted` then says why, for the operator.
        """
        self._save_news()  # of a poll that the board interrupted
        self._flush()
        durable = self.durable
        handled = durable.handled.setdefault(scope_name, {})
        after = durable.done.setdefault(scope_name, 0)
        compare = after > 0 and self._quiet.get(scope_name, IDLE_POLLS) >= IDLE_POLLS
        try:
            found = self.board.feed(scope_name, after - int(compare))
        except BoardUnreachable:
            self._quiet[scope_name] = IDLE_POLLS  # who was away may come back as an old copy
            raise
        self._plans.note(scope_name, found, self.clock())
        items = {item.sequence: item for item in found}
        if compare and not self._compare(scope_name, items.get(after)):
            return 0
        waiting = [items[number] for number in sorted(items) if number > after and number not in handled]
        # What is new is looked at again in the next poll: only then can an old copy be told from no news.
        quiet = 0 if compare else self._quiet.get(scope_name, 0) + 1
        self._quiet[scope_name] = IDLE_POLLS if waiting else quiet
        done = 0
        while waiting and not self.halted:
            left = self._handle_in_order(scope_name, waiting)
            done += len(waiting) - len(left)
            if len(left) == len(waiting):
                self._give_up_on_old(scope_name, left)
                break
            waiting = left
        self._save_news()
        return done

    def _compare(self, scope_name: bytes, item: FeedItem | None) -> bool:
        """Whether the board still shows the last item that was handled; halt once it kept failing to.

        Attack: a board restored from an old copy counts its items anew, and
        whoever only asks for higher numbers never learns of it.
        """
        known = self.durable.marks.get(scope_name, b"")
        if not known or (item is not None and _mark(item) == known):
            self._missing.pop(scope_name, None)
            return True
        # One answer may be late or damaged on its way; a board that lost its past stays without it.
        self._missing[scope_name] = self._missing.get(scope_name, 0) + 1
        if self._missing[scope_name] >= MAX_BAD_POLLS:
            self.halted = f"{Code.ROLLBACK}: {ROLLED_BACK}"
        return False

    def repeat_all(self, scope_name: bytes) -> None:
        """Post everything of the current and the last batch again, for a board that lost it."""
        self.durable.unposted += self.machine.repeat(scope_name)
        self._save()
        self._flush()

    def status(self, scope_name: bytes) -> Phase:
        """Where the scope's batch stands."""
        scope = self.machine.state.scopes.get(scope_name)
        return Phase.IDLE if scope is None else scope.phase

    def has_untimely_plan(self, scope_name: bytes) -> bool:
        """Whether a plan waits because its time does not fit this trustee's clock."""
        return any(
            self._last_codes.get(number) == Code.PERIOD and not self._is_done(scope_name, number)
            for number in self._plans.numbers(scope_name)
        )

    def _handle_in_order(self, scope_name: bytes, waiting: list[FeedItem]) -> list[FeedItem]:
        """Those of `waiting` that are not done with.

        What comes after an item of another past may be of that past, too. It waits until the item,
        perhaps only damaged on its way, was read again.
        """
        left: list[FeedItem] = []
        done_with = 0
        for run in _runs(waiting):
            done_with += len(run)
            undone = self._handle_run(scope_name, run)
            left += undone
            if any(self._last_codes.get(item.sequence) == Code.ROLLBACK for item in undone):
                return left + waiting[done_with:]
        return left

    def _handle_run(self, scope_name: bytes, run: list[FeedItem]) -> list[FeedItem]:
        """One item, or filings that stand together: what of it is not done with."""
        if len(run) == 1 or self.halted:
            return [item for item in run if not self._handle(scope_name, item)]
        try:
            filings = [Filing.decode(item.payload) for item in run]
            names = [Header.decode(filing.header).entry for filing in filings]
            # The roll's part of the proofs is paid once for all of them.
            posts, errors = intake.receive_filings(
                self.machine.state,
                self.secrets,
                self._view(self._installed(scope_name)),
                filings,
                self.randomness,
            )
        except NotAloneError:
            return [item for item in run if not self._handle(scope_name, item)]  # each for itself
        left = []
        for item, name, error in zip(run, names, errors, strict=True):
            if error is None:
                self.durable.filings[name] = item.payload
                self._count_done(scope_name, item)
            else:
                self._last_codes[item.sequence] = error.code
                left.append(item)
        self._post(posts)
        return left

    def _handle(self, scope_name: bytes, item: FeedItem) -> bool:
        """One item: whether it is done with. State and posts are stored before anything is posted."""
        if self.halted:
            return False
        if self._is_done(scope_name, item.sequence):
            return True  # a plan whose place another took meanwhile
        try:
            posts = self._dispatch(scope_name, item)
        except CommitteeHalted as error:
            self.halted = str(error)
            self._save()
            return False
        except NotAloneError as error:
            self._last_codes[item.sequence] = error.code
            return False
        self._count_done(scope_name, item)
        self._post(posts)
        return True

    def _count_done(self, scope_name: bytes, item: FeedItem) -> None:
        self._done_with(scope_name, item.sequence, _mark(item))
        self.durable.attempts.get(scope_name, {}).pop(item.sequence, None)
        self._last_codes.pop(item.sequence, None)
        self._news = True

    def _post(self, posts: list[Post]) -> None:
        """Store, then post. What asks for no post may be stored with what comes next.

        Whoever is killed before reads those items once more: the board erases nothing that this
        trustee did not ask past, and a poll ends with everything stored.
        """
        if posts:
            self.durable.unposted += posts
            self._save()
            self._flush()

    def _save_news(self) -> None:
        if self._news:
            self._save()

    def _is_done(self, scope_name: bytes, number: int) -> bool:
        durable = self.durable
        return number <= durable.done.get(scope_name, 0) or number in durable.handled.get(scope_name, {})

    def _done_with(self, scope_name: bytes, number: int, mark: bytes) -> None:
        """Count an item as handled; the numbers below the first gap are one number."""
        durable = self.durable
        handled = durable.handled[scope_name]
        handled[number] = mark
        while durable.done[scope_name] + 1 in handled:
            durable.done[scope_name] += 1
            durable.marks[scope_name] = handled.pop(durable.done[scope_name])

    def _give_up_on_old(self, scope_name: bytes, left: list[FeedItem]) -> None:
        """Count one failed poll for each item; refuse those that can no longer become good.

        A damaged copy may be read again whole, so nothing is refused at once.
        """
        attempts = self.durable.attempts.setdefault(scope_name, {})
        for item in left:
            if item.kind == FeedKind.PLAN and self._last_codes.get(item.sequence) == Code.PERIOD:
                # Some clock is wrong: the plan becomes good with time or with others' votes, and until
                # then nothing that depends on it is any older.
                break
            attempts[item.sequence] = attempts.get(item.sequence, 0) + 1
            code = self._last_codes.get(item.sequence, Code.OUT_OF_ORDER)
            limit = MAX_EARLY_POLLS if code in _TOO_EARLY else MAX_BAD_POLLS
            if attempts[item.sequence] >= limit and code in _PROVEN:
                self.halted = f"{code}: {FORKED}"
            elif attempts[item.sequence] >= limit and code == Code.ROLLBACK:
                self.halted = f"{code}: {ROLLED_BACK}"
            elif attempts[item.sequence] >= limit:
                self.durable.refusals.append((item.sequence, code.value))
                self._done_with(scope_name, item.sequence, b"")
                del attempts[item.sequence]
        self._save()

    def _dispatch(self, scope_name: bytes, item: FeedItem) -> list[Post]:
        if item.kind == FeedKind.ERASED_FILING:
            # This trustee's bundle is gone: it can take no part in that entry any more.
            raise MalformedInput(Code.LENGTH, "a filing whose bundles the board erased")
        try:
            kind = FeedKind(item.kind)
        except ValueError as error:
            raise MalformedInput(Code.RANGE, "an item of a kind that does not exist") from error
        if kind in CONFIDENTIAL_KINDS:
            opened = envelope.open_for(
                self.committee, scope_name, item.kind, Envelope.decode(item.payload), self.secrets.channel_key
            )
            if kind == FeedKind.PLAN_VOTE and self._plans.keep_vote(scope_name, item.sequence, opened):
                return []
            return self.machine.receive_message(scope_name, _outgoing_of(kind), opened, self.randomness)
        handlers: dict[FeedKind, Callable[[bytes, bytes], list[Post]]] = {
            FeedKind.SNAPSHOT: self._snapshot,
            FeedKind.FILING: self._filing,
            FeedKind.ACCEPTANCE: self._acceptance,
            FeedKind.COMPLAINT: self._complaint,
            FeedKind.WITHDRAWAL: self._withdrawal,
            FeedKind.PLAN: self._plan,
            FeedKind.RECORD_VOTE: self._record_vote,
            FeedKind.RELEASES: lambda _scope, _payload: [],
            FeedKind.BATCH_LEAF: self._batch_leaf,
            FeedKind.BATCH_NOTE: self._batch_note,
            FeedKind.POLICY: self._policy,
            FeedKind.POLICY_LEAF: self._policy_leaf,
            FeedKind.POLICY_NOTE: self._policy_note,
        }
        return handlers[kind](scope_name, item.payload)

    def _snapshot(self, scope_name: bytes, payload: bytes) -> list[Post]:
        scope = self._installed(scope_name)
        snapshot = RollSnapshot.decode(payload)
        issuers = [organisation.issuer_key for organisation in scope.policy.organisations]
        check_snapshot(snapshot, scope=scope_name, issuer_keys=issuers, minimum=0)
        kept = self.durable.snapshots.setdefault(scope_name, [])
        kept.append(payload)
        del kept[:-MAX_SNAPSHOTS]
        return []

    def _filing(self, scope_name: bytes, payload: bytes) -> list[Post]:
        scope = self._installed(scope_name)
        filing = Filing.decode(payload)
        posts, errors = intake.receive_filings(
            self.machine.state, self.secrets, self._view(scope), [filing], self.randomness
        )
        if errors[0] is not None:
            raise errors[0]
        self.durable.filings[Header.decode(filing.header).entry] = payload
        return posts

    def _acceptance(self, scope_name: bytes, payload: bytes) -> list[Post]:
        scope = self._installed(scope_name)
        intake.receive_acceptance(self.machine.state, self._view(scope), Acceptance.decode(payload))
        return []

    def _complaint(self, scope_name: bytes, payload: bytes) -> list[Post]:
        scope = self._installed(scope_name)
        complaint = BundleComplaint.decode(payload)
        if complaint.trustee == self.secrets.index:
            return []
        data = self.durable.filings.get(complaint.entry)
        if data is None:
            raise StateConflict(Code.UNKNOWN_ENTRY, "a complaint about a filing not seen here")
        intake.receive_complaint(self.machine.state, self._view(scope), Filing.decode(data), complaint)
        return []

    def _withdrawal(self, scope_name: bytes, payload: bytes) -> list[Post]:
        scope = self._installed(scope_name)
        intake.receive_withdrawal(self.machine.state, self._view(scope), Withdrawal.decode(payload))
        return []

    def _plan(self, scope_name: bytes, payload: bytes) -> list[Post]:
        plan = BatchPlan.decode(payload)
        if plan.scope != scope_name:
            raise StateConflict(Code.SCOPE, "a plan in another scope's feed")
        self._installed(scope_name)
        votes, absent = self._plans.evidence(plan, now := self.clock())
        posts = self.machine.receive_plan(plan, now, self.randomness, votes, absent)
        for number in self._plans.agree(plan):
            if not self._is_done(scope_name, number):
                self._done_with(scope_name, number, bytes([FeedKind.PLAN]))
                self.durable.attempts.get(scope_name, {}).pop(number, None)
        for entry in plan.entries:
            self.durable.filings.pop(entry, None)
        return posts

    def _record_vote(self, scope_name: bytes, payload: bytes) -> list[Post]:
        return self.machine.receive_message(scope_name, Outgoing.RECORD_VOTE, payload, self.randomness)

    def _batch_leaf(self, scope_name: bytes, payload: bytes) -> list[Post]:
        update = self.board.log_update(Nudge.decode(payload).index, self.machine.state.log.size)
        return self.machine.receive_log(scope_name, update, self.clock())

    def _batch_note(self, scope_name: bytes, payload: bytes) -> list[Post]:
        posts = self.machine.receive_note(scope_name, LogUpdate.decode(payload).note)
        self._plans.forget(scope_name, self._installed(scope_name).number)
        return posts

    def _policy(self, scope_name: bytes, payload: bytes) -> list[Post]:
        policy = ScopePolicy.decode(payload)
        if policy.scope != scope_name or policy.fingerprint not in self.approved_policies:
            raise StateConflict(Code.POLICY, "the operator did not approve this policy")
        self.durable.snapshots.setdefault(b"policy" + scope_name, [])[:] = [payload]
        return []

    def _policy_leaf(self, scope_name: bytes, payload: bytes) -> list[Post]:
        policy = self._announced(scope_name)
        update = self.board.log_update(Nudge.decode(payload).index, self.machine.state.log.size)
        return [self.machine.approve_policy(policy, update, self.clock())]

    def _policy_note(self, scope_name: bytes, payload: bytes) -> list[Post]:
        update = LogUpdate.decode(payload)
        self.machine.install_policy(self._announced(scope_name), update.note, update.index, update.inclusion)
        return []

    def _announced(self, scope_name: bytes) -> ScopePolicy:
        kept = self.durable.snapshots.get(b"policy" + scope_name)
        if not kept:
            raise StateConflict(Code.OUT_OF_ORDER, "no policy was announced")
        return ScopePolicy.decode(kept[0])

    def _installed(self, scope_name: bytes) -> ScopeState:
        scope = self.machine.state.scopes.get(scope_name)
        if scope is None:
            raise StateConflict(Code.SCOPE, "the scope's policy is not in the log yet")
        return scope

    def _view(self, scope: ScopeState) -> View:
        now = self.clock()
        known = [self._decoded(data) for data in self.durable.snapshots.get(scope.policy.scope, [])]
        newest = {(snapshot.issuer_key, snapshot.cohort): snapshot for snapshot in known}
        return View(self.committee, scope.policy, known, newest, intake.not_before(scope, now), now)

    def _decoded(self, data: bytes) -> RollSnapshot:
        known = self._rolls.get(data)
        if known is None:
            if len(self._rolls) >= 2 * MAX_SNAPSHOTS:
                self._rolls.clear()
            known = self._rolls[data] = RollSnapshot.decode(data)
        return known

    def _save(self) -> None:
        self.store.save(self.memory)
        self._news = False

    def _flush(self) -> None:
        """Post what is stored and not yet posted; a kill in between only posts it twice."""
        while self.durable.unposted:
            run = leading(self.durable.unposted)
            deliver(self.board, self.committee, self.secrets.index, run, self.randomness)
            del self.durable.unposted[: len(run)]


def _outgoing_of(kind: FeedKind) -> Outgoing:
    return {
        FeedKind.PLAN_VOTE: Outgoing.PLAN_VOTE,
        FeedKind.ROUND_ONE: Outgoing.ROUND_ONE,
        FeedKind.ROUND_TWO: Outgoing.ROUND_TWO,
    }[kind]


def _runs(items: list[FeedItem]) -> list[list[FeedItem]]:
    """The items in order, neighbouring filings together."""
    runs: list[list[FeedItem]] = []
    for item in items:
        last = runs[-1] if runs else []
        if last and item.kind == last[0].kind == FeedKind.FILING and len(last) < MAX_TOGETHER:
            last.append(item)
        else:
            runs.append([item])
    return runs


def _mark(item: FeedItem) -> bytes:
    """By which the same item is known again: its kind, and its content where that is signed.

    A filing keeps its mark when the board erased its bundles.
    """
    try:
        if item.kind == FeedKind.FILING:
            return bytes([FeedKind.FILING]) + Filing.decode(item.payload).fingerprint
        if item.kind == FeedKind.ERASED_FILING:
            return bytes([FeedKind.FILING]) + FilingTrace.decode(item.payload).fingerprint
    except NotAloneError:
        return b""
    if item.kind == FeedKind.SNAPSHOT:
        return bytes([item.kind]) + hashlib.sha256(item.payload).digest()
    return bytes([item.kind])
