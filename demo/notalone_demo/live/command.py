"""`notalone demo --live`: the whole of it, in a temporary folder.

Owns the folder and what is said at the end. Refuses to decide what is right:
that is the reference model's.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from rich.console import Console

from notalone_client import ClientError
from notalone_demo import views
from notalone_demo.live import look
from notalone_demo.live.contact import Contact
from notalone_demo.live.network import LiveError, Network
from notalone_demo.live.operators import Wishes
from notalone_demo.live.story import LiveRun
from notalone_demo.reports_file import Story
from notalone_demo.runner import Progress

BATCH_SECONDS: Final = 4


def run(console: Console, story: Story, told: Progress, *, brief: bool = False) -> bool:
    """Run the story; whether the releases are those of the reference model. Raises NotAloneError."""
    auditor = look.Auditor.new()
    wishes = Wishes(auditors=(auditor.public,))
    with tempfile.TemporaryDirectory(prefix="notalone-live-") as name:
        try:
            with (
                Network(Path(name), story.scope, BATCH_SECONDS, told, wishes) as network,
                closing(LiveRun(story, network, told)) as live,
            ):
                live.enrol()
                seen = 0
                for number in live.batches():
                    if not brief:
                        console.rule(f"After batch {number} of the story")
                        seen = _show(console, live, seen)
                told("Two more batches, so that anything undue would show; then everybody tries her keys")
                observed = live.finish()
                told("After the matches: who would write, who would not, and a desk that introduces two")
                contact = Contact(live, observed, told)
                said = contact.play(Path(name))
                if not brief:
                    console.rule("What the others saw, in the end")
                    views.issuer_view(console, look.issuer(network.prepared))
                    views.public_view(console, look.public(live))
                    views.auditor_view(console, auditor.look(network.prepared))
                views.letters_view(console, contact.read, contact.expected)
                return views.summary(console, live, observed) and said
        except ClientError as error:
            raise LiveError(f"a client gave up: {error}") from error


def _show(console: Console, live: LiveRun, since: int) -> int:
    """Each party's own memory, read from its own database; how many items the board has now."""
    prepared = live.network.prepared
    views.trustee_view(console, look.trustee(prepared, 1))
    count = views.board_view(console, look.board(prepared), since)
    views.people_view(console, look.people(live))
    return count
