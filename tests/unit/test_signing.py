"""Ed25519: RFC 8032 vectors, tags keep signatures apart, malleability is refused."""

from __future__ import annotations

import pytest

from notalone_crypto import codec
from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.primitives import signing
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import DST_PREFIX, Tag

KEY = signing.generate_key(SeededStream(b"trustee"))
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def test_rfc_8032_test_2_key_and_signature() -> None:
    key = signing.SigningKey(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    assert key.verify_key.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    # The message of that vector is the one character "r".
    assert key.sign_text(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_a_signature_verifies_and_is_64_bytes() -> None:
    signature = KEY.sign(Tag.ACCEPT, b"entry", b"hash")
    assert len(signature) == 64
    signing.verify(KEY.verify_key, signature, Tag.ACCEPT, b"entry", b"hash")


def test_the_signed_message_is_the_tagged_join() -> None:
    message = codec.join(DST_PREFIX + b"accept", b"entry")
    assert KEY.sign(Tag.ACCEPT, b"entry") == KEY._sign(message)


def _refused(verify_key: bytes, signature: bytes, tag: Tag, *parts: bytes) -> None:
    with pytest.raises(VerificationFailed) as caught:
        signing.verify(verify_key, signature, tag, *parts)
    assert caught.value.code is Code.SIGNATURE


def test_a_signature_for_one_tag_verifies_under_no_other() -> None:
    signature = KEY.sign(Tag.ACCEPT, b"entry")
    for tag in Tag:
        if tag is not Tag.ACCEPT:
            _refused(KEY.verify_key, signature, tag, b"entry")


def test_parts_cannot_be_moved_across_their_borders() -> None:
    signature = KEY.sign(Tag.ACCEPT, b"ab", b"c")
    for parts in ((b"a", b"bc"), (b"abc",), (b"ab", b"c", b""), (b"ab",), ()):
        _refused(KEY.verify_key, signature, Tag.ACCEPT, *parts)


def test_another_key_is_refused() -> None:
    other = signing.generate_key(SeededStream(b"other"))
    _refused(other.verify_key, KEY.sign(Tag.ACCEPT, b"entry"), Tag.ACCEPT, b"entry")


def test_every_flipped_byte_of_a_signature_is_refused() -> None:
    signature = KEY.sign(Tag.ACCEPT, b"entry")
    for position in range(64):
        changed = bytearray(signature)
        changed[position] ^= 1
        _refused(KEY.verify_key, bytes(changed), Tag.ACCEPT, b"entry")


def test_malleated_signature_with_unreduced_scalar_is_refused() -> None:
    signature = KEY.sign(Tag.ACCEPT, b"entry")
    scalar = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    _refused(KEY.verify_key, signature[:32] + scalar.to_bytes(32, "little"), Tag.ACCEPT, b"entry")


def test_low_order_verify_key_that_signs_everything_is_refused() -> None:
    identity = (1).to_bytes(32, "little")
    _refused(identity, identity + bytes(32), Tag.ACCEPT, b"entry")
    for key in (identity, bytes(32), b"\xff" * 32):
        with pytest.raises(MalformedInput) as caught:
            signing.check_verify_key(key)
        assert caught.value.code is Code.NON_CANONICAL
    assert signing.check_verify_key(KEY.verify_key) == KEY.verify_key


@pytest.mark.parametrize("length", [0, 31, 33])
def test_wrong_lengths_are_refused_before_the_library_sees_them(length: int) -> None:
    signature = KEY.sign(Tag.ACCEPT)
    for key, candidate in (
        (bytes(length), signature),
        (KEY.verify_key, signature[:63]),
        (KEY.verify_key, signature + b"\x00"),
        (KEY.verify_key, b""),
    ):
        with pytest.raises(MalformedInput) as caught:
            signing.verify(key, candidate, Tag.ACCEPT)
        assert caught.value.code is Code.LENGTH
    with pytest.raises(MalformedInput):
        signing.check_verify_key(bytes(length))
    with pytest.raises(Misuse):
        signing.SigningKey(bytes(length))


def test_plain_text_can_never_be_a_tagged_message() -> None:
    tagged = codec.join(DST_PREFIX + b"accept", b"entry")
    for text in (tagged, b"", b"\n", b"\x00"):
        with pytest.raises(Misuse) as caught:
            KEY.sign_text(text)
        assert caught.value.code is Code.TEXT
    with pytest.raises(Misuse):
        signing.verify_text(KEY.verify_key, KEY.sign(Tag.ACCEPT, b"entry"), tagged)


def test_plain_text_signature_verifies_and_changed_text_does_not() -> None:
    signature = KEY.sign_text(b"log\n1\n")
    signing.verify_text(KEY.verify_key, signature, b"log\n1\n")
    with pytest.raises(VerificationFailed) as caught:
        signing.verify_text(KEY.verify_key, signature, b"log\n2\n")
    assert caught.value.code is Code.SIGNATURE


def test_repr_is_blank_and_generation_is_determined_by_randomness() -> None:
    assert KEY.seed == SeededStream(b"trustee")(32)
    assert repr(KEY.seed) not in repr(KEY)
    assert "seed" not in repr(KEY)
