"""Cases for bad input: filings, acceptances, complaints, withdrawals and plans that a trustee refuses.

Owns one message for each refusal, wrong in that one respect only and otherwise
rightly signed. Refuses to know how a refusal leaves the state as it was: the
operation checks that (op_intake).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tools.vectors.book import Book
from tools.vectors.cases_filing import BOB
from tools.vectors.cases_sealing import flip
from tools.vectors.deployment import NOW, Deployment
from tools.vectors.op_committee import trustee_table
from tools.vectors.op_intake import with_edits
from tools.vectors.op_wire import splice_between
from tools.vectors.registry import Table

from notalone_crypto.messages.filing import Acceptance, Filing, Header
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.protocol import accept, file, withdraw
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.suite import SIGNATURE_LENGTH, Tag

VOTER = 1  # the trustee under test


@dataclass(slots=True)
class Maker:
    """An honest filing and copies of it with one change each."""

    world: Deployment
    sealed: file.SealedReport

    def header(self, **changes: Any) -> bytes:  # noqa: ANN401 - fields of any kind
        """The filing with another header, signed by its owner again."""
        header: Header = replace(self.sealed.header, **changes)
        return self.filing(header=header.encode())

    def filing(self, **changes: Any) -> bytes:  # noqa: ANN401 - fields of any kind
        """The filing with other fields, signed by its owner again."""
        changed: Filing = replace(self.sealed.filing, **changes)
        return file.sign_filing(changed, self.sealed.owner.signing_key).encode()


def bad_input(world: Deployment) -> Book:
    """One case for each way to be refused; each leaves the state as it was."""
    book = Book("bad_input", "Messages a trustee refuses, each with its code; a refusal changes no state.")
    slot = world.slots[0]
    make = Maker(world, world.seal(3, world.report({slot: BOB}), "intake"))
    later = world.take_snapshot(2, NOW - 500)
    view = {
        "signed_manifest": world.signed.encode(), "policy": world.policy.encode(),
        "snapshots": [world.snapshot.encode()], "newest": [world.snapshot.encode()], "now": NOW,
    }  # fmt: skip
    common: Table = {
        "view": book.share("view", view),
        "trustee": book.share("trustee", trustee_table(world.secrets[VOTER])),
        "before": [],
        "gone": [],
        "seed": b"intake",
    }
    good = book.share("filing", make.sealed.filing.encode())
    book.good("accepted", "intake.filing", data=good, **common)
    book.good("repeated", "intake.filing", data=good, **{**common, "before": [good]})
    book.good(
        "complained-of",
        "intake.filing",
        **common,
        data=make.filing(bundles=(flip(make.sealed.filing.bundles[0], 90), *make.sealed.filing.bundles[1:])),
    )
    for name, (code, data) in {**_contexts(make), **_shapes(make)}.items():
        book.bad(
            name, code, "intake.filing", data=good, edits=_edits(make.sealed.filing.encode(), data), **common
        )
    _states(book, make, common, good)
    old = {**view, "snapshots": [world.snapshot.encode(), later.encode()], "newest": [later.encode()]}
    book.bad("snapshot-replaced", "context.snapshot", "intake.filing", data=good, **{**common, "view": old})
    _others(book, make, common, good)
    _plans(book, make, common, good)
    return book


def _edits(old: bytes, new: bytes) -> list[Table]:
    """The signature at the end, then the rest: re-signed variants differ in little else."""
    tail = splice_between(old[-SIGNATURE_LENGTH:], new[-SIGNATURE_LENGTH:])
    tail["at"] += len(old) - SIGNATURE_LENGTH
    head = splice_between(old[:-SIGNATURE_LENGTH], new[:-SIGNATURE_LENGTH])
    edits = [tail, head]
    if with_edits(old, edits) != new:
        raise ValueError("the edits do not give the changed filing")
    return edits


def _contexts(make: Maker) -> dict[str, tuple[str, bytes]]:
    world, slot = make.world, make.world.slots[0]
    other_policy = replace(world.policy, maximum_weeks=60)

    def whole(purpose: str, weeks: int = 52, **options: Any) -> bytes:  # noqa: ANN401 - options of `seal`
        return world.seal(3, world.report({slot: BOB}, weeks=weeks), purpose, **options).filing.encode()

    def aged(purpose: str, weeks: int) -> bytes:
        """Her own signature on an expiry that her client would not have sealed."""
        sealed = world.seal(3, world.report({slot: BOB}), purpose)
        header = replace(sealed.header, expiry_week=withdraw.week_of(NOW) + weeks)
        changed = replace(sealed.filing, header=header.encode())
        return file.sign_filing(changed, sealed.owner.signing_key).encode()

    return {
        "wrong-committee": ("context.committee", make.header(committee=bytes(32))),
        "wrong-generation": ("context.generation", make.header(generation=world.manifest.generation + 1)),
        "wrong-scope": ("context.scope", make.header(scope=bytes(32))),
        "wrong-policy": ("context.policy", whole("policy", policy=other_policy)),
        "wrong-mode": ("context.policy", make.header(release_mode=3)),
        "wrong-preconsent": ("context.policy", make.header(preconsent=2)),
        "wrong-desk": ("context.policy", make.header(desk_key=bytes(32))),
        "wrong-snapshot": ("context.snapshot", whole("snapshot", snapshot=world.take_snapshot(7))),
        "wrong-period": ("context.period", whole("period", period=world.period + 1)),
        "quota-place": ("context.period", make.header(quota_index=world.policy.quota)),
        "expired": ("context.expired", aged("expired", -1)),
        "expiry-too-far": ("context.expiry", aged("expiry", world.policy.maximum_weeks + 1)),
    }


def _shapes(make: Maker) -> dict[str, tuple[str, bytes]]:
    filing, header = make.sealed.filing, make.sealed.header
    bundles, rows = filing.bundles, header.identifier_commitments
    other = RISTRETTO255.generator
    response = filing.proof[:-32] + bytes(32)
    return {
        "bundle-missing": ("encoding.length", make.filing(bundles=bundles[:-1])),
        "bundle-extra": ("encoding.length", make.filing(bundles=(*bundles, bundles[0]))),
        "bundle-short": ("encoding.length", make.filing(bundles=(bundles[0][:-1], *bundles[1:]))),
        "bundle-long": ("encoding.length", make.filing(bundles=(*bundles[:-1], bundles[-1] + b"\x00"))),
        "rows-missing": ("share.commitment_length", make.header(identifier_commitments=rows[:-1])),
        "degree-high": (
            "share.commitment_length",
            make.header(identifier_commitments=((*rows[0], other), *rows[1:])),
        ),
        "degree-low": ("share.commitment_length", make.header(content_commitments=((other,), (other,)))),
        "introduction": (
            "signature.invalid",
            make.filing(first_introduction=flip(filing.first_introduction, 50)),
        ),
        "bad-signature": ("signature.invalid", replace(filing, signature=flip(filing.signature, 7)).encode()),
        "stranger-signature": (
            "signature.invalid",
            file.sign_filing(filing, make.world.secrets[VOTER].signing_key).encode(),
        ),
        "bad-proof": ("proof.invalid", make.filing(proof=response)),
        "short-proof": ("encoding.truncated", make.filing(proof=filing.proof[:-1])),
        "long-proof": ("encoding.trailing", make.filing(proof=filing.proof + b"\x00")),
        "another-enc": ("proof.invalid", make.header(enc=other)),
        "another-tag": ("proof.invalid", make.header(quota_tag=other)),
        "another-member": ("proof.invalid", make.header(member=other)),
        "truncated-header": ("encoding.truncated", make.filing(header=filing.header[:-1])),
        "trailing-header": ("encoding.trailing", make.filing(header=filing.header + b"\x00")),
        "truncated": ("encoding.truncated", filing.encode()[:-1]),
        "trailing": ("encoding.trailing", filing.encode() + b"\x00"),
        "unknown-version": ("encoding.version", b"\x00\x02" + filing.encode()[2:]),
        "identity-tag": ("encoding.identity", _with_tag(make, bytes(32))),
        "twin-tag": (
            "encoding.non_canonical",
            _with_tag(make, header.quota_tag[:31] + bytes([header.quota_tag[31] | 0x80])),
        ),
    }


def _with_tag(make: Maker, tag: bytes) -> bytes:
    raw = make.sealed.filing.header
    return make.filing(header=raw.replace(make.sealed.header.quota_tag, tag))


def _states(book: Book, make: Maker, common: Table, good: str) -> None:
    world, report = make.world, make.world.report({make.world.slots[0]: BOB})
    # The same stream gives another member the same enc.
    copied = world.seal(4, report, "intake")
    if copied.header.enc != make.sealed.header.enc or copied.header.quota_tag == make.sealed.header.quota_tag:
        raise ValueError("the copied enc is not one")
    tags = file.own_tags(world.committee, world.policy, world.people[3], world.period)
    spent = frozenset(tag for tag in tags if tag != make.sealed.header.quota_tag)
    again = world.seal(3, report, "again", spent=spent)
    after = {**common, "before": [good]}
    book.bad("enc-reused", "state.enc_reused", "intake.filing", data=copied.filing.encode(), **after)
    book.bad("tag-spent", "state.tag_spent", "intake.filing", data=again.filing.encode(), **after)
    book.bad("already-held", "state.duplicate", "intake.filing",
             data=make.filing(proof=make.sealed.filing.proof[:-32] + bytes(32)), **after)  # fmt: skip
    book.bad("gone", "state.duplicate", "intake.filing", data=good,
             **{**common, "gone": [make.sealed.header.entry]})  # fmt: skip


def _others(book: Book, make: Maker, common: Table, good: str) -> None:
    """Acceptances, complaints and withdrawals."""
    world, sealed = make.world, make.sealed
    word, after = _acceptance(make, 2), {**common, "before": [good]}
    key = world.secrets[2].signing_key
    book.good("acceptance", "intake.acceptance", data=[word.encode()], **after)
    rows = word.subset_commitments
    other_row = ((RISTRETTO255.generator, *rows[0][1:]), *rows[1:])

    def signed(message: Acceptance) -> bytes:
        return sign_message(message, key, Tag.ACCEPT).encode()

    for name, code, data in (
        ("signature", "signature.invalid", [replace(word, signature=flip(word.signature, 0)).encode()]),
        ("generation", "context.generation", [signed(replace(word, generation=9))]),
        ("other-filing", "log.fork", [signed(replace(word, filing=bytes(32)))]),
        ("unknown-entry", "state.unknown_entry", [signed(replace(word, entry=bytes(32)))]),
        ("rows", "share.commitment_length", [signed(replace(word, subset_commitments=rows[:1]))]),
        ("nobody", "context.committee", [replace(word, trustee=9).encode()]),
        (
            "equivocation",
            "state.equivocation",
            [word.encode(), signed(replace(word, subset_commitments=other_row))],
        ),
    ):
        book.bad(f"acceptance-{name}", code, "intake.acceptance", data=data, **after)
    spoiled = make.filing(
        bundles=(sealed.filing.bundles[0], flip(sealed.filing.bundles[1], 90), sealed.filing.bundles[2])
    )
    true = accept.complain(
        world.committee, world.secrets[2], Filing.decode(spoiled), sealed.header, world.stream("true")
    )
    book.good("complaint-true", "intake.complaint", filing_data=spoiled, data=true.encode(),
              **{**common, "before": [spoiled]})  # fmt: skip
    lie = accept.complain(
        world.committee, world.secrets[2], sealed.filing, sealed.header, world.stream("lie")
    )
    inputs = {"filing_data": good, "data": lie.encode()}
    book.bad("complaint-false", "ceremony.complaint", "intake.complaint", **inputs, **after)
    own = accept.complain(
        world.committee, world.secrets[VOTER], sealed.filing, sealed.header, world.stream("own")
    )
    book.bad("complaint-after-acceptance", "state.out_of_order", "intake.complaint",
             filing_data=good, data=own.encode(), **after)  # fmt: skip
    elsewhere = replace(lie, entry=bytes(32)).encode()
    book.bad("complaint-elsewhere", "state.unknown_entry", "intake.complaint",
             filing_data=good, data=elsewhere, **after)  # fmt: skip
    mine = withdraw.withdraw(sealed.header.entry, sealed.owner.signing_key)
    book.good("withdrawal", "intake.withdrawal", data=mine.encode(), **after)
    book.bad("withdrawal-signature", "signature.invalid", "intake.withdrawal",
             data=replace(mine, signature=flip(mine.signature, 1)).encode(), **after)  # fmt: skip
    book.bad("withdrawal-unknown", "state.unknown_entry", "intake.withdrawal", data=mine.encode(), **common)


def _plans(book: Book, make: Maker, common: Table, good: str) -> None:
    world = make.world
    plan = world.plan([make.sealed])
    words = [_acceptance(make, index).encode() for index in (2, 3)]
    ready = {**common, "before": [good], "acceptances": words}
    book.good("plan", "intake.plan", data=plan.encode(), **ready)
    for name, code, changed in (
        ("committee", "context.committee", replace(plan, committee=bytes(32))),
        ("generation", "context.committee", replace(plan, generation=5)),
        ("number", "state.rollback", replace(plan, number=2)),
        ("previous", "state.rollback", replace(plan, previous=b"\x01" * 32)),
        ("clock", "context.period", replace(plan, opened_at=NOW + 3600)),
        ("evaluators-few", "ceremony.parameters", replace(plan, evaluators=(1, 2))),
        ("evaluators-order", "ceremony.parameters", replace(plan, evaluators=(2, 1, 3))),
        ("evaluators-strangers", "ceremony.parameters", replace(plan, evaluators=(1, 2, 4))),
        ("entry-twice", "state.duplicate", replace(plan, entries=plan.entries * 2)),
        ("entry-unknown", "state.unknown_entry", replace(plan, entries=(bytes(32),))),
        ("withdrawn", "state.unknown_entry", replace(plan, withdrawn=(bytes(32),))),
        ("expired", "context.expired", replace(plan, expired=plan.entries, entries=())),
        ("epoch", "state.out_of_order", replace(plan, epoch=1)),
    ):
        book.bad(f"plan-{name}", code, "intake.plan", data=changed.encode(), **ready)
    book.bad("plan-not-everybody", "state.unknown_entry", "intake.plan", data=plan.encode(),
             **{**ready, "acceptances": words[:1]})  # fmt: skip


def _acceptance(make: Maker, index: int) -> Acceptance:
    world = make.world
    return accept.accept(
        world.committee, world.policy, world.secrets[index], make.sealed.filing, make.sealed.header
    )
