"""Text cleaning shared by every kind of identifier: explicit tables, no locale.

Owns the repertoire of accepted letters, the invisible characters, the stand-ins
for hyphen, apostrophe and full stop, and the look-alike letters. Refuses to
know kinds, platforms and names. Every letter of the repertoire was assigned in
Unicode 3.2, so that normalization and lower case give the same bytes on every
later version (specs/50-identifiers.md#text).
"""

from __future__ import annotations

import unicodedata
from typing import Final

from notalone_crypto.errors import Code, InvalidIdentifier

MAX_TEXT: Final = 512  # code points as typed

# Accepted letters and marks beyond the ASCII signs each kind names for itself.
_REPERTOIRE: Final = (
    "0041-005A 0061-007A 00C0-00D6 00D8-00F6 00F8-013E 0141-0148 014A-017F 018F-018F 01A0-01A1 "
    "01AF-01B0 01C4-01DC 01E6-01ED 01F0-01F5 01F8-021B 021E-021F 0226-0233 0259-0259 0300-034E "
    "0386-0386 0388-038A 038C-038C 038E-03A1 03A3-03CE 0400-045F 0490-04BF 04C1-04CE 04D0-04F5 "
    "04F8-04F9 0531-0556 0561-0587 05B0-05B9 05BB-05BD 05BF-05BF 05C1-05C2 05D0-05EA 0621-063A "
    "0640-0655 0670-06D3 06D5-06D5 0901-0903 0905-0939 093C-094D 0958-0961 10D0-10F0 1100-1112 "
    "1161-1175 11A8-11C2 1E00-1E99 1EA0-1EF9 3005-3005 3041-3096 3099-309A 30A1-30FA 30FC-30FE "
    "4E00-9FA5 AC00-D7A3 FB00-FB06 FF66-FF9F"
)
# Removed wherever they stand: soft hyphen, joiners, bidi marks, variation selectors, byte-order mark.
_INVISIBLE: Final = (
    "00AD-00AD 034F-034F 061C-061C 180B-180E 200B-200F 202A-202E 2060-2064 2066-206F FE00-FE0F FEFF-FEFF"
)
_SPACES: Final = (
    "0009-000D 0020-0020 0085-0085 00A0-00A0 1680-1680 2000-200A 2028-2029 202F-202F 205F-205F 3000-3000"
)
_HYPHENS: Final = "00AF-00AF 058A-058A 05BE-05BE 2010-2015 2043-2043 2212-2212 FE58-FE58 FE63-FE63 30A0-30A0"
_APOSTROPHES: Final = "0060-0060 00B4-00B4 02B9-02BC 02C8-02C8 2018-201B 2032-2032 2035-2035"
_FULL_STOPS: Final = "2024-2024 3002-3002 FF61-FF61"
_MIDDLE_DOTS: Final = "00B7-00B7 2022-2022 2027-2027 30FB-30FB FF65-FF65"

# Letters that a reader cannot tell from a Latin one, applied only where a Latin letter was meant.
_LOOK_ALIKES: Final = (
    "АA ВB СC ЕE НH ІI ЈJ КK МM ОO РP ЅS ТT УY ХX "  # noqa: RUF001 - Cyrillic capitals
    "аa вb сc еe нh іi јj кk мm оo рp ѕs тt уy хx һh "  # noqa: RUF001 - Cyrillic small letters
    "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX "  # noqa: RUF001 - Greek capitals
    "αa ιi κk οo ρp χx "
    "ıi ɑa ɡg"  # noqa: RUF001 - Latin letters outside ASCII
)


def word_set(*lines: str) -> frozenset[str]:
    """The words of a table, which is easier to read as text than as a list."""
    return frozenset(word for line in lines for word in line.split())


def _ranges(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split():
        low, high = (int(edge, 16) for edge in part.split("-"))
        found.update(range(low, high + 1))
    return frozenset(found)


REPERTOIRE: Final = _ranges(_REPERTOIRE)
_CLEANED: Final[dict[int, str | None]] = {
    **dict.fromkeys(_ranges(_INVISIBLE)),
    **dict.fromkeys(_ranges(_SPACES), " "),
    **dict.fromkeys(_ranges(_HYPHENS), "-"),
    **dict.fromkeys(_ranges(_APOSTROPHES), "'"),
    **dict.fromkeys(_ranges(_FULL_STOPS), "."),
    **dict.fromkeys(_ranges(_MIDDLE_DOTS), "\u00b7"),
    # Full-width ASCII; two of them stand for an apostrophe and for a hyphen.
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    0xFF40: "'",
    0xFFE3: "-",
    # Digits of other keyboards.
    **{0x0660 + digit: str(digit) for digit in range(10)},
    **{0x06F0 + digit: str(digit) for digit in range(10)},
    0x1E9E: "\u00df",  # capital sharp s, younger than the repertoire
}
LOOK_ALIKES: Final[dict[int, str]] = {ord(pair[0]): pair[1] for pair in _LOOK_ALIKES.split()}


def refuse(sentence: str, code: Code = Code.IDENTIFIER) -> InvalidIdentifier:
    """The error to raise; `sentence` is shown to the reporter and never repeats what she typed."""
    return InvalidIdentifier(code, sentence)


def clean(text: str) -> str:
    """Visible characters only, ASCII stand-ins replaced, single spaces, no space at the ends.

    Raises InvalidIdentifier when nothing is left or `text` exceeds 512 code
    points (specs/50-identifiers.md#text).
    """
    if len(text) > MAX_TEXT:
        raise refuse("This is too long to be an identifier.")
    cleaned = " ".join(piece for piece in text.translate(_CLEANED).split(" ") if piece)
    if not cleaned:
        raise refuse("Nothing is written here.")
    return cleaned


def lower(text: str) -> str:
    """Lower case one code point at a time, so that no neighbour changes the result (final sigma)."""
    return "".join(character.lower() for character in text)


def require_repertoire(text: str, also: str = "") -> None:
    """Raise InvalidIdentifier for a character outside the repertoire and outside `also`."""
    if any(ord(character) not in REPERTOIRE and character not in also for character in text):
        raise refuse("This contains a sign that cannot be compared; please use plain letters.")


def fold_look_alikes(text: str) -> str:
    """Every look-alike letter replaced by the Latin letter it imitates, case kept."""
    return text.translate(LOOK_ALIKES)


def ascii_lower(text: str, sentence: str) -> str:
    """Look-alikes folded, ASCII only, lower case; raises InvalidIdentifier(`sentence`) otherwise.

    Accented letters are refused, not stripped: they are visible, and dropping
    one would silently name somebody else.
    """
    folded = fold_look_alikes(text)
    if not folded.isascii():
        raise refuse(sentence)
    return folded.lower()


def mixes_alphabets(text: str) -> bool:
    """Whether Latin letters stand beside Greek, Cyrillic or Armenian ones."""
    plain = unicodedata.normalize("NFKD", text)
    latin = any("A" <= character <= "z" and character.isalpha() for character in plain)
    return latin and any(0x370 <= ord(character) <= 0x587 for character in plain)


def fold_word(text: str, also: str) -> str:
    """One word whose accents count (domain label, handle in any alphabet): NFKC and lower case.

    `also` lists the ASCII signs and digits accepted beside letters. A word with
    at least one Latin letter has its look-alikes folded; a word that then still
    mixes alphabets is refused. Raises InvalidIdentifier.
    """
    require_repertoire(text, also)
    if any(character.isascii() and character.isalpha() for character in text):
        text = fold_look_alikes(text)
    folded = unicodedata.normalize("NFKC", lower(unicodedata.normalize("NFKC", text)))
    if mixes_alphabets(folded):
        raise refuse("This mixes letters of several alphabets; please type it again with one keyboard.")
    return folded
