"""What a service says about its own interface: an OpenAPI description that integrators can rely on.

Owns the parts that every route has in common: problems, limits, media types,
signatures and tokens. Refuses to know routes: those say what is theirs with
`describe`, `answers` and `problems`, and what follows from a parameter or a
body is added here, so that no route can forget it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response

from notalone_server.edge import octets
from notalone_server.edge.problem import CODED, MEDIA_TYPE, PROBLEMS, TOLD, problem

TOKEN_LETTERS: Final = 43  # unpadded URL-safe Base64 of 32 bytes
SIGNED: Final = "signed"
_TOKEN: Final = "notalone-token"  # noqa: S105 - a header's name
_EXAMPLE_TOKEN: Final = "AAAAAAAHltb36k4rTPKmJwIvLy2rY9kAAAAAAAAAehc"  # noqa: S105
_BINARY: Final = {"type": "string", "format": "binary"}
# Any request may meet these: a body that is too large, a bug, a service that cannot work now.
_ALWAYS: Final = ("too-large", "internal", "busy")
_SIGNED_TEXT: Final = (
    "`NotAlone-v1 <signer> <time> <nonce> <signature>`: a request signed by a machine, or by an entry's "
    "owner; see specs/40-http-api.md, Signed requests."
)


def describe(example: bytes, what: str, *, whole: bool = True) -> dict[str, Any]:
    """A body of octets, for `openapi_extra`; `whole` is False when the example is only its beginning."""
    return {
        "requestBody": {
            "required": True,
            "description": f"{what} {_shown(whole=whole)}",
            "content": {octets.MEDIA_TYPE: {"schema": dict(_BINARY), "example": example.hex()}},
        }
    }


def answers(what: str, example: bytes = b"", *, whole: bool = True) -> dict[int | str, dict[str, Any]]:
    """An answer of octets, for `responses`."""
    content = {octets.MEDIA_TYPE: {"schema": dict(_BINARY), "example": example.hex()}}
    return {200: {"description": f"{what} {_shown(whole=whole)}", "content": content}}


def answers_text(what: str, example: str, media_type: str = "text/plain") -> dict[int | str, dict[str, Any]]:
    """An answer of text, for `responses`."""
    content = {media_type: {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": what, "content": content}}


def answers_json(what: str, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """An answer of JSON that is passed on as it is, with all of the example's fields, for `responses`."""
    schema = {"type": "object", "required": sorted(example)}
    return {
        200: {"description": what, "content": {"application/json": {"schema": schema, "example": example}}}
    }


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """What this route may refuse beside what follows from its parameters, for `responses`.

    Raises: KeyError for a problem that problem.py does not know.
    """
    by_status: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        status, title = PROBLEMS[slug]
        found = by_status.setdefault(status, {"description": "", "content": {MEDIA_TYPE: {"examples": {}}}})
        found["description"] = f"{found['description']} {title}".strip()
        content: dict[str, Any] = found["content"][MEDIA_TYPE]
        content["schema"] = {"$ref": "#/components/schemas/Problem"}
        content["examples"][slug] = {"$ref": f"#/components/examples/{slug}"}
    return by_status


def problem_example(slug: str) -> dict[str, Any]:
    """A problem as it is sent."""
    status, title = PROBLEMS[slug]
    shown: dict[str, Any] = {"type": f"urn:notalone:problem:{slug}", "title": title, "status": status}
    codes = {"malformed": "encoding.truncated", "context": "context.scope", "conflict": "state.tag_spent"}
    return {**shown, "code": codes[slug]} if slug in CODED else shown


class ServiceApi(FastAPI):
    """A service's interface: no pages of a framework, negotiated media types, a complete description."""

    def __init__(self, title: str, description: str, *, public: bool = True) -> None:
        super().__init__(
            title=title,
            version="1",
            description=description,
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json" if public else None,
            dependencies=[Depends(octets.acceptable)],
            generate_unique_id_function=lambda route: route.name,
            redirect_slashes=False,  # a redirection repeats what was sent
        )
        self.add_exception_handler(405, self._wrong_method)

    def openapi(self) -> dict[str, Any]:
        """The description; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema

    async def _wrong_method(self, request: Request, _error: Exception) -> Response:
        """With every method of the address: the framework knows only the route that it met first."""
        allowed = {
            method.upper()
            for path, methods in self.openapi()["paths"].items()
            if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", path), request.url.path)
            for method in methods
        }
        status, title = PROBLEMS["method"]
        return problem(status, "method", title, headers={"Allow": ", ".join(sorted(allowed))})


def _completed(described: dict[str, Any]) -> dict[str, Any]:
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # the framework's, never sent
        schemas.pop(name, None)
    schemas["Problem"] = _problem_schema()
    described["components"]["examples"] = {
        slug: {"summary": title, "value": problem_example(slug)} for slug, (_, title) in PROBLEMS.items()
    }
    uses_signatures = False
    for methods in described["paths"].values():
        for operation in methods.values():
            uses_signatures |= _complete(operation)
    if uses_signatures:
        described["components"]["securitySchemes"] = {
            SIGNED: {"type": "apiKey", "in": "header", "name": "Authorization", "description": _SIGNED_TEXT}
        }
    return described


def _complete(operation: dict[str, Any]) -> bool:
    """Add what follows from parameters and body; whether the request may be signed."""
    slugs = list(_ALWAYS)
    kept, signed = [], False
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
        slugs.append("not-found")  # what is no value at all leads nowhere
    for parameter in operation.pop("parameters", []):
        name = str(parameter["name"]).lower()
        if name == "authorization":  # OpenAPI ignores it as a parameter: it is a security scheme
            signed = True
            continue
        if name == _TOKEN:
            parameter |= {"required": True, "schema": _token_schema(), "example": _EXAMPLE_TOKEN}
            slugs += ["token", "rate"]
        else:
            slugs.append("malformed")
        kept.append(parameter)
    if kept:
        operation["parameters"] = kept
    if signed and "token" in slugs:
        # An owner's look-up: without a good signature the answer is the padded "nothing", no refusal.
        operation["security"] = [{SIGNED: []}, {}]
    elif signed:
        operation["security"] = [{SIGNED: []}]
        slugs.append("unauthorized")
    if "requestBody" in operation:
        slugs += ["malformed", "media-type"]
    found: dict[str, Any] = operation["responses"]
    found.pop("422", None)  # the framework's; malformed requests are 400 here
    if "200" in found:
        slugs.append("not-acceptable")
    for status, added in problems(*dict.fromkeys(slugs)).items():
        _merge(found, str(status), added)
    operation["responses"] = dict(sorted(found.items()))
    return signed


def _merge(found: dict[str, Any], status: str, added: dict[str, Any]) -> None:
    ours: dict[str, Any] = found.setdefault(status, {"description": ""})
    content = ours.setdefault("content", {}).setdefault(MEDIA_TYPE, {"examples": {}})
    for slug, example in added["content"][MEDIA_TYPE]["examples"].items():
        if slug not in content["examples"]:
            content["examples"][slug] = example
            ours["description"] = f"{ours['description']} {PROBLEMS[slug][1]}".strip()
    content["schema"] = {"$ref": "#/components/schemas/Problem"}


def _shown(*, whole: bool) -> str:
    return f"The example is {'' if whole else 'its beginning '}in hexadecimal; the bytes travel as they are."


def _token_schema() -> dict[str, Any]:
    return {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]+$",
        "minLength": TOKEN_LETTERS,
        "maxLength": TOKEN_LETTERS,
    }


def _problem_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "title": "Problem",
        "description": "RFC 9457. It never repeats anything that was sent.",
        "required": ["type", "title", "status"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "enum": [f"urn:notalone:problem:{slug}" for slug in PROBLEMS]},
            "title": {"type": "string", "enum": list(dict.fromkeys(title for _, title in PROBLEMS.values()))},
            "status": {"type": "integer", "enum": sorted({status for status, _ in PROBLEMS.values()})},
            "code": {
                "type": "string",
                "description": "Only where the sender could have found it out from public data.",
                "enum": sorted(code.value for code in TOLD),
            },
        },
    }
