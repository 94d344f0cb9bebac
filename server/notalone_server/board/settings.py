"""The board's settings: one TOML file, secrets in files of their own.

Owns names, defaults and refusals. Refuses a database password in the settings:
they end up in backups and screenshots.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from notalone_server.board.mailboxes import LETTERS_PER_SCOPE
from notalone_server.edge.fields import DatabaseUrl, beside, read_toml, with_password

Port = Annotated[int, Field(ge=1, le=65535)]
VerifyKeyHex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

TEMPLATE = """\
# The board of one committee. Paths are relative to this file.
database = "sqlite:///board.sqlite"      # or postgresql+psycopg://user@host/name
# database_password_file = "database.password"  # a file with mode 0600
host = "127.0.0.1"
port = 8400
operations_host = "127.0.0.1"            # health, readiness, metrics: for the operator alone
operations_port = 8401
signing_key = "board.key"                # made by `notalone board init`, mode 0600
manifest = "manifest.signed"             # signed by every trustee at the end of the ceremony
policies = []                            # files with the rules of each scope: ["policy.bin"]
letters_per_scope = 200000               # kept at once; about 1.2 kB each
auditors = []                            # verify keys (hexadecimal) of who may read the feed
"""


class BoardSettings(BaseSettings):
    """See TEMPLATE; the environment (NOTALONE_BOARD_...) counts more than the file."""

    model_config = SettingsConfigDict(env_prefix="NOTALONE_BOARD_", extra="forbid", frozen=True)

    folder: Path
    database: DatabaseUrl = "sqlite:///board.sqlite"
    database_password_file: Path | None = None
    host: str = "127.0.0.1"
    port: Port = 8400
    operations_host: str = "127.0.0.1"
    operations_port: Port = 8401
    signing_key: Path = Path("board.key")
    manifest: Path = Path("manifest.signed")
    policies: tuple[Path, ...] = ()
    auditors: tuple[VerifyKeyHex, ...] = ()
    token_bits: Annotated[int, Field(ge=0, le=26)] = 16
    requests_per_token: Annotated[int, Field(ge=1)] = 30
    requests_per_second: Annotated[int, Field(ge=1)] = 200
    letters_per_scope: Annotated[int, Field(ge=1)] = LETTERS_PER_SCOPE
    tick_seconds: Annotated[float, Field(gt=0)] = 1.0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file's values; nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def path(self, relative: Path) -> Path:
        """A path of the settings, as seen from the file's folder."""
        return self.folder / relative

    def database_url(self) -> str:
        """The URL for edge/database.py, password included. Raises Misuse for an open password file."""
        database, secret = beside(self.database, self.folder), self.database_password_file
        return with_password(database, None if secret is None else self.path(secret))


def load(config: Path) -> BoardSettings:
    """The settings in a file. Raises Misuse (caller.misuse, the operator's fault)."""
    return read_toml(config, BoardSettings, folder=config.resolve().parent)
