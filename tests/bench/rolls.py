"""The membership proof alone, for rolls of several sizes."""

from __future__ import annotations

from tests.bench.machine import Step, measure

from notalone_crypto.primitives import membership, sigma
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR
from notalone_crypto.randomness import SeededStream, random_scalar

BATCH = 10


def steps(size: int) -> list[Step]:
    """Prove, verify alone, verify among ten over the same roll."""
    stream = SeededStream(b"roll")
    entries = tuple(RISTRETTO255.base_multiply(random_scalar(stream)) for _ in range(size))
    roll = membership.Roll(entries)
    items: list[sigma.ProofItem] = []
    for number in range(BATCH):
        blind = random_scalar(stream)
        moved = RISTRETTO255.add(entries[number], RISTRETTO255.multiply(blind, BLINDING_GENERATOR))
        statement = membership.Membership(roll, moved)
        proof = sigma.prove(b"bench", [statement], [[number, blind]], stream)
        items.append((b"bench", [statement], proof))
    return [
        measure(f"roll of {size}: prove", "client", lambda: _prove(items, stream, blind)),
        measure(f"roll of {size}: verify", "trustee", lambda: sigma.verify_batch(items[:1])),
        measure(
            f"roll of {size}: verify among {BATCH}", "trustee", lambda: sigma.verify_batch(items), share=BATCH
        ),
    ]


def _prove(items: list[sigma.ProofItem], stream: SeededStream, blind: int) -> None:
    """The last item again: its blind is the one at hand."""
    session, statements, _ = items[-1]
    sigma.prove(session, statements, [[BATCH - 1, blind]], stream)
