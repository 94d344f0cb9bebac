"""Writes the table at the end of each chapter: which tests name which requirement.

Owns the tables between the two marks in specs/*.md. Refuses to know what a
requirement says and whether a test is a good one: a test counts for an id if
its own source (decorators, docstring, body) names it. Run it after naming an
id in a test; `tests/architecture/test_specs.py` refuses tables that differ.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
BEGIN: Final = "<!-- written by tools/requirements.py -->"
END: Final = "<!-- end of what is written -->"
STATED: Final = re.compile(r"\*\*\[([A-Z]{1,7}-[0-9]+[a-z]?)\]\*\*")
NAMED: Final = re.compile(r"(?<![\w-])[A-Z]{1,7}-[0-9]+[a-z]?(?![\w-])")
NOBODY: Final = "–"


def stated(chapter: str) -> list[str]:
    """The ids that a chapter states, in its order."""
    return STATED.findall(chapter)


def functions_of(path: Path) -> Iterator[tuple[str, str]]:
    """Name and source of each test in a file, decorators included; a method with its class in front."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for holder, node in _functions(ast.parse(text)):
        if node.name.startswith("test_"):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield f"{holder}{node.name}", "\n".join(lines[first - 1 : node.end_lineno])


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}::", inner


def named_in_tests(root: Path = ROOT) -> dict[str, list[str]]:
    """For every id that a test names: `tests/...py::test`, sorted."""
    found: dict[str, set[str]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        where = path.relative_to(root).as_posix()
        if where == "tests/architecture/test_specs.py":
            continue  # it names ids to test this module
        for name, source in functions_of(path):
            for identifier in NAMED.findall(source):
                found.setdefault(identifier, set()).add(f"{where}::{name}")
    return {identifier: sorted(tests) for identifier, tests in found.items()}


def table(identifiers: list[str], tests: dict[str, list[str]]) -> str:
    """One row for each id in the chapter's order."""
    rows = ["| id | tests |", "|---|---|"]
    for identifier in identifiers:
        named = "<br>".join(f"`{one}`" for one in tests.get(identifier, ()))
        rows.append(f"| {identifier} | {named or NOBODY} |")
    return "\n".join(rows)


def rewritten(chapter: str, tests: dict[str, list[str]]) -> str:
    """A chapter with its table renewed, or added at its end where it has none yet."""
    identifiers = stated(chapter)
    if not identifiers:
        return chapter
    block = f"{BEGIN}\n\n{table(identifiers, tests)}\n\n{END}"
    before, begin, rest = chapter.partition(BEGIN)
    if not begin:
        return f"{chapter.rstrip()}\n\n## Tests of this chapter\n\n{block}\n"
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"error: a table begins with {BEGIN} and has no {END}")
    return before + block + after


def chapters(root: Path = ROOT) -> list[Path]:
    """All numbered chapters."""
    return sorted((root / "specs").glob("[0-9]*.md"))


def main() -> int:
    """Rewrite every chapter; the exit status says whether an id has no test."""
    tests = named_in_tests()
    missing: list[str] = []
    count = 0
    for path in chapters():
        old = path.read_text(encoding="utf-8")
        new = rewritten(old, tests)
        if new != old:
            path.write_text(new, encoding="utf-8")
            print(f"rewritten: {path.relative_to(ROOT)}")
        count += len(stated(new))
        missing += [identifier for identifier in stated(new) if identifier not in tests]
    print(f"requirements: {count}, without a test: {', '.join(missing) or 'none'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
