"""What dishonest members, boards and issuers do in these tests: real messages, dishonestly made.

Owns filings by attacker-controlled clients, extra organisations, signed round
messages with wrong content, and comparison of whole trustee states. No defence
is switched off here: tests do that where they show a control.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.messages.committee import Organisation, ScopePolicy
from notalone_crypto.messages.filing import (
    FIRST_INTRODUCTION_LENGTH,
    SECOND_INTRODUCTION_LENGTH,
    Acceptance,
    Filing,
    Header,
)
from notalone_crypto.messages.roll import RollEntry, RollSnapshot
from notalone_crypto.primitives import kem, pedersen, sigma, signing
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.primitives.membership import Roll
from notalone_crypto.protocol import accept, file, intake, persist, roll, statement
from notalone_crypto.protocol import withdraw as withdrawals
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import Outgoing
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import Tag

Statements = Callable[[list[Any]], list[Any]]


@contextmanager
def refused(*codes: Code) -> Iterator[list[NotAloneError]]:
    """The block must raise one of these codes; the error is in the list afterwards."""
    caught: list[NotAloneError] = []
    with pytest.raises(NotAloneError) as raised:
        yield caught
    caught.append(raised.value)
    assert raised.value.code in codes, f"refused with {raised.value.code}, expected one of {codes}"


def states(world: World) -> dict[int, bytes]:
    """Every trustee's whole durable state, to compare before and after an attack."""
    return {index: persist.dump(machine.state) for index, machine in world.machines.items()}


@contextmanager
def nothing_changes(world: World) -> Iterator[None]:
    """The block must leave every trustee's state as it was."""
    before = states(world)
    yield
    assert states(world) == before, "a refused message changed a trustee's state"


def attack_seal(
    world: World,
    member: roll.Member,
    report: file.Report,
    *,
    index: int = 0,
    snapshot: RollSnapshot | None = None,
    identifiers: Sequence[int] | None = None,
    inverses: Sequence[int] | None = None,
    header_changes: dict[str, object] | None = None,
    ring_member: roll.Member | None = None,
    tag: bytes | None = None,
    policy: ScopePolicy | None = None,
) -> file.SealedReport:
    """A filing by a client the attacker wrote: any scalars, header fields, ring or quota place.

    `ring_member` is whose place the membership part is proved for (her own by
    default); everything else is what `file.seal_report` does.
    """
    committee, rules = world.committee, policy or world.policy
    ring, random = snapshot or world.snapshot, world.randomness
    period = withdrawals.period_of(world.now, rules.period_days)
    spent_mark = tag or file.quota_tag(committee, rules.scope, member, period, index)
    owner = file.owner_keys(member, spent_mark)
    contents = [random_scalar(random), random_scalar(random)]
    sizes = (FIRST_INTRODUCTION_LENGTH, SECOND_INTRODUCTION_LENGTH)
    texts = (file.reply_card(report, owner).encode(), report.second_introduction)
    first, second = (
        file._seal_introduction(committee, rules.scope, spent_mark, which, key, text, size)
        for which, key, text, size in zip((1, 2), contents, texts, sizes, strict=True)
    )
    blind, ephemeral = random_scalar(random), random_scalar(random)
    values = list(identifiers or file.identifier_scalars(committee, rules, member, report))
    inverted = list(inverses or [pow(member.secret + value, -1, ORDER) for value in values])
    deals = file._Deals.draw(committee, values, inverted, contents, random)
    header = Header(
        committee.identifier,
        committee.manifest.generation,
        rules.scope,
        rules.fingerprint,
        int(report.release_mode),
        int(report.preconsent),
        report.desk_key,
        ring.fingerprint,
        period,
        index,
        spent_mark,
        report.expiry_week,
        owner.signing_key.verify_key,
        owner.recipient_key.public,
        pedersen.commit(member.secret, blind),
        kem.encapsulation(ephemeral),
        tuple(dealing.commitments for dealing in deals.identifiers),
        tuple(dealing.commitments for dealing in deals.inverses),
        tuple(dealing.commitments for dealing in deals.contents),
        digest(Tag.INTRODUCTION, first),
        digest(Tag.INTRODUCTION, second),
    )
    header = replace(header, **(header_changes or {}))  # type: ignore[arg-type]
    proof = _prove(world, rules, header, ring, member, blind, ephemeral, values, deals, ring_member)
    filing = Filing(
        header.encode(), proof, deals.seal(committee, header, ephemeral), first, second, bytes(64)
    )
    return file.SealedReport(file.sign_filing(filing, owner.signing_key), header, owner)


def _prove(
    world: World,
    rules: ScopePolicy,
    header: Header,
    ring: RollSnapshot,
    member: roll.Member,
    blind: int,
    ephemeral: int,
    values: Sequence[int],
    deals: file._Deals,
    ring_member: roll.Member | None,
) -> bytes:
    relation, membership = statement.build(world.committee, header, Roll(ring.places))
    witness = [member.secret, blind, ephemeral]
    remainder = 0
    rows = zip(
        values, deals.identifier_blinds, deals.inverse_blinds, statement.inverse_weights(header), strict=True
    )
    for value, identifier_blind, inverse_blind, weight in rows:
        total = (member.secret + value) % ORDER
        witness += [total, (blind + identifier_blind) % ORDER]
        remainder -= weight * total * inverse_blind
    witness.append(remainder % ORDER)
    place, place_blind = member.place, blind
    if ring_member is not None:  # a true membership proof, but about another commitment
        place, place_blind = ring_member.place, random_scalar(world.randomness)
        commitment = pedersen.commit(ring_member.secret, place_blind)
        membership = type(membership)(membership.roll, commitment)
        member = ring_member
    position = ring.places.index(place)
    return sigma.prove(
        statement.session(world.committee, header),
        [relation, membership],
        [witness, [position, (place_blind - member.blind) % ORDER]],
        world.randomness,
    )


def give(world: World, filings: Sequence[Filing], view: accept.View | None = None) -> list[Code | None]:
    """Every trustee receives these filings under `view`; each filing's refusal by the first trustee.

    All trustees must agree on every refusal; acceptances are exchanged.
    """
    seen = view or world.view()
    verdicts: set[tuple[Code | None, ...]] = set()
    acceptances: list[Acceptance] = []
    for machine in world.machines.values():
        posts, errors = intake.receive_filings(
            machine.state, machine.secrets, seen, filings, world.randomness
        )
        verdicts.add(tuple(None if error is None else error.code for error in errors))
        acceptances += [Acceptance.decode(post.payload) for post in posts if post.kind == Outgoing.ACCEPTANCE]
    for acceptance in acceptances:
        for machine in world.machines.values():
            intake.receive_acceptance(machine.state, seen, acceptance)
    assert len(verdicts) == 1, "trustees disagree about a filing"
    return list(verdicts.pop())


def enrol_words(world: World, words: bytes, *, eligible_from: int = 0) -> roll.Member:
    """Enrol the person behind a 16-byte phrase; take a new snapshot to use the place."""
    key = world.issuer.verify_key
    person = roll.member_from_phrase(words, "test-instance", key)
    request = roll.enrol(person, "test-instance", key, world.randomness)
    entry = roll.accept_enrolment(
        request, "test-instance", world.issuer, world.roll, eligible_from=eligible_from
    )
    world.roll.append(entry)
    world.people.append(person)
    return person


def ghost_ring(world: World, mine: roll.Member, signer: signing.SigningKey, size: int = 36) -> RollSnapshot:
    """A roll of one real person and made-up places, signed by `signer` in the issuer's name."""
    stream = SeededStream(b"ghosts")
    ghosts = [pedersen.commit(random_scalar(stream), random_scalar(stream)) for _ in range(size - 1)]
    forged = replace(world.snapshot, places=(mine.place, *ghosts), signature=bytes(64))
    return sign_message(forged, signer, Tag.ROLL_SNAPSHOT)


class SecondOrganisation:
    """Another organisation in the scope's policy, with its own issuer and roll of 33 people and `guests`."""

    def __init__(self, world: World, guests: Sequence[bytes]) -> None:
        self.world = world
        self.issuer = signing.generate_key(world.randomness)
        both = (*world.policy.organisations, Organisation("Hospital", self.issuer.verify_key))
        world.install(replace(world.policy, organisations=both, version=world.policy.version + 1))
        self.roll: list[RollEntry] = []
        self.guests = [self._enrol(words) for words in guests]
        for _ in range(33):
            self._enrol(world.randomness(16))
        self.snapshot = roll.take_snapshots(
            self.roll,
            frozenset(),
            self.issuer,
            scope=world.policy.scope,
            number=1,
            now=world.now,
            declared=len(self.roll),
        )[0]

    def view(self) -> accept.View:
        """What trustees hold to be current with both rolls."""
        both = (self.world.snapshot, self.snapshot)
        newest = {(one.issuer_key, one.cohort): one for one in both}
        return replace(self.world.view(), snapshots=both, newest=newest)

    def file(
        self, member: roll.Member, identifier: bytes, spent: frozenset[bytes] = frozenset()
    ) -> Code | None:
        """File through this organisation; the refusal's code or None."""
        world = self.world
        sealed = file.seal_report(
            world.committee,
            world.policy,
            self.snapshot,
            member,
            world.report(identifier),
            period=withdrawals.period_of(world.now, world.policy.period_days),
            spent_tags=spent,
            randomness=world.randomness,
        )
        return give(world, [sealed.filing], self.view())[0]

    def _enrol(self, words: bytes) -> roll.Member:
        key = self.issuer.verify_key
        person = roll.member_from_phrase(words, "test-instance", key)
        request = roll.enrol(person, "test-instance", key, self.world.randomness)
        self.roll.append(
            roll.accept_enrolment(request, "test-instance", self.issuer, self.roll, eligible_from=0)
        )
        return person
