"""What the issuer keeps: places, hashes of codes, and who waits.

Owns the shape of that data. Refuses to know filings, and addresses in clear: a
member is a keyed hash, a card is a hash that no field ties to a person or to
the place it bought.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from notalone_crypto.messages.roll import Enrolment, RollEntry, RollSnapshot


@dataclass(frozen=True, slots=True)
class Rules:
    """How one organisation enrols. One way only: with two, one person could take two places."""

    by_mail: bool = False  # else by untracked cards
    batch_size: int = 32  # places join together, so that a newcomer's first filing says nothing
    batch_seconds: int = 24 * 3600
    code_seconds: int = 3 * 24 * 3600
    letter_seconds: int = 900  # at most one letter to one address in this time
    reset_delay_seconds: int = 14 * 24 * 3600  # time for the true owner to say no
    longest_expiry_weeks: int = 104  # the policy's `maximum_weeks`


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """One listed address, by its keyed hash; used with e-mail enrolment only."""

    place: bytes = b""  # 32 bytes once a code was redeemed
    counts_from: int = 0  # after a reset: when a new place may count
    letter_at: int = 0


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """A mailed code that was not redeemed yet."""

    member: bytes = field(repr=False)
    expires_at: int
    stops_reset: bool = False


@dataclass(frozen=True, slots=True)
class HeldPlace:
    """A place that waits for its daily batch."""

    request: Enrolment
    eligible_from: int


@dataclass(slots=True)
class IssuerState:
    """Places in order, hashes of unused cards, closed places; and who waits for what."""

    entries: list[RollEntry] = field(default_factory=list)
    unused_cards: set[bytes] = field(default_factory=set, repr=False)
    closed: set[int] = field(default_factory=set)
    members: dict[bytes, MemberRecord] = field(default_factory=dict, repr=False)
    codes: dict[bytes, CodeRecord] = field(default_factory=dict, repr=False)
    held: dict[bytes, HeldPlace] = field(default_factory=dict)  # by place
    resets: dict[bytes, int] = field(default_factory=dict, repr=False)  # member -> when it takes effect
    reset_count: int = 0
    batch_at: int = 0  # when places last joined in a batch
    snapshots: dict[int, RollSnapshot] = field(default_factory=dict)  # newest, by cohort
    undelivered: set[int] = field(default_factory=set)  # cohorts whose newest snapshot the board lacks
