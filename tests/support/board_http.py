"""People and trustees of a `World` as clients of a board over HTTP, for the board's tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
from tests.support.world import World

from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.primitives import signing as ed25519
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.state import TrusteeState
from notalone_server.edge import limits, octets, signing

BITS = 4


class Client(Protocol):
    def request(self, method: str, path: str, **options: Any) -> httpx.Response: ...


@dataclass(slots=True)
class BoardUser:
    """Every request that somebody makes of a board."""

    world: World
    client: Client
    clock: Callable[[], int] = lambda: int(time.time())
    log: list[str] = field(default_factory=list)  # every path asked for

    @property
    def scope(self) -> str:
        return f"/v1/scopes/{self.world.policy.scope.hex()}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> httpx.Response:
        self.log.append(path)
        if body is not None:
            headers["content-type"] = octets.MEDIA_TYPE
        return self.client.request(method, path, content=body, headers=headers)

    def token(self) -> str:
        return limits.make_token(self.world.committee.fingerprint, BITS, self.clock(), self.world.randomness)

    def anonymous(self, path: str, body: bytes) -> httpx.Response:
        return self.ask("POST", self.scope + path, body, **{"notalone-token": self.token()})

    def signed(
        self, signer: str, key: ed25519.SigningKey, method: str, path: str, body: bytes | None = None
    ) -> httpx.Response:
        value = signing.authorization(
            key,
            signer,
            self.world.committee.fingerprint,
            method,
            path,
            body or b"",
            self.clock(),
            self.world.randomness,
        )
        return self.ask(method, path, body, **{"authorization": value, "notalone-token": self.token()})

    def trustee(self, index: int, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        return self.signed(f"trustee/{index}", self.world.secrets[index].signing_key, method, path, body)

    def feed(self, index: int = 1, after: int = 0) -> list[FeedItem]:
        answer = self.trustee(index, "GET", f"{self.scope}/feed/{after}")
        assert answer.status_code == 200, answer.text
        return [FeedItem.decode(data) for data in octets.unframe(answer.content)]

    def cosign_policy(self) -> None:
        """Every trustee verifies and cosigns the leaf in progress, which holds the policy."""
        for index, secrets in self.world.secrets.items():
            answer = self.trustee(index, "GET", "/v1/log/updates/0/0")
            assert answer.status_code == 200, answer.text
            machine = Machine(self.world.committee, secrets, TrusteeState())
            post = machine.approve_policy(self.world.policy, LogUpdate.decode(answer.content), self.clock())
            taken = self.trustee(index, "POST", "/v1/log/cosignatures", post.payload)
            assert taken.status_code == 204, taken.text
