"""Attacks that carry something across a border: slot, scope, committee, instance, filing, trustee, batch.

Whatever is copied, moved, swapped or re-randomised must mean nothing in its new
place, and must not burn what it was copied from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.attacks.adversary import (
    Draft,
    acceptance_of,
    elements_of,
    filed,
    points_of,
    refusal,
    small_world,
    submit,
    take_back,
    true_point,
)
from tests.support.world import World

from notalone_crypto.errors import Code, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.filing import BundleComplaint, BundleContent, Filing, Header
from notalone_crypto.primitives import aead, kem, pedersen, sigma
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR
from notalone_crypto.primitives.transcript import derive_session_id
from notalone_crypto.protocol import accept, file, intake, statement
from notalone_crypto.protocol.keys import curve_bases, duplicate_base
from notalone_crypto.protocol.roll import Member
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import Outgoing
from notalone_crypto.protocol.withdraw import DAY_SECONDS, period_of
from notalone_crypto.suite import Tag


def marks(world: World, member: Member, identifier: bytes) -> list[set[bytes]]:
    """For each slot, everything that one person's report about one subject shows or derives in a world."""
    committee, policy = world.committee, world.policy
    tags = set(file.own_tags(committee, policy, member, period_of(world.now, policy.period_days)))
    found = []
    positions = statement.positions(policy)
    for used in policy.slots:
        scalars = file.identifier_scalars(committee, policy, member, world.report({used: identifier}))
        here = set(tags) if used == policy.slots[0] else set()
        for position, (slot, level) in enumerate(positions):
            if slot == used:
                point = true_point(world, member, scalars[position], position, 0)
                here |= {
                    RISTRETTO255.encode_scalar(scalars[position]),
                    RISTRETTO255.encode_scalar(point.x),
                    point.curve,
                    duplicate_base(committee, policy.scope, slot, level, 0),
                    *curve_bases(committee, policy.scope, slot, level, 0),
                }
        found.append(here)
    return found


def test_one_identifier_in_another_slot_scope_committee_or_instance() -> None:
    """Whoever sees two slots, scopes, committees or instances looks for one person or one subject in both:
    by identifier scalar, tag, x, curve value or base. None is shared, even between scopes with one set of
    keys, and nothing matches across slots. Control: in one slot the same two match. [CONV-4, FIND-4]"""
    home = small_world(slots=(1, 2))
    member = home.people[1]
    others = {
        "scope": small_world(slots=(1, 2), scope_name="hospital"),
        "committee": small_world(slots=(1, 2), seed=b"other"),
        "instance": small_world(slots=(1, 2), instance="other-instance"),
    }
    groups = [marks(world, member, b"bob") for world in (home, *others.values())]
    sets = [one for group in groups for one in group]
    assert len(set().union(*sets)) == sum(map(len, sets))
    assert others["scope"].people[1].place == member.place  # the same person there

    draft = Draft.of(home, 1, home.report(b"bob"))
    filing = draft.filing()
    codes = {name: refusal(world, filing).code for name, world in others.items()}
    assert codes == {"scope": Code.SCOPE, "committee": Code.COMMITTEE, "instance": Code.COMMITTEE}
    for world in others.values():  # the thief re-labels the header and signs it anew, with her proof
        moved = replace(draft, world=world).change(
            committee=world.committee.identifier,
            scope=world.policy.scope,
            policy=world.policy.fingerprint,
            snapshot=world.snapshot.fingerprint,
            desk_key=world.desk.public,
        )
        assert refusal(world, moved.filing(filing.proof)).code == Code.PROOF

    home.file(2, {1: b"bob"})
    crossing = home.file(3, {2: b"bob"})
    home.run_batch()
    assert home.opened_by(home.desk) == set()
    match = home.file(4, {2: b"bob"})
    home.run_batch()
    assert {entry for entry, _ in home.opened_by(home.desk)} == {crossing.header.entry, match.header.entry}


def read_bundle(world: World, filing: Filing, index: int, shared: bytes) -> int:
    """The identifier share in a bundle, by whoever knows e*EK_i."""
    header = Header.decode(filing.header)
    public = world.committee.manifest.trustees[index - 1].bundle_key
    key = kem.derive_key(shared, header.enc, public, index, header.entry)
    content = BundleContent.decode(aead.open_sealed(key, header.entry, filing.bundles[index - 1]))
    return file.decode_share(content.identifier_shares[0], index).value


@pytest.mark.parametrize("first", ["victim", "thief"], ids=["after the victim's filing", "before it"])
def test_copied_enc(first: str) -> None:
    """A thief copies a victim's enc, with bundles that do not open, so that trustees complain: e*EK_i then
    opens the victim's bundles to all. A seen enc is refused; an unseen one, copied on the way, lacks the
    proof of knowing e, and burns nothing for the victim. Control: trustees that complain without these
    checks give the subject away. [ACC-2, STMT-4]"""
    world = small_world()
    victim = Draft.of(world, 1, world.report(b"bob"))
    filing = victim.filing()
    if first == "victim":
        world.give([filing])
    draft = Draft.of(world, 2, world.report(b"al"))
    thief = draft.change(enc=victim.header.enc)
    junk = tuple(bytes(len(bundle)) for bundle in filing.bundles)
    theft = thief.filing(bundles=junk)
    for index in world.machines:
        error = refusal(world, theft, index)
        assert error.code == (Code.ENC_REUSED if first == "victim" else Code.PROOF)
    if first == "thief":
        world.give([filing])

    shares = {}
    for index in (1, 2):
        complaint = accept.complain(
            world.committee, world.secrets[index], theft, thief.header, world.randomness
        )
        assert accept.judge(world.committee, theft, thief.header, complaint).culprits == ()
        shares[index] = read_bundle(world, filing, index, complaint.shared)
    assert pedersen.interpolate(shares, 2) == victim.identifiers[0]


def test_ciphertext_relay() -> None:
    """A thief puts another's sealed bundles into a filing of her own, to have them opened, counted or
    complained about. Their keys hash the header and index: they do not open, and the complaint that
    follows opens nothing of the victim's. Control: at home they open."""
    world = small_world()
    victim = filed(world, 1, b"bob")
    bundles = victim.deals.seal(world.committee, victim.header, victim.ephemeral)
    thief = Draft.of(world, 2, world.report(b"al"))
    relayed = thief.filing(bundles=bundles)
    original = victim.filing(bundles=bundles)
    for index in world.machines:
        posts, error = submit(world, relayed, index)
        assert error is None
        assert [post.kind for post in posts] == [Outgoing.COMPLAINT]
        complaint = BundleComplaint.decode(posts[0].payload)
        for filing in (relayed, original):
            with pytest.raises(VerificationFailed) as caught:
                read_bundle(world, filing, index, complaint.shared)
            assert caught.value.code == Code.DECRYPTION
        key = world.committee.manifest.trustees[index - 1].bundle_key
        assert read_bundle(world, original, index, RISTRETTO255.multiply(victim.ephemeral, key)) > 0


SWAPS: dict[str, Callable[[Filing, Filing], Filing]] = {
    "header": lambda one, other: replace(one, header=other.header),
    "proof": lambda one, other: replace(one, proof=other.proof),
    "a bundle": lambda one, other: replace(one, bundles=(other.bundles[0], *one.bundles[1:])),
    "bundles among trustees": lambda one, _: replace(
        one, bundles=(one.bundles[1], one.bundles[0], one.bundles[2])
    ),
    "first introduction": lambda one, other: replace(one, first_introduction=other.first_introduction),
    "second introduction": lambda one, other: replace(one, second_introduction=other.second_introduction),
    "signature": lambda one, other: replace(one, signature=other.signature),
}


@pytest.mark.parametrize("part", SWAPS)
def test_header_or_bundle_swapped(part: str) -> None:
    """The board exchanges one part of a filing for another filing's, to make it unreadable, to move it, or
    to have its maker blamed. The owner's signature and the hashes in the header cover every part: the
    trustee refuses without a complaint, and the true filing is still welcome. [ACC-4]"""
    world = small_world()
    one, other = (Draft.of(world, who, world.report(b"bob")).filing() for who in (1, 2))
    error = refusal(world, SWAPS[part](one, other))
    assert isinstance(error, VerificationFailed)
    assert error.code == Code.SIGNATURE
    assert error.culprits == ()
    world.give([one, other])


@pytest.mark.parametrize(
    "change",
    ["desk", "recipient", "policy", "mode", "preconsent", "owner"],
    ids=lambda name: f"{name} exchanged",
)
def test_header_changed_on_the_way(change: str) -> None:
    """The board changes who will read the report (desk, recipient key, rules, owner) and signs with a key
    of its own where it can. A changed header is another entry, to which neither signature nor proof
    belongs. [ACC-4, STMT-5]"""
    world = small_world()
    draft = Draft.of(world, 1, world.report(b"bob"))
    mine = Draft.of(world, 2, world.report(b"bob")).owner
    filing = draft.filing()
    changes: dict[str, dict[str, bytes | int]] = {
        "desk": {"desk_key": mine.recipient_key.public},
        "recipient": {"recipient_key": mine.recipient_key.public},
        "policy": {"policy": bytes(32)},
        "mode": {"release_mode": 2},
        "preconsent": {"preconsent": 1},
        "owner": {"owner_key": mine.signing_key.verify_key},
    }
    changed = draft.change(**changes[change])
    fixed = {"desk": Code.POLICY, "policy": Code.POLICY}.get(change)
    as_it_is = replace(filing, header=changed.header.encode())
    assert refusal(world, as_it_is).code == (fixed or Code.SIGNATURE)
    stolen = changed.change(owner_key=mine.signing_key.verify_key)
    signed_anew = stolen.filing(filing.proof, filing.bundles, key=mine.signing_key)
    assert refusal(world, signed_anew).code == (fixed or Code.PROOF)


def test_complaint_about_bytes_the_owner_never_signed() -> None:
    """Trustee 3 and the board put junk in place of its bundle under the victim's header, and complain with
    a true proof: the victim's report would be struck out for good, and she blamed. A complaint counts
    only for a filing that its owner signed; this one names its accuser. [ACC-4, ACC-5]"""
    world = small_world()
    victim = Draft.of(world, 1, world.report(b"bob"))
    filing = victim.filing()
    for index in (1, 2):
        acceptance_of(world, filing, index)
    forged = replace(filing, bundles=(*filing.bundles[:2], bytes(len(filing.bundles[2]))))
    complaint = accept.complain(world.committee, world.secrets[3], forged, victim.header, world.randomness)
    for index in (1, 2):
        with pytest.raises(VerificationFailed) as caught:
            intake.receive_complaint(world.machines[index].state, world.view(), forged, complaint)
        assert (caught.value.code, caught.value.culprits) == (Code.COMPLAINT, (3,))
        assert victim.header.entry in world.scope_of(index).pending
    # Under her own bytes the same complaint is plainly false.
    plain = accept.complain(world.committee, world.secrets[3], filing, victim.header, world.randomness)
    with pytest.raises(VerificationFailed) as false:
        intake.receive_complaint(world.machines[1].state, world.view(), filing, plain)
    assert false.value.culprits == (3,)


def blinded(row: tuple[bytes, ...], amount: int) -> tuple[bytes, ...]:
    return (RISTRETTO255.add(row[0], RISTRETTO255.multiply(amount, BLINDING_GENERATOR)), *row[1:])


def stolen_header(world: World, victim: Draft) -> Draft:
    """The victim's header under the thief's own owner and recipient keys."""
    mine = Draft.of(world, 2, world.report(b"al")).owner
    keys = {"owner_key": mine.signing_key.verify_key, "recipient_key": mine.recipient_key.public}
    return replace(victim.change(**keys), owner=mine)


def test_copied_commitments() -> None:
    """A thief (the board, before it passes a filing on) copies P, M and V with the proof, so that a filing
    she owns has the victim's person and subject. The proof is bound to the whole header. A filing of her
    own person with the victim's M and V fails too: she cannot open them. [STMT-5]"""
    world = small_world()
    victim = Draft.of(world, 1, world.report(b"bob"))
    assert refusal(world, stolen_header(world, victim).filing(victim.prove())).code == Code.PROOF
    own = Draft.of(world, 2, world.report(b"al"))
    mixed = own.change(
        identifier_commitments=victim.header.identifier_commitments,
        inverse_commitments=victim.header.inverse_commitments,
    )
    assert refusal(world, mixed.filing()).code == Code.PROOF


def test_rerandomised_commitments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thief of the attack above re-randomises P, M and V and shifts the copied proof to fit. The
    challenge hashes the whole statement and header, so nothing fits. Control: under the victim's
    challenge and weights every equation holds. [STMT-5]"""
    world = small_world()
    victim = Draft.of(world, 1, world.report(b"bob"))
    proof, copied = victim.prove(), stolen_header(world, victim)
    person, subject, inverse = 11, 22, 33
    header = victim.header
    thief = copied.change(
        member=blinded((header.member,), person)[0],
        identifier_commitments=tuple(blinded(row, subject) for row in header.identifier_commitments),
        inverse_commitments=tuple(blinded(row, inverse) for row in header.inverse_commitments),
    )
    statements = victim.statements()
    split = sum(one.commitment_length for one in statements)
    challenge = sigma.derive_challenge(
        RISTRETTO255, derive_session_id(victim.session()), sigma.encode_statements(statements), proof[:split]
    )
    answers = [int.from_bytes(proof[at : at + 32], "little") for at in range(split, len(proof), 32)]
    count = statements[0].witness_length
    weights = list(statement.inverse_weights(header))
    answers[1] += challenge * person
    for row, weight in enumerate(weights):
        answers[count - 1] -= weight * answers[3 + 2 * row] * inverse
        answers[4 + 2 * row] += challenge * (person + subject)
    answers[-1] += person * pow(challenge, statements[1].roll.digits, RISTRETTO255.order)
    mauled = proof[:split] + b"".join(
        RISTRETTO255.encode_scalar(answer % RISTRETTO255.order) for answer in answers
    )
    assert refusal(world, thief.filing(mauled)).code == Code.PROOF
    assert refusal(world, thief.filing(proof)).code == Code.PROOF

    monkeypatch.setattr(statement, "inverse_weights", lambda _header: weights)
    first, third = 0, split
    for one in thief.statements():
        first_end, third_end = first + one.commitment_length, third + one.response_length
        equations = one.verification_equations(mauled[first:first_end], challenge, mauled[third:third_end])
        for scalars, elements in equations:
            assert RISTRETTO255.multi_multiply(scalars, elements) == RISTRETTO255.identity
        first, third = first_end, third_end


def test_anothers_place() -> None:
    """A member hides behind another's place: P = E_j + delta*H, of which she knows delta but not p, to be as
    many people as the roll has. The proof also opens P and makes the quota tag from the same p, and fails.
    Control: membership by itself holds. [STMT-1]"""
    world = small_world()
    draft = Draft.of(world, 1, world.report(b"bob"))
    other = world.snapshot.places.index(world.people[2].place)
    delta = 4711
    place = RISTRETTO255.add(world.snapshot.places[other], RISTRETTO255.multiply(delta, BLINDING_GENERATOR))
    forged = draft.change(member=place)
    proof = forged.prove(membership_witness=(other, delta))
    assert refusal(world, forged.filing(proof)).code == Code.PROOF

    _, membership = forged.statements()
    alone = sigma.prove(forged.session(), [membership], [(other, delta)], world.randomness)
    sigma.verify(forged.session(), [membership], alone)


def test_replayed_filing() -> None:
    """The board brings one filing again: to count it twice, in a later period, or after its owner took it
    back. A filing that is held is answered with the same ACCEPT and counts once; afterwards its header is
    refused for ever, also under other bytes that its owner signs. [WD-2]"""
    world = small_world()
    draft = Draft.of(world, 1, world.report(b"bob"))
    filing = draft.filing()
    delayed = Draft.of(world, 2, world.report(b"bob")).filing()
    world.give([filing])
    first = [post.payload for _, post in world.posts]
    for index, payload in zip(world.machines, first, strict=True):
        posts, error = submit(world, filing, index)
        assert error is None
        assert [post.payload for post in posts] == [payload]
    again = draft.filing()  # other proof and signature, same header
    assert again != filing
    assert refusal(world, again).code == Code.DUPLICATE
    world.run_batch()
    assert len(points_of(world)) == 1
    assert refusal(world, filing).code == Code.DUPLICATE
    take_back(world, draft)
    world.run_batch()
    for bytes_again in (filing, again):
        assert refusal(world, bytes_again).code == Code.DUPLICATE
    assert points_of(world) == {}

    # Who was away takes it late, but no batch of the new period may have closed before.
    world.now += world.policy.period_days * DAY_SECONDS
    world.run_batch()
    assert refusal(world, delayed).code == Code.PERIOD


def test_replay_of_an_acceptance() -> None:
    """The board completes an entry's acceptances with another entry's, another trustee's, another
    generation's, or those for other bytes under the header. Each names all of that under a signature. A
    trustee that signs two is named; one that was shown other bytes than its peers is not. [BAT-4]"""
    world = small_world()
    one, two = (Draft.of(world, who, world.report(b"bob")) for who in (1, 2))
    filings = [one.filing(), two.filing()]
    for filing in filings:
        acceptance_of(world, filing, 1)
    good = [acceptance_of(world, filing, 3) for filing in filings]
    machine, key = world.machines[1], world.secrets[3].signing_key

    def refused(acceptance: object) -> NotAloneError:
        with pytest.raises(NotAloneError) as caught:
            intake.receive_acceptance(machine.state, world.view(), acceptance)  # type: ignore[arg-type]
        return caught.value

    assert refused(replace(good[0], entry=good[1].entry)).code == Code.SIGNATURE
    assert refused(replace(good[0], trustee=2)).code == Code.SIGNATURE
    older = sign_message(replace(good[0], generation=1), key, Tag.ACCEPT)
    assert refused(older).code == Code.GENERATION
    moved = sign_message(replace(good[0], entry=good[1].entry), key, Tag.ACCEPT)
    assert refused(moved).code == Code.FORK

    fork = refused(acceptance_of(small_world_with_filing(world, one), one.filing(), 3))
    assert (fork.code, fork.culprits) == (Code.FORK, ())

    intake.receive_acceptance(machine.state, world.view(), good[0])
    intake.receive_acceptance(machine.state, world.view(), good[0])
    rows = tuple((row[1], row[0], *row[2:]) for row in good[0].subset_commitments)
    second = refused(sign_message(replace(good[0], subset_commitments=rows), key, Tag.ACCEPT))
    assert (second.code, second.culprits) == (Code.EQUIVOCATION, (3,))
    with pytest.raises(StateConflict) as missing:  # trustee 2 has not accepted
        machine.receive_plan(world.plan((one.header.entry,)), world.now, world.randomness)
    assert missing.value.code == Code.UNKNOWN_ENTRY


def small_world_with_filing(world: World, draft: Draft) -> World:
    """The same deployment before anything was filed: what a trustee saw that was shown other bytes first."""
    twin = small_world()
    assert twin.committee.fingerprint == world.committee.fingerprint
    assert draft.header.snapshot == twin.snapshot.fingerprint
    return twin


def test_replayed_points_of_another_scope() -> None:
    """A trustee that serves two scopes with one set of keys compares all outputs of both, for one person
    who filed about one subject in each. Nothing is equal. Control: within a scope her x is. [FIND-4]"""
    here, there = small_world(), small_world(scope_name="hospital")
    filed(here, 1, b"bob")
    filed(here, 1, b"bob")
    filed(there, 1, b"bob")
    here.run_batch()
    there.run_batch()
    first, second = points_of(here).values()
    assert [point.x for point in first] == [point.x for point in second]
    assert elements_of(points_of(here)).isdisjoint(elements_of(points_of(there)))
