"""Attacks that wait: file and withdraw, hold results back, keep old records, steal a key later.

A value that was output in one epoch must mean nothing in another. The controls
run the same attack where the epoch never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from tests.attacks.adversary import (
    Courier,
    Draft,
    acceptance_of,
    elements_of,
    filed,
    points_of,
    refusal,
    restart,
    small_world,
    take_back,
    true_points,
    workload_of,
)
from tests.support.world import World

from notalone_crypto.errors import Code, StateConflict, VerificationFailed
from notalone_crypto.messages.evaluation import RoundTwo
from notalone_crypto.messages.filing import BundleContent
from notalone_crypto.primitives import aead, kem, pedersen
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import hash_to_scalar
from notalone_crypto.protocol import accept, batch, ceremony, file, intake, persist, rounds
from notalone_crypto.protocol.accept import EntryShares
from notalone_crypto.protocol.find import CurveFinder
from notalone_crypto.protocol.rounds import Point
from notalone_crypto.protocol.state import Outgoing, PendingEntry, Phase, Post
from notalone_crypto.protocol.withdraw import WEEK_SECONDS
from notalone_crypto.randomness import random_scalar
from notalone_crypto.suite import Tag

LIAR = 3
WEAK = pytest.mark.parametrize("epochs", [True, False], ids=["core", "control: one epoch for ever"])


def freeze_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "next_epoch", lambda scope, _leaving: scope.epoch)


def forget_search(world: World) -> None:
    """With frozen epochs the finder would still hold what left; drop it, as a new epoch does."""
    for index in world.machines:
        world.scope_of(index).finders.clear()
        world.scope_of(index).searched.clear()


@WEAK
def test_file_withdraw_watch(monkeypatch: pytest.MonkeyPatch, *, epochs: bool) -> None:
    """A member and a curious trustee file about bob, keep the output, withdraw, and watch for an equal one:
    they would see any later report about bob and never be matched themselves. Withdrawing starts a new
    epoch with new bases. Control: in one epoch the victim's output equals the one kept. [EPO-3]"""
    if not epochs:
        freeze_epochs(monkeypatch)
    world = small_world()
    probe = filed(world, 1, b"bob")
    world.run_batch()
    kept = points_of(world, LIAR)[probe.header.entry]
    take_back(world, probe)
    victim = filed(world, 2, b"bob")
    if not epochs:
        forget_search(world)
    world.run_batch()
    seen = points_of(world, LIAR)[victim.header.entry]
    assert (seen[0].curve == kept[0].curve) is not epochs
    assert elements_of({b"": kept}).isdisjoint(elements_of(points_of(world))) is epochs


def test_file_withdraw_watch_leaves_nothing_behind() -> None:
    """The trustee of the attack above searches its own store after the withdrawal. No share, mask, product
    or point of the withdrawn entry is left there to compare with. [WD-3]"""
    world = small_world()
    probe = filed(world, 1, b"bob")
    filed(world, 2, b"al")
    world.run_batch()
    live = world.scope_of(LIAR).live[probe.header.entry]
    secrets, points = live.secrets, world.scope_of(LIAR).outlines[probe.header.entry].points
    shares = [*secrets.shares.identifiers, *secrets.shares.inverses, *secrets.shares.contents]
    numbers = [share.value for share in [*shares, *secrets.masks, *secrets.zeros]]
    numbers += [*live.products, *(point.x for point in points)]
    traces = {number.to_bytes(32, "big") for number in numbers} | {point.curve for point in points}

    def found() -> set[bytes]:
        stored = persist.dump(world.machines[LIAR].state)
        return {trace for trace in traces if trace in stored or trace[::-1] in stored}

    assert found() == traces
    take_back(world, probe)
    world.run_batch()
    assert found() == set()
    finders = world.scope_of(LIAR).finders.values()
    assert finders
    assert all(probe.header.entry not in search.known for search in finders)


def peek(world: World) -> tuple[Point, ...]:
    """What the trustee that holds back its round 2 computes alone."""
    state = world.scope_of(LIAR).batch
    assert state is not None
    second = {index: RoundTwo.decode(one) for index, one in state.received[Outgoing.ROUND_TWO].items()}
    return rounds.combine_round_two(workload_of(world, LIAR).batch, second, state.xs, state.products)


@pytest.mark.parametrize("closing", [True, False], ids=["core", "control: a batch can be given up"])
def test_withhold_then_withdraw(*, closing: bool) -> None:
    """Board and trustee 3 hold round 2 back, see that a probe matched, and withdraw it before anybody else
    learns. No batch starts before this one is closed with its releases; and afterwards no plan may leave
    the withdrawal out. Control: if a batch can be given up, they looked and left no trace. [BAT-3, BAT-8]"""
    world = small_world()
    victim, probe = filed(world, 1, b"bob"), filed(world, 2, b"bob")
    stored = {index: persist.dump(machine.state) for index, machine in world.machines.items()}

    def hold(sender: int, _receiver: int, post: Post) -> Post | None:
        return None if (sender, post.kind) == (LIAR, Outgoing.ROUND_TWO) else post

    courier = Courier(world, hold).run(world.start_batch())
    seen = peek(world)
    assert seen[0].curve == seen[2].curve  # level 2 of both: they know of the match
    if not closing:
        for index, state in stored.items():
            restart(world, index, state)
        take_back(world, probe)
        assert world.opened_by(world.desk, world.run_batch()) == set()
        assert set(points_of(world)) == {victim.header.entry}
        return

    take_back(world, probe)
    early = replace(world.plan(()), number=2, withdrawn=(probe.header.entry,))
    for index in (1, 2):
        with pytest.raises(StateConflict) as caught:
            world.machines[index].receive_plan(early, world.now, world.randomness)
        assert caught.value.code == Code.BATCH_OPEN
    courier.let_go()
    assert {world.scope_of(index).phase for index in world.machines} == {Phase.LOGGING}
    both = {(draft.header.entry, which) for draft in (victim, probe) for which in (1, 2)}
    assert world.opened_by(world.desk, courier.done) == both
    with pytest.raises(StateConflict) as unlogged:
        world.machines[1].receive_plan(early, world.now, world.randomness)
    assert unlogged.value.code == Code.BATCH_OPEN
    world.close_batch()

    due = world.plan()
    assert due.withdrawn == (probe.header.entry,)
    without = replace(due, withdrawn=(), epoch=due.epoch - 1)
    for machine in world.machines.values():
        with pytest.raises(StateConflict) as left_out:
            machine.receive_plan(without, world.now, world.randomness)
        assert left_out.value.code == Code.OUT_OF_ORDER
    world.run_batch(due)
    assert set(points_of(world)) == {victim.header.entry}


def test_late_complaint() -> None:
    """A reporter gives trustee 3, her accomplice, a bad bundle; it accepts all the same, looks at the
    outcome, and then shows the bad bundle to have the entry struck out. After ACCEPT no complaint counts,
    in no phase. Control: the complaint holds, and before ACCEPT it does strike the entry out. [ACC-6]"""
    world = small_world()
    draft = Draft.of(world, 1, world.report(b"bob"))
    filing, header = draft.with_bad_bundle(LIAR), draft.header
    secrets = world.secrets[LIAR]
    complaint = accept.complain(world.committee, secrets, filing, header, world.randomness)
    acceptances = [acceptance_of(world, filing, index) for index in (1, 2)]

    unsure = persist.load(persist.dump(world.machines[1].state), type(world.machines[1].state))
    intake.receive_complaint(unsure, world.view(), filing, complaint)
    assert header.entry in unsure.scopes[header.scope].gone

    acceptances.append(accept.accept(world.committee, world.policy, secrets, filing, header))
    groups = (draft.deals.identifiers, draft.deals.inverses, draft.deals.contents)
    shares = EntryShares(*(tuple(deal.shares[LIAR - 1] for deal in group) for group in groups))
    own = PendingEntry(filing.fingerprint, header, *draft.introductions, shares, acceptances[-1].encode())
    world.machines[LIAR].state.scopes[header.scope].pending[header.entry] = own
    for machine in world.machines.values():
        for acceptance in acceptances:
            intake.receive_acceptance(machine.state, world.view(), acceptance)

    def complain() -> None:
        for index in (1, 2):
            before = persist.dump(world.machines[index].state)
            with pytest.raises(StateConflict) as caught:
                intake.receive_complaint(world.machines[index].state, world.view(), filing, complaint)
            assert caught.value.code == Code.OUT_OF_ORDER
            assert persist.dump(world.machines[index].state) == before

    complain()
    posts = world.start_batch()
    complain()
    world.deliver(posts)
    complain()
    world.close_batch()
    complain()
    assert points_of(world)[header.entry] == true_points(draft)


def test_edit_and_compare_x() -> None:
    """A trustee compares the x of a withdrawn report with those of the filing that replaced it, to see
    whether the subject changed, or only the threshold. The new epoch leaves nothing equal. Control: in
    the old epoch the x of the same person and subject would be the same. [EPO-3]"""
    world = small_world(slots=(1, 2))
    first = filed(world, 1, b"bob", 3)
    filed(world, 2, b"al")
    world.run_batch()
    kept = points_of(world, LIAR)
    take_back(world, first)
    second = filed(world, 1, b"bob", 2)
    world.run_batch()
    assert elements_of(kept).isdisjoint(elements_of(points_of(world, LIAR)))
    assert points_of(world, LIAR)[second.header.entry] == true_points(second, epoch=1)

    same = [old.x == new.x for old, new in zip(true_points(first), true_points(second), strict=True)]
    assert same == [False, True, True, True]  # the threshold fell from 3 to 2


@pytest.mark.parametrize("deterministic", [True, False], ids=["core", "control: random dummies"])
def test_refile_and_compare_x(monkeypatch: pytest.MonkeyPatch, *, deterministic: bool) -> None:
    """One person files the same report twice (a lost answer, a second device), and a trustee compares the
    x of both: positions that differ would be the dummies, that is unused slots and levels below her
    threshold. Dummies are deterministic: all are equal. Control: random ones give both away. [FILE-4]"""
    world = small_world(slots=(1, 2))
    if not deterministic:
        monkeypatch.setattr(file, "derive_scalar", lambda *_: random_scalar(world.randomness))
    first, second = filed(world, 1, b"bob", 3), filed(world, 1, b"bob", 3)
    world.run_batch()
    points = points_of(world, LIAR)
    rows = zip(points[first.header.entry], points[second.header.entry], strict=True)
    equal = [one.x == other.x for one, other in rows]
    assert equal == ([True] * 4 if deterministic else [False, True, False, False])


def test_old_bundles_with_a_stolen_key() -> None:
    """Whoever kept the bundles of an older generation steals trustees' keys after the rotation, all of them.
    Bundle keys are fresh in every generation and the old ones erased: nothing opens. No trustee keeps a
    bundle, and none takes one for an old key. Control: with m old keys a dictionary names the subject."""
    world = small_world()
    draft = Draft.of(world, 1, world.report(b"bob"))
    filing = draft.filing()
    late = Draft.of(world, 2, world.report(b"bob"))
    world.give([filing])

    def opened(keys: Mapping[int, kem.EncryptionKey]) -> dict[int, int]:
        shares = {}
        for index, key in keys.items():
            sealing = kem.decapsulate(key, draft.header.enc, index, draft.header.entry)
            content = BundleContent.decode(
                aead.open_sealed(sealing, draft.header.entry, filing.bundles[index - 1])
            )
            shares[index] = file.decode_share(content.identifier_shares[0], index).value
        return shares

    parameters = world.committee.manifest.parameters
    rotated = {
        index: ceremony.create_keys(parameters, index, world.randomness, generation=1)
        for index in world.secrets
    }
    for index, (keys, _) in rotated.items():
        with pytest.raises(VerificationFailed) as caught:
            opened({index: keys.bundle_key})
        assert caught.value.code == Code.DECRYPTION
    for machine in world.machines.values():
        stored = persist.dump(machine.state)
        assert not any(bundle in stored for bundle in filing.bundles)

    scalar = pedersen.interpolate(opened({i: world.secrets[i].bundle_key for i in (1, 2)}), 2)
    guesses = {
        name: hash_to_scalar(
            Tag.IDENTIFIER,
            world.committee.instance,
            world.committee.identifier,
            world.policy.scope,
            bytes([1]),
            name,
        )
        for name in (b"al", b"bob", b"eve")
    }
    assert [name for name, value in guesses.items() if value == scalar] == [b"bob"]

    manifest = replace(
        world.committee.manifest, generation=1, trustees=tuple(public for _, public in rotated.values())
    )
    world.committee = replace(world.committee, manifest=manifest, fingerprint=manifest.fingerprint)
    assert refusal(world, late.filing()).code == Code.GENERATION


@WEAK
def test_retained_record_after_withdrawal(monkeypatch: pytest.MonkeyPatch, *, epochs: bool) -> None:
    """Two members' reports about bob were withdrawn; a trustee kept their points and lays each later point
    on the level-3 curve through them. All bases are new: no x, no curve value and no curve in common.
    Control: in one epoch the third report falls on the old curve. [EPO-1, EPO-2]"""

    def leave(world: World, probes: list[Draft]) -> None:
        for probe in probes:
            take_back(world, probe)

    lay_on_the_old_curve(monkeypatch, leave, epochs=epochs)


@WEAK
def test_retained_record_after_expiry(monkeypatch: pytest.MonkeyPatch, *, epochs: bool) -> None:
    """The same with reports that expired: what the trustee kept of them means nothing either, though nobody
    asked for them to go. [EPO-1, EPO-2]"""

    def leave(world: World, _probes: list[Draft]) -> None:
        world.now += 3 * WEEK_SECONDS

    lay_on_the_old_curve(monkeypatch, leave, epochs=epochs)


def lay_on_the_old_curve(
    monkeypatch: pytest.MonkeyPatch, leave: Callable[[World, list[Draft]], None], *, epochs: bool
) -> None:
    """Two reports leave, a third about the same subject comes; what the kept points say about it."""
    if not epochs:
        freeze_epochs(monkeypatch)
    world = small_world()
    probes = [Draft.of(world, who, world.report(b"bob", 3, weeks=1)) for who in (1, 2)]
    world.give([probe.filing() for probe in probes])
    bystander = filed(world, 3, b"al")
    world.run_batch()
    kept = points_of(world, LIAR)
    leave(world, probes)
    victim = filed(world, 4, b"bob", 3)
    if not epochs:
        forget_search(world)
    world.run_batch()
    seen = points_of(world, LIAR)
    assert set(seen) == {bystander.header.entry, victim.header.entry}
    assert elements_of(kept).isdisjoint(elements_of(seen)) is epochs
    finder = CurveFinder(3)
    for entry, row in {**{probe.header.entry: kept[probe.header.entry] for probe in probes}, **seen}.items():
        finder.add(entry, row[1])
    assert (finder.groups == ()) is epochs
    # Nor does any one difference, sum or slope of the old show up again.
    slope = RISTRETTO255.subtract(*(kept[probe.header.entry][1].curve for probe in probes))
    assert slope not in elements_of(seen)
    if epochs:
        assert seen[victim.header.entry] == true_points(victim, epoch=1)
