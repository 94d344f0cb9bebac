"""A reporter's first visit: a place on the roll, a report sealed here, a promise checked.

Owns what is asked and checked up to the receipt. Refuses to do I/O, so that the
blocking and the asynchronous client are one (`running.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from notalone_client.errors import Refused, UnexpectedAnswer
from notalone_client.phrase import Phrase
from notalone_client.report import Form, Sealed
from notalone_client.session import Session, Steps, token_bits
from notalone_client.transport import LARGE, Request, frame, pad
from notalone_client.trust import World
from notalone_crypto.errors import Code, ContextMismatch, RollRefused, VerificationFailed
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.messages.roll import RollEntry, RollSnapshot
from notalone_crypto.protocol import file, roll, withdraw
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS, ELEMENT_LENGTH, Tag

_ADDRESS_BLOCK: Final = 512
_ENTRY_BLOCK: Final = 512


@dataclass(slots=True, kw_only=True)
class Filer(Session):
    """Somebody with twelve words."""

    phrase: Phrase = field(repr=False)

    def members(self, world: World) -> Mapping[bytes, roll.Member]:
        """Her secrets for each organisation of the scope, by issuer key."""
        name = world.policy.instance
        return {
            one.issuer_key: roll.member_from_phrase(self.phrase.entropy, name, one.issuer_key)
            for one in world.policy.organisations
        }

    # --- the issuer ---------------------------------------------------------------------------------

    def enrol(self, code: str) -> Steps[RollEntry | None]:
        """Spend a card or mailed code on a place.

        None: the place joins the roll with its daily batch, or is on it already.
        Raises: Refused (a bad code), Unavailable; then the same call again is safe.
        """
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

    def ask_code(self, address: str) -> Steps[None]:
        """Ask for a code by e-mail; the answer is the same for every address."""
        yield from self._ask_issuer("/v1/codes", pad(address.strip().encode("utf-8"), _ADDRESS_BLOCK))

    def ask_reset(self, address: str) -> Steps[None]:
        """After lost words: ask to start again. A new place may file only after the longest expiry."""
        yield from self._ask_issuer("/v1/resets", pad(address.strip().encode("utf-8"), _ADDRESS_BLOCK))

    def stop_reset(self, code: str) -> Steps[None]:
        """Somebody else asked for a reset: the code of the letter keeps the place. One answer for all."""
        yield from self._ask_issuer("/v1/resets/stop", frame(code.strip().encode("ascii", "replace")))

    def _ask_issuer(self, path: str, body: bytes) -> Steps[None]:
        world = yield from self.open()
        key = yield from self._issuer(world)
        yield self._post("issuer", path, key, body)

    def _issuer(self, world: World) -> Steps[bytes]:
        about = (yield Request("issuer", "GET", "/v1/issuer")).json()
        self.bits["issuer"] = token_bits(about)
        known = {one.issuer_key.hex(): one.issuer_key for one in world.policy.organisations}
        key = known.get(str(about.get("issuer_key")))
        if key is None or about.get("scope") != world.policy.scope.hex():
            raise ContextMismatch(Code.SCOPE, "this issuer is not one of the scope's")
        return key

    # --- filing -------------------------------------------------------------------------------------

    def seal(self, form: Form) -> Steps[Sealed]:
        """Seal a report on this device; nothing is sent yet. Keep the result until `file` gave a receipt.

        Raises: InvalidIdentifier, RollRefused (fewer than 32 members; not on the roll yet),
        StateConflict (state.quota), ContextMismatch.
        """
        world = yield from self.open()
        now = self.clock()
        report = form.report(world.policy, now)  # before any request, whose pattern would tell
        ring, member = yield from self._ring(world)
        if now < ring.issued_at <= now + CLOCK_TOLERANCE_SECONDS:
            now = ring.issued_at  # this device's clock is a little slow: no place of a period before the roll
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
        """Send a sealed report and check the board's promise; sends the same bytes up to three times.

        Raises: Unavailable: call it again with the same `sealed`, now or after a restart.
        """
        world = yield from self.open()
        header = sealed.header
        if header.committee != world.committee.identifier or header.scope != self.trust.scope:
            raise ContextMismatch(Code.SCOPE, "this was sealed for another committee or scope")
        answer = yield self.ask("/filings", world, sealed.data)
        receipt = Receipt.decode(answer.body)
        self._check_promise(world, receipt, sealed)
        return receipt

    def _check_promise(self, world: World, receipt: Receipt, sealed: Sealed) -> None:
        check_signature(receipt, world.committee.manifest.board_key, Tag.RECEIPT)
        if receipt.filing != sealed.filing.fingerprint or receipt.entry != sealed.entry:
            raise VerificationFailed(Code.SIGNATURE, "the board promises another filing")

    def _ring(self, world: World) -> Steps[tuple[RollSnapshot, roll.Member]]:
        answer = yield self.fetch(f"{self.scope_path}/snapshots", LARGE)
        members = self.members(world)
        for data in answer.frames():
            snapshot = RollSnapshot.decode(data)
            member = members.get(snapshot.issuer_key)
            if member is not None and member.place in snapshot.places:
                return snapshot, member
        raise RollRefused(Code.NOT_ELIGIBLE, "this place is not in a current roll: come back later")

    def _spent(self, period: int) -> Steps[tuple[bytes, ...]]:
        body = (yield self.fetch(f"{self.scope_path}/spent/{period}", LARGE)).body
        if len(body) % ELEMENT_LENGTH:
            raise UnexpectedAnswer("a list of tags has another length")
        return tuple(body[start : start + ELEMENT_LENGTH] for start in range(0, len(body), ELEMENT_LENGTH))
