"""Laws of canonical identifiers over generated text."""
# ruff: noqa: RUF001 - letters that look alike are what is tested

from __future__ import annotations

import ast
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notalone_crypto.errors import InvalidIdentifier
from notalone_crypto.protocol.identify import IdentifierKind, Platform, canonicalize
from notalone_crypto.protocol.identify_text import REPERTOIRE
from notalone_crypto.protocol.identify_text import __file__ as refusals_from

LOWER = "abcdefghijklmnopqrstuvwxyz"
WORD = st.text(LOWER, min_size=5, max_size=10).map(
    lambda word: "q" + word
)  # q: no particle, title or shared word
HANDLE = st.text(LOWER + "0123456789", min_size=4, max_size=12).map(lambda word: "q" + word)
TYPED = st.one_of(
    st.text(max_size=40),
    st.text("abcXYZ0189@.-_/:?#+%|'’ éаОιı\u200b\u0301ｆ＠。王ßſﬁİ", max_size=30),
    st.text([chr(code) for code in sorted(REPERTOIRE)] + list(" -.'|"), max_size=20),
    st.builds(
        "https://{}/{}".format,
        st.sampled_from(["instagram.com", "x.com", "fr.linkedin.com/in", "a.b"]),
        st.text(max_size=15),
    ),
)
SITES = st.sampled_from([None, *Platform])
FIXED_SENTENCES = {
    node.value
    for path in Path(refusals_from).parent.glob("identify*.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Constant) and isinstance(node.value, str)
}
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def account(text: str, platform: Platform | None = None) -> bytes:
    return canonicalize(IdentifierKind.ACCOUNT, text, platform=platform).encode()


def name(text: str, unit: str = "physique") -> bytes:
    return canonicalize(IdentifierKind.NAME, text, unit=unit).encode()


def email(text: str) -> bytes:
    return canonicalize(IdentifierKind.EMAIL, text).encode()


@settings(max_examples=400)
@given(kind=st.sampled_from(IdentifierKind), text=TYPED, platform=SITES, unit=st.one_of(st.none(), TYPED))
@example(kind=IdentifierKind.ACCOUNT, text="https://instagram.com/%C3%A9%zz", platform=None, unit=None)
@example(kind=IdentifierKind.EMAIL, text="a@xn--\ud800.fr", platform=None, unit=None)
@example(kind=IdentifierKind.PHONE, text="+" * 500, platform=None, unit=None)
def test_any_text_is_refused_or_canonical_and_canonical_text_is_a_fixed_point(
    kind: IdentifierKind, text: str, platform: Platform | None, unit: str | None
) -> None:
    """ID-3, ID-4, ID-5: nothing but InvalidIdentifier escapes, and canonicalizing twice changes nothing."""
    refusal: InvalidIdentifier | None = None
    once = None
    try:
        once = canonicalize(
            kind,
            text,
            default_region="FR" if kind is IdentifierKind.PHONE else None,
            unit=unit if kind is IdentifierKind.NAME else None,
            platform=platform if kind is IdentifierKind.ACCOUNT else None,
        )
    except InvalidIdentifier as error:
        refusal = error
    if once is None:
        assert refusal is not None
        assert refusal.detail in FIXED_SENTENCES
    else:
        assert canonicalize(kind, once.text) == once


@given(word=WORD, tail=WORD)
def test_email_ignores_case_width_spaces_and_tags(word: str, tail: str) -> None:
    """ID-20, ID-22: one mailbox, many spellings."""
    address = f"{word}@{tail}.fr"
    expected = email(address)
    for spelling in (
        address.upper(),
        f"  {address}\u00a0",
        address.translate(WIDE),
        f"{word}+{tail}@{tail}.fr",
    ):
        assert email(spelling) == expected


@given(word=WORD, tail=WORD)
def test_email_dots_count_outside_gmail_only(word: str, tail: str) -> None:
    """ID-23: dots are dropped where the provider says so and nowhere else."""
    assert email(f"{word}.{tail}@gmail.com") == email(f"{word}{tail}@googlemail.com")
    assert email(f"{word}.{tail}@exemple.fr") != email(f"{word}{tail}@exemple.fr")


@given(handle=HANDLE, site=st.sampled_from(["instagram", "x", "github", "twitch"]))
def test_account_ignores_scheme_host_side_slash_query_at_and_case(handle: str, site: str) -> None:
    """ID-43, ID-44: all addresses of one profile are one account."""
    platform = Platform(site)
    host = {"twitch": "twitch.tv"}.get(site, f"{site}.com")
    expected = account(handle, platform)
    for spelling in (
        f"https://{host}/{handle}",
        f"http://www.{host}/{handle}/",
        f"{host}/{handle.upper()}",
        f"m.{host}/@{handle}",
        f"https://{host}/{handle}?utm_source=x#top",
    ):
        assert account(spelling) == expected
    for spelling in (f"@{handle}", handle.upper(), handle.translate(WIDE), f" {handle}\u200b "):
        assert account(spelling, platform) == expected


@given(
    first=WORD,
    second=WORD,
    third=WORD,
    mark=st.sampled_from("\u0300\u0301\u0302\u0308\u0327"),
    data=st.data(),
)
def test_name_ignores_order_case_accents_hyphens_width_and_spaces(
    first: str, second: str, third: str, mark: str, data: st.DataObject
) -> None:
    """ID-60, ID-61, ID-64: one name, many spellings."""
    expected = name(f"{first} {second} {third}")
    shuffled = data.draw(st.permutations([first, second, third]))
    accented = first[:2] + mark + first[2:]
    for spelling in (
        " ".join(shuffled),
        f"{first}-{second}  {third.upper()}",
        f"{third.upper()}, {accented} {second}",
        unicodedata.normalize("NFC", f"{accented} {second} {third}"),
        f"{first} {second}\u00a0{third}".translate(WIDE),
    ):
        assert name(spelling) == expected


@given(first=WORD, second=WORD, other=WORD)
def test_different_words_stay_different(first: str, second: str, other: str) -> None:
    """ID-2: two people with one different word, address, handle or unit never share bytes."""
    if len({first, second, other}) < 3:
        return
    assert name(f"{first} {second}") != name(f"{first} {other}")
    assert name(f"{first} {second}", unit=second) != name(f"{first} {second}", unit=other)
    assert email(f"{first}@{second}.fr") != email(f"{first}@{other}.fr")
    assert account(first, Platform.X) != account(second, Platform.X)
    assert account(first, Platform.X) != account(first, Platform.INSTAGRAM)
    assert email(f"{first}@{second}.fr") != account(f"@{first}@{second}.fr")


@given(number=st.integers(min_value=600_000_000, max_value=699_999_999))
def test_phone_forms_of_one_number_agree(number: int) -> None:
    """ID-30: national and international forms are one number."""
    national = f"0{number}"
    spaced = " ".join(national[start : start + 2] for start in range(0, 10, 2))

    def phone(text: str) -> bytes:
        return canonicalize(IdentifierKind.PHONE, text, default_region="FR").encode()

    try:
        expected = phone(f"+33{number}")
    except InvalidIdentifier:
        with pytest.raises(InvalidIdentifier):
            phone(national)
        return
    for spelling in (
        national,
        spaced,
        spaced.replace(" ", "."),
        f"0033{number}",
        f"+33 (0){number}",
        national.translate(WIDE),
    ):
        assert phone(spelling) == expected


def test_repertoire_is_stable_over_unicode_versions() -> None:
    """ID-11: every accepted letter is old enough to normalize the same way for ever."""
    old = unicodedata.ucd_3_2_0
    for code in REPERTOIRE:
        character = chr(code)
        assert old.category(character)[0] in "LM"
        for form in ("NFKC", "NFKD"):
            assert old.normalize(form, character) == unicodedata.normalize(form, character)
        for part in unicodedata.normalize("NFKD", character):
            assert old.combining(part) == unicodedata.combining(part)
            assert {ord(part), *map(ord, part.lower())} <= REPERTOIRE
