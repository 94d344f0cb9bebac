"""What operators write by hand: rules that are checked whole before anything is written, a desk's key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from notalone_crypto.errors import Misuse
from notalone_crypto.messages.committee import Desk, Organisation, ScopePolicy
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.randomness import SeededStream
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.sealedfile import Cost, seal
from notalone_server.operators import deskfile
from notalone_server.operators.commands import app
from notalone_server.operators.rules import TEMPLATE, read_rules

ISSUER = signing.generate_key(SeededStream(b"issuer"))
DESK = hpke.generate_key(SeededStream(b"desk"))
RULES = TEMPLATE.replace('issuer_key = ""', f'issuer_key = "{ISSUER.verify_key.hex()}"').replace(
    'key = ""  ', f'key = "{DESK.public.hex()}"  '
)


def notalone(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_rules_in_plain_words_become_the_policy_that_everybody_hashes(tmp_path: Path) -> None:
    rules, out = tmp_path / "rules.toml", tmp_path / "policy.bin"
    assert notalone("policy", "init", rules).exit_code == 0
    assert rules.read_text() == TEMPLATE
    assert notalone("policy", "init", rules).exit_code == 2  # nothing is overwritten
    rules.write_text(RULES)
    done = notalone("policy", "make", rules, out)
    assert done.exit_code == 0, done.output
    expected = ScopePolicy(
        "example", "university", (Organisation("University", ISSUER.verify_key),),
        (1, 2, 3, 4), (2, 3), (1, 2), (Desk("Counsellors", DESK.public),), "FR", 12, 365, 104, 64, 3600, 1,
    )  # fmt: skip
    assert ScopePolicy.decode(out.read_bytes()) == expected
    fingerprint = expected.fingerprint.hex()
    assert fingerprint in done.output.replace(" ", "")
    assert f"Short form    {fingerprint[:4]} {fingerprint[4:8]}" in done.output
    for said in (
        "university of example",
        "Counsellors",
        "former account",
        "12 reports",
        "104 weeks",
        "one another",
    ):
        assert said in done.output
    shown = notalone("policy", "show", out)
    assert (shown.exit_code, shown.output) == (0, done.output)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("version = 1", "version = 0", "version"),
        ("levels = [2, 3]", "levels = [3]", "levels"),
        ("levels = [2, 3]", "levels = [2, 5]", "levels"),
        ('"telephone"', '"phone"', "slots.1"),
        ('"telephone"', '"account"', "slot appears twice"),
        ('"desk", "one another"', '"employer"', "opens_to"),
        ('"desk", "one another"', "", "a mode"),
        ('region = "FR"', 'region = "France"', "region"),
        ("quota = 12", "quota = 11", "quota"),
        ("quota = 12", 'quota = "12"', "quota"),
        ("period_days = 365", "period_days = 0", "period_days"),
        ("maximum_weeks = 104", "maximum_weeks = 70000", "maximum_weeks"),
        ("release_blobs = 64", "release_blobs = -1", "release_blobs"),
        ("batch_seconds = 3600", "batch_seconds = 0", "batch_seconds"),
        ("instance = ", "instanse = ", "instanse"),
        (ISSUER.verify_key.hex(), "00" * 32, "key"),
        (ISSUER.verify_key.hex(), "ab", "issuer_key"),
        (DESK.public.hex(), "00" * 32, "key"),
        (DESK.public.hex(), "ff" * 32, "key"),
        (
            "[[desk]]",
            '[[organisation]]\nname = "University"\nissuer_key = "' + "11" * 32 + '"\n[[desk]]',
            "share",
        ),
        ("[[desk]]", "[[desk", "TOML"),
    ],
)
def test_rules_that_cannot_be_are_refused_by_name_and_nothing_is_written(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    rules, out = tmp_path / "rules.toml", tmp_path / "policy.bin"
    changed = RULES.replace(old, new, 1)
    assert changed != RULES
    rules.write_text(changed)
    done = notalone("policy", "make", rules, out)
    assert done.exit_code == 2
    assert reason in done.output
    assert str(rules) in done.output.replace("\n", "")
    assert [one.name for one in tmp_path.iterdir()] == ["rules.toml"]


def test_a_policy_is_never_overwritten_and_a_changed_file_is_none(tmp_path: Path) -> None:
    rules, out = tmp_path / "rules.toml", tmp_path / "policy.bin"
    rules.write_text(RULES)
    out.write_bytes(b"the policy in force")
    assert notalone("policy", "make", rules, out).exit_code == 2
    assert out.read_bytes() == b"the policy in force"
    shown = notalone("policy", "show", out)
    assert shown.exit_code == 2
    assert "holds no rules" in shown.output
    missing = notalone("policy", "show", tmp_path / "none")
    assert (missing.exit_code, "cannot read" in missing.output) == (2, True)
    with pytest.raises(Misuse):
        read_rules(tmp_path / "none")


def phrase(folder: Path, text: str = "twelve or more characters") -> Path:
    path = folder / "passphrase"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_desks_key_is_made_once_private_and_shown_by_its_public_half(tmp_path: Path) -> None:
    key = tmp_path / "desk.key"
    words = ("--key-file", key, "--passphrase-file", phrase(tmp_path))
    made = notalone("desk", "keys", "--name", "Écoute", *words, "--memory", 19)
    assert made.exit_code == 0, made.output
    assert key.stat().st_mode & 0o777 == 0o600
    opened = deskfile.read_desk_key(key, b"twelve or more characters")
    assert opened.name == "Écoute"
    assert opened.key.public.hex() in made.output
    assert opened.key.secret not in key.read_bytes()
    assert opened.key.secret.hex() not in made.output + repr(opened)
    assert notalone("desk", "show", *words).output == made.output
    before = key.read_bytes()
    again = notalone("desk", "keys", "--name", "x", *words, "--memory", 19)
    assert (again.exit_code, key.read_bytes() == before) == (2, True)
    assert "exists already" in again.output


def test_a_desks_key_file_opens_with_its_passphrase_only_and_for_nothing_else(tmp_path: Path) -> None:
    key, cheap = tmp_path / "desk.key", Cost(19 * 1024, 1, 1)
    content = deskfile.DeskKey("desk", DESK)
    deskfile.write_desk_key(key, content, b"the right passphrase", system_randomness, cheap)
    with pytest.raises(Misuse, match="passphrase is wrong"):
        deskfile.read_desk_key(key, b"another passphrase")
    document = json.loads(key.read_text())
    document["sealed"] = document["sealed"][:-8] + "AAAAAAA="
    key.write_text(json.dumps(document))
    with pytest.raises(Misuse, match="passphrase is wrong or the file was changed"):
        deskfile.read_desk_key(key, b"the right passphrase")
    # Another kind of file, even renamed to this kind: the sealing covers the name.
    other = seal(
        "notalone-trustee-key-1", content.encode(), b"the right passphrase", system_randomness, cheap
    )
    key.write_bytes(other)
    with pytest.raises(Misuse, match="another format"):
        deskfile.read_desk_key(key, b"the right passphrase")
    key.write_bytes(other.replace(b"notalone-trustee-key-1", deskfile.FORMAT.encode()))
    with pytest.raises(Misuse, match="was changed"):
        deskfile.read_desk_key(key, b"the right passphrase")
    for data in (b"", b"{}", b"[" * 5000, b'{"format": 1}'):
        key.write_bytes(data)
        with pytest.raises(Misuse, match="not a desk's key file"):
            deskfile.read_desk_key(key, b"the right passphrase")


def test_bad_input_for_a_desk_leaves_no_file(tmp_path: Path) -> None:
    key = tmp_path / "desk.key"
    short = ("--key-file", key, "--passphrase-file", phrase(tmp_path, "short"))
    assert notalone("desk", "keys", "--name", "x", *short).exit_code == 2
    good = ("--key-file", key, "--passphrase-file", phrase(tmp_path), "--memory", 19)
    for name in ("", "x" * 201):
        assert notalone("desk", "keys", "--name", name, *good).exit_code == 2
    (tmp_path / "passphrase").chmod(0o644)
    refused = notalone("desk", "keys", "--name", "x", *good)
    assert (refused.exit_code, "0600" in refused.output) == (2, True)
    assert [one.name for one in tmp_path.iterdir()] == ["passphrase"]
