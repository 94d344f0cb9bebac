"""A counsellors' desk: matches released to it, and letters with the reporters in them.

Owns what a desk may see, which is what trustees released to its key, and whom
it may introduce. Refuses to do I/O (`running.py`) and to show anything that was
not matched: there is no call that lists reports.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from notalone_client import letters
from notalone_client.letters import Conversation
from notalone_client.session import Session, Steps
from notalone_client.trust import World
from notalone_crypto.errors import Code, ContextMismatch, NotAloneError, StateConflict
from notalone_crypto.messages.contact import LetterKind, Stage
from notalone_crypto.primitives import hpke
from notalone_crypto.protocol import contact, conversation, release
from notalone_crypto.protocol.contact import Acquaintance, Channel, End, acquaintances
from notalone_crypto.protocol.conversation import With


@dataclass(frozen=True, slots=True)
class Matched:
    """One reporter of a match: her entry, the name she chose, her first words."""

    entry: bytes
    alias: str = field(repr=False)
    words: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeskMatch:
    """Reports that name one person. `group` (32 bytes) names the match for good; it may grow.

    `members` are the entries of all of them; a reporter who sealed to another
    desk is not among `reporters`.
    """

    group: bytes
    members: tuple[bytes, ...]
    reporters: tuple[Matched, ...]


@dataclass(slots=True, kw_only=True)
class Counsellor(Session):
    """Who holds a desk's private key."""

    key: hpke.HpkePrivateKey = field(repr=False)

    def matches(self, since: int = 1) -> Steps[tuple[DeskMatch, ...]]:
        """Every match released to this desk in batches from `since` on, in a fixed order."""
        _, opened = yield from self._opened(since)
        return _grouped(opened)

    def conversations(self, since: int = 1) -> Steps[tuple[Conversation, ...]]:
        """One with every reporter of every match, as it stands. `said.asked` is how far she asks to go."""
        world, opened = yield from self._opened(since)
        blank = self._blank(world, opened)
        found = yield from letters.visit(
            self, world, {address for one in blank.values() for address in one.addresses}
        )
        return tuple(one.again(found) for _, one in sorted(blank.items()))

    def write(self, entry: bytes, text: str) -> Steps[Conversation]:
        """Write to the reporter behind `entry` (32 bytes). She alone decides whether she reads it.

        Raises: ContextMismatch (state.unknown_entry) for an entry that no match released.
        """
        world, opened = yield from self._opened(1)
        one = yield from letters.read_again(self, world, _known(self._blank(world, opened), entry))
        yield from letters.post_content(self, world, one, conversation.text_letter(one.said, text))
        return (yield from letters.read_again(self, world, one))

    def introduce(self, entry_a: bytes, entry_b: bytes) -> Steps[None]:
        """Give two reporters of one match each other's reply card, after both asked for it.

        To both ends or, when there is no answer, to one; the same call again does the rest and
        sends nothing twice. What they make of it is theirs alone: a pair at the stage nothing.

        Raises: ContextMismatch (state.unknown_entry) when they are not of one match;
        StateConflict (state.consent) unless both asked.
        """
        world, opened = yield from self._opened(1)
        if (
            not any(
                {entry_a, entry_b} <= {one.entry for one in match.reporters} for match in _grouped(opened)
            )
            or entry_a == entry_b
        ):
            raise ContextMismatch(Code.UNKNOWN_ENTRY, "these are not two reporters of one match")
        blank = self._blank(world, opened)
        both = _known(blank, entry_a), _known(blank, entry_b)
        found = yield from letters.visit(self, world, {a for one in both for a in one.addresses})
        pair = [one.again(found) for one in both]
        if any(one.said.asked < Stage.WRITE for one in pair):
            raise StateConflict(Code.CONSENT, "not both have asked to be introduced")
        for one, other in (pair, reversed(pair)):
            written = one.channel.open_outgoing(found[one.channel.outgoing_address])
            if any(two.kind == LetterKind.INTRODUCTION and two.entry == other.entry for two in written):
                continue
            card = Acquaintance(other.channel.other, other.name)
            yield from letters.post_content(
                self, world, one, contact.introduction(one.said.next_number, card)
            )

    def _opened(self, since: int) -> Steps[tuple[World, tuple[release.Introduction, ...]]]:
        world = yield from self.open()
        if self.key.public not in {desk.key for desk in world.policy.desks}:
            raise ContextMismatch(Code.POLICY, "this key is of no desk of the scope")
        return world, (yield from self.released(world, self.key, since))

    def _blank(self, world: World, opened: tuple[release.Introduction, ...]) -> dict[bytes, Conversation]:
        """A conversation without letters for every reporter whose card was released, by entry."""
        own = End.desk(self.key.public)
        found: dict[bytes, Conversation] = {}
        for one in acquaintances((one.entry, one.plaintext) for one in opened if one.content == 1):
            try:
                channel = Channel.between(world.committee, self.trust.scope, self.key, own, one.end)
            except NotAloneError:
                continue  # a reply key that is the desk's own stops nobody else
            found[one.end.entry] = Conversation.read(one.alias, With.REPORTER, channel, None, {})
        return found


def _known(blank: dict[bytes, Conversation], entry: bytes) -> Conversation:
    if entry not in blank:
        raise ContextMismatch(Code.UNKNOWN_ENTRY, "no match released this entry to this desk")
    return blank[entry]


def _grouped(opened: tuple[release.Introduction, ...]) -> tuple[DeskMatch, ...]:
    """By group; a reporter whose card is unusable is there without a name."""
    aliases = {
        one.end.entry: one.alias
        for one in acquaintances((one.entry, one.plaintext) for one in opened if one.content == 1)
    }
    words = {one.entry: one.plaintext.decode("utf-8", "replace") for one in opened if one.content == 2}
    released: dict[bytes, set[bytes]] = {}
    named: dict[bytes, set[bytes]] = {}
    for one in opened:
        released.setdefault(one.group, set()).add(one.entry)
        named.setdefault(one.group, set()).update(one.members)
    return tuple(
        DeskMatch(
            group,
            tuple(sorted(named[group])),
            tuple(Matched(entry, aliases.get(entry, ""), words.get(entry, "")) for entry in sorted(entries)),
        )
        for group, entries in sorted(released.items())
    )
