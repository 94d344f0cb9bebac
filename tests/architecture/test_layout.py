"""The layout that ARCHITECTURE.md promises, checked on the source text (nothing is imported)."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from tests.conftest import LONGEST_FIRST

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "crypto" / "notalone_crypto"
SOURCES = ("crypto", "server", "client_sdk/python", "demo")
LINE_LIMIT = 500
# The first lines of a longer module say why it is one module.
LENGTH_REASON = "Length:"

# What the core may use: pure modules of the standard library, and the libraries chosen in the ADRs.
# An allow list, because the import contracts' deny list cannot know tomorrow's module.
CORE_MAY_IMPORT = {
    "__future__", "abc", "array", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses",
    "enum", "functools", "hashlib", "heapq", "hmac", "itertools", "json", "math", "operator", "re", "string",
    "struct", "types", "typing", "unicodedata",
    "cffi", "cryptography", "nacl", "notalone_crypto", "phonenumbers",
}  # fmt: skip
# Randomness and clocks that hide inside a library that is otherwise allowed.
CORE_MUST_NOT_NAME = {"nacl.utils.random", "os.urandom", "uuid.uuid4"}


def python_files(*folders: str) -> list[Path]:
    """Every Python file below the folders that is not a build product."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts and "node_modules" not in path.parts
    )


def relative(path: Path) -> str:
    """Readable test id."""
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    """Syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


CORE_FILES = [path for path in python_files("crypto") if path.name != "__init__.py"]
ALL_FILES = python_files(*SOURCES)


def test_the_checks_below_see_the_core() -> None:
    assert len(CORE_FILES) >= 6
    assert CORE / "suite.py" in CORE_FILES


@pytest.mark.parametrize("path", CORE_FILES, ids=relative)
def test_core_module_says_what_it_owns_and_refuses(path: Path) -> None:
    docstring = ast.get_docstring(parse(path)) or ""
    words = docstring.lower().split()
    assert any(word.startswith("own") for word in words), "the module docstring lacks a sentence 'Owns ...'"
    assert any(word.startswith("refuse") for word in words), (
        "the module docstring lacks a sentence 'Refuses ...'"
    )


@pytest.mark.parametrize("path", ALL_FILES, ids=relative)
def test_every_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(parse(path)), "a module opens with what it owns"


@pytest.mark.parametrize("path", ALL_FILES, ids=relative)
def test_module_is_short_or_says_why_not(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    reason = LENGTH_REASON in (ast.get_docstring(parse(path)) or "")
    assert lines <= LINE_LIMIT or reason, (
        f"{lines} lines: split it, or give the reason in its docstring as '{LENGTH_REASON} ...'"
    )


@pytest.mark.parametrize("path", [*ALL_FILES, *python_files("tools")], ids=relative)
def test_no_assert_outside_tests(path: Path) -> None:
    # python -O removes assert statements: a check written as one is no check.
    lines = [node.lineno for node in ast.walk(parse(path)) if isinstance(node, ast.Assert)]
    assert not lines, f"assert statement on line(s) {lines}: raise instead"


def imported_modules(tree: ast.Module) -> set[str]:
    """Absolute names of modules and members that a file imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
            names.add(node.module or "")
    return names


def dotted_names(tree: ast.Module) -> set[str]:
    """Attribute chains such as nacl.utils.random, as written."""
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("path", python_files("crypto"), ids=relative)
def test_core_imports_only_what_is_pure(path: Path) -> None:
    tree = parse(path)
    imported = imported_modules(tree)
    foreign = {name for name in imported if name.split(".")[0] not in CORE_MAY_IMPORT}
    assert not foreign, f"not on the core's allow list: {sorted(foreign)}"
    hidden = (imported | dotted_names(tree)) & CORE_MUST_NOT_NAME
    assert not hidden, f"hidden randomness in the core: {sorted(hidden)}"


def test_core_prints_and_reads_nothing() -> None:
    forbidden = {"print", "open", "input", "eval", "exec", "breakpoint", "__import__"}
    calls = [
        f"{relative(path)}:{node.lineno} {node.func.id}"
        for path in python_files("crypto")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in forbidden
    ]
    assert not calls


def test_packages_are_typed_and_reach_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert len(packages) == 4
    for package in packages:
        assert (ROOT / package / "__init__.py").is_file()
        assert (ROOT / package / "py.typed").is_file()
    on_disk = {
        path.parent.relative_to(ROOT).as_posix()
        for folder in SOURCES
        for path in (ROOT / folder).glob("notalone_*/__init__.py")
    }
    assert on_disk == set(packages)


def test_every_package_folder_has_an_init() -> None:
    missing = {relative(path.parent) for path in ALL_FILES if not (path.parent / "__init__.py").exists()}
    assert not missing


def test_every_domain_tag_is_named_in_the_conventions() -> None:
    """A tag that the specs do not list cannot be implemented elsewhere, and may be given a second meaning."""
    conventions = ROOT / "specs" / "00-conventions.md"
    tree = parse(CORE / "suite.py")
    tag_class = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tag")
    tags = [
        node.value.value
        for node in tag_class.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    ]
    assert tags
    assert len(set(tags)) == len(tags)
    text = conventions.read_text(encoding="utf-8")
    unnamed = sorted(str(tag) for tag in tags if f"`{tag}`" not in text)
    assert not unnamed, f"not in specs/00-conventions.md#domain-tags: {unnamed}"


def test_the_test_files_that_begin_first_exist() -> None:
    """A file that was renamed would begin last, and everybody would wait for it."""
    assert set(LONGEST_FIRST) <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
