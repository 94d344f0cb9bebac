"""Attacks on the record: a board that forks, rolls back, withholds, hides or invents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.attacks.adversary_b import give, nothing_changes, refused
from tests.attacks.entrances import hold
from tests.support.world import World

from notalone_crypto.errors import Code, CommitteeHalted
from notalone_crypto.messages.evaluation import (
    CosignatureMessage,
    Inclusion,
    LogUpdate,
    PlanVote,
    RecordVote,
    RoundOne,
    RoundTwo,
)
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.messages.roll import RollEntry
from notalone_crypto.primitives import checkpoint, hpke, merkle, pedersen
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.protocol import log, persist, record, release, roll, rounds, statement
from notalone_crypto.protocol.find import CurveFinder
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.protocol.state import CurrentBatch, Outgoing, Phase, Post, TrusteeState
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import COHORT_SIZE, MAX_WHOLE_ROLL, Tag


def small(**options: object) -> World:
    return World(slots=(1,), **options)  # type: ignore[arg-type]


def at_record(world: World) -> list[tuple[int, Post]]:
    """Run a batch up to its leaf; the posts."""
    return world.deliver(world.start_batch())


def current(world: World, index: int = 1) -> CurrentBatch:
    batch = world.scope_of(index).batch
    assert batch is not None
    return batch


def leaf_of(world: World) -> bytes:
    sealed = current(world).sealed_record
    assert sealed is not None
    return sealed.leaf


def fork(world: World, leaves: tuple[bytes, ...], wanted: int) -> LogUpdate:
    """The board's signed update that appends `leaves` to what the trustees know, with leaf
    `wanted`'s path.
    """
    tree, old = world.tree, world.tree.size
    for leaf in leaves:
        tree = tree.append(leaf)
    head = checkpoint.Checkpoint(log.origin(world.committee), tree.size, tree.root())
    note = checkpoint.sign_checkpoint(head, world.board_key).encode()
    index = old + wanted
    return LogUpdate(note, index, tree.inclusion_proof(index), tree.consistency_proof(old))


def cosigned(world: World, updates: Mapping[int, LogUpdate]) -> dict[int, bytes]:
    """Each trustee's cosignature line over the update it was shown."""
    lines = {}
    for index, update in updates.items():
        (post,) = world.machines[index].receive_log(world.policy.scope, update, world.now)
        lines[index] = CosignatureMessage.decode(post.payload).line
    return lines


# --- the board and the log --------------------------------------------------------------------------------


def test_forked_board() -> None:
    """The board shows two halves of the committee two logs, each with the batch's leaf, to have
    two pasts. [REC-2]

    No two views both have a quorum. Control: with half as many cosignatures both would.
    """
    world = small(count=5, threshold=3)
    world.file(1, b"bob")
    at_record(world)
    leaf = leaf_of(world)
    left, right = fork(world, (leaf,), 0), fork(world, (bytes(32), leaf), 1)
    shown = {1: left, 2: left, 3: right, 4: right, 5: right}
    lines = cosigned(world, shown)
    notes = [
        update.note + b"".join(lines[index] for index, seen in shown.items() if seen is update)
        for update in (left, right)
    ]
    for index, machine in world.machines.items():
        for note in notes:
            with refused(Code.QUORUM):
                machine.receive_note(world.policy.scope, note)
        assert world.scope_of(index).phase == Phase.LOGGING, "so no trustee closes the batch"
    with refused(Code.QUORUM):
        log.check_quorum(world.committee, left.note + lines[1] + lines[1] + lines[2] + lines[2])
    with refused(Code.SIGNATURE, Code.QUORUM):  # cosignatures of the other tree
        log.check_quorum(world.committee, left.note + b"".join(lines.values()))
    names = {
        log.cosigner_name(world.committee, keys.index): keys.verify_key
        for keys in world.committee.manifest.trustees
    }
    for note in notes:
        checkpoint.verify_quorum(note, log.origin(world.committee), world.board_key.verify_key, names, 2)


def test_other_tree_than_the_one_shown_here() -> None:
    """Four trustees are shown one log, the fifth another: the fifth sees the quorum's note and says so."""
    world = small(count=5, threshold=3)
    world.file(1, b"bob")
    at_record(world)
    leaf = leaf_of(world)
    left, right = fork(world, (leaf,), 0), fork(world, (bytes(32), leaf), 1)
    lines = cosigned(world, {1: left, 2: right, 3: right, 4: right, 5: right})
    note = right.note + b"".join(lines[index] for index in (2, 3, 4, 5))
    world.machines[2].receive_note(world.policy.scope, note)
    with nothing_changes(world), refused(Code.FORK):
        world.machines[1].receive_note(world.policy.scope, note)


def test_rolled_back_board() -> None:
    """The board is restored from yesterday's copy, or rewrites a leaf under the same size. [LOG-1]"""
    world = small()
    world.run_batch()
    yesterday = world.tree
    world.run_batch()
    world.file(1, b"bob")
    at_record(world)
    leaf = leaf_of(world)
    honest = world.tree
    with nothing_changes(world):
        for leaves in ([], [bytes(32)]):
            world.tree = yesterday
            for one in leaves:
                world.tree = world.tree.append(one)
            short = replace(fork(world, (leaf,), 0), consistency=())
            view = world.machines[1].state.log
            with refused(Code.ROLLBACK, Code.CONSISTENCY):
                world.machines[1].receive_log(world.policy.scope, short, world.now)
            assert view == world.machines[1].state.log
        world.tree = merkle.MerkleTree.of([])
        with refused(Code.ROLLBACK):
            world.machines[1].receive_log(world.policy.scope, fork(world, (leaf,), 0), world.now)
        with refused(Code.ROLLBACK):  # a plan as if the last batch had not been
            again = replace(world.plan(), number=1, previous=bytes(32))
            world.machines[1].state.scopes[world.policy.scope].batch, kept = None, current(world)
            try:
                world.machines[1].receive_plan(again, world.now, world.randomness)
            finally:
                world.machines[1].state.scopes[world.policy.scope].batch = kept
    world.tree = honest
    world.close_batch()


def test_withholding_board() -> None:
    """The board keeps one message back, to see who loses patience, or leaves the batch's leaf out.
    [LOG-2, BAT-8]

    Without all messages nobody has outputs; without the leaf nobody cosigns; and no other batch starts.
    """
    world = small()
    world.file(1, b"bob")
    world.file(2, b"bob")
    held = hold(world, world.start_batch(), Outgoing.ROUND_TWO)
    assert world.scope_of(1).phase == Phase.ROUND_TWO
    assert current(world).sealed_record is None, "trustee 1 has no outputs"
    assert not any(outline.points for outline in world.scope_of(1).outlines.values())
    for machine in world.machines.values():
        with refused(Code.BATCH_OPEN):
            machine.receive_plan(replace(world.plan(), number=2), world.now, world.randomness)
    posts = world.machines[1].receive_message(world.policy.scope, Outgoing.ROUND_TWO, held, world.randomness)
    world.deliver([(1, post) for post in posts])
    leaf = leaf_of(world)
    with nothing_changes(world):
        for update in (
            fork(world, (bytes(32),), 0),
            replace(fork(world, (leaf, bytes(32)), 1), inclusion=()),
            replace(fork(world, (leaf,), 0), note=world.last_note),
        ):
            with refused(Code.INCLUSION, Code.CONSISTENCY, Code.ROLLBACK):
                world.machines[1].receive_log(world.policy.scope, update, world.now)
        unsigned = checkpoint.sign_checkpoint(
            checkpoint.Note.decode(fork(world, (leaf,), 0).note).checkpoint, world.issuer
        ).encode()
        with refused(Code.SIGNATURE):
            world.machines[1].receive_log(
                world.policy.scope, replace(fork(world, (leaf,), 0), note=unsigned), world.now
            )
    world.close_batch()


def test_different_messages_to_two_trustees() -> None:
    """Board and trustee 3 show trustee 1 another signed salt than trustee 2. Leaves differ: HALTED. [REC-2]

    Nothing is cosigned, and who halted does nothing more in this scope.
    """
    world = small()
    world.file(1, b"bob")
    held = hold(world, world.start_batch(), Outgoing.PLAN_VOTE, sender=3)
    vote = replace(PlanVote.decode(held), salt=bytes(32), signature=UNSIGNED)
    other = sign_message(vote, world.secrets[3].signing_key, Tag.PLAN_VOTE).encode()
    posts = world.machines[1].receive_message(world.policy.scope, Outgoing.PLAN_VOTE, other, world.randomness)
    with refused(Code.FORK) as errors:
        world.deliver([(1, post) for post in posts])
    assert isinstance(errors[0], CommitteeHalted)
    assert errors[0].culprits
    halted = [index for index in world.machines if world.scope_of(index).phase == Phase.HALTED]
    assert halted
    for index in halted:
        machine = world.machines[index]
        scope = world.policy.scope
        with pytest.raises(CommitteeHalted):
            machine.receive_plan(world.plan(), world.now, world.randomness)
        with pytest.raises(CommitteeHalted):
            machine.receive_note(scope, world.last_note)
        with pytest.raises(CommitteeHalted):
            machine.receive_message(scope, Outgoing.PLAN_VOTE, held, world.randomness)
    seen = [current(world, index).sealed_record for index in (1, 2)]
    assert seen[0] is not None
    assert seen[1] is not None
    assert seen[0].leaf != seen[1].leaf


@pytest.mark.parametrize("kind", [Outgoing.ROUND_ONE, Outgoing.ROUND_TWO])
def test_second_proof_of_the_same_values(kind: Outgoing) -> None:
    """Trustee 3 proves the same values anew for trustee 1: no fork, and no way to halt the others. [REC-1]"""
    world = small()
    world.file(1, b"bob")
    held = hold(world, world.start_batch(), kind, sender=3)
    live = world.scope_of(3).live.values()
    items = tuple(rounds.Item(one.public, new=True) for one in live)
    secrets = tuple(one.secrets for one in live)
    same = rounds.Batch(world.committee, world.policy, current(world, 3).plan, items)
    own, random = world.secrets[3], world.randomness
    other = (
        rounds.make_round_one(same, own, secrets, random)
        if kind == Outgoing.ROUND_ONE
        else rounds.make_round_two(same, own, secrets, current(world, 3).xs, random)
    ).encode()
    assert other != held
    posts = world.machines[1].receive_message(world.policy.scope, kind, other, random)
    world.deliver([(1, post) for post in posts])
    assert len({leaf_of(world) for _ in world.machines}) == 1
    world.close_batch()


# --- hiding and inventing ---------------------------------------------------------------------------------


def test_hidden_match() -> None:
    """A trustee hides a match: noise for blobs, or a vote for a record with other outputs. [AUD-1]

    Any m trustees' blobs open it; the record is recomputed from the messages,
    by trustees and auditors alike, and shows the match.
    """
    world = small()
    first, second = world.file(1, b"bob"), world.file(2, b"bob")
    posts = at_record(world)
    batch = current(world)
    noise = [one for one in posts if not (one[0] == 3 and one[1].kind == Outgoing.RELEASES)]
    assert {entry for entry, _ in world.opened_by(world.desk, noise)} == {
        first.header.entry,
        second.header.entry,
    }
    # An auditor, without any secret: messages, headers and acceptances suffice.
    votes = {one.trustee: one for one in map(PlanVote.decode, batch.received[Outgoing.PLAN_VOTE].values())}
    ones = {one.trustee: one for one in map(RoundOne.decode, batch.received[Outgoing.ROUND_ONE].values())}
    twos = {one.trustee: one for one in map(RoundTwo.decode, batch.received[Outgoing.ROUND_TWO].values())}
    live = world.scope_of(1).live
    public = rounds.Batch(
        world.committee,
        world.policy,
        batch.plan,
        tuple(rounds.Item(live[entry].public, new=True) for entry in batch.plan.entries),
    )
    rounds.check_round_one(public, list(ones.values()))
    xs, products = rounds.combine_round_one(public, ones)
    rounds.check_round_two(public, list(twos.values()), xs)
    points = rounds.combine_round_two(public, twos, xs, products)
    sealed = record.make_record(batch.plan, votes, ones, twos, batch.plan.entries, points)
    assert sealed.leaf == leaf_of(world)
    finder = CurveFinder(2)
    width = len(statement.positions(world.policy))
    for number, entry in enumerate(batch.plan.entries):
        finder.add(entry, points[number * width])
    assert [set(group) for group in finder.groups] == [{first.header.entry, second.header.entry}]
    # The liar's record: the second point moved off the curve.
    moved = (*points[:width], replace(points[width], curve=points[1].curve), *points[width + 1 :])
    hidden = record.make_record(batch.plan, votes, ones, twos, batch.plan.entries, moved)
    assert hidden.leaf != sealed.leaf
    vote = record_vote(world, 3, hidden.leaf)
    fresh = small()
    fresh.file(1, b"bob")
    fresh.file(2, b"bob")
    held = hold(fresh, fresh.start_batch(), Outgoing.RECORD_VOTE, sender=3)
    assert held
    lie = record_vote(fresh, 3, vote.leaf)
    with refused(Code.FORK) as errors:
        fresh.machines[1].receive_message(
            fresh.policy.scope, Outgoing.RECORD_VOTE, lie.encode(), fresh.randomness
        )
    assert errors[0].culprits == (3,)


def record_vote(world: World, trustee: int, leaf: bytes) -> RecordVote:
    unsigned = RecordVote(current(world, trustee).plan.fingerprint, trustee, leaf, UNSIGNED)
    return sign_message(unsigned, world.secrets[trustee].signing_key, Tag.BATCH_RECORD)


def own_path(world: World, posts: list[tuple[int, Post]], key: hpke.HpkePrivateKey) -> Inclusion:
    context = release.blob_context(world.committee, world.policy.scope)
    (sealed,) = [
        post.payload for _, post in posts if post.kind == Outgoing.INCLUSION and post.recipient == key.public
    ]
    return Inclusion.decode(hpke.open_sealed(key, context, sealed))


def test_suppressed_filing() -> None:
    """The board takes her filing and drops it, or makes up a path to show that it was counted. [REC-3]

    She has neither its signed promise nor a path into a cosigned leaf; a path
    for another entry, place, plan or leaf is none.
    """
    world = small()
    dropped = world.seal(1, world.report(b"bob"))
    counted, neighbour = world.file(2, b"bob"), world.file(3, b"al")
    posts = world.run_batch()
    position = world.tree.size - 1
    proof = world.tree.inclusion_proof(position)

    def check(path: Inclusion, entry: bytes) -> None:
        leaf = record.check_inclusion(path, entry)
        log.check_leaf(world.committee, world.last_note, leaf, position, proof)

    path = own_path(world, posts, counted.owner.recipient_key)
    check(path, counted.header.entry)
    assert not any(post.recipient == dropped.header.recipient_key for _, post in posts)
    other = own_path(world, posts, neighbour.owner.recipient_key)
    mine = dropped.header.entry
    forged = [
        path,
        replace(path, entry=mine),
        replace(path, entry=mine, part_salt=other.part_salt),
        replace(path, entry=mine, path=(), count=1, position=0),
        replace(path, entry=mine, position=1 - path.position),
        replace(path, entry=mine, path=(*path.path, bytes(32)), count=3),
        replace(path, entry=mine, leaf_salt=bytes(32)),
        replace(path, entry=mine, plan=bytes(32)),
    ]
    for claim in forged:
        with refused(Code.INCLUSION):
            check(claim, mine)
    for changed in (
        {"position": 1 - path.position},
        {"plan": bytes(32)},
        {"outputs": bytes(32)},
        {"messages": bytes(32)},
    ):
        with refused(Code.INCLUSION):
            check(replace(path, **changed), counted.header.entry)
    with refused(Code.DECRYPTION):  # and nobody reads another's path
        sealed = next(post.payload for _, post in posts if post.recipient == counted.header.recipient_key)
        hpke.open_sealed(
            neighbour.owner.recipient_key, release.blob_context(world.committee, world.policy.scope), sealed
        )


def test_forged_receipt() -> None:
    """Somebody other than the board promises to include her filing, or the board's promise is for
    other bytes.
    """
    world = small()
    sealed = world.seal(1, world.report(b"bob"))
    board = world.committee.manifest.board_key
    promise = Receipt(sealed.filing.fingerprint, sealed.header.entry, 1, UNSIGNED)
    good = sign_message(promise, world.board_key, Tag.RECEIPT)
    check_signature(good, board, Tag.RECEIPT)
    swapped = replace(sealed.filing, proof=b"")
    forged = [
        sign_message(promise, world.issuer, Tag.RECEIPT),
        sign_message(promise, world.board_key, Tag.ACCEPT),
        replace(good, batch=2),
        replace(good, filing=swapped.fingerprint),
        promise,
    ]
    for receipt in forged:
        with refused(Code.SIGNATURE):
            check_signature(receipt, board, Tag.RECEIPT)
    assert swapped.fingerprint != sealed.filing.fingerprint, "a promise covers proof and bundles"


def test_reinserted_withdrawn_report() -> None:
    """The board kept her report and files it again after she withdrew, for a later match. [WD-2]

    Names that left are kept, also across a restart; a plan cannot name them either.
    """
    world = small()
    kept = world.seal(1, world.report(b"bob"))
    world.give([kept.filing])
    world.run_batch()
    world.withdraw(kept)
    world.run_batch()
    for machine in world.machines.values():
        machine.state = persist.load(persist.dump(machine.state), TrusteeState)
    with nothing_changes(world):
        assert give(world, [kept.filing]) == [Code.DUPLICATE]
        named = world.plan((kept.header.entry,))
        for machine in world.machines.values():
            with refused(Code.UNKNOWN_ENTRY):
                machine.receive_plan(named, world.now, world.randomness)
    # Under a changed header her owner key, tag and enc give it away.
    moved = replace(kept.header, expiry_week=kept.header.expiry_week + 1)
    assert give(world, [replace(kept.filing, header=moved.encode())])[0] in (
        Code.ENC_REUSED,
        Code.TAG_SPENT,
        Code.SIGNATURE,
    )
    world.file(2, b"bob")
    world.run_batch()
    assert world.opened_by(world.desk) == set()


def test_leaf_dictionary() -> None:
    """The public log's reader tries to recognise the leaf of an empty batch, to see when something
    happened. [REC-4]

    He even knows every message hash and n-1 evaluators' salts: the last salt
    hides the leaf. Control: with all of them the dictionary hits.
    """
    world = small()
    at_record(world)
    batch = current(world)
    sealed = batch.sealed_record
    assert sealed is not None
    votes = {one.trustee: one for one in map(PlanVote.decode, batch.received[Outgoing.PLAN_VOTE].values())}

    def guess(known: Mapping[int, bytes]) -> bytes:
        salts = [known.get(index, bytes(32)) for index in sorted(votes)]
        salt = digest(Tag.RECORD_SALT, batch.plan.fingerprint, *salts)
        return record.SealedRecord(sealed.record, salt, ()).leaf

    for missing in votes:
        known = {index: vote.salt for index, vote in votes.items() if index != missing}
        assert guess(known) != sealed.leaf
    for salt in (bytes(32), batch.plan.fingerprint, sealed.record.plan):
        assert record.SealedRecord(sealed.record, salt, ()).leaf != sealed.leaf
        assert digest(Tag.LEAF, salt, sealed.record.encode()) != sealed.leaf
    assert sealed.record.parts_root == merkle.EMPTY_ROOT, "an empty batch is all he has to guess"
    assert guess({index: vote.salt for index, vote in votes.items()}) == sealed.leaf
    world.close_batch()
    leaves = {world.scope_of(1).leaf}
    for _ in range(3):
        world.run_batch()
        leaves.add(world.scope_of(1).leaf)
    assert len(leaves) == 4


def test_last_cohort() -> None:
    """The 513th to 522nd members would hide among ten. Under 32 the client and the trustee refuse. [ROLL-2]

    Closed cohorts are never cut again, whoever joins or leaves.
    """
    world = small()
    stream = SeededStream(b"big roll")
    key = world.issuer.verify_key
    member = roll.member_from_phrase(b"last words......", "test-instance", key)
    base = pedersen.commit(random_scalar(stream), random_scalar(stream))
    places, step = [base], pedersen.commit(1, 0)
    for _ in range(MAX_WHOLE_ROLL + 8):
        places.append(RISTRETTO255.add(places[-1], step))
    everybody = [RollEntry(key, number, place, 0, UNSIGNED) for number, place in enumerate(places)]
    everybody.append(RollEntry(key, len(everybody), member.place, 0, UNSIGNED))
    shape = {"scope": world.policy.scope, "number": 2, "now": world.now, "declared": 2000}
    snapshots = roll.take_snapshots(everybody, frozenset(), world.issuer, **shape)  # type: ignore[arg-type]
    assert [len(one.places) for one in snapshots] == [COHORT_SIZE, COHORT_SIZE, 10]
    for one in snapshots[:2]:
        roll.check_snapshot(one, scope=world.policy.scope, issuer_keys=[key])
    with refused(Code.ROLL_TOO_SMALL):
        roll.check_snapshot(snapshots[2], scope=world.policy.scope, issuer_keys=[key])
    world.snapshot = snapshots[2]
    with refused(Code.ROLL_TOO_SMALL):
        world.seal(member, world.report(b"bob"))
    joined = [*everybody, *(RollEntry(key, 522 + n, places[n], 0, UNSIGNED) for n in range(300))]
    later = roll.take_snapshots(joined, frozenset({3, 300}), world.issuer, **shape)  # type: ignore[arg-type]
    for before, after in zip(snapshots[:2], later[:2], strict=True):
        assert set(after.places) < set(before.places), "only the closed places are gone"
        assert len(before.places) - len(after.places) == 1
