"""Letters through real mail servers: TLS that is verified, a login, refusals, outages, and neutral words.

Nothing stands in for the mail server: each test runs aiosmtpd on a port of its own.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from tests.support import postgres
from tests.support.tls import Authority

from notalone_crypto.errors import Misuse
from notalone_server.issuer.app import mailer_of
from notalone_server.issuer.mail import SmtpMailer
from notalone_server.issuer.ports import Letter, LetterDelayed, LetterKind, LetterRefused
from notalone_server.issuer.settings import read_settings

NOW = 1_790_000_000
CODE = "ABCD-EFGH-JKMN-PQRS"
LETTER = Letter(LetterKind.CODE, "member1@example.org", CODE, NOW + 3 * 24 * 3600)


@dataclass
class Mailbox:
    """What the server was told: everything, so that "nothing was sent" can be seen."""

    letters: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    on_recipient: str = "250 OK"
    on_data: str = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Envelope, address: str, _options: object
    ) -> str:
        self.recipients.append(address)
        if self.on_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.on_recipient

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802
        self.letters.append(envelope.original_content or b"")
        return self.on_data

    def login(
        self, _server: object, _session: object, _envelope: object, _mechanism: object, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"the mail password", handled=False)


@contextmanager
def server(box: Mailbox, port: int = 0, **options: object) -> Iterator[int]:
    chosen = port or postgres.free_port()
    controller = Controller(box, hostname="127.0.0.1", port=chosen, **options)  # type: ignore[arg-type]
    controller.start()
    try:
        yield chosen
    finally:
        controller.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def options(security: str, context: ssl.SSLContext) -> dict[str, object]:
    if security == "tls":
        return {"ssl_context": context}
    return {"tls_context": context, "require_starttls": True}


def mailer(port: int, security: str, authorities: Path | None, password: str = "") -> SmtpMailer:
    username = "the login" if password else ""
    return SmtpMailer(
        "127.0.0.1", port, security, "code@example.org", lambda: NOW, username, password, authorities
    )


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_letter_leaves_over_tls_with_the_authority_of_the_settings(
    authority: Authority, security: str
) -> None:
    box = Mailbox()
    with server(box, **options(security, authority.server())) as port:
        mailer(port, security, authority.file).send(LETTER)
    assert box.recipients == ["member1@example.org"]
    assert len(box.letters) == 1
    assert CODE.encode() in box.letters[0]


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("what", ["another authority", "another name", "the system's authorities"])
def test_a_certificate_that_is_not_the_servers_stops_the_letter_before_anything_is_said(
    authority: Authority, tmp_path: Path, security: str, what: str
) -> None:
    """Attack: somebody on the way to the mail server reads who asked for a code."""
    box = Mailbox()
    shown = authority.server("127.0.0.2" if what == "another name" else "127.0.0.1")
    trusted: Path | None = authority.file
    if what == "another authority":
        trusted = Authority(tmp_path, "another").file
    elif what == "the system's authorities":
        trusted = None
    with server(box, **options(security, shown)) as port, pytest.raises(ssl.SSLCertVerificationError):
        mailer(port, security, trusted, "the mail password").send(LETTER)
    assert (box.letters, box.recipients, box.logins) == ([], [], [])


def test_a_server_without_starttls_is_told_nothing(authority: Authority) -> None:
    """Attack: STARTTLS is cut out of the server's list. The letter stays for later, it is not given up."""
    box = Mailbox()
    with server(box) as port, pytest.raises(OSError, match="STARTTLS"):
        mailer(port, "starttls", authority.file, "the mail password").send(LETTER)
    assert (box.letters, box.recipients, box.logins) == ([], [], [])


def test_the_login_is_used_and_a_wrong_one_sends_nothing(authority: Authority) -> None:
    box = Mailbox()
    extra = {"authenticator": box.login, "auth_required": True}
    with server(box, **options("starttls", authority.server()), **extra) as port:
        mailer(port, "starttls", authority.file, "the mail password").send(LETTER)
        assert set(box.logins) == {(b"the login", b"the mail password")}
        with pytest.raises(OSError, match="535"):
            mailer(port, "starttls", authority.file, "a wrong password").send(LETTER)
    assert len(box.letters) == 1


@pytest.mark.parametrize(
    ("where", "answer", "meaning"),
    [
        ("on_recipient", "550 5.1.1 no such mailbox", LetterRefused),
        ("on_recipient", "553 not allowed", LetterRefused),
        ("on_recipient", "450 4.7.1 greylisted, come back", LetterDelayed),
        ("on_recipient", "452 4.2.2 mailbox full", LetterDelayed),
        ("on_data", "554 5.7.1 looks like spam", LetterRefused),
        ("on_data", "451 4.3.0 try later", LetterDelayed),
        ("on_recipient", "421 closing", OSError),
    ],
)
def test_what_a_mail_server_says_about_one_letter_is_kept_apart_from_its_own_trouble(
    where: str, answer: str, meaning: type[Exception]
) -> None:
    box = Mailbox()
    setattr(box, where, answer)
    with server(box) as port, pytest.raises(meaning):
        mailer(port, "none", None).send(LETTER)


def test_a_server_that_is_down_and_back_gets_the_letter() -> None:
    port, box = postgres.free_port(), Mailbox()
    one = mailer(port, "none", None)
    with pytest.raises(OSError):
        one.send(LETTER)
    with server(box, port):
        one.send(LETTER)
    with pytest.raises(OSError):
        one.send(LETTER)
    assert len(box.letters) == 1


FORBIDDEN = re.compile(
    r"notalone|pas seule|violen|harc|harass|viol\b|rape|abus|victim|signal|report|plainte|complain"
    r"|aide|help|match|agress|assault|sex|university|issuer|python|aiosmtpd",
    re.IGNORECASE,
)


def test_letters_name_nothing_and_say_in_both_languages_what_to_do() -> None:
    """HTTP-13. Who reads over her shoulder learns that some code was asked for; nothing more."""
    box = Mailbox()
    with server(box) as port:
        for kind in LetterKind:
            mailer(port, "none", None).send(Letter(kind, "member1@example.org", CODE, NOW))
    letters: list[EmailMessage] = [message_from_bytes(one, policy=policy.default) for one in box.letters]  # type: ignore[misc]
    for letter in letters:
        content = letter.get_content()
        assert not FORBIDDEN.search(content + "".join(f"{name}: {value}" for name, value in letter.items()))
        french, english = content.split("--------")
        assert "Bonjour" in french
        assert "Hello" in english
        assert (CODE in french) == (CODE in english)
    assert {letter["Subject"] for letter in letters} == {"Code"}
    code, used, reset = (letter.get_content() for letter in letters)
    assert "21/09/2026" in code
    assert "21 September 2026" in code
    assert CODE not in used
    assert "empêchez-le" in reset
    assert "stop it" in reset


def test_the_search_for_words_would_find_one() -> None:
    """Control."""
    assert FORBIDDEN.search("Your report was received")


def _settings(tmp_path: Path, mail: str) -> Path:
    (tmp_path / "password").write_bytes(b"the mail password\n")
    (tmp_path / "password").chmod(0o600)
    config = tmp_path / "issuer.toml"
    config.write_text(
        'instance="i"\nscope_name="s"\ndeclared=40\nenrolment="email"\ndatabase="sqlite:///issuer.db"\n'
        f'key_file="k"\nboard="http://127.0.0.1:1"\n[mail]\nsender="code@example.org"\n{mail}'
    )
    return config


def test_settings_give_a_mailer_that_works(authority: Authority, tmp_path: Path) -> None:
    box = Mailbox()
    extra = {"authenticator": box.login, "auth_required": True}
    with server(box, **options("starttls", authority.server()), **extra) as port:
        text = (
            f'host="127.0.0.1"\nport={port}\nsecurity="starttls"\nusername="the login"\n'
            'password_file="password"\nca_file="ours.pem"\n'
        )
        made = mailer_of(read_settings(_settings(tmp_path, text)), lambda: NOW)
        assert made is not None
        made.send(LETTER)
        assert "the mail password" not in repr(made)
    assert len(box.letters) == 1


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        ('host="mail.example.org"\nport=25\nsecurity="none"\n', "this machine only"),
        ('host="mail.example.org"\nport=25\nca_file="missing.pem"\n', "cannot read the authorities"),
        ('host="mail.example.org"\nport=25\npassword_file="open"\n', "0600"),
        ('host="mail.example.org"\nport=25\nca_file="password"\n', "no certificate"),
    ],
)
def test_mail_settings_that_would_leak_or_fail_later_are_refused_at_the_start(
    tmp_path: Path, mail: str, reason: str
) -> None:
    (tmp_path / "open").write_text("the mail password")
    (tmp_path / "open").chmod(0o644)
    config = _settings(tmp_path, mail)
    with pytest.raises(Misuse, match=reason):
        mailer_of(read_settings(config))
