"""Attacks on what a match opens, to whom, and on what a bystander sees of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from tests.attacks.adversary_b import attack_seal, give, nothing_changes, refused
from tests.support.world import World

from notalone_crypto.errors import Code
from notalone_crypto.messages.committee import Desk, ReleaseMode, ScopePolicy
from notalone_crypto.messages.release import BLOB_LENGTH, BLOB_PLAINTEXT_LENGTH, ReleaseBatch, ReleaseItem
from notalone_crypto.primitives import hpke, padding
from notalone_crypto.protocol import accept, batch, file, log, release
from notalone_crypto.protocol.file import SealedReport
from notalone_crypto.protocol.find import CurveFinder
from notalone_crypto.protocol.signed import UNSIGNED, sign_message
from notalone_crypto.protocol.state import Outgoing, Post
from notalone_crypto.suite import Tag

PEERS, COUNSELLOR = ReleaseMode.PEERS, ReleaseMode.COUNSELLOR
Posts = list[tuple[int, Post]]


def small(**options: object) -> World:
    return World(slots=(1,), **options)  # type: ignore[arg-type]


def names(*sealed: SealedReport) -> set[tuple[bytes, int]]:
    """Both contents of these entries."""
    return {(one.header.entry, content) for one in sealed for content in (1, 2)}


def by_peer(world: World, reader: SealedReport) -> set[bytes]:
    return {entry for entry, _ in world.opened_by(reader.owner.recipient_key)}


def real_items(world: World, posts: Posts, key: hpke.HpkePrivateKey) -> list[ReleaseItem]:
    """What the holder of `key` finds among the blobs of `posts`."""
    return list(release.try_blobs(world.committee, world.policy.scope, key, world.blobs(posts)))


def reseal(world: World, public: bytes, item: ReleaseItem) -> bytes:
    """A blob, as anybody can make one who knows the recipient's public key."""
    context = release.blob_context(world.committee, world.policy.scope)
    return hpke.seal(public, context, padding.pad(item.encode(), BLOB_PLAINTEXT_LENGTH))


def read(world: World, reader: SealedReport, blobs: Iterable[bytes]) -> tuple[release.Introduction, ...]:
    found = release.try_blobs(world.committee, world.policy.scope, reader.owner.recipient_key, list(blobs))
    return release.open_items(world.committee, found)


# --- policy and desk --------------------------------------------------------------------------------------


def switched_policy(world: World, desk: hpke.HpkePrivateKey) -> ScopePolicy:
    desks = (Desk("Friends of Bob", desk.public),)
    return replace(world.policy, desks=desks, release_modes=(2,), version=world.policy.version + 1)


def test_policy_switched_after_filing() -> None:
    """The organisation waits for reports under "counsellor first", then makes peers and a new desk the rule.

    What was sealed into each header decides, whatever the log says later. [ACC-7]
    """
    world = small()
    first, second = world.file(1, b"bob"), world.file(2, b"bob")
    attacker = hpke.generate_key(world.randomness)
    world.install(switched_policy(world, attacker))
    world.run_batch()
    assert world.opened_by(world.desk) == names(first, second)
    assert world.opened_by(attacker) == set()
    assert by_peer(world, first) == by_peer(world, second) == set()


def test_old_policy_put_back() -> None:
    """The rules had a bad desk once; they stay in the log for ever, and the board shows them
    again. [ACC-7]
    """
    world = small()
    old, note = world.policy, world.last_note
    path = world.tree.inclusion_proof(0)
    world.install(switched_policy(world, hpke.generate_key(world.randomness)))
    with nothing_changes(world):
        for machine in world.machines.values():
            with refused(Code.POLICY):
                machine.install_policy(old, note, 0, path)


def test_desk_key_switched_after_filing() -> None:
    """The board rewrites the desk key in headers in transit, or the desk changes between two reports. [REL-2]

    Rewriting breaks the owner's signature; signing anew with another owner key
    breaks the proof. Across a change each report goes to the desk it names.
    """
    world = small()
    attacker = hpke.generate_key(world.randomness)
    sealed = world.seal(1, world.report(b"bob"))
    desks = (*world.policy.desks, Desk("Friends of Bob", attacker.public))
    rules = replace(world.policy, desks=desks, version=world.policy.version + 1)
    world.install(rules)  # even where the attacker's desk is in the policy
    after = world.seal(2, world.report(b"bob"))
    rewritten = replace(after.header, desk_key=attacker.public)
    with nothing_changes(world):
        assert give(world, [replace(after.filing, header=rewritten.encode())]) == [Code.SIGNATURE]
        thief = replace(rewritten, owner_key=world.board_key.verify_key)
        stolen = replace(after.filing, header=thief.encode(), signature=UNSIGNED)
        assert give(world, [file.sign_filing(stolen, world.board_key)]) == [Code.PROOF]
        assert give(world, [sealed.filing]) == [Code.POLICY], "a page that was open too long files again"
    assert give(world, [after.filing]) == [None]
    theirs = world.seal(3, replace(world.report(b"bob"), desk_key=attacker.public))
    assert give(world, [theirs.filing]) == [None]
    world.run_batch()
    assert world.opened_by(world.desk) == names(after)
    assert world.opened_by(attacker) == names(theirs)


def test_fake_desk_shown_to_one_user() -> None:
    """One user is shown a policy with the attacker's desk. Trustees serve the policy in the
    cosigned log only.

    Control: trustees that take the policy from the filing open her report to the fake desk.
    """
    world = small()
    attacker = hpke.generate_key(world.randomness)
    fake = replace(world.policy, desks=(Desk("Counsellors", attacker.public),))
    leaf = log.policy_leaf(fake)
    with refused(Code.INCLUSION):
        log.check_leaf(world.committee, world.last_note, leaf, 0, world.tree.inclusion_proof(0))
    world.file(1, b"bob")
    report = replace(world.report(b"bob"), desk_key=attacker.public)
    victim = attack_seal(world, world.people[2], report, policy=fake)
    under_true = attack_seal(world, world.people[2], report, index=1)
    # The true desk under rules that nobody logged: ten times the quota.
    generous = replace(world.policy, quota=120)
    invented = attack_seal(world, world.people[2], world.report(b"bob"), index=2, policy=generous)
    for machine in world.machines.values():
        with refused(Code.INCLUSION):
            machine.install_policy(fake, world.last_note, 0, world.tree.inclusion_proof(0))
    with nothing_changes(world):
        assert give(world, [victim.filing]) == [Code.POLICY]
        assert give(world, [under_true.filing]) == [Code.POLICY]
        assert give(world, [invented.filing]) == [Code.POLICY]
    credulous: accept.View = replace(world.view(), policy=fake)
    assert give(world, [victim.filing], credulous) == [None]
    world.run_batch()
    assert world.opened_by(attacker) == names(victim), "the control must open to the fake desk"


# --- who gets whom ----------------------------------------------------------------------------------------


def test_bridging_by_mixed_slots() -> None:
    """X names Bob in slot 1 and Al in slot 2, to learn both Y (Bob) and Z (Al) and join them to each other.

    Releases follow one curve of one slot: Y and Z never get each other. [REL-3]
    Control: releases over the union of the two groups would join them.
    """
    world = World(slots=(1, 2))
    bridge = world.file(1, {1: b"bob", 2: b"al"}, 2, PEERS, preconsent=True)
    first = world.file(2, {1: b"bob"}, 2, PEERS, preconsent=True)
    second = world.file(3, {2: b"al"}, 2, PEERS, preconsent=True)
    desk_bridge = world.file(4, {1: b"cy", 2: b"dan"})
    desk_first, desk_second = world.file(5, {1: b"cy"}), world.file(6, {2: b"dan"})
    posts = world.run_batch()
    assert by_peer(world, bridge) == {first.header.entry, second.header.entry}
    assert by_peer(world, first) == by_peer(world, second) == {bridge.header.entry}
    groups = {item.members for item in real_items(world, posts, world.desk)}
    assert groups == {
        tuple(sorted((desk_bridge.header.entry, other.header.entry))) for other in (desk_first, desk_second)
    }
    headers = {one.header.entry: one.header for one in (bridge, first, second)}
    union = release.due(headers, list(headers), bytes(32))
    assert any(
        one.entry == second.header.entry and one.recipient == first.header.recipient_key for one in union
    )


def test_low_threshold_beside_high() -> None:
    """Colleagues with r=2 try to pull in her report with r=4 about the same man. It stays shut. [REL-8]

    Below r her rows are dummies; only at her own level, with four people, it opens.
    """
    world = small(levels=(2, 3, 4))
    patient = world.file(1, b"bob", 4)
    low = [world.file(person, b"bob", 2) for person in (2, 3)]
    world.run_batch()
    assert world.opened_by(world.desk) == names(*low)
    assert by_peer(world, patient) == set()
    low.append(world.file(4, b"bob", 3))
    world.run_batch()
    assert world.opened_by(world.desk) == names(patient, *low), "four people reach four"


def test_subject_files_against_himself() -> None:
    """Bob files against himself with r=2 and "open everything to peers" to learn who accuses him.

    Under counsellor-first he learns nothing, not even that there was a match.
    Control: had she allowed peers, he would read her first introduction.
    """
    world = small()
    hers = world.file(1, b"bob", 2, COUNSELLOR)
    his = world.file(2, b"bob", 2, PEERS, preconsent=True)
    posts = world.run_batch()
    assert world.opened_by(his.owner.recipient_key) == set()
    assert real_items(world, posts, his.owner.recipient_key) == []
    assert world.opened_by(world.desk) == names(hers, his)
    careless = small()
    hers = careless.file(1, b"bob", 2, PEERS)
    his = careless.file(2, b"bob", 2, PEERS, preconsent=True)
    careless.run_batch()
    assert careless.opened_by(his.owner.recipient_key) == {(hers.header.entry, 1)}, "and never her second"


# --- shares and blobs -------------------------------------------------------------------------------------


def matched_pair(world: World) -> tuple[SealedReport, SealedReport, Posts]:
    reader = world.file(1, b"bob", 2, PEERS)
    other = world.file(2, b"bob", 2, PEERS, words=b"her words")
    return reader, other, world.run_batch()


def test_wrong_share_to_a_recipient() -> None:
    """A trustee signs a wrong share so that her match does not open, or opens to other words. [REL-5, REL-6]

    Shares are compared with the commitments of the header: wrong ones are
    ignored, m good ones open, m-1 good ones open nothing.
    """
    world = small()
    reader, other, posts = matched_pair(world)
    items = {one.trustee: one for one in real_items(world, posts, reader.owner.recipient_key)}
    assert set(items) == {1, 2, 3}
    mine = reader.header.recipient_key

    def lie(trustee: int, share: bytes = b"") -> bytes:
        wrong = share or items[trustee].share[:32] + bytes(31) + b"\x01"
        unsigned = replace(items[trustee], share=wrong, signature=UNSIGNED)
        return reseal(world, mine, sign_message(unsigned, world.secrets[trustee].signing_key, Tag.RELEASE))

    junk = lie(3, b"\xff" * 64)  # not even a scalar
    good = {trustee: reseal(world, mine, item) for trustee, item in items.items()}
    for blobs in ([lie(3), good[1], good[2]], [good[1], lie(1), lie(3), good[2]], [junk, good[1], good[2]]):
        # A liar's bad item must not shadow the good shares, in whatever order they come.
        (found,) = read(world, reader, blobs)
        assert found.entry == other.header.entry
    assert read(world, reader, [good[1], lie(2), lie(3)]) == ()
    assert read(world, reader, [good[1], good[1]]) == (), "one trustee twice is one trustee"


def test_forged_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board knows recipient keys and filings of its own, and makes up a match for one reader. [REL-5]

    Items are signed by trustees of the manifest. Control: without that check
    its made-up introduction opens.
    """
    world = small()
    victim = world.file(1, b"bob", 2, PEERS)
    # The board's own filing: it knows its content key, so it can deal shares to any trustee's index.
    bait = world.seal(2, world.report(b"al", 2, PEERS))
    give(world, [bait.filing])
    posts = world.run_batch()
    assert read(world, victim, world.blobs(posts)) == ()

    def forged(trustee: int) -> bytes:
        live = world.scope_of(trustee).live[bait.header.entry]  # the board knows these: it dealt them
        due = release.Release(victim.header.recipient_key, bait.header.entry, 1, release.NO_GROUP, ())
        as_board = replace(world.secrets[trustee], signing_key=world.board_key)
        item = release.make_item(
            as_board,
            due,
            live.public,
            live.secrets.shares.contents[0],
            scope=world.policy.scope,
            batch=1,
        )
        return reseal(world, victim.header.recipient_key, item)

    blobs = [forged(1), forged(2), forged(3)]
    assert read(world, victim, blobs) == ()
    with monkeypatch.context() as weakened:
        weakened.setattr(release, "check_signature", lambda *_: None)
        (fake,) = read(world, victim, blobs)
    assert fake.entry == bait.header.entry, "the control must show a match that never was"


def test_true_release_sealed_anew_to_a_stranger() -> None:
    """A matched peer reseals the trustees' true items to a stranger, who takes them for a match of her own.

    It would show her nothing that the peer could not tell her, but a match that never was, signed by
    m trustees. The signed item names its recipient.
    """
    world = small()
    reader, _, posts = matched_pair(world)
    stranger = world.file(3, b"al", 2, PEERS)
    world.run_batch()
    items = real_items(world, posts, reader.owner.recipient_key)
    assert items
    found = read(world, stranger, [reseal(world, stranger.header.recipient_key, one) for one in items])
    assert found == ()


def test_release_of_another_scope_or_committee_opens_nothing() -> None:
    """True items of another deployment, or signed bytes under another scope, are shown to her."""
    world, other = small(), small(seed=b"other world")
    reader, _, posts = matched_pair(world)
    _, _, foreign = matched_pair(other)
    items = real_items(world, posts, reader.owner.recipient_key)
    moved = [reseal(world, reader.header.recipient_key, replace(one, scope=bytes(32))) for one in items]
    assert read(world, reader, world.blobs(foreign)) == ()
    assert read(world, reader, moved) == ()
    wrong_context = hpke.seal(
        reader.header.recipient_key, b"x", padding.pad(items[0].encode(), BLOB_PLAINTEXT_LENGTH)
    )
    assert read(world, reader, [wrong_context, b"", bytes(BLOB_LENGTH)]) == ()


def shape(world: World, posts: Posts) -> list[tuple[int, str, int]]:
    """What a bystander sees of a batch: who posted which kind at which size."""
    return [(sender, str(post.kind), len(post.payload)) for sender, post in posts]


def test_blobs_show_no_match() -> None:
    """The board compares a batch with matches and one without: same kinds, counts and sizes of
    posts. [REL-4]
    """
    shapes = []
    for subjects in ((b"bob", b"bob", b"bob"), (b"bob", b"al", b"cy")):
        world = small(seed=b"one seed")
        for person, subject in enumerate(subjects):
            world.file(person, subject, 2, PEERS, preconsent=True)
        posts = world.run_batch()
        shapes.append(shape(world, posts))
        batches = [ReleaseBatch.decode(post.payload) for _, post in posts if post.kind == Outgoing.RELEASES]
        assert len(batches) == world.count
        for message in batches:
            release.check_batch(world.committee, message, message.plan, world.policy.release_blobs)
            assert {len(blob) for blob in message.blobs} == {BLOB_LENGTH}
            stripped = replace(message, blobs=message.blobs[1:])
            with refused(Code.SIGNATURE):  # a board that drops blobs is seen
                release.check_batch(world.committee, stripped, message.plan, world.policy.release_blobs)
            key = world.secrets[message.trustee].signing_key
            fewer = sign_message(replace(stripped, signature=UNSIGNED), key, Tag.RELEASE)
            with refused(Code.LENGTH):  # and so is a trustee
                release.check_batch(world.committee, fewer, message.plan, world.policy.release_blobs)
    assert shapes[0] == shapes[1]


def test_overflow_waits_and_comes_later() -> None:
    """More releases than a batch has blobs: flooding the queue delays her match, and never loses
    it. [REL-4]
    """
    world = small(release_blobs=3)
    sealed = [world.file(person, b"bob") for person in (1, 2)] + [
        world.file(person, b"al") for person in (3, 4)
    ]
    counts = []
    for _ in range(4):
        posts = world.run_batch()
        assert len(world.blobs(posts)) == 3 * world.count
        counts.append(len(world.opened_by(world.desk)))
    assert counts == [3, 6, 8, 8]
    assert world.opened_by(world.desk) == names(*sealed)


def test_queued_release_of_a_withdrawn_entry_is_stopped() -> None:
    """Her match waits in the queue, she withdraws: nothing of hers, or naming her, is opened any more.

    Control: without the withdrawal the next batch opens it.
    """

    def run(*, withdraw: bool) -> tuple[set[tuple[bytes, int]], SealedReport, SealedReport]:
        world = small(release_blobs=1)
        first, second = world.file(1, b"bob"), world.file(2, b"bob")
        before = real_items(world, world.run_batch(), world.desk)
        assert len({(one.entry, one.content) for one in before}) == 1
        if withdraw:
            world.withdraw(second)
        later: set[tuple[bytes, int]] = set()
        for _ in range(4):
            later |= {(one.entry, one.content) for one in real_items(world, world.run_batch(), world.desk)}
        return later, first, second

    later, first, second = run(withdraw=True)
    assert later == set()
    later, first, second = run(withdraw=False)
    assert len(later) == 3
    assert {entry for entry, _ in later} == {first.header.entry, second.header.entry}


def test_queued_release_to_a_peer_who_left_is_stopped() -> None:
    """He withdraws the moment a match waits, keeps his recipient key, and downloads on: nothing comes."""
    world = small(release_blobs=1)
    hers = world.file(1, b"bob", 2, PEERS)
    his = world.file(2, b"bob", 2, PEERS)
    world.run_batch()
    seen = by_peer(world, his)
    other = by_peer(world, hers)
    assert len(seen | other) == 1, "one blob, so one of the two directions was made"
    leaver, kept = (his, other) if other else (hers, seen)
    world.withdraw(leaver)
    for _ in range(3):
        world.run_batch()
    assert by_peer(world, leaver) == set()
    assert kept


def test_match_is_announced_once_per_group() -> None:
    """A withdrawal opens a new epoch in which all is output again: no second release for anybody."""
    world = small()
    reader, other, _ = matched_pair(world)
    third = world.file(3, b"al")
    world.run_batch()
    world.withdraw(third)
    posts = world.run_batch()
    assert world.scope_of(1).epoch == 1
    assert real_items(world, posts, reader.owner.recipient_key) == []
    assert real_items(world, posts, other.owner.recipient_key) == []
    finder = CurveFinder(2)
    position = 0
    for entry, outline in world.scope_of(1).outlines.items():
        finder.add(entry, outline.points[position])
    assert len(finder.groups) == 1
    assert batch.matches(world.scope_of(1), position, 1) == list(finder.groups)
