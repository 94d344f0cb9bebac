"""Before a batch: filings, acceptances, complaints and withdrawals as they arrive.

Owns what a trustee does with each (specs/20-protocol.md#accept). Refuses to
know batches and rounds. Every function checks everything first and changes
the state last: an error leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from notalone_crypto.errors import Code, NotAloneError, StateConflict
from notalone_crypto.messages.filing import Acceptance, BundleComplaint, Filing, Header, Withdrawal
from notalone_crypto.protocol import accept
from notalone_crypto.protocol.accept import View
from notalone_crypto.protocol.keys import TrusteeSecrets
from notalone_crypto.protocol.state import Outgoing, PendingEntry, Phase, Post, ScopeState, TrusteeState
from notalone_crypto.protocol.withdraw import DAY_SECONDS, check_withdrawal
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS


def receive_filings(
    state: TrusteeState,
    secrets: TrusteeSecrets,
    view: View,
    filings: Sequence[Filing],
    randomness: Randomness,
) -> tuple[list[Post], list[NotAloneError | None]]:
    """Acceptances and complaints for filings that arrived together, and each one's refusal or None.

    Together, because the roll's part of the proofs is then paid once.
    """
    posts: list[Post] = []
    errors: list[NotAloneError | None] = [None] * len(filings)
    fresh: list[tuple[int, Filing, Header]] = []
    for number, filing in enumerate(filings):
        try:
            repeated = _repeat(state, view, filing)
            if repeated is not None:
                posts.append(repeated)
                continue
            spent = state.spent.get(Header.decode(filing.header).period, set())
            fresh.append((number, filing, accept.check_cheaply(view, filing, state.seen_encs, spent)))
        except NotAloneError as error:
            errors[number] = error
    verdicts = accept.verify_statements(view, [(filing, header) for _, filing, header in fresh])
    for (number, filing, header), verdict in zip(fresh, verdicts, strict=True):
        if verdict is None:
            try:
                posts.append(_take(state, secrets, view, filing, header, randomness))
            except NotAloneError as error:
                errors[number] = error
        else:
            errors[number] = verdict
    return posts, errors


def not_before(scope: ScopeState, now: int) -> int:
    """The earliest time at which a filing that is new to this trustee may have been made, for its `View`.

    The feed is read in order: what is new stands after the plan of the last closed batch, whose time
    this trustee agreed to. Who was away, or was started again, knows it as well as the others. Before
    the first batch, and after one that wrong clocks dated ahead, the period before this one counts.
    """
    if scope.number and scope.opened_at <= now + CLOCK_TOLERANCE_SECONDS:
        return scope.opened_at - CLOCK_TOLERANCE_SECONDS
    return max(0, now - scope.policy.period_days * DAY_SECONDS)


def receive_acceptance(state: TrusteeState, view: View, acceptance: Acceptance) -> None:
    """Keep another trustee's word about an entry this trustee holds.

    Raises: StateConflict (state.unknown_entry, state.equivocation), VerificationFailed.
    """
    scope = state.scopes[view.policy.scope]
    pending = scope.pending.get(acceptance.entry)
    if pending is None:
        if acceptance.entry in scope.live or acceptance.entry in scope.gone:
            return  # a late copy
        raise StateConflict(Code.UNKNOWN_ENTRY, "an acceptance of an entry not seen here")
    accept.check_acceptance(view.committee, view.policy, acceptance, pending.filing)
    known = pending.acceptances.get(acceptance.trustee)
    if known is not None and known != acceptance:
        raise StateConflict(
            Code.EQUIVOCATION, "a trustee accepted twice, differently", culprits=(acceptance.trustee,)
        )
    pending.acceptances[acceptance.trustee] = acceptance
    if known is None and len(pending.acceptances) == view.committee.count:
        pending.completed_at = _latest(scope)


def receive_complaint(state: TrusteeState, view: View, filing: Filing, complaint: BundleComplaint) -> None:
    """Judge a complaint: a bad filing is refused for good, a false one names its accuser.

    After the accuser's ACCEPT, or once a batch has the entry, it counts for nothing.
    Raises: StateConflict (state.out_of_order), VerificationFailed naming the accuser.
    """
    scope = state.scopes[view.policy.scope]
    header = Header.decode(filing.header)
    entry = header.entry
    pending = scope.pending.get(entry)
    in_batch = scope.batch is not None and entry in scope.batch.plan.entries
    if entry in scope.live or in_batch or (pending is not None and complaint.trustee in pending.acceptances):
        raise StateConflict(Code.OUT_OF_ORDER, "a complaint after acceptance counts for nothing")
    if complaint.entry != entry or complaint.filing != filing.fingerprint:
        raise StateConflict(Code.UNKNOWN_ENTRY, "a complaint about another filing")
    if header.generation != view.committee.manifest.generation:
        # A carried entry's old bundles open under no new key: that is nobody's fault.
        raise StateConflict(Code.GENERATION, "a complaint about a filing of an older generation")
    verdict = accept.judge(view.committee, filing, header, complaint)
    if verdict.culprits:
        raise verdict
    scope.pending.pop(entry, None)
    scope.gone.add(entry)


def receive_withdrawal(state: TrusteeState, view: View, withdrawal: Withdrawal) -> None:
    """Keep a signed withdrawal for the next batch.

    Raises: StateConflict (state.unknown_entry), VerificationFailed (signature.invalid).
    """
    scope = state.scopes[view.policy.scope]
    if withdrawal.entry in scope.gone or withdrawal.entry in scope.withdrawals:
        return
    check_withdrawal(withdrawal, _header_of(scope, withdrawal.entry))
    scope.withdrawals[withdrawal.entry] = (withdrawal, _latest(scope))


def _repeat(state: TrusteeState, view: View, filing: Filing) -> Post | None:
    """The same acceptance again for a filing already held: a board may ask twice."""
    scope = state.scopes[view.policy.scope]
    entry = Header.decode(filing.header).entry
    pending = scope.pending.get(entry)
    if pending is not None and pending.filing == filing.fingerprint:
        return Post(Outgoing.ACCEPTANCE, view.policy.scope, pending.own)
    if entry in scope.gone:
        raise StateConflict(Code.DUPLICATE, "this entry was withdrawn, has expired or was refused")
    if entry in scope.live or pending is not None:
        raise StateConflict(Code.DUPLICATE, "this entry is already held")
    return None


def _take(
    state: TrusteeState,
    secrets: TrusteeSecrets,
    view: View,
    filing: Filing,
    header: Header,
    randomness: Randomness,
) -> Post:
    """First use of the trustee's own key on this filing; enc and tag count as seen from here on."""
    scope = state.scopes[view.policy.scope]
    spent = state.spent.setdefault(header.period, set())
    if header.enc in state.seen_encs:
        raise StateConflict(Code.ENC_REUSED, "this enc was used before")
    if header.quota_tag in spent:
        raise StateConflict(Code.TAG_SPENT, "this quota place is spent")
    try:
        shares = accept.open_bundle(view.committee, secrets, filing, header)
    except NotAloneError:
        complaint = accept.complain(view.committee, secrets, filing, header, randomness)
        scope.gone.add(header.entry)
        post = Post(Outgoing.COMPLAINT, view.policy.scope, complaint.encode())
    else:
        acceptance = accept.accept(view.committee, view.policy, secrets, filing, header)
        scope.pending[header.entry] = PendingEntry(
            filing.fingerprint,
            header,
            filing.first_introduction,
            filing.second_introduction,
            shares,
            acceptance.encode(),
            {secrets.index: acceptance},
        )
        post = Post(Outgoing.ACCEPTANCE, view.policy.scope, acceptance.encode())
    state.seen_encs.add(header.enc)
    spent.add(header.quota_tag)
    return post


def _latest(scope: ScopeState) -> int:
    """The last batch that may be closed by now.

    A trustee that was away may learn of everything since before it learns that its batch is in the
    log; the board, which lacks what this trustee says only now, has perhaps planned the next one.
    """
    return scope.number + int(scope.phase == Phase.LOGGING)


def _header_of(scope: ScopeState, entry: bytes) -> Header:
    if entry in scope.pending:
        return scope.pending[entry].header
    if entry in scope.live:
        return scope.live[entry].public.header
    raise StateConflict(Code.UNKNOWN_ENTRY, "no such entry is held here")
