"""Signed requests between machines: who sends them, that they are fresh and whole.

Owns the Authorization header of specs/40-http-api.md#signed-requests. Refuses
to know who may do what. A replay within the window is refused while the process
lives; after a restart it can only repeat a message that is harmless twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from notalone_crypto.errors import NotAloneError
from notalone_crypto.primitives import signing
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import SIGNATURE_LENGTH
from notalone_server.edge.problem import ProblemError

SCHEME: Final = "NotAlone-v1"
WINDOW_SECONDS: Final = 300
NONCE_LENGTH: Final = 16
_FIELDS: Final = 5
_MAX_SEEN: Final = 100_000


def _text(audience: bytes, signer: str, method: str, path: str, body: bytes, now: int, nonce: bytes) -> bytes:
    """What is signed. No checkpoint, cosignature or tagged message begins with this line."""
    lines = (
        f"{SCHEME} request",
        audience.hex(),
        signer,
        f"{method} {path}",
        hashlib.sha256(body).hexdigest(),
        str(now),
        nonce.hex(),
        "",
    )
    return "\n".join(lines).encode("utf-8")


def authorization(
    key: signing.SigningKey,
    signer: str,
    audience: bytes,
    method: str,
    path: str,
    body: bytes,
    now: int,
    randomness: Randomness,
) -> str:
    """The header's value for one request.

    `signer` is a name without spaces such as `trustee/1`; `audience` names the
    service (the committee's fingerprint for its board), so that a request to one
    cannot be played to another; `path` is as sent, there is no query.
    """
    nonce = randomness(NONCE_LENGTH)
    signature = key.sign_text(_text(audience, signer, method, path, body, now, nonce))
    return f"{SCHEME} {signer} {now} {_encode(nonce)} {_encode(signature)}"


@dataclass(slots=True)
class RequestVerifier:
    """Checks the header against the keys of those who may sign."""

    keys: Mapping[str, bytes]  # signer -> verify key, 32 bytes
    audience: bytes
    clock: Callable[[], int]
    _seen: dict[bytes, int] = field(init=False, default_factory=dict)  # nonce -> when it may be forgotten
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def verify(self, header: str, method: str, path: str, body: bytes, key: bytes | None = None) -> str:
        """The signer's name. Raises ProblemError (401) for anything else.

        With `key`, that one alone counts: for signers whose key depends on the body.
        """
        refused = ProblemError(
            401, "unauthorized", "The request carries no valid signature.", {"WWW-Authenticate": SCHEME}
        )
        words = header.split(" ")
        if len(words) != _FIELDS or words[0] != SCHEME or not words[2].isascii() or not words[2].isdigit():
            raise refused
        signer, now = words[1], int(words[2][:12])
        nonce, signature = _decode(words[3]), _decode(words[4])
        verify_key = self.keys.get(signer) if key is None else key
        current = self.clock()
        if (
            verify_key is None
            or len(nonce) != NONCE_LENGTH
            or len(signature) != SIGNATURE_LENGTH
            or abs(now - current) > WINDOW_SECONDS
        ):
            raise refused
        try:
            signing.verify_text(
                verify_key, signature, _text(self.audience, signer, method, path, body, now, nonce)
            )
        except NotAloneError as error:
            raise refused from error
        with self._lock:
            if nonce in self._seen:
                raise refused
            if len(self._seen) >= _MAX_SEEN:
                self._seen = {known: until for known, until in self._seen.items() if until >= current}
            self._seen[nonce] = current + 2 * WINDOW_SECONDS
        return signer


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
