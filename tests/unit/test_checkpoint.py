"""Checkpoints: a live log's note verifies; the quorum is of different, known, honest keys."""

from __future__ import annotations

import base64
import hashlib

import pytest

from notalone_crypto.errors import Code, MalformedInput, Misuse, NotAloneError, VerificationFailed
from notalone_crypto.primitives import checkpoint as module
from notalone_crypto.primitives.checkpoint import Checkpoint, Note, NoteSignature
from notalone_crypto.primitives.merkle import EMPTY_ROOT, MerkleTree
from notalone_crypto.primitives.signing import SigningKey

ORIGIN = "board.example/log"
LOG = SigningKey(b"L" * 32)
TRUSTEES = {f"trustee.example/{index}": SigningKey(bytes([index]) * 32) for index in (1, 2, 3)}
KEYS = {name: key.verify_key for name, key in TRUSTEES.items()}
HEAD = Checkpoint(ORIGIN, 5, MerkleTree.of([b"a", b"b", b"c", b"d", b"e"]).root())
TIME = 1_700_000_000

# A checkpoint that a public Certificate Transparency test log published in 2026, with its
# own signatures (one of a type that we do not know) and the cosignature of a public witness.
LIVE_ORIGIN = "arche2025h1.staging.ct.transparency.dev"
LIVE_NOTE = (
    f"{LIVE_ORIGIN}\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n"
    f"\u2014 {LIVE_ORIGIN} zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIg"
    "IpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n"
    f"\u2014 {LIVE_ORIGIN} ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA2"
    "3oHP7Ry1k3ZFWwQ=\n"
    "\u2014 remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sX"
    "Tynk5XeU/zZ0WBxtqB0DrAWfBw==\n"
).encode()
LIVE_LOG_KEY = base64.b64decode("AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f")[1:]
LIVE_WITNESS_KEY = base64.b64decode("BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2")[1:]


def _note(*names: str, head: Checkpoint = HEAD, time: int = TIME) -> Note:
    note = module.sign_checkpoint(head, LOG)
    for name in names:
        note = note.with_signature(module.cosign(head, name, TRUSTEES[name], time))
    return note


ONE, TWO, THREE = TRUSTEES
FULL = _note(ONE, TWO, THREE)


def _refused(code: Code, note: Note | bytes, quorum: int = 3, origin: str = ORIGIN) -> NotAloneError:
    with pytest.raises(NotAloneError) as caught:
        module.verify_quorum(note, origin, LOG.verify_key, KEYS, quorum)
    assert caught.value.code is code
    return caught.value


def test_a_live_logs_checkpoint_and_a_live_witness_verify() -> None:
    witness = {"remora.n621.de": LIVE_WITNESS_KEY}
    verified = module.verify_quorum(LIVE_NOTE, LIVE_ORIGIN, LIVE_LOG_KEY, witness, 1)
    assert verified.checkpoint.size == 1432088532
    assert verified.times == {"remora.n621.de": 0x6A122120}
    assert Note.decode(LIVE_NOTE).encode() == LIVE_NOTE


def test_a_live_logs_checkpoint_with_another_size_is_refused() -> None:
    changed = LIVE_NOTE.replace(b"1432088532", b"1432088533")
    with pytest.raises(VerificationFailed) as caught:
        module.verify_quorum(changed, LIVE_ORIGIN, LIVE_LOG_KEY, {"remora.n621.de": LIVE_WITNESS_KEY}, 1)
    assert caught.value.code is Code.SIGNATURE


def test_published_key_ids() -> None:
    assert module.key_id("remora.n621.de", b"\x04", LIVE_WITNESS_KEY).hex() == "da77ade7"
    assert module.key_id(LIVE_ORIGIN, b"\x01", LIVE_LOG_KEY).hex() == "ba2f06c0"


def test_the_text_is_three_lines() -> None:
    root = base64.b64encode(HEAD.root).decode()
    assert HEAD.text().decode() == f"board.example/log\n5\n{root}\n"


def test_the_cosigned_message_is_header_time_and_text() -> None:
    signature = module.cosign(HEAD, ONE, TRUSTEES[ONE], 7)
    assert signature.body[:8] == (7).to_bytes(8, "big")
    assert signature.body[8:] == TRUSTEES[ONE].sign_text(b"cosignature/v1\ntime 7\n" + HEAD.text())
    digest = hashlib.sha256(ONE.encode() + b"\n\x04" + KEYS[ONE]).digest()
    assert signature.key_id == digest[:4]


def test_a_full_quorum_verifies_and_encoding_comes_back() -> None:
    verified = module.verify_quorum(FULL.encode(), ORIGIN, LOG.verify_key, KEYS, 3)
    assert verified.checkpoint == HEAD
    assert verified.times == dict.fromkeys(TRUSTEES, TIME)
    assert Note.decode(FULL.encode()) == FULL


def test_adding_a_signature_leaves_the_older_note_unchanged() -> None:
    before = _note(ONE)
    encoded = before.encode()
    before.with_signature(module.cosign(HEAD, TWO, TRUSTEES[TWO], TIME))
    assert before.encode() == encoded


def test_one_cosigner_short_is_refused() -> None:
    _refused(Code.QUORUM, _note(ONE, TWO))
    module.verify_quorum(_note(ONE, TWO), ORIGIN, LOG.verify_key, KEYS, 2)


def test_one_cosigner_many_times_counts_once_with_its_latest_time() -> None:
    note = _note(ONE, ONE, ONE).with_signature(module.cosign(HEAD, ONE, TRUSTEES[ONE], TIME + 9))
    note = note.with_signature(module.cosign(HEAD, ONE, TRUSTEES[ONE], TIME - 9))
    _refused(Code.QUORUM, note, 2)
    assert module.verify_quorum(note, ORIGIN, LOG.verify_key, KEYS, 1).times == {ONE: TIME + 9}


def test_cosigners_nobody_configured_are_ignored_and_do_not_count() -> None:
    stranger = module.cosign(HEAD, "stranger.example", SigningKey(b"S" * 32), TIME)
    impostor = module.cosign(HEAD, THREE, SigningKey(b"S" * 32), TIME)  # right name, another key
    note = _note(ONE, TWO).with_signature(stranger).with_signature(impostor)
    _refused(Code.QUORUM, note)
    module.verify_quorum(note, ORIGIN, LOG.verify_key, KEYS, 2)


def test_a_cosignature_for_another_head_refuses_the_note() -> None:
    other = Checkpoint(ORIGIN, 6, HEAD.root)
    _refused(
        Code.SIGNATURE, _note(ONE, TWO).with_signature(module.cosign(other, THREE, TRUSTEES[THREE], TIME))
    )


def test_a_changed_cosignature_time_is_refused() -> None:
    genuine = module.cosign(HEAD, THREE, TRUSTEES[THREE], TIME)
    later = NoteSignature(THREE, genuine.key_id, (TIME + 1).to_bytes(8, "big") + genuine.body[8:])
    _refused(Code.SIGNATURE, _note(ONE, TWO).with_signature(later))


def test_without_the_logs_own_signature_a_full_quorum_is_refused() -> None:
    _refused(Code.SIGNATURE, Note(HEAD, FULL.signatures[1:]))


def test_a_log_signature_by_another_key_is_refused() -> None:
    forged = module.sign_checkpoint(HEAD, SigningKey(b"X" * 32)).signatures[0]
    _refused(Code.SIGNATURE, Note(HEAD, (forged, *FULL.signatures[1:])))
    own = FULL.signatures[0]
    disguised = NoteSignature(own.name, own.key_id, forged.body)
    _refused(Code.SIGNATURE, Note(HEAD, (disguised, *FULL.signatures[1:])))


def test_a_fork_under_another_origin_is_refused() -> None:
    elsewhere = Checkpoint("board.example/other", 5, HEAD.root)
    error = _refused(Code.FORK, _note(ONE, TWO, THREE, head=elsewhere))
    assert isinstance(error, VerificationFailed)


def test_a_log_signature_is_no_cosignature_and_the_reverse() -> None:
    # The same key in both roles: the type byte and the header line keep them apart.
    name = ORIGIN
    as_cosigner = module.cosign(HEAD, name, LOG, TIME)
    as_log = module.sign_checkpoint(HEAD, LOG).signatures[0]
    assert as_cosigner.key_id != as_log.key_id
    _refused(Code.LENGTH, Note(HEAD, (NoteSignature(name, as_log.key_id, as_cosigner.body),)))
    _refused(Code.SIGNATURE, Note(HEAD, (NoteSignature(name, as_log.key_id, as_cosigner.body[8:]),)))


@pytest.mark.parametrize("body", [b"\x00", bytes(71), bytes(73)])
def test_cosignature_of_a_known_key_with_another_length_is_refused(body: bytes) -> None:
    genuine = module.cosign(HEAD, THREE, TRUSTEES[THREE], TIME)
    _refused(Code.LENGTH, _note(ONE).with_signature(NoteSignature(THREE, genuine.key_id, body)))


def test_cosignature_time_above_63_bits_is_refused() -> None:
    genuine = module.cosign(HEAD, THREE, TRUSTEES[THREE], 2**63 - 1)
    module.verify_quorum(_note(ONE, TWO).with_signature(genuine), ORIGIN, LOG.verify_key, KEYS, 3)
    body = (2**63).to_bytes(8, "big") + genuine.body[8:]
    _refused(Code.RANGE, _note(ONE).with_signature(NoteSignature(THREE, genuine.key_id, body)))
    for time in (-1, 2**63):
        with pytest.raises(Misuse) as caught:
            module.cosign(HEAD, THREE, TRUSTEES[THREE], time)
        assert caught.value.code is Code.RANGE


def test_one_holder_under_two_names_is_misuse() -> None:
    for doubled in ({**KEYS, "alias.example": KEYS[ONE]}, {**KEYS, "board.example": LOG.verify_key}):
        with pytest.raises(Misuse) as caught:
            module.verify_quorum(FULL, ORIGIN, LOG.verify_key, doubled, 3)
        assert caught.value.code is Code.DUPLICATE


@pytest.mark.parametrize("quorum", [-1, 0, 4])
def test_quorum_out_of_range_is_misuse(quorum: int) -> None:
    error = _refused(Code.RANGE, FULL, quorum)
    assert isinstance(error, Misuse)


@pytest.mark.parametrize(("n", "m", "s"), [(3, 2, 3), (5, 3, 4), (5, 2, 4), (7, 4, 6), (9, 5, 7), (1, 1, 1)])
def test_two_quorums_share_more_trustees_than_can_collude(n: int, m: int, s: int) -> None:
    assert module.quorum_size(n, m) == s
    assert 2 * s - n > m - 1


@pytest.mark.parametrize(("n", "m"), [(3, 0), (3, 4), (0, 0)])
def test_quorum_size_of_no_committee_is_misuse(n: int, m: int) -> None:
    with pytest.raises(Misuse):
        module.quorum_size(n, m)


NOTE = FULL.encode().decode()
ROOT_LINE = base64.b64encode(HEAD.root).decode()
STRAY_BITS = ROOT_LINE[:-2] + chr(ord(ROOT_LINE[-2]) + 1) + "="
LINE = FULL.signatures[0].line().decode()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ("", Code.TRUNCATED),
        (NOTE[:-1], Code.TRUNCATED),
        (HEAD.text().decode(), Code.TRUNCATED),
        (HEAD.text().decode() + "\n", Code.TRUNCATED),
        (NOTE + "\n", Code.NON_CANONICAL),
        (NOTE + "trailing\n", Code.NON_CANONICAL),
        (NOTE + LINE[:-1] + " more\n", Code.NON_CANONICAL),
        (NOTE.replace("\n\n", "\nextension\n\n"), Code.TRAILING),
        (NOTE.replace("\n\n", "\n"), Code.TRAILING),
        (NOTE.replace("\n5\n", "\n05\n"), Code.NON_CANONICAL),
        (NOTE.replace("\n5\n", "\n+5\n"), Code.NON_CANONICAL),
        (NOTE.replace("\n5\n", "\n-5\n"), Code.NON_CANONICAL),
        (NOTE.replace("\n5\n", "\n\u0665\n"), Code.NON_CANONICAL),
        (NOTE.replace("\n5\n", "\n5 \n"), Code.NON_CANONICAL),
        (NOTE.replace("\n5\n", "\n\n"), Code.NON_CANONICAL),
        (NOTE.replace("\n5\n", f"\n{2**63}\n"), Code.RANGE),
        (NOTE.replace("\n5\n", f"\n{10**30}\n"), Code.NON_CANONICAL),
        (NOTE.replace("\n5\n", "\n0\n"), Code.NON_CANONICAL),
        (NOTE.replace(ROOT_LINE, STRAY_BITS), Code.NON_CANONICAL),
        (NOTE.replace(ROOT_LINE, ROOT_LINE.rstrip("=")), Code.NON_CANONICAL),
        (NOTE.replace(ROOT_LINE, ROOT_LINE[:4] + "*" + ROOT_LINE[5:]), Code.NON_CANONICAL),
        (NOTE.replace(ROOT_LINE, "\u00e9" + ROOT_LINE[1:]), Code.NON_CANONICAL),
        (NOTE.replace(ROOT_LINE, base64.b64encode(bytes(31)).decode()), Code.LENGTH),
        (NOTE.replace(f"{ORIGIN}\n5", "\n5"), Code.LENGTH),
        (NOTE.replace(f"{ORIGIN}\n5", "two words\n5"), Code.TEXT),
        (NOTE.replace(f"{ORIGIN}\n5", "a+b\n5"), Code.TEXT),
        (NOTE.replace(f"{ORIGIN}\n5", "a\u2028b\n5"), Code.TEXT),
        (NOTE.replace(f"{ORIGIN}\n5", "a\x00b\n5"), Code.TEXT),
        (NOTE.replace(f"{ORIGIN}\n5", "a\r\n5"), Code.TEXT),
        (NOTE.replace(f"{ORIGIN}\n5", "a\u202eb\n5"), Code.TEXT),
        (NOTE.replace(f"{ORIGIN}\n5", "a" * 256 + "\n5"), Code.LENGTH),
        (NOTE.replace("\u2014", "-"), Code.NON_CANONICAL),
        (NOTE.replace("\u2014 ", "\u2014"), Code.NON_CANONICAL),
        (NOTE.replace("\u2014 ", "\u2014  "), Code.NON_CANONICAL),
        (NOTE + "\u2014 name AAAA\n", Code.LENGTH),
        (NOTE + "\u2014 name AAAAAA==\n", Code.LENGTH),
        (NOTE + "\u2014  AAAAAAAA\n", Code.LENGTH),
        (NOTE + LINE * 40, Code.RANGE),
        (NOTE + "x" * 70_000, Code.LENGTH),
    ],
)
def test_every_other_text_is_refused(changed: str, code: Code) -> None:
    assert changed != NOTE
    with pytest.raises(MalformedInput) as caught:
        Note.decode(changed.encode())
    assert caught.value.code is code


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(MalformedInput) as caught:
        Note.decode(b"\xff" + FULL.encode())
    assert caught.value.code is Code.TEXT


def test_every_truncation_is_refused() -> None:
    encoded = FULL.encode()
    for length in range(len(encoded)):
        with pytest.raises(NotAloneError):
            module.verify_quorum(encoded[:length], ORIGIN, LOG.verify_key, KEYS, 3)


def test_every_flipped_bit_is_refused() -> None:
    encoded = FULL.encode()
    for position in range(len(encoded)):
        changed = bytearray(encoded)
        changed[position] ^= 1
        with pytest.raises(NotAloneError):
            module.verify_quorum(bytes(changed), ORIGIN, LOG.verify_key, KEYS, 3)


def test_an_empty_tree_has_one_root() -> None:
    assert Checkpoint(ORIGIN, 0, EMPTY_ROOT).size == 0
    with pytest.raises(MalformedInput) as caught:
        Checkpoint(ORIGIN, 0, HEAD.root)
    assert caught.value.code is Code.NON_CANONICAL


def test_a_note_carries_at_least_16_signatures_and_not_none() -> None:
    Note(HEAD, FULL.signatures[:1] * 16)
    with pytest.raises(MalformedInput):
        Note(HEAD, ())


def test_a_name_with_lone_surrogates_is_refused() -> None:
    with pytest.raises(MalformedInput):
        Checkpoint("a\ud800b", 5, HEAD.root)
