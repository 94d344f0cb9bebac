"""What the deployment files promise: containers that can do little, settings and commands that exist."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.support import postgres
from typer.main import get_command
from typer.testing import CliRunner

from notalone_crypto.errors import NotAloneError
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.primitives import signing
from notalone_demo.cli import app
from notalone_server.board.settings import TEMPLATE as BOARD_TEMPLATE
from notalone_server.board.settings import load
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.secretfile import write_secret
from notalone_server.issuer.settings import read_settings as issuer_settings
from notalone_server.operators.commands import app as operators
from notalone_server.trustee.ceremony import SIGNED_MANIFEST
from notalone_server.trustee.settings import TEMPLATE as TRUSTEE_TEMPLATE
from notalone_server.trustee.settings import read_settings as trustee_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
GUIDES = (ROOT / "docs" / "operators.md", ROOT / "docs" / "operateurs.md")
TRUSTEES = ("trustee1", "trustee2", "trustee3")
PARTIES = ("board", "issuer", *TRUSTEES)
RUNS_ONCE = {"demo"}
PINNED = re.compile(r"[a-z0-9./-]+:(?=[^:]*[0-9]\.[0-9])[A-Za-z0-9._-]+")


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return document


SERVICES: dict[str, dict[str, Any]] = compose()["services"]


def networks(service: str) -> set[str]:
    return set(SERVICES[service].get("networks", ()))


def test_all_parties_are_there_with_a_database_each() -> None:
    assert set(SERVICES) >= {"proxy", "onion", "demo", *PARTIES, *(f"{one}-database" for one in PARTIES)}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(place.startswith("/tmp:") for place in service["tmpfs"])
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert "/var/run/docker.sock" not in str(service)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_that_stays_is_checked_on_its_private_port(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if name in RUNS_ONCE:
        assert SERVICES[name]["restart"] == "no"
        return
    assert check["test"][0] == "CMD"
    party = name.rstrip("123")
    if party in {"board", "issuer", "trustee"}:
        settings = tomllib.loads((DEPLOY / f"{party}.toml").read_text("utf-8"))
        assert check["test"][-2] == str(settings["operations_port"])
        assert settings["operations_host"] == "127.0.0.1"


def test_every_image_is_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    assert not [image for image in images if not PINNED.fullmatch(image) or "latest" in image]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))
    bases = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) - stages
    assert bases
    assert not [base for base in bases if not PINNED.fullmatch(base)]
    built = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert built <= stages


def test_pinning_would_be_missed() -> None:
    """Control."""
    for image in ("postgres", "postgres:latest", "postgres:15", "debian:stable"):
        assert not PINNED.fullmatch(image)


def test_every_stage_of_the_image_ends_without_root() -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)[1:]
    for stage in stages[1:-1]:  # the first builds, the last is another's name
        users = re.findall(r"^USER (\S+)$", stage, re.MULTILINE)
        assert users[-1] == "10001:10001", stage.splitlines()[0]


def test_parties_share_no_network_but_with_a_proxy() -> None:
    """Attack: a trustee's machine that is broken into looks for the next one's database."""
    proxies = {"proxy", "onion-proxy"}
    assert not {"default"} & set().union(*map(networks, SERVICES))
    for party in PARTIES:
        own = {party, f"{party}-database"}
        assert networks(party), party
        assert networks(f"{party}-database") < networks(party)
        strangers = set(SERVICES) - own - proxies
        for stranger in strangers:
            assert not networks(party) & networks(stranger), f"{party} and {stranger}"
    for database in (f"{party}-database" for party in PARTIES):
        for proxy in proxies:
            assert not networks(database) & networks(proxy)
    assert SERVICES["demo"]["network_mode"] == "none"


def test_only_the_proxies_and_tor_reach_the_internet() -> None:
    declared = compose()["networks"]
    outside = {name for name, options in declared.items() if not (options or {}).get("internal")}
    reaching = {name for name in SERVICES if networks(name) & outside}
    assert reaching == {"proxy", "onion", "onion-proxy"}
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]


def test_a_way_to_the_mail_server_is_the_issuers_alone() -> None:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.mail.yml").read_text("utf-8"))
    assert set(document["services"]) == {"issuer"}
    added = set(document["services"]["issuer"]["networks"])
    assert added - networks("issuer") == set(document["networks"])
    assert not added & {name for one in SERVICES if one != "issuer" for name in networks(one)} - {
        "issuer-front",
        "issuer-data",
    }
    settings = (DEPLOY / "issuer.toml").read_text("utf-8")
    for one in document["services"]["issuer"]["secrets"]:
        assert f"/run/secrets/{one['target']}" in settings
        assert document["secrets"][one["source"]]["file"].startswith("./deploy/live/issuer/")


def test_names_in_the_compose_file_resolve() -> None:
    document = compose()
    for name, service in SERVICES.items():
        assert networks(name) <= set(document["networks"])
        for kind in ("secrets", "configs"):
            assert {one["source"] for one in service.get(kind, ())} <= set(document[kind]), name
        assert set(service.get("depends_on", ())) <= set(SERVICES)
    for kind in ("secrets", "configs"):
        for name, one in document[kind].items():
            path = one["file"].removeprefix("./")
            assert path.startswith("deploy/live/") or (kind == "configs" and (ROOT / path).is_file()), name


def test_no_secret_is_in_the_environment_or_reaches_git_or_an_image() -> None:
    for name, service in SERVICES.items():
        for key in service.get("environment", {}):
            assert "PASSWORD" not in key or key.endswith("_FILE"), name
    assert "deploy/live/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert "deploy/live" in (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def test_a_party_holds_its_own_secrets_only() -> None:
    files = {name: one["file"] for name, one in compose()["secrets"].items()}
    for party in PARTIES:
        for service in (party, f"{party}-database"):
            for one in SERVICES[service]["secrets"]:
                assert files[one["source"]].startswith(f"./deploy/live/{party}/"), service


def test_settings_name_the_files_that_compose_mounts() -> None:
    for party in PARTIES:
        text = (DEPLOY / f"{party.rstrip('123')}.toml").read_text("utf-8")
        active = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        service = SERVICES[party]
        mounted = {f"/run/secrets/{one['target']}" for one in service["secrets"]}
        mounted |= {one["target"] for one in service["configs"]}
        named = set(re.findall(r'"(/[^"]+)"', active))
        assert named == mounted - {"/etc/notalone/settings.toml"}, party


# --- settings ---------------------------------------------------------------------------------------------


def test_example_settings_load_with_the_services_own_classes() -> None:
    board = load(DEPLOY / "board.toml")
    issuer = issuer_settings(DEPLOY / "issuer.toml")
    trustee = trustee_settings(DEPLOY / "trustee.toml")
    assert str(board.path(board.signing_key)) == "/run/secrets/board.key"
    assert str(trustee.key_file) == "/run/secrets/trustee.key"
    assert str(issuer.key_file) == "/run/secrets/issuer.key"
    assert issuer.board == trustee.board
    assert issuer.scope_name in trustee.scopes


@pytest.mark.parametrize("party", ["issuer", *TRUSTEES])
def test_who_needs_the_board_reaches_it_where_the_proxy_listens(party: str) -> None:
    """`ports:` publishes to other machines only: inside a network a container's own port counts."""
    settings = tomllib.loads((DEPLOY / f"{party.rstrip('123')}.toml").read_text("utf-8"))
    address = urlsplit(settings["board"])
    shared = networks(party) & networks("proxy")
    aliases = {one for name in shared for one in SERVICES["proxy"]["networks"][name]["aliases"]}
    assert address.hostname in aliases
    text = re.sub(r"#.*", "", (DEPLOY / "nginx.conf").read_text("utf-8"))
    servers = re.split(r"^    server ", text, flags=re.MULTILINE)[1:]
    ports = {
        int(port)
        for server in servers
        if re.search(rf"server_name {re.escape(str(address.hostname))};", server)
        for port in re.findall(r"listen (\d+) ssl", server)
    }
    assert (address.port or 443) in ports
    assert f"443:{address.port}" in SERVICES["proxy"]["ports"]


def test_the_mail_section_of_the_example_loads_too(tmp_path: Path) -> None:
    text = (DEPLOY / "issuer.toml").read_text("utf-8")
    start = text.index("# [mail]")
    text = text[:start] + re.sub(r"^# ", "", text[start:], flags=re.MULTILINE)
    (tmp_path / "issuer.toml").write_text(text.replace('"cards" ', '"email" '), "utf-8")
    settings = issuer_settings(tmp_path / "issuer.toml")
    assert settings.mail is not None
    assert settings.enrolment == "email"


@pytest.mark.parametrize(
    ("name", "read"), [("board", load), ("issuer", issuer_settings), ("trustee", trustee_settings)]
)
def test_a_setting_that_does_not_exist_is_refused(name: str, read: Any, tmp_path: Path) -> None:
    """Control: the examples load because they are right, not because anything does."""
    path = tmp_path / f"{name}.toml"
    path.write_text(f"no_such_setting = 1\n{(DEPLOY / f'{name}.toml').read_text('utf-8')}", "utf-8")
    with pytest.raises(NotAloneError):
        read(path)


def test_prepare_makes_what_compose_mounts_and_overwrites_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("files are given to other users: needs root")
    live = tmp_path / "live"

    def prepare() -> dict[str, tuple[int, int, bytes]]:
        subprocess.run(["sh", str(DEPLOY / "prepare.sh"), str(live)], check=True, capture_output=True)
        return {
            path.relative_to(live).as_posix(): (
                path.stat().st_uid,
                path.stat().st_mode & 0o777,
                path.read_bytes(),
            )
            for path in live.rglob("*")
            if path.is_file()
        }

    first = prepare()
    assert prepare() == first
    for party in PARTIES:
        own, mode, content = first[f"{party}/database-password"]
        theirs, their_mode, password = first[f"{party}/database-password.postgres"]
        assert (own, mode, theirs, their_mode) == (10001, 0o600, 999, 0o600)
        assert content.endswith(password) or content.strip().endswith(password)
        assert len(password) == 64
    made = {f"./deploy/live/{name}" for name in first}
    document = compose()
    wanted = {one["file"] for kind in ("secrets", "configs") for one in document[kind].values()}
    assert made <= wanted, "prepare.sh makes files that nobody mounts"


# --- proxy ------------------------------------------------------------------------------------------------


def test_the_proxy_keeps_nothing_about_requests() -> None:
    text = re.sub(r"#.*", "", (DEPLOY / "nginx.conf").read_text("utf-8"))
    assert re.findall(r"access_log\s+(\S+);", text) == ["off"]
    assert re.findall(r"error_log\s+\S+\s+(\S+);", text) == ["emerg"]
    assert "$remote_addr" not in text
    assert re.findall(r"(ssl_session_(?:cache|tickets)) off;", text) == [
        "ssl_session_cache",
        "ssl_session_tickets",
    ]
    assert "gzip off;" in text


def test_nginx_accepts_the_proxy_settings(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    openssl = shutil.which("openssl")
    if nginx is None or openssl is None:
        pytest.skip("nginx or openssl is not installed (Debian: apt-get install nginx openssl)")
    pair = ["-keyout", str(tmp_path / "tls-key"), "-out", str(tmp_path / "tls-certificate")]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=test", *pair],
        check=True,
        capture_output=True,
    )
    text = (DEPLOY / "nginx.conf").read_text("utf-8").replace("/tmp/", f"{tmp_path}/")
    (tmp_path / "nginx.conf").write_text(text.replace("/run/secrets", str(tmp_path)), "utf-8")
    command = [nginx, "-t", "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


# --- guides -----------------------------------------------------------------------------------------------


def quoted_commands(guide: Path) -> Iterator[tuple[str, list[str]]]:
    """Every `notalone ...` in code, fenced or not, as (text, words after notalone)."""
    text = guide.read_text("utf-8")
    fences = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for fence in fences for line in fence.splitlines()]
    for one in [*lines, *re.findall(r"`([^`\n]+)`", prose)]:
        found = re.match(r"(?:\S*/)?notalone(?: (.*))?$", one.split("   #")[0].strip())
        if found:
            yield one, shlex.split(found[1] or "")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_command_in_the_guides_exists(guide: Path) -> None:
    commands = list(quoted_commands(guide))
    assert len(commands) > 10
    for text, words in commands:
        check_command(text, words)


def check_command(text: str, words: list[str]) -> None:
    """The command exists, and every option, and none that it needs is missing where options are given."""
    here: Any = get_command(app)
    rest = list(words)
    while rest and hasattr(here, "commands") and not rest[0].startswith("-"):
        assert rest[0] in here.commands, f"no such command: {text}"
        here = here.commands[rest.pop(0)]
    known = {name: option for option in here.params for name in option.opts}
    given = {word for word in rest if word.startswith("--") and word != "--help"}
    assert given <= set(known), f"no such option: {text}"
    if given - {"--compared"}:
        missing = {option.name for option in here.params if option.required and not given & set(option.opts)}
        arguments = {option.name for option in here.params if option.param_type_name == "argument"}
        assert not missing - arguments, f"an option is missing: {text}"


def test_the_search_for_commands_would_find_a_wrong_one() -> None:
    """Control."""
    for wrong in (
        ["trustee", "replace"],
        ["board", "run", "--settings", "x"],
        ["trustee", "keys", "--index", "1"],
    ):
        with pytest.raises(AssertionError):
            check_command(" ".join(wrong), wrong)


def test_every_metric_in_the_guides_exists() -> None:
    from notalone_server.board.routes import COUNTERS as BOARD  # noqa: PLC0415
    from notalone_server.trustee.worker import COUNTERS, GAUGES  # noqa: PLC0415

    source = (ROOT / "server/notalone_server/issuer/app.py").read_text("utf-8")
    issuer = re.search(r'Metrics\("issuer", \(([^)]*)\), \(([^)]*)\)\)', source)
    assert issuer is not None
    known = {f"notalone_board_{name}" for name in ("failures_total", *BOARD)}
    known |= {f"notalone_trustee_{name}" for name in ("failures_total", *COUNTERS, *GAUGES)}
    known |= {f"notalone_issuer_{name}" for name in re.findall(r'"(\w+)"', issuer[1] + issuer[2])}
    known.add("notalone_issuer_failures_total")
    named = set(re.findall(r"notalone_(?:board|issuer|trustee)_\w+", GUIDES[0].read_text("utf-8")))
    assert named == known


def in_order(guide: Path, beginning: tuple[str, ...]) -> list[list[str]]:
    """The guide's fenced commands that begin so, as words."""
    fences = re.findall(r"^```\w*\n(.*?)^```", guide.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for fence in fences for line in fence.splitlines()]
    return [words for words in lines if tuple(words[: len(beginning)]) == beginning]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_services_start_from_the_files_that_the_guides_made(guide: Path) -> None:
    """A newcomer types every line, in one folder for each party: no path may lead elsewhere."""
    made = set()
    for party in ("board", "issuer", "trustee"):
        (words,) = in_order(guide, ("notalone", party, "init"))
        made.add((Path(words[3]) / f"{party}.toml").as_posix())
    assert made == {"board/board.toml", "issuer/issuer.toml", "trustee.toml"}
    named: dict[bool, set[str]] = {True: set(), False: set()}  # a desk's commands are a client's
    for _, words in quoted_commands(guide):
        if "--config" in words:
            named[words[0] == "desk"].add(words[words.index("--config") + 1])
    assert named == {False: made, True: {"client.toml"}}
    trustee = tomllib.loads(TRUSTEE_TEMPLATE)
    (finish,) = in_order(guide, ("notalone", "trustee", "finish"))
    given = dict(zip(finish[3::2], finish[4::2], strict=True))
    assert trustee["key_file"] == given["--key-file"]
    assert trustee["passphrase_file"] == given["--passphrase-file"]
    assert trustee["manifest"] == f"{given['--folder']}/{SIGNED_MANIFEST}"
    assert tomllib.loads(BOARD_TEMPLATE)["manifest"] == SIGNED_MANIFEST


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_the_guides_make_a_desks_key_and_a_policy(
    guide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line for desk and policy, in the guide's order; only the two keys are filled in between."""
    monkeypatch.chdir(tmp_path)
    write_secret(tmp_path / "passphrase", b"twelve or more characters")
    issuer = signing.generate_key(system_randomness)
    said = ""
    mine = [words for words in in_order(guide, ("notalone", "desk")) if words[2] in ("keys", "show")]
    lines = mine + in_order(guide, ("notalone", "policy"))  # what desks do later: test_sdk_cli.py
    assert len(lines) >= 4
    for words in lines:
        done = CliRunner().invoke(operators, words[1:])
        assert done.exit_code == 0, done.output
        said += done.output
        if words[1:3] == ["policy", "init"]:
            desk_key = re.search(r"desk key \(for the policy\): ([0-9a-f]{64})", said)
            assert desk_key is not None
            rules = Path(words[3]).read_text("utf-8")
            rules = rules.replace('issuer_key = ""', f'issuer_key = "{issuer.verify_key.hex()}"')
            Path(words[3]).write_text(rules.replace('key = ""', f'key = "{desk_key[1]}"'), "utf-8")
    policy = ScopePolicy.decode((tmp_path / "policy.bin").read_bytes())
    assert policy.organisations[0].issuer_key == issuer.verify_key


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_the_guides_copies_of_an_sqlite_database_are_made_and_restored(guide: Path, tmp_path: Path) -> None:
    lines = [words for words in in_order(guide, ("python3", "deploy/copies.py")) if "://" not in words[3]]
    assert [words[2] for words in lines] == ["backup", "restore"]
    database = tmp_path / lines[0][3]
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE kept (value)")
        connection.commit()
    for words in lines:
        subprocess.run(
            [sys.executable, str(ROOT / words[1]), *words[2:]], check=True, cwd=tmp_path, capture_output=True
        )
        if words[2] == "backup":
            with contextlib.closing(sqlite3.connect(database)) as connection:
                connection.execute("DROP TABLE kept")
                connection.commit()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_the_probe_tells_an_answer_from_none() -> None:
    probe = [sys.executable, str(ROOT / "tools" / "probe.py"), str(postgres.free_port())]
    assert subprocess.run(probe, check=False, capture_output=True).returncode == 1
