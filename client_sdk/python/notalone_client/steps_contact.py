"""After a match."""

from __future__ import annotations

from dataclasses import dataclass

from notalone_client.report import Sealed
from notalone_client.session import Steps
from notalone_client.steps_return import OwnFiling, Returning
from notalone_crypto.protocol import release


@dataclass(slots=True, kw_only=True)
class Reporter(Returning):
    """Somebody who filed and may have been matched."""

    def matches(self, filing: OwnFiling | Sealed, since: int = 1) -> Steps[tuple[release.Introduction, ...]]:
        """Introductions for this filing: all blobs since batch `since` are downloaded and tried here."""
        world = yield from self.open()
        key = self._owner(world, OwnFiling.of(filing).quota_tag).recipient_key
        blobs = yield from self.blobs(since)
        return release.open_items(
            world.committee, release.try_blobs(world.committee, self.trust.scope, key, blobs)
        )
