"""What trustees post: acceptances, votes, rounds and releases, and what of it moves the batch on.

Owns how each kind is taken. Refuses to know what the board cannot read: plan votes and the
rounds' messages are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from notalone_crypto.errors import Code, ContextMismatch
from notalone_crypto.messages.evaluation import BatchPlan, RecordVote
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.filing import Acceptance, BundleComplaint
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.suite import Tag
from notalone_server.board.admission import known_scope
from notalone_server.board.leaves import Leaves
from notalone_server.board.ports import BoardStore, Writing
from notalone_server.board.state import QueuedLeaf

_PASSED_ON = {
    FeedKind.PLAN_VOTE,
    FeedKind.ROUND_ONE,
    FeedKind.ROUND_TWO,
}


@dataclass(frozen=True, slots=True)
class Posts:
    """Takes trustees' messages into one board's store."""

    committee: Committee
    leaves: Leaves

    def take(
        self, store: BoardStore, trustee: int, scope_name: bytes, kind: FeedKind, payloads: Sequence[bytes]
    ) -> None:
        """All of one trustee's messages of one kind, or none.

        Raises: ContextMismatch for a kind that trustees do not post, or in another's name; MalformedInput,
        VerificationFailed.
        """
        if kind == FeedKind.ACCEPTANCE:
            # Read before the database is locked, and taken as one: people who file wait for the same lock.
            acceptances = [(Acceptance.decode(payload), payload) for payload in payloads]
            with store.writing() as writing:
                known_scope(writing, scope_name)
                _take_acceptances(writing, scope_name, trustee, acceptances)
            return
        with store.writing() as writing:
            known_scope(writing, scope_name)
            for payload in payloads:
                self._take(writing, trustee, scope_name, kind, payload)

    def _take(self, store: Writing, trustee: int, scope_name: bytes, kind: FeedKind, payload: bytes) -> None:
        if kind == FeedKind.COMPLAINT:
            _take_complaint(store, scope_name, trustee, payload)
        elif kind == FeedKind.RECORD_VOTE:
            self._take_record_vote(store, scope_name, payload)
        elif kind == FeedKind.RELEASES:
            self._take_releases(store, scope_name, payload)
        elif kind in _PASSED_ON:
            if kind == FeedKind.PLAN_VOTE:
                _note_vote(store, scope_name, trustee)
            store.append(scope_name, kind, payload)
        else:
            raise ContextMismatch(Code.COMMITTEE, "trustees do not post this kind")

    def _take_record_vote(self, store: Writing, name: bytes, payload: bytes) -> None:
        vote = RecordVote.decode(payload)
        check_signature(vote, self.committee.verify_key(vote.trustee), Tag.BATCH_RECORD)
        scope = known_scope(store, name)
        batch = scope.open_batch
        if batch is None:
            return
        plan = BatchPlan.decode(batch.plan)
        if plan.fingerprint != vote.plan:
            return
        if vote.trustee not in batch.record_votes:
            batch.record_votes[vote.trustee] = vote.leaf
            store.append(name, FeedKind.RECORD_VOTE, payload)
        agreed = len(set(batch.record_votes.values())) == 1
        complete = set(batch.record_votes) >= set(plan.evaluators) and agreed and not batch.leaf
        if complete:
            batch.leaf = vote.leaf
        store.put_scope(scope)
        if complete:
            self.leaves.add(store, QueuedLeaf(name, vote.leaf, b""))

    def _take_releases(self, store: Writing, name: bytes, payload: bytes) -> None:
        message = ReleaseBatch.decode(payload)
        check_signature(message, self.committee.verify_key(message.trustee), Tag.RELEASE)
        batch = known_scope(store, name).open_batch
        if batch is None:
            return
        plan = BatchPlan.decode(batch.plan)
        if plan.fingerprint == message.plan and message.trustee not in store.blobs(name, plan.number):
            store.put_blobs(name, plan.number, message.trustee, message.blobs)
            store.append(name, FeedKind.RELEASES, payload)


def _take_acceptances(
    store: Writing, scope_name: bytes, trustee: int, acceptances: Sequence[tuple[Acceptance, bytes]]
) -> None:
    """Those of known entries that are new; the rest is repeated by who was killed before it heard."""
    entries = store.entries(scope_name, [acceptance.entry for acceptance, _ in acceptances])
    fresh: dict[bytes, bytes] = {}
    for acceptance, payload in acceptances:
        entry = entries.get(acceptance.entry)
        if entry is None or trustee in entry.accepted_by or entry.name in fresh:
            continue
        if acceptance.trustee != trustee or acceptance.filing != entry.filing:
            raise ContextMismatch(Code.COMMITTEE, "an acceptance of another trustee or filing")
        fresh[entry.name] = payload
    if fresh:
        store.accept(scope_name, trustee, list(fresh))
        store.append_all(scope_name, FeedKind.ACCEPTANCE, list(fresh.values()))


def _take_complaint(store: Writing, scope_name: bytes, trustee: int, payload: bytes) -> None:
    complaint = BundleComplaint.decode(payload)
    entry = store.entry(scope_name, complaint.entry)
    if entry is None:
        return
    if complaint.trustee != trustee:
        raise ContextMismatch(Code.COMMITTEE, "a complaint of another trustee")
    entry.complained = True
    store.put_entry(scope_name, entry)
    store.append(scope_name, FeedKind.COMPLAINT, payload)


def _note_vote(store: Writing, scope_name: bytes, trustee: int) -> None:
    scope = known_scope(store, scope_name)
    if scope.open_batch is not None:
        scope.open_batch.voted.add(trustee)
        store.put_scope(scope)
