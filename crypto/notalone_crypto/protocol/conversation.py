"""What one end may read and write: a pure function of letters and notes.

Owns the rule that silence, refusal, blocking and a consent not yet answered
look the same (specs/20-protocol.md#conversations). Refuses to know mailboxes
and keys (protocol/contact.py). Nothing here is stored: whoever has the words
finds the letters, and whoever has the letters has the conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, unique

from notalone_crypto.errors import Code, Misuse, StateConflict
from notalone_crypto.messages.contact import (
    NOBODY,
    Choice,
    LetterContent,
    LetterKind,
    Stage,
    read_text,
    write_text,
)
from notalone_crypto.protocol.contact import Acquaintance, acquaintances, ordered


@unique
class With(IntEnum):
    """Whom a conversation is with."""

    PEER = 1  # two reporters: nothing before both agreed
    DESK = 2  # a reporter, to the desk she sealed her report to
    REPORTER = 3  # a desk, to a reporter who was released to it


@unique
class Who(IntEnum):
    """Whose words."""

    SELF = 1
    OTHER = 2


@dataclass(frozen=True, slots=True, order=True)
class Words:
    """One text of a conversation: by whom, her count, and what it says."""

    who: Who
    number: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is shown of a pair of ends, and what may be done next.

    With a peer, nothing in it depends on the other's letters before both
    agreed: two conversations that differ only in what the other did are equal.
    """

    kind: With
    other: bytes = field(repr=False)  # the other end's entry, zeros for a desk
    mine: Stage  # her own consent in force
    stage_open: Stage  # what both agreed to
    asked: Stage  # at a desk: how far the reporter asks to be introduced
    texts: tuple[Words, ...] = field(repr=False)
    details: tuple[Words, ...] = field(repr=False)
    introductions: tuple[Acquaintance, ...] = field(repr=False)  # from the desk only
    next_number: int  # of her next letter to the other end
    next_note: int  # of her next note in this filing's notebook
    given: Stage = field(repr=False)  # the highest consent ever sent; it cannot be called back
    limit: Stage = field(repr=False)  # how far her own newest note lets anything through

    @property
    def may_write(self) -> bool:
        """Whether a text may be sent now."""
        return self.stage_open >= Stage.WRITE

    @property
    def may_share(self) -> bool:
        """Whether contact details may be sent now."""
        return self.stage_open >= Stage.CONTACT


@dataclass(frozen=True, slots=True)
class Answer:
    """The contents to seal for a choice: letters to the other end, notes to herself."""

    letters: tuple[LetterContent, ...]
    notes: tuple[LetterContent, ...]


def read(
    kind: With,
    mine: Iterable[LetterContent],
    theirs: Iterable[LetterContent],
    notes: Iterable[LetterContent],
    other: bytes = NOBODY,
) -> Conversation:
    """The conversation with the end whose entry is `other` (32 bytes; zeros for a desk, and only then).

    `mine` and `theirs` are what opened of the two directions, `notes` the whole
    notebook of this filing; order and repetition do not matter.

    Raises: Misuse.
    """
    if (kind == With.DESK) != (other == NOBODY):
        raise Misuse(Code.MISUSE, "a desk has no entry, everybody else has one")
    sent, received, noted = ordered(mine), ordered(theirs), ordered(notes)
    given, limit = _consent(sent), _limit(noted, other)
    own = min(given, limit) if kind == With.PEER else limit
    if kind == With.PEER:
        stage = min(own, _consent(received))
    else:
        # One-sided: she sealed her report to this desk, and the desk answers.
        stage = limit
    texts = _words(Who.SELF, LetterKind.TEXT, sent)
    details = _words(Who.SELF, LetterKind.DETAILS, sent)
    if stage >= Stage.WRITE:
        texts += _words(Who.OTHER, LetterKind.TEXT, received)
    if stage >= Stage.CONTACT:
        details += _words(Who.OTHER, LetterKind.DETAILS, received)
    introduced: tuple[Acquaintance, ...] = ()
    if kind == With.DESK and stage >= Stage.WRITE:
        introduced = acquaintances(
            (one.entry, one.text) for one in received if one.kind == LetterKind.INTRODUCTION
        )
    return Conversation(
        kind,
        other,
        own,
        stage,
        _consent(received) if kind == With.REPORTER else Stage.NOTHING,
        texts,
        details,
        introduced,
        _next(sent),
        _next(noted),
        given,
        limit,
    )


def letters_for_choice(conversation: Conversation, choice: Choice) -> Answer:
    """What her answer makes of it; nothing at all where it changes nothing.

    Agreeing goes to the other end (with a desk: as the wish to be introduced).
    Everything else is a note to herself: a refusal sends nothing, so that it
    looks like silence. Agreeing again after a refusal needs a note too, for
    only notes tell which of the two came last.

    Raises: Misuse for a desk's own end, which has no choices to make.
    """
    if conversation.kind == With.REPORTER:
        raise Misuse(Code.MISUSE, "a desk's conversation has no choices")
    stage = {Choice.WRITE: Stage.WRITE, Choice.SHARE_CONTACT: Stage.CONTACT}.get(choice)
    note = LetterContent(LetterKind.NOTE, conversation.next_note, stage=int(choice), entry=conversation.other)
    if stage is None:
        return Answer((), (note,))
    letters: tuple[LetterContent, ...] = ()
    if stage > conversation.given:
        letters = (LetterContent(LetterKind.CONSENT, conversation.next_number, stage=int(stage)),)
    # What an older note closed stays closed until a newer one says otherwise.
    return Answer(letters, (note,) if conversation.limit < stage else ())


def text_letter(conversation: Conversation, text: str) -> LetterContent:
    """A text to the other end (NFC, 1 to MAX_TEXT UTF-8 bytes).

    Raises: StateConflict (state.consent) before both agreed to write; MalformedInput.
    """
    if not conversation.may_write:
        raise StateConflict(Code.CONSENT, "not both have agreed to write")
    return LetterContent(LetterKind.TEXT, conversation.next_number, text=write_text(text))


def details_letter(conversation: Conversation, text: str) -> LetterContent:
    """Contact details to the other end.

    Raises: StateConflict (state.consent) before both agreed to share contact; MalformedInput.
    """
    if not conversation.may_share:
        raise StateConflict(Code.CONSENT, "not both have agreed to share contact")
    return LetterContent(LetterKind.DETAILS, conversation.next_number, text=write_text(text))


def _consent(letters: Sequence[LetterContent]) -> Stage:
    """The highest stage agreed to; consents are never called back, only closed by notes."""
    return Stage(max((one.stage for one in letters if one.kind == LetterKind.CONSENT), default=0))


def _limit(notes: Sequence[LetterContent], other: bytes) -> Stage:
    """How far her newest answer about this end lets anything through."""
    about = [one for one in notes if one.kind == LetterKind.NOTE and one.entry == other]
    if other != NOBODY:
        # Talking to the counsellor neither opens nor closes anything with a peer.
        about = [one for one in about if one.stage != Choice.TALK_TO_COUNSELLOR]
    if not about:
        return Stage.CONTACT
    newest = max(about, key=lambda one: (one.number, one.stage))
    if newest.stage in (Choice.NOT_NOW, Choice.BLOCK):
        return Stage.NOTHING
    return Stage.WRITE if newest.stage == Choice.WRITE and other != NOBODY else Stage.CONTACT


def _words(who: Who, kind: LetterKind, letters: Sequence[LetterContent]) -> tuple[Words, ...]:
    return tuple(Words(who, one.number, read_text(one.text)) for one in letters if one.kind == kind)


def _next(letters: Sequence[LetterContent]) -> int:
    return max((one.number for one in letters), default=0) + 1
