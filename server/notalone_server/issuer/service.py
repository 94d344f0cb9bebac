"""The issuer of one organisation: one human, one place on the roll.

Owns cards, places and snapshots. Refuses to know who filed anything: it takes
no part in filing. A card is stored as a hash and is not linked to the person
who got it or to the place it bought.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, RollRefused
from notalone_crypto.messages.roll import Enrolment, RollEntry, RollSnapshot
from notalone_crypto.primitives import signing
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.protocol import roll
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import Tag
from notalone_server.issuer.ports import Clock, IssuerStore

CARD_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
CARD_LENGTH = 16  # 78 bits: not to be guessed on line


@dataclass(slots=True)
class IssuerState:
    """Places in order, hashes of unused cards, closed places."""

    entries: list[RollEntry] = field(default_factory=list)
    unused_cards: set[bytes] = field(default_factory=set, repr=False)
    closed: set[int] = field(default_factory=set)
    snapshot_number: int = 0


@dataclass(slots=True)
class IssuerService:
    """One organisation's issuer for one scope."""

    instance: str
    scope: bytes
    declared: int  # members the organisation says it has
    signing_key: signing.SigningKey
    clock: Clock
    store: IssuerStore
    state: IssuerState

    def make_cards(self, count: int, randomness: Randomness) -> tuple[str, ...]:
        """Fresh one-time codes, to be handed out without noting who got which."""
        cards = tuple(_card(randomness) for _ in range(count))
        self.state.unused_cards.update(_card_hash(card) for card in cards)
        self.store.save(self.state)
        return cards

    def enrol(self, card: str, request: Enrolment) -> RollEntry:
        """Spend a card on a place. A refused request does not spend it.

        Raises: RollRefused (roll.not_eligible, roll.duplicate), VerificationFailed.
        """
        wanted = _card_hash(card)
        found = [known for known in self.state.unused_cards if hmac.compare_digest(known, wanted)]
        if not found:
            raise RollRefused(Code.NOT_ELIGIBLE, "this code is unknown or used")
        if len(self.state.entries) >= self.declared:
            raise RollRefused(Code.NOT_ELIGIBLE, "the roll already has as many places as declared members")
        entry = roll.accept_enrolment(
            request, self.instance, self.signing_key, self.state.entries, eligible_from=0
        )
        self.state.unused_cards.discard(found[0])
        self.state.entries.append(entry)
        self.store.save(self.state)
        return entry

    def take_snapshots(self) -> tuple[RollSnapshot, ...]:
        """The next snapshot of every cohort: with untracked cards, after every enrolment."""
        self.state.snapshot_number += 1
        snapshots = roll.take_snapshots(
            self.state.entries,
            frozenset(self.state.closed),
            self.signing_key,
            scope=self.scope,
            number=self.state.snapshot_number,
            now=self.clock(),
            declared=self.declared,
        )
        self.store.save(self.state)
        return snapshots


def _card(randomness: Randomness) -> str:
    letters: list[str] = []
    while len(letters) < CARD_LENGTH:
        value = randomness(1)[0]
        if value < 256 - 256 % len(CARD_ALPHABET):  # else the first letters would be more likely
            letters.append(CARD_ALPHABET[value % len(CARD_ALPHABET)])
    return "-".join("".join(letters[start : start + 4]) for start in range(0, CARD_LENGTH, 4))


def _card_hash(card: str) -> bytes:
    plain = card.upper().replace("-", "").replace(" ", "")
    return digest(Tag.ENROLMENT, b"card", plain.encode("utf-8"))
