"""How a call runs: its requests sent blocking, or with asyncio. Every client is one of the two.

Owns sending, repeating and the one place where a call becomes a method of a
client. Refuses to know what a call asks and checks (session.py, steps*.py):
that is written once, for all clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import update_wrapper
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

from notalone_client.errors import ClientError, Unavailable
from notalone_client.session import Session, Steps
from notalone_client.transport import Answer, AsyncTransport, Request, SyncTransport, check_address

S = TypeVar("S", bound=Session)
S_co = TypeVar("S_co", bound=Session, covariant=True)
P = ParamSpec("P")
T = TypeVar("T")
ATTEMPTS: Final = 3


class _Connected(Generic[S_co]):
    """A session and where its services are."""

    def __init__(self, session: S_co, board: str, issuer: str | None, proxy: str | None) -> None:
        self._session = session
        self._addresses = {"board": check_address(board)}
        if issuer is not None:
            self._addresses["issuer"] = check_address(issuer)
        self._proxy = proxy

    @property
    def remembered(self) -> bytes:
        """The note of the largest log seen, for the `Trust` of a later client; empty before the first call.

        It holds nothing about this visitor, but how old it is tells when somebody was here last.
        """
        world = self._session.world
        return b"" if world is None else world.note


class Blocking(_Connected[S_co]):
    """Sends one request after the other. Use it as a context manager."""

    def __init__(self, session: S_co, board: str, issuer: str | None, proxy: str | None) -> None:
        super().__init__(session, board, issuer, proxy)
        self._transport = SyncTransport(self._addresses, self._proxy)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _run(self, make: Callable[[], Steps[T]], attempts: int) -> T:
        while True:
            attempts -= 1
            try:
                return self._once(make())
            except Unavailable:
                if not attempts:
                    raise

    def _once(self, steps: Steps[T]) -> T:
        step = _advance(steps, None)
        while isinstance(step, Request):
            try:
                outcome: Answer | ClientError = self._transport.send(step)
            except ClientError as error:
                outcome = error
            step = _advance(steps, outcome)
        return step.value


class Asynchronous(_Connected[S_co]):
    """The same for asyncio; proofs are made on another thread. Use it with `async with`."""

    def __init__(self, session: S_co, board: str, issuer: str | None, proxy: str | None) -> None:
        super().__init__(session, board, issuer, proxy)
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

    async def _run(self, make: Callable[[], Steps[T]], attempts: int) -> T:
        while True:
            attempts -= 1
            try:
                return await self._once(make())
            except Unavailable:
                if not attempts:
                    raise

    async def _once(self, steps: Steps[T]) -> T:
        step = await asyncio.to_thread(_advance, steps, None)
        while isinstance(step, Request):
            try:
                outcome: Answer | ClientError = await self._transport.send(step)
            except ClientError as error:
                outcome = error
            step = await asyncio.to_thread(_advance, steps, outcome)
        return step.value


class Call(Generic[S, P, T]):
    """A session's steps as a method: it returns the result on a blocking client, a coroutine on the other.

    `attempts`: how often the whole call is made while there is no answer; more than once only
    where the same bytes sent twice are the same as once.
    """

    def __init__(self, steps: Callable[Concatenate[S, P], Steps[T]], *, attempts: int = 1) -> None:
        self._steps = steps
        self._attempts = attempts
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Any]: ...
    @overload
    def __get__(self, client: Blocking[S], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Asynchronous[S], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Blocking[S] | Asynchronous[S] | None, owner: type) -> Callable[..., Any]:
        """The method; on the class, what `help` shows."""
        if client is None:
            return self._steps

        def call(*args: P.args, **kwargs: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return client._run(  # noqa: SLF001 - the two classes above
                lambda: self._steps(client._session, *args, **kwargs),  # noqa: SLF001
                self._attempts,
            )

        bound = self._steps.__get__(client._session)  # noqa: SLF001
        return update_wrapper(call, bound)


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
