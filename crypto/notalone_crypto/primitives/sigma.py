"""Three-move proofs: what one is, several under one challenge, checking many at once.

Owns composition by AND, Fiat-Shamir over the whole statement, hedged nonces,
and verification by one random linear combination in which equal elements are
multiplied once. Refuses to know any particular statement (`linear`,
`membership`) and where a statement comes from: **a verifier builds it itself
from public data and never takes it from the prover**.

A proof is all commitments, then all responses, in the order of the statements
and without lengths, which the statements fix. One linear relation alone gives
exactly the batchable string of draft-irtf-cfrg-sigma-protocols.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from notalone_crypto import codec
from notalone_crypto.errors import Code, MalformedInput, Misuse, NotAloneError, VerificationFailed
from notalone_crypto.primitives.group import RISTRETTO255, Group
from notalone_crypto.primitives.transcript import (
    DuplexSponge,
    derive_session_id,
    serialize_varlen,
    squeeze_scalar,
)
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import DST_PREFIX, Tag

Equation = tuple[list[int], list[bytes]]
"""Scalars and elements whose sum of products must be the identity."""

_SUITE_PREFIX: Final = "sigma-proofs_Shake128_"
_BATCH_LABEL: Final = b"irtf-cfrg-sigma-protocols/batch-verify"
_WEIGHT_LENGTH: Final = 16  # a false batch passes with probability at most 2^-128
_SEED_LENGTH: Final = 32
_NONCE_EXTRA: Final = 32
# A linear relation starts with its number of equations, which is never zero.
_COMPOSED: Final = bytes(4)


@dataclass(frozen=True, slots=True)
class ProverState:
    """What a prover remembers between commitment and response; use it once, then drop it."""

    witness: tuple[int, ...] = field(repr=False)
    nonces: tuple[int, ...] = field(repr=False)


class SigmaProtocol(Protocol):
    """A public-coin proof of knowledge with three moves, over one public statement."""

    @property
    def group(self) -> Group:
        """Group of the statement; also fixes the challenge's range."""

    @property
    def label(self) -> bytes:
        """Name of the kind of statement; distinct kinds have distinct labels."""

    @property
    def stands_alone(self) -> bool:
        """Whether a single such statement is absorbed bare, as the draft does."""

    @property
    def witness_length(self) -> int:
        """Number of integers in a witness."""

    @property
    def nonce_count(self) -> int:
        """Number of fresh scalars that `commit` needs."""

    @property
    def commitment_length(self) -> int:
        """Bytes of the first message."""

    @property
    def response_length(self) -> int:
        """Bytes of the third message."""

    def instance_bytes(self) -> bytes:
        """The whole statement, injectively. Raises VerificationFailed if it is invalid."""

    def commit(self, witness: Sequence[int], nonces: Sequence[int]) -> tuple[ProverState, bytes]:
        """First message. Raises Misuse for a witness or nonces of the wrong shape."""

    def respond(self, state: ProverState, challenge: int) -> bytes:
        """Third message; answering two challenges from one state reveals the witness."""

    def verification_equations(self, commitment: bytes, challenge: int, response: bytes) -> list[Equation]:
        """The checks; their number depends on the statement alone.

        Raises: MalformedInput for non-canonical scalars and the identity.
        Elements need not be validated: every one returned is multiplied, and
        multiplication refuses what is not canonical.
        """


ProofItem = tuple[bytes, Sequence[SigmaProtocol], bytes]
"""Session, statements, proof: the arguments of `verify`."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """One proof, parsed: what remains to be checked and what the weights must depend on."""

    group: Group
    transcript: bytes
    equations: list[Equation]


def session_tag(tag: Tag, *context: bytes, group: Group = RISTRETTO255) -> bytes:
    """The `session` of a proof: purpose, flavor and suite verbatim, then the context.

    The draft asks for flavor and suite inside the tag (section "Tag and session identifier").
    """
    purpose = tag.value.encode("ascii")
    suite = (_SUITE_PREFIX + group.name).encode("ascii")
    return DST_PREFIX + purpose + b"-DSFS-with-" + suite + codec.join(*context)


def prove(
    session: bytes,
    statements: Sequence[SigmaProtocol],
    witnesses: Sequence[Sequence[int]],
    randomness: Randomness,
) -> bytes:
    """Proof of all `statements` under one challenge; draws 32 bytes.

    `session` is the draft's tag: any bytes that name purpose and context, best
    from `session_tag`. Whether the witnesses fit the statements is the
    caller's business; if not, the result does not verify.
    Raises: Misuse, VerificationFailed (proof.statement) for an invalid statement.
    """
    if len(witnesses) != len(statements):
        raise Misuse(Code.LENGTH, "one witness for each statement is needed")
    if any(
        len(one) != statement.witness_length for one, statement in zip(witnesses, statements, strict=True)
    ):
        raise Misuse(Code.LENGTH, "a witness has the wrong length for its statement")
    session_id = derive_session_id(session)
    instances = encode_statements(statements)
    nonces = _derive_nonces(session_id, instances, statements, witnesses, randomness)
    states: list[ProverState] = []
    commitments: list[bytes] = []
    position = 0
    for statement, witness in zip(statements, witnesses, strict=True):
        end = position + statement.nonce_count
        state, commitment = statement.commit(witness, nonces[position:end])
        states.append(state)
        commitments.append(commitment)
        position = end
    committed = b"".join(commitments)
    challenge = derive_challenge(_common_group(statements), session_id, instances, committed)
    responses = [
        statement.respond(state, challenge) for statement, state in zip(statements, states, strict=True)
    ]
    return committed + b"".join(responses)


def verify(session: bytes, statements: Sequence[SigmaProtocol], proof: bytes) -> None:
    """Check a proof made by `prove`.

    Raises: MalformedInput for bytes that are no proof, VerificationFailed
    (proof.statement) for an invalid statement, (proof.invalid) otherwise.
    """
    _check([_parse(session, statements, proof)])


def verify_batch(items: Sequence[ProofItem]) -> None:
    """Check all proofs in one combination; elements that recur are multiplied once.

    Raises: VerificationFailed whose detail names the failing positions.
    """
    failing = [position for position, error in enumerate(verify_each(items)) if error is not None]
    if failing:
        named = ", ".join(map(str, failing))
        raise VerificationFailed(Code.PROOF, f"proofs at these positions do not verify: {named}")


def verify_each(items: Sequence[ProofItem]) -> list[NotAloneError | None]:
    """For each proof what is wrong with it, or None; as cheap as one batch if nothing is."""
    errors: list[NotAloneError | None] = [None] * len(items)
    parsed: list[tuple[int, _Checked]] = []
    for position, (session, statements, proof) in enumerate(items):
        try:
            parsed.append((position, _parse(session, statements, proof)))
        except (MalformedInput, VerificationFailed) as error:
            errors[position] = error
    pending = [parsed] if parsed else []
    while pending:
        part = pending.pop()
        try:
            _check([checked for _, checked in part])
        except (MalformedInput, VerificationFailed) as error:
            if len(part) == 1:
                errors[part[0][0]] = error
            else:
                middle = len(part) // 2
                pending += [part[:middle], part[middle:]]
    return errors


def encode_statements(statements: Sequence[SigmaProtocol]) -> bytes:
    """Injective, prefix-free bytes of a list of statements.

    A single linear relation is absorbed as the draft does; anything else
    starts with a zero count, which no linear relation has.
    """
    if not statements:
        raise Misuse(Code.STATEMENT, "at least one statement is needed")
    if len(statements) == 1 and statements[0].stands_alone:
        return statements[0].instance_bytes()
    parts = [_COMPOSED, len(statements).to_bytes(4, "little")]
    for statement in statements:
        parts += [serialize_varlen(statement.label), serialize_varlen(statement.instance_bytes())]
    return b"".join(parts)


def derive_challenge(group: Group, session_id: bytes, instances: bytes, commitments: bytes) -> int:
    """Challenge in [0, order) from session, every statement and every commitment.

    Leaving any of them out lets a prover choose it after the challenge.
    """
    sponge = DuplexSponge(session_id)
    sponge.absorb(instances)
    sponge.absorb(commitments)
    return squeeze_scalar(sponge, group.order)


def split_elements(group: Group, data: bytes) -> list[bytes]:
    """Encoded elements of a first message; the identity is refused, as the draft does.

    Raises: MalformedInput (encoding.identity).
    """
    length = group.element_length
    elements = [data[start : start + length] for start in range(0, len(data), length)]
    if group.identity in elements:
        raise MalformedInput(Code.IDENTITY, "a commitment is the identity element")
    return elements


def split_scalars(group: Group, data: bytes) -> list[int]:
    """Canonical scalars of a third message; MalformedInput otherwise."""
    length = group.scalar_length
    return [group.decode_scalar(data[start : start + length]) for start in range(0, len(data), length)]


def join_elements(group: Group, elements: Sequence[bytes]) -> bytes:
    """A first message; Misuse (encoding.identity) if an element is the identity."""
    if group.identity in elements:
        raise Misuse(Code.IDENTITY, "a commitment came out as the identity element")
    return b"".join(elements)


def _common_group(statements: Sequence[SigmaProtocol]) -> Group:
    group = statements[0].group
    if any(statement.group is not group for statement in statements):
        raise Misuse(Code.STATEMENT, "statements over different groups cannot share a challenge")
    return group


def _derive_nonces(
    session_id: bytes,
    instances: bytes,
    statements: Sequence[SigmaProtocol],
    witnesses: Sequence[Sequence[int]],
    randomness: Randomness,
) -> list[int]:
    """Hedged nonces: fresh randomness, witness, statement and session all enter.

    Attack without this: a source that repeats itself (a cloned machine, a
    restored snapshot) gives two challenges for one nonce, hence the witness.
    """
    group = _common_group(statements)
    seed = randomness(_SEED_LENGTH)
    if len(seed) != _SEED_LENGTH:
        raise Misuse(Code.LENGTH, "the randomness source gave the wrong number of bytes")
    secret = b"".join(group.encode_scalar(value % group.order) for one in witnesses for value in one)
    label = DST_PREFIX + Tag.NONCE.value.encode("ascii")
    length = group.scalar_length + _NONCE_EXTRA
    count = sum(statement.nonce_count for statement in statements)
    message = codec.join(label, seed, session_id, instances, secret)
    stream = hashlib.shake_256(message).digest(count * length)
    return [
        int.from_bytes(stream[start : start + length], "little") % group.order
        for start in range(0, len(stream), length)
    ]


def _parse(session: bytes, statements: Sequence[SigmaProtocol], proof: bytes) -> _Checked:
    """Split a proof by its statements' lengths and collect its equations."""
    instances = encode_statements(statements)
    group = _common_group(statements)
    commitments_length = sum(statement.commitment_length for statement in statements)
    expected = commitments_length + sum(statement.response_length for statement in statements)
    if len(proof) != expected:
        code = Code.TRAILING if len(proof) > expected else Code.TRUNCATED
        raise MalformedInput(code, f"this proof must be exactly {expected} bytes")
    session_id = derive_session_id(session)
    challenge = derive_challenge(group, session_id, instances, proof[:commitments_length])
    equations: list[Equation] = []
    first, third = 0, commitments_length
    for statement in statements:
        first_end = first + statement.commitment_length
        third_end = third + statement.response_length
        equations += statement.verification_equations(
            proof[first:first_end], challenge, proof[third:third_end]
        )
        first, third = first_end, third_end
    return _Checked(group, session_id + instances + proof, equations)


def _check(checked: Sequence[_Checked]) -> None:
    """One random linear combination of all equations (draft section "Batch verification").

    The weights depend on every byte of every proof, responses included:
    a weight known before a response is fixed lets errors be made to cancel.
    """
    group = checked[0].group
    if any(one.group is not group for one in checked):
        raise Misuse(Code.STATEMENT, "proofs over different groups cannot be checked together")
    sponge = DuplexSponge(derive_session_id(_BATCH_LABEL))
    for one in checked:
        sponge.absorb(one.transcript)
    equations = [equation for one in checked for equation in one.equations]
    weights = sponge.squeeze(_WEIGHT_LENGTH * len(equations))
    merged: dict[bytes, int] = {}
    for number, (scalars, elements) in enumerate(equations):
        start = _WEIGHT_LENGTH * number
        weight = int.from_bytes(weights[start : start + _WEIGHT_LENGTH], "little")
        for scalar, element in zip(scalars, elements, strict=True):
            merged[element] = merged.get(element, 0) + weight * scalar
    # A merged coefficient of zero still goes in: its element must be validated too.
    if group.multi_multiply(list(merged.values()), list(merged)) != group.identity:
        raise VerificationFailed(Code.PROOF, "the proof does not hold for this statement")
