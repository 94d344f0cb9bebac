"""The audit of an honest committee: clean, anonymous, and without any key."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from tests.support.auditing import RecordedWorld
from tests.support.world import World

from notalone_crypto.errors import Code
from notalone_crypto.messages.committee import SignedManifest
from notalone_crypto.messages.filing import BundleComplaint, Filing
from notalone_crypto.protocol import intake, withdraw
from notalone_crypto.protocol.audit import Audit
from notalone_crypto.protocol.audit_record import Shown
from notalone_crypto.protocol.audit_report import AuditReport, BatchReport, Finding, MatchCount
from notalone_crypto.protocol.file import sign_filing
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.state import Outgoing


@pytest.fixture(scope="module")
def honest() -> RecordedWorld:
    """Three batches: a match; a withdrawal with an edit; a third person who joins, and an empty fourth."""
    run = RecordedWorld()
    first = run.file(1, b"bob")
    run.file(2, b"bob")
    run.file(3, b"al", 3)
    run.batch()
    edited = run.file(4, b"eve")
    run.batch()
    run.withdraw(edited)
    run.file(4, b"bob")
    run.batch()
    run.withdraw(first)
    run.batch()
    return run


@pytest.fixture(scope="module")
def report(honest: RecordedWorld) -> AuditReport:
    return honest.report()


def test_honest_batches_are_clean(report: AuditReport) -> None:
    """[AUD-7] AUD-1, the other way round: an honest record gives no finding."""
    assert report.findings == ()
    assert report.clean
    assert all(batch.evaluated and batch.logged and batch.clean for batch in report.batches)


def test_counts_are_those_of_the_run(report: AuditReport) -> None:
    lines = [(one.number, one.filings, one.withdrawals, one.expiries, one.epoch) for one in report.batches]
    assert lines == [(1, 3, 0, 0, 0), (2, 1, 0, 0, 0), (3, 1, 1, 0, 1), (4, 0, 1, 0, 2)]


def test_match_and_joining_are_counted_where_they_happen(report: AuditReport) -> None:
    """The third person joins the pair at level 2, and makes three at level 3 of people who asked for two."""
    first, second, third, fourth = (batch.matches for batch in report.batches)
    assert first == (MatchCount(1, 2, formed=1, joined=0),)
    assert second == ()
    assert third == (MatchCount(1, 2, formed=0, joined=1), MatchCount(1, 3, formed=1, joined=0))
    assert fourth == ()


def test_every_leaf_of_the_log_is_explained(honest: RecordedWorld, report: AuditReport) -> None:
    assert report.leaves == report.explained == honest.world.tree.size


def test_audit_needs_no_secret(honest: RecordedWorld) -> None:
    """[AUD-2] The manifest's bytes and what the board shows are all there is."""
    committee = Committee.verified(SignedManifest.decode(honest.world.signed_manifest.encode()))
    audit = honest.audit(into=Audit(committee))
    assert audit.report().clean
    assert len(audit.report().batches) == 4


def test_whoever_comes_after_bundles_were_erased_can_say_as_much(
    honest: RecordedWorld, report: AuditReport
) -> None:
    """[AUD-8]"""
    late = honest.report(honest.erased())
    assert late.clean
    assert late.page() == report.page()


def test_the_page_names_nobody(honest: RecordedWorld, report: AuditReport) -> None:
    """[AUD-4]"""
    page = report.page()
    entries = [Filing.decode(one.payload) for one in honest.record if one.kind == Shown.FILING]
    plans = [one.plan for one in honest.record if one.plan is not None]
    names = [name for plan in plans for name in plan.entries + plan.withdrawn]
    assert len(names) == 7
    assert len(entries) == 5
    assert not any(name.hex()[:8] in page for name in names)
    assert {one.name for one in fields(BatchReport)} == {
        "scope", "number", "opened_at", "epoch", "filings", "withdrawals", "expiries", "matches",
        "evaluated", "logged", "findings",
    }  # fmt: skip
    assert "the record stands" in page


def test_batches_without_events_share_a_line_unless_one_is_not_clean() -> None:
    quiet = [
        BatchReport("s", number, 0, 0, 0, 0, 0, (), evaluated=True, logged=True, findings=())
        for number in range(1, 6)
    ]
    quiet[3] = replace(quiet[3], logged=False)
    page = AuditReport(bytes(32), tuple(quiet), (), 6, 6).page()
    assert "s batches 1 to 3: no event; leaves in the log; ok\n" in page
    assert "s batch 4 at 0, epoch 0: 0 filed" in page
    assert "NOT IN THE LOG; NOT OK" in page
    assert "s batch 5 at 0" in page


def test_a_finding_is_on_the_page_with_its_culprits() -> None:
    finding = Finding(Code.PROOF, "a proof", (2,), 7)
    batch = BatchReport("s", 7, 0, 0, 1, 0, 0, (), evaluated=False, logged=False, findings=(finding,))
    page = AuditReport(bytes(32), (batch,), (finding,), 3, 2).page()
    assert "batch 7: proof.invalid: a proof [trustees 2]" in page
    assert "NOT IN THE LOG; NOT OK" in page
    assert "THE RECORD DOES NOT STAND" in page


def test_reading_the_same_messages_twice_changes_nothing(honest: RecordedWorld, report: AuditReport) -> None:
    once = ("close", "policy")
    doubled = [one for entry in honest.record for one in (entry,) * (1 if entry.kind in once else 2)]
    assert honest.report(doubled).page() == report.page()


def test_rubbish_on_the_board_is_no_fault_of_a_trustee(honest: RecordedWorld) -> None:
    """[AUD-3]"""
    sealed = honest.world.seal(5, honest.world.report(b"x"))
    unsigned = replace(sealed.filing, signature=bytes(64))
    audit = honest.audit()
    audit.take(Shown.FILING, unsigned.encode())
    audit.take(Shown.FILING, b"rubbish")
    audit.take(Shown.FILING, sealed.filing.encode())
    found = audit.report().findings
    assert [one.code for one in found[:1]] == [Code.SIGNATURE]
    assert len(found) == 2
    assert all(one.culprits == () for one in found)


def test_an_expired_report_leaves_and_changes_the_epoch() -> None:
    """[AUD-7]"""
    run = RecordedWorld(World(slots=(1,), levels=(2, 3)))
    run.file(1, b"bob", weeks=1)
    run.file(2, b"eve")
    run.batch()
    run.world.now += 2 * withdraw.WEEK_SECONDS
    plan = run.batch()
    assert len(plan.expired) == 1
    report = run.report()
    assert report.clean, report.page()
    assert (report.batches[1].expiries, report.batches[1].epoch) == (1, 1)


def test_five_trustees_of_whom_three_release() -> None:
    """[AUD-7]"""
    run = RecordedWorld(World(count=5, threshold=3, slots=(1,)))
    run.file(1, b"bob")
    run.file(2, b"bob")
    run.batch()
    report = run.report()
    assert report.clean, report.page()
    assert report.batches[0].matches == (MatchCount(1, 2, 1, 0),)


def test_what_trustees_seal_to_owners_is_passed_over(honest: RecordedWorld) -> None:
    assert any(entry.kind == Outgoing.INCLUSION for entry in honest.record)
    assert honest.report(honest.without(Outgoing.INCLUSION)).clean


def test_upheld_complaint_ends_a_filing_and_accuses_nobody() -> None:
    """[AUD-3] A reporter's bad bundle: the trustee's proof is enough, and her enc counts as used."""
    run = RecordedWorld(World(slots=(1,)))
    world = run.world
    sealed = world.seal(1, world.report(b"bob"))
    bundles = (sealed.filing.bundles[0], bytes(len(sealed.filing.bundles[1])), sealed.filing.bundles[2])
    bad = sign_filing(replace(sealed.filing, bundles=bundles), sealed.owner.signing_key)
    world.give([bad])
    run.publish(bad)
    complaint = next(one.payload for one in run.record if one.kind == Outgoing.COMPLAINT)
    for index in (1, 3):
        machine = world.machines[index]
        intake.receive_complaint(machine.state, world.view(), bad, BundleComplaint.decode(complaint))
    run.file(2, b"bob")
    assert len(run.batch().entries) == 1
    report = run.report()
    assert report.clean, report.page()


def test_rules_may_change_between_filing_and_batch() -> None:
    """[AUD-7]"""
    run = RecordedWorld(World(slots=(1,)))
    run.file(1, b"bob")
    changed = replace(run.world.policy, quota=run.world.policy.quota + 1, version=2)
    run.world.install(changed)
    run.policy(changed)
    run.file(2, b"bob")
    run.batch()
    report = run.report()
    assert report.clean, report.page()
    assert report.explained == report.leaves == 3
