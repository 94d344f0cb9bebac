"""The command `notalone`.

Owns arguments, exit codes and where output goes. Refuses to know the protocol.
Exit codes: 0 as expected, 1 the outcome differs from the reference, 2 bad input.
"""

from __future__ import annotations

import contextlib
import importlib
import secrets
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console

from notalone_crypto.errors import Code, Misuse, NotAloneError
from notalone_demo import views
from notalone_demo.reports_file import read_story
from notalone_demo.runner import Run
from notalone_demo.simulation import look

app = typer.Typer(
    help="NotAlone: privacy-preserving matching for people harmed by the same person.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they may be words or codes
)

BAD_INPUT = 2
MIN_WIDTH = 110


# Services are extras: the simulated demo needs none of their libraries.
_SERVICES = (
    ("board", "notalone_server.board.commands"),
    ("issuer", "notalone_server.issuer.commands"),
    ("trustee", "notalone_server.trustee.commands"),
    (None, "notalone_server.operators.commands"),  # policy, desk
    (None, "notalone_client.cli"),  # enrol, seal, status, ... stand beside the services
    (None, "notalone_demo.counsellors"),  # desk again, with what needs a client
)
# Their libraries take seconds to load: the demo waits for none of them, a service that starts for its own.
_FIRST = "".join(sys.argv[1:2])
_ALONE = tuple(one for one in _SERVICES if one[0] is not None and one[0] == _FIRST)
_WANTED = () if _FIRST == "demo" else _ALONE or _SERVICES
for _name, _module in _WANTED:
    with contextlib.suppress(ImportError):
        app.add_typer(importlib.import_module(_module).app, name=_name)


@app.callback()
def _main() -> None:
    """NotAlone: privacy-preserving matching for people harmed by the same person."""


@app.command()
def demo(
    reports: Annotated[
        Path, typer.Option(help="a scope and its reports, as examples/university.json")
    ] = Path("examples/university.json"),
    seed: Annotated[str, typer.Option(help="repeat a run: any text; without it every run is different")] = "",
    *,
    brief: Annotated[bool, typer.Option("--brief", help="only the summary")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="over HTTP, with a process and a database for every party")
    ] = False,
) -> None:
    """Run real reports through a simulated deployment and show what every party saw."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, MIN_WIDTH))
    errors = Console(stderr=True, highlight=False)
    started = time.monotonic()

    def progress(text: str) -> None:
        if not brief:
            console.print(f"[dim]{time.monotonic() - started:6.1f} s[/]  {text}")

    try:
        story = read_story(reports)
        if live:
            if seed:
                raise Misuse(Code.MISUSE, "a live run cannot be repeated from a seed")
            if not _live_command().run(console, story, progress, brief=brief):
                raise typer.Exit(1)
            return
        run = Run.start(story, seed.encode() or secrets.token_bytes(32), progress)
        seen = 0
        for number in run.batches(progress):
            if brief:
                continue
            console.rule(f"After batch {number}")
            views.trustee_view(console, look.trustee(run.deployment, 1))
            seen = views.board_view(console, look.board(run.deployment), seen)
            views.people_view(console, look.people(run))
        if not brief:
            console.rule("What the others saw, in the end")
            views.issuer_view(console, look.issuer(run.deployment))
            views.public_view(console, look.public(run.deployment))
            views.auditor_view(console, look.auditor(run.deployment))
        as_expected = views.summary(console, run, run.observed())
    except NotAloneError as error:
        errors.print(f"notalone: {error}", style="red", markup=False)
        raise typer.Exit(BAD_INPUT) from error
    if not as_expected:
        raise typer.Exit(1)


def _live_command() -> ModuleType:
    """Imported on demand: the simulated demo needs none of the services' libraries. Raises Misuse."""
    try:
        return importlib.import_module("notalone_demo.live.command")
    except ImportError as error:
        raise Misuse(
            Code.MISUSE, "a live run needs the extras: pip install 'notalone[server,client]'"
        ) from error


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
