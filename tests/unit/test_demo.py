"""The demo's input and command: a mistake is named with its line, a run ends as the sample's story says."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from notalone_demo.cli import app
from notalone_demo.reports_file import InputFileError, read_story

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = (ROOT / "examples" / "university.json").read_text(encoding="utf-8")
SMALL = """{
  "scope": {
    "instance": "demo",
    "name": "Université",
    "region": "FR",
    "members": 32,
    "levels": [2, 3],
    "trustees": ["one", "two", "three"],
    "threshold": 2,
    "desks": ["Desk"],
    "directory": [
      {"id": "ab", "name": "Al Bo", "unit": "U", "emails": ["al.bo@univ.fr"]}
    ]
  },
  "reports": [
    {
      "batch": 1,
      "from": "Ann",
      "threshold": 2,
      "opens_to": "peers",
      "about": {"email": "al.bo@univ.fr"},
      "words": "first"
    },
    {"batch": 1, "from": "Eve", "threshold": 2, "opens_to": "peers",
     "about": {"directory_id": "ab",
               "phone": "01 23 45 67 89"}},
    {"batch": 2,
     "withdraw": "Eve"}
  ]
}
"""

# What is replaced by what, the line that must be named, a word of the reason.
MISTAKES: dict[str, tuple[str, str, int, str]] = {
    "not JSON": ('"members": 32,', '"members": 32', 7, "not JSON"),
    "unknown part": ('"region": "FR"', '"place": "FR"', 5, "place"),
    "missing part": ('    "threshold": 2,\n    "desks"', '    "desks"', 2, "threshold is missing"),
    "name is no text": ('"Université"', "7", 4, "name"),
    "name in another form": ("Université", "Universite\\u0301", 4, "NFC"),
    "half a letter": ("Université", "\\ud800", 4, "name"),
    "name too long": ("Université", "u" * 201, 4, "200"),
    "region": ('"FR"', '"FRA"', 5, "two capital letters"),
    "too few members": ('"members": 32', '"members": 31', 6, "too few to hide among"),
    "members as text": ('"members": 32', '"members": "32"', 6, "members"),
    "levels": ("[2, 3]", "[2, 4]", 7, "levels"),
    "levels within levels": ("[2, 3]", "[[2], 3]", 7, "levels"),
    "levels that only look equal": ("[2, 3]", "[2.0, 3.0]", 7, "levels"),
    "trustee twice": ('"two", "three"', '"two", "two"', 8, "twice"),
    "no trustees": ('["one", "two", "three"]', "[]", 8, "trustees"),
    "too many trustees": ('"one", ', "".join(f'"t{n}", ' for n in range(8)), 8, "more than 9"),
    "threshold of the committee": (
        '"threshold": 2,\n    "desks"',
        '"threshold": 3,\n    "desks"',
        9,
        "2m - 1",
    ),
    "desk without a name": ('["Desk"]', '[""]', 10, "desks"),
    "directory person without unit": ('"unit": "U", ', "", 11, "directory"),
    "directory of numbers": ('"id": "ab"', '"id": 5', 11, "directory"),
    "batch zero": ('"batch": 1,\n', '"batch": 0,\n', 17, "batch"),
    "batch as truth": ('"batch": 1,\n', '"batch": true,\n', 17, "batch"),
    "nobody": ('"Ann"', '""', 18, "from"),
    "a desk reports": ('"Ann"', '"Desk"', 18, "desk"),
    "threshold not offered": ('"threshold": 2,\n      "opens', '"threshold": 4,\n      "opens', 19, "2, 3"),
    "threshold that only looks equal": (
        '"threshold": 2,\n      "opens',
        '"threshold": 2.0,\n      "opens',
        19,
        "threshold",
    ),
    "mode": ('"opens_to": "peers",\n', '"opens_to": "press",\n', 20, "opens_to"),
    "address": ('"email": "al.bo@univ.fr"', '"email": "al.bo"', 21, "email"),
    "about nobody": ('{"email": "al.bo@univ.fr"}', "{}", 21, "about"),
    "only a unit": ('{"email": "al.bo@univ.fr"}', '{"unit": "U"}', 21, "about"),
    "unknown way to name": ('{"email": "al', '{"shoe": "al', 21, "shoe"),
    "two of one kind": (
        '{"email": "al.bo@univ.fr"}',
        '{"email": "al.bo@univ.fr", "directory_id": "ab"}',
        21,
        "already",
    ),
    "unit is no text": ('{"email": "al.bo@univ.fr"}', '{"name": "X Y", "unit": [1]}', 21, "unit"),
    "unknown platform": (
        '{"email": "al.bo@univ.fr"}',
        '{"account": {"platform": "x9", "handle": "a"}}',
        21,
        "account",
    ),
    "words too long": ('"first"', '"' + "w" * 1501 + '"', 22, "1500"),
    "words that are half a letter": ('"first"', '"\\ud800"', 22, "words"),
    "unknown part of a report": ('"words": "first"', '"word": "first"', 22, "word"),
    "unknown desk": ('"words": "first"', '"desk": "other"', 22, "desk"),
    "consent as a number": ('"words": "first"', '"preconsent": 1', 22, "preconsent"),
    "key twice, not where it is first": ('"phone": "01', '"directory_id": "ab", "phone": "01', 26, "twice"),
    "phone": ("01 23 45 67 89", "12", 26, "phone"),
    "nobody to withdraw": ('"withdraw": "Eve"', '"withdraw": "Zoe"', 27, "Zoe"),
    "withdrawal in the batch of the report": ('{"batch": 2,\n', '{"batch": 1,\n', 27, "earlier batch"),
    "withdrawal with more": ('"withdraw": "Eve"', '"words": "x", "withdraw": "Eve"', 28, "withdraw"),
    "number without end": ('"members": 32', '"members": ' + "1" * 5000, 1, "number"),
    "nesting without end": ('"members": 32', '"members": ' + "[" * 100_000, 1, "nesting"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_with_its_line(case: str, tmp_path: Path) -> None:
    old, new, line, reason = MISTAKES[case]
    assert SMALL.count(old) >= 1
    path = tmp_path / "story.json"
    path.write_text(SMALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputFileError) as caught:
        read_story(path)
    assert (caught.value.line, reason in str(caught.value)) == (line, True), str(caught.value)
    assert f"{path}, line {line}: " in str(caught.value)


def test_the_small_file_is_good(tmp_path: Path) -> None:
    path = tmp_path / "story.json"
    path.write_text(SMALL, encoding="utf-8")
    story = read_story(path)
    assert (story.people, story.batches, len(story.reports)) == (("Ann", "Eve"), 2, 3)
    assert "al.bo" not in repr(story)
    assert "first" not in repr(story)


def test_files_that_are_no_story(tmp_path: Path) -> None:
    path = tmp_path / "story.json"
    with pytest.raises(InputFileError, match="cannot be read"):
        read_story(path)
    with pytest.raises(InputFileError):
        read_story(tmp_path)
    for content in (
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"scope": 1, "reports": []}',
        b"\xef\xbb\xbf{}",
        b" " * (1 << 21),
    ):
        path.write_bytes(content)
        with pytest.raises(InputFileError) as caught:
            read_story(path)
        assert caught.value.line == 1
    for reports in ("{}", "null", "[]", "[1]"):
        path.write_text(
            re.sub(r'"reports": \[.*\]', f'"reports": {reports}', SMALL, flags=re.DOTALL), encoding="utf-8"
        )
        with pytest.raises(InputFileError) as caught:
            read_story(path)
        assert caught.value.line == 15


def test_more_filings_than_the_quota_are_found_before_anything_starts(tmp_path: Path) -> None:
    whole = json.loads(SMALL)
    whole["reports"] = [whole["reports"][0]] * 13
    path = tmp_path / "story.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(InputFileError, match="12 times"):
        read_story(path)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["demo", *arguments])
    return result.exit_code, result.stdout, result.stderr


@cache
def brief_sample() -> str:
    code, out, _ = run("--reports", str(ROOT / "examples" / "university.json"), "--brief", "--seed", "test")
    assert code == 0
    return out


def test_bad_input_is_exit_code_2_with_the_line_on_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "story.json"
    path.write_text(SMALL.replace('"Ann"', "5"), encoding="utf-8")
    code, out, errors = run("--reports", str(path))
    assert code == 2
    assert "line 18" in errors.replace("\n", "")
    assert "Traceback" not in out + errors
    assert run("--reports", str(tmp_path / "none.json"))[0] == 2


def test_the_sample_story_leaves_sealed_who_must_stay_sealed() -> None:
    """Thresholds not met, one person twice, a withdrawal, a lone report."""
    text = brief_sample()
    sealed = set(re.findall(r"sealed\s+(.+?), who asked for", text))
    opened = set(re.findall(r"opened\s+(.+?), who asked for", text))
    assert sealed == {"Emma", "Fanny", "Gwen", "Gwen (2)", "Inès", "Jade", "Léa"}
    assert not sealed & opened
    assert len(opened) == len(json.loads(SAMPLE)["reports"]) - 1 - len(sealed)
    assert re.search(r"Jade, who asked for 2\b[^\n]*(withdr|took|back)", text)
    assert "no other" in text


def test_a_seed_repeats_the_summary_and_brief_prints_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "story.json"
    path.write_text(SMALL, encoding="utf-8")
    first, second = (run("--reports", str(path), "--brief", "--seed", "same") for _ in range(2))
    assert first == second
    assert first[0] == 0
    assert "TRUSTEE" not in first[1]
    code, long, _ = run("--reports", str(path), "--seed", "same")
    assert code == 0
    assert "TRUSTEE" in long
    assert long.rstrip().endswith(first[1].rstrip().splitlines()[-1])
