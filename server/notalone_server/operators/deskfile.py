"""A desk's key file: what opens introductions sealed to it, under a passphrase.

Owns what is in it. Refuses to know how it is sealed (edge/sealedfile.py), and
to open anything with it: that is the desk's own program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from notalone_crypto.codec import Reader, Writer
from notalone_crypto.errors import Code, Fault, MalformedInput, Misuse
from notalone_crypto.primitives.hpke import HpkePrivateKey
from notalone_crypto.randomness import Randomness
from notalone_server.edge.sealedfile import Cost, seal, unseal
from notalone_server.edge.secretfile import write_secret

FORMAT: Final = "notalone-desk-key-1"
MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class DeskKey:
    """One desk's name and X25519 key."""

    name: str
    key: HpkePrivateKey = field(repr=False)

    def encode(self) -> bytes:
        """Canonical bytes; keep them secret."""
        return Writer().variable(self.name.encode("utf-8")).fixed(self.key.secret, 32).finish()

    @classmethod
    def decode(cls, data: bytes) -> DeskKey:
        """The inverse of `encode`. Raises MalformedInput."""
        reader = Reader(data)
        raw, key = reader.variable(), HpkePrivateKey.from_bytes(reader.fixed(32))
        reader.finish()
        try:
            return cls(raw.decode("utf-8"), key)
        except UnicodeDecodeError as error:
            raise MalformedInput(Code.TEXT, "a desk's name is UTF-8") from error


def write_desk_key(
    path: Path, content: DeskKey, passphrase: bytes, randomness: Randomness, cost: Cost | None = None
) -> None:
    """Seal and write, whole or not at all; mode 0600.

    Raises: FileExistsError: with an overwritten key every introduction sealed to it is lost;
        Misuse for a name that is empty or longer than 200 bytes.
    """
    if not 0 < len(content.name.encode("utf-8")) <= MAX_NAME:
        raise Misuse(Code.LENGTH, f"a desk's name has 1 to {MAX_NAME} bytes", fault=Fault.OPERATOR)
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    write_secret(path, seal(FORMAT, content.encode(), passphrase, randomness, cost))


def read_desk_key(path: Path, passphrase: bytes) -> DeskKey:
    """Open a key file.

    Raises: Misuse (the operator's fault) for wrong permissions, a wrong passphrase,
    a changed file or one of another kind, each with its sentence.
    """
    content = unseal(FORMAT, "desk's", path, passphrase)
    try:
        return DeskKey.decode(content)
    except MalformedInput as error:
        raise Misuse(Code.MISUSE, f"{path} holds no desk's key", fault=Fault.OPERATOR) from error
