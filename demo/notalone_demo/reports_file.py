"""The demo's input: a scope and its reports, from one JSON file.

Owns the format (examples/university.json) and errors that name the line.
Refuses to know how reports are sealed. Everything is checked, identifiers
included, before anything is started.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.protocol.identify import (
    CanonicalIdentifier,
    Directory,
    DirectoryPerson,
    IdentifierKind,
    Platform,
    SlotKind,
)
from notalone_crypto.suite import LEVELS, MAX_TRUSTEES, MIN_QUOTA, MIN_ROLL

MAX_FILE_BYTES: Final = 1 << 20
MAX_MEMBERS: Final = 256
MAX_NAME_BYTES: Final = 200
_SCOPE_KEYS: Final = {
    "instance", "name", "region", "members", "levels", "trustees", "threshold", "desks", "directory",
}  # fmt: skip
_MOST: Final = {"trustees": MAX_TRUSTEES, "desks": 16}
_FILE_KEYS: Final = {"batch", "from", "threshold", "opens_to", "preconsent", "about", "words", "desk"}
_MODES: Final = {"counsellor": ReleaseMode.COUNSELLOR, "peers": ReleaseMode.PEERS}
_ABOUT: Final = {
    "email": (SlotKind.WORK_IDENTITY, IdentifierKind.EMAIL),
    "directory_id": (SlotKind.WORK_IDENTITY, IdentifierKind.DIRECTORY),
    "name": (SlotKind.WORK_IDENTITY, IdentifierKind.NAME),
    "phone": (SlotKind.PHONE, IdentifierKind.PHONE),
    "account": (SlotKind.ACCOUNT, IdentifierKind.ACCOUNT),
    "former_account": (SlotKind.FORMER_ACCOUNT, IdentifierKind.ACCOUNT),
}


class InputFileError(NotAloneError):
    """A file that cannot be used; `line` is where, from 1."""

    def __init__(self, path: Path, line: int, detail: str) -> None:
        super().__init__(Code.INPUT_FILE, f"{path}, line {line}: {detail}")
        self.line = line


@dataclass(frozen=True, slots=True)
class ScopeInput:
    """The fictional organisation."""

    instance: str
    name: str
    region: str
    members: int
    levels: tuple[int, ...]
    trustees: tuple[str, ...]
    threshold: int
    desks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportInput:
    """One line of the story: a filing or a withdrawal."""

    batch: int
    person: str
    withdraws: bool
    identifiers: Mapping[int, CanonicalIdentifier] = field(default_factory=dict, repr=False)
    threshold: int = 0
    mode: ReleaseMode = ReleaseMode.COUNSELLOR
    preconsent: bool = False
    words: str = field(default="", repr=False)
    desk: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A checked file."""

    scope: ScopeInput
    reports: tuple[ReportInput, ...]

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who appears, in order."""
        return tuple(dict.fromkeys(report.person for report in self.reports))

    @property
    def batches(self) -> int:
        """Number of batches."""
        return max(report.batch for report in self.reports)


@dataclass(slots=True)
class _Source:
    """The text with positions, so that an error can name its line."""

    path: Path
    text: str

    def error(self, position: int, detail: str) -> InputFileError:
        return InputFileError(self.path, self.text.count("\n", 0, position) + 1, detail)

    def key_position(self, start: int, end: int, key: str) -> int:
        found = re.search(r'"' + re.escape(key) + r'"\s*:', self.text[start:end])
        return start + found.start() if found else start

    def duplicate_position(self) -> int:
        """Where a key appears in an object that had it before."""
        objects: list[set[str]] = []
        for token in re.finditer(r'"(?:[^"\\]|\\.)*"(\s*:)?|[{}]', self.text):
            text = token.group()
            if text == "{":
                objects.append(set())
            elif text == "}":
                objects.pop()
            elif token.group(1) and objects:
                key = json.loads(text[: -len(token.group(1))])
                if key in objects[-1]:
                    return token.start()
                objects[-1].add(key)
        return 0


def read_story(path: Path) -> Story:
    """The story in `path`. Raises InputFileError that names the line."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputFileError(path, 1, "the file is larger than 1 MiB")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputFileError(path, 1, f"the file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputFileError(path, 1, f"the file is not UTF-8 (byte {error.start})") from error
    source = _Source(path, text)
    try:
        whole = json.loads(text, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise InputFileError(path, error.lineno, f"not JSON: {error.msg}") from error
    except _DuplicateKeyError as error:
        position = source.duplicate_position()
        raise source.error(position, f'the key "{error}" appears twice in one object') from error
    except (ValueError, RecursionError) as error:
        detail = "not JSON that can be read: a number is too long or the nesting too deep"
        raise InputFileError(path, 1, detail) from error
    if not isinstance(whole, dict) or set(whole) != {"scope", "reports"}:
        raise source.error(0, 'the file needs exactly two parts, "scope" and "reports"')
    scope, directory = _read_scope(source, whole["scope"])
    reports = [
        _read_report(source, scope, directory, raw, start, end)
        for raw, start, end in _elements(source, whole["reports"])
    ]
    if not reports:
        raise source.error(source.key_position(0, len(text), "reports"), "there are no reports")
    story = Story(scope, tuple(reports))
    _check_order(source, whole["reports"], story)
    return story


class _DuplicateKeyError(Exception):
    """A key appears twice in one object."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _DuplicateKeyError(key)
        result[key] = value
    return result


def _is_name(value: Any) -> bool:
    """Whether the protocol can carry it as a name: 1 to 200 bytes of UTF-8 in NFC."""
    if not isinstance(value, str) or not value or not _is_utf8(value):
        return False
    return unicodedata.normalize("NFC", value) == value and len(value.encode()) <= MAX_NAME_BYTES


def _is_utf8(value: str) -> bool:
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in value)  # JSON can carry half a pair


def _elements(source: _Source, reports: Any) -> list[tuple[Any, int, int]]:
    """Each report with where its text starts and ends."""
    begin = source.key_position(0, len(source.text), "reports")
    if not isinstance(reports, list):
        raise source.error(begin, '"reports" must be a list')
    decoder = json.JSONDecoder()
    position = source.text.index("[", begin) + 1
    found = []
    for _ in reports:
        while source.text[position] in " \t\r\n,":
            position += 1
        raw, end = decoder.raw_decode(source.text, position)
        found.append((raw, position, end))
        position = end
    return found


def _read_scope(source: _Source, raw: Any) -> tuple[ScopeInput, Directory]:
    start = source.key_position(0, len(source.text), "scope")

    def fail(key: str, detail: str) -> InputFileError:
        return source.error(source.key_position(start, len(source.text), key), f"{key}: {detail}")

    if not isinstance(raw, dict) or not set(raw) <= _SCOPE_KEYS:
        unknown = sorted(set(raw) - _SCOPE_KEYS) if isinstance(raw, dict) else []
        raise fail(unknown[0] if unknown else "scope", "not a known part of a scope")
    missing = sorted(_SCOPE_KEYS - set(raw))
    if missing:
        raise fail("scope", f"{missing[0]} is missing")
    for key in ("instance", "name"):
        if not _is_name(raw[key]):
            raise fail(key, "must be a text of 1 to 200 bytes in normalization form NFC")
    if not isinstance(raw["region"], str) or not re.fullmatch("[A-Z]{2}", raw["region"]):
        raise fail("region", 'must be two capital letters, as "FR"')
    if not isinstance(raw["members"], int) or not MIN_ROLL <= raw["members"] <= MAX_MEMBERS:
        raise fail("members", f"must be {MIN_ROLL} to {MAX_MEMBERS}: fewer are too few to hide among")
    levels = raw["levels"]
    numbers = isinstance(levels, list) and all(type(level) is int for level in levels)
    if not numbers or tuple(levels) not in {LEVELS[:2], LEVELS}:
        raise fail("levels", "must be [2, 3] or [2, 3, 4]")
    for key in ("trustees", "desks"):
        values = raw[key]
        if not isinstance(values, list) or not values or not all(_is_name(one) for one in values):
            raise fail(key, "must be a list of names of 1 to 200 bytes in normalization form NFC")
        if len(set(values)) != len(values):
            raise fail(key, "a name appears twice")
        if len(values) > _MOST[key]:
            raise fail(key, f"there are more than {_MOST[key]}")
    threshold = raw["threshold"]
    if not isinstance(threshold, int) or threshold < 2 or len(raw["trustees"]) < 2 * threshold - 1:
        raise fail("threshold", "m trustees must satisfy 2 <= m and 2m - 1 <= n")
    try:
        people = [
            DirectoryPerson(one["id"], one["name"], one["unit"], tuple(one["emails"]))
            for one in raw["directory"]
        ]
        directory = Directory(people)
    except NotAloneError as error:
        raise fail("directory", error.detail) from error
    except (TypeError, KeyError) as error:
        raise fail("directory", "each person needs id, name, unit and emails") from error
    scope = ScopeInput(
        raw["instance"],
        raw["name"],
        raw["region"],
        raw["members"],
        tuple(levels),
        tuple(raw["trustees"]),
        threshold,
        tuple(raw["desks"]),
    )
    return scope, directory


def _read_report(
    source: _Source, scope: ScopeInput, directory: Directory, raw: Any, start: int, end: int
) -> ReportInput:
    def fail(key: str, detail: str) -> InputFileError:
        return source.error(source.key_position(start, end, key), f"{key}: {detail}")

    if not isinstance(raw, dict):
        raise source.error(start, "a report must be an object")
    batch = raw.get("batch")
    if not isinstance(batch, int) or isinstance(batch, bool) or not 1 <= batch <= 20:
        raise fail("batch", "must be a number from 1 to 20")
    if "withdraw" in raw:
        if set(raw) != {"batch", "withdraw"} or not isinstance(raw["withdraw"], str):
            raise fail("withdraw", "a withdrawal has a batch and a name, nothing else")
        return ReportInput(batch, raw["withdraw"], withdraws=True)
    unknown = sorted(set(raw) - _FILE_KEYS)
    if unknown:
        raise fail(unknown[0], "not a known part of a report")
    if not _is_name(raw.get("from")) or raw["from"] in scope.desks:
        raise fail("from", "must be a name of 1 to 200 bytes, and not a desk's")
    if raw.get("threshold") not in scope.levels or type(raw.get("threshold")) is not int:
        raise fail("threshold", f"must be one of {', '.join(map(str, scope.levels))}")
    if not isinstance(raw.get("opens_to"), str) or raw["opens_to"] not in _MODES:
        raise fail("opens_to", 'must be "counsellor" or "peers"')
    if not isinstance(raw.get("preconsent", False), bool):
        raise fail("preconsent", "must be true or false")
    words = raw.get("words", "")
    if not isinstance(words, str) or not _is_utf8(words) or len(words.encode()) > 1500:
        raise fail("words", "must be a text of at most 1500 bytes")
    desk = raw.get("desk", scope.desks[0])
    if desk not in scope.desks:
        raise fail("desk", "the scope has no such desk")
    about = raw.get("about")
    if not isinstance(about, dict) or not set(about) - {"unit"}:
        raise fail("about", "must name a person in at least one way")
    if not isinstance(about.get("unit", ""), str):
        raise fail("unit", "must be a text")
    identifiers: dict[int, CanonicalIdentifier] = {}
    for key, value in about.items():
        if key == "unit":
            continue
        if key not in _ABOUT:
            raise fail(key, f"must be one of {', '.join(_ABOUT)}")
        slot = _ABOUT[key][0]
        if slot in identifiers:
            raise fail(key, "one identifier for each kind: this kind is already given")
        try:
            identifiers[int(slot)] = _identifier(directory, scope, key, value, about.get("unit"))
        except NotAloneError as error:
            raise fail(key, error.detail) from error
        except (TypeError, KeyError, ValueError) as error:
            raise fail(key, "not understood") from error
    return ReportInput(
        batch,
        raw["from"],
        False,  # noqa: FBT003 - a field, not a flag
        identifiers,
        raw["threshold"],
        _MODES[raw["opens_to"]],
        raw.get("preconsent", False),
        words,
        desk,
    )


def _identifier(
    directory: Directory, scope: ScopeInput, key: str, value: Any, unit: Any
) -> CanonicalIdentifier:
    kind = _ABOUT[key][1]
    platform = None
    text = value
    if kind is IdentifierKind.ACCOUNT and isinstance(value, dict):
        platform, text = Platform(value["platform"]), value["handle"]
    if not isinstance(text, str):
        raise TypeError(key)
    return directory.resolve(
        kind,
        text,
        default_region=scope.region if kind is IdentifierKind.PHONE else None,
        unit=unit if kind is IdentifierKind.NAME else None,
        platform=platform,
    )


def _check_order(source: _Source, raw: Any, story: Story) -> None:
    """Nobody withdraws what she did not file before; people fit on the roll."""
    positions = [start for _, start, _ in _elements(source, raw)]
    filed: dict[str, int] = {}
    count: dict[str, int] = {}
    for report, position in sorted(
        zip(story.reports, positions, strict=True), key=lambda pair: pair[0].batch
    ):
        if report.withdraws and filed.get(report.person, 99) >= report.batch:
            raise source.error(position, f"withdraw: {report.person} has filed nothing in an earlier batch")
        if not report.withdraws:
            filed.setdefault(report.person, report.batch)
            count[report.person] = count.get(report.person, 0) + 1
            if count[report.person] > MIN_QUOTA:
                raise source.error(position, f"from: {report.person} files more than {MIN_QUOTA} times")
    if len(story.people) > story.scope.members:
        raise source.error(0, "more people report than the scope has members")
