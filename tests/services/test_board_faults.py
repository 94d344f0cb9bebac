"""A disk that is full, a file system or a database that is read-only: real ones, around a real process."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGTERM

import httpx
import pytest
from sqlalchemy import create_engine, text
from tests.services.test_board_process import Process, whole_feed
from tests.support import postgres
from tests.support.board_http import BoardUser
from tests.support.world import World

from notalone_crypto.messages import contact
from notalone_crypto.messages.feed import FeedKind

BUSY = (503, "urn:notalone:problem:busy")
LETTER = bytes(range(16)) * (contact.POST_LENGTH // 16)


@contextmanager
def small_disk(folder: Path, megabytes: int = 16) -> Iterator[Path]:
    """A file system of its own, in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system to fill it")
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def running(world: World, folder: Path, url: str) -> Iterator[tuple[Process, BoardUser]]:
    process = Process(world, folder, url)
    try:
        process.start()
        yield process, BoardUser(world, process.client)
    finally:
        process.kill()


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"] if answer.status_code >= 400 else ""


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def goes_through_a_fault(
    world: World, process: Process, user: BoardUser, begin: Callable[[], None], end: Callable[[], None]
) -> None:
    """The story of every fault here: nothing is taken while it lasts, everything afterwards."""
    assert process.process is not None
    pid = process.process.pid
    before = world.seal(0, world.report(b"before")).filing.encode()
    during, after = (world.seal(who, world.report(b"x")) for who in (1, 2))
    assert user.anonymous("/filings", before).status_code == 200
    assert user.anonymous("/letters", LETTER).status_code == 204
    feed = whole_feed(user)
    period = during.header.period
    spent = user.ask("GET", f"{user.scope}/spent/{period}").content
    begin()
    other = LETTER[:-1] + b"x"
    for _ in range(3):
        assert outcome(user.anonymous("/filings", during.filing.encode())) == BUSY
        assert outcome(user.anonymous("/letters", other)) == BUSY
    wait_for(lambda: not process.is_ready())
    # Its past can still be read, and nothing of what was refused is in it.
    assert user.ask("GET", f"{user.scope}/spent/{period}").content == spent
    assert user.feed() == feed
    body = contact.encode_request([(LETTER[:32], 0)] * contact.MAILBOXES)
    answer = user.anonymous("/mailboxes", body)
    assert [len(page) for page in contact.decode_answer(answer.content)] == [1] * contact.MAILBOXES
    # Whatever changes something is refused in the same way: here the issuer's newest roll.
    assert outcome(user.ask("POST", user.scope + "/snapshots", world.snapshot.encode())) == BUSY
    end()
    wait_for(process.is_ready)
    assert process.process.poll() is None
    assert process.process.pid == pid
    assert whole_feed(user) == feed
    for sealed in (during, after):
        assert user.anonymous("/filings", sealed.filing.encode()).status_code == 200
    assert user.anonymous("/letters", other).status_code == 204
    kinds = [item.kind for item in whole_feed(user)]
    assert kinds.count(FeedKind.FILING) == 3
    snapshot = world.refresh_snapshot(world.snapshot.number + 1).encode()
    assert user.ask("POST", user.scope + "/snapshots", snapshot).status_code == 204
    assert '"event": "request failed"' not in process.errors.read_text()


def test_a_full_disk_is_an_answer_and_not_an_end(tmp_path: Path) -> None:
    """HTTP-9, HTTP-20. Database and log lie on one disk, and somebody else fills it."""
    world = World()
    with (
        small_disk(tmp_path / "disk") as disk,
        running(world, disk, "sqlite:///board.sqlite") as (process, user),
    ):
        user.cosign_policy()
        wait_for(lambda: whole_feed(user)[-1].kind == FeedKind.PLAN)
        ballast = disk / "ballast"

        def fill() -> None:
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                for size in (1 << 16, 1 << 12, 1):
                    with suppress(OSError):
                        while file.write(bytes(size)):
                            pass

        goes_through_a_fault(world, process, user, fill, ballast.unlink)
        assert process.end(SIGTERM) in (0, -SIGTERM)
        with sqlite3.connect(disk / "board.sqlite") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
        process.start()
        assert len([item for item in whole_feed(user) if item.kind == FeedKind.FILING]) == 3


def test_a_process_that_may_write_nothing_more_goes_on_when_it_may(tmp_path: Path) -> None:
    """HTTP-9, HTTP-20. Every write to every file fails, its log's too, with the kernel's own error."""
    world = World()
    with running(world, tmp_path, "sqlite:///board.sqlite") as (process, user):
        assert process.process is not None
        pid = process.process.pid
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        user.cosign_policy()
        wait_for(lambda: whole_feed(user)[-1].kind == FeedKind.PLAN)
        goes_through_a_fault(
            world,
            process,
            user,
            lambda: set_limit(pid, (0, hard)),
            lambda: set_limit(pid, (hard, hard)),
        )


def set_limit(pid: int, limit: tuple[int, int]) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


def test_background_work_goes_on_after_a_fault(tmp_path: Path) -> None:
    """HTTP-20. A batch becomes due while nothing can be written: it is planned when something can.

    Attack: the log lies on the same disk, and a thread that cannot say what failed must not end.
    """
    world = World()
    for attempt in range(5):  # a slow machine may plan between the last cosignature and the fault
        folder = tmp_path / str(attempt)
        folder.mkdir()
        process = Process(world, folder, "sqlite:///board.sqlite")
        process.config.write_text(
            process.config.read_text().replace("tick_seconds = 0.1", "tick_seconds = 2")
        )
        try:
            process.start()
            assert process.process is not None
            pid = process.process.pid
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            user = BoardUser(world, process.client)
            user.cosign_policy()
            set_limit(pid, (0, hard))
            if plans(user):
                continue
            time.sleep(5)
            assert plans(user) == 0
            set_limit(pid, (hard, hard))
            wait_for(lambda: plans(user) == 1)  # noqa: B023 - called at once
            return
        finally:
            process.kill()
    raise AssertionError("the fault always came too late")


def plans(user: BoardUser) -> int:
    return sum(item.kind == FeedKind.PLAN for item in user.feed())


def test_a_read_only_file_system_is_said_at_the_start(tmp_path: Path) -> None:
    world = World(members=2)
    with small_disk(tmp_path / "disk") as disk:
        folder = tmp_path / "settings"
        folder.mkdir()
        with running(world, folder, f"sqlite:///{disk}/board.sqlite") as (process, _):
            process.end(SIGTERM)
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            process.launch()
            assert process.process is not None
            assert process.process.wait(30) == 2
            process.process = None
            said = process.errors.read_text()
            assert "Traceback" not in said
            assert "cannot make the lock file" in said
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            process.start()


def test_a_database_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    """The lock's file can be made, the database itself cannot be changed."""
    world = World(members=2)
    process = Process(world, tmp_path, "sqlite:///board.sqlite")
    (tmp_path / "board.sqlite").write_bytes(b"not a database at all" * 100)
    try:
        process.launch()
        assert process.process is not None
        assert process.process.wait(30) == 2
        process.process = None
    finally:
        process.kill()
    said = process.errors.read_text()
    assert "the database cannot be read and written" in said
    assert "Traceback" not in said


def test_a_read_only_database_server_is_an_answer_and_not_an_end(tmp_path: Path) -> None:
    """HTTP-9, HTTP-20. As after a failover to a replica: every session begins again, read-only."""
    world = World()
    with postgres.server() as cluster:
        url = postgres.new_database(cluster)
        name = url.rsplit("/", 1)[1]
        admin = create_engine(cluster, isolation_level="AUTOCOMMIT")

        def read_only(value: str) -> None:
            with admin.connect() as connection:
                connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}"))
                connection.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                    {"name": name},
                )

        with running(world, tmp_path, url) as (process, user):
            user.cosign_policy()
            wait_for(lambda: whole_feed(user)[-1].kind == FeedKind.PLAN)
            goes_through_a_fault(world, process, user, lambda: read_only("on"), lambda: read_only("off"))
        admin.dispose()
