"""Provable KEM: one enc for all, complaints that convince, keys bound to their place."""

from __future__ import annotations

import pytest

from notalone_crypto.errors import Code, MalformedInput, Misuse, NotAloneError, VerificationFailed
from notalone_crypto.primitives import aead, kem
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.kem import Complaint
from notalone_crypto.randomness import SeededStream, random_scalar

RANDOMNESS = SeededStream(b"kem tests")
ALICE = kem.generate_key(RANDOMNESS)
BOB = kem.generate_key(RANDOMNESS)
EPHEMERAL = random_scalar(RANDOMNESS)
ENC = kem.encapsulation(EPHEMERAL)
HEADER = b"\x07" * 32
SESSION = b"committee, header 7, trustee 1"
COMPLAINT = kem.complain(ALICE, ENC, SESSION, RANDOMNESS)

IDENTITY = bytes(32)
NON_CANONICAL = [
    b"\xff" * 32,
    b"\x01" + bytes(31),  # negative: ristretto255 decodes even field elements only
    (2**255 - 19 + 2).to_bytes(32, "little"),  # not reduced
]
WRONG_LENGTH = [b"", bytes(31), bytes(33)]
INVALID = [
    (IDENTITY, Code.IDENTITY),
    *((element, Code.NON_CANONICAL) for element in NON_CANONICAL),
    *((element, Code.LENGTH) for element in WRONG_LENGTH),
]


def test_sender_and_every_recipient_derive_the_same_key_from_one_enc() -> None:
    keys = set()
    for index, key in ((1, ALICE), (2, BOB)):
        sent = kem.encapsulate(EPHEMERAL, key.public, index, HEADER)
        assert len(sent) == kem.KEY_LENGTH
        assert kem.decapsulate(key, ENC, index, HEADER) == sent
        keys.add(sent)
    assert len(keys) == 2


def test_enc_is_the_ephemeral_times_the_generator() -> None:
    assert RISTRETTO255.base_multiply(EPHEMERAL) == ENC


def test_the_key_is_bound_to_recipient_index_header_and_enc() -> None:
    key = kem.encapsulate(EPHEMERAL, ALICE.public, 1, HEADER)
    assert kem.decapsulate(BOB, ENC, 1, HEADER) != key
    assert kem.decapsulate(ALICE, ENC, 2, HEADER) != key
    assert kem.decapsulate(ALICE, ENC, 1, b"\x08" * 32) != key
    assert kem.decapsulate(ALICE, kem.encapsulation(EPHEMERAL + 1), 1, HEADER) != key


def test_the_shared_point_alone_does_not_fix_the_key() -> None:
    # As in DHKEM, both public values are hashed in: equal products of other pairs differ.
    shared = COMPLAINT.shared_point
    key = kem.derive_key(shared, ENC, ALICE.public, 1, HEADER)
    assert kem.derive_key(shared, ALICE.public, ENC, 1, HEADER) != key


def test_a_bundle_moved_to_another_recipient_does_not_open() -> None:
    sealed = aead.seal(kem.encapsulate(EPHEMERAL, ALICE.public, 1, HEADER), b"bundle", b"shares")
    with pytest.raises(VerificationFailed) as caught:
        aead.open_sealed(kem.decapsulate(BOB, ENC, 2, HEADER), b"bundle", sealed)
    assert caught.value.code is Code.DECRYPTION


def test_after_a_complaint_everybody_opens_the_bundle_and_can_judge() -> None:
    sealed = aead.seal(kem.encapsulate(EPHEMERAL, ALICE.public, 1, HEADER), b"bundle", b"a bad share")
    shared = kem.check_complaint(ALICE.public, ENC, SESSION, COMPLAINT)
    key = kem.derive_key(shared, ENC, ALICE.public, 1, HEADER)
    assert aead.open_sealed(key, b"bundle", sealed) == b"a bad share"


def _complaint_refused(
    public: bytes, enc: bytes, session: bytes, complaint: Complaint, code: Code = Code.PROOF
) -> None:
    with pytest.raises(NotAloneError) as caught:
        kem.check_complaint(public, enc, session, complaint)
    assert caught.value.code is code


def test_a_false_complaint_with_another_shared_point_is_refused() -> None:
    # The slander attack: a wrong point makes an honest bundle look bad.
    for point in (BOB.public, ENC, RISTRETTO255.add(COMPLAINT.shared_point, RISTRETTO255.generator)):
        _complaint_refused(ALICE.public, ENC, SESSION, Complaint(point, COMPLAINT.proof))


def test_a_complaint_made_with_another_key_is_refused() -> None:
    slander = kem.complain(BOB, ENC, SESSION, RANDOMNESS)
    _complaint_refused(ALICE.public, ENC, SESSION, slander)
    kem.check_complaint(BOB.public, ENC, SESSION, slander)


def test_a_complaint_counts_for_its_session_and_enc_only() -> None:
    _complaint_refused(ALICE.public, ENC, SESSION + b"0", COMPLAINT)
    _complaint_refused(ALICE.public, ENC, b"", COMPLAINT)
    _complaint_refused(ALICE.public, kem.encapsulation(EPHEMERAL + 1), SESSION, COMPLAINT)


def test_a_key_proof_is_no_complaint_and_the_reverse() -> None:
    proof = kem.prove_key(ALICE, SESSION, RANDOMNESS)
    with pytest.raises(NotAloneError):
        kem.check_complaint(ALICE.public, ENC, SESSION, Complaint(COMPLAINT.shared_point, proof))
    with pytest.raises(NotAloneError):
        kem.check_key(ALICE.public, SESSION, COMPLAINT.proof)


def test_truncated_trailing_and_changed_complaint_proofs_are_refused() -> None:
    proof = COMPLAINT.proof
    _complaint_refused(
        ALICE.public, ENC, SESSION, Complaint(COMPLAINT.shared_point, proof[:-1]), Code.TRUNCATED
    )
    _complaint_refused(ALICE.public, ENC, SESSION, Complaint(COMPLAINT.shared_point, b""), Code.TRUNCATED)
    _complaint_refused(
        ALICE.public, ENC, SESSION, Complaint(COMPLAINT.shared_point, proof + b"\x00"), Code.TRAILING
    )
    for position in range(len(proof)):
        changed = bytearray(proof)
        changed[position] ^= 1
        with pytest.raises(NotAloneError):
            kem.check_complaint(ALICE.public, ENC, SESSION, Complaint(COMPLAINT.shared_point, bytes(changed)))


@pytest.mark.parametrize(("element", "code"), INVALID)
def test_identity_and_non_canonical_elements_are_refused_everywhere(element: bytes, code: Code) -> None:
    attempts = (
        lambda: kem.encapsulate(EPHEMERAL, element, 1, HEADER),
        lambda: kem.decapsulate(ALICE, element, 1, HEADER),
        lambda: kem.complain(ALICE, element, SESSION, RANDOMNESS),
        lambda: kem.check_complaint(element, ENC, SESSION, COMPLAINT),
        lambda: kem.check_complaint(ALICE.public, element, SESSION, COMPLAINT),
        lambda: kem.check_complaint(ALICE.public, ENC, SESSION, Complaint(element, COMPLAINT.proof)),
        lambda: kem.check_key(element, SESSION, COMPLAINT.proof),
        lambda: kem.derive_key(element, ENC, ALICE.public, 1, HEADER),
        lambda: kem.derive_key(COMPLAINT.shared_point, element, ALICE.public, 1, HEADER),
        lambda: kem.derive_key(COMPLAINT.shared_point, ENC, element, 1, HEADER),
    )
    for attempt in attempts:
        with pytest.raises(MalformedInput) as caught:
            attempt()
        assert caught.value.code is code


def test_key_proof_verifies_for_its_key_and_session_only() -> None:
    proof = kem.prove_key(ALICE, SESSION, RANDOMNESS)
    assert kem.check_key(ALICE.public, SESSION, proof) == ALICE.public
    for public, session in ((BOB.public, SESSION), (ALICE.public, b"another ceremony")):
        with pytest.raises(VerificationFailed) as caught:
            kem.check_key(public, session, proof)
        assert caught.value.code is Code.PROOF


def test_a_key_made_from_anothers_key_cannot_be_proved() -> None:
    # Rogue key: EK' = EK + G is published with a proof for another scalar.
    rogue = RISTRETTO255.add(ALICE.public, RISTRETTO255.generator)
    proof = kem.prove_key(kem.EncryptionKey(1), SESSION, RANDOMNESS)
    with pytest.raises(VerificationFailed):
        kem.check_key(rogue, SESSION, proof)


@pytest.mark.parametrize("index", [-1, 0, 10, 256])
def test_recipient_index_out_of_range_is_misuse(index: int) -> None:
    with pytest.raises(Misuse) as caught:
        kem.encapsulate(EPHEMERAL, ALICE.public, index, HEADER)
    assert caught.value.code is Code.RANGE
    with pytest.raises(Misuse):
        kem.decapsulate(ALICE, ENC, index, HEADER)


@pytest.mark.parametrize("header", WRONG_LENGTH)
def test_header_hash_of_another_length_is_refused(header: bytes) -> None:
    with pytest.raises(MalformedInput) as caught:
        kem.decapsulate(ALICE, ENC, 1, header)
    assert caught.value.code is Code.LENGTH


@pytest.mark.parametrize("scalar", [0, -1, ORDER, ORDER + 1])
def test_secret_scalars_out_of_range_are_misuse(scalar: int) -> None:
    for attempt in (kem.EncryptionKey, kem.encapsulation):
        with pytest.raises(Misuse) as caught:
            attempt(scalar)
        assert caught.value.code is Code.RANGE
    with pytest.raises(Misuse):
        kem.encapsulate(scalar, ALICE.public, 1, HEADER)


def test_repr_is_blank() -> None:
    assert str(ALICE.secret) not in repr(ALICE)
    assert "secret" not in repr(ALICE)
