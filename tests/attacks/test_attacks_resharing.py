"""Attacks on refresh, replacement and re-keying (protocol section 13), with controls.

A control runs the attack against a version without the defence and succeeds,
so that the test of the defence can fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from tests.support.resharing import Move, refresh
from tests.support.world import World

from notalone_crypto.errors import CeremonyFailed, Code, ContextMismatch, NotAloneError, StateConflict
from notalone_crypto.messages.committee import Manifest
from notalone_crypto.messages.filing import Acceptance
from notalone_crypto.messages.reshare import ReshareDealing, SuccessionVote
from notalone_crypto.primitives import kem, pedersen, prss
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol import accept, ceremony, intake, reshare, reshare_open, succeed, succession
from notalone_crypto.protocol.accept import EntryShares
from notalone_crypto.protocol.entries import derive_secrets
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.reshare import LEVEL_KEYS
from notalone_crypto.protocol.signed import UNSIGNED, sign_message
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import Tag

LEVEL = 2


def small(count: int = 3, threshold: int = 2) -> World:
    return World(count=count, threshold=threshold, slots=(1,))


# --- what one trustee computes if masks are used for two keys or two sharings of one key --------------


def level_key(secrets: Mapping[int, TrusteeSecrets], threshold: int) -> int:
    """The secret that no trustee may learn: for comparison only."""
    return pedersen.interpolate({i: own.level_shares[LEVEL].value for i, own in secrets.items()}, threshold)


def openings(
    world: World,
    entry: bytes,
    committee: Committee,
    masking: Mapping[int, TrusteeSecrets],
    level_shares: Mapping[int, Share],
    shares: Mapping[int, EntryShares],
) -> dict[int, int]:
    """What honest trustees open for one entry at level 2: every trustee sees it."""
    opened = {}
    for index, own in masking.items():
        header = world.scope_of(index).pending[entry].header
        drawn = derive_secrets(committee, world.policy, own, header, shares[index])
        total = level_shares[index].value + shares[index].identifiers[0].value
        opened[index] = (drawn.masks[0].value * total + drawn.zeros[0].value) % ORDER
    return opened


def mask_of(world: World, entry: bytes, committee: Committee, own: TrusteeSecrets) -> int:
    """A curious trustee's own mask share."""
    pending = world.scope_of(own.index).pending[entry]
    return derive_secrets(committee, world.policy, own, pending.header, pending.shares).masks[0].value


def shares_of(world: World, entry: bytes) -> dict[int, EntryShares]:
    """A reporter knows all shares of her own filing; here she works for trustee 2."""
    return {index: world.scope_of(index).pending[entry].shares for index in world.machines}


def identifier_of(world: World, entry: bytes) -> int:
    shares = shares_of(world, entry)
    return pedersen.interpolate({i: one.identifiers[0].value for i, one in shares.items()}, world.threshold)


def solve_two_keys(products: Sequence[int], again: Sequence[int], identifiers: Sequence[int]) -> int:
    """k from o = rho(k + m) and o' = rho(k' + m) for two entries with known m and *equal* masks."""
    (a1, a2), (b1, b2) = products, again
    # a * k' - b * k = m * (b - a), twice
    right = [m * (b - a) % ORDER for a, b, m in zip(products, again, identifiers, strict=True)]
    determinant = (-a1 * b2 + a2 * b1) % ORDER
    return (a1 * right[1] - a2 * right[0]) * pow(determinant, -1, ORDER) % ORDER


def solve_two_sharings(
    first: Sequence[Mapping[int, int]],
    second: Sequence[Mapping[int, int]],
    own_masks: Sequence[int],
    identifier: int,
) -> int:
    """k for trustee 2 of 3 (m = 2) from openings under two sharings of k and equal masks, for two entries."""
    ratio = {}
    for index in (1, 3):
        a, b = ((one[index] - two[index]) % ORDER for one, two in zip(first, second, strict=True))
        ratio[index] = a * pow(b, -1, ORDER) % ORDER
    a2, b2 = own_masks
    slope_b = (2 * a2 - (ratio[1] + ratio[3]) * b2) * pow(ratio[3] - ratio[1], -1, ORDER)
    slope_a = a2 - ratio[1] * (b2 - slope_b)
    mask = (a2 - 2 * slope_a) % ORDER
    product = pedersen.interpolate(first[0], 3)
    return (product * pow(mask, -1, ORDER) - identifier) % ORDER


def two_filings(world: World) -> list[bytes]:
    return [world.file(1, b"made up").header.entry, world.file(2, b"also made up").header.entry]


def moved(world: World, *, rekey: bool) -> tuple[Move, Manifest, dict[int, TrusteeSecrets]]:
    move = Move(world, rekey=rekey)
    move.receive(move.all_dealings())
    manifest, secrets = move.combine(move.contributions())
    return move, manifest, secrets


def test_rekey_under_an_unchanged_context_reveals_the_key() -> None:
    """Control: masks of the old generation serve for the new key."""
    world = small()
    entries = two_filings(world)
    _, _, fresh = moved(world, rekey=True)
    old = {i: own.level_shares[LEVEL] for i, own in world.secrets.items()}
    new = {i: own.level_shares[LEVEL] for i, own in fresh.items()}
    products, again = (
        [
            pedersen.interpolate(
                openings(world, entry, world.committee, world.secrets, level_shares, shares_of(world, entry)),
                3,
            )
            for entry in entries
        ]
        for level_shares in (old, new)
    )
    identifiers = [identifier_of(world, entry) for entry in entries]
    assert solve_two_keys(products, again, identifiers) == level_key(world.secrets, 2)


def test_rekey_under_the_new_generations_context_reveals_nothing_that_way() -> None:
    """[ENT-2]"""
    world = small()
    entries = two_filings(world)
    committee, secrets = world.committee, world.secrets
    identifiers = [identifier_of(world, entry) for entry in entries]
    key = level_key(secrets, 2)

    def product(entry: bytes) -> int:
        level_shares = {i: own.level_shares[LEVEL] for i, own in world.secrets.items()}
        shares = shares_of(world, entry)
        return pedersen.interpolate(
            openings(world, entry, world.committee, world.secrets, level_shares, shares), 3
        )

    products = [product(entry) for entry in entries]
    refresh(world, rekey=True)
    again = [product(entry) for entry in entries]
    assert identifiers == [identifier_of(world, entry) for entry in entries]
    assert solve_two_keys(products, again, identifiers) not in {key, level_key(world.secrets, 2)}
    assert committee.subset_context(entries[0], 1, 2) != world.committee.subset_context(entries[0], 1, 2)


def test_refresh_under_an_unchanged_context_reveals_the_key() -> None:
    """Control: new shares of the same key, opened under the same masks, to one curious trustee."""
    world = small()
    entries = two_filings(world)
    move, _, fresh = moved(world, rekey=False)
    old = {i: own.level_shares[LEVEL] for i, own in world.secrets.items()}
    new = {i: own.level_shares[LEVEL] for i, own in fresh.items()}
    first, second = (
        [
            openings(world, entry, world.committee, world.secrets, level_shares, shares_of(world, entry))
            for entry in entries
        ]
        for level_shares in (old, new)
    )
    masks = [mask_of(world, entry, move.old, world.secrets[2]) for entry in entries]
    found = solve_two_sharings(first, second, masks, identifier_of(world, entries[0]))
    assert found == level_key(world.secrets, 2)


def test_refresh_with_all_subset_keys_redrawn_reveals_nothing_that_way() -> None:
    """[RSH-8]"""
    world = small()
    entries = two_filings(world)
    old_committee, curious = world.committee, world.secrets[2]
    masks = [mask_of(world, entry, old_committee, curious) for entry in entries]

    def opened() -> list[dict[int, int]]:
        level_shares = {i: own.level_shares[LEVEL] for i, own in world.secrets.items()}
        return [
            openings(world, entry, world.committee, world.secrets, level_shares, shares_of(world, entry))
            for entry in entries
        ]

    first = opened()
    refresh(world)
    second = opened()
    found = solve_two_sharings(first, second, masks, identifier_of(world, entries[0]))
    assert found != level_key(world.secrets, 2)


def test_a_single_subset_key_redrawn_reveals_the_key_to_its_holder() -> None:
    """Control: masks of two generations differ by what trustee 2 knows."""
    world = small()
    (entry, _) = two_filings(world)
    subset = (1,)  # held by 2 and 3
    changed = {
        i: replace(own, subset_keys={**own.subset_keys, **({subset: bytes(32)} if i != 1 else {})})
        for i, own in world.secrets.items()
    }
    level_shares = {i: own.level_shares[LEVEL] for i, own in world.secrets.items()}
    products = [
        pedersen.interpolate(
            openings(world, entry, world.committee, keys, level_shares, shares_of(world, entry)), 3
        )
        for keys in (world.secrets, changed)
    ]
    context = world.committee.subset_context(entry, 1, LEVEL)
    drawn = [
        prss.subset_value(keys[2].subset_keys[subset], context, 0).value for keys in (world.secrets, changed)
    ]
    known = (drawn[1] - drawn[0]) * prss.coefficient(subset, 0)
    found = (products[1] - products[0]) * pow(known, -1, ORDER) - identifier_of(world, entry)
    assert found % ORDER == level_key(world.secrets, 2)


@pytest.mark.parametrize("kept", [1, 2])
def test_a_single_subset_key_redrawn_is_refused(kept: int) -> None:
    """[RSH-8, RSH-9]"""
    world = small()
    move, manifest, secrets = moved(world, rekey=False)
    before, after = move.old.manifest.subset_key_hashes, manifest.subset_key_hashes
    mixed = replace(manifest, subset_key_hashes=before[:kept] + after[kept:])
    with pytest.raises(CeremonyFailed) as vote:
        move.succession(mixed, secrets)
    assert vote.value.code == Code.MANIFEST
    # Even if n - m + 1 old trustees signed it, a client does not follow.
    chain = move.succession(manifest, secrets)
    votes = tuple(
        sign_message(
            replace(one, manifest=mixed.fingerprint), world.secrets[one.trustee].signing_key, Tag.RESHARE
        )
        for one in chain.votes
    )
    signatures = {i: ceremony.sign_manifest(mixed, own.signing_key) for i, own in secrets.items()}
    with pytest.raises(CeremonyFailed) as client:
        succession.verify_succession(
            move.old, replace(chain, manifest=ceremony.collect(mixed, signatures), votes=votes), world.now
        )
    assert client.value.code == Code.MANIFEST


def test_a_manifest_with_the_old_shares_of_the_keys_is_refused() -> None:
    """[RSH-8]"""
    move, manifest, _ = moved(small(), rekey=False)
    stale = replace(manifest, level_commitments=move.old.manifest.level_commitments)
    with pytest.raises(CeremonyFailed) as refused:
        succession.check_manifest(move.old, stale, rekey=False)
    assert refused.value.code == Code.MANIFEST


def test_a_rekey_passed_off_as_a_refresh_is_refused() -> None:
    """[RSH-8]"""
    move, manifest, _ = moved(small(), rekey=True)
    with pytest.raises(CeremonyFailed) as refused:
        succession.check_manifest(move.old, manifest, rekey=False)
    assert refused.value.code == Code.MANIFEST


# --- dishonest dealers ----------------------------------------------------------------------------


def skewed(move: Move, dealer: int, subject: bytes) -> list[ReshareDealing]:
    """A dealer moves one of its shares by one before sharing it again."""
    world = move.world
    secrets = world.secrets[dealer]
    held = succeed.held_secrets(world.machines[dealer].state)
    honest = list(move.deal(dealer))
    shares = move.resharing.old_shares(subject, secrets, held.get(subject))
    shares[-1] = replace(shares[-1], value=(shares[-1].value + 1) % ORDER)
    bad = reshare.deal_shares(move.resharing, secrets, subject, shares, world.randomness)
    return [bad if one.entry == subject else one for one in honest]


@pytest.mark.parametrize(("count", "threshold"), [(3, 2), (5, 3)])
def test_a_skewed_refresh_convicts_its_dealer(count: int, threshold: int) -> None:
    """[RSH-3] Of a key, of a mask (the last share of a live entry) and of a waiting entry."""
    world = small(count, threshold)
    live = world.file(1, b"bob").header.entry
    world.run_batch()
    waiting = world.file(2, b"al").header.entry
    move = Move(world)
    for subject in (LEVEL_KEYS, live, waiting):
        dealings = skewed(move, 2, subject)
        with pytest.raises(CeremonyFailed) as refused:
            reshare_open.receive(move.resharing, move.keys[1], 1, dealings)
        assert refused.value.culprits == (2,)
        assert refused.value.code == Code.SHARE


def test_a_skewed_refresh_would_move_the_key() -> None:
    """Control: without the check on the first commitment every share verifies and the key is another."""
    world = small()
    move = Move(world)
    shares: dict[int, int] = {}
    weights = pedersen.lagrange_at_zero((1, 2, 3))
    dealt = [
        next(
            one
            for one in (skewed(move, i, LEVEL_KEYS) if i == 2 else move.deal(i))
            if one.entry == LEVEL_KEYS
        )
        for i in (1, 2, 3)
    ]
    for index in (1, 2, 3):
        opened = [reshare_open.open_dealing(move.resharing, move.keys[index], index, one) for one in dealt]
        shares[index] = sum(w * part[-1].value for w, part in zip(weights, opened, strict=True)) % ORDER
    old = {i: own.level_shares[3].value for i, own in world.secrets.items()}
    assert pedersen.interpolate(shares, 2) != pedersen.interpolate(old, 2)


def resigned(move: Move, dealing: ReshareDealing, dealer: int = 1) -> ReshareDealing:
    return sign_message(dealing, move.world.secrets[dealer].signing_key, Tag.RESHARE)


@pytest.mark.parametrize("change", [1, -1])
def test_an_over_degree_or_wrong_length_reshare_is_refused(change: int) -> None:
    """[RSH-4]"""
    move = Move(small())
    dealing = move.deal(1)[0]
    rows = tuple((*row, row[-1]) if change > 0 else row[:-1] for row in dealing.commitments)
    with pytest.raises(CeremonyFailed) as refused:
        reshare.check_dealing(move.resharing, resigned(move, replace(dealing, commitments=rows)))
    assert refused.value.code == Code.COMMITMENT_LENGTH
    assert refused.value.culprits == (1,)


def test_an_over_degree_reshare_with_its_own_polynomials_is_refused() -> None:
    """[RSH-4] The dealer really deals degree m; its lists are then one too long."""
    world = small()
    move = Move(world)
    higher = replace(move.resharing, committee=_Higher(move.old.manifest, move.old.fingerprint))
    shares = move.resharing.old_shares(LEVEL_KEYS, world.secrets[1], None)
    dealing = reshare.deal_shares(higher, world.secrets[1], LEVEL_KEYS, shares, world.randomness)
    with pytest.raises(CeremonyFailed) as refused:
        reshare.check_dealing(move.resharing, dealing)
    assert refused.value.code == Code.COMMITMENT_LENGTH


class _Higher(Committee):
    """The dealer's own idea of the committee."""

    __slots__ = ()

    @property
    def threshold(self) -> int:
        return 3


def _bad_for(move: Move, recipient: int) -> ReshareDealing:
    """A dealing of trustee 1 whose part for one recipient is somebody else's."""
    world = move.world
    shares = move.resharing.old_shares(LEVEL_KEYS, world.secrets[1], None)
    other = [replace(one, value=(one.value + 5) % ORDER) for one in shares]
    # Same ephemeral for both, by the same stream: only one sealed part is exchanged.
    good = reshare.deal_shares(move.resharing, world.secrets[1], LEVEL_KEYS, shares, _stream())
    bad = reshare.deal_shares(move.resharing, world.secrets[1], LEVEL_KEYS, other, _stream())
    sealed = tuple((bad if keys.index == recipient else good).sealed[keys.index - 1] for keys in move.public)
    unproved = replace(good, sealed=sealed, proof=b"", signature=UNSIGNED)
    ephemeral = _ephemeral(move, shares)
    proof = kem.prove_key(kem.EncryptionKey(ephemeral), reshare.enc_session(unproved), world.randomness)
    return resigned(move, replace(unproved, proof=proof))


def _stream() -> SeededStream:
    return SeededStream(b"a dealer's own coins")


def _ephemeral(move: Move, shares: Sequence[Share]) -> int:
    stream = _stream()
    for one in shares:
        pedersen.deal(one.value, one.blind, move.old.threshold, move.old.count, stream)
    return random_scalar(stream)


def test_a_bad_part_convicts_its_dealer_before_everybody_and_a_false_complaint_its_accuser() -> None:
    """[RSH-5]"""
    move = Move(small())
    bad = _bad_for(move, 3)
    reshare.check_dealing(move.resharing, bad)
    for index in (1, 2):
        reshare_open.open_dealing(move.resharing, move.keys[index], index, bad)
    with pytest.raises(CeremonyFailed) as seen:
        reshare_open.open_dealing(move.resharing, move.keys[3], 3, bad)
    assert seen.value.culprits == (1,)
    randomness = move.world.randomness
    complaint = reshare_open.complain(move.resharing, move.keys[3], 3, bad, randomness)
    assert reshare_open.judge(move.resharing, bad, complaint).culprits == (1,)
    false = reshare_open.complain(move.resharing, move.keys[2], 2, bad, randomness)
    assert reshare_open.judge(move.resharing, bad, false).culprits == (2,)
    framed = replace(complaint, accuser=2)
    assert reshare_open.judge(move.resharing, bad, framed).culprits == ()


def test_copied_enc_makes_no_oracle_of_an_honest_accuser() -> None:
    """[RSH-6] A dealer copies another's enc, so that a complaint about it would open that other's dealing."""
    move = Move(small())
    victim = move.deal(1)[0]
    copied = resigned(move, replace(move.deal(2)[0], enc=victim.enc), dealer=2)
    with pytest.raises(CeremonyFailed) as refused:
        reshare_open.complain(move.resharing, move.keys[3], 3, copied, move.world.randomness)
    assert refused.value.culprits == (2,)
    assert refused.value.code == Code.PROOF


def test_copied_enc_in_the_contributions_is_refused_too() -> None:
    """[RSH-6] Contributions are sealed to the same new keys, so their complaints would be the same oracle."""
    world = small()
    move = Move(world)
    victim = move.deal(1)[0]
    honest = move.contributions()[1]
    copied = sign_message(replace(honest, enc=victim.enc), world.secrets[2].signing_key, Tag.DEALING)
    with pytest.raises(CeremonyFailed) as refused:
        ceremony.check_dealing(move.old.manifest.parameters, move.public, copied, ())
    assert refused.value.culprits == (2,)
    assert refused.value.code == Code.PROOF


def test_two_faced_dealer_is_seen_before_any_manifest() -> None:
    """[RSH-15] Both of its dealings are good; who got different ones does not sign the same transcript."""
    world = small()
    world.file(1, b"bob")
    world.run_batch()
    move = Move(world)
    first, second = move.all_dealings(), move.all_dealings()
    move.receive(first)
    move.reshared[3] = reshare_open.receive(move.resharing, move.keys[3], 3, second)
    with pytest.raises(CeremonyFailed) as refused:
        move.combine(move.contributions())
    assert refused.value.code == Code.EQUIVOCATION


def test_a_dealing_of_another_attempt_is_refused() -> None:
    """[RSH-1]"""
    world = small()
    first, second = Move(world), Move(world)
    with pytest.raises(CeremonyFailed) as refused:
        reshare.check_dealing(second.resharing, first.deal(1)[0])
    assert refused.value.code == Code.GENERATION


def test_nobody_deals_to_keys_that_old_trustees_did_not_approve() -> None:
    """[RSH-2] A board that makes up a committee of its own keys gets nothing."""
    world = small()
    honest = Move(world)
    made_up = Move(world, replaced=(1, 2, 3))
    for approvals in ([], honest.approvals()):
        with pytest.raises(CeremonyFailed) as refused:
            reshare.deal(made_up.resharing, world.secrets[1], {}, approvals, world.now, world.randomness)
        assert refused.value.code == Code.QUORUM
    forged = [
        sign_message(
            replace(one, plan=made_up.plan.fingerprint), made_up.keys[one.trustee].signing_key, Tag.RESHARE
        )
        for one in honest.approvals()
    ]
    with pytest.raises(NotAloneError) as unsigned:
        reshare.deal(made_up.resharing, world.secrets[1], {}, forged, world.now, world.randomness)
    assert unsigned.value.code == Code.SIGNATURE


def test_keys_of_the_plan_exchanged_afterwards_are_refused() -> None:
    """[RSH-1]"""
    world = small()
    move, other = Move(world), Move(world)
    with pytest.raises(ContextMismatch) as refused:
        succeed.deal(
            move.old,
            world.secrets[1],
            world.machines[1].state,
            move.plan,
            other.public,
            move.approvals(),
            world.now,
            world.randomness,
        )
    assert refused.value.code == Code.COMMITTEE


def test_old_bundle_keys_are_refused_in_a_new_generation() -> None:
    """[RSH-8]"""
    world = small()
    move, manifest, _ = moved(world, rekey=False)
    kept = replace(move.public[0], bundle_key=move.old.manifest.trustees[0].bundle_key)
    with pytest.raises(CeremonyFailed) as refused:
        reshare.check_rotation(move.old, manifest.generation, [kept, *move.public[1:]])
    assert refused.value.culprits == (1,)


# --- secrecy over time ------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "threshold"), [(3, 2), (5, 3)])
def test_mobile_adversary_with_old_and_new_shares_reconstructs_nothing(count: int, threshold: int) -> None:
    """[RSH-7] m - 1 trustees before and m - 1 others after: no m of their shares give a secret."""
    world = small(count, threshold)
    entry = world.file(1, b"bob").header.entry
    world.run_batch()

    def shares() -> list[dict[int, Share]]:
        held = {i: world.scope_of(i).live[entry].secrets for i in world.machines}
        kinds = [{i: own.level_shares[LEVEL] for i, own in world.secrets.items()}]
        kinds += [{i: own.masks[0] for i, own in held.items()}]
        kinds += [{i: own.shares.identifiers[0] for i, own in held.items()}]
        kinds += [{i: own.shares.inverses[0] for i, own in held.items()}]
        kinds += [{i: own.shares.contents[1] for i, own in held.items()}]
        return kinds

    before = shares()
    refresh(world)
    after = shares()
    for old, new in zip(before, after, strict=True):
        secret = pedersen.interpolate({i: one.value for i, one in old.items()}, threshold)
        assert secret == pedersen.interpolate({i: one.value for i, one in new.items()}, threshold)
        stolen = [(i, old[i].value) for i in range(1, threshold)]
        stolen += [(i, new[i].value) for i in range(threshold, 2 * threshold - 1)]
        for chosen in combinations(stolen, threshold):
            assert pedersen.interpolate(dict(chosen), threshold) != secret


def test_a_filing_of_the_old_generation_is_refused() -> None:
    """[RSH-14]"""
    world = small()
    sealed = world.seal(1, world.report(b"bob"))
    refresh(world)
    with pytest.raises(ContextMismatch) as refused:
        world.give([sealed.filing])
    assert refused.value.code == Code.GENERATION


def test_an_acceptance_of_the_old_generation_is_refused() -> None:
    """[RSH-14]"""
    world = small()
    sealed = world.file(1, b"bob")
    old = world.scope_of(2).pending[sealed.header.entry].acceptances[2]
    world.machines[2].state.scopes[world.policy.scope].pending.clear()  # it is late
    world.scope_of(1).pending[sealed.header.entry].acceptances.pop(2)
    world.scope_of(3).pending[sealed.header.entry].acceptances.pop(2)
    fresh = world.file(2, b"bob")
    world.scope_of(1).pending.pop(sealed.header.entry)
    world.scope_of(3).pending.pop(sealed.header.entry)
    refresh(world)
    current = Acceptance(
        fresh.header.entry, old.filing, old.trustee, old.generation, old.subset_commitments, UNSIGNED
    )
    signed = sign_message(current, world.secrets[2].signing_key, Tag.ACCEPT)
    with pytest.raises(ContextMismatch) as refused:
        intake.receive_acceptance(world.machines[1].state, world.view(), signed)
    assert refused.value.code == Code.GENERATION


def test_an_old_bundle_does_not_open_under_a_stolen_new_key() -> None:
    """[RSH-8]"""
    world = small()
    sealed = world.file(1, b"bob")
    refresh(world)
    with pytest.raises(NotAloneError):
        accept.open_bundle(world.committee, world.secrets[1], sealed.filing, sealed.header)


def test_a_complaint_about_a_carried_entry_counts_for_nothing() -> None:
    """[RSH-14] Its bundles open under no new key; taken for bad, one trustee could throw out all."""
    world = small()
    sealed = world.file(1, b"bob")
    refresh(world)
    entry = sealed.header.entry
    world.scope_of(1).pending[entry].acceptances.pop(3)  # not arrived yet
    complaint = accept.complain(
        world.committee, world.secrets[3], sealed.filing, sealed.header, world.randomness
    )
    with pytest.raises(StateConflict) as refused:
        intake.receive_complaint(world.machines[1].state, world.view(), sealed.filing, complaint)
    assert refused.value.code == Code.GENERATION
    assert entry in world.scope_of(1).pending


def test_an_evaluation_is_never_redone_inside_one_generation() -> None:
    """[RSH-16]"""
    world = small()
    sealed = world.file(1, b"bob")
    world.run_batch()
    refresh(world)
    with pytest.raises(StateConflict) as refused:
        world.start_batch(world.plan((sealed.header.entry,)))
    assert refused.value.code == Code.UNKNOWN_ENTRY


def test_a_plan_of_the_old_generation_is_refused() -> None:
    """[RSH-14]"""
    world = small()
    plan = world.plan()
    refresh(world)
    with pytest.raises(ContextMismatch):
        world.start_batch(plan)


def test_votes_for_one_manifest_do_not_carry_another() -> None:
    """[RSH-9]"""
    world = small()
    move, manifest, secrets = moved(world, rekey=False)
    chain = move.succession(manifest, secrets)
    _, other, others = moved(world, rekey=False)
    signatures = {i: ceremony.sign_manifest(other, own.signing_key) for i, own in others.items()}
    with pytest.raises(ContextMismatch) as refused:
        succession.verify_succession(
            move.old, replace(chain, manifest=ceremony.collect(other, signatures)), world.now
        )
    assert refused.value.code == Code.COMMITTEE


def test_names_of_the_seats_are_part_of_what_old_trustees_sign() -> None:
    """[RSH-9]"""
    world = small()
    move, manifest, secrets = moved(world, rekey=False)
    chain = move.succession(manifest, secrets)
    renamed: tuple[SuccessionVote, ...] = tuple(replace(one, names=("a", "b", "c")) for one in chain.votes)
    with pytest.raises(NotAloneError) as refused:
        succession.verify_succession(move.old, replace(chain, votes=renamed), world.now)
    assert refused.value.code == Code.SIGNATURE


def test_retained_record_after_rekey() -> None:
    """A trustee keeps every point of before a re-key and compares with what comes after.

    The control: within one generation and epoch the same subject does show.
    """
    world = small()
    first, second = world.file(1, b"bob"), world.file(2, b"bob")
    world.run_batch()
    kept = [world.scope_of(1).outlines[sealed.header.entry].points for sealed in (first, second)]
    assert kept[0][0].curve == kept[1][0].curve
    refresh(world, rekey=True)
    world.file(3, b"bob")
    world.run_batch()
    after = [point for outline in world.scope_of(1).outlines.values() for point in outline.points]
    assert after
    for points in kept:
        assert not {point.x for point in points} & {point.x for point in after}
        assert not {point.curve for point in points} & {point.curve for point in after}
