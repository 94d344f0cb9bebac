"""Attacks on "different people": one person who tries to count twice, and people who do not exist."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.attacks.adversary_b import (
    SecondOrganisation,
    attack_seal,
    enrol_words,
    ghost_ring,
    give,
    nothing_changes,
    refused,
)
from tests.support.world import World

from notalone_crypto.errors import Code
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.membership import Membership
from notalone_crypto.protocol import file, intake, roll, statement
from notalone_crypto.protocol import withdraw as withdrawals
from notalone_crypto.protocol.signed import check_signature, sign_message
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import Tag

WORDS = b"twelve words of.."[:16]


def small(**options: object) -> World:
    """One slot: an eighth of the work."""
    return World(slots=(1,), **options)  # type: ignore[arg-type]


def opened(world: World) -> set[bytes]:
    """Entries the desk can read."""
    return {entry for entry, _ in world.opened_by(world.desk)}


# --- one person, several filings ------------------------------------------------------------------------


def test_same_person_twice() -> None:
    """She files the same name twice to reach two alone. Equal p and m give equal x: one point. [FIND-1]

    Control: with another person's second report the very same steps match.
    """
    world = small()
    world.file(1, b"bob")
    world.file(1, b"bob")
    world.run_batch()
    assert opened(world) == set()
    world.file(2, b"bob")
    world.run_batch()
    assert len(opened(world)) == 2, "two people are two points, and her second filing is none"


def test_same_person_twice_with_a_forged_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    """She shares another v than 1/(p+m), hence gets another x, and hides the error in a second row.

    The rows are summed under weights that hash the header, so errors do not cancel. [STMT-3]
    Control: with weights of one they do, and one person is two.
    """

    def attack(world: World) -> tuple[Code | None, set[bytes]]:
        assert give(world, [world.seal(1, world.report(b"bob")).filing]) == [None]
        member, report = world.people[1], world.report(b"bob")
        values = file.identifier_scalars(world.committee, world.policy, member, report)
        totals = [(member.secret + value) % ORDER for value in values]
        forged = random_scalar(world.randomness)
        # u0*v0 + u1*v1 = 2, though neither product is 1.
        hidden = (2 - totals[0] * forged) * pow(totals[1], -1, ORDER) % ORDER
        index = 0 if world.policy.quota else 1
        while (
            file.quota_tag(world.committee, world.policy.scope, member, world.view().period, index)
            in world.spent()
        ):
            index += 1
        again = attack_seal(world, member, report, index=index, inverses=[forged, hidden])
        verdict = give(world, [again.filing])[0]
        world.run_batch()
        return verdict, opened(world)

    assert attack(small()) == (Code.PROOF, set())
    with monkeypatch.context() as weakened:
        weakened.setattr(statement, "inverse_weights", lambda header: [1] * len(header.inverse_commitments))
        verdict, found = attack(small())
    assert verdict is None
    assert len(found) == 2, "the control must show one person counted as two"


def test_two_devices() -> None:
    """Her second device does not know what the first one filed. Same phrase, same p: one point or one tag."""
    world = small()
    for _ in range(2):
        sealed = world.seal(1, world.report(b"bob"), frozenset())
        assert give(world, [sealed.filing]) == [None]
    world.run_batch()
    assert opened(world) == set()


def test_two_devices_with_one_quota_place() -> None:
    """Both devices draw place 3 of the quota: the second filing is refused by its tag. [ACC-3]"""
    world = small()
    report = world.report(b"bob")
    first = attack_seal(world, world.people[1], report, index=3)
    second = attack_seal(world, world.people[1], report, index=3)
    assert first.header.enc != second.header.enc
    assert give(world, [first.filing]) == [None]
    with nothing_changes(world):
        assert give(world, [second.filing]) == [Code.TAG_SPENT]
    fresh = small()
    pair = [attack_seal(fresh, fresh.people[1], fresh.report(b"bob"), index=3).filing for _ in range(2)]
    assert give(fresh, pair) == [None, Code.TAG_SPENT], "also when both arrive together"


def test_restored_phrase() -> None:
    """She loses her device and types her words elsewhere: same p, so same point; she finds her filings.

    Control: other words are another person, and match. [ROLL-6, FILE-6]
    """
    world = small()
    person = enrol_words(world, WORDS)
    world.refresh_snapshot(2)
    sealed = world.seal(person, world.report(b"bob"))
    assert give(world, [sealed.filing]) == [None]
    restored = roll.member_from_phrase(WORDS, "test-instance", world.issuer.verify_key)
    assert restored == person
    found = set(file.own_tags(world.committee, world.policy, restored, world.view().period)) & world.spent()
    assert found == {sealed.header.quota_tag}, "the public list of spent tags shows what is hers, to her"
    owner = file.owner_keys(restored, sealed.header.quota_tag)
    assert owner.signing_key.seed == sealed.owner.signing_key.seed
    assert owner.recipient_key.public == sealed.header.recipient_key
    with refused(Code.ROLL_DUPLICATE):
        enrol_words(world, WORDS)
    assert give(world, [world.seal(restored, world.report(b"bob"), world.spent()).filing]) == [None]
    world.run_batch()
    assert opened(world) == set()
    request = withdrawals.withdraw(sealed.header.entry, owner.signing_key)
    for machine in world.machines.values():
        intake.receive_withdrawal(machine.state, world.view(), request)
    assert world.plan().withdrawn == (sealed.header.entry,), "the restored device can withdraw"


def test_reset_place_waits() -> None:
    """She claims to have lost her words and gets a second place: it is not eligible while an old
    report lives.

    Control: a place eligible at once matches her own report. [ROLL-3]
    """

    def attack(world: World, eligible_from: int) -> roll.Member:
        world.file(1, b"bob")  # her old place
        again = enrol_words(world, b"the second words", eligible_from=eligible_from)
        world.refresh_snapshot(2, closed=frozenset({1}))
        return again

    world = small()
    longest = world.now + world.policy.maximum_weeks * withdrawals.WEEK_SECONDS
    again = attack(world, longest + 1)
    assert again.place not in world.snapshot.places
    with refused(Code.NOT_ELIGIBLE):
        world.seal(again, world.report(b"bob"))
    # Her own client does not care: it proves membership in a ring that has the place.
    early = replace(world.snapshot, places=(*world.snapshot.places, again.place))
    with nothing_changes(world):
        assert give(world, [attack_seal(world, again, world.report(b"bob"), snapshot=early).filing]) == [
            Code.SNAPSHOT
        ]
    world.run_batch()
    world.now = longest + 2
    world.refresh_snapshot(3, closed=frozenset({1}))
    assert again.place in world.snapshot.places
    world.file(again, b"bob")
    world.run_batch()
    assert opened(world) == set(), "when the new place may file, the old report has expired"

    careless = small()
    careless.file(attack(careless, 0), b"bob")
    careless.run_batch()
    assert len(opened(careless)) == 2, "the control must match"


def test_closed_place_with_an_old_snapshot() -> None:
    """A member who was put off the roll files with yesterday's snapshot. Two minutes only. [ROLL-4]"""
    world = small()
    old = world.snapshot
    closed = world.people[1]
    sealed = attack_seal(world, closed, world.report(b"bob"), snapshot=old)
    world.now += 3600
    world.refresh_snapshot(2, closed=frozenset({1}))
    assert closed.place not in world.snapshot.places
    keeps_both = replace(world.view(), snapshots=(world.snapshot, old))
    late = replace(keeps_both, now=world.now + 121)
    with nothing_changes(world):
        assert give(world, [sealed.filing], late) == [Code.SNAPSHOT]
        assert give(world, [sealed.filing], world.view()) == [Code.SNAPSHOT]
    two_back = world.refresh_snapshot(3, closed=frozenset({1}))
    newest = {(two_back.issuer_key, 0): two_back}
    with nothing_changes(world):
        stale = replace(keeps_both, snapshots=(two_back, old), newest=newest)
        assert give(world, [sealed.filing], stale) == [Code.SNAPSHOT], "two snapshots back has no grace"
    # Control: inside the grace it is the ordinary race of a page that was open.
    assert give(world, [sealed.filing], replace(keeps_both, now=world.now + 119)) == [None]


# --- two organisations ------------------------------------------------------------------------------------


def test_two_organisations_of_a_federation() -> None:
    """Member of both, she files at both. Same words, same p: one point, and one quota. [ROLL-6]"""
    world = small()
    person = enrol_words(world, WORDS)
    world.refresh_snapshot(2)
    hospital = SecondOrganisation(world, [WORDS])
    guest = hospital.guests[0]
    assert guest.secret == person.secret
    assert guest.place != person.place, "the two rolls must not show that it is one person"
    assert give(world, [world.seal(person, world.report(b"bob")).filing], hospital.view()) == [None]
    assert hospital.file(guest, b"bob", world.spent()) is None
    world.run_batch()
    assert opened(world) == set()
    everything = frozenset(file.own_tags(world.committee, world.policy, person, world.view().period))
    with refused(Code.QUOTA):
        hospital.file(guest, b"bob", everything)


def test_two_phrases_in_two_organisations_are_two_places() -> None:
    """Stated leak: a federation counts places, so two sets of words are two people."""
    world = small()
    person = enrol_words(world, WORDS)
    world.refresh_snapshot(2)
    hospital = SecondOrganisation(world, [b"other words....."])
    assert give(world, [world.seal(person, world.report(b"bob")).filing], hospital.view()) == [None]
    assert hospital.file(hospital.guests[0], b"bob", world.spent()) is None
    world.run_batch()
    assert len(opened(world)) == 2


# --- quota and period -------------------------------------------------------------------------------------


def test_quota_and_period_reuse() -> None:
    """She files thirteen times: the honest client stops, her own is refused whatever place it names."""
    world = small()
    quota = world.policy.quota
    member = world.people[1]
    for number in range(quota):
        world.file(1, b"person %d" % number)
    with refused(Code.QUOTA):
        world.seal(1, world.report(b"one more"), world.spent())
    with nothing_changes(world):
        for index in range(quota):
            again = attack_seal(world, member, world.report(b"one more"), index=index)
            assert give(world, [again.filing]) == [Code.TAG_SPENT]
        above = attack_seal(world, member, world.report(b"one more"), index=quota)
        assert give(world, [above.filing]) == [Code.PERIOD]
        # The tag of place 12 under the number of place 0: the statement says which base.
        tag = file.quota_tag(world.committee, world.policy.scope, member, world.view().period, quota)
        assert give(world, [attack_seal(world, member, world.report(b"x"), index=0, tag=tag).filing]) == [
            Code.PROOF
        ]


def test_quota_tag_that_is_not_hers(monkeypatch: pytest.MonkeyPatch) -> None:
    """She spends next year's places, or tags of a p that is not hers. [STMT-2]

    Control: without the tag's equation a made-up tag passes, and the quota is gone.
    """
    world = small()
    member, report = world.people[1], world.report(b"x")
    period = world.view().period
    with nothing_changes(world):
        for other in (period - 1, period + 1):
            tag = file.quota_tag(world.committee, world.policy.scope, member, other, 0)
            changes: dict[str, object] = {"period": other}
            assert give(
                world, [attack_seal(world, member, report, tag=tag, header_changes=changes).filing]
            ) == [Code.PERIOD]
            assert give(world, [attack_seal(world, member, report, tag=tag).filing]) == [Code.PROOF]
        random_tag = RISTRETTO255.base_multiply(random_scalar(world.randomness))
        assert give(world, [attack_seal(world, member, report, tag=random_tag).filing]) == [Code.PROOF]

    def untied(committee: object, scope: bytes, period: int, index: int) -> bytes:
        return RISTRETTO255.multiply(member.secret, random_tag)

    with monkeypatch.context() as weakened:
        weakened.setattr(statement, "quota_base", untied)  # a base chosen after the tag
        assert give(world, [attack_seal(world, member, report, tag=random_tag).filing]) == [None]


# --- people who do not exist ------------------------------------------------------------------------------


def test_second_secret_behind_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """She files under a second p, with a true membership proof for her real place. [STMT-1, PRF-1]

    The verifier builds the membership statement about the header's P. Control:
    a verifier that takes the prover's commitment counts one person twice.
    """

    def attack(world: World) -> tuple[Code | None, set[bytes]]:
        world.file(1, b"bob")
        real = world.people[1]
        second = replace(real, secret=random_scalar(world.randomness))
        sealed = attack_seal(world, second, world.report(b"bob"), ring_member=real)
        verdict = give(world, [sealed.filing])[0]
        world.run_batch()
        return verdict, opened(world)

    assert attack(small()) == (Code.PROOF, set())

    world = small()
    made: list[bytes] = []
    original = Membership.__init__

    def remember(self: Membership, roll_: object, commitment: bytes) -> None:
        # Weakened: the statement is about whatever the last prover proved.
        made.append(commitment)
        original(self, roll_, made[2] if len(made) > 3 else commitment)  # type: ignore[arg-type]

    world.file(1, b"bob")
    with monkeypatch.context() as weakened:
        weakened.setattr(Membership, "__init__", remember)
        real = world.people[1]
        second = replace(real, secret=random_scalar(world.randomness))
        made += [b""]  # so that made[1] is the header's P, made[2] the prover's own choice
        sealed = attack_seal(world, second, world.report(b"bob"), ring_member=real)
        made += [b""]
        assert give(world, [sealed.filing]) == [None]
    world.run_batch()
    assert len(opened(world)) == 2, "the control must count one person twice"


def test_ghosts_nobody_signed() -> None:
    """A member (or a board) makes up a roll of ghosts and files as one of them. Nobody signed it. [ROLL-2]

    Also a ring that the true issuer tailored for one user alone: trustees do
    not hold it. Control: a trustee that takes the ring from the filing lets
    one human match with herself.
    """
    world = small()
    ghost = roll.member_from_phrase(b"a ghost's words!", "test-instance", world.issuer.verify_key)
    unsigned = ghost_ring(world, ghost, world.board_key)
    issuers = [world.issuer.verify_key]
    with refused(Code.SIGNATURE):
        roll.check_snapshot(unsigned, scope=world.policy.scope, issuer_keys=issuers)
    with refused(Code.SIGNATURE):
        check_signature(unsigned, world.issuer.verify_key, Tag.ROLL_SNAPSHOT)
    world.file(1, b"bob")
    sealed = attack_seal(world, ghost, world.report(b"bob"), snapshot=unsigned)
    tailored = ghost_ring(world, ghost, world.issuer)
    by_issuer = attack_seal(world, ghost, world.report(b"bob"), index=1, snapshot=tailored)
    with nothing_changes(world):
        assert give(world, [sealed.filing, by_issuer.filing]) == [Code.SNAPSHOT] * 2
    trusting = replace(world.view(), snapshots=(world.snapshot, unsigned), newest={})
    assert give(world, [sealed.filing], trusting) == [None]
    world.run_batch()
    assert len(opened(world)) == 2


def test_ghosts_show_in_public_counts() -> None:
    """The issuer enrols people who do not exist: each is a place, and the signed numbers show it.

    Ghosts are bounded by declared minus enrolled; numbers that contradict the
    places or one another are refused by client and trustee.
    """
    world = small()
    snapshot = world.snapshot
    assert snapshot.declared - snapshot.enrolled == 5
    for _ in range(5):
        world.enrol()
    more = world.refresh_snapshot(2)
    assert (more.enrolled, len(more.places), more.declared - more.enrolled) == (41, 41, 0)
    check = {"scope": world.policy.scope, "issuer_keys": [world.issuer.verify_key]}
    roll.check_snapshot(more, **check)  # type: ignore[arg-type]
    hidden = sign_message(replace(more, enrolled=36, signature=bytes(64)), world.issuer, Tag.ROLL_SNAPSHOT)
    with refused(Code.SNAPSHOT):
        roll.check_snapshot(hidden, **check)  # type: ignore[arg-type]
    overfull = sign_message(replace(more, declared=40, signature=bytes(64)), world.issuer, Tag.ROLL_SNAPSHOT)
    with refused(Code.SNAPSHOT):
        roll.check_snapshot(overfull, **check)  # type: ignore[arg-type]


def test_enrolment_of_anothers_place() -> None:
    """He copies a place, or shifts one by a known amount, to enrol it as his own: no proof of
    knowledge. [ROLL-1]
    """
    world = small()
    key = world.issuer.verify_key
    stream = SeededStream(b"thief")
    thief = roll.member_from_phrase(stream(16), "test-instance", key)
    own = roll.enrol(thief, "test-instance", key, stream)
    other_instance = roll.enrol(thief, "another-instance", key, stream)
    shifted = RISTRETTO255.add(world.people[1].place, RISTRETTO255.base_multiply(5))
    attempts = [
        (replace(own, place=world.people[1].place), Code.ROLL_DUPLICATE),
        (replace(own, place=shifted), Code.PROOF),
        (other_instance, Code.PROOF),
    ]
    for request, code in attempts:
        with refused(code):
            roll.accept_enrolment(request, "test-instance", world.issuer, world.roll, eligible_from=0)


# --- colluders --------------------------------------------------------------------------------------------


def test_colluders_below_the_threshold() -> None:
    """Stated leak: T-1 colluding members who name him reach T with her report. T-2 do not."""
    world = small()
    world.file(1, b"bob", 3)
    world.file(2, b"bob", 2)  # one colluder, with the lowest threshold there is
    world.file(2, b"bob", 3)  # twice
    world.file(3, b"al", 2)
    world.run_batch()
    assert opened(world) == set(), "T-2 colluders reach nothing"
    world.file(3, b"bob", 3)
    world.run_batch()
    assert len(opened(world)) == 3, "T-1 colluders reach T: said plainly in the threat model"
