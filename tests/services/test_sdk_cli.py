"""The reporter's commands, against real services: what they print, what they keep, what they refuse."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console
from tests.support.town import Town
from typer.main import get_command
from typer.testing import CliRunner

from notalone_client import Client, Desk, Phrase, cli, cli_input, texts
from notalone_client.cli_contact import CHOICES
from notalone_client.texts import LANGUAGES, TEXTS, Speaker, language_of
from notalone_client.transport import Answer, Request, SyncTransport
from notalone_crypto.primitives.hpke import generate_key
from notalone_demo import counsellors
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.sealedfile import Cost
from notalone_server.operators.deskfile import DeskKey, write_desk_key

Run = Callable[..., Result]
PASSPHRASE = b"a passphrase of the team"
CHEAP = Cost(19 * 1024)


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    made = Town()
    yield made
    made.stop()


@pytest.fixture
def run(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command with settings, in English, on the town's clock."""
    monkeypatch.setattr(cli_input, "Client", partial(Client, clock=town.deployment.clock))
    monkeypatch.setattr(counsellors, "Desk", partial(Desk, clock=town.deployment.clock))
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "client.toml"
    config.write_text(
        f'committee = "{town.trust.committee.hex()}"\nscope = "{town.trust.scope.hex()}"\n'
        f'board = "{town.board.address}"\nissuer = "{town.issuer.address}"\n'
    )

    def call(*arguments: str, typed: str = "", code: int = 0, language: str = "en") -> Result:
        settings = [] if arguments[0] == "words" else ["--config", str(config)]
        whole = [*arguments, *settings, "--language", language]
        done = CliRunner().invoke(counsellors.app if arguments[0] == "desk" else cli.app, whole, input=typed)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done

    return call


def member(town: Town, run: Run) -> str:
    words = run("words").stdout.strip()
    assert len(words.split()) == 12
    assert "on the roll" in run("enrol", typed=f"{words}\n{town.cards.pop()}\n").stdout
    town.settle()
    return words


def form(folder: Path, address: str, name: str = "form.toml", **extra: str) -> str:
    lines = [f'email = "{address}"', "threshold = 2", "peers = true", 'words = "typed words"']
    path = folder / name
    path.write_text("\n".join([*lines, *(f'{key} = "{value}"' for key, value in extra.items())]))
    return str(path)


def test_from_words_to_withdrawal(town: Town, run: Run, tmp_path: Path) -> None:
    words = member(town, run)
    kept, receipt = tmp_path / "sealed.bin", tmp_path / "receipt.bin"
    path = form(tmp_path, "Commander@Example.org")
    shown = run("report", "--form", path, "--keep", str(kept), "--receipt", str(receipt), typed=words).stdout
    for sentence in (
        "In danger now?",
        "None of the 3 organisations can read it alone; 2 together could.",
        "2 of us accept being 2. If the other one waits for 3",
        "commander@example.org",
        "We have told nobody. This is not a complaint",
    ):
        assert sentence in shown
    assert "typed words" not in shown
    for file in (kept, receipt):
        assert file.stat().st_mode & 0o777 == 0o600
        assert b"commander" not in file.read_bytes()
    assert "told nobody" in run("resend", str(kept), typed=words).stdout
    assert "received" in run("status", typed=words).stdout
    assert "Not yet" in run("verify", str(kept), str(receipt), typed=words).stdout
    town.deployment.run_batch()
    table = run("status", typed=words).stdout
    assert "counted" in table
    assert "No news does not mean that you are alone." in table
    assert "promise was kept" in run("verify", str(kept), str(receipt), typed=words).stdout
    assert "No news" in run("matches", typed=words).stdout
    edited = run("edit", "--number", "1", "--form", form(tmp_path, "other@example.org"), typed=words).stdout
    assert "at the next batch" in edited
    assert "taken back at the next batch" in run("status", typed=words).stdout
    town.deployment.run_batch()
    assert "taken back or expired" in run("status", typed=words).stdout
    assert "cannot be taken back" in run("withdraw", "--number", "2", typed=words).stdout
    assert "no message of this number" in run("withdraw", "--number", "3", typed=words, code=2).stderr


def test_a_report_is_sealed_again_while_people_join(
    town: Town, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = member(town, run)
    honest = SyncTransport.send
    joins = iter(range(2))

    def send(self: SyncTransport, request: Request) -> Answer:
        answer = honest(self, request)
        if request.path.endswith("/snapshots") and next(joins, None) is not None:
            town.member()
        return answer

    monkeypatch.setattr(SyncTransport, "send", send)
    kept = tmp_path / "sealed.bin"
    run("report", "--form", form(tmp_path, "joins@example.org"), "--keep", str(kept), typed=words)
    assert next(joins, None) is None
    assert "1" in run("status", "--sealed", str(kept), typed=words).stdout


def test_contact_from_news_to_a_shared_contact(town: Town, run: Run, tmp_path: Path) -> None:
    alma, berthe = member(town, run), member(town, run)
    for words, alias in ((alma, "Alma"), (berthe, "Berthe")):
        run("report", "--form", form(tmp_path, "somebody.one@example.org", alias=alias), typed=words)
    town.deployment.run_batch()
    # News: asked first, then one sentence without a number; only a clear "now" shows it.
    later = run("matches", typed=f"{alma}\nlater\n").stdout
    assert "Read now or later?" in later
    assert "names the same person" not in later
    unclear = run("matches", typed=f"{alma}\n\n").stdout
    assert "names the same person" not in unclear
    now = run("matches", typed=f"{alma}\nnow\n").stdout
    assert "At least one other message names the same person." in now
    assert "Berthe" not in now
    assert "names the same person" in run("matches", "--now", typed=alma).stdout
    # The warning stands before everything that can be read or written.
    warning = Speaker("en")("warning")
    shown = run("read", typed=alma).stdout
    assert shown.startswith(warning)
    assert "Conversation 1: your counsellor (Counsellors)" in shown
    assert "Conversation 2: Berthe" in shown
    early = run("write", "--with", "2", typed=f"{alma}\ntoo early\n", code=2)
    assert early.stdout.startswith(warning)
    assert "both of you must have agreed" in early.stderr
    for words in (alma, berthe):
        answered = run("consent", "--with", "2", "--choice", "write", typed=words).stdout
        assert answered.startswith(warning)
        assert "same as if you had not come back" in answered
    assert "Left, encrypted" in run("write", "--with", "2", typed=f"{alma}\nbonjour Berthe\n").stdout
    assert "Alma: bonjour Berthe" in run("read", typed=berthe).stdout
    assert "you: bonjour Berthe" in run("read", typed=alma).stdout
    assert run("write", "--with", "2", "--contact", typed=f"{alma}\n06 12\n", code=2)
    for words in (alma, berthe):
        run("consent", "--with", "2", "--choice", "contact", typed=words)
    run("write", "--with", "2", "--contact", typed=f"{alma}\n06 12\n")
    assert "Her contact: 06 12" in run("read", typed=berthe).stdout
    for choice in ("Ecrire", "e\u0301crire", "ÉCRIRE"):
        run("consent", "--with", "2", "--choice", choice, typed=berthe)
    run("consent", "--with", "2", "--choice", "bloquer", typed=berthe)
    blocked = run("read", typed=berthe).stdout
    assert "bonjour Berthe" not in blocked
    assert "06 12" not in blocked
    for arguments in (("--with", "9", "--choice", "write"), ("--with", "2", "--choice", "maybe")):
        run("consent", *arguments, typed=alma, code=2)
    assert "nothing to send" in run("write", "--with", "2", typed=f"{alma}\n\n", code=2).stderr
    french = run("read", typed=alma, language="fr").stdout
    assert french.startswith("Ne racontez pas encore les faits ici.")


def test_a_desk_reads_answers_and_introduces(town: Town, run: Run, tmp_path: Path) -> None:
    key, secret = tmp_path / "team.key", town.deployment.desks["Counsellors"].key
    write_desk_key(key, DeskKey("Counsellors", secret), PASSPHRASE, system_randomness, CHEAP)

    def desk(command: str, *arguments: str, typed: str = "", code: int = 0, file: Path = key) -> Result:
        typed = f"{PASSPHRASE.decode()}\n{typed}"
        return run("desk", command, *arguments, "--key-file", str(file), typed=typed, code=code)

    people = {alias: member(town, run) for alias in ("Carla", "Dina", "Zita")}
    for alias, words in people.items():
        address = "nobody.else@example.org" if alias == "Zita" else "somebody.two@example.org"
        path = tmp_path / f"{alias}.toml"
        path.write_text(
            f'email = "{address}"\nthreshold = 2\npeers = false\nalias = "{alias}"\nwords = "said {alias}"\n'
        )
        run("report", "--form", str(path), typed=words)
    town.deployment.run_batch()
    listed = desk("matches").stdout
    marks = {
        alias: next(line.split()[0] for line in listed.splitlines() if line.endswith(alias))
        for alias in ("Carla", "Dina")
    }
    assert "2 messages name the same person" in listed
    assert "check with a second person" in listed
    # Words are for who asks for one person; what is not matched appears nowhere.
    assert "said" not in listed
    assert "Zita" not in listed
    read = desk("read", "--reporter", marks["Carla"]).stdout
    assert "said Carla" in read
    assert "has not asked to be introduced" in read
    assert "Dina" not in read
    sent = desk("write", "--reporter", marks["Carla"].upper(), typed="Bonjour Carla\n")
    assert "Carla" in sent.stdout
    assert "your counsellor (Counsellors): Bonjour Carla" in run("read", typed=people["Carla"]).stdout
    assert "Bonjour" not in run("read", typed=people["Dina"]).stdout
    pair = [part for mark in marks.values() for part in ("--reporter", mark)]
    early = desk("introduce", *pair, code=2)
    assert "both must have asked" in early.stderr
    for alias in marks:
        run("consent", "--with", "1", "--choice", "write", typed=people[alias])
    assert "asks to be introduced" in desk("read", "--reporter", marks["Dina"]).stdout
    assert "theirs alone" in desk("introduce", *pair).stdout
    assert "Dina" in run("read", typed=people["Carla"]).stdout
    # One sentence each for what does not work.
    for mark in ("", marks["Carla"][:3], "0" * 8):
        assert "has this mark" in desk("read", "--reporter", mark, code=2).stderr
    alone = desk("introduce", "--reporter", marks["Dina"], code=2)
    assert "two different messages of one match" in alone.stderr
    twice = desk("introduce", *pair[:2], *pair[:2], code=2)
    assert "two different messages of one match" in twice.stderr
    empty = desk("write", "--reporter", marks["Dina"], typed="\n", code=2)
    assert "nothing to send" in empty.stderr
    other = tmp_path / "other.key"
    write_desk_key(
        other, DeskKey("Others", generate_key(system_randomness)), PASSPHRASE, system_randomness, CHEAP
    )
    assert "belongs to no team" in desk("matches", file=other, code=2).stderr
    wrong = run("desk", "matches", "--key-file", str(key), typed="another one\n", code=2)
    assert "does not open this key" in wrong.stderr
    key.chmod(0o644)
    assert "chmod 600" in desk("matches", code=2).stderr


def test_a_card_that_is_none_and_letters_to_the_issuer(town: Town, run: Run) -> None:
    words = run("words").stdout.strip()
    for language in LANGUAGES:
        bad = run("enrol", typed=f"{words}\n2222-2222-2222-2222\n", code=2, language=language)
        assert Speaker(language)("bad.code") in bad.stderr
        # No words are asked for: for a reset they are lost.
        for command, typed, said in (
            ("code", "member@example.org", "asked"),
            ("reset", "member@example.org", "asked.reset"),
            ("stop-reset", "2222-2222-2222-2222", "stopped"),
        ):
            done = run(command, typed=f"{typed}\n", language=language)
            assert done.stdout.strip() == Speaker(language)(said)
    kinds = [one.kind.value for one in town.live.store.waiting_mail(town.deployment.clock())]
    assert kinds == ["code", "reset", "code", "reset"]


# --- bad input: one clear sentence, exit code 2 -----------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_bad_input_is_one_sentence_without_what_was_typed(
    town: Town, run: Run, tmp_path: Path, language: texts.Language
) -> None:
    say = Speaker(language)
    words = Phrase(bytes(16)).words("english")
    path, damaged = form(tmp_path, "a@example.org"), tmp_path / "cut-off.bin"
    damaged.write_bytes(b"cut off")
    cases = (
        ((), "status", "abandon abandon secretword", say("error.phrase")),
        (("--form", form(tmp_path, "a@example.org", "u.toml", thresold="2")), "report", words, "thresold"),
        (("--form", str(tmp_path / "missing.toml")), "report", words, "missing.toml"),
        (("--form", path), "report", words, say("error.roll.not_eligible")),
        (("--form", form(tmp_path, "contact@example.org", "s.toml")), "report", words, ""),
        (("--number", "1"), "withdraw", words, say("bad.number")),
        ((str(damaged),), "resend", words, say("bad.sealed", path=damaged)),
        (("--sealed", str(damaged)), "status", words, say("bad.sealed", path=damaged)),
    )
    for arguments, command, typed, expected in cases:
        done = run(command, *arguments, typed=typed, code=2, language=language)
        told = done.stderr.strip().splitlines()[-1]
        assert told.startswith("notalone: ")
        if expected == "thresold":
            assert "thresold" not in told  # known fields are named, not what was typed
        else:
            assert expected in told
        assert "secretword" not in done.output


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('committee = "00"', "bad.config"),
        ('committee = 1\nscope = "00"\nboard = "x"', "bad.config"),
        ("no toml", "bad.toml"),
        ('surprise = "1"', "bad.keys"),
        ("#" * (1 << 20) + "#", "bad.large"),
        ('committee = "00"\nscope = "00"\nboard = "x"', "error.context.committee"),
        (f'committee = "{"00" * 32}"\nscope = "{"00" * 32}"\nboard = "http://b.example"', "error.unsafe"),
        (
            f'committee = "{"00" * 32}"\nscope = "{"00" * 32}"\nboard = "http://127.0.0.1:9"',
            "error.unavailable",
        ),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    config = tmp_path / "client.toml"
    config.write_text(content)
    typed = Phrase(bytes(16)).words("french")
    done = CliRunner().invoke(
        cli.app, ["status", "--config", str(config), "--language", "fr"], input=typed, color=False
    )
    assert done.exit_code == 2
    expected = texts.FRENCH[sentence].split("{", maxsplit=1)[0]
    assert expected in done.stderr or (not expected and str(config) in done.stderr)


def test_a_language_that_there_is_not_is_refused() -> None:
    done = CliRunner().invoke(cli.app, ["words", "--language", "klingon"])
    assert done.exit_code == 2
    assert done.stdout == ""


def test_words_come_in_both_languages_and_alone_on_standard_output(run: Run) -> None:
    for language, book in (("fr", "french"), ("en", "english")):
        done = run("words", language=language)
        phrase = Phrase.parse(done.stdout)
        assert done.stdout.strip() == phrase.words(book)  # type: ignore[arg-type]
        assert Speaker(language)("words") in done.stderr  # type: ignore[arg-type]


def test_nothing_is_kept_on_disk_unless_a_file_was_named(town: Town, run: Run, tmp_path: Path) -> None:
    words = member(town, run)
    path = form(tmp_path, "nothing.kept@example.org")
    before = sorted(tmp_path.rglob("*"))
    run("report", "--form", path, typed=words)
    for command in ("status", "matches", "read"):
        run(command, typed=words)
    assert sorted(tmp_path.rglob("*")) == before
    kept = tmp_path / "kept.bin"
    kept.write_bytes(b"mine")
    run("report", "--form", path, "--keep", str(kept), typed=words, code=2)
    again = run("report", "--form", path, "--keep", str(kept), typed=words, code=2)
    assert Speaker("en")("bad.exists", path=kept) in again.stderr
    assert kept.read_bytes() == b"mine"  # never overwritten; and nothing was sent
    assert run("status", typed=words).stdout.count("received") == 1


@pytest.mark.parametrize("one", ["\x1b[2J\x1b[H", "\x9b8m", "\r", "\x07", "\u202e", "\u2066"])
def test_attack_what_somebody_wrote_commands_no_terminal(
    one: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a letter that redraws a counsellor's screen, or an alias that reads backwards."""
    monkeypatch.setattr(cli_input, "out", Console(highlight=False, force_terminal=True, no_color=True))
    text = f"a{one}b\nc\u200dd \u00e9 \U0001f33b"
    cli_input.Visit(Speaker("en")).tell("talk.theirs", name=text, text=text)
    shown = capsys.readouterr().out
    assert one not in shown
    assert "\x1b" not in shown
    assert shown.count("\nc\u200dd \u00e9 \U0001f33b") == 2


def test_words_codes_and_messages_are_never_arguments() -> None:
    desk = get_command(counsellors.app).commands["desk"]  # type: ignore[attr-defined]
    for name, command in (*get_command(cli.app).commands.items(), *desk.commands.items()):  # type: ignore[attr-defined]
        options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert not options & {"--words", "--phrase", "--code", "--text", "--message"}, name


# --- texts ------------------------------------------------------------------------------------------------


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_sentences_and_blanks() -> None:
    french, english = TEXTS["fr"], TEXTS["en"]
    assert list(french) == list(english)
    assert {key: blanks(text) for key, text in french.items()} == {
        key: blanks(text) for key, text in english.items()
    }
    same = {key for key in french if french[key] == english[key]}
    assert same <= {"desk.reporter", "name.contact", "talk.theirs", "talk.title"}


def test_every_sentence_is_said_somewhere() -> None:
    """A sentence that nobody says any more would promise something all the same."""
    folder = Path(cli.__file__).parent
    files = [folder / name for name in ("cli.py", "cli_contact.py", "cli_input.py")]
    source = "".join(path.read_text("utf-8") for path in (*files, Path(counsellors.__file__)))
    computed = (
        "error.", "state.", "slot.", "name.", "chosen.", "status.", "option.", "progress.", "ask.", "asked.",
    )  # fmt: skip
    unsaid = [key for key in texts.FRENCH if f'"{key}"' not in source and not key.startswith(computed)]
    assert unsaid == []
    for prefix in ("progress", "ask", "option"):
        for key in texts.FRENCH:
            if key.startswith(f"{prefix}."):
                assert f'"{key.partition(".")[2]}"' in source or f'"{key}"' in source, key
    assert {f"chosen.{key}" for key in CHOICES} <= set(texts.FRENCH)


def test_the_machine_decides_the_language_unless_told() -> None:
    assert language_of({"LANG": "fr_CH.UTF-8"}) == "fr"
    assert language_of({"LANG": "fr_FR.UTF-8", "LC_MESSAGES": "de_DE.UTF-8"}) == "en"
    assert language_of({"LC_ALL": "", "LANG": "fr"}) == "fr"
    assert language_of({}) == "en"
