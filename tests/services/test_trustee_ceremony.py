"""The key ceremony by files: three operators, three folders, real processes; every lie names its author."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from notalone_crypto.errors import CeremonyFailed, Code, NotAloneError
from notalone_crypto.messages.committee import Dealing, SubsetHashes, TrusteeKeys
from notalone_crypto.primitives import hpke, kem, signing
from notalone_crypto.primitives.pedersen import verify_share
from notalone_crypto.protocol import ceremony as protocol
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.suite import Tag
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee.ceremony import (
    SIGNED_MANIFEST,
    Ceremony,
    read_signed_manifest,
    write_agreement,
)
from notalone_server.trustee.keyfile import Cost, read_key_file, write_key_file
from notalone_server.trustee.spoken import groups

PHRASE = b"a passphrase of an operator"
CHEAP = Cost(19 * 1024, 1, 1)
NAMES = ("Association", "Université", "Fondation")
BOARD = signing.generate_key(system_randomness)
EVERYONE = (1, 2, 3)


@dataclass
class Operators:
    """Three machines and a courier between their folders."""

    root: Path

    def folder(self, index: int) -> Path:
        return self.root / str(index) / "ceremony"

    def machine(self, index: int) -> Ceremony:
        private = self.root / str(index)
        return Ceremony(self.folder(index), index, private / "trustee.key", PHRASE, system_randomness, CHEAP)

    def carry(self) -> None:
        for source in EVERYONE:
            for path in self.folder(source).iterdir():
                for target in EVERYONE:
                    if target != source and not (self.folder(target) / path.name).exists():
                        shutil.copy(path, self.folder(target) / path.name)

    def everybody(self, step: Callable[[Ceremony], object]) -> None:
        for index in EVERYONE:
            step(self.machine(index))
        self.carry()


@pytest.fixture
def operators(tmp_path: Path) -> Operators:
    made = Operators(tmp_path)
    for index in EVERYONE:
        made.folder(index).mkdir(parents=True)
    auditor = hpke.generate_key(system_randomness).public
    write_agreement(made.folder(1), "test", NAMES, 2, (2, 3), BOARD.verify_key, (auditor,), system_randomness)
    made.carry()
    return made


@pytest.fixture
def dealt(operators: Operators) -> Operators:
    operators.everybody(Ceremony.keys)
    operators.everybody(Ceremony.deal)
    return operators


def complete(operators: Operators) -> Committee:
    operators.everybody(Ceremony.confirm)
    aloud = groups(operators.machine(1).manifest().fingerprint)
    operators.everybody(lambda machine: machine.sign(aloud))
    return operators.machine(2).finish()


def test_every_step_repeated_the_files_stay_the_same(dealt: Operators) -> None:
    committee = complete(dealt)
    before = {path: path.read_bytes() for path in dealt.folder(2).iterdir()}
    for step in (Ceremony.keys, Ceremony.deal, Ceremony.confirm, Ceremony.finish):
        dealt.everybody(step)
    assert {path: path.read_bytes() for path in before} == before
    for index in EVERYONE:
        own = read_key_file(dealt.root / str(index) / "trustee.key", PHRASE)
        assert own.secrets is not None
        assert own.manifest == committee.fingerprint
        for level, share in own.secrets.level_shares.items():
            verify_share(committee.level_row(level), 2, share)
    assert (
        len({read_key_file(dealt.root / str(i) / "trustee.key", PHRASE).storage_key for i in EVERYONE}) == 3
    )


def test_a_lost_public_file_is_written_again_as_it_was(dealt: Operators) -> None:
    """Attack or accident: a second dealing would accuse its dealer."""
    for name in ("keys-2", "dealing-2"):
        path = dealt.folder(2) / name
        before = path.read_bytes()
        path.unlink()
        machine = dealt.machine(2)
        machine.keys()
        machine.deal()
        assert path.read_bytes() == before


def test_what_is_missing_is_said_with_whose_turn_it_is(operators: Operators) -> None:
    machine = operators.machine(1)
    machine.keys()
    with pytest.raises(NotAloneError, match=r"keys-2 is not there yet: wait for trustee 2 \(Université\)"):
        machine.deal()


def blame(operators: Operators, index: int, step: Callable[[Ceremony], object]) -> tuple[int, ...]:
    with pytest.raises(CeremonyFailed) as caught:
        step(operators.machine(index))
    return caught.value.culprits


def test_attack_a_bad_dealing_convicts_its_dealer_before_everybody(dealt: Operators) -> None:
    keys = read_key_file(dealt.root / "2" / "trustee.key", PHRASE).keys
    dealing = Dealing.decode((dealt.folder(2) / "dealing-2").read_bytes())
    bad = sign_message(
        replace(dealing, sealed=(dealing.sealed[1], *dealing.sealed[1:])), keys.signing_key, Tag.DEALING
    )
    for index in EVERYONE:
        (dealt.folder(index) / "dealing-2").write_bytes(bad.encode())
    # The enc's proof covers the sealed parts, so a dealer has to prove anew; without it all see it at once.
    for index in (1, 3):
        assert blame(dealt, index, Ceremony.confirm) == (2,)


def test_attack_a_dealing_bad_for_one_is_shown_by_that_one(dealt: Operators) -> None:
    own = read_key_file(dealt.root / "2" / "trustee.key", PHRASE)
    machine = dealt.machine(2)
    parameters = machine.agreement.parameters
    public = machine.public_keys()
    wrong = list(public)
    wrong[2] = replace(public[2], bundle_key=kem.generate_key(system_randomness).public)
    dealing = protocol.deal(parameters, own.keys, wrong, 2, system_randomness)  # sealed to a key nobody has
    for index in EVERYONE:
        (dealt.folder(index) / "dealing-2").write_bytes(dealing.encode())
    dealt.machine(1).confirm()
    assert blame(dealt, 3, Ceremony.confirm) == (2,)
    assert (dealt.folder(3) / "complaint-3-2").exists()
    dealt.carry()
    assert blame(dealt, 1, Ceremony.confirm) == (2,)
    assert blame(dealt, 1, Ceremony.manifest) == (2,)


def test_attack_other_dealings_for_some_are_seen_in_the_hashes(dealt: Operators) -> None:
    own = read_key_file(dealt.root / "2" / "trustee.key", PHRASE)
    machine = dealt.machine(2)
    second = protocol.deal(
        machine.agreement.parameters, own.keys, machine.public_keys(), 2, system_randomness
    )
    (dealt.folder(3) / "dealing-2").write_bytes(second.encode())
    dealt.everybody(Ceremony.confirm)
    with pytest.raises(CeremonyFailed) as caught:
        dealt.machine(1).manifest()
    assert caught.value.code == Code.EQUIVOCATION


def test_attack_the_courier_replaces_keys(operators: Operators) -> None:
    operators.everybody(Ceremony.keys)
    for index in EVERYONE:
        (operators.folder(index) / "keys-1").write_bytes((operators.folder(index) / "keys-2").read_bytes())
    for index in EVERYONE:
        with pytest.raises(CeremonyFailed):
            operators.machine(index).deal()


def test_attack_the_courier_replaces_ones_own_keys_everywhere(operators: Operators) -> None:
    operators.everybody(Ceremony.keys)
    machine = operators.machine(1)
    _, public = protocol.create_keys(machine.agreement.parameters, 1, system_randomness)
    for index in EVERYONE:
        (operators.folder(index) / "keys-1").write_bytes(public.encode())
    with pytest.raises(CeremonyFailed, match="replaced this trustee's own keys"):
        operators.machine(1).deal()
    operators.machine(2).deal()  # cannot see it yet: the fingerprint aloud is what tells


def test_attack_another_fingerprint_is_not_signed(dealt: Operators) -> None:
    dealt.everybody(Ceremony.confirm)
    with pytest.raises(NotAloneError) as caught:
        dealt.machine(1).sign(groups(bytes(32)))
    assert caught.value.code == Code.MANIFEST
    assert not (dealt.folder(1) / "signature-1").exists()


def test_attack_a_wrong_signature_names_its_sender(dealt: Operators) -> None:
    complete(dealt)
    (dealt.folder(3) / "signature-2").write_bytes(bytes(64))
    (dealt.folder(3) / SIGNED_MANIFEST).unlink(missing_ok=True)
    assert blame(dealt, 3, Ceremony.finish) == (2,)


@pytest.mark.parametrize("name", ["keys-2", "dealing-2", "hashes-2", "signature-2"])
def test_a_damaged_file_says_so_and_whose_it_is(dealt: Operators, name: str) -> None:
    complete(dealt)
    path = dealt.folder(1) / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CeremonyFailed) as caught:
        dealt.machine(1).finish()
    assert caught.value.culprits == (2,)


def test_a_key_file_of_another_trustee_or_ceremony_is_refused(dealt: Operators) -> None:
    path = dealt.root / "1" / "trustee.key"
    own = read_key_file(path, PHRASE)
    write_key_file(path, replace(own, index=2), PHRASE, system_randomness, CHEAP)
    with pytest.raises(NotAloneError, match="another trustee or another ceremony"):
        dealt.machine(1).deal()


def test_messages_are_what_they_say(dealt: Operators) -> None:
    """Law: the public files are the wire messages of the specification, nothing else."""
    dealt.everybody(Ceremony.confirm)
    for name, kind in (("keys", TrusteeKeys), ("dealing", Dealing), ("hashes", SubsetHashes)):
        for index in EVERYONE:
            kind.decode((dealt.folder(1) / f"{name}-{index}").read_bytes())


# --- real processes -------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join(str(ROOT / part) for part in ("crypto", "server", "client_sdk/python", "demo"))

START = "from notalone_server.trustee.commands import app; app()"  # as `notalone trustee`, without the demo


def notalone(*arguments: str | Path, code: int = 0) -> str:
    """The command as operators type it."""
    result = subprocess.run(
        [sys.executable, "-c", START, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": PATHS, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == code, result.stderr
    return result.stdout if code == 0 else result.stderr


def test_three_operators_at_three_machines_with_the_command_line(tmp_path: Path) -> None:
    operators = Operators(tmp_path)
    own: dict[int, list[str | Path]] = {}
    for index in EVERYONE:
        operators.folder(index).mkdir(parents=True)
        phrase = tmp_path / str(index) / "passphrase"
        phrase.write_bytes(PHRASE + str(index).encode() + b"\n")
        phrase.chmod(0o600)
        own[index] = [
            "--folder", operators.folder(index), "--index", str(index),
            "--key-file", tmp_path / str(index) / "trustee.key", "--passphrase-file", phrase,
        ]  # fmt: skip
    named = [part for name in NAMES for part in ("--trustee", name)]
    notalone("parameters", "--folder", operators.folder(1), "--instance", "test", *named,
             "--board-key", BOARD.verify_key.hex())  # fmt: skip
    operators.carry()
    cheap = ("--memory", "19")
    for step in ("keys", "deal", "confirm"):
        for index in EVERYONE:
            notalone(step, *own[index], *cheap)
        operators.carry()
    shown = {notalone("show", *own[index]) for index in EVERYONE}
    assert len(shown) == 1
    fingerprint = shown.pop().split("Fingerprint ")[1].splitlines()[0]
    assert len(fingerprint.split()) == 16
    swapped = " ".join(fingerprint.split()[1:] + fingerprint.split()[:1])
    assert "Do not sign" in notalone("sign", *own[1], "--compared", swapped, code=2)
    for index in EVERYONE:
        notalone("sign", *own[index], "--compared", fingerprint, *cheap)
    assert "wait for trustee 2" in notalone("finish", *own[1], code=2)
    operators.carry()
    assert fingerprint in notalone("finish", *own[3])
    signed = read_signed_manifest(operators.folder(3) / SIGNED_MANIFEST)
    Committee.verified(signed, bytes.fromhex("".join(fingerprint.split())))
    (tmp_path / "1" / "passphrase").chmod(0o644)
    assert "0600" in notalone("deal", *own[1], code=2)
    (tmp_path / "2" / "passphrase").write_bytes(b"the wrong passphrase\n")
    assert "passphrase is wrong" in notalone("deal", *own[2], code=2)
