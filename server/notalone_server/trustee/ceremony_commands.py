"""The commands of the key ceremony: steps by hand, or all of them over an exchange.

Owns arguments and what an operator reads. Refuses rules: they are the ceremony's.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notalone_crypto.errors import CeremonyFailed, NotAloneError
from notalone_crypto.messages.committee import Manifest
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee import spoken
from notalone_server.trustee.agreement import check_levels, read_agreement, write_agreement
from notalone_server.trustee.ceremony import SIGNED_MANIFEST, Ceremony
from notalone_server.trustee.keyfile import Cost, read_passphrase
from notalone_server.trustee.ports import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from notalone_server.trustee.exchange_client import ExchangeClient

BAD_INPUT = 2
CULPRIT = 3
steps = typer.Typer()
ceremony = typer.Typer(
    name="ceremony", help="The key ceremony over an exchange: serve one, join one.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Option(help="the ceremony's folder of public messages")]
Index = Annotated[int, typer.Option(help="this trustee's number, counted from 1", min=1)]
KeyPath = Annotated[
    Path, typer.Option("--key-file", help="this trustee's secrets; never leaves this machine")
]
PhrasePath = Annotated[Path, typer.Option("--passphrase-file", help="at least 12 characters, mode 0600")]
Memory = Annotated[int, typer.Option(help="memory for Argon2id, in MiB", min=19, max=4096)]
Address = Annotated[str, typer.Option(help="an exchange's address, instead of copying files by hand")]
Agreed = Annotated[str, typer.Option(help="the agreement's digits or words, to fetch it from the exchange")]
Authority = Annotated[
    Path | None, typer.Option(help="certificate of the exchange's own authority, if it is no public one")
]


@contextmanager
def told() -> Iterator[None]:
    """Every failure as one sentence and an exit code."""
    try:
        yield
    except CeremonyFailed as error:
        typer.echo(f"notalone: the ceremony must stop. {error}", err=True)
        raise typer.Exit(CULPRIT) from error
    except (NotAloneError, StoreRefused, StoreUnavailable, FileExistsError, PermissionError) as error:
        typer.echo(f"notalone: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from error


@steps.command()
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
    with told():
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
        _show("Agreement", agreed.fingerprint)
        typer.echo("Send the folder to every trustee's operator, or these words and an exchange's address.")
        typer.echo("Next, each: notalone trustee keys, or notalone trustee ceremony join")


@steps.command()
def agreement(folder: Folder) -> None:
    """What a ceremony's folder says was agreed on."""
    with told():
        agreed = read_agreement(folder)
        _show("Agreement", agreed.fingerprint)
        typer.echo(f"Instance {agreed.parameters.instance}")
        for number, name in enumerate(agreed.parameters.trustees, 1):
            typer.echo(f"Trustee {number}: {name}")
        typer.echo(f"Threshold {agreed.parameters.threshold} of {agreed.parameters.count}")
        typer.echo(f"Board key   {spoken.groups(agreed.board_key)}")


@steps.command()
def keys(
    folder: Folder,
    index: Index,
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    memory: Memory = 256,
    exchange: Address = "",
    agreed: Agreed = "",
    authority: Authority = None,
) -> None:
    """Step 1: make this trustee's keys; hand on keys-N."""
    with _part(folder, index, key_file, passphrase_file, memory, exchange, agreed, authority) as part:
        part.keys()
        _next(f"keys-{index}", exchange, "deal")


@steps.command()
def deal(
    folder: Folder,
    index: Index,
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    memory: Memory = 256,
    exchange: Address = "",
    authority: Authority = None,
) -> None:
    """Step 2: with everybody's keys; hand on dealing-N."""
    with _part(folder, index, key_file, passphrase_file, memory, exchange, "", authority) as part:
        part.deal()
        _next(f"dealing-{index}", exchange, "confirm")


@steps.command()
def confirm(
    folder: Folder,
    index: Index,
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    memory: Memory = 256,
    exchange: Address = "",
    authority: Authority = None,
) -> None:
    """Step 3: check everybody's dealings; hand on hashes-N, or the complaint that was written."""
    with _part(folder, index, key_file, passphrase_file, memory, exchange, "", authority) as part:
        part.confirm()
        _next(f"hashes-{index}", exchange, "show")


@steps.command()
def show(
    folder: Folder,
    index: Index,
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    exchange: Address = "",
    authority: Authority = None,
) -> None:
    """Step 4: the manifest's fingerprint, to be read aloud to every other operator over the telephone."""
    with _part(folder, index, key_file, passphrase_file, 256, exchange, "", authority) as part:
        _show_manifest(part.manifest())
        typer.echo(
            "Read it aloud. Sign only what another operator read to you: notalone trustee sign --compared"
        )


@steps.command()
def sign(
    folder: Folder,
    index: Index,
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    compared: Annotated[str, typer.Option(help="the digits or words as another operator read them to you")],
    memory: Memory = 256,
    exchange: Address = "",
    authority: Authority = None,
) -> None:
    """Step 5: sign the manifest whose fingerprint was compared; hand on signature-N."""
    with _part(folder, index, key_file, passphrase_file, memory, exchange, "", authority) as part:
        part.sign(compared)
        _next(f"signature-{index}", exchange, "finish")


@steps.command()
def finish(
    folder: Folder,
    index: Index,
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    exchange: Address = "",
    authority: Authority = None,
) -> None:
    """Step 6: with everybody's signature, write the signed manifest for board, issuers and clients."""
    with _part(folder, index, key_file, passphrase_file, 256, exchange, "", authority) as part:
        committee = part.finish()
        typer.echo(f"{folder / SIGNED_MANIFEST} is complete: {spoken.groups(committee.fingerprint)}")


@ceremony.command()
def serve(
    folder: Folder,
    listen: Annotated[str, typer.Option(help="address and port")] = "127.0.0.1:8700",
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain (PEM)")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="its key (PEM)")] = None,
) -> None:
    """Be the exchange of one ceremony: keep public messages, hand them out; nobody has to trust it."""
    with told():
        host, _, port = listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise typer.BadParameter("--listen is ADDRESS:PORT")
        agreed = read_agreement(folder)
        _show("Agreement", agreed.fingerprint)
        typer.echo(
            f"Listening on {listen}. Tell every operator this address and, by telephone, the words above."
        )
        point = importlib.import_module("notalone_server.trustee.exchange")
        point.serve(folder, host.strip("[]"), int(port), certificate, certificate_key)


@ceremony.command()
def join(
    *,
    folder: Folder,
    index: Index,
    key_file: KeyPath,
    passphrase_file: PhrasePath,
    exchange: Address,
    agreed: Agreed = "",
    compared: Annotated[
        str,
        typer.Option(help="digits or words as another operator read them to you; asked for otherwise"),
    ] = "",
    memory: Memory = 256,
    authority: Authority = None,
    patience: Annotated[int, typer.Option(help="minutes to wait for one thing; 0: for ever", min=0)] = 0,
) -> None:
    """All steps over an exchange; waits for the others, stops for what they read aloud. Repeat it at will."""
    steps_of = importlib.import_module("notalone_server.trustee.join")

    def heard(manifest: Manifest) -> str:
        _show_manifest(manifest)
        typer.echo("Telephone the other operators. Each reads aloud; type what you HEARD, not what is above.")
        if compared:
            return compared
        if not sys.stdin.isatty():
            typer.echo("Then give the same command again with --compared.", err=True)
            raise typer.Exit(BAD_INPUT)
        return str(typer.prompt("Heard (digits or words)"))

    with told(), _client(exchange, authority) as link, _reachable():
        link.fetch_agreement(folder, agreed)
        part = _ceremony(folder, index, key_file, passphrase_file, memory)
        _show("Agreement", part.agreement.fingerprint)
        run = steps_of.Join(part, link, typer.echo, heard, patience=patience * 60 or None)
        try:
            committee = run.run()
        except KeyboardInterrupt:
            typer.echo("Stopped. Nothing is lost: give the same command again.", err=True)
            raise typer.Exit(BAD_INPUT) from None
        typer.echo(f"{folder / SIGNED_MANIFEST} is complete: {spoken.groups(committee.fingerprint)}")


@contextmanager
def _part(
    folder: Path,
    index: int,
    key_file: Path,
    passphrase_file: Path,
    memory: int,
    exchange: str,
    agreed: str,
    authority: Path | None,
) -> Iterator[Ceremony]:
    """This trustee's part, over a folder alone or with an exchange before and after the step."""
    with told():
        if not exchange:
            yield _ceremony(folder, index, key_file, passphrase_file, memory)
            return
        with _client(exchange, authority) as link, _reachable():
            link.fetch_agreement(folder, agreed)
            part = _ceremony(folder, index, key_file, passphrase_file, memory)
            link.pull(part)
            try:
                yield part
            except CeremonyFailed:
                link.push(part)  # the others have to see the complaint
                raise
            link.push(part)


@contextmanager
def _client(address: str, authority: Path | None) -> Iterator[ExchangeClient]:
    module = importlib.import_module("notalone_server.trustee.exchange_client")
    link: ExchangeClient = module.ExchangeClient(address, authority)
    try:
        yield link
    finally:
        link.close()


@contextmanager
def _reachable() -> Iterator[None]:
    module = importlib.import_module("notalone_server.trustee.exchange_client")
    try:
        yield
    except module.ExchangeUnreachable as error:
        typer.echo(f"notalone: {error}. Nothing is lost: give the same command again later.", err=True)
        raise typer.Exit(BAD_INPUT) from error


def _ceremony(folder: Path, index: int, key_file: Path, passphrase_file: Path, memory: int) -> Ceremony:
    return Ceremony(
        folder, index, key_file, read_passphrase(passphrase_file), system_randomness, Cost(memory * 1024)
    )


def _next(name: str, exchange: str, command: str) -> None:
    if exchange:
        typer.echo(f"{name} goes to the exchange. With everybody's there: notalone trustee {command}")
    else:
        typer.echo(f"Hand {name} to every other operator. With everybody's: notalone trustee {command}")


def _show(name: str, fingerprint: bytes) -> None:
    for line in spoken.lines(name, fingerprint):
        typer.echo(line)


def _show_manifest(manifest: Manifest) -> None:
    for number, name in enumerate(manifest.parameters.trustees, 1):
        typer.echo(f"Trustee {number}: {name}")
    typer.echo(f"Threshold {manifest.parameters.threshold} of {manifest.parameters.count}")
    typer.echo(f"Board key   {spoken.groups(manifest.board_key)}")
    _show("Fingerprint", manifest.fingerprint)
