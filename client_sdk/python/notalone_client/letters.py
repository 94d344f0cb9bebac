"""Mailboxes as a client visits them, and a conversation as it is found there.

Owns how mailboxes are asked for: always in requests of eight, filled up with
random addresses, in random order, so that a request tells neither whether
anybody was matched nor with how many. Refuses to keep anything: a conversation
is read anew from the mailboxes every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from notalone_client.errors import Unavailable, UnexpectedAnswer
from notalone_client.session import Session, Steps
from notalone_client.trust import World
from notalone_crypto.messages.contact import (
    ADDRESS_LENGTH,
    ANSWER_LENGTH,
    MAILBOXES,
    LetterContent,
    Stage,
    decode_answer,
    encode_post,
    encode_request,
)
from notalone_crypto.protocol import conversation
from notalone_crypto.protocol.contact import Channel, Notebook
from notalone_crypto.protocol.conversation import Who, With

Letters = Mapping[bytes, Sequence[bytes]]
ATTEMPTS: Final = 3
_ROUNDS: Final = 128  # of PAGE letters: more than a mailbox holds


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation as it stands: with whom, and what may be read.

    With another reporter nothing in it depends on what she did before both
    agreed: while she refuses, blocks or never comes back, it is the same.
    """

    name: str = field(repr=False)  # the name she chose, or the desk's
    said: conversation.Conversation
    channel: Channel = field(repr=False)
    notebook: Notebook | None = field(repr=False)

    @classmethod
    def read(
        cls, name: str, kind: With, channel: Channel, notebook: Notebook | None, letters: Letters
    ) -> Conversation:
        """What follows from the letters found, whatever their order."""
        said = conversation.read(
            kind,
            channel.open_outgoing(letters.get(channel.outgoing_address, ())),
            channel.open_incoming(letters.get(channel.incoming_address, ())),
            () if notebook is None else notebook.open(letters.get(notebook.address, ())),
            channel.other.entry,
        )
        return cls(name, said, channel, notebook)

    @property
    def with_desk(self) -> bool:
        """Whether the other is a counsellors' desk."""
        return self.said.kind == With.DESK

    @property
    def entry(self) -> bytes:
        """The other's entry (32 bytes), zeros for a desk."""
        return self.channel.other.entry

    @property
    def mine(self) -> Stage:
        """How far she agreed to go."""
        return self.said.mine

    @property
    def agreed(self) -> Stage:
        """How far both agreed to go."""
        return self.said.stage_open

    @property
    def sent(self) -> tuple[str, ...]:
        """Her own texts, in her order."""
        return tuple(one.text for one in self.said.texts if one.who is Who.SELF)

    @property
    def received(self) -> tuple[str, ...]:
        """The other's texts, as far as they may be read."""
        return tuple(one.text for one in self.said.texts if one.who is Who.OTHER)

    @property
    def details(self) -> tuple[str, ...]:
        """The other's contact details, as far as they may be read."""
        return tuple(one.text for one in self.said.details if one.who is Who.OTHER)

    @property
    def addresses(self) -> tuple[bytes, ...]:
        """Every mailbox it is read from."""
        both = self.channel.outgoing_address, self.channel.incoming_address
        return both if self.notebook is None else (*both, self.notebook.address)

    def again(self, letters: Letters) -> Conversation:
        """The same conversation, from these letters."""
        return Conversation.read(self.name, self.said.kind, self.channel, self.notebook, letters)


def visit(session: Session, world: World, addresses: Iterable[bytes]) -> Steps[Letters]:
    """What lies in these mailboxes; without any, the same request with random addresses alone.

    Raises: MalformedInput, UnexpectedAnswer for pages without end.
    """
    found: dict[bytes, list[bytes]] = {address: [] for address in addresses}
    left = dict.fromkeys(found, 0)
    for _ in range(_ROUNDS):
        full: dict[bytes, int] = {}
        for asked in _requests(session, left):
            request = session.ask("/mailboxes", world, encode_request(asked), ANSWER_LENGTH)
            pages = decode_answer((yield request).body, asked)
            for (address, _), page in zip(asked, pages, strict=True):
                if address in found and page:
                    found[address] += [letter for _, letter in page]
                    full[address] = page[-1][0]
        left = full
        if not left:
            return found
    raise UnexpectedAnswer("a mailbox has no end")


def _requests(session: Session, wanted: Mapping[bytes, int]) -> Iterable[Sequence[tuple[bytes, int]]]:
    """Requests of eight, a power of two of them, in which real and random addresses are mixed."""
    count = 1
    while count * MAILBOXES < len(wanted):
        count *= 2
    filled = list(wanted.items())
    # A random address asks from the start, as every first request for a real one.
    filled += [(session.randomness(ADDRESS_LENGTH), 0) for _ in range(count * MAILBOXES - len(filled))]
    filled.sort(key=lambda _: session.randomness(16))
    return [filled[start : start + MAILBOXES] for start in range(0, len(filled), MAILBOXES)]


def post(session: Session, world: World, address: bytes, letter: bytes) -> Steps[None]:
    """Leave a letter; while there is no answer the very same bytes go again, which is the same as once."""
    for _ in range(ATTEMPTS - 1):
        try:
            yield session.ask("/letters", world, encode_post(address, letter))
        except Unavailable:
            continue
        return
    yield session.ask("/letters", world, encode_post(address, letter))


def read_again(session: Session, world: World, one: Conversation) -> Steps[Conversation]:
    """The conversation as it stands now."""
    return one.again((yield from visit(session, world, one.addresses)))


def post_content(session: Session, world: World, one: Conversation, content: LetterContent) -> Steps[None]:
    """Seal a content for the other end and leave it."""
    letter = one.channel.seal(content, session.randomness)
    yield from post(session, world, one.channel.outgoing_address, letter)
