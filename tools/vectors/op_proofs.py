"""Operations on transcripts and proofs of linear relations and membership.

Owns the JSON form of a statement. Refuses to know which statements the
protocol makes.

A linear statement is `{"kind": "linear", "scalars": n, "equations": [{"image":
[[coefficient, element], ...], "terms": [[scalar index, element, coefficient],
...]}]}`; a membership statement `{"kind": "membership", "roll": [elements],
"commitment": element}`. Coefficients are scalars in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.vectors.registry import Table, operation, scalar_bytes, scalar_of

from notalone_crypto.primitives import linear, membership, sigma, transcript
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag


def statement_from(table: Table) -> sigma.SigmaProtocol:
    """A statement from JSON."""
    if table["kind"] == "membership":
        roll = membership.Roll(tuple(bytes.fromhex(entry) for entry in table["roll"]))
        return membership.Membership(roll, bytes.fromhex(table["commitment"]))
    relation = linear.LinearRelation(RISTRETTO255)
    variables = relation.scalars(table["scalars"])
    for row in table["equations"]:
        image = [(scalar_of(factor), bytes.fromhex(element)) for factor, element in row["image"]]
        terms = [
            (variables[index], bytes.fromhex(element), scalar_of(factor))
            for index, element, factor in row["terms"]
        ]
        relation.equation(image, *terms)
    return relation


def witness_from(values: Sequence[str | int]) -> list[int]:
    """A witness: scalars in hexadecimal, and small integers (an index) as they are."""
    return [value if isinstance(value, int) else scalar_of(value) for value in values]


@operation("transcript.session_id")
def session_id(tag: bytes) -> Table:
    """Session identifier of a tag."""
    return {"session_id": transcript.derive_session_id(tag)}


@operation("transcript.sponge")
def sponge(session: bytes, steps: list[Table]) -> Table:
    """Absorb and squeeze in order; everything squeezed."""
    state = transcript.DuplexSponge(session)
    squeezed = []
    for step in steps:
        if "absorb" in step:
            state.absorb(bytes.fromhex(step["absorb"]))
        else:
            squeezed.append(state.squeeze(step["squeeze"]))
    return {"squeezed": squeezed}


@operation("transcript.squeeze_scalar")
def squeeze_scalar(session: bytes, absorbed: bytes) -> Table:
    """One challenge in [0, q)."""
    state = transcript.DuplexSponge(session)
    state.absorb(absorbed)
    return {"scalar": scalar_bytes(transcript.squeeze_scalar(state, ORDER))}


@operation("sigma.session_tag")
def session_tag(tag: str, context: list[bytes]) -> Table:
    """The session of a proof, from its purpose and context."""
    return {"session": sigma.session_tag(Tag(tag), *context)}


@operation("sigma.instance")
def instance(statements: list[Table]) -> Table:
    """The exact bytes of all statements that enter the challenge."""
    return {"bytes": sigma.encode_statements([statement_from(one) for one in statements])}


@operation("sigma.challenge")
def challenge(session: bytes, statements: list[Table], commitments: bytes) -> Table:
    """The challenge from session, statements and first messages."""
    instances = sigma.encode_statements([statement_from(one) for one in statements])
    found = sigma.derive_challenge(
        RISTRETTO255, transcript.derive_session_id(session), instances, commitments
    )
    return {"scalar": scalar_bytes(found)}


@operation("sigma.prove")
def prove(session: bytes, statements: list[Table], witnesses: Table, seed: bytes) -> Table:
    """Proof with nonces hedged from the seeded stream; `witnesses` are by statement's place."""
    values = [witness_from(witnesses[str(place)]) for place in range(len(statements))]
    proof = sigma.prove(session, [statement_from(one) for one in statements], values, SeededStream(seed))
    return {"proof": proof}


@operation("sigma.verify")
def verify(session: bytes, statements: list[Table], proof: bytes) -> Table:
    """Check one proof of all statements under one challenge."""
    sigma.verify(session, [statement_from(one) for one in statements], proof)
    return {"valid": True}


@operation("sigma.verify_each")
def verify_each(proofs: list[Table]) -> Table:
    """Batch verification: for each proof its error code, or an empty text."""
    errors = sigma.verify_each(
        [
            (
                bytes.fromhex(one["session"]),
                [statement_from(statement) for statement in one["statements"]],
                bytes.fromhex(one["proof"]),
            )
            for one in proofs
        ]
    )
    return {"errors": ["" if error is None else error.code.value for error in errors]}


@operation("membership.roll_digest")
def roll_digest(roll: list[bytes]) -> Table:
    """Digest and number of base-16 digits of a roll."""
    made = membership.Roll(tuple(roll))
    return {"digest": made.digest, "digits": made.digits}


@operation("membership.generators")
def generators(digits: int) -> Table:
    """16 generators for each digit."""
    return {"elements": membership.vector_generators(digits)}
