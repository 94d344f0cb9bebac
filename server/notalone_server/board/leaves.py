"""The log's leaves: one after the other, each with its quorum of cosignatures.

Owns which leaf is in progress and what its quorum brings about. Refuses to know filings and
what trustees compute.
"""

from __future__ import annotations

from dataclasses import dataclass

from notalone_crypto.errors import Code, VerificationFailed
from notalone_crypto.messages.evaluation import BatchPlan, CosignatureMessage, LogUpdate
from notalone_crypto.messages.feed import FeedKind, Nudge
from notalone_crypto.primitives import checkpoint, signing
from notalone_crypto.protocol import log
from notalone_crypto.protocol.keys import Committee
from notalone_server.board.admission import known_scope
from notalone_server.board.ports import Writing
from notalone_server.board.state import LeafInProgress, QueuedLeaf


@dataclass(frozen=True, slots=True)
class Leaves:
    """The log of one board."""

    committee: Committee
    signing_key: signing.SigningKey

    def add(self, store: Writing, queued: QueuedLeaf) -> None:
        """Put a leaf into the queue; it is in progress at once if nothing else is."""
        store.queue_leaf(queued)
        self._next(store)

    def cosign(self, store: Writing, message: CosignatureMessage) -> None:
        """Collect a cosignature; with a quorum the leaf counts and its batch is closed.

        Raises: VerificationFailed.
        """
        current = store.in_progress()
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
        store.put_in_progress(current)
        if len(current.cosigned_by) >= self.committee.manifest.parameters.quorum:
            self._finish(store, current)

    def _next(self, store: Writing) -> None:
        """One checkpoint at a time: cosigners must all sign the same tree."""
        if store.in_progress() is not None:
            return
        queued = store.next_leaf()
        if queued is None:
            return
        tree = store.append_leaf(queued.scope, queued.leaf)
        index = tree.size - 1
        head = checkpoint.Checkpoint(log.origin(self.committee), tree.size, tree.root())
        note = checkpoint.sign_checkpoint(head, self.signing_key).encode()
        store.put_in_progress(LeafInProgress(queued.scope, queued.leaf, index, queued.policy, note))
        kind = FeedKind.POLICY_LEAF if queued.policy else FeedKind.BATCH_LEAF
        store.append(queued.scope, kind, Nudge(index).encode())

    def _finish(self, store: Writing, current: LeafInProgress) -> None:
        scope = known_scope(store, current.scope)
        proof = store.tree().inclusion_proof(current.index)
        update = LogUpdate(current.note, current.index, proof, ()).encode()
        store.confirm_leaf(current)
        if current.policy:
            scope.active = True
            store.append(current.scope, FeedKind.POLICY_NOTE, update)
        elif scope.open_batch is not None:
            store.append(current.scope, FeedKind.BATCH_NOTE, update)
            plan = BatchPlan.decode(scope.open_batch.plan)
            store.close_entries(current.scope, plan.number, plan.entries, plan.withdrawn + plan.expired)
            scope.number, scope.epoch = plan.number, plan.epoch
            scope.leaf, scope.opened_at = current.leaf, plan.opened_at
            scope.open_batch = None
        store.put_scope(scope)
        self._next(store)
