"""The operator's key file: everything secret of one trustee, under a passphrase.

Owns what is in it. Refuses to know how it is sealed (edge/sealedfile.py), and how
keys are agreed and used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from notalone_crypto.codec import Reader, Writer
from notalone_crypto.errors import Code, Fault, MalformedInput, Misuse
from notalone_crypto.primitives import hpke, kem, signing
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_crypto.protocol.keys import TrusteeSecrets
from notalone_crypto.randomness import Randomness
from notalone_server.edge.sealedfile import Cost, read_passphrase, replace_file, seal, unseal

__all__ = ["FORMAT", "Cost", "KeyFile", "read_key_file", "read_passphrase", "replace_file", "write_key_file"]

FORMAT: Final = "notalone-trustee-key-1"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What one trustee keeps secret, in every stage of its life."""

    index: int
    committee: bytes  # 32-byte identifier
    storage_key: bytes = field(repr=False)  # 32 bytes: the database is sealed with it
    keys: CeremonyKeys = field(repr=False)
    public: bytes = field(repr=False)  # own TrusteeKeys message, to repeat
    dealing: bytes = field(default=b"", repr=False)  # own Dealing, to repeat: a second one would accuse us
    secrets: TrusteeSecrets | None = field(default=None, repr=False)  # once the ceremony combined them
    manifest: bytes = b""  # fingerprint of the manifest they belong to

    def encode(self) -> bytes:
        """Canonical bytes; keep them secret."""
        writer = Writer().u8(self.index).fixed(self.committee, 32).fixed(self.storage_key, 32)
        writer.fixed(self.keys.signing_key.seed, 32).fixed(self.keys.channel_key.secret, 32)
        writer.fixed(RISTRETTO255.encode_scalar(self.keys.bundle_key.secret), 32)
        writer.variable(self.public).variable(self.dealing).variable(self.manifest)
        if self.secrets is None:
            return writer.u8(0).finish()
        writer.u8(1).u8(len(self.secrets.level_shares))
        for level, share in self.secrets.level_shares.items():
            writer.u8(level).fixed(RISTRETTO255.encode_scalar(share.value), 32)
            writer.fixed(RISTRETTO255.encode_scalar(share.blind), 32)
        writer.u16(len(self.secrets.subset_keys))
        for subset, key in self.secrets.subset_keys.items():
            writer.variable(bytes(subset)).fixed(key, 32)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> KeyFile:
        """The inverse of `encode`. Raises MalformedInput."""
        reader = Reader(data)
        index, committee, storage_key = reader.u8(), reader.fixed(32), reader.fixed(32)
        keys = CeremonyKeys(
            signing.SigningKey(reader.fixed(32)),
            hpke.HpkePrivateKey.from_bytes(reader.fixed(32)),
            kem.EncryptionKey(RISTRETTO255.decode_scalar(reader.fixed(32))),
        )
        public, dealing, manifest = reader.variable(), reader.variable(), reader.variable()
        secrets = None
        if reader.u8() == 1:
            shares = {}
            for _ in range(reader.u8()):
                level = reader.u8()
                value = RISTRETTO255.decode_scalar(reader.fixed(32))
                shares[level] = Share(index, value, RISTRETTO255.decode_scalar(reader.fixed(32)))
            subsets = {tuple(reader.variable()): reader.fixed(32) for _ in range(reader.u16())}
            secrets = TrusteeSecrets(
                index, keys.signing_key, keys.channel_key, keys.bundle_key, shares, subsets
            )
        reader.finish()
        return cls(index, committee, storage_key, keys, public, dealing, secrets, manifest)


def write_key_file(
    path: Path, content: KeyFile, passphrase: bytes, randomness: Randomness, cost: Cost | None = None
) -> None:
    """Seal and write, whole or not at all; mode 0600. Replaces an earlier stage of the same trustee."""
    replace_file(path, seal(FORMAT, content.encode(), passphrase, randomness, cost), 0o600)


def read_key_file(path: Path, passphrase: bytes) -> KeyFile:
    """Open a key file.

    Raises: Misuse (the operator's fault) for wrong permissions, a wrong
    passphrase, a changed file or one of another kind, each with its sentence.
    """
    content = unseal(FORMAT, "trustee's", path, passphrase)
    try:
        return KeyFile.decode(content)
    except MalformedInput as error:
        raise Misuse(Code.MISUSE, f"{path} holds no trustee's keys", fault=Fault.OPERATOR) from error
