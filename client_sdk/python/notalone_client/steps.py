"""Every call of the client as steps: requests out, answers in, a result at the end.

Owns what is asked and what is checked. Refuses to do I/O: `client.py` sends the
requests, blocking or not, so that both clients are one. Look-ups of one
reporter's things are made so that an answer's size and status tell nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, unique
from typing import Final, TypeVar

from notalone_client.errors import Refused, UnexpectedAnswer
from notalone_client.phrase import Phrase
from notalone_client.report import Form, Sealed
from notalone_client.transport import LARGE, Answer, Request, frame, make_token, owner_authorization, pad
from notalone_client.trust import Trust, World, check_world
from notalone_crypto.errors import Code, ContextMismatch, MalformedInput, RollRefused, VerificationFailed
from notalone_crypto.messages.evaluation import Inclusion, LogUpdate
from notalone_crypto.messages.filing import Filing, Receipt
from notalone_crypto.messages.release import BLOB_LENGTH, ReleaseItem
from notalone_crypto.messages.roll import RollEntry, RollSnapshot
from notalone_crypto.primitives import hpke
from notalone_crypto.protocol import file, record, release, roll, withdraw
from notalone_crypto.protocol.file import OwnerKeys
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import ELEMENT_LENGTH, Tag

T = TypeVar("T")
Steps = Generator[Request, Answer, T]
MAX_TOKEN_BITS: Final = 24  # more would be an attack on telephones
_ADDRESS_BLOCK: Final = 512
_ENTRY_BLOCK: Final = 512
_PATH_BLOCK: Final = 4096
_STATUS_BLOCK: Final = 64


@unique
class EntryState(IntEnum):
    """Where a filing stands, as the board tells its owner."""

    WAITING = 1
    ACCEPTED = 2  # by every trustee
    EVALUATED = 3
    WITHDRAWN = 4  # taken back at the next batch
    GONE = 5
    REFUSED = 6  # by a trustee


@dataclass(frozen=True, slots=True)
class OwnFiling:
    """One of her filings, found again from the phrase alone.

    `entry` is empty until the first batch that counted it: until then only the
    device that keeps the sealed bytes knows its name.
    """

    period: int
    quota_tag: bytes = field(repr=False)
    entry: bytes = b""


@dataclass(frozen=True, slots=True)
class FilingStatus:
    """What the owner sees of one filing."""

    filing: OwnFiling
    state: EntryState | None  # None: the board does not know it (or its name is not known here yet)
    batch: int  # the batch that evaluated it, or 0
    counted: bool  # a verified path shows it in a cosigned batch


@dataclass(slots=True)
class Session:
    """One reporter and what she has verified so far; nothing of it outlives the process."""

    trust: Trust
    phrase: Phrase = field(repr=False)
    clock: Callable[[], int]
    randomness: Randomness = field(repr=False)
    world: World | None = None
    bits: dict[str, int] = field(default_factory=dict)

    # --- what everything stands on ------------------------------------------------------------------

    def open(self) -> Steps[World]:
        """Manifest, policy and the board's parameters, verified once."""
        if self.world is None:
            about = (yield self._get("/v1/board")).json()
            self.bits["board"] = _bits(about)
            manifest = (yield self._get("/v1/manifest", LARGE)).body
            found = (yield self._get(f"{self._scope}/policy", LARGE)).frames()
            if len(found) != 2:
                raise UnexpectedAnswer("a policy comes with one log update")
            self.world = check_world(self.trust, manifest, *found)
        return self.world

    def members(self, world: World) -> Mapping[bytes, roll.Member]:
        """Her secrets for each organisation of the scope, by issuer key."""
        name = world.policy.instance
        return {
            one.issuer_key: roll.member_from_phrase(self.phrase.entropy, name, one.issuer_key)
            for one in world.policy.organisations
        }

    # --- the issuer ---------------------------------------------------------------------------------

    def enrol(self, code: str) -> Steps[RollEntry | None]:
        """Spend a card or mailed code. None: the place joins with its batch, or is on the roll already."""
        world = yield from self.open()
        key = yield from self._issuer(world)
        member = self.members(world)[key]
        request = roll.enrol(member, world.policy.instance, key, self.randomness)
        body = frame(code.strip().encode("ascii", "replace"), request.encode())
        try:
            answer = yield self._post("issuer", "/v1/enrolments", key, body)
        except Refused as refused:
            if refused.status == 409:  # an answer was lost before: she has her place
                return None
            raise
        data = answer.padded(_ENTRY_BLOCK)
        if not data:
            return None
        entry = RollEntry.decode(data)
        check_signature(entry, key, Tag.ROLL_ENTRY)
        if entry.place != member.place or entry.issuer_key != key:
            raise VerificationFailed(Code.SIGNATURE, "the issuer signed another place")
        return entry

    def ask_issuer(self, path: str, address: str) -> Steps[None]:
        """Type an address for a code or a reset; the answer is the same for every address."""
        world = yield from self.open()
        key = yield from self._issuer(world)
        yield self._post("issuer", path, key, pad(address.encode("utf-8"), _ADDRESS_BLOCK))

    def _issuer(self, world: World) -> Steps[bytes]:
        about = (yield Request("issuer", "GET", "/v1/issuer")).json()
        self.bits["issuer"] = _bits(about)
        known = {one.issuer_key.hex(): one.issuer_key for one in world.policy.organisations}
        key = known.get(str(about.get("issuer_key")))
        if key is None or about.get("scope") != world.policy.scope.hex():
            raise ContextMismatch(Code.SCOPE, "this issuer is not one of the scope's")
        return key

    # --- filing -------------------------------------------------------------------------------------

    def seal(self, form: Form) -> Steps[Sealed]:
        """Fetch the rolls and the spent tags, then seal on this device. Nothing is sent yet."""
        world = yield from self.open()
        now = self.clock()
        report = form.report(world.policy, now)  # before any request, whose pattern would tell
        ring, member = yield from self._ring(world)
        period = withdraw.period_of(now, world.policy.period_days)
        spent = yield from self._spent(period)
        sealed = file.seal_report(
            world.committee,
            world.policy,
            ring,
            member,
            report,
            period=period,
            spent_tags=frozenset(spent),
            randomness=self.randomness,
        )
        return Sealed(sealed.filing.encode())

    def file(self, sealed: Sealed) -> Steps[Receipt]:
        """Send sealed bytes; the same bytes again get the same promise."""
        world = yield from self.open()
        filing = Filing.decode(sealed.data)
        if sealed.header.committee != world.committee.identifier or sealed.header.scope != self.trust.scope:
            raise ContextMismatch(Code.SCOPE, "this was sealed for another committee or scope")
        answer = yield self._board("/filings", world, sealed.data)
        receipt = Receipt.decode(answer.body)
        self._check_promise(world, receipt, filing, sealed.entry)
        return receipt

    def _check_promise(self, world: World, receipt: Receipt, filing: Filing, entry: bytes) -> None:
        check_signature(receipt, world.committee.manifest.board_key, Tag.RECEIPT)
        if receipt.filing != filing.fingerprint or receipt.entry != entry:
            raise VerificationFailed(Code.SIGNATURE, "the board promises another filing")

    def _ring(self, world: World) -> Steps[tuple[RollSnapshot, roll.Member]]:
        answer = yield self._get(f"{self._scope}/snapshots", LARGE)
        members = self.members(world)
        for data in answer.frames():
            snapshot = RollSnapshot.decode(data)
            member = members.get(snapshot.issuer_key)
            if member is not None and member.place in snapshot.places:
                return snapshot, member
        raise RollRefused(Code.NOT_ELIGIBLE, "this place is not in a current roll: come back later")

    def _spent(self, period: int) -> Steps[tuple[bytes, ...]]:
        body = (yield self._get(f"{self._scope}/spent/{period}", LARGE)).body
        if len(body) % ELEMENT_LENGTH:
            raise UnexpectedAnswer("a list of tags has another length")
        return tuple(body[start : start + ELEMENT_LENGTH] for start in range(0, len(body), ELEMENT_LENGTH))

    # --- coming back --------------------------------------------------------------------------------

    def find(self) -> Steps[tuple[OwnFiling, ...]]:
        """Her filings of every period in which one may still be alive, from the phrase alone."""
        world = yield from self.open()
        policy = world.policy
        last = withdraw.period_of(self.clock(), policy.period_days)
        reach = policy.maximum_weeks * 7 // policy.period_days + 1
        # Her secret is the same in every organisation; only the blinding of the place differs.
        member = next(iter(self.members(world).values()))
        found: list[OwnFiling] = []
        for period in range(max(last - reach, 0), last + 1):
            spent = frozenset((yield from self._spent(period)))
            tags = file.own_tags(world.committee, policy, member, period)
            found += [OwnFiling(period, tag) for tag in tags if tag in spent]
        return tuple(found)

    def status(self, sealed: tuple[Sealed, ...] = ()) -> Steps[tuple[FilingStatus, ...]]:
        """Every filing of hers and where it stands; `sealed` are bytes this device still keeps."""
        world = yield from self.open()
        names = {one.header.quota_tag: one.entry for one in sealed}
        statuses: list[FilingStatus] = []
        for filing in (yield from self.find()):
            entry, counted = yield from self._counted(world, filing)
            named = replace(filing, entry=entry or names.get(filing.quota_tag, b""))
            state, batch = (None, 0) if not named.entry else (yield from self._state(world, named))
            statuses.append(FilingStatus(named, state, batch, counted))
        return tuple(statuses)

    def _state(self, world: World, filing: OwnFiling) -> Steps[tuple[EntryState | None, int]]:
        request = self._board("/status", world, filing.entry)
        key = self._owner(world, filing.quota_tag).signing_key
        header = owner_authorization(key, world.committee.fingerprint, request, self.clock(), self.randomness)
        answer = yield replace(request, headers={**request.headers, "Authorization": header})
        told = answer.padded(_STATUS_BLOCK)
        if not told:
            return None, 0
        if len(told) != 5 or told[0] not in tuple(EntryState):
            raise UnexpectedAnswer("a status has another shape")
        return EntryState(told[0]), int.from_bytes(told[1:], "big")

    def _counted(self, world: World, filing: OwnFiling) -> Steps[tuple[bytes, bool]]:
        """The entry's name and whether a cosigned batch counted it, from the sealed path."""
        key = self._owner(world, filing.quota_tag).recipient_key
        answer = yield self._board("/inclusions", world, key.public)
        sealed = answer.padded(_PATH_BLOCK)
        if not sealed:
            return b"", False
        context = release.blob_context(world.committee, self.trust.scope)
        path = Inclusion.decode(hpke.open_sealed(key, context, sealed))
        leaf = record.check_inclusion(path, path.entry)
        answer = yield self._board("/leaves", world, leaf)
        update = answer.padded(_PATH_BLOCK)
        if not update:
            return path.entry, False
        world.check_leaf(LogUpdate.decode(update), leaf)
        return path.entry, True

    def withdraw(self, filing: OwnFiling) -> Steps[None]:
        """Take a filing back, at the next batch. What was opened cannot be taken back."""
        world = yield from self.open()
        if not filing.entry:
            raise ContextMismatch(Code.UNKNOWN_ENTRY, "its name is known after its first batch")
        key = self._owner(world, filing.quota_tag).signing_key
        yield self._board("/withdrawals", world, withdraw.withdraw(filing.entry, key).encode())

    def matches(self, filing: OwnFiling, since: int = 1) -> Steps[tuple[release.Introduction, ...]]:
        """Every introduction meant for this filing: download all blobs from batch `since` on, try each."""
        world = yield from self.open()
        key = self._owner(world, filing.quota_tag).recipient_key
        about = (yield self._get(self._scope)).json()
        last = about.get("batches")
        if not isinstance(last, int) or not 0 <= last < 1 << 32:
            raise UnexpectedAnswer("the number of batches is missing")
        items: list[ReleaseItem] = []
        for number in range(max(since, 1), last + 1):
            blobs = (yield self._get(f"{self._scope}/batches/{number}/blobs", LARGE)).frames()
            if any(len(blob) != BLOB_LENGTH for blob in blobs):
                raise MalformedInput(Code.LENGTH, "a release blob has another size")
            items += release.try_blobs(world.committee, self.trust.scope, key, blobs)
        return release.open_items(world.committee, items)

    def verify_receipt(self, sealed: Sealed, receipt: Receipt) -> Steps[bool]:
        """Whether the promise was kept: True once a verified path shows the filing in a cosigned batch.

        Raises: VerificationFailed when the receipt is not the board's for this filing, or
        the path it shows is false.
        """
        world = yield from self.open()
        header = sealed.header
        self._check_promise(world, receipt, Filing.decode(sealed.data), sealed.entry)
        entry, counted = yield from self._counted(world, OwnFiling(header.period, header.quota_tag))
        if counted and entry != sealed.entry:
            raise VerificationFailed(Code.INCLUSION, "the path is for another entry")
        return counted

    # --- requests -----------------------------------------------------------------------------------

    def _owner(self, world: World, tag: bytes) -> OwnerKeys:
        return file.owner_keys(next(iter(self.members(world).values())), tag)

    @property
    def _scope(self) -> str:
        return f"/v1/scopes/{self.trust.scope.hex()}"

    def _get(self, path: str, limit: int = 64 * 1024) -> Request:
        return Request("board", "GET", path, limit=limit)

    def _board(self, path: str, world: World, body: bytes) -> Request:
        return self._post("board", self._scope + path, world.committee.fingerprint, body)

    def _post(self, service: str, path: str, audience: bytes, body: bytes) -> Request:
        token = make_token(audience, self.bits[service], self.clock(), self.randomness)
        return Request(service, "POST", path, body, {"Notalone-Token": token})


def _bits(about: Mapping[str, object]) -> int:
    bits = about.get("token_bits")
    if not isinstance(bits, int) or not 0 <= bits <= MAX_TOKEN_BITS:
        raise UnexpectedAnswer("a service asks for an unreasonable token")
    return bits
