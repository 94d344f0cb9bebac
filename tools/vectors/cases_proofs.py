"""Cases for transcripts and proofs.

Owns the statements of the vectors and what is tampered with. Refuses to know
the statements of the protocol (cases_filing, cases_rounds).
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.vectors.book import Book
from tools.vectors.registry import Table, scalar_bytes

from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR, commit
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import Tag

G = RISTRETTO255.generator


def linear(
    scalars: int, *equations: tuple[Sequence[tuple[int, bytes]], Sequence[tuple[int, bytes, int]]]
) -> Table:
    """A linear statement: for each equation its image pairs and its terms."""
    return {
        "kind": "linear",
        "scalars": scalars,
        "equations": [
            {
                "image": [[scalar_bytes(factor), element] for factor, element in image],
                "terms": [[index, element, scalar_bytes(factor)] for index, element, factor in terms],
            }
            for image, terms in equations
        ],
    }


def transcripts() -> Book:
    """Sessions, sponge, challenges."""
    book = Book(
        "transcript", "Fiat-Shamir transcripts: session identifiers, the SHAKE128 sponge, challenges."
    )
    stream = SeededStream(b"vectors/transcript")
    for length in (0, 1, 167, 168, 169, 500):
        book.good(f"session-{length}", "transcript.session_id", tag=stream(length))
    session = stream(32)
    steps: list[Table] = [
        {"absorb": "aabb"}, {"squeeze": 16}, {"squeeze": 16}, {"absorb": ""}, {"squeeze": 8},
        {"absorb": "cc"}, {"squeeze": 200}, {"squeeze": 0}, {"squeeze": 1},
    ]  # fmt: skip
    book.good("sponge", "transcript.sponge", session=session, steps=steps)
    book.good(
        "sponge-joined", "transcript.sponge", session=session, steps=[{"absorb": "aabbcc"}, {"squeeze": 32}]
    )
    for length in (0, 31, 33):
        book.bad(
            f"sponge-session-{length}",
            "encoding.length",
            "transcript.sponge",
            session=bytes(length),
            steps=[],
        )
    for number in range(4):
        book.good(
            f"scalar-{number}", "transcript.squeeze_scalar", session=session, absorbed=stream(number * 60)
        )
    for tag in (Tag.FILING_PROOF, Tag.ROUND_ONE, Tag.ENROLMENT):
        book.good(f"tag-{tag.value}", "sigma.session_tag", tag=tag.value, context=[b"one", b"", b"two"])
    book.good("tag-alone", "sigma.session_tag", tag=Tag.KEM.value, context=[])
    return book


def proofs() -> Book:
    """Proofs that verify, and every way to spoil them."""
    book = Book(
        "proofs", "Proofs of linear relations and of membership: instances, proofs, tampering, batches."
    )
    stream = SeededStream(b"vectors/proofs")
    secret, blind, other = (random_scalar(stream) for _ in range(3))
    base = RISTRETTO255.base_multiply(other)
    public = RISTRETTO255.base_multiply(secret)
    shared = RISTRETTO255.multiply(secret, base)
    schnorr = linear(1, ([(1, public)], [(0, G, 1)]))
    dleq = linear(1, ([(1, public)], [(0, G, 1)]), ([(1, shared)], [(0, base, 1)]))
    pedersen = linear(2, ([(1, commit(secret, blind))], [(0, G, 1), (1, BLINDING_GENERATOR, 1)]))
    weighted = linear(
        2,
        (
            [(3, RISTRETTO255.base_multiply(secret)), (ORDER - 2, base)],
            [(0, G, 3), (1, base, 1)],
        ),
    )
    roll = [
        RISTRETTO255.add(RISTRETTO255.base_multiply(random_scalar(stream)), BLINDING_GENERATOR)
        for _ in range(40)
    ]
    place = RISTRETTO255.base_multiply(secret)
    rerandomised = commit(secret, blind)

    def member(size: int, index: int) -> Table:
        entries = [*roll[:index], place, *roll[index : size - 1]]
        return {"kind": "membership", "roll": entries, "commitment": rerandomised}

    witness, pair = [scalar_bytes(secret)], [scalar_bytes(secret), scalar_bytes(blind)]
    _proved(book, "schnorr", [schnorr], [witness])
    _proved(book, "dleq", [dleq], [witness])
    _proved(book, "pedersen", [pedersen], [pair])
    _proved(book, "weighted", [weighted], [[scalar_bytes(secret), scalar_bytes(ORDER - 2)]])
    for size, index in ((2, 0), (2, 1), (16, 15), (17, 16), (32, 5), (40, 39)):
        _proved(
            book,
            f"member-{size}-{index}",
            [member(size, index)],
            [[index, scalar_bytes(blind)]],
            spoil=size <= 17,
        )
    _proved(book, "composed", [pedersen, member(17, 3)], [pair, [3, scalar_bytes(blind)]])
    _proved(book, "composed-linear", [schnorr, dleq], [witness, witness])
    _refused(book, public, base)
    # A witness that does not fit gives a proof that does not verify.
    wrong = book.good("prove-wrong-witness", "sigma.prove", session=b"s", statements=[schnorr],
                      witnesses={"0": [scalar_bytes(other)]}, seed=b"x")  # fmt: skip
    book.bad("verify-wrong-witness", "proof.invalid", "sigma.verify", session=b"s", statements=[schnorr],
             proof=wrong["proof"])  # fmt: skip
    outside = {**member(17, 16), "roll": roll[:17]}
    book.bad("prove-not-a-member", "proof.statement", "sigma.prove", session=b"s", statements=[outside],
             witnesses={"0": [16, scalar_bytes(blind)]}, seed=b"x")  # fmt: skip
    genuine = next(case["output"]["proof"] for case in book.cases if case["id"] == "prove-member-17-16")
    book.bad("verify-not-a-member", "proof.invalid", "sigma.verify", session=b"vectors/member-17-16",
             statements=[outside], proof=genuine)  # fmt: skip
    made = {case["id"]: case["output"]["proof"] for case in book.cases
            if case["operation"] == "sigma.prove" and "output" in case}  # fmt: skip
    batch = [
        {"session": b"vectors/schnorr", "statements": [schnorr], "proof": made["prove-schnorr"]},
        {"session": b"vectors/dleq", "statements": [dleq], "proof": made["prove-dleq"]},
        {"session": b"vectors/dleq", "statements": [dleq], "proof": made["prove-dleq"][:-2]},
        {"session": b"another", "statements": [dleq], "proof": made["prove-dleq"]},
    ]
    book.good("batch-good", "sigma.verify_each", proofs=batch[:2])
    book.good("batch-mixed", "sigma.verify_each", proofs=batch)
    book.good("batch-empty", "sigma.verify_each", proofs=[])
    for digits in (1, 2):
        book.good(f"generators-{digits}", "membership.generators", digits=digits)
    for size in (2, 16, 17, 40):
        book.good(f"roll-{size}", "membership.roll_digest", roll=roll[:size])
    return book


def _proved(
    book: Book,
    name: str,
    statements: list[Table],
    witnesses: list[list[bytes | int]] | list[list[bytes]],
    *,
    spoil: bool = True,
) -> None:
    """Instance, challenge, proof, verification; and that each byte range of the proof counts."""
    listed: list[object] = [
        book.share(f"{name.replace('-', '_')}_{place}", one) for place, one in enumerate(statements)
    ]
    session = f"vectors/{name}".encode()
    book.good(f"instance-{name}", "sigma.instance", statements=listed)
    book.good(
        f"challenge-{name}", "sigma.challenge", session=session, statements=listed, commitments=b"committed"
    )
    named = {str(place): witness for place, witness in enumerate(witnesses)}
    made = book.good(f"prove-{name}", "sigma.prove", session=session, statements=listed, witnesses=named,
                     seed=name.encode())  # fmt: skip
    proof = bytes.fromhex(made["proof"])
    book.good(f"verify-{name}", "sigma.verify", session=session, statements=listed, proof=proof)
    book.bad(f"verify-{name}-other-session", "proof.invalid", "sigma.verify", session=session + b"x",
             statements=listed, proof=proof)  # fmt: skip
    if not spoil:
        return
    common = {"session": session, "statements": listed}
    changed_response = proof[:-32] + scalar_bytes(int.from_bytes(proof[-32:], "little") + 1)
    changed_commitment = RISTRETTO255.add(proof[:32], G) + proof[32:]
    for kind, code, spoiled in (
        ("response", "proof.invalid", changed_response),
        ("commitment", "proof.invalid", changed_commitment),
        ("short", "encoding.truncated", proof[:-1]),
        ("empty", "encoding.truncated", b""),
        ("long", "encoding.trailing", proof + b"\x00"),
        ("identity", "encoding.identity", bytes(32) + proof[32:]),
        ("bad-element", "encoding.non_canonical", b"\xff" * 32 + proof[32:]),
        ("bad-scalar", "encoding.non_canonical", proof[:-32] + b"\xff" * 32),
        ("order-scalar", "encoding.non_canonical", proof[:-32] + ORDER.to_bytes(32, "little")),
    ):
        book.bad(f"verify-{name}-{kind}", code, "sigma.verify", proof=spoiled, **common)


def _refused(book: Book, public: bytes, base: bytes) -> None:
    """Statements that are none."""
    refused: dict[str, tuple[str, Table]] = {
        "no-equation": ("proof.statement", linear(1)),
        "unused-scalar": ("proof.statement", linear(2, ([(1, public)], [(0, G, 1)]))),
        "vanishing-image": (
            "proof.statement",
            linear(1, ([(1, public), (ORDER - 1, public)], [(0, G, 1)])),
        ),
        "identity-image": ("encoding.identity", linear(1, ([(1, bytes(32))], [(0, G, 1)]))),
        "identity-term": ("encoding.identity", linear(1, ([(1, public)], [(0, bytes(32), 1)]))),
        "short-element": ("encoding.length", linear(1, ([(1, public[:31])], [(0, G, 1)]))),
        "long-element": ("encoding.length", linear(1, ([(1, public)], [(0, base + b"\x00", 1)]))),
        "roll-of-one": ("encoding.range", {"kind": "membership", "roll": [public], "commitment": base}),
        "roll-with-identity": (
            "encoding.identity",
            {"kind": "membership", "roll": [public, bytes(32)], "commitment": base},
        ),
        "roll-short-entry": (
            "encoding.length",
            {"kind": "membership", "roll": [public, base[:31]], "commitment": base},
        ),
        "commitment-identity": (
            "encoding.identity",
            {"kind": "membership", "roll": [public, base], "commitment": bytes(32)},
        ),
        "commitment-short": (
            "encoding.length",
            {"kind": "membership", "roll": [public, base], "commitment": base[:31]},
        ),
    }
    for name, (code, table) in refused.items():
        book.bad(f"statement-{name}", code, "sigma.instance", statements=[table])
    book.bad("statement-none", "proof.statement", "sigma.instance", statements=[])
