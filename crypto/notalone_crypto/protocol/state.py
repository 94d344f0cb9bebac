"""Everything a trustee remembers, and the table of a batch's phases.

Owns the shape of the durable state and TRANSITIONS, from which the docs draw
their diagram (specs/20-protocol.md#batches). Refuses to know how a transition
is carried out (protocol/evaluate.py). All of it is plain data, so that a
service can store it before anything is posted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.messages.filing import Acceptance, Header, Withdrawal
from notalone_crypto.protocol.accept import EntryShares
from notalone_crypto.protocol.derived import Expiries, Search
from notalone_crypto.protocol.entries import EntryRows, EntrySecrets, PublicEntry
from notalone_crypto.protocol.log import LogView
from notalone_crypto.protocol.outline import Entries, Outline
from notalone_crypto.protocol.record import SealedRecord
from notalone_crypto.protocol.release import Release


@unique
class Phase(StrEnum):
    """Where a scope's current batch stands."""

    IDLE = "idle"
    VOTING = "voting"
    ROUND_ONE = "round_one"
    ROUND_TWO = "round_two"
    RECORDING = "recording"
    LOGGING = "logging"
    HALTED = "halted"


@unique
class Event(StrEnum):
    """What moves a batch on: a plan, a complete set of messages, a cosigned note."""

    PLAN = "plan"
    VOTES = "votes"
    FIRST_MESSAGES = "first_messages"
    SECOND_MESSAGES = "second_messages"
    RECORD_VOTES = "record_votes"
    NOTE = "note"


TRANSITIONS: Final = MappingProxyType(
    {
        (Phase.IDLE, Event.PLAN): Phase.VOTING,
        (Phase.VOTING, Event.PLAN): Phase.VOTING,  # a newer one, after an expiry (protocol/batch.py)
        (Phase.VOTING, Event.VOTES): Phase.ROUND_ONE,
        (Phase.ROUND_ONE, Event.FIRST_MESSAGES): Phase.ROUND_TWO,
        (Phase.ROUND_TWO, Event.SECOND_MESSAGES): Phase.RECORDING,
        (Phase.RECORDING, Event.RECORD_VOTES): Phase.LOGGING,
        (Phase.LOGGING, Event.NOTE): Phase.IDLE,
    }
)
"""Each pair leads to one phase; a batch starts only from IDLE, that is when the one before is closed."""


@unique
class Outgoing(StrEnum):
    """Kinds of messages a trustee posts."""

    ACCEPTANCE = "acceptance"
    COMPLAINT = "complaint"
    PLAN_VOTE = "plan_vote"
    ROUND_ONE = "round_one"
    ROUND_TWO = "round_two"
    RELEASES = "releases"
    RECORD_VOTE = "record_vote"
    INCLUSION = "inclusion"
    COSIGNATURE = "cosignature"


CONFIDENTIAL: Final = frozenset({Outgoing.PLAN_VOTE, Outgoing.ROUND_ONE, Outgoing.ROUND_TWO})
"""For trustees and named auditors only: organisation, board and subject would watch matches happen."""


@dataclass(frozen=True, slots=True)
class Post:
    """One message to post, after the state that made it was stored."""

    kind: Outgoing
    scope: bytes
    payload: bytes = field(repr=False)
    recipient: bytes = b""  # HPKE key, for an inclusion path that only its owner may read


@dataclass(slots=True)
class PendingEntry:
    """A filing this trustee accepted, until a batch takes it."""

    filing: bytes  # fingerprint
    header: Header
    first_introduction: bytes
    second_introduction: bytes
    shares: EntryShares = field(repr=False)
    own: bytes  # this trustee's acceptance, to repeat
    acceptances: dict[int, Acceptance] = field(default_factory=dict)
    completed_at: int = -1  # last closed batch when the last acceptance came
    rows: EntryRows = field(default_factory=EntryRows)  # of an entry carried over from an older generation


@dataclass(frozen=True, slots=True)
class LiveEntry:
    """An evaluated entry: what output in another epoch and a release need. Its points are in its outline."""

    public: PublicEntry
    secrets: EntrySecrets = field(repr=False)
    products: tuple[int, ...] = field(repr=False)  # spec: o for each (slot, level)


@dataclass(slots=True)
class CurrentBatch:
    """The batch in progress: what came in, what was posted, what was computed."""

    plan: BatchPlan
    outbox: list[Post] = field(default_factory=list)
    received: dict[str, dict[int, bytes]] = field(default_factory=dict)  # kind -> trustee -> bytes
    xs: tuple[int, ...] = field(default=(), repr=False)
    products: tuple[int, ...] = field(default=(), repr=False)
    sealed_record: SealedRecord | None = None
    cosigned: LogView | None = None
    posted: int = 0  # how much of the outbox was handed out; a restart hands out all of it again


@dataclass(slots=True)
class ScopeState:
    """One scope as one trustee sees it."""

    policy: ScopePolicy
    phase: Phase = Phase.IDLE
    halted_because: str = ""
    halted_code: str = ""
    number: int = 0  # of the last closed batch
    epoch: int = 0
    leaf: bytes = bytes(32)  # of the last closed batch
    opened_at: int = 0
    pending: dict[bytes, PendingEntry] = field(default_factory=dict)
    live: Entries[LiveEntry] = field(default_factory=dict[bytes, LiveEntry])  # in order of evaluation
    outlines: Entries[Outline] = field(default_factory=dict[bytes, Outline])  # of exactly these, in order
    gone: set[bytes] = field(default_factory=set)  # withdrawn, expired or refused: never again
    withdrawals: dict[bytes, tuple[Withdrawal, int]] = field(default_factory=dict)  # with batch when seen
    groups: dict[int, list[tuple[bytes, ...]]] = field(default_factory=dict)  # position -> founders
    released: set[bytes] = field(default_factory=set)
    queue: list[tuple[Release, int]] = field(default_factory=list)  # with the batch that made it due
    batch: CurrentBatch | None = None
    last_outbox: list[Post] = field(default_factory=list)  # of the batch before, for who was away
    last_batch: tuple[bytes, dict[str, dict[int, bytes]]] = field(default_factory=lambda: (b"", {}))
    # position -> entries the finder compared with all others, and the groups it found
    searched: dict[int, tuple[tuple[bytes, ...], tuple[tuple[bytes, ...], ...]]] = field(default_factory=dict)
    # Derived from `outlines`, never stored.
    finders: dict[int, Search] = field(
        default_factory=dict, repr=False, compare=False, metadata={"derived": True}
    )
    expiries: Expiries = field(
        default_factory=Expiries, repr=False, compare=False, metadata={"derived": True}
    )


@dataclass(slots=True)
class TrusteeState:
    """Everything one trustee remembers besides its keys."""

    scopes: dict[bytes, ScopeState] = field(default_factory=dict)
    seen_encs: set[bytes] = field(default_factory=set)
    spent: dict[int, set[bytes]] = field(default_factory=dict)  # period -> quota tags
    log: LogView = field(default_factory=LogView)
