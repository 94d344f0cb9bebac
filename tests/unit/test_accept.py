"""A trustee's checks of a filing, in their order, and what a bad share leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, ContextMismatch, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.filing import Acceptance, BundleComplaint, Filing, Header
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.protocol import accept, file, intake, persist
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import Outgoing
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag


@cache
def world() -> World:
    """Never changed by a test here: nothing that is refused may change it."""
    return World(members=32, slots=(1,), release_modes=(1,))


@cache
def sealed() -> file.SealedReport:
    return world().seal(0, world().report({1: b"bob"}))


def filing_with(header: Header | None = None, **change: Any) -> Filing:
    """The filing with a part exchanged, signed again by its owner: she may be the attacker."""
    filing = sealed().filing
    if header is not None:
        change["header"] = header.encode()
    return file.sign_filing(replace(filing, **change), sealed().owner.signing_key)


def header_with(**change: Any) -> Header:
    return replace(sealed().header, **change)


def row(count: int) -> tuple[bytes, ...]:
    return (RISTRETTO255.generator,) * count


def refusals() -> dict[str, tuple[Filing, Code]]:
    """One filing for each check, in the order of the checks."""
    header, one = sealed().header, world()
    week = header.expiry_week - 52
    first = sealed().filing.first_introduction
    low = bytes(32)
    found: dict[str, tuple[Filing, Code]] = {
        "committee": (filing_with(header_with(committee=low)), Code.COMMITTEE),
        "generation": (filing_with(header_with(generation=1)), Code.GENERATION),
        "scope": (filing_with(header_with(scope=low)), Code.SCOPE),
        "policy": (filing_with(header_with(policy=low)), Code.POLICY),
        "mode": (filing_with(header_with(release_mode=2)), Code.POLICY),
        "consent": (filing_with(header_with(preconsent=2)), Code.POLICY),
        "desk": (filing_with(header_with(desk_key=low)), Code.POLICY),
        "period": (filing_with(header_with(period=header.period + 1)), Code.PERIOD),
        "last period": (filing_with(header_with(period=header.period - 1)), Code.PERIOD),
        "quota": (filing_with(header_with(quota_index=12)), Code.PERIOD),
        "expired": (filing_with(header_with(expiry_week=week - 1)), Code.EXPIRED),
        "too long": (filing_with(header_with(expiry_week=week + 105)), Code.EXPIRY),
        "rows": (filing_with(header_with(inverse_commitments=(row(2),))), Code.COMMITMENT_LENGTH),
        "degree": (filing_with(header_with(content_commitments=(row(2), row(3)))), Code.COMMITMENT_LENGTH),
        "bundle count": (filing_with(bundles=sealed().filing.bundles[:2]), Code.LENGTH),
        "bundle size": (
            filing_with(bundles=(sealed().filing.bundles[0] + b"x", *sealed().filing.bundles[1:])),
            Code.LENGTH,
        ),
        "introduction": (filing_with(first_introduction=first[:-1] + bytes([first[-1] ^ 1])), Code.SIGNATURE),
        "recipient": (filing_with(header_with(recipient_key=low)), Code.IDENTITY),
        "owner": (filing_with(header_with(owner_key=one.issuer.verify_key)), Code.SIGNATURE),
        "unsigned": (replace(sealed().filing, signature=bytes(64)), Code.SIGNATURE),
        "snapshot": (filing_with(header_with(snapshot=low)), Code.SNAPSHOT),
    }
    return found


def dumps() -> list[bytes]:
    return [persist.dump(machine.state) for machine in world().machines.values()]


@pytest.mark.parametrize("case", refusals())
def test_first_failing_check_is_reported_before_the_key_is_used(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ACC-1, CONV-3: code by code; the trustee's secret is not touched and its state stays as it was."""
    filing, code = refusals()[case]
    one = world()
    before = dumps()
    monkeypatch.setattr(accept, "open_bundle", lambda *_: pytest.fail("the trustee's key was used"))
    machine = one.machines[1]
    posts, errors = intake.receive_filings(
        machine.state, machine.secrets, one.view(), [filing], one.randomness
    )
    assert posts == []
    assert errors[0] is not None
    assert errors[0].code == code
    assert dumps() == before


def test_the_good_one_passes_and_its_enc_and_tag_count_from_then_on() -> None:
    header = accept.check_cheaply(world().view(), sealed().filing, set(), set())
    assert header == sealed().header
    with pytest.raises(StateConflict) as caught:
        accept.check_cheaply(world().view(), sealed().filing, {header.enc}, set())
    assert caught.value.code == Code.ENC_REUSED
    with pytest.raises(StateConflict) as caught:
        accept.check_cheaply(world().view(), sealed().filing, set(), {header.quota_tag})
    assert caught.value.code == Code.TAG_SPENT


def test_a_bad_proof_changes_nothing_and_spends_nothing() -> None:
    one, before = world(), dumps()
    proof = sealed().filing.proof
    for wrong in (b"", proof[:-1], proof + b"\x00", bytes(len(proof)), proof[:-32] + bytes(32)):
        machine = one.machines[1]
        posts, errors = intake.receive_filings(
            machine.state, machine.secrets, one.view(), [filing_with(proof=wrong)], one.randomness
        )
        assert posts == []
        assert errors[0] is not None
    assert dumps() == before


def bad_bundle(world: World, trustee: int = 1) -> file.SealedReport:
    """Proved and signed, but one trustee's bundle does not open."""
    good = world.seal(1, world.report(b"bob"))
    bundles = list(good.filing.bundles)
    bundles[trustee - 1] = bytes(len(bundles[trustee - 1]))
    filing = file.sign_filing(replace(good.filing, bundles=tuple(bundles)), good.owner.signing_key)
    return replace(good, filing=filing)


def refused(action: Callable[[], object], code: Code, *culprits: int) -> None:
    with pytest.raises(NotAloneError) as caught:
        action()
    assert (caught.value.code, caught.value.culprits) == (code, culprits)


def test_bad_share_convicts_the_filing() -> None:
    """ACC-5, ACC-2: the victim complains, every other trustee judges alike, and the enc stays burnt."""
    one = World(members=32, slots=(1,))
    bad = bad_bundle(one)
    machine = one.machines[1]
    (post,), errors = intake.receive_filings(
        machine.state, machine.secrets, one.view(), [bad.filing], one.randomness
    )
    assert errors == [None]
    assert post.kind == Outgoing.COMPLAINT
    complaint = BundleComplaint.decode(post.payload)
    for index in (2, 3):
        other = one.machines[index]
        (accepted,), _ = intake.receive_filings(
            other.state, other.secrets, one.view(), [bad.filing], one.randomness
        )
        assert accepted.kind == Outgoing.ACCEPTANCE  # its own part was good
        intake.receive_complaint(other.state, one.view(), bad.filing, complaint)
    for index, other in one.machines.items():
        scope = one.scope_of(index)
        assert bad.header.entry in scope.gone
        assert bad.header.entry not in scope.pending
        assert bad.header.enc in other.state.seen_encs
        _, (error,) = intake.receive_filings(
            other.state, other.secrets, one.view(), [bad.filing], one.randomness
        )
        assert error is not None
        assert error.code == Code.DUPLICATE


def test_false_complaint_names_its_accuser_and_harms_nothing() -> None:
    """SEAL-2 at a filing: a complaint about a good bundle, or with another's proof."""
    one = World(members=32, slots=(1,))
    good = one.seal(1, one.report(b"bob"))
    entry = good.header.entry
    two = one.machines[2]
    intake.receive_filings(two.state, two.secrets, one.view(), [good.filing], one.randomness)
    liar = one.secrets[3]
    lie = accept.complain(one.committee, liar, good.filing, good.header, SeededStream(b"lie"))
    elsewhere = accept.complain(
        one.committee, liar, bad_bundle(one, 3).filing, good.header, SeededStream(b"lie")
    )
    forged = sign_message(replace(elsewhere, filing=good.filing.fingerprint), liar.signing_key, Tag.COMPLAINT)
    for complaint in (lie, forged):
        refused(
            lambda c=complaint: intake.receive_complaint(two.state, one.view(), good.filing, c),
            Code.COMPLAINT,
            3,
        )  # type: ignore[misc]
    refused(
        lambda: intake.receive_complaint(
            two.state, one.view(), good.filing, replace(lie, signature=bytes(64))
        ),
        Code.SIGNATURE,
    )
    refused(
        lambda: intake.receive_complaint(two.state, one.view(), good.filing, elsewhere), Code.UNKNOWN_ENTRY
    )
    assert entry in one.scope_of(2).pending


def test_no_complaint_counts_after_acceptance() -> None:
    """ACC-6."""
    one = World(members=32, slots=(1,))
    good = one.file(1, b"bob")
    late = accept.complain(one.committee, one.secrets[3], good.filing, good.header, SeededStream(b"late"))
    two = one.machines[2]
    refused(lambda: intake.receive_complaint(two.state, one.view(), good.filing, late), Code.OUT_OF_ORDER)
    one.run_batch()
    refused(lambda: intake.receive_complaint(two.state, one.view(), good.filing, late), Code.OUT_OF_ORDER)
    assert good.header.entry in one.scope_of(2).live


@cache
def accepted() -> Acceptance:
    one = world()
    return accept.accept(one.committee, one.policy, one.secrets[2], sealed().filing, sealed().header)


def check(acceptance: Acceptance, filing: bytes = b"") -> None:
    accept.check_acceptance(
        world().committee, world().policy, acceptance, filing or sealed().filing.fingerprint
    )


def test_acceptance_is_signed_complete_of_this_generation_and_of_these_bytes() -> None:
    check(accepted())
    key = world().secrets[2].signing_key

    def resigned(**change: Any) -> Acceptance:
        return sign_message(replace(accepted(), **change), key, Tag.ACCEPT)

    rows = accepted().subset_commitments
    for change in (
        {"entry": bytes(32)},
        {"generation": 1},
        {"subset_commitments": rows[::-1]},
        {"trustee": 3},
    ):
        refused(lambda change=change: check(replace(accepted(), **change)), Code.SIGNATURE)  # type: ignore[misc]
    refused(lambda: check(resigned(generation=1)), Code.GENERATION)
    refused(lambda: check(resigned(filing=bytes(32))), Code.FORK)
    refused(lambda: check(accepted(), digest(Tag.FILING, b"other")), Code.FORK)
    for wrong in (rows[1:], (*rows, rows[0]), (rows[0][1:], *rows[1:]), ()):
        refused(lambda wrong=wrong: check(resigned(subset_commitments=wrong)), Code.COMMITMENT_LENGTH, 2)  # type: ignore[misc]
    for outside in (0, 4):
        with pytest.raises(ContextMismatch):
            check(resigned(trustee=outside))


def test_acceptance_again_is_byte_for_byte_the_same() -> None:
    """EVAL-5, ENT-2: there is nothing fresh in it that a second one could vary."""
    one = world()
    again = accept.accept(one.committee, one.policy, one.secrets[2], sealed().filing, sealed().header)
    assert again.encode() == accepted().encode()


def test_acceptances_of_unknown_entries_and_second_ones_are_refused() -> None:
    one = World(members=32, slots=(1,))
    good = one.seal(1, one.report(b"bob"))
    first = one.machines[1]
    word = accept.accept(one.committee, one.policy, one.secrets[2], good.filing, good.header)
    refused(lambda: intake.receive_acceptance(first.state, one.view(), word), Code.UNKNOWN_ENTRY)
    intake.receive_filings(first.state, first.secrets, one.view(), [good.filing], one.randomness)
    intake.receive_acceptance(first.state, one.view(), word)
    intake.receive_acceptance(first.state, one.view(), word)
    rows = word.subset_commitments
    other = sign_message(
        replace(word, subset_commitments=(rows[0][::-1], *rows[1:])), one.secrets[2].signing_key, Tag.ACCEPT
    )
    refused(lambda: intake.receive_acceptance(first.state, one.view(), other), Code.EQUIVOCATION, 2)
    assert one.scope_of(1).pending[good.header.entry].acceptances[2] == word


def test_the_same_filing_again_gets_the_same_acceptance_and_other_bytes_none() -> None:
    one = World(members=32, slots=(1,))
    good = one.seal(1, one.report(b"bob"))
    first = one.machines[1]

    def give(*filings: Filing) -> tuple[list[bytes], list[Code | None]]:
        posts, errors = intake.receive_filings(
            first.state, first.secrets, one.view(), filings, one.randomness
        )
        return [post.payload for post in posts], [error and error.code for error in errors]

    (own,), errors = give(good.filing)
    assert errors == [None]
    assert give(good.filing) == ([own], [None])
    other = file.sign_filing(
        replace(good.filing, proof=good.filing.proof[:-1] + bytes([good.filing.proof[-1] ^ 1])),
        good.owner.signing_key,
    )
    assert give(other) == ([], [Code.DUPLICATE])
    # Together with a good one of somebody else: one answer each, in order.
    second = one.seal(2, one.report(b"bob"))
    assert give(other, second.filing, good.filing)[1] == [Code.DUPLICATE, None, None]


def test_two_filings_with_one_enc_or_tag_in_one_delivery() -> None:
    """ACC-2, ACC-3: both pass the look-up before either is taken."""
    one = World(members=32, slots=(1,))
    report = one.report(b"bob")
    tags = set(file.own_tags(one.committee, one.policy, one.people[0], one.view().period))
    left = frozenset(sorted(tags)[1:])
    first, second = (one.seal(0, report, left) for _ in range(2))
    assert first.header.quota_tag == second.header.quota_tag
    machine = one.machines[1]
    posts, errors = intake.receive_filings(
        machine.state, machine.secrets, one.view(), [first.filing, second.filing], one.randomness
    )
    assert len(posts) == 1
    assert [error and error.code for error in errors] == [None, Code.TAG_SPENT]


def test_quota_runs_out_and_begins_anew_with_the_period() -> None:
    one = World(members=32, slots=(1,))
    for _ in range(12):
        one.file(0, b"bob")
    with pytest.raises(StateConflict) as caught:
        one.file(0, b"bob")
    assert caught.value.code == Code.QUOTA
    one.file(1, b"bob")
    one.now += 366 * 24 * 3600
    one.file(0, b"bob")


def test_wrong_share_inside_a_good_envelope_is_found() -> None:
    good = sealed()
    with pytest.raises(VerificationFailed):
        accept.open_bundle(
            world().committee,
            world().secrets[1],
            replace(good.filing, bundles=good.filing.bundles[::-1]),
            good.header,
        )
