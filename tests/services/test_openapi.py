"""What the services say about themselves: complete, true, the same in the files and in the specification."""

from __future__ import annotations

import ast
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import uvicorn
from tests.support.interfaces import Interface, every_interface
from tools import openapi as tool

from notalone_client import OtherVersion, transport
from notalone_server.edge import octets, openapi, problem

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = (ROOT / "specs" / "40-http-api.md").read_text(encoding="utf-8")
# Interface -> the specification's tables that list its addresses.
SECTIONS = {
    "board": ("Board",),
    "issuer": ("Issuer",),
    "exchange": ("Ceremony",),
    "operations": ("Operators' ports",),
    "trustee": ("Operators' ports", "Trustee"),
}
ALWAYS = {"too-large", "internal", "busy"}


@pytest.fixture(scope="module")
def interfaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Interface]]:
    with every_interface(tmp_path_factory.mktemp("interfaces")) as made:
        yield made


def problems_of(operation: dict[str, Any]) -> set[str]:
    return {
        slug
        for answer in operation["responses"].values()
        for slug in answer.get("content", {}).get(problem.MEDIA_TYPE, {}).get("examples", {})
    }


def section(name: str) -> str:
    found = CHAPTER.partition(f"\n## {name}\n")[2]
    assert found, f"the chapter has no section {name}"
    return found.partition("\n## ")[0]


def rows(text: str) -> list[tuple[str, str, str]]:
    """(method, address, marks) of each line of a table of addresses."""
    found = re.findall(r"^\| `(GET|POST) (\S+)` \|.*\| ([^|]*) ?\|$", text, re.MULTILINE)
    return [(method, path, marks.strip()) for method, path, marks in found]


# --- complete ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECTIONS)
def test_every_address_says_what_it_takes_and_answers(interfaces: dict[str, Interface], name: str) -> None:
    """HTTP-21."""
    seen = set()
    for method, path, operation in interfaces[name].operations():
        where = f"{method} {path}"
        assert operation["operationId"] not in seen, where
        seen.add(operation["operationId"])
        assert operation["tags"], where
        assert operation["summary"], where
        assert operation["summary"] != operation["operationId"].replace("_", " ").title(), where
        assert len(operation["description"]) > 20, where
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (where, parameter["name"])
            shown = parameter.get("example") or parameter["schema"].get("examples")
            assert shown is not None, (where, parameter["name"])
        assert set(re.findall(r"\{(\w+)\}", path)) == {
            one["name"] for one in operation.get("parameters", []) if one["in"] == "path"
        }
        if method == "POST":
            body = operation["requestBody"]
            assert body["required"], where
            assert len(body["description"]) > 10, where
            (content,) = body["content"].items()
            assert content[0] == octets.MEDIA_TYPE, where
            assert bytes.fromhex(content[1]["example"]), where
        answered = {status for status in operation["responses"] if status.startswith("2")}
        assert len(answered) == 1, where
        success = operation["responses"][answered.pop()]
        assert success["description"] not in {"", "Successful Response", "No Content"} or (
            "application/json" in success["content"]
        ), where
        for media_type, content in success.get("content", {}).items():
            assert has_example(interfaces[name].api.openapi(), content), (where, media_type)


def has_example(document: dict[str, Any], content: dict[str, Any]) -> bool:
    """An example of the whole, or of each field of its schema."""
    if content.get("example") is not None:
        return True
    schema = content["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    fields = schema["properties"].values()
    assert all(field.get("description") for field in fields)
    return all("examples" in field or "$ref" in field for field in fields)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_problem_that_a_gate_or_a_limit_makes_is_described(
    interfaces: dict[str, Interface], name: str
) -> None:
    """HTTP-21."""
    document = interfaces[name].api.openapi()
    jsonschema.Draft202012Validator.check_schema(document["components"]["schemas"]["Problem"])
    for slug, example in document["components"]["examples"].items():
        jsonschema.validate(example["value"], document["components"]["schemas"]["Problem"])
        assert example["value"]["status"] == problem.PROBLEMS[slug][0]
    for method, path, operation in interfaces[name].operations():
        found, where = problems_of(operation), f"{method} {path}"
        assert found >= ALWAYS, where
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert ("Notalone-Token" in names) == ({"token", "rate"} <= found), where
        assert ("requestBody" in operation) == ("media-type" in found), where
        assert "malformed" in found or not ("requestBody" in operation or names - {"Notalone-Token"}), where
        assert ("200" in operation["responses"]) == ("not-acceptable" in found), where
        optional = {} in operation.get("security", [])
        assert ("security" in operation and not optional) == ("unauthorized" in found), where
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get(problem.MEDIA_TYPE)
            if content is not None:
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, where
                for slug, example in content["examples"].items():
                    assert problem.PROBLEMS[slug][0] == int(status), where
                    assert example == {"$ref": f"#/components/examples/{slug}"}


def test_a_shown_beginning_is_how_real_messages_begin(interfaces: dict[str, Interface]) -> None:
    """HTTP-21. Attack on an integrator: an example that no service would take."""
    whole = 0
    for interface in interfaces.values():
        for method, path, operation in interface.operations():
            if method != "POST":
                continue
            body = operation["requestBody"]
            example = bytes.fromhex(body["content"][octets.MEDIA_TYPE]["example"])
            real = interface.bodies[path][0]
            if "its beginning" in body["description"]:
                assert real.startswith(example) or path.endswith("/enrolments"), path
            else:
                whole += 1
                sent = interface.post(path, example)
                if sent.status_code >= 400:  # an example's proof is nobody's; its form must be right
                    assert problem_slug(sent) in {"refused", "conflict"}, path
    assert whole >= 10


def problem_slug(answer: Any) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tool.FILES)
def test_the_files_are_what_the_code_says(interfaces: dict[str, Interface], name: str) -> None:
    """HTTP-21."""
    path = tool.FOLDER / f"{name}.json"
    written = path.read_text(encoding="utf-8")
    assert written == tool.text(interfaces[tool.FILES[name]].api.openapi()), "python tools/openapi.py"


def test_the_issuer_describes_itself_alike_whatever_it_enrols_by(interfaces: dict[str, Interface]) -> None:
    assert interfaces["issuer"].api.openapi() == interfaces["issuer by mail"].api.openapi()


@pytest.mark.parametrize("name", ["board", "issuer", "exchange"])
def test_a_service_publishes_its_description(interfaces: dict[str, Interface], name: str) -> None:
    served = interfaces[name].caller.request("GET", "/openapi.json")
    assert served.json() == json.loads(json.dumps(interfaces[name].api.openapi()))


# --- the specification ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECTIONS)
def test_the_chapter_lists_exactly_the_addresses_there_are(
    interfaces: dict[str, Interface], name: str
) -> None:
    stated = [row for title in SECTIONS[name] for row in rows(section(title))]
    there = [(method, path) for method, path, _ in interfaces[name].operations()]
    assert sorted((method, path) for method, path, _ in stated) == sorted(there)
    marks = {(method, path): set(filter(None, mark.split(", "))) for method, path, mark in stated}
    for method, path, operation in interfaces[name].operations():
        tokens = any(one["name"] == "Notalone-Token" for one in operation.get("parameters", []))
        assert ("T" in marks[method, path]) == tokens, path
        assert ("S" in marks[method, path]) == ("security" in operation), path


def test_the_chapter_lists_exactly_the_problems_there_are() -> None:
    table = section("Problems").partition("| status | type |")[2]
    stated = re.findall(r"^\| (\d{3}) \| `([\w-]+)` \| (may|no) \|", table, re.MULTILINE)
    assert {slug: int(status) for status, slug, _ in stated} == {
        slug: status for slug, (status, _) in problem.PROBLEMS.items()
    }
    assert len(stated) == len(problem.PROBLEMS)
    assert {slug for _, slug, may in stated if may == "may"} == set(problem.CODED)


def problem_calls() -> Iterator[tuple[str, tuple[object, ...]]]:
    """(file, constant arguments) of every call that makes a problem."""
    for path in sorted((ROOT / "server").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                constants = tuple(one.value for one in node.args[:3] if isinstance(one, ast.Constant))
                if name in {"ProblemError", "problem"} and len(constants) == 3:
                    yield path.name, constants


def test_no_problem_is_made_that_the_table_does_not_have() -> None:
    known = {(status, slug, title) for slug, (status, title) in problem.PROBLEMS.items()}
    made = list(problem_calls())
    assert len(made) >= 10
    assert not [(file, call) for file, call in made if call not in known]
    used = {call[1] for _, call in made} | {slug for _, slug in problem._TABLE} | {"not-found", "method"}
    assert used == set(problem.PROBLEMS)


def test_a_limit_in_the_chapter_is_the_limit(interfaces: dict[str, Interface]) -> None:
    labels = "board|issuer|a ceremony's exchange|operators' ports"
    stated = dict(re.findall(rf"^\| ({labels}) \| (\d+) KiB", CHAPTER, re.MULTILINE))
    names = {"board": "board", "issuer": "issuer", "a ceremony's exchange": "exchange"}
    assert len(stated) == 4
    for label, size in stated.items():
        interface = interfaces[names.get(label, "operations")]
        limit = int(size) * 1024
        path = next(iter(interface.bodies), "/health")
        over = interface.caller.request("POST", interface.path(path), content=bytes(limit + 1))
        within = interface.caller.request("POST", interface.path(path), content=bytes(limit))
        assert over.status_code == 413
        assert within.status_code != 413


# --- media types ------------------------------------------------------------------------------------

OTHERS = [
    "application/vnd.notalone.v2+octets",
    "application/vnd.notalone.v1+json",
    "application/vnd.notalone.v1+octets; charset=utf-8",
    "application/octet-stream",
    "text/plain",
    "",
]


@pytest.mark.parametrize("media_type", OTHERS)
@pytest.mark.parametrize("name", ["board", "issuer", "exchange"])
def test_another_media_type_or_version_is_refused_and_named(
    interfaces: dict[str, Interface], name: str, media_type: str
) -> None:
    """HTTP-22."""
    interface = interfaces[name]
    for path, bodies in interface.bodies.items():
        before = interface.dump()
        answer = interface.post(path, bodies[0], **{"content-type": media_type})
        assert (answer.status_code, problem_slug(answer)) == (415, "media-type"), path
        assert answer.headers["accept"] == octets.MEDIA_TYPE
        assert interface.dump() == before


@pytest.mark.parametrize("name", ["board", "issuer", "exchange"])
def test_a_compressed_body_is_refused(interfaces: dict[str, Interface], name: str) -> None:
    """HTTP-22. Attack: a small body that grows to gigabytes."""
    interface = interfaces[name]
    for path, bodies in interface.bodies.items():
        assert interface.post(path, bodies[0], **{"content-encoding": "gzip"}).status_code == 415
        assert interface.post(path, b"", **{"content-type": octets.MEDIA_TYPE.upper()}).status_code != 415


@pytest.mark.parametrize("name", ["board", "issuer", "exchange", "trustee"])
def test_a_client_that_could_not_read_the_answer_is_told_before_anything_is_done(
    interfaces: dict[str, Interface], name: str
) -> None:
    """HTTP-22. Attack on a reporter: her filing is taken, and her client throws the receipt away."""
    interface = interfaces[name]
    refused = 0
    for method, path, operation in interface.operations():
        for accept in ("application/vnd.notalone.v2+octets", "image/*;q=1, */*;q=0"):
            before, address = interface.dump(), interface.path(path)
            body = interface.bodies.get(path, [b""])[0]
            headers = {"accept": accept, "content-type": octets.MEDIA_TYPE}
            headers |= interface.opener(method, address, body)
            answer = interface.caller.request(method, address, content=body, headers=headers)
            if "204" in operation["responses"]:
                assert answer.status_code != 406, path
                continue
            assert (answer.status_code, problem_slug(answer)) == (406, "not-acceptable"), path
            assert interface.dump() == before
            refused += 1
    assert refused >= 6


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("*/*", True),
        ("application/*", True),
        (octets.MEDIA_TYPE, True),
        ("text/html, application/*;q=0.1", True),
        (f"{octets.MEDIA_TYPE};q=0, */*", False),
        ("application/*;q=0, */*;q=1", False),
        ("*/*;q=0", False),
        ("application/json", False),
        ("", False),
        (f"*/*;q=0, {octets.MEDIA_TYPE};q=x", True),
    ],
)
def test_the_most_specific_range_decides(interfaces: dict[str, Interface], header: str, taken: bool) -> None:
    """HTTP-22."""
    answer = interfaces["board"].caller.request("GET", "/v1/manifest", headers={"accept": header})
    assert answer.status_code == (200 if taken else 406)


def test_addresses_are_not_corrected_by_redirections(interfaces: dict[str, Interface]) -> None:
    """HTTP-4. A redirection would repeat the address and the host that were sent."""
    for interface in interfaces.values():
        for _, path, _ in interface.operations():
            if path != "/":
                answer = interface.caller.request("GET", interface.path(path) + "/")
                assert answer.status_code == 404, path
                assert "location" not in answer.headers


def test_allow_names_every_method_of_an_address(interfaces: dict[str, Interface]) -> None:
    path = interfaces["board"].path("/v1/scopes/{scope}/snapshots")
    answer = interfaces["board"].caller.request("DELETE", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_a_problem_that_nobody_registered_cannot_be_described() -> None:
    with pytest.raises(KeyError):
        openapi.problems("teapot")


def test_the_sdk_names_the_problem_when_a_service_speaks_another_version(
    interfaces: dict[str, Interface], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP-22: a client of version 2 before a real service of version 1."""
    server = uvicorn.Server(uvicorn.Config(interfaces["issuer"].app, port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    client = transport.SyncTransport({"issuer": f"http://127.0.0.1:{port}"})
    asked = [
        transport.Request("issuer", "GET", "/v1/snapshots"),
        transport.Request(
            "issuer", "POST", "/v1/codes", b"x" * 512, interfaces["issuer"].opener("", "", b"")
        ),
    ]
    try:
        assert client.send(asked[0]).status == 200
        monkeypatch.setattr(transport, "MEDIA_TYPE", "application/vnd.notalone.v2+octets")
        for request, status in zip(asked, (406, 415), strict=True):
            with pytest.raises(OtherVersion) as caught:
                client.send(request)
            assert caught.value.status == status
    finally:
        client.close()
        server.should_exit = True
        thread.join(10)
