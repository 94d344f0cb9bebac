"""What operators agree on before any key exists.

Owns the agreement's file and its fingerprint. Refuses to know what follows
from it. The fingerprint names the ceremony: requests are signed for it, and
whoever does not know it finds nothing at an exchange.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from notalone_crypto.codec import join
from notalone_crypto.errors import Code, Fault, Misuse
from notalone_crypto.messages.committee import CommitteeParameters
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import LEVELS, SECRET_LENGTH, Tag
from notalone_server.trustee.keyfile import replace_file

PARAMETERS: Final = "ceremony.json"
MAX_FILE: Final = 1 << 21
NAME_BYTES: Final = 16  # of the fingerprint, in an exchange's addresses: as much as twelve words tell
_FORMAT: Final = "notalone-ceremony-1"


@dataclass(frozen=True, slots=True)
class Agreement:
    """The committee to be, and the keys of those who are not in it."""

    parameters: CommitteeParameters
    board_key: bytes
    auditors: tuple[bytes, ...] = ()

    @property
    def fingerprint(self) -> bytes:
        """32 bytes over everything that was agreed."""
        return digest(
            Tag.COMMITTEE, b"agreement", self.parameters.encode(), self.board_key, join(*self.auditors)
        )

    @property
    def name(self) -> str:
        """The ceremony's name in an exchange's addresses."""
        return self.fingerprint[:NAME_BYTES].hex()

    def document(self) -> bytes:
        """The file's bytes."""
        content = {
            "format": _FORMAT,
            "instance": self.parameters.instance,
            "trustees": list(self.parameters.trustees),
            "threshold": self.parameters.threshold,
            "levels": list(self.parameters.levels),
            "nonce": self.parameters.nonce.hex(),
            "board_key": self.board_key.hex(),
            "auditors": [key.hex() for key in self.auditors],
        }
        return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> Agreement:
        """The inverse of `document`. Raises Misuse (the operator's fault), MalformedInput."""
        try:
            document: Any = json.loads(data)
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
        for key in auditors:
            hpke.check_public(key)
        return cls(parameters, board_key, auditors)


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
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, Agreement(parameters, board_key, auditors).document())
    return read_agreement(folder)


def read_agreement(folder: Path) -> Agreement:
    """The agreement in the folder. Raises Misuse (the operator's fault), MalformedInput."""
    return Agreement.parse(read_file(folder / PARAMETERS))


def check_levels(text: str) -> tuple[int, ...]:
    """`2,3` as levels. Raises Misuse (the operator's fault)."""
    try:
        levels = tuple(int(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if levels not in {LEVELS[:2], LEVELS}:
        raise _operator(Code.PARAMETERS, "levels are 2,3 or 2,3,4")
    return levels


def read_file(path: Path) -> bytes:
    """A public file's bytes. Raises Misuse (the operator's fault) when it is not there or too long."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise _operator(Code.LENGTH, f"{path} is too long")
        return path.read_bytes()
    except OSError as error:
        raise _operator(Code.MISUSE, f"cannot read {path}") from error


def _operator(code: Code, detail: str) -> Misuse:
    return Misuse(code, detail, fault=Fault.OPERATOR)
