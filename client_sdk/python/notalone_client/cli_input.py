"""What the reporter's commands read: settings, forms, answers; and how they say that it did not work.

Owns prompts, files and exit code 2. Refuses words, codes and messages as
arguments, which other users of a machine can read and shells remember, and
keeps nothing on disk unless a file was named.
"""

from __future__ import annotations

import os
import sys
import tomllib
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from notalone_client.client import Client
from notalone_client.errors import (
    ClientError,
    DateRefused,
    NotSafe,
    Refused,
    RulesChanged,
    Unavailable,
    WrongPhrase,
)
from notalone_client.phrase import Phrase
from notalone_client.report import Form, Named, Sealed
from notalone_client.system import system_randomness
from notalone_client.texts import LANGUAGES, Speaker, language_of
from notalone_client.trust import Trust
from notalone_crypto.errors import MalformedInput, NotAloneError
from notalone_crypto.protocol.identify import Platform

BAD_INPUT: Final = 2
MAX_FILE: Final = 1 << 20
_LAYOUT: Final = "\n\t\u200c\u200d"  # lines, and what joins letters and signs
_OBEYED: Final = {"Cc", "Cf"}
DEFAULT: Final = language_of(os.environ)
_CONFIG_KEYS: Final = {"committee", "scope", "board", "issuer", "proxy"}
_FORM_KEYS: Final = {
    "email", "directory_id", "name", "unit", "phone", "account", "platform", "former_account",
    "former_platform", "threshold", "peers", "preconsent", "desk", "weeks", "alias", "words",
}  # fmt: skip
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def _help(key: str) -> str:
    return Speaker(DEFAULT)(f"option.{key}")


Config = Annotated[Path, typer.Option(envvar="NOTALONE_CLIENT", help=_help("config"))]
Language = Annotated[str, typer.Option(help=_help("language"))]
Kept = Annotated[list[Path] | None, typer.Option("--sealed", help=_help("sealed"))]
Number = Annotated[int, typer.Option(min=1, help=_help("number"))]
FormFile = Annotated[Path, typer.Option(help=_help("form"))]
Keep = Annotated[Path | None, typer.Option("--keep", help=_help("keep"))]


class BadInput(Exception):
    """Something that was typed or is in a named file; `key` is a sentence of texts.py."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


@dataclass(frozen=True, slots=True)
class Visit:
    """One run of a command: a language and, where there are words, a client."""

    say: Speaker

    def tell(self, key: str, **values: object) -> None:
        """One sentence of texts.py on standard output."""
        shown = {name: harmless(one) if isinstance(one, str) else one for name, one in values.items()}
        out.print(self.say(key, **shown), markup=False, soft_wrap=True)

    def during(self, key: str) -> Any:  # noqa: ANN401 - rich's context manager
        """Progress on standard error while something takes its time."""
        return err.status(self.say(f"progress.{key}"))

    def ask(self, key: str, *, hidden: bool = True) -> str:
        """Typed, or the next line of standard input when that is no terminal."""
        if sys.stdin.isatty():
            return str(
                typer.prompt(self.say(f"ask.{key}"), hide_input=hidden, default="", show_default=False)
            )
        return sys.stdin.readline().strip()

    def asked_now(self, *, now: bool) -> bool:
        """“Read now or later?”: only a clear answer shows anything."""
        if now:
            return True
        if not sys.stdin.isatty():
            self.tell("ask.now")
        answer = self.ask("now", hidden=False).casefold()
        return answer == self.say("answers.now")


@contextmanager
def speaking(language: str) -> Iterator[Visit]:
    """Failures as one sentence, without a trace that could hold what was typed."""
    say = Speaker(DEFAULT)
    try:
        say = _speaker(language)
        yield Visit(say)
    except (BadInput, ClientError, NotAloneError, OSError) as error:
        err.print(f"notalone: {sentence(say, error)}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(BAD_INPUT) from None


@contextmanager
def visiting(config: Path, language: str, *, words: bool = True) -> Iterator[tuple[Client, Visit]]:
    """A client from the settings and the words that are asked for, unless the call needs none."""
    with speaking(language) as visit:
        values = read_config(config)
        trust = Trust.parse(values["committee"], values["scope"])
        phrase = Phrase.parse(visit.ask("words")) if words else Phrase.new(system_randomness)
        with Client(
            trust, phrase, board=values["board"], issuer=values.get("issuer"), proxy=values.get("proxy")
        ) as client:
            yield client, visit


def harmless(text: str) -> str:
    """What somebody else wrote, without what a terminal obeys.

    Attack: an alias or a letter that moves the cursor, hides a line or turns the direction of writing, so
    that a screen shows what nobody said.
    """
    return "".join(
        one if one in _LAYOUT or unicodedata.category(one) not in _OBEYED else "\ufffd" for one in text
    )


def read_config(path: Path) -> dict[str, str]:
    """Committee, scope and board, and what else was set. Raises: BadInput."""
    values = _read(path, _CONFIG_KEYS)
    needed = {"committee", "scope", "board"} <= set(values)
    if not needed or not all(isinstance(value, str) for value in values.values()):
        raise BadInput("bad.config", path=path)
    return values


def _speaker(language: str) -> Speaker:
    for one in LANGUAGES:
        if one == language:
            return Speaker(one)
    raise BadInput("bad.language")


def sentence(say: Speaker, error: Exception) -> str:
    """What to tell a person; the stable code only where there is no sentence for it."""
    if isinstance(error, BadInput):
        return say(error.key, **error.values)
    if isinstance(error, NotAloneError | DateRefused):
        key = f"error.{error.code}"
        return say(key) if say.knows(key) else say("error.other", detail=str(error))
    if isinstance(error, FileExistsError):
        return say("bad.exists", path=error.filename)
    if isinstance(error, OSError):
        return say("bad.file", path=error.filename)
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (WrongPhrase, "error.phrase"),
        (Unavailable, "error.unavailable"),
        (NotSafe, "error.unsafe"),
        (RulesChanged, "error.rules"),
    )
    for kind, key in kinds:
        if isinstance(error, kind):
            return say(key)
    return say("error.refused" if isinstance(error, Refused) else "error.other", detail=str(error))


# --- files --------------------------------------------------------------------------------------------


def read_bytes(path: Path) -> bytes:
    """A small file that was named."""
    if path.stat().st_size > MAX_FILE:
        raise BadInput("bad.large", path=path)
    return path.read_bytes()


def read_sealed(path: Path) -> Sealed:
    """A sealed message that was kept."""
    data = read_bytes(path)
    try:
        return Sealed(data)
    except MalformedInput:
        raise BadInput("bad.sealed", path=path) from None


def keep(path: Path | None, data: bytes) -> None:
    """Create it, readable by her alone; never overwrite; without a name keep nothing."""
    if path is None:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise BadInput("bad.toml", path=path) from None
    if set(values) - known:
        raise BadInput("bad.keys", path=path, known=", ".join(sorted(known)))
    return values


def read_form(path: Path) -> Form:
    """A report as TOML; see the README for its fields."""
    values = _read(path, _FORM_KEYS)
    about = []
    simple: tuple[tuple[str, Callable[[str], Named]], ...] = (
        ("email", Named.email),
        ("directory_id", Named.directory),
        ("phone", Named.phone),
    )
    for key, make in simple:
        if key in values:
            about.append(make(_text(values, key)))
    if "name" in values:
        about.append(Named.name(_text(values, "name"), _text(values, "unit")))
    for key, platform, former in (
        ("account", "platform", False),
        ("former_account", "former_platform", True),
    ):
        if key in values:
            about.append(Named.account(_text(values, key), _platform(values, platform), former=former))
    if not about:
        raise BadInput("bad.nobody")
    kept = ("threshold", "peers", "preconsent", "desk", "weeks", "alias", "words")
    given = {key: values[key] for key in kept if key in values}
    for key, value in given.items():
        expected = int if key in ("threshold", "weeks") else bool if key in ("peers", "preconsent") else str
        if type(value) is not expected:
            raise BadInput("bad.type", field=key, type=expected.__name__)
    return Form(about, **given)


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise BadInput("bad.type", field=key, type="str")
    return value


def _platform(values: dict[str, Any], key: str) -> Platform | None:
    if key not in values:
        return None
    try:
        return Platform(_text(values, key))
    except ValueError:
        raise BadInput("bad.platform", field=key, known=", ".join(Platform)) from None
