"""What a plan does to a scope: expiry, withdrawal, epochs, outputs, matches, releases.

Owns the checks on a plan and every change of the live entries
(specs/20-protocol.md#batches, #epochs). Refuses to know messages between
trustees (protocol/evaluate.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from notalone_crypto.errors import Code, ContextMismatch, StateConflict
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.messages.release import ReleaseItem
from notalone_crypto.protocol import release, statement
from notalone_crypto.protocol.derived import Search, latest
from notalone_crypto.protocol.entries import EntrySecrets, PublicEntry, agree, derive_secrets
from notalone_crypto.protocol.find import resume_together
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.outline import Outline
from notalone_crypto.protocol.rounds import Batch, Item, Point
from notalone_crypto.protocol.state import LiveEntry, PendingEntry, Phase, ScopeState, TrusteeState
from notalone_crypto.protocol.withdraw import has_expired, period_of
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS


@dataclass(frozen=True, slots=True)
class Workload:
    """The items of a batch with this trustee's secrets, in the plan's order."""

    batch: Batch
    secrets: tuple[EntrySecrets, ...] = field(repr=False)
    known_products: tuple[int, ...] = field(repr=False)  # of the items that only output again


def check_plan(
    committee: Committee,
    scope: ScopeState,
    plan: BatchPlan,
    now: int,
    voted: frozenset[int] = frozenset(),
    absent: int | None = None,
) -> None:
    """Raise unless this trustee would have made the same plan from what it knows.

    `voted`: the other trustees whose verified votes for this very plan were seen.
    `absent`: when this trustee last saw that there was no such plan; None if it never looked.
    """
    if (plan.committee, plan.generation) != (committee.identifier, committee.manifest.generation):
        raise ContextMismatch(Code.COMMITTEE, "a plan for another committee or generation")
    if plan.number != scope.number + 1 or plan.previous != scope.leaf:
        raise StateConflict(
            Code.ROLLBACK,
            f"a plan number {plan.number} after batch {scope.number}: the board or this trustee was restored "
            "from an old copy",
        )
    _check_time(committee, scope, plan, now, voted, absent)
    if scope.number and plan.opened_at < scope.opened_at + scope.policy.batch_seconds:
        raise StateConflict(Code.OUT_OF_ORDER, "this batch comes too soon after the one before")
    evaluators = plan.evaluators
    if list(evaluators) != sorted(set(evaluators)) or not set(evaluators) <= set(
        range(1, committee.count + 1)
    ):
        raise ContextMismatch(Code.PARAMETERS, "the evaluators are not trustees in order")
    # The quorum as well: two plans of one number would else both find evaluators,
    # and a result could be looked at before its batch is the one that closes.
    if len(evaluators) < max(2 * committee.threshold - 1, committee.manifest.parameters.quorum):
        raise ContextMismatch(Code.PARAMETERS, "too few evaluators: 2m - 1 and a quorum are needed")
    _check_departures(committee, scope, plan)
    if len(set(plan.entries)) != len(plan.entries) or set(plan.entries) & set(plan.withdrawn + plan.expired):
        raise StateConflict(Code.DUPLICATE, "an entry appears twice in the plan")
    for entry in plan.entries:
        pending = scope.pending.get(entry)
        if pending is None or set(pending.acceptances) != set(range(1, committee.count + 1)):
            raise StateConflict(Code.UNKNOWN_ENTRY, "the plan has an entry that not everybody accepted")
    _check_periods(scope, plan)
    for entry in plan.entries:
        agree(committee, list(scope.pending[entry].acceptances.values()))
    if plan.epoch != next_epoch(scope, plan.withdrawn + plan.expired):
        raise StateConflict(Code.OUT_OF_ORDER, "the plan names a wrong epoch")


def _check_time(
    committee: Committee,
    scope: ScopeState,
    plan: BatchPlan,
    now: int,
    voted: frozenset[int],
    absent: int | None,
) -> None:
    """A plan may be seen late, by a trustee that was away, but never be dated back.

    Attack: dated back, a plan keeps what expired, or makes up for hours without a batch by many at
    once, each of one report. Late is harmless where nothing expired in between, or where
    threshold-many others voted: an honest one among them compared the plan's time with its clock.
    """
    if plan.opened_at > now + CLOCK_TOLERANCE_SECONDS:
        raise ContextMismatch(Code.PERIOD, "the plan's time is far ahead of this trustee's clock")
    if not _is_late(plan, now) or len(voted) >= committee.threshold:
        return
    if absent is not None and plan.opened_at < absent - CLOCK_TOLERANCE_SECONDS:
        raise ContextMismatch(Code.PERIOD, "the plan is dated before a time when there was none")
    if expired_entries(committee, scope, now) != expired_entries(committee, scope, plan.opened_at):
        raise ContextMismatch(Code.PERIOD, "the plan is late, and an entry expired since it was made")


def _check_periods(scope: ScopeState, plan: BatchPlan) -> None:
    """An entry was filed before its plan was made.

    Attack: dated back across the end of a period, a plan makes an auditor accuse those who accepted its
    entries. Of an entry under older rules the length of its period is not known here any more.
    """
    if not plan.entries:
        return
    rules, headers = scope.policy.fingerprint, [scope.pending[entry].header for entry in plan.entries]
    last = period_of(plan.opened_at + CLOCK_TOLERANCE_SECONDS, scope.policy.period_days)
    if any(header.policy == rules and header.period > last for header in headers):
        raise ContextMismatch(Code.PERIOD, "the plan is dated before a filing in it was made")


def is_newer(committee: Committee, plan: BatchPlan, before: BatchPlan) -> bool:
    """Whether `plan` may take the place of `before`: later, same number, all trustees evaluate both.

    With all of them, two plans of one number are never both opened although votes move: each honest
    trustee votes for later and later plans and opens only its last one, so of two that were opened
    each would be the later one. With smaller sets of evaluators that would not follow.
    """
    everyone = tuple(range(1, committee.count + 1))
    return (
        (plan.committee, plan.generation, plan.scope) == (before.committee, before.generation, before.scope)
        and (plan.number, plan.previous) == (before.number, before.previous)
        and plan.evaluators == before.evaluators == everyone
        and plan.opened_at > before.opened_at + CLOCK_TOLERANCE_SECONDS
    )


def check_replacement(
    committee: Committee, scope: ScopeState, plan: BatchPlan, before: BatchPlan, now: int
) -> None:
    """Raise StateConflict (state.batch_open) unless a vote for `before`, unopened, may go to `plan`.

    Only where an entry expired since: those who come late refuse such a plan, and it would wait for ever.
    """
    stale = _is_late(before, now) and expired_entries(committee, scope, now) != expired_entries(
        committee, scope, before.opened_at
    )
    if scope.phase != Phase.VOTING or not stale or not is_newer(committee, plan, before):
        raise StateConflict(Code.BATCH_OPEN, "the batch before is not closed")


def _is_late(plan: BatchPlan, now: int) -> bool:
    return plan.opened_at < now - CLOCK_TOLERANCE_SECONDS


def next_epoch(scope: ScopeState, leaving: Sequence[bytes]) -> int:
    """A new epoch exactly when an evaluated entry leaves: what was output about it then means nothing."""
    return scope.epoch + int(any(entry in scope.live for entry in leaving))


def expired_entries(committee: Committee, scope: ScopeState, opened_at: int) -> tuple[bytes, ...]:
    """Entries that everybody accepted and whose last week is over at `opened_at`, in order.

    Attack: a filing that only some trustees hold expires, their plans name it
    and the others' do not, and no batch of the scope ever closes again.
    """
    waiting = [
        entry
        for entry, held in scope.pending.items()
        if len(held.acceptances) == committee.count and has_expired(held.header, opened_at)
    ]
    return tuple(sorted(waiting + scope.expiries.expired(scope.outlines, opened_at)))


def prepare(committee: Committee, secrets: TrusteeSecrets, scope: ScopeState, plan: BatchPlan) -> None:
    """Check that all holders agree on every new entry, then erase what leaves and take in what is new.

    Raises: CommitteeHalted before anything was changed or posted.
    """

    def own(pending: PendingEntry) -> EntrySecrets:
        return derive_secrets(committee, scope.policy, secrets, pending.header, pending.shares)

    apply_plan(committee, scope, plan, own)


def apply_plan(
    committee: Committee,
    scope: ScopeState,
    plan: BatchPlan,
    secrets_of: Callable[[PendingEntry], EntrySecrets],
) -> None:
    """What a plan does to the live entries; `secrets_of` is asked once for each new one.

    An auditor, who has no secrets, applies the same rules.
    Raises: CommitteeHalted before anything was changed.
    """
    agreed = {
        entry: agree(committee, list(scope.pending[entry].acceptances.values()))
        for entry in plan.entries
        if entry in scope.pending
    }
    left_keys = set()
    for entry in plan.withdrawn + plan.expired:
        scope.pending.pop(entry, None)
        left = scope.live.pop(entry, None)
        scope.outlines.pop(entry, None)
        if left is not None:
            left_keys.add(left.public.header.recipient_key)
        scope.withdrawals.pop(entry, None)
        scope.gone.add(entry)
    for entry, rows in agreed.items():
        pending = scope.pending.pop(entry)
        public = PublicEntry(
            pending.header, pending.first_introduction, pending.second_introduction, rows, pending.rows
        )
        scope.live[entry] = LiveEntry(public, secrets_of(pending), ())
        scope.outlines[entry] = Outline(public.header.expiry_week)
    departed = set(plan.withdrawn + plan.expired)
    if not departed:
        return
    for position, groups in scope.groups.items():
        scope.groups[position] = [group for group in groups if not departed & set(group)]
    # What waits in the queue was not opened yet, so a withdrawal still stops it.
    scope.queue = [
        (due, number)
        for due, number in scope.queue
        if not departed & {due.entry, *due.members} and due.recipient not in left_keys
    ]


def close(scope: ScopeState, plan: BatchPlan, leaf: bytes) -> None:
    """Remember a closed batch: what the next plan must follow."""
    scope.number = plan.number
    scope.epoch = plan.epoch
    scope.opened_at = plan.opened_at
    scope.leaf = leaf
    scope.batch = None


def adopt_policy(committee: Committee, state: TrusteeState, policy: ScopePolicy) -> None:
    """Serve a scope under a policy that the caller found in the cosigned log.

    Raises: ContextMismatch (context.policy) for a change of slots or levels,
    which would make old entries unreadable; StateConflict (state.batch_open).
    """
    if not set(policy.levels) <= set(committee.manifest.parameters.levels):
        raise ContextMismatch(Code.POLICY, "the committee has no key for a level of this policy")
    known = state.scopes.get(policy.scope)
    if known is None:
        state.scopes[policy.scope] = ScopeState(policy)
    elif (known.policy.slots, known.policy.levels) != (policy.slots, policy.levels):
        raise ContextMismatch(Code.POLICY, "slots and levels of a scope never change")
    elif policy.version < known.policy.version or (
        policy.version == known.policy.version and policy != known.policy
    ):
        # Every policy stays in the log for ever; an old one must not come back.
        raise ContextMismatch(Code.POLICY, "a scope's rules are replaced by a higher version only")
    elif known.batch is not None:
        raise StateConflict(Code.BATCH_OPEN, "a policy changes between batches only")
    else:
        known.policy = policy


def workload(committee: Committee, scope: ScopeState, plan: BatchPlan) -> Workload:
    """The batch as all trustees evaluate it: older entries again if the epoch is new, then new ones."""
    new = set(plan.entries)
    again: list[LiveEntry] = []
    if plan.epoch != scope.epoch:
        again = [live for entry, live in scope.live.items() if entry not in new]
    fresh = [scope.live[entry] for entry in plan.entries]
    items = [Item(live.public, new=False) for live in again] + [Item(live.public, new=True) for live in fresh]
    return Workload(
        Batch(committee, scope.policy, plan, tuple(items)),
        tuple(live.secrets for live in again + fresh),
        tuple(product for live in again for product in live.products),
    )


def store_outputs(
    scope: ScopeState, work: Workload, points: Sequence[Point], products: Sequence[int]
) -> None:
    """Keep every item's points, and a new one's products for later epochs."""
    width = work.batch.width
    for number, item in enumerate(work.batch.items):
        name, own = item.public.name, slice(number * width, (number + 1) * width)
        scope.outlines[name] = scope.outlines[name].with_points(points[own])
        if item.new:
            scope.live[name] = replace(scope.live[name], products=tuple(products[own]))


def matches(scope: ScopeState, position: int, epoch: int) -> list[tuple[bytes, ...]]:
    """The groups of one (slot, level) among all live entries, in order."""
    return list(_search(scope, position, epoch).finder.groups)


def _search(scope: ScopeState, position: int, epoch: int) -> Search:
    """The finder of one (slot, level) with every live entry's output.

    It is kept while the epoch lasts, and then only looks at new entries; it is
    rebuilt from the stored points after a restart or in a new epoch.
    """
    kept = scope.finders.get(position)
    if kept is None or kept.epoch != epoch:
        _rebuild(scope, epoch)
        return scope.finders[position]
    fresh = latest(scope.outlines, kept.known)
    if fresh is None:
        fresh = [entry for entry in scope.outlines if entry not in kept.known]
    outputs = [(entry, points[position]) for entry in fresh if (points := scope.outlines[entry].points)]
    if not outputs:
        return kept
    for entry, point in outputs:
        event = kept.finder.add(entry, point)
        if event is not None:
            kept.changed.add(event.group)
    scope.searched[position] = (kept.finder.representatives, kept.finder.groups)
    return kept


def _rebuild(scope: ScopeState, epoch: int) -> None:
    """Finders of this epoch where there are none, looking at each entry's points once."""
    levels = {
        position: level
        for position, (_, level) in enumerate(statement.positions(scope.policy))
        if position not in scope.finders or scope.finders[position].epoch != epoch
    }
    outputs = (
        (entry, [points[position] for position in levels])
        for entry, outline in scope.outlines.items()
        if (points := outline.points)
    )
    # Equal x and a common curve hold in every epoch or in none: what was
    # searched before needs no second search, else one withdrawal costs N^2.
    before = [scope.searched.get(position, ((), ())) for position in levels]
    finders = resume_together(tuple(levels.values()), outputs, before)
    for position, finder in zip(levels, finders, strict=True):
        scope.finders[position] = Search(epoch, finder, set(range(len(finder.groups))))
        scope.searched[position] = (finder.representatives, finder.groups)


def queue_releases(scope: ScopeState, number: int, epoch: int) -> None:
    """Put every release that is due and was not made before into the queue.

    What a group made due stays due; so only groups that changed are looked at.
    """
    for position, (slot, level) in enumerate(statement.positions(scope.policy)):
        known = scope.groups.setdefault(position, [])
        search = _search(scope, position, epoch)
        if not search.changed:
            continue
        groups = search.finder.groups
        first_in: dict[bytes, list[tuple[bytes, ...]]] = {}
        for founders in known:
            first_in.setdefault(founders[0], []).append(founders)
        for changed in sorted(search.changed):
            members = groups[changed]
            together = set(members)
            candidates = [
                one for member in members for one in first_in.get(member, ()) if together.issuperset(one)
            ]
            founders = min(candidates, key=known.index) if candidates else members[:level]
            if not candidates:
                known.append(founders)
            headers = {entry: scope.live[entry].public.header for entry in members}
            name = release.group_name(scope.policy.scope, slot, level, founders)
            for due in release.due(headers, members, name):
                if due.name not in scope.released:
                    scope.released.add(due.name)
                    scope.queue.append((due, number))
            search.changed.discard(changed)


def release_items(secrets: TrusteeSecrets, scope: ScopeState) -> list[tuple[bytes, ReleaseItem]]:
    """Recipient and signed share for everything in the queue that fits this batch."""
    items = []
    for due, number in scope.queue[: scope.policy.release_blobs]:
        live = scope.live[due.entry]
        share = live.secrets.shares.contents[due.content - 1]
        item = release.make_item(secrets, due, live.public, share, scope=scope.policy.scope, batch=number)
        items.append((due.recipient, item))
    return items


def _check_departures(committee: Committee, scope: ScopeState, plan: BatchPlan) -> None:
    # What became complete after the plan was made may be in it or not.
    recent = {entry for entry, held in scope.pending.items() if held.completed_at >= scope.number}
    known = set(expired_entries(committee, scope, plan.opened_at))
    if list(plan.expired) != sorted(set(plan.expired)) or not known - recent <= set(plan.expired) <= known:
        raise StateConflict(Code.EXPIRED, "the plan names other expired entries than this trustee")
    if len(set(plan.withdrawn)) != len(plan.withdrawn) or set(plan.withdrawn) & set(plan.expired):
        raise StateConflict(Code.DUPLICATE, "an entry leaves twice in the plan")
    for entry in plan.withdrawn:
        if entry not in scope.withdrawals:
            raise StateConflict(Code.UNKNOWN_ENTRY, "the plan withdraws what its owner did not")
    overdue = {
        entry
        for entry, (_, seen) in scope.withdrawals.items()
        if plan.number > seen + 1
        and (entry in scope.live or 0 <= scope.pending[entry].completed_at < scope.number)
    }
    if not overdue <= set(plan.withdrawn + plan.expired):
        # A board that sits on a withdrawal must not get another batch out of it.
        raise StateConflict(Code.OUT_OF_ORDER, "the plan leaves out a withdrawal that is due")
