"""A trustee's settings: one TOML file, checked whole before anything starts.

Owns names, ranges and defaults. Refuses secrets: the file names the files that
hold them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from notalone_server.edge.fields import Address, DatabaseUrl, beside, read_toml, with_password

_FINGERPRINT = 64
_FILES = ("board_ca_file", "manifest", "key_file", "passphrase_file", "database_password_file")

TEMPLATE = """\
# One trustee. Paths are seen from this file's folder.
board = "https://board.example"           # scheme, host and port
# board_ca_file = "authority.pem"         # only for a board whose certificate is by an authority of your own
manifest = "ceremony/manifest.signed"
manifest_fingerprint = ""                 # as compared aloud at the ceremony
key_file = "trustee.key"
passphrase_file = "passphrase"            # mode 0600
database = "sqlite:///trustee.sqlite"     # or postgresql+psycopg://user@host/name
# database_password_file = "database.password"
scopes = []                               # names of the scopes to serve
approved_policies = []                    # fingerprints of the rules you read and agree to
operations_host = "127.0.0.1"             # status page, health, metrics: for you alone
operations_port = 8601
poll_seconds = 0.5                        # between two questions to the board
niceness = 5                              # 0 to 19: how far the work gives way to others on this machine
"""


class TrusteeSettings(BaseSettings):
    """See TEMPLATE."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="NOTALONE_TRUSTEE_")

    board: Address
    board_ca_file: Path | None = None  # authorities (PEM) to trust instead of the public ones
    manifest: Path
    manifest_fingerprint: str
    key_file: Path
    passphrase_file: Path
    database: DatabaseUrl = "sqlite:///trustee.sqlite"
    database_password_file: Path | None = None
    scopes: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]
    approved_policies: tuple[str, ...] = ()
    operations_host: str = "127.0.0.1"
    operations_port: int = Field(default=8601, ge=0, le=65535)
    poll_seconds: float = Field(default=0.5, ge=0.01, le=60)
    longest_wait_polls: int = Field(default=64, ge=1)
    niceness: int = Field(default=5, ge=0, le=19)

    @field_validator("manifest_fingerprint")
    @classmethod
    def _one(cls, value: str) -> str:
        return _fingerprint(value)

    @field_validator("approved_policies")
    @classmethod
    def _each(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_fingerprint(value) for value in values)

    def database_url(self) -> str:
        """The URL with its password. Raises Misuse for a password file that others may read."""
        return with_password(self.database, self.database_password_file)


def read_settings(path: Path) -> TrusteeSettings:
    """The settings in a file; relative files in it are beside it.

    Raises: Misuse (the operator's fault), with the names of what is wrong.
    """
    settings = read_toml(path, TrusteeSettings)
    folder = path.resolve().parent
    found: dict[str, object] = {
        name: folder / value for name in _FILES if (value := getattr(settings, name)) is not None
    }
    return settings.model_copy(update={**found, "database": beside(settings.database, folder)})


def _fingerprint(value: str) -> str:
    text = "".join(value.split()).lower()
    if len(text) != _FINGERPRINT or set(text) - set("0123456789abcdef"):
        raise ValueError("a fingerprint is sixteen groups of four hexadecimal digits")
    return text
