"""The operator's commands: another passphrase, everything posted again, a look before the start."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.services.test_trustee_worker import PATHS, PHRASE, START, Processes, RealClock, serving, until
from tests.support import postgres
from tests.support.stories import Story, plan

from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.messages.feed import CONFIDENTIAL_KINDS, Envelope, FeedKind
from notalone_crypto.protocol import envelope
from notalone_demo.simulation import deployment as simulation
from notalone_demo.simulation.deployment import Deployment
from notalone_server.board.app import build
from notalone_server.board.service import BoardService
from notalone_server.edge import database
from notalone_server.edge.clock import system_clock
from notalone_server.edge.lock import exclusive
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee import app as trustee_app
from notalone_server.trustee import upkeep
from notalone_server.trustee.checkup import Finding, examine
from notalone_server.trustee.keyfile import Cost, read_key_file
from notalone_server.trustee.settings import read_settings
from notalone_server.trustee.worker import Worker

CHEAP = Cost(19 * 1024, 1, 1)
NEW = b"quite another passphrase"


def notalone(*words: str | Path, code: int = 0) -> str:
    result = subprocess.run(
        [sys.executable, "-c", START, *map(str, words)],
        env={**os.environ, "PYTHONPATH": PATHS, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == code, result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """A deployment with a real clock whose trustees are not started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "MockClock", RealClock)
        patch.setattr(Deployment, "start_trustee", lambda *_: None)
        chosen = replace(plan(3, 2, (2, 3), slots=(1,)), batch_seconds=1)
        yield Story(Deployment(chosen, b"upkeep", clock=RealClock()))


@pytest.fixture(scope="module")
def port(story: Story) -> Iterator[int]:
    with serving(build(story.deployment.board, story.deployment.signed_manifest).app) as found:
        yield found


@pytest.fixture
def config(story: Story, port: int, tmp_path: Path) -> Path:
    Processes(tmp_path, story, port).configure(1)
    return tmp_path / "1" / "trustee.toml"


# --- passphrase -------------------------------------------------------------------------------------------


def test_a_new_passphrase_opens_the_same_keys_and_the_old_one_nothing(config: Path) -> None:
    path = config.parent / "trustee.key"
    before, sealed = read_key_file(path, PHRASE), path.read_bytes()
    second_name = config.parent / "a second name of the old file"
    os.link(path, second_name)
    new = config.parent / "passphrase.new"
    new.write_bytes(NEW)
    new.chmod(0o600)
    said = notalone(
        "passphrase", "--key-file", path, "--passphrase-file", config.parent / "passphrase",
        "--new-passphrase-file", new, "--memory", "19",
    )  # fmt: skip
    assert "still open with the old passphrase" in said
    assert NEW.decode() not in said
    assert read_key_file(path, NEW).encode() == before.encode()
    with pytest.raises(NotAloneError) as caught:
        read_key_file(path, PHRASE)
    assert caught.value.code == Code.DECRYPTION
    assert path.stat().st_mode & 0o777 == 0o600
    assert second_name.read_bytes() == bytes(len(sealed))  # what held the old lock is zeros now
    assert sorted(one.name for one in config.parent.iterdir() if "key" in one.name) == ["trustee.key"]


@pytest.mark.parametrize(("old", "new"), [(b"not the passphrase", NEW), (PHRASE, PHRASE)])
def test_a_wrong_or_equal_passphrase_changes_nothing(config: Path, old: bytes, new: bytes) -> None:
    path = config.parent / "trustee.key"
    before = path.read_bytes()
    with pytest.raises(NotAloneError):
        upkeep.change_passphrase(path, old, new, system_randomness, CHEAP)
    assert path.read_bytes() == before
    assert not list(config.parent.glob("*.new"))


@pytest.mark.parametrize("step", ["replace", "fsync", "pwrite"])
def test_after_a_crash_at_any_step_the_old_or_the_new_opens_it(
    config: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = config.parent / "trustee.key"
    calls = {"left": 0}

    def crash() -> object:
        raise OSError(28, "no space left on device")

    for number in range(6):  # the step fails the first time it is used, then the second, ...
        calls["left"] = number
        for owner in (Path, os):
            if hasattr(owner, step):
                real = getattr(owner, step)

                def sometimes(*arguments: object, real: object = real, **named: object) -> object:
                    calls["left"] -= 1
                    return crash() if calls["left"] < 0 else real(*arguments, **named)  # type: ignore[operator]

                monkeypatch.setattr(owner, step, sometimes)
        with contextlib.suppress(OSError):
            upkeep.change_passphrase(path, PHRASE, NEW, system_randomness, CHEAP)
        monkeypatch.undo()
        opened = []
        for phrase in (PHRASE, NEW):
            try:
                read_key_file(path, phrase)
            except NotAloneError:
                continue
            opened.append(phrase)
        assert len(opened) == 1, (step, number)
        if opened == [NEW]:
            upkeep.change_passphrase(path, NEW, PHRASE, system_randomness, CHEAP)


# --- repeat -----------------------------------------------------------------------------------------------


def contents(
    deployment: Deployment, posts: list[tuple[int, FeedKind, bytes]]
) -> set[tuple[int, FeedKind, bytes]]:
    """What was said, under the envelopes."""
    return {
        (
            trustee,
            kind,
            envelope.open_for(
                deployment.committee,
                deployment.policy.scope,
                kind,
                Envelope.decode(payload),
                deployment.auditor_key,
            )
            if kind in CONFIDENTIAL_KINDS
            else payload,
        )
        for trustee, kind, payload in posts
    }


def test_a_stopped_trustee_posts_its_last_batches_again_byte_for_byte(
    story: Story, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = story.deployment
    posts: list[tuple[int, FeedKind, bytes]] = []
    original = BoardService.post

    def post(
        this: BoardService, trustee: int, scope: bytes, kind: FeedKind, payloads: Sequence[bytes]
    ) -> None:
        posts.extend((trustee, kind, payload) for payload in payloads)
        original(this, trustee, scope, kind, payloads)

    monkeypatch.setattr(BoardService, "post", post)
    processes = Processes(tmp_path, story, port)
    workers: dict[int, Worker] = {}
    for index in deployment.secrets:
        processes.configure(index)
        workers[index] = trustee_app.assemble(read_settings(tmp_path / str(index) / "trustee.toml"))
    config = tmp_path / "2" / "trustee.toml"
    assert "took part in no batch" in notalone("repeat", "--config", config)

    def work() -> None:
        deployment.board.tick()
        for worker in workers.values():
            worker.step()

    scope = deployment.policy.scope
    until(lambda: deployment.board.scope_record(scope).active, "the policy is cosigned", work)
    deployment.enrol([f"person {number}" for number in range(33)])
    story.file(0, {1: 0}, 2, peers=True)
    until(lambda: deployment._closed_batches() > 1, "a batch closes", work)
    said = contents(deployment, posts)
    settings = read_settings(config)
    with exclusive(settings.database_url(), "trustee"):
        assert "another trustee process" in notalone("repeat", "--config", config, code=2)
    posts.clear()
    told = notalone("repeat", "--config", config)
    count = int(re.search(r": (\d+) messages posted", told)[1])  # type: ignore[index]
    again = contents(deployment, posts)
    assert again
    assert again <= said
    assert {trustee for trustee, _, _ in again} == {2}
    assert len(posts) <= count  # cosignatures and paths have addresses of their own
    # Without a board they are kept, and said to be.
    config.write_text(config.read_text().replace(f":{port}", ":9"))
    assert "posted at the next start" in notalone("repeat", "--config", config, code=2)
    stored = trustee_app.assemble(read_settings(config)).build()
    assert len(stored.durable.unposted) >= count
    for worker in workers.values():
        worker.build().board.close()  # type: ignore[attr-defined]


# --- check ------------------------------------------------------------------------------------------------


def found(config: Path, ahead: int = 0) -> dict[str, Finding]:
    return {one.what: one for one in examine(config, lambda: system_clock() + ahead)}


def wrong(config: Path, ahead: int = 0) -> dict[str, str]:
    return {name: one.detail for name, one in found(config, ahead).items() if not one.good}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        one.name: one.read_bytes()
        for one in folder.iterdir()
        if not one.name.endswith(("-wal", "-shm", ".lock"))
    }


def test_everything_in_order_is_said_and_nothing_changes(config: Path) -> None:
    before = tree(config.parent)
    said = notalone("check", "--config", config)
    assert said.count("ok   ") == 7, said
    assert "WRONG" not in said
    assert "the first start makes it" in said
    assert tree(config.parent) == before
    trustee_app.assemble(read_settings(config)).build()
    everything = found(config)
    assert not wrong(config)
    assert "as this program's" in everything["database"].detail
    with exclusive(read_settings(config).database_url(), "trustee"):
        assert "do not start a second one" in found(config)["process"].detail


def test_looking_tells_the_board_nothing_about_what_was_read(config: Path, story: Story) -> None:
    """Attack on oneself: a question above a number lets the board erase what no trustee has read."""
    read: list[object] = []
    board, original = story.deployment.board, BoardService.read_feed

    def read_feed(*arguments: object) -> object:
        read.append(arguments)
        return original(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(board), "read_feed", read_feed)
        assert wrong(config) == {}
    assert read == []


def test_each_thing_that_is_wrong_is_named_with_what_to_do(config: Path) -> None:
    trustee_app.assemble(read_settings(config)).build()
    text = config.read_text()
    (config.parent / "trustee.key").chmod(0o644)
    assert f"mode 0600: chmod 600 {config.parent / 'trustee.key'}" in wrong(config)["keys"]
    (config.parent / "trustee.key").chmod(0o600)
    (config.parent / "passphrase").write_bytes(b"something else entirely")
    assert "passphrase is wrong" in wrong(config)["keys"]
    (config.parent / "passphrase").write_bytes(PHRASE)
    config.write_text(re.sub(r'manifest_fingerprint = "..', 'manifest_fingerprint = "00', text))
    assert "keys" in wrong(config)
    config.write_text(text + "surprise = 1\n")
    assert "surprise" in wrong(config)["settings"]
    config.write_text(re.sub(r"127.0.0.1:\d+", "127.0.0.1:9", text))
    assert set(wrong(config)) == {"board", "clock"}
    config.write_text(re.sub(r'scopes = \[".*?"\]', 'scopes = ["elsewhere"]', text))
    assert "does not serve" in wrong(config)["board"]
    config.write_text(re.sub(r'scopes = \[".*?"\]', "scopes = []", text))
    assert "nothing would be done" in wrong(config)["settings"]
    config.write_text(re.sub(r'approved_policies = \[".*?"\]', "approved_policies = []", text))
    assert "notalone trustee policy" in wrong(config)["policies"]
    config.write_text(text)
    assert wrong(config) == {}
    assert "cannot read the settings" in wrong(config.with_name("nowhere.toml"))["settings"]


@pytest.mark.parametrize(("ahead", "word", "names"), [
    (100, "ahead", {"clock"}), (-100, "behind", {"clock"}), (4000, "ahead", {"clock", "board"}),
])  # fmt: skip
def test_a_wrong_clock_is_noticed_before_the_board_refuses_it(
    config: Path, ahead: int, word: str, names: set[str]
) -> None:
    told = wrong(config, ahead)
    assert set(told) == names
    assert word in told["clock"]
    if "board" in names:
        assert "is the clock right" in told["board"]


def test_a_changed_or_newer_database_is_noticed(config: Path) -> None:
    trustee_app.assemble(read_settings(config))
    engine = database.open_engine(read_settings(config).database_url())
    with database.write(engine) as connection:
        connection.execute(sa.text("UPDATE trustee_version SET version_num = '9999'"))
    assert "newer than this program" in wrong(config)["database"]
    with database.write(engine) as connection:
        connection.execute(sa.text("UPDATE trustee_version SET version_num = '0001'"))
        connection.execute(sa.text("INSERT INTO trustee_head VALUES (1, 1, :body)"), {"body": bytes(80)})
    engine.dispose()
    assert "do not start from an older copy" in wrong(config)["content"]


def test_postgresql_is_looked_at_as_well(config: Path) -> None:
    with postgres.server() as url:
        name = postgres.new_database(url)
        config.write_text(f'{config.read_text()}database = "{name}"\n')
        assert "the first start brings" in found(config)["database"].detail
        engine = trustee_app.open_database(read_settings(config))
        engine.dispose()
        assert wrong(config) == {}
        assert "as this program's" in found(config)["database"].detail
    assert wrong(config)["database"] == "the database cannot be reached or read"
