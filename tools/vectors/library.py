"""All books of vectors, and the frozen one.

Owns which files there are and how HPKE's ciphertexts are frozen. Refuses to
know paths: the generator writes, the tests read.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.vectors import (
    cases_committee,
    cases_contact,
    cases_filing,
    cases_intake,
    cases_log,
    cases_primitives,
    cases_proofs,
    cases_rounds,
    cases_sealing,
    cases_wire,
    op_committee,
    op_contact,
    op_evaluation,
    op_filing,
    op_intake,
    op_log,
    op_primitives,
    op_proofs,
    op_release,
    op_sealing,
    op_wire,
)
from tools.vectors.book import Book
from tools.vectors.deployment import Deployment, Evaluation

from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives import hpke, padding
from notalone_crypto.protocol import accept, ceremony, release, withdraw
from notalone_crypto.protocol.file import encode_share
from notalone_crypto.randomness import SeededStream

OPERATION_MODULES = (
    op_primitives,
    op_proofs,
    op_sealing,
    op_log,
    op_wire,
    op_committee,
    op_filing,
    op_evaluation,
    op_release,
    op_intake,
    op_contact,
)
FROZEN = "hpke_frozen"


def books() -> Iterator[Book]:
    """Every generated file, in the order of the layers."""
    yield cases_primitives.group()
    yield cases_primitives.hashing()
    yield cases_primitives.commitments()
    yield cases_primitives.subset_values()
    yield cases_proofs.transcripts()
    yield cases_proofs.proofs()
    yield cases_sealing.sealing()
    yield cases_sealing.kem()
    yield cases_sealing.keys_and_signatures()
    yield cases_log.tree()
    yield cases_log.checkpoints()
    world, large = small_world(), Deployment(b"vectors/large", 5, 3, (2, 3, 4), (1,))
    done, done_large = cases_rounds.honest_batch(world), cases_rounds.honest_batch(large)
    yield from cases_wire.wire_books(
        _examples(world, done), {**cases_committee.rules(world), **cases_contact.rules()}
    )
    yield cases_committee.committee(world, large)
    yield cases_filing.roll(world)
    yield cases_filing.filing("3_2", world)
    yield cases_filing.filing("5_3", large)
    yield cases_rounds.rounds("3_2", world, done)
    yield cases_rounds.rounds("5_3", large, done_large)
    yield cases_rounds.finder(large)
    yield cases_rounds.release(world, done)
    yield cases_intake.bad_input(world)
    yield cases_contact.contact(world)


def small_world() -> Deployment:
    """Three trustees, m = 2."""
    return Deployment(b"vectors/world")


def freeze() -> Book:
    """New HPKE ciphertexts: different bytes each time, so made once and kept."""
    book = Book(FROZEN, "HPKE ciphertexts, made once and only opened since: the library draws its own keys.")
    stream = SeededStream(b"vectors/hpke")
    key, other = hpke.generate_key(stream), hpke.generate_key(stream)
    for length in (0, 1, 200):
        plaintext = stream(length)
        sealed = hpke.seal(key.public, b"context", plaintext)
        made = book.good(f"open-{length}", "hpke.open", secret=key.secret, context=b"context", sealed=sealed)
        if made["plaintext"] != plaintext.hex():
            raise ValueError("HPKE opened to something else")
    sealed = hpke.seal(key.public, b"context", b"words")
    flip = cases_sealing.flip
    for name, secret, context, changed in (
        ("other-key", other.secret, b"context", sealed),
        ("other-context", key.secret, b"other", sealed),
        ("enc", key.secret, b"context", flip(sealed, 0)),
        ("enc-high-bit", key.secret, b"context", sealed[:31] + bytes([sealed[31] | 0x80]) + sealed[32:]),
        ("enc-zero", key.secret, b"context", bytes(32) + sealed[32:]),
        ("ciphertext", key.secret, b"context", flip(sealed, 33)),
        ("tag", key.secret, b"context", flip(sealed, len(sealed) - 1)),
        ("short", key.secret, b"context", sealed[:-1]),
        ("long", key.secret, b"context", sealed + b"\x00"),
        ("enc-only", key.secret, b"context", sealed[:32]),
        ("empty", key.secret, b"context", b""),
    ):
        book.bad(
            f"open-{name}", "seal.decryption", "hpke.open", secret=secret, context=context, sealed=changed
        )
    _freeze_blobs(book)
    return book


def _freeze_blobs(book: Book) -> None:
    world = small_world()
    done = cases_rounds.honest_batch(world)
    scope, (first, second) = world.policy.scope, done.filings[:2]
    context = release.blob_context(world.committee, scope)
    due = release.Release(second.owner.recipient_key.public, first.header.entry, 1, release.NO_GROUP, ())
    blobs = []
    for index, secrets in world.secrets.items():
        share = done.own[index][0].shares.contents[0]
        item = release.make_item(secrets, due, done.public[0], share, scope=scope, batch=1)
        padded = padding.pad(item.encode(), release.BLOB_PLAINTEXT_LENGTH)
        blobs.append(book.share(f"blob_{index}", hpke.seal(due.recipient, context, padded)))
    signed = book.share("manifest", world.signed.encode())
    for name, owner, chosen in (
        ("recipient", second.owner, blobs),
        ("recipient-two", second.owner, blobs[1:]),
        ("recipient-one", second.owner, blobs[:1]),
        ("stranger", first.owner, blobs),
    ):
        book.good(f"blobs-{name}", "release.try_blobs", signed_manifest=signed, scope=scope,
                  secret=owner.recipient_key.secret, blobs=chosen)  # fmt: skip


def _examples(world: Deployment, done: Evaluation) -> dict[str, Message]:
    """Messages as the deployment makes them; those without rules across fields may be left out."""
    sealed, secrets = done.filings[0], world.secrets[1]
    shares = done.own[1][0].shares
    content = op_wire.MESSAGES["BundleContent"](
        *(
            tuple(encode_share(one) for one in group)
            for group in (shares.identifiers, shares.inverses, shares.contents)
        )
    )
    due = release.Release(
        sealed.header.desk_key, sealed.header.entry, 1, bytes([7]) * 32, done.plan.entries[:2]
    )
    item = release.make_item(
        secrets, due, done.public[0], shares.contents[0], scope=world.policy.scope, batch=1
    )
    complaint = accept.complain(
        world.committee, secrets, sealed.filing, sealed.header, world.stream("example")
    )
    dispute = ceremony.complain(
        world.parameters, world.keys[0], 1, world.dealings[1], world.stream("dispute")
    )
    found: list[Message] = [
        world.parameters,
        world.public[0],
        world.dealings[0],
        dispute,
        world.hashes[0],
        world.manifest,
        world.signed,
        *world.policy.organisations,
        *world.policy.desks,
        world.policy,
        world.enrolments[0],
        world.roll[0],
        world.snapshot,
        sealed.header,
        sealed.filing,
        content,
        done.acceptances[0][0],
        complaint,
        withdraw.withdraw(sealed.header.entry, sealed.owner.signing_key),
        done.plan,
        done.first[1],
        done.second[1],
        item,
        *cases_contact.example(),
    ]
    return {type(one).__name__: one for one in found}
