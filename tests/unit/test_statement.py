"""The filing's one statement: wrong witnesses have no proof, and a proof is for one header only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, ContextMismatch, VerificationFailed
from notalone_crypto.messages.filing import Header
from notalone_crypto.primitives import pedersen, sigma
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.primitives.membership import Roll
from notalone_crypto.protocol import accept, file, statement
from notalone_crypto.protocol.keys import Committee


@cache
def world() -> World:
    return World(members=32, slots=(1,))


@cache
def sealed() -> file.SealedReport:
    return world().seal(0, world().report({1: b"bob"}))


def verify(header: Header, committee: Committee | None = None, places: Sequence[bytes] = ()) -> None:
    one = world()
    used = committee or one.committee
    statements = statement.build(used, header, Roll(places or one.snapshot.places))
    sigma.verify(statement.session(used, header), statements, sealed().filing.proof)


def test_proof_is_bound_to_header_committee_and_snapshot() -> None:
    """STMT-5."""
    one, header = world(), sealed().header
    verify(header)
    row = header.inverse_commitments[0]
    for change in (
        {"expiry_week": header.expiry_week + 1},
        {"release_mode": 2},
        {"preconsent": 1},
        {"desk_key": bytes(32)},
        {"period": header.period + 1},
        {"quota_index": (header.quota_index + 1) % 12},
        {"generation": 1},
        {"policy": bytes(32)},
        {"snapshot": bytes(32)},
        {"owner_key": bytes(32)},
        {"first_introduction_hash": bytes(32)},
        {"inverse_commitments": (row[::-1], *header.inverse_commitments[1:])},
        {"content_commitments": header.content_commitments[::-1]},
    ):
        with pytest.raises(VerificationFailed) as caught:
            verify(replace(header, **change))  # type: ignore[arg-type]
        assert caught.value.code == Code.PROOF, change
    other = Committee(one.committee.manifest, bytes(32))
    with pytest.raises(VerificationFailed):
        verify(header, other)
    places = list(one.snapshot.places)
    places[5], places[6] = places[6], places[5]
    with pytest.raises(VerificationFailed):
        verify(header, places=places)


def test_wrong_inverses_are_refused_even_if_their_errors_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """STMT-3: V off by +d at one level and -d at the other; equal weights would not see it."""
    one = world()
    original = file._Deals.draw.__func__  # type: ignore[attr-defined]

    def skewed(
        cls: type, committee: Committee, identifiers: list[int], inverses: list[int], *rest: object
    ) -> object:
        changed = [(inverses[0] + 5) % ORDER, (inverses[1] - 5) % ORDER]
        return original(cls, committee, identifiers, changed, *rest)

    monkeypatch.setattr(file._Deals, "draw", classmethod(skewed))
    view = one.view()
    try:
        bad = one.seal(1, one.report({1: b"bob"}))
    except VerificationFailed:
        return  # her own device found no proof
    errors = accept.verify_statements(view, [(bad.filing, bad.header)])
    assert errors[0] is not None
    assert errors[0].code == Code.PROOF


def test_rows_of_another_number_or_degree_are_refused_before_the_proof() -> None:
    one, header = world(), sealed().header
    statement.check_shape(header, one.committee, one.policy)
    for name in ("identifier_commitments", "inverse_commitments", "content_commitments"):
        rows = getattr(header, name)
        for wrong in (
            (),
            rows[:1],
            (*rows, rows[0]),
            (rows[0][:1], *rows[1:]),
            (rows[0] + rows[0][:1], *rows[1:]),
        ):
            with pytest.raises(VerificationFailed) as caught:
                statement.check_shape(replace(header, **{name: wrong}), one.committee, one.policy)
            assert caught.value.code == Code.COMMITMENT_LENGTH


def test_positions_are_slot_major() -> None:
    policy = replace(world().policy, slots=(4, 1), levels=(2, 3))
    assert statement.positions(policy) == ((4, 2), (4, 3), (1, 2), (1, 3))


def test_weights_depend_on_the_whole_header_and_differ() -> None:
    header = sealed().header
    other = statement.inverse_weights(replace(header, expiry_week=1))
    weights = statement.inverse_weights(header)
    assert len({*weights, *other}) == 4


def test_another_snapshot_is_named() -> None:
    statement.check_roll(sealed().header, sealed().header.snapshot)
    with pytest.raises(ContextMismatch):
        statement.check_roll(sealed().header, bytes(32))


def test_a_commitment_to_another_persons_secret_has_no_proof() -> None:
    """STMT-1: P must open to the secret behind a place."""
    header = sealed().header
    stranger = pedersen.commit(12345, 678)
    with pytest.raises(VerificationFailed):
        verify(replace(header, member=stranger))
