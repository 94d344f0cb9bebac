"""Fingerprints over the telephone: digits or words, in two languages, typed as people type."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notalone_crypto.errors import Code, NotAloneError
from notalone_server.trustee import spoken

FINGERPRINTS = st.binary(min_size=32, max_size=32)


@given(FINGERPRINTS, st.sampled_from(spoken.LANGUAGES))
def test_words_and_digits_are_heard_as_what_was_read(fingerprint: bytes, language: str) -> None:
    said = spoken.words(fingerprint, language)
    assert len(said.split()) == 12
    plain = "".join(c for c in unicodedata.normalize("NFD", said) if not unicodedata.combining(c))
    for typed in (said, said.upper(), plain, ", ".join(plain.split()), f"  {said}\n"):
        spoken.check_heard(typed, fingerprint)
        assert spoken.parse(typed) == fingerprint[:16]
    for typed in (spoken.groups(fingerprint), fingerprint.hex().upper()):
        spoken.check_heard(typed, fingerprint)
        assert spoken.parse(typed) == fingerprint


@given(FINGERPRINTS, st.integers(0, 127), st.sampled_from(spoken.LANGUAGES))
def test_attack_a_fingerprint_that_differs_in_one_bit_is_another(
    fingerprint: bytes, bit: int, language: str
) -> None:
    """HTTP-26."""
    other = (int.from_bytes(fingerprint, "big") ^ (1 << (255 - bit))).to_bytes(32, "big")
    for typed in (spoken.words(other, language), spoken.groups(other)):
        with pytest.raises(NotAloneError) as caught:
            spoken.check_heard(typed, fingerprint)
        assert caught.value.code == Code.MANIFEST


def test_digits_compare_all_256_bits_and_words_the_first_128() -> None:
    fingerprint, other = bytes(32), bytes(31) + b"\1"
    spoken.check_heard(spoken.words(other, "english"), fingerprint)
    with pytest.raises(NotAloneError):
        spoken.check_heard(spoken.groups(other), fingerprint)
    shown = "\n".join(spoken.lines("Fingerprint", fingerprint))
    assert "128 bits" in shown
    assert spoken.words(fingerprint, "french") in shown


ZERO = spoken.words(bytes(32), "english")


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("", "12 words"),
        ("abandon", "12 words are needed, these are 1"),
        ("12 34", "64 hexadecimal digits"),
        ("0" * 63, "64 hexadecimal digits"),
        (ZERO.replace("about", "xylograph"), "word 12 is not in the english list"),
        (ZERO.replace("about", "zoo"), "one is wrong"),
        (" ".join(reversed(ZERO.split())), "two changed places"),
    ],
)
def test_what_is_no_fingerprint_is_said_before_anybody_suspects_an_attack(typed: str, word: str) -> None:
    with pytest.raises(NotAloneError, match=word) as caught:
        spoken.parse(typed)
    assert caught.value.code == Code.TEXT
