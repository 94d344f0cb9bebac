"""The key ceremony between machines, by files in a folder that everybody's operator copies around.

Owns the files' names, the order of the steps and what each one verifies. Refuses
to know how the folder travels: whoever carries it can stop the ceremony and be
seen, nothing else, for every file is signed and operators compare the
manifest's fingerprint aloud before they sign it. Every step may be repeated;
a crash loses nothing, because the key file is written before a public file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from notalone_crypto.errors import CeremonyFailed, Code, Fault, Misuse, NotAloneError, StateConflict
from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Dealing,
    DealingComplaint,
    Manifest,
    ScopePolicy,
    SignedManifest,
    SubsetHashes,
    TrusteeKeys,
)
from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol import ceremony
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import LEVELS, SECRET_LENGTH, Tag
from notalone_server.trustee.keyfile import (
    Cost,
    KeyFile,
    read_key_file,
    replace_file,
    write_key_file,
)

M = TypeVar("M", bound=Message)
PARAMETERS = "ceremony.json"
SIGNED_MANIFEST = "manifest.signed"
_FORMAT = "notalone-ceremony-1"
_MAX_FILE = 1 << 21
_HEX = 4


def fingerprint_groups(fingerprint: bytes) -> str:
    """Sixteen groups of four hexadecimal digits, to be read aloud over the telephone."""
    text = fingerprint.hex()
    return " ".join(text[start : start + _HEX] for start in range(0, len(text), _HEX))


@dataclass(frozen=True, slots=True)
class Agreement:
    """What operators agree on before any key exists."""

    parameters: CommitteeParameters
    board_key: bytes
    auditors: tuple[bytes, ...] = ()


def write_agreement(
    folder: Path,
    instance: str,
    trustees: tuple[str, ...],
    threshold: int,
    levels: tuple[int, ...],
    board_key: bytes,
    auditors: tuple[bytes, ...],
    randomness: Randomness,
) -> Agreement:
    """Put the agreement into a new ceremony's folder. Raises MalformedInput, Misuse."""
    signing.check_verify_key(board_key)
    for key in auditors:
        hpke.check_public(key)
    parameters = CommitteeParameters(instance, trustees, threshold, levels, randomness(SECRET_LENGTH))
    path = folder / PARAMETERS
    if path.exists():
        raise _operator(Code.DUPLICATE, f"{path} exists: a ceremony is not begun twice in one folder")
    document = {
        "format": _FORMAT,
        "instance": instance,
        "trustees": list(trustees),
        "threshold": threshold,
        "levels": list(levels),
        "nonce": parameters.nonce.hex(),
        "board_key": board_key.hex(),
        "auditors": [key.hex() for key in auditors],
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())
    return read_agreement(folder)


def read_agreement(folder: Path) -> Agreement:
    """The agreement in the folder. Raises Misuse (the operator's fault), MalformedInput."""
    try:
        document: Any = json.loads(_read(folder / PARAMETERS))
        if document["format"] != _FORMAT:
            raise _operator(Code.VERSION, f"{PARAMETERS} has another format")
        parameters = CommitteeParameters(
            document["instance"],
            tuple(document["trustees"]),
            document["threshold"],
            tuple(document["levels"]),
            bytes.fromhex(document["nonce"]),
        )
        board_key = bytes.fromhex(document["board_key"])
        auditors = tuple(bytes.fromhex(key) for key in document["auditors"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _operator(Code.PARAMETERS, f"{PARAMETERS} is not a ceremony's agreement") from error
    signing.check_verify_key(board_key)
    return Agreement(parameters, board_key, auditors)


@dataclass(slots=True)
class Ceremony:
    """One trustee's part in it. Each step writes this trustee's next public file, or says what is missing."""

    folder: Path
    index: int
    key_file: Path
    passphrase: bytes = field(repr=False)
    randomness: Randomness
    cost: Cost = field(default_factory=Cost)
    agreement: Agreement = field(init=False)

    def __post_init__(self) -> None:
        """Read what was agreed."""
        self.agreement = read_agreement(self.folder)
        if not 1 <= self.index <= self.agreement.parameters.count:
            raise _operator(Code.PARAMETERS, "the committee has no trustee of this number")

    def keys(self) -> TrusteeKeys:
        """Step 1: make this trustee's keys and publish their public part."""
        if self.key_file.exists():
            own = self._own()
        else:
            keys, public = ceremony.create_keys(self._parameters, self.index, self.randomness)
            storage = self.randomness(SECRET_LENGTH)
            own = KeyFile(self.index, self._parameters.committee, storage, keys, public.encode())
            self._keep(own)
        self._publish(f"keys-{self.index}", own.public)
        return TrusteeKeys.decode(own.public)

    def deal(self) -> Dealing:
        """Step 2: with everybody's keys, deal to everybody."""
        own, public = self._own(), self.public_keys()
        if not own.dealing:
            dealing = ceremony.deal(self._parameters, own.keys, public, self.index, self.randomness)
            own = replace(own, dealing=dealing.encode())
            self._keep(own)
        self._publish(f"dealing-{self.index}", own.dealing)
        return Dealing.decode(own.dealing)

    def confirm(self) -> SubsetHashes:
        """Step 3: open everybody's dealings; publish what was understood, or a complaint and stop.

        Raises: CeremonyFailed naming the culprits.
        """
        own, public = self._own(), self.public_keys()
        dealings = self._dealings(public)
        self.judge_complaints()
        parts = []
        for dealing in dealings:
            try:
                parts.append(ceremony.open_dealing(self._parameters, own.keys, self.index, dealing))
            except CeremonyFailed:
                complaint = ceremony.complain(
                    self._parameters, own.keys, self.index, dealing, self.randomness
                )
                self._publish(f"complaint-{self.index}-{dealing.dealer}", complaint.encode(), again=True)
                raise
        secrets, hashes = ceremony.combine(self._parameters, own.keys, self.index, dealings, parts)
        if own.secrets is None:
            self._keep(replace(own, secrets=secrets))
        elif own.secrets.subset_keys != secrets.subset_keys:
            raise CeremonyFailed(Code.EQUIVOCATION, "the dealings in the folder are not those opened before")
        self._publish(f"hashes-{self.index}", hashes.encode())
        return hashes

    def manifest(self) -> Manifest:
        """What everybody computes from the public files; its fingerprint is compared aloud."""
        public = self.public_keys()
        dealings = self._dealings(public)
        self.judge_complaints()
        hashes = self._everybody("hashes", SubsetHashes)
        for position, message in enumerate(hashes, 1):
            if message.index != position:
                raise CeremonyFailed(Code.DEALING, f"hashes-{position} is another trustee's")
        return ceremony.assemble_manifest(
            self._parameters,
            public,
            dealings,
            hashes,
            board_key=self.agreement.board_key,
            auditors=self.agreement.auditors,
        )

    def sign(self, compared: str) -> Manifest:
        """Step 4: sign, once the operator typed the fingerprint that the others read aloud.

        Raises: StateConflict (ceremony.manifest) when it is another one.
        """
        manifest = self.manifest()
        own = self._own()
        if own.secrets is None:
            raise _operator(Code.OUT_OF_ORDER, "this trustee has not confirmed the dealings yet")
        typed = "".join(compared.split()).lower()
        if typed != manifest.fingerprint.hex():
            raise StateConflict(
                Code.MANIFEST,
                "the fingerprint that was read aloud is not the one computed here: somebody has other files. "
                "Do not sign; compare the folders",
                fault=Fault.OPERATOR,
            )
        if own.manifest not in {b"", manifest.fingerprint}:
            raise CeremonyFailed(
                Code.EQUIVOCATION, "this trustee signed another manifest of this ceremony before"
            )
        if not own.manifest:
            self._keep(replace(own, manifest=manifest.fingerprint))
        signature = ceremony.sign_manifest(manifest, own.keys.signing_key)
        self._publish(f"signature-{self.index}", signature)
        return manifest

    def finish(self) -> Committee:
        """Step 5: with everybody's signature, write the signed manifest.

        Raises: CeremonyFailed naming whose signature is bad.
        """
        manifest = self.manifest()
        signatures = {}
        for index in range(1, self._parameters.count + 1):
            signature = self._need(f"signature-{index}", index)
            try:
                signing.verify(
                    manifest.trustees[index - 1].verify_key, signature, Tag.MANIFEST, manifest.fingerprint
                )
            except NotAloneError as error:
                raise CeremonyFailed(
                    Code.SIGNATURE, "a trustee did not sign this manifest", culprits=(index,)
                ) from error
            signatures[index] = signature
        signed = ceremony.collect(manifest, signatures)
        self._publish(SIGNED_MANIFEST, signed.encode())
        return Committee.verified(signed, manifest.fingerprint)

    def public_keys(self) -> list[TrusteeKeys]:
        """Everybody's keys, verified; ours among them are ours. Raises CeremonyFailed."""
        public = self._everybody("keys", TrusteeKeys)
        ceremony.check_keys(self._parameters, public)
        if self.key_file.exists() and public[self.index - 1].encode() != self._own().public:
            raise CeremonyFailed(Code.EQUIVOCATION, "somebody replaced this trustee's own keys in the folder")
        return public

    def judge_complaints(self) -> None:
        """Raise the verdict on the first complaint in the folder, the same for everybody."""
        public = self.public_keys()
        for path in sorted(self.folder.glob("complaint-*-*")):
            complaint = _decoded(path.name, DealingComplaint, _read(path))
            if 1 <= complaint.dealer <= len(public):
                dealing = _decoded(
                    "dealing", Dealing, self._need(f"dealing-{complaint.dealer}", complaint.dealer)
                )
                raise ceremony.judge(self._parameters, public, dealing, complaint)

    @property
    def _parameters(self) -> CommitteeParameters:
        return self.agreement.parameters

    def _dealings(self, public: list[TrusteeKeys]) -> list[Dealing]:
        dealings = self._everybody("dealing", Dealing)
        for position, dealing in enumerate(dealings, 1):
            if dealing.dealer != position:
                raise CeremonyFailed(Code.DEALING, f"dealing-{position} is another trustee's")
            ceremony.check_dealing(self._parameters, public, dealing)
        return dealings

    def _everybody(self, name: str, kind: type[M]) -> list[M]:
        return [
            _decoded(f"{name}-{index}", kind, self._need(f"{name}-{index}", index), index)
            for index in range(1, self._parameters.count + 1)
        ]

    def _need(self, name: str, index: int) -> bytes:
        path = self.folder / name
        if not path.exists():
            who = self._parameters.trustees[index - 1]
            raise StateConflict(
                Code.OUT_OF_ORDER,
                f"{name} is not there yet: wait for trustee {index} ({who}), then copy it into {self.folder}",
                fault=Fault.OPERATOR,
            )
        return _read(path)

    def _own(self) -> KeyFile:
        own = read_key_file(self.key_file, self.passphrase)
        if own.index != self.index or own.committee != self._parameters.committee:
            raise _operator(Code.COMMITTEE, f"{self.key_file} belongs to another trustee or another ceremony")
        return own

    def _keep(self, content: KeyFile) -> None:
        write_key_file(self.key_file, content, self.passphrase, self.randomness, self.cost)

    def _publish(self, name: str, data: bytes, *, again: bool = False) -> None:
        path = self.folder / name
        if path.exists() and not again:
            if _read(path) != data:
                raise CeremonyFailed(
                    Code.EQUIVOCATION,
                    f"{name} in the folder is not what this trustee made; somebody replaced it",
                )
            return
        replace_file(path, data)


def check_levels(text: str) -> tuple[int, ...]:
    """`2,3` as levels. Raises Misuse (the operator's fault)."""
    try:
        levels = tuple(int(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if levels not in {LEVELS[:2], LEVELS}:
        raise _operator(Code.PARAMETERS, "levels are 2,3 or 2,3,4")
    return levels


def read_signed_manifest(path: Path) -> SignedManifest:
    """A signed manifest's file, not verified yet. Raises Misuse (the operator's fault), MalformedInput."""
    return _decoded(path.name, SignedManifest, _read(path))


def read_policy(path: Path) -> tuple[ScopePolicy, bytes]:
    """A scope's rules and their fingerprint, for the operator to read before approving them."""
    policy = _decoded(path.name, ScopePolicy, _read(path))
    return policy, policy.fingerprint


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE:
            raise _operator(Code.LENGTH, f"{path} is too long")
        return path.read_bytes()
    except OSError as error:
        raise _operator(Code.MISUSE, f"cannot read {path}") from error


def _decoded(name: str, kind: type[M], data: bytes, index: int = 0) -> M:
    try:
        return kind.decode(data)
    except NotAloneError as error:
        raise CeremonyFailed(
            error.code, f"{name} is damaged: copy it again", culprits=(index,) if index else ()
        ) from error


def _operator(code: Code, detail: str) -> Misuse:
    return Misuse(code, detail, fault=Fault.OPERATOR)
