"""The board: takes filings, orders messages, plans batches, keeps the log.

Owns availability and order. Refuses to know identities, subjects, thresholds,
equality and matches; it holds no key that opens anything. Everybody verifies
what it shows: a board that lies is found out, one that is silent is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from notalone_crypto.errors import Code, ContextMismatch, StateConflict, VerificationFailed
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import (
    BatchPlan,
    CosignatureMessage,
    LogUpdate,
    RecordVote,
)
from notalone_crypto.messages.feed import FeedItem, FeedKind, Nudge
from notalone_crypto.messages.filing import Acceptance, BundleComplaint, Filing, Header, Receipt, Withdrawal
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import checkpoint, signing
from notalone_crypto.protocol import accept, log, statement
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.roll import check_snapshot
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.protocol.withdraw import check_withdrawal, has_expired
from notalone_crypto.suite import Tag
from notalone_server.board.ports import BoardStore, Clock
from notalone_server.board.state import BoardEntry, BoardScope, BoardState, LeafInProgress, OpenBatch

_PASSED_ON = {
    FeedKind.COMPLAINT,
    FeedKind.PLAN_VOTE,
    FeedKind.ROUND_ONE,
    FeedKind.ROUND_TWO,
}


@dataclass(slots=True)
class BoardService:
    """One board for one committee."""

    committee: Committee
    signing_key: signing.SigningKey
    clock: Clock
    store: BoardStore
    state: BoardState

    # --- operators ---------------------------------------------------------------------------------

    def publish_policy(self, policy: ScopePolicy) -> None:
        """Put a policy forward; it is in force once a quorum cosigned the log that holds it."""
        scope = self.state.scopes.setdefault(policy.scope, BoardScope(policy))
        scope.policy = policy
        self._append(scope, FeedKind.POLICY, policy.encode())
        self.state.waiting.append((policy.scope, log.policy_leaf(policy), policy.encode()))
        self._next_leaf()
        self.store.save(self.state)

    def publish_snapshot(self, snapshot: RollSnapshot) -> None:
        """The issuer's newest roll, for clients and trustees."""
        scope = self._scope(snapshot.scope)
        issuers = [organisation.issuer_key for organisation in scope.policy.organisations]
        check_snapshot(snapshot, scope=snapshot.scope, issuer_keys=issuers, minimum=0)
        self._append(scope, FeedKind.SNAPSHOT, snapshot.encode())
        self.store.save(self.state)

    # --- reporters ---------------------------------------------------------------------------------

    def submit_filing(self, data: bytes) -> Receipt:
        """Take a filing and promise to include it; the same filing again gets the same promise.

        Raises: MalformedInput, ContextMismatch, StateConflict, VerificationFailed.
        """
        filing = Filing.decode(data)
        header = Header.decode(filing.header)
        scope = self._scope(header.scope)
        if not scope.active:
            raise ContextMismatch(Code.SCOPE, "this scope is not open yet")
        known = scope.entries.get(header.entry)
        if known is None:
            statement.check_shape(header, self.committee, scope.policy)
            expected = accept.bundle_length(len(statement.positions(scope.policy)))
            if len(filing.bundles) != self.committee.count or any(
                len(bundle) != expected for bundle in filing.bundles
            ):
                raise ContextMismatch(Code.LENGTH, "bundles have a wrong number or size")
            check_signature(filing, header.owner_key, Tag.FILING_SIGNATURE)
            spent = scope.spent.setdefault(header.period, [])
            if header.quota_tag in spent:
                raise StateConflict(Code.TAG_SPENT, "this quota place is spent")
            # A plan that is out cannot take it in any more.
            promised = scope.number + (1 if scope.open_batch is None else 2)
            known = BoardEntry(header, filing.fingerprint, promised)
            scope.entries[header.entry] = known
            spent.append(header.quota_tag)
            self._append(scope, FeedKind.FILING, data)
            self.store.save(self.state)
        elif known.filing != filing.fingerprint:
            raise StateConflict(Code.DUPLICATE, "another filing with this header exists")
        receipt = Receipt(filing.fingerprint, header.entry, known.promised, UNSIGNED)
        return sign_message(receipt, self.signing_key, Tag.RECEIPT)

    def submit_withdrawal(self, scope_name: bytes, data: bytes) -> None:
        """Take a withdrawal; effective at the next batch."""
        withdrawal = Withdrawal.decode(data)
        scope = self._scope(scope_name)
        entry = scope.entries.get(withdrawal.entry)
        if entry is None:
            raise StateConflict(Code.UNKNOWN_ENTRY, "no such entry")
        check_withdrawal(withdrawal, entry.header)
        if entry.withdrawn or entry.gone:
            return
        entry.withdrawn = True
        self._append(scope, FeedKind.WITHDRAWAL, data)
        self.store.save(self.state)

    def spent_tags(self, scope_name: bytes, period: int) -> tuple[bytes, ...]:
        """The whole public list: nobody asks about a tag of her own."""
        return tuple(self._scope(scope_name).spent.get(period, []))

    def newest_snapshots(self, scope_name: bytes) -> tuple[RollSnapshot, ...]:
        """The newest snapshot of every organisation's cohorts."""
        newest: dict[tuple[bytes, int], RollSnapshot] = {}
        for item in self._scope(scope_name).feed:
            if item.kind == FeedKind.SNAPSHOT:
                snapshot = RollSnapshot.decode(item.payload)
                newest[snapshot.issuer_key, snapshot.cohort] = snapshot
        return tuple(newest.values())

    def blobs(self, scope_name: bytes) -> tuple[bytes, ...]:
        """Every release blob so far, in order; clients download all and try."""
        scope = self._scope(scope_name)
        return tuple(
            blob
            for number in sorted(scope.blobs)
            for index in sorted(scope.blobs[number])
            for blob in scope.blobs[number][index]
        )

    def inclusion(self, scope_name: bytes, recipient: bytes) -> bytes | None:
        """The sealed path for one filing's recipient key."""
        return self._scope(scope_name).inclusions.get(recipient)

    def find_leaf(self, scope_name: bytes, leaf: bytes) -> LogUpdate:
        """The newest cosigned note with an inclusion proof of `leaf`."""
        index = self._scope(scope_name).leaves.get(leaf)
        if index is None:
            raise StateConflict(Code.INCLUSION, "no such leaf")
        size = checkpoint.Note.decode(self.state.note).checkpoint.size
        return LogUpdate(self.state.note, index, self.state.tree.inclusion_proof(index, size), ())

    # --- trustees and auditors ---------------------------------------------------------------------

    def feed(self, scope_name: bytes, after: int) -> tuple[FeedItem, ...]:
        """Items of a scope with a sequence number above `after` (they start at 1)."""
        return tuple(self._scope(scope_name).feed[max(after, 0) :])

    def log_update(self, index: int, from_size: int) -> LogUpdate:
        """The checkpoint in progress with proofs for somebody who verified `from_size` leaves."""
        current = self.state.in_progress
        note = current.note if current is not None else self.state.note
        tree = self.state.tree
        if from_size > tree.size:
            # A restored board says so plainly; the trustee then refuses it.
            return LogUpdate(note, index, (), ())
        return LogUpdate(note, index, tree.inclusion_proof(index), tree.consistency_proof(from_size))

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        """Proof that the tree of `second` leaves extends that of `first`; empty from the empty tree."""
        return self.state.tree.consistency_proof(first, second) if first else ()

    def post(self, trustee: int, scope_name: bytes, kind: FeedKind, payload: bytes) -> None:
        """Take a trustee's message; what the board understands of it moves the batch on."""
        scope = self._scope(scope_name)
        if kind == FeedKind.ACCEPTANCE:
            acceptance = Acceptance.decode(payload)
            entry = scope.entries.get(acceptance.entry)
            if entry is None or trustee in entry.accepted_by:
                return
            entry.accepted_by.add(trustee)
            self._append(scope, kind, payload)
        elif kind == FeedKind.RECORD_VOTE:
            self._take_record_vote(scope, payload)
        elif kind == FeedKind.RELEASES:
            self._take_blobs(scope, payload)
        elif kind == FeedKind.COMPLAINT:
            complaint = BundleComplaint.decode(payload)
            if complaint.entry in scope.entries:
                scope.entries[complaint.entry].complained = True
                self._append(scope, kind, payload)
        elif kind in _PASSED_ON:
            self._append(scope, kind, payload)
        self.store.save(self.state)

    def post_inclusion(self, scope_name: bytes, recipient: bytes, sealed: bytes) -> None:
        """Keep a path that only its owner can open."""
        self._scope(scope_name).inclusions[recipient] = sealed
        self.store.save(self.state)

    def post_cosignature(self, data: bytes) -> None:
        """Collect cosignatures; with a quorum the leaf counts and its batch is closed."""
        message = CosignatureMessage.decode(data)
        current = self.state.in_progress
        if current is None or message.trustee in current.cosigned_by:
            return
        candidate = current.note + message.line
        signature = checkpoint.Note.decode(candidate).signatures[-1]
        name = log.cosigner_name(self.committee, message.trustee)
        key = self.committee.verify_key(message.trustee)
        if signature.name != name:
            raise VerificationFailed(Code.SIGNATURE, "a cosignature under another name")
        # Verified alone, so that one bad line cannot spoil the note for everybody.
        checkpoint.verify_quorum(
            candidate, log.origin(self.committee), self.signing_key.verify_key, {name: key}, 1
        )
        current.note = candidate
        current.cosigned_by.add(message.trustee)
        if len(current.cosigned_by) >= self.committee.manifest.parameters.quorum:
            self._finish_leaf(current)
        self.store.save(self.state)

    def tick(self) -> None:
        """Plan the next batch of every scope whose time has come; an empty batch is a batch too."""
        now = self.clock()
        for scope in self.state.scopes.values():
            due = scope.number == 0 or now >= scope.opened_at + scope.policy.batch_seconds
            if scope.active and scope.open_batch is None and due:
                self._plan(scope, now)
        self.store.save(self.state)

    # --- inside ------------------------------------------------------------------------------------

    def _plan(self, scope: BoardScope, now: int) -> None:
        held = {
            name: entry
            for name, entry in scope.entries.items()
            if not entry.gone and not entry.complained and len(entry.accepted_by) == self.committee.count
        }
        expired = tuple(sorted(name for name, entry in held.items() if has_expired(entry.header, now)))
        withdrawn = tuple(
            sorted(name for name, entry in held.items() if entry.withdrawn and name not in expired)
        )
        fresh = tuple(
            name for name, entry in held.items() if not entry.batch and name not in expired + withdrawn
        )
        leaves_evaluated = any(held[name].batch for name in expired + withdrawn)
        plan = BatchPlan(
            self.committee.identifier,
            self.committee.manifest.generation,
            scope.policy.scope,
            scope.number + 1,
            scope.leaf,
            now,
            scope.epoch + int(leaves_evaluated),
            tuple(range(1, self.committee.count + 1)),
            withdrawn,
            expired,
            fresh,
        )
        scope.open_batch = OpenBatch(plan.number, plan.encode(), fresh, withdrawn + expired, now)
        self._append(scope, FeedKind.PLAN, plan.encode())

    def _take_record_vote(self, scope: BoardScope, payload: bytes) -> None:
        vote = RecordVote.decode(payload)
        check_signature(vote, self.committee.verify_key(vote.trustee), Tag.BATCH_RECORD)
        batch = scope.open_batch
        if batch is None or BatchPlan.decode(batch.plan).fingerprint != vote.plan:
            return
        if vote.trustee not in batch.record_votes:
            batch.record_votes[vote.trustee] = vote.leaf
            self._append(scope, FeedKind.RECORD_VOTE, payload)
        evaluators = BatchPlan.decode(batch.plan).evaluators
        if (
            set(batch.record_votes) >= set(evaluators)
            and len(set(batch.record_votes.values())) == 1
            and not batch.leaf
        ):
            batch.leaf = vote.leaf
            self.state.waiting.append((scope.policy.scope, vote.leaf, b""))
            self._next_leaf()

    def _take_blobs(self, scope: BoardScope, payload: bytes) -> None:
        message = ReleaseBatch.decode(payload)
        check_signature(message, self.committee.verify_key(message.trustee), Tag.RELEASE)
        batch = scope.open_batch
        if batch is None or BatchPlan.decode(batch.plan).fingerprint != message.plan:
            return
        kept = scope.blobs.setdefault(batch.number, {})
        if message.trustee not in kept:
            kept[message.trustee] = message.blobs
            self._append(scope, FeedKind.RELEASES, payload)

    def _next_leaf(self) -> None:
        """One checkpoint at a time: cosigners must all sign the same tree."""
        if self.state.in_progress is not None or not self.state.waiting:
            return
        scope_name, leaf, policy = self.state.waiting.pop(0)
        index = self.state.tree.size
        self.state.tree = self.state.tree.append(leaf)
        head = checkpoint.Checkpoint(log.origin(self.committee), self.state.tree.size, self.state.tree.root())
        note = checkpoint.sign_checkpoint(head, self.signing_key).encode()
        self.state.in_progress = LeafInProgress(scope_name, leaf, index, policy, note)
        kind = FeedKind.POLICY_LEAF if policy else FeedKind.BATCH_LEAF
        self._append(self.state.scopes[scope_name], kind, Nudge(index).encode())

    def _finish_leaf(self, current: LeafInProgress) -> None:
        scope = self.state.scopes[current.scope]
        self.state.note = current.note
        self.state.in_progress = None
        scope.leaves[current.leaf] = current.index
        proof = self.state.tree.inclusion_proof(current.index)
        update = LogUpdate(current.note, current.index, proof, ()).encode()
        if current.policy:
            scope.active = True
            self._append(scope, FeedKind.POLICY_NOTE, update)
        elif scope.open_batch is not None:
            self._append(scope, FeedKind.BATCH_NOTE, update)
            batch = scope.open_batch
            for name in batch.entries:
                scope.entries[name].batch = batch.number
            for name in batch.leaving:
                scope.entries[name].gone = True
            scope.epoch = BatchPlan.decode(batch.plan).epoch
            scope.number, scope.leaf, scope.opened_at = batch.number, current.leaf, batch.opened_at
            scope.open_batch = None
        self._next_leaf()

    def _append(self, scope: BoardScope, kind: FeedKind, payload: bytes) -> None:
        scope.feed.append(FeedItem(scope.policy.scope, len(scope.feed) + 1, int(kind), payload))

    def _scope(self, name: bytes) -> BoardScope:
        scope = self.state.scopes.get(name)
        if scope is None:
            raise ContextMismatch(Code.SCOPE, "the board does not serve this scope")
        return scope
