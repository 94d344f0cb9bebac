"""The two clients an integrator uses: `Client` blocks, `AsyncClient` does not.

Owns sending. Refuses everything else: what is asked and checked is in
`steps.py`, so that both do the same. Nothing is written to disk; what has to be
kept is returned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from notalone_client.errors import ClientError, Unavailable
from notalone_client.phrase import Phrase
from notalone_client.report import Form, Sealed
from notalone_client.steps import FilingStatus, OwnFiling, Session, Steps
from notalone_client.system import system_clock, system_randomness
from notalone_client.transport import Answer, AsyncTransport, Request, SyncTransport, check_address
from notalone_client.trust import Trust
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.messages.roll import RollEntry
from notalone_crypto.protocol.release import Introduction
from notalone_crypto.randomness import Randomness

T = TypeVar("T")
ATTEMPTS = 3


class _Base:
    """What both clients have in common."""

    def __init__(
        self,
        trust: Trust,
        phrase: Phrase,
        *,
        board: str,
        issuer: str | None = None,
        proxy: str | None = None,
        clock: Callable[[], int] = system_clock,
        randomness: Randomness = system_randomness,
    ) -> None:
        """A client of one scope for one phrase.

        Args:
            trust: the pinned fingerprint of the committee and the scope.
            phrase: her twelve words.
            board: the board's address, https (http on this machine or to an onion address).
            issuer: the issuer's address; needed to enrol only.
            proxy: for example `socks5://127.0.0.1:9050`; none is taken from the environment.
            clock: seconds since 1970.
            randomness: fresh bytes; the operating system's unless tests say otherwise.

        Raises:
            NotSafe: an address without TLS that is not on this machine.
        """
        self._addresses = {"board": check_address(board)}
        if issuer is not None:
            self._addresses["issuer"] = check_address(issuer)
        self._proxy = proxy
        self._session = Session(trust, phrase, clock, randomness)

    def _need_issuer(self) -> None:
        if "issuer" not in self._addresses:
            raise ClientError("this client was given no issuer")


class Client(_Base):
    """The blocking client. Use it as a context manager."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self.close()

    def __init__(
        self,
        trust: Trust,
        phrase: Phrase,
        *,
        board: str,
        issuer: str | None = None,
        proxy: str | None = None,
        clock: Callable[[], int] = system_clock,
        randomness: Randomness = system_randomness,
    ) -> None:
        super().__init__(
            trust, phrase, board=board, issuer=issuer, proxy=proxy, clock=clock, randomness=randomness
        )
        self._transport = SyncTransport(self._addresses, self._proxy)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def policy(self) -> ScopePolicy:
        """The scope's rules, verified: levels, slots, desks, region."""
        return self._run(self._session.open()).policy

    def enrol(self, code: str) -> RollEntry | None:
        """Spend a card or mailed code on a place.

        None: the place joins the roll with its daily batch, or is on it already.
        Raises: Refused (a bad code), Unavailable; then the same call again is safe.
        """
        self._need_issuer()
        return self._run(self._session.enrol(code))

    def ask_code(self, address: str) -> None:
        """Ask for a code by e-mail; the answer is the same for every address."""
        self._need_issuer()
        self._run(self._session.ask_issuer("/v1/codes", address))

    def ask_reset(self, address: str) -> None:
        """After lost words: ask to start again. A new place may file only after the longest expiry."""
        self._need_issuer()
        self._run(self._session.ask_issuer("/v1/resets", address))

    def seal(self, form: Form) -> Sealed:
        """Seal a report on this device. Keep the result until `file` gave a receipt.

        Raises: InvalidIdentifier, RollRefused (fewer than 32 members; not on the roll yet),
        StateConflict (state.quota), ContextMismatch.
        """
        return self._run(self._session.seal(form))

    def file(self, sealed: Sealed) -> Receipt:
        """Send a sealed report and check the board's promise; sends the same bytes up to three times.

        Raises: Unavailable: call it again with the same `sealed`, now or after a restart.
        """
        return self._insist(lambda: self._session.file(sealed))

    def find(self) -> tuple[OwnFiling, ...]:
        """Her filings, found again from the phrase alone by downloading the public lists of spent tags."""
        return self._run(self._session.find())

    def status(self, *sealed: Sealed) -> tuple[FilingStatus, ...]:
        """Every filing of hers and where it stands; pass the sealed reports this device still keeps."""
        return self._run(self._session.status(sealed))

    def withdraw(self, filing: OwnFiling | Sealed) -> None:
        """Take a filing back, at the next batch. What was opened cannot be taken back."""
        self._insist(lambda: self._session.withdraw(own_filing(filing)))

    def edit(self, old: OwnFiling | Sealed, form: Form) -> Sealed:
        """Replace a filing: the new one is sealed first, then the old one is withdrawn; `file` the result.

        An edit spends a quota place. Both take effect at the next batch.
        """
        sealed = self.seal(form)
        self.withdraw(old)
        return sealed

    def matches(self, filing: OwnFiling | Sealed, since: int = 1) -> tuple[Introduction, ...]:
        """Introductions for this filing: all blobs since batch `since` are downloaded and tried here."""
        return self._run(self._session.matches(own_filing(filing), since))

    def verify_receipt(self, sealed: Sealed, receipt: Receipt) -> bool:
        """Whether the promise was kept already; raises VerificationFailed when it is false."""
        return self._run(self._session.verify_receipt(sealed, receipt))

    def _run(self, steps: Steps[T]) -> T:
        step = _advance(steps, None)
        while isinstance(step, Request):
            try:
                outcome: Answer | ClientError = self._transport.send(step)
            except ClientError as error:
                outcome = error
            step = _advance(steps, outcome)
        return step.value

    def _insist(self, make: Callable[[], Steps[T]]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._run(make())
            except Unavailable:
                continue
        return self._run(make())


class AsyncClient(_Base):
    """The same for asyncio; proofs are made on another thread. Use it with `async with`."""

    def __init__(
        self,
        trust: Trust,
        phrase: Phrase,
        *,
        board: str,
        issuer: str | None = None,
        proxy: str | None = None,
        clock: Callable[[], int] = system_clock,
        randomness: Randomness = system_randomness,
    ) -> None:
        super().__init__(
            trust, phrase, board=board, issuer=issuer, proxy=proxy, clock=clock, randomness=randomness
        )
        self._transport = AsyncTransport(self._addresses, self._proxy)

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def policy(self) -> ScopePolicy:
        """As `Client.policy`."""
        return (await self._run(self._session.open())).policy

    async def enrol(self, code: str) -> RollEntry | None:
        """As `Client.enrol`."""
        self._need_issuer()
        return await self._run(self._session.enrol(code))

    async def ask_code(self, address: str) -> None:
        """As `Client.ask_code`."""
        self._need_issuer()
        await self._run(self._session.ask_issuer("/v1/codes", address))

    async def ask_reset(self, address: str) -> None:
        """As `Client.ask_reset`."""
        self._need_issuer()
        await self._run(self._session.ask_issuer("/v1/resets", address))

    async def seal(self, form: Form) -> Sealed:
        """As `Client.seal`."""
        return await self._run(self._session.seal(form))

    async def file(self, sealed: Sealed) -> Receipt:
        """As `Client.file`."""
        return await self._insist(lambda: self._session.file(sealed))

    async def find(self) -> tuple[OwnFiling, ...]:
        """As `Client.find`."""
        return await self._run(self._session.find())

    async def status(self, *sealed: Sealed) -> tuple[FilingStatus, ...]:
        """As `Client.status`."""
        return await self._run(self._session.status(sealed))

    async def withdraw(self, filing: OwnFiling | Sealed) -> None:
        """As `Client.withdraw`."""
        await self._insist(lambda: self._session.withdraw(own_filing(filing)))

    async def edit(self, old: OwnFiling | Sealed, form: Form) -> Sealed:
        """As `Client.edit`."""
        sealed = await self.seal(form)
        await self.withdraw(old)
        return sealed

    async def matches(self, filing: OwnFiling | Sealed, since: int = 1) -> tuple[Introduction, ...]:
        """As `Client.matches`."""
        return await self._run(self._session.matches(own_filing(filing), since))

    async def verify_receipt(self, sealed: Sealed, receipt: Receipt) -> bool:
        """As `Client.verify_receipt`."""
        return await self._run(self._session.verify_receipt(sealed, receipt))

    async def _run(self, steps: Steps[T]) -> T:
        step = await asyncio.to_thread(_advance, steps, None)
        while isinstance(step, Request):
            try:
                outcome: Answer | ClientError = await self._transport.send(step)
            except ClientError as error:
                outcome = error
            step = await asyncio.to_thread(_advance, steps, outcome)
        return step.value

    async def _insist(self, make: Callable[[], Steps[T]]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._run(make())
            except Unavailable:
                continue
        return await self._run(make())


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """StopIteration cannot leave a thread; its value can."""

    value: T


def _advance(steps: Steps[T], outcome: Answer | ClientError | None) -> Request | _Done[T]:
    try:
        if outcome is None:
            return next(steps)
        if isinstance(outcome, ClientError):
            return steps.throw(outcome)
        return steps.send(outcome)
    except StopIteration as done:
        return _Done(done.value)


def own_filing(filing: OwnFiling | Sealed) -> OwnFiling:
    """What a client needs of a filing, from sealed bytes too."""
    if isinstance(filing, OwnFiling):
        return filing
    header = filing.header
    return OwnFiling(header.period, header.quota_tag, header.entry)
