"""Attacks on people: names have low entropy, so whoever can test a name knows whom a report accuses.

Each attacker here has the whole staff list and tries every name. The controls
show that the same dictionary works where the protocol says it would: with m
trustees, or with the linear PRF that was dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from tests.attacks.adversary_b import attack_seal, give, refused
from tests.support.world import World

from notalone_crypto.errors import Code
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.filing import BundleContent
from notalone_crypto.primitives import aead, kem, pedersen
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import hash_to_group, hash_to_scalar
from notalone_crypto.protocol import file, persist, release, statement
from notalone_crypto.protocol.file import SealedReport
from notalone_crypto.protocol.keys import curve_bases, duplicate_base
from notalone_crypto.protocol.rounds import point_x
from notalone_crypto.protocol.state import Post
from notalone_crypto.suite import Tag

STAFF = [b"person %d" % number for number in range(12)] + [b"bob"]
LEVEL = 3
Posts = list[tuple[int, Post]]


def small(**options: object) -> World:
    return World(slots=(1,), **options)  # type: ignore[arg-type]


def scalar_of(world: World, name: bytes) -> int:
    """m of a name in slot 1, as anybody computes it."""
    committee = world.committee
    parts = (committee.instance, committee.identifier, world.policy.scope, b"\x01", name)
    return hash_to_scalar(Tag.IDENTIFIER, *parts)


def place_of(world: World, level: int) -> int:
    return statement.positions(world.policy).index((1, level))


def chunks(data: bytes) -> set[bytes]:
    """Every 32-byte window: whatever group element or scalar it holds is among them."""
    return {data[start : start + 32] for start in range(len(data) - 31)}


def values_of(world: World, name: bytes, keys: Iterable[int]) -> set[bytes]:
    """All values that depend on a name and that somebody with `keys` (guesses at k_T, p, blinds)
    can compute.
    """
    group, m = RISTRETTO255, scalar_of(world, name)
    found = {group.encode_scalar(m), group.base_multiply(m), group.multiply(m, pedersen.BLINDING_GENERATOR)}
    for level in world.policy.levels:
        dup = duplicate_base(world.committee, world.policy.scope, 1, level, 0)
        bases = curve_bases(world.committee, world.policy.scope, 1, level, 0)
        found |= {group.multiply(m, base) for base in (dup, *bases)}
        for key in keys:
            total = (key + m) % ORDER
            if total:
                inverse = pow(total, -1, ORDER)
                found |= {group.multiply(inverse, base) for base in (dup, *bases)}
                found |= {group.encode_scalar(total), group.encode_scalar(inverse)}
                found.add(group.base_multiply(inverse))
    return found


def hits(world: World, view: bytes, keys: Sequence[int] = ()) -> set[bytes]:
    """The names that the attacker recognises in his view."""
    windows = chunks(view)
    return {name for name in STAFF if windows & values_of(world, name, keys)}


def board_view(world: World, sealed: Iterable[SealedReport], posts: Posts) -> bytes:
    """Everything that ever lay on the board, confidential messages included (it stores their ciphertext)."""
    filings = b"".join(one.filing.encode() + one.filing.header for one in sealed)
    return filings + b"".join(post.payload for _, post in posts) + world.last_note


def accused(seed: bytes = b"people") -> tuple[World, SealedReport, Posts]:
    """One report about Bob with r = 3, evaluated."""
    world = small(seed=seed)
    sealed = world.file(1, b"bob", LEVEL)
    return world, sealed, world.run_batch()


def test_dictionary_with_a_stolen_board() -> None:
    """A thief with the board's disk and the staff list tries every name on every byte of it.

    Commitments hide perfectly and outputs need k_T. Control: once he also has
    m trustees' keys, Bob is the only hit (section 11: said plainly).
    """
    world, sealed, posts = accused()
    view = board_view(world, [sealed], posts) + world.posts[0][1].payload
    assert hits(world, view) == set()
    m = scalar_of(world, b"bob")
    assert hits(world, view + pedersen.commit(m, 0)) == {b"bob"}, "control: without blinding he has the name"
    shares = {index: world.secrets[index].level_shares[LEVEL].value for index in (1, 2)}
    key = pedersen.interpolate(shares, 2)
    x = world.scope_of(1).outlines[sealed.header.entry].points[place_of(world, LEVEL)].x
    bases = curve_bases(world.committee, world.policy.scope, 1, LEVEL, 0)

    def guess(name: bytes) -> bytes:
        inverse = pow(key + scalar_of(world, name), -1, ORDER)
        return RISTRETTO255.multi_multiply([inverse, inverse * x % ORDER], bases)

    curve = world.scope_of(1).outlines[sealed.header.entry].points[place_of(world, LEVEL)].curve
    assert {name for name in STAFF if guess(name) == curve} == {b"bob"}


def opened_bundle(world: World, index: int, sealed: SealedReport) -> BundleContent:
    header = sealed.header
    key = kem.decapsulate(world.secrets[index].bundle_key, header.enc, index, header.entry)
    return BundleContent.decode(aead.open_sealed(key, header.entry, sealed.filing.bundles[index - 1]))


def test_dictionary_with_a_stolen_trustee() -> None:
    """He has one trustee's disk: state, all keys, bundles opened, every confidential message.

    His shares are uniform and say nothing of m and k_T, whatever he combines.
    Control: two trustees' shares of m give Bob at once.
    """
    world, sealed, posts = accused()
    own = world.secrets[1]
    content = opened_bundle(world, 1, sealed)
    state = persist.dump(world.machines[1].state)
    view = board_view(world, [sealed], posts) + state + content.encode()
    live = world.scope_of(1).live[sealed.header.entry]
    known = [share.value for share in own.level_shares.values()] + [
        share.blind for share in own.level_shares.values()
    ]
    known += [share.value for share in live.secrets.shares.identifiers + live.secrets.shares.inverses]
    known += [share.value for share in live.secrets.masks + live.secrets.zeros] + list(live.products)
    products = [a * b % ORDER for a, b in combinations(known, 2)] + [
        (a + b) % ORDER for a, b in combinations(known, 2)
    ]
    inverses = [pow(one, -1, ORDER) for one in known if one]
    assert hits(world, view, known + inverses + products[:60]) == set()
    # He also scales what he sees by what he knows: no name appears.
    elements = [one.curve for one in world.scope_of(1).outlines[sealed.header.entry].points]
    scaled = b"".join(RISTRETTO255.multiply(factor, element) for factor in known for element in elements)
    assert hits(world, scaled) == set()

    position = place_of(world, LEVEL)
    two = {index: opened_bundle(world, index, sealed).identifier_shares[position] for index in (1, 2)}
    values = {index: RISTRETTO255.decode_scalar(share[:32]) for index, share in two.items()}
    m = pedersen.interpolate(values, 2)
    assert {name for name in STAFF if scalar_of(world, name) == m} == {b"bob"}


def linear_attack(outputs: dict[str, bytes], step: int, key_element: bytes) -> bytes:
    """What the exponentiation PRF gives away: k*(H(id)+s*G) minus s*(k*G) is k*H(id)."""
    return RISTRETTO255.subtract(outputs["shifted"], RISTRETTO255.multiply(step, key_element))


def test_dictionary_with_one_trustee_and_a_member() -> None:
    """A curious trustee has a member file identifiers of its choice: m+s, 2m, -m of every suspect,
    never m itself.

    With the linear PRF k*H(id) (the simpler design) the shifted filing gives
    Bob's value away unseen: control. With 1/(k+m) no sum or difference of what
    the member gets is her value.
    """
    key, step = 987654321987654321, 1234567
    group = RISTRETTO255
    victim = group.multiply(key, hash_to_group(Tag.DUP, b"bob"))
    outputs = {
        "shifted": group.multiply(key, group.add(hash_to_group(Tag.DUP, b"bob"), group.base_multiply(step)))
    }
    assert linear_attack(outputs, step, group.base_multiply(key)) == victim, (
        "control: the dropped design falls"
    )

    world = small()
    hers = world.file(1, b"bob", LEVEL)
    m = scalar_of(world, b"bob")
    spy = world.people[2]
    chosen = [(m + step) % ORDER, (m - step) % ORDER, 2 * m % ORDER, -m % ORDER, step]
    filings = []
    for index, value in enumerate(chosen):
        sealed = attack_seal(
            world, spy, world.report(b"x", 2), index=index, identifiers=[value] * len(world.policy.levels)
        )
        assert give(world, [sealed.filing]) == [None], "any scalar may be filed: it need not be a hash"
        filings.append(sealed)
    world.run_batch()
    position = place_of(world, LEVEL)
    outlines = world.scope_of(1).outlines
    target = outlines[hers.header.entry].points[position]
    mine = [outlines[one.header.entry].points[position] for one in filings]
    assert target.curve not in linear_span([one.curve for one in mine], step)
    bases = curve_bases(world.committee, world.policy.scope, 1, LEVEL, 0)
    # And with her x put in for his own, as if 1/(k+m) could be moved to another point of the curve.
    moved = [
        group.add(one.curve, group.multiply((target.x - one.x) % ORDER, base))
        for one in mine
        for base in bases
    ]
    assert target.curve not in moved
    assert hits(world, b"".join(one.curve for one in mine), [one.x for one in mine]) == set()
    assert world.opened_by(world.desk) == set(), "and no match was caused"


def linear_span(elements: Sequence[bytes], step: int) -> set[bytes]:
    """Small combinations of elements: sums, differences, doubles, and shifts by the step."""
    group = RISTRETTO255
    found = set(elements)
    for left, right in combinations(elements, 2):
        found |= {group.add(left, right), group.subtract(left, right), group.subtract(right, left)}
    found |= {group.add(one, one) for one in elements} | {group.negate(one) for one in elements}
    half = pow(2, -1, ORDER)
    found |= {group.multiply(half, one) for one in list(found)}
    found |= {
        group.add(one, group.multiply(sign * step, other))
        for one in elements
        for other in elements
        for sign in (1, -1)
    }
    return found


def test_dummies_cannot_be_tested_without_her_words() -> None:
    """Below r she files dummies. With k_T and p he could recognise a used level; dummies come from
    her phrase.
    """
    world = small()
    member = world.people[1]
    report = world.report(b"bob", LEVEL)
    values = file.identifier_scalars(world.committee, world.policy, member, report)
    assert values[place_of(world, 2)] not in {scalar_of(world, name) for name in STAFF}
    assert values[place_of(world, LEVEL)] == scalar_of(world, b"bob")
    others = file.identifier_scalars(world.committee, world.policy, world.people[2], report)
    assert others[place_of(world, 2)] != values[place_of(world, 2)], "two people's dummies never meet"


def test_equal_x_needs_her_secret() -> None:
    """He knows Bob and the member list, and tries x = H(1/(p+m)*Dup) for the public places of the roll."""
    world, sealed, _ = accused()
    x = world.scope_of(1).outlines[sealed.header.entry].points[place_of(world, LEVEL)].x
    dup = duplicate_base(world.committee, world.policy.scope, 1, LEVEL, 0)

    def guess(secret: int) -> int:
        inverse = pow(secret + scalar_of(world, b"bob"), -1, ORDER)
        duplicate = RISTRETTO255.multiply(inverse, dup)
        return point_x(world.committee, world.policy.scope, 1, LEVEL, 0, duplicate)

    public = [int.from_bytes(place, "little") % ORDER for place in world.snapshot.places]
    assert x not in {guess(secret) for secret in public}
    assert guess(world.people[1].secret) == x, "control: with her p it is hers"


# --- sizes, order, timing ---------------------------------------------------------------------------------


def test_sizes_tell_nothing() -> None:
    """The network's watcher compares lengths of filings: all slots or one, any r, long words or
    none. [FILE-1]
    """
    world = World()
    reports = [
        world.report({1: b"bob"}, 2),
        world.report({1: b"bob"}, 3, ReleaseMode.PEERS, preconsent=True),
        world.report(dict.fromkeys(world.slots, b"x" * 900), 2),
        world.report({4: b"y"}, 3, words=b""),
        world.report({2: b"y"}, 3, words=b"w" * 2044, weeks=1),
    ]
    shapes = set()
    for person, report in enumerate(reports):
        filing = world.seal(person, report).filing
        parts = tuple(len(part) for part in (filing.header, filing.proof, *filing.bundles))
        shapes.add((len(filing.encode()), parts))
    assert len(shapes) == 1


def test_order_tells_nothing() -> None:
    """He reads the quota place as "her third report", or a blob's place as its recipient. Both are random.

    Control: places drawn by counting up would be 0, 1, 2.
    """
    world = small()
    places = [world.file(1, b"person %d" % number).header.quota_index for number in range(6)]
    assert len(set(places)) == 6
    assert places != sorted(places), "six places in rising order have probability 1/720"
    first = [world.seal(person, world.report(b"x")).header.quota_index for person in range(2, 26)]
    assert len(set(first)) > 6, "first reports are spread over the quota"
    world.file(2, b"person 1", 2)
    posts = world.run_batch()
    readers = [posts_of(world, posts, trustee) for trustee in world.machines]
    found = [tuple(index for index, blob in enumerate(blobs) if readable(world, blob)) for blobs in readers]
    assert all(len(one) == 4 for one in found)
    assert any(one != (0, 1, 2, 3) for one in found)
    assert len(set(found)) > 1, "each trustee shuffles for itself"


def posts_of(world: World, posts: Posts, trustee: int) -> list[bytes]:
    return world.blobs([one for one in posts if one[0] == trustee])


def readable(world: World, blob: bytes) -> bool:
    return bool(release.try_blobs(world.committee, world.policy.scope, world.desk, [blob]))


def test_timing_tells_nothing() -> None:
    """The log's reader counts leaves and looks when they come: one for each batch, full, matching or empty.

    A board that asks for batches when it likes is refused by the trustees' own clocks.
    """
    world = small(batch_seconds=3600)
    sizes, notes = [], []
    for subjects in ([], [b"bob", b"bob"], [b"al"], []):
        for person, subject in enumerate(subjects):
            world.file(person + 1, subject)
        world.run_batch()
        sizes.append(world.tree.size)
        notes.append(len(world.last_note))
        with refused(Code.OUT_OF_ORDER):
            world.machines[1].receive_plan(world.plan(), world.now, world.randomness)
        world.now += 3600
    assert sizes == [2, 3, 4, 5]
    assert len(set(notes)) == 1


def test_batch_of_one() -> None:
    """The board lets one report through alone, to tie the outputs of that batch to her.

    What trustees then hold of her is fresh values: nothing equals anything of
    her earlier report about the same man at another level, nor of anybody's.
    Sizes of posts are those of any batch with one entry.
    """
    shapes = set()
    for subject, level in ((b"bob", 2), (b"bob", 3), (b"al", 3)):
        world = small()
        world.file(5, b"bob", 3)
        world.run_batch()
        before = {bytes(point.curve) for one in world.scope_of(1).outlines.values() for point in one.points}
        sealed = world.file(1, subject, level)
        posts = world.run_batch()
        shapes.add(tuple((sender, str(post.kind), len(post.payload)) for sender, post in posts))
        mine = {point.curve for point in world.scope_of(1).outlines[sealed.header.entry].points}
        assert not mine & before
        assert world.opened_by(world.desk) == set()
        assert hits(world, board_view(world, [sealed], posts)) == set()
    assert len(shapes) == 1


def test_filing_twice_alike_shows_only_that() -> None:
    """She files the same again after a doubt: dummies repeat too, so no level tells which one she
    meant. [FILE-4]

    Trustees see one person, twice, at every level alike (section 11).
    """
    world = small()
    first, second = world.file(1, b"bob", LEVEL), world.file(1, b"bob", LEVEL)
    world.run_batch()
    outlines = world.scope_of(1).outlines
    pairs = zip(outlines[first.header.entry].points, outlines[second.header.entry].points, strict=True)
    assert [left.x == right.x for left, right in pairs] == [True] * len(world.policy.levels)
