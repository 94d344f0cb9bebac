"""Reporters of the benchmark: enrolled through the SDK, with filings sealed before anything is timed.

Owns people and sealed filings. Refuses to know processes and what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from tests.bench.parties import Parties

from notalone_client import Client, EntryState, Form, Named, OwnFiling, Phrase, Sealed, Trust
from notalone_client.transport import LARGE, Request, make_token, owner_authorization
from notalone_crypto.messages.filing import Filing, Receipt
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.protocol import file, roll, withdraw
from notalone_crypto.protocol.release import Introduction
from notalone_demo.live.network import until
from notalone_demo.live.operators import TOKEN_BITS
from notalone_demo.live.story import PublicBoard, SyncTransport, insist
from notalone_server.edge.rng import system_randomness

_STATUS_BLOCK: Final = 64


@dataclass(slots=True)
class Ready:
    """A filing that only has to be sent."""

    client: Client = field(repr=False)
    sealed: Sealed
    own: OwnFiling
    owner: file.OwnerKeys = field(repr=False)

    def send(self) -> Receipt:
        """Send it and check the receipt."""
        return self.client.file(self.sealed)

    def state(self, board: PublicBoard, audience: bytes) -> EntryState | None:
        """Where the board says that it stands; one signed question, where `status` lists all of hers."""
        now = int(time.time())
        token = make_token(audience, TOKEN_BITS, now, system_randomness)
        path = f"/v1/scopes/{board.scope.hex()}/status"
        asked = Request("board", "POST", path, self.own.entry, {"Notalone-Token": token})
        signed = owner_authorization(self.owner.signing_key, audience, asked, now, system_randomness)
        told = board.transport.send(
            replace(asked, headers={**asked.headers, "Authorization": signed})
        ).padded(_STATUS_BLOCK)
        return EntryState(told[0]) if told else None

    def matches(self, batch: int) -> tuple[Introduction, ...]:
        """What opens in the blobs from that batch on."""
        return self.client.matches(self.own, batch)


@dataclass(slots=True)
class People:
    """Everybody on the roll; each has a limited number of places for a period."""

    parties: Parties
    board: PublicBoard = field(init=False)
    clients: list[Client] = field(init=False, default_factory=list)
    _members: list[roll.Member] = field(init=False, default_factory=list)
    _snapshot: RollSnapshot = field(init=False)
    _spent: list[set[bytes]] = field(init=False, default_factory=list)
    _next: int = 0

    def __post_init__(self) -> None:
        """Enrol all of them with cards and wait for the roll."""
        prepared = self.parties.network.prepared
        policy = prepared.policy
        self.board = PublicBoard(policy.scope, SyncTransport({"board": prepared.board.address}))
        trust = Trust(prepared.committee.fingerprint, policy.scope)
        issuer = policy.organisations[0].issuer_key
        for card in prepared.cards:
            phrase = Phrase.new(system_randomness)
            client = Client(trust, phrase, board=prepared.board.address, issuer=prepared.issuer.address)
            insist(lambda one=client, code=card: one.enrol(code))
            self.clients.append(client)
            self._members.append(roll.member_from_phrase(phrase.entropy, policy.instance, issuer))
            self._spent.append(set())
        until(lambda: insist(self.board.places) == len(self.clients), "the roll's way to the board")
        path = f"/v1/scopes/{policy.scope.hex()}/snapshots"
        (data,) = self.board.transport.send(Request("board", "GET", path, limit=LARGE)).frames()
        self._snapshot = RollSnapshot.decode(data)

    def close(self) -> None:
        """Close every connection."""
        for client in self.clients:
            client.close()
        self.board.transport.close()

    def seal(self, number: str, person: int | None = None) -> Ready:
        """The next person's filing about whoever has that telephone number, opening to peers from two on."""
        if person is None:
            person, self._next = self._next % len(self.clients), self._next + 1
        prepared, spent = self.parties.network.prepared, self._spent[person]
        now = int(time.time())
        form = Form([Named.phone(number)], threshold=2, peers=True, preconsent=True, words="words")
        made = file.seal_report(
            prepared.committee,
            prepared.policy,
            self._snapshot,
            self._members[person],
            form.report(prepared.policy, now),
            period=withdraw.period_of(now, prepared.policy.period_days),
            spent_tags=frozenset(spent),
            randomness=system_randomness,
        )
        header = made.header
        spent.add(header.quota_tag)
        own = OwnFiling(header.period, header.quota_tag, header.entry)
        return Ready(self.clients[person], Sealed(made.filing.encode()), own, made.owner)

    def sealed(self, count: int, numbers: Iterator[str]) -> list[Ready]:
        """That many filings of different people about different ones."""
        return [self.seal(next(numbers)) for _ in range(count)]

    def wait_evaluated(self, sent: list[tuple[Ready, Receipt]], patience: float = 600.0) -> None:
        """Until all of them are in closed batches."""
        waiting, audience = list(sent), self.parties.network.prepared.committee.fingerprint
        last = max(receipt.batch for _, receipt in sent)
        until(lambda: insist(self.board.batches) >= last, "the batch that was promised", patience)
        deadline = time.monotonic() + patience
        while waiting and time.monotonic() < deadline:
            waiting = [
                one for one in waiting if one[0].state(self.board, audience) is not EntryState.EVALUATED
            ]
            if waiting:
                time.sleep(0.2)
        if waiting:
            raise RuntimeError(f"{len(waiting)} filings are not evaluated")


def numbers() -> Iterator[str]:
    """Different telephone numbers without end."""
    yield from (f"+336{number:08d}" for number in range(10_000_000, 100_000_000))


def filing_of(ready: Ready) -> Filing:
    """The message itself."""
    return Filing.decode(ready.sealed.data)
