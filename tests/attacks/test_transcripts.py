"""Below the threshold a transcript is free of equality, for one trustee and for the public.

Many pairs of reports in one batch, half of them about one subject, half about
two; the same people, sizes and seeds otherwise. Nothing in trustee 1's state,
keys and messages may tell the halves apart, structurally or by simple
statistics. All randomness that enters the statistics is seeded. The control
shows that the same instruments see equality at once where it must be seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.attacks import transcripts
from tests.attacks.transcripts import Material, Pair
from tests.support.world import World

from notalone_crypto.messages.evaluation import PlanVote
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol import persist, statement
from notalone_crypto.protocol.file import SealedReport
from notalone_crypto.protocol.state import CONFIDENTIAL, Outgoing, Post
from notalone_crypto.randomness import SeededStream

PAIRS = 32
LEVEL_TWO, LEVEL_THREE = 0, 1  # places of a scope with one slot
SIGMA = 8  # where a place's curve value stands among its evaluated elements
Z_LIMIT = 4.5  # about 900 scores: by chance one in a hundred seeds exceeds it


def batch_of_pairs(
    seed: bytes, count: int, thresholds: Sequence[tuple[int, int]]
) -> tuple[World, list[Pair], list[bool], list[tuple[SealedReport, SealedReport]]]:
    """One batch with `count` pairs; a seeded coin says which name one subject."""
    world = World(slots=(1,), seed=seed)
    coins = SeededStream(seed + b"coins")
    # Exactly half of each, in an order drawn at random, so that both halves are the same size.
    order = sorted(range(count), key=lambda _: coins(8))
    labels = [False] * count
    for index in order[: count // 2]:
        labels[index] = True
    reports = []
    for number, same in enumerate(labels):
        subjects = [b"subject %d" % number, b"subject %d" % number if same else b"another %d" % number]
        people = (number % 18, 18 + number % 18)
        low = thresholds[number % len(thresholds)]
        reports.append(tuple(world.file(*one) for one in zip(people, subjects, low, strict=True)))
    world.run_batch()
    flat = transcripts.collect(world, [one for pair in reports for one in pair])
    pairs = [(flat[2 * index], flat[2 * index + 1]) for index in range(count)]
    return world, pairs, labels, reports  # type: ignore[return-value]


@pytest.fixture(scope="module")
def below() -> tuple[World, list[Pair], list[bool], list[tuple[SealedReport, SealedReport]]]:
    """Pairs with r = 3 and 3, or 2 and 3: two people, so below every threshold."""
    return batch_of_pairs(b"below the threshold", PAIRS, [(3, 3), (2, 3)])


def test_one_trustees_view_below_the_threshold_is_free_of_equality(
    below: tuple[World, list[Pair], list[bool], list[tuple[SealedReport, SealedReport]]],
) -> None:
    """Trustee 1 compares everything it has of two entries, to know whether they name one person. [TM-1]

    No 32-byte string recurs, no small linear relation holds, all counts are
    equal: whether the subject is one or two.
    """
    world, pairs, labels, _ = below
    assert sum(labels) == PAIRS // 2
    assert world.opened_by(world.desk) == set()
    assert len({len(one.pieces) for pair in pairs for one in pair}) == 1
    for pair in pairs:
        assert transcripts.shared_pieces(pair) == set()
        assert transcripts.relations(pair) == []
    everything = [piece for pair in pairs for one in pair for piece in set(one.pieces)]
    assert len(set(everything)) == len(everything), "not even among entries of different pairs"


def test_simple_distinguishers_have_no_advantage_below_the_threshold(
    below: tuple[World, list[Pair], list[bool], list[tuple[SealedReport, SealedReport]]],
) -> None:
    """Trustee 1 trains simple rules on labelled pairs: bits, bytes, distances, differences of
    points. [TM-1]
    """
    _, pairs, labels, _ = below
    found = transcripts.scores(pairs, labels)
    assert len(found) > 300
    worst = max(found, key=lambda name: abs(found[name]))
    assert abs(found[worst]) < Z_LIMIT, (worst, found[worst])
    mean_square = sum(score**2 for score in found.values()) / len(found)
    assert 0.6 < mean_square < 1.5, "all scores together are spread as chance spreads them"
    assert abs(transcripts.histogram_excess(pairs, labels)) < Z_LIMIT


def test_equality_is_visible_at_the_threshold() -> None:
    """Control: with r = 2 and 2 the very same instruments see equality at level 2, and only there."""
    world, pairs, labels, reports = batch_of_pairs(b"at the threshold", 12, [(2, 2)])
    for pair, same in zip(pairs, labels, strict=True):
        left, right = pair
        assert (left.curves[LEVEL_TWO] == right.curves[LEVEL_TWO]) == same
        assert left.curves[LEVEL_THREE] != right.curves[LEVEL_THREE]
        assert left.xs[LEVEL_TWO] != right.xs[LEVEL_TWO]
        shared = {left.curves[LEVEL_TWO]} if same else set()
        assert transcripts.shared_pieces(pair) == shared
        assert bool(transcripts.relations(pair)) == same
    found = transcripts.scores(pairs, labels)
    sigma = pairs[0][0].pieces.index(pairs[0][0].curves[LEVEL_TWO])
    perfect = transcripts.z_score([0.0] * 6, [float(bits) for bits in range(1, 7)])
    assert abs(found[f"hamming of piece {sigma}"]) >= abs(perfect)
    assert max(found, key=lambda name: abs(found[name])).endswith(
        (f"piece {sigma}", f"{SIGMA} at {LEVEL_TWO}")
    )
    matched = {one.header.entry for pair, same in zip(reports, labels, strict=True) for one in pair if same}
    opened = {entry for entry, _ in world.opened_by(world.desk)}  # what fits the batch; the rest waits
    assert opened
    assert opened <= matched


def slope(left: Material, right: Material) -> bytes:
    """Of the line through two points at level 3."""
    difference = RISTRETTO255.subtract(left.curves[LEVEL_THREE], right.curves[LEVEL_THREE])
    return RISTRETTO255.multiply(pow(left.xs[LEVEL_THREE] - right.xs[LEVEL_THREE], -1, ORDER), difference)


def test_three_points_are_on_one_line_and_two_are_on_any() -> None:
    """Control for level 3: slopes of three reports about one man agree; with a stranger among them
    none do.
    """
    world = World(slots=(1,), seed=b"lines")
    reports = [world.file(person, b"bob", 3) for person in (1, 2, 3)] + [world.file(4, b"al", 3)]
    world.run_batch()
    first, second, third, stranger = transcripts.collect(world, reports)
    assert slope(first, second) == slope(second, third) == slope(first, third)
    mixed = {slope(first, stranger), slope(second, stranger), slope(third, stranger), slope(first, second)}
    assert len(mixed) == 4


# --- whole views, two worlds ------------------------------------------------------------------------------


def one_world(subjects: Sequence[bytes], thresholds: Sequence[int]) -> tuple[World, list[tuple[int, Post]]]:
    """The same seed, people and hours; only what is named differs."""
    world = World(slots=(1,), seed=b"two worlds")
    for person, (subject, threshold) in enumerate(zip(subjects, thresholds, strict=True)):
        world.file(person, subject, threshold)
    return world, world.run_batch()


def test_whole_view_of_a_trustee_has_one_shape_below_the_threshold() -> None:
    """Trustee 1 compares sizes and counts: its state, and each message it got, in both worlds. [TM-1]

    Equal subjects or not, any r, used level or dummy: one shape, to the byte.
    """
    shapes = set()
    for subjects, thresholds in (
        ((b"bob", b"bob"), (3, 3)),
        ((b"bob", b"bob"), (2, 3)),
        ((b"bob", b"al"), (3, 3)),
        ((b"bob", b"al"), (2, 2)),
    ):
        world, posts = one_world(subjects, thresholds)
        # Integers are stored as short as they are; everything else has a fixed size.
        state = persist.dump(world.machines[1].state)
        messages = tuple((sender, str(post.kind), len(post.payload)) for sender, post in posts)
        filings = tuple(len(post.payload) for _, post in world.posts)
        shapes.add((messages, filings, round(len(state) / 200)))
    assert len(shapes) == 1


def test_public_log_is_free_of_equality() -> None:
    """The public log's reader, and the board, compare batches: nothing, one report, two, a match. [TM-2]

    Leaves, notes and public posts have one form; leaves of one world with a
    match and one without differ as any two leaves do.
    """
    notes, sizes, leaves = set(), set(), []
    for subjects in ((), (b"bob",), (b"bob", b"al"), (b"bob", b"bob")):
        world, posts = one_world(subjects, (2,) * len(subjects))
        notes.add(len(world.last_note))
        blobs = [ReleaseBatch.decode(post.payload) for _, post in posts if post.kind == Outgoing.RELEASES]
        public = tuple(len(blob) for message in blobs for blob in message.blobs)
        sizes.add((world.tree.size, public))
        leaves.append(world.scope_of(1).leaf)
        hidden = {post.kind for _, post in posts} & CONFIDENTIAL
        assert hidden == CONFIDENTIAL, (
            "votes with their salts and both rounds go to trustees and auditors only"
        )
        votes = [PlanVote.decode(post.payload) for _, post in posts if post.kind == Outgoing.PLAN_VOTE]
        assert not any(vote.salt in world.last_note for vote in votes)
        for outline in world.scope_of(1).outlines.values():
            assert not any(point.curve in world.last_note for point in outline.points)
    assert len(notes) == len(sizes) == 1
    assert len(set(leaves)) == len(leaves)


def test_bits_of_leaves_do_not_tell_matches() -> None:
    """He runs the same statistics on leaves of batches with and without a match. [TM-2]"""
    world = World(slots=(1,), seed=b"leaves")
    weights: dict[bool, list[float]] = {True: [], False: []}
    for number in range(12):
        match = number % 2 == 0
        world.file(number, b"subject %d" % number)
        world.file(number + 12, b"subject %d" % number if match else b"another %d" % number)
        world.run_batch()
        leaf = world.scope_of(1).leaf
        weights[match].append(float(int.from_bytes(leaf, "big").bit_count()))
    assert abs(transcripts.z_score(weights[True], weights[False])) < Z_LIMIT
    assert len(statement.positions(world.policy)) == 2
    assert world.tree.size == 13
