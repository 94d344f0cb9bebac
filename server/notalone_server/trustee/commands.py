"""The command `notalone trustee`.

Owns arguments, files and what an operator reads. Refuses rules: they are the
ceremony's and the service's. Exit code 2: bad input or a step that has to wait;
3: somebody is named as a culprit.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from notalone_crypto.errors import CeremonyFailed, NotAloneError
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee.ceremony import (
    SIGNED_MANIFEST,
    Ceremony,
    check_levels,
    fingerprint_groups,
    read_agreement,
    read_policy,
    write_agreement,
)
from notalone_server.trustee.keyfile import Cost, read_passphrase
from notalone_server.trustee.ports import StoreRefused, StoreUnavailable

app = typer.Typer(help="One trustee: the key ceremony, and the worker.", no_args_is_help=True)
BAD_INPUT = 2
CULPRIT = 3

Folder = Annotated[Path, typer.Option(help="the ceremony's folder, which operators copy to one another")]
Index = Annotated[int, typer.Option(help="this trustee's number, counted from 1", min=1)]
KeyPath = Annotated[
    Path, typer.Option("--key-file", help="this trustee's secrets; never leaves this machine")
]
PhrasePath = Annotated[Path, typer.Option("--passphrase-file", help="at least 12 characters, mode 0600")]
Memory = Annotated[int, typer.Option(help="memory for Argon2id, in MiB", min=19, max=4096)]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except CeremonyFailed as error:
        typer.echo(f"notalone: the ceremony must stop. {error}", err=True)
        raise typer.Exit(CULPRIT) from error
    except (NotAloneError, StoreRefused, StoreUnavailable, FileExistsError, PermissionError) as error:
        typer.echo(f"notalone: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from error


@app.command()
def parameters(
    folder: Folder,
    instance: Annotated[str, typer.Option(help="the instance's name")],
    trustee: Annotated[list[str], typer.Option(help="a trustee's name; once for each, in order")],
    board_key: Annotated[str, typer.Option(help="the board's verify key, from `notalone board init`")],
    threshold: Annotated[int, typer.Option(help="so many trustees together could read reports", min=2)] = 2,
    levels: Annotated[str, typer.Option(help="2,3 or 2,3,4")] = "2,3",
    auditor: Annotated[list[str] | None, typer.Option(help="an auditor's key (X25519, hexadecimal)")] = None,
) -> None:
    """Begin a ceremony: write what the operators agreed on into a new folder."""
    with _told():
        try:
            board, auditors = bytes.fromhex(board_key), tuple(bytes.fromhex(key) for key in auditor or ())
        except ValueError as error:
            typer.echo("notalone: keys are hexadecimal", err=True)
            raise typer.Exit(BAD_INPUT) from error
        agreed = write_agreement(
            folder,
            instance,
            tuple(trustee),
            threshold,
            check_levels(levels),
            board,
            auditors,
            system_randomness,
        )
        typer.echo(f"Committee {fingerprint_groups(agreed.parameters.committee)}")
        typer.echo("Send the folder to every trustee's operator. Next, each: notalone trustee keys")


@app.command()
def keys(
    folder: Folder, index: Index, key_file: KeyPath, passphrase_file: PhrasePath, memory: Memory = 256
) -> None:
    """Step 1: make this trustee's keys; hand on keys-N."""
    with _told():
        _ceremony(folder, index, key_file, passphrase_file, memory).keys()
        typer.echo(f"Hand keys-{index} to every other operator. With everybody's: notalone trustee deal")


@app.command()
def deal(
    folder: Folder, index: Index, key_file: KeyPath, passphrase_file: PhrasePath, memory: Memory = 256
) -> None:
    """Step 2: with everybody's keys; hand on dealing-N."""
    with _told():
        _ceremony(folder, index, key_file, passphrase_file, memory).deal()
        typer.echo(
            f"Hand dealing-{index} to every other operator. With everybody's: notalone trustee confirm"
        )


@app.command()
def confirm(
    folder: Folder, index: Index, key_file: KeyPath, passphrase_file: PhrasePath, memory: Memory = 256
) -> None:
    """Step 3: check everybody's dealings; hand on hashes-N, or the complaint that was written."""
    with _told():
        _ceremony(folder, index, key_file, passphrase_file, memory).confirm()
        typer.echo(f"Hand hashes-{index} to every other operator. With everybody's: notalone trustee show")


@app.command()
def show(folder: Folder, index: Index, key_file: KeyPath, passphrase_file: PhrasePath) -> None:
    """Step 4: the manifest's fingerprint, to be read aloud to every other operator over the telephone."""
    with _told():
        manifest = _ceremony(folder, index, key_file, passphrase_file, 256).manifest()
        for number, name in enumerate(manifest.parameters.trustees, 1):
            typer.echo(f"Trustee {number}: {name}")
        typer.echo(f"Threshold {manifest.parameters.threshold} of {manifest.parameters.count}")
        typer.echo(f"Board key   {fingerprint_groups(manifest.board_key)}")
        typer.echo(f"Fingerprint {fingerprint_groups(manifest.fingerprint)}")
        typer.echo(
            "Read it aloud. Sign only what another operator read to you: notalone trustee sign --compared"
        )


@app.command()
def sign(
    folder: Folder,
    index: Index,
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    compared: Annotated[str, typer.Option(help="the fingerprint as another operator read it to you")],
    memory: Memory = 256,
) -> None:
    """Step 5: sign the manifest whose fingerprint was compared; hand on signature-N."""
    with _told():
        _ceremony(folder, index, key_file, passphrase_file, memory).sign(compared)
        typer.echo(
            f"Hand signature-{index} to every other operator. With everybody's: notalone trustee finish"
        )


@app.command()
def finish(folder: Folder, index: Index, key_file: KeyPath, passphrase_file: PhrasePath) -> None:
    """Step 6: with everybody's signature, write the signed manifest for board, issuers and clients."""
    with _told():
        committee = _ceremony(folder, index, key_file, passphrase_file, 256).finish()
        typer.echo(f"{folder / SIGNED_MANIFEST} is complete: {fingerprint_groups(committee.fingerprint)}")


@app.command()
def agreement(folder: Folder) -> None:
    """What a ceremony's folder says was agreed on."""
    with _told():
        agreed = read_agreement(folder)
        typer.echo(f"Committee {fingerprint_groups(agreed.parameters.committee)}")
        for number, name in enumerate(agreed.parameters.trustees, 1):
            typer.echo(f"Trustee {number}: {name}")


@app.command()
def policy(file: Annotated[Path, typer.Argument(help="a scope's rules")]) -> None:
    """Show a scope's rules, and the fingerprint that approves them in the settings."""
    with _told():
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
    with _told():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        template = importlib.import_module("notalone_server.trustee.settings").TEMPLATE
        with (folder / "trustee.toml").open("x", encoding="utf-8") as file:
            file.write(template)


@app.command()
def run(config: Annotated[Path, typer.Option(help="the trustee's settings (TOML)")]) -> None:
    """Work until told to stop (SIGTERM)."""
    with _told():
        # Here, so that a ceremony needs no web server and no database.
        importlib.import_module("notalone_server.trustee.app").run(config)


def _ceremony(folder: Path, index: int, key_file: Path, passphrase_file: Path, memory: int) -> Ceremony:
    return Ceremony(
        folder, index, key_file, read_passphrase(passphrase_file), system_randomness, Cost(memory * 1024)
    )
