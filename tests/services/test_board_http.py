"""The board's interface: who may do what, answers of one shape, nothing of a reporter anywhere."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.support.asgi import AppClient
from tests.support.board_http import BITS, BoardUser
from tests.support.world import World

from notalone_crypto.messages.committee import ScopePolicy, SignedManifest
from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.feed import FeedItem, FeedKind
from notalone_crypto.messages.filing import Receipt, Withdrawal
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import signing as ed25519
from notalone_crypto.protocol import intake, log, withdraw
from notalone_crypto.protocol.file import SealedReport
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.protocol.state import Outgoing
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag
from notalone_server.board import routes
from notalone_server.board.app import Running, build
from notalone_server.board.service import BoardService
from notalone_server.board.store import SqlStore
from notalone_server.edge import database, octets, redaction
from notalone_server.edge.limits import AnonymousLimiter

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Setup:
    world: World
    running: Running
    user: BoardUser
    auditor: ed25519.SigningKey

    def file(self, who: int = 0) -> SealedReport:
        sealed = self.world.seal(who, self.world.report(b"somebody"))
        answer = self.user.anonymous("/filings", sealed.filing.encode())
        assert answer.status_code == 200, answer.text
        return sealed

    def owner(self, path: str, sealed: SealedReport, key: ed25519.SigningKey | None = None) -> httpx.Response:
        address = self.user.scope + path
        signer = key or sealed.owner.signing_key
        return self.user.signed("owner", signer, "POST", address, sealed.header.entry)

    def accept(self, sealed: SealedReport) -> None:
        for index, acceptance in self.acceptances(sealed).items():
            path = f"{self.user.scope}/posts/{int(FeedKind.ACCEPTANCE)}"
            assert self.user.trustee(index, "POST", path, octets.frame([acceptance])).status_code == 204

    def acceptances(self, sealed: SealedReport) -> dict[int, bytes]:
        made = {}
        for index, machine in self.world.machines.items():
            posts, _ = intake.receive_filings(
                machine.state, machine.secrets, self.world.view(), [sealed.filing], self.world.randomness
            )
            (made[index],) = (post.payload for post in posts if post.kind == Outgoing.ACCEPTANCE)
        return made


@pytest.fixture
def board() -> Iterator[Setup]:
    world = World()
    engine = database.open_engine("sqlite://")
    database.migrate(engine, "board")
    clock = lambda: world.now  # noqa: E731
    service = BoardService(world.committee, world.board_key, clock, SqlStore(engine))
    auditor = ed25519.generate_key(SeededStream(b"auditor"))
    limiter = AnonymousLimiter(world.committee.fingerprint, clock, bits=BITS, per_second=10_000)
    running = build(service, world.signed_manifest, (auditor.verify_key,), limiter)
    service.publish_policy(world.policy)
    user = BoardUser(world, AppClient(running.app), clock)
    user.cosign_policy()
    published = user.ask("POST", user.scope + "/snapshots", world.snapshot.encode())
    assert published.status_code == 204, published.text
    yield Setup(world, running, user, auditor)
    engine.dispose()


def test_a_client_gets_everything_it_verifies(board: Setup) -> None:
    user, world = board.user, board.world
    about = user.ask("GET", "/v1/board").json()
    assert about["committee"] == world.committee.fingerprint.hex()
    assert about["scopes"] == [world.policy.scope.hex()]
    manifest = SignedManifest.decode(user.ask("GET", "/v1/manifest").content)
    committee = Committee.verified(manifest, bytes.fromhex(about["committee"]))
    policy, update = octets.unframe(user.ask("GET", user.scope + "/policy").content)
    shown, found = ScopePolicy.decode(policy), LogUpdate.decode(update)
    log.check_leaf(committee, found.note, log.policy_leaf(shown), found.index, found.inclusion)
    (snapshot,) = octets.unframe(user.ask("GET", user.scope + "/snapshots").content)
    assert RollSnapshot.decode(snapshot) == world.snapshot
    assert user.ask("GET", user.scope).json() == {"active": True, "batches": 0, "epoch": 0, "opened_at": 0}
    assert log.check_quorum(committee, user.ask("GET", "/v1/log/note").content).size == 1
    assert user.ask("GET", "/v1/log/consistency/1/1").content == b""
    assert user.ask("GET", "/v1/log/consistency/1/9").status_code == 404
    assert user.ask("GET", user.scope + "/batches/1/blobs").status_code == 404


def test_a_filing_gets_a_promise_and_so_does_its_repetition(board: Setup) -> None:
    sealed = board.file()
    answer = board.user.anonymous("/filings", sealed.filing.encode())
    receipt = Receipt.decode(answer.content)
    check_signature(receipt, board.world.committee.manifest.board_key, Tag.RECEIPT)
    assert (receipt.filing, receipt.entry) == (sealed.filing.fingerprint, sealed.header.entry)
    assert answer.headers["cache-control"] == "no-store"
    (period,) = {sealed.header.period}
    assert board.user.ask("GET", f"{board.user.scope}/spent/{period}").content == sealed.header.quota_tag
    assert board.user.ask("GET", f"{board.user.scope}/spent/{period + 1}").content == b""


@pytest.mark.parametrize(
    ("damage", "status", "code"),
    [
        (lambda data: data[:-1], 400, "encoding.truncated"),
        (lambda data: data + b"x", 400, "encoding.trailing"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), 403, None),
        (lambda _data: b"", 400, "encoding.truncated"),
        (lambda _data: bytes(600_000), 413, None),
    ],
    ids=["cut", "longer", "signature", "empty", "huge"],
)
def test_a_damaged_filing_is_refused_and_spends_nothing(board: Setup, damage, status, code) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    sealed = board.world.seal(0, board.world.report(b"x"))
    answer = board.user.anonymous("/filings", damage(sealed.filing.encode()))
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert board.user.ask("GET", f"{board.user.scope}/spent/{sealed.header.period}").content == b""


def test_requests_about_one_reporter_need_a_token(board: Setup) -> None:
    """HTTP-6."""
    paths = (
        "/filings",
        "/withdrawals",
        "/inclusions",
        "/leaves",
        "/status",
        "/own",
        "/letters",
        "/mailboxes",
    )
    for path in paths:
        answer = board.user.ask("POST", board.user.scope + path, bytes(32))
        assert (answer.status_code, answer.json()["type"]) == (428, "urn:notalone:problem:token")


def shape(answer: httpx.Response) -> tuple[object, ...]:
    return (answer.status_code, sorted(answer.headers.items()), len(answer.content))


def test_look_ups_have_one_shape_whether_or_not_there_is_something(board: Setup) -> None:
    """HTTP-2. Attack: watch the sizes of answers to see who has a path, a leaf or an entry."""
    user, sealed = board.user, board.file()
    key = sealed.owner.recipient_key.public
    path = octets.frame([key, b"sealed" * 100])
    assert user.trustee(1, "POST", f"{user.scope}/paths", path).status_code == 204
    known, unknown = user.anonymous("/inclusions", key), user.anonymous("/inclusions", bytes(32))
    assert shape(known) == shape(unknown)
    assert (octets.unpad(known.content), octets.unpad(unknown.content)) == (b"sealed" * 100, b"")
    leaf = log.policy_leaf(board.world.policy)
    known, unknown = user.anonymous("/leaves", leaf), user.anonymous("/leaves", bytes(32))
    assert shape(known) == shape(unknown)
    LogUpdate.decode(octets.unpad(known.content))
    other = board.world.seal(1, board.world.report(b"x"))
    mine, nobodys = board.owner("/status", sealed), board.owner("/status", other)
    not_mine = board.owner("/status", sealed, other.owner.signing_key)
    assert shape(mine) == shape(nobodys) == shape(not_mine)
    assert octets.unpad(nobodys.content) == octets.unpad(not_mine.content) == b""


def test_an_owner_follows_her_entry(board: Setup) -> None:
    sealed = board.file()
    waiting = (1, 0)
    assert status_of(board, sealed) == waiting
    board.accept(sealed)
    assert status_of(board, sealed) == (2, 0)
    request = withdraw.withdraw(sealed.header.entry, sealed.owner.signing_key).encode()
    assert board.user.anonymous("/withdrawals", request).status_code == 204
    assert board.user.anonymous("/withdrawals", request).status_code == 204
    assert status_of(board, sealed) == (4, 0)


def status_of(board: Setup, sealed: SealedReport) -> tuple[int, int]:
    data = octets.unpad(board.owner("/status", sealed).content)
    return data[0], int.from_bytes(data[1:], "big")


def test_nobody_learns_by_withdrawing_which_entries_exist(board: Setup) -> None:
    """HTTP-5. Attack: probe entry names with wrong signatures."""
    sealed = board.file()
    forged = Withdrawal(sealed.header.entry, bytes(64)).encode()
    unknown = Withdrawal(bytes(32), bytes(64)).encode()
    answers = [board.user.anonymous("/withdrawals", data) for data in (forged, unknown)]
    assert answers[0].status_code == 403
    assert shape(answers[0]) == shape(answers[1])
    assert answers[0].content == answers[1].content


def test_the_feed_is_for_trustees_and_auditors_and_posts_for_trustees(board: Setup) -> None:
    """HTTP-7."""
    user = board.user
    sealed = board.file()
    items = user.feed()
    assert [item.sequence for item in items] == list(range(1, len(items) + 1))
    assert items[-1].payload == sealed.filing.encode()
    address = f"{user.scope}/feed/{len(items) - 1}"
    seen = user.signed("auditor/1", board.auditor, "GET", address)
    assert FeedItem.decode(octets.unframe(seen.content)[0]) == items[-1]
    wrong = ed25519.generate_key(SeededStream(b"wrong"))
    assert user.signed("auditor/1", wrong, "GET", address).status_code == 401
    assert user.signed("auditor/2", board.auditor, "GET", address).status_code == 401
    assert user.signed("trustee/1", board.auditor, "GET", address).status_code == 401
    assert user.ask("GET", address).status_code == 401
    posts = [
        (f"{user.scope}/posts/8", b"x"),
        (f"{user.scope}/paths", octets.frame([bytes(32), b"x"])),
        ("/v1/log/cosignatures", b"x"),
    ]
    for path, body in posts:
        assert user.signed("auditor/1", board.auditor, "POST", path, body).status_code == 401
        assert user.ask("POST", path, body).status_code == 401
    assert user.signed("auditor/1", board.auditor, "GET", "/v1/log/updates/0/0").status_code == 401
    assert len(user.feed()) == len(items)


def test_trustees_post_only_what_trustees_post(board: Setup) -> None:
    """Attack: one trustee posts a plan or a filing into the feed as if the board had."""
    user = board.user
    before = len(user.feed())
    for kind in (1, 2, 5, 6, 12, 13, 14, 15, 16, 17, 99):
        answer = user.trustee(1, "POST", f"{user.scope}/posts/{kind}", octets.frame([b"x"]))
        assert answer.status_code == 409, kind
    assert user.trustee(1, "POST", f"{user.scope}/posts/8", octets.frame([b"sealed"])).status_code == 204
    assert len(user.feed()) == before + 1


def test_messages_of_one_request_are_taken_all_or_none(board: Setup) -> None:
    """Attack: one good acceptance and one in another trustee's name; too many at once; none at all."""
    user, scope = board.user, board.user.scope
    board.accept(board.file(0))
    path = f"{scope}/posts/{int(FeedKind.ACCEPTANCE)}"
    acceptances = [item.payload for item in user.feed() if item.kind == FeedKind.ACCEPTANCE]
    made, others = board.acceptances(board.file(1)), board.acceptances(board.file(2))
    before = len(user.feed())
    for bad in ([made[1], others[2]], [made[1], b"noise"], [made[1]] * 65, []):
        assert user.trustee(1, "POST", path, octets.frame(bad)).status_code in {400, 409}
        assert len(user.feed()) == before
    pairs = [bytes(32), b"path"] * 65
    for wrong in (pairs, pairs[:3], [bytes(31), b"path"], []):
        assert user.trustee(1, "POST", f"{scope}/paths", octets.frame(wrong)).status_code == 409
    assert user.trustee(1, "POST", path, octets.frame([made[1], made[1]])).status_code == 204
    assert len(user.feed()) == before + 1  # the second is there already
    assert user.trustee(1, "POST", path, octets.frame(acceptances[:1])).status_code == 204
    assert len(user.feed()) == before + 1
    assert user.trustee(1, "POST", f"{scope}/paths", octets.frame(pairs[:128])).status_code == 204


def test_a_snapshot_must_be_the_issuers(board: Setup) -> None:
    forged = board.world.snapshot.with_field("number", 9).encode()
    assert board.user.ask("POST", board.user.scope + "/snapshots", forged).status_code == 403


def test_unknown_scopes_and_addresses_are_problems(board: Setup) -> None:
    """HTTP-4."""
    other = "/v1/scopes/" + "ab" * 32
    assert board.user.ask("GET", other).json()["code"] == "context.scope"
    for path in ("/v1/scopes/zz", "/v1/nothing", other.upper(), "/docs", "/metrics", "/health"):
        answer = board.user.ask("GET", path)
        assert answer.status_code in (400, 404)
        assert answer.headers["content-type"] == "application/problem+json"


def test_due_batches_are_planned_and_bundles_go_by_themselves(board: Setup) -> None:
    sealed = board.file()
    board.world.now += 301
    board.running.work()
    # Nobody plans what an absent trustee would have to vote on, or by a clock that is not theirs.
    assert FeedKind.PLAN not in [item.kind for item in board.user.feed()]
    board.accept(sealed)
    board.running.work()
    items = board.user.feed()
    assert [item.kind for item in items][-1] == FeedKind.PLAN
    for index, one in board.world.secrets.items():  # nobody waits for auditors
        signer, key = f"trustee/{index}", one.signing_key
        board.user.signed(signer, key, "GET", f"{board.user.scope}/feed/{len(items)}")
    board.running.work()
    assert 17 in [item.kind for item in board.user.feed()]
    assert "notalone_board_erased_total 1\n" in board.running.metrics.render()


def test_the_description_names_every_address_with_examples(board: Setup) -> None:
    described = board.running.api.openapi()
    specs = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    chapter = (ROOT / "specs" / "40-http-api.md").read_text(encoding="utf-8")
    table = chapter.partition("\n## Board\n")[2].partition("\n## ")[0]
    assert specs == set(re.findall(r"^\| `(GET|POST) (\S+)`", table, re.MULTILINE))
    assert len(specs) > 15
    for path, methods in described["paths"].items():
        if "post" in methods:
            (content,) = methods["post"]["requestBody"]["content"].items()
            assert content[0] == octets.MEDIA_TYPE, path
            assert content[1]["example"]
    served = board.user.ask("GET", "/openapi.json").json()
    assert served == json.loads(json.dumps(described))


def test_nothing_of_a_reporter_is_logged_counted_or_put_into_an_address(
    board: Setup, capfd: pytest.CaptureFixture[str]
) -> None:
    """HTTP-1, HTTP-4, HTTP-8: a whole visit with refusals, then everything that left is searched."""
    redaction.configure("board")
    user, sealed = board.user, board.file()
    header = sealed.header
    told: list[str] = []
    request = withdraw.withdraw(header.entry, sealed.owner.signing_key).encode()
    forged = Withdrawal(header.entry, bytes(64)).encode()
    visits = [
        user.anonymous("/filings", sealed.filing.encode()[:-1]),
        user.anonymous("/filings", board.world.seal(0, board.world.report(b"x")).filing.encode()),
        user.anonymous("/inclusions", sealed.owner.recipient_key.public),
        user.anonymous("/withdrawals", forged),
        user.anonymous("/withdrawals", request),
        board.owner("/status", sealed),
        user.ask("GET", f"{user.scope}/{header.entry.hex()}"),
    ]
    told += [answer.text for answer in visits if answer.status_code >= 400]
    assert len(told) >= 3
    # A failure inside must not tell either.
    original = board.running.board.store
    board.running.board.store = Broken(header.entry)  # type: ignore[assignment]
    failed = user.anonymous("/withdrawals", request)
    board.running.board.store = original
    assert failed.status_code == 500
    told.append(failed.text)
    addresses = [path for path in user.log if path != f"{user.scope}/{header.entry.hex()}"]
    ready = AppClient(board.running.operations)
    told += [ready.get(path).text for path in ("/health", "/ready", "/metrics")]
    printed = capfd.readouterr()
    assert "request failed" in printed.err
    told += [printed.out, printed.err, *addresses]
    told.append(json.dumps(board.running.api.openapi()))
    everything = "\n".join(told).lower()
    for name, secret in {
        "entry": header.entry,
        "tag": header.quota_tag,
        "owner": header.owner_key,
        "recipient": header.recipient_key,
        "member": header.member,
        "filing": sealed.filing.fingerprint,
        "subject": b"somebody",
        "place": board.world.people[0].place,
    }.items():
        for form in forms(secret):
            assert form.lower() not in everything, name
    assert "127.0.0.1" not in everything


def forms(secret: bytes) -> set[str]:
    """How bytes are usually written; a prefix would do to recognise them."""
    return {
        secret[:8].hex(),
        str(secret)[2:-1][:16],
        base64.b64encode(secret[:6]).decode(),
        base64.urlsafe_b64encode(secret[:6]).decode(),
    }


class Broken:
    """A store whose errors quote the data, as those of database drivers do."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def writing(self) -> None:
        raise RuntimeError(f"no such row: {self.data!r} {self.data.hex()}")

    reading = writing


def test_the_routes_count_only_what_is_listed() -> None:
    assert routes.COUNTERS == (
        "filings_total",
        "withdrawals_total",
        "posts_total",
        "erased_total",
        "letters_total",
        "letters_erased_total",
    )
