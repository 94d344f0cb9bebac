"""What every call stands on: rules, the log as far as it was seen, and how requests are made.

Owns the way from the pinned fingerprint to a verified `World`, and the memory of
the newest log. Refuses to do I/O: a call is a generator of requests
(`running.py` sends them), and to know what a call is for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from notalone_client.errors import UnexpectedAnswer
from notalone_client.transport import LARGE, SMALL, Answer, Request, make_token
from notalone_client.trust import Trust, World, check_world
from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.release import BLOB_LENGTH, ReleaseItem
from notalone_crypto.primitives import hpke
from notalone_crypto.primitives.checkpoint import Checkpoint
from notalone_crypto.primitives.merkle import NODE_LENGTH
from notalone_crypto.protocol import log, release
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.randomness import Randomness

T = TypeVar("T")
Steps = Generator[Request, Answer, T]
MAX_TOKEN_BITS: Final = 24  # more would be an attack on telephones
LOOK_UP_BLOCK: Final = 4096


@dataclass(slots=True, kw_only=True)
class Session:
    """One visitor and what was verified so far; nothing of it outlives the process."""

    trust: Trust
    clock: Callable[[], int]
    randomness: Randomness = field(repr=False)
    world: World | None = field(default=None, init=False)
    bits: dict[str, int] = field(default_factory=dict, init=False)
    tried: dict[tuple[bytes, int], tuple[ReleaseItem, ...]] = field(
        default_factory=dict, init=False, repr=False
    )

    # --- rules and log ------------------------------------------------------------------------------

    def open(self) -> Steps[World]:
        """Manifest, rules and the board's parameters, verified once."""
        if self.world is None:
            about = (yield self.fetch("/v1/board")).json()
            self.bits["board"] = token_bits(about)
            manifest = (yield self.fetch("/v1/manifest", LARGE)).body
            found = (yield self.fetch(f"{self.scope_path}/policy", LARGE)).frames()
            if len(found) != 2:
                raise UnexpectedAnswer("a policy comes with one log update")
            world = check_world(self.trust, manifest, found[0])
            leaf = log.policy_leaf(world.policy)
            yield from self._extend(world, LogUpdate.decode(found[1]), leaf, world.seen)
            self.world = world
        return self.world

    def policy(self) -> Steps[ScopePolicy]:
        """The scope's rules, verified: levels, slots, desks, region."""
        return (yield from self.open()).policy

    def committee(self) -> Steps[Committee]:
        """Who holds the keys together, verified: their names, their number, how many could read."""
        return (yield from self.open()).committee

    def check_leaf(self, world: World, leaf: bytes) -> Steps[bool]:
        """Whether a note that a quorum cosigned holds `leaf` (32 bytes).

        Raises: VerificationFailed for a false proof; as `_extend` for the log.
        """
        before = world.seen
        answer = (yield self.ask("/leaves", world, leaf)).padded(LOOK_UP_BLOCK)
        if not answer:
            return False
        yield from self._extend(world, LogUpdate.decode(answer), leaf, before)
        return True

    def _extend(self, world: World, update: LogUpdate, leaf: bytes, before: Checkpoint | None) -> Steps[None]:
        """Believe a cosigned note that holds `leaf` only if its log extends every log seen here.

        `before` is what was seen when the request left: an answer may be overtaken by a newer
        one of the same client, but may not be older than its own question.

        Raises: VerificationFailed (log.*), StateConflict (state.rollback).
        """
        head = world.head(update, leaf, before)
        while True:
            seen = world.seen
            gap = world.gap(head)
            proof: tuple[bytes, ...] = ()
            if gap is not None:
                proof = yield from self._consistency(*gap)
            world.check_growth(head, seen, proof)
            if world.seen is seen:  # else another call of this client saw a newer one meanwhile
                world.remember(head, update.note)
                return

    def _consistency(self, first: int, second: int) -> Steps[tuple[bytes, ...]]:
        body = (yield self.fetch(f"/v1/log/consistency/{first}/{second}")).body
        if len(body) % NODE_LENGTH:
            raise UnexpectedAnswer("a consistency proof has another length")
        return tuple(body[start : start + NODE_LENGTH] for start in range(0, len(body), NODE_LENGTH))

    # --- requests -----------------------------------------------------------------------------------

    def released(
        self, world: World, key: hpke.HpkePrivateKey, since: int
    ) -> Steps[tuple[release.Introduction, ...]]:
        """Introductions for `key` in the closed batches from `since` on: everybody takes all, tries all.

        A batch is taken once for each key while this client lives.
        """
        about = (yield self.fetch(self.scope_path)).json()
        last = about.get("batches")
        if not isinstance(last, int) or not 0 <= last < 1 << 32:
            raise UnexpectedAnswer("the number of batches is missing")
        items: list[ReleaseItem] = []
        for number in range(max(since, 1), last + 1):
            place = key.public, number
            if place not in self.tried:
                blobs = (yield self.fetch(f"{self.scope_path}/batches/{number}/blobs", LARGE)).frames()
                if any(len(blob) != BLOB_LENGTH for blob in blobs):
                    raise MalformedInput(Code.LENGTH, "a release blob has another size")
                self.tried[place] = release.try_blobs(world.committee, self.trust.scope, key, blobs)
            items += self.tried[place]
        return release.open_items(world.committee, items)

    @property
    def scope_path(self) -> str:
        """Where the board keeps everything of this scope."""
        return f"/v1/scopes/{self.trust.scope.hex()}"

    def fetch(self, path: str, limit: int = SMALL) -> Request:
        """A request for what everybody may have."""
        return Request("board", "GET", path, limit=limit)

    def ask(self, path: str, world: World, body: bytes, limit: int = SMALL) -> Request:
        """A request about one visitor, with a token of its own."""
        return self._post("board", self.scope_path + path, world.committee.fingerprint, body, limit)

    def _post(self, service: str, path: str, audience: bytes, body: bytes, limit: int = SMALL) -> Request:
        token = make_token(audience, self.bits[service], self.clock(), self.randomness)
        return Request(service, "POST", path, body, {"Notalone-Token": token}, limit)


def token_bits(about: Mapping[str, object]) -> int:
    """The work a service asks for. Raises: UnexpectedAnswer when it is unreasonable."""
    bits = about.get("token_bits")
    if not isinstance(bits, int) or not 0 <= bits <= MAX_TOKEN_BITS:
        raise UnexpectedAnswer("a service asks for an unreasonable token")
    return bits
