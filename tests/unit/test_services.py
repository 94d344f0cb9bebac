"""Board and issuer: the same answer twice, refusals that cost nothing, and what a card is worth."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from notalone_crypto.errors import (
    Code,
    ContextMismatch,
    MalformedInput,
    NotAloneError,
    RollRefused,
    StateConflict,
)
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.filing import Filing, Receipt
from notalone_crypto.protocol import file, roll, withdraw
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.protocol.state import Phase
from notalone_crypto.suite import Tag
from notalone_demo.simulation.deployment import Deployment, Plan
from notalone_demo.simulation.people import make_report


def deployment(people: int = 33, declared: int = 40) -> Deployment:
    made = Deployment(Plan(slots=(1,), declared=declared, release_blobs=2), b"services")
    made.enrol([f"p{number}" for number in range(people)])
    return made


@cache
def shared() -> Deployment:
    """For tests of refusals, which change nothing."""
    return deployment()


def sealed(one: Deployment, person: str = "p0", spent: frozenset[bytes] = frozenset()) -> file.SealedReport:
    reporter = one.reporters[person]
    report = make_report(
        identifiers={1: b"bob"}, threshold=2, mode=ReleaseMode.PEERS, preconsent=False,
        desk_key=one.desks["Counsellors"].key.public, now=one.clock(), weeks=10, alias="a", words="w",
    )  # fmt: skip
    return file.seal_report(
        one.committee, one.policy, reporter._ring(one.board), reporter.member, report,
        period=withdraw.period_of(one.clock(), 365), spent_tags=spent, randomness=one.randomness,
    )  # fmt: skip


def feed(one: Deployment, kind: FeedKind) -> list[bytes]:
    return [item.payload for item in one.board.feed(one.policy.scope, 0) if item.kind == kind]


def test_the_same_filing_twice_gets_the_same_promise_also_after_its_batch() -> None:
    one = deployment()
    data = sealed(one).filing.encode()
    receipt = one.board.submit_filing(data)
    check_signature(receipt, one.committee.manifest.board_key, Tag.RECEIPT)
    assert receipt.batch == 1
    assert one.board.submit_filing(data) == receipt
    one.run_batch()
    assert one.board.submit_filing(data) == receipt
    assert feed(one, FeedKind.FILING) == [data]


def test_a_filing_that_comes_while_a_batch_is_open_is_promised_the_next_one() -> None:
    """A receipt that the board cannot keep is evidence against an honest board."""
    one = deployment()
    one.clock.now += one.plan.batch_seconds
    one.board.tick()
    late = one.board.submit_filing(sealed(one).filing.encode())
    assert late.batch == 2
    for _ in range(4):
        one.settle()
    assert one.board_store.state.scopes[one.policy.scope].number == 1
    one.run_batch()
    assert one.board_store.state.scopes[one.policy.scope].entries[late.entry].batch == late.batch


def refused(data: bytes, code: Code) -> None:
    one = shared()
    items, spent = len(one.board.feed(one.policy.scope, 0)), one.board.spent_tags(one.policy.scope, period())
    with pytest.raises(NotAloneError) as caught:
        one.board.submit_filing(data)
    assert caught.value.code == code
    assert len(one.board.feed(one.policy.scope, 0)) == items
    assert one.board.spent_tags(one.policy.scope, period()) == spent


def period() -> int:
    return withdraw.period_of(shared().clock(), 365)


def test_what_the_board_refuses_it_does_not_keep_and_spends_nothing() -> None:
    good = sealed(shared())
    filing, key = good.filing, good.owner.signing_key

    def with_header(**change: object) -> bytes:
        header = replace(good.header, **change)  # type: ignore[arg-type]
        return file.sign_filing(replace(filing, header=header.encode()), key).encode()

    refused(replace(filing, signature=bytes(64)).encode(), Code.SIGNATURE)
    refused(with_header(scope=bytes(32)), Code.SCOPE)
    refused(with_header(inverse_commitments=()), Code.COMMITMENT_LENGTH)
    refused(file.sign_filing(replace(filing, bundles=filing.bundles[1:]), key).encode(), Code.LENGTH)
    refused(file.sign_filing(replace(filing, bundles=(b"", *filing.bundles[1:])), key).encode(), Code.LENGTH)
    for junk in (b"", b"junk", filing.encode()[:-1]):
        with pytest.raises(MalformedInput):
            shared().board.submit_filing(junk)


def test_other_bytes_under_one_header_and_a_spent_tag_are_refused() -> None:
    one = deployment()
    first = sealed(one)
    one.board.submit_filing(first.filing.encode())
    other = replace(first.filing, proof=first.filing.proof[:-1] + bytes([first.filing.proof[-1] ^ 1]))
    with pytest.raises(StateConflict) as caught:
        one.board.submit_filing(file.sign_filing(other, first.owner.signing_key).encode())
    assert caught.value.code == Code.DUPLICATE
    tags = file.own_tags(one.committee, one.policy, one.reporters["p0"].member, first.header.period)
    all_but = frozenset(tag for tag in tags if tag != first.header.quota_tag)
    with pytest.raises(StateConflict) as caught:
        one.board.submit_filing(sealed(one, spent=all_but).filing.encode())
    assert caught.value.code == Code.TAG_SPENT
    assert one.board.spent_tags(one.policy.scope, first.header.period) == (first.header.quota_tag,)
    assert len(feed(one, FeedKind.FILING)) == 1


def test_only_the_owner_withdraws_and_once() -> None:
    """WD-1 at the board."""
    one = deployment()
    mine, hers = sealed(one), sealed(one, "p1")
    for report in (mine, hers):
        one.board.submit_filing(report.filing.encode())
    scope = one.policy.scope
    stranger = withdraw.withdraw(mine.header.entry, hers.owner.signing_key)
    with pytest.raises(NotAloneError) as caught:
        one.board.submit_withdrawal(scope, stranger.encode())
    assert caught.value.code == Code.SIGNATURE
    good = withdraw.withdraw(mine.header.entry, mine.owner.signing_key)
    with pytest.raises(StateConflict):
        one.board.submit_withdrawal(scope, replace(good, entry=bytes(32)).encode())
    with pytest.raises(ContextMismatch):
        one.board.submit_withdrawal(bytes(32), good.encode())
    assert feed(one, FeedKind.WITHDRAWAL) == []
    for _ in range(2):
        one.board.submit_withdrawal(scope, good.encode())
    assert feed(one, FeedKind.WITHDRAWAL) == [good.encode()]


def test_a_scope_nobody_serves() -> None:
    for question in (
        lambda: shared().board.feed(bytes(32), 0),
        lambda: shared().board.blobs(bytes(32)),
        lambda: shared().board.spent_tags(bytes(32), 0),
        lambda: shared().board.newest_snapshots(bytes(32)),
    ):
        with pytest.raises(ContextMismatch) as caught:
            question()
        assert caught.value.code == Code.SCOPE


def test_feed_is_read_from_where_the_reader_stands() -> None:
    one = shared()
    everything = one.board.feed(one.policy.scope, 0)
    assert [item.sequence for item in everything] == list(range(1, len(everything) + 1))
    assert one.board.feed(one.policy.scope, 1) == everything[1:]
    assert one.board.feed(one.policy.scope, len(everything)) == ()
    assert one.board.feed(one.policy.scope, -5) == everything


def test_an_item_of_a_kind_that_does_not_exist_stops_no_trustee() -> None:
    """Attack: one item with kind 99 must not make every trustee's worker crash for ever."""
    one = deployment()
    scope = one.board_store.state.scopes[one.policy.scope]
    scope.feed.append(replace(scope.feed[-1], sequence=len(scope.feed) + 1, kind=99))
    for person in ("p0", "p1"):
        one.board.submit_filing(sealed(one, person).filing.encode())
    one.run_batch()
    assert {trustee.status(one.policy.scope) for trustee in one.trustees.values()} == {Phase.IDLE}
    assert scope.number == 1


def test_a_receipt_names_the_filing_and_is_the_boards() -> None:
    one = deployment()
    report = sealed(one)
    receipt = one.board.submit_filing(report.filing.encode())
    assert (receipt.filing, receipt.entry) == (
        Filing.decode(report.filing.encode()).fingerprint,
        report.header.entry,
    )
    for forged in (replace(receipt, batch=9), replace(receipt, filing=bytes(32))):
        with pytest.raises(NotAloneError):
            check_signature(forged, one.committee.manifest.board_key, Tag.RECEIPT)
    assert Receipt.decode(receipt.encode()) == receipt


def request(one: Deployment, number: int) -> tuple[roll.Member, roll.Enrolment]:
    key = one.issuer.signing_key.verify_key
    member = roll.member_from_phrase(bytes([number]) * 16, one.plan.instance, key)
    return member, roll.enrol(member, one.plan.instance, key, one.randomness)


def test_a_card_is_good_once_however_it_is_typed() -> None:
    one = deployment()
    (card,) = one.issuer.make_cards(1, one.randomness)
    member, wanted = request(one, 200)
    entry = one.issuer.enrol(" " + card.lower().replace("-", " ") + " ", wanted)
    assert entry.place == member.place
    for again in (card, card.replace("-", "")):
        with pytest.raises(RollRefused) as caught:
            one.issuer.enrol(again, request(one, 201)[1])
        assert caught.value.code == Code.NOT_ELIGIBLE


def test_a_refused_request_does_not_spend_the_card() -> None:
    one = deployment()
    (card,) = one.issuer.make_cards(1, one.randomness)
    _, good = request(one, 202)
    taken = replace(good, place=one.reporters["p0"].member.place)
    for bad in (taken, replace(good, proof=b"")):
        with pytest.raises(NotAloneError):
            one.issuer.enrol(card, bad)
    one.issuer.enrol(card, good)


def test_cards_are_long_unlike_and_hard_to_misread() -> None:
    one = deployment()
    cards = one.issuer.make_cards(200, one.randomness)
    letters = "".join(cards).replace("-", "")
    assert len(set(cards)) == 200
    assert not set(letters) & set("01OIL")
    assert {len(card.replace("-", "")) for card in cards} == {16}
    assert not any(card.encode() in repr(one.issuer.state).encode() for card in cards)


@pytest.mark.parametrize("card", ["", "2222-2222-2222-2222", "x" * 10_000, "É"])
def test_unknown_cards_are_refused(card: str) -> None:
    with pytest.raises(RollRefused) as caught:
        shared().issuer.enrol(card, request(shared(), 203)[1])
    assert caught.value.code == Code.NOT_ELIGIBLE


def test_no_more_places_than_declared_members() -> None:
    one = deployment(people=33, declared=34)
    first, second = one.issuer.make_cards(2, one.randomness)
    one.issuer.enrol(first, request(one, 204)[1])
    with pytest.raises(RollRefused):
        one.issuer.enrol(second, request(one, 205)[1])
