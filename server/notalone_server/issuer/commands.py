"""The command `notalone issuer`.

Owns arguments, files and what an operator reads. Refuses rules: they are the
service's. Exit code 2: bad input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from notalone_crypto.errors import NotAloneError
from notalone_crypto.primitives import signing
from notalone_server.edge.address import check_address
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.secretfile import write_secret
from notalone_server.issuer.app import opened, run
from notalone_server.issuer.cards import Format, write
from notalone_server.issuer.settings import read_settings

app = typer.Typer(help="The roll of one organisation.", no_args_is_help=True)
BAD_INPUT = 2
Config = Annotated[Path, typer.Option(help="the issuer's settings (TOML)")]
_TEMPLATE = """\
# The issuer of one organisation. Secrets are in the files that are named here.
instance = {instance}
scope_name = {scope_name}
declared = {declared}          # members the organisation says it has; public
enrolment = "cards"    # or "email", with a [mail] section; never both
database = {database}
key_file = "issuer.key"
board = {board}
host = "127.0.0.1"
port = 8301
operations_port = 9301
card_address = {card_address}
"""


def _fail(error: Exception) -> typer.Exit:
    typer.echo(f"notalone: {error}", err=True)
    return typer.Exit(BAD_INPUT)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="for settings, key and database; made with mode 0700")],
    instance: Annotated[str, typer.Option(help="the instance's name, as in the manifest")],
    scope_name: Annotated[str, typer.Option("--scope", help="the scope's name, as in its policy")],
    declared: Annotated[int, typer.Option(help="how many members the organisation has", min=1)],
    board: Annotated[str, typer.Option(help="the board's address")],
    card_address: Annotated[str, typer.Option(help="where a card is used; printed on it")] = "",
) -> None:
    """Make key, settings and an empty database; print the key that goes into the policy."""
    try:
        check_address(board)  # before a key is made that a second try would not overwrite
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = signing.generate_key(system_randomness)
        write_secret(folder / "issuer.key", key.seed)
        config = folder / "issuer.toml"
        text = _TEMPLATE.format(
            instance=_quoted(instance),
            scope_name=_quoted(scope_name),
            declared=declared,
            database=_quoted(f"sqlite:///{(folder / 'issuer.db').resolve()}"),
            board=_quoted(board),
            card_address=_quoted(card_address),
        )
        with config.open("x", encoding="utf-8") as file:
            file.write(text)
        with opened(read_settings(config)):
            pass  # migrated
    except (NotAloneError, OSError) as error:
        raise _fail(error) from error
    typer.echo(f"settings: {config}")
    typer.echo(f"issuer key (for the policy): {key.verify_key.hex()}")


@app.command("run")
def run_service(config: Config) -> None:
    """Serve until stopped."""
    try:
        run(read_settings(config))
    except NotAloneError as error:
        raise _fail(error) from error


@app.command()
def cards(
    config: Config,
    count: Annotated[int, typer.Option(help="how many cards", min=1, max=10_000)],
    out: Annotated[Path, typer.Option(help="the sheet to print; must not exist, gets mode 0600")],
    form: Annotated[Format, typer.Option("--format", help="how to write it")] = Format.HTML,
) -> None:
    """Make one-time cards and a sheet to print (A4, eight a page). Only their hashes are kept."""
    try:
        settings = read_settings(config)
        if out.exists():
            raise FileExistsError(f"{out} exists already")
        with opened(settings) as live:
            made = live.change(lambda issuer: issuer.make_cards(count, system_randomness))
        write_secret(out, write(made, settings.card_address, form))
    except (NotAloneError, OSError) as error:
        raise _fail(error) from error
    typer.echo(f"{count} cards in {out}. Print it, cut it, shuffle; note nothing; then delete the file.")


@app.command()
def members(
    config: Config,
    addresses: Annotated[Path, typer.Option(help="one e-mail address per line")],
) -> None:
    """List who may ask for a code by e-mail. Only keyed hashes are kept."""
    try:
        lines = [line.strip() for line in addresses.read_text("utf-8").splitlines()]
        listed = tuple(line for line in lines if line)
        with opened(read_settings(config)) as live:
            new = live.change(lambda issuer: issuer.list_members(listed))
    except (NotAloneError, OSError, UnicodeDecodeError) as error:
        raise _fail(error) from error
    typer.echo(f"{new} new addresses")


@app.command()
def close(
    config: Config, place: Annotated[int, typer.Option(help="the place's number on the roll", min=0)]
) -> None:
    """Close the place of somebody who left; it is absent from the next snapshot."""
    try:
        with opened(read_settings(config)) as live:
            live.change(lambda issuer: issuer.close_place(place))
    except NotAloneError as error:
        raise _fail(error) from error
    typer.echo("closed")


def _quoted(text: str) -> str:
    """A TOML string; what could end it early is escaped."""
    escaped = "".join(
        f"\\u{ord(letter):04x}" if letter in '"\\' or ord(letter) < 0x20 or ord(letter) == 0x7F else letter
        for letter in text
    )
    return f'"{escaped}"'
