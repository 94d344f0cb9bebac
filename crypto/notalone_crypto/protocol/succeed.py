"""From one generation to the next: the state before a re-share, and after.

Owns what a re-share starts from, what a new trustee takes over, and how live
entries move on (specs/20-protocol.md#re-share). Refuses to know dealings
(protocol/reshare.py) and manifests (protocol/succession.py).

A re-share happens between batches. What was accepted and not yet evaluated is
carried: shared again and accepted again under the new subset keys. So is every
live entry after a re-key, since the old products mean nothing under a new k_T.
What not everybody accepted is dropped; its owner files again to the new keys.
Old secrets are erased when `adopt` returns: bundles are opened on arrival, so
none is left that an old key would have to open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from notalone_crypto.errors import Code, ContextMismatch, MalformedInput, StateConflict
from notalone_crypto.messages.committee import TrusteeKeys
from notalone_crypto.messages.filing import Acceptance
from notalone_crypto.messages.reshare import (
    ReshareApproval,
    ReshareDealing,
    ResharePlan,
)
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.protocol import persist, reshare
from notalone_crypto.protocol.accept import EntryShares, accept_entry
from notalone_crypto.protocol.entries import EntrySecrets, PublicEntry
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.outline import Outline
from notalone_crypto.protocol.reshare_open import Reshared
from notalone_crypto.protocol.state import (
    LiveEntry,
    Outgoing,
    PendingEntry,
    Phase,
    Post,
    ScopeState,
    TrusteeState,
)
from notalone_crypto.protocol.withdraw import check_withdrawal
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import Tag

_NO_SHARES = EntryShares((), (), ())


@dataclass(frozen=True, slots=True)
class _Carried:
    """The two lists of a plan, as one state has them."""

    live: tuple[bytes, ...]
    pending: tuple[bytes, ...]


def make_plan(
    old: Committee,
    state: TrusteeState,
    keys: Sequence[TrusteeKeys],
    *,
    names: tuple[str, ...] | None = None,
    dealers: tuple[int, ...] | None = None,
    rekey: bool = False,
    not_before: int = 0,
) -> ResharePlan:
    """The plan of a re-share from here to `keys`; by default every old trustee deals."""
    carried = _carried(old, state)
    return ResharePlan(
        old.identifier,
        old.fingerprint,
        old.manifest.generation + 1,
        int(rekey),
        not_before,
        reshare.keys_digest(keys),
        names or old.manifest.parameters.trustees,
        dealers or tuple(range(1, old.count + 1)),
        state_digest(old, state),
        carried.live,
        carried.pending,
    )


def check_plan(old: Committee, state: TrusteeState, plan: ResharePlan, keys: Sequence[TrusteeKeys]) -> None:
    """Raise unless the plan leaves out nothing and adds nothing to what this trustee holds.

    Raises: StateConflict (state.batch_open, state.unknown_entry, state.rollback),
    ContextMismatch, CeremonyFailed.
    """
    reshare.check_new_keys(old, plan, keys)
    _check_idle(state)
    if _Carried(plan.live, plan.pending) != _carried(old, state):
        raise StateConflict(Code.UNKNOWN_ENTRY, "the plan carries other entries than this trustee would")
    if plan.state != state_digest(old, state):
        raise StateConflict(Code.ROLLBACK, "old trustees do not agree about the state that is carried over")


def public_entries(state: TrusteeState, plan: ResharePlan) -> dict[bytes, PublicEntry]:
    """Every entry of a plan as it stands before the re-share, for `reshare.Resharing`."""
    known: dict[bytes, PublicEntry] = {}
    for scope in state.scopes.values():
        known |= {entry: live.public for entry, live in scope.live.items()}
        known |= {entry: _public_of(pending) for entry, pending in scope.pending.items()}
    return {entry: known[entry] for entry in plan.live + plan.pending if entry in known}


def held_secrets(state: TrusteeState) -> dict[bytes, EntrySecrets]:
    """A dealer's secrets of every entry, for `reshare.deal`."""
    held: dict[bytes, EntrySecrets] = {}
    for scope in state.scopes.values():
        held |= {entry: live.secrets for entry, live in scope.live.items()}
        held |= {entry: EntrySecrets(pending.shares, (), ()) for entry, pending in scope.pending.items()}
    return held


def deal(
    old: Committee,
    secrets: TrusteeSecrets,
    state: TrusteeState,
    plan: ResharePlan,
    keys: Sequence[TrusteeKeys],
    approvals: Sequence[ReshareApproval],
    now: int,
    randomness: Randomness,
) -> tuple[ReshareDealing, ...]:
    """An old trustee's dealings for an approved plan that carries exactly what it holds.

    Raises: as `check_plan` and `reshare.check_approved`.
    """
    check_plan(old, state, plan, keys)
    resharing = reshare.Resharing(old, plan, tuple(keys), public_entries(state, plan))
    return reshare.deal(resharing, secrets, held_secrets(state), approvals, now, randomness)


def state_digest(old: Committee, state: TrusteeState) -> bytes:
    """32-byte hash of what old trustees must agree about; equal on all of them between batches."""
    parts = [persist.dump(state.log)]
    carried = set(_carried(old, state).pending)
    for name, scope in sorted(state.scopes.items()):
        parts += [name, scope.policy.fingerprint, scope.leaf]
        parts.append(persist.dump((scope.number, scope.epoch, scope.opened_at)))
        live = [(one.public, one.products, scope.outlines[entry]) for entry, one in scope.live.items()]
        parts.append(persist.dump((live, scope.groups, scope.released, scope.queue)))
        waiting = [_public_of(held) for one, held in sorted(scope.pending.items()) if one in carried]
        parts.append(persist.dump(waiting))
    return digest(Tag.RESHARE, b"state", *parts)


def handover(old: Committee, state: TrusteeState) -> bytes:
    """What a new trustee needs to know, as canonical bytes and without any secret; for trustees only."""
    _check_idle(state)
    carried = set(_carried(old, state).pending)
    scopes = {}
    for name, scope in state.scopes.items():
        scopes[name] = replace(
            scope,
            live={
                entry: replace(live, secrets=EntrySecrets(_NO_SHARES, (), ()))
                for entry, live in scope.live.items()
            },
            pending={
                entry: replace(pending, shares=_NO_SHARES, own=b"")
                for entry, pending in scope.pending.items()
                if entry in carried
            },
            searched={},
            finders={},
            last_outbox=[],
            last_batch=(b"", {}),
        )
    return persist.dump(replace(state, scopes=scopes))


def take_over(old: Committee, data: bytes, plan: ResharePlan) -> TrusteeState:
    """The state a new trustee starts from, if it is the one that old trustees approved.

    Spent tags, seen encs and names that are gone rest on the word of whoever
    handed over; a lie about them only makes this trustee accept what others refuse.
    Raises: MalformedInput, StateConflict (state.rollback), VerificationFailed.
    """
    state = persist.load(data, TrusteeState)
    _check_idle(state)
    if any(list(scope.outlines) != list(scope.live) for scope in state.scopes.values()):
        raise MalformedInput(Code.RANGE, "what was handed over has other outlines than entries")
    if plan.state != state_digest(old, state):
        raise StateConflict(Code.ROLLBACK, "what was handed over is not what old trustees approved")
    entries = public_entries(state, plan)
    for scope in state.scopes.values():
        for entry, (withdrawal, _) in scope.withdrawals.items():
            if entry in entries:
                check_withdrawal(withdrawal, entries[entry].header)
        scope.withdrawals = {one: kept for one, kept in scope.withdrawals.items() if one in entries}
    return state


def adopt(
    state: TrusteeState,
    plan: ResharePlan,
    committee: Committee,
    secrets: TrusteeSecrets,
    reshared: Reshared,
) -> list[Post]:
    """Move a state into the new generation; the acceptances to post for entries that were carried.

    Store the result, then run a new Machine with the new committee and secrets
    and erase all that is older. Everything is computed before anything changes.
    Raises: ContextMismatch (context.generation), StateConflict.
    """
    if (committee.manifest.previous, committee.manifest.generation) != (plan.previous, plan.generation):
        raise ContextMismatch(Code.GENERATION, "the manifest is not the one this re-share led to")
    if reshare.keys_digest(committee.manifest.trustees) != plan.keys:
        raise ContextMismatch(Code.COMMITTEE, "the manifest has other keys than the approved plan")
    _check_idle(state)
    publics = public_entries(state, plan)
    if set(publics) != set(reshared.entries) or len(publics) != len(plan.live) + len(plan.pending):
        raise StateConflict(Code.UNKNOWN_ENTRY, "the state is not the one that was shared again")
    posts: list[Post] = []
    moved = [_move(scope, plan, committee, secrets, reshared, posts) for scope in state.scopes.values()]
    for scope, (live, pending) in zip(state.scopes.values(), moved, strict=True):
        scope.gone |= set(scope.pending) - set(pending)
        scope.live, scope.pending = live, pending
        scope.withdrawals = {
            entry: kept for entry, kept in scope.withdrawals.items() if entry in live or entry in pending
        }
        scope.phase, scope.halted_because = Phase.IDLE, ""
        if plan.rekey:
            # A new epoch: no point under the old k_T may meet one under the new.
            scope.epoch += 1
            scope.outlines = dict[bytes, Outline]()
            scope.finders, scope.searched = {}, {}
            scope.released -= {due.name for due, _ in scope.queue}
            scope.queue = []  # due again as soon as its match is found again
    return posts


def _move(
    scope: ScopeState,
    plan: ResharePlan,
    committee: Committee,
    secrets: TrusteeSecrets,
    reshared: Reshared,
    posts: list[Post],
) -> tuple[dict[bytes, LiveEntry], dict[bytes, PendingEntry]]:
    live: dict[bytes, LiveEntry] = {}
    pending: dict[bytes, PendingEntry] = {}
    held = {entry: one.public for entry, one in scope.live.items()}
    held |= {entry: _public_of(one) for entry, one in scope.pending.items() if entry in reshared.entries}
    for entry, before in held.items():
        parts = reshared.entries[entry]
        public = replace(before, subset_rows={}, rows=parts.rows)
        shares = EntryShares(*parts.shares[:3])
        if entry in scope.live and not plan.rekey:
            known = scope.live[entry]
            own = EntrySecrets(shares, parts.shares[3], ())
            live[entry] = LiveEntry(public, own, known.products)
            continue
        # Its name among acceptances binds the new manifest and the new rows.
        name = digest(Tag.RESHARE, b"carried", committee.fingerprint, public.commitments_digest())
        own_word = accept_entry(committee, scope.policy, secrets, entry, name)
        accepted: Mapping[int, Acceptance] = {secrets.index: own_word}
        pending[entry] = PendingEntry(
            name,
            public.header,
            public.first_introduction,
            public.second_introduction,
            shares,
            own_word.encode(),
            dict(accepted),
            rows=parts.rows,
        )
        posts.append(Post(Outgoing.ACCEPTANCE, scope.policy.scope, own_word.encode()))
    return live, pending


def _carried(old: Committee, state: TrusteeState) -> _Carried:
    everyone = set(range(1, old.count + 1))
    live: list[bytes] = []
    pending: list[bytes] = []
    for _, scope in sorted(state.scopes.items()):
        live += scope.live
        pending += sorted(one for one, held in scope.pending.items() if set(held.acceptances) == everyone)
    return _Carried(tuple(live), tuple(pending))


def _public_of(pending: PendingEntry) -> PublicEntry:
    return PublicEntry(
        pending.header, pending.first_introduction, pending.second_introduction, {}, pending.rows
    )


def _check_idle(state: TrusteeState) -> None:
    if any(scope.batch is not None for scope in state.scopes.values()):
        raise StateConflict(Code.BATCH_OPEN, "a re-share happens between batches")
