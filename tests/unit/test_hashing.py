"""Derivations: one registered tag each, no two inputs alike, the lengths that were asked for."""

from __future__ import annotations

import ast
import hashlib
import hmac
from pathlib import Path

import pytest

from notalone_crypto.codec import join
from notalone_crypto.errors import Misuse
from notalone_crypto.primitives import hashing, signing
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.suite import DST_PREFIX, Tag

ROOT = Path(__file__).resolve().parents[2]
TAGGED = {"digest", "hash_to_scalar", "hash_to_group", "derive", "derive_scalar", "sign"}
TAG_POSITION = {"derive": 1, "derive_scalar": 1}


def tag_arguments() -> list[tuple[str, ast.expr]]:
    """(place, expression) of the tag in every call of a tagged derivation in our packages."""
    found = []
    for path in sorted([*(ROOT / "crypto").rglob("*.py"), *(ROOT / "server").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name == "sign" and len(node.args) < 2:
                continue  # an operator's step of the ceremony: a key's `sign` takes a tag and a message
            if name in TAGGED and not (isinstance(node.func, ast.Attribute) and _foreign(node.func)):
                position = TAG_POSITION.get(name, 0)
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                found.append((place, node.args[position] if len(node.args) > position else node))
    return found


def _foreign(function: ast.Attribute) -> bool:
    """Functions of the same name that are not ours: hmac.digest, state.digest(), nacl's key.sign."""
    if function.attr == "sign":
        return isinstance(function.value, ast.Call)
    return not (isinstance(function.value, ast.Name) and function.value.id == "hashing")


def test_every_derivation_takes_a_registered_tag() -> None:
    """CONV-5."""
    found = tag_arguments()
    assert len(found) > 60
    for place, expression in found:
        registered = (
            isinstance(expression, ast.Attribute)
            and isinstance(expression.value, ast.Name)
            and expression.value.id == "Tag"
            and expression.attr in Tag.__members__
        )
        passed_on = isinstance(expression, ast.Name) and expression.id == "tag"  # typed Tag, checked by mypy
        assert registered or passed_on, place
    key = signing.SigningKey(bytes(32))
    for refuses in (
        lambda: hashing.digest("leaf", b""),  # type: ignore[arg-type]
        lambda: hashing.hash_to_scalar("leaf", b""),  # type: ignore[arg-type]
        lambda: hashing.hash_to_group("leaf", b""),  # type: ignore[arg-type]
        lambda: hashing.derive(bytes(32), "leaf"),  # type: ignore[arg-type]
        lambda: key.sign("leaf", b""),  # type: ignore[arg-type]
    ):
        with pytest.raises(AttributeError):
            refuses()


def test_tags_differ_and_so_do_their_outputs() -> None:
    assert len({tag.value for tag in Tag}) == len(Tag)
    assert len({hashing.digest(tag, b"x") for tag in Tag}) == len(Tag)
    assert len({hashing.hash_to_scalar(tag, b"x") for tag in Tag}) == len(Tag)
    assert len({hashing.derive(bytes(32), tag, b"x") for tag in Tag}) == len(Tag)


@pytest.mark.parametrize(
    "function",
    [
        lambda *parts: hashing.digest(Tag.LEAF, *parts),
        lambda *parts: hashing.hash_to_scalar(Tag.LEAF, *parts),
        lambda *parts: hashing.hash_to_group(Tag.LEAF, *parts),
        lambda *parts: hashing.derive(bytes(32), Tag.LEAF, *parts),
        lambda *parts: hashing.derive_scalar(bytes(32), Tag.LEAF, *parts),
    ],
    ids=["digest", "hash_to_scalar", "hash_to_group", "derive", "derive_scalar"],
)
def test_where_one_part_ends_and_the_next_begins_matters(function: object) -> None:
    cuts = [(), (b"",), (b"", b""), (b"ab",), (b"a", b"b"), (b"ab", b""), (b"", b"ab")]
    assert len({function(*parts) for parts in cuts}) == len(cuts)  # type: ignore[operator]


def test_digest_is_truncated_sha_512_of_the_joined_parts() -> None:
    expected = hashlib.sha512(join(DST_PREFIX + b"leaf", b"a", b"bc")).digest()[:32]
    assert hashing.digest(Tag.LEAF, b"a", b"bc") == expected


def test_derive_is_hmac_in_counter_mode_and_binds_its_length() -> None:
    key = bytes(range(32))
    message = join(DST_PREFIX + b"nonce", b"part", (100).to_bytes(4, "big"))
    blocks = b"".join(hmac.digest(key, bytes((0, 0, 0, number)) + message, "sha512") for number in range(2))
    assert hashing.derive(key, Tag.NONCE, b"part", length=100) == blocks[:100]
    short, long = (hashing.derive(key, Tag.NONCE, b"part", length=length) for length in (32, 33))
    assert long[:32] != short
    assert hashing.derive(key, Tag.NONCE, length=0) == b""


def test_short_derivation_key_is_refused() -> None:
    with pytest.raises(Misuse):
        hashing.derive(bytes(15), Tag.NONCE)
    assert len(hashing.derive(bytes(16), Tag.NONCE)) == 32


def test_hashed_elements_and_scalars_are_canonical() -> None:
    for number in range(20):
        part = bytes([number])
        RISTRETTO255.check_element(hashing.hash_to_group(Tag.BASE, part))
        assert 0 <= hashing.hash_to_scalar(Tag.BASE, part) < ORDER
        assert 0 <= hashing.derive_scalar(bytes(32), Tag.BASE, part) < ORDER


def test_expand_message_xmd_is_rfc_9380() -> None:
    """RFC 9380 appendix K.3 (SHA-512), first vectors of both lengths."""
    dst = b"QUUX-V01-CS02-with-expander-SHA512-256"
    assert hashing.expand_message_xmd(b"", dst, 32).hex() == (
        "6b9a7312411d92f921c6f68ca0b6380730a1a4d982c507211a90964c394179ba"
    )
    assert hashing.expand_message_xmd(b"abc", dst, 32).hex() == (
        "0da749f12fbe5483eb066a5f595055679b976e93abe9be6f0f6318bce7aca8dc"
    )
    long = hashing.expand_message_xmd(b"", dst, 128)
    assert long.hex().startswith("41b037d1734a5f8df225dd8c7de38f851efdb45c372887be655212d07251b921")


@pytest.mark.parametrize(("dst", "length"), [(b"", 32), (bytes(256), 32), (b"d", 0), (b"d", 64 * 255 + 1)])
def test_expand_message_xmd_refuses_what_the_rfc_cannot_express(dst: bytes, length: int) -> None:
    with pytest.raises(Misuse):
        hashing.expand_message_xmd(b"", dst, length)


def test_expand_message_xmd_takes_the_longest_the_rfc_allows() -> None:
    assert len(hashing.expand_message_xmd(b"", bytes(255), 64 * 255)) == 64 * 255
