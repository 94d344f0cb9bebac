"""One out of many: completeness at the edges of the digits, and refusals named by the attack."""

from __future__ import annotations

from functools import cache

import pytest

from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.primitives import sigma
from notalone_crypto.primitives.group import ORDER
from notalone_crypto.primitives.group import RISTRETTO255 as GROUP
from notalone_crypto.primitives.linear import LinearRelation
from notalone_crypto.primitives.membership import Membership, Roll, vector_generators
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR as H
from notalone_crypto.primitives.pedersen import commit
from notalone_crypto.primitives.transcript import derive_session_id
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag

SESSION = sigma.session_tag(Tag.FILING_PROOF, b"context")
REFUSED = (MalformedInput, VerificationFailed)


def secret(index: int) -> tuple[int, int]:
    return 1000 + index, 77 * index + 5


@cache
def roll_of(count: int, first: int = 0) -> Roll:
    return Roll(tuple(commit(*secret(index)) for index in range(first, first + count)))


def statement(roll: Roll, index: int, blind: int = 31337) -> tuple[Membership, tuple[int, int]]:
    """A fresh commitment to the secret of `index`, and the witness."""
    value, old = secret(index)
    return Membership(roll, commit(value, blind)), (index, (blind - old) % ORDER)


def prove(member: Membership, witness: tuple[int, int], seed: bytes = b"r") -> bytes:
    return sigma.prove(SESSION, [member], [witness], SeededStream(seed))


@pytest.mark.parametrize(
    ("count", "index"),
    [
        (2, 0),
        (2, 1),
        (15, 14),
        (16, 0),
        (16, 15),
        (17, 0),
        (17, 16),
        (24, 0),
        (24, 9),
        (24, 23),
        (32, 31),
        (40, 0),
        (40, 17),
        (40, 39),
    ],
)
def test_every_member_can_prove(count: int, index: int) -> None:
    member, witness = statement(roll_of(count), index)
    sigma.verify(SESSION, [member], prove(member, witness))


def test_three_digits_work() -> None:
    # Most of the entries are cheap copies: only that they are many matters here.
    roll = Roll((*roll_of(2).entries, *[H] * 255))
    assert roll.digits == 3
    member, witness = statement(roll, 1)
    sigma.verify(SESSION, [member], prove(member, witness))


@pytest.mark.parametrize(("count", "digits"), [(2, 1), (16, 1), (17, 2), (256, 2), (257, 3), (4097, 4)])
def test_digits_are_as_few_as_possible(count: int, digits: int) -> None:
    assert Roll((H,) * count).digits == digits


def test_roll_of_one_empty_malformed_or_with_identity_is_refused() -> None:
    for entries in ((), (H,), (H, H[:-1]), (H, bytes(32))):
        with pytest.raises(MalformedInput):
            Roll(entries)
    for commitment in (bytes(32), b"", H + b"\0"):
        with pytest.raises(MalformedInput):
            Membership(roll_of(2), commitment)


def test_prover_refuses_a_witness_that_does_not_fit() -> None:
    member, (index, difference) = statement(roll_of(17), 3)
    for wrong in ((index + 1, difference), (index, difference + 1), (17, difference), (-1, difference)):
        with pytest.raises(Misuse):
            prove(member, wrong)


def forge(
    member: Membership, honest: Membership, witness: tuple[int, int], claimed: tuple[int, int]
) -> bytes:
    """A prover that skips its own checks: commits for `honest`, answers for `member` as `claimed`."""
    nonces = [3 + 7 * number for number in range(honest.nonce_count)]
    state, commitment = honest.commit(witness, nonces)
    challenge = sigma.derive_challenge(
        GROUP, derive_session_id(SESSION), sigma.encode_statements([member]), commitment
    )
    return commitment + member.respond(sigma.ProverState(claimed, state.nonces), challenge)


def test_wrong_index_or_difference_does_not_verify() -> None:
    roll = roll_of(17)
    true, witness = statement(roll, 3)
    index, difference = witness
    sigma.verify(SESSION, [true], forge(true, true, witness, witness))
    for claimed in ((index + 1, difference), (16, difference), (index, difference + 1)):
        with pytest.raises(VerificationFailed):
            sigma.verify(SESSION, [true], forge(true, true, witness, claimed))
    # She opens P herself, but it is not on the roll.
    outsider = Membership(roll, commit(5, 6))
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [outsider], forge(outsider, true, witness, witness))


@pytest.mark.parametrize("free", ["commitment", "entry"])
def test_statement_chosen_after_the_challenge_is_refused(free: str) -> None:
    # Weak Fiat-Shamir: answer first, then solve the last equation for P or for an entry.
    roll = roll_of(17)
    member, witness = statement(roll, 3)
    proof = bytearray(prove(member, witness))
    proof[-32:] = GROUP.encode_scalar(12345)  # any z at all
    first, third = bytes(proof[: member.commitment_length]), bytes(proof[member.commitment_length :])
    challenge = sigma.derive_challenge(
        GROUP, derive_session_id(SESSION), sigma.encode_statements([member]), first
    )
    scalars, elements = member.verification_equations(first, challenge, third)[2]
    where = elements.index(member.commitment if free == "commitment" else roll.entries[7])
    scalar = scalars.pop(where)
    del elements[where]
    solved = GROUP.multiply(-pow(scalar, -1, ORDER), GROUP.multi_multiply(scalars, elements))
    if free == "commitment":
        forged = Membership(roll, solved)
    else:
        forged = Membership(Roll((*roll.entries[:7], solved, *roll.entries[8:])), member.commitment)
    for coefficients, bases in forged.verification_equations(first, challenge, third):
        assert GROUP.multi_multiply(coefficients, bases) == GROUP.identity
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [forged], bytes(proof))


def test_two_half_bits_in_a_row_are_refused() -> None:
    # Attack: 1/2 + 1/2 = 1 would select the mean of two entries; C and D exclude non-bits.
    roll = roll_of(16)
    generators = vector_generators(1)
    half = pow(2, -1, ORDER)
    bits = [half, half] + [0] * 14
    mean = GROUP.multiply(half, GROUP.add(*roll.entries[:2]))
    member = Membership(roll, GROUP.add(mean, GROUP.multiply(9, H)))
    masks = [(11 * number + 1) % ORDER for number in range(15)]
    masks = [-sum(masks) % ORDER, *masks]
    blinds = [21, 22, 23, 24]

    def vector(values: list[int], blind: int) -> bytes:
        return GROUP.multi_multiply([*values, blind], [*generators, H])

    commitments = [
        vector(masks, blinds[0]),
        vector(bits, blinds[1]),
        vector([a * (1 - 2 * b) for a, b in zip(masks, bits, strict=True)], blinds[2]),
        vector([-a * a for a in masks], blinds[3]),
        GROUP.multi_multiply([*masks, 25], [*roll.entries, H]),
    ]
    commitment = b"".join(commitments)
    challenge = sigma.derive_challenge(
        GROUP, derive_session_id(SESSION), sigma.encode_statements([member]), commitment
    )
    answers = [(b * challenge + a) % ORDER for a, b in zip(masks, bits, strict=True)][1:]
    sums = [blinds[1] * challenge + blinds[0], blinds[2] * challenge + blinds[3], 9 * challenge + 25]
    response = b"".join(GROUP.encode_scalar(value % ORDER) for value in [*answers, *sums])
    checks = [
        GROUP.multi_multiply(scalars, elements) == GROUP.identity
        for scalars, elements in member.verification_equations(commitment, challenge, response)
    ]
    assert checks == [True, False, True]
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [member], commitment + response)


def test_proof_for_another_roll_commitment_or_session_is_refused() -> None:
    roll = roll_of(17)
    member, witness = statement(roll, 3)
    proof = prove(member, witness)
    reordered = Roll((roll.entries[1], roll.entries[0], *roll.entries[2:]))
    replaced = Roll((*roll.entries[:-1], H))
    longer = Roll((*roll.entries, H))
    for other in (reordered, replaced, longer, roll_of(17, 1)):
        with pytest.raises(VerificationFailed):
            sigma.verify(SESSION, [Membership(other, member.commitment)], proof)
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [statement(roll, 3, blind=1)[0]], proof)
    with pytest.raises(VerificationFailed):
        sigma.verify(sigma.session_tag(Tag.FILING_PROOF, b"other"), [member], proof)


def test_padding_is_not_a_second_statement() -> None:
    # Writing the padding out makes another roll, with another digest.
    roll = roll_of(2)
    member, witness = statement(roll, 1)
    proof = prove(member, witness)
    padded = Membership(Roll(roll.entries * 8), member.commitment)
    assert padded.commitment_length == member.commitment_length
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [padded], proof)


def test_every_changed_byte_is_refused() -> None:
    member, witness = statement(roll_of(2), 1)
    proof = prove(member, witness)
    for position in range(len(proof)):
        changed = bytearray(proof)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(REFUSED):
            sigma.verify(SESSION, [member], bytes(changed))
    for wrong in (proof[:-1], proof + b"\0"):
        with pytest.raises(MalformedInput):
            sigma.verify(SESSION, [member], wrong)


def test_non_canonical_roll_entry_is_refused_by_the_multiplication() -> None:
    member, witness = statement(roll_of(2), 1)
    bad = Membership(Roll((*roll_of(2).entries, b"\xff" * 32)), member.commitment)
    with pytest.raises(MalformedInput) as refused:
        sigma.verify(SESSION, [bad], prove(member, witness))
    assert refused.value.code is Code.NON_CANONICAL


@pytest.mark.parametrize("count", [24, 40])  # 24: some folded coefficients vanish; 40: none is folded
def test_length_and_number_of_multiplications_do_not_tell_the_index(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    roll = roll_of(count)
    kind = type(GROUP)
    counted = {"multiply": 0, "add": 0, "check": 0}
    multiply, add, check = kind.multiply, kind.add, kind.check_element

    def count_multiply(self: object, scalar: int, element: bytes) -> bytes:
        counted["multiply"] += 1
        return multiply(GROUP, scalar, element)

    def count_add(self: object, left: bytes, right: bytes) -> bytes:
        counted["add"] += 1
        return add(GROUP, left, right)

    def count_check(self: object, element: bytes) -> bytes:  # the short way out of a zero scalar
        counted["check"] += 1
        return check(GROUP, element)

    monkeypatch.setattr(kind, "multiply", count_multiply)
    monkeypatch.setattr(kind, "add", count_add)
    monkeypatch.setattr(kind, "check_element", count_check)
    work, lengths = set(), set()
    for index in (0, 1, 15, 16, 17, count - 2, count - 1):
        member, witness = statement(roll, index)
        counted.update(multiply=0, add=0, check=0)
        lengths.add(len(prove(member, witness, seed=bytes([index]))))
        assert counted["check"] == 0  # no multiplication took the short way
        work.add(tuple(counted.values()))
    assert len(work) == 1
    assert lengths == {32 * (4 + 2) + 32 * (15 * 2 + 3)}


def test_simulator_makes_accepting_transcripts_without_a_witness() -> None:
    # Zero-knowledge: answers first, then A, D and the first cross term solved from the equations.
    roll = roll_of(17)
    member = Membership(roll, commit(5, 6))  # not on the roll at all
    stream = SeededStream(b"simulator")
    challenge = int.from_bytes(stream(64), "little") % ORDER
    scalars = [int.from_bytes(stream(64), "little") % ORDER for _ in range(15 * 2 + 3)]
    response = b"".join(GROUP.encode_scalar(scalar) for scalar in scalars)
    slots = [commit(number + 50, number) for number in range(6)]  # A B C D G_0 G_1
    for position, equation in ((0, 0), (3, 1), (4, 2)):
        coefficients, elements = member.verification_equations(b"".join(slots), challenge, response)[equation]
        where = elements.index(slots[position])
        assert coefficients[where] == 1
        del coefficients[where], elements[where]
        slots[position] = GROUP.negate(GROUP.multi_multiply(coefficients, elements))
    for coefficients, elements in member.verification_equations(b"".join(slots), challenge, response):
        assert GROUP.multi_multiply(coefficients, elements) == GROUP.identity


def test_membership_alone_can_be_had_from_anothers_entry_but_not_with_the_opening() -> None:
    # Attack "another's E_j": P = E_j + delta*H needs no secret of hers, opening P does.
    roll = roll_of(17)
    stolen = GROUP.add(roll.entries[3], GROUP.multiply(9, H))
    member = Membership(roll, stolen)
    sigma.verify(SESSION, [member], prove(member, (3, 9)))
    opening = LinearRelation(GROUP)
    p, b = opening.scalars(2)
    opening.equation(stolen, (p, GROUP.generator), (b, H))
    forged = sigma.prove(SESSION, [opening, member], [(1, 9), (3, 9)], SeededStream(b"r"))
    with pytest.raises(VerificationFailed):
        sigma.verify(SESSION, [opening, member], forged)


def test_membership_composes_with_an_opening_and_a_batch_pays_the_roll_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roll = roll_of(40)
    items: list[sigma.ProofItem] = []
    for index in (0, 17, 39):
        blind = 900 + index
        member, witness = statement(roll, index, blind)
        opening = LinearRelation(GROUP)
        p, b = opening.scalars(2)
        opening.equation(member.commitment, (p, GROUP.generator), (b, H))
        statements: list[sigma.SigmaProtocol] = [opening, member]
        proof = sigma.prove(SESSION, statements, [(secret(index)[0], blind), witness], SeededStream(b"r"))
        sigma.verify(SESSION, statements, proof)
        items.append((SESSION, statements, proof))
    counts: list[int] = []
    multiply = type(GROUP).multi_multiply

    def spy(self: object, scalars: list[int], elements: list[bytes]) -> bytes:
        counts.append(len(elements))
        return multiply(GROUP, scalars, elements)

    monkeypatch.setattr(type(GROUP), "multi_multiply", spy)
    sigma.verify_batch(items)
    # 40 entries, 32 generators, G, H; for each proof P, its opening's commitment, A to D, G_0, G_1.
    assert counts == [40 + 32 + 2 + 3 * 8]
    items[1] = (SESSION, items[1][1], items[0][2])
    assert [error is None for error in sigma.verify_each(items)] == [True, False, True]
