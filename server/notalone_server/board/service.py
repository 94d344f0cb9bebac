"""The board: takes filings, orders messages, plans batches, keeps the log.

Owns availability and order. Refuses to know identities, subjects, thresholds,
equality and matches; it holds no key that opens anything. Everybody verifies
what it shows: a board that lies is found out, one that is silent is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, StateConflict
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import (
    CosignatureMessage,
    LogUpdate,
)
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_crypto.messages.filing import Receipt, Withdrawal
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import checkpoint, signing
from notalone_crypto.protocol import log
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.roll import check_snapshot
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.suite import Tag
from notalone_server.board import admission, planning
from notalone_server.board.admission import known_scope
from notalone_server.board.intake import Intake
from notalone_server.board.leaves import Leaves
from notalone_server.board.ports import BoardStore, Clock, Reading, Writing
from notalone_server.board.posts import Posts
from notalone_server.board.state import (
    EntryState,
    OpenBatch,
    QueuedLeaf,
    ScopeRecord,
)

NO_LIMIT = 1 << 62


@dataclass(slots=True)
class BoardService:
    """One board for one committee."""

    committee: Committee
    signing_key: signing.SigningKey
    clock: Clock
    store: BoardStore
    _rolls: admission.NewestRolls = field(init=False, default_factory=admission.NewestRolls)
    _intake: Intake = field(init=False)
    _leaves: Leaves = field(init=False)
    _posts: Posts = field(init=False)
    _read: dict[tuple[bytes, str], int] = field(init=False, default_factory=dict)  # scope, reader -> cursor

    def __post_init__(self) -> None:
        """Filings go through one intake, leaves through one log."""
        self._leaves = Leaves(self.committee, self.signing_key)
        self._posts = Posts(self.committee, self._leaves)
        self._intake = Intake(self.committee, self._now, self.store, self._rolls)

    # --- operators ---------------------------------------------------------------------------------

    def publish_policy(self, policy: ScopePolicy) -> None:
        """Put a policy forward; it is in force once a quorum cosigned the log that holds it."""
        with self.store.writing() as store:
            record = store.scope(policy.scope) or ScopeRecord(policy)
            record.policy = policy
            store.put_scope(record)
            store.append(policy.scope, FeedKind.POLICY, policy.encode())
            self._leaves.add(store, QueuedLeaf(policy.scope, log.policy_leaf(policy), policy.encode()))

    def publish_snapshot(self, snapshot: RollSnapshot) -> None:
        """The issuer's newest roll, for clients and trustees; the same one again changes nothing.

        Raises: ContextMismatch, VerificationFailed; StateConflict for an older one (a replay).
        """
        with self.store.reading() as view:
            policy = known_scope(view, snapshot.scope).policy
        issuers = [organisation.issuer_key for organisation in policy.organisations]
        check_snapshot(snapshot, scope=snapshot.scope, issuer_keys=issuers, minimum=0)
        with self.store.writing() as store:
            for known in store.snapshots(snapshot.scope):
                if (known.issuer_key, known.cohort) == (snapshot.issuer_key, snapshot.cohort):
                    if known == snapshot:
                        return
                    if known.number >= snapshot.number:
                        raise StateConflict(Code.ROLLBACK, "a newer snapshot of this cohort is known")
            self._rolls.forget(snapshot.scope)
            store.put_snapshot(snapshot)
            store.append(snapshot.scope, FeedKind.SNAPSHOT, snapshot.encode())

    # --- reporters ---------------------------------------------------------------------------------

    def submit_filing(self, data: bytes, scope_name: bytes | None = None) -> Receipt:
        """Take a filing and promise to include it; the same filing again gets the same promise.

        `scope_name`: the one it was sent to, if it was sent to one.

        Raises: MalformedInput, ContextMismatch, StateConflict, VerificationFailed.
        """
        entry, fingerprint, promised = self._intake.take(data, scope_name)
        receipt = Receipt(fingerprint, entry, promised, UNSIGNED)
        return sign_message(receipt, self.signing_key, Tag.RECEIPT)

    def submit_withdrawal(self, scope_name: bytes, data: bytes) -> None:
        """Take a withdrawal; effective at the next batch.

        Raises: StateConflict (state.unknown_entry), VerificationFailed, MalformedInput.
        """
        withdrawal = Withdrawal.decode(data)
        with self.store.writing() as store:
            known_scope(store, scope_name)
            entry = store.entry(scope_name, withdrawal.entry)
            if entry is None:
                raise StateConflict(Code.UNKNOWN_ENTRY, "no such entry")
            check_signature(withdrawal, entry.owner_key, Tag.WITHDRAWAL)
            if entry.withdrawn or entry.gone:
                return
            entry.withdrawn = True
            store.put_entry(scope_name, entry)
            store.append(scope_name, FeedKind.WITHDRAWAL, data)

    def owner_key(self, scope_name: bytes, entry: bytes) -> bytes | None:
        """The key that must sign a question about this entry."""
        with self.store.reading() as view:
            known_scope(view, scope_name)
            known = view.entry(scope_name, entry)
        return None if known is None else known.owner_key

    def entry_state(self, scope_name: bytes, entry: bytes) -> tuple[EntryState, int]:
        """State and batch, for the owner alone: the caller checked who asks. Raises StateConflict."""
        with self.store.reading() as view:
            known_scope(view, scope_name)
            known = view.entry(scope_name, entry)
        if known is None:
            raise StateConflict(Code.UNKNOWN_ENTRY, "no such entry")
        return known.state(self.committee.count), known.batch

    def find_own(self, scope_name: bytes, tag: bytes) -> tuple[bytes, EntryState, bytes, int]:
        """Owner key, state, entry and batch of the filing that spent a tag; the caller checks who asks.

        Of a tag that nobody spent: some key, and nothing (no entry). Both take the same look-ups,
        so that the time of an answer tells as little as its shape.
        """
        with self.store.reading() as view:
            known_scope(view, scope_name)
            name = view.spent_by(scope_name, tag)
            known = view.entry(scope_name, name or bytes(32))
        if name is None or known is None:
            return self.signing_key.verify_key, EntryState.WAITING, b"", 0
        return known.owner_key, known.state(self.committee.count), name, known.batch

    def spent_tags(self, scope_name: bytes, period: int) -> tuple[bytes, ...]:
        """The whole public list: nobody asks about a tag of her own."""
        with self.store.reading() as view:
            known_scope(view, scope_name)
            return view.spent(scope_name, period)

    def newest_snapshots(self, scope_name: bytes) -> tuple[RollSnapshot, ...]:
        """The newest snapshot of every organisation's cohorts."""
        with self.store.reading() as view:
            known_scope(view, scope_name)
            return view.snapshots(scope_name)

    def blobs(self, scope_name: bytes) -> tuple[bytes, ...]:
        """Every release blob so far, in order; clients download all and try."""
        with self.store.reading() as view:
            last = known_scope(view, scope_name).number
            return tuple(
                blob
                for number in range(1, last + 2)
                for _, blobs in sorted(view.blobs(scope_name, number).items())
                for blob in blobs
            )

    def batch_blobs(self, scope_name: bytes, number: int) -> tuple[bytes, ...]:
        """One closed batch's blobs. Raises StateConflict (state.batch_open) before it is closed."""
        with self.store.reading() as view:
            if not 1 <= number <= known_scope(view, scope_name).number:
                raise StateConflict(Code.BATCH_OPEN, "this batch is not closed")
            return tuple(
                blob for _, blobs in sorted(view.blobs(scope_name, number).items()) for blob in blobs
            )

    def inclusion(self, scope_name: bytes, recipient: bytes) -> bytes | None:
        """The sealed path for one filing's recipient key."""
        with self.store.reading() as view:
            known_scope(view, scope_name)
            return view.inclusion(scope_name, recipient)

    def find_leaf(self, scope_name: bytes, leaf: bytes) -> LogUpdate:
        """The newest cosigned note with an inclusion proof of `leaf`."""
        with self.store.reading() as view:
            known_scope(view, scope_name)
            index = view.leaf_index(scope_name, leaf)
            if index is None:
                raise StateConflict(Code.INCLUSION, "no such leaf")
            note = view.note()
            size = checkpoint.Note.decode(note).checkpoint.size
            return LogUpdate(note, index, view.tree().inclusion_proof(index, size), ())

    # --- everybody ---------------------------------------------------------------------------------

    def scopes(self) -> tuple[bytes, ...]:
        """Names of the scopes served."""
        with self.store.reading() as view:
            return view.scopes()

    def scope_record(self, scope_name: bytes) -> ScopeRecord:
        """Where a scope stands. Raises ContextMismatch (context.scope)."""
        with self.store.reading() as view:
            return known_scope(view, scope_name)

    def note(self) -> bytes:
        """The newest cosigned checkpoint, or nothing yet."""
        with self.store.reading() as view:
            return view.note()

    # --- trustees and auditors ---------------------------------------------------------------------

    def feed(self, scope_name: bytes, after: int, limit: int = NO_LIMIT) -> tuple[FeedItem, ...]:
        """Items of a scope with a sequence number above `after` (they start at 1)."""
        with self.store.reading() as view:
            known_scope(view, scope_name)
            return view.feed(scope_name, after, limit)

    def read_feed(self, reader: str, scope_name: bytes, after: int, limit: int) -> tuple[FeedItem, ...]:
        """As `feed`, for an authenticated reader: `after` says what she has stored for good."""
        with self.store.reading() as view:
            known_scope(view, scope_name)
            items = view.feed(scope_name, after, limit)
            # Nobody has stored what does not exist: else a reader could have the future erased.
            if self._read.get((scope_name, reader), 0) < after and (
                items or view.feed(scope_name, after - 1, 0)
            ):
                self._read[scope_name, reader] = after
        return items

    def cursors(self, view: Reading, scope_name: bytes) -> dict[str, int]:
        """How far each reader has come, as known here and now.

        Kept in memory and written down when something is erased by it: after a
        restart every reader says it again with her next question.
        """
        found = view.cursors(scope_name)
        for (name, reader), after in list(self._read.items()):
            if name == scope_name:
                found[reader] = max(after, found.get(reader, 0))
        return found

    def log_update(self, index: int, from_size: int) -> LogUpdate:
        """The checkpoint in progress with proofs for somebody who verified `from_size` leaves."""
        with self.store.reading() as view:
            current = view.in_progress()
            note = current.note if current is not None else view.note()
            tree = view.tree()
        if from_size > tree.size or not 0 <= index < tree.size:
            # A restored board says so plainly; the trustee then refuses it.
            return LogUpdate(note, index, (), ())
        return LogUpdate(note, index, tree.inclusion_proof(index), tree.consistency_proof(from_size))

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        """Proof that the tree of `second` leaves extends that of `first`; empty from the empty tree.

        Raises: StateConflict (log.consistency) for sizes the log does not have.
        """
        with self.store.reading() as view:
            tree = view.tree()
        if not 0 <= first <= second <= tree.size:
            raise StateConflict(Code.CONSISTENCY, "the log has no such sizes")
        return tree.consistency_proof(first, second) if first else ()

    def post(self, trustee: int, scope_name: bytes, kind: FeedKind, payloads: Sequence[bytes]) -> None:
        """Take a trustee's messages, all or none; what the board understands of them moves the batch on.

        Raises: ContextMismatch for a kind that trustees do not post, or in another's name.
        """
        self._posts.take(self.store, trustee, scope_name, kind, payloads)

    def post_inclusions(self, scope_name: bytes, paths: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep paths, each under the recipient's key of its owner, who alone can open it."""
        with self.store.writing() as store:
            known_scope(store, scope_name)
            store.put_inclusions(scope_name, paths)

    def post_cosignature(self, data: bytes) -> None:
        """Collect cosignatures; with a quorum the leaf counts and its batch is closed."""
        message = CosignatureMessage.decode(data)
        with self.store.writing() as store:
            self._leaves.cosign(store, message)

    # --- time --------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Plan the next batch of every scope whose time has come; an empty batch is a batch too."""
        now = self.clock()
        with self.store.reading() as view:
            due = any(self._is_due(view, view.scope(name), now) for name in view.scopes())
        if not due:
            return
        with self.store.writing() as store:
            for name in store.scopes():
                scope = store.scope(name)
                if scope is not None and self._is_due(store, scope, now):
                    self._plan(store, scope, now)

    def _is_due(self, view: Reading, scope: ScopeRecord | None, now: int) -> bool:
        if scope is None or not scope.active:
            return False
        if scope.open_batch is not None:
            return planning.is_stale(self.committee, view, scope, scope.open_batch, now)
        return scope.number == 0 or now >= scope.opened_at + scope.policy.batch_seconds

    def _plan(self, store: Writing, scope: ScopeRecord, now: int) -> None:
        plan = planning.make_plan(self.committee, store, scope, now).encode()
        scope.open_batch = OpenBatch(plan)
        store.put_scope(scope)
        store.append(scope.policy.scope, FeedKind.PLAN, plan)

    def _now(self) -> int:
        return self.clock()  # the one that the board has by then
