"""One out of many: a commitment re-randomises some entry of a roll, nobody learns which.

Owns the proof of Groth and Kohlweiss (2015) in the n-ary form of Bootle,
Cerulli, Chaidos, Ghadafi, Groth and Petit (2015), radix 16, as a
`sigma.SigmaProtocol`. Refuses to know what an entry stands for; that the prover
also opens the commitment is a linear relation proved beside this under the same
challenge. Attack without that: membership alone can be had from another's entry.

The index is written in digits, each a row of 16 bits of which one is set.
Soundness: A, B, C, D show that every row of B holds bits that sum to one (three
challenges); the products of the answers are then polynomials in the challenge,
of full degree for the chosen index alone, so d+1 challenges leave
`P - E_l = delta*H`, unless a relation among the generators is found.
Zero-knowledge: the answers are masked uniformly, B, C and every cross term but
the first are perfectly hiding, and A, D and the first cross term are fixed by
the three equations: a simulator draws the former and solves for the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from notalone_crypto import codec
from notalone_crypto.errors import Code, MalformedInput, Misuse
from notalone_crypto.primitives import sigma
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import digest, hash_to_group
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR
from notalone_crypto.primitives.sigma import ProverState
from notalone_crypto.suite import ELEMENT_LENGTH, SCALAR_LENGTH, Tag

RADIX: Final = 16
MIN_ENTRIES: Final = 2
MAX_ENTRIES: Final = RADIX**4
_FREE: Final = RADIX - 1  # answers sent per digit; the first of a row follows from the others
_BLINDS: Final = 4  # of A, B, C, D
_SUMS: Final = 3  # z_A, z_C, z

Rows = list[list[int]]
"""One list of 16 scalars for each digit, least significant digit first."""


@cache
def vector_generators(digits: int) -> tuple[bytes, ...]:
    """16 generators for each digit, of which nobody knows a relation."""
    return tuple(
        hash_to_group(Tag.MEMBERSHIP_GENERATOR, index.to_bytes(4, "big")) for index in range(RADIX * digits)
    )


@dataclass(frozen=True, slots=True)
class Roll:
    """Public entries in their order; build it once and share it among statements.

    2 to 65536 elements of 32 bytes, not the identity; that they are canonical
    is checked where they are multiplied. Raises: MalformedInput.
    """

    entries: tuple[bytes, ...]
    digits: int = field(init=False)  # d, the smallest with 16**d >= N
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Check the entries; hash them, injectively since all have one length."""
        if not MIN_ENTRIES <= len(self.entries) <= MAX_ENTRIES:
            raise MalformedInput(Code.RANGE, f"a roll has {MIN_ENTRIES} to {MAX_ENTRIES} entries")
        for entry in self.entries:
            codec.check_length(entry, ELEMENT_LENGTH, "an entry of the roll")
        if RISTRETTO255.identity in self.entries:
            raise MalformedInput(Code.IDENTITY, "an entry of the roll is the identity element")
        digits = 1
        while RADIX**digits < len(self.entries):
            digits += 1
        object.__setattr__(self, "digits", digits)
        object.__setattr__(self, "digest", digest(Tag.MEMBERSHIP_ROLL, b"".join(self.entries)))


class Membership:
    """Knowledge of an index l and a scalar delta with `P - E_l = delta * H`.

    The witness is `(l, delta)`. Implements `sigma.SigmaProtocol`.
    """

    __slots__ = ("commitment", "roll")

    group = RISTRETTO255
    label = b"membership-16/ristretto255"
    stands_alone = False
    witness_length = 2

    def __init__(self, roll: Roll, commitment: bytes) -> None:
        """`commitment` is P, 32 bytes. Raises MalformedInput for a wrong length or the identity."""
        codec.check_length(commitment, ELEMENT_LENGTH, "a commitment")
        if commitment == RISTRETTO255.identity:
            raise MalformedInput(Code.IDENTITY, "the commitment is the identity element")
        self.roll = roll
        self.commitment = commitment

    @property
    def nonce_count(self) -> int:
        """Masks of the answers, blinds of A to D, blinds of the d cross terms."""
        return (_FREE + 1) * self.roll.digits + _BLINDS

    @property
    def commitment_length(self) -> int:
        """A, B, C, D and the d cross terms."""
        return ELEMENT_LENGTH * (_BLINDS + self.roll.digits)

    @property
    def response_length(self) -> int:
        """15 answers for each digit, then z_A, z_C and z: the same for every index."""
        return SCALAR_LENGTH * (_FREE * self.roll.digits + _SUMS)

    def instance_bytes(self) -> bytes:
        """Number of entries, digest of all of them, P; 68 bytes."""
        return len(self.roll.entries).to_bytes(4, "big") + self.roll.digest + self.commitment

    def commit(self, witness: Sequence[int], nonces: Sequence[int]) -> tuple[ProverState, bytes]:
        """A, B, C, D and the cross terms, in about N + 64 d multiplications.

        Raises: Misuse if the witness does not fit the statement.
        """
        index, difference = witness
        if not 0 <= index < len(self.roll.entries) or len(nonces) != self.nonce_count:
            raise Misuse(Code.RANGE, "the index is not on the roll or the nonces do not fit")
        moved = RISTRETTO255.add(
            self.roll.entries[index], RISTRETTO255.multiply(difference, BLINDING_GENERATOR)
        )
        if moved != self.commitment:
            raise Misuse(Code.STATEMENT, "the witness does not satisfy the statement")
        masks, blinds, cross_blinds = self._unpack(nonces)
        bits = _bit_rows(index, self.roll.digits)
        flat_masks = [mask for row in masks for mask in row]
        flat_bits = [bit for row in bits for bit in row]
        blinded = [
            _commit(flat_masks, blinds[0]),  # A
            _commit_bits(flat_bits, blinds[1]),  # B
            _commit(
                [m * (1 - 2 * b) % ORDER for m, b in zip(flat_masks, flat_bits, strict=True)], blinds[2]
            ),  # C
            _commit([-m * m % ORDER for m in flat_masks], blinds[3]),  # D
        ]
        crossed = self._cross_terms(bits, masks, cross_blinds)
        return (
            ProverState((index, difference), tuple(nonces)),
            sigma.join_elements(RISTRETTO255, blinded + crossed),
        )

    def respond(self, state: ProverState, challenge: int) -> bytes:
        """Masked bits `f = b*x + a` without the first of each row, then z_A, z_C, z."""
        index, difference = state.witness
        masks, blinds, cross_blinds = self._unpack(state.nonces)
        bits = _bit_rows(index, self.roll.digits)
        answers = [
            bit * challenge + mask
            for bit_row, mask_row in zip(bits, masks, strict=True)
            for bit, mask in zip(bit_row[1:], mask_row[1:], strict=True)
        ]
        power = 1
        total = 0
        for blind in cross_blinds:
            total += blind * power
            power = power * challenge % ORDER
        sums = [
            blinds[1] * challenge + blinds[0],
            blinds[2] * challenge + blinds[3],
            difference * power + total,
        ]
        return b"".join(RISTRETTO255.encode_scalar(value % ORDER) for value in answers + sums)

    def verification_equations(
        self, commitment: bytes, challenge: int, response: bytes
    ) -> list[sigma.Equation]:
        """Three equations over N entries, 16 d generators and a few more elements."""
        first, second, third, fourth, *crossed = sigma.split_elements(RISTRETTO255, commitment)
        *answers, sum_a, sum_c, total = sigma.split_scalars(RISTRETTO255, response)
        rows: Rows = []
        for start in range(0, len(answers), _FREE):
            given = answers[start : start + _FREE]
            # Each row sums to the challenge by construction, hence its bits to one.
            rows.append([(challenge - sum(given)) % ORDER, *given])
        flat = [answer for row in rows for answer in row]
        generators = [*vector_generators(self.roll.digits), BLINDING_GENERATOR]
        masked = [-answer for answer in flat] + [-sum_a]
        products = [-answer * (challenge - answer) for answer in flat] + [-sum_c]
        power = 1
        powers = []
        for _ in crossed:
            powers.append(power)
            power = power * challenge % ORDER
        selection = [-value for value in _fold(_products(rows), len(self.roll.entries))]
        return [
            ([challenge, 1, *masked], [second, first, *generators]),
            ([challenge, 1, *products], [third, fourth, *generators]),
            (
                [power, -total, *powers, *selection],
                [self.commitment, BLINDING_GENERATOR, *crossed, *self.roll.entries],
            ),
        ]

    def _unpack(self, nonces: Sequence[int]) -> tuple[Rows, Sequence[int], Sequence[int]]:
        """Mask rows that each sum to zero; blinds of A, B, C, D; blinds of the cross terms."""
        digits = self.roll.digits
        free = [nonces[start : start + _FREE] for start in range(0, _FREE * digits, _FREE)]
        rows = [[-sum(row) % ORDER, *row] for row in free]
        blinds_end = _FREE * digits + _BLINDS
        return rows, nonces[_FREE * digits : blinds_end], nonces[blinds_end:]

    def _cross_terms(self, bits: Rows, masks: Rows, blinds: Sequence[int]) -> list[bytes]:
        """`G_k = sum of p_{i,k} * E_i + rho_k * H`, below the full degree.

        P needs no term: the coefficients of each degree below d sum to zero.
        """
        count = len(self.roll.entries)
        polynomials = _polynomials(bits, masks)
        terms = []
        for degree, blind in enumerate(blinds):
            column = [polynomial[degree] for polynomial in polynomials]
            used = [position for position, value in enumerate(column) if value]
            if len(used) < count:
                # How many coefficients are non-zero is public; only their places are
                # secret. So entries that meet twice are not merged here.
                scalars = [column[position] for position in used]
                elements = [self.roll.entries[position % count] for position in used]
            else:
                scalars = _fold(column, count)
                elements = list(self.roll.entries)
            terms.append(_uniform_sum([*scalars, blind], [*elements, BLINDING_GENERATOR]))
        return terms


def _bit_rows(index: int, digits: int) -> Rows:
    return [[int(index // RADIX**row % RADIX == value) for value in range(RADIX)] for row in range(digits)]


def _commit(values: Sequence[int], blind: int) -> bytes:
    generators = vector_generators(len(values) // RADIX)
    return _uniform_sum([*values, blind], [*generators, BLINDING_GENERATOR])


def _commit_bits(bits: Sequence[int], blind: int) -> bytes:
    """Commitment to bits by additions; their number is the number of digits, for every index."""
    total = RISTRETTO255.multiply(blind, BLINDING_GENERATOR)
    for bit, generator in zip(bits, vector_generators(len(bits) // RADIX), strict=True):
        if bit:
            total = RISTRETTO255.add(total, generator)
    return total


def _uniform_sum(scalars: Sequence[int], elements: Sequence[bytes]) -> bytes:
    """Sum of products that works as long for a zero scalar as for any other.

    Attack otherwise: which coefficients vanish depends on the index, and a
    skipped multiplication can be timed.
    """
    total = RISTRETTO255.identity
    for scalar, element in zip(scalars, elements, strict=True):
        product = RISTRETTO255.multiply(scalar or 1, element)
        total = RISTRETTO255.add(total, product if scalar else RISTRETTO255.identity)
    return total


def _products(rows: Rows) -> list[int]:
    """For each padded index the product of its digits' answers; the last factor is left unreduced."""
    products = [1]
    for row in rows:
        reduced = [product % ORDER for product in products]
        products = [answer * product for answer in row for product in reduced]
    return products


def _polynomials(bits: Rows, masks: Rows) -> list[list[int]]:
    """For each padded index the coefficients of the product of `b*x + a`, constant first."""
    polynomials = [[1]]
    for bit_row, mask_row in zip(bits, masks, strict=True):
        polynomials = [
            [
                (mask * low + bit * high) % ORDER
                for low, high in zip([*polynomial, 0], [0, *polynomial], strict=True)
            ]
            for bit, mask in zip(bit_row, mask_row, strict=True)
            for polynomial in polynomials
        ]
    return polynomials


def _fold(values: Sequence[int], count: int) -> list[int]:
    """Coefficients of the real entries: padding repeats them, index modulo `count`."""
    return [sum(values[start::count]) % ORDER for start in range(count)]
