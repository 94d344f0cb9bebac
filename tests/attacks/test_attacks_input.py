"""Attacks by bytes: whatever arrives is refused whole or means exactly one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attacks.adversary_b import attack_seal, give, nothing_changes, refused
from tests.attacks.entrances import Entrance, all_entrances, bad_bundle, during_a_batch
from tests.support.world import World

from notalone_crypto.errors import Code, CommitteeHalted, Misuse, NotAloneError, VerificationFailed
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.evaluation import RoundOne, RoundTwo
from notalone_crypto.messages.filing import BundleComplaint, BundleContent, Header
from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives import aead, hpke, kem
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.protocol import accept, file, intake, rounds, statement
from notalone_crypto.protocol.signed import UNSIGNED, sign_message
from notalone_crypto.protocol.state import Outgoing, Phase
from notalone_crypto.randomness import random_scalar
from notalone_crypto.suite import Tag

IDENTITY = bytes(32)
NOT_CANONICAL = b"\xff" * 32
NEGATIVE = bytes([1]) + bytes(31)  # odd: the negative square root is no encoding


@pytest.fixture(scope="module")
def entrances() -> list[Entrance]:
    return all_entrances()


def attempt(entrance: Entrance, data: bytes) -> NotAloneError | None:
    """Give `data`; it must be refused with the state unchanged, or do exactly what the good message does."""
    refusal = None
    try:
        entrance.give(entrance.machine, data)
    except NotAloneError as error:
        refusal = error
    if refusal is None:
        changed = entrance.meaning()
        entrance.restore()
        assert changed == entrance.after, f"{entrance.name}: other bytes were taken for something else"
    else:
        assert not isinstance(refusal, Misuse | CommitteeHalted), (
            f"{entrance.name}: one sender's bytes did this"
        )
        assert entrance.state() == entrance.before, f"{entrance.name}: a refusal changed the state"
    return refusal


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, int, bytes]:
    """A way to change a message: what, where (a fraction), with which bytes."""
    kind = draw(st.sampled_from(["random", "flip", "window", "cut", "append", "insert", "swap"]))
    return kind, draw(st.integers(0, 10_000)), draw(st.binary(min_size=1, max_size=80))


def mutated(good: bytes, mutation: tuple[str, int, bytes]) -> bytes:
    kind, place, extra = mutation
    at = place * len(good) // 10_001
    head, tail = good[:at], good[at:]
    return {
        "random": extra,
        "flip": head + bytes([tail[0] ^ (extra[0] or 1)]) + tail[1:],
        "window": head + extra + tail[len(extra) :],
        "cut": head,
        "append": good + extra,
        "insert": head + extra + tail,
        "swap": head + tail[32:64] + tail[:32] + tail[64:],
    }[kind]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(mutation=mutations())
def test_random_bytes_in_place_of_every_message(
    entrances: list[Entrance], mutation: tuple[str, int, bytes]
) -> None:
    """Anybody sends anything to any entrance: refused as a whole, nothing remembered. [CONV-3, WIRE-1]"""
    for entrance in entrances:
        attempt(entrance, mutated(entrance.good, mutation))


def test_truncated_trailing_and_unknown_versions(entrances: list[Entrance]) -> None:
    """A second encoding of one message would be a second fingerprint. None is accepted. [WIRE-2]"""
    for entrance in entrances:
        good = entrance.good
        cuts = [good[:length] for length in {0, 1, 2, 3, len(good) // 2, len(good) - 1}]
        changed = [good + b"\x00", good + good, b"\x00" + good]
        if entrance.name != "note":  # a text, which has no version
            changed += [
                b"\x00\x02" + good[2:],
                b"\x00\x00" + good[2:],
                good[:2] + bytes([good[2] ^ 1]) + good[3:],
            ]
        for data in (*cuts, *changed):
            assert isinstance(attempt(entrance, data), NotAloneError), entrance.name
    for first in entrances:
        for second in entrances:
            if first.good[:3] != second.good[:3]:
                assert isinstance(attempt(first, second.good), NotAloneError), (first.name, second.name)


def test_state_after_a_refusal_is_the_state_before(entrances: list[Entrance]) -> None:
    """He walks a changed bit through every message, so that a half-done refusal would show. [CONV-3]"""
    for entrance in entrances:
        for step in range(40):
            at = step * len(entrance.good) // 40
            changed = bytearray(entrance.good)
            changed[at] ^= 1 << (step % 8)
            attempt(entrance, bytes(changed))
        assert attempt(entrance, entrance.good) is None, "and the good message still counts"


# --- elements and scalars ---------------------------------------------------------------------------------


def test_identity_and_non_canonical_elements_are_refused_in_every_message(world_with_batch: World) -> None:
    """He puts the identity, an unreduced or a negative encoding wherever an element is read. [CONV-1]

    An identity in place of a key or commitment makes secrets public.
    """
    world = world_with_batch
    sealed = world.seal(5, world.report(b"eve"), world.spent())
    header = sealed.header
    rows = (*header.identifier_commitments, *header.inverse_commitments, *header.content_commitments)
    elements = [header.quota_tag, header.member, header.enc, *(one for row in rows for one in row)]
    messages: list[tuple[type[Message], bytes, list[bytes]]] = [(Header, sealed.filing.header, elements)]
    for post in (post for _, post in world.posts if post.kind in (Outgoing.ROUND_ONE, Outgoing.ROUND_TWO)):
        kind: type[RoundOne | RoundTwo] = RoundOne if post.kind == Outgoing.ROUND_ONE else RoundTwo
        message = kind.decode(post.payload)
        values = message.duplicates if isinstance(message, RoundOne) else message.points
        messages.append((kind, post.payload, list(values)))
    assert len(messages) > 3
    for message_type, encoded, found in messages:
        assert found
        for element in found:
            for replacement, code in (
                (IDENTITY, Code.IDENTITY),
                (NOT_CANONICAL, Code.NON_CANONICAL),
                (NEGATIVE, Code.NON_CANONICAL),
            ):
                with refused(code):
                    message_type.decode(encoded.replace(element, replacement))
    # In a proof: the identity as a first message is an equation proved by nothing.
    with nothing_changes(world):
        for replacement in (IDENTITY, NOT_CANONICAL, NEGATIVE):
            bad = replace(sealed.filing, proof=replacement + sealed.filing.proof[32:])
            signed = file.sign_filing(bad, sealed.owner.signing_key)
            assert give(world, [signed])[0] in (Code.IDENTITY, Code.NON_CANONICAL, Code.PROOF)


@pytest.fixture(scope="module")
def world_with_batch() -> World:
    world = World(slots=(1,))
    world.file(1, b"bob")
    world.run_batch()
    return world


def test_unreduced_scalars_are_refused_in_shares_openings_and_proofs() -> None:
    """She writes s+q for s: the same value, a second encoding. [CONV-2]

    In a share it convicts the filing; in an opening it names the trustee and
    does not block the batch; in a proof it is refused.
    """
    world = World(slots=(1,))
    sealed = world.seal(1, world.report(b"bob"))
    proof = sealed.filing.proof
    scalar = int.from_bytes(proof[-32:], "little")
    assert scalar < ORDER
    longer = proof[:-32] + (scalar + ORDER).to_bytes(32, "little")
    with nothing_changes(world):
        signed = file.sign_filing(replace(sealed.filing, proof=longer), sealed.owner.signing_key)
        assert give(world, [signed])[0] == Code.NON_CANONICAL

    # A share: open trustee 1's bundle with its key, as the sender could, and write one share unreduced.
    header = sealed.header
    key = kem.decapsulate(world.secrets[1].bundle_key, header.enc, 1, header.entry)
    content = BundleContent.decode(aead.open_sealed(key, header.entry, sealed.filing.bundles[0]))
    first = content.identifier_shares[0]
    unreduced = (int.from_bytes(first[:32], "little") + ORDER).to_bytes(32, "little") + first[32:]
    twisted = replace(content, identifier_shares=(unreduced, *content.identifier_shares[1:]))
    bundle = aead.seal(key, header.entry, twisted.encode())
    filing = file.sign_filing(
        replace(sealed.filing, bundles=(bundle, *sealed.filing.bundles[1:])), sealed.owner.signing_key
    )
    posts, _ = intake.receive_filings(
        world.machines[1].state, world.secrets[1], world.view(), [filing], world.randomness
    )
    assert [post.kind for post in posts] == [Outgoing.COMPLAINT]
    complaint = BundleComplaint.decode(posts[0].payload)
    assert accept.judge(world.committee, filing, header, complaint).culprits == (), "the filing is bad"

    entrance = during_a_batch(Outgoing.ROUND_ONE)
    good = RoundOne.decode(entrance.good)
    opening = (int.from_bytes(good.openings[0], "little") + ORDER).to_bytes(32, "little")
    lie = replace(good, openings=(opening, *good.openings[1:]), signature=UNSIGNED)
    signer = entrance.world.secrets[2].signing_key
    error = attempt(entrance, sign_message(lie, signer, Tag.ROUND_ONE).encode())
    assert isinstance(error, VerificationFailed)
    assert error.culprits == (2,)
    assert attempt(entrance, entrance.good) is None, "a good message ends the wait"


@pytest.mark.parametrize("kind", [Outgoing.ROUND_ONE, Outgoing.ROUND_TWO])
def test_signed_garbage_of_a_trustee(kind: Outgoing) -> None:
    """A trustee signs round messages with values missing, added, exchanged, or a proof of nothing.
    [EVAL-1, EVAL-2]

    It is named, nothing of it stays, and its good message is still welcome.
    """
    entrance = during_a_batch(kind)
    signer = entrance.world.secrets[2].signing_key
    tag = Tag.ROUND_ONE if kind == Outgoing.ROUND_ONE else Tag.ROUND_TWO
    name = "duplicates" if kind == Outgoing.ROUND_ONE else "points"
    good: Any = (RoundOne if kind == Outgoing.ROUND_ONE else RoundTwo).decode(entrance.good)
    values = getattr(good, name)
    lies: list[dict[str, Any]] = [
        {name: values[1:]},
        {name: (*values, values[0])},
        {name: (values[1], values[0], *values[2:])},
        {name: ()},
        {"proof": b""},
        {"proof": good.proof[:-1]},
        {"proof": good.proof + b"\x00"},
        {"proof": bytes(len(good.proof))},
        {"proof": b"\xff" * len(good.proof)},
    ]
    for lie in lies:
        data = sign_message(replace(good, **lie, signature=UNSIGNED), signer, tag).encode()
        error = attempt(entrance, data)
        assert isinstance(error, VerificationFailed), lie.keys()
        assert error.culprits == (2,)
    assert attempt(entrance, entrance.good) is None
    with refused(Code.RANGE):
        entrance.machine.receive_message(
            entrance.world.policy.scope, Outgoing.RELEASES, entrance.good, entrance.world.randomness
        )


def test_accuser_with_its_own_junk_under_her_header() -> None:
    """A trustee puts junk under her header in place of its bundle and complains of it, to kill her report.

    Only what the owner signed can convict her: the accuser is named, her entry stays.
    """
    world = World(slots=(1,))
    sealed = world.seal(1, world.report(b"bob"))
    view = world.view()
    for index in (1, 2):
        machine = world.machines[index]
        intake.receive_filings(machine.state, machine.secrets, view, [sealed.filing], world.randomness)
    junk = bytes(len(sealed.filing.bundles[2]))
    framed = replace(sealed.filing, bundles=(*sealed.filing.bundles[:2], junk))
    complaint = accept.complain(world.committee, world.secrets[3], framed, sealed.header, world.randomness)
    with nothing_changes(world):
        with refused(Code.COMPLAINT) as errors:
            intake.receive_complaint(world.machines[1].state, view, framed, complaint)
        assert errors[0].culprits == (3,)
    # Control: what she signed herself does convict her.
    own = bad_bundle(world, sealed, 3)
    complaint = accept.complain(world.committee, world.secrets[3], own, sealed.header, world.randomness)
    assert accept.judge(world.committee, own, sealed.header, complaint).culprits == ()


# --- special values ---------------------------------------------------------------------------------------


def test_identifier_equal_to_minus_p(monkeypatch: pytest.MonkeyPatch) -> None:
    """She files m = -p: then p+m has no inverse and her v, hence her x, is free. No proof exists. [STMT-3]

    Control: with weights that do not hash the header another row hides the gap.
    """
    world = World(slots=(1,))
    member, report = world.people[1], world.report(b"bob")
    values = list(file.identifier_scalars(world.committee, world.policy, member, report))
    values[0] = -member.secret % ORDER
    other = (member.secret + values[1]) % ORDER
    free = random_scalar(world.randomness)
    honest, doubled = pow(other, -1, ORDER), 2 * pow(other, -1, ORDER) % ORDER
    with nothing_changes(world):
        for index, inverses in enumerate(([free, honest], [free, doubled], [1, 1])):
            sealed = attack_seal(world, member, report, index=index, identifiers=values, inverses=inverses)
            assert give(world, [sealed.filing]) == [Code.PROOF]
    with monkeypatch.context() as weakened:
        weakened.setattr(statement, "inverse_weights", lambda header: [1] * len(header.inverse_commitments))
        sealed = attack_seal(world, member, report, index=5, identifiers=values, inverses=[free, doubled])
        assert give(world, [sealed.filing]) == [None], "the control must accept a v that is no inverse"


def test_recipient_key_of_low_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """He files with a recipient key that nothing can be sealed to, and matches himself with others. [ACC-8]

    Refused before ACCEPT. Control: without the check every trustee fails at
    the release, and the scope's batches stop for everybody.
    """
    low = [bytes(32), (1).to_bytes(32, "little"), (2**255 - 19).to_bytes(32, "little"), b"\xff" * 32]
    world = World(slots=(1,))
    report = world.report(b"bob", 2, ReleaseMode.PEERS)
    with nothing_changes(world):
        for index, key in enumerate(low):
            sealed = attack_seal(
                world, world.people[1], report, index=index, header_changes={"recipient_key": key}
            )
            assert give(world, [sealed.filing])[0] in (Code.IDENTITY, Code.NON_CANONICAL)
    with monkeypatch.context() as weakened:
        weakened.setattr(hpke, "check_public", lambda public: public)
        sealed = attack_seal(world, world.people[1], report, header_changes={"recipient_key": low[0]})
        assert give(world, [sealed.filing]) == [None]
    world.file(2, b"bob", 2, ReleaseMode.PEERS)
    with refused(Code.IDENTITY):
        world.run_batch()
    assert world.scope_of(1).phase != Phase.IDLE, "the control must stop the committee"


def test_reports_that_are_no_reports() -> None:
    """A page asks the client for what the scope does not offer; the client refuses before anything
    is sealed.
    """
    world = World(slots=(1,))
    bad = [
        world.report({2: b"bob"}),
        world.report({}),
        world.report(b"bob", 4),
        world.report(b"bob", 1),
        replace(world.report(b"bob"), desk_key=bytes(32)),
    ]
    for report in bad:
        with refused(Code.POLICY):
            world.seal(1, report)
    with pytest.raises(Misuse):  # her words are never cut
        world.seal(1, world.report(b"bob", words=b"x" * 2045))


def test_masked_product_that_opens_to_zero() -> None:
    """Trustees who together open zero would make everybody divide by zero: the committee stops instead."""
    world = World(slots=(1,))
    world.file(1, b"bob")
    world.deliver(world.start_batch())
    scope = world.scope_of(1)
    current = scope.batch
    assert current is not None
    seen = [RoundOne.decode(data) for data in current.received[Outgoing.ROUND_ONE].values()]
    items = tuple(rounds.Item(live.public, new=True) for live in scope.live.values())
    zeros = {one.trustee: replace(one, openings=tuple(bytes(32) for _ in one.openings)) for one in seen}
    with refused(Code.RANGE) as errors:
        rounds.combine_round_one(rounds.Batch(world.committee, world.policy, current.plan, items), zeros)
    assert isinstance(errors[0], CommitteeHalted)
