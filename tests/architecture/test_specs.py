"""Code, tests and specs point at one another: anchors resolve, and every MUST has a test."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from tools import diagrams, requirements

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "specs"
REFERENCE = re.compile(r"specs/((?:adr/)?[0-9]+-[a-z0-9-]+\.md)(?:#([\w-]+))?")
ROOT_REFERENCE = re.compile(r"\b((?:ARCHITECTURE|SECURITY|SOUNDNESS|README|CONTRIBUTING)\.md)#([\w-]+)")
MUST = re.compile(r"\*\*\[([A-Z]{1,7}-[0-9]+[a-z]?)\]\*\*")
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
    named = requirements.named_in_tests()
    untested = [
        f"{identifier} ({where})" for identifier, where in required.items() if identifier not in named
    ]
    assert required
    assert not untested, f"{len(untested)} of {len(required)} requirements named by no test:\n" + "\n".join(
        sorted(untested)
    )


def test_no_test_names_a_requirement_that_is_not_stated() -> None:
    required = requirement_ids()
    chapters = {identifier.split("-")[0] for identifier in required}
    strangers = {
        identifier: tests
        for identifier, tests in requirements.named_in_tests().items()
        if identifier.split("-")[0] in chapters and identifier not in required
    }
    assert not strangers


@pytest.mark.parametrize("path", requirements.chapters(), ids=lambda path: path.name)
def test_table_of_requirements_is_what_the_tests_say(path: Path) -> None:
    chapter = path.read_text(encoding="utf-8")
    assert requirements.rewritten(chapter, requirements.named_in_tests()) == chapter, (
        "the table is not current: python tools/requirements.py"
    )


def test_a_test_counts_for_what_its_own_source_names(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        '"""AA-1"""\n\nNOT = "AA-2"\n\n\n'
        '@given(x=1)\n@pytest.mark.parametrize("case", ["AA-3"])\n'
        'def test_cases(case):\n    """[AA-4]"""\n\n\n'
        "def helper():\n    # AA-5\n    return 1\n\n\n"
        "class TestGroup:\n    async def test_inside(self):\n        # XAA-7, AA-70 and AA-6\n        pass\n"
    )
    cases, inside = "tests/test_a.py::test_cases", "tests/test_a.py::TestGroup::test_inside"
    named = requirements.named_in_tests(tmp_path)
    assert named == {"AA-3": [cases], "AA-4": [cases], "XAA-7": [inside], "AA-70": [inside], "AA-6": [inside]}
    chapter = "- **[AA-6]** One\n- **[AA-1]** two.\n"
    once = requirements.rewritten(chapter, named)
    assert once.endswith(
        f"| id | tests |\n|---|---|\n| AA-6 | `{inside}` |\n| AA-1 | – |\n\n{requirements.END}\n"
    )
    assert requirements.rewritten(once, named) == once
    assert requirements.rewritten("nothing required\n", named) == "nothing required\n"


# --- tests that documents name by hand -----------------------------------------------------------------


def known_tests() -> dict[str, set[str]]:
    """Names of the test functions of every test file, by its path below tests/."""
    folder = ROOT / "tests"
    return {
        path.relative_to(folder).as_posix(): {name for name, _ in requirements.functions_of(path)}
        for path in folder.rglob("test_*.py")
    }


def attack_table() -> list[tuple[str, str]]:
    """(file below tests/, test) of every row of an attack table in the threat model."""
    rows: list[tuple[str, str]] = []
    current = ""
    for line in (SPECS / "10-threat-model.md").read_text(encoding="utf-8").splitlines():
        heading = re.match(r"\| attack \| defence \| test in `(test_\w+\.py)` \|$", line)
        if heading:
            current = heading[1]
        elif not line.startswith("|"):
            current = ""
        elif current and not line.startswith("|---"):
            cell = line.rstrip("|").rpartition("|")[2]
            named = re.findall(r"`(?:([\w/]+\.py)::)?(test_\w+)`", cell)
            assert named or cell.strip().startswith("later: "), f"an attack without a test: {line}"
            files = [(file or current, test) for file, test in named]
            rows += [(file if "/" in file else f"attacks/{file}", test) for file, test in files]
    return rows


def test_every_attack_in_the_threat_model_has_its_test() -> None:
    known, named = known_tests(), attack_table()
    assert len(named) > 80
    missing = [f"{file}::{test}" for file, test in named if test not in known.get(file, set())]
    assert not missing, "the threat model names tests that do not exist:\n" + "\n".join(missing)


def test_every_test_named_in_a_document_exists() -> None:
    known = known_tests()
    everywhere = set().union(*known.values())
    missing = []
    for path in text_files({".md"}):
        text = path.read_text(encoding="utf-8")
        for file, test in re.findall(r"`(?:tests/)?(?:([\w/]+\.py)::)?(?:\w+::)?(test_\w+)`", text):
            holders = [names for name, names in known.items() if name == file or name.endswith(f"/{file}")]
            if test not in (set().union(*holders) if file else everywhere):
                missing.append(f"{path.relative_to(ROOT)}: {file}::{test}")
        missing += [
            f"{path.relative_to(ROOT)}: {name}"
            for name in re.findall(r"`(tests/[\w/]+\.py)`", text)
            if not (ROOT / name).is_file()
        ]
    assert not missing, "\n".join(missing)


def test_diagram_of_phases_is_the_codes_own_table() -> None:
    page = diagrams.PAGE.read_text(encoding="utf-8")
    assert diagrams.rewritten(page) == page, "the diagram is not current: python tools/diagrams.py"
