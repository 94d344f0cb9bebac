"""The reporter's commands: `notalone words|enrol|seal|send|status|withdraw|matches`.

Owns prompts, files and what is printed. Refuses words and codes as arguments,
which other users of a machine can read and shells remember, and keeps nothing
on disk unless a file was named. Exit code 2: it did not happen, and why.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from notalone_client.client import Client
from notalone_client.errors import ClientError
from notalone_client.phrase import LANGUAGES, Phrase
from notalone_client.report import Form, Named, Sealed
from notalone_client.steps_return import FilingStatus
from notalone_client.system import system_randomness
from notalone_client.trust import Trust
from notalone_crypto.errors import Code, Misuse, NotAloneError
from notalone_crypto.protocol.identify import Platform

app = typer.Typer(help="For reporters.", no_args_is_help=True)
BAD_INPUT: Final = 2
MAX_FILE: Final = 1 << 20
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)
_CONFIG_KEYS: Final = {"committee", "scope", "board", "issuer", "proxy"}
_FORM_KEYS: Final = {
    "email", "directory_id", "name", "unit", "phone", "account", "platform", "former_account",
    "former_platform", "threshold", "peers", "preconsent", "desk", "weeks", "alias", "words",
}  # fmt: skip

Config = Annotated[
    Path, typer.Option(envvar="NOTALONE_CLIENT", help="committee, scope, board, issuer, proxy (TOML)")
]


@contextmanager
def _told() -> Iterator[None]:
    """Failures as one sentence, without a trace that could hold what was typed."""
    try:
        yield
    except (ClientError, NotAloneError, OSError) as error:
        _err.print(f"notalone: {error}", style="red", markup=False)
        raise typer.Exit(BAD_INPUT) from None


@contextmanager
def _client(config: Path) -> Iterator[Client]:
    with _told():
        values = _read(config, _CONFIG_KEYS)
        missing = {"committee", "scope", "board"} - set(values)
        if missing or not all(isinstance(value, str) for value in values.values()):
            raise Misuse(Code.INPUT_FILE, f"{config} needs committee, scope and board, as texts")
        trust = Trust.parse(values["committee"], values["scope"])
        phrase = Phrase.parse(_ask("Your twelve words"))
        with Client(
            trust, phrase, board=values["board"], issuer=values.get("issuer"), proxy=values.get("proxy")
        ) as client:
            yield client


def _ask(question: str) -> str:
    """Typed without being shown; from the next line of standard input when that is no terminal."""
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True))
    return sys.stdin.readline().strip()


def _read(path: Path, known: set[str]) -> dict[str, Any]:
    if path.stat().st_size > MAX_FILE:
        raise Misuse(Code.INPUT_FILE, f"{path} is larger than 1 MiB")
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise Misuse(Code.INPUT_FILE, f"{path} is not TOML") from None
    if set(values) - known:
        raise Misuse(Code.INPUT_FILE, f"{path} has unknown keys; known are: {', '.join(sorted(known))}")
    return values


def _form(path: Path) -> Form:
    values = _read(path, _FORM_KEYS)
    about = []
    if "email" in values:
        about.append(Named.email(_text(values, "email")))
    if "directory_id" in values:
        about.append(Named.directory(_text(values, "directory_id")))
    if "name" in values:
        about.append(Named.name(_text(values, "name"), _text(values, "unit")))
    if "phone" in values:
        about.append(Named.phone(_text(values, "phone")))
    for key, platform, former in (
        ("account", "platform", False),
        ("former_account", "former_platform", True),
    ):
        if key in values:
            about.append(Named.account(_text(values, key), _platform(values, platform), former=former))
    if not about:
        raise Misuse(Code.INPUT_FILE, "the form names nobody")
    kept = ("threshold", "peers", "preconsent", "desk", "weeks", "alias", "words")
    given = {key: values[key] for key in kept if key in values}
    for key, value in given.items():
        expected = int if key in ("threshold", "weeks") else bool if key in ("peers", "preconsent") else str
        if type(value) is not expected:
            raise Misuse(Code.INPUT_FILE, f"{key} must be a {expected.__name__}")
    return Form(about, **given)


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise Misuse(Code.INPUT_FILE, f"{key} must be a text")
    return value


def _platform(values: dict[str, Any], key: str) -> Platform | None:
    if key not in values:
        return None
    try:
        return Platform(_text(values, key))
    except ValueError:
        raise Misuse(Code.INPUT_FILE, f"{key} must be one of: {', '.join(Platform)}") from None


def _keep(path: Path, data: bytes) -> None:
    """Create, readable by her alone; never overwrite."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _send(client: Client, sealed: Sealed) -> None:
    with _err.status("sending"):
        receipt = client.file(sealed)
    _out.print(f"Sealed. It waits for batch {receipt.batch}. We have told nobody.")
    _out.print("This is not a complaint: legal time limits keep running.")


@app.command()
def words(language: Annotated[str, typer.Option(help="french or english")] = "french") -> None:
    """Twelve new words. They are the only key; nobody can give them back."""
    chosen = next((one for one in LANGUAGES if one == language), None)
    if chosen is None:
        _err.print("notalone: the languages are french and english", style="red")
        raise typer.Exit(BAD_INPUT)
    _out.print(Phrase.new(system_randomness).words(chosen), soft_wrap=True)


@app.command()
def enrol(config: Config) -> None:
    """Spend a card or mailed code on a place. Asks for the words, then for the code."""
    with _client(config) as client:
        code = _ask("Code")
        with _err.status("enrolling"):
            entry = client.enrol(code)
        _out.print(
            "Your place is on the roll." if entry else "Your place is taken note of. Come back in a day."
        )


@app.command()
def seal(
    config: Config,
    form: Annotated[Path, typer.Option(help="the report (TOML)")],
    keep: Annotated[Path | None, typer.Option(help="keep the sealed bytes here, to send them again")] = None,
) -> None:
    """Seal a report on this device and send it."""
    with _client(config) as client:
        filled = _form(form)
        with _err.status("checking the rules"):
            policy = client.policy()
        for slot, one in filled.compared(policy).items():
            _out.print(f"compared: {slot.name.lower()}: {one.text}", markup=False)
        with _err.status("sealing"):
            sealed = client.seal(filled)
        if keep is not None:
            _keep(keep, sealed.data)
        _send(client, sealed)


@app.command()
def send(config: Config, sealed: Annotated[Path, typer.Argument(help="sealed bytes that were kept")]) -> None:
    """Send sealed bytes again; twice is the same as once."""
    with _client(config) as client:
        _send(client, Sealed(sealed.read_bytes()))


Kept = Annotated[list[Path] | None, typer.Option("--sealed", help="sealed bytes that were kept")]


def _mine(client: Client, kept: list[Path] | None) -> tuple[FilingStatus, ...]:
    with _err.status("looking"):
        return client.status(*(Sealed(path.read_bytes()) for path in kept or []))


@app.command()
def status(config: Config, kept: Kept = None) -> None:
    """Where each of your filings stands, found again from the words."""
    with _client(config) as client:
        table = Table("number", "state", "batch", "counted")
        for number, one in enumerate(_mine(client, kept), 1):
            state = "waiting" if one.state is None else one.state.name.lower()
            table.add_row(str(number), state, str(one.batch or "–"), "yes" if one.counted else "not yet")
        _out.print(table)
        _out.print("No news does not mean that you are alone.")


Number = Annotated[int, typer.Option(min=1, help="the filing's number, as `status` shows it")]


@app.command()
def withdraw(config: Config, number: Number, kept: Kept = None) -> None:
    """Take a filing back, at the next batch. What was opened cannot be taken back."""
    with _client(config) as client:
        client.withdraw(_chosen(_mine(client, kept), number).filing)
        _out.print("Taken back at the next batch. What was opened cannot be taken back.")


@app.command()
def matches(
    config: Config, number: Number, since: Annotated[int, typer.Option(min=1, help="first batch")] = 1
) -> None:
    """Introductions that were opened for a filing."""
    with _client(config) as client:
        filing = _chosen(_mine(client, None), number).filing
        with _err.status("downloading and trying all batches"):
            found = client.matches(filing, since)
        for one in found:
            _out.print(one.plaintext.decode("utf-8", "replace"), markup=False)
        if not found:
            _out.print("No news. That does not mean that you are alone.")


def _chosen(mine: tuple[FilingStatus, ...], number: int) -> FilingStatus:
    if number > len(mine):
        raise Misuse(Code.MISUSE, "there is no filing of this number")
    return mine[number - 1]
