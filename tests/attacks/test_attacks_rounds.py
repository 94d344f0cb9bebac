"""Attacks on the evaluation by single messages: bad values, aborts, rollbacks, replays.

What all have in common: the culprit is named if there is one, nobody else is,
and the batch goes on as soon as the good message arrives.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.attacks.adversary import (
    Courier,
    elements_of,
    filed,
    points_of,
    restart,
    shifted,
    small_world,
    true_points,
    with_shares,
    workload_of,
)
from tests.support.world import World

from notalone_crypto.errors import Code, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.evaluation import RoundOne, RoundTwo
from notalone_crypto.primitives import sigma
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol import persist, rounds
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import Outgoing, Phase, Post
from notalone_crypto.suite import Tag

LIAR = 3


def holding(world: World, kind: Outgoing) -> Courier:
    """A courier that keeps back what the liar posts of this kind."""
    return Courier(
        world, lambda sender, _receiver, post: None if (sender, post.kind) == (LIAR, kind) else post
    )


def changed(world: World, good: Post, what: str, how: str) -> bytes:
    """The liar's message with one wrong value: under the honest proof, or under its best own one."""
    work, secrets = workload_of(world, LIAR), world.secrets[LIAR]
    batch = world.scope_of(LIAR).batch
    assert batch is not None
    if how == "proved by a wrong witness":
        own = work.secrets[0]
        wrong = {
            "duplicate": lambda: with_shares(own, inverses=tuple(map(shifted, own.shares.inverses))),
            "opening": lambda: replace(own, zeros=tuple(map(shifted, own.zeros))),
            "point": lambda: replace(own, masks=tuple(map(shifted, own.masks))),
        }[what]()
        entries = [wrong, *work.secrets[1:]]
        if what == "point":
            return rounds.make_round_two(work.batch, secrets, entries, batch.xs, world.randomness).encode()
        return rounds.make_round_one(work.batch, secrets, entries, world.randomness).encode()
    generator = RISTRETTO255.generator
    if what == "point":
        second = RoundTwo.decode(good.payload)
        points = (RISTRETTO255.add(second.points[0], generator), *second.points[1:])
        return sign_message(replace(second, points=points), secrets.signing_key, Tag.ROUND_TWO).encode()
    first = RoundOne.decode(good.payload)
    if what == "duplicate":
        first = replace(
            first, duplicates=(RISTRETTO255.add(first.duplicates[0], generator), *first.duplicates[1:])
        )
    else:
        value = (int.from_bytes(first.openings[0], "little") + 1) % ORDER
        first = replace(first, openings=(RISTRETTO255.encode_scalar(value), *first.openings[1:]))
    return sign_message(first, secrets.signing_key, Tag.ROUND_ONE).encode()


@pytest.mark.parametrize("how", ["under the honest proof", "proved by a wrong witness"])
@pytest.mark.parametrize("what", ["duplicate", "opening", "point"])
def test_bad_opening_or_output(what: str, how: str) -> None:
    """A trustee posts one wrong value, to hide a match or to make one up. The proof fails, everybody names
    it, and the honest batch ends rightly once its good message arrives. [EVAL-1]"""
    world = small_world()
    drafts = [filed(world, 1, b"bob"), filed(world, 2, b"bob")]
    kind = Outgoing.ROUND_TWO if what == "point" else Outgoing.ROUND_ONE
    courier = holding(world, kind).run(world.start_batch())
    bad = changed(world, courier.held[0][2], what, how)
    for index in (1, 2):
        phase = world.scope_of(index).phase
        with pytest.raises(VerificationFailed) as caught:
            world.machines[index].receive_message(world.policy.scope, kind, bad, world.randomness)
        assert (caught.value.code, caught.value.culprits) == (Code.PROOF, (LIAR,))
        assert world.scope_of(index).phase == phase
    courier.let_go()
    assert courier.refusals == []
    for index in (1, 2, 3):
        assert world.scope_of(index).phase == Phase.LOGGING
        assert points_of(world, index) == {draft.header.entry: true_points(draft) for draft in drafts}


@pytest.mark.parametrize("weighted", [True, False], ids=["core", "control: sums without weights"])
def test_errors_that_cancel_in_a_batched_round(monkeypatch: pytest.MonkeyPatch, *, weighted: bool) -> None:
    """One proof covers a whole batch, so a trustee adds an error to one entry's value and takes it off
    another's. Weights hash every value, so errors cannot be fitted to them. Control: without weights the
    two wrong values pass. [EVAL-1, PRF-3]"""
    world = small_world()
    filed(world, 1, b"bob")
    filed(world, 2, b"bob")
    if not weighted:
        monkeypatch.setattr(
            rounds.Batch, "_weights", lambda _self, _tag, _trustee, _values, count: [1] * count
        )
    courier = holding(world, Outgoing.ROUND_ONE).run(world.start_batch())
    work, secrets = workload_of(world, LIAR), world.secrets[LIAR]
    message = RoundOne.decode(courier.held[0][2].payload)
    error = RISTRETTO255.base_multiply(99)
    values = list(message.duplicates)
    width = work.batch.width
    values[0] = RISTRETTO255.add(values[0], error)
    values[width] = RISTRETTO255.subtract(values[width], error)
    bad = replace(message, duplicates=tuple(values))
    session, relation = rounds.round_one_statement(work.batch, bad)
    witness = rounds._round_one_witness(work.batch, bad, secrets, work.secrets)
    proof = sigma.prove(session, [relation], [witness], world.randomness)
    signed = sign_message(replace(bad, proof=proof), secrets.signing_key, Tag.ROUND_ONE)
    if not weighted:
        rounds.check_round_one(work.batch, [signed])
        return
    with pytest.raises(VerificationFailed) as caught:
        world.machines[1].receive_message(
            world.policy.scope, Outgoing.ROUND_ONE, signed.encode(), world.randomness
        )
    assert (caught.value.code, caught.value.culprits) == (Code.PROOF, (LIAR,))


def test_opening_that_is_no_scalar() -> None:
    """A trustee posts its opening plus q: the same number, but no canonical scalar. It must be named and
    its good message still count; else one message stops the committee and accuses nobody. [EVAL-1]"""
    world = small_world()
    draft = filed(world, 1, b"bob")
    courier = holding(world, Outgoing.ROUND_ONE).run(world.start_batch())
    message = RoundOne.decode(courier.held[0][2].payload)
    value = int.from_bytes(message.openings[0], "little") + ORDER
    bad = replace(message, openings=(value.to_bytes(32, "little"), *message.openings[1:]))
    signed = sign_message(bad, world.secrets[LIAR].signing_key, Tag.ROUND_ONE)
    for index in (1, 2):
        with pytest.raises(NotAloneError) as caught:
            world.machines[index].receive_message(
                world.policy.scope, Outgoing.ROUND_ONE, signed.encode(), world.randomness
            )
        assert caught.value.culprits == (LIAR,)
    courier.let_go()
    assert courier.refusals == []
    assert points_of(world)[draft.header.entry] == true_points(draft)


def test_copied_round_message() -> None:
    """A trustee that lost its shares (or wants to vote twice) posts another's values and proof under its
    own name. The statement and session name the trustee, so the copy proves nothing. [EVAL-1]"""
    world = small_world()
    filed(world, 1, b"bob")
    courier = holding(world, Outgoing.ROUND_ONE).run(world.start_batch())
    copied = next(
        RoundOne.decode(post.payload)
        for sender, post in courier.done
        if (sender, post.kind) == (2, Outgoing.ROUND_ONE)
    )
    mine = sign_message(replace(copied, trustee=LIAR), world.secrets[LIAR].signing_key, Tag.ROUND_ONE)
    with pytest.raises(VerificationFailed) as caught:
        world.machines[1].receive_message(
            world.policy.scope, Outgoing.ROUND_ONE, mine.encode(), world.randomness
        )
    assert (caught.value.code, caught.value.culprits) == (Code.PROOF, (LIAR,))


def test_abort_after_seeing_others() -> None:
    """A trustee waits for all others' round 2, sees the outputs first, and posts nothing, so that the batch
    is run again without an entry, with other evaluators or with other values. Any other plan is refused
    while this one is open, a restarted trustee repeats the same bytes, and once the message comes the
    batch ends as if nothing had happened. [BAT-1, BAT-5, BAT-8]"""
    world = World(count=4, threshold=2, members=32, slots=(1,))
    drafts = [filed(world, 1, b"bob"), filed(world, 2, b"bob")]
    full = world.plan()
    plan = replace(full, evaluators=(1, 2, LIAR))
    courier = holding(world, Outgoing.ROUND_TWO).run(world.start_batch(plan))
    # The aborter knows the match, and is alone with it.
    liar = workload_of(world, LIAR).batch
    state = world.scope_of(LIAR).batch
    assert state is not None
    second = {
        index: RoundTwo.decode(payload) for index, payload in state.received[Outgoing.ROUND_TWO].items()
    }
    seen = rounds.combine_round_two(liar, second, state.xs, state.products)
    assert seen == tuple(point for draft in drafts for point in true_points(draft))
    assert {world.scope_of(index).phase for index in (1, 2)} == {Phase.ROUND_TWO}

    others = (
        replace(plan, entries=plan.entries[:1]),
        replace(plan, entries=()),
        replace(plan, evaluators=(1, 2, 4)),
        replace(plan, number=plan.number + 1),
        replace(plan, epoch=plan.epoch + 1),
    )
    for index in (1, 2, 4):
        machine = world.machines[index]
        for other in others:
            with pytest.raises(StateConflict) as caught:
                machine.receive_plan(other, world.now, world.randomness)
            assert caught.value.code == Code.BATCH_OPEN
        posted = machine.repeat(world.policy.scope)
        restarted = restart(world, index, persist.dump(machine.state))
        assert restarted.receive_plan(plan, world.now, world.randomness) == posted
        assert restarted.repeat(world.policy.scope) == posted
    courier.let_go()
    assert courier.refusals == []
    assert all(world.scope_of(index).phase == Phase.LOGGING for index in world.machines)
    assert points_of(world) == {draft.header.entry: true_points(draft) for draft in drafts}


def replayed(world: World, index: int) -> dict[Outgoing, bytes]:
    """Every value that a trustee posted in its current and last batch, without proofs."""
    values: dict[Outgoing, bytes] = {}
    for post in world.machines[index].repeat(world.policy.scope):
        if post.kind == Outgoing.ROUND_ONE:
            first = RoundOne.decode(post.payload)
            values[post.kind] = b"".join(first.duplicates + first.openings)
        elif post.kind == Outgoing.ROUND_TWO:
            values[post.kind] = b"".join(RoundTwo.decode(post.payload).points)
        elif post.kind in (Outgoing.PLAN_VOTE, Outgoing.RECORD_VOTE):
            values[post.kind] = post.payload
    return values


def test_rolled_back_trustee() -> None:
    """A trustee is restored from a copy made before a batch, to make it open the same entry again. The next
    plan does not fit its state and is refused; given the old plan it repeats its old values and arrives
    at the same record; other values from it are evidence against it. [BAT-2, BAT-6, EVAL-5]"""
    world = small_world()
    draft = filed(world, 1, b"bob")
    stored = persist.dump(world.machines[LIAR].state)
    plan = world.plan()
    posts = world.run_batch()
    before = replayed(world, LIAR)
    leaf, points = world.scope_of(1).leaf, elements_of(points_of(world))
    filed(world, 2, b"bob")
    next_plan = world.plan()

    machine = restart(world, LIAR, stored)
    with pytest.raises(StateConflict) as caught:
        machine.receive_plan(next_plan, world.now, world.randomness)
    assert caught.value.code == Code.ROLLBACK

    again = machine.receive_plan(plan, world.now, world.randomness)
    for sender, post in posts:
        if sender != LIAR and post.kind in replayed(world, 1):
            again += machine.receive_message(post.scope, post.kind, post.payload, world.randomness)
    assert replayed(world, LIAR) == before
    assert world.scope_of(LIAR).phase == Phase.LOGGING
    assert elements_of(points_of(world, LIAR)) == points
    sealed = world.scope_of(LIAR).batch.sealed_record  # type: ignore[union-attr]
    assert sealed is not None
    assert sealed.leaf == leaf
    for post in again:
        if post.kind in before:
            assert (
                world.machines[1].receive_message(post.scope, post.kind, post.payload, world.randomness) == []
            )

    own = workload_of(world, LIAR)
    wrong = with_shares(own.secrets[0], inverses=tuple(map(shifted, own.secrets[0].shares.inverses)))
    other = rounds.make_round_one(own.batch, world.secrets[LIAR], [wrong], world.randomness)
    with pytest.raises(StateConflict) as equivocated:
        world.machines[1].receive_message(
            world.policy.scope, Outgoing.ROUND_ONE, other.encode(), world.randomness
        )
    assert (equivocated.value.code, equivocated.value.culprits) == (Code.EQUIVOCATION, (LIAR,))
    assert points_of(world)[draft.header.entry] == true_points(draft)


def test_two_proofs_for_one_message() -> None:
    """A trustee (or one that was rolled back) sends its values to one peer under one proof and to another
    under a second. The values are the same, so the record must be, too: else the committee would halt for
    ever over a fork that is none, and honest trustees would be named. [REC-1]"""
    world = small_world()
    filed(world, 1, b"bob")
    courier = Courier(world)
    second: dict[Outgoing, Post] = {}

    def change(sender: int, receiver: int, post: Post) -> Post:
        if sender != LIAR or receiver != 2 or post.kind not in (Outgoing.ROUND_ONE, Outgoing.ROUND_TWO):
            return post
        work, secrets = workload_of(world, LIAR), world.secrets[LIAR]
        batch = world.scope_of(LIAR).batch
        assert batch is not None
        message = (
            rounds.make_round_one(work.batch, secrets, work.secrets, world.randomness)
            if post.kind == Outgoing.ROUND_ONE
            else rounds.make_round_two(work.batch, secrets, work.secrets, batch.xs, world.randomness)
        )
        second[post.kind] = post
        return replace(post, payload=message.encode())

    courier.change = change
    courier.run(world.start_batch())
    assert set(second) == {Outgoing.ROUND_ONE, Outgoing.ROUND_TWO}
    assert courier.refusals == []
    assert {world.scope_of(index).phase for index in world.machines} == {Phase.LOGGING}


def test_replay_of_a_round_message_in_another_batch() -> None:
    """A trustee (or the board in its name) brings messages of one batch into another: as they are, under
    the new plan's name, or with old values newly signed. Plan and epoch are in every signature, session
    and base: nothing of it counts. A board's replay accuses nobody; a trustee that re-signs is named."""
    world = small_world()
    victim = filed(world, 1, b"bob")
    sealed = world.file(2, b"al")
    first = world.run_batch()
    world.withdraw(sealed)
    filed(world, 3, b"bob")
    courier = holding(world, Outgoing.ROUND_ONE).run(world.start_batch())
    machine, scope = world.machines[1], world.scope_of(1)
    before = persist.dump(scope)
    for sender, post in first:
        if sender != 1 and post.kind in (Outgoing.PLAN_VOTE, Outgoing.ROUND_ONE, Outgoing.ROUND_TWO):
            assert machine.receive_message(post.scope, post.kind, post.payload, world.randomness) == []
    assert persist.dump(scope) == before

    old = next(
        RoundOne.decode(post.payload)
        for sender, post in first
        if (sender, post.kind) == (LIAR, Outgoing.ROUND_ONE)
    )
    good = RoundOne.decode(courier.held[0][2].payload)
    relabelled = replace(old, plan=good.plan)
    with pytest.raises(VerificationFailed) as caught:
        machine.receive_message(world.policy.scope, Outgoing.ROUND_ONE, relabelled.encode(), world.randomness)
    assert caught.value.code == Code.SIGNATURE
    # The victim is output again in the new epoch; the liar offers its old share of her x, newly signed.
    width = workload_of(world, LIAR).batch.width
    stale = replace(good, duplicates=old.duplicates[:width] + good.duplicates[width:])
    signed = sign_message(stale, world.secrets[LIAR].signing_key, Tag.ROUND_ONE)
    with pytest.raises(VerificationFailed) as named:
        machine.receive_message(world.policy.scope, Outgoing.ROUND_ONE, signed.encode(), world.randomness)
    assert (named.value.code, named.value.culprits) == (Code.PROOF, (LIAR,))
    courier.let_go()
    world.close_batch()
    assert points_of(world)[victim.header.entry] == true_points(victim, epoch=1)

    # Two batches later the first one is forgotten; its replay is refused and its signer not accused.
    post = next(post for sender, post in first if (sender, post.kind) == (2, Outgoing.ROUND_ONE))
    with pytest.raises(StateConflict) as late:
        machine.receive_message(post.scope, post.kind, post.payload, world.randomness)
    assert (late.value.code, late.value.culprits) == (Code.OUT_OF_ORDER, ())
