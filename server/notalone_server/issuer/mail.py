"""The three letters an issuer sends, and the mail server they go to.

Owns wording and SMTP. Refuses to say what the code is for: a letter may be read
by the person its owner fears, so it names no service, no organisation and no
subject, in French and English alike.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final, NoReturn

from notalone_server.issuer.ports import Clock, Letter, LetterDelayed, LetterKind, LetterRefused

TIMEOUT: Final = 20
GOING_AWAY: Final = 421
PERMANENT: Final = 500  # SMTP: from here on, never
SUBJECT: Final = "Code"
_WORDS: Final = {
    LetterKind.CODE: (
        (
            "Bonjour,\n\nVoici le code demandé :\n\n    {code}\n\n"
            "Il sert une seule fois, jusqu'au {until}. Ensuite, revenez un autre jour.\n"
            "Si vous n'avez rien demandé, vous n'avez rien à faire.\n"
        ),
        (
            "Hello,\n\nHere is the code that was asked for:\n\n    {code}\n\n"
            "It works once, until {until}. After that, come back another day.\n"
            "If you did not ask for it, there is nothing to do.\n"
        ),
    ),
    LetterKind.USED: (
        (
            "Bonjour,\n\nUn code a été demandé, mais cette adresse en a déjà utilisé un.\n"
            "Si vous n'avez rien demandé, vous n'avez rien à faire.\n"
        ),
        (
            "Hello,\n\nA code was asked for, but this address has used one already.\n"
            "If you did not ask for it, there is nothing to do.\n"
        ),
    ),
    LetterKind.RESET: (
        (
            "Bonjour,\n\nOn a demandé de recommencer avec cette adresse.\n"
            "Ce sera possible à partir du {until} : demandez alors un nouveau code.\n\n"
            "Si ce n'était pas vous, empêchez-le avant cette date avec ce code :\n\n    {code}\n"
        ),
        (
            "Hello,\n\nSomebody asked to start again with this address. That will be possible from {until}:\n"
            "ask for a new code then.\n\n"
            "If it was not you, stop it before that date with this code:\n\n    {code}\n"
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """One mail server; TLS with a verified certificate unless it is on this machine."""

    host: str
    port: int
    security: str  # "tls", "starttls", or "none"
    sender: str
    clock: Clock
    username: str = ""
    password: str = field(default="", repr=False)
    authorities: Path | None = None  # PEM; instead of the system's list

    def send(self, letter: Letter) -> None:
        """Return once the server took the letter.

        Raises: LetterRefused when it never will take this one, LetterDelayed when not now;
            OSError (as smtplib's errors are) when the server fails, has no TLS, shows a
            certificate that is not its own, or does not know us.
        """
        message = write_letter(letter, self.sender, self.clock())
        with self._connected() as server:
            try:
                server.send_message(message)
            except smtplib.SMTPRecipientsRefused as error:
                _about_this_letter(max(code for code, _ in error.recipients.values()), error)
            except smtplib.SMTPDataError as error:
                _about_this_letter(error.smtp_code, error)
            except smtplib.SMTPNotSupportedError as error:  # an address that this server cannot write
                raise LetterRefused from error

    def _connected(self) -> smtplib.SMTP:
        """A server that may be told the address: the TLS it was promised is there."""
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT, context=self._context()
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
        try:
            if self.security == "starttls":
                # Attack: somebody on the way removes STARTTLS from the server's list. Then nothing is said.
                server.starttls(context=self._context())
            if self.username:
                server.login(self.username, self.password)
        except BaseException:
            server.close()
            raise
        return server

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=None if self.authorities is None else str(self.authorities))


def _about_this_letter(code: int, error: smtplib.SMTPException) -> NoReturn:
    if code == GOING_AWAY:  # the server closes the connection: it is about all letters
        raise error
    raise (LetterRefused if code >= PERMANENT else LetterDelayed) from error


def write_letter(letter: Letter, sender: str, now: int) -> EmailMessage:
    """The message: same subject for all three, no header that names a program or a host."""
    message = EmailMessage()
    message["Subject"] = SUBJECT
    message["From"] = sender
    message["To"] = letter.address
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Auto-Submitted"] = "auto-generated"
    until = datetime.fromtimestamp(letter.until, UTC)
    french, english = _WORDS[letter.kind]
    message.set_content(
        french.format(code=letter.code, until=f"{until:%d/%m/%Y}")
        + "\n--------\n\n"
        + english.format(code=letter.code, until=f"{until.day} {until:%B %Y}")
    )
    return message
