"""The commands `notalone board ...`.

Owns arguments, messages to the operator and exit codes. Refuses to know what a board does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from notalone_crypto.errors import NotAloneError
from notalone_server.board import app as board

BAD_INPUT = 2

app = typer.Typer(help="The board: log, bundles in transit, blobs.", no_args_is_help=True)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="made with mode 0700; a key in it is never overwritten")],
) -> None:
    """Make a signing key and settings, and show the verify key that the ceremony needs."""
    try:
        verify_key = board.init(folder)
    except FileExistsError as error:
        text = f"notalone board: {error.filename} exists already: a key is never overwritten"
        Console(stderr=True).print(text, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(BAD_INPUT) from error
    except OSError as error:
        Console(stderr=True).print(f"notalone board: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(BAD_INPUT) from error
    Console(highlight=False).print(
        f"verify key: {verify_key.hex()}\nsettings:   {folder / board.CONFIG_NAME}",
        soft_wrap=True,
        markup=False,
    )


@app.command()
def run(config: Annotated[Path, typer.Option("--config", help="the settings (TOML)")]) -> None:
    """Run the board until SIGTERM or SIGINT."""
    try:
        board.main(config)
    except NotAloneError as error:
        Console(stderr=True).print(f"notalone board: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(BAD_INPUT) from error
