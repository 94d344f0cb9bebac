"""Attacks on the committee's work: one message that would stop every batch, or frame somebody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.world import World

from notalone_crypto.errors import VerificationFailed
from notalone_crypto.protocol import accept, intake
from notalone_crypto.protocol import withdraw as withdrawals

WEEK = withdrawals.WEEK_SECONDS


@pytest.fixture
def world() -> World:
    return World(slots=(1,), members=32)


def only_first_two_hold(world: World, weeks: int) -> bytes:
    """A filing that trustee 3 never saw; the other two accepted it."""
    sealed = world.seal(1, world.report(b"bob", weeks=weeks))
    for index in (1, 2):
        machine = world.machines[index]
        _, errors = intake.receive_filings(
            machine.state, machine.secrets, world.view(), [sealed.filing], world.randomness
        )
        assert errors == [None]
    return sealed.header.entry


def test_a_filing_held_by_some_expires_and_stops_nobody(world: World) -> None:
    """A board shows a filing to two trustees of three and waits until it expires: plans must still agree."""
    entry = only_first_two_hold(world, weeks=0)
    world.now += 2 * WEEK
    world.refresh_snapshot(2)
    later = world.file(2, b"carl")
    world.run_batch()
    assert later.header.entry in world.scope_of(3).live
    assert entry not in world.scope_of(1).live


def test_a_withdrawn_filing_held_by_some_stops_nobody(world: World) -> None:
    """Its owner takes back what one trustee never saw: the others must not insist that every plan says so."""
    sealed = world.seal(1, world.report(b"bob"))
    for index in (1, 2):
        machine = world.machines[index]
        intake.receive_filings(
            machine.state, machine.secrets, world.view(), [sealed.filing], world.randomness
        )
        request = withdrawals.withdraw(sealed.header.entry, sealed.owner.signing_key)
        intake.receive_withdrawal(machine.state, world.view(), request)
    for person in (2, 3, 4):
        world.file(person, b"carl")
        plan = replace(world.plan(), withdrawn=())
        world.run_batch(plan)
    assert world.scope_of(3).number == 3


def test_an_unsigned_complaint_frames_nobody(world: World) -> None:
    """A board puts a complaint with trustee 2's number and no signature: nobody may be named for it."""
    sealed = world.seal(1, world.report(b"bob"))
    machine = world.machines[2]
    complaint = accept.complain(
        world.committee, machine.secrets, sealed.filing, sealed.header, world.randomness
    )
    forged = replace(complaint, signature=bytes(64))
    with pytest.raises(VerificationFailed) as caught:
        accept.judge(world.committee, sealed.filing, sealed.header, forged)
    assert caught.value.culprits == ()
    assert accept.judge(world.committee, sealed.filing, sealed.header, complaint).culprits == (2,)
