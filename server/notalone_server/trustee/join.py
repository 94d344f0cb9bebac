"""All steps of a ceremony in one go, over an exchange: wait for the others, stop for the operator's ears.

Owns the order and the patience. Refuses to compare for the operator. Killed
anywhere and begun again, it goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from notalone_crypto.errors import CeremonyFailed, Code, Fault, Misuse, StateConflict
from notalone_crypto.messages.committee import Manifest
from notalone_crypto.protocol.keys import Committee
from notalone_server.trustee.ceremony import Ceremony
from notalone_server.trustee.exchange_client import ExchangeClient, ExchangeUnreachable
from notalone_server.trustee.public import DEALING, HASHES, KEYS, SIGNATURE

_NOUNS: Final = {
    KEYS: "the keys",
    DEALING: "the dealing",
    HASHES: "the confirmation",
    SIGNATURE: "the signature",
}
_TRIES: Final = 3


@dataclass(slots=True)
class Join:
    """One trustee's whole part."""

    ceremony: Ceremony
    exchange: ExchangeClient
    tell: Callable[[str], None]  # a line for the operator
    heard: Callable[[Manifest], str]  # shows the manifest, asks what the others read; nothing: later
    pause: float = 2.0  # seconds between two looks, at most
    patience: float | None = None  # seconds of waiting for one thing before it stops; None: for ever

    def run(self) -> Committee:
        """From keys to the signed manifest.

        Raises: CeremonyFailed, StateConflict and Misuse as the steps do (state.out_of_order when
        patience ends), ExchangeUnreachable.
        """
        steps = ((self.ceremony.keys, KEYS), (self.ceremony.deal, DEALING), (self.ceremony.confirm, HASHES))
        self._patiently(lambda: self.exchange.pull(self.ceremony))
        for step, kind in steps:
            try:
                step()
            except CeremonyFailed:
                # The complaint that was written has to reach the others before we stop.
                self._patiently(lambda: self.exchange.push(self.ceremony))
                raise
            self._wait(kind)
        self._sign()
        self._wait(SIGNATURE)
        return self.ceremony.finish()

    def _sign(self) -> None:
        manifest = self.ceremony.manifest()
        if self.ceremony.signed_before == manifest.fingerprint:
            self.ceremony.sign(manifest.fingerprint.hex())  # again, in case it was lost on its way
            return
        for left in reversed(range(_TRIES)):
            heard = self.heard(manifest)
            try:
                self.ceremony.sign(heard)
            except (StateConflict, Misuse) as error:
                if not left or error.code not in {Code.MANIFEST, Code.TEXT} or not heard:
                    raise
                self.tell(f"{error.detail}.")
                continue
            return

    def _wait(self, kind: str) -> None:
        """Hand over what is ours, until everybody's message of a kind is here."""
        self._patiently(lambda: self.exchange.push(self.ceremony))
        started, told, pause = time.monotonic(), "", 0.1
        while True:
            self._patiently(lambda: self.exchange.pull(self.ceremony))
            if not self.ceremony.public.missing(KEYS):
                self.ceremony.public_keys()
                if kind in {HASHES, SIGNATURE}:
                    self.ceremony.public.judge_complaints()
            missing = self.ceremony.public.missing(kind)
            if not missing:
                return
            names = self.ceremony.agreement.parameters.trustees
            line = f"Waiting for {_NOUNS[kind]} of " + ", ".join(f"{i} ({names[i - 1]})" for i in missing)
            if line != told:
                self.tell(line)
                told, pause = line, 0.1
            if self.patience is not None and time.monotonic() - started > self.patience:
                raise StateConflict(
                    Code.OUT_OF_ORDER,
                    f"{line}: nothing for {self.patience:.0f} s. Ask them, not only the exchange, if they "
                    "sent it; then give the same command again",
                    fault=Fault.OPERATOR,
                )
            time.sleep(min(pause, self.pause))
            pause *= 2

    def _patiently(self, action: Callable[[], None]) -> None:
        """Try again while the exchange is away."""
        started, told = time.monotonic(), False
        while True:
            try:
                return action()
            except ExchangeUnreachable as error:
                if self.patience is not None and time.monotonic() - started > self.patience:
                    raise
                if not told:
                    self.tell(f"{error}; trying again.")
                    told = True
            time.sleep(self.pause)
