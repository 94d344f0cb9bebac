"""What adversaries are made of: malicious clients, couriers and trustees over the real core.

Owns the tools that an attack test combines: a filing with all its secrets kept
and every part exchangeable, a courier that changes, drops or holds messages,
and what colluders compute from what they see. Nothing here replaces a check:
the defences under attack are the core's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.world import World

from notalone_crypto.errors import NotAloneError
from notalone_crypto.messages.evaluation import RoundOne
from notalone_crypto.messages.filing import (
    FIRST_INTRODUCTION_LENGTH,
    SECOND_INTRODUCTION_LENGTH,
    Acceptance,
    BundleContent,
    Filing,
    Header,
)
from notalone_crypto.primitives import aead, kem, pedersen, prss, sigma, signing
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.primitives.linear import LinearRelation
from notalone_crypto.primitives.membership import Membership, Roll
from notalone_crypto.protocol import file, intake, persist, statement
from notalone_crypto.protocol.accept import EntryShares
from notalone_crypto.protocol.batch import Workload, workload
from notalone_crypto.protocol.entries import EntrySecrets
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.keys import TrusteeSecrets, curve_bases, duplicate_base
from notalone_crypto.protocol.roll import Member
from notalone_crypto.protocol.rounds import Point, point_x
from notalone_crypto.protocol.state import Outgoing, Post, TrusteeState
from notalone_crypto.protocol.withdraw import period_of, withdraw
from notalone_crypto.randomness import random_scalar
from notalone_crypto.suite import Tag

EXCHANGED = frozenset({Outgoing.PLAN_VOTE, Outgoing.ROUND_ONE, Outgoing.ROUND_TWO, Outgoing.RECORD_VOTE})


def small_world(**settings: Any) -> World:
    """One slot and the smallest roll: 0.1 s, so that every test can break its own."""
    return World(**{"members": 32, "slots": (1,), **settings})


# --- a malicious client -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """A filing whose maker kept every secret and may put anything into any part."""

    world: World
    member: Member
    header: Header
    blind: int
    ephemeral: int
    identifiers: tuple[int, ...]
    content_keys: tuple[int, ...]
    deals: file._Deals
    introductions: tuple[bytes, bytes]
    owner: file.OwnerKeys

    @classmethod
    def of(cls, world: World, who: int | Member, report: file.Report) -> Draft:
        """The same steps as `file.seal_report`, with everything kept."""
        member = world.people[who] if isinstance(who, int) else who
        committee, policy, randomness = world.committee, world.policy, world.randomness
        period = period_of(world.now, policy.period_days)
        index = file._unused_index(committee, policy, member, period, world.spent(), randomness)
        tag = file.quota_tag(committee, policy.scope, member, period, index)
        owner = file.owner_keys(member, tag)
        keys = tuple(random_scalar(randomness) for _ in range(2))
        texts = (file.reply_card(report, owner).encode(), report.second_introduction)
        sizes = (FIRST_INTRODUCTION_LENGTH, SECOND_INTRODUCTION_LENGTH)
        first, second = (
            file._seal_introduction(committee, policy.scope, tag, which, key, text, size)
            for which, key, text, size in zip((1, 2), keys, texts, sizes, strict=True)
        )
        blind, ephemeral = random_scalar(randomness), random_scalar(randomness)
        identifiers = file.identifier_scalars(committee, policy, member, report)
        inverses = [pow(member.secret + value, -1, ORDER) for value in identifiers]
        deals = file._Deals.draw(committee, identifiers, inverses, keys, randomness)
        header = Header(
            committee.identifier,
            committee.manifest.generation,
            policy.scope,
            policy.fingerprint,
            int(report.release_mode),
            int(report.preconsent),
            report.desk_key,
            world.snapshot.fingerprint,
            period,
            index,
            tag,
            report.expiry_week,
            owner.signing_key.verify_key,
            owner.recipient_key.public,
            pedersen.commit(member.secret, blind),
            kem.encapsulation(ephemeral),
            tuple(deal.commitments for deal in deals.identifiers),
            tuple(deal.commitments for deal in deals.inverses),
            tuple(deal.commitments for deal in deals.contents),
            digest(Tag.INTRODUCTION, first),
            digest(Tag.INTRODUCTION, second),
        )
        return cls(world, member, header, blind, ephemeral, identifiers, keys, deals, (first, second), owner)

    def change(self, **header: Any) -> Draft:
        """The same draft under a changed header."""
        return replace(self, header=replace(self.header, **header))

    def statements(self) -> tuple[LinearRelation, Membership]:
        """What a verifier will ask to be proved about this header."""
        world = self.world
        return statement.build(world.committee, self.header, Roll(world.snapshot.places))

    def session(self) -> bytes:
        return statement.session(self.world.committee, self.header)

    def witness(self) -> list[int]:
        """The linear witness for this header, true or not."""
        witness = [self.member.secret, self.blind, self.ephemeral]
        remainder = 0
        weights = statement.inverse_weights(self.header)
        blinds = zip(self.deals.identifier_blinds, self.deals.inverse_blinds, strict=True)
        for value, (identifier, inverse), weight in zip(self.identifiers, blinds, weights, strict=False):
            total = (self.member.secret + value) % ORDER
            witness += [total, (self.blind + identifier) % ORDER]
            remainder -= weight * total * inverse
        return [*witness, remainder % ORDER]

    def prove(
        self,
        relation: LinearRelation | None = None,
        membership_witness: Sequence[int] | None = None,
        witness: Sequence[int] | None = None,
    ) -> bytes:
        """The best proof this client can make, for the verifier's statement or one of its own."""
        built, membership = self.statements()
        place = self.world.snapshot.places.index(self.member.place) if membership_witness is None else 0
        chosen = membership_witness or (place, (self.blind - self.member.blind) % ORDER)
        return sigma.prove(
            self.session(),
            [relation or built, membership],
            [witness or self.witness(), chosen],
            self.world.randomness,
        )

    def filing(
        self,
        proof: bytes | None = None,
        bundles: tuple[bytes, ...] | None = None,
        key: signing.SigningKey | None = None,
    ) -> Filing:
        """Signed by the owner key of the header, or by any other key."""
        sealed = (
            self.deals.seal(self.world.committee, self.header, self.ephemeral) if bundles is None else bundles
        )
        made = Filing(
            self.header.encode(),
            self.prove() if proof is None else proof,
            sealed,
            *self.introductions,
            bytes(64),
        )
        return file.sign_filing(made, key or self.owner.signing_key)

    def bundle(self, index: int, shares: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> bytes:
        """Trustee `index`'s bundle, correctly sealed, with its identifier shares changed."""
        groups = [
            tuple(file.encode_share(deal.shares[index - 1]) for deal in group)
            for group in (self.deals.identifiers, self.deals.inverses, self.deals.contents)
        ]
        content = BundleContent(shares(groups[0]), *groups[1:])
        public = self.world.committee.manifest.trustees[index - 1].bundle_key
        key = kem.encapsulate(self.ephemeral, public, index, self.header.entry)
        return aead.seal(key, self.header.entry, content.encode())

    def with_bad_bundle(self, index: int) -> Filing:
        """A valid filing but for one trustee's shares, which open nothing."""
        bundles = list(self.deals.seal(self.world.committee, self.header, self.ephemeral))
        bundles[index - 1] = self.bundle(index, lambda shares: tuple(bytes([1]) + bytes(63) for _ in shares))
        return self.filing(bundles=tuple(bundles))


def submit(world: World, filing: Filing, index: int = 1) -> tuple[list[Post], NotAloneError | None]:
    """Hand one filing to one trustee: what it posts, and its refusal."""
    machine = world.machines[index]
    posts, errors = intake.receive_filings(
        machine.state, machine.secrets, world.view(), [filing], world.randomness
    )
    return posts, errors[0]


def refusal(world: World, filing: Filing, index: int = 1) -> NotAloneError:
    """The error with which a trustee refuses a filing; it must post nothing about it."""
    posts, error = submit(world, filing, index)
    assert posts == []
    assert error is not None
    return error


def acceptance_of(world: World, filing: Filing, index: int) -> Acceptance:
    posts, error = submit(world, filing, index)
    assert error is None
    assert [post.kind for post in posts] == [Outgoing.ACCEPTANCE]
    return Acceptance.decode(posts[0].payload)


# --- a malicious courier ------------------------------------------------------------------------------

Change = Callable[[int, int, Post], Post | None]


@dataclass(slots=True)
class Courier:
    """Delivers what trustees post; `change` may alter a delivery or hold it back (None)."""

    world: World
    change: Change = lambda _sender, _receiver, post: post
    held: list[tuple[int, int, Post]] = field(default_factory=list)
    refusals: list[tuple[int, NotAloneError]] = field(default_factory=list)
    done: list[tuple[int, Post]] = field(default_factory=list)

    def run(self, posts: Sequence[tuple[int, Post]]) -> Courier:
        """Deliver these posts and all that follow; errors are kept with the trustee that raised them."""
        queue = list(posts)
        while queue:
            sender, post = queue.pop(0)
            self.done.append((sender, post))
            if post.kind in EXCHANGED:
                for receiver in self.world.machines:
                    if receiver != sender:
                        queue += self.hand(sender, receiver, post)
        return self

    def hand(self, sender: int, receiver: int, post: Post) -> list[tuple[int, Post]]:
        """One delivery; what the receiver posts next."""
        given = self.change(sender, receiver, post)
        if given is None:
            self.held.append((sender, receiver, post))
            return []
        machine = self.world.machines[receiver]
        try:
            fresh = machine.receive_message(given.scope, given.kind, given.payload, self.world.randomness)
        except NotAloneError as error:
            self.refusals.append((receiver, error))
            return []
        return [(receiver, one) for one in fresh]

    def let_go(self) -> Courier:
        """Deliver everything held back, unchanged."""
        self.change = lambda _sender, _receiver, post: post
        held, self.held = self.held, []
        for sender, receiver, post in held:
            self.run_on(self.hand(sender, receiver, post))
        return self

    def run_on(self, posts: Sequence[tuple[int, Post]]) -> None:
        self.world.posts += posts
        self.run(posts)


def restart(world: World, index: int, stored: bytes) -> Machine:
    """That trustee comes back with the state it had stored in `stored`."""
    machine = Machine(world.committee, world.secrets[index], persist.load(stored, TrusteeState))
    world.machines[index] = machine
    return machine


# --- malicious trustees, and what colluders compute -----------------------------------------------------


def with_secrets(machine: Machine, **changes: Any) -> None:
    """The trustee's operator puts other keys into its machine."""
    machine.secrets = replace(machine.secrets, **changes)


def with_shares(own: EntrySecrets, **groups: tuple[pedersen.Share, ...]) -> EntrySecrets:
    return replace(own, shares=replace(own.shares, **groups))


def shifted(share: pedersen.Share) -> pedersen.Share:
    return replace(share, value=(share.value + 1) % ORDER)


def opening(
    secrets: TrusteeSecrets, shares: EntryShares, mask: int, zero: int, position: int, level: int
) -> int:
    """What a trustee opens in round one for one (slot, level), under any mask and zero share."""
    return (mask * (secrets.level_shares[level].value + shares.identifiers[position].value) + zero) % ORDER


def level_key(world: World, level: int = 2) -> int:
    """The key that nobody may ever know: the test reads it from everybody's shares."""
    shares = {index: secrets.level_shares[level].value for index, secrets in world.secrets.items()}
    return pedersen.interpolate(shares, world.threshold)


def openings_of(posts: Sequence[tuple[int, Post]]) -> dict[int, list[bytes]]:
    """Every list of openings that each trustee ever posted."""
    found: dict[int, list[bytes]] = {}
    for sender, post in posts:
        if post.kind == Outgoing.ROUND_ONE:
            found.setdefault(sender, []).append(b"".join(RoundOne.decode(post.payload).openings))
    return found


def draw_subset_values(
    secrets: TrusteeSecrets, context: bytes, count: int
) -> dict[prss.Subset, list[prss.SubsetValue]]:
    """The values a trustee draws from every subset key it holds."""
    return {
        subset: [prss.subset_value(key, context, number) for number in range(count)]
        for subset, key in secrets.subset_keys.items()
    }


def points_of(world: World, index: int = 1) -> dict[bytes, tuple[Point, ...]]:
    """Every live entry's points as one (curious) trustee retains them."""
    return {entry: outline.points for entry, outline in world.scope_of(index).outlines.items()}


def elements_of(points: Mapping[bytes, tuple[Point, ...]]) -> set[bytes]:
    """Everything comparable in retained points: every x and every curve value."""
    seen = {point.curve for row in points.values() for point in row}
    return seen | {RISTRETTO255.encode_scalar(point.x) for row in points.values() for point in row}


def solve(rows: Sequence[Sequence[int]]) -> list[int] | None:
    """The solution of a square linear system mod q (each row ends in its right-hand side), if unique."""
    table = [[value % ORDER for value in row] for row in rows]
    size = len(table)
    for column in range(size):
        pivot = next((row for row in range(column, size) if table[row][column]), None)
        if pivot is None:
            return None
        table[column], table[pivot] = table[pivot], table[column]
        inverse = pow(table[column][column], -1, ORDER)
        table[column] = [value * inverse % ORDER for value in table[column]]
        for row in range(size):
            if row != column and table[row][column]:
                factor = table[row][column]
                table[row] = [
                    (one - factor * other) % ORDER
                    for one, other in zip(table[row], table[column], strict=True)
                ]
    return [row[-1] for row in table]


def square_roots(value: int) -> list[int]:
    """Roots mod q (q = 5 mod 8)."""
    value %= ORDER
    root = pow(value, (ORDER + 3) // 8, ORDER)
    if root * root % ORDER != value:
        root = root * pow(2, (ORDER - 1) // 4, ORDER) % ORDER
    return sorted({root, -root % ORDER}) if root * root % ORDER == value else []


def true_point(world: World, member: Member, identifier: int, position: int, epoch: int) -> Point:
    """What an entry's output must be, computed from the keys that nobody has."""
    committee, scope = world.committee, world.policy.scope
    slot, level = statement.positions(world.policy)[position]
    base = duplicate_base(committee, scope, slot, level, epoch)
    duplicate = RISTRETTO255.multiply(pow(member.secret + identifier, -1, ORDER), base)
    x = point_x(committee, scope, slot, level, epoch, duplicate)
    factor = pow(level_key(world, level) + identifier, -1, ORDER)
    scalars = [factor * pow(x, degree, ORDER) for degree in range(level - 1)]
    return Point(x, RISTRETTO255.multi_multiply(scalars, curve_bases(committee, scope, slot, level, epoch)))


def true_points(draft: Draft, epoch: int = 0) -> tuple[Point, ...]:
    """The true output of a filing at every position."""
    return tuple(
        true_point(draft.world, draft.member, identifier, position, epoch)
        for position, identifier in enumerate(draft.identifiers)
    )


def filed(world: World, who: int, identifier: bytes, threshold: int = 2) -> Draft:
    """A filing that every trustee accepted and whose maker kept all secrets."""
    draft = Draft.of(world, who, world.report(identifier, threshold))
    world.give([draft.filing()])
    return draft


def take_back(world: World, draft: Draft) -> None:
    """The owner withdraws at every trustee."""
    request = withdraw(draft.header.entry, draft.owner.signing_key)
    for machine in world.machines.values():
        intake.receive_withdrawal(machine.state, world.view(), request)


def workload_of(world: World, index: int) -> Workload:
    """The running batch as trustee `index` sees it, with its secrets."""
    scope = world.scope_of(index)
    assert scope.batch is not None
    return workload(world.committee, scope, scope.batch.plan)
