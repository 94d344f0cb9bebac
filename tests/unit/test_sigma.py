"""Composition, nonces, and batches: each test is a law or an attack."""

from __future__ import annotations

import pytest
from tests.support.p256 import P256_GROUP

from notalone_crypto.errors import Code, MalformedInput, Misuse, NotAloneError, VerificationFailed
from notalone_crypto.primitives import sigma
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.primitives.group import RISTRETTO255 as GROUP
from notalone_crypto.primitives.linear import LinearRelation
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR as H
from notalone_crypto.primitives.pedersen import commit
from notalone_crypto.primitives.transcript import derive_session_id
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag

G = GROUP.generator
SESSION = sigma.session_tag(Tag.FILING_PROOF, b"context")
REFUSED = (MalformedInput, VerificationFailed)


def stuck_source(length: int) -> bytes:
    """A source that repeats itself: a cloned machine, a restored snapshot."""
    return bytes(length)


def opening(value: int, blind: int) -> LinearRelation:
    relation = LinearRelation(GROUP)
    v, b = relation.scalars(2)
    relation.equation(commit(value, blind), (v, G), (b, H))
    return relation


def equality(secret: int) -> LinearRelation:
    relation = LinearRelation(GROUP)
    (x,) = relation.scalars(1)
    relation.equation(GROUP.base_multiply(secret), (x, G))
    relation.equation(GROUP.multiply(secret, H), (x, H))
    return relation


def prove_one(session: bytes, relation: LinearRelation, *witness: int) -> bytes:
    return sigma.prove(session, [relation], [witness], SeededStream(b"r"))


def test_single_relation_gives_the_drafts_batchable_string() -> None:
    relation = opening(3, 4)
    proof = prove_one(SESSION, relation, 3, 4)
    commitment, response = proof[:32], proof[32:]
    challenge = sigma.derive_challenge(
        GROUP, derive_session_id(SESSION), relation.instance_bytes(), commitment
    )
    answers = [GROUP.decode_scalar(response[:32]), GROUP.decode_scalar(response[32:])]
    expected = GROUP.add(commitment, GROUP.multiply(challenge, commit(3, 4)))
    assert GROUP.multi_multiply(answers, [G, H]) == expected
    assert len(proof) == 96
    sigma.verify(SESSION, [relation], proof)


def test_every_changed_byte_of_a_composed_proof_is_refused() -> None:
    statements = [opening(3, 4), equality(5)]
    proof = sigma.prove(SESSION, statements, [(3, 4), (5,)], SeededStream(b"r"))
    sigma.verify(SESSION, statements, proof)
    for position in range(len(proof)):
        for bit in (1, 0x80):
            changed = bytearray(proof)
            changed[position] ^= bit
            with pytest.raises(REFUSED):
                sigma.verify(SESSION, statements, bytes(changed))


def test_trailing_and_missing_bytes_are_refused() -> None:
    """WIRE-6."""
    relation = opening(3, 4)
    proof = prove_one(SESSION, relation, 3, 4)
    for wrong, code in ((proof + b"\0", Code.TRAILING), (proof[:-1], Code.TRUNCATED), (b"", Code.TRUNCATED)):
        with pytest.raises(MalformedInput) as refused:
            sigma.verify(SESSION, [relation], wrong)
        assert refused.value.code is code


def test_unreduced_response_is_refused() -> None:
    relation = opening(3, 4)
    proof = prove_one(SESSION, relation, 3, 4)
    scalar = int.from_bytes(proof[32:64], "little") + ORDER
    with pytest.raises(MalformedInput) as refused:
        sigma.verify(SESSION, [relation], proof[:32] + scalar.to_bytes(32, "little") + proof[64:])
    assert refused.value.code is Code.NON_CANONICAL


def test_identity_commitment_is_refused() -> None:
    relation = opening(3, 4)
    with pytest.raises(MalformedInput) as refused:
        sigma.verify(SESSION, [relation], bytes(96))
    assert refused.value.code is Code.IDENTITY
    with pytest.raises(Misuse):
        relation.commit((3, 4), (0, 0))


def test_proof_for_another_session_or_part_of_the_statement_is_refused() -> None:
    statements = [opening(3, 4), equality(5)]
    proof = sigma.prove(SESSION, statements, [(3, 4), (5,)], SeededStream(b"r"))
    with pytest.raises(VerificationFailed):
        sigma.verify(sigma.session_tag(Tag.FILING_PROOF, b"other"), statements, proof)
    with pytest.raises(REFUSED):
        sigma.verify(SESSION, statements[::-1], proof)
    # The halves of a composed proof are not proofs of the halves of the statement.
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, statements[:1], proof[:32] + proof[96:160])


def test_parts_of_two_valid_proofs_do_not_make_a_third() -> None:
    both = [opening(3, 4), opening(5, 6)]
    one, two = (sigma.prove(SESSION, both, [(3, 4), (5, 6)], SeededStream(seed)) for seed in (b"one", b"two"))
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, both, one[:32] + two[32:64] + one[64:128] + two[128:])


def test_statement_taken_from_the_prover_is_refused() -> None:
    # The prover proves the statement she likes; the verifier builds its own from public data.
    public = commit(3, 4)
    hers = LinearRelation(GROUP)
    v, b = hers.scalars(2)
    hers.equation(commit(7, 8), (v, G), (b, H))
    proof = prove_one(SESSION, hers, 7, 8)
    own = LinearRelation(GROUP)
    v, b = own.scalars(2)
    own.equation(public, (v, G), (b, H))
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [own], proof)
    # Not even when her statement has the same sum of image elements.
    split = [GROUP.base_multiply(2), GROUP.base_multiply(5)]
    other = [GROUP.base_multiply(3), GROUP.base_multiply(4)]
    relations = []
    for pair in (split, other):
        relation = LinearRelation(GROUP)
        (x,) = relation.scalars(1)
        relation.equation([(1, pair[0]), (1, pair[1])], (x, G))
        relations.append(relation)
    proof = prove_one(SESSION, relations[0], 7)
    sigma.verify(SESSION, [relations[0]], proof)
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [relations[1]], proof)


def test_nonce_reuse_under_a_changed_statement() -> None:
    secret = 424242
    image = GROUP.base_multiply(secret)

    def statement(extra: bytes) -> LinearRelation:
        relation = LinearRelation(GROUP)
        (x,) = relation.scalars(1)
        relation.equation(image, (x, G))
        relation.equation(GROUP.multiply(secret, extra), (x, extra))
        return relation

    def extract(relations: list[LinearRelation], sessions: list[bytes], proofs: list[bytes]) -> int:
        challenges, responses = [], []
        for relation, session, proof in zip(relations, sessions, proofs, strict=True):
            challenges.append(
                sigma.derive_challenge(
                    GROUP, derive_session_id(session), relation.instance_bytes(), proof[:-32]
                )
            )
            responses.append(GROUP.decode_scalar(proof[-32:]))
        quotient = pow(challenges[0] - challenges[1], -1, ORDER)
        return (responses[0] - responses[1]) * quotient % ORDER

    changed = [statement(H), statement(GROUP.base_multiply(9))]
    sessions = [SESSION, SESSION]

    # The attack works on a prover that takes its nonces from the stuck source alone.
    naive = []
    for relation in changed:
        state, commitment = relation.commit((secret,), (12345,))
        challenge = sigma.derive_challenge(
            GROUP, derive_session_id(SESSION), relation.instance_bytes(), commitment
        )
        naive.append(commitment + relation.respond(state, challenge))
    assert extract(changed, sessions, naive) == secret

    hedged = [sigma.prove(SESSION, [relation], [(secret,)], stuck_source) for relation in changed]
    assert hedged[0][:32] != hedged[1][:32]
    assert extract(changed, sessions, hedged) != secret
    # A changed session is a changed statement too.
    same = [changed[0], changed[0]]
    other_sessions = [SESSION, SESSION + b"!"]
    hedged = [sigma.prove(session, [changed[0]], [(secret,)], stuck_source) for session in other_sessions]
    assert hedged[0][:32] != hedged[1][:32]
    assert extract(same, other_sessions, hedged) != secret


def test_nonces_differ_by_witness_and_by_randomness() -> None:
    relation = opening(3, 4)
    stuck = sigma.prove(SESSION, [relation], [(3, 4)], stuck_source)
    assert stuck == sigma.prove(SESSION, [relation], [(3, 4)], stuck_source)
    assert stuck[:32] != sigma.prove(SESSION, [relation], [(4, 3)], stuck_source)[:32]
    assert stuck[:32] != sigma.prove(SESSION, [relation], [(3, 4)], SeededStream(b"r"))[:32]
    with pytest.raises(Misuse):
        sigma.prove(SESSION, [relation], [(3, 4)], lambda length: bytes(length - 1))


def test_errors_that_cancel_between_equations_are_refused() -> None:
    # Without weights the two wrong commitments cancel in the sum of the equations.
    secret, nonce, error = 5, 99, GROUP.base_multiply(31)
    relation = equality(secret)
    commitment = GROUP.add(GROUP.base_multiply(nonce), error) + GROUP.subtract(
        GROUP.multiply(nonce, H), error
    )
    challenge = sigma.derive_challenge(
        GROUP, derive_session_id(SESSION), relation.instance_bytes(), commitment
    )
    proof = commitment + GROUP.encode_scalar((nonce + secret * challenge) % ORDER)
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [relation], proof)


def test_errors_that_cancel_between_proofs_are_refused() -> None:
    relation = equality(5)
    proof = prove_one(SESSION, relation, 5)
    answer = GROUP.decode_scalar(proof[-32:])
    items = [
        (SESSION, [relation], proof[:-32] + GROUP.encode_scalar((answer + shift) % ORDER))
        for shift in (1, -1)
    ]
    assert [isinstance(error, VerificationFailed) for error in sigma.verify_each(items)] == [True, True]


def test_batch_weights_depend_on_every_byte_of_every_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    multiply = type(GROUP).multi_multiply

    def spy(self: object, scalars: list[int], elements: list[bytes]) -> bytes:
        # Commitments occur once and bare, so their coefficients are the weights.
        known = dict(zip(elements, scalars, strict=True))
        seen.append(tuple(known[proof[:32]] for proof in current if proof[:32] in known))
        return multiply(GROUP, scalars, elements)

    relation = opening(3, 4)
    proofs = [sigma.prove(SESSION, [relation], [(3, 4)], SeededStream(seed)) for seed in (b"1", b"2")]
    answer = GROUP.decode_scalar(proofs[1][-32:])
    changed = proofs[1][:-32] + GROUP.encode_scalar((answer + 1) % ORDER)
    monkeypatch.setattr(type(GROUP), "multi_multiply", spy)
    for current in ([proofs[0], proofs[1]], [proofs[0], changed]):
        sigma.verify_each([(SESSION, [relation], proof) for proof in current])
    assert len(seen[0]) == 2
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]
    assert all(0 < weight < 2**128 for weights in seen[:2] for weight in weights)


def test_batch_multiplies_equal_elements_once(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [
        (SESSION, [opening(value, 4)], prove_one(SESSION, opening(value, 4), value, 4)) for value in (3, 5, 7)
    ]
    counts: list[int] = []
    multiply = type(GROUP).multi_multiply

    def spy(self: object, scalars: list[int], elements: list[bytes]) -> bytes:
        counts.append(len(elements))
        assert len(set(elements)) == len(elements)
        return multiply(GROUP, scalars, elements)

    monkeypatch.setattr(type(GROUP), "multi_multiply", spy)
    sigma.verify_batch(items)
    assert counts == [2 + 3 + 3]  # two bases; image and commitment of each proof


def test_bad_proofs_in_a_batch_are_named() -> None:
    items: list[sigma.ProofItem] = []
    for value in range(1, 9):
        relation = opening(value, 4)
        items.append((SESSION, [relation], prove_one(SESSION, relation, value, 4)))
    assert sigma.verify_each(items) == [None] * 8
    sigma.verify_batch(items)
    items[1] = (SESSION, items[1][1], items[2][2])  # a proof of something else
    items[4] = (SESSION, items[4][1], items[4][2] + b"\0")  # trailing byte
    items[6] = (SESSION, items[6][1], b"\xff" * 32 + items[6][2][32:])  # no element
    items[7] = (SESSION, [LinearRelation(GROUP)], b"")  # no statement
    errors = sigma.verify_each(items)
    codes = [error.code if isinstance(error, NotAloneError) else None for error in errors]
    expected = [None, Code.PROOF, None, None, Code.TRAILING, None, Code.NON_CANONICAL, Code.STATEMENT]
    assert codes == expected
    with pytest.raises(VerificationFailed, match="1, 4, 6, 7"):
        sigma.verify_batch(items)


def test_empty_batch_is_valid() -> None:
    sigma.verify_batch([])
    assert sigma.verify_each([]) == []


def test_statement_lists_are_encoded_injectively() -> None:
    one, two = opening(3, 4), equality(5)
    encodings = [
        sigma.encode_statements(list(statements))
        for statements in ((one,), (two,), (one, two), (two, one), (one, one), (one, one, two))
    ]
    assert len(set(encodings)) == len(encodings)
    for left in encodings:
        assert not any(right is not left and right.startswith(left) for right in encodings)


def test_misuse_of_the_prover_is_refused() -> None:
    relation = opening(3, 4)
    for statements, witnesses in (
        ([], []),
        ([relation], []),
        ([relation], [(3,)]),
        ([relation], [(3, 4, 5)]),
    ):
        with pytest.raises(Misuse):
            sigma.prove(SESSION, statements, witnesses, stuck_source)
    other = LinearRelation(P256_GROUP)
    (x,) = other.scalars(1)
    other.equation(P256_GROUP.base_multiply(7), (x, P256_GROUP.generator))
    with pytest.raises(Misuse):
        sigma.prove(SESSION, [relation, other], [(3, 4), (7,)], stuck_source)


def test_session_tags_name_purpose_flavor_suite_and_context() -> None:
    assert b"-DSFS-with-sigma-proofs_Shake128_ristretto255" in SESSION
    tags = {
        sigma.session_tag(Tag.FILING_PROOF, b"a", b"b"),
        sigma.session_tag(Tag.FILING_PROOF, b"ab"),
        sigma.session_tag(Tag.FILING_PROOF, b"", b"ab"),
        sigma.session_tag(Tag.ENROLMENT, b"ab"),
    }
    assert len(tags) == 4


def test_prover_state_does_not_print_secrets() -> None:
    assert "424242" not in repr(sigma.ProverState((424242,), (424242,)))
