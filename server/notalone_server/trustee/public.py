"""The public messages of one ceremony, in a folder.

Owns their names, who sends which, and what everybody computes from them.
Refuses secrets. The first message at a place stays; every message is signed by
its sender, so that whoever carries it can withhold it and nothing else.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from notalone_crypto.errors import CeremonyFailed, Code, Fault, Misuse, NotAloneError, StateConflict
from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Dealing,
    DealingComplaint,
    Manifest,
    SubsetHashes,
    TrusteeKeys,
)
from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives import signing
from notalone_crypto.protocol import ceremony
from notalone_crypto.protocol.signed import check_signature
from notalone_crypto.suite import SIGNATURE_LENGTH, Tag
from notalone_server.trustee.agreement import Agreement, read_file

M = TypeVar("M", bound=Message)
KEYS, DEALING, HASHES, SIGNATURE, COMPLAINT = "keys", "dealing", "hashes", "signature", "complaint"
ORDER: Final = (KEYS, DEALING, COMPLAINT, HASHES, SIGNATURE)
_NAME: Final = re.compile(r"(keys|dealing|hashes|signature)-([1-9])|(complaint)-([1-9])-([1-9])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """A message's name, read: what it is and who sends it."""

    name: str
    kind: str
    sender: int
    about: int = 0  # a complaint's dealer

    @classmethod
    def parse(cls, name: str, count: int) -> Place:
        """Raises Misuse for what is no message's name in a committee of `count`."""
        found = _NAME.fullmatch(name)
        if found is None:
            raise Misuse(Code.TEXT, "a ceremony has no message of this name")
        kind = found[1] or found[3]
        sender, about = int(found[2] or found[4]), int(found[5] or 0)
        if sender > count or about > count or sender == about:
            raise Misuse(Code.RANGE, "a ceremony has no message of this name")
        return cls(name, kind, sender, about)


@dataclass(frozen=True, slots=True)
class PublicFiles:
    """What lies in the folder, read and verified anew each time."""

    folder: Path
    agreement: Agreement

    @property
    def parameters(self) -> CommitteeParameters:
        """The committee that was agreed on."""
        return self.agreement.parameters

    def places(self) -> list[Place]:
        """The messages that are here, in the order in which they are made."""
        found = []
        for path in self.folder.iterdir():
            try:
                found.append(Place.parse(path.name, self.parameters.count))
            except Misuse:
                continue
        return sorted(found, key=lambda one: (ORDER.index(one.kind), one.name))

    def has(self, name: str) -> bool:
        """Whether a message is here."""
        return (self.folder / name).exists()

    def read(self, name: str) -> bytes:
        """A message's bytes. Raises Misuse (the operator's fault)."""
        return read_file(self.folder / name)

    def missing(self, kind: str) -> list[int]:
        """Whose message of a kind is not here yet."""
        return [index for index in range(1, self.parameters.count + 1) if not self.has(f"{kind}-{index}")]

    def add(self, name: str, data: bytes) -> None:
        """Put a message in, whole or not at all; the first one stays.

        Raises: StateConflict (state.duplicate) when another one is there.
        """
        handle, temporary = tempfile.mkstemp(".new", f".{name}.", self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, 0o644)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, self.folder / name)
        except FileExistsError:
            if self.read(name) != data:
                raise StateConflict(Code.DUPLICATE, f"another {name} is there already") from None
            return
        finally:
            Path(temporary).unlink(missing_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def check_sender(self, place: Place, data: bytes) -> bytes:
        """The sender's verify key, if it sent these bytes in this ceremony. What it says is not judged here.

        Raises: MalformedInput, VerificationFailed, ContextMismatch or CeremonyFailed for anything
        else; StateConflict (state.out_of_order) while what it is checked against is not here.
        """
        if place.kind == KEYS:
            keys = TrusteeKeys.decode(data)
            self._belongs(keys.committee, (keys.index, 0), place)
            if keys.generation != 0:
                raise _foreign(place)
            signing.check_verify_key(keys.verify_key)
            check_signature(keys, keys.verify_key, Tag.TRUSTEE_KEYS)
            return keys.verify_key
        if not self.has(f"{KEYS}-{place.sender}"):
            raise StateConflict(Code.OUT_OF_ORDER, f"the keys of trustee {place.sender} are not here yet")
        key = TrusteeKeys.decode(self.read(f"{KEYS}-{place.sender}")).verify_key
        if place.kind == DEALING:
            dealing = Dealing.decode(data)
            self._belongs(dealing.committee, (dealing.dealer, 0), place)
            check_signature(dealing, key, Tag.DEALING)
        elif place.kind == HASHES:
            hashes = SubsetHashes.decode(data)
            self._belongs(hashes.committee, (hashes.index, 0), place)
            check_signature(hashes, key, Tag.SUBSET_KEY_HASH)
        elif place.kind == COMPLAINT:
            complaint = DealingComplaint.decode(data)
            self._belongs(complaint.committee, (complaint.accuser, complaint.dealer), place)
            check_signature(complaint, key, Tag.COMPLAINT)
        else:
            if len(data) != SIGNATURE_LENGTH:
                raise _foreign(place)
            signing.verify(key, data, Tag.MANIFEST, self.manifest().fingerprint)
        return key

    def keys(self) -> list[TrusteeKeys]:
        """Everybody's keys, verified. Raises CeremonyFailed, StateConflict (not here yet)."""
        public = self.everybody(KEYS, TrusteeKeys)
        ceremony.check_keys(self.parameters, public)
        return public

    def dealings(self, public: Sequence[TrusteeKeys]) -> list[Dealing]:
        """Everybody's dealings, as far as anybody can check them."""
        dealings = self.everybody(DEALING, Dealing)
        for position, dealing in enumerate(dealings, 1):
            if dealing.dealer != position:
                raise CeremonyFailed(Code.DEALING, f"dealing-{position} is another trustee's")
            ceremony.check_dealing(self.parameters, public, dealing)
        return dealings

    def judge_complaints(self) -> None:
        """Raise the verdict on the first complaint in the folder, the same for everybody."""
        public = self.keys()
        for place in self.places():
            if place.kind != COMPLAINT:
                continue
            complaint = decoded(place.name, DealingComplaint, self.read(place.name))
            if 1 <= complaint.dealer <= len(public):
                name = f"{DEALING}-{complaint.dealer}"
                dealing = decoded(name, Dealing, self.need(name, complaint.dealer))
                raise ceremony.judge(self.parameters, public, dealing, complaint)

    def manifest(self) -> Manifest:
        """What everybody computes; its fingerprint is compared aloud."""
        public = self.keys()
        dealings = self.dealings(public)
        self.judge_complaints()
        hashes = self.everybody(HASHES, SubsetHashes)
        for position, message in enumerate(hashes, 1):
            if message.index != position:
                raise CeremonyFailed(Code.DEALING, f"hashes-{position} is another trustee's")
        return ceremony.assemble_manifest(
            self.parameters,
            public,
            dealings,
            hashes,
            board_key=self.agreement.board_key,
            auditors=self.agreement.auditors,
        )

    def everybody(self, name: str, kind: type[M]) -> list[M]:
        """One message of every trustee, in order. Raises CeremonyFailed, StateConflict (not here yet)."""
        return [
            decoded(f"{name}-{index}", kind, self.need(f"{name}-{index}", index), index)
            for index in range(1, self.parameters.count + 1)
        ]

    def need(self, name: str, index: int) -> bytes:
        """A message of trustee `index`. Raises StateConflict (the operator's turn to wait)."""
        if not self.has(name):
            who = self.parameters.trustees[index - 1]
            raise StateConflict(
                Code.OUT_OF_ORDER,
                f"{name} is not there yet: wait for trustee {index} ({who}), then copy it into {self.folder}",
                fault=Fault.OPERATOR,
            )
        return self.read(name)

    def _belongs(self, committee: bytes, who: tuple[int, int], place: Place) -> None:
        """Attack: a message of another ceremony, or another trustee's, at this place."""
        if committee != self.parameters.committee or who != (place.sender, place.about):
            raise _foreign(place)


def decoded(name: str, kind: type[M], data: bytes, index: int = 0) -> M:
    """A message. Raises CeremonyFailed naming whose it is."""
    try:
        return kind.decode(data)
    except NotAloneError as error:
        raise CeremonyFailed(
            error.code, f"{name} is damaged: copy it again", culprits=(index,) if index else ()
        ) from error


def _foreign(place: Place) -> CeremonyFailed:
    return CeremonyFailed(Code.COMMITTEE, f"{place.name} is of another ceremony or another trustee")
