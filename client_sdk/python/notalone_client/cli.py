"""The reporter's commands: from `notalone words` and `enrol` to `withdraw` and `verify`.

Those after a match are in `cli_contact.py`.

Owns their order and what is printed. Refuses to know sentences (texts.py), files
and prompts (cli_input.py). Exit code 2: it did not happen, and why.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from notalone_client import cli_contact, phrase, texts
from notalone_client.cli_input import (
    DEFAULT,
    BadInput,
    Config,
    FormFile,
    Keep,
    Kept,
    Language,
    Number,
    Visit,
    keep,
    out,
    read_bytes,
    read_form,
    read_sealed,
    speaking,
    visiting,
)
from notalone_client.client import Client
from notalone_client.errors import Refused, SealAgain
from notalone_client.phrase import Phrase
from notalone_client.report import Form, Sealed
from notalone_client.steps_return import FilingStatus
from notalone_client.system import system_randomness
from notalone_client.texts import Speaker
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.messages.roll import RollEntry
from notalone_crypto.suite import LEVELS

ATTEMPTS: Final = 5  # while people join, the roll may move on between sealing and sending
app = typer.Typer(help=Speaker(DEFAULT)("command.all"), no_args_is_help=True)
app.add_typer(cli_contact.app)
_BOOKS: Final[dict[texts.Language, phrase.Language]] = {"fr": "french", "en": "english"}

Receipted = Annotated[Path | None, typer.Option("--receipt", help=Speaker(DEFAULT)("option.receipt"))]


@app.command(help=Speaker(DEFAULT)("command.words"))
def words(language: Language = DEFAULT) -> None:
    """Twelve new words, on standard output alone."""
    with speaking(language) as visit:
        cli_contact.aside(visit, "words")
        out.print(Phrase.new(system_randomness).words(_BOOKS[visit.say.language]), soft_wrap=True)


@app.command(help=Speaker(DEFAULT)("command.enrol"))
def enrol(config: Config, language: Language = DEFAULT) -> None:
    """Asks for the words, then for the code."""
    with visiting(config, language) as (client, visit):
        code = visit.ask("code")
        with visit.during("enrol"):
            entry = _place(client, code)
        visit.tell("enrolled" if entry else "enrolled.later")


@app.command(help=Speaker(DEFAULT)("command.code"))
def code(config: Config, language: Language = DEFAULT) -> None:
    """The same sentence for every address."""
    with visiting(config, language, words=False) as (client, visit):
        address = visit.ask("address", hidden=False)
        with visit.during("send"):
            client.ask_code(address)
        visit.tell("asked")


@app.command(help=Speaker(DEFAULT)("command.reset"))
def reset(config: Config, language: Language = DEFAULT) -> None:
    """Her words are lost: none are asked for."""
    with visiting(config, language, words=False) as (client, visit):
        address = visit.ask("address", hidden=False)
        with visit.during("send"):
            client.ask_reset(address)
        visit.tell("asked.reset")


@app.command("stop-reset", help=Speaker(DEFAULT)("command.stop-reset"))
def stop_reset(config: Config, language: Language = DEFAULT) -> None:
    """The same sentence for every code."""
    with visiting(config, language, words=False) as (client, visit):
        typed = visit.ask("code")
        with visit.during("send"):
            client.stop_reset(typed)
        visit.tell("stopped")


@app.command(help=Speaker(DEFAULT)("command.report"))
def report(
    config: Config,
    form: FormFile,
    keep_at: Keep = None,
    receipt: Receipted = None,
    language: Language = DEFAULT,
) -> None:
    """Seal on this device, keep if a file was named, send."""
    with visiting(config, language) as (client, visit):
        filled = read_form(form)
        sealed = _seal(client, visit, filled)
        keep(keep_at, sealed.data)
        _send_or_seal_again(client, visit, filled, sealed, keep_at, receipt)


@app.command(help=Speaker(DEFAULT)("command.resend"))
def resend(
    config: Config,
    sealed: Annotated[Path, typer.Argument(help=Speaker(DEFAULT)("option.sealed"))],
    receipt: Receipted = None,
    language: Language = DEFAULT,
) -> None:
    """The very same bytes again; twice is the same as once."""
    with visiting(config, language) as (client, visit):
        _send(client, visit, read_sealed(sealed), receipt)


@app.command(help=Speaker(DEFAULT)("command.status"))
def status(config: Config, kept: Kept = None, language: Language = DEFAULT) -> None:
    """A table without names, counts of people or words of violence."""
    with visiting(config, language) as (client, visit):
        mine = cli_contact.own(client, visit, kept)
        if not mine:
            visit.tell("status.none")
        else:
            out.print(_table(visit, mine))
        visit.tell("status.alone")


@app.command(help=Speaker(DEFAULT)("command.edit"))
def edit(
    config: Config,
    number: Number,
    form: FormFile,
    keep_at: Keep = None,
    kept: Kept = None,
    receipt: Receipted = None,
    language: Language = DEFAULT,
) -> None:
    """Seal the new one and keep it before the old one is withdrawn: then nothing can get lost."""
    with visiting(config, language) as (client, visit):
        old = cli_contact.chosen(cli_contact.own(client, visit, kept), number).filing
        filled = read_form(form)
        sealed = _seal(client, visit, filled)
        keep(keep_at, sealed.data)
        with visit.during("send"):
            client.withdraw(old)
        _send_or_seal_again(client, visit, filled, sealed, keep_at, receipt)
        visit.tell("edited")


@app.command(help=Speaker(DEFAULT)("command.withdraw"))
def withdraw(config: Config, number: Number, kept: Kept = None, language: Language = DEFAULT) -> None:
    """At the next batch."""
    with visiting(config, language) as (client, visit):
        old = cli_contact.chosen(cli_contact.own(client, visit, kept), number).filing
        with visit.during("send"):
            client.withdraw(old)
        visit.tell("withdrawn")


@app.command(help=Speaker(DEFAULT)("command.verify"))
def verify(
    config: Config,
    sealed: Annotated[Path, typer.Argument(help=Speaker(DEFAULT)("option.sealed"))],
    receipt: Annotated[Path, typer.Argument(help=Speaker(DEFAULT)("option.receipt"))],
    language: Language = DEFAULT,
) -> None:
    """Whether the promise was kept, from proofs alone."""
    with visiting(config, language) as (client, visit):
        promise = Receipt.decode(read_bytes(receipt))
        with visit.during("look"):
            counted = client.verify_receipt(read_sealed(sealed), promise)
        visit.tell("verified" if counted else "verified.not")


def _place(client: Client, code: str) -> RollEntry | None:
    try:
        return client.enrol(code)
    except Refused as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        raise BadInput("bad.code") from None


def _seal(client: Client, visit: Visit, form: Form) -> Sealed:
    visit.tell("help")
    with visit.during("rules"):
        policy, committee = client.policy(), client.committee()
    visit.tell("what", count=committee.count, quorum=committee.threshold)
    last = form.threshold >= max(level for level in LEVELS if level in policy.levels)
    visit.tell("threshold.last" if last else "threshold", own=form.threshold, more=form.threshold + 1)
    for slot, one in form.compared(policy).items():
        visit.tell("compared", slot=visit.say(f"slot.{slot.name.lower()}"), text=one.text)
    with visit.during("seal"):
        return client.seal(form)


def _send_or_seal_again(
    client: Client, visit: Visit, form: Form, sealed: Sealed, keep_at: Path | None, receipt: Path | None
) -> None:
    for _ in range(ATTEMPTS - 1):
        try:
            return _send(client, visit, sealed, receipt)
        except SealAgain:
            if keep_at is not None:
                keep_at.unlink()  # these bytes are refused for good, and nothing was spent
        sealed = _seal(client, visit, form)
        keep(keep_at, sealed.data)
    return _send(client, visit, sealed, receipt)


def _send(client: Client, visit: Visit, sealed: Sealed, receipt: Path | None) -> None:
    with visit.during("send"):
        promise = client.file(sealed)
    visit.tell("sealed")
    visit.tell("sealed.batch", batch=promise.batch)
    keep(receipt, promise.encode())


def _table(visit: Visit, mine: tuple[FilingStatus, ...]) -> Table:
    table = Table(*(visit.say(f"status.{name}") for name in ("number", "state", "batch", "counted")))
    for number, one in enumerate(mine, 1):
        state = "unsent" if one.state is None else one.state.name.lower()
        counted = visit.say("yes" if one.counted else "no")
        table.add_row(str(number), visit.say(f"state.{state}"), str(one.batch or "–"), counted)
    return table
