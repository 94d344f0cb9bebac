"""The commands after a match: `notalone matches|read|consent|write`.

Owns their order: the warning of a first conversation comes before anything that
can be read or written. Refuses to show a number of people, or anything of the
other end before both agreed.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Annotated, Final

import typer

from notalone_client.cli_input import (
    DEFAULT,
    BadInput,
    Config,
    Kept,
    Language,
    Number,
    Visit,
    err,
    out,
    read_sealed,
    visiting,
)
from notalone_client.client import Client
from notalone_client.letters import Conversation
from notalone_client.steps_return import FilingStatus
from notalone_client.texts import LANGUAGES, Speaker
from notalone_crypto.messages.contact import Choice
from notalone_crypto.protocol.conversation import Who

app = typer.Typer()
CHOICES: Final = {
    "counsellor": Choice.TALK_TO_COUNSELLOR,
    "write": Choice.WRITE,
    "contact": Choice.SHARE_CONTACT,
    "later": Choice.NOT_NOW,
    "block": Choice.BLOCK,
}
Since = Annotated[int, typer.Option(min=1, help=Speaker(DEFAULT)("option.since"))]
Talk = Annotated[int, typer.Option("--with", min=1, help=Speaker(DEFAULT)("option.with"))]
Now = Annotated[bool, typer.Option("--now", help=Speaker(DEFAULT)("option.now"))]


@app.command(help=Speaker(DEFAULT)("command.matches"))
def matches(
    config: Config,
    number: Number = 1,
    kept: Kept = None,
    since: Since = 1,
    *,
    now: Now = False,
    language: Language = DEFAULT,
) -> None:
    """Whether there is news, never how many."""
    with visiting(config, language) as (client, visit):
        found, talks = _look(client, visit, kept, number, since)
        if not found and not any(one.received or one.said.introductions for one in talks):
            visit.tell("match.none")
        elif not visit.asked_now(now=now):
            visit.tell("match.later")
        else:
            for key in ("match", "match.choices", "refusal"):
                visit.tell(key)


@app.command(help=Speaker(DEFAULT)("command.read"))
def read(
    config: Config,
    number: Number = 1,
    kept: Kept = None,
    since: Since = 1,
    language: Language = DEFAULT,
) -> None:
    """Every conversation, under the warning."""
    with visiting(config, language) as (client, visit):
        visit.tell("warning")
        first_words, talks = _look(client, visit, kept, number, since)
        for place, one in enumerate(talks, 1):
            _show(visit, place, one, first_words.get(one.entry))


@app.command(help=Speaker(DEFAULT)("command.consent"))
def consent(
    config: Config,
    choice: Annotated[str, typer.Option(help=Speaker(DEFAULT)("option.choice"))],
    talk: Talk,
    number: Number = 1,
    kept: Kept = None,
    since: Since = 1,
    language: Language = DEFAULT,
) -> None:
    """One answer to one conversation."""
    with visiting(config, language) as (client, visit):
        names = {_plain(Speaker(one)(f"name.{key}")): key for one in LANGUAGES for key in CHOICES}
        key = names.get(_plain(choice))
        if key is None:
            known = ", ".join(visit.say(f"name.{one}") for one in CHOICES)
            raise BadInput("bad.choice", known=known)
        visit.tell("warning")
        visit.tell("refusal")
        one = _conversation(_look(client, visit, kept, number, since)[1], talk)
        with visit.during("send"):
            client.consent(one, CHOICES[key])
        visit.tell(f"chosen.{key}")


@app.command(help=Speaker(DEFAULT)("command.write"))
def write(
    config: Config,
    talk: Talk,
    number: Number = 1,
    kept: Kept = None,
    since: Since = 1,
    *,
    contact: Annotated[bool, typer.Option("--contact", help=Speaker(DEFAULT)("option.contact"))] = False,
    language: Language = DEFAULT,
) -> None:
    """The text is asked for, after the warning."""
    with visiting(config, language) as (client, visit):
        visit.tell("warning")
        one = _conversation(_look(client, visit, kept, number, since)[1], talk)
        text = visit.ask("details" if contact else "text", hidden=False)
        if not text:
            raise BadInput("bad.empty")
        with visit.during("send"):
            (client.share if contact else client.send)(one, text)
        visit.tell("written")


def own(client: Client, visit: Visit, kept: list[Path] | None) -> tuple[FilingStatus, ...]:
    """Her filings, as `status` numbers them."""
    with visit.during("look"):
        return client.status(*(read_sealed(path) for path in kept or []))


def chosen(mine: tuple[FilingStatus, ...], number: int) -> FilingStatus:
    """The one with this number. Raises: BadInput."""
    if number > len(mine):
        raise BadInput("bad.number")
    return mine[number - 1]


def aside(visit: Visit, key: str) -> None:
    """A sentence on standard error, where it does not get into what is piped on."""
    err.print(visit.say(key), markup=False, soft_wrap=True)


def _look(
    client: Client, visit: Visit, kept: list[Path] | None, number: int, since: int
) -> tuple[dict[bytes, str | None], tuple[Conversation, ...]]:
    """Whom she was introduced to, with first words where they were opened; and every conversation."""
    filing = chosen(own(client, visit, kept), number).filing
    with visit.during("news"):
        talks = client.conversations(filing, since)
        found: dict[bytes, str | None] = {}
        for one in client.matches(filing, since):
            words = one.plaintext.decode("utf-8", "replace") if one.content == 2 else found.get(one.entry)
            found[one.entry] = words
    return found, talks


def _plain(text: str) -> str:
    """Case and accents do not count, nor how the keyboard puts them together."""
    letters = unicodedata.normalize("NFKD", text.strip()).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _conversation(talks: tuple[Conversation, ...], number: int) -> Conversation:
    if number > len(talks):
        raise BadInput("bad.conversation")
    return talks[number - 1]


def _show(visit: Visit, number: int, one: Conversation, first_words: str | None) -> None:
    name = visit.say("talk.desk", name=one.name) if one.with_desk else one.name or visit.say("talk.nameless")
    out.print()
    visit.tell("talk.title", number=number, name=name)
    if first_words:
        visit.tell("talk.words", text=first_words)
    for word in one.said.texts:
        mine = word.who is Who.SELF
        visit.tell("talk.mine" if mine else "talk.theirs", name=name, text=word.text)
    for text in one.details:
        visit.tell("talk.details", text=text)
    if not one.with_desk and not one.said.may_write:
        visit.tell("talk.closed")
