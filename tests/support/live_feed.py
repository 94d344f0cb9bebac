"""A board's whole feed as an auditor reads it, and the search for randomness that was used twice.

Owns reading, opening and comparing. Everything is done with what an auditor has: a verify key
at the board, a channel key in the manifest, and (for filings) the bytes their reporters kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import httpx

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import (
    BatchPlan,
    PlanVote,
    RecordVote,
    RoundOne,
    RoundTwo,
)
from notalone_crypto.messages.feed import CONFIDENTIAL_KINDS, Envelope, FeedItem, FeedKind
from notalone_crypto.messages.filing import (
    Acceptance,
    BundleComplaint,
    Filing,
    FilingTrace,
    Header,
    Withdrawal,
)
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol import envelope
from notalone_crypto.protocol.keys import Committee
from notalone_server.edge.octets import MEDIA_TYPE, unframe
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.signing import authorization

CHUNK = 32
MESSAGES = {
    FeedKind.ACCEPTANCE: Acceptance,
    FeedKind.COMPLAINT: BundleComplaint,
    FeedKind.PLAN_VOTE: PlanVote,
    FeedKind.ROUND_ONE: RoundOne,
    FeedKind.ROUND_TWO: RoundTwo,
    FeedKind.RECORD_VOTE: RecordVote,
    FeedKind.RELEASES: ReleaseBatch,
}


class UsedTwiceError(Exception):
    """The same randomness in two different messages, or two messages for one place."""


@dataclass(frozen=True)
class Auditor:
    """Two keys and the feed they open."""

    channel: hpke.HpkePrivateKey = field(default_factory=lambda: hpke.generate_key(system_randomness))
    reader: signing.SigningKey = field(default_factory=lambda: signing.generate_key(system_randomness))

    @property
    def public(self) -> tuple[bytes, bytes]:
        """What goes into manifest and settings."""
        return self.channel.public, self.reader.verify_key

    def feed(self, board: str, committee: Committee, scope: bytes, now: int) -> list[FeedItem]:
        """Every item, over HTTP with signed requests."""
        items: list[FeedItem] = []
        with httpx.Client(base_url=board, trust_env=False, timeout=30) as client:
            while True:
                path = f"/v1/scopes/{scope.hex()}/feed/{items[-1].sequence if items else 0}"
                header = authorization(
                    self.reader, "auditor/1", committee.fingerprint, "GET", path, b"", now, system_randomness
                )
                answer = client.get(path, headers={"Authorization": header, "Accept": MEDIA_TYPE})
                answer.raise_for_status()
                page = [FeedItem.decode(data) for data in unframe(answer.content)]
                if not page:
                    return items
                items += page


@dataclass
class Uses:
    """Where each piece of randomness was seen: one different message with the same piece is an error."""

    seen: dict[tuple[str, bytes], bytes] = field(default_factory=dict)

    def take(self, kind: str, piece: bytes, message: bytes) -> None:
        known = self.seen.setdefault((kind, piece), hashlib.sha256(message).digest())
        if known != hashlib.sha256(message).digest():
            raise UsedTwiceError(f"{kind} {piece.hex()[:16]} stands in two different messages")

    def chunks(self, kind: str, data: bytes, message: bytes) -> None:
        """Every 32 bytes of a proof: a nonce used twice repeats a commitment, or an answer."""
        for start in range(0, len(data), CHUNK):
            self.take(kind, data[start : start + CHUNK], message)

    def count(self, kind: str) -> int:
        return sum(one == kind for one, _ in self.seen)


@dataclass
class Examined:
    """Everything a feed holds, opened; raises UsedTwiceError while it is built."""

    committee: Committee
    policy: ScopePolicy
    items: Sequence[FeedItem]
    auditor: Auditor
    uses: Uses = field(default_factory=Uses)
    places: dict[tuple[FeedKind, int, bytes], bytes] = field(default_factory=dict)
    payloads: set[str] = field(default_factory=set)
    plans: list[tuple[int, BatchPlan]] = field(default_factory=list)
    accepted: dict[bytes, dict[int, int]] = field(default_factory=dict)  # entry -> trustee -> sequence
    filed: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)  # entry -> sequence, fingerprint
    withdrawn: dict[bytes, int] = field(default_factory=dict)  # entry -> sequence
    on_roll: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        for item in self.items:
            self.payloads.add(hashlib.sha256(item.payload).hexdigest())
            self._take(item)

    def _take(self, item: FeedItem) -> None:
        kind = FeedKind(item.kind)
        payload = item.payload
        if kind in CONFIDENTIAL_KINDS:
            sealed = Envelope.decode(payload)
            for key in sealed.keys:
                self.uses.take("HPKE enc", key[:CHUNK], key)
            self.uses.take("AEAD key", sealed.body[:CHUNK], sealed.body)
            payload = envelope.open_for(
                self.committee, self.policy.scope, item.kind, sealed, self.auditor.channel
            )
        if kind in MESSAGES:
            self._posted(kind, item.sequence, payload)
        elif kind == FeedKind.PLAN:
            self.plans.append((item.sequence, BatchPlan.decode(payload)))
        elif kind == FeedKind.FILING:
            filing = Filing.decode(payload)
            self._filed(item.sequence, filing.header, filing.proof, filing.signature, filing.fingerprint)
            self._sealed_parts(filing)
        elif kind == FeedKind.ERASED_FILING:
            trace = FilingTrace.decode(payload)
            self._filed(item.sequence, trace.header, trace.proof, trace.signature, trace.fingerprint)
        elif kind == FeedKind.WITHDRAWAL:
            self.withdrawn[Withdrawal.decode(payload).entry] = item.sequence
        elif kind == FeedKind.SNAPSHOT:
            self.on_roll |= set(RollSnapshot.decode(payload).places)

    def _posted(self, kind: FeedKind, sequence: int, payload: bytes) -> None:
        message = MESSAGES[kind].decode(payload)
        name = message.entry if isinstance(message, Acceptance | BundleComplaint) else message.plan
        place = (kind, message.trustee, name)
        if self.places.setdefault(place, payload) != payload:
            raise UsedTwiceError(f"trustee {message.trustee} posted two different messages: {kind.name}")
        self.uses.take("signature nonce", message.signature[:CHUNK], payload)
        if isinstance(message, RoundOne | RoundTwo):
            self.uses.chunks("round proof", message.proof, payload)
        elif isinstance(message, PlanVote):
            self.uses.take("salt", message.salt, payload)
        elif isinstance(message, ReleaseBatch):
            for blob in message.blobs:
                self.uses.take("HPKE enc", blob[:CHUNK], blob)
        elif isinstance(message, Acceptance):
            self.accepted.setdefault(message.entry, {})[message.trustee] = sequence
            for row in message.subset_commitments:
                # Two trustees hold each subset and commit to the same value: compared by entry.
                for element in row:
                    self.uses.take("subset commitment", element, message.entry)

    def _filed(self, sequence: int, encoded: bytes, proof: bytes, signature: bytes, name: bytes) -> None:
        header = Header.decode(encoded)
        self.filed[header.entry] = (sequence, name)
        for piece in (header.enc, header.member, header.quota_tag, header.owner_key, header.recipient_key):
            self.uses.take("filing", piece, encoded)
        for rows in (header.identifier_commitments, header.inverse_commitments, header.content_commitments):
            for row in rows:
                for element in row:
                    self.uses.take("Pedersen commitment", element, encoded)
        self.uses.chunks("filing proof", proof, encoded)
        self.uses.take("signature nonce", signature[:CHUNK], encoded)

    def _sealed_parts(self, filing: Filing) -> None:
        for sealed in (*filing.bundles, filing.first_introduction, filing.second_introduction):
            self.uses.take("AEAD key", sealed[:CHUNK], sealed)

    def kept(self, filings: Iterable[bytes]) -> None:
        """The whole filings, from the devices that made them: bundles are erased at the board by now."""
        for data in filings:
            filing = Filing.decode(data)
            self._filed(self.filed[Header.decode(filing.header).entry][0], filing.header, filing.proof,
                        filing.signature, filing.fingerprint)  # fmt: skip
            self._sealed_parts(filing)

    def first_plan_after(self, sequence: int) -> BatchPlan | None:
        """The first plan that stands after an item."""
        return next((plan for place, plan in self.plans if place > sequence), None)
