"""Operations on the roll and on filings: what a reporter's device and an issuer do.

Owns the JSON form of a member and a report. Refuses to know which cases exist.

A member is `{"phrase": 16 bytes, "issuer_key": 32 bytes}`; a report
`{"identifiers": {slot: bytes}, "threshold", "release_mode", "preconsent",
"desk_key", "expiry_week", "alias", "second_introduction"}`.
"""

from __future__ import annotations

from tools.vectors.op_committee import committee_of
from tools.vectors.registry import Scalar, Table, operation, scalar_bytes

from notalone_crypto.messages.committee import ReleaseMode, ScopePolicy
from notalone_crypto.messages.filing import Header, Withdrawal
from notalone_crypto.messages.roll import Enrolment, RollEntry, RollSnapshot
from notalone_crypto.primitives import sigma, signing
from notalone_crypto.primitives.membership import Roll
from notalone_crypto.protocol import file, roll, statement, withdraw
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.randomness import SeededStream


def member_from(committee: Committee, table: Table) -> roll.Member:
    """A member from JSON."""
    phrase, issuer_key = bytes.fromhex(table["phrase"]), bytes.fromhex(table["issuer_key"])
    return roll.member_from_phrase(phrase, committee.manifest.parameters.instance, issuer_key)


def report_from(table: Table) -> file.Report:
    """A report from JSON."""
    return file.Report(
        {int(slot): bytes.fromhex(one) for slot, one in table["identifiers"].items()},
        table["threshold"],
        ReleaseMode(table["release_mode"]),
        table["preconsent"],
        bytes.fromhex(table["desk_key"]),
        table["expiry_week"],
        table["alias"],
        bytes.fromhex(table["second_introduction"]),
    )


@operation("roll.member")
def member(phrase: bytes, instance: str, issuer_key: bytes) -> Table:
    """The member behind the 16 bytes of a phrase."""
    made = roll.member_from_phrase(phrase, instance, issuer_key)
    return {
        "secret": scalar_bytes(made.secret),
        "blind": scalar_bytes(made.blind),
        "phrase_key": made.phrase_key,
        "place": made.place,
    }


@operation("roll.enrol")
def enrol(phrase: bytes, instance: str, issuer_key: bytes, seed: bytes) -> Table:
    """A request for a place."""
    made = roll.member_from_phrase(phrase, instance, issuer_key)
    return {"enrolment": roll.enrol(made, instance, issuer_key, SeededStream(seed)).encode()}


@operation("roll.accept_enrolment")
def accept_enrolment(
    enrolment: bytes, instance: str, issuer_seed: bytes, roll_entries: list[bytes], eligible_from: int
) -> Table:
    """The issuer's signed entry."""
    entry = roll.accept_enrolment(
        Enrolment.decode(enrolment),
        instance,
        signing.SigningKey(issuer_seed),
        [RollEntry.decode(one) for one in roll_entries],
        eligible_from=eligible_from,
    )
    return {"entry": entry.encode()}


@operation("roll.take_snapshots")
def take_snapshots(
    roll_entries: list[bytes],
    closed: list[int],
    issuer_seed: bytes,
    scope: bytes,
    number: int,
    now: int,
    declared: int,
) -> Table:
    """Signed snapshots, one for each cohort."""
    made = roll.take_snapshots(
        [RollEntry.decode(one) for one in roll_entries],
        frozenset(closed),
        signing.SigningKey(issuer_seed),
        scope=scope,
        number=number,
        now=now,
        declared=declared,
    )
    return {
        "snapshots": [one.encode() for one in made],
        "fingerprints": [one.fingerprint for one in made],
    }


@operation("roll.check_snapshot")
def check_snapshot(snapshot: bytes, scope: bytes, issuer_keys: list[bytes]) -> Table:
    """What client and trustee check of a snapshot."""
    roll.check_snapshot(RollSnapshot.decode(snapshot), scope=scope, issuer_keys=issuer_keys)
    return {"valid": True}


@operation("roll.is_current")
def is_current(snapshot: bytes, newest: bytes, now: int) -> Table:
    """Whether a snapshot may still be used."""
    return {"current": roll.is_current(RollSnapshot.decode(snapshot), RollSnapshot.decode(newest), now)}


@operation("filing.quota_tags")
def quota_tags(signed_manifest: bytes, policy: bytes, member: Table, period: int) -> Table:
    """All of a member's tags of a period, in order of their index."""
    committee = committee_of(signed_manifest)
    tags = file.own_tags(committee, ScopePolicy.decode(policy), member_from(committee, member), period)
    return {"tags": tags}


@operation("filing.owner_keys")
def owner_keys(signed_manifest: bytes, member: Table, quota_tag: bytes) -> Table:
    """The keys of the filing with this tag."""
    owner = file.owner_keys(member_from(committee_of(signed_manifest), member), quota_tag)
    return {
        "signing_seed": owner.signing_key.seed,
        "verify_key": owner.signing_key.verify_key,
        "recipient_secret": owner.recipient_key.secret,
        "recipient_key": owner.recipient_key.public,
    }


@operation("filing.identifier_scalars")
def identifier_scalars(signed_manifest: bytes, policy: bytes, member: Table, report: Table) -> Table:
    """One scalar for each (slot, level): the identifier's or a dummy."""
    committee = committee_of(signed_manifest)
    scalars = file.identifier_scalars(
        committee, ScopePolicy.decode(policy), member_from(committee, member), report_from(report)
    )
    return {"scalars": [scalar_bytes(one) for one in scalars]}


@operation("filing.seal")
def seal(
    signed_manifest: bytes,
    policy: bytes,
    snapshot: bytes,
    member: Table,
    report: Table,
    period: int,
    spent_tags: list[bytes],
    seed: bytes,
) -> Table:
    """The whole message that leaves the device, and the entry's name."""
    committee = committee_of(signed_manifest)
    sealed = file.seal_report(
        committee,
        ScopePolicy.decode(policy),
        RollSnapshot.decode(snapshot),
        member_from(committee, member),
        report_from(report),
        period=period,
        spent_tags=frozenset(spent_tags),
        randomness=SeededStream(seed),
    )
    return {
        "filing": sealed.filing.encode(),
        "entry": sealed.header.entry,
        "fingerprint": sealed.filing.fingerprint,
        "quota_index": sealed.header.quota_index,
    }


@operation("filing.statement")
def statement_bytes(signed_manifest: bytes, snapshot: bytes, header: bytes) -> Table:
    """Session, weights and the digest of the exact statement bytes of a header."""
    committee = committee_of(signed_manifest)
    decoded = Header.decode(header)
    roll_shown = Roll(RollSnapshot.decode(snapshot).places)
    statements = statement.build(committee, decoded, roll_shown)
    return {
        "entry": decoded.entry,
        "session": statement.session(committee, decoded),
        "weights": [scalar_bytes(one) for one in statement.inverse_weights(decoded)],
        "instance": sigma.encode_statements(statements),
    }


@operation("filing.content_key")
def content_key(scalar: Scalar) -> Table:
    """AEAD key of an introduction."""
    return {"key": file.content_key(scalar)}


@operation("filing.open_introduction")
def open_introduction(
    signed_manifest: bytes, scope: bytes, quota_tag: bytes, which: int, scalar: Scalar, sealed: bytes
) -> Table:
    """Context and plaintext of an introduction."""
    committee = committee_of(signed_manifest)
    return {
        "context": statement.content_context(committee, scope, quota_tag, which),
        "plaintext": file.open_introduction(committee, scope, quota_tag, which, scalar, sealed),
    }


@operation("withdraw.sign")
def withdraw_sign(entry: bytes, owner_seed: bytes) -> Table:
    """The owner's withdrawal."""
    return {"withdrawal": withdraw.withdraw(entry, signing.SigningKey(owner_seed)).encode()}


@operation("withdraw.check")
def withdraw_check(withdrawal: bytes, header: bytes) -> Table:
    """Check a withdrawal against its header."""
    withdraw.check_withdrawal(Withdrawal.decode(withdrawal), Header.decode(header))
    return {"valid": True}


@operation("withdraw.calendar")
def calendar(now: int, period_days: int) -> Table:
    """Week and quota period of a time."""
    return {"week": withdraw.week_of(now), "period": withdraw.period_of(now, period_days)}
