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

from notalone_server.trustee.ceremony import read_policy
from notalone_server.trustee.ceremony_commands import ceremony, steps, told

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
