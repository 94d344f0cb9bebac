"""Checkpoints of the log: C2SP tlog-checkpoint, signed-note, tlog-cosignature.

Owns the text format, the log's signature (Ed25519, type 0x01), timestamped
cosignatures (Ed25519, type 0x04) and the quorum rule. Refuses to know how a
cosigner decides (it must have checked consistency first), clocks, and the tree
(`merkle`). Stricter than C2SP where the project writes all notes itself: no
extension lines, origins and key names of one shape, one encoding per note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.primitives import signing
from notalone_crypto.primitives.merkle import EMPTY_ROOT, MAX_SIZE, NODE_LENGTH
from notalone_crypto.primitives.signing import SigningKey
from notalone_crypto.suite import SIGNATURE_LENGTH

MAX_NAME_LENGTH: Final = 255  # bytes of UTF-8
MAX_NOTE_LENGTH: Final = 65536
MAX_SIGNATURES: Final = 32  # C2SP asks for at least 16
KEY_ID_LENGTH: Final = 4
COSIGNATURE_LENGTH: Final = 8 + SIGNATURE_LENGTH  # u64 time, signature
MAX_TIME: Final = 2**63 - 1

_TYPE_ED25519: Final = b"\x01"
_TYPE_COSIGNATURE: Final = b"\x04"
_MARK: Final = "\u2014 "
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_FIRST_PRINTABLE: Final = "\x20"
_TEXT_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many leaves, which root.

    `origin`: 1..255 bytes of UTF-8 without spaces, `+` and control characters;
    `size`: 0..2^63-1; `root`: 32 bytes.

    Raises: MalformedInput (encoding.text, encoding.range, encoding.length,
    encoding.non_canonical for an empty tree with a root that is not the empty root).
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuse what has no canonical text."""
        _check_name(self.origin)
        if not 0 <= self.size <= MAX_SIZE:
            raise MalformedInput(Code.RANGE, "a tree size is out of range")
        if not isinstance(self.root, bytes) or len(self.root) != NODE_LENGTH:
            raise MalformedInput(Code.LENGTH, f"a root must be exactly {NODE_LENGTH} bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise MalformedInput(Code.NON_CANONICAL, "an empty tree has one root only")

    def text(self) -> bytes:
        """The note text that is signed: three lines, each with its newline."""
        return f"{self.origin}\n{self.size}\n{_encode64(self.root)}\n".encode()


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: a key's name, its 4-byte id, and the signature's bytes."""

    name: str
    key_id: bytes
    body: bytes

    def __post_init__(self) -> None:
        """Refuse what has no canonical line; MalformedInput (encoding.text, encoding.length)."""
        _check_name(self.name)
        if len(self.key_id) != KEY_ID_LENGTH or not self.body:
            raise MalformedInput(Code.LENGTH, "a note signature is too short")

    def line(self) -> bytes:
        """The line in the note, with its newline."""
        return f"{_MARK}{self.name} {_encode64(self.key_id + self.body)}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint with signatures, none of which this type has verified."""

    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        """Bound the number of signatures; MalformedInput (encoding.range)."""
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise MalformedInput(Code.RANGE, f"a note carries 1 to {MAX_SIGNATURES} signatures")

    def with_signature(self, signature: NoteSignature) -> Note:
        """A new note with one more line."""
        return Note(self.checkpoint, (*self.signatures, signature))

    def encode(self) -> bytes:
        """The whole note."""
        lines = b"".join(signature.line() for signature in self.signatures)
        return self.checkpoint.text() + b"\n" + lines

    @classmethod
    def decode(cls, data: bytes) -> Note:
        """Parse a note of at most 65536 bytes; only what `encode` writes is accepted.

        Raises: MalformedInput (encoding.length, encoding.text, encoding.truncated,
        encoding.trailing for extension lines or data after the last line,
        encoding.non_canonical, encoding.range).
        """
        if len(data) > MAX_NOTE_LENGTH:
            raise MalformedInput(Code.LENGTH, "a note is too long")
        try:
            decoded = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedInput(Code.TEXT, "a note is not UTF-8") from error
        if not decoded.endswith("\n"):
            raise MalformedInput(Code.TRUNCATED, "a note must end with a newline")
        # Not splitlines(): that also splits at other Unicode line separators.
        lines = decoded[:-1].split("\n")
        if len(lines) < _TEXT_LINES + 2:
            raise MalformedInput(Code.TRUNCATED, "a note ends too early")
        if lines[_TEXT_LINES]:
            raise MalformedInput(Code.TRAILING, "extension lines are not allowed")
        origin, size, root = lines[:_TEXT_LINES]
        if not _DECIMAL.fullmatch(size):
            raise MalformedInput(Code.NON_CANONICAL, "a tree size is not a canonical decimal")
        checkpoint = Checkpoint(origin, int(size), _decode64(root))
        return cls(checkpoint, tuple(_parse_line(line) for line in lines[_TEXT_LINES + 1 :]))


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint whose log signature and quorum were verified.

    `times` maps each cosigner that counted to its latest time in seconds; how
    old is too old is for the caller, who has a clock.
    """

    checkpoint: Checkpoint
    times: Mapping[str, int]


def key_id(name: str, signature_type: bytes, verify_key: bytes) -> bytes:
    """4-byte id of a key in a note (C2SP signed-note): a hint, not a commitment."""
    return hashlib.sha256(name.encode() + b"\n" + signature_type + verify_key).digest()[:KEY_ID_LENGTH]


def sign_checkpoint(checkpoint: Checkpoint, log_key: SigningKey) -> Note:
    """The note with the log's own signature; the key's name is the origin.

    The log must never sign two roots for one size (nothing here can check that).
    """
    identifier = key_id(checkpoint.origin, _TYPE_ED25519, log_key.verify_key)
    signature = log_key.sign_text(checkpoint.text())
    return Note(checkpoint, (NoteSignature(checkpoint.origin, identifier, signature),))


def cosign(checkpoint: Checkpoint, name: str, signing_key: SigningKey, time_seconds: int) -> NoteSignature:
    """A timestamped cosignature (`cosignature/v1`); `time_seconds` 0..2^63-1 since the epoch.

    The caller must have verified consistency with the largest checkpoint that it
    ever cosigned for this origin, and must remember this one first. The signed
    message does not hold `name`: one key belongs to one cosigner.

    Raises: Misuse (encoding.range); MalformedInput (encoding.text) for the name.
    """
    if not 0 <= time_seconds <= MAX_TIME:
        raise Misuse(Code.RANGE, "a cosignature time is out of range")
    signature = signing_key.sign_text(_cosigned_text(checkpoint, time_seconds))
    identifier = key_id(name, _TYPE_COSIGNATURE, signing_key.verify_key)
    return NoteSignature(name, identifier, time_seconds.to_bytes(8, "big") + signature)


def quorum_size(trustees: int, threshold: int) -> int:
    """Smallest s with s > (n + m - 1) / 2: two quorums share m trustees, so one honest one.

    Raises: Misuse (encoding.range) unless 1 <= threshold <= trustees.
    """
    if not 1 <= threshold <= trustees:
        raise Misuse(Code.RANGE, "a threshold must lie between 1 and the number of trustees")
    return (trustees + threshold - 1) // 2 + 1


def verify_quorum(
    note: Note | bytes, origin: str, log_key: bytes, cosigners: Mapping[str, bytes], quorum: int
) -> VerifiedCheckpoint:
    """Check a note: this log's signature and at least `quorum` different cosigners.

    `origin` is the log the verifier means: without it a log could show each reader
    its own fork under another origin. Keys are 32 bytes. Lines of unknown keys are
    ignored, as C2SP demands; a wrong signature of a known key refuses the note.
    Several lines of one cosigner count once.

    Raises: MalformedInput; VerificationFailed (log.fork for another origin,
    signature.invalid, log.quorum); Misuse for keys that are not distinct (one
    holder must not count twice) or a quorum out of range.
    """
    if len({log_key, *cosigners.values()}) != len(cosigners) + 1:
        raise Misuse(Code.DUPLICATE, "the log's and the cosigners' keys must all differ")
    if not 1 <= quorum <= len(cosigners):
        raise Misuse(Code.RANGE, "a quorum must lie between 1 and the number of cosigners")
    parsed = Note.decode(note) if isinstance(note, bytes) else note
    checkpoint = parsed.checkpoint
    if checkpoint.origin != origin:
        raise VerificationFailed(Code.FORK, "the checkpoint belongs to another log")
    log_id = key_id(origin, _TYPE_ED25519, log_key)
    cosigner_ids = {name: key_id(name, _TYPE_COSIGNATURE, key) for name, key in cosigners.items()}
    log_signed = False
    times: dict[str, int] = {}
    for signature in parsed.signatures:
        if (signature.name, signature.key_id) == (origin, log_id):
            signing.verify_text(log_key, signature.body, checkpoint.text())
            log_signed = True
        elif cosigner_ids.get(signature.name) == signature.key_id:
            time = _verify_cosignature(checkpoint, cosigners[signature.name], signature.body)
            times[signature.name] = max(time, times.get(signature.name, 0))
    if not log_signed:
        raise VerificationFailed(Code.SIGNATURE, "the log itself did not sign the checkpoint")
    if len(times) < quorum:
        raise VerificationFailed(Code.QUORUM, f"{len(times)} of {quorum} cosignatures needed")
    return VerifiedCheckpoint(checkpoint, times)


def _verify_cosignature(checkpoint: Checkpoint, verify_key: bytes, body: bytes) -> int:
    if len(body) != COSIGNATURE_LENGTH:
        raise MalformedInput(Code.LENGTH, f"a cosignature must be exactly {COSIGNATURE_LENGTH} bytes")
    time = int.from_bytes(body[:8], "big")
    if time > MAX_TIME:
        raise MalformedInput(Code.RANGE, "a cosignature time is out of range")
    signing.verify_text(verify_key, body[8:], _cosigned_text(checkpoint, time))
    return time


def _cosigned_text(checkpoint: Checkpoint, time_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {time_seconds}\n".encode("ascii") + checkpoint.text()


def _parse_line(line: str) -> NoteSignature:
    fields = line.removeprefix(_MARK).split(" ")
    if not line.startswith(_MARK) or len(fields) != 2:
        raise MalformedInput(Code.NON_CANONICAL, "a note signature line is malformed")
    raw = _decode64(fields[1])
    return NoteSignature(fields[0], raw[:KEY_ID_LENGTH], raw[KEY_ID_LENGTH:])


def _check_name(name: str) -> None:
    if not 1 <= len(name.encode("utf-8", "surrogatepass")) <= MAX_NAME_LENGTH:
        raise MalformedInput(Code.LENGTH, f"a name in a note has 1 to {MAX_NAME_LENGTH} bytes")
    if any(
        char < _FIRST_PRINTABLE or char == "+" or char.isspace() or not char.isprintable() for char in name
    ):
        raise MalformedInput(Code.TEXT, "a name in a note holds a forbidden character")


def _encode64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode64(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedInput(Code.NON_CANONICAL, "a note holds malformed base64") from error
    # The decoder accepts stray bits in the last character; one encoding only.
    if _encode64(raw) != encoded:
        raise MalformedInput(Code.NON_CANONICAL, "a note holds base64 that is not canonical")
    return raw
