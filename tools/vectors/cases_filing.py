"""Cases for roll, filing, acceptance and withdrawal.

Owns which members, reports and bad shares there are. Refuses to know the
refusals of a trustee's intake (cases_intake).
"""

from __future__ import annotations

from dataclasses import replace

from tools.vectors.book import Book
from tools.vectors.cases_sealing import flip
from tools.vectors.deployment import INSTANCE, NOW, Deployment
from tools.vectors.op_committee import trustee_table
from tools.vectors.registry import Table, scalar_bytes

from notalone_crypto.primitives import pedersen
from notalone_crypto.protocol import file, withdraw
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.suite import Tag

BOB, EVE = b"canonical bob", b"canonical eve"


def member_table(world: Deployment, who: int) -> Table:
    """A member as the operations take it."""
    return {"phrase": world.phrases[who], "issuer_key": world.issuer.verify_key}


def report_table(report: file.Report) -> Table:
    """A report as the operations take it."""
    return {
        "identifiers": {str(slot): one for slot, one in report.identifiers.items()},
        "threshold": report.threshold,
        "release_mode": int(report.release_mode),
        "preconsent": report.preconsent,
        "desk_key": report.desk_key,
        "expiry_week": report.expiry_week,
        "alias": report.alias,
        "second_introduction": report.second_introduction,
    }


def roll(world: Deployment) -> Book:
    """Members, enrolment, snapshots."""
    book = Book("roll", "Members from phrases, enrolment, snapshots of the roll.")
    key, issuer_seed = world.issuer.verify_key, world.issuer.seed
    for who in range(3):
        book.good(
            f"member-{who}", "roll.member", phrase=world.phrases[who], instance=INSTANCE, issuer_key=key
        )
    book.good("member-elsewhere", "roll.member", phrase=world.phrases[0], instance="another", issuer_key=key)
    book.good("member-second-organisation", "roll.member", phrase=world.phrases[0], instance=INSTANCE,
              issuer_key=bytes(32))  # fmt: skip
    for length in (0, 15, 17, 32):
        book.bad(f"member-phrase-{length}", "encoding.length", "roll.member", phrase=bytes(length),
                 instance=INSTANCE, issuer_key=key)  # fmt: skip
    made = book.good(
        "enrol", "roll.enrol", phrase=world.phrases[1], instance=INSTANCE, issuer_key=key, seed=b"e"
    )
    inputs = {"instance": INSTANCE, "issuer_seed": issuer_seed, "eligible_from": 5}
    first = world.roll[0].encode()
    book.good("accept", "roll.accept_enrolment", enrolment=made["enrolment"], roll_entries=[first], **inputs)
    book.bad("accept-twice", "roll.duplicate", "roll.accept_enrolment", enrolment=made["enrolment"],
             roll_entries=[first, world.roll[1].encode()], **inputs)  # fmt: skip
    for name, change in (("instance", {"instance": "another"}), ("issuer", {"issuer_seed": bytes(32)})):
        book.bad(
            f"accept-other-{name}",
            "proof.invalid",
            "roll.accept_enrolment",
            enrolment=made["enrolment"],
            roll_entries=[],
            **{**inputs, **change},
        )
    entries = [book.share(f"entry_{one.number}", one.encode()) for one in world.roll]
    common = {
        "issuer_seed": issuer_seed,
        "scope": world.policy.scope,
        "number": 1,
        "now": NOW,
        "declared": 40,
    }
    shots = book.good("snapshot", "roll.take_snapshots", roll_entries=entries, closed=[], **common)[
        "snapshots"
    ]
    if shots != [world.snapshot.encode().hex()]:
        raise ValueError("the snapshot is not the deployment's")
    shot = book.share("snapshot", shots[0])
    book.good("snapshot-closed", "roll.take_snapshots", roll_entries=entries, closed=[0, 5], **common)
    book.good(
        "snapshot-early", "roll.take_snapshots", roll_entries=entries[:3], closed=[], **{**common, "now": 1}
    )
    check = {"scope": world.policy.scope, "issuer_keys": [key]}
    book.good("check", "roll.check_snapshot", snapshot=shot, **check)
    small = world.take_snapshot(2, places=31)
    twice = sign_message(
        replace(world.snapshot, places=(*world.snapshot.places, world.snapshot.places[0])),
        world.issuer,
        Tag.ROLL_SNAPSHOT,
    )
    forged = replace(world.snapshot, signature=flip(world.snapshot.signature, 0))
    for name, code, change in (
        ("small", "roll.too_small", {"snapshot": small.encode()}),
        ("duplicate", "roll.duplicate", {"snapshot": twice.encode()}),
        ("forged", "signature.invalid", {"snapshot": forged.encode()}),
        ("scope", "context.snapshot", {"scope": bytes(32)}),
        ("issuer", "context.snapshot", {"issuer_keys": [bytes(32)]}),
    ):
        book.bad(f"check-{name}", code, "roll.check_snapshot", **{"snapshot": shot, **check, **change})
    later = book.share("later", world.take_snapshot(2, NOW + 10).encode())
    for name, now, newest in (("newest", NOW, shot), ("grace", NOW + 130, later), ("late", NOW + 131, later)):
        book.good(f"current-{name}", "roll.is_current", snapshot=shot, newest=newest, now=now)
    return book


def filing(name: str, world: Deployment) -> Book:
    """Filings with their seeds, and everything derived on the way."""
    book = Book(
        f"filing_{name}", f"Filing and acceptance with {world.count} trustees, m = {world.threshold}."
    )
    signed = book.share("manifest", world.signed.encode())
    policy = book.share("policy", world.policy.encode())
    snapshot = book.share("snapshot", world.snapshot.encode())
    common: Table = {"signed_manifest": signed, "policy": policy}
    member = member_table(world, 3)
    tags = book.good("tags", "filing.quota_tags", member=member, period=world.period, **common)["tags"]
    book.good("tags-next-period", "filing.quota_tags", member=member, period=world.period + 1, **common)
    owner = book.good("owner", "filing.owner_keys", signed_manifest=signed, member=member, quota_tag=tags[0])
    reports = {
        "two": world.report({world.slots[0]: BOB}),
        "three": world.report({world.slots[0]: BOB}, 3),
        "two-slots": world.report({slot: BOB + bytes([slot]) for slot in world.slots}, preconsent=True),
    }
    for kind, report in reports.items():
        book.good(
            f"scalars-{kind}",
            "filing.identifier_scalars",
            member=member,
            report=report_table(report),
            **common,
        )
    sealing: Table = {
        **common,
        "snapshot": snapshot,
        "member": member,
        "period": world.period,
        "spent_tags": [],
        "seed": b"seal",
    }
    for kind, report in reports.items():
        book.good(f"seal-{kind}", "filing.seal", report=report_table(report), **sealing)
    report = report_table(reports["two"])
    book.good("seal-last-place", "filing.seal", report=report, **{**sealing, "spent_tags": tags[1:]})
    small = world.take_snapshot(2, places=31).encode()
    outsider = {"phrase": bytes(16), "issuer_key": world.issuer.verify_key}
    for kind, code, change in (
        ("quota", "state.quota", {"spent_tags": tags}),
        ("small-roll", "roll.too_small", {"snapshot": small}),
        ("outsider", "roll.not_eligible", {"member": outsider}),
        ("no-slot", "context.policy", {"report": {**report, "identifiers": {}}}),
        ("other-slot", "context.policy", {"report": {**report, "identifiers": {"9": BOB}}}),
        ("threshold", "context.policy", {"report": {**report, "threshold": 5}}),
        ("desk", "context.policy", {"report": {**report, "desk_key": bytes(32)}}),
    ):
        book.bad(f"seal-{kind}", code, "filing.seal", **{**sealing, "report": report, **change})
    _accepted(book, world, common, owner)
    return book


def _accepted(book: Book, world: Deployment, common: Table, owner: Table) -> None:
    sealed = world.seal(3, world.report({world.slots[0]: BOB}), "filing")
    data = book.share("filing", sealed.filing.encode())
    header = book.share("header", sealed.header.encode())
    book.good(
        "statement", "filing.statement", signed_manifest="$manifest", snapshot="$snapshot", header=header
    )
    words, openings = [], []
    for index, secrets in world.secrets.items():
        trustee = book.share(f"trustee_{index}", trustee_table(secrets))
        opened = book.good(
            f"open-{index}", "accept.open_bundle", signed_manifest="$manifest", trustee=trustee, filing=data
        )
        openings.append(opened["contents"])
        made = book.good(f"accept-{index}", "accept.accept", trustee=trustee, filing=data, **common)
        words.append(book.share(f"acceptance_{index}", made["acceptance"]))
        book.good(f"check-acceptance-{index}", "accept.check_acceptance", acceptance=made["acceptance"],
                  fingerprint=sealed.filing.fingerprint, **common)  # fmt: skip
        book.good(f"entry-secrets-{index}", "entries.secrets", trustee=trustee, filing=data, **common)
    book.bad("check-acceptance-fork", "log.fork", "accept.check_acceptance", acceptance=words[0],
             fingerprint=bytes(32), **common)  # fmt: skip
    book.good("agree", "entries.agree", signed_manifest="$manifest", acceptances=words)
    for which, texts in ((1, sealed.filing.first_introduction), (2, sealed.filing.second_introduction)):
        shares = {
            one[which - 1]["index"]: int.from_bytes(bytes.fromhex(one[which - 1]["value"]), "little")
            for one in openings
        }
        scalar = scalar_bytes(pedersen.interpolate(shares, world.threshold))
        book.good(f"content-key-{which}", "filing.content_key", scalar=scalar)
        opening: Table = {
            "signed_manifest": "$manifest", "scope": world.policy.scope, "quota_tag": sealed.header.quota_tag,
            "which": which, "scalar": scalar, "sealed": texts,
        }  # fmt: skip
        book.good(f"introduction-{which}", "filing.open_introduction", **opening)
        book.bad(f"introduction-{which}-as-other", "seal.decryption", "filing.open_introduction",
                 **{**opening, "which": 3 - which})  # fmt: skip
    _complaints(book, sealed)
    entry = sealed.header.entry
    mine = book.good("withdraw", "withdraw.sign", entry=entry, owner_seed=sealed.owner.signing_key.seed)
    book.good("withdraw-check", "withdraw.check", withdrawal=mine["withdrawal"], header=header)
    theirs = withdraw.withdraw(entry, file.owner_keys(world.people[4], bytes(32)).signing_key)
    book.bad(
        "withdraw-stranger", "signature.invalid", "withdraw.check", withdrawal=theirs.encode(), header=header
    )
    for now in (0, 604_799, 604_800, NOW):
        book.good(f"calendar-{now}", "withdraw.calendar", now=now, period_days=365)
    if owner["verify_key"] == sealed.header.owner_key.hex():
        raise ValueError("two quota places have one owner key")


def _complaints(book: Book, sealed: file.SealedReport) -> None:
    spoiled = replace(sealed.filing, bundles=(flip(sealed.filing.bundles[0], 90), *sealed.filing.bundles[1:]))
    bad = book.share("bad_filing", file.sign_filing(spoiled, sealed.owner.signing_key).encode())
    common: Table = {"signed_manifest": "$manifest"}
    book.bad("open-bad", "seal.decryption", "accept.open_bundle", trustee="$trustee_1", filing=bad, **common)
    for kind, trustee, filing_name, culprits in (
        ("true", "$trustee_1", bad, []),
        ("false", "$trustee_2", bad, [2]),
        ("false-good", "$trustee_1", "$filing", [1]),
    ):
        made = book.good(f"complain-{kind}", "accept.complain", trustee=trustee, filing=filing_name,
                         seed=kind.encode(), **common)  # fmt: skip
        verdict = book.good(
            f"judge-{kind}", "accept.judge", filing=filing_name, complaint=made["complaint"], **common
        )
        if verdict["culprits"] != culprits:
            raise ValueError("a wrong verdict on a complaint")
