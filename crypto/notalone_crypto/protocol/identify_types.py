"""What an identifier is once it can be compared: its kind and its exact bytes.

Owns the kinds, the platforms and the encoded form. Refuses to know how typed
text becomes canonical (specs/50-identifiers.md#encoding).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, unique
from typing import Final

from notalone_crypto import codec
from notalone_crypto.errors import Code, MalformedInput, Misuse

MAX_VALUE_LENGTH: Final = 2048


@unique
class IdentifierKind(IntEnum):
    """The first encoded byte; a number is never reused."""

    DIRECTORY = 1  # id given by the organisation's directory
    EMAIL = 2
    PHONE = 3
    ACCOUNT = 4  # platform and handle
    NAME = 5  # full name and unit


@unique
class Platform(StrEnum):
    """Sites whose account names have a canonical form; the value opens that form."""

    INSTAGRAM = "instagram"
    FACEBOOK = "facebook"
    X = "x"
    LINKEDIN = "linkedin"
    TIKTOK = "tiktok"
    SNAPCHAT = "snapchat"
    YOUTUBE = "youtube"
    GITHUB = "github"
    FEDIVERSE = "fediverse"
    TELEGRAM = "telegram"
    WHATSAPP = "whatsapp"  # always refused: such an account is a telephone number
    DISCORD = "discord"
    BLUESKY = "bluesky"
    REDDIT = "reddit"
    TWITCH = "twitch"


@dataclass(frozen=True, slots=True)
class CanonicalIdentifier:
    """A kind and 1..2048 bytes of UTF-8; made by `canonicalize`, never by hand.

    Its value names a person, so `repr` leaves it out. Raises Misuse(LENGTH) or
    Misuse(TEXT) when made from anything else.
    """

    kind: IdentifierKind
    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse lengths and bytes that no canonical form has."""
        if not 1 <= len(self.value) <= MAX_VALUE_LENGTH:
            raise Misuse(Code.LENGTH, "a canonical identifier is 1 to 2048 bytes")
        try:
            self.value.decode("utf-8")
        except UnicodeDecodeError:
            raise Misuse(Code.TEXT, "a canonical identifier is UTF-8") from None

    @property
    def text(self) -> str:
        """The canonical form, for the confirmation card and the receipt on the reporter's own screen."""
        return self.value.decode("utf-8")

    def encode(self) -> bytes:
        """`u8 kind || u32 length || value`."""
        return codec.Writer().u8(self.kind).variable(self.value).finish()

    @classmethod
    def decode(cls, data: bytes) -> CanonicalIdentifier:
        """Inverse of `encode`; raises MalformedInput. It does not re-run canonicalization."""
        reader = codec.Reader(data)
        number = reader.u8()
        value = reader.variable(MAX_VALUE_LENGTH)
        reader.finish()
        try:
            kind = IdentifierKind(number)
        except ValueError:
            raise MalformedInput(Code.RANGE, "unknown kind of identifier") from None
        try:
            return cls(kind, value)
        except Misuse as error:
            raise MalformedInput(error.code, error.detail) from None
