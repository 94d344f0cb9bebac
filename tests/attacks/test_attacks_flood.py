"""Attacks by quantity, and spellings that would leave two people alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.attacks.adversary_b import attack_seal, nothing_changes
from tests.bench.counting import counted
from tests.support.world import World

from notalone_crypto.errors import Code
from notalone_crypto.messages.filing import Filing
from notalone_crypto.primitives import kem
from notalone_crypto.primitives.hashing import hash_to_group
from notalone_crypto.protocol import accept, file, intake
from notalone_crypto.protocol.find import CurveFinder
from notalone_crypto.protocol.identify import IdentifierKind, Platform, canonicalize
from notalone_crypto.protocol.rounds import Point
from notalone_crypto.suite import Tag


def first_trustee(world: World, filings: list[Filing]) -> list[Code | None]:
    machine = world.machines[1]
    _, errors = intake.receive_filings(
        machine.state, machine.secrets, world.view(), filings, world.randomness
    )
    return [None if error is None else error.code for error in errors]


def test_garbage_flood_on_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    """He floods a trustee with filings that are wrong in cheap ways, then with wrong proofs. [ACC-1]

    Cheap faults cost no multiplication; a wrong proof costs one check and
    never the trustee's key; bad ones among good ones are found by halving.
    """
    world = World(slots=(1,))
    held = world.file(1, b"bob")
    report = world.report(b"bob")
    sealed = world.seal(2, report)
    header, key = sealed.header, sealed.owner.signing_key
    changed: Callable[..., Filing] = lambda **fields: file.sign_filing(  # noqa: E731
        replace(sealed.filing, header=replace(header, **fields).encode()), key
    )
    cheap = [
        (changed(committee=bytes(32)), Code.COMMITTEE),
        (changed(generation=7), Code.GENERATION),
        (changed(scope=bytes(32)), Code.SCOPE),
        (changed(policy=bytes(32)), Code.POLICY),
        (changed(release_mode=9), Code.POLICY),
        (changed(desk_key=bytes(32)), Code.POLICY),
        (changed(period=1), Code.PERIOD),
        (changed(expiry_week=1), Code.EXPIRED),
        (changed(expiry_week=2**31), Code.EXPIRY),
        (changed(enc=held.header.enc), Code.ENC_REUSED),
        (changed(quota_tag=held.header.quota_tag), Code.TAG_SPENT),
        (changed(identifier_commitments=()), Code.COMMITMENT_LENGTH),
        (changed(snapshot=bytes(32)), Code.SNAPSHOT),
        (replace(sealed.filing, bundles=()), Code.LENGTH),
        (replace(sealed.filing, first_introduction=bytes(304)), Code.SIGNATURE),
        (replace(sealed.filing, signature=bytes(64)), Code.SIGNATURE),
    ]
    monkeypatch.setattr(kem, "decapsulate", None)  # using the key would fail loudly
    with nothing_changes(world), counted() as flood:
        for filing, code in cheap * 3:
            assert first_trustee(world, [filing]) == [code]
    assert (flood.multiplications, flood.maps) == (0, 0)

    proof = sealed.filing.proof
    wrong = [
        file.sign_filing(
            replace(sealed.filing, proof=proof[:-32] + bytes([proof[-32] ^ bit]) + proof[-31:]), key
        )
        for bit in range(1, 9)
    ]
    with nothing_changes(world), counted() as shorter:
        short = file.sign_filing(replace(sealed.filing, proof=b""), key)
        assert first_trustee(world, [short]) == [Code.TRUNCATED]
    with nothing_changes(world), counted() as each:
        assert set(first_trustee(world, wrong[:1])) == {Code.PROOF}
    with nothing_changes(world), counted() as all_eight:
        assert set(first_trustee(world, wrong)) == {Code.PROOF}
    assert shorter.multiplications <= each.multiplications, "a proof of a wrong length costs nothing"
    # One roll for all of them, so halving costs less than checking one by one does twice.
    assert all_eight.multiplications < 2 * 8 * each.multiplications


def test_bad_proof_among_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """He hides one bad filing among honest ones so that all of them are refused. Only his is."""
    world = World(slots=(1,))
    good = [world.seal(person, world.report(b"bob")).filing for person in range(1, 4)]
    sealed = world.seal(5, world.report(b"x"))
    proof = sealed.filing.proof[:-1] + bytes([sealed.filing.proof[-1] ^ 1])
    bad = file.sign_filing(replace(sealed.filing, proof=proof), sealed.owner.signing_key)
    assert first_trustee(world, [good[0], bad, *good[1:]]) == [None, Code.PROOF, None, None]
    calls = []
    original = accept.open_bundle

    def count(*arguments: object) -> object:
        calls.append(arguments)
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(accept, "open_bundle", count)
    assert first_trustee(world, [bad]) == [Code.PROOF]
    assert calls == [], "the trustee's key is not used on what is not proved"


def test_garbage_flood_on_the_finder() -> None:
    """He files the same name until his quota is used up: one point; and different names cost N
    steps each. [FIND-1]

    Duplicates of one x cost nothing; without a match no flood makes an event.
    """
    stream = [hash_to_group(Tag.BASE, bytes([number])) for number in range(40)]
    for level, bound in ((2, 0), (3, 1)):
        finder = CurveFinder(level)
        finder.add(b"\x01" * 32, Point(7, stream[0]))
        with counted() as same:
            for number in range(30):
                assert finder.add(bytes([2, number]) * 16, Point(7, stream[number])) is None
        assert same.multiplications == 0
        costs = []
        for number in range(30):
            with counted() as one:
                assert finder.add(bytes([3, number]) * 16, Point(100 + number, stream[number + 5])) is None
            costs.append(one.multiplications)
        assert all(after - before == bound for before, after in pairwise(costs)), "linear in N, or none"
        assert len(finder.representatives) == 31
    world = World(slots=(1,), levels=(2, 3))
    for index in range(4):
        sealed = attack_seal(world, world.people[1], world.report(b"bob"), index=index)
        world.give([sealed.filing])
    world.run_batch()
    scope = world.scope_of(1)
    assert len(scope.live) == 4
    assert all(len(search.finder.representatives) == 1 for search in scope.finders.values())


KIND = IdentifierKind
SPELLINGS: list[tuple[IdentifierKind, dict[str, object], list[str]]] = [
    (
        KIND.EMAIL,
        {},
        [
            "jean.dupont@univ.fr",
            "Jean.Dupont@Univ.FR",
            " jean.dupont@univ.fr ",
            "mailto:jean.dupont@univ.fr?subject=x",
            "Jean Dupont <jean.dupont@univ.fr>",
            "jean.dupont+list@univ.fr",
            "ｊｅａｎ.dupont＠univ.fr",  # noqa: RUF001 - full-width
            "jean.dupont@univ.fr.",
            "jean\u200b.dupont@univ.fr",
        ],
    ),
    (KIND.EMAIL, {}, ["j.e.a.n@gmail.com", "jean@googlemail.com", "JEAN+x@Gmail.com"]),
    (
        KIND.PHONE,
        {"default_region": "FR"},
        [
            "06 12 34 56 78",
            "+33612345678",
            "0033 6 12 34 56 78",
            "06.12.34.56.78",
            "tel:+33-6-12-34-56-78",
            "https://wa.me/33612345678",
            "+33 (0)6 12 34 56 78",
            "\uff10\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",
        ],
    ),
    (
        KIND.ACCOUNT,
        {},
        [
            "https://www.instagram.com/Jean.Dupont/",
            "http://instagram.com/jean.dupont?igsh=abc",
            "https://m.instagram.com/jean.dupont#x",
            "instagram:@jean.dupont",
            "instagram.com/JEAN.DUPONT",
        ],
    ),
    (
        KIND.ACCOUNT,
        {},
        ["https://twitter.com/bob_1", "https://x.com/@Bob_1", "https://mobile.twitter.com/bob_1/"],
    ),
    (
        KIND.ACCOUNT,
        {"platform": Platform.TELEGRAM},
        ["@bob_the_man", "bob_the_man", "https://t.me/Bob_The_Man"],
    ),
    (
        KIND.NAME,
        {"unit": "Physique"},
        [
            "Jean-Pierre Dupont",
            "DUPONT Jean Pierre",
            "Dupont, Jean-Pierre",
            "jean\u2010pierre dupont",
            "M. Jean Pierre Dupont",
        ],
    ),
    (KIND.NAME, {"unit": "Lettres"}, ["Zoé O'Brien", "zoe\u0301 o\u2019brien", "OBRIEN Zoe"]),
    (KIND.DIRECTORY, {}, ["jdupont1", "JDupont1", " jdupont1 "]),
]


def test_normalisation_misses() -> None:
    """Two people write one name differently and wait alone for ever: every spelling is one scalar. [ID-3]

    Control: bytes as typed give as many scalars as spellings.
    """
    world = World(slots=(1,))

    def scalar(identifier: bytes) -> int:
        report = world.report(identifier)
        return file.identifier_scalars(world.committee, world.policy, world.people[0], report)[0]

    everything = []
    for kind, options, spellings in SPELLINGS:
        found = {scalar(canonicalize(kind, text, **options).encode()) for text in spellings}  # type: ignore[arg-type]
        assert len(found) == 1, (kind, spellings)
        everything += list(found)
        assert len({scalar(text.encode()) for text in spellings}) == len(spellings)
    assert len(set(everything)) == len(SPELLINGS), "and different people are different scalars"
