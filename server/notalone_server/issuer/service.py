"""The issuer of one organisation: one human, one place on the roll.

Owns cards, codes, places, resets and snapshots. Refuses to know who filed
anything: it takes no part in filing. A card is stored as a hash and is not
linked to the person who got it or to the place it bought. Every method refuses
before it changes anything and saves once, so that a kill leaves all or nothing.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace

from notalone_crypto.errors import Code, RollRefused
from notalone_crypto.messages.roll import Enrolment, RollEntry, RollSnapshot
from notalone_crypto.primitives import signing
from notalone_crypto.primitives.hashing import derive, digest
from notalone_crypto.protocol import roll
from notalone_crypto.protocol.withdraw import WEEK_SECONDS, week_of
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import Tag
from notalone_server.issuer.ports import Clock, IssuerStore, Letter, LetterKind, MailKind
from notalone_server.issuer.state import CodeRecord, HeldPlace, IssuerState, MemberRecord, Rules

__all__ = ["IssuerService", "IssuerState", "Rules", "canonical_address"]

CARD_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
CARD_LENGTH = 16  # 78 bits: not to be guessed on line
MAX_ADDRESS = 254


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
    rules: Rules = field(default_factory=Rules)

    # --- codes --------------------------------------------------------------------------------------

    def make_cards(self, count: int, randomness: Randomness) -> tuple[str, ...]:
        """Fresh one-time codes, to be handed out without noting who got which.

        Raises: RollRefused when this organisation enrols by e-mail.
        """
        if self.rules.by_mail:
            raise RollRefused(Code.NOT_ELIGIBLE, "this organisation enrols by e-mail, not by cards")
        cards = tuple(_new_code(randomness) for _ in range(count))
        self.state.unused_cards.update(_code_hash(card) for card in cards)
        self.store.save(self.state)
        return cards

    def list_members(self, addresses: tuple[str, ...]) -> int:
        """Let these addresses ask for a code; how many were new. Kept as keyed hashes.

        Raises: RollRefused when this organisation enrols by cards or declared fewer members.
        """
        if not self.rules.by_mail:
            raise RollRefused(Code.NOT_ELIGIBLE, "this organisation enrols by cards, not by e-mail")
        new = {self._member(address) for address in addresses} - set(self.state.members)
        if len(self.state.members) + len(new) > self.declared:
            raise RollRefused(Code.NOT_ELIGIBLE, "more addresses than declared members")
        for member in sorted(new):
            self.state.members[member] = MemberRecord()
        self.store.save(self.state)
        return len(new)

    def answer_mail(self, kind: MailKind, address: str, randomness: Randomness) -> Letter | None:
        """The letter a typed address gets, or None for one that is not listed or was just written to.

        Called by a worker, never while somebody waits for an answer: the time
        an answer takes must not tell whether an address is listed.
        """
        member = self._member(address)
        record = self.state.members.get(member)
        now = self.clock()
        if record is None or now < record.letter_at + self.rules.letter_seconds:
            return None
        code = _new_code(randomness)
        if kind is MailKind.CODE and record.place:
            return Letter(LetterKind.USED, address, "", now)
        if kind is MailKind.RESET and not record.place:
            return None
        for old in [name for name, known in self.state.codes.items() if known.member == member]:
            del self.state.codes[old]
        if kind is MailKind.CODE:
            until = now + self.rules.code_seconds
            letter = Letter(LetterKind.CODE, address, code, until)
        else:
            # Asked again, or the first letter never left: the same day, another code to stop it.
            until = self.state.resets.setdefault(member, now + self.rules.reset_delay_seconds)
            letter = Letter(LetterKind.RESET, address, code, until)
        stops_reset = kind is MailKind.RESET
        self.state.codes[_code_hash(code)] = CodeRecord(member, until, stops_reset)
        self.store.save(self.state)
        return letter

    def letter_sent(self, address: str) -> None:
        """The mail server took a letter: this address gets no other one for a while."""
        member = self._member(address)
        if member in self.state.members:
            self.state.members[member] = replace(self.state.members[member], letter_at=self.clock())
            self.store.save(self.state)

    def touch(self) -> None:
        """Write without changing anything, where a write that is missing would tell something."""
        self.store.save(self.state)

    # --- places -------------------------------------------------------------------------------------

    def enrol(self, code: str, request: Enrolment, *, publish: bool = False) -> RollEntry | None:
        """Spend a card on a place, or a mailed code on one that joins with its batch (then None).

        A refused request does not spend the code. With `publish` the snapshot
        that holds a card's new place is taken in the same breath.

        Raises: RollRefused (roll.duplicate, roll.not_eligible), VerificationFailed.
        """
        # First, whatever the code: somebody whose answer was lost learns that she has her place.
        if request.place in self.state.held or any(one.place == request.place for one in self.state.entries):
            raise RollRefused(Code.ROLL_DUPLICATE, "this place is already on the roll")
        wanted = _code_hash(code)
        mailed = self.state.codes.get(wanted)
        if self.rules.by_mail:
            if mailed is None or mailed.stops_reset or self.clock() > mailed.expires_at:
                raise RollRefused(Code.NOT_ELIGIBLE, "this code is unknown or used")
        elif wanted not in self.state.unused_cards:  # a hash: what its look-up leaks helps no guess
            raise RollRefused(Code.NOT_ELIGIBLE, "this code is unknown or used")
        if self._places() >= self.declared:
            raise RollRefused(Code.NOT_ELIGIBLE, "the roll already has as many places as declared members")
        if mailed is None:
            entry = self._accept(request, 0)
            self.state.unused_cards.discard(wanted)
            self.state.entries.append(entry)
            if publish:
                self._take_snapshots()
        else:
            # Its proof is checked now, its number and signature come with the batch.
            entry = None
            self._accept(request, 0)
            member = self.state.members[mailed.member]
            self.state.codes.pop(wanted)
            self.state.members[mailed.member] = replace(member, place=request.place)
            self.state.held[request.place] = HeldPlace(request, member.counts_from)
        self.store.save(self.state)
        return entry

    def stop_reset(self, code: str) -> None:
        """The owner of an address says that she did not ask; nothing tells a wrong code apart."""
        record = self.state.codes.get(_code_hash(code))
        if record is not None and record.stops_reset and record.member in self.state.resets:
            del self.state.codes[_code_hash(code)]
            del self.state.resets[record.member]
            self.store.save(self.state)

    def close_place(self, number: int) -> None:
        """An operator closes a place whose holder left; it is absent from the next snapshot.

        Raises: RollRefused (roll.not_eligible) when there is no such open place.
        """
        if not 0 <= number < len(self.state.entries) or number in self.state.closed:
            raise RollRefused(Code.NOT_ELIGIBLE, "no open place has this number")
        self.state.closed.add(number)
        self._take_snapshots()
        self.store.save(self.state)

    def tick(self) -> bool:
        """Do what has come due: resets, the daily batch, places that count from now, a new week.

        Whether any was.
        """
        now = self.clock()
        due = [member for member, at in self.state.resets.items() if at <= now]
        for member in due:
            self._reset(member, now)
        joined = self._join_batch(now)
        taken = [one.issued_at for one in self.state.snapshots.values()]
        newest = max(taken, default=now)
        ripe = any(newest < entry.eligible_from <= now for entry in self.state.entries)
        # Where nobody joins for months a report would seem to be kept too long: clients count from the roll.
        stale = any(week_of(at) < week_of(now) for at in taken)
        for name in [name for name, code in self.state.codes.items() if code.expires_at < now]:
            del self.state.codes[name]
        if not (due or joined or ripe or stale):
            return False
        self._take_snapshots()
        self.store.save(self.state)
        return True

    # --- what everybody may see ---------------------------------------------------------------------

    def take_snapshots(self) -> tuple[RollSnapshot, ...]:
        """Sign the open cohort again, and others that changed: after every enrolment by card."""
        snapshots = self._take_snapshots()
        self.store.save(self.state)
        return snapshots

    def delivered(self, snapshot: RollSnapshot) -> None:
        """The board keeps this snapshot; a newer one may have been taken meanwhile."""
        if self.state.snapshots.get(snapshot.cohort) == snapshot:
            self.state.undelivered.discard(snapshot.cohort)
            self.store.save(self.state)

    def counts(self) -> dict[str, int]:
        """Public numbers; those who wait are left out, since one more of them is one person."""
        enrolled = len(self.state.entries) - len(self.state.closed)
        closed = len(self.state.closed)
        return {
            "declared": self.declared,
            "enrolled": enrolled,
            "closed": closed,
            "resets": self.state.reset_count,
        }

    # --- inside -------------------------------------------------------------------------------------

    def _accept(self, request: Enrolment, eligible_from: int) -> RollEntry:
        return roll.accept_enrolment(
            request, self.instance, self.signing_key, self.state.entries, eligible_from=eligible_from
        )

    def _places(self) -> int:
        return len(self.state.entries) - len(self.state.closed) + len(self.state.held)

    def _member(self, address: str) -> bytes:
        """Keyed, so that a stolen database does not list the members."""
        return derive(self.signing_key.seed, Tag.ENROLMENT, b"address", canonical_address(address).encode())

    def _reset(self, member: bytes, now: int) -> None:
        """Close the old place; what it filed may live for the longest expiry, and a new one waits as long."""
        del self.state.resets[member]
        record = self.state.members[member]
        if record.place in self.state.held:  # it never counted: nothing can have been filed with it
            del self.state.held[record.place]
            counts_from = record.counts_from
        else:
            for entry in self.state.entries:
                if entry.place == record.place:
                    self.state.closed.add(entry.number)
            # The last filing's last week ends after `longest` whole weeks and the rest of its own.
            weeks = now // WEEK_SECONDS + self.rules.longest_expiry_weeks + 1
            counts_from = weeks * WEEK_SECONDS
        self.state.reset_count += 1
        self.state.members[member] = replace(record, place=b"", counts_from=counts_from, letter_at=0)

    def _join_batch(self, now: int) -> bool:
        state = self.state
        if len(state.held) < self.rules.batch_size or now < state.batch_at + self.rules.batch_seconds:
            return False
        # In the order of their names: arrival would tell who came before whom.
        for place in sorted(state.held):
            held = state.held[place]
            state.entries.append(self._accept(held.request, max(now, held.eligible_from)))
        state.held.clear()
        state.batch_at = now
        return True

    def _take_snapshots(self) -> tuple[RollSnapshot, ...]:
        snapshots = roll.next_snapshots(
            self.state.entries,
            frozenset(self.state.closed),
            self.signing_key,
            self.state.snapshots,
            scope=self.scope,
            now=self.clock(),
            declared=self.declared,
        )
        for snapshot in snapshots:
            self.state.snapshots[snapshot.cohort] = snapshot
            self.state.undelivered.add(snapshot.cohort)
        return snapshots


def canonical_address(address: str) -> str:
    """One form of an address: no spaces around, NFC, lower case.

    Raises: RollRefused (roll.not_eligible) for what is no address; its text is not repeated.
    """
    plain = unicodedata.normalize("NFC", address.strip()).lower()
    local, at, domain = plain.rpartition("@")
    printable = plain.isprintable() and " " not in plain and "," not in plain
    if not (local and at and domain and printable) or "@" in local or len(plain) > MAX_ADDRESS:
        raise RollRefused(Code.NOT_ELIGIBLE, "this is not an e-mail address")
    return plain


def _new_code(randomness: Randomness) -> str:
    letters: list[str] = []
    while len(letters) < CARD_LENGTH:
        value = randomness(1)[0]
        if value < 256 - 256 % len(CARD_ALPHABET):  # else the first letters would be more likely
            letters.append(CARD_ALPHABET[value % len(CARD_ALPHABET)])
    return "-".join("".join(letters[start : start + 4]) for start in range(0, CARD_LENGTH, 4))


def _code_hash(code: str) -> bytes:
    plain = code.upper().replace("-", "").replace(" ", "")
    return digest(Tag.ENROLMENT, b"card", plain.encode("utf-8", "replace"))
