"""Re-shares: refresh, replacement, re-keying; reports from before match with reports from after."""

from __future__ import annotations

import pytest
from tests.support.resharing import Move, refresh
from tests.support.world import World

from notalone_crypto.errors import CeremonyFailed, Code, ContextMismatch, StateConflict, VerificationFailed
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.reshare import Succession
from notalone_crypto.primitives import pedersen
from notalone_crypto.protocol import intake, persist, reshare, succeed, succession
from notalone_crypto.protocol import withdraw as withdrawals
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.state import Outgoing, TrusteeState

SIZES = [(3, 2), (5, 3)]


def small(count: int = 3, threshold: int = 2, **options: object) -> World:
    return World(count=count, threshold=threshold, slots=(1,), **options)  # type: ignore[arg-type]


def both(*sealed: object) -> set[tuple[bytes, int]]:
    return {(one.header.entry, content) for one in sealed for content in (1, 2)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("count", "threshold"), SIZES)
def test_after_a_refresh_new_reports_match_old_ones_and_open(count: int, threshold: int) -> None:
    """[RSH-11]"""
    world = small(count, threshold)
    first = world.file(1, b"bob")
    world.run_batch()
    assert refresh(world) == []  # nothing was pending, so nothing is accepted again
    second = world.file(2, b"bob")
    world.run_batch()
    assert world.opened_by(world.desk) == both(first, second)


@pytest.mark.parametrize(("count", "threshold"), SIZES)
def test_withdrawal_after_a_refresh_outputs_the_rest_again_with_reshared_masks(
    count: int, threshold: int
) -> None:
    """[RSH-11]"""
    world = small(count, threshold)
    first, second = world.file(1, b"bob", 3), world.file(2, b"al")
    world.run_batch()
    refresh(world)
    refresh(world)
    world.withdraw(second)
    third = world.file(3, b"bob", 3)
    world.run_batch()
    assert world.scope_of(1).epoch == 1
    assert world.opened_by(world.desk) == set()
    fourth = world.file(4, b"bob", 3)
    world.run_batch()
    assert world.opened_by(world.desk) == both(first, third, fourth)


def test_peers_open_each_other_against_the_reshared_rows() -> None:
    """[RSH-11]"""
    world = small()
    first = world.file(1, b"bob", 2, ReleaseMode.PEERS)
    world.run_batch()
    refresh(world)
    second = world.file(2, b"bob", 2, ReleaseMode.PEERS)
    world.run_batch()
    assert (second.header.entry, 1) in world.opened_by(first.owner.recipient_key)
    assert (first.header.entry, 1) in world.opened_by(second.owner.recipient_key)


def test_a_filing_that_waits_is_carried_and_accepted_again() -> None:
    """[RSH-12]"""
    world = small()
    first = world.file(1, b"bob")
    posts = refresh(world)
    assert [post.kind for _, post in posts] == [Outgoing.ACCEPTANCE] * 3
    second = world.file(2, b"bob")
    world.run_batch()
    assert world.opened_by(world.desk) == both(first, second)


def test_a_filing_that_not_everybody_accepted_is_dropped() -> None:
    """[RSH-12]"""
    world = small()
    sealed = world.seal(1, world.report(b"bob"))
    for index in (1, 2):
        machine = world.machines[index]
        intake.receive_filings(
            machine.state, machine.secrets, world.view(), [sealed.filing], world.randomness
        )
    request = withdrawals.withdraw(sealed.header.entry, sealed.owner.signing_key)
    for index in (1, 2):
        intake.receive_withdrawal(world.machines[index].state, world.view(), request)
    refresh(world)
    world.run_batch()
    world.run_batch()  # what is left of the withdrawal stops nobody
    for index in (1, 2):
        assert world.scope_of(index).pending == world.scope_of(index).withdrawals == {}
        assert sealed.header.entry in world.scope_of(index).gone


@pytest.mark.parametrize(("count", "threshold", "gone"), [(3, 2, 3), (5, 3, 2)])
def test_a_trustee_that_is_lost_is_replaced_by_one_without_old_secrets(
    count: int, threshold: int, gone: int
) -> None:
    """[RSH-10, RSH-11]"""
    world = small(count, threshold)
    first = world.file(1, b"bob")
    waiting = world.file(2, b"al")
    world.run_batch()
    pending = world.file(3, b"al")
    dealers = tuple(index for index in world.machines if index != gone)
    before = world.secrets[gone]
    del world.secrets[gone]
    world.machines[gone] = Machine(world.committee, before, TrusteeState())
    refresh(world, replaced=(gone,), dealers=dealers)
    assert world.secrets[gone].signing_key.verify_key != before.signing_key.verify_key
    last = world.file(4, b"bob")
    world.run_batch()
    assert world.opened_by(world.desk) == both(first, waiting, pending, last)
    world.withdraw(first)
    world.run_batch()
    assert world.scope_of(gone).epoch == 1


def test_what_is_handed_over_holds_no_secret() -> None:
    """[RSH-10]"""
    world = small()
    world.file(1, b"bob")
    world.run_batch()
    world.file(2, b"al")
    handed = persist.load(succeed.handover(world.committee, world.machines[1].state), TrusteeState)
    scope = handed.scopes[world.policy.scope]
    assert len(scope.live) == len(scope.pending) == 1
    for held in scope.live.values():
        assert held.secrets.masks == held.secrets.zeros == held.secrets.shares.identifiers == ()
        assert held.secrets.shares.inverses == held.secrets.shares.contents == ()
    for waiting in scope.pending.values():
        assert waiting.shares.identifiers == waiting.shares.inverses == waiting.shares.contents == ()


def test_a_handed_over_state_that_nobody_approved_is_refused() -> None:
    """[RSH-10]"""
    world = small()
    world.file(1, b"bob")
    world.run_batch()
    move = Move(world)
    state = persist.load(succeed.handover(world.committee, world.machines[1].state), TrusteeState)
    state.scopes[world.policy.scope].epoch += 1
    with pytest.raises(StateConflict) as refused:
        succeed.take_over(world.committee, persist.dump(state), move.plan)
    assert refused.value.code == Code.ROLLBACK


@pytest.mark.parametrize(("count", "threshold"), SIZES)
def test_after_a_rekey_live_reports_are_evaluated_again_and_match_new_ones(
    count: int, threshold: int
) -> None:
    """[RSH-13]"""
    world = small(count, threshold)
    first = world.file(1, b"bob")
    world.run_batch()
    old, before = (held[first.header.entry] for held in (world.scope_of(1).live, world.scope_of(1).outlines))
    refresh(world, rekey=True)
    assert world.scope_of(1).live == world.scope_of(1).outlines == {}
    assert set(world.scope_of(1).pending) == {first.header.entry}
    second = world.file(2, b"bob")
    world.run_batch()
    assert world.opened_by(world.desk) == both(first, second)
    new, after = (held[first.header.entry] for held in (world.scope_of(1).live, world.scope_of(1).outlines))
    assert not set(new.products) & set(old.products)
    assert not {point.x for point in after.points} & {point.x for point in before.points}
    assert world.scope_of(1).epoch == 1


def test_a_match_from_before_a_rekey_is_not_released_twice_but_a_queued_one_is_not_lost() -> None:
    """[RSH-13]"""
    world = small(release_blobs=2)
    first, second = world.file(1, b"bob"), world.file(2, b"bob")
    world.run_batch()
    assert len(world.opened_by(world.desk)) == 2
    refresh(world, rekey=True)
    posts = world.run_batch()
    assert world.opened_by(world.desk) == both(first, second)
    assert len(world.opened_by(world.desk, posts)) == 2


def test_refresh_keeps_the_level_keys_and_a_rekey_does_not() -> None:
    """[RSH-7, RSH-8]"""
    world = small()
    world.file(1, b"bob")
    world.run_batch()
    keys = [world.committee.level_row(2)[0]]
    value = level_key(world)
    refresh(world)
    keys.append(world.committee.level_row(2)[0])
    assert level_key(world) == value
    refresh(world, rekey=True)
    keys.append(world.committee.level_row(2)[0])
    assert level_key(world) != value
    assert keys[0] == keys[1] != keys[2]
    assert world.committee.manifest.generation == 2


def test_a_carried_state_survives_storage() -> None:
    world = small()
    world.file(1, b"bob")
    world.run_batch()
    world.file(2, b"al")
    refresh(world)
    state = world.machines[2].state
    assert persist.dump(persist.load(persist.dump(state), TrusteeState)) == persist.dump(state)


def test_the_reshared_rows_commit_to_the_reshared_shares() -> None:
    """[RSH-7]"""
    world = small()
    sealed = world.file(1, b"bob")
    world.run_batch()
    old = world.scope_of(1).live[sealed.header.entry].secrets
    refresh(world)
    for index in world.machines:
        live = world.scope_of(index).live[sealed.header.entry]
        threshold = world.committee.threshold
        for position, share in enumerate(live.secrets.masks):
            pedersen.verify_share(live.public.rows.masks[position], threshold, share)
            inverse = live.secrets.shares.inverses[position]
            pedersen.verify_share(live.public.inverse_row(position), threshold, inverse)
        assert live.secrets.zeros == ()
    now = world.scope_of(1).live[sealed.header.entry].secrets
    assert not set(old.masks) & set(now.masks)
    assert not set(old.shares.inverses) & set(now.shares.inverses)


def test_no_reshare_while_a_batch_is_open() -> None:
    """[RSH-1]"""
    world = small()
    world.file(1, b"bob")
    move = Move(world)
    world.start_batch()
    with pytest.raises(StateConflict) as refused:
        move.deal(1)
    assert refused.value.code == Code.BATCH_OPEN


def test_a_plan_that_leaves_out_an_entry_is_refused() -> None:
    """[RSH-1]"""
    world = small()
    world.file(1, b"bob")
    move = Move(world)
    world.file(2, b"bob")
    with pytest.raises(StateConflict) as refused:
        move.deal(1)
    assert refused.value.code == Code.UNKNOWN_ENTRY


def test_nothing_is_dealt_before_the_delay_is_over() -> None:
    """[RSH-2]"""
    world = small()
    move = Move(world, not_before=world.now + 1)
    with pytest.raises(ContextMismatch) as refused:
        move.deal(1)
    assert refused.value.code == Code.PERIOD
    world.now += 1
    assert move.deal(1)


def test_nothing_is_dealt_without_enough_approvals() -> None:
    """[RSH-2]"""
    world = small()
    move = Move(world)
    one = reshare.approve(move.plan, world.secrets[1])
    with pytest.raises(CeremonyFailed) as refused:
        reshare.deal(move.resharing, world.secrets[1], {}, [one, one], world.now, world.randomness)
    assert refused.value.code == Code.QUORUM


def finished(world: World, **options: object) -> tuple[Move, Succession]:
    move = Move(world, **options)  # type: ignore[arg-type]
    move.receive(move.all_dealings())
    return move, move.succession(*move.combine(move.contributions()))


def test_a_succession_needs_enough_old_trustees_its_delay_and_every_new_one() -> None:
    """[RSH-9]"""
    world = small()
    move, chain = finished(world, replaced=(3,), not_before=world.now)
    assert succession.verify_succession(move.old, chain, world.now).manifest.generation == 1
    with pytest.raises(CeremonyFailed) as few:
        succession.verify_succession(move.old, Succession(chain.manifest, chain.votes[:1]), world.now)
    assert few.value.code == Code.QUORUM
    with pytest.raises(CeremonyFailed) as twice:
        succession.verify_succession(move.old, Succession(chain.manifest, chain.votes[:1] * 2), world.now)
    assert twice.value.code == Code.QUORUM
    with pytest.raises(ContextMismatch) as early:
        succession.verify_succession(move.old, chain, world.now - 1)
    assert early.value.code == Code.PERIOD
    signatures = (chain.manifest.signatures[0],) * 3
    forged = type(chain.manifest)(chain.manifest.manifest, signatures)
    with pytest.raises(VerificationFailed) as unsigned:
        succession.verify_succession(move.old, Succession(forged, chain.votes), world.now)
    assert unsigned.value.code == Code.SIGNATURE


def test_two_generations_are_followed_one_after_the_other_only() -> None:
    """[RSH-9]"""
    world = small()
    old = world.committee
    _, first = finished(world)
    refresh(world)
    _, second = finished(world)
    with pytest.raises(ContextMismatch):
        succession.verify_succession(old, second, world.now)
    with pytest.raises(ContextMismatch):
        succession.verify_succession(world.committee, first, world.now)


def level_key(world: World) -> int:
    """What m trustees together could compute: for tests only."""
    shares = {index: own.level_shares[2].value for index, own in world.secrets.items()}
    return pedersen.interpolate(shares, world.threshold)
