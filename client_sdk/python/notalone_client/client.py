"""A reporter's two clients: `Client` blocks, `AsyncClient` does not; their methods are the same.

Owns the list of calls. Refuses everything else: what is asked and checked is in
`steps.py` and its neighbours, sending is in `running.py`. Nothing is written to
disk; what has to be kept is returned.
"""

from __future__ import annotations

from collections.abc import Callable

from notalone_client.phrase import Phrase
from notalone_client.running import ATTEMPTS, Asynchronous, Blocking, Call
from notalone_client.steps_contact import Reporter
from notalone_client.system import system_clock, system_randomness
from notalone_client.trust import Trust
from notalone_crypto.randomness import Randomness


class _Calls:
    """What a reporter can do. Each is documented where its steps are."""

    policy = Call(Reporter.policy)
    committee = Call(Reporter.committee)
    enrol = Call(Reporter.enrol)
    ask_code = Call(Reporter.ask_code)
    ask_reset = Call(Reporter.ask_reset)
    stop_reset = Call(Reporter.stop_reset)
    seal = Call(Reporter.seal)
    file = Call(Reporter.file, attempts=ATTEMPTS)
    edit = Call(Reporter.edit)
    find = Call(Reporter.find)
    status = Call(Reporter.status)
    withdraw = Call(Reporter.withdraw, attempts=ATTEMPTS)
    verify_receipt = Call(Reporter.verify_receipt)
    matches = Call(Reporter.matches)
    conversations = Call(Reporter.conversations)
    consent = Call(Reporter.consent)
    send = Call(Reporter.send)
    share = Call(Reporter.share)
    receive = Call(Reporter.receive)


class Client(_Calls, Blocking[Reporter]):
    """The blocking client of one scope for one phrase. Use it as a context manager."""

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
        """Nothing is asked yet.

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
        session = Reporter(trust=trust, phrase=phrase, clock=clock, randomness=randomness)
        super().__init__(session, board, issuer, proxy)


class AsyncClient(_Calls, Asynchronous[Reporter]):
    """The same for asyncio: every call is a coroutine. Use it with `async with`."""

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
        """As `Client`."""
        session = Reporter(trust=trust, phrase=phrase, clock=clock, randomness=randomness)
        super().__init__(session, board, issuer, proxy)
