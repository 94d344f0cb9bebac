"""Rules across fields: what no well-formed message can say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.messages.committee import CommitteeParameters, Desk, Organisation, ScopePolicy
from notalone_crypto.messages.reshare import ResharePlan

PARAMETERS = CommitteeParameters("test", ("one", "two", "three"), 2, (2, 3), bytes(32))
POLICY = ScopePolicy(
    "test", "scope", (Organisation("U", bytes(32)),), (1, 2), (2, 3), (1, 2), (Desk("D", bytes(32)),),
    "FR", 12, 365, 104, 16, 3600, 1,
)  # fmt: skip
PLAN = ResharePlan(
    bytes(32), bytes(32), 1, 0, 0, bytes(32), ("one", "two", "three"), (1, 2), bytes(32), (), ()
)  # fmt: skip


def refused(make: Callable[[], Any], code: Code) -> None:
    with pytest.raises(MalformedInput) as caught:
        make()
    assert caught.value.code == code


@pytest.mark.parametrize(
    "change",
    [
        {"trustees": ("one", "two")},
        {"trustees": ("one", "two", "two")},
        {"threshold": 0},
        {"threshold": 1},
        {"threshold": 3},
        {"levels": ()},
        {"levels": (2,)},
        {"levels": (3, 2)},
        {"levels": (2, 4)},
        {"levels": (2, 3, 3)},
    ],
    ids=str,
)
def test_committee_that_cannot_keep_its_promise_cannot_be_written_down(change: dict[str, Any]) -> None:
    """WIRE-4; n >= 2m - 1, since a product of degree 2m - 2 needs that many."""
    refused(lambda: replace(PARAMETERS, **change), Code.PARAMETERS)


@pytest.mark.parametrize(
    ("count", "threshold", "quorum"),
    [(3, 2, 3), (4, 2, 3), (5, 2, 4), (5, 3, 4), (7, 4, 6), (9, 5, 7), (9, 2, 6)],
)
def test_two_quorums_share_an_honest_trustee(count: int, threshold: int, quorum: int) -> None:
    """Two views that both carry s cosignatures: 2s - n signed both, more than the m - 1 that may lie."""
    parameters = replace(PARAMETERS, trustees=tuple(map(str, range(count))), threshold=threshold)
    assert parameters.quorum == quorum
    assert 2 * parameters.quorum - count > threshold - 1
    assert 2 * (parameters.quorum - 1) - count <= threshold - 1


@pytest.mark.parametrize(
    "change",
    [
        {"organisations": ()},
        {"slots": ()},
        {"slots": (1, 1)},
        {"desks": ()},
        {"release_modes": ()},
        {"release_modes": (1, 3)},
        {"release_modes": (0,)},
        {"levels": (2,)},
        {"levels": (3, 4)},
        {"quota": 11},
        {"period_days": 0},
        {"maximum_weeks": 0},
        {"release_blobs": 0},
    ],
    ids=str,
)
def test_malformed_message_cannot_be_made(change: dict[str, Any]) -> None:
    """WIRE-4, for a policy."""
    refused(lambda: replace(POLICY, **change), Code.POLICY)


def test_every_rule_is_in_the_policy_fingerprint_and_none_but_the_names_in_the_scope() -> None:
    changed = [
        replace(POLICY, quota=13),
        replace(POLICY, slots=(2, 1)),
        replace(POLICY, desks=(Desk("D", b"\x01" * 32),)),
        replace(POLICY, release_modes=(1,)),
        replace(POLICY, batch_seconds=3601),
        replace(POLICY, version=2),
    ]
    assert len({one.fingerprint for one in [POLICY, *changed]}) == len(changed) + 1
    assert {one.scope for one in changed} == {POLICY.scope}
    assert (
        replace(POLICY, scope_name="other").scope != POLICY.scope != replace(POLICY, instance="other").scope
    )


def test_manifest_lists_each_trustee_once_in_order_with_rows_that_fit() -> None:
    manifest = World(members=0, slots=(1,), levels=(2, 3)).committee.manifest
    first, second, third = manifest.trustees
    for trustees in (
        (second, first, third),
        (first, second),
        (first, first, third),
        (first, second, third, third),
    ):
        refused(lambda trustees=trustees: replace(manifest, trustees=trustees), Code.MANIFEST)  # type: ignore[misc]
    one, two = manifest.level_commitments
    for rows in ((one,), (one, two, two), (one, two[:1]), (one, two + two[:1])):
        refused(lambda rows=rows: replace(manifest, level_commitments=rows), Code.COMMITMENT_LENGTH)  # type: ignore[misc]


@pytest.mark.parametrize("change", [{"rekey": 2}, {"dealers": (2, 1)}, {"dealers": (1, 1)}], ids=str)
def test_reshare_plan_has_one_form(change: dict[str, Any]) -> None:
    refused(lambda: replace(PLAN, **change), Code.RANGE)
