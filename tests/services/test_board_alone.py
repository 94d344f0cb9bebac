"""Two boards on one database: the second waits, is refused, or takes over; never do both plan batches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest
from sqlalchemy import create_engine, text
from tests.services.test_board_process import Process, whole_feed
from tests.support import postgres
from tests.support.board_http import BoardUser
from tests.support.world import World

from notalone_crypto.errors import Misuse
from notalone_crypto.messages.feed import FeedKind
from notalone_server.edge.lock import exclusive


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, Process, Process]]:
    """Two processes set up for one database; the first runs."""
    url = f"sqlite:///{tmp_path}/board.sqlite"
    if request.param == "postgresql":
        url = postgres.new_database(request.getfixturevalue("cluster"))
    world = World(members=2)
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (Process(world, folder, url) for folder in folders)
    try:
        first.start()
        yield world, first, second
    finally:
        first.kill()
        second.kill()


def plans(user: BoardUser) -> int:
    return sum(item.kind == FeedKind.PLAN for item in whole_feed(user))


def wait_for(condition: object, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_second_board_on_the_same_database_is_refused_in_words(
    pair: tuple[World, Process, Process],
) -> None:
    """HTTP-19."""
    world, first, second = pair
    user = BoardUser(world, first.client)
    second.launch()
    user.cosign_policy()
    assert second.process is not None
    assert second.process.wait(30) == 2
    second.process = None
    said = second.errors.read_text()
    assert "another board process runs on this database" in said
    assert "Traceback" not in said
    wait_for(lambda: plans(user) == 1)
    assert first.is_ready()
    # Stopped in order, it leaves the database to the next at once.
    assert first.end(SIGTERM) in (0, -SIGTERM)
    second.start()
    time.sleep(0.5)
    assert plans(BoardUser(world, second.client)) == 1


def test_one_that_waits_takes_over_from_one_that_died(pair: tuple[World, Process, Process]) -> None:
    """HTTP-19."""
    world, first, second = pair
    BoardUser(world, first.client).cosign_policy()
    second.launch()
    time.sleep(1)
    assert second.process is not None
    assert second.process.poll() is None
    first.end(SIGKILL)
    second.wait_until_ready()
    user = BoardUser(world, second.client)
    wait_for(lambda: plans(user) == 1)


def test_a_board_that_lost_its_lock_plans_nothing_and_is_not_ready(cluster: str, tmp_path: Path) -> None:
    """HTTP-19. The database server ended the lock's session, and somebody else was faster."""
    world = World(members=2)
    url = postgres.new_database(cluster)
    process = Process(world, tmp_path, url)
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'notalone lock'"
        " AND datname = current_database()"
    )
    try:
        process.start()
        user = BoardUser(world, process.client)
        with ExitStack() as held:
            for _ in range(50):
                with admin.connect() as connection:
                    connection.execute(cut)
                try:
                    held.enter_context(exclusive(url, "board", 0.05))
                    break
                except Misuse:
                    continue
            else:
                raise AssertionError("never faster")
            wait_for(lambda: not process.is_ready())
            user.cosign_policy()  # a batch is due
            time.sleep(0.5)
            assert plans(user) == 0
            assert '"error": "Misuse"' in process.errors.read_text()
        wait_for(process.is_ready)
        wait_for(lambda: plans(user) == 1)
    finally:
        process.kill()
        admin.dispose()
