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
from notalone_demo.live.network import LiveError, Network
from notalone_demo.live.story import LiveRun
from notalone_demo.reports_file import Story
from notalone_demo.runner import Progress

BATCH_SECONDS: Final = 4


def run(console: Console, story: Story, told: Progress) -> bool:
    """Run the story; whether the releases are those of the reference model. Raises NotAloneError."""
    with tempfile.TemporaryDirectory(prefix="notalone-live-") as name:
        try:
            with (
                Network(Path(name), story.scope, BATCH_SECONDS, told) as network,
                closing(LiveRun(story, network, told)) as live,
            ):
                live.enrol()
                for _ in live.batches():
                    pass
                told("Two more batches, so that anything undue would show; then everybody tries her keys")
                observed = live.finish()
                return views.summary(console, live, observed)
        except ClientError as error:
            raise LiveError(f"a client gave up: {error}") from error
