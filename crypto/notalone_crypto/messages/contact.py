"""Messages of contact after a match: reply card, letter, and the mailboxes' requests and answers.

Owns their shapes and sizes, which server and clients share. Refuses to know
how addresses and keys come about and what a letter is allowed to change
(protocol/contact.py). Specs: specs/30-wire-format.md#mailboxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import Annotated, ClassVar, Final

from notalone_crypto.codec import Reader, Writer, check_length
from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.messages.wire import U8, U32, Hash, HpkeKey, Message, Text, Variable
from notalone_crypto.suite import HASH_LENGTH

MAX_ALIAS: Final = 200  # UTF-8 bytes
NONCE_LENGTH: Final = 16
HAND_LENGTH: Final = 16  # by which she alone knows her own letters again
SALT_LENGTH: Final = NONCE_LENGTH + HAND_LENGTH
LETTER_PLAINTEXT_LENGTH: Final = 1024  # padded
LETTER_LENGTH: Final = SALT_LENGTH + LETTER_PLAINTEXT_LENGTH + 48  # the committing AEAD's overhead
# What is left of the padded plaintext: 4 bytes of padding prefix, 3 of version and type, 42 of fields.
MAX_TEXT: Final = LETTER_PLAINTEXT_LENGTH - 4 - 3 - 42
ADDRESS_LENGTH: Final = HASH_LENGTH
NOBODY: Final = bytes(HASH_LENGTH)  # the entry of a desk's end, and of a letter that names none

MAILBOXES: Final = 8  # asked for at once, always
PAGE: Final = 4  # letters of one mailbox in one answer, always
POST_LENGTH: Final = ADDRESS_LENGTH + LETTER_LENGTH
REQUEST_LENGTH: Final = MAILBOXES * (ADDRESS_LENGTH + 4)
ANSWER_LENGTH: Final = MAILBOXES * PAGE * (4 + LETTER_LENGTH)


@unique
class LetterKind(IntEnum):
    """What a letter does."""

    CONSENT = 1  # `stage`: how far she agrees to go with this one other end
    TEXT = 2
    DETAILS = 3  # contact details
    INTRODUCTION = 4  # desk to reporter: `entry` and reply card of another reporter
    NOTE = 5  # to herself: `stage` is a Choice about the end `entry`


@unique
class Stage(IntEnum):
    """How far two ends agreed to go."""

    NOTHING = 0
    WRITE = 1  # under aliases
    CONTACT = 2  # exchange contact details


@unique
class Choice(IntEnum):
    """What she may answer. Of two notes with one number the greater counts: refusing before agreeing."""

    TALK_TO_COUNSELLOR = 1
    WRITE = 2
    SHARE_CONTACT = 3
    NOT_NOW = 4
    BLOCK = 5


_STAGES: Final = {
    LetterKind.CONSENT: (Stage.WRITE, Stage.CONTACT),
    LetterKind.NOTE: (Choice.TALK_TO_COUNSELLOR, Choice.BLOCK),
}


@dataclass(frozen=True, slots=True)
class ReplyCard(Message):
    """The first introduction: how to write to her, under which name. Nothing else is in it."""

    TYPE: ClassVar[int] = 52
    reply_key: HpkeKey = field(repr=False)
    alias: Annotated[str, Text(MAX_ALIAS)] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LetterContent(Message):
    """One letter before sealing; which fields are used depends on its kind, the others are empty."""

    TYPE: ClassVar[int] = 53
    kind: U8
    number: U32 = field(repr=False)  # the sender's own count, from 1
    stage: U8 = field(default=0, repr=False)
    entry: Hash = field(default=NOBODY, repr=False)
    text: Annotated[bytes, Variable(MAX_TEXT)] = field(default=b"", repr=False)

    def check(self) -> None:
        """Refuse unknown kinds, fields that a kind does not use, and texts that are none."""
        if self.kind not in set(LetterKind):
            raise MalformedInput(Code.RANGE, "a letter of an unknown kind")
        if self.number == 0:
            raise MalformedInput(Code.RANGE, "letters are counted from 1")
        kind = LetterKind(self.kind)
        lowest, highest = _STAGES.get(kind, (0, 0))
        if not lowest <= self.stage <= highest:
            raise MalformedInput(Code.RANGE, "a letter's stage does not go with its kind")
        if kind is not LetterKind.NOTE and (self.entry != NOBODY) != (kind is LetterKind.INTRODUCTION):
            raise MalformedInput(Code.RANGE, "a letter names an entry that its kind does not have, or none")
        if kind in (LetterKind.TEXT, LetterKind.DETAILS):
            read_text(self.text)
        elif kind is LetterKind.INTRODUCTION:
            ReplyCard.decode(self.text)
        elif self.text:
            raise MalformedInput(Code.LENGTH, "a letter of this kind has no text")


def write_text(text: str) -> bytes:
    """`text` as a letter carries it: 1 to MAX_TEXT bytes of UTF-8 in NFC. Raises: MalformedInput."""
    Text(MAX_TEXT).check(text, "a letter's text")
    data = text.encode("utf-8")
    read_text(data)
    return data


def read_text(data: bytes) -> str:
    """The text that a letter carries. Raises: MalformedInput (encoding.text, encoding.length)."""
    if not data:
        raise MalformedInput(Code.LENGTH, "a letter has no words")
    return Reader(Writer().variable(data).finish()).text(MAX_TEXT)


# --- mailboxes: bodies of requests and answers --------------------------------------------------------


def encode_post(address: bytes, letter: bytes) -> bytes:
    """A letter to put into the mailbox `address` (32 bytes): POST_LENGTH bytes. Raises: MalformedInput."""
    return check_length(address, ADDRESS_LENGTH, "an address") + check_length(
        letter, LETTER_LENGTH, "a letter"
    )


def decode_post(body: bytes) -> tuple[bytes, bytes]:
    """Address and letter. Raises: MalformedInput (encoding.length)."""
    check_length(body, POST_LENGTH, "a letter to post")
    return body[:ADDRESS_LENGTH], body[ADDRESS_LENGTH:]


def encode_request(mailboxes: Sequence[tuple[bytes, int]]) -> bytes:
    """Exactly MAILBOXES pairs of an address and the last position seen there (0: none).

    Fewer are filled up with random addresses by the caller: the number of real
    ones would tell how many others she was matched with.

    Raises: MalformedInput.
    """
    _exactly(mailboxes, MAILBOXES)
    writer = Writer()
    for address, after in mailboxes:
        writer.fixed(check_length(address, ADDRESS_LENGTH, "an address"), ADDRESS_LENGTH)
        writer.u32(_position(after))
    return writer.finish()


def decode_request(body: bytes) -> tuple[tuple[bytes, int], ...]:
    """MAILBOXES pairs of address and last position seen. Raises: MalformedInput (encoding.length)."""
    check_length(body, REQUEST_LENGTH, "a request for mailboxes")
    reader = Reader(body)
    return tuple((reader.fixed(ADDRESS_LENGTH), reader.u32()) for _ in range(MAILBOXES))


def encode_answer(pages: Sequence[Sequence[tuple[int, bytes]]]) -> bytes:
    """One page for each mailbox asked for, filled up with zeros: ANSWER_LENGTH bytes.

    A page is at most PAGE pairs of a position (above 0, increasing) and a
    letter. Raises: MalformedInput.
    """
    _exactly(pages, MAILBOXES)
    writer = Writer()
    for page in pages:
        _increasing(page, 0)
        for position, letter in page:
            writer.u32(_position(position))
            writer.fixed(check_length(letter, LETTER_LENGTH, "a letter"), LETTER_LENGTH)
        missing = PAGE - len(page)
        writer.fixed(bytes(missing * (4 + LETTER_LENGTH)), missing * (4 + LETTER_LENGTH))
    return writer.finish()


def decode_answer(
    body: bytes, asked: Sequence[tuple[bytes, int]] | None = None
) -> tuple[tuple[tuple[int, bytes], ...], ...]:
    """MAILBOXES pages of (position, letter), without what fills them up.

    With `asked`, the request's pairs, positions that were seen already are
    refused too: a board that repeats them would keep a client asking forever.

    Raises: MalformedInput (encoding.length, encoding.non_canonical, encoding.range).
    """
    check_length(body, ANSWER_LENGTH, "an answer with letters")
    reader = Reader(body)
    pages = []
    for number in range(MAILBOXES):
        slots = [(reader.u32(), reader.fixed(LETTER_LENGTH)) for _ in range(PAGE)]
        page = tuple(slot for slot in slots if slot[0])
        if page != tuple(slots[: len(page)]) or any(any(letter) for _, letter in slots[len(page) :]):
            raise MalformedInput(Code.NON_CANONICAL, "a page of letters is not filled up with zeros")
        _increasing(page, asked[number][1] if asked is not None else 0)
        pages.append(page)
    return tuple(pages)


def _exactly(values: Sequence[object], count: int) -> None:
    if len(values) != count:
        raise MalformedInput(Code.LENGTH, f"there must be exactly {count} mailboxes")


def _position(value: int) -> int:
    if not 0 <= value < 1 << 32:
        raise MalformedInput(Code.RANGE, "a position is out of range")
    return value


def _increasing(page: Sequence[tuple[int, bytes]], after: int) -> None:
    if len(page) > PAGE:
        raise MalformedInput(Code.LENGTH, f"a page has more than {PAGE} letters")
    for position, _ in page:
        if position <= after:
            raise MalformedInput(Code.RANGE, "positions in a mailbox do not increase")
        after = position
