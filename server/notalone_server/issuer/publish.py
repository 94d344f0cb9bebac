"""The way of a snapshot to the board, and the worker that insists.

Owns the HTTP client of the issuer. Refuses to sign requests: a snapshot is
signed itself, and whoever brings it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx

from notalone_crypto.errors import RollRefused
from notalone_crypto.randomness import Randomness
from notalone_server.edge.octets import MEDIA_TYPE
from notalone_server.edge.redaction import log
from notalone_server.issuer.live import LiveIssuer
from notalone_server.issuer.ports import BoardLink, Letter, LetterDelayed, LetterRefused, Mailer, MailRequest
from notalone_server.issuer.service import IssuerService

MAX_FAILURES: Final = 3  # in one round: then the server itself is away
LONGEST_PAUSE: Final = 3600
MAX_ATTEMPTS: Final = 14  # some eight hours; after that she asks again


@dataclass(frozen=True, slots=True)
class HttpBoard:
    """The board's HTTP interface, as far as the issuer needs it."""

    client: httpx.Client
    scope: bytes

    def publish_snapshot(self, data: bytes) -> None:
        """Return once the board keeps it; raises OSError otherwise."""
        path = f"/v1/scopes/{self.scope.hex()}/snapshots"
        try:
            answer = self.client.post(path, content=data, headers={"Content-Type": MEDIA_TYPE})
        except httpx.HTTPError as error:
            raise ConnectionError("the board does not answer") from error
        if answer.status_code == httpx.codes.CONFLICT and b"conflict" in answer.content:
            # A snapshot of ours with this number or a later one is there: this database forgot it.
            log().error("the board knows a newer roll: this database is an old copy")
        if answer.status_code != httpx.codes.NO_CONTENT:
            raise ConnectionError(f"the board answered {answer.status_code}")


@dataclass(frozen=True, slots=True)
class Workers:
    """What goes on while nobody asks."""

    live: LiveIssuer
    board: BoardLink
    mailer: Mailer | None
    randomness: Randomness

    def tick(self) -> None:
        """Resets, daily batches, places that have become eligible."""
        self.live.change(IssuerService.tick)

    def push(self) -> int:
        """Bring every snapshot the board lacks; how many arrived. Raises OSError when one did not."""
        waiting = self.live.change(
            lambda issuer: [issuer.state.snapshots[cohort] for cohort in sorted(issuer.state.undelivered)]
        )
        for snapshot in waiting:
            self.board.publish_snapshot(snapshot.encode())
            self.live.change(partial(IssuerService.delivered, snapshot=snapshot))
        return len(waiting)

    def write_letters(self) -> int:
        """Answer the typed addresses; how many letters left. Raises OSError when the mail server fails.

        A request leaves the database after its letter was taken and noted: who is killed
        between the server's answer and the note sends one letter again, with a new code
        that replaces the first one's. Nobody else gets a letter twice, and no request is lost.

        An address that is not listed costs as many writes as one that is: else
        somebody who watches how long others' requests take could tell them apart.
        """
        sent, failures = 0, 0
        for request in self.live.store.waiting_mail(self.live.service.clock()):
            letter = self._letter(request)
            try:
                if letter is None:
                    self.live.change(IssuerService.touch)
                    self.live.change(IssuerService.touch)
                else:
                    sent += self._send(letter)
            except LetterDelayed:
                if request.attempts + 1 < MAX_ATTEMPTS:
                    pause = min(LONGEST_PAUSE, 30 << request.attempts)
                    self.live.store.put_off_mail(request.number, self.live.service.clock() + pause)
                    continue
                log().error("a letter was put off too often")
            except OSError:
                # Behind the others: it may be this letter after all that the server breaks at.
                self.live.store.put_off_mail(request.number, self.live.service.clock(), counted=False)
                failures += 1
                if failures < MAX_FAILURES:
                    continue
                break
            self.live.store.drop_mail(request.number)
        if failures:
            log().error("mail server failed", count=failures)
            raise ConnectionError("the mail server did not take every letter")
        return sent

    def _letter(self, request: MailRequest) -> Letter | None:
        answer = partial(
            IssuerService.answer_mail,
            kind=request.kind,
            address=request.address,
            randomness=self.randomness,
        )
        try:
            return self.live.change(answer)
        except RollRefused:  # no address at all
            return None

    def _send(self, letter: Letter) -> int:
        taken = 0
        if self.mailer is not None:
            try:
                self.mailer.send(letter)
                taken = 1
            except LetterRefused:
                log().error("a letter was refused")
        self.live.change(partial(IssuerService.letter_sent, address=letter.address))
        return taken
