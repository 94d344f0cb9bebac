"""Every way into a trustee, each with a good message that it awaits.

Owns the staging: a machine stopped just before the message counts. Used by the
input attacks, which change the bytes and look at what the trustee remembers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.support.world import World

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, LogUpdate
from notalone_crypto.messages.filing import Acceptance, BundleComplaint, Filing, Withdrawal
from notalone_crypto.protocol import file, intake, log, persist
from notalone_crypto.protocol import withdraw as withdrawals
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.state import Outgoing, Post, TrusteeState

EXCHANGED = (Outgoing.PLAN_VOTE, Outgoing.ROUND_ONE, Outgoing.ROUND_TWO, Outgoing.RECORD_VOTE)


@dataclass
class Entrance:
    """One way in: trustee 1 of `world` awaits `good`, and takes bytes by `give`."""

    name: str
    world: World
    good: bytes
    give: Callable[[Machine, bytes], object]
    before: bytes = field(init=False)
    after: object = field(init=False)

    def __post_init__(self) -> None:
        self.before = persist.dump(self.machine.state)
        # Once, to know that the message is awaited and what it does.
        self.give(self.machine, self.good)
        self.after = self.meaning()
        self.restore()

    @property
    def machine(self) -> Machine:
        return self.world.machines[1]

    def state(self) -> bytes:
        return persist.dump(self.machine.state)

    def meaning(self) -> object:
        """What the state says, without fresh proofs and seals, which differ each time."""
        state = self.machine.state
        scopes: list[tuple[object, ...]] = []
        for scope in state.scopes.values():
            batch = scope.batch
            heard = {kind: got.get(2) for kind, got in batch.received.items()} if batch else {}
            plan = batch.plan if batch else None
            view = batch.cosigned if batch else None
            pending = {name: sorted(one.acceptances) for name, one in scope.pending.items()}
            scopes.append(
                (scope.phase, scope.number, scope.leaf, pending, set(scope.gone), plan, view, heard)
            )
            scopes.append(tuple(scope.withdrawals))
        return scopes, state.log, set(state.seen_encs), {key: set(one) for key, one in state.spent.items()}

    def restore(self) -> None:
        self.machine.state = persist.load(self.before, TrusteeState)


def hold(
    world: World, posts: list[tuple[int, Post]], kind: Outgoing, sender: int = 2, reader: int = 1
) -> bytes:
    """Deliver everything but `sender`'s message of `kind` to `reader`, as far as that goes."""
    queue, held = list(posts), b""
    while queue:
        origin, post = queue.pop(0)
        if post.kind not in EXCHANGED:
            continue
        for index, machine in world.machines.items():
            if index == origin:
                continue
            if (origin, post.kind, index) == (sender, kind, reader):
                held = post.payload
                continue
            queue += [
                (index, one)
                for one in machine.receive_message(post.scope, post.kind, post.payload, world.randomness)
            ]
    return held


def bad_bundle(world: World, sealed: file.SealedReport, trustee: int) -> Filing:
    """Her filing with junk in one trustee's bundle, signed by her: she, not the board, did it."""
    bundles = list(sealed.filing.bundles)
    bundles[trustee - 1] = bytes(len(bundles[trustee - 1]))
    return file.sign_filing(replace(sealed.filing, bundles=tuple(bundles)), sealed.owner.signing_key)


def before_a_batch() -> list[Entrance]:
    """Filing, acceptance, complaint, withdrawal, plan and policy, in one world."""
    world = World(slots=(1,))
    view = world.view()
    held = world.file(1, b"bob")
    accepted = world.seal(2, world.report(b"al")).filing
    broken = bad_bundle(world, world.seal(3, world.report(b"cy")), 2)
    acceptance = complaint = b""
    for index, machine in world.machines.items():
        posts, _ = intake.receive_filings(
            machine.state, machine.secrets, view, [accepted, broken], world.randomness
        )
        if index == 2:
            acceptance, complaint = (post.payload for post in posts)

    def filing(machine: Machine, data: bytes) -> None:
        decoded = Filing.decode(data)
        _, errors = intake.receive_filings(machine.state, machine.secrets, view, [decoded], world.randomness)
        if errors[0] is not None:
            raise errors[0]

    def complain(machine: Machine, data: bytes) -> None:
        intake.receive_complaint(machine.state, view, broken, BundleComplaint.decode(data))

    policy = replace(world.policy, quota=20)
    updates = world.append_leaf(log.policy_leaf(policy))
    return [
        Entrance("filing", world, world.seal(4, world.report(b"dan")).filing.encode(), filing),
        Entrance(
            "acceptance",
            world,
            acceptance,
            lambda machine, data: intake.receive_acceptance(machine.state, view, Acceptance.decode(data)),
        ),
        Entrance("complaint", world, complaint, complain),
        Entrance(
            "withdrawal",
            world,
            withdrawals.withdraw(held.header.entry, held.owner.signing_key).encode(),
            lambda machine, data: intake.receive_withdrawal(machine.state, view, Withdrawal.decode(data)),
        ),
        Entrance(
            "plan",
            world,
            world.plan((held.header.entry,)).encode(),
            lambda machine, data: machine.receive_plan(
                BatchPlan.decode(data), world.now, world.randomness, absent=world.now
            ),
        ),
        Entrance(
            "policy",
            world,
            policy.encode(),
            lambda machine, data: machine.approve_policy(ScopePolicy.decode(data), updates, world.now),
        ),
    ]


def during_a_batch(kind: Outgoing) -> Entrance:
    """Trustee 1 awaits trustee 2's message of `kind` and has all others'."""
    world = World(slots=(1,))
    world.file(1, b"bob")
    world.file(2, b"bob")
    payload = hold(world, world.start_batch(), kind)
    scope = world.policy.scope
    return Entrance(
        kind.value,
        world,
        payload,
        lambda machine, data: machine.receive_message(scope, kind, data, world.randomness),
    )


def closing_a_batch() -> list[Entrance]:
    """Log update and cosigned note."""
    entrances = []
    world = World(slots=(1,))
    world.file(1, b"bob")
    world.deliver(world.start_batch())
    scope = world.policy.scope
    record = world.scope_of(2).batch.sealed_record  # type: ignore[union-attr]
    update = world.append_leaf(record.leaf)  # type: ignore[union-attr]
    entrances.append(
        Entrance(
            "log update",
            world,
            update.encode(),
            lambda machine, data: machine.receive_log(scope, LogUpdate.decode(data), world.now),
        )
    )
    second = World(slots=(1,))
    second.file(1, b"bob")
    second.deliver(second.start_batch())
    leaf = second.scope_of(2).batch.sealed_record.leaf  # type: ignore[union-attr]
    note = second.log_leaf(leaf, lambda machine, one: machine.receive_log(scope, one, second.now)[0])
    entrances.append(Entrance("note", second, note, lambda machine, data: machine.receive_note(scope, data)))
    return entrances


def all_entrances() -> list[Entrance]:
    """Every one of them; about a second to build."""
    return [*before_a_batch(), *(during_a_batch(kind) for kind in EXCHANGED), *closing_a_batch()]
