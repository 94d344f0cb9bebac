"""Operations of a trustee that takes messages from outside and must refuse the bad ones.

Owns how a state is brought about before the message under test, and the check
that a refusal leaves that state as it was, byte for byte. Refuses to know
which cases exist.

A `view` is `{"signed_manifest", "policy", "snapshots": [...], "newest": [...],
"now"}`; `before` lists filings the trustee took first; `gone` entries it
refused or saw withdrawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.vectors.op_committee import committee_of, trustee_from
from tools.vectors.op_wire import spliced
from tools.vectors.registry import Table, VectorMismatchError, operation

from notalone_crypto.errors import NotAloneError
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.messages.filing import Acceptance, BundleComplaint, Filing, Withdrawal
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.protocol import accept, intake, persist, withdraw
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.keys import TrusteeSecrets
from notalone_crypto.protocol.state import Post, ScopeState, TrusteeState
from notalone_crypto.randomness import SeededStream

NO_EDITS: list[Table] = []


@dataclass(slots=True)
class Bench:
    """One trustee, ready for the message under test."""

    view: accept.View
    secrets: TrusteeSecrets
    state: TrusteeState
    stream: SeededStream

    def take(self, filing: bytes) -> list[Post]:
        """Receive one filing; raises its refusal."""
        posts, errors = intake.receive_filings(
            self.state, self.secrets, self.view, [Filing.decode(filing)], self.stream
        )
        for error in errors:
            if error is not None:
                raise error
        return posts

    def unchanged_or(self, action: Callable[[], Table]) -> Table:
        """Run `action`; a refusal must leave the state's bytes as they were."""
        before = persist.dump(self.state)
        try:
            return action()
        except NotAloneError as error:
            if persist.dump(self.state) != before:
                raise VectorMismatchError(
                    f"the state changed although {error.code.value} was raised"
                ) from error
            raise


def bench_of(view: Table, trustee: Table, before: list[bytes], gone: list[bytes], seed: bytes) -> Bench:
    """A trustee that installed the view's policy and took the filings `before`."""
    policy = ScopePolicy.decode(bytes.fromhex(view["policy"]))
    snapshots = [RollSnapshot.decode(bytes.fromhex(one)) for one in view["snapshots"]]
    newest = [RollSnapshot.decode(bytes.fromhex(one)) for one in view["newest"]]
    made = accept.View(
        committee_of(bytes.fromhex(view["signed_manifest"])),
        policy,
        tuple(snapshots),
        {(one.issuer_key, one.cohort): one for one in newest},
        withdraw.period_of(view["now"], policy.period_days),
        view["now"],
    )
    state = TrusteeState(scopes={policy.scope: ScopeState(policy, gone=set(gone))})
    bench = Bench(made, trustee_from(trustee), state, SeededStream(seed))
    for filing in before:
        bench.take(filing)
    return bench


def with_edits(data: bytes, edits: list[Table]) -> bytes:
    """`data` after these splices, one after the other."""
    for splice in edits:
        data = spliced(data, splice)
    return data


@operation("intake.filing")
def filing(
    view: Table,
    trustee: Table,
    before: list[bytes],
    gone: list[bytes],
    seed: bytes,
    data: bytes,
    edits: list[Table] = NO_EDITS,
) -> Table:
    """Receive one filing, `data` after `edits` (splices in order); the posts. A refusal changes nothing."""
    bench = bench_of(view, trustee, before, gone, seed)
    edited = with_edits(data, edits)

    def act() -> Table:
        return {"posts": [{"kind": post.kind.value, "payload": post.payload} for post in bench.take(edited)]}

    return bench.unchanged_or(act)


@operation("intake.acceptance")
def acceptance(
    view: Table, trustee: Table, before: list[bytes], gone: list[bytes], seed: bytes, data: list[bytes]
) -> Table:
    """Receive acceptances in order, the last one being under test; how many are now held of its entry."""
    bench = bench_of(view, trustee, before, gone, seed)
    for one in data[:-1]:
        intake.receive_acceptance(bench.state, bench.view, Acceptance.decode(one))

    def act() -> Table:
        message = Acceptance.decode(data[-1])
        intake.receive_acceptance(bench.state, bench.view, message)
        pending = bench.state.scopes[bench.view.policy.scope].pending.get(message.entry)
        return {"held": 0 if pending is None else len(pending.acceptances)}

    return bench.unchanged_or(act)


@operation("intake.complaint")
def complaint(
    view: Table,
    trustee: Table,
    before: list[bytes],
    gone: list[bytes],
    seed: bytes,
    filing_data: bytes,
    data: bytes,
) -> Table:
    """Receive a complaint about a filing; whether its entry is refused for good."""
    bench = bench_of(view, trustee, before, gone, seed)

    def act() -> Table:
        message = BundleComplaint.decode(data)
        intake.receive_complaint(bench.state, bench.view, Filing.decode(filing_data), message)
        return {"gone": message.entry in bench.state.scopes[bench.view.policy.scope].gone}

    return bench.unchanged_or(act)


@operation("intake.withdrawal")
def withdrawal(
    view: Table, trustee: Table, before: list[bytes], gone: list[bytes], seed: bytes, data: bytes
) -> Table:
    """Receive a withdrawal; whether it waits for the next batch."""
    bench = bench_of(view, trustee, before, gone, seed)

    def act() -> Table:
        message = Withdrawal.decode(data)
        intake.receive_withdrawal(bench.state, bench.view, message)
        return {"waiting": message.entry in bench.state.scopes[bench.view.policy.scope].withdrawals}

    return bench.unchanged_or(act)


@operation("intake.plan")
def plan(
    view: Table,
    trustee: Table,
    before: list[bytes],
    gone: list[bytes],
    seed: bytes,
    acceptances: list[bytes],
    data: bytes,
) -> Table:
    """Receive a plan after these acceptances; the vote."""
    bench = bench_of(view, trustee, before, gone, seed)
    for one in acceptances:
        intake.receive_acceptance(bench.state, bench.view, Acceptance.decode(one))
    machine = Machine(bench.view.committee, bench.secrets, bench.state)

    def act() -> Table:
        posts = machine.receive_plan(BatchPlan.decode(data), bench.view.now, bench.stream)
        return {"posts": [{"kind": post.kind.value, "payload": post.payload} for post in posts]}

    return bench.unchanged_or(act)
