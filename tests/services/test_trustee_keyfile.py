"""The operator's key file: opens with the passphrase, unchanged, private; else it says what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, Fault, NotAloneError
from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee import keyfile
from notalone_server.trustee.keyfile import Cost, KeyFile

PHRASE = b"a passphrase of an operator"
CHEAP = Cost(memory_kib=19 * 1024, time=1, lanes=1)


@pytest.fixture(scope="module")
def content() -> KeyFile:
    world = World(members=0)
    own = world.secrets[2]
    keys = CeremonyKeys(own.signing_key, own.channel_key, own.bundle_key)
    return KeyFile(2, bytes(range(32)), bytes([7]) * 32, keys, b"public", b"dealing", own, bytes(32))


@pytest.fixture
def path(tmp_path: Path, content: KeyFile) -> Path:
    path = tmp_path / "trustee.key"
    keyfile.write_key_file(path, content, PHRASE, system_randomness, CHEAP)
    return path


def refused(path: Path, phrase: bytes = PHRASE) -> NotAloneError:
    with pytest.raises(NotAloneError) as caught:
        keyfile.read_key_file(path, phrase)
    assert caught.value.fault == Fault.OPERATOR
    return caught.value


def test_everything_comes_back_and_the_file_is_private(path: Path, content: KeyFile) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert keyfile.read_key_file(path, PHRASE).encode() == content.encode()
    early = replace(content, secrets=None)
    keyfile.write_key_file(path, early, PHRASE, system_randomness, CHEAP)
    assert keyfile.read_key_file(path, PHRASE).encode() == early.encode()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_nothing_secret_is_readable(path: Path, content: KeyFile) -> None:
    data = path.read_bytes()
    assert content.storage_key not in data
    assert content.storage_key.hex() not in repr(content)
    assert content.secrets is not None
    assert content.secrets.signing_key.seed not in data


def test_wrong_passphrase(path: Path) -> None:
    assert refused(path, b"another passphrase, too").code == Code.DECRYPTION


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert "0600" in refused(path).detail


def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.key"
    link.symlink_to(path)
    refused(link)


@pytest.mark.parametrize("field", ["memory_kib", "time", "lanes"])
def test_attack_cheaper_argon2_parameters_do_not_open_the_file(path: Path, field: str) -> None:
    document = json.loads(path.read_text())
    document["argon2id"][field] += 8
    path.write_text(json.dumps(document))
    assert refused(path).code == Code.DECRYPTION
    document["argon2id"][field] = 1 << 40
    path.write_text(json.dumps(document))
    assert refused(path).code == Code.RANGE


def test_a_changed_byte_and_a_stranger_file(path: Path) -> None:
    document = json.loads(path.read_text())
    document["sealed"] = (
        document["sealed"][:-8] + ("AAAA" if document["sealed"][-8:-4] != "AAAA" else "BBBB") + "AA=="
    )
    path.write_text(json.dumps(document))
    refused(path)
    for text in ("", "[]", "{}", "null", '{"format": 1}', "\x00" * 10):
        path.write_text(text)
        assert "not a trustee's key file" in refused(path).detail


def test_passphrase_file(tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    path.write_bytes(PHRASE + b"\n")
    path.chmod(0o600)
    assert keyfile.read_passphrase(path) == PHRASE
    path.write_bytes(b"short\n")
    with pytest.raises(NotAloneError, match="shorter"):
        keyfile.read_passphrase(path)
    path.chmod(0o644)
    with pytest.raises(NotAloneError, match="0600"):
        keyfile.read_passphrase(path)
