"""A reporter after a match: who was introduced, what she answers, what is said.

Owns what is asked and in which order; it is the same whether anybody was
matched or not. Refuses to do I/O (`running.py`) and to decide what may be
shown (notalone_crypto/protocol/conversation.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from notalone_client import letters
from notalone_client.letters import Conversation
from notalone_client.report import Sealed
from notalone_client.session import Steps
from notalone_client.steps_return import OwnFiling, Returning
from notalone_client.trust import World
from notalone_crypto.errors import NotAloneError
from notalone_crypto.messages.contact import Choice
from notalone_crypto.protocol import conversation, release
from notalone_crypto.protocol.contact import Acquaintance, Channel, End, Notebook, acquaintances
from notalone_crypto.protocol.conversation import Who, With, Words


@dataclass(frozen=True, slots=True)
class News:
    """What the other end of one conversation wrote that this client had not shown yet."""

    conversation: Conversation
    texts: tuple[str, ...] = field(repr=False)
    details: tuple[str, ...] = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Reporter(Returning):
    """Somebody who filed and may have been matched."""

    shown: set[tuple[bytes, bytes, int, str]] = field(default_factory=set, init=False, repr=False)

    def matches(self, filing: OwnFiling | Sealed, since: int = 1) -> Steps[tuple[release.Introduction, ...]]:
        """Introductions for this filing: all blobs since batch `since` are downloaded and tried here.

        Of one entry, content 1 is a reply card, content 2 are first words (bytes of UTF-8).
        Mailboxes are asked for as in `conversations`, so that nobody can tell the two apart.
        """
        found, _ = yield from self._look(filing, since)
        return found

    def conversations(self, filing: OwnFiling | Sealed, since: int = 1) -> Steps[tuple[Conversation, ...]]:
        """Every conversation of a filing: with the desk, then with each reporter introduced to her.

        Read from blobs and mailboxes alone, the same on every device that has the words.
        """
        _, found = yield from self._look(filing, since)
        return found

    def consent(self, one: Conversation, choice: Choice) -> Steps[Conversation]:
        """Answer. Agreeing tells the other; everything else is a note to herself and sends nothing.

        With a desk, WRITE and SHARE_CONTACT ask it to introduce her. Returns the
        conversation as it then stands.
        """
        world = yield from self.open()
        now = yield from letters.read_again(self, world, one)  # an old view could undo a newer answer
        answer = conversation.letters_for_choice(now.said, choice)
        if now.notebook is not None:
            for note in answer.notes:
                sealed = now.notebook.seal(note, self.randomness)
                yield from letters.post(self, world, now.notebook.address, sealed)
        for letter in answer.letters:
            yield from letters.post_content(self, world, now, letter)
        return (yield from letters.read_again(self, world, now))

    def send(self, one: Conversation, text: str) -> Steps[Conversation]:
        """Write to the other end, 1 to 975 bytes of UTF-8. Returns the conversation as it then stands.

        The same text for the same `one` sent twice is there once.
        Raises: StateConflict (state.consent) before both agreed to write; MalformedInput.
        """
        world = yield from self.open()
        yield from letters.post_content(self, world, one, conversation.text_letter(one.said, text))
        return (yield from letters.read_again(self, world, one))

    def share(self, one: Conversation, details: str) -> Steps[Conversation]:
        """Give the other end contact details. As `send`, but both must have agreed to share contact."""
        world = yield from self.open()
        yield from letters.post_content(self, world, one, conversation.details_letter(one.said, details))
        return (yield from letters.read_again(self, world, one))

    def receive(self, filing: OwnFiling | Sealed, since: int = 1) -> Steps[tuple[News, ...]]:
        """What is new to read: each text once for this client object, all of it again on a new one.

        Nothing tells the other end that it was read.
        """
        news: list[News] = []
        for one in (yield from self.conversations(filing, since)):
            texts = self._unseen(one, b"text", one.said.texts)
            details = self._unseen(one, b"details", one.said.details)
            if texts or details:
                news.append(News(one, texts, details))
        return tuple(news)

    def _unseen(self, one: Conversation, kind: bytes, words: Sequence[Words]) -> tuple[str, ...]:
        theirs = [word for word in words if word.who is Who.OTHER]
        keys = [(one.channel.incoming_address, kind, word.number, word.text) for word in theirs]
        fresh = [key for key in keys if key not in self.shown]
        self.shown.update(fresh)
        return tuple(text for *_, text in fresh)

    def _look(
        self, filing: OwnFiling | Sealed, since: int
    ) -> Steps[tuple[tuple[release.Introduction, ...], tuple[Conversation, ...]]]:
        """Blobs, then mailboxes twice: whom a desk introduced is known after the first time only."""
        world = yield from self.open()
        own = OwnFiling.of(filing)
        key = self._owner(world, own.quota_tag).recipient_key
        opened = yield from self.released(world, key, since)
        met = acquaintances((one.entry, one.plaintext) for one in opened if one.content == 1)
        desks = tuple(Acquaintance(End.desk(desk.key), desk.name) for desk in world.policy.desks)
        first = yield from self._read(world, own, (*desks, *met))
        introduced = tuple(
            one for talk in first for one in talk.said.introductions if one.end not in {m.end for m in met}
        )
        second = yield from self._read(world, own, introduced)
        peers = sorted(
            (one for one in (*first, *second) if not one.with_desk), key=lambda one: one.channel.other
        )
        return opened, (*_desks_of(own, first), *peers)

    def _read(
        self, world: World, own: OwnFiling, others: Sequence[Acquaintance]
    ) -> Steps[tuple[Conversation, ...]]:
        member = next(iter(self.members(world).values()))
        notebook = Notebook.of(member, own.quota_tag)
        blank: dict[End, Conversation] = {}
        for other in others if own.entry else ():
            try:
                channel = self._channel(world, own, other.end)
            except NotAloneError:
                continue  # her own card under another entry, or a key that is none: it stops nobody else
            kind = With.DESK if other.end.is_desk else With.PEER
            blank.setdefault(channel.other, Conversation.read(other.alias, kind, channel, notebook, {}))
        wanted = {address for one in blank.values() for address in one.addresses}
        found = yield from letters.visit(self, world, wanted)
        return tuple(one.again(found) for one in blank.values())

    def _channel(self, world: World, own: OwnFiling, other: End) -> Channel:
        key = self._owner(world, own.quota_tag).reply_key
        return Channel.between(world.committee, self.trust.scope, key, End(key.public, own.entry), other)


def _desks_of(own: OwnFiling, talks: Sequence[Conversation]) -> tuple[Conversation, ...]:
    """The desk she sealed to. A restored device does not know which: then those with letters, or all."""
    desks = tuple(one for one in talks if one.with_desk)
    if own.desk:
        return tuple(one for one in desks if one.channel.other.key == own.desk)
    used = tuple(one for one in desks if one.said.texts or one.said.introductions)
    return used or desks
