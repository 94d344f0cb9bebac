"""What all services share at their edge: signed requests, tokens, body limits, problems, secrets."""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path

import pytest
from fastapi import FastAPI
from tests.support.asgi import AppClient

from notalone_crypto.errors import Code, MalformedInput, Misuse, StateConflict, VerificationFailed
from notalone_crypto.primitives import signing as ed25519
from notalone_crypto.randomness import SeededStream
from notalone_server.edge import database, limits, octets, problem, redaction, secretfile, signing
from notalone_server.edge.metrics import Metrics, operations_app

NOW = 1_790_000_000
AUDIENCE = b"a" * 32


def key() -> ed25519.SigningKey:
    return ed25519.generate_key(SeededStream(b"key"))


def verifier(now: int = NOW) -> signing.RequestVerifier:
    return signing.RequestVerifier({"trustee/1": key().verify_key}, AUDIENCE, lambda: now)


def header(signer: str = "trustee/1", audience: bytes = AUDIENCE, seed: bytes = b"nonce") -> str:
    return signing.authorization(key(), signer, audience, "POST", "/v1/x", b"body", NOW, SeededStream(seed))


def test_a_signed_request_names_its_signer() -> None:
    assert verifier().verify(header(), "POST", "/v1/x", b"body") == "trustee/1"


@pytest.mark.parametrize(
    ("sent", "method", "path", "body", "now"),
    [
        (header(), "GET", "/v1/x", b"body", NOW),
        (header(), "POST", "/v1/y", b"body", NOW),
        (header(), "POST", "/v1/x", b"other", NOW),
        (header(), "POST", "/v1/x", b"body", NOW + 301),
        (header(), "POST", "/v1/x", b"body", NOW - 301),
        (header("trustee/2"), "POST", "/v1/x", b"body", NOW),
        (header(audience=b"b" * 32), "POST", "/v1/x", b"body", NOW),
        (header()[:-8], "POST", "/v1/x", b"body", NOW),
        ("", "POST", "/v1/x", b"body", NOW),
        ("NotAlone-v1 trustee/1 ² x y", "POST", "/v1/x", b"body", NOW),
    ],
    ids=["method", "path", "body", "late", "early", "signer", "audience", "cut", "none", "digits"],
)
def test_a_request_signed_for_something_else_is_refused(
    sent: str, method: str, path: str, body: bytes, now: int
) -> None:
    """HTTP-7. Attack: reuse a trustee's signature for another message, place or time."""
    with pytest.raises(problem.ProblemError) as caught:
        verifier(now).verify(sent, method, path, body)
    assert caught.value.status == 401


def test_a_nonce_counts_once() -> None:
    """HTTP-7. Attack: replay."""
    checker = verifier()
    checker.verify(header(), "POST", "/v1/x", b"body")
    with pytest.raises(problem.ProblemError):
        checker.verify(header(), "POST", "/v1/x", b"body")


def test_a_token_costs_work_is_fresh_and_wears_out() -> None:
    """HTTP-6: no address is looked at."""
    limiter = limits.AnonymousLimiter(AUDIENCE, lambda: NOW, bits=8, per_token=2)
    token = limits.make_token(AUDIENCE, 8, NOW, SeededStream(b"token"))
    limiter.check(token)
    limiter.check(token)
    refusals = {
        "used up": (token, limiter, 429),
        "none": ("", limiter, 428),
        "no base64": ("é$", limiter, 428),
        "old": (limits.make_token(AUDIENCE, 8, NOW - 7200, SeededStream(b"t")), limiter, 428),
        "elsewhere": (
            limits.make_token(b"b" * 32, 8, NOW, SeededStream(b"t")),
            limits.AnonymousLimiter(AUDIENCE, lambda: NOW, bits=24),
            428,
        ),
    }
    for name, (sent, checker, status) in refusals.items():
        with pytest.raises(problem.ProblemError) as caught:
            checker.check(sent)
        assert caught.value.status == status, name


def test_everybody_together_is_limited_too() -> None:
    limiter = limits.AnonymousLimiter(AUDIENCE, lambda: NOW, per_second=1)
    statuses = set()
    for _ in range(5):
        try:
            limiter.check_load()
        except problem.ProblemError as error:
            statuses.add(error.status)
    assert statuses == {503}


SECRET = "something-only-she-knows"


def app() -> FastAPI:
    made = FastAPI()
    problem.install(made)

    @made.post("/octets")
    def take(body: octets.Octets) -> octets.OctetsResponse:
        return octets.OctetsResponse(body)

    @made.get("/fail/{kind}")
    def fail(kind: str) -> None:
        errors = {
            "malformed": MalformedInput(Code.TRUNCATED, SECRET),
            "spent": StateConflict(Code.TAG_SPENT, SECRET),
            "unknown": StateConflict(Code.UNKNOWN_ENTRY, SECRET),
            "proof": VerificationFailed(Code.PROOF, SECRET),
            "bug": RuntimeError(SECRET),
        }
        raise errors[kind]

    @made.get("/number/{value}")
    def number(value: int) -> int:
        return value

    made.add_middleware(limits.BodyLimit, anonymous=100, signed=1000)
    return made


def test_bodies_are_of_our_type_and_size() -> None:
    """HTTP-3."""
    client = AppClient(app())
    typed = {"content-type": octets.MEDIA_TYPE}
    answer = client.post("/octets", content=b"x" * 100, headers=typed)
    assert answer.content == b"x" * 100
    assert answer.headers["cache-control"] == "no-store"
    assert client.post("/octets", content=b"x" * 101, headers=typed).status_code == 413
    assert client.post("/octets", content=b"x" * 120, headers=typed).status_code == 413
    signed = {**typed, "authorization": "x"}
    assert client.post("/octets", content=b"x" * 1000, headers=signed).status_code == 200
    assert client.post("/octets", content=b"x" * 1001, headers=signed).status_code == 413
    assert client.post("/octets", content=b"x").status_code == 415


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("malformed", 400, "encoding.truncated"),
        ("spent", 409, "state.tag_spent"),
        ("unknown", 409, None),
        ("proof", 403, None),
        ("bug", 500, None),
    ],
)
def test_problems_are_coarse_and_repeat_nothing(
    kind: str, status: int, code: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """HTTP-4, HTTP-8."""
    redaction.configure("test")
    metrics = Metrics("test", ())
    client = AppClient(redaction.QuietErrors(app(), metrics))
    answer = client.get(f"/fail/{kind}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == problem.MEDIA_TYPE
    assert answer.json().get("code") == code
    assert SECRET not in answer.text
    printed = capsys.readouterr()
    assert SECRET not in printed.err + printed.out
    assert ("RuntimeError" in printed.err) == (kind == "bug")
    assert ("failures_total 1" in metrics.render()) == (kind == "bug")


def test_a_request_that_does_not_parse_is_not_quoted() -> None:
    """HTTP-4."""
    answer = AppClient(app()).get(f"/number/{SECRET}")
    assert answer.status_code == 400
    assert SECRET not in answer.text
    assert AppClient(app()).get("/nowhere").json()["type"] == "urn:notalone:problem:not-found"


def test_unlisted_fields_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """HTTP-8."""
    redaction.configure("test")
    redaction.log().info("event", count=1, entry=SECRET, anything=SECRET)
    assert SECRET not in capsys.readouterr().err


def test_frames_and_padding_are_strict() -> None:
    """HTTP-2: an empty answer and a full one have one size."""
    assert octets.unframe(octets.frame([b"", b"ab"])) == (b"", b"ab")
    for broken in (b"\0", b"\0\0\0\2a"):
        with pytest.raises(MalformedInput):
            octets.unframe(broken)
    assert len(octets.pad(b"", 64)) == len(octets.pad(b"x" * 60, 64)) == 64
    assert octets.unpad(octets.pad(b"x", 64)) == b"x"
    with pytest.raises(MalformedInput):
        octets.unpad(octets.pad(b"x", 64)[:-1] + b"\1")


def test_a_database_file_is_for_one_user(tmp_path: Path) -> None:
    """Attack: somebody with an account on the machine reads the roll, or filings that are still there."""
    path = tmp_path / "some.sqlite"
    before = os.umask(0o022)
    try:
        engine = database.open_engine(f"sqlite:///{path}")
        with database.write(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE kept (value)")
        modes = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()}
        engine.dispose()
    finally:
        os.umask(before)
    assert len(modes) == 3  # the database, its log, the log's index
    assert set(modes.values()) == {0o600}
    path.chmod(0o640)
    database.open_engine(f"sqlite:///{path}").dispose()
    assert path.stat().st_mode & 0o777 == 0o640  # what an operator decided stays


def test_secret_files_are_for_one_user(tmp_path: Path) -> None:
    path = tmp_path / "key"
    secretfile.write_secret(path, b"k" * 32)
    assert secretfile.read_secret(path, 32) == b"k" * 32
    with pytest.raises(FileExistsError):
        secretfile.write_secret(path, b"other")
    link = tmp_path / "link"
    link.symlink_to(path)
    path.chmod(0o640)
    for bad, length in ((path, 32), (link, 32), (tmp_path / "none", 32)):
        with pytest.raises(Misuse):
            secretfile.read_secret(bad, length)
    path.chmod(0o600)
    with pytest.raises(Misuse):
        secretfile.read_secret(path, 31)


def test_operations_tell_health_readiness_and_counts() -> None:
    metrics = Metrics("test", ("things_total",), ("size",))
    metrics.count("things_total")
    metrics.put("size", 3)
    with pytest.raises(KeyError):
        metrics.count(base64.b64encode(os.urandom(4)).decode())
    answers: list[bool | Exception] = [True, False, OSError("disk")]

    def ready() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = AppClient(operations_app(metrics, ready))
    assert client.get("/health").status_code == 200
    assert [client.get("/ready").status_code for _ in range(3)] == [200, 503, 503]
    page = client.get("/metrics").text
    assert "notalone_test_things_total 1\n" in page
    assert "notalone_test_size 3\n" in page


def test_a_flood_of_tokens_costs_no_threads_and_old_counters_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a new token for every request, so that looking through all of them becomes the work."""
    now = 0.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    counts = limits.Counts()
    before = threading.active_count()
    for number in range(1000):
        assert counts.incr(f"token {number}", limits.HOUR) == 1
    assert [counts.incr("token 0", limits.HOUR) for _ in range(2)] == [2, 3]
    assert threading.active_count() == before
    now = limits.HOUR - 1.0
    assert counts.incr("token 0", limits.HOUR) == 4
    assert counts.incr("later", limits.HOUR) == 1
    now = limits.HOUR + 60.0
    assert counts.incr("token 0", limits.HOUR) == 1
    assert counts.get("later") == 1
    assert counts.get("token 1") == 0
    assert counts.reset() == 2  # the others' were dropped
