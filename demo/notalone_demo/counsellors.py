"""The counsellors' commands: `notalone desk matches|read|write|introduce`, beside `keys` and `show`.

Here on top, for it joins two halves that know nothing of each other: the key file of the operators'
commands and the desk's client. Owns the order. Reporters' words are shown for one reporter at a
time, who was asked for. Refuses to show anything that was not matched, and to keep anything.

A reporter is named by the first letters of her entry, which stay hers: a number would move on with
the next match, and a letter would go to somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from notalone_client.cli_input import (
    DEFAULT,
    BadInput,
    Config,
    Language,
    Visit,
    read_config,
    speaking,
)
from notalone_client.desk import Desk
from notalone_client.steps_desk import DeskMatch, Matched
from notalone_client.texts import Speaker
from notalone_client.trust import Trust
from notalone_crypto.errors import Code, ContextMismatch, Misuse, NotAloneError
from notalone_crypto.protocol.conversation import Who
from notalone_server.operators import commands as operators
from notalone_server.operators.deskfile import DeskKey, read_desk_key

app = typer.Typer(no_args_is_help=True)
desk_app = typer.Typer(help=Speaker(DEFAULT)("command.desk"), no_args_is_help=True)
desk_app.add_typer(operators.desk)
app.add_typer(desk_app, name="desk")
_MARK: Final = 8  # letters of an entry's hexadecimal name
Key = Annotated[Path, typer.Option("--key-file", help=Speaker(DEFAULT)("option.key"))]
Reporter = Annotated[str, typer.Option("--reporter", help=Speaker(DEFAULT)("option.reporter"))]
Pair = Annotated[list[str], typer.Option("--reporter", help=Speaker(DEFAULT)("option.reporter"))]


@desk_app.command(help=Speaker(DEFAULT)("command.desk.matches"))
def matches(config: Config, key: Key, language: Language = DEFAULT) -> None:
    """Who is in which match, without a word of theirs."""
    with _visiting(config, key, language) as (desk, visit):
        found = _look(desk, visit)
        if not found:
            visit.tell("desk.none")
            return
        for number, match in enumerate(found, 1):
            visit.tell("desk.match", number=number, count=len(match.members))
            for one in match.reporters:
                visit.tell("desk.reporter", mark=_mark(one), name=_name(visit, one))
            if elsewhere := len(match.members) - len(match.reporters):
                visit.tell("desk.elsewhere", count=elsewhere)
        visit.tell("desk.hold")


@desk_app.command(help=Speaker(DEFAULT)("command.desk.read"))
def read(config: Config, key: Key, reporter: Reporter, language: Language = DEFAULT) -> None:
    """One reporter's words and letters."""
    with _visiting(config, key, language) as (desk, visit):
        one = _known(_look(desk, visit), reporter)
        with visit.during("news"):
            talks = [talk for talk in desk.conversations() if talk.entry == one.entry]
        name = _name(visit, one)
        visit.tell("desk.reporter", mark=_mark(one), name=name)
        if one.words:
            visit.tell("talk.words", text=one.words)
        if not talks:
            visit.tell("desk.unusable")
        for talk in talks:
            for word in talk.said.texts:
                visit.tell("talk.mine" if word.who is Who.SELF else "talk.theirs", name=name, text=word.text)
            visit.tell(f"asked.{talk.said.asked.name.lower()}")


@desk_app.command(help=Speaker(DEFAULT)("command.desk.write"))
def write(config: Config, key: Key, reporter: Reporter, language: Language = DEFAULT) -> None:
    """The text is asked for, never an argument."""
    with _visiting(config, key, language) as (desk, visit):
        one = _known(_look(desk, visit), reporter)
        visit.tell("desk.reporter", mark=_mark(one), name=_name(visit, one))
        text = visit.ask("text", hidden=False)
        if not text:
            raise BadInput("bad.empty")
        with visit.during("send"):
            desk.write(one.entry, text)
        visit.tell("written")


@desk_app.command(help=Speaker(DEFAULT)("command.desk.introduce"))
def introduce(config: Config, key: Key, reporter: Pair, language: Language = DEFAULT) -> None:
    """Two reporters of one match who both asked for it."""
    with _visiting(config, key, language) as (desk, visit):
        if len(reporter) != 2:
            raise BadInput("bad.pair")
        found = _look(desk, visit)
        one, other = (_known(found, mark) for mark in reporter)
        try:
            with visit.during("send"):
                desk.introduce(one.entry, other.entry)
        except NotAloneError as error:
            sentences = {Code.CONSENT: "bad.consents", Code.UNKNOWN_ENTRY: "bad.pair"}
            if error.code not in sentences:
                raise
            raise BadInput(sentences[error.code]) from None
        visit.tell("introduced")


@contextmanager
def _visiting(config: Path, key: Path, language: str) -> Iterator[tuple[Desk, Visit]]:
    with speaking(language) as visit:
        values = read_config(config)
        trust = Trust.parse(values["committee"], values["scope"])
        opened = _open(key, visit.ask("passphrase"))
        with Desk(trust, opened.key, board=values["board"], proxy=values.get("proxy")) as desk:
            yield desk, visit


def _open(path: Path, passphrase: str) -> DeskKey:
    try:
        return read_desk_key(path, passphrase.encode("utf-8"))
    except Misuse as error:
        if error.code != Code.DECRYPTION:
            raise  # its words say what to do with the file
        raise BadInput("bad.passphrase") from None


def _look(desk: Desk, visit: Visit) -> tuple[DeskMatch, ...]:
    try:
        with visit.during("news"):
            return desk.matches()
    except ContextMismatch as error:
        if error.code != Code.POLICY:
            raise
        raise BadInput("bad.key") from None


def _known(found: tuple[DeskMatch, ...], mark: str) -> Matched:
    """The one reporter with this mark, or more letters of it. Raises: BadInput."""
    wanted = mark.strip().lower()
    meant = {
        one.entry: one
        for match in found
        for one in match.reporters
        if len(wanted) >= _MARK and one.entry.hex().startswith(wanted)
    }
    if len(meant) != 1:
        raise BadInput("bad.reporter")
    return next(iter(meant.values()))


def _mark(one: Matched) -> str:
    return one.entry.hex()[:_MARK]


def _name(visit: Visit, one: Matched) -> str:
    return one.alias or visit.say("talk.nameless")
