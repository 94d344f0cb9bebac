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
from typing import Final

from notalone_server.issuer.ports import Clock, Letter, LetterKind, LetterRefused

TIMEOUT: Final = 20
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
    """One mail server; TLS unless it is on this machine."""

    host: str
    port: int
    security: str  # "tls", "starttls", or "none"
    sender: str
    clock: Clock
    username: str = ""
    password: str = field(default="", repr=False)

    def send(self, letter: Letter) -> None:
        """Return once the server took the letter.

        Raises: LetterRefused when it never will; OSError (as smtplib's errors are) otherwise.
        """
        message = write_letter(letter, self.sender, self.clock())
        try:
            self._deliver(message)
        except smtplib.SMTPRecipientsRefused as error:
            if all(code >= PERMANENT for code, _ in error.recipients.values()):
                raise LetterRefused from error
            raise
        except smtplib.SMTPNotSupportedError as error:
            raise LetterRefused from error

    def _deliver(self, message: EmailMessage) -> None:
        if self.security == "tls":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
        with server:
            if self.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self.username:
                server.login(self.username, self.password)
            server.send_message(message)


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
