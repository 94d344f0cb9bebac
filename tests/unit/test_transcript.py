"""Laws of the duplex sponge and refusals of its codecs; the drafts' vectors are in tests/vectors."""

from __future__ import annotations

import pytest

from notalone_crypto.errors import Code, MalformedInput, Misuse
from notalone_crypto.primitives import transcript
from notalone_crypto.primitives.transcript import DuplexSponge

PRIME = 2**255 - 19


def test_session_identifier_of_another_length_is_refused() -> None:
    for length in (0, 31, 33):
        with pytest.raises(Misuse):
            DuplexSponge(bytes(length))


def test_split_absorbs_and_split_squeezes_change_nothing() -> None:
    split, whole = DuplexSponge(bytes(32)), DuplexSponge(bytes(32))
    split.absorb(b"ab")
    split.absorb(b"")
    split.absorb(b"c")
    whole.absorb(b"abc")
    assert split.squeeze(16) + split.squeeze(0) + split.squeeze(300) == whole.squeeze(316)


def test_absorb_after_squeeze_changes_what_follows() -> None:
    one, two = DuplexSponge(bytes(32)), DuplexSponge(bytes(32))
    for sponge in (one, two):
        sponge.absorb(b"commitment")
        sponge.squeeze(48)
    one.absorb(b"response")
    two.absorb(b"Response")
    assert one.squeeze(48) != two.squeeze(48)


def test_session_is_not_confused_with_first_absorbed_bytes() -> None:
    one, two = DuplexSponge(b"s" * 32), DuplexSponge(bytes(32))
    two.absorb(b"s" * 32)
    assert one.squeeze(32) != two.squeeze(32)


def test_session_identifiers_differ_by_tag() -> None:
    assert transcript.derive_session_id(b"a") != transcript.derive_session_id(b"b")
    assert transcript.derive_session_id(b"") != transcript.derive_session_id(b"\0")


@pytest.mark.parametrize("order", ["little", "big"])
def test_field_values_round_trip_and_second_encodings_are_refused(order: transcript.ByteOrder) -> None:
    encoded = transcript.serialize_uint(PRIME - 1, PRIME, order)
    assert transcript.deserialize_uint(encoded, PRIME, order) == PRIME - 1
    with pytest.raises(MalformedInput) as refused:
        transcript.deserialize_uint(PRIME.to_bytes(32, order), PRIME, order)
    assert refused.value.code is Code.NON_CANONICAL
    for wrong in (encoded[:-1], encoded + b"\0", b""):
        with pytest.raises(MalformedInput) as refused:
            transcript.deserialize_uint(wrong, PRIME, order)
        assert refused.value.code is Code.LENGTH
    with pytest.raises(Misuse):
        transcript.serialize_uint(PRIME, PRIME, order)


def test_extension_field_checks_length_and_every_coordinate() -> None:
    encoded = transcript.serialize_field((5, PRIME - 1), PRIME)
    assert transcript.deserialize_field(encoded, PRIME, 2) == (5, PRIME - 1)
    with pytest.raises(MalformedInput):
        transcript.deserialize_field(encoded, PRIME, 1)
    with pytest.raises(MalformedInput):
        transcript.deserialize_field(encoded[:32] + PRIME.to_bytes(32, "little"), PRIME, 2)


def test_variable_length_strings_round_trip_and_leave_the_rest() -> None:
    encoded = transcript.serialize_varlen(b"one") + transcript.serialize_varlen(b"")
    first, rest = transcript.deserialize_varlen(encoded)
    assert (first, transcript.deserialize_varlen(rest)) == (b"one", (b"", b""))


@pytest.mark.parametrize("data", [b"", b"\1\0\0", b"\1\0\0\0", b"\xff\xff\xff\xffabc"])
def test_truncated_variable_length_string_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedInput) as refused:
        transcript.deserialize_varlen(data)
    assert refused.value.code is Code.TRUNCATED


def test_challenge_is_oversampled_and_reduced() -> None:
    one, two = DuplexSponge(bytes(32)), DuplexSponge(bytes(32))
    assert transcript.squeeze_scalar(one, PRIME) == int.from_bytes(two.squeeze(48), "little") % PRIME
