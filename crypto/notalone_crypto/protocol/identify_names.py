"""Full names with their unit, and the ids of an organisation's directory.

Owns the folding of accents, hyphens, apostrophes, particles, titles and order.
Refuses to know who bears a name: homonyms are the directory's business
(specs/50-identifiers.md#names).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from notalone_crypto.errors import Code
from notalone_crypto.protocol.identify_text import (
    ascii_lower,
    clean,
    fold_look_alikes,
    lower,
    mixes_alphabets,
    refuse,
    require_repertoire,
    word_set,
)

_SEPARATORS: Final = re.compile("[ \\-.,;/()\\[\\]_&:\u00b7]+")
_DIGITS: Final = "0123456789"
_DIRECTORY_ID: Final = re.compile(r"[a-z0-9][a-z0-9._:/@#+-]{0,127}", re.ASCII)
# Marks dropped after decomposition: Latin, Greek and Cyrillic accents, Hebrew points, Arabic signs.
_MARKS: Final = dict.fromkeys(
    [*range(0x300, 0x370), *range(0x5B0, 0x5C3), 0x640, *range(0x64B, 0x656), 0x670, *range(0x6D6, 0x6EE)]
)
# Letters that no decomposition takes apart, after lower case.
_LETTERS: Final = str.maketrans(
    {
        "\u00df": "ss",
        "\u00e6": "ae",
        "\u0153": "oe",
        "\u00f8": "o",
        "\u0111": "d",
        "\u00f0": "d",
        "\u00fe": "th",
        "\u0142": "l",
        "\u0131": "i",
        "\u0127": "h",
        "\u0167": "t",
        "\u014b": "ng",
        "\u0138": "k",
        "\u0259": "e",
        "\u03c2": "\u03c3",
        "\u0649": "\u064a",
        "\u06cc": "\u064a",
        "\u06a9": "\u0643",
    }
)
_PARTICLES: Final = word_set("d da das de del della den der des di do dos du ten ter van von y zu zum zur")
_TITLES: Final = word_set(
    "docteur doctor dr frau herr m madame mademoiselle maitre miss mlle mme monsieur mr mrs ms pr prof",
    "professeur professor",
)
_EAST_ASIAN: Final = frozenset(
    [0x3005, *range(0x3041, 0x30FF), *range(0x4E00, 0x9FA6), *range(0xAC00, 0xD7A4)]
)


def canonical_name(text: str, unit: str | None) -> str:
    """`tokens|unit`: folded name tokens in code point order, folded unit in its own order.

    Without `unit`, one vertical bar in `text` separates the two. Raises
    InvalidIdentifier; IDENTIFIER_WEAK when the unit or a full first and last
    name is missing, since a bare name would join strangers.
    """
    typed = clean(text)
    if unit is None and typed.count("|") == 1:
        typed, _, unit = typed.partition("|")
    tokens = fold_tokens(typed, digits=False)
    if not unit or not unit.strip():
        raise refuse(
            "A name alone is not enough, two people may bear it; please add the unit.",
            Code.IDENTIFIER_WEAK,
        )
    unit_tokens = fold_tokens(clean(unit), digits=True)
    tokens = _full_name(tokens)
    if not unit_tokens:
        raise refuse("Please write the unit in letters or digits.", Code.IDENTIFIER_WEAK)
    return " ".join(sorted(tokens)) + "|" + " ".join(unit_tokens)


def fold_tokens(text: str, *, digits: bool) -> list[str]:
    """Folded words of cleaned `text`, in the order typed; raises InvalidIdentifier."""
    joined = text.replace("'", "")
    return [_fold(word, _DIGITS if digits else "") for word in _SEPARATORS.split(joined) if word]


def _fold(word: str, also: str) -> str:
    require_repertoire(word, also)
    bare = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", word).translate(_MARKS))
    if any(character.isascii() and character.isalpha() for character in bare):
        bare = fold_look_alikes(bare)
    folded = lower(bare).translate(_LETTERS)
    if mixes_alphabets(folded):
        raise refuse("One word mixes letters of several alphabets; please type it again with one keyboard.")
    if not folded:
        raise refuse("This contains a sign without a letter.")
    return folded


def _full_name(tokens: list[str]) -> list[str]:
    if tokens and all(ord(character) in _EAST_ASIAN for token in tokens for character in token):
        # Written without spaces as often as with: the order is fixed, the spaces are not.
        whole = "".join(tokens)
        if len(whole) >= 2:
            return [whole]
    if len(_long(tokens)) < 2:
        raise refuse("Please write the first name and the last name in full.", Code.IDENTIFIER_WEAK)
    kept = _drop(tokens, _TITLES)
    return _drop(kept, _PARTICLES)


def _long(tokens: list[str]) -> list[str]:
    return [token for token in tokens if len(token) >= 2]


def _drop(tokens: list[str], words: frozenset[str]) -> list[str]:
    # "Du Wei" or "Doctor Who" must not lose half a name: drop only when a full name remains.
    kept = [token for token in tokens if token not in words]
    return kept if len(_long(kept)) >= 2 else tokens


def canonical_directory_id(text: str) -> str:
    """Lower-case ASCII id, 1..128 signs of `a-z 0-9 . _ : / @ # + -`; raises InvalidIdentifier."""
    folded = ascii_lower(clean(text), "An id of the directory holds plain letters, digits and signs only.")
    if not _DIRECTORY_ID.fullmatch(folded):
        raise refuse("This does not look like an id of the directory.")
    return folded
