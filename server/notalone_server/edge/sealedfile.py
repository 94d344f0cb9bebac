"""Files of secrets under a passphrase: Argon2id, XChaCha20-Poly1305, mode 0600.

Owns the format, the cost of guessing and how a file is replaced whole. Refuses
to know what is inside: each kind of file has a name of its own, which the
sealing covers, so that one cannot be taken for another. The file is JSON around
one sealed value; nothing in clear but the parameters of Argon2id, sealed too.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import argon2.low_level
from nacl import bindings
from nacl.exceptions import CryptoError

from notalone_crypto.errors import Code, Fault, Misuse, NotAloneError
from notalone_crypto.randomness import Randomness
from notalone_server.edge.secretfile import read_secret

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


def read_passphrase(path: Path) -> bytes:
    """The passphrase in a file of mode 0600, without the line end. Raises Misuse (the operator's fault)."""
    phrase = read_secret(path).strip(b"\r\n")
    if len(phrase) < MIN_PASSPHRASE:
        raise _operator(Code.LENGTH, f"the passphrase in {path} is shorter than {MIN_PASSPHRASE} characters")
    return phrase


def seal(kind: str, content: bytes, passphrase: bytes, randomness: Randomness, cost: Cost | None) -> bytes:
    """The bytes of a file of this kind."""
    chosen = cost or Cost()
    chosen.check()
    salt, nonce = randomness(SALT_LENGTH), randomness(_NONCE_LENGTH)
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        content, _header(kind, chosen, salt), nonce, _derive(passphrase, salt, chosen)
    )
    document = {
        "format": kind,
        "argon2id": {"memory_kib": chosen.memory_kib, "time": chosen.time, "lanes": chosen.lanes},
        "salt": base64.b64encode(salt).decode(),
        "sealed": base64.b64encode(nonce + sealed).decode(),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def unseal(kind: str, whose: str, path: Path, passphrase: bytes) -> bytes:
    """What a file of this kind holds; `whose` says in refusals whose key file was expected.

    Raises: Misuse (the operator's fault) for wrong permissions, a wrong
    passphrase, a changed file or one of another kind, each with its sentence.
    """
    data = read_secret(path)
    try:
        document: Any = json.loads(data) if len(data) <= _MAX_FILE else None
        cost = Cost(*(int(document["argon2id"][name]) for name in ("memory_kib", "time", "lanes")))
        salt = base64.b64decode(document["salt"], validate=True)
        sealed = base64.b64decode(document["sealed"], validate=True)
        known = document["format"] == kind
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        raise _operator(Code.MISUSE, f"{path} is not a {whose} key file") from error
    if not known:
        raise _operator(Code.VERSION, f"{path} is a key file of another format")
    cost.check()
    if len(salt) != SALT_LENGTH or len(sealed) < _NONCE_LENGTH:
        raise _operator(Code.MISUSE, f"{path} is not a {whose} key file")
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[_NONCE_LENGTH:],
            _header(kind, cost, salt),
            sealed[:_NONCE_LENGTH],
            _derive(passphrase, salt, cost),
        )
    except CryptoError as error:
        raise _operator(
            Code.DECRYPTION, f"{path} does not open: the passphrase is wrong or the file was changed"
        ) from error


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


def _header(kind: str, cost: Cost, salt: bytes) -> bytes:
    return f"{kind} {cost.memory_kib} {cost.time} {cost.lanes} {salt.hex()}".encode()


def _operator(code: Code, detail: str) -> NotAloneError:
    return Misuse(code, detail, fault=Fault.OPERATOR)
