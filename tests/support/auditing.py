"""A world whose public record is kept, so that a test can show it to an auditor, changed or not.

Owns the order of publication and forged variants of it. The auditor is never
given anything but bytes that the board would show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.world import World

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, LogUpdate, PlanVote, RecordVote, RoundOne, RoundTwo
from notalone_crypto.messages.filing import Acceptance, Filing
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.primitives import checkpoint, merkle
from notalone_crypto.protocol import file, log
from notalone_crypto.protocol import withdraw as withdrawals
from notalone_crypto.protocol.audit import Audit
from notalone_crypto.protocol.audit_record import Shown
from notalone_crypto.protocol.audit_report import AuditReport
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.state import Outgoing
from notalone_crypto.suite import Tag

SIGNED = {
    Outgoing.ACCEPTANCE: (Acceptance, Tag.ACCEPT),
    Outgoing.PLAN_VOTE: (PlanVote, Tag.PLAN_VOTE),
    Outgoing.ROUND_ONE: (RoundOne, Tag.ROUND_ONE),
    Outgoing.ROUND_TWO: (RoundTwo, Tag.ROUND_TWO),
    Outgoing.RECORD_VOTE: (RecordVote, Tag.BATCH_RECORD),
    Outgoing.RELEASES: (ReleaseBatch, Tag.RELEASE),
}


@dataclass(frozen=True)
class Entry:
    """One thing in the record, in published order."""

    kind: str
    trustee: int = 0
    payload: bytes = b""
    plan: BatchPlan | None = None
    policy: ScopePolicy | None = None
    update: LogUpdate | None = None
    batch: int = 0


@dataclass
class RecordedWorld:
    """Honest steps of a world, each of which leaves its public trace in `record`."""

    world: World = field(default_factory=lambda: World(slots=(1, 2)))
    record: list[Entry] = field(default_factory=list)
    batch_number: int = 0
    _seen_posts: int = 0
    _logged: int = 0

    def __post_init__(self) -> None:
        self.policy(self.world.policy)
        self.snapshot()

    def policy(self, policy: ScopePolicy) -> None:
        self.record.append(Entry("policy", policy=policy, update=self.update()))

    def snapshot(self) -> None:
        self.record.append(Entry(Shown.SNAPSHOT, payload=self.world.snapshot.encode()))

    def update(self) -> LogUpdate:
        """The newest note with proofs for an auditor who saw the one before."""
        tree, old = self.world.tree, self._logged
        self._logged = tree.size
        consistency = tree.consistency_proof(old) if old else ()
        last = tree.size - 1
        return LogUpdate(self.world.last_note, last, tree.inclusion_proof(last), consistency)

    def file(self, *arguments: Any, **options: Any) -> file.SealedReport:
        sealed = self.world.file(*arguments, **options)
        self.publish(sealed.filing)
        return sealed

    def publish(self, filing: Filing) -> None:
        """Show a filing, then what trustees posted since."""
        self.record.append(Entry(Shown.FILING, payload=filing.encode(), batch=self.batch_number + 1))
        self.posts()

    def posts(self) -> None:
        fresh = self.world.posts[self._seen_posts :]
        self._seen_posts = len(self.world.posts)
        for trustee, post in fresh:
            self.record.append(Entry(post.kind, trustee, post.payload, batch=self.batch_number + 1))

    def withdraw(self, sealed: file.SealedReport) -> None:
        self.world.withdraw(sealed)
        request = withdrawals.withdraw(sealed.header.entry, sealed.owner.signing_key)
        self.record.append(Entry(Shown.WITHDRAWAL, payload=request.encode(), batch=self.batch_number + 1))

    def batch(self, plan: BatchPlan | None = None) -> BatchPlan:
        chosen = plan or self.world.plan()
        self.world.run_batch(chosen)
        self.shown(chosen)
        return chosen

    def shown(self, plan: BatchPlan) -> None:
        """Show a batch that was run, with its leaf as the newest of the log."""
        self.posts()
        self.batch_number += 1
        self.record.append(Entry("close", plan=plan, update=self.update(), batch=self.batch_number))

    def audit(self, record: Iterable[Entry] | None = None, into: Audit | None = None) -> Audit:
        """What an auditor finds who reads `record` (default: the true one) with the manifest alone."""
        audit = into or Audit(self.world.committee)
        for entry in self.record if record is None else record:
            if entry.policy is not None and entry.update is not None:
                audit.take_policy(entry.policy, entry.update)
            elif entry.plan is not None and entry.update is not None:
                audit.close_batch(entry.plan, entry.update)
            else:
                kind = Shown(entry.kind) if entry.kind in tuple(Shown) else Outgoing(entry.kind)
                audit.take(kind, entry.payload)
        return audit

    def report(self, record: Iterable[Entry] | None = None) -> AuditReport:
        return self.audit(record).report()

    def without(self, kind: str, trustee: int = 0, batch: int = 0) -> list[Entry]:
        """The record less some entries; 0 means any."""
        return [entry for entry in self.record if not _fits(entry, kind, trustee, batch)]

    def erased(self) -> list[Entry]:
        """The record as one sees it who comes after the board erased all bundles."""
        return [
            replace(one, kind=Shown.TRACE, payload=Filing.decode(one.payload).trace.encode())
            if one.kind == Shown.FILING
            else one
            for one in self.record
        ]

    def altered(self, kind: Outgoing, trustee: int, batch: int, change: Callable[[Any], Any]) -> list[Entry]:
        """The record with one trustee's message changed and signed again by that trustee."""
        message_type, tag = SIGNED[kind]
        key = self.world.secrets[trustee].signing_key

        def forge(entry: Entry) -> Entry:
            if not _fits(entry, kind, trustee, batch):
                return entry
            message = sign_message(change(message_type.decode(entry.payload)), key, tag)  # type: ignore[type-var]
            return replace(entry, payload=message.encode())

        return [forge(entry) for entry in self.record]

    def votes_for(self, plan: BatchPlan) -> list[Entry]:
        """All trustees' votes for a plan that honest ones would refuse."""
        return [
            Entry(
                Outgoing.PLAN_VOTE,
                index,
                sign_message(
                    PlanVote(plan.fingerprint, index, bytes(32), bytes(64)), own.signing_key, Tag.PLAN_VOTE
                ).encode(),
            )
            for index, own in self.world.secrets.items()
        ]

    def note_of(self, tree: merkle.MerkleTree) -> bytes:
        """A note over any tree, cosigned by every trustee, checked by none."""
        head = checkpoint.Checkpoint(log.origin(self.world.committee), tree.size, tree.root())
        note = checkpoint.sign_checkpoint(head, self.world.board_key)
        for index, own in self.world.secrets.items():
            name = log.cosigner_name(self.world.committee, index)
            note = note.with_signature(checkpoint.cosign(head, name, own.signing_key, self.world.now))
        return note.encode()


def _fits(entry: Entry, kind: str, trustee: int, batch: int) -> bool:
    return entry.kind == kind and trustee in {0, entry.trustee} and batch in {0, entry.batch}
