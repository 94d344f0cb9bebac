"""The trustee's batch machine: messages in, state changed, messages out.

Owns when each step of specs/20-protocol.md#batches happens. Refuses to know
transport, storage and clocks; a caller stores the state before it posts what
comes back. Whatever is posted is kept in the outbox and repeated byte for
byte after a restart: no fresh dealing exists that a re-run could vary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from notalone_crypto.errors import (
    Code,
    CommitteeHalted,
    ContextMismatch,
    MalformedInput,
    NotAloneError,
    StateConflict,
    VerificationFailed,
)
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import (
    BatchPlan,
    LogUpdate,
    PlanVote,
    RecordVote,
    RoundOne,
    RoundTwo,
)
from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives import hpke
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import derive
from notalone_crypto.protocol import batch as batches
from notalone_crypto.protocol import log, record, release, rounds
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.protocol.state import (
    TRANSITIONS,
    CurrentBatch,
    Event,
    Outgoing,
    Phase,
    Post,
    ScopeState,
    TrusteeState,
)
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import Tag

M = TypeVar("M", PlanVote, RoundOne, RoundTwo, RecordVote)

_COLLECTED: dict[Phase, tuple[Event, Outgoing]] = {
    Phase.VOTING: (Event.VOTES, Outgoing.PLAN_VOTE),
    Phase.ROUND_ONE: (Event.FIRST_MESSAGES, Outgoing.ROUND_ONE),
    Phase.ROUND_TWO: (Event.SECOND_MESSAGES, Outgoing.ROUND_TWO),
    Phase.RECORDING: (Event.RECORD_VOTES, Outgoing.RECORD_VOTE),
}
_TYPES: dict[Outgoing, tuple[type[PlanVote | RoundOne | RoundTwo | RecordVote], Tag]] = {
    Outgoing.PLAN_VOTE: (PlanVote, Tag.PLAN_VOTE),
    Outgoing.ROUND_ONE: (RoundOne, Tag.ROUND_ONE),
    Outgoing.ROUND_TWO: (RoundTwo, Tag.ROUND_TWO),
    Outgoing.RECORD_VOTE: (RecordVote, Tag.BATCH_RECORD),
}


@dataclass(slots=True)
class Machine:
    """One trustee's machine over its state. Not shared between threads."""

    committee: Committee
    secrets: TrusteeSecrets = field(repr=False)
    state: TrusteeState = field(repr=False)

    def receive_plan(
        self,
        plan: BatchPlan,
        now: int,
        randomness: Randomness,
        votes: Sequence[bytes] = (),
        absent: int | None = None,
    ) -> list[Post]:
        """Agree to a plan, or say why not; the plan in progress is answered with the same bytes.

        A vote that opened nothing yet moves on to a newer plan: see `batch.check_replacement`.

        `votes`: others' votes that came before this trustee could take the plan; after an absence
        they show that the plan was not dated back. `absent`: see `batch.check_plan`.

        Raises: ContextMismatch, StateConflict (state.batch_open,
        state.rollback, state.out_of_order, state.unknown_entry).
        """
        scope = self._scope(plan.scope)
        if scope.batch is not None:
            if scope.batch.plan == plan:
                return list(scope.batch.outbox)
            batches.check_replacement(self.committee, scope, plan, scope.batch.plan, now)
        try:
            batches.check_plan(self.committee, scope, plan, now, self._voters(plan, votes), absent)
        except CommitteeHalted as error:
            _halt(scope, error)
            raise
        scope.batch = CurrentBatch(plan)
        scope.phase = TRANSITIONS[scope.phase, Event.PLAN]
        if self.secrets.index in plan.evaluators:
            # Derived, not drawn: who lost its state repeats the same vote.
            salt = derive(self.secrets.signing_key.seed, Tag.RECORD_SALT, plan.fingerprint)
            vote = PlanVote(plan.fingerprint, self.secrets.index, salt, UNSIGNED)
            self._post(scope, Outgoing.PLAN_VOTE, sign_message(vote, self.secrets.signing_key, Tag.PLAN_VOTE))
        return self._settle(scope, randomness)

    def receive_message(
        self, scope_name: bytes, kind: Outgoing, payload: bytes, randomness: Randomness
    ) -> list[Post]:
        """Take one vote or round message; returns what to post now.

        Messages for a later phase wait. A second message of a trustee with
        other values is evidence against it.
        Raises: VerificationFailed naming culprits, StateConflict, MalformedInput.
        """
        scope = self._scope(scope_name)
        if kind not in _TYPES:
            raise MalformedInput(Code.RANGE, "trustees do not exchange this kind of message")
        message_type, tag = _TYPES[kind]
        message = message_type.decode(payload)
        check_signature(message, self.committee.verify_key(message.trustee), tag)
        if scope.batch is None or message.plan != scope.batch.plan.fingerprint:
            if scope.last_batch[0] == message.plan:
                same_as_before(scope.last_batch[1], kind, message.trustee, message)
                return []
            # Nobody is named: whoever carries messages can replay an honest trustee's old ones.
            raise StateConflict(Code.OUT_OF_ORDER, "a message of another batch")
        if message.trustee not in scope.batch.plan.evaluators:
            raise StateConflict(
                Code.OUT_OF_ORDER, "this trustee does not evaluate", culprits=(message.trustee,)
            )
        received = scope.batch.received.setdefault(kind, {})
        if message.trustee in received:
            same_as_before(scope.batch.received, kind, message.trustee, message)
            return []
        received[message.trustee] = payload
        return self._settle(scope, randomness)

    def receive_log(self, scope_name: bytes, update: LogUpdate, now: int) -> list[Post]:
        """Verify the board's next checkpoint and cosign it.

        Raises: StateConflict (state.rollback, state.out_of_order), VerificationFailed.
        """
        scope = self._scope(scope_name)
        if scope.phase != Phase.LOGGING or scope.batch is None or scope.batch.sealed_record is None:
            raise StateConflict(Code.OUT_OF_ORDER, "no leaf is awaited")
        view = log.check_update(self.committee, self.state.log, update, scope.batch.sealed_record.leaf)
        cosignature = log.cosign(self.committee, self.secrets.index, self.secrets.signing_key, update, now)
        self.state.log = view
        scope.batch.cosigned = view
        post = Post(Outgoing.COSIGNATURE, scope_name, cosignature.encode())
        scope.batch.outbox.append(post)
        scope.batch.posted = len(scope.batch.outbox)
        return [post]

    def receive_note(self, scope_name: bytes, note: bytes) -> list[Post]:
        """Close the batch once a quorum cosigned the checkpoint this trustee cosigned.

        Raises: VerificationFailed (log.quorum, log.fork), StateConflict.
        """
        scope = self._scope(scope_name)
        batch = scope.batch
        if (
            scope.phase != Phase.LOGGING
            or batch is None
            or batch.cosigned is None
            or batch.sealed_record is None
        ):
            raise StateConflict(Code.OUT_OF_ORDER, "no cosigned checkpoint is awaited")
        head = log.check_quorum(self.committee, note)
        if (head.size, head.root) != (batch.cosigned.size, batch.cosigned.root):
            raise VerificationFailed(Code.FORK, "the quorum cosigned another tree than the one shown here")
        scope.phase = TRANSITIONS[scope.phase, Event.NOTE]
        scope.last_outbox = batch.outbox
        scope.last_batch = (batch.plan.fingerprint, batch.received)
        batches.close(scope, batch.plan, batch.sealed_record.leaf)
        return []

    def approve_policy(self, policy: ScopePolicy, update: LogUpdate, now: int) -> Post:
        """Cosign a checkpoint that holds a policy this trustee's operator agreed to."""
        leaf = log.policy_leaf(policy)
        view = log.check_update(self.committee, self.state.log, update, leaf)
        cosignature = log.cosign(self.committee, self.secrets.index, self.secrets.signing_key, update, now)
        self.state.log = view
        return Post(Outgoing.COSIGNATURE, policy.scope, cosignature.encode())

    def install_policy(
        self, policy: ScopePolicy, note: bytes, index: int, inclusion: tuple[bytes, ...]
    ) -> None:
        """Serve a scope under a policy that is in the cosigned log, and under no other.

        Raises: VerificationFailed (log.*), ContextMismatch (context.policy) for
        a change of slots or levels, which would make old entries unreadable.
        """
        log.check_leaf(self.committee, note, log.policy_leaf(policy), index, inclusion)
        batches.adopt_policy(self.committee, self.state, policy)

    def repeat(self, scope_name: bytes) -> list[Post]:
        """Everything posted in the current and the last batch, for a peer or a board that lost it."""
        scope = self._scope(scope_name)
        return scope.last_outbox + (list(scope.batch.outbox) if scope.batch else [])

    def missing(self, scope_name: bytes) -> tuple[int, ...]:
        """Evaluators for whose message the batch in progress waits, as far as this trustee was shown."""
        scope = self.state.scopes.get(scope_name)
        if scope is None or scope.batch is None or scope.phase not in _COLLECTED:
            return ()
        received = scope.batch.received.get(_COLLECTED[scope.phase][1], {})
        return tuple(index for index in scope.batch.plan.evaluators if index not in received)

    def _voters(self, plan: BatchPlan, votes: Sequence[bytes]) -> frozenset[int]:
        """The other trustees whose signed votes for this plan are among `votes`."""
        found = set()
        for payload in votes:
            try:
                vote = PlanVote.decode(payload)
                check_signature(vote, self.committee.verify_key(vote.trustee), Tag.PLAN_VOTE)
            except NotAloneError:
                continue
            if vote.plan == plan.fingerprint and vote.trustee != self.secrets.index:
                found.add(vote.trustee)
        return frozenset(found)

    def _scope(self, name: bytes) -> ScopeState:
        scope = self.state.scopes.get(name)
        if scope is None:
            raise ContextMismatch(Code.SCOPE, "this trustee does not serve this scope")
        if scope.phase == Phase.HALTED:
            raise CommitteeHalted(Code(scope.halted_code), scope.halted_because)
        return scope

    def _post(self, scope: ScopeState, kind: Outgoing, message: Message) -> None:
        """Put a message in the outbox and count it among those received."""
        if scope.batch is None:
            return
        payload = message.encode()
        scope.batch.outbox.append(Post(kind, scope.policy.scope, payload))
        if kind in _TYPES:
            scope.batch.received.setdefault(kind, {})[self.secrets.index] = payload

    def _settle(self, scope: ScopeState, randomness: Randomness) -> list[Post]:
        """Go on while a phase has all it waits for; what was newly posted."""
        batch = scope.batch
        if batch is None:
            return []
        while scope.phase in _COLLECTED:
            event, kind = _COLLECTED[scope.phase]
            received = batch.received.get(kind, {})
            if set(received) != set(batch.plan.evaluators):
                break
            try:
                self._step(scope, batch, event, randomness)
            except CommitteeHalted as error:
                _halt(scope, error)
                raise
            except VerificationFailed as error:
                for culprit in error.culprits:
                    received.pop(culprit, None)  # a good message may still come
                raise
            scope.phase = TRANSITIONS[scope.phase, event]
        fresh = batch.outbox[batch.posted :]
        batch.posted = len(batch.outbox)
        return fresh

    def _step(self, scope: ScopeState, batch: CurrentBatch, event: Event, randomness: Randomness) -> None:
        steps: dict[Event, Callable[[ScopeState, CurrentBatch, Randomness], None]] = {
            Event.VOTES: self._start_round_one,
            Event.FIRST_MESSAGES: self._start_round_two,
            Event.SECOND_MESSAGES: self._finish,
            Event.RECORD_VOTES: self._compare_leaves,
        }
        steps[event](scope, batch, randomness)

    def _start_round_one(self, scope: ScopeState, batch: CurrentBatch, randomness: Randomness) -> None:
        batches.prepare(self.committee, self.secrets, scope, batch.plan)
        work = batches.workload(self.committee, scope, batch.plan)
        if self.secrets.index in batch.plan.evaluators:
            message = rounds.make_round_one(work.batch, self.secrets, work.secrets, randomness)
            self._post(scope, Outgoing.ROUND_ONE, message)

    def _start_round_two(self, scope: ScopeState, batch: CurrentBatch, randomness: Randomness) -> None:
        work = batches.workload(self.committee, scope, batch.plan)
        messages = _decoded(batch, Outgoing.ROUND_ONE, RoundOne)
        check_counts(work.batch, list(messages.values()))
        others = [message for index, message in messages.items() if index != self.secrets.index]
        rounds.check_round_one(work.batch, others)
        xs, products = rounds.combine_round_one(work.batch, messages)
        batch.xs, batch.products = xs, work.known_products + products
        if self.secrets.index in batch.plan.evaluators:
            message = rounds.make_round_two(work.batch, self.secrets, work.secrets, xs, randomness)
            self._post(scope, Outgoing.ROUND_TWO, message)

    def _finish(self, scope: ScopeState, batch: CurrentBatch, randomness: Randomness) -> None:
        work = batches.workload(self.committee, scope, batch.plan)
        second = _decoded(batch, Outgoing.ROUND_TWO, RoundTwo)
        check_counts(work.batch, list(second.values()))
        others = [message for index, message in second.items() if index != self.secrets.index]
        rounds.check_round_two(work.batch, others, batch.xs)
        points = rounds.combine_round_two(work.batch, second, batch.xs, batch.products)
        entries = [item.public.name for item in work.batch.items]
        sealed = record.make_record(
            batch.plan,
            _decoded(batch, Outgoing.PLAN_VOTE, PlanVote),
            _decoded(batch, Outgoing.ROUND_ONE, RoundOne),
            second,
            entries,
            points,
        )
        batches.store_outputs(scope, work, points, batch.products)
        batches.queue_releases(scope, batch.plan.number, batch.plan.epoch)
        items = batches.release_items(self.secrets, scope)
        count = scope.policy.release_blobs
        blobs = release.seal_batch(
            self.committee, self.secrets, batch.plan.fingerprint, scope.policy.scope, items, count, randomness
        )
        scope.queue = scope.queue[count:]
        self._post(scope, Outgoing.RELEASES, blobs)
        batch.sealed_record = sealed
        if self.secrets.index == min(batch.plan.evaluators):
            for item in work.batch.items:
                path = sealed.inclusion(item.public.name).encode()
                key = item.public.header.recipient_key
                context = release.blob_context(self.committee, scope.policy.scope)
                batch.outbox.append(
                    Post(Outgoing.INCLUSION, scope.policy.scope, hpke.seal(key, context, path), key)
                )
        if self.secrets.index in batch.plan.evaluators:
            vote = RecordVote(batch.plan.fingerprint, self.secrets.index, sealed.leaf, UNSIGNED)
            self._post(
                scope, Outgoing.RECORD_VOTE, sign_message(vote, self.secrets.signing_key, Tag.BATCH_RECORD)
            )

    def _compare_leaves(self, _scope: ScopeState, batch: CurrentBatch, _randomness: Randomness) -> None:
        if batch.sealed_record is None:
            raise StateConflict(Code.OUT_OF_ORDER, "no record was made yet")
        own = batch.sealed_record.leaf
        votes = _decoded(batch, Outgoing.RECORD_VOTE, RecordVote)
        others = tuple(index for index, vote in votes.items() if vote.leaf != own)
        if others:
            raise CommitteeHalted(
                Code.FORK, "trustees saw different messages in this batch: the board forked", culprits=others
            )


def _halt(scope: ScopeState, error: CommitteeHalted) -> None:
    scope.phase = Phase.HALTED
    # With the names: whoever looks after a restart must still see whose fault it was.
    named = f" (trustees {', '.join(map(str, error.culprits))})" if error.culprits else ""
    scope.halted_because = error.detail + named
    scope.halted_code = error.code.value


def _decoded(batch: CurrentBatch, kind: Outgoing, message_type: type[M]) -> dict[int, M]:
    return {
        index: message_type.decode(payload) for index, payload in sorted(batch.received.get(kind, {}).items())
    }


def check_counts(batch: rounds.Batch, messages: list[RoundOne] | list[RoundTwo]) -> None:
    """Raise VerificationFailed naming the sender of a message with values too many, too few or no scalars."""
    for message in messages:
        try:
            batch.check_counts(message)
            for opening in message.openings if isinstance(message, RoundOne) else ():
                RISTRETTO255.decode_scalar(opening)  # else one sender would stop everybody, unnamed
        except NotAloneError as error:
            raise VerificationFailed(error.code, error.detail, culprits=(message.trustee,)) from error


def same_as_before(
    received: dict[str, dict[int, bytes]],
    kind: Outgoing,
    trustee: int,
    message: Message,
) -> None:
    """Raise StateConflict (state.equivocation): a repeat may carry a fresh proof, never other values."""
    known = received.get(kind, {}).get(trustee)
    if known is None or known == message.encode():
        return
    earlier = type(message).decode(known)
    if _values(earlier) != _values(message):
        raise StateConflict(
            Code.EQUIVOCATION, "a trustee sent two different messages for one place", culprits=(trustee,)
        )


def _values(message: Message) -> tuple[object, ...]:
    if isinstance(message, RoundOne):
        return (message.duplicates, message.openings)
    if isinstance(message, RoundTwo):
        return (message.points,)
    if isinstance(message, PlanVote):
        return (message.salt,)
    return (message.encode(),)
