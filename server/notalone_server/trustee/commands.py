"""The command `notalone trustee`.

Owns arguments and what an operator reads outside a ceremony. Refuses rules:
they are the service's. Exit code 2: bad input or a step that has to wait; 3:
somebody is named as a culprit.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from notalone_server.edge.clock import system_clock
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee.ceremony import read_policy
from notalone_server.trustee.ceremony_commands import (
    BAD_INPUT,
    KeyPath,
    Memory,
    PhrasePath,
    ceremony,
    steps,
    told,
)
from notalone_server.trustee.keyfile import Cost, read_passphrase

app = typer.Typer(help="One trustee: the key ceremony, and the worker.", no_args_is_help=True)
app.add_typer(steps)
app.add_typer(ceremony)


@app.command()
def policy(file: Annotated[Path, typer.Argument(help="a scope's rules")]) -> None:
    """Show a scope's rules, and the fingerprint that approves them in the settings."""
    with told():
        rules, fingerprint = read_policy(file)
        typer.echo(f"Scope {rules.scope_name} of {rules.instance}, version {rules.version}")
        typer.echo(f"Organisations: {', '.join(one.name for one in rules.organisations)}")
        typer.echo(f"Desks: {', '.join(one.name for one in rules.desks)}")
        typer.echo(
            f"Levels {rules.levels}, slots {rules.slots}, release modes {rules.release_modes}, "
            f"{rules.quota} reports in {rules.period_days} days, kept {rules.maximum_weeks} weeks, "
            f"a batch every {rules.batch_seconds} s"
        )
        typer.echo(f'approved_policies = ["{fingerprint.hex()}"]')


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="a new folder for settings and secrets")]) -> None:
    """Write settings to fill in."""
    with told():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        template = importlib.import_module("notalone_server.trustee.settings").TEMPLATE
        with (folder / "trustee.toml").open("x", encoding="utf-8") as file:
            file.write(template)


@app.command()
def run(config: Annotated[Path, typer.Option(help="the trustee's settings (TOML)")]) -> None:
    """Work until told to stop (SIGTERM)."""
    with told():
        # Here, so that a ceremony needs no web server and no database.
        importlib.import_module("notalone_server.trustee.app").run(config)


@app.command()
def check(config: Annotated[Path, typer.Option(help="the trustee's settings (TOML)")]) -> None:
    """Look at everything a start needs, and at the clocks; nothing is started or changed."""
    with told():
        checkup = importlib.import_module("notalone_server.trustee.checkup")
        wrong = 0
        for finding in checkup.examine(config, system_clock):
            wrong += not finding.good
            typer.echo(f"{'ok   ' if finding.good else 'WRONG'} {finding.what:<9} {finding.detail}")
        if wrong:
            raise typer.Exit(BAD_INPUT)


@app.command()
def repeat(config: Annotated[Path, typer.Option(help="the settings of a trustee that is stopped")]) -> None:
    """Post the current and the last batch's messages again, byte for byte, for a board that lost them."""
    with told():
        upkeep = importlib.import_module("notalone_server.trustee.upkeep")
        settings = importlib.import_module("notalone_server.trustee.settings").read_settings(config)
        done = upkeep.repeat(settings)
        for one in done:
            typer.echo(f"{one.scope}: {one.messages} messages " + ("posted" if one.arrived else "stored"))
        if not done:
            typer.echo("Nothing to repeat: this trustee took part in no batch yet.")
        if not all(one.arrived for one in done):
            typer.echo("notalone: the board does not answer; they are posted at the next start", err=True)
            raise typer.Exit(BAD_INPUT)


@app.command()
def passphrase(
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    new_passphrase_file: Annotated[Path, typer.Option(help="the new one; mode 0600")],
    memory: Memory = 256,
) -> None:
    """Put the key file under another passphrase, at once; nothing is kept that opens with the old one."""
    with told():
        importlib.import_module("notalone_server.trustee.upkeep").change_passphrase(
            key_file,
            read_passphrase(passphrase_file),
            read_passphrase(new_passphrase_file),
            system_randomness,
            Cost(memory * 1024),
        )
        typer.echo(f"{key_file} now opens with {new_passphrase_file} alone: put it where the settings look.")
        typer.echo(
            "Copies made before, and what a disk or snapshot kept, still open with the old passphrase:"
        )
        typer.echo("destroy them, and make a new copy for the safe.")
