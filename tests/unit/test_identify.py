"""Canonical identifiers, rule by rule (specs/50-identifiers.md)."""
# ruff: noqa: RUF001 - letters that look alike are what is tested

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notalone_crypto.errors import Code, InvalidIdentifier, MalformedInput, Misuse
from notalone_crypto.protocol.identify import (
    SLOT_KINDS,
    CanonicalIdentifier,
    Directory,
    DirectoryPerson,
    IdentifierKind,
    Platform,
    SlotKind,
    canonicalize,
    require_slot_accepts,
)

ROOT = Path(__file__).parents[2]
KIND = IdentifierKind
JEAN = DirectoryPerson(
    "JD-1", "Jean Dupont", "Physique", ("jean.dupont@exemple.fr", "jd@exemple.fr", "contact@exemple.fr")
)
HOMONYM = DirectoryPerson("JD-2", "DUPONT Jean", "Chimie", ("jean.dupont2@exemple.fr",))
MARIE = DirectoryPerson("MC-1", "Marie Curie", "Physique", ("marie.curie@exemple.fr",))
TWIN_A = DirectoryPerson("AB-1", "Anne Blanc", "Physique")
TWIN_B = DirectoryPerson("AB-2", "Anne Blanc", "Physique")
DIRECTORY = Directory([JEAN, HOMONYM, MARIE, TWIN_A, TWIN_B])


def value(kind: IdentifierKind, text: str, **context: str) -> str:
    platform = Platform(context.pop("platform")) if "platform" in context else None
    return canonicalize(kind, text, platform=platform, **context).text


def code(kind: IdentifierKind, text: str, **context: str) -> Code:
    with pytest.raises(InvalidIdentifier) as caught:
        value(kind, text, **context)
    return caught.value.code


def test_every_rule_of_the_specification_is_named_by_a_test() -> None:
    """ID-90: a MUST without a test is a wish."""
    rules = re.findall(
        r"\*\*\[(ID-\d+)\]\*\*", (ROOT / "specs/50-identifiers.md").read_text(encoding="utf-8")
    )
    tests = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/*/test_identif*.py"))
    assert len(rules) == len(set(rules)) > 40
    assert [rule for rule in rules if not re.search(rf"{rule}\b", tests)] == []


def test_encoding_is_kind_length_value() -> None:
    """ID-1: the bytes, written out."""
    identifier = canonicalize(KIND.EMAIL, "A@b.fr")
    assert identifier.encode() == b"\x02\x00\x00\x00\x06a@b.fr"
    assert CanonicalIdentifier.decode(identifier.encode()) == identifier


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Code.TRUNCATED),
        (b"\x02\x00\x00\x00\x06a@b.f", Code.TRUNCATED),
        (b"\x02\x00\x00\x00\x06a@b.fr!", Code.TRAILING),
        (b"\x00\x00\x00\x00\x01a", Code.RANGE),
        (b"\x06\x00\x00\x00\x01a", Code.RANGE),
        (b"\x02\x00\x00\x00\x00", Code.LENGTH),
        (b"\x02\x00\x00\xff\xff", Code.LENGTH),
        (b"\x02\x00\x00\x00\x01\xff", Code.TEXT),
    ],
)
def test_decoding_refuses_other_bytes(data: bytes, expected: Code) -> None:
    """ID-1."""
    with pytest.raises(MalformedInput) as caught:
        CanonicalIdentifier.decode(data)
    assert caught.value.code is expected


def test_repr_hides_the_person() -> None:
    """ID-4: a log line or a traceback names nobody."""
    assert "dupont" not in repr(canonicalize(KIND.EMAIL, "jean.dupont@exemple.fr"))
    shown = repr(JEAN) + repr(DIRECTORY.search("dupont"))
    assert "Dupont" not in shown
    assert "exemple" not in shown


def test_a_context_of_another_kind_is_the_callers_mistake() -> None:
    with pytest.raises(Misuse):
        canonicalize(KIND.EMAIL, "a@b.fr", unit="Physique")
    with pytest.raises(Misuse):
        canonicalize(KIND.NAME, "Jean Dupont", unit="Physique", platform=Platform.X)
    with pytest.raises(Misuse):
        canonicalize(KIND.PHONE, "0612345678", default_region="fr")


def test_text_cleaning_and_length() -> None:
    """ID-10: invisible signs, stand-ins, and the limit of 512 code points."""
    assert value(KIND.DIRECTORY, "\ufeff\u202aJD\u20111\u202c\u3000") == "jd-1"
    assert value(KIND.DIRECTORY, " " * 508 + "jd-1") == "jd-1"
    assert code(KIND.DIRECTORY, " " * 509 + "jd-1") is Code.IDENTIFIER


def test_letters_outside_the_repertoire_are_refused() -> None:
    """ID-11: young letters would fold differently on an old phone."""
    assert code(KIND.NAME, "\u1c90\u1c91 \u1c92\u1c93", unit="Physique") is Code.IDENTIFIER
    assert code(KIND.EMAIL, "a@\ua7ae.fr") is Code.IDENTIFIER


def test_final_sigma_does_not_depend_on_its_neighbours() -> None:
    """ID-12."""
    assert value(KIND.NAME, "ΣΑΣ ΝΙΚΟΣ", unit="Σ") == value(KIND.NAME, "σας νίκος", unit="ς")


def test_look_alikes_fold_only_where_latin_was_meant() -> None:
    """ID-13, ID-14."""
    assert value(KIND.ACCOUNT, "x:раvеl") == "x:pavel"
    assert value(KIND.NAME, "Раvel Novak", unit="Physique") == "novak pavel|physique"
    assert value(KIND.NAME, "Сева Роса", unit="Physique") == "роса сева|physique"
    assert code(KIND.NAME, "Pavлов Ivan", unit="Physique") is Code.IDENTIFIER


def test_email_wrappings_and_tags() -> None:
    """ID-21, ID-22: what a mail program puts around an address."""
    assert value(KIND.EMAIL, '"D, J" <mailto:J.D+x+y@b.fr?cc=z>') == "j.d@b.fr"
    assert code(KIND.EMAIL, "+x@b.fr") is Code.IDENTIFIER


def test_international_domains_have_one_form() -> None:
    """ID-24: as registries and browsers see them."""
    assert value(KIND.EMAIL, "ab@bücher.example") == value(KIND.EMAIL, "ab@XN--BCHER-KVA.example")
    assert value(KIND.EMAIL, "ab@faß.de") == "ab@xn--fa-hia.de"
    assert code(KIND.EMAIL, "ab@xn--abc-.de") is Code.IDENTIFIER


def test_shared_mailboxes_are_refused_and_family_names_are_not() -> None:
    """ID-25."""
    assert code(KIND.EMAIL, "Contact+jean@b.fr") is Code.IDENTIFIER_SHARED
    assert code(KIND.EMAIL, "rh.paris@b.fr") is Code.IDENTIFIER_SHARED
    assert code(KIND.EMAIL, "someone@listes.b.fr") is Code.IDENTIFIER_SHARED
    assert value(KIND.EMAIL, "ana.sales@b.fr") == "ana.sales@b.fr"
    assert value(KIND.EMAIL, "infante@b.fr") == "infante@b.fr"


def test_phone_region_extension_service_and_links() -> None:
    """ID-31, ID-32, ID-33, ID-34."""
    assert code(KIND.PHONE, "06 12 34 56 78") is Code.IDENTIFIER
    assert value(KIND.PHONE, "0478 12 34 56", default_region="BE") == "+32478123456"
    assert value(KIND.PHONE, "01 42 34 56 78 Poste 7", default_region="FR") == "+33142345678;ext=7"
    assert code(KIND.PHONE, "0800 123 456", default_region="FR") is Code.IDENTIFIER_SHARED
    assert value(KIND.PHONE, "https://wa.me/33612345678") == "+33612345678"


def test_account_needs_one_site_that_agrees() -> None:
    """ID-40, ID-41, ID-42."""
    assert value(KIND.ACCOUNT, "Twitter:@Foo") == "x:foo"
    assert value(KIND.ACCOUNT, "https://FR.linkedin.com:443/in/Foo%2Dbar/") == "linkedin:foo-bar"
    assert code(KIND.ACCOUNT, "foo") is Code.IDENTIFIER
    assert code(KIND.ACCOUNT, "https://x.com/foo", platform="instagram") is Code.IDENTIFIER
    assert code(KIND.ACCOUNT, "https://x.com.evil.example/foo") is Code.IDENTIFIER
    assert code(KIND.ACCOUNT, "https://notx.com/foo") is Code.IDENTIFIER


@pytest.mark.parametrize(
    "address", ["https://instagram.com/p/x", "https://vm.tiktok.com/Zx", "https://x.com", "https://t.me/+x"]
)
def test_addresses_that_are_no_profile_are_never_guessed(address: str) -> None:
    """ID-45."""
    assert code(KIND.ACCOUNT, address) is Code.IDENTIFIER


def test_numbers_of_a_site_are_not_names() -> None:
    """ID-46."""
    assert value(KIND.ACCOUNT, "https://discord.com/users/123456789") == "discord:id/123456789"
    assert value(KIND.ACCOUNT, "discord:123456789") == "discord:123456789"
    assert code(KIND.ACCOUNT, "foo#1234", platform="discord") is Code.IDENTIFIER


def test_fediverse_accounts_carry_their_server() -> None:
    """ID-47: and what looks like an e-mail is not taken for an account."""
    assert value(KIND.ACCOUNT, "https://a.example/@Foo@B.example") == "fediverse:foo@b.example"
    assert value(KIND.ACCOUNT, "https://m.cmx.im/@foo") == "fediverse:foo@m.cmx.im"
    assert code(KIND.ACCOUNT, "foo@b.example") is Code.IDENTIFIER
    assert code(KIND.ACCOUNT, "https://b.example/web/foo") is Code.IDENTIFIER


def test_whatsapp_is_sent_to_the_telephone_field() -> None:
    """ID-48."""
    with pytest.raises(InvalidIdentifier, match="telephone field"):
        value(KIND.ACCOUNT, "+33612345678", platform="whatsapp")


def test_titles_and_particles_never_take_half_a_name() -> None:
    """ID-62, ID-63, ID-64."""
    assert value(KIND.NAME, "Mme la Dr Anne de Blanc", unit="u") == "anne blanc la|u"
    assert value(KIND.NAME, "Du Wei", unit="u") == "du wei|u"
    assert value(KIND.NAME, "Miss Doctor", unit="u") == "doctor miss|u"
    assert value(KIND.NAME, "Anna Anna Bell", unit="u") == "anna anna bell|u"


def test_weak_names_are_refused() -> None:
    """ID-65, ID-66."""
    for text, unit in (("Jean Dupont", None), ("Jean Dupont", " "), ("Jean", "u"), ("J. Dupont", "u")):
        with pytest.raises(InvalidIdentifier) as caught:
            canonicalize(KIND.NAME, text, unit=unit)
        assert caught.value.code is Code.IDENTIFIER_WEAK
    assert value(KIND.NAME, "Jean Dupont", unit="Labo-3") == "dupont jean|labo 3"


def test_east_asian_names_ignore_spaces_and_keep_order() -> None:
    """ID-67."""
    assert value(KIND.NAME, "王 小明", unit="u") == value(KIND.NAME, "王小明", unit="u")
    assert value(KIND.NAME, "小明 王", unit="u") != value(KIND.NAME, "王小明", unit="u")


def test_directory_ids_keep_leading_zeros() -> None:
    """ID-70."""
    assert value(KIND.DIRECTORY, "007") == "007"
    assert code(KIND.DIRECTORY, "jd 1") is Code.IDENTIFIER


def test_directory_gives_one_form_for_id_addresses_and_name() -> None:
    """ID-71."""
    forms = {
        DIRECTORY.resolve(KIND.DIRECTORY, "jd-1"),
        DIRECTORY.resolve(KIND.EMAIL, "Jean.Dupont+x@exemple.fr"),
        DIRECTORY.resolve(KIND.EMAIL, "JD@exemple.fr"),
        DIRECTORY.resolve(KIND.NAME, "dupont, jean", unit="physique"),
        DIRECTORY.identify(JEAN),
    }
    assert {(form.kind, form.text) for form in forms} == {(KIND.DIRECTORY, "jd-1")}
    assert DIRECTORY.resolve(KIND.EMAIL, "other@exemple.fr").kind is KIND.EMAIL
    assert DIRECTORY.resolve(KIND.PHONE, "0612345678", default_region="FR").text == "+33612345678"
    with pytest.raises(InvalidIdentifier):
        DIRECTORY.resolve(KIND.DIRECTORY, "jd-9")
    with pytest.raises(InvalidIdentifier):
        DIRECTORY.resolve(KIND.EMAIL, "contact@exemple.fr")


def test_homonyms_are_seen_and_never_chosen_silently() -> None:
    """ID-72."""
    assert [(match.person.directory_id, match.has_homonym) for match in DIRECTORY.search("dupont")] == [
        ("JD-2", True),
        ("JD-1", True),
    ]
    assert [match.has_homonym for match in DIRECTORY.search("curie")] == [False]
    with pytest.raises(InvalidIdentifier) as caught:
        DIRECTORY.resolve(KIND.NAME, "Blanc Anne", unit="Physique")
    assert caught.value.code is Code.IDENTIFIER_WEAK


@pytest.mark.parametrize(
    "second",
    [
        DirectoryPerson("jd-1", "Other Person", "Physique"),
        DirectoryPerson("op-1", "Other Person", "Physique", ("JD+x@exemple.fr",)),
        DirectoryPerson("op-1", "Other Person", "Physique", ("not an address",)),
        DirectoryPerson("", "Other Person", "Physique"),
        DirectoryPerson("op-1", "\U0001f600", "Physique"),
    ],
)
def test_a_directory_that_joins_two_people_is_refused(second: DirectoryPerson) -> None:
    """ID-73: a crafted line would hijack another person's reports."""
    with pytest.raises(InvalidIdentifier) as caught:
        Directory([JEAN, second])
    assert caught.value.code is Code.INPUT_FILE


def test_search_finds_by_every_visible_word() -> None:
    """ID-74."""
    for query in ("Mar cur", "curie physique", "MC-1", "marie.curie@exe", "CURIÉ"):
        assert [match.person.directory_id for match in DIRECTORY.search(query)] == ["MC-1"]
    for query in ("", "c", "\U0001f600", "marie dupont", "urie"):
        assert DIRECTORY.search(query) == ()
    assert len(DIRECTORY.search("physique", limit=2)) == 2


def test_slots_accept_their_kinds_only() -> None:
    """ID-80."""
    accepted = {slot: {kind.name for kind in kinds} for slot, kinds in SLOT_KINDS.items()}
    assert accepted == {
        SlotKind.WORK_IDENTITY: {"DIRECTORY", "EMAIL", "NAME"},
        SlotKind.PHONE: {"PHONE"},
        SlotKind.ACCOUNT: {"ACCOUNT"},
        SlotKind.FORMER_ACCOUNT: {"ACCOUNT"},
    }
    require_slot_accepts(SlotKind.FORMER_ACCOUNT, canonicalize(KIND.ACCOUNT, "x:foo"))
    with pytest.raises(InvalidIdentifier):
        require_slot_accepts(SlotKind.PHONE, canonicalize(KIND.ACCOUNT, "x:foo"))
