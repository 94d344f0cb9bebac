"""Codes are for ever, and no message repeats what it was given."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

from notalone_crypto import errors
from notalone_crypto.errors import Code, Fault, NotAloneError

ROOT = Path(__file__).resolve().parents[2]
# Names in the texts of errors: numbers, fixed limits and names of fields, never input.
HARMLESS = {
    "PHRASE_LENGTH", "SEED_LENGTH", "HPKE_KEY_LENGTH", "SECRET_LENGTH", "ENC_LENGTH", "MAX_SIZE",
    "BYTES", "TAG_LENGTH",
}  # fmt: skip
STABLE = {
    "LENGTH": "encoding.length",
    "NON_CANONICAL": "encoding.non_canonical",
    "IDENTITY": "encoding.identity",
    "TRAILING": "encoding.trailing",
    "TRUNCATED": "encoding.truncated",
    "VERSION": "encoding.version",
    "RANGE": "encoding.range",
    "TEXT": "encoding.text",
    "IDENTIFIER": "identifier.invalid",
    "IDENTIFIER_WEAK": "identifier.too_weak",
    "IDENTIFIER_SHARED": "identifier.shared",
    "INPUT_FILE": "input.file",
    "PROOF": "proof.invalid",
    "STATEMENT": "proof.statement",
    "SHARE": "share.invalid",
    "COMMITMENT_LENGTH": "share.commitment_length",
    "DECRYPTION": "seal.decryption",
    "SIGNATURE": "signature.invalid",
    "INCLUSION": "log.inclusion",
    "CONSISTENCY": "log.consistency",
    "QUORUM": "log.quorum",
    "FORK": "log.fork",
    "COMMITTEE": "context.committee",
    "SCOPE": "context.scope",
    "GENERATION": "context.generation",
    "POLICY": "context.policy",
    "SNAPSHOT": "context.snapshot",
    "PERIOD": "context.period",
    "EXPIRED": "context.expired",
    "EXPIRY": "context.expiry",
    "DUPLICATE": "state.duplicate",
    "ENC_REUSED": "state.enc_reused",
    "TAG_SPENT": "state.tag_spent",
    "QUOTA": "state.quota",
    "UNKNOWN_ENTRY": "state.unknown_entry",
    "OUT_OF_ORDER": "state.out_of_order",
    "EQUIVOCATION": "state.equivocation",
    "ROLLBACK": "state.rollback",
    "BATCH_OPEN": "state.batch_open",
    "CONSENT": "state.consent",
    "ROLL_TOO_SMALL": "roll.too_small",
    "ROLL_DUPLICATE": "roll.duplicate",
    "NOT_ELIGIBLE": "roll.not_eligible",
    "PARAMETERS": "ceremony.parameters",
    "DEALING": "ceremony.dealing",
    "COMPLAINT": "ceremony.complaint",
    "MANIFEST": "ceremony.manifest",
    "SUBSET_MISMATCH": "committee.subset_mismatch",
    "MISUSE": "caller.misuse",
}


def test_codes_are_stable() -> None:
    """CONV-7: new ones may be added here; none may change or go."""
    now = {code.name: code.value for code in Code}
    assert {name: now.get(name) for name in STABLE} == STABLE
    assert len(set(now.values())) == len(now)


def interpolated(path: Path) -> list[tuple[int, str]]:
    """What f-strings inside `raise` statements of a file put into their text."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            found += [
                (part.lineno, ast.unparse(part.value))
                for part in ast.walk(node.exc)
                if isinstance(part, ast.FormattedValue)
            ]
    return found


def test_no_failure_repeats_its_input() -> None:
    """CONV-8: texts hold numbers, limits and names of fields; never bytes, names of people or words."""
    allowed = {
        "len(value)", "len(commitments)", "length", "limit", "threshold", "minimum", "what", "name", "count",
        "plan.number", "scope.number", "head.size", "view.size", "self._length", "self._limit",
        "self._message.__name__", "cls.__name__", "expected.__name__", "type(value).__name__",
        "message.__name__",
        "field.name", "quorum", "expected", "named", "kind", "', '.join(map(str, missing))",
    } | HARMLESS  # fmt: skip
    for path in sorted((ROOT / "crypto" / "notalone_crypto").rglob("*.py")):
        for line, expression in interpolated(path):
            known = expression in allowed or expression.isupper() or expression.startswith("len(")
            assert known, (
                f"{path.relative_to(ROOT)}:{line} puts {expression!r} into a message: is it ever input?"
            )


def subclasses(root: type[NotAloneError]) -> list[type[NotAloneError]]:
    return [root, *(found for one in root.__subclasses__() for found in subclasses(one))]


@pytest.mark.parametrize(
    "kind", [one for one in subclasses(NotAloneError) if one.__module__ == errors.__name__]
)
def test_every_error_says_its_code_first_and_whose_fault_it_is(kind: type[NotAloneError]) -> None:
    made = kind(Code.SHARE, "a share is bad", culprits=(1, 3))
    assert str(made) == "share.invalid: a share is bad [trustees 1, 3]"
    assert str(kind(Code.SHARE, "a share is bad")) == "share.invalid: a share is bad"
    assert made.fault in Fault
    assert kind(Code.SHARE, "x", fault=Fault.BOARD).fault == Fault.BOARD


def test_this_files_table_changes_knowingly() -> None:
    text = repr(sorted(STABLE.items())).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == "a43156f140bfce22"
