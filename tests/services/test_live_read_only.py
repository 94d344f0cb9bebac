"""PostgreSQL that turns read-only below a running issuer or trustee, as after a failover to a replica.

Real processes, one database for each; the tests share one deployment and leave it working.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from tests.support import postgres, read_only
from tests.support.live_feed import Auditor
from tests.support.live_place import BATCH_SECONDS, LAUNCHER, PARTIES, POLL_SECONDS, Place
from tests.support.live_storm import Clocks, Town, scope, together

from notalone_crypto.suite import MIN_ROLL
from notalone_demo.live.network import Network
from notalone_demo.live.operators import Wishes

MEMBERS = MIN_ROLL + 1  # somebody enrols while the issuer's database is read-only


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, auditor = tmp_path_factory.mktemp("read-only"), Auditor()
    clocks = Clocks(folder)
    with postgres.server() as cluster:
        databases = {name: postgres.new_database(cluster) for name in PARTIES}
        wishes = Wishes((1,), 8, MEMBERS, (auditor.public,), databases, POLL_SECONDS)
        with (
            Network(
                folder / "parties", scope(MEMBERS), BATCH_SECONDS, lambda _: None, wishes, LAUNCHER
            ) as network,
            Town(network, clocks) as town,
        ):
            together([partial(town.enrol, f"person {number}") for number in range(MIN_ROLL)], 2)
            town.wait_on_roll()
            yield Place(town, clocks, auditor, databases)


def test_a_trustee_whose_database_server_is_read_only_posts_nothing_and_goes_on_by_itself(
    place: Place,
) -> None:
    """HTTP-20."""
    place.posts_nothing("trustee-2", read_only.server(place.databases["trustee-2"]))


def test_an_issuer_whose_database_server_is_read_only_enrols_nobody_by_halves(place: Place) -> None:
    """HTTP-20."""
    place.enrols_nobody_by_halves(read_only.server(place.databases["issuer"]))
