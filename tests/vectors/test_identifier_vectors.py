"""ID-90: every published identifier vector, counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from notalone_crypto.errors import InvalidIdentifier
from notalone_crypto.protocol.identify import CanonicalIdentifier, IdentifierKind, Platform, canonicalize

FOLDER = Path(__file__).parents[2] / "specs" / "vectors"
VECTORS: dict[str, Any] = json.loads((FOLDER / "identifiers.json").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((FOLDER / "identifiers.schema.json").read_text(encoding="utf-8"))


def run(kind: str, case: dict[str, str]) -> CanonicalIdentifier:
    return canonicalize(
        IdentifierKind[kind.upper()],
        case["text"],
        default_region=case.get("default_region"),
        unit=case.get("unit"),
        platform=Platform(case["platform"]) if "platform" in case else None,
    )


def test_file_follows_its_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(VECTORS)


def test_no_case_is_skipped_silently() -> None:
    """ID-90: the count of the file is the count of its cases, and no id stands twice."""
    groups = VECTORS["equivalent"]
    cases = sum(len(group["cases"]) for group in groups) + len(VECTORS["distinct"]) + len(VECTORS["refused"])
    assert cases == VECTORS["count"] == 481
    identifiers = [entry["id"] for part in ("equivalent", "distinct", "refused") for entry in VECTORS[part]]
    assert len(set(identifiers)) == len(identifiers)


@pytest.mark.parametrize("group", VECTORS["equivalent"], ids=lambda group: group["id"])
def test_spellings_of_one_identifier_have_one_encoding(group: dict[str, Any]) -> None:
    """ID-1, ID-90."""
    for case in group["cases"]:
        assert run(group["kind"], case).encode().hex() == group["encoded"], case
    assert CanonicalIdentifier.decode(bytes.fromhex(group["encoded"])).text == group["value"]


def test_groups_of_different_values_never_meet() -> None:
    """ID-2: the encoding tells all equivalence classes apart."""
    classes = {(group["kind"], group["value"]) for group in VECTORS["equivalent"]}
    assert len({group["encoded"] for group in VECTORS["equivalent"]}) == len(classes)


@pytest.mark.parametrize("pair", VECTORS["distinct"], ids=lambda pair: pair["id"])
def test_different_people_keep_different_bytes(pair: dict[str, Any]) -> None:
    """ID-2, ID-90: over-normalising would merge them."""
    assert run(pair["kind"], pair["left"]).encode() != run(pair["kind"], pair["right"]).encode()


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["id"])
def test_refusals_have_their_code_and_keep_the_input_secret(case: dict[str, Any]) -> None:
    """ID-4, ID-5, ID-90."""
    with pytest.raises(InvalidIdentifier) as caught:
        run(case["kind"], case)
    assert caught.value.code.value == case["code"]
    if len(case["text"].strip()) > 3:
        assert case["text"].strip().lower() not in str(caught.value).lower()
