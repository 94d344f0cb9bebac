"""What the services' settings files have in common.

Owns the types of their fields and the errors for the operator. Refuses to know a service.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from notalone_crypto.errors import Code, Fault, Misuse
from notalone_server.edge.address import check_address
from notalone_server.edge.secretfile import read_secret

_OURS = "Value error, "  # what pydantic puts before our own words
Settings = TypeVar("Settings", bound=BaseModel)


def _address(value: str) -> str:
    try:
        return check_address(value)
    except Misuse as error:
        raise ValueError(error.detail) from error


def _without_password(value: str) -> str:
    # Settings end up in backups and screenshots.
    try:
        parsed = make_url(value)
    except ArgumentError as error:
        raise ValueError("not a database URL") from error
    if parsed.password:
        raise ValueError("put the password into a file, and name that as database_password_file")
    return value


Address = Annotated[str, AfterValidator(_address)]
"""Of a service that is called: scheme, host and port."""
DatabaseUrl = Annotated[str, AfterValidator(_without_password)]
"""`sqlite:///file` or `postgresql+psycopg://user@host/name`; its password is in a file of its own."""


def beside(database: str, folder: Path) -> str:
    """The URL with an SQLite file seen from the folder of the settings."""
    url = make_url(database)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return database
    return url.set(database=str(folder / str(url.database))).render_as_string(hide_password=False)


def with_password(database: str, password_file: Path | None) -> str:
    """The URL with the password in that file, if there is one. Raises Misuse for a file others may read."""
    url = make_url(database)
    if password_file is not None:
        url = url.set(password=read_secret(password_file).decode("utf-8").strip())
    return url.render_as_string(hide_password=False)


def read_toml(path: Path, model: type[Settings], **known: object) -> Settings:
    """A file's settings with what is `known` besides, checked whole.

    Raises: Misuse (the operator's fault), which names what is wrong and repeats no value: it may be a secret.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8"))
        wrong = ", ".join(given.keys() & known.keys())
        if wrong:
            raise Misuse(Code.MISUSE, f"{path}: {wrong}: not a setting", fault=Fault.OPERATOR)
        return model(**given, **known)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix(_OURS)}" for one in error.errors()
        )
        raise Misuse(Code.MISUSE, f"{path}: {wrong}", fault=Fault.OPERATOR) from error
    except OSError as error:
        raise Misuse(Code.MISUSE, f"cannot read the settings {path}", fault=Fault.OPERATOR) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misuse(Code.MISUSE, f"{path} cannot be read as TOML", fault=Fault.OPERATOR) from error
