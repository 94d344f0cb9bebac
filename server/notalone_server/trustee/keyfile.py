"""The operator's key file: everything secret of one trustee, under a passphrase.

Owns the file's format, Argon2id and the permission checks. Refuses to know how
keys are agreed and used. The file is JSON around one sealed value; nothing in
clear but the parameters of Argon2id, which the sealing covers.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import argon2.low_level
from nacl import bindings
from nacl.exceptions import CryptoError

from notalone_crypto.codec import Reader, Writer
from notalone_crypto.errors import Code, Fault, MalformedInput, Misuse, NotAloneError
from notalone_crypto.primitives import hpke, kem, signing
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_crypto.protocol.keys import TrusteeSecrets
from notalone_crypto.randomness import Randomness
from notalone_server.edge.secretfile import read_secret

FORMAT: Final = "notalone-trustee-key-1"
MIN_PASSPHRASE: Final = 12
SALT_LENGTH: Final = 16
_NONCE_LENGTH: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_MAX_FILE: Final = 1 << 20
# What a file may ask of this machine, and the least it may be protected with (RFC 9106, section 4).
_MEMORY_KIB: Final = range(19 * 1024, 4 * 1024 * 1024 + 1)
_TIME: Final = range(1, 65)
_LANES: Final = range(1, 65)


@dataclass(frozen=True, slots=True)
class Cost:
    """Argon2id's parameters. The default takes some tenths of a second and 256 MiB, once at each start."""

    memory_kib: int = 256 * 1024
    time: int = 3
    lanes: int = 4

    def check(self) -> None:
        """Raise Misuse (the operator's fault) for too little protection or too much work."""
        if self.memory_kib not in _MEMORY_KIB or self.time not in _TIME or self.lanes not in _LANES:
            raise _operator(Code.RANGE, "the key file's Argon2id parameters are out of range")


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


def read_passphrase(path: Path) -> bytes:
    """The passphrase in a file of mode 0600, without the line end. Raises Misuse (the operator's fault)."""
    phrase = read_secret(path).strip(b"\r\n")
    if len(phrase) < MIN_PASSPHRASE:
        raise _operator(Code.LENGTH, f"the passphrase in {path} is shorter than {MIN_PASSPHRASE} characters")
    return phrase


def write_key_file(
    path: Path, content: KeyFile, passphrase: bytes, randomness: Randomness, cost: Cost | None = None
) -> None:
    """Seal and write, whole or not at all; mode 0600. Replaces an earlier stage of the same trustee."""
    chosen = cost or Cost()
    chosen.check()
    salt, nonce = randomness(SALT_LENGTH), randomness(_NONCE_LENGTH)
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        content.encode(), _header(chosen, salt), nonce, _derive(passphrase, salt, chosen)
    )
    document = {
        "format": FORMAT,
        "argon2id": {"memory_kib": chosen.memory_kib, "time": chosen.time, "lanes": chosen.lanes},
        "salt": base64.b64encode(salt).decode(),
        "sealed": base64.b64encode(nonce + sealed).decode(),
    }
    replace_file(path, (json.dumps(document, indent=1) + "\n").encode(), 0o600)


def read_key_file(path: Path, passphrase: bytes) -> KeyFile:
    """Open a key file.

    Raises: Misuse (the operator's fault) for wrong permissions, a wrong
    passphrase, a changed file or one of another kind, each with its sentence.
    """
    data = read_secret(path)
    try:
        document: Any = json.loads(data) if len(data) <= _MAX_FILE else None
        cost = Cost(*(int(document["argon2id"][name]) for name in ("memory_kib", "time", "lanes")))
        salt = base64.b64decode(document["salt"], validate=True)
        sealed = base64.b64decode(document["sealed"], validate=True)
        known = document["format"] == FORMAT
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        raise _operator(Code.MISUSE, f"{path} is not a trustee's key file") from error
    if not known:
        raise _operator(Code.VERSION, f"{path} is a key file of another format")
    cost.check()
    if len(salt) != SALT_LENGTH or len(sealed) < _NONCE_LENGTH:
        raise _operator(Code.MISUSE, f"{path} is not a trustee's key file")
    try:
        content = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[_NONCE_LENGTH:],
            _header(cost, salt),
            sealed[:_NONCE_LENGTH],
            _derive(passphrase, salt, cost),
        )
    except CryptoError as error:
        raise _operator(
            Code.DECRYPTION, f"{path} does not open: the passphrase is wrong or the file was changed"
        ) from error
    try:
        return KeyFile.decode(content)
    except MalformedInput as error:
        raise _operator(Code.MISUSE, f"{path} holds no trustee's keys") from error


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file durably, whole or not at all; a crash leaves the old one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _derive(passphrase: bytes, salt: bytes, cost: Cost) -> bytes:
    return argon2.low_level.hash_secret_raw(
        passphrase, salt, cost.time, cost.memory_kib, cost.lanes, 32, argon2.low_level.Type.ID
    )


def _header(cost: Cost, salt: bytes) -> bytes:
    return f"{FORMAT} {cost.memory_kib} {cost.time} {cost.lanes} {salt.hex()}".encode()


def _operator(code: Code, detail: str) -> NotAloneError:
    return Misuse(code, detail, fault=Fault.OPERATOR)
