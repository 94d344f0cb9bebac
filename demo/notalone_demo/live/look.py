"""What the parties of a live run hold: copies of their databases, and what may be fetched.

Owns reading each party's memory from a copy, with that party's own keys, while it
runs. Refuses to show it (views.py) and to write anything of a party's.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

import httpx
from sqlalchemy import Engine, func, select

from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.suite import HASH_LENGTH
from notalone_demo.live.network import LiveError
from notalone_demo.live.operators import Party, Prepared
from notalone_demo.live.story import LiveRun
from notalone_demo.seen import AuditorSeen, BoardSeen, IssuerSeen, PersonSeen, PublicSeen, TrusteeSeen
from notalone_demo.views import opened_text
from notalone_server.board import schema
from notalone_server.edge import database
from notalone_server.edge.clock import system_clock
from notalone_server.edge.octets import unframe
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.signing import authorization
from notalone_server.issuer.app import open_issuer
from notalone_server.issuer.settings import read_settings as issuer_settings
from notalone_server.trustee.app import load_keys
from notalone_server.trustee.settings import read_settings as trustee_settings
from notalone_server.trustee.store import SqlStore

SIGNER: Final = "auditor/1"
_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Auditor:
    """An auditor named in the manifest: her requests are signed, and one key opens what is sealed to her."""

    channel: hpke.HpkePrivateKey = field(repr=False)
    signer: signing.SigningKey = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Fresh keys."""
        return cls(hpke.generate_key(system_randomness), signing.generate_key(system_randomness))

    @property
    def public(self) -> tuple[bytes, bytes]:
        """Her key for the manifest, and her key for the board's settings."""
        return self.channel.public, self.signer.verify_key

    def look(self, prepared: Prepared) -> AuditorSeen:
        """The whole feed, over HTTP. Raises LiveError."""
        feed: list[FeedItem] = []
        while True:
            after = feed[-1].sequence if feed else 0
            body = self._get(prepared, f"/v1/scopes/{prepared.policy.scope.hex()}/feed/{after}")
            page = [FeedItem.decode(data) for data in unframe(body)]
            if not page:
                break
            feed += page

        def consistency(first: int, second: int) -> tuple[bytes, ...]:
            if not first:
                return ()
            nodes = self._get(prepared, f"/v1/log/consistency/{first}/{second}")
            return tuple(nodes[at : at + HASH_LENGTH] for at in range(0, len(nodes), HASH_LENGTH))

        return AuditorSeen(prepared.committee, feed, self.channel, consistency)

    def _get(self, prepared: Prepared, path: str) -> bytes:
        header = authorization(
            self.signer,
            SIGNER,
            prepared.committee.fingerprint,
            "GET",
            path,
            b"",
            system_clock(),
            system_randomness,
        )
        address = f"{prepared.board.address}{path}"
        with httpx.Client(timeout=_TIMEOUT, trust_env=False) as http:
            answer = http.get(address, headers={"Authorization": header})
        if answer.status_code != httpx.codes.OK:
            raise LiveError(f"the board answered the auditor with {answer.status_code}")
        return answer.content


@contextmanager
def copied(party: Party) -> Iterator[Engine]:
    """A party's database as it is now; nothing that is done to the copy reaches the party."""
    (source,) = party.config.parent.glob("*.sqlite")
    with tempfile.TemporaryDirectory(prefix="notalone-look-") as folder:
        target = Path(folder) / source.name
        with closing(sqlite3.connect(source)) as running, closing(sqlite3.connect(target)) as copy:
            running.backup(copy)
        engine = database.open_engine(f"sqlite:///{target}")
        try:
            yield engine
        finally:
            engine.dispose()


def board(prepared: Prepared) -> BoardSeen:
    """Every item of the feed and the number of letters, from the board's database."""
    scope, feed = prepared.policy.scope, schema.feed
    with copied(prepared.board) as engine, database.read(engine) as connection:
        rows = connection.execute(select(feed).where(feed.c.scope == scope).order_by(feed.c.sequence)).all()
        letters = connection.execute(select(func.count()).select_from(schema.letters)).scalar_one()
    items = [FeedItem(scope, row.sequence, row.kind, bytes(row.payload)) for row in rows]
    return BoardSeen(items, int(letters))


def trustee(prepared: Prepared, index: int) -> TrusteeSeen:
    """One trustee's memory, opened with that trustee's key file and pass phrase."""
    party = prepared.trustees[index - 1]
    committee, own, _ = load_keys(trustee_settings(party.config))
    with copied(party) as engine:
        memory = SqlStore(engine, own.storage_key, system_randomness).load()
        if memory is None:
            raise LiveError(f"{party.name} has stored nothing")
        held = memory.state.scopes[prepared.policy.scope]
        # Read while the copy is there: a trustee holds its entries where they are stored.
        scope = replace(held, live=dict(held.live.items()), outlines=dict(held.outlines.items()))
    name = committee.manifest.parameters.trustees[index - 1]
    return TrusteeSeen(index, name, prepared.policy, scope)


def issuer(prepared: Prepared) -> IssuerSeen:
    """The issuer's counts, from its database."""
    with copied(prepared.issuer) as engine:
        state = open_issuer(issuer_settings(prepared.issuer.config), engine=engine).service.state
    return IssuerSeen(len(state.entries), len(state.unused_cards))


def public(run: LiveRun) -> PublicSeen:
    """What anybody may fetch, and the leaves from the board's database: they are salted hashes."""
    prepared = run.network.prepared
    leaves = schema.log_leaves
    with copied(prepared.board) as engine, database.read(engine) as connection:
        rows = connection.execute(select(leaves).order_by(leaves.c.position)).all()
    with httpx.Client(base_url=prepared.board.address, timeout=_TIMEOUT, trust_env=False) as http:
        note = http.get("/v1/log/note").content
        rolls = unframe(http.get(f"/v1/scopes/{prepared.policy.scope.hex()}/snapshots").content)
    return PublicSeen(note, [(row.position, bytes(row.leaf)) for row in rows], RollSnapshot.decode(rolls[0]))


def people(run: LiveRun) -> list[PersonSeen]:
    """What each reporter's client and each desk can open right now, with her own keys."""
    names = {one.entry: one.name for one in run.filed}
    found = []
    for one in run.filed:
        opened = [f"{names[intro.entry]}: “{opened_text(intro)}”" for intro in run.opened_by(one)]
        found.append(PersonSeen(one.name, run.state_of(one), opened))
    for desk, introductions in run.opened_by_desks().items():
        matches: dict[bytes, set[bytes]] = {}
        for intro in introductions:
            matches.setdefault(intro.group, set()).update(intro.members)
        lines = []
        for number, (group, members) in enumerate(matches.items(), 1):
            lines.append(f"match {number}: " + ", ".join(sorted(names[entry] for entry in members)))
            lines += sorted(
                f"  {names[intro.entry]}: “{opened_text(intro)}”"
                for intro in introductions
                if intro.group == group and intro.content == 2 and intro.plaintext
            )
        found.append(PersonSeen(desk, "", list(dict.fromkeys(lines))))
    return found
