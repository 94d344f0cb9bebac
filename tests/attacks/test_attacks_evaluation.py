"""Attacks on the evaluation that aim at k_T: more than one view of it, or fewer unknowns than equations.

Attacks by single bad messages, aborts and rollbacks are in test_attacks_rounds.py,
those by refresh, re-key and replacement in test_attacks_resharing.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from tests.attacks.adversary import (
    Courier,
    Draft,
    draw_subset_values,
    elements_of,
    filed,
    level_key,
    opening,
    openings_of,
    points_of,
    refusal,
    restart,
    small_world,
    solve,
    square_roots,
    submit,
    true_points,
    with_secrets,
    workload_of,
)
from tests.support.world import World

from notalone_crypto.errors import CeremonyFailed, Code, CommitteeHalted, StateConflict, VerificationFailed
from notalone_crypto.messages.committee import CommitteeParameters
from notalone_crypto.messages.evaluation import RoundOne
from notalone_crypto.messages.filing import BundleComplaint, Header
from notalone_crypto.primitives import pedersen, prss, sigma
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.linear import LinearRelation
from notalone_crypto.primitives.transcript import derive_session_id
from notalone_crypto.protocol import accept, ceremony, intake, persist, rounds, statement
from notalone_crypto.protocol.entries import derive_secrets
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import Outgoing, Phase
from notalone_crypto.randomness import Randomness, SeededStream, random_scalar
from notalone_crypto.suite import Tag

LEVEL = 2  # position 0 of a world with one slot


def test_rerun_after_claimed_data_loss() -> None:
    """A trustee that saw the openings claims to have lost its data, so that the entry is opened again
    under masks it changed itself. Subset keys leave nobody a dealing to vary: a second run, even if all
    trustees lost everything, repeats every acceptance and every value. Control: with masks dealt by each
    trustee, one that deals anew learns k_T. [EVAL-5, BAT-5]"""
    world = small_world()
    stored = {index: persist.dump(machine.state) for index, machine in world.machines.items()}
    draft = Draft.of(world, 1, world.report(b"bob"))
    filing = draft.filing()
    runs = []
    for _ in range(2):
        for index, state in stored.items():
            restart(world, index, state)
        world.posts.clear()
        world.give([filing])
        accepted = [post.payload for _, post in world.posts if post.kind == Outgoing.ACCEPTANCE]
        done = Courier(world).run(world.start_batch()).done
        votes = [post.payload for _, post in done if post.kind == Outgoing.PLAN_VOTE]
        runs.append((accepted, votes, openings_of(done), elements_of(points_of(world))))
    assert runs[0] == runs[1]
    assert set(runs[0][2]) == {1, 2, 3}

    # Control: each trustee deals a share of mask and zero; the others keep theirs, trustee 3 deals again.
    def dealt(randomness: Randomness) -> tuple[pedersen.Dealing, list[int]]:
        mask = pedersen.deal(random_scalar(randomness), 0, 2, 3, randomness)
        high = [random_scalar(randomness), random_scalar(randomness)]
        return mask, [high[0] * index + high[1] * index**2 for index in (1, 2, 3)]

    kept = [dealt(world.randomness) for _ in (1, 2)]
    opened, dealings = [], []
    for _ in range(2):
        own = dealt(world.randomness)
        mask = sum(one.shares[1].value for one, _ in [*kept, own])
        zero = sum(zeros[1] for _, zeros in [*kept, own])
        shares = world.scope_of(2).live[draft.header.entry].secrets.shares
        opened.append(opening(world.secrets[2], shares, mask, zero, 0, LEVEL))
        dealings.append((own[0].shares[1].value, own[1][1]))
    (mask, zero), (other_mask, other_zero) = dealings
    total = (opened[0] - opened[1] - zero + other_zero) * pow(mask - other_mask, -1, ORDER)
    stolen = total - draft.deals.identifiers[0].shares[1].value  # the reporter is an accomplice
    assert pedersen.interpolate({2: stolen, 3: world.secrets[3].level_shares[LEVEL].value}, 2) == level_key(
        world
    )


def test_lying_subset_holder_before_the_openings() -> None:
    """Trustee 3 uses another value than its fellow holder of one subset key, hoping that the quarrel is
    settled by publishing or dropping that key. Its ACCEPT already differs: every trustee halts, names the
    holders, opens nothing, changes nothing, and stays halted. Control: publishing the set's values gives
    trustee 1 the key, setting them to zero gives it to trustee 3. [ENT-1]"""
    world = small_world()
    liar, subset = world.machines[3], (1,)
    with_secrets(liar, subset_keys={**liar.secrets.subset_keys, subset: bytes(32)})
    draft = filed(world, 1, b"bob")
    entry, plan = draft.header.entry, world.plan()
    before = {index: persist.dump(world.scope_of(index).pending) for index in world.machines}
    for index in (1, 2):
        machine = world.machines[index]
        with pytest.raises(CommitteeHalted) as caught:
            machine.receive_plan(plan, world.now, world.randomness)
        assert (caught.value.code, caught.value.culprits) == (Code.SUBSET_MISMATCH, (2, 3))
        scope = world.scope_of(index)
        assert scope.phase == Phase.HALTED
        assert scope.batch is None
        assert persist.dump(scope.pending) == before[index]
        restarted = restart(world, index, persist.dump(machine.state))
        with pytest.raises(CommitteeHalted, match="2, 3"):
            restarted.receive_plan(replace(plan, entries=()), world.now, world.randomness)
        assert restarted.state.scopes[world.policy.scope].batch is None

    # Control: what both ways of "repairing" it, after openings, would have given away.
    honest, mine = world.secrets[2], world.secrets[3]
    shares = world.scope_of(2).pending[entry].shares
    context = world.committee.subset_context(entry, 1, LEVEL)
    drawn = draw_subset_values(honest, context, 2)

    def opened(values: Mapping[prss.Subset, list[prss.SubsetValue]]) -> int:
        mask = prss.random_share({one: value[0] for one, value in values.items()}, 2).value
        zero = prss.zero_share({one: tuple(value[1:]) for one, value in values.items()}, 2).value
        return opening(honest, shares, mask, zero, 0, LEVEL)

    known = draft.deals.identifiers[0].shares[1].value
    nothing = [prss.SubsetValue(0, 0)] * 2
    difference = opened(drawn) - opened({**drawn, subset: nothing})
    random, high = draw_subset_values(mine, context, 2)[subset]
    total = (difference * pow(prss.coefficient(subset, 2), -1, ORDER) - 2 * high.value) * pow(
        random.value, -1, ORDER
    )
    third = mine.level_shares[LEVEL].value
    assert pedersen.interpolate({2: total - known, 3: third}, 2) == level_key(world)

    published = {**draw_subset_values(world.secrets[1], context, 2), subset: drawn[subset]}
    held = {one: value for one, value in published.items() if 2 not in one}
    mask = prss.random_share({one: value[0] for one, value in held.items()}, 2).value
    zero = prss.zero_share({one: tuple(value[1:]) for one, value in held.items()}, 2).value
    total = (opened(drawn) - zero) * pow(mask, -1, ORDER)
    first = world.secrets[1].level_shares[LEVEL].value
    assert pedersen.interpolate({1: first, 2: total - known}, 2) == level_key(world)


def test_lying_subset_holder_after_the_openings() -> None:
    """Trustee 3 agreed, saw all openings, and now claims other subset values: by another ACCEPT, by other
    openings, by round 2 under another mask. Its first words stand: nothing is taken back or opened again,
    it is named, and the batch ends with the true outputs. [BAT-6]"""
    world = small_world()
    draft = filed(world, 1, b"bob")
    courier = Courier(
        world,
        lambda sender, _receiver, post: None if (sender, post.kind) == (3, Outgoing.ROUND_TWO) else post,
    )
    courier.run(world.start_batch())
    work, secrets = workload_of(world, 3), world.secrets[3]
    rows = {index: world.scope_of(index).live[draft.header.entry].public.subset_rows for index in (1, 2)}
    lying = replace(secrets, subset_keys={**secrets.subset_keys, (1,): bytes(32)})
    with_secrets(world.machines[3], subset_keys=lying.subset_keys)

    second = accept.accept(world.committee, world.policy, lying, draft.filing(), draft.header)
    shares = world.scope_of(3).live[draft.header.entry].secrets.shares
    own = derive_secrets(world.committee, world.policy, lying, draft.header, shares)
    batch = world.scope_of(3).batch
    assert batch is not None
    other = rounds.make_round_one(work.batch, lying, [own], world.randomness)
    points = rounds.make_round_two(work.batch, lying, [own], batch.xs, world.randomness)
    for index in (1, 2):
        machine = world.machines[index]
        intake.receive_acceptance(machine.state, world.view(), second)
        with pytest.raises(StateConflict) as caught:
            machine.receive_message(world.policy.scope, Outgoing.ROUND_ONE, other.encode(), world.randomness)
        assert (caught.value.code, caught.value.culprits) == (Code.EQUIVOCATION, (3,))
        with pytest.raises(VerificationFailed) as refused:
            machine.receive_message(world.policy.scope, Outgoing.ROUND_TWO, points.encode(), world.randomness)
        assert (refused.value.code, refused.value.culprits) == (Code.PROOF, (3,))
        assert world.scope_of(index).live[draft.header.entry].public.subset_rows == rows[index]
    courier.let_go()
    assert not courier.refusals
    assert all(len(opened) == 1 for opened in openings_of(courier.done).values())
    assert points_of(world)[draft.header.entry] == true_points(draft)


def colluders_find_keys(world: World, draft: Draft, opened: Mapping[int, int]) -> list[int]:
    """Trustees 1 and 2 of five (m = 3) and the reporter, from the openings of 3, 4 and 5.

    They miss only K_{12}. If that key gives one zero value, three openings have
    the unknowns a (of k_T), b (of the mask) and c (of zero): one quadratic.
    """
    first, second = world.secrets[1], world.secrets[2]
    context = world.committee.subset_context(draft.header.entry, 1, LEVEL)
    drawn = {**draw_subset_values(first, context, 3), **draw_subset_values(second, context, 3)}
    shares = [
        secrets.level_shares[LEVEL].value + draft.deals.identifiers[0].shares[secrets.index - 1].value
        for secrets in (first, second)
    ]

    def line(index: int) -> int:
        return shares[0] * (2 - index) + shares[1] * (index - 1)

    rows, right, turned = [], [], []
    for index in (3, 4, 5):
        held = {subset: value for subset, value in drawn.items() if index not in subset}
        mask = prss.random_share({subset: value[0] for subset, value in held.items()}, index).value
        zero = prss.zero_share({subset: tuple(value[1:]) for subset, value in held.items()}, index).value
        factor = prss.coefficient((1, 2), index)
        rows.append([mask, line(index), index])
        right.append((opened[index] - mask * line(index) - zero) * pow(factor, -1, ORDER))
        turned.append(-factor)
    fixed = solve([[*row, value] for row, value in zip(rows, right, strict=True)])
    moving = solve([[*row, value] for row, value in zip(rows, turned, strict=True)])
    assert fixed is not None
    assert moving is not None
    (a0, b0, _), (a1, b1, _) = fixed, moving
    middle, end = a0 * b1 + b0 * a1 - 1, a0 * b0
    roots = [
        (root - middle) * pow(2 * a1 * b1, -1, ORDER) for root in square_roots(middle**2 - 4 * a1 * b1 * end)
    ]
    return [(line(0) + 2 * (a0 + root * a1) - draft.identifiers[0]) % ORDER for root in roots]


def test_zero_sharing_with_too_few_values_for_m3() -> None:
    """Two of five trustees (m = 3) and a reporter solve for k_T from the three openings they did not make.
    With m - 1 = 2 zero values for each subset there is one unknown more than equations. Control: with one
    value for each subset the same computation ends in k_T. [ENT-3]"""
    world = small_world(count=5, threshold=3)
    draft = filed(world, 1, b"bob")
    done = Courier(world).run(world.start_batch()).done
    posted = {
        sender: int.from_bytes(RoundOne.decode(post.payload).openings[0], "little")
        for sender, post in done
        if post.kind == Outgoing.ROUND_ONE
    }
    assert level_key(world) not in colluders_find_keys(world, draft, posted)

    weak = {}
    context = world.committee.subset_context(draft.header.entry, 1, LEVEL)
    for index in (3, 4, 5):
        drawn = draw_subset_values(world.secrets[index], context, 2)
        own = world.scope_of(index).live[draft.header.entry].secrets
        zero = prss.zero_share({subset: (value[1],) for subset, value in drawn.items()}, index).value
        weak[index] = opening(world.secrets[index], own.shares, own.masks[0].value, zero, 0, LEVEL)
    # The colluders know that the dropped values do not exist.
    assert level_key(world) in colluders_of_the_weak_variant(world, draft, weak)


def colluders_of_the_weak_variant(world: World, draft: Draft, opened: Mapping[int, int]) -> list[int]:
    """The same computation where every subset gives one zero value only."""
    context = world.committee.subset_context(draft.header.entry, 1, LEVEL)
    drawn = {
        **draw_subset_values(world.secrets[1], context, 3),
        **draw_subset_values(world.secrets[2], context, 3),
    }
    corrected = {}
    for index, value in opened.items():
        second = {
            subset: (prss.SubsetValue(0, 0), values[2])
            for subset, values in drawn.items()
            if index not in subset
        }
        corrected[index] = value + prss.zero_share(second, index).value
    return colluders_find_keys(world, draft, corrected)


@pytest.mark.parametrize("table", ["identifier_commitments", "inverse_commitments", "content_commitments"])
@pytest.mark.parametrize(
    "change", [lambda row: (*row, row[0]), lambda row: row[:-1]], ids=["longer", "shorter"]
)
def test_over_degree_or_wrong_length_commitments(
    table: str, change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
) -> None:
    """A reporter commits to a polynomial of another degree than m - 1, so that each trustee's share is
    good by itself while different trustees recover different values. Any other length of a commitment
    list is refused before anything is verified. Control: the shares do open and do disagree. [CER-1]"""
    world = small_world()
    draft = Draft.of(world, 1, world.report(b"bob"))
    rows = getattr(draft.header, table)
    bad = draft.change(**{table: (change(rows[0]), *rows[1:])})
    assert refusal(world, bad.filing(proof=b"")).code == Code.COMMITMENT_LENGTH

    steep = pedersen.deal(7, 8, 3, 3, world.randomness)
    for share in steep.shares:
        expected = pedersen.share_commitment(steep.commitments, share.index)
        assert pedersen.commit(share.value, share.blind) == expected
    values = {share.index: share.value for share in steep.shares}
    assert pedersen.interpolate({1: values[1], 2: values[2]}, 2) != pedersen.interpolate(
        {1: values[1], 3: values[3]}, 2
    )


def test_over_degree_shares_under_a_list_of_the_right_length() -> None:
    """The reporter keeps the list short but deals shares of a steeper polynomial. They do not open the
    commitments: the trustee complains, and every other convicts the filing, not the accuser. [ACC-5]"""
    world = small_world()
    draft = Draft.of(world, 1, world.report(b"bob"))
    steep = pedersen.deal(draft.content_keys[0], 0, 3, 3, world.randomness)
    deals = replace(
        draft.deals, contents=(replace(draft.deals.contents[0], shares=steep.shares), draft.deals.contents[1])
    )
    filing = replace(draft, deals=deals).filing()
    posts, error = submit(world, filing, 3)
    assert error is None
    assert [post.kind for post in posts] == [Outgoing.COMPLAINT]
    complaint = BundleComplaint.decode(posts[0].payload)
    assert accept.judge(world.committee, filing, draft.header, complaint).culprits == ()


@pytest.mark.parametrize("extra", [1, -1])
def test_over_degree_or_wrong_length_commitments_in_a_dealing(extra: int) -> None:
    """A dealer of the ceremony raises (or lowers) the degree of its polynomial, so that the committee's
    key needs another number of trustees than the manifest says. Everybody refuses and names it. [CER-1]"""
    randomness = SeededStream(b"dealing")
    parameters = CommitteeParameters("test-instance", ("a", "b", "c"), 2, (2, 3), bytes(32))
    made = [ceremony.create_keys(parameters, index, randomness) for index in (1, 2, 3)]
    public = [keys for _, keys in made]
    dealing = ceremony.deal(parameters, made[1][0], public, 2, randomness)
    ceremony.check_dealing(parameters, public, dealing)
    row = dealing.commitments[0]
    changed = (*row, row[0]) if extra == 1 else row[:-1]
    bad = replace(dealing, commitments=(changed, *dealing.commitments[1:]))
    with pytest.raises(CeremonyFailed) as caught:
        ceremony.check_dealing(parameters, public, sign_message(bad, made[1][0].signing_key, Tag.DEALING))
    assert (caught.value.code, caught.value.culprits) == (Code.COMMITMENT_LENGTH, (2,))


def test_statement_taken_from_the_prover(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reporter wants filings without end: she invents a quota tag and proves it for a base that suits
    it. The verifier builds the statement from public data, with its own base, and refuses. Control: a
    verifier that reads the statement off the prover accepts. [PRF-1]"""
    world = small_world()
    draft = Draft.of(world, 1, world.report(b"bob"))
    invented = RISTRETTO255.base_multiply(12345)
    forged = draft.change(quota_tag=invented)
    with monkeypatch.context() as patch:
        suitable = RISTRETTO255.multiply(draft.member.secret, invented)
        patch.setattr(statement, "quota_base", lambda *_: suitable)
        relation, membership = forged.statements()
        proof = forged.prove(relation)
    assert refusal(world, forged.filing(proof)).code == Code.PROOF
    told = LinearRelation.parse(RISTRETTO255, relation.instance_bytes())
    sigma.verify(forged.session(), [told, membership], proof)


def extract_member_secret(world: World, first: tuple[Header, bytes], second: tuple[Header, bytes]) -> int:
    """p from two answers, if both proofs used the same nonce for it."""
    answers, challenges = [], []
    for header, proof in (first, second):
        draft = Draft.of(world, 1, world.report(b"bob"))
        statements = replace(draft, header=header).statements()
        split = sum(one.commitment_length for one in statements)
        session = derive_session_id(statement.session(world.committee, header))
        instances = sigma.encode_statements(statements)
        challenges.append(sigma.derive_challenge(RISTRETTO255, session, instances, proof[:split]))
        answers.append(int.from_bytes(proof[split : split + 32], "little"))
    return (answers[0] - answers[1]) * pow(challenges[0] - challenges[1], -1, ORDER) % ORDER


@pytest.mark.parametrize("hedged", [True, False], ids=["core", "control: nonces from the source alone"])
def test_nonce_reuse_under_a_changed_statement(monkeypatch: pytest.MonkeyPatch, *, hedged: bool) -> None:
    """A device whose source of randomness repeats itself (a cloned machine) seals two reports that differ
    in their expiry; two challenges for one nonce would give away p. Nonces hash witness, statement and
    session too, so they differ. Control: nonces from the source alone give p. [PRF-2]"""
    world = small_world()
    if not hedged:

        def from_seed(_session, _instances, statements, _witnesses, randomness):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            return [random_scalar(randomness) for one in statements for _ in range(one.nonce_count)]

        monkeypatch.setattr(sigma, "_derive_nonces", from_seed)
    proofs = []
    for weeks in (20, 30):
        world.randomness = SeededStream(b"stuck")
        sealed = world.seal(1, world.report(b"bob", weeks=weeks))
        proofs.append((sealed.header, sealed.filing.proof))
    assert proofs[0][0].member == proofs[1][0].member
    stolen = extract_member_secret(world, *proofs)
    assert (stolen == world.people[1].secret) is not hedged
    assert (proofs[0][1][:32] == proofs[1][1][:32]) is not hedged
