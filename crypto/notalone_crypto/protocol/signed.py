"""Signing whole wire messages: everything but the signature field, under a tag.

Owns one rule for all signed messages. Refuses to know what they mean.
"""

from __future__ import annotations

from typing import TypeVar

from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives import signing
from notalone_crypto.suite import SIGNATURE_LENGTH, Tag

M = TypeVar("M", bound=Message)
UNSIGNED = bytes(SIGNATURE_LENGTH)


def sign_message(message: M, key: signing.SigningKey, tag: Tag) -> M:
    """`message` with its `signature` field filled in; the tag is the message's own."""
    return message.with_field("signature", key.sign(tag, unsigned_bytes(message)))


def check_signature(message: Message, verify_key: bytes, tag: Tag) -> None:
    """Raise VerificationFailed (signature.invalid) unless `verify_key` signed `message`."""
    signature: bytes = message.signature  # type: ignore[attr-defined]  # every signed message has it
    signing.verify(verify_key, signature, tag, unsigned_bytes(message))


def unsigned_bytes(message: Message) -> bytes:
    """Canonical bytes with the signature zeroed: what is signed."""
    return message.with_field("signature", UNSIGNED).encode()
