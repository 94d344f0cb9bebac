"""The batch machine: when each step happens, what waits, what stops it, the same bytes after a restart."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from tests.support.world import World

from notalone_crypto.errors import (
    Code,
    CommitteeHalted,
    ContextMismatch,
    MalformedInput,
    NotAloneError,
    StateConflict,
)
from notalone_crypto.messages.evaluation import BatchPlan, PlanVote, RecordVote
from notalone_crypto.messages.filing import Acceptance
from notalone_crypto.protocol import intake, persist
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import TRANSITIONS, Event, Outgoing, Phase, Post, TrusteeState
from notalone_crypto.protocol.withdraw import WEEK_SECONDS
from notalone_crypto.suite import Tag


def small(**settings: Any) -> World:
    return World(**{"members": 32, "slots": (1,), **settings})


def refused(world: World, plan: BatchPlan, code: Code) -> None:
    before = persist.dump(world.machines[1].state)
    with pytest.raises(NotAloneError) as caught:
        world.machines[1].receive_plan(plan, world.now, world.randomness)
    assert caught.value.code == code
    assert persist.dump(world.machines[1].state) == before


def test_second_plan_waits_and_the_first_is_repeated() -> None:
    """BAT-1."""
    world = small()
    world.file(0, b"bob")
    plan = world.plan()
    first = world.machines[1].receive_plan(plan, world.now, world.randomness)
    assert [post.kind for post in first] == [Outgoing.PLAN_VOTE]
    assert world.machines[1].receive_plan(plan, world.now, world.randomness) == first
    refused(world, replace(plan, opened_at=plan.opened_at + 1), Code.BATCH_OPEN)


def test_entry_that_not_everybody_accepted_is_refused() -> None:
    """BAT-4."""
    world = small()
    sealed = world.seal(0, world.report(b"bob"))
    machine = world.machines[1]
    intake.receive_filings(machine.state, machine.secrets, world.view(), [sealed.filing], world.randomness)
    plan = world.plan((sealed.header.entry,))
    refused(world, plan, Code.UNKNOWN_ENTRY)
    refused(world, replace(plan, entries=(bytes(32),)), Code.UNKNOWN_ENTRY)
    for index in (2, 3):
        other = world.machines[index]
        (post,), _ = intake.receive_filings(
            other.state, other.secrets, world.view(), [sealed.filing], world.randomness
        )
        refused(world, plan, Code.UNKNOWN_ENTRY)
        intake.receive_acceptance(machine.state, world.view(), Acceptance.decode(post.payload))
    assert machine.receive_plan(plan, world.now, world.randomness)


def test_plans_that_an_honest_board_never_makes() -> None:
    """BAT-2, BAT-3, EPO-1 and the rest of a plan, field by field."""
    world = small()
    sealed = world.file(0, b"bob")
    plan, entry = world.plan(), sealed.header.entry
    for change, code in (
        ({"committee": bytes(32)}, Code.COMMITTEE),
        ({"generation": 1}, Code.COMMITTEE),
        ({"number": 2}, Code.ROLLBACK),
        ({"number": 0}, Code.ROLLBACK),
        ({"previous": b"\x01" * 32}, Code.ROLLBACK),
        ({"opened_at": world.now + 601}, Code.PERIOD),
        ({"epoch": 1}, Code.OUT_OF_ORDER),
        ({"evaluators": (1, 2)}, Code.PARAMETERS),
        ({"evaluators": (1, 3, 2)}, Code.PARAMETERS),
        ({"evaluators": (1, 2, 2)}, Code.PARAMETERS),
        ({"evaluators": (0, 1, 2)}, Code.PARAMETERS),
        ({"evaluators": (1, 2, 4)}, Code.PARAMETERS),
        ({"evaluators": ()}, Code.PARAMETERS),
        ({"entries": (entry, entry)}, Code.DUPLICATE),
        ({"withdrawn": (entry,), "entries": ()}, Code.UNKNOWN_ENTRY),
        ({"expired": (entry,), "entries": ()}, Code.EXPIRED),
    ):
        refused(world, replace(plan, **change), code)  # type: ignore[arg-type]
    with pytest.raises(ContextMismatch) as caught:
        world.machines[1].receive_plan(replace(plan, scope=bytes(32)), world.now, world.randomness)
    assert caught.value.code == Code.SCOPE


def test_a_plan_seen_late_is_taken_unless_it_was_dated_back_to_keep_what_expired() -> None:
    """BAT-10. Attack: the board dates a plan back, so that an expired entry is still compared."""
    world = small()
    world.file(0, b"bob")
    plan = world.plan()
    world.now += 601
    late = copy.deepcopy(world.machines[1])
    assert late.receive_plan(plan, world.now, world.randomness)
    present = copy.deepcopy(world.machines[1])
    with pytest.raises(ContextMismatch):  # it looked just now, and there was no plan
        present.receive_plan(plan, world.now, world.randomness, absent=world.now)
    assert present.receive_plan(plan, world.now, world.randomness, absent=plan.opened_at)
    world.now += 60 * WEEK_SECONDS
    refused(world, plan, Code.PERIOD)
    votes = [
        copy.deepcopy(world.machines[index]).receive_plan(plan, plan.opened_at, world.randomness)[0].payload
        for index in (2, 3)
    ]
    machine = copy.deepcopy(world.machines[1])
    for short in (votes[:1], [votes[0], votes[0]], [votes[0], votes[1][:-1] + bytes([votes[1][-1] ^ 1])]):
        with pytest.raises(ContextMismatch) as caught:
            machine.receive_plan(plan, world.now, world.randomness, short)
        assert caught.value.code == Code.PERIOD
    assert machine.receive_plan(plan, world.now, world.randomness, votes)
    other = replace(plan, opened_at=plan.opened_at + 1)
    with pytest.raises(ContextMismatch):
        copy.deepcopy(world.machines[1]).receive_plan(other, world.now, world.randomness, votes)


def test_epoch_grows_exactly_when_an_evaluated_entry_leaves() -> None:
    """EPO-1."""
    world = small()
    first, second = world.file(0, b"bob"), world.file(1, b"al")
    world.run_batch()
    waiting = world.file(2, b"bob")
    world.withdraw(waiting)
    plan = world.plan()
    assert plan.epoch == 0  # it was never evaluated
    refused(world, replace(plan, epoch=1), Code.OUT_OF_ORDER)
    world.run_batch(plan)
    before = {entry: outline.points for entry, outline in world.scope_of(1).outlines.items()}
    world.withdraw(first)
    plan = world.plan()
    assert plan.epoch == 1
    refused(world, replace(plan, epoch=0), Code.OUT_OF_ORDER)
    refused(world, replace(plan, withdrawn=()), Code.OUT_OF_ORDER)
    world.run_batch(plan)
    after = world.scope_of(1).outlines
    assert set(after) == set(world.scope_of(1).live) == {second.header.entry}
    for old, new in zip(before[second.header.entry], after[second.header.entry].points, strict=True):
        assert old.x != new.x  # EPO-2
        assert old.curve != new.curve


def test_a_withdrawal_that_is_due_cannot_be_left_out() -> None:
    """BAT-3, WD-3: nothing of what left stays."""
    world = small()
    sealed = world.file(0, b"bob")
    world.run_batch()
    world.withdraw(sealed)
    world.run_batch(replace(world.plan(), withdrawn=(), epoch=0))  # may have crossed: once
    refused(world, replace(world.plan(), withdrawn=(), epoch=0), Code.OUT_OF_ORDER)
    kept = world.scope_of(1).live[sealed.header.entry]
    share = kept.secrets.shares.identifiers[0].value
    product, point = kept.products[0], world.scope_of(1).outlines[sealed.header.entry].points[0]
    world.run_batch()
    stored = persist.dump(world.machines[1].state)
    for secret in (share, product, point.x, kept.secrets.masks[0].value):
        for order in ("big", "little"):  # numbers are stored in the one, packed points in the other
            assert secret.to_bytes(32, order) not in stored
    assert point.curve not in stored


def test_no_opening_before_all_votes() -> None:
    """BAT-7: two votes of three move nobody; a vote for another plan is no vote."""
    world = small()
    world.file(0, b"bob")
    votes = world.start_batch()
    machine = world.machines[1]
    scope = world.policy.scope
    payload = {sender: post.payload for sender, post in votes}
    assert machine.receive_message(scope, Outgoing.PLAN_VOTE, payload[2], world.randomness) == []
    assert machine.receive_message(scope, Outgoing.PLAN_VOTE, payload[2], world.randomness) == []
    assert world.scope_of(1).phase == Phase.VOTING
    other = sign_message(
        replace(PlanVote.decode(payload[3]), plan=bytes(32)), world.secrets[3].signing_key, Tag.PLAN_VOTE
    )
    with pytest.raises(StateConflict) as caught:
        machine.receive_message(scope, Outgoing.PLAN_VOTE, other.encode(), world.randomness)
    assert caught.value.code == Code.OUT_OF_ORDER
    assert world.scope_of(1).phase == Phase.VOTING
    posts = machine.receive_message(scope, Outgoing.PLAN_VOTE, payload[3], world.randomness)
    assert [post.kind for post in posts] == [Outgoing.ROUND_ONE]


def test_empty_batch_leaves_a_leaf() -> None:
    """BAT-9."""
    world = small()
    size, leaf = world.tree.size, world.scope_of(1).leaf
    kinds = [post.kind for _, post in world.run_batch()]
    assert world.tree.size == size + 1
    assert world.scope_of(1).leaf != leaf
    for kind in (
        Outgoing.PLAN_VOTE,
        Outgoing.ROUND_ONE,
        Outgoing.ROUND_TWO,
        Outgoing.RELEASES,
        Outgoing.RECORD_VOTE,
    ):
        assert kinds.count(kind) == 3


def test_messages_in_any_order_and_twice_end_alike() -> None:
    """Votes of others before the plan wait at the service; later phases wait in the machine."""
    world = small()
    world.file(0, b"bob")
    world.file(1, b"bob")
    queue = world.start_batch()
    while queue:
        sender, post = queue.pop()  # newest first
        if post.kind in {Outgoing.RELEASES, Outgoing.INCLUSION}:
            continue
        for index, machine in world.machines.items():
            if index != sender:
                for _ in range(2):
                    fresh = machine.receive_message(post.scope, post.kind, post.payload, world.randomness)
                    queue += [(index, one) for one in fresh]
    assert {world.scope_of(index).phase for index in (1, 2, 3)} == {Phase.LOGGING}
    world.close_batch()
    assert len({world.scope_of(index).leaf for index in (1, 2, 3)}) == 1


def test_two_different_messages_for_one_place_name_their_sender() -> None:
    """BAT-6."""
    world = small()
    world.file(0, b"bob")
    votes = dict(world.start_batch())
    vote = PlanVote.decode(votes[2].payload)
    other = sign_message(replace(vote, salt=bytes(32)), world.secrets[2].signing_key, Tag.PLAN_VOTE)
    world.machines[1].receive_message(
        world.policy.scope, Outgoing.PLAN_VOTE, votes[2].payload, world.randomness
    )
    with pytest.raises(StateConflict) as caught:
        world.machines[1].receive_message(
            world.policy.scope, Outgoing.PLAN_VOTE, other.encode(), world.randomness
        )
    assert (caught.value.code, caught.value.culprits) == (Code.EQUIVOCATION, (2,))


def test_kinds_that_trustees_do_not_exchange() -> None:
    world = small()
    for kind in (Outgoing.RELEASES, Outgoing.ACCEPTANCE, Outgoing.COSIGNATURE):
        with pytest.raises(MalformedInput):
            world.machines[1].receive_message(world.policy.scope, kind, b"", world.randomness)


def test_a_different_leaf_halts_for_good_and_after_a_restart() -> None:
    world = small()
    world.file(0, b"bob")
    queue, last = world.start_batch(), []
    while queue:
        sender, post = queue.pop(0)
        if post.kind == Outgoing.RECORD_VOTE:
            last.append((sender, post))
            continue
        if post.kind in {Outgoing.RELEASES, Outgoing.INCLUSION}:
            continue
        for index, machine in world.machines.items():
            if index != sender:
                queue += [
                    (index, one)
                    for one in machine.receive_message(post.scope, post.kind, post.payload, world.randomness)
                ]
    votes = {sender: RecordVote.decode(post.payload) for sender, post in last}
    forked = sign_message(replace(votes[2], leaf=bytes(32)), world.secrets[2].signing_key, Tag.BATCH_RECORD)
    machine, scope = world.machines[1], world.policy.scope
    machine.receive_message(scope, Outgoing.RECORD_VOTE, forked.encode(), world.randomness)
    with pytest.raises(CommitteeHalted) as caught:
        machine.receive_message(scope, Outgoing.RECORD_VOTE, votes[3].encode(), world.randomness)
    assert (caught.value.code, caught.value.culprits) == (Code.FORK, (2,))
    again = Machine(world.committee, machine.secrets, persist.load(persist.dump(machine.state), TrusteeState))
    for one in (machine, again):
        with pytest.raises(CommitteeHalted) as caught:
            one.receive_plan(world.plan(()), world.now, world.randomness)
        assert caught.value.code == Code.FORK
        assert "trustees 2" in str(caught.value)


def test_every_phase_has_one_way_on_and_the_circle_closes() -> None:
    phase, seen = Phase.IDLE, []
    for event in Event:
        phase = TRANSITIONS[phase, event]
        seen.append(phase)
    assert phase == Phase.IDLE
    assert set(seen) == set(Phase) - {Phase.HALTED}
    # Beside the circle: a vote that opened nothing may go to a newer plan.
    assert len(TRANSITIONS) == len(Event) + 1
    assert TRANSITIONS[Phase.VOTING, Event.PLAN] == Phase.VOTING


def reload(world: World, index: int) -> None:
    """Kill and start: all that survives is the stored bytes."""
    machine = world.machines[index]
    data = persist.dump(machine.state)
    state = persist.load(data, TrusteeState)
    assert persist.dump(state) == data
    assert state == machine.state
    world.machines[index] = Machine(world.committee, machine.secrets, state)


def story(*, reloads: bool) -> tuple[World, list[tuple[int, Outgoing, object]], set[Phase]]:
    """A match, a withdrawal and a re-output; each trustee may be reloaded before every single message."""
    world, seen, phases = small(release_blobs=3), [], set()
    first = world.file(0, b"bob")
    world.file(1, b"bob")
    for _ in range(2):
        queue = world.start_batch()
        while queue:
            sender, post = queue.pop(0)
            seen.append((sender, post.kind, shown(post)))
            if post.kind in {Outgoing.RELEASES, Outgoing.INCLUSION}:
                continue
            for index in world.machines:
                if index != sender:
                    if reloads:
                        phases.add(world.scope_of(index).phase)
                        reload(world, index)
                    fresh = world.machines[index].receive_message(
                        post.scope, post.kind, post.payload, world.randomness
                    )
                    queue += [(index, one) for one in fresh]
        if reloads:
            phases |= {world.scope_of(index).phase for index in world.machines}
            for index in world.machines:
                reload(world, index)
        world.close_batch()
        world.withdraw(first)
    return world, seen, phases


def shown(post: Post) -> object:
    """The post's bytes; HPKE draws its own randomness, so of what it seals only the size."""
    return len(post.payload) if post.kind in {Outgoing.RELEASES, Outgoing.INCLUSION} else post.payload


def test_stopped_at_any_message_and_reloaded_gives_the_same_posts() -> None:
    """BAT-5, EVAL-5."""
    plain_world, plain, _ = story(reloads=False)
    world, seen, phases = story(reloads=True)
    assert seen == plain
    assert (
        world.scope_of(2) == plain_world.scope_of(2) or world.scope_of(2).leaf == plain_world.scope_of(2).leaf
    )
    assert {Phase.VOTING, Phase.ROUND_ONE, Phase.ROUND_TWO, Phase.RECORDING, Phase.LOGGING} <= phases
