"""Consent before contact: ends, channels, and what two ends may read of one another.

Owns addresses, keys and the meaning of letters (specs/20-protocol.md#contact).
Refuses to know boards, pages and devices: a conversation is a pure function of
the letters found, so that nothing has to be stored anywhere but in mailboxes.

The board may withhold, reorder, repeat and inject letters. What it injects does
not open; order and repetition change nothing here; so it can only withhold.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, Misuse, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.contact import (
    HAND_LENGTH,
    LETTER_LENGTH,
    LETTER_PLAINTEXT_LENGTH,
    NOBODY,
    NONCE_LENGTH,
    SALT_LENGTH,
    LetterContent,
    LetterKind,
    ReplyCard,
)
from notalone_crypto.primitives import aead, hpke, padding
from notalone_crypto.primitives.hashing import derive
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.roll import Member
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import HASH_LENGTH, Tag


@dataclass(frozen=True, slots=True, order=True)
class End:
    """One end of a channel: a filing's reply key and entry, or a desk's key and no entry.

    `key` is a usable X25519 key (32 bytes), `entry` 32 bytes.
    Raises: MalformedInput (encoding.*), Misuse.
    """

    key: bytes = field(repr=False)
    entry: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse keys whose shared secret everybody knows."""
        hpke.check_public(self.key)
        if len(self.entry) != HASH_LENGTH:
            raise Misuse(Code.LENGTH, f"an entry's name has {HASH_LENGTH} bytes")

    @classmethod
    def desk(cls, key: bytes) -> End:
        """A desk's end, from the key in the policy she sealed."""
        return cls(key, NOBODY)

    @property
    def is_desk(self) -> bool:
        """Whether this is a desk."""
        return self.entry == NOBODY


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """Somebody who may be written to: an end and the name she chose."""

    end: End
    alias: str = field(repr=False)


def acquaintance(entry: bytes, card: bytes) -> Acquaintance:
    """Who is behind an opened first introduction of `entry` (32 bytes).

    Raises: MalformedInput (encoding.*) for a card that does not decode or whose
    key has low order; Misuse for no entry.
    """
    decoded = ReplyCard.decode(card)
    if entry == NOBODY:
        raise Misuse(Code.RANGE, "a reply card belongs to an entry; desks have none")
    return Acquaintance(End(decoded.reply_key, entry), decoded.alias)


def acquaintances(introductions: Iterable[tuple[bytes, bytes]]) -> tuple[Acquaintance, ...]:
    """Everybody behind pairs of an entry and its opened card; unusable cards stop nobody else."""
    found = set()
    for entry, card in introductions:
        try:
            found.add(acquaintance(entry, card))
        except NotAloneError:
            continue  # ignored like a bad share
    return tuple(sorted(found, key=lambda one: (one.end, one.alias)))


@dataclass(frozen=True, slots=True)
class Box:
    """One direction: where its letters lie (32 bytes) and under which key (32 bytes)."""

    address: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def seal(self, content: LetterContent, hand: bytes, randomness: Randomness) -> bytes:
        """LETTER_LENGTH bytes, whatever is inside; `hand` (32 bytes) is the writer's alone.

        The salt is a fresh nonce and a code that only its writer can make or check.
        Attack: both ends have this box's key, so the other could agree in her name.
        """
        nonce = randomness(NONCE_LENGTH)
        salt = nonce + self._hand(hand, nonce, content)
        key = derive(self.key, Tag.LETTER, salt)
        plaintext = padding.pad(content.encode(), LETTER_PLAINTEXT_LENGTH)
        return salt + aead.seal(key, self.address, plaintext)

    def open_letter(self, letter: bytes) -> LetterContent:
        """What is in a letter of this box.

        Raises: VerificationFailed (seal.decryption) for a wrong size, box or byte;
        MalformedInput for a content that its sender, who has the key, made wrongly.
        """
        if len(letter) != LETTER_LENGTH:
            raise VerificationFailed(Code.DECRYPTION, "a letter has another size")
        key = derive(self.key, Tag.LETTER, letter[:SALT_LENGTH])
        return LetterContent.decode(padding.unpad(aead.open_sealed(key, self.address, letter[SALT_LENGTH:])))

    def open_own(self, letter: bytes, hand: bytes) -> LetterContent:
        """As `open_letter`, for what `hand` wrote. Raises: VerificationFailed (signature.invalid), too."""
        content = self.open_letter(letter)
        nonce, written = letter[:NONCE_LENGTH], letter[NONCE_LENGTH:SALT_LENGTH]
        if not hmac.compare_digest(written, self._hand(hand, nonce, content)):
            raise VerificationFailed(Code.SIGNATURE, "a letter in another hand")
        return content

    def open_all(self, letters: Iterable[bytes], hand: bytes | None = None) -> tuple[LetterContent, ...]:
        """Every content in `letters`, once and in one order, whatever the board did to them.

        With `hand` (32 bytes), only what that hand wrote.
        """
        found = set()
        for letter in letters:
            try:
                found.add(self.open_letter(letter) if hand is None else self.open_own(letter, hand))
            except NotAloneError:
                continue  # the board may put anything into a mailbox
        return ordered(found)

    def _hand(self, hand: bytes, nonce: bytes, content: LetterContent) -> bytes:
        return derive(hand, Tag.LETTER, b"hand", self.address, nonce, content.encode(), length=HAND_LENGTH)


@dataclass(frozen=True, slots=True)
class Channel:
    """Two ends and the two boxes between them. Build it with `Channel.between`."""

    own: End
    other: End
    outgoing: Box
    incoming: Box
    hand: bytes = field(repr=False)  # 32 bytes that the other end does not have

    @classmethod
    def between(
        cls, committee: Committee, scope: bytes, own_key: hpke.HpkePrivateKey, own: End, other: End
    ) -> Channel:
        """The channel that only the holders of the two private keys can compute.

        Both ends are inside: a card that somebody copied under another entry
        leads to boxes into which its owner never looks.

        Raises: Misuse when `own_key` is not the key of `own`; StateConflict
        (state.duplicate) for one end twice; MalformedInput (encoding.*).
        """
        if own.key != own_key.public:
            raise Misuse(Code.MISUSE, "the private key is not that of the own end")
        if own.key == other.key or own.entry == other.entry:
            raise StateConflict(Code.DUPLICATE, "an end has no channel to itself")
        low, high = sorted((own, other))
        root = derive(
            hpke.shared_secret(own_key, other.key),
            Tag.MAILBOX,
            committee.instance,
            committee.identifier,
            scope,
            low.key,
            low.entry,
            high.key,
            high.entry,
        )
        hand = derive(own_key.secret, Tag.LETTER, b"hand")
        return cls(own, other, _direction(root, own, other), _direction(root, other, own), hand)

    @property
    def outgoing_address(self) -> bytes:
        """Where her letters go, 32 bytes."""
        return self.outgoing.address

    @property
    def incoming_address(self) -> bytes:
        """Where the other's letters come from, 32 bytes."""
        return self.incoming.address

    def seal(self, content: LetterContent, randomness: Randomness) -> bytes:
        """A letter for `outgoing_address`. Raises: Misuse for a kind that does not go this way."""
        if not _goes(content, self.own):
            raise Misuse(Code.MISUSE, "a letter of this kind does not go this way")
        return self.outgoing.seal(content, self.hand, randomness)

    def open_outgoing(self, letters: Iterable[bytes]) -> tuple[LetterContent, ...]:
        """What she wrote herself, found again from her words."""
        return tuple(one for one in self.outgoing.open_all(letters, self.hand) if _goes(one, self.own))

    def open_incoming(self, letters: Iterable[bytes]) -> tuple[LetterContent, ...]:
        """What the other wrote; everything else in the mailbox is passed over."""
        return tuple(one for one in self.incoming.open_all(letters) if _goes(one, self.other))


@dataclass(frozen=True, slots=True)
class Notebook:
    """Notes to herself about one filing: a mailbox that follows from her words alone."""

    box: Box
    hand: bytes = field(repr=False)

    @classmethod
    def of(cls, member: Member, tag: bytes) -> Notebook:
        """The notebook of the filing with this quota tag (32 bytes)."""
        key = member.phrase_key
        return cls(
            Box(
                derive(key, Tag.MAILBOX, b"notebook", b"address", tag),
                derive(key, Tag.LETTER, b"notebook", b"key", tag),
            ),
            derive(key, Tag.LETTER, b"notebook", b"hand", tag),
        )

    @property
    def address(self) -> bytes:
        """Where her notes lie, 32 bytes."""
        return self.box.address

    def seal(self, content: LetterContent, randomness: Randomness) -> bytes:
        """A note for `address`. Raises: Misuse for any other kind."""
        if content.kind != LetterKind.NOTE:
            raise Misuse(Code.MISUSE, "a notebook holds notes only")
        return self.box.seal(content, self.hand, randomness)

    def open(self, letters: Iterable[bytes]) -> tuple[LetterContent, ...]:
        """Her notes."""
        return tuple(one for one in self.box.open_all(letters, self.hand) if one.kind == LetterKind.NOTE)


def ordered(contents: Iterable[LetterContent]) -> tuple[LetterContent, ...]:
    """Each content once, by number, then by its bytes: an order that the board has no part in.

    A number that is used twice keeps both contents. Only the sender can do that,
    with two devices, or because the board hid her own letters from her; had the
    first one won, the board could have made her lose the second.
    """
    return tuple(sorted(set(contents), key=lambda one: (one.number, one.encode())))


def introduction(number: int, met: Acquaintance) -> LetterContent:
    """The desk's letter that introduces somebody, to be sealed for a reporter who asked for it."""
    card = ReplyCard(met.end.key, met.alias).encode()
    return LetterContent(LetterKind.INTRODUCTION, number, entry=met.end.entry, text=card)


def _direction(root: bytes, sender: End, receiver: End) -> Box:
    ends = (sender.key, sender.entry, receiver.key, receiver.entry)
    return Box(derive(root, Tag.MAILBOX, b"address", *ends), derive(root, Tag.LETTER, b"key", *ends))


def _goes(content: LetterContent, sender: End) -> bool:
    """Whether this sender may send this kind: notes stay at home, only a desk introduces."""
    return content.kind != LetterKind.NOTE and (content.kind != LetterKind.INTRODUCTION or sender.is_desk)
