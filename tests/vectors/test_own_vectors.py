"""Every case of specs/vectors against the real code: none skipped, none unknown, none that cannot fail."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tools.vectors import library, op_intake
from tools.vectors.op_wire import MESSAGES
from tools.vectors.registry import OPERATIONS, VectorMismatchError, check, resolve, run

from notalone_crypto.errors import Code
from notalone_crypto.messages.evaluation import BatchPlan
from notalone_crypto.protocol import persist
from notalone_crypto.suite import Tag

FOLDER = Path(__file__).resolve().parents[2] / "specs" / "vectors"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
# Made by hand, with a form, a schema and a test of its own (test_identifier_vectors.py).
BY_HAND = {"identifiers.json", "identifiers.schema.json"}
FILES = {name: json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in MANIFEST["files"]}
CASES = [(name, case) for name, file in FILES.items() for case in file["cases"]]
MAX_TOTAL_BYTES = 3_200_000


def test_the_manifest_names_every_file_and_every_file_has_its_schema() -> None:
    present = {path.name for path in FOLDER.glob("*.json")} - BY_HAND - {"manifest.json"}
    assert present == set(MANIFEST["files"])
    schemas = {f"schema/{path.name}" for path in (FOLDER / "schema").glob("*.json")}
    assert schemas == {file["schema"] for file in FILES.values()}
    assert MANIFEST["total"] == sum(MANIFEST["files"].values())


@pytest.mark.parametrize("name", FILES)
def test_every_file_follows_its_schema(name: str) -> None:
    schema = json.loads((FOLDER / FILES[name]["schema"]).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(FILES[name])
    assert schema["$defs"]["case"]["properties"]["error"]["enum"] == [code.value for code in Code]


@pytest.mark.parametrize("name", FILES)
def test_every_case_is_executed_and_counted(name: str) -> None:
    file = FILES[name]
    executed = 0
    for case in file["cases"]:
        check(case, file.get("shared", {}))
        executed += 1
    assert executed == MANIFEST["files"][name]
    assert len({case["id"] for case in file["cases"]}) == executed


def test_every_operation_has_cases_and_most_have_refusals() -> None:
    used = {case["operation"] for _, case in CASES}
    assert used == set(OPERATIONS)
    assert len(library.OPERATION_MODULES) >= 10


def test_every_message_has_a_valid_encoding_and_the_four_refusals_that_all_share() -> None:
    good: dict[str, set[str]] = {}
    refused: dict[str, set[str]] = {}
    for _, case in CASES:
        if case["operation"] == "wire.decode":
            message = case["input"]["message"]
            if "output" in case:
                good.setdefault(message, set()).add(case["id"])
            else:
                refused.setdefault(message, set()).add(case["id"].removeprefix(f"{message.lower()}-"))
    assert set(good) == set(MESSAGES)
    for message in MESSAGES:
        assert {"empty", "truncated", "trailing", "version-next", "type"} <= refused[message], message


def test_every_tag_is_in_a_vector() -> None:
    tags = {case["input"]["tag"] for _, case in CASES if case["operation"] == "hashing.digest"}
    assert tags == {tag.value for tag in Tag}


@pytest.mark.parametrize(
    "code",
    [
        Code.COMMITTEE, Code.SCOPE, Code.GENERATION, Code.POLICY, Code.SNAPSHOT, Code.PERIOD, Code.EXPIRED,
        Code.EXPIRY, Code.ENC_REUSED, Code.TAG_SPENT, Code.DUPLICATE, Code.LENGTH, Code.NON_CANONICAL,
        Code.IDENTITY, Code.TRAILING, Code.TRUNCATED, Code.VERSION, Code.SIGNATURE, Code.PROOF,
    ],
)  # fmt: skip
def test_bad_input_has_a_case_for(code: Code) -> None:
    assert code.value in {case.get("error") for case in FILES["bad_input.json"]["cases"]}


def test_a_refusal_leaves_the_state_as_it_was() -> None:
    """The state's canonical bytes before and after, taken here and not by the operation."""
    file = FILES["bad_input.json"]
    compared = 0
    for case in file["cases"]:
        if case["operation"] != "intake.filing" or "error" not in case:
            continue
        given = resolve(case["input"], file["shared"])
        bench = op_intake.bench_of(
            given["view"],
            given["trustee"],
            [bytes.fromhex(one) for one in given["before"]],
            [bytes.fromhex(one) for one in given["gone"]],
            bytes.fromhex(given["seed"]),
        )
        before = persist.dump(bench.state)
        with pytest.raises(Exception) as caught:
            bench.take(op_intake.with_edits(bytes.fromhex(given["data"]), given.get("edits", [])))
        assert caught.value.code.value == case["error"]
        assert persist.dump(bench.state) == before
        compared += 1
    assert compared >= 30


def test_the_operation_itself_sees_a_state_that_changed() -> None:
    file = FILES["bad_input.json"]
    case = next(one for one in file["cases"] if one["id"] == "plan-clock")
    given = resolve(case["input"], file["shared"])
    bench = op_intake.bench_of(given["view"], given["trustee"], [], [], b"")

    def spoil() -> dict[str, Any]:
        bench.state.seen_encs.add(b"left behind")
        BatchPlan.decode(b"")
        return {}

    with pytest.raises(VectorMismatchError, match="state changed"):
        bench.unchanged_or(spoil)


def altered(value: Any) -> Any:
    """`value` with its first leaf changed."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return ("1" if value[:1] == "0" else "0") + value[1:]
    if isinstance(value, list):
        return [altered(value[0]), *value[1:]] if value else ["00"]
    if not value:
        return {"more": 1}
    first = next(iter(value))
    return {**value, first: altered(value[first])}


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_altered_expectation_fails(operation: str) -> None:
    """A runner that passes whatever it is given would make every vector worthless."""
    name, case = next((name, one) for name, one in CASES if one["operation"] == operation and "output" in one)
    shared = FILES[name].get("shared", {})
    check(case, shared)
    for changed in (
        {**case, "output": altered(copy.deepcopy(case["output"]))},
        {**case, "output": {**case["output"], "another": 1}},
        {**{key: value for key, value in case.items() if key != "output"}, "error": Code.LENGTH.value},
    ):
        with pytest.raises(VectorMismatchError):
            check(changed, shared)
    refused = next(
        ((name, one) for name, one in CASES if one["operation"] == operation and "error" in one), None
    )
    if refused is not None:
        name, case = refused
        for changed in (
            {**case, "error": (Code.LENGTH if case["error"] == Code.MISUSE else Code.MISUSE).value},
            {**{key: value for key, value in case.items() if key != "error"}, "output": {"valid": True}},
        ):
            with pytest.raises(VectorMismatchError):
                check(changed, FILES[name].get("shared", {}))


def test_unknown_operations_and_inputs_fail() -> None:
    case = {"id": "x", "operation": "group.unknown", "input": {}, "output": {}}
    with pytest.raises(VectorMismatchError, match="unknown operation"):
        run(case, {})
    for inputs in ({}, {"element": "00", "more": "00"}):
        with pytest.raises(VectorMismatchError, match="do not fit"):
            run({"id": "x", "operation": "group.negate", "input": inputs, "output": {}}, {})


def test_the_files_stay_small_enough_to_be_read_by_every_implementation() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.json")) < MAX_TOTAL_BYTES
