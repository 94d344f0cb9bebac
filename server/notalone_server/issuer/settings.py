"""The issuer's settings: one TOML file, checked whole before anything starts.

Owns names, ranges and defaults. Refuses secrets: the file names the files that
hold them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from notalone_crypto.primitives.hashing import digest
from notalone_crypto.suite import MIN_ROLL, Tag
from notalone_server.edge.fields import Address, DatabaseUrl, beside, read_toml, with_password


class MailSettings(BaseSettings):
    """The mail server; needed for enrolment by e-mail only."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = Field(ge=1, le=65535)
    sender: str
    security: Literal["tls", "starttls", "none"] = "tls"
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None  # authorities (PEM) to trust instead of the system's

    @model_validator(mode="after")
    def _no_clear_text(self) -> Self:
        if self.security == "none" and self.host not in {"127.0.0.1", "::1", "localhost"}:
            raise ValueError("mail without TLS is for this machine only")
        return self


class IssuerSettings(BaseSettings):
    """One organisation's issuer."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="NOTALONE_ISSUER_")

    instance: str = Field(min_length=1, max_length=200)
    scope_name: str = Field(min_length=1, max_length=200)
    declared: int = Field(ge=1, lt=1 << 32)
    enrolment: Literal["cards", "email"] = "cards"
    database: DatabaseUrl  # sqlite:///file, or postgresql+psycopg://user@host/name
    database_password_file: Path | None = None
    key_file: Path
    board: Address
    board_ca_file: Path | None = None  # authorities (PEM) to trust instead of the public ones
    host: str = "127.0.0.1"
    port: int = Field(default=8301, ge=0, le=65535)
    operations_host: str = "127.0.0.1"
    operations_port: int = Field(default=9301, ge=0, le=65535)
    card_address: str = ""  # printed on every card
    batch_size: int = Field(default=MIN_ROLL, ge=MIN_ROLL)
    batch_hours: int = Field(default=24, ge=24)
    publish_seconds: float = Field(default=20, ge=0.1, le=600)  # between two rolls for the board
    reset_days: int = Field(default=14, ge=7)
    longest_expiry_weeks: int = Field(default=104, ge=1)  # the policy's `maximum_weeks`
    token_bits: int = Field(default=16, ge=0, le=30)
    requests_per_second: int = Field(default=50, ge=1)
    mail: MailSettings | None = None

    @property
    def scope(self) -> bytes:
        """32-byte scope identifier, as the policy derives it."""
        return digest(Tag.POLICY, b"scope", self.instance.encode(), self.scope_name.encode())

    def database_url(self) -> str:
        """The URL with its password, if there is one. Raises: Misuse for an open password file."""
        return with_password(self.database, self.database_password_file)

    @model_validator(mode="after")
    def _mail_is_there(self) -> Self:
        if self.enrolment == "email" and self.mail is None:
            raise ValueError("enrolment by e-mail needs a [mail] section")
        return self


def read_settings(path: Path) -> IssuerSettings:
    """The settings in a file; relative files in it are beside it.

    Raises: Misuse (the operator's fault), with the names of what is wrong.
    """
    settings = read_toml(path, IssuerSettings)
    found: dict[str, object] = {"key_file": path.parent / settings.key_file}
    beside_it = {
        "database_password_file": settings.database_password_file, "board_ca_file": settings.board_ca_file
    }  # fmt: skip
    found |= {name: path.parent / file for name, file in beside_it.items() if file is not None}
    if settings.mail is not None:
        files = {"password_file": settings.mail.password_file, "ca_file": settings.mail.ca_file}
        named = {name: path.parent / file for name, file in files.items() if file is not None}
        found["mail"] = settings.mail.model_copy(update=named)
    found["database"] = beside(settings.database, path.resolve().parent)
    return settings.model_copy(update=found)
