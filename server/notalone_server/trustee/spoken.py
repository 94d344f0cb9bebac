"""Fingerprints for the telephone: groups of digits, and words in English and French.

Owns how a fingerprint is shown and how what somebody heard is compared with it.
Refuses to know what it is a fingerprint of. The word lists are BIP-39's.

Twelve words are the first 128 of 256 bits. To find another manifest with the
same words takes 2^128 tries; who may choose two at once, and nothing else all
day, needs 2^64 while the ceremony lasts. Whoever fears that reads the digits.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

from mnemonic import Mnemonic

from notalone_crypto.errors import Code, Fault, Misuse, StateConflict

LANGUAGES: Final = ("english", "french")
WORD_BYTES: Final = 16
WORDS: Final = 12
_DIGITS: Final = 64
_GROUP: Final = 4
_HEXADECIMAL: Final = frozenset("0123456789abcdef")


def groups(fingerprint: bytes) -> str:
    """Sixteen groups of four hexadecimal digits."""
    text = fingerprint.hex()
    return " ".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def words(fingerprint: bytes, language: str) -> str:
    """Twelve words for the first 128 bits; `language` is one of LANGUAGES."""
    return unicodedata.normalize("NFC", _book(language).to_mnemonic(fingerprint[:WORD_BYTES]))


def lines(name: str, fingerprint: bytes) -> list[str]:
    """What an operator sees and reads aloud: all digits, then the words in both languages."""
    width = max(len(name), 11)
    english, french = (words(fingerprint, language) for language in LANGUAGES)
    return [
        f"{name:<{width}} {groups(fingerprint)}",
        f"{'in words':<{width}} {english}",
        f"{'en mots':<{width}} {french}",
        f"{'':<{width}} (digits: 256 bits; words: the first 128 bits)",
    ]


def parse(heard: str) -> bytes:
    """What was typed, as 32 bytes (digits) or 16 bytes (words). Case, accents and spaces do not count.

    Raises: Misuse (the operator's fault) saying what is wrong with it.
    """
    parts = [_plain(part) for part in heard.replace(",", " ").split()]
    digits = "".join(parts)
    if len(digits) == _DIGITS and not set(digits) - _HEXADECIMAL:
        return bytes.fromhex(digits)
    if any(character.isdigit() for character in digits) or not parts:
        raise _unreadable(
            f"a fingerprint is {_DIGITS} hexadecimal digits or {WORDS} words, not {len(digits)} characters"
        )
    if len(parts) != WORDS:
        raise _unreadable(f"{WORDS} words are needed, these are {len(parts)}")
    problems = []
    for language in LANGUAGES:
        known = _plain_words(language)
        unknown = [position for position, part in enumerate(parts, 1) if part not in known]
        entropy = None if unknown else _entropy([known[part] for part in parts])
        if entropy is not None:
            return entropy
        problems.append((len(unknown), unknown[0] if unknown else 0, language))
    count, first, language = min(problems)
    if not count:
        raise _unreadable("these words do not belong together: one is wrong, or two changed places")
    raise _unreadable(f"word {first} is not in the {language} list ({count} of {WORDS} are not)")


def check_heard(heard: str, fingerprint: bytes) -> None:
    """Compare what was heard with the fingerprint computed here.

    Raises: Misuse (the operator's fault) when it cannot be read at all,
    StateConflict (ceremony.manifest) when it is another one.
    """
    typed = parse(heard)
    if typed != fingerprint[: len(typed)]:
        raise StateConflict(
            Code.MANIFEST,
            "the fingerprint that was read aloud is not the one computed here: somebody has other files. "
            "Do not sign; compare the folders",
            fault=Fault.OPERATOR,
        )


@cache
def _book(language: str) -> Mnemonic:
    return Mnemonic(language)


@cache
def _plain_words(language: str) -> dict[str, int]:
    return {_plain(word): position for position, word in enumerate(_book(language).wordlist)}


def _plain(text: str) -> str:
    """Lower case, without accents: how it sounds, and how it is typed in a hurry."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _entropy(numbers: list[int]) -> bytes | None:
    """Twelve numbers of 11 bits are 128 bits and BIP-39's 4 against mistyping: None if those are wrong."""
    whole = 0
    for number in numbers:
        whole = whole << 11 | number
    entropy = (whole >> 4).to_bytes(WORD_BYTES, "big")
    again = 0
    plain = _plain_words(LANGUAGES[0])
    for word in _book(LANGUAGES[0]).to_mnemonic(entropy).split():
        again = again << 11 | plain[word]
    return entropy if again == whole else None


def _unreadable(detail: str) -> Misuse:
    return Misuse(Code.TEXT, detail, fault=Fault.OPERATOR)
