"""Operations by name, their typed inputs, and running one case against the real code.

Owns the JSON form of inputs and outputs and what counts as a mismatch. Refuses
to know any operation and any case. The generator and the tests both run cases
through `run`, so that a vector is made and checked by the same few lines.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NewType, get_args, get_origin, get_type_hints

from notalone_crypto.errors import Code, NotAloneError
from notalone_crypto.primitives.group import RISTRETTO255

Json = Any
Table = dict[str, Any]
Scalar = NewType("Scalar", int)
"""Given as 32 little-endian bytes in hexadecimal; not reduced or checked on the way in."""

SHARED = re.compile(r"\$[a-z0-9_]+")


class VectorMismatchError(Exception):
    """A case that the code under test does not reproduce."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One named operation: the function, and the type of each input by name."""

    name: str
    function: Callable[..., Table]
    inputs: Mapping[str, Any]
    required: tuple[str, ...]


OPERATIONS: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Callable[..., Table]], Callable[..., Table]]:
    """Register a function under `name`; its parameters are the case's inputs."""

    def register(function: Callable[..., Table]) -> Callable[..., Table]:
        if name in OPERATIONS:
            raise ValueError(f"operation {name} is registered twice")
        hints = get_type_hints(function)
        parameters = inspect.signature(function).parameters.values()
        OPERATIONS[name] = Operation(
            name,
            function,
            {one.name: hints[one.name] for one in parameters},
            tuple(one.name for one in parameters if one.default is inspect.Parameter.empty),
        )
        return function

    return register


def run(case: Table, shared: Table) -> Table:
    """What the code answers: `{"output": ...}`, or `{"error": ..., "culprits": ...}`.

    Raises: VectorMismatchError for an unknown operation or inputs that do not fit it.
    """
    found = OPERATIONS.get(case["operation"])
    if found is None:
        raise VectorMismatchError(f"{case['id']}: unknown operation {case['operation']}")
    given = resolve(case["input"], shared)
    if not set(found.required) <= set(given) <= set(found.inputs):
        raise VectorMismatchError(f"{case['id']}: inputs {sorted(given)} do not fit {found.name}")
    arguments = {name: _decode(found.inputs[name], value) for name, value in given.items()}
    try:
        output = found.function(**arguments)
    except NotAloneError as error:
        refusal: Table = {"error": error.code.value}
        if error.culprits:
            refusal["culprits"] = list(error.culprits)
        return refusal
    return {"output": to_json(output)}


def check(case: Table, shared: Table) -> None:
    """Raise VectorMismatchError unless the code reproduces the case exactly."""
    expected = {key: case[key] for key in ("output", "error", "culprits") if key in case}
    actual = run(case, shared)
    if actual != expected:
        raise VectorMismatchError(f"{case['id']}: expected {expected!r:.300}, got {actual!r:.300}")


def resolve(value: Json, shared: Table) -> Json:
    """`value` with every `$name` replaced by the file's shared value of that name."""
    if isinstance(value, str) and SHARED.fullmatch(value):
        return resolve(shared[value[1:]], shared)
    if isinstance(value, list):
        return [resolve(item, shared) for item in value]
    if isinstance(value, dict):
        return {key: resolve(item, shared) for key, item in value.items()}
    return value


def to_json(value: Json) -> Json:
    """Bytes as lower-case hexadecimal; integers, texts, lists and tables as they are."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    raise TypeError(f"no JSON form for a {type(value).__name__}")


def scalar_bytes(scalar: int) -> bytes:
    """32 little-endian bytes of a scalar in [0, q)."""
    return RISTRETTO255.encode_scalar(scalar % RISTRETTO255.order)


def scalar_of(text: str) -> int:
    """The integer behind 32 little-endian bytes in hexadecimal."""
    return int.from_bytes(bytes.fromhex(text), "little")


def schema_for(description: str, names: list[str]) -> Table:
    """JSON schema of one file: the shape of its cases and the inputs of each of its operations."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": description,
        "type": "object",
        "additionalProperties": False,
        "required": ["schema", "description", "cases"],
        "properties": {
            "schema": {"type": "string", "pattern": r"^schema/[a-z0-9_]+\.schema\.json$"},
            "description": {"type": "string", "minLength": 10},
            "shared": {"type": "object", "propertyNames": {"pattern": "^[a-z0-9_]+$"}},
            "cases": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/case"}},
        },
        "$defs": {
            **_DEFINITIONS,
            "case": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "operation", "input"],
                "oneOf": [{"required": ["output"]}, {"required": ["error"]}],
                "properties": {
                    "id": {"type": "string", "pattern": "^[a-z0-9_.-]+$"},
                    "operation": {"enum": names},
                    "input": {"type": "object"},
                    "output": {"type": "object", "minProperties": 1},
                    "error": {"enum": [code.value for code in Code]},
                    "culprits": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9}},
                },
                "dependentRequired": {"culprits": ["error"]},
                "allOf": [_inputs_schema(OPERATIONS[name]) for name in names],
            },
        },
    }


def _inputs_schema(one: Operation) -> Table:
    return {
        "if": {"properties": {"operation": {"const": one.name}}},
        "then": {
            "properties": {
                "input": {
                    "description": (inspect.getdoc(one.function) or "").replace("\n", " "),
                    "additionalProperties": False,
                    "required": list(one.required),
                    "properties": {name: _type_schema(hint) for name, hint in one.inputs.items()},
                }
            }
        },
    }


def _type_schema(hint: Any) -> Table:  # noqa: ANN401 - a type annotation of any form
    if get_origin(hint) is list:
        listed = {"type": "array", "items": _type_schema(get_args(hint)[0])}
        return {"anyOf": [{"$ref": "#/$defs/shared"}, listed]}
    names = {bytes: "bytes", Scalar: "scalar", str: "text", int: "integer"}
    return {"$ref": f"#/$defs/{names.get(hint, 'table')}"}


_DEFINITIONS = {
    "bytes": {"type": "string", "pattern": r"^(\$[a-z0-9_]+|([0-9a-f]{2})*)$"},
    "scalar": {"type": "string", "pattern": r"^(\$[a-z0-9_]+|[0-9a-f]{64})$"},
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "table": {"anyOf": [{"type": "object"}, {"$ref": "#/$defs/shared"}]},
    "shared": {"type": "string", "pattern": r"^\$[a-z0-9_]+$"},
}


def _decode(hint: Any, value: Json) -> Any:  # noqa: ANN401 - inputs of any declared type
    if get_origin(hint) is list:
        return [_decode(get_args(hint)[0], item) for item in value]
    if hint is bytes:
        return bytes.fromhex(value)
    if hint is Scalar:
        return scalar_of(value)
    return value
