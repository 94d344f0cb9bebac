"""The two evaluation rounds of a batch: values, proofs, outputs.

Owns the arithmetic of specs/20-protocol.md#evaluation. Refuses to know when a
round starts and who is late (protocol/evaluate.py). One proof per trustee and
round covers all items of the batch: values over the same fixed point are
proved as one sum under weights that hash every value, as RFC 9497 batches its
proofs. Verifiers build every statement themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notalone_crypto.errors import Code, CommitteeHalted, MalformedInput, NotAloneError, VerificationFailed
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, RoundOne, RoundTwo
from notalone_crypto.primitives import pedersen, sigma
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import derive, digest, hash_to_scalar
from notalone_crypto.primitives.linear import LinearRelation, ScalarVariable
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR
from notalone_crypto.protocol import statement
from notalone_crypto.protocol.entries import EntrySecrets, PublicEntry
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets, curve_bases, duplicate_base
from notalone_crypto.protocol.signed import UNSIGNED, sign_message
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import Tag


@dataclass(frozen=True, slots=True)
class Item:
    """One entry in a batch: `new` ones are evaluated, others only output again."""

    public: PublicEntry
    new: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One entry's output at one (slot, level) in one epoch."""

    x: int  # the same for the same person and subject
    curve: bytes  # 32-byte element on the subject's curve at x; spec: sigma


@dataclass(frozen=True, slots=True)
class Batch:
    """What every statement of a batch depends on."""

    committee: Committee
    policy: ScopePolicy
    plan: BatchPlan
    items: tuple[Item, ...]

    @property
    def width(self) -> int:
        """Number of (slot, level) positions."""
        return len(statement.positions(self.policy))

    def check_counts(self, message: RoundOne | RoundTwo) -> None:
        """Raise MalformedInput unless a round message has one value for every place."""
        total = len(self.items) * self.width
        fresh = sum(item.new for item in self.items) * self.width
        if isinstance(message, RoundOne):
            fits = (len(message.duplicates), len(message.openings)) == (total, fresh)
        else:
            fits = len(message.points) == total
        if not fits:
            raise MalformedInput(Code.LENGTH, "a round message has a wrong number of values")

    def _weights(self, tag: Tag, trustee: int, values: bytes, count: int) -> list[int]:
        """128-bit weights from the plan, all commitments and all values: nothing can be fitted to them."""
        commitments = b"".join(item.public.commitments_digest() for item in self.items)
        seed = digest(
            tag, self.committee.fingerprint, self.plan.fingerprint, bytes([trustee]), commitments, values
        )
        stream = derive(seed, Tag.BATCH_WEIGHT, length=16 * count)
        return [int.from_bytes(stream[start : start + 16], "little") for start in range(0, 16 * count, 16)]

    def _session(self, tag: Tag, trustee: int, values: bytes) -> bytes:
        return sigma.session_tag(
            tag, self.committee.fingerprint, self.plan.fingerprint, bytes([trustee]), digest(tag, values)
        )


def make_round_one(
    batch: Batch, secrets: TrusteeSecrets, entries: Sequence[EntrySecrets], randomness: Randomness
) -> RoundOne:
    """This trustee's first message; values repeat byte for byte, only the proof is fresh."""
    committee, policy, plan = batch.committee, batch.policy, batch.plan
    positions = statement.positions(policy)
    bases = [duplicate_base(committee, plan.scope, slot, level, plan.epoch) for slot, level in positions]
    duplicates: list[bytes] = []
    openings: list[bytes] = []
    for item, own in zip(batch.items, entries, strict=True):
        for position, (_, level) in enumerate(positions):
            duplicates.append(RISTRETTO255.multiply(own.shares.inverses[position].value, bases[position]))
            if item.new:
                mask, zero = own.masks[position], own.zeros[position]
                key = secrets.level_shares[level]
                product = mask.value * (key.value + own.shares.identifiers[position].value) + zero.value
                openings.append(RISTRETTO255.encode_scalar(product % ORDER))
    message = RoundOne(plan.fingerprint, secrets.index, tuple(duplicates), tuple(openings), b"", UNSIGNED)
    session, relation = round_one_statement(batch, message)
    _shorten_products(batch, message, secrets, entries, relation)
    witness = _round_one_witness(batch, message, secrets, entries)
    proof = _prove(batch, session, relation, witness, randomness)
    return sign_message(message.with_field("proof", proof), secrets.signing_key, Tag.ROUND_ONE)


def round_one_statement(batch: Batch, message: RoundOne) -> tuple[bytes, LinearRelation]:
    """What `message` must prove, from public data alone."""
    committee, plan, index = batch.committee, batch.plan, message.trustee
    threshold = committee.threshold
    positions = statement.positions(batch.policy)
    generator, blinding = RISTRETTO255.generator, BLINDING_GENERATOR
    values = _round_one_values(message)
    weights = iter(_round_one_weights(batch, message))
    powers = [index**degree for degree in range(threshold)]
    relation = LinearRelation(RISTRETTO255)
    images: list[list[tuple[int, bytes]]] = [[] for _ in positions]
    outputs: list[list[tuple[int, bytes]]] = [[] for _ in positions]
    for number, item in enumerate(batch.items):
        for position in range(len(positions)):
            weight = next(weights)
            row = item.public.inverse_row(position)
            images[position] += [
                (weight * power, element) for power, element in zip(powers, row, strict=True)
            ]
            outputs[position].append((weight, message.duplicates[number * len(positions) + position]))
    for position, (slot, level) in enumerate(positions):
        if not images[position]:
            continue
        value, blind = relation.scalars(2)
        base = duplicate_base(committee, plan.scope, slot, level, plan.epoch)
        relation.equation(images[position], (value, generator), (blind, blinding), may_vanish=True)
        relation.equation(outputs[position], (value, base), may_vanish=True)
    product_image: list[tuple[int, bytes]] = []
    product_terms: list[tuple[ScalarVariable, bytes, int]] = []
    opened = iter(message.openings)
    total = 0
    for item in batch.items:
        if not item.new:
            continue
        for position, (_, level) in enumerate(positions):
            weight = next(weights)
            mask, mask_blind = relation.scalars(2)
            relation.equation(
                item.public.mask_terms(threshold, position, index),
                (mask, generator),
                (mask_blind, blinding),
                may_vanish=True,
            )
            total += weight * RISTRETTO255.decode_scalar(next(opened))
            product_image += [
                (-weight * factor, element)
                for factor, element in item.public.zero_terms(threshold, position, index)
            ]
            row = item.public.identifier_row(position)
            for power, identifier, key in zip(powers, row, committee.level_row(level), strict=True):
                product_terms += [(mask, identifier, weight * power), (mask, key, weight * power)]
    if product_terms:
        (remainder,) = relation.scalars(1)
        relation.equation(
            [(total, generator), *product_image], *product_terms, (remainder, blinding), may_vanish=True
        )
    return batch._session(Tag.ROUND_ONE, index, values), relation  # noqa: SLF001 - same module


def make_round_two(
    batch: Batch,
    secrets: TrusteeSecrets,
    entries: Sequence[EntrySecrets],
    xs: Sequence[int],
    randomness: Randomness,
) -> RoundTwo:
    """This trustee's second message: its share of every curve point."""
    plan = batch.plan
    positions = statement.positions(batch.policy)
    points = []
    for number, own in enumerate(entries):
        for position, (slot, level) in enumerate(positions):
            bases = curve_bases(batch.committee, plan.scope, slot, level, plan.epoch)
            mask = own.masks[position].value
            x = xs[number * len(positions) + position]
            scalars = [mask * pow(x, degree, ORDER) % ORDER for degree in range(level - 1)]
            points.append(RISTRETTO255.multi_multiply(scalars, bases))
    message = RoundTwo(plan.fingerprint, secrets.index, tuple(points), b"", UNSIGNED)
    session, relation = round_two_statement(batch, message, xs)
    witness = _round_two_witness(batch, message, entries, xs)
    proof = _prove(batch, session, relation, witness, randomness)
    return sign_message(message.with_field("proof", proof), secrets.signing_key, Tag.ROUND_TWO)


def round_two_statement(batch: Batch, message: RoundTwo, xs: Sequence[int]) -> tuple[bytes, LinearRelation]:
    """What `message` must prove: its points use the masks that were committed to."""
    plan, index = batch.plan, message.trustee
    threshold = batch.committee.threshold
    positions = statement.positions(batch.policy)
    generator, blinding = RISTRETTO255.generator, BLINDING_GENERATOR
    weights = _round_two_weights(batch, message)
    relation = LinearRelation(RISTRETTO255)
    for position, (slot, level) in enumerate(positions):
        bases = curve_bases(batch.committee, plan.scope, slot, level, plan.epoch)
        rows: list[list[tuple[int, bytes]]] = [[] for _ in bases]
        image: list[tuple[int, bytes]] = []
        for number, item in enumerate(batch.items):
            place = number * len(positions) + position
            weight = weights[place]
            image.append((weight, message.points[place]))
            mask_terms = item.public.mask_terms(threshold, position, index)
            for degree, row in enumerate(rows):
                scale = weight * pow(xs[place], degree, ORDER) % ORDER
                row += [(scale * factor, element) for factor, element in mask_terms]
        if not image:
            continue
        variables = []
        for row in rows:
            value, blind = relation.scalars(2)
            relation.equation(row, (value, generator), (blind, blinding), may_vanish=True)
            variables.append(value)
        relation.equation(image, *zip(variables, bases, strict=True), may_vanish=True)
    return batch._session(Tag.ROUND_TWO, index, b"".join(message.points)), relation  # noqa: SLF001


def check_round_one(batch: Batch, messages: Sequence[RoundOne]) -> None:
    """All first messages at once. Raises VerificationFailed naming every culprit."""
    claims = [(message.trustee, *round_one_statement(batch, message), message.proof) for message in messages]
    _check_all(batch, claims)


def check_round_two(batch: Batch, messages: Sequence[RoundTwo], xs: Sequence[int]) -> None:
    """All second messages at once. Raises VerificationFailed naming every culprit."""
    claims = [
        (message.trustee, *round_two_statement(batch, message, xs), message.proof) for message in messages
    ]
    _check_all(batch, claims)


def combine_round_one(
    batch: Batch, messages: Mapping[int, RoundOne]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """X of every (item, position), and the opened product of every new one.

    Raises: CommitteeHalted if a product is zero, which honest values never give.
    """
    plan, threshold = batch.plan, batch.committee.threshold
    positions = statement.positions(batch.policy)
    xs = []
    for place in range(len(batch.items) * len(positions)):
        slot, level = positions[place % len(positions)]
        duplicate = pedersen.interpolate_elements(
            {index: message.duplicates[place] for index, message in messages.items()}, threshold
        )
        xs.append(point_x(batch.committee, plan.scope, slot, level, plan.epoch, duplicate))
    products = []
    for place in range(sum(item.new for item in batch.items) * len(positions)):
        opened = {
            index: RISTRETTO255.decode_scalar(message.openings[place]) for index, message in messages.items()
        }
        product = pedersen.interpolate(opened, 2 * threshold - 1)  # spec: o = rho * (k_T + m)
        if product == 0:
            raise CommitteeHalted(Code.RANGE, "a masked product opened to zero")
        products.append(product)
    return tuple(xs), tuple(products)


def point_x(committee: Committee, scope: bytes, slot: int, level: int, epoch: int, duplicate: bytes) -> int:
    """X from the combined point `1/(p+m) * Dup`."""  # spec: D
    return hash_to_scalar(
        Tag.POINT_X,
        committee.instance,
        committee.identifier,
        scope,
        bytes((slot, level)),
        epoch.to_bytes(4, "big"),
        duplicate,
    )


def combine_round_two(
    batch: Batch, messages: Mapping[int, RoundTwo], xs: Sequence[int], products: Sequence[int]
) -> tuple[Point, ...]:
    """The output points; `products` holds one opened product for every (item, position)."""
    points = []
    for place, (x, product) in enumerate(zip(xs, products, strict=True)):
        masked = pedersen.interpolate_elements(
            {index: message.points[place] for index, message in messages.items()}, batch.committee.threshold
        )
        points.append(Point(x, RISTRETTO255.multiply(pow(product, -1, ORDER), masked)))
    return tuple(points)


def _prove(
    batch: Batch, session: bytes, relation: LinearRelation, witness: Sequence[int], randomness: Randomness
) -> bytes:
    """The round's proof; a batch without items has nothing to prove, and still runs like any other."""
    return sigma.prove(session, [relation], [witness], randomness) if batch.items else b""


def _check_all(batch: Batch, claims: Sequence[tuple[int, bytes, LinearRelation, bytes]]) -> None:
    errors: list[NotAloneError | None]
    if batch.items:
        errors = list(
            sigma.verify_each([(session, [relation], proof) for _, session, relation, proof in claims])
        )
    else:
        trailing = MalformedInput(Code.TRAILING, "a proof of nothing is empty")
        errors = [trailing if proof else None for *_, proof in claims]
    culprits = tuple(claim[0] for claim, error in zip(claims, errors, strict=True) if error is not None)
    if culprits:
        raise VerificationFailed(Code.PROOF, "a trustee's round message does not verify", culprits=culprits)


def _round_one_values(message: RoundOne) -> bytes:
    return b"".join(message.duplicates) + b"".join(message.openings)


def _round_one_weights(batch: Batch, message: RoundOne) -> list[int]:
    count = len(message.duplicates) + len(message.openings)
    return batch._weights(Tag.ROUND_ONE, message.trustee, _round_one_values(message), count)  # noqa: SLF001


def _round_two_weights(batch: Batch, message: RoundTwo) -> list[int]:
    values = b"".join(message.points)
    return batch._weights(Tag.ROUND_TWO, message.trustee, values, len(message.points))  # noqa: SLF001


def _round_one_witness(
    batch: Batch, message: RoundOne, secrets: TrusteeSecrets, entries: Sequence[EntrySecrets]
) -> list[int]:
    positions = statement.positions(batch.policy)
    weights = iter(_round_one_weights(batch, message))
    sums = [[0, 0] for _ in positions]
    for own in entries:
        for position in range(len(positions)):
            weight = next(weights)
            share = own.shares.inverses[position]
            sums[position][0] += weight * share.value
            sums[position][1] += weight * share.blind
    witness = [value % ORDER for pair in sums for value in pair] if batch.items else []
    remainder = 0
    fresh = False
    for item, own in zip(batch.items, entries, strict=True):
        if not item.new:
            continue
        fresh = True
        for position, (_, level) in enumerate(positions):
            weight = next(weights)
            mask, zero = own.masks[position], own.zeros[position]
            blind = secrets.level_shares[level].blind + own.shares.identifiers[position].blind
            witness += [mask.value, mask.blind]
            remainder -= weight * (zero.blind + mask.value * blind)
    if fresh:
        witness.append(remainder % ORDER)
    return witness


def _shorten_products(
    batch: Batch,
    message: RoundOne,
    secrets: TrusteeSecrets,
    entries: Sequence[EntrySecrets],
    relation: LinearRelation,
) -> None:
    """The product equation's terms from this trustee's own shares: one commitment for 2m products each.

    At its own index every sharing opens to the share it holds; others see and check the same statement.
    """
    positions = statement.positions(batch.policy)
    weights = _round_one_weights(batch, message)[len(message.duplicates) :]
    factors = []
    for item, own in zip(batch.items, entries, strict=True):
        if item.new:
            for position, (_, level) in enumerate(positions):
                key, share = secrets.level_shares[level], own.shares.identifiers[position]
                factors.append((key.value + share.value, key.blind + share.blind))
    if not factors:
        return
    first = 2 * len(positions)  # after the two sums of each position

    def products(scalars: Sequence[int]) -> bytes:
        weighted = [
            (mask * weight, factor)
            for mask, weight, factor in zip(scalars[first:-1:2], weights, factors, strict=True)
        ]
        return pedersen.commit(
            sum(mask * value for mask, (value, _) in weighted),
            sum(mask * blind for mask, (_, blind) in weighted) + scalars[-1],
        )

    relation.shortcut(products)


def _round_two_witness(
    batch: Batch, message: RoundTwo, entries: Sequence[EntrySecrets], xs: Sequence[int]
) -> list[int]:
    positions = statement.positions(batch.policy)
    weights = _round_two_weights(batch, message)
    witness: list[int] = []
    for position, (_, level) in enumerate(positions):
        sums = [[0, 0] for _ in range(level - 1)]
        for number, own in enumerate(entries):
            place = number * len(positions) + position
            mask = own.masks[position]
            for degree, pair in enumerate(sums):
                scale = weights[place] * pow(xs[place], degree, ORDER)
                pair[0] += scale * mask.value
                pair[1] += scale * mask.blind
        if entries:
            witness += [value % ORDER for pair in sums for value in pair]
    return witness
