"""What the operators do before anything runs: key ceremony, rules, settings.

Owns folders and files, one folder for each party, as each operator would have
them. Refuses to start anything (network.py) and to know any report.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from notalone_crypto.messages.committee import Desk, Organisation, ScopePolicy
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol.keys import Committee
from notalone_demo.reports_file import ScopeInput
from notalone_server.board import app as board_app
from notalone_server.edge import database
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.secretfile import write_secret
from notalone_server.issuer.app import open_issuer
from notalone_server.issuer.settings import read_settings
from notalone_server.trustee.ceremony import SIGNED_MANIFEST, Ceremony, write_agreement
from notalone_server.trustee.keyfile import Cost

HOST: Final = "127.0.0.1"
SLOTS: Final = (1, 2, 3, 4)
RELEASE_BLOBS: Final = 24
TOKEN_BITS: Final = 8  # one machine plays everybody: less work for each anonymous token
_CHEAP: Final = Cost(19 * 1024, 1, 1)  # every restart opens the key file again


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a run may have otherwise than the demo."""

    slots: tuple[int, ...] = SLOTS
    release_blobs: int = RELEASE_BLOBS
    cards: int = 0  # how many are made; 0: one for each member
    auditors: tuple[tuple[bytes, bytes], ...] = ()  # HPKE key for the manifest, verify key for the board
    databases: Mapping[str, str] = field(default_factory=dict)  # a party's name -> URL; else SQLite
    poll_seconds: float = 0.1  # how often a trustee asks the board


@dataclass(frozen=True, slots=True)
class Party:
    """One service: its name, folder, settings and addresses."""

    name: str
    command: str
    config: Path
    operations: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything the operators made; desk keys stay with the desks, cards with the organisation."""

    committee: Committee
    policy: ScopePolicy
    board: Party
    issuer: Party
    trustees: tuple[Party, ...]
    desk_keys: dict[str, hpke.HpkePrivateKey] = field(repr=False)
    cards: tuple[str, ...] = field(repr=False)


def prepare(
    folder: Path,
    scope: ScopeInput,
    batch_seconds: int,
    told: Callable[[str], None],
    wishes: Wishes | None = None,
) -> Prepared:
    """Hold the ceremony and write all settings below `folder`.

    Raises: NotAloneError from the ceremony; OSError for files.
    """
    wishes = wishes or Wishes()
    ports = iter(free_ports(4 + len(scope.trustees)))
    board_folder, issuer_folder = folder / "board", folder / "issuer"
    board_key = board_app.init(board_folder)
    told(f"Key ceremony: {len(scope.trustees)} trustees deal, check every dealing, compare and sign")
    phrases = [_trustee_folder(folder, index) for index in range(1, len(scope.trustees) + 1)]
    committee = hold_ceremony(folder, scope, board_key, phrases, [one for one, _ in wishes.auditors])
    issuer_folder.mkdir(mode=0o700)
    issuer_key = signing.generate_key(system_randomness)
    write_secret(issuer_folder / "issuer.key", issuer_key.seed)
    desk_keys = {name: hpke.generate_key(system_randomness) for name in scope.desks}
    policy = ScopePolicy(
        scope.instance,
        scope.name,
        (Organisation(scope.name, issuer_key.verify_key),),
        wishes.slots,
        scope.levels,
        (1, 2),
        tuple(Desk(name, key.public) for name, key in desk_keys.items()),
        scope.region,
        12,
        365,
        104,
        wishes.release_blobs,
        batch_seconds,
        1,
    )
    told("Settings: one folder, one database and one process for each party")
    board = _board(board_folder, folder / "ceremony", policy, ports, wishes)
    issuer = _issuer(issuer_folder, scope, board, ports, wishes)
    trustees = tuple(
        _trustee(folder, index, committee, policy, board, ports, wishes)
        for index in range(1, len(scope.trustees) + 1)
    )
    settings = read_settings(issuer.config)
    engine = database.open_engine(settings.database_url())
    try:
        live = open_issuer(settings, engine=engine)
        cards = live.change(lambda one: one.make_cards(wishes.cards or scope.members, system_randomness))
    finally:
        engine.dispose()
    return Prepared(committee, policy, board, issuer, trustees, desk_keys, tuple(cards))


def hold_ceremony(
    folder: Path, scope: ScopeInput, board_key: bytes, phrases: list[bytes], auditors: Sequence[bytes] = ()
) -> Committee:
    """The steps of `notalone trustee keys` to `finish`, each trustee with a key file of her own."""
    shared = folder / "ceremony"
    write_agreement(
        shared,
        scope.instance,
        scope.trustees,
        scope.threshold,
        scope.levels,
        board_key,
        tuple(auditors),
        system_randomness,
    )
    everyone = [
        Ceremony(shared, index, _home(folder, index) / "trustee.key", phrase, system_randomness, _CHEAP)
        for index, phrase in enumerate(phrases, 1)
    ]
    for one in everyone:
        one.keys()
    for one in everyone:
        one.deal()
    for one in everyone:
        one.confirm()
    aloud = [one.manifest().fingerprint.hex() for one in everyone]
    for position, one in enumerate(everyone):
        one.sign(aloud[position - 1])  # as another operator read it
    finished = [one.finish() for one in everyone]
    return finished[0]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody uses now, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _home(folder: Path, index: int) -> Path:
    return folder / f"trustee-{index}"


def _trustee_folder(folder: Path, index: int) -> bytes:
    home = _home(folder, index)
    home.mkdir(mode=0o700)
    phrase = system_randomness(16).hex().encode()
    write_secret(home / "passphrase", phrase)
    return phrase


def _board(folder: Path, ceremony: Path, policy: ScopePolicy, ports: Iterator[int], wishes: Wishes) -> Party:
    (folder / "manifest.signed").write_bytes((ceremony / SIGNED_MANIFEST).read_bytes())
    (folder / "policy.bin").write_bytes(policy.encode())
    port, operations = next(ports), next(ports)
    config = folder / board_app.CONFIG_NAME
    config.write_text(
        f'host = "{HOST}"\nport = {port}\noperations_host = "{HOST}"\noperations_port = {operations}\n'
        f'policies = ["policy.bin"]\ntoken_bits = {TOKEN_BITS}\nrequests_per_second = 10000\n'
        f"tick_seconds = 0.2\nauditors = {json.dumps([key.hex() for _, key in wishes.auditors])}\n"
        f"{_database(wishes, 'board')}",
        encoding="utf-8",
    )
    return Party("board", "board", config, _address(operations), _address(port))


def _issuer(folder: Path, scope: ScopeInput, board: Party, ports: Iterator[int], wishes: Wishes) -> Party:
    port, operations = next(ports), next(ports)
    config, beside = folder / "issuer.toml", f"sqlite:///{(folder / 'issuer.sqlite').resolve()}"
    config.write_text(
        f"instance = {_quoted(scope.instance)}\nscope_name = {_quoted(scope.name)}\n"
        f'declared = {scope.members}\nenrolment = "cards"\n'
        f"database = {_quoted(wishes.databases.get('issuer', beside))}\n"
        f'key_file = "issuer.key"\nboard = "{board.address}"\n'
        f'host = "{HOST}"\nport = {port}\noperations_host = "{HOST}"\noperations_port = {operations}\n'
        f"token_bits = {TOKEN_BITS}\nrequests_per_second = 10000\npublish_seconds = 0.5\n",
        encoding="utf-8",
    )
    return Party("issuer", "issuer", config, _address(operations), _address(port))


def _trustee(
    folder: Path,
    index: int,
    committee: Committee,
    policy: ScopePolicy,
    board: Party,
    ports: Iterator[int],
    wishes: Wishes,
) -> Party:
    home, operations = _home(folder, index), next(ports)
    (home / SIGNED_MANIFEST).write_bytes((folder / "ceremony" / SIGNED_MANIFEST).read_bytes())
    config = home / "trustee.toml"
    config.write_text(
        f'board = "{board.address}"\nmanifest = "{SIGNED_MANIFEST}"\n'
        f'manifest_fingerprint = "{committee.fingerprint.hex()}"\n'
        'key_file = "trustee.key"\npassphrase_file = "passphrase"\n'
        f"scopes = [{_quoted(policy.scope_name)}]\n"
        f'approved_policies = ["{policy.fingerprint.hex()}"]\n'
        f'operations_host = "{HOST}"\noperations_port = {operations}\n'
        f"poll_seconds = {wishes.poll_seconds}\nlongest_wait_polls = 8\n"
        f"{_database(wishes, f'trustee-{index}')}",
        encoding="utf-8",
    )
    return Party(f"trustee-{index}", "trustee", config, _address(operations))


def _database(wishes: Wishes, name: str) -> str:
    """The line for a party's settings; none for what is the default."""
    url = wishes.databases.get(name)
    return "" if url is None else f"database = {_quoted(url)}\n"


def _address(port: int) -> str:
    return f"http://{HOST}:{port}"


def _quoted(text: str) -> str:
    """A TOML string: JSON's, but for one letter."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def children_environment(folder: Path) -> dict[str, str]:
    """This process's environment and modules, without settings of ours that would win over the files.

    Where nothing may be written beside the sources, compiled modules go below
    `folder`: compiling all libraries again takes seconds at every start.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOTALONE_")}
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
