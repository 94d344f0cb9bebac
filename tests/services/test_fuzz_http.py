"""Anything at all is sent to every address: from the services' own descriptions (schemathesis), and as bytes.

What must hold: no failure inside, only documented answers, a problem that is one of
ours to the byte, look-ups of one shape, and nothing changed by what was refused.
"""

from __future__ import annotations

import copy
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests import Request
from schemathesis.checks import load_all_checks
from schemathesis.generation.hypothesis.builder import (
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.specs.openapi import checks as openapi_checks
from sqlalchemy import event
from tests.support.interfaces import Interface, every_interface

from notalone_server.edge import octets, problem, signing
from notalone_server.trustee.app import _CSP as CSP

EXAMPLES = 6  # by address, for each of schemathesis' ways of making data
BYTES_EXAMPLES = 50  # by address
BOUNDED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
LOOK_UPS = ("inclusions", "leaves", "status", "own", "mailboxes", "codes", "resets", "stop")
load_all_checks()


@pytest.fixture(scope="module")
def interfaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Interface]]:
    with every_interface(tmp_path_factory.mktemp("interfaces")) as made:
        yield made


NAMES = ("board", "issuer", "issuer by mail", "exchange", "operations", "trustee")


def check_problem(answer: httpx.Response) -> str:
    """Its slug. A problem is one of a closed list, to the byte: nothing that was sent can be in it."""
    content = answer.json()
    slug = content["type"].removeprefix("urn:notalone:problem:")
    status, title = problem.PROBLEMS[slug]
    code = content.get("code", "")
    assert answer.content == problem.problem(status, slug, title, code).body
    assert answer.status_code == status
    assert not code or (slug in problem.CODED and code in {one.value for one in problem.TOLD})
    fixed = {
        "content-type": problem.MEDIA_TYPE,
        "cache-control": "no-store",
        "content-length": str(len(answer.content)),
        "www-authenticate": signing.SCHEME,
        "accept": octets.MEDIA_TYPE,
        "vary": "Accept",
    }
    for name, value in answer.headers.items():
        if name == "retry-after":
            assert value.isdigit()
        elif name == "content-security-policy":
            assert value == CSP
        elif name == "allow":
            assert set(value.split(", ")) <= {"GET", "POST"}
        else:
            assert fixed[name] == value, name
    return slug


class Shapes:
    """Answers of look-ups: one shape for each."""

    def __init__(self) -> None:
        self.seen: dict[str, set[tuple[object, ...]]] = {}

    def add(self, path: str, answer: httpx.Response) -> None:
        if path.rpartition("/")[2] in LOOK_UPS and answer.status_code < 300:
            shape = (answer.status_code, tuple(sorted(answer.headers.items())), len(answer.content))
            self.seen.setdefault(path, set()).add(shape)

    def check(self) -> None:
        assert all(len(shapes) == 1 for shapes in self.seen.values()), self.seen


# --- from the descriptions --------------------------------------------------------------------------


def bodies_of(interface: Interface) -> st.SearchStrategy[bytes]:
    known = [body for bodies in interface.bodies.values() for body in bodies]
    return st.one_of(st.sampled_from(known), st.binary(max_size=200), st.just(b""))


def described(interface: Interface, *, opened: bool) -> dict[str, Any]:
    """The description; for callers with everything that a gate asks for, without the gate."""
    document = copy.deepcopy(interface.api.openapi())
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                known = interface.parameters.get(parameter["name"])
                if known:  # so that some of what is sent exists
                    parameter.pop("example", None)
                    parameter["examples"] = {value: {"value": value} for value in known}
            if opened:
                operation.pop("security", None)
                operation["parameters"] = [
                    one for one in operation.get("parameters", []) if one["name"] != "Notalone-Token"
                ]
    return document


CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.unsupported_method,
    openapi_checks.allow_header_conformance,
    openapi_checks.negative_data_rejection,
]


@dataclass
class Target:
    """One interface, asked by callers who bring nothing or everything."""

    interface: Interface
    opened: bool
    shapes: Shapes = field(default_factory=Shapes)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    def send(self, case: schemathesis.Case) -> httpx.Response:
        wanted = Request(**_arguments(case)).prepare()
        body = wanted.body or b""
        headers = {name: value for name, value in wanted.headers.items() if name.lower() != "content-length"}
        request = httpx.Request(
            str(wanted.method),
            str(wanted.url),
            content=body.encode() if isinstance(body, str) else body,
            headers=headers,
        )
        sent_path = request.url.raw_path.decode("ascii").partition("?")[0]
        if self.opened:
            request.headers.update(self.interface.opener(request.method, sent_path, request.content))
        answer = self.interface.caller.send(request)
        self.statuses[case.path, answer.status_code] += 1
        self.shapes.add(case.path, answer)
        return answer


@pytest.fixture(
    params=[(name, opened) for name in NAMES for opened in (False, True)],
    ids=[f"{name}, {gate}" for name in NAMES for gate in ("gate closed", "gate open")],
)
def target(request: pytest.FixtureRequest, interfaces: dict[str, Interface]) -> Target:
    name, opened = request.param
    return Target(interfaces[name], opened)


def test_what_the_description_allows_and_forbids(target: Target) -> None:
    """HTTP-2, HTTP-4. Every address: its examples, its borders (and what lies beyond), and random data."""
    interface = target.interface
    schemathesis.openapi.media_type(octets.MEDIA_TYPE, bodies_of(interface))
    schema = schemathesis.openapi.from_dict(described(interface, opened=target.opened))

    def ask(case: schemathesis.Case) -> None:
        answer = target.send(case)
        target.shapes.check()
        if (case.path, answer.status_code, answer.text) == ("/ready", 503, "not ready\n"):
            return  # documented: the trustee's worker has not begun
        if answer.status_code >= 400:
            check_problem(answer)
        case.validate_response(answer, checks=CHECKS)

    # schemathesis' own pytest plugin does not know pytest 9.2: its builder of tests is used directly.
    bounded = settings(BOUNDED, max_examples=EXAMPLES)
    config = HypothesisTestConfig(project=schema.config, modes=list(HypothesisTestMode), settings=bounded)
    asked = 0
    for result in schema.get_all_operations():
        create_test(operation=result.ok(), test_func=ask, config=config)()
        asked += 1
    assert asked == len(list(interface.operations()))
    for _, path, operation in interface.operations():
        gated = bool(operation.get("security")) or any(
            one["name"] == "Notalone-Token" for one in operation.get("parameters", [])
        )
        answered = {status for (asked_path, status) in target.statuses if asked_path == path}
        if gated and not target.opened:
            assert min(answered) >= 400, path
        assert 405 in answered, path


def _arguments(case: schemathesis.Case) -> dict[str, Any]:
    kept = ("method", "url", "headers", "params", "data", "json")
    arguments = case.as_transport_kwargs(base_url="http://service")
    return {name: value for name, value in arguments.items() if name in kept}


# --- as bytes ---------------------------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn, valid: bytes, others: list[bytes]) -> bytes:
    """A valid message after something went wrong with it, or somebody at it."""
    place = draw(st.integers(0, max(0, len(valid) - 1)))
    number = struct.pack(">I", draw(st.integers(0, (1 << 32) - 1)))
    ways = {
        "cut": st.just(valid[:place]),
        "longer": st.binary(min_size=1, max_size=40).map(lambda end: valid + end),
        "flipped": st.integers(0, 7).map(
            lambda bit: valid[:place] + bytes([valid[place] ^ (1 << bit)]) + valid[place + 1 :]
        ),
        "of another type": st.integers(0, 255).map(lambda one: valid[:2] + bytes([one]) + valid[3:]),
        "of another version": st.binary(min_size=2, max_size=2).map(lambda version: version + valid[2:]),
        "with another length inside": st.just(valid[:place] + number + valid[place + 4 :]),
        "another message": st.sampled_from(others),
        "noise": st.binary(max_size=len(valid)),
        "twice or more": st.integers(2, 3).map(lambda times: valid * times),
    }
    return draw(ways[draw(st.sampled_from(sorted(ways)))])


def octet_addresses() -> list[tuple[str, str]]:
    """Every address that takes octets, by interface; checked against the descriptions below."""
    scope = "/v1/scopes/{scope}"
    board = ("snapshots", "filings", "withdrawals", "inclusions", "leaves", "status", "own", "letters")
    paths = [f"{scope}/{name}" for name in (*board, "mailboxes", "posts/{kind}", "paths")]
    issuer = [f"/v1/{name}" for name in ("enrolments", "codes", "resets", "resets/stop")]
    return [
        *(("board", path) for path in (*paths, "/v1/log/cosignatures")),
        *((name, path) for name in ("issuer", "issuer by mail") for path in issuer),
        ("exchange", "/v1/ceremonies/{ceremony}/messages/{message}"),
    ]


def test_no_octets_are_forgotten(interfaces: dict[str, Interface]) -> None:
    described_ones = {
        (interface.name, path)
        for interface in interfaces.values()
        for _, path, operation in interface.operations()
        if "requestBody" in operation
    }
    assert described_ones == set(octet_addresses())
    for interface in interfaces.values():
        assert set(interface.bodies) == {path for name, path in octet_addresses() if name == interface.name}


@pytest.mark.parametrize(("name", "path"), octet_addresses(), ids=lambda value: value.rpartition("}/")[2])
def test_damaged_octets_are_refused_and_change_nothing(
    interfaces: dict[str, Interface], name: str, path: str
) -> None:
    """HTTP-4. Behind the gate: every request has a fresh signature and a good token."""
    interface = interfaces[name]
    (operation,) = [
        one for method, address, one in interface.operations() if (method, address) == ("POST", path)
    ]
    documented = {int(status) for status in operation["responses"]}
    slugs = {
        slug
        for answer in operation["responses"].values()
        for slug in answer.get("content", {}).get(problem.MEDIA_TYPE, {}).get("examples", {})
    }
    valid = interface.bodies[path][0]
    known = [body for bodies in interface.bodies.values() for body in bodies]
    others = [body for body in known if body != valid] or [b"another"]
    refusals: Counter[str] = Counter()
    shapes = Shapes()

    def ask(body: bytes) -> None:
        before = interface.dump()
        answer = interface.post(path, body)
        assert answer.status_code in documented
        if answer.status_code >= 400:
            slug = check_problem(answer)
            assert slug in slugs
            assert interface.dump() == before
            refusals[slug] += 1
        shapes.add(path, answer)

    def ask_too_much(size: int, **headers: str) -> None:
        before = interface.dump()
        answer = interface.caller.request("POST", interface.path(path), content=bytes(size), headers=headers)
        assert check_problem(answer) == "too-large"
        assert interface.dump() == before

    ask_too_much(interface.body_limit + 1)
    ask_too_much(interface.signed_limit + 1, authorization="NotAlone-v1 trustee/1 1 x y")
    ask(b"")
    ask(valid[:-1])
    ask(valid + b"\0")
    bounded = settings(BOUNDED, max_examples=BYTES_EXAMPLES)
    bounded(given(body=damaged(valid, others))(ask))()
    shapes.check()
    assert refusals.total() >= 10, refusals
    # What came in between did not spoil it: the message itself is taken, or was taken already.
    assert interface.post(path, valid).status_code in (200, 204, 409)


@pytest.mark.parametrize("name", ["board", "issuer", "issuer by mail"])
def test_a_database_that_takes_no_writes_makes_every_address_busy_or_answers(
    tmp_path: Path, name: str
) -> None:
    """HTTP-20: never 500, which would say that the service is broken and wake its developers."""
    with every_interface(tmp_path) as interfaces:
        interface = interfaces[name]
        assert interface.engine is not None
        read_only = [True]

        def limit(connection: Any, *_: Any) -> None:
            connection.exec_driver_sql(f"PRAGMA query_only = {int(read_only[0])}")

        before = interface.dump()
        event.listen(interface.engine, "begin", limit)
        busy = 0
        for path, bodies in interface.bodies.items():
            answer = interface.post(path, bodies[0])
            if answer.status_code >= 300:
                assert check_problem(answer) == "busy", path
                assert answer.headers["retry-after"], path
                busy += 1
        assert busy >= 3
        read_only[0] = False
        assert interface.dump() == before
        assert interface.post(path, bodies[0]).status_code < 300
