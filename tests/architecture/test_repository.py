"""What must not be in the repository: copied vectors, keys, private hosts; and what must be."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VECTOR_WINDOW = 64  # hexadecimal digits of a third-party vector that count as a copy
VECTOR_ALLOWANCE = 3  # a shared constant (a generator, a group order) is no copy


def committed_files() -> list[Path]:
    """Files that git knows or would add; every file where there is no git."""
    result = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if result.returncode != 0:
        pytest.skip("not a git work tree: nothing says which files are the project's")
    paths = (ROOT / name for name in result.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_third_party_vectors_are_not_copied(third_party_vectors: Path) -> None:
    originals = [path for path in third_party_vectors.rglob("*") if path.is_file()]
    names = {path.name for path in originals}
    digests = {hashlib.sha256(path.read_bytes()).digest() for path in originals}
    hexadecimal = re.compile(rf"[0-9a-f]{{{VECTOR_WINDOW},}}")
    values = {
        value[:VECTOR_WINDOW]
        for path in originals
        for value in hexadecimal.findall(path.read_text("utf-8").lower())
    }
    assert values
    copied = []
    for path in committed_files():
        data = path.read_bytes()
        if path.name in names or hashlib.sha256(data).digest() in digests:
            copied.append(f"{path.relative_to(ROOT)}: the file itself")
            continue
        found = {
            value[:VECTOR_WINDOW] for value in hexadecimal.findall(data.decode("utf-8", "ignore").lower())
        }
        if len(found & values) > VECTOR_ALLOWANCE:
            copied.append(f"{path.relative_to(ROOT)}: {len(found & values)} values")
    assert not copied


def test_lock_names_one_public_registry_without_credentials() -> None:
    """A lock made behind a mirror works nowhere else, and may carry a password."""
    text = (ROOT / "uv.lock").read_text(encoding="utf-8")
    lock = tomllib.loads(text)
    assert len({package["source"].get("registry") for package in lock["package"]} - {None}) == 1
    authorities = set(re.findall(r"[a-z+]+://([^/\"]*)", text))
    assert all(re.fullmatch(r"[a-z]+(\.[a-z]+)*\.org", authority) for authority in authorities), authorities


def test_every_locked_file_has_a_hash() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    assert lock["package"]
    for package in lock["package"]:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files or "editable" in package["source"]
        assert all(file["hash"].startswith("sha256:") for file in files)


def test_no_private_key_is_committed() -> None:
    marker = b"-----BEGIN " + b"PRIVATE KEY"
    assert not [path for path in committed_files() if marker in path.read_bytes() or path.suffix == ".key"]


def test_licence_texts_cover_every_expression_in_use() -> None:
    reuse = tomllib.loads((ROOT / "REUSE.toml").read_text(encoding="utf-8"))
    used = {annotation["SPDX-License-Identifier"] for annotation in reuse["annotations"]}
    present = {path.stem for path in (ROOT / "LICENSES").glob("*.txt")}
    assert used == present
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "LICENSES" / "AGPL-3.0-or-later.txt").read_bytes()


def test_decisions_are_numbered_without_gaps_and_have_three_parts() -> None:
    decisions = sorted((ROOT / "specs" / "adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, f"{path.name} lacks {part}"
