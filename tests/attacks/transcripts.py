"""What one trustee sees of an entry, as numbered pieces, and distinguishers over pairs of entries.

Owns the collection of material and the statistics. A distinguisher gets pairs
of entries and which of them name one subject, and returns how well a simple
rule tells them apart (a z-score; 0 is chance).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt

from tests.support.world import World

from notalone_crypto.messages.evaluation import RoundOne, RoundTwo
from notalone_crypto.messages.filing import Acceptance
from notalone_crypto.primitives import pedersen
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol import statement
from notalone_crypto.protocol.file import SealedReport
from notalone_crypto.protocol.state import Outgoing

Pair = tuple["Material", "Material"]


@dataclass(frozen=True)
class Material:
    """All 32-byte pieces that belong to one entry in trustee 1's view, in one fixed order."""

    fixed: tuple[bytes, ...]  # from header, bundle and acceptances
    scalars: tuple[int, ...]  # everything the trustee knows as a number
    elements: dict[int, tuple[bytes, ...]]  # by (slot, level) place: what evaluation showed
    xs: tuple[int, ...]
    products: tuple[int, ...]
    curves: tuple[bytes, ...]

    @property
    def pieces(self) -> list[bytes]:
        """Everything as bytes, aligned between entries."""
        evaluated = [element for place in sorted(self.elements) for element in self.elements[place]]
        return [*self.fixed, *(RISTRETTO255.encode_scalar(one) for one in self.scalars), *evaluated]


def collect(world: World, reports: Sequence[SealedReport]) -> list[Material]:
    """Trustee 1's material of each report, after the one batch that evaluated all of them."""
    scope = world.scope_of(1)
    received = scope.last_batch[1] if scope.batch is None else scope.batch.received
    first = [RoundOne.decode(data) for _, data in sorted(received[Outgoing.ROUND_ONE].items())]
    second = [RoundTwo.decode(data) for _, data in sorted(received[Outgoing.ROUND_TWO].items())]
    width = len(statement.positions(world.policy))
    acceptances: dict[bytes, list[Acceptance]] = {}
    for _, post in world.posts:
        if post.kind == Outgoing.ACCEPTANCE:
            one = Acceptance.decode(post.payload)
            acceptances.setdefault(one.entry, []).append(one)
    order = list(scope.live)
    materials = []
    for report in reports:
        header, live = report.header, scope.live[report.header.entry]
        points = scope.outlines[header.entry].points
        number = order.index(header.entry)
        rows = (*header.identifier_commitments, *header.inverse_commitments, *header.content_commitments)
        fixed = [header.quota_tag, header.member, header.enc, *(one for row in rows for one in row)]
        for one in acceptances[header.entry]:
            fixed += [element for row in one.subset_commitments for element in row]
        secrets = live.secrets
        shares = (*secrets.shares.identifiers, *secrets.shares.inverses, *secrets.shares.contents)
        scalars = [
            value
            for share in (*shares, *secrets.masks, *secrets.zeros)
            for value in (share.value, share.blind)
        ]
        scalars += [
            RISTRETTO255.decode_scalar(one)
            for message in first
            for one in message.openings[number * width : (number + 1) * width]
        ]
        scalars += [*(point.x for point in points), *live.products]
        elements = {}
        for place in range(width):
            at = number * width + place
            duplicates = {message.trustee: message.duplicates[at] for message in first}
            masked = {message.trustee: message.points[at] for message in second}
            elements[place] = (
                *duplicates.values(),
                *masked.values(),
                pedersen.interpolate_elements(duplicates, world.threshold),
                pedersen.interpolate_elements(masked, world.threshold),
                points[place].curve,
            )
        curves = tuple(point.curve for point in points)
        xs = tuple(point.x for point in points)
        materials.append(Material(tuple(fixed), tuple(scalars), elements, xs, live.products, curves))
    return materials


def relations(pair: Pair) -> list[str]:
    """Linear relations among few elements that hold between the two entries, by name: none should."""
    group = RISTRETTO255
    left, right = pair
    found = []
    for place, ours in left.elements.items():
        theirs = right.elements[place]
        for name, combine in (("sum", group.add), ("difference", group.subtract)):
            combined = [combine(one, other) for one, other in product(ours, theirs)]
            if len(set(combined)) < len(combined) or set(combined) & {*ours, *theirs, group.identity}:
                found.append(f"{name} at {place}")
        factors = [left.xs[place], right.xs[place], left.products[place], right.products[place]]
        factors += [pow(one, -1, ORDER) for one in factors]
        factors += [factors[0] * factors[3] % ORDER, factors[1] * factors[2] % ORDER]
        scaled = [
            {group.multiply(one, curve) for one in (1, *factors)}
            for curve in (left.curves[place], right.curves[place])
        ]
        if scaled[0] & scaled[1]:
            found.append(f"scaled at {place}")
    return found


def shared_pieces(pair: Pair) -> set[bytes]:
    """32-byte strings that occur in both entries' material."""
    return set(pair[0].pieces) & set(pair[1].pieces)


# --- statistics -------------------------------------------------------------------------------------------


def _hamming(left: bytes, right: bytes) -> float:
    return float((int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).bit_count())


def _equal_bytes(left: bytes, right: bytes) -> float:
    return float(sum(one == other for one, other in zip(left, right, strict=True)))


def _first_xor(left: bytes, right: bytes) -> float:
    return float(left[0] ^ right[0])


def _distance(left: bytes, right: bytes) -> float:
    """Difference mod q of the two as numbers, folded: small when they are near."""
    gap = (int.from_bytes(left, "little") - int.from_bytes(right, "little")) % ORDER
    return min(gap, ORDER - gap) / ORDER


RULES: dict[str, Callable[[bytes, bytes], float]] = {
    "hamming": _hamming,
    "equal bytes": _equal_bytes,
    "first byte": _first_xor,
    "distance": _distance,
}


def z_score(same: Sequence[float], different: Sequence[float]) -> float:
    """Rank-sum (Mann-Whitney) z: 0 is chance; ties count half."""
    wins = sum((one > other) + 0.5 * (one == other) for one in same for other in different)
    n, k = len(same), len(different)
    values = [*same, *different]
    total = n + k
    ties = sum(count**3 - count for count in (values.count(value) for value in set(values)))
    variance = n * k / 12 * (total + 1 - ties / (total * (total - 1)))
    return 0.0 if variance <= 0 else (wins - n * k / 2) / sqrt(variance)


def scores(pairs: Sequence[Pair], labels: Sequence[bool]) -> dict[str, float]:
    """z of every rule on every aligned piece, and of differences of group elements."""
    found = {}
    pieces = [(pair[0].pieces, pair[1].pieces) for pair in pairs]
    for index in range(len(pieces[0][0])):
        for name, rule in RULES.items():
            values = [rule(left[index], right[index]) for left, right in pieces]
            found[f"{name} of piece {index}"] = _split(values, labels)
    for name, rule in RULES.items():
        totals = [sum(rule(one, other) for one, other in zip(*pair, strict=True)) for pair in pieces]
        found[f"{name} over all"] = _split(totals, labels)
    for place in pairs[0][0].elements:
        for index in range(len(pairs[0][0].elements[place])):
            differences = [
                RISTRETTO255.subtract(left.elements[place][index], right.elements[place][index])
                for left, right in pairs
            ]
            weights = [float(int.from_bytes(one, "little").bit_count()) for one in differences]
            found[f"difference {index} at {place}"] = _split(weights, labels)
            found[f"first byte of difference {index} at {place}"] = _split(
                [float(one[0]) for one in differences], labels
            )
    return found


def histogram_excess(pairs: Sequence[Pair], labels: Sequence[bool]) -> float:
    """Two-sample chi-square of the bytes of XORed pieces, in deviations from its mean (255 degrees)."""
    counts = [[0] * 256, [0] * 256]
    for (left, right), label in zip(pairs, labels, strict=True):
        for one, other in zip(left.pieces, right.pieces, strict=True):
            for a, b in zip(one, other, strict=True):
                counts[label][a ^ b] += 1
    totals = [sum(row) for row in counts]
    statistic = 0.0
    for a, b in zip(*counts, strict=True):
        if a + b:
            expected = (a + b) * totals[0] / sum(totals), (a + b) * totals[1] / sum(totals)
            statistic += (a - expected[0]) ** 2 / expected[0] + (b - expected[1]) ** 2 / expected[1]
    return (statistic - 255) / sqrt(2 * 255)


def _split(values: Sequence[float], labels: Sequence[bool]) -> float:
    same = [value for value, label in zip(values, labels, strict=True) if label]
    different = [value for value, label in zip(values, labels, strict=True) if not label]
    return z_score(same, different)
