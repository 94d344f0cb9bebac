"""What a board and dishonest trustees do to the record, and what the auditor says to it ([AUD-1])."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.auditing import Entry, RecordedWorld
from tests.support.world import World

from notalone_crypto.errors import Code, ContextMismatch, RollRefused
from notalone_crypto.messages.evaluation import BatchPlan, CosignatureMessage, LogUpdate, RoundOne, RoundTwo
from notalone_crypto.messages.filing import (
    Acceptance,
    BundleComplaint,
    Filing,
    FilingTrace,
    Header,
    Withdrawal,
)
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import merkle
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol import accept, batch, file, intake, log
from notalone_crypto.protocol.audit_record import Shown
from notalone_crypto.protocol.audit_report import AuditReport
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import Outgoing, Post
from notalone_crypto.protocol.withdraw import DAY_SECONDS
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS, Tag

Verdict = tuple[Code, tuple[int, ...]]


@pytest.fixture(scope="module")
def run() -> RecordedWorld:
    """Batch 1 holds a match, batch 2 a withdrawal; nothing in it is wrong until a test changes it."""
    recorded = RecordedWorld(World(slots=(1,)))
    recorded.file(1, b"bob")
    recorded.file(2, b"bob")
    gone = recorded.file(3, b"eve")
    recorded.batch()
    recorded.withdraw(gone)
    recorded.batch()
    return recorded


def small() -> RecordedWorld:
    return RecordedWorld(World(slots=(1,)))


def verdicts(report: AuditReport) -> list[Verdict]:
    return [(finding.code, finding.culprits) for finding in report.findings]


def in_batch(report: AuditReport, number: int) -> list[Verdict]:
    return [(finding.code, finding.culprits) for finding in report.findings if finding.batch == number]


def closing(run: RecordedWorld, number: int) -> Entry:
    return next(entry for entry in run.record if entry.kind == "close" and entry.batch == number)


def plan_of(run: RecordedWorld, number: int) -> BatchPlan:
    plan = closing(run, number).plan
    if plan is None:
        raise LookupError
    return plan


def next_plan(run: RecordedWorld, **changes: object) -> list[Entry]:
    """A third batch that every trustee votes for, though none should."""
    world = run.world
    plan = replace(world.plan(), **changes)  # type: ignore[arg-type]
    return [*run.votes_for(plan), Entry("close", plan=plan, update=closing(run, 2).update, batch=3)]


def test_the_record_is_sound_before_it_is_attacked(run: RecordedWorld) -> None:
    assert run.report().clean


def test_hidden_match(run: RecordedWorld) -> None:
    """[AUD-1, AUD-6] A trustee bends its output, so that two that match seem not to."""
    other = RISTRETTO255.generator

    def bend(message: RoundTwo) -> RoundTwo:
        return replace(message, points=(other, *message.points[1:]))

    report = run.report(run.altered(Outgoing.ROUND_TWO, 2, 1, bend))
    assert (Code.PROOF, (2,)) in in_batch(report, 1)
    assert not report.batches[0].evaluated
    assert report.batches[0].matches == ()
    assert not report.batches[1].clean


def test_hidden_match_by_all_trustees_with_a_record_that_leaves_it_out(run: RecordedWorld) -> None:
    """[AUD-1] They may log what they like: the recomputed record has the match and another leaf."""

    def other_leaf(message: object) -> object:
        return replace(message, leaf=bytes([1]) * 32)  # type: ignore[type-var]

    record = run.record
    for trustee in (1, 2, 3):
        recorded = RecordedWorld.altered(_with(run, record), Outgoing.RECORD_VOTE, trustee, 1, other_leaf)
        record = recorded
    report = run.report(record)
    assert in_batch(report, 1) == [(Code.FORK, (1, 2, 3))]
    assert report.batches[0].matches[0].formed == 1


def test_forged_round_proof(run: RecordedWorld) -> None:
    """[AUD-1]"""

    def forge(message: RoundOne) -> RoundOne:
        changed = bytes([message.proof[-1] ^ 1])
        return replace(message, proof=message.proof[:-1] + changed)

    report = run.report(run.altered(Outgoing.ROUND_ONE, 3, 1, forge))
    assert in_batch(report, 1) == [(Code.PROOF, (3,))]


def test_two_liars_in_one_round_are_both_named(run: RecordedWorld) -> None:
    """[AUD-6]"""

    def forge(message: RoundOne) -> RoundOne:
        return replace(message, duplicates=(*message.duplicates[1:], message.duplicates[0]))

    record = run.altered(Outgoing.ROUND_ONE, 1, 1, forge)
    report = run.report(_with(run, record).altered(Outgoing.ROUND_ONE, 3, 1, forge))
    assert in_batch(report, 1) == [(Code.PROOF, (1, 3))]


def test_opening_that_is_no_scalar_names_its_sender(run: RecordedWorld) -> None:
    def overflow(message: RoundOne) -> RoundOne:
        return replace(message, openings=(ORDER.to_bytes(32, "little"), *message.openings[1:]))

    report = run.report(run.altered(Outgoing.ROUND_ONE, 2, 1, overflow))
    assert in_batch(report, 1) == [(Code.NON_CANONICAL, (2,))]


def test_too_few_values_name_their_sender(run: RecordedWorld) -> None:
    def shorten(message: RoundTwo) -> RoundTwo:
        return replace(message, points=message.points[1:])

    report = run.report(run.altered(Outgoing.ROUND_TWO, 2, 1, shorten))
    assert in_batch(report, 1) == [(Code.LENGTH, (2,))]


def test_unsigned_round_message_does_not_count(run: RecordedWorld) -> None:
    """[AUD-3]"""
    record = [
        replace(entry, payload=entry.payload[:-64] + bytes(64))
        if (entry.kind, entry.trustee, entry.batch) == (Outgoing.ROUND_ONE, 2, 1)
        else entry
        for entry in run.record
    ]
    report = run.report(record)
    assert verdicts(report)[:2] == [(Code.SIGNATURE, ()), (Code.OUT_OF_ORDER, ())]


def test_withheld_round_message_names_nobody(run: RecordedWorld) -> None:
    """[AUD-3]"""
    report = run.report(run.without(Outgoing.ROUND_TWO, 3, 1))
    assert in_batch(report, 1) == [(Code.OUT_OF_ORDER, ())]
    assert "trustees 3" in report.findings[0].detail


def test_contradicting_itself_in_one_round(run: RecordedWorld) -> None:
    """One message to the trustees, another to the auditor: both are signed."""

    def swap(message: RoundTwo) -> RoundTwo:
        return replace(message, points=(*message.points[1:], message.points[0]))

    forged = [entry for entry in run.altered(Outgoing.ROUND_TWO, 1, 1, swap) if entry not in run.record]
    assert len(forged) == 1
    report = run.report([*run.record, *forged])
    assert verdicts(report) == [(Code.EQUIVOCATION, (1,))]


def test_suppressed_acceptance(run: RecordedWorld) -> None:
    """[AUD-1] A plan with an entry that one trustee never accepted: its acceptance is nowhere."""
    report = run.report(run.without(Outgoing.ACCEPTANCE, 3, 1))
    assert in_batch(report, 1) == [(Code.UNKNOWN_ENTRY, (1, 2, 3))]


def test_acceptance_of_other_bytes(run: RecordedWorld) -> None:
    def other_filing(message: Acceptance) -> Acceptance:
        return replace(message, filing=bytes(32))

    report = run.report(run.altered(Outgoing.ACCEPTANCE, 2, 1, other_filing))
    assert (Code.UNKNOWN_ENTRY, (1, 2, 3)) in in_batch(report, 1)


def test_accepting_twice_differently(run: RecordedWorld) -> None:
    def other_filing(message: Acceptance) -> Acceptance:
        return replace(message, filing=bytes(32))

    forged = run.altered(Outgoing.ACCEPTANCE, 2, 1, other_filing)
    report = run.report(run.record + [entry for entry in forged if entry not in run.record])
    assert set(verdicts(report)) == {(Code.EQUIVOCATION, (2,))}


def test_holders_who_commit_to_different_subset_values(run: RecordedWorld) -> None:
    def lie(message: Acceptance) -> Acceptance:
        row, *others = message.subset_commitments
        return replace(message, subset_commitments=((row[1], row[0], *row[2:]), *others))

    report = run.report(run.altered(Outgoing.ACCEPTANCE, 2, 1, lie))
    code, culprits = in_batch(report, 1)[0]
    assert code == Code.SUBSET_MISMATCH
    assert 2 in culprits
    assert len(culprits) == 2


def test_reinserted_withdrawn_report(run: RecordedWorld) -> None:
    withdrawn = plan_of(run, 2).withdrawn
    assert len(withdrawn) == 1
    report = run.report(run.record + next_plan(run, entries=withdrawn))
    assert in_batch(report, 3) == [(Code.DUPLICATE, (1, 2, 3))]
    assert in_batch(report, 2) == []


def test_report_counted_a_second_time_while_it_is_live(run: RecordedWorld) -> None:
    report = run.report(run.record + next_plan(run, entries=plan_of(run, 1).entries[:1]))
    assert in_batch(report, 3) == [(Code.DUPLICATE, (1, 2, 3))]


def test_withdrawal_that_the_owner_did_not_sign(run: RecordedWorld) -> None:
    """The board or a trustee gets rid of a report: without her signature it stays."""
    record = [
        replace(entry, payload=Withdrawal(Withdrawal.decode(entry.payload).entry, bytes(64)).encode())
        if entry.kind == Shown.WITHDRAWAL
        else entry
        for entry in run.record
    ]
    report = run.report(record)
    assert verdicts(report) == [(Code.SIGNATURE, ()), (Code.UNKNOWN_ENTRY, (1, 2, 3))]


def test_withdrawal_that_is_never_carried_out(run: RecordedWorld) -> None:
    """The owner asked before batch 1 was closed; batches 2 and 3 keep her in."""
    recorded = small()
    kept = recorded.file(1, b"bob")
    recorded.batch()
    shown = recorded.record
    for _ in range(2):
        recorded.batch()
    recorded.withdraw(kept)
    asked = recorded.record.pop()
    place = next(number for number, entry in enumerate(shown) if entry.kind == "close") + 1
    recorded.record.insert(place, asked)
    report = recorded.report()
    assert in_batch(report, 3) == [(Code.OUT_OF_ORDER, (1, 2, 3))]


def test_wrong_epoch(run: RecordedWorld) -> None:
    """Batch 2 moved to epoch 1; staying there is right, another step or a step back is not."""
    for epoch in (0, 2):
        report = run.report(run.record + next_plan(run, epoch=epoch))
        assert in_batch(report, 3) == [(Code.OUT_OF_ORDER, (1, 2, 3))]


def test_plan_that_does_not_follow_the_one_before(run: RecordedWorld) -> None:
    for changes in ({"number": 4}, {"previous": bytes(32)}):
        report = run.report(run.record + next_plan(run, **changes))
        assert (Code.ROLLBACK, (1, 2, 3)) in verdicts(report)


def test_left_out_batch(run: RecordedWorld) -> None:
    """[AUD-6] Batch 1 is kept from the auditor: batch 2 does not start from nothing."""
    report = run.report([entry for entry in run.record if entry.kind != "close" or entry.batch != 1])
    assert Code.ROLLBACK in [finding.code for finding in report.findings]
    assert not report.clean


def test_two_plans_of_one_number(run: RecordedWorld) -> None:
    world = run.world
    plan = replace(plan_of(run, 2), opened_at=world.now + 1)
    forged = [Entry(Shown.PLAN, payload=plan.encode()), *run.votes_for(plan)[:2]]
    assert verdicts(run.report(run.record + forged))[-1] == (Code.EQUIVOCATION, (1, 2))
    assert verdicts(run.report(forged + run.record))[-1] == (Code.EQUIVOCATION, (1, 2))


def test_two_plans_of_one_number_are_opened_by_one_trustee(run: RecordedWorld) -> None:
    """[AUD-9] A vote may go to a newer plan, an opening may not: who signed both is named."""
    world, plan = run.world, plan_of(run, 2)
    newer = replace(plan, opened_at=plan.opened_at + CLOCK_TOLERANCE_SECONDS + 1)
    moved = [Entry(Shown.PLAN, payload=newer.encode()), *run.votes_for(newer)]
    assert run.report(run.record + moved).clean
    first = next(
        one.payload for one in run.record if (one.kind, one.trustee, one.batch) == (Outgoing.ROUND_ONE, 1, 2)
    )
    opened = sign_message(
        replace(RoundOne.decode(first), plan=newer.fingerprint),
        world.secrets[1].signing_key,
        Tag.ROUND_ONE,
    )
    forged = [*moved, Entry(Outgoing.ROUND_ONE, 1, opened.encode())]
    assert verdicts(run.report(run.record + forged)) == [(Code.EQUIVOCATION, (1,))]
    assert verdicts(run.report(forged + run.record))[-1] == (Code.EQUIVOCATION, (1,))


def test_accepted_filing_that_no_batch_takes() -> None:
    """[AUD-1] Suppressed filing: every trustee accepted it, and the board plans without it."""
    recorded = small()
    recorded.file(1, b"bob")
    for _ in range(3):
        recorded.batch(recorded.world.plan(entries=()))
    report = recorded.report()
    assert in_batch(report, 1) == []
    assert in_batch(report, 2) == in_batch(report, 3) == [(Code.OUT_OF_ORDER, ())]


def test_forged_filing_proof_that_trustees_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's report that all trustees accept: it is evaluated, matched, and noted."""
    recorded = small()
    world = recorded.world
    recorded.file(1, b"bob")
    stranger = world.seal(2, world.report(b"bob"))
    proof = world.seal(3, world.report(b"bob")).filing.proof
    key = stranger.owner.signing_key
    forged = file.sign_filing(replace(stranger.filing, proof=proof), key)
    with monkeypatch.context() as dishonest:
        dishonest.setattr(intake.accept, "verify_statements", lambda _, filings: [None] * len(filings))
        world.give([forged])
    recorded.publish(forged)
    recorded.batch()
    report = recorded.report()
    assert in_batch(report, 1) == [(Code.PROOF, (1, 2, 3))]
    assert report.batches[0].evaluated
    assert report.batches[0].matches[0].formed == 1


def test_quota_place_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trustees who look away from a spent tag signed for both."""
    recorded = small()
    world = recorded.world
    honest = accept.check_cheaply
    recorded.file(1, b"bob")
    again = None
    for _ in range(200):  # the quota place is drawn at random
        sealed = world.seal(1, world.report(b"eve"))
        if sealed.header.quota_tag in world.spent():
            again = sealed
            break
    assert again is not None
    with monkeypatch.context() as dishonest:
        dishonest.setattr(
            intake.accept, "check_cheaply", lambda view, filing, encs, _: honest(view, filing, encs, set())
        )
        for machine in world.machines.values():
            machine.state.spent.clear()
        world.give([again.filing])
    recorded.publish(again.filing)
    recorded.batch()
    report = recorded.report()
    assert (Code.TAG_SPENT, (1, 2, 3)) in in_batch(report, 1)
    assert not report.batches[0].clean


def test_filing_under_a_roll_or_policy_that_was_not_shown(run: RecordedWorld) -> None:
    report = run.report(run.without(Shown.SNAPSHOT))
    assert Code.SNAPSHOT in [finding.code for finding in report.findings]
    report = run.report(run.without("policy"))
    assert [Code.SCOPE in [one.code for one in batch.findings] for batch in report.batches] == [True, True]
    assert not report.clean


def test_roll_that_is_not_the_issuers(run: RecordedWorld) -> None:
    forged = sign_message(run.world.snapshot, run.world.board_key, Tag.ROLL_SNAPSHOT)
    record = [
        replace(entry, payload=forged.encode()) if entry.kind == Shown.SNAPSHOT else entry
        for entry in run.record
    ]
    assert run.report(record).findings[0].code == Code.SIGNATURE


def test_filing_hidden_among_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """[ROLL-2] A page served to her does not refuse 31 places, and all trustees let it through."""
    recorded = RecordedWorld(World(slots=(1,), members=31))
    assert recorded.report().clean, "a roll may begin small"
    with monkeypatch.context() as dishonest:
        dishonest.setattr(file, "check_snapshot", lambda *_, **__: None)
        sealed = recorded.world.seal(1, recorded.world.report(b"bob"))
    with pytest.raises(RollRefused) as refused:
        recorded.world.give([sealed.filing])
    assert refused.value.code is Code.ROLL_TOO_SMALL
    with monkeypatch.context() as dishonest:
        dishonest.setattr(accept, "MIN_ROLL", 0)
        recorded.world.give([sealed.filing])
    recorded.publish(sealed.filing)
    recorded.batch()
    assert (Code.ROLL_TOO_SMALL, (1, 2, 3)) in in_batch(recorded.report(), 1)


def test_two_rolls_of_one_number(run: RecordedWorld) -> None:
    snapshot = run.world.snapshot
    other = sign_message(replace(snapshot, places=snapshot.places[1:]), run.world.issuer, Tag.ROLL_SNAPSHOT)
    audit = run.audit()
    audit.take(Shown.SNAPSHOT, RollSnapshot.encode(other))
    assert verdicts(audit.report()) == [(Code.EQUIVOCATION, ())]


def test_missing_blobs(run: RecordedWorld) -> None:
    """[AUD-1] No blobs, or fewer: a release that was due could be left out."""
    report = run.report(run.without(Outgoing.RELEASES, 2, 1))
    assert in_batch(report, 1) == [(Code.LENGTH, ())]
    assert "trustee 2" in report.findings[0].detail

    def fewer(message: ReleaseBatch) -> ReleaseBatch:
        return replace(message, blobs=message.blobs[:-1])

    report = run.report(run.altered(Outgoing.RELEASES, 2, 1, fewer))
    assert in_batch(report, 1) == [(Code.LENGTH, (2,))]
    assert report.batches[0].logged
    assert not report.batches[0].clean


def test_altered_record_leaf() -> None:
    """[AUD-1] Board and all trustees put another leaf in the log than their messages give."""
    recorded = small()
    world = recorded.world
    recorded.file(1, b"bob")
    plan = world.plan()
    world.deliver(world.start_batch(plan))

    def cosign_unseen(machine: object, update: LogUpdate) -> Post:
        index = machine.secrets.index  # type: ignore[attr-defined]
        message = log.cosign(world.committee, index, world.secrets[index].signing_key, update, world.now)
        return Post(Outgoing.COSIGNATURE, world.policy.scope, CosignatureMessage.encode(message))

    world.log_leaf(bytes(32), cosign_unseen)
    recorded.shown(plan)
    report = recorded.report()
    assert in_batch(report, 1) == [(Code.INCLUSION, ())]
    assert report.batches[0].evaluated
    assert not report.batches[0].logged
    assert report.explained < report.leaves


def test_forked_log(run: RecordedWorld) -> None:
    """[AUD-5] Two notes of one size and two roots, both cosigned: each cosigner is named."""
    tree = run.world.tree
    other = merkle.MerkleTree.of([bytes([number]) * 32 for number in range(tree.size)])
    audit = run.audit()
    audit.take_note(run.note_of(other))
    assert verdicts(audit.report()) == [(Code.FORK, (1, 2, 3))]


def test_forked_log_of_another_size(run: RecordedWorld) -> None:
    """[AUD-5]"""
    tree = run.world.tree
    other = merkle.MerkleTree.of([bytes([number]) * 32 for number in range(tree.size + 1)])
    audit = run.audit()
    audit.take_note(run.note_of(other), other.consistency_proof(tree.size))
    assert verdicts(audit.report()) == [(Code.CONSISTENCY, ())]
    assert audit.view.root == tree.root()


def test_older_and_newer_notes_of_the_same_log_are_fine(run: RecordedWorld) -> None:
    tree = run.world.tree
    newer = tree.append(bytes(32))
    audit = run.audit()
    audit.take_note(run.note_of(tree))
    audit.take_note(run.note_of(newer), newer.consistency_proof(tree.size))
    audit.take_note(run.note_of(merkle.MerkleTree.of([log.policy_leaf(run.world.policy)])))
    assert audit.report().clean
    assert audit.view.size == tree.size + 1


def test_note_without_a_quorum(run: RecordedWorld) -> None:
    """[AUD-5]"""
    note = b"\n".join(run.note_of(run.world.tree.append(bytes(32))).split(b"\n")[:-2]) + b"\n"
    audit = run.audit()
    audit.take_note(note)
    assert verdicts(audit.report()) == [(Code.QUORUM, ())]


def test_false_complaint_names_its_accuser_and_stops_nothing(run: RecordedWorld) -> None:
    """[AUD-3] A trustee opens a good bundle and calls it bad, after it accepted."""
    filing = next(Filing.decode(entry.payload) for entry in run.record if entry.kind == Shown.FILING)
    entry = plan_of(run, 1).entries[0]
    lie = sign_message(
        BundleComplaint(entry, filing.fingerprint, 2, RISTRETTO255.generator, bytes(64), bytes(64)),
        run.world.secrets[2].signing_key,
        Tag.COMPLAINT,
    )
    place = next(number for number, one in enumerate(run.record) if one.kind == Shown.FILING) + 1
    shown = Entry(Outgoing.COMPLAINT, 2, lie.encode())
    report = run.report([*run.record[:place], shown, *run.record[place:]])
    assert verdicts(report) == [(Code.COMPLAINT, (2,))]
    assert all(batch.evaluated and batch.logged for batch in report.batches)
    # Without a signature it is the board's word, and nobody is accused by it.
    framed = replace(shown, payload=replace(lie, signature=bytes(64)).encode())
    report = run.report([*run.record[:place], framed, *run.record[place:]])
    assert verdicts(report) == [(Code.SIGNATURE, ())]


@pytest.mark.parametrize("field", ["header", "proof", "bundle_hashes", "signature"])
def test_erased_filing_put_in_the_place_of_another(run: RecordedWorld, field: str) -> None:
    """[AUD-8] A board that erased the bundles shows other remains than those all trustees accepted."""
    record = run.erased()
    places = [number for number, one in enumerate(record) if one.kind == Shown.TRACE]
    first, second = (FilingTrace.decode(record[number].payload) for number in places[:2])
    other = replace(first, **{field: getattr(second, field)})
    record[places[0]] = replace(record[places[0]], payload=other.encode())
    report = run.report(record)
    assert not report.clean
    assert (Code.SIGNATURE, ()) in verdicts(report)


def test_complaint_about_an_erased_filing(run: RecordedWorld) -> None:
    """[AUD-8] What all accepted is erased; whoever complains then accepted too, and is named."""
    record = run.erased()
    trace = next(FilingTrace.decode(one.payload) for one in record if one.kind == Shown.TRACE)
    entry = Header.decode(trace.header).entry
    lie = sign_message(
        BundleComplaint(entry, trace.fingerprint, 2, RISTRETTO255.generator, bytes(64), bytes(64)),
        run.world.secrets[2].signing_key,
        Tag.COMPLAINT,
    )
    place = next(number for number, one in enumerate(record) if one.kind == Shown.TRACE) + 1
    shown = Entry(Outgoing.COMPLAINT, 2, lie.encode())
    assert verdicts(run.report([*record[:place], shown, *record[place:]])) == [(Code.EQUIVOCATION, (2,))]


def test_board_that_erases_the_evidence_of_a_complaint() -> None:
    """[AUD-8] Bundles that a trustee complained about are kept; without them nobody is accused."""
    recorded = small()
    world = recorded.world
    sealed = world.seal(1, world.report(b"bob"))
    bundles = (sealed.filing.bundles[0], bytes(len(sealed.filing.bundles[1])), sealed.filing.bundles[2])
    bad = file.sign_filing(replace(sealed.filing, bundles=bundles), sealed.owner.signing_key)
    world.give([bad])
    recorded.publish(bad)
    complaint = next(one.payload for one in recorded.record if one.kind == Outgoing.COMPLAINT)
    for index in (1, 3):
        machine = world.machines[index]
        intake.receive_complaint(machine.state, world.view(), bad, BundleComplaint.decode(complaint))
    recorded.file(2, b"bob")
    recorded.batch()
    assert recorded.report().clean
    assert verdicts(recorded.report(recorded.erased())) == [(Code.COMPLAINT, ())]


def test_quota_place_of_a_period_that_was_not_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trustees accept under a clock of their own, so that one person files without limit."""
    recorded = small()
    world = recorded.world
    world.now += 366 * DAY_SECONDS
    recorded.file(1, b"bob")
    world.now -= 366 * DAY_SECONDS
    with pytest.raises(ContextMismatch) as caught:
        recorded.batch()  # an honest trustee votes for no such plan
    assert caught.value.code == Code.PERIOD
    with monkeypatch.context() as dishonest:
        dishonest.setattr(batch, "_check_periods", lambda *_: None)
        recorded.batch()
    assert in_batch(recorded.report(), 1)[0] == (Code.PERIOD, (1, 2, 3))


def test_filing_published_after_its_roll_was_replaced() -> None:
    """[AUD-3] A closed place files under an old roll; the order is the board's, so nobody is named."""
    recorded = small()
    sealed = recorded.world.seal(2, recorded.world.report(b"eve"))
    for number in (2, 3):
        recorded.world.refresh_snapshot(number, frozenset({2}))
        recorded.snapshot()
    recorded.record.append(Entry(Shown.FILING, payload=sealed.filing.encode()))
    assert verdicts(recorded.report()) == [(Code.SNAPSHOT, ())]


def _with(run: RecordedWorld, record: list[Entry]) -> RecordedWorld:
    """The same world with another record, to change a second thing."""
    other = object.__new__(RecordedWorld)
    other.__dict__.update(run.__dict__, record=record)
    return other
