"""The commands `notalone policy ...` and `notalone desk ...`.

Owns arguments, files and what an operator reads. Refuses rules: they are in
rules.py and deskfile.py. Exit code 2: bad input; then nothing was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from notalone_crypto.errors import NotAloneError
from notalone_crypto.primitives import hpke
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.sealedfile import Cost, read_passphrase, replace_file
from notalone_server.operators.deskfile import DeskKey, read_desk_key, write_desk_key
from notalone_server.operators.rules import TEMPLATE, read_policy, read_rules, summary

app = typer.Typer(no_args_is_help=True)
policy = typer.Typer(help="The rules of a scope.", no_args_is_help=True)
desk = typer.Typer(help="A counsellors' desk.", no_args_is_help=True)
app.add_typer(policy, name="policy")
app.add_typer(desk, name="desk")
BAD_INPUT = 2

KeyPath = Annotated[Path, typer.Option("--key-file", help="the desk's secret; never leaves its machine")]
PhrasePath = Annotated[Path, typer.Option("--passphrase-file", help="at least 12 characters, mode 0600")]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (NotAloneError, OSError) as error:
        typer.echo(f"notalone: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from error


@policy.command("init")
def init(file: Annotated[Path, typer.Argument(help="a new file (TOML)")]) -> None:
    """Write rules to fill in, in plain words."""
    with _told(), file.open("x", encoding="utf-8") as out:
        out.write(TEMPLATE)


@policy.command("make")
def make(
    rules: Annotated[Path, typer.Argument(help="the rules in plain words (TOML)")],
    out: Annotated[Path, typer.Argument(help="the policy's file; must not exist")],
) -> None:
    """Check rules, write them as every party hashes them, and show what they say."""
    with _told():
        made = read_rules(rules)
        if out.exists():
            raise FileExistsError(f"{out} exists already")
        replace_file(out, made.encode())
        for line in summary(made):
            typer.echo(line)


@policy.command("show")
def show(file: Annotated[Path, typer.Argument(help="the policy's file")]) -> None:
    """Say in sentences what a policy's file holds."""
    with _told():
        for line in summary(read_policy(file)):
            typer.echo(line)


@desk.command("keys")
def keys(
    name: Annotated[str, typer.Option(help="the desk's name, as in the policy")],
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    memory: Annotated[int, typer.Option(help="memory for Argon2id, in MiB", min=19, max=4096)] = 256,
) -> None:
    """Make a desk's key on the desk's own machine; print what goes into the policy."""
    with _told():
        made = DeskKey(name, hpke.generate_key(system_randomness))
        phrase = read_passphrase(passphrase_file)
        write_desk_key(key_file, made, phrase, system_randomness, Cost(memory * 1024))
        _about(made)


@desk.command("show")
def show_desk(key_file: KeyPath, passphrase_file: PhrasePath) -> None:
    """Open a desk's key file and print its public key."""
    with _told():
        _about(read_desk_key(key_file, read_passphrase(passphrase_file)))


def _about(made: DeskKey) -> None:
    typer.echo(f"desk: {made.name}")
    typer.echo(f"desk key (for the policy): {made.key.public.hex()}")
