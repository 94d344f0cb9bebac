"""Building one file of vectors: successes computed, refusals stated and checked.

Owns the file's form and the rule that a refusal's code is written down by
whoever makes the case and must be what the code answers; only outputs are
taken from the code. Refuses to know any operation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.vectors.registry import Json, Table, VectorMismatchError, run, to_json

SHORT = 130  # texts up to this length, such as keys and signatures, stay where they are


@dataclass(slots=True)
class Book:
    """One file of cases; `name` is the file's name without its ending."""

    name: str
    description: str
    shared: Table = field(default_factory=dict)
    cases: list[Table] = field(default_factory=list)

    def share(self, name: str, value: Json) -> str:
        """Keep a value once for the whole file; what is returned stands for it in inputs."""
        made = to_json(value)
        if self.shared.setdefault(name, made) != made:
            raise ValueError(f"{self.name}: two shared values are called {name}")
        return f"${name}"

    def good(self, case_id: str, operation: str, **inputs: Json) -> Table:
        """A case that must succeed; its output."""
        case = self._case(case_id, operation, inputs)
        answer = run(case, self.shared)
        if "output" not in answer:
            raise VectorMismatchError(f"{self.name}/{case_id} was meant to succeed: {answer}")
        self.cases.append({**case, **answer})
        output: Table = answer["output"]
        return output

    def bad(self, case_id: str, code: str, operation: str, **inputs: Json) -> None:
        """A case that must be refused with exactly this code."""
        case = self._case(case_id, operation, inputs)
        answer = run(case, self.shared)
        if answer.get("error") != code:
            raise VectorMismatchError(f"{self.name}/{case_id} was meant to be {code}: {answer!r:.300}")
        self.cases.append({**case, **answer})

    def encode(self) -> str:
        """The file's text."""
        shared, cases = self._interned()
        head: Table = {"schema": f"schema/{self.name}.schema.json", "description": self.description}
        if shared:
            head["shared"] = shared
        return encode({**head, "cases": cases})

    def _interned(self) -> tuple[Table, list[Table]]:
        """Long texts that inputs repeat become shared ones: a third of the bytes, and the same cases."""
        seen: Counter[str] = Counter()
        for case in self.cases:
            seen.update(_long_texts(case["input"]))
        names = {value: name for name, value in self.shared.items() if isinstance(value, str)}
        shared = dict(self.shared)
        for text, times in seen.items():
            if times > 1 and text not in names:
                names[text] = f"bytes_{len(shared)}"
                shared[names[text]] = text
        return shared, [{**case, "input": _with_names(case["input"], names)} for case in self.cases]

    def _case(self, case_id: str, operation: str, inputs: Table) -> Table:
        if any(one["id"] == case_id for one in self.cases):
            raise ValueError(f"{self.name}: two cases are called {case_id}")
        return {"id": case_id, "operation": operation, "input": to_json(inputs)}


def _long_texts(value: Json) -> Iterator[str]:
    if isinstance(value, str) and len(value) > SHORT:
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _long_texts(item)


def _with_names(value: Json, names: dict[str, str]) -> Json:
    if isinstance(value, str):
        return f"${names[value]}" if len(value) > SHORT and value in names else value
    if isinstance(value, list):
        return [_with_names(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _with_names(item, names) for key, item in value.items()}
    return value


def encode(value: Json) -> str:
    """JSON with one line for each leaf, so that a diff shows what changed."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
