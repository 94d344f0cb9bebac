"""Two reporters and a desk who write to one another through mailboxes, without any committee.

Owns a hand-made board (lists of letters by address, which a test may change)
and people who keep nothing but their keys. Nothing here decides what is shown.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from notalone_crypto.messages.contact import Choice, LetterContent
from notalone_crypto.primitives import hpke
from notalone_crypto.primitives.hashing import derive
from notalone_crypto.protocol.contact import Channel, End, Notebook
from notalone_crypto.protocol.conversation import (
    Conversation,
    With,
    details_letter,
    letters_for_choice,
    read,
    text_letter,
)
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.roll import Member
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag


def committee(instance: bytes = b"test-instance", identifier: bytes = b"\x11" * 32) -> Committee:
    """A channel binds these two names and uses nothing else of a committee."""
    return cast("Committee", SimpleNamespace(instance=instance, identifier=identifier))


COMMITTEE = committee()
SCOPE = b"\x22" * 32


@dataclass
class Mailboxes:
    """What the board holds; a dishonest one changes `letters`."""

    letters: dict[bytes, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def total(self) -> int:
        """How many letters there are."""
        return sum(map(len, self.letters.values()))


@dataclass
class Person:
    """A reporter with one filing, or a desk (`entry` zeros)."""

    name: bytes
    boxes: Mailboxes
    desk: bool = False

    def __post_init__(self) -> None:
        self.randomness = SeededStream(b"letters of " + self.name)
        self.member = Member(1, 2, derive(self.name.ljust(16, b"."), Tag.PHRASE_KEY, b"test"))
        self.tag = derive(self.member.phrase_key, Tag.QUOTA_BASE, b"some tag")
        self.entry = bytes(32) if self.desk else derive(self.member.phrase_key, Tag.HEADER, b"some entry")
        self.key = hpke.HpkePrivateKey(derive(self.member.phrase_key, Tag.REPLY_KEY, self.tag))
        self.end = End(self.key.public, self.entry)
        self.notebook = Notebook.of(self.member, self.tag)

    def channel(self, other: Person) -> Channel:
        """With the real other."""
        return Channel.between(COMMITTEE, SCOPE, self.key, self.end, other.end)

    def talk(self, other: Person) -> Conversation:
        """What she sees now, from nothing but her words."""
        way, held = self.channel(other), self.boxes.letters
        kind = With.DESK if other.desk else With.REPORTER if self.desk else With.PEER
        return read(
            kind,
            way.open_outgoing(held[way.outgoing_address]),
            way.open_incoming(held[way.incoming_address]),
            () if self.desk else self.notebook.open(held[self.notebook.address]),
            other.entry,
        )

    def choose(self, other: Person, choice: Choice) -> None:
        """Answer, and post what follows from it."""
        answer = letters_for_choice(self.talk(other), choice)
        for content in answer.letters:
            self.post(other, content)
        for note in answer.notes:
            self.boxes.letters[self.notebook.address].append(self.notebook.seal(note, self.randomness))

    def post(self, other: Person, content: LetterContent) -> None:
        """Seal and post whatever this is: a modified client asks nobody."""
        way = self.channel(other)
        self.boxes.letters[way.outgoing_address].append(way.seal(content, self.randomness))

    def write(self, other: Person, text: str) -> None:
        """A text, if the conversation allows one."""
        self.post(other, text_letter(self.talk(other), text))

    def share(self, other: Person, text: str) -> None:
        """Contact details, if the conversation allows it."""
        self.post(other, details_letter(self.talk(other), text))


def people(*names: str) -> tuple[Person, ...]:
    """People on one board; "desk" is a desk."""
    boxes = Mailboxes()
    return tuple(Person(name.encode(), boxes, desk=name == "desk") for name in names)


def said(conversation: Conversation) -> list[tuple[int, str]]:
    """(who, text) of everything shown."""
    return [(int(one.who), one.text) for one in conversation.texts]
