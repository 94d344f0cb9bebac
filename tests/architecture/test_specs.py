"""Code, tests and specs point at one another: anchors resolve, and every MUST has a test."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "specs"
REFERENCE = re.compile(r"specs/((?:adr/)?[0-9]+-[a-z0-9-]+\.md)(?:#([\w-]+))?")
ROOT_REFERENCE = re.compile(r"\b((?:ARCHITECTURE|SECURITY|SOUNDNESS|README|CONTRIBUTING)\.md)#([\w-]+)")
MUST = re.compile(r"\*\*\[([A-Z]{1,6}-[0-9]+[a-z]?)\]\*\*")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SKIP = {".git", ".venv", ".tools", "node_modules", "__pycache__", "dist", "build"}


def text_files(suffixes: set[str]) -> list[Path]:
    """Files of ours with these suffixes."""
    return sorted(
        path
        for path in ROOT.rglob("*")
        if path.suffix in suffixes
        and path.is_file()
        and not SKIP.intersection(path.relative_to(ROOT).parts)
        and not any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
    )


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # links keep their words
    plain = unicodedata.normalize("NFC", plain).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(markdown: Path) -> set[str]:
    """Every heading's anchor, numbered when repeated, outside code fences; and explicit ones."""
    found: set[str] = set()
    fenced = False
    for line in markdown.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        found.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
        match = None if fenced else re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if match:
            base = slug(match[1])
            name, count = base, 0
            while name in found:
                count += 1
                name = f"{base}-{count}"
            found.add(name)
    return found


def test_slug_follows_github() -> None:
    assert slug("5. Filing: one message, one statement") == "5-filing-one-message-one-statement"
    assert slug("`Com_A` and [links](x.md)") == "com_a-and-links"


def references() -> list[tuple[str, str, str]]:
    """(where, file, anchor or '') for every spec reference in our source and documents."""
    found = []
    for path in text_files({".py", ".md", ".ts", ".toml"}):
        text = path.read_text(encoding="utf-8")
        where = path.relative_to(ROOT).as_posix()
        found += [(where, f"specs/{name}", anchor) for name, anchor in REFERENCE.findall(text)]
        found += [(where, name, anchor) for name, anchor in ROOT_REFERENCE.findall(text)]
    return sorted(set(found))


def test_every_spec_reference_resolves() -> None:
    known = {path.relative_to(ROOT).as_posix(): anchors(path) for path in text_files({".md"})}
    here = Path(__file__).relative_to(ROOT).as_posix()
    broken = [
        f"{where}: {name}#{anchor}" if anchor else f"{where}: {name}"
        for where, name, anchor in references()
        if where != here and (name not in known or (anchor and anchor not in known[name]))
    ]
    assert not broken, "references that resolve to no file or heading:\n" + "\n".join(broken)


def test_every_relative_link_in_the_documents_resolves() -> None:
    broken = []
    for path in text_files({".md"}):
        prose = re.sub(r"`[^`\n]*`", "", path.read_text(encoding="utf-8"))  # a regular expression is no link
        for target in LINK.findall(prose):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            linked = path if not name else (path.parent / name).resolve()
            if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in anchors(linked)):
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert not broken, "\n".join(broken)


def requirement_ids() -> dict[str, str]:
    """Each MUST's id and the file that states it."""
    return {
        identifier: path.relative_to(ROOT).as_posix()
        for path in sorted(SPECS.glob("*.md"))
        for identifier in MUST.findall(path.read_text(encoding="utf-8"))
    }


def test_requirement_ids_are_stated_once() -> None:
    stated = [
        identifier
        for path in sorted(SPECS.glob("*.md"))
        for identifier in MUST.findall(path.read_text(encoding="utf-8"))
    ]
    repeated = sorted({identifier for identifier in stated if stated.count(identifier) > 1})
    assert not repeated


def test_every_requirement_names_its_test() -> None:
    required = requirement_ids()
    if not required:
        pytest.skip("no requirement ids in specs/ yet")
    tests = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)
    )
    named = set(re.findall(r"(?<![\w-])[A-Z]{1,6}-[0-9]+[a-z]?(?![\w-])", tests))
    untested = sorted(
        f"{identifier} ({where})" for identifier, where in required.items() if identifier not in named
    )
    assert not untested, f"{len(untested)} of {len(required)} requirements named by no test:\n" + "\n".join(
        untested
    )
