"""Telephone numbers as E.164, with an extension where there is one.

Owns the signs a number may be typed with and links that hold a number.
Refuses to know numbering plans: those come from the `phonenumbers` library and
the default region from the scope's policy (specs/50-identifiers.md#telephone).
"""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

from notalone_crypto.errors import Code, InvalidIdentifier, Misuse
from notalone_crypto.protocol.identify_text import clean, refuse

_LINK: Final = re.compile(
    r"(?:https?://)?(?:www\.)?(?:wa\.me/|api\.whatsapp\.com/send/?\?phone=)\+?([0-9]{7,15})(?:[/?&#].*)?"
    r"|whatsapp://send/?\?phone=\+?([0-9]{7,15})(?:&.*)?",
    re.IGNORECASE | re.ASCII,
)
_EXTENSION: Final = re.compile(
    r"(?:;ext=|,? ?\b(?:ext\.?|extension|poste|x) ?|x|#)([0-9]{1,7})", re.IGNORECASE | re.ASCII
)
_SIGNS: Final = re.compile(r"\+?[0-9 ().\-/]*", re.ASCII)
_SHARED_TYPES: Final = frozenset(
    {
        phonenumbers.PhoneNumberType.TOLL_FREE,
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
        phonenumbers.PhoneNumberType.SHARED_COST,
        phonenumbers.PhoneNumberType.UAN,
        phonenumbers.PhoneNumberType.VOICEMAIL,
        phonenumbers.PhoneNumberType.PAGER,
    }
)


def canonical_phone(text: str, default_region: str | None) -> str:
    """`+` and digits, then `;ext=` and digits if an extension was typed.

    `default_region` is a two-letter region of the library (``"FR"``) or None,
    which accepts international forms only. Raises InvalidIdentifier, and Misuse
    for a region that does not exist.
    """
    if default_region is not None and default_region not in phonenumbers.SUPPORTED_REGIONS:
        raise Misuse(Code.MISUSE, "the default region of the policy is unknown")
    number, extension = _digits(clean(text))
    try:
        parsed = phonenumbers.parse(number, default_region)
    except phonenumbers.NumberParseException:
        raise _unreadable(number, default_region) from None
    if not phonenumbers.is_valid_number(parsed):
        raise refuse("This telephone number does not exist in its country; please check the digits.")
    if phonenumbers.number_type(parsed) in _SHARED_TYPES:
        raise refuse("This is the number of a service, not of one person.", Code.IDENTIFIER_SHARED)
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return f"{written};ext={extension}" if extension else written


def _unreadable(number: str, default_region: str | None) -> InvalidIdentifier:
    if default_region is None and not number.startswith("+"):
        return refuse("Please begin the telephone number with + and the code of the country.")
    return refuse("This does not look like a telephone number.")


def _digits(typed: str) -> tuple[str, str]:
    """The number with its plus sign, and the extension or an empty string."""
    link = _LINK.fullmatch(typed)
    if link:
        return "+" + (link[1] or link[2]), ""
    if typed[:4].lower() == "tel:":
        typed = typed[4:]
    extension = ""
    for found in _EXTENSION.finditer(typed):
        if found.end() == len(typed):
            typed, extension = typed[: found.start()], found[1]
            break
    if not _SIGNS.fullmatch(typed):
        raise refuse("A telephone number holds digits and spaces only.")
    plus = "+" if typed.startswith("+") else ""
    number = plus + re.sub(r"[^0-9]", "", typed)
    # In every region of the library a number that opens with 00 is an international call.
    if number.startswith("00"):
        number = "+" + number[2:]
    return number, extension
