"""The ceremony over HTTP: an exchange that nobody trusts, attacked and attacking; real processes over TLS."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, Request, Response
from tests.support.postgres import free_port

from notalone_crypto.errors import CeremonyFailed, Code, NotAloneError
from notalone_crypto.messages.committee import Dealing, Manifest, TrusteeKeys
from notalone_crypto.primitives import kem, signing
from notalone_crypto.protocol import ceremony as protocol
from notalone_crypto.protocol.keys import Committee
from notalone_server.edge.clock import system_clock
from notalone_server.edge.octets import MEDIA_TYPE
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.signing import authorization
from notalone_server.trustee import exchange as exchanges
from notalone_server.trustee import spoken
from notalone_server.trustee.agreement import Agreement, read_agreement, write_agreement
from notalone_server.trustee.ceremony import SIGNED_MANIFEST, Ceremony, read_signed_manifest
from notalone_server.trustee.exchange import Exchange, build, serve
from notalone_server.trustee.exchange_client import ExchangeClient, ExchangeUnreachable
from notalone_server.trustee.join import Join
from notalone_server.trustee.keyfile import Cost, read_key_file, replace_file

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join(str(ROOT / part) for part in ("crypto", "server", "client_sdk/python", "demo"))
START = "from notalone_server.trustee.commands import app; app()"
PHRASE = b"a passphrase of an operator"
CHEAP = Cost(19 * 1024, 1, 1)
NAMES = ("Association", "Université", "Fondation")
BOARD = signing.generate_key(system_randomness)
EVERYONE = (1, 2, 3)


@contextmanager
def serving(app: object) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Machines:
    """Three operators' machines, and the agreement that all of them know."""

    root: Path
    agreement: Agreement
    addresses: dict[int, str] = field(default_factory=dict)
    told: dict[int, list[str]] = field(default_factory=lambda: {index: [] for index in EVERYONE})
    clients: dict[tuple[int, str], ExchangeClient] = field(default_factory=dict)

    def part(self, index: int) -> Ceremony:
        private = self.root / str(index)
        folder = private / "ceremony"
        if not folder.exists():
            folder.mkdir(parents=True)
            replace_file(folder / "ceremony.json", self.agreement.document())
        return Ceremony(folder, index, private / "trustee.key", PHRASE, system_randomness, CHEAP)

    def client(self, index: int) -> ExchangeClient:
        place = (index, self.addresses[index])
        if place not in self.clients:
            self.clients[place] = ExchangeClient(place[1])
        return self.clients[place]

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def step(self, index: int, action: Callable[[Ceremony], object]) -> None:
        """One step with `--exchange`: fetch, work, hand over."""
        client, part = self.client(index), self.part(index)
        client.pull(part)
        action(part)
        client.push(part)

    def everybody(self, *actions: Callable[[Ceremony], object]) -> None:
        for action in actions:
            for index in EVERYONE:
                self.step(index, action)

    def join(self, index: int, heard: Callable[[Manifest], str], patience: float | None = 60) -> Committee:
        tell = self.told[index].append
        return Join(self.part(index), self.client(index), tell, heard, pause=0.05, patience=patience).run()


def new_agreement(folder: Path) -> Agreement:
    folder.mkdir(parents=True, exist_ok=True)
    return write_agreement(folder, "test", NAMES, 2, (2, 3), BOARD.verify_key, (), system_randomness)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Everybody's machine and one honest exchange."""
    agreement = new_agreement(tmp_path / "exchange")
    with serving(build(Exchange.open(tmp_path / "exchange"))[1]) as address:
        made = Machines(tmp_path, agreement, dict.fromkeys(EVERYONE, address))
        yield made
        made.close()


def kept(machines: Machines) -> Path:
    return machines.root / "exchange"


class Telephone:
    """Operators who read to one another, and type what they hear."""

    def __init__(self) -> None:
        self.read: dict[int, bytes] = {}
        self.everybody = threading.Barrier(3, timeout=60)

    def of(self, index: int, language: str = "french") -> Callable[[Manifest], str]:
        def heard(manifest: Manifest) -> str:
            self.read[index] = manifest.fingerprint
            self.everybody.wait()
            return spoken.words(self.read[index % 3 + 1], language)

        return heard


def outcome(action: Callable[[], object]) -> object:
    try:
        return action()
    except (NotAloneError, ExchangeUnreachable) as error:
        return error


def all_join(machines: Machines, telephone: Telephone) -> dict[int, Any]:
    with ThreadPoolExecutor(3) as pool:
        running = {
            index: pool.submit(outcome, partial(machines.join, index, telephone.of(index)))
            for index in EVERYONE
        }
        return {index: one.result(120) for index, one in running.items()}


def test_all_join_and_end_with_one_manifest_compared_by_words(machines: Machines) -> None:
    alone = outcome(lambda: machines.join(1, lambda _: "", patience=0.1))
    assert isinstance(alone, NotAloneError)
    assert alone.code == Code.OUT_OF_ORDER
    assert machines.told[1] == ["Waiting for the keys of 2 (Université), 3 (Fondation)"]
    ends = all_join(machines, Telephone())
    assert all(isinstance(one, Committee) for one in ends.values()), ends
    assert len({one.fingerprint for one in ends.values()}) == 1
    signed = [(machines.root / str(i) / "ceremony" / SIGNED_MANIFEST).read_bytes() for i in EVERYONE]
    assert len(set(signed)) == 1


def test_single_steps_over_the_exchange_are_the_same_ceremony(machines: Machines) -> None:
    machines.everybody(Ceremony.keys, Ceremony.deal, Ceremony.confirm)
    machines.client(2).pull(machines.part(2))
    aloud = spoken.groups(machines.part(2).manifest().fingerprint)
    machines.everybody(lambda part: part.sign(aloud))
    machines.step(1, Ceremony.finish)
    # What the exchange holds is a ceremony's folder; any step repeated changes nothing in it.
    before = {path.name: path.read_bytes() for path in kept(machines).iterdir()}
    machines.everybody(Ceremony.keys, Ceremony.deal, Ceremony.confirm, Ceremony.finish)
    assert {path.name: path.read_bytes() for path in kept(machines).iterdir()} == before
    assert len(before) == 1 + 4 * 3


def test_a_wrong_word_is_asked_again_and_a_wrong_fingerprint_is_never_signed(machines: Machines) -> None:
    """HTTP-26."""
    answers = iter(["abandon", spoken.words(bytes(32), "english"), spoken.groups(bytes(32))])
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(outcome, partial(machines.join, i, lambda _: "", 5)) for i in (2, 3)]
        end = outcome(lambda: machines.join(1, lambda _: next(answers)))
        assert isinstance(end, NotAloneError)
        assert end.code == Code.MANIFEST
        for other in others:
            stopped = other.result()
            assert isinstance(stopped, NotAloneError)
            assert stopped.code == Code.TEXT  # nobody told them anything
    assert any("12 words are needed" in line for line in machines.told[1])
    assert not list(kept(machines).glob("signature-*"))


# --- an exchange that lies --------------------------------------------------------------------------------


def test_attack_an_exchange_that_equivocates_is_seen_in_the_words(tmp_path: Path) -> None:
    """HTTP-26: it plays 2 and 3 to the first, and the first to the others; every message is well signed."""
    machines = Machines(tmp_path, new_agreement(tmp_path / "agreed"))
    with ExitStack() as stack:
        worlds = {}
        for name in ("left", "right"):
            folder = tmp_path / name
            folder.mkdir()
            replace_file(folder / "ceremony.json", machines.agreement.document())
            worlds[name] = stack.enter_context(serving(build(Exchange.open(folder))[1]))
        forged = Machines(
            tmp_path / "forger",
            machines.agreement,
            {1: worlds["right"], 2: worlds["left"], 3: worlds["left"]},
        )
        machines.addresses = {1: worlds["left"], 2: worlds["right"], 3: worlds["right"]}
        for action in (Ceremony.keys, Ceremony.deal, Ceremony.confirm):
            for index in EVERYONE:
                machines.step(index, action)
                forged.step(index, action)
        read = {}
        for index in EVERYONE:
            machines.client(index).pull(machines.part(index))
            read[index] = machines.part(index).manifest().fingerprint
        assert read[2] == read[3] != read[1]
        for index, other in ((1, 2), (2, 1), (3, 1)):
            for said in (spoken.words(read[other], "english"), spoken.groups(read[other])):
                with pytest.raises(NotAloneError) as caught:
                    machines.part(index).sign(said)
                assert caught.value.code == Code.MANIFEST
        assert not list(tmp_path.glob("?/ceremony/signature-*"))
        machines.close()
        forged.close()


class Lying:
    """An exchange between an honest one and trustees: changes what it likes on its way."""

    def __init__(self, honest: str, agreement: Agreement) -> None:
        self.client = httpx.Client(base_url=honest, trust_env=False)
        self.prefix = f"/v1/ceremonies/{agreement.name}/messages"
        self.hidden: set[str] = set()
        self.replaced: dict[str, bytes] = {}
        self.app = FastAPI()
        self.app.add_api_route("/{path:path}", self.answer, methods=["GET", "POST"])

    async def answer(self, request: Request) -> Response:
        path, body = request.url.path, await request.body()
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in {"authorization", "content-type"}
        }
        name = path.rpartition("/")[2]
        if request.method == "GET" and name in self.replaced:
            return Response(self.replaced[name], media_type=MEDIA_TYPE)
        found = self.client.request(request.method, path, content=body, headers=headers)
        if path == self.prefix:
            listed = {
                one: hashlib.sha256(self.replaced[one]).hexdigest() if one in self.replaced else digest
                for one, digest in (found.json()["messages"] | dict.fromkeys(self.replaced, "")).items()
                if one not in self.hidden
            }
            return Response(json.dumps({"messages": listed}), media_type="application/json")
        return Response(found.content, found.status_code, media_type=found.headers.get("content-type"))


@pytest.fixture
def lying(machines: Machines) -> Iterator[Lying]:
    liar = Lying(machines.addresses[1], machines.agreement)
    with serving(liar.app) as address:
        machines.addresses[1] = address
        yield liar
        liar.client.close()


def test_attack_an_exchange_that_withholds_is_waited_for_and_named(machines: Machines, lying: Lying) -> None:
    lying.hidden = {"keys-3"}
    for index in (2, 3):
        machines.step(index, Ceremony.keys)
    with pytest.raises(
        NotAloneError, match=r"keys of 3 \(Fondation\).*Ask them, not only the exchange"
    ) as caught:
        machines.join(1, lambda _: "", patience=0.2)
    assert caught.value.culprits == ()
    lying.hidden = set()
    machines.step(1, Ceremony.deal)  # and it goes on


def blamed(action: Callable[[], object]) -> CeremonyFailed:
    with pytest.raises(CeremonyFailed) as caught:
        action()
    assert caught.value.culprits == (), "no trustee is to blame for what an exchange did"
    return caught.value


def another_ceremony(tmp_path: Path) -> Machines:
    """The same trustees in an earlier ceremony, with all its messages."""
    other = Machines(tmp_path / "earlier", new_agreement(tmp_path / "earlier" / "exchange"))
    with serving(build(Exchange.open(kept(other)))[1]) as address:
        other.addresses = dict.fromkeys(EVERYONE, address)
        other.everybody(Ceremony.keys, Ceremony.deal, Ceremony.confirm)
        other.close()
    return other


@pytest.mark.parametrize("kind", ["keys", "dealing", "hashes"])
def test_attack_messages_of_another_ceremony_are_refused(
    machines: Machines, lying: Lying, tmp_path: Path, kind: str
) -> None:
    """HTTP-25."""
    other = another_ceremony(tmp_path)
    replayed = (kept(other) / f"{kind}-2").read_bytes()
    if kind != "keys":
        machines.everybody(Ceremony.keys)
    lying.replaced = {f"{kind}-2": replayed}
    error = blamed(lambda: machines.step(1, Ceremony.keys))
    assert "not what trustee 2 signed in this ceremony" in error.detail
    assert not machines.part(1).public.has(f"{kind}-2")


def test_attack_messages_of_another_place_are_refused(machines: Machines, lying: Lying) -> None:
    """HTTP-25."""
    machines.everybody(Ceremony.keys)
    machines.part(1).public.folder.joinpath("keys-2").unlink(missing_ok=True)
    lying.replaced = {"keys-2": (kept(machines) / "keys-3").read_bytes()}
    blamed(lambda: machines.client(1).pull(machines.part(1)))


@pytest.mark.parametrize("index", [1, 2])
def test_attack_an_exchange_that_replaces_a_key_is_caught_by_who_saw_the_first(
    machines: Machines, lying: Lying, index: int
) -> None:
    """HTTP-25."""
    machines.everybody(Ceremony.keys)
    machines.client(1).pull(machines.part(1))
    _, other = protocol.create_keys(machines.agreement.parameters, index, system_randomness)
    lying.replaced = {f"keys-{index}": other.encode()}
    assert blamed(lambda: machines.step(1, Ceremony.deal)).code == Code.EQUIVOCATION


@pytest.mark.parametrize("kind", ["dealing", "hashes", "signature"])
def test_attack_a_damaged_message_is_not_taken_for_its_senders(
    machines: Machines, lying: Lying, kind: str
) -> None:
    """HTTP-25."""
    machines.everybody(Ceremony.keys, Ceremony.deal, Ceremony.confirm)
    machines.client(3).pull(machines.part(3))
    aloud = machines.part(3).manifest().fingerprint.hex()
    for index in (2, 3):
        machines.step(index, lambda part: part.sign(aloud))
    folder = machines.part(1).public.folder
    (folder / f"{kind}-2").unlink(missing_ok=True)
    good = (kept(machines) / f"{kind}-2").read_bytes()
    lying.replaced = {f"{kind}-2": good[:-1] + bytes([good[-1] ^ 1])}
    blamed(lambda: machines.client(1).pull(machines.part(1)))
    lying.replaced = {f"{kind}-2": good[:-1]}
    blamed(lambda: machines.client(1).pull(machines.part(1)))
    lying.replaced = {}
    machines.client(1).pull(machines.part(1))
    assert (folder / f"{kind}-2").read_bytes() == good


def test_whatever_else_answers_is_no_exchange_and_no_crash(machines: Machines) -> None:
    for answer in (
        Response("<html>a login page"),
        Response("[]", media_type="application/json"),
        Response('{"messages": {"keys-7": "00"}}', media_type="application/json"),
        Response('{"messages": {"../../etc/passwd": "00"}}', media_type="application/json"),
        Response("[" * 50_000, media_type="application/json"),
        Response(bytes(exchanges.MAX_MESSAGE + 1)),
        Response(status_code=302, headers={"location": machines.addresses[2]}),
        Response(status_code=500),
    ):
        app = FastAPI()
        app.add_api_route("/{path:path}", lambda answer=answer: answer)
        with serving(app) as address:
            machines.addresses[1] = address
            with pytest.raises(ExchangeUnreachable):
                machines.client(1).pull(machines.part(1))
    machines.addresses[1] = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ExchangeUnreachable, match="no connection"):
        machines.client(1).pull(machines.part(1))
    assert sorted(path.name for path in machines.part(1).public.folder.iterdir()) == ["ceremony.json"]


# --- strangers at an honest exchange ----------------------------------------------------------------------


def post(
    machines: Machines,
    name: str,
    body: bytes,
    key: signing.SigningKey | None = None,
    signer: str = "",
    **changes: Any,
) -> int:
    path = f"/v1/ceremonies/{machines.agreement.name}/messages/{name}"
    headers = {"content-type": MEDIA_TYPE}
    if key is not None:
        headers["authorization"] = authorization(
            key, signer or f"trustee/{name[-1]}", changes.get("audience", machines.agreement.fingerprint),
            "POST", path, changes.get("signed", body), changes.get("now", system_clock()), system_randomness,
        )  # fmt: skip
    answer = httpx.post(machines.addresses[2] + path, content=body, headers=headers, trust_env=False)
    return answer.status_code


def own_key(machines: Machines, index: int) -> signing.SigningKey:
    return read_key_file(machines.root / str(index) / "trustee.key", PHRASE).keys.signing_key


def test_attack_a_fourth_party_cannot_post_as_trustee_2(machines: Machines) -> None:
    """HTTP-24."""
    machines.everybody(Ceremony.keys)
    part = machines.part(2)
    machines.client(2).pull(part)
    good = part.deal().encode()
    stranger, _ = protocol.create_keys(machines.agreement.parameters, 2, system_randomness)
    forged = protocol.deal(
        machines.agreement.parameters, stranger, part.public_keys(), 2, system_randomness
    ).encode()
    assert post(machines, "dealing-2", forged, stranger.signing_key) == 403
    assert post(machines, "dealing-2", good, stranger.signing_key) == 401  # a copy of hers, without her key
    assert post(machines, "dealing-2", good) == 401
    assert post(machines, "dealing-2", good, own_key(machines, 3)) == 401
    assert post(machines, "dealing-2", good, own_key(machines, 3), "trustee/3") == 401
    assert post(machines, "dealing-3", good, own_key(machines, 3)) == 403
    assert post(machines, "dealing-2", good, own_key(machines, 2), signed=b"x") == 401
    assert post(machines, "dealing-2", good, own_key(machines, 2), audience=bytes(32)) == 401
    assert post(machines, "dealing-2", good, own_key(machines, 2), now=system_clock() - 1000) == 401
    assert not (kept(machines) / "dealing-2").exists()
    machines.client(2).push(part)
    assert (kept(machines) / "dealing-2").read_bytes() == good


def test_attack_a_stranger_who_takes_a_place_first_stops_the_ceremony_and_learns_nothing(
    machines: Machines,
) -> None:
    """Before there are keys whoever knows the agreement can be first; whose place it is sees it."""
    stranger, public = protocol.create_keys(machines.agreement.parameters, 2, system_randomness)
    assert post(machines, "keys-2", public.encode(), stranger.signing_key) == 204
    assert "is taken" in blamed(lambda: machines.step(2, Ceremony.keys)).detail
    machines.step(1, Ceremony.keys)
    machines.part(3).keys()  # or she made her keys before she first asked
    machines.part(2).keys()
    assert blamed(lambda: machines.step(2, Ceremony.keys)).code == Code.EQUIVOCATION
    assert not list(machines.root.glob("?/ceremony/dealing-*"))


def test_the_first_message_stays_and_the_same_again_is_welcome(machines: Machines) -> None:
    """HTTP-24."""
    machines.step(1, Ceremony.keys)
    key, first = own_key(machines, 1), (kept(machines) / "keys-1").read_bytes()
    assert post(machines, "keys-1", first, key) == 204
    stranger, public = protocol.create_keys(machines.agreement.parameters, 1, system_randomness)
    assert post(machines, "keys-1", public.encode(), stranger.signing_key) == 409
    second = protocol.create_keys(machines.agreement.parameters, 1, system_randomness, signing_key=key)[1]
    assert post(machines, "keys-1", second.encode(), key) == 409
    assert (kept(machines) / "keys-1").read_bytes() == first


def test_two_at_once_only_one_is_first(machines: Machines) -> None:
    made = [protocol.create_keys(machines.agreement.parameters, 1, system_randomness) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(
            pool.map(lambda one: post(machines, "keys-1", one[1].encode(), one[0].signing_key), made)
        )
    assert sorted(codes) == [204, *[409] * 7]
    winner = made[codes.index(204)][1]
    assert TrusteeKeys.decode((kept(machines) / "keys-1").read_bytes()) == winner


@pytest.mark.parametrize(
    ("name", "size", "status"),
    [
        ("keys-1", exchanges.MAX_MESSAGE + 1, 413),
        ("keys-1", exchanges.MAX_MESSAGE, 403),
        ("keys-4", 10, 404),
        ("keys-0", 10, 404),
        ("keys-11", 10, 404),
        ("complaint-1-1", 10, 404),
        ("ceremony.json", 10, 404),
        ("manifest.signed", 10, 404),
        ("..%2f..%2fkeys-1", 10, 404),
        ("dealing-1", 10, 409),  # before its sender's keys
    ],
)
def test_attack_oversized_and_misplaced_bodies(machines: Machines, name: str, size: int, status: int) -> None:
    assert post(machines, name, bytes(size), BOARD) == status
    assert [path.name for path in kept(machines).iterdir()] == ["ceremony.json"]


def test_who_does_not_know_the_ceremonys_name_finds_nothing(machines: Machines) -> None:
    machines.step(1, Ceremony.keys)
    for path in ("agreement", "messages", "messages/keys-1"):
        base = machines.addresses[1] + "/v1/ceremonies/"
        assert httpx.get(f"{base}{machines.agreement.name}/{path}").status_code == 200
        assert httpx.get(f"{base}{bytes(16).hex()}/{path}").status_code == 404
    assert httpx.get(machines.addresses[1] + "/").status_code == 404


def test_the_agreement_is_fetched_only_if_it_is_the_one_the_operator_was_told(
    machines: Machines, tmp_path: Path
) -> None:
    folder = tmp_path / "fresh"
    client = machines.client(1)
    said = spoken.words(machines.agreement.fingerprint, "french")
    with pytest.raises(NotAloneError, match="--agreed"):
        client.fetch_agreement(folder, "")
    with pytest.raises(ExchangeUnreachable):
        client.fetch_agreement(folder, spoken.words(bytes(32), "french"))
    assert client.fetch_agreement(folder, said) == machines.agreement == read_agreement(folder)
    with pytest.raises(NotAloneError, match="not the agreement"):
        client.fetch_agreement(folder, spoken.words(bytes(32), "french"))
    # Attack: another agreement under the same name.
    other = replace(machines.agreement, board_key=own_board())
    app = FastAPI()
    app.add_api_route("/{path:path}", lambda: Response(other.document()))
    with serving(app) as address:
        machines.addresses[2] = address
        with pytest.raises(NotAloneError, match="not the agreement"):
            machines.client(2).fetch_agreement(tmp_path / "third", said)
    assert not (tmp_path / "third").exists()


def own_board() -> bytes:
    return signing.generate_key(system_randomness).verify_key


def test_attack_a_liar_in_a_dealing_is_named_to_everybody(machines: Machines) -> None:
    machines.everybody(Ceremony.keys)
    own = read_key_file(machines.root / "2" / "trustee.key", PHRASE)
    part = machines.part(2)
    machines.client(2).pull(part)
    wrong = part.public_keys()
    wrong[2] = replace(wrong[2], bundle_key=kem.generate_key(system_randomness).public)
    dealing = protocol.deal(machines.agreement.parameters, own.keys, wrong, 2, system_randomness)
    (part.public.folder / "dealing-2").write_bytes(dealing.encode())
    machines.client(2).push(part)
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(lambda i: outcome(lambda: machines.join(i, lambda _: "", 20)), (1, 3)))
    for end in ends:
        assert isinstance(end, CeremonyFailed), end
        assert end.culprits == (2,)
    assert (kept(machines) / "complaint-3-2").exists()
    assert Dealing.decode((kept(machines) / "dealing-2").read_bytes()) == dealing  # the evidence stays


def test_nothing_goes_in_clear_text_off_this_machine(machines: Machines) -> None:
    for address in (
        "http://exchange.example",
        "ftp://127.0.0.1",
        "https://a.example/path",
        "https://u@a.example",
    ):
        with pytest.raises(NotAloneError):
            ExchangeClient(address)
    for address in ("http://abc.onion", "http://127.0.0.1:1", "http://[::1]:1", "https://exchange.example"):
        ExchangeClient(address).close()
    with pytest.raises(NotAloneError, match="needs TLS"):
        serve(kept(machines), "0.0.0.0", 1, None, None)


# --- real processes over TLS ------------------------------------------------------------------------------


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "exchange")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.pem", folder / "tls.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


@dataclass
class Run:
    """The commands as operators type them, killed at random instants."""

    folder: Path
    choices: random.Random = field(default_factory=lambda: random.Random(3))
    kills: int = 0

    def start(self, name: str, *words: str | Path) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", START, *map(str, words)],
                env={**os.environ, "PYTHONPATH": PATHS, "COLUMNS": "200"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


def test_everybody_killed_again_and_again_the_ceremony_ends_with_one_manifest(tmp_path: Path) -> None:
    """Real processes over TLS: SIGKILL for trustees and the exchange; what was made is never made twice."""
    run = Run(tmp_path)
    agreement = new_agreement(tmp_path / "exchange")
    chain, key = certificate(tmp_path)
    port = free_port()
    server_words = (
        "ceremony", "serve", "--folder", tmp_path / "exchange", "--listen", f"127.0.0.1:{port}",
        "--certificate", chain, "--certificate-key", key,
    )  # fmt: skip
    words: dict[int, list[str | Path]] = {}
    for index in EVERYONE:
        private = tmp_path / str(index)
        private.mkdir()
        (private / "passphrase").write_bytes(PHRASE)
        (private / "passphrase").chmod(0o600)
        words[index] = [
            "ceremony", "join", "--folder", private / "ceremony", "--index", str(index),
            "--key-file", private / "trustee.key", "--passphrase-file", private / "passphrase",
            "--exchange", f"https://127.0.0.1:{port}", "--authority", chain, "--memory", "19",
            "--agreed", spoken.words(agreement.fingerprint, "french"),
        ]  # fmt: skip
    server = run.start("serve", *server_words)
    running = {index: run.start(str(index), *words[index]) for index in EVERYONE}
    aloud = ""
    done: set[int] = set()
    deadline, next_kill = time.monotonic() + 240, time.monotonic() + 3
    try:
        while done != set(EVERYONE):
            assert time.monotonic() < deadline, [run.log(name) for name in ("serve", "1", "2", "3")]
            if server.poll() is not None:
                server = run.start("serve", *server_words)
            for index, process in running.items():
                if index in done or process.poll() is None:
                    continue
                assert process.returncode in {0, 2, -9}, run.log(str(index))
                if process.returncode == 0:
                    done.add(index)
                    continue
                log = run.log(str(index))
                if "Fingerprint " in log and not aloud:  # the first one reads, the others hear
                    aloud = log.split("Fingerprint ")[1].splitlines()[0]
                extra = ["--compared", aloud] if aloud else []
                running[index] = run.start(str(index), *words[index], *extra)
            if run.kills < 4 and time.monotonic() > next_kill:
                victim = run.choices.choice([server, *(running[i] for i in EVERYONE if i not in done)])
                if victim.poll() is None:
                    victim.kill()
                    victim.wait()
                    run.kills += 1
                next_kill = time.monotonic() + run.choices.uniform(0.5, 2.5)
            time.sleep(0.05)
    finally:
        for process in (server, *running.values()):
            process.kill()
            process.wait()
    assert run.kills >= 2
    manifests = {(tmp_path / str(i) / "ceremony" / SIGNED_MANIFEST).read_bytes() for i in EVERYONE}
    assert len(manifests) == 1
    signed = read_signed_manifest(tmp_path / "1" / "ceremony" / SIGNED_MANIFEST)
    committee = Committee.verified(signed, spoken.parse(aloud))
    for index in EVERYONE:
        assert read_key_file(tmp_path / str(index) / "trustee.key", PHRASE).manifest == committee.fingerprint
    assert PHRASE.decode() not in "".join(run.log(name) for name in ("serve", "1", "2", "3"))
