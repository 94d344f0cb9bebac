"""The SDK's README and docstrings, executed: the blocks of the page in order, against real services."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.town import Town, about

import notalone_client
from notalone_client import AsyncClient, Choice, Client, Desk, EntryState, Sealed
from notalone_crypto.messages.filing import Receipt

README = Path(notalone_client.__file__).parents[1] / "README.md"
MODULES = sorted(one.name for one in pkgutil.iter_modules(notalone_client.__path__))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    made = Town()
    yield made
    made.stop()


def blocks() -> list[tuple[int, str]]:
    text = README.read_text("utf-8")
    return [(text[: one.start()].count("\n") + 1, one[1]) for one in BLOCK.finditer(text)]


def test_every_block_of_the_page_runs(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = town.deployment.clock
    # The page uses the machine's clock; this town has another.
    for kind in (Client, AsyncClient, Desk):
        monkeypatch.setattr(notalone_client, kind.__name__, partial(kind, clock=clock))
    key_file = tmp_path / "desk.key"
    key_file.write_bytes(town.deployment.desks["Counsellors"].key.secret)
    key_file.chmod(0o600)
    shown: list[str] = []
    drawer: dict[str, bytes] = {}
    names: dict[str, object] = {
        "COMMITTEE": town.trust.committee.hex(),
        "SCOPE": town.trust.scope.hex(),
        "BOARD": town.board.address,
        "ISSUER": town.issuer.address,
        "CARD": town.cards.pop(),
        "KEY_FILE": key_file,
        "OTHER_KEY_FILE": tmp_path / "other.key",
        "show_once": shown.append,
        "confirm": shown.append,
        "keep": drawer.__setitem__,
        "kept": drawer.__getitem__,
        "typed_words": lambda: shown[0],
    }
    other = town.member()
    theirs: list[Sealed] = []

    def second_reporter() -> None:
        theirs.append(other.seal(about("someone@example.org", alias="Berthe")))
        other.file(theirs[0])
        town.deployment.run_batch()

    def other_agrees() -> None:
        talks = other.conversations(theirs[0])
        (talk,) = [one for one in talks if not one.with_desk]
        other.send(other.consent(talk, Choice.SHARE_CONTACT), "Bonjour à vous.")

    def two_ask_the_desk() -> None:
        both = [town.member(), town.member()]
        filed = [one.seal(about("somebody.else@example.org", peers=False)) for one in both]
        for one, sealed in zip(both, filed, strict=True):
            one.file(sealed)
        town.deployment.run_batch()
        for one, sealed in zip(both, filed, strict=True):
            (talk,) = one.conversations(sealed)
            one.consent(talk, Choice.WRITE)

    # What happens elsewhere, before the block that starts so.
    elsewhere = {
        "form = Form(": town.settle,
        "client.verify_receipt": town.deployment.run_batch,
        "from notalone_client import Choice, Stage": second_reporter,
        "(talk,) = [one for one in client": other_agrees,
        "from notalone_client import Desk": two_ask_the_desk,
    }
    happened = 0
    for line, source in blocks():
        for start, event in elsewhere.items():
            if source.startswith(start):
                event()
                happened += 1
        exec(compile("\n" * line + source, str(README), "exec"), names)
    assert happened == len(elsewhere)
    printed = capsys.readouterr().out
    # The page's claims, looked at from outside.
    client = names["client"]
    assert isinstance(client, Client)
    states = {one.state for one in client.status()}
    assert EntryState.EVALUATED in states
    assert EntryState.GONE in states
    assert drawer["sealed"] == Sealed(drawer["sealed"]).data
    assert Receipt.decode(drawer["receipt"]).batch >= 1
    assert "None\n" in printed  # sealed, not filed
    assert "Berthe ('Bonjour à vous.',) ()" in printed
    talk = next(one for one in other.conversations(theirs[0]) if not one.with_desk)
    assert talk.received == ("Bonjour.",)
    assert talk.details == ("06 12 34 56 78",)
    assert "A. () 1" in printed  # the desk sees a name, no text, and that she asks
    assert "identifier.shared" in printed
    client.close()


def test_the_page_has_a_block_for_every_public_client() -> None:
    text = "".join(source for _, source in blocks())
    for name in ("Client(", "AsyncClient(", "Desk(", "Sealed(", "Trust.parse(", "create_desk_key("):
        assert name in text
    calls = {"enrol", "seal", "file", "status", "edit", "withdraw", "verify_receipt", "find", "conversations"}
    calls |= {"consent", "send", "share", "receive", "matches", "write", "introduce", "policy"}
    assert {one for one in calls if f".{one}(" not in text} == set()


@pytest.mark.parametrize("name", ["__init__", *MODULES])
def test_examples_in_docstrings_run(name: str) -> None:
    module = notalone_client if name == "__init__" else importlib.import_module(f"notalone_client.{name}")
    assert doctest.testmod(module).failed == 0


def test_public_modules_have_examples() -> None:
    tried = {
        name: doctest.testmod(importlib.import_module(f"notalone_client.{name}")).attempted
        for name in MODULES
    }
    for name in ("phrase", "report", "trust", "texts", "transport", "desk"):
        assert tried[name] > 0, name
    assert doctest.testmod(notalone_client).attempted > 0


def test_every_call_of_a_client_is_documented() -> None:
    for kind in (Client, Desk):
        for name in (one for one in dir(kind) if not one.startswith("_")):
            assert (getattr(kind, name).__doc__ or "").strip(), f"{kind.__name__}.{name}"
