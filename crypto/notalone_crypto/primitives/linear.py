"""Linear relations among group elements (draft-irtf-cfrg-sigma-protocols).

Owns the statement "I know scalars with `image = sum scalar * element` in every
equation": building it, validating it, its canonical bytes, and its three-move
proof. Generic over the group. Refuses to know what the elements mean.

Soundness: two accepted answers to one commitment under different challenges
give the witness. Zero-knowledge: a uniform response and the commitment solved
from it are distributed as a real transcript.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NewType

from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.primitives import sigma
from notalone_crypto.primitives.group import Group
from notalone_crypto.primitives.sigma import ProverState
from notalone_crypto.primitives.transcript import derive_session_id

ScalarVariable = NewType("ScalarVariable", int)
"""Index of a secret scalar inside one relation."""

Term = tuple[ScalarVariable, bytes] | tuple[ScalarVariable, bytes, int]
"""Secret scalar, element, and an optional public coefficient (1 if absent)."""

Evaluation = Callable[[Sequence[int]], bytes]
"""An equation's sum of terms at one scalar for each secret."""

_COUNT_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class _Row:
    """One equation by indices; coefficients are in [0, order)."""

    image: tuple[tuple[int, int], ...]  # (element index, coefficient)
    terms: tuple[tuple[int, int, int], ...]  # (scalar index, element index, coefficient)
    may_vanish: bool = False


class LinearRelation:
    """A list of equations over secret scalars and public elements.

    Element 0 is the generator; others are numbered by first appearance, an
    equation's image before its terms, and equal elements share a number.
    Implements `sigma.SigmaProtocol`; the witness is one integer per scalar.
    """

    __slots__ = ("_elements", "_encoded", "_indices", "_rows", "_scalars", "_shortcuts", "group", "label")

    stands_alone = True

    def __init__(self, group: Group) -> None:
        """An empty relation over `group`."""
        self.group = group
        self.label = b"linear-relation/" + group.name.encode("ascii")
        self._elements = [group.generator]
        self._indices = {group.generator: 0}
        self._rows: list[_Row] = []
        self._scalars = 0
        self._encoded: bytes | None = None
        self._shortcuts: dict[int, Evaluation] = {}

    @property
    def witness_length(self) -> int:
        """Number of secret scalars."""
        return self._scalars

    @property
    def nonce_count(self) -> int:
        """One nonce per secret scalar."""
        return self._scalars

    @property
    def commitment_length(self) -> int:
        """Bytes of one element per equation."""
        return self.group.element_length * len(self._rows)

    @property
    def response_length(self) -> int:
        """Bytes of one scalar per secret scalar."""
        return self.group.scalar_length * self._scalars

    def scalars(self, count: int) -> tuple[ScalarVariable, ...]:
        """Allocate `count` secret scalars; each must be used in some equation."""
        first = self._scalars
        self._scalars += count
        self._encoded = None
        return tuple(ScalarVariable(index) for index in range(first, self._scalars))

    def equation(
        self, image: bytes | Sequence[tuple[int, bytes]], *terms: Term, may_vanish: bool = False
    ) -> None:
        """Add `image = sum of terms`.

        An image is an element or public (coefficient, element) pairs. Elements
        the statement depends on go in one by one, never added up beforehand:
        a sum of two would verify for every other pair with that sum.

        `may_vanish` leaves out the draft's check that the image is not the
        identity. It is for images that are long combinations under weights
        drawn after their elements were fixed: testing one costs a whole
        multi-multiplication, and there an identity image is a true statement
        about zeros, not a missing proof of knowledge.

        Raises: MalformedInput for a wrong length or the identity; Misuse.
        """
        order = self.group.order
        pairs = [(1, image)] if isinstance(image, bytes) else image
        image_row = tuple((self._index(element), coefficient % order) for coefficient, element in pairs)
        term_row = []
        for term in terms:
            variable, element = term[0], term[1]
            coefficient = term[2] if len(term) == 3 else 1
            if not 0 <= variable < self._scalars:
                raise Misuse(Code.STATEMENT, "a term uses a scalar of another relation")
            term_row.append((int(variable), self._index(element), coefficient % order))
        self._rows.append(_Row(image_row, tuple(term_row), may_vanish))
        self._encoded = None

    def shortcut(self, evaluate: Evaluation) -> None:
        """For a prover: a cheaper way to the last equation's sum of terms at given scalars.

        A prover who made an equation's elements knows their openings and needs
        one Pedersen commitment instead of a product for each element. The
        element must be the same; if it is not, the proof does not verify. A
        verifier never has one: statement and proof are the same bytes.
        """
        self._shortcuts[len(self._rows) - 1] = evaluate

    def instance_bytes(self) -> bytes:
        """The draft's serialization, validated.

        Raises: VerificationFailed (proof.statement) if the relation is invalid
        (draft section "Instance validation"); MalformedInput where a check
        meets an element that is not canonical.
        """
        if self._encoded is None:
            self._validate()
            self._encoded = self._serialize()
        return self._encoded

    def commit(self, witness: Sequence[int], nonces: Sequence[int]) -> tuple[ProverState, bytes]:
        """The map at the nonces: one element per equation."""
        if not len(witness) == len(nonces) == self._scalars:
            raise Misuse(Code.LENGTH, "witness and nonces must match the number of secret scalars")
        commitment = sigma.join_elements(self.group, self._evaluate(nonces))
        return ProverState(tuple(witness), tuple(nonces)), commitment

    def respond(self, state: ProverState, challenge: int) -> bytes:
        """`nonce + witness * challenge` for every secret scalar."""
        group = self.group
        return b"".join(
            group.encode_scalar((nonce + value * challenge) % group.order)
            for value, nonce in zip(state.witness, state.nonces, strict=True)
        )

    def verification_equations(
        self, commitment: bytes, challenge: int, response: bytes
    ) -> list[sigma.Equation]:
        """`commitment + challenge * image - map(response)` for every equation."""
        commitments = sigma.split_elements(self.group, commitment)
        answers = sigma.split_scalars(self.group, response)
        equations: list[sigma.Equation] = []
        for row, committed in zip(self._rows, commitments, strict=True):
            scalars = [1]
            elements = [committed]
            for element, coefficient in row.image:
                scalars.append(challenge * coefficient)
                elements.append(self._elements[element])
            for scalar, element, coefficient in row.terms:
                scalars.append(-coefficient * answers[scalar])
                elements.append(self._elements[element])
            equations.append((scalars, elements))
        return equations

    def check_witness(self, witness: Sequence[int]) -> None:
        """Raise Misuse unless `witness` satisfies every equation; costs as much as a proof."""
        if len(witness) != self._scalars:
            raise Misuse(Code.LENGTH, "the witness does not match the number of secret scalars")
        for row, value in zip(self._rows, self._evaluate(witness), strict=True):
            if self._combine((element, coefficient) for element, coefficient in row.image) != value:
                raise Misuse(Code.STATEMENT, "the witness does not satisfy the statement")

    def simulate_commitment(self, challenge: int, response: bytes) -> bytes:
        """The only first message this challenge and response fit; MalformedInput if it is the identity."""
        answers = sigma.split_scalars(self.group, response)
        simulated = []
        for row in self._rows:
            weighted = [
                (element, coefficient * answers[scalar]) for scalar, element, coefficient in row.terms
            ]
            weighted += [(element, -coefficient * challenge) for element, coefficient in row.image]
            simulated.append(self._combine(weighted))
        if self.group.identity in simulated:
            raise MalformedInput(Code.IDENTITY, "a commitment is the identity element")
        return b"".join(simulated)

    @classmethod
    def parse(cls, group: Group, data: bytes) -> LinearRelation:
        """The relation with this serialization: for vectors and tools.

        Never for a verifier, which would then check the prover's own statement.
        Raises: MalformedInput, VerificationFailed (proof.statement).
        """
        reader = _Reader(group, data)
        relation = cls(group)
        highest = 0
        for _ in range(reader.count()):
            image = tuple((reader.count(), reader.scalar()) for _ in range(reader.count()))
            terms = tuple((reader.count(), reader.count(), reader.scalar()) for _ in range(reader.count()))
            relation._rows.append(_Row(image, terms))
            used = [element for element, _ in image] + [element for _, element, _ in terms]
            highest = max([highest, *used])
            relation._scalars = max([relation._scalars, *(term[0] + 1 for term in terms)])
        relation._elements += reader.elements(highest)
        relation._indices = {element: index for index, element in enumerate(relation._elements)}
        relation.instance_bytes()
        return relation

    def _index(self, element: bytes) -> int:
        index = self._indices.get(element)
        if index is None:
            # Canonicity is left to the multiplication that every element meets.
            if not isinstance(element, bytes) or len(element) != self.group.element_length:
                raise MalformedInput(Code.LENGTH, "an element of a statement has the wrong length")
            if element == self.group.identity:
                raise MalformedInput(Code.IDENTITY, "the identity element is not allowed in a statement")
            index = len(self._elements)
            self._elements.append(element)
            self._indices[element] = index
        return index

    def _evaluate(self, scalars: Sequence[int]) -> list[bytes]:
        return [
            self._shortcuts[number](scalars)
            if number in self._shortcuts
            else self._combine(
                (element, coefficient * scalars[scalar]) for scalar, element, coefficient in row.terms
            )
            for number, row in enumerate(self._rows)
        ]

    def _combine(self, weighted: Iterable[tuple[int, int]]) -> bytes:
        """Sum of products by element index, equal elements merged."""
        merged: dict[int, int] = {}
        for element, coefficient in weighted:
            merged[element] = (merged.get(element, 0) + coefficient) % self.group.order
        return self.group.multi_multiply(list(merged.values()), [self._elements[index] for index in merged])

    def _vanishes(self, weighted: Iterable[tuple[int, int]]) -> bool:
        """Whether a public combination is the identity, computed only where it is not plain."""
        order = self.group.order
        merged: dict[bytes, int] = {}
        for index, coefficient in weighted:
            element = self._elements[index]
            merged[element] = (merged.get(element, 0) + coefficient) % order
        left = {element: coefficient for element, coefficient in merged.items() if coefficient}
        if len(left) <= 1:  # the order is prime: no multiple of one element vanishes
            return not left
        if set(left.values()) <= {1, order - 1}:
            total = self.group.identity
            for element, coefficient in left.items():
                total = self.group.add(total, element if coefficient == 1 else self.group.negate(element))
            return total == self.group.identity
        return self.group.multi_multiply(list(left.values()), list(left)) == self.group.identity

    def _validate(self) -> None:
        """Draft section "Instance validation"; indices are in range by construction or parsing."""
        if not self._rows:
            raise VerificationFailed(Code.STATEMENT, "a statement needs at least one equation")
        columns: dict[int, list[list[tuple[int, int]]]] = {}
        used = {0}
        for row in self._rows:
            if not row.image or not row.terms:
                raise VerificationFailed(Code.STATEMENT, "an equation lacks an image or terms")
            if not row.may_vanish and self._vanishes(row.image):
                # Satisfied by zeros, so a proof of it attests nothing.
                raise VerificationFailed(Code.STATEMENT, "an equation's image is the identity element")
            used.update(element for element, _ in row.image)
            used.update(element for _, element, _ in row.terms)
            by_scalar: dict[int, list[tuple[int, int]]] = {}
            for scalar, element, coefficient in row.terms:
                by_scalar.setdefault(scalar, []).append((element, coefficient))
            for scalar, entries in by_scalar.items():
                columns.setdefault(scalar, []).append(entries)
        if len(columns) != self._scalars:
            raise VerificationFailed(Code.STATEMENT, "a secret scalar is used in no equation")
        if len(used) != len(self._elements):
            raise VerificationFailed(Code.STATEMENT, "an element is used in no equation")
        for column in columns.values():
            if all(self._vanishes(entries) for entries in column):
                raise VerificationFailed(Code.STATEMENT, "a secret scalar cancels out everywhere")

    def _serialize(self) -> bytes:
        scalar = self.group.encode_scalar
        parts = [_count(len(self._rows))]
        for row in self._rows:
            parts.append(_count(len(row.image)))
            for element, coefficient in row.image:
                parts += [_count(element), scalar(coefficient)]
            parts.append(_count(len(row.terms)))
            for variable, element, coefficient in row.terms:
                parts += [_count(variable), _count(element), scalar(coefficient)]
        return b"".join(parts + self._elements[1:])


def prove_compact(
    session: bytes, relation: LinearRelation, witness: Sequence[int], nonces: Sequence[int]
) -> bytes:
    """Challenge and response (draft, compact flavor): shorter, but not batchable.

    `nonces` must be fresh, uniform and secret; the protocol uses `sigma.prove`,
    which derives its own. `session` must name the flavor `CMPT`.
    """
    session_id = derive_session_id(session)
    state, commitment = relation.commit(witness, nonces)
    group = relation.group
    challenge = sigma.derive_challenge(group, session_id, relation.instance_bytes(), commitment)
    return group.encode_scalar(challenge) + relation.respond(state, challenge)


def verify_compact(session: bytes, relation: LinearRelation, proof: bytes) -> None:
    """Check a compact proof. Raises: MalformedInput, VerificationFailed."""
    group = relation.group
    instance = relation.instance_bytes()
    expected = group.scalar_length + relation.response_length
    if len(proof) != expected:
        code = Code.TRAILING if len(proof) > expected else Code.TRUNCATED
        raise MalformedInput(code, f"this proof must be exactly {expected} bytes")
    challenge = group.decode_scalar(proof[: group.scalar_length])
    commitment = relation.simulate_commitment(challenge, proof[group.scalar_length :])
    if challenge != sigma.derive_challenge(group, derive_session_id(session), instance, commitment):
        raise VerificationFailed(Code.PROOF, "the proof does not hold for this statement")


class _Reader:
    """Little-endian counts, scalars and elements of a serialized relation."""

    __slots__ = ("_data", "_group", "_position")

    def __init__(self, group: Group, data: bytes) -> None:
        self._group = group
        self._data = data
        self._position = 0

    def _take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise MalformedInput(Code.TRUNCATED, "the statement ends too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def count(self) -> int:
        return int.from_bytes(self._take(_COUNT_LENGTH), "little")

    def scalar(self) -> int:
        return self._group.decode_scalar(self._take(self._group.scalar_length))

    def elements(self, count: int) -> list[bytes]:
        length = self._group.element_length
        rest = len(self._data) - self._position
        if rest != count * length:  # compared before anything of an attacker's size is allocated
            code = Code.TRAILING if rest > count * length else Code.TRUNCATED
            raise MalformedInput(code, "the statement's elements do not match its indices")
        return [self._group.check_element(self._take(length)) for _ in range(count)]


def _count(value: int) -> bytes:
    return value.to_bytes(_COUNT_LENGTH, "little")
