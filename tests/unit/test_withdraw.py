"""Taking a report back: the owner alone, once; and the calendar's edges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, StateConflict, VerificationFailed
from notalone_crypto.protocol import batch, intake, withdraw


def test_only_the_owner_withdraws() -> None:
    """WD-1."""
    world = World(members=32, slots=(1,))
    mine, hers = world.file(1, b"bob"), world.file(2, b"bob")
    good = withdraw.withdraw(mine.header.entry, mine.owner.signing_key)
    stranger = withdraw.withdraw(mine.header.entry, hers.owner.signing_key)
    machine = world.machines[1]
    for bad in (stranger, replace(good, signature=bytes(64)), replace(good, entry=hers.header.entry)):
        with pytest.raises(VerificationFailed) as caught:
            intake.receive_withdrawal(machine.state, world.view(), bad)
        assert caught.value.code == Code.SIGNATURE
    with pytest.raises(StateConflict) as unknown:
        intake.receive_withdrawal(machine.state, world.view(), replace(good, entry=bytes(32)))
    assert unknown.value.code == Code.UNKNOWN_ENTRY
    assert not world.scope_of(1).withdrawals
    for _ in range(2):
        intake.receive_withdrawal(machine.state, world.view(), good)
    assert list(world.scope_of(1).withdrawals) == [mine.header.entry]


def test_a_withdrawn_entry_never_comes_back() -> None:
    """WD-2."""
    world = World(members=32, slots=(1,))
    mine = world.file(1, b"bob")
    world.withdraw(mine)
    world.run_batch()
    for machine in world.machines.values():
        _, (error,) = intake.receive_filings(
            machine.state, machine.secrets, world.view(), [mine.filing], world.randomness
        )
        assert error is not None
        assert error.code == Code.DUPLICATE
    world.withdraw(mine)  # late copies are nothing
    assert not world.scope_of(1).withdrawals


def test_weeks_and_periods_begin_at_their_second() -> None:
    week = withdraw.WEEK_SECONDS
    assert [withdraw.week_of(second) for second in (0, week - 1, week)] == [0, 0, 1]
    day = withdraw.DAY_SECONDS
    assert [withdraw.period_of(second, 2) for second in (0, 2 * day - 1, 2 * day)] == [0, 0, 1]


def test_an_entry_is_kept_through_its_last_week() -> None:
    world = World(members=32, slots=(1,))
    mine = world.file(1, b"bob", weeks=0)
    over = (mine.header.expiry_week + 1) * withdraw.WEEK_SECONDS
    assert not withdraw.has_expired(mine.header, over - 1)
    assert withdraw.has_expired(mine.header, over)
    scope = world.scope_of(1)
    assert batch.expired_entries(world.committee, scope, over - 1) == ()
    assert batch.expired_entries(world.committee, scope, over) == (mine.header.entry,)
