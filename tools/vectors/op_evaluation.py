"""Operations on acceptance and evaluation: what a trustee checks, computes and records.

Owns how a batch is rebuilt from filings and acceptances. Refuses to know which
cases exist. Every entry of a rebuilt batch is a new one.
"""

from __future__ import annotations

from tools.vectors.op_committee import committee_of, trustee_from
from tools.vectors.op_primitives import share_table
from tools.vectors.registry import Scalar, Table, operation, scalar_bytes, scalar_of

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.evaluation import BatchPlan, Inclusion, PlanVote, RoundOne, RoundTwo
from notalone_crypto.messages.filing import Acceptance, BundleComplaint, Filing, Header
from notalone_crypto.primitives import pedersen
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol import accept, entries, find, record, rounds
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets, curve_bases, duplicate_base
from notalone_crypto.randomness import SeededStream


def batch_of(
    committee: Committee,
    policy: ScopePolicy,
    plan: bytes,
    filings: list[bytes],
    acceptances: list[list[bytes]],
) -> rounds.Batch:
    """The batch of these new entries."""
    items = []
    for encoded, words in zip(filings, acceptances, strict=True):
        filing = Filing.decode(encoded)
        rows = entries.agree(committee, [Acceptance.decode(one) for one in words])
        public = entries.PublicEntry(
            Header.decode(filing.header), filing.first_introduction, filing.second_introduction, rows
        )
        items.append(rounds.Item(public, new=True))
    return rounds.Batch(committee, policy, BatchPlan.decode(plan), tuple(items))


def own_secrets(
    committee: Committee, policy: ScopePolicy, secrets: TrusteeSecrets, filings: list[bytes]
) -> list[entries.EntrySecrets]:
    """One trustee's shares, masks and zero shares of each filing."""
    made = []
    for encoded in filings:
        filing = Filing.decode(encoded)
        header = Header.decode(filing.header)
        shares = accept.open_bundle(committee, secrets, filing, header)
        made.append(entries.derive_secrets(committee, policy, secrets, header, shares))
    return made


@operation("accept.open_bundle")
def open_bundle(signed_manifest: bytes, trustee: Table, filing: bytes) -> Table:
    """One trustee's verified shares."""
    decoded = Filing.decode(filing)
    shares = accept.open_bundle(
        committee_of(signed_manifest), trustee_from(trustee), decoded, Header.decode(decoded.header)
    )
    return {
        "identifiers": [share_table(one) for one in shares.identifiers],
        "inverses": [share_table(one) for one in shares.inverses],
        "contents": [share_table(one) for one in shares.contents],
    }


@operation("accept.accept")
def accept_filing(signed_manifest: bytes, policy: bytes, trustee: Table, filing: bytes) -> Table:
    """One trustee's acceptance of a filing that passed all checks."""
    decoded = Filing.decode(filing)
    made = accept.accept(
        committee_of(signed_manifest),
        ScopePolicy.decode(policy),
        trustee_from(trustee),
        decoded,
        Header.decode(decoded.header),
    )
    return {"acceptance": made.encode()}


@operation("accept.check_acceptance")
def check_acceptance(signed_manifest: bytes, policy: bytes, acceptance: bytes, fingerprint: bytes) -> Table:
    """Check another trustee's acceptance of the filing with this fingerprint."""
    committee = committee_of(signed_manifest)
    decoded = Acceptance.decode(acceptance)
    accept.check_acceptance(committee, ScopePolicy.decode(policy), decoded, fingerprint)
    return {"valid": True}


@operation("accept.complain")
def complain(signed_manifest: bytes, trustee: Table, filing: bytes, seed: bytes) -> Table:
    """A complaint about one's own bundle."""
    decoded = Filing.decode(filing)
    header = Header.decode(decoded.header)
    stream = SeededStream(seed)
    made = accept.complain(committee_of(signed_manifest), trustee_from(trustee), decoded, header, stream)
    return {"complaint": made.encode()}


@operation("accept.judge")
def judge(signed_manifest: bytes, filing: bytes, complaint: bytes) -> Table:
    """The verdict: without culprits the filing is bad."""
    decoded = Filing.decode(filing)
    verdict = accept.judge(
        committee_of(signed_manifest),
        decoded,
        Header.decode(decoded.header),
        BundleComplaint.decode(complaint),
    )
    return {"code": verdict.code.value, "culprits": verdict.culprits}


@operation("entries.agree")
def agree(signed_manifest: bytes, acceptances: list[bytes]) -> Table:
    """The subset commitments that all holders signed, by subset."""
    decoded = [Acceptance.decode(one) for one in acceptances]
    rows = entries.agree(committee_of(signed_manifest), decoded)
    return {"rows": {",".join(map(str, subset)): row for subset, row in rows.items()}}


@operation("entries.secrets")
def entry_secrets(signed_manifest: bytes, policy: bytes, trustee: Table, filing: bytes) -> Table:
    """Masks and zero shares of an entry."""
    (made,) = own_secrets(
        committee_of(signed_manifest), ScopePolicy.decode(policy), trustee_from(trustee), [filing]
    )
    return {
        "masks": [share_table(one) for one in made.masks],
        "zeros": [share_table(one) for one in made.zeros],
    }


@operation("rounds.one")
def round_one(
    signed_manifest: bytes,
    policy: bytes,
    trustee: Table,
    plan: bytes,
    filings: list[bytes],
    acceptances: list[list[bytes]],
    seed: bytes,
) -> Table:
    """One trustee's first message: `v_i * Dup`, openings, proof."""
    committee, rules, secrets = (
        committee_of(signed_manifest),
        ScopePolicy.decode(policy),
        trustee_from(trustee),
    )
    batch = batch_of(committee, rules, plan, filings, acceptances)
    own = own_secrets(committee, rules, secrets, filings)
    message = rounds.make_round_one(batch, secrets, own, SeededStream(seed))
    return {
        "message": message.encode(),
        "duplicates": message.duplicates,
        "openings": message.openings,
    }


@operation("rounds.check_one")
def check_round_one(
    signed_manifest: bytes,
    policy: bytes,
    plan: bytes,
    filings: list[bytes],
    acceptances: list[list[bytes]],
    messages: list[bytes],
) -> Table:
    """Check first messages; culprits are named."""
    batch = batch_of(committee_of(signed_manifest), ScopePolicy.decode(policy), plan, filings, acceptances)
    decoded = [RoundOne.decode(one) for one in messages]
    for message in decoded:
        batch.check_counts(message)
    rounds.check_round_one(batch, decoded)
    return {"valid": True}


@operation("rounds.combine_one")
def combine_one(
    signed_manifest: bytes,
    policy: bytes,
    plan: bytes,
    filings: list[bytes],
    acceptances: list[list[bytes]],
    messages: list[bytes],
) -> Table:
    """X and the opened product of every (entry, slot, level)."""
    batch = batch_of(committee_of(signed_manifest), ScopePolicy.decode(policy), plan, filings, acceptances)
    decoded = {message.trustee: message for message in map(RoundOne.decode, messages)}
    xs, products = rounds.combine_round_one(batch, decoded)
    return {"x": [scalar_bytes(x) for x in xs], "products": [scalar_bytes(one) for one in products]}


@operation("rounds.two")
def round_two(
    signed_manifest: bytes,
    policy: bytes,
    trustee: Table,
    plan: bytes,
    filings: list[bytes],
    acceptances: list[list[bytes]],
    x: list[Scalar],
    seed: bytes,
) -> Table:
    """One trustee's second message: `rho_i * B(x)`, proof."""
    committee, rules, secrets = (
        committee_of(signed_manifest),
        ScopePolicy.decode(policy),
        trustee_from(trustee),
    )
    batch = batch_of(committee, rules, plan, filings, acceptances)
    own = own_secrets(committee, rules, secrets, filings)
    message = rounds.make_round_two(batch, secrets, own, x, SeededStream(seed))
    return {"message": message.encode(), "points": message.points}


@operation("rounds.check_two")
def check_round_two(
    signed_manifest: bytes,
    policy: bytes,
    plan: bytes,
    filings: list[bytes],
    acceptances: list[list[bytes]],
    x: list[Scalar],
    messages: list[bytes],
) -> Table:
    """Check second messages; culprits are named."""
    batch = batch_of(committee_of(signed_manifest), ScopePolicy.decode(policy), plan, filings, acceptances)
    decoded = [RoundTwo.decode(one) for one in messages]
    for message in decoded:
        batch.check_counts(message)
    rounds.check_round_two(batch, decoded, x)
    return {"valid": True}


@operation("rounds.combine_two")
def combine_two(threshold: int, messages: list[bytes], products: list[Scalar]) -> Table:
    """The curve values, from masked points and opened products."""
    decoded = {message.trustee: message for message in map(RoundTwo.decode, messages)}
    chosen = sorted(decoded)[:threshold]
    curves = []
    for place, product in enumerate(products):
        points = {index: decoded[index].points[place] for index in chosen}
        masked = pedersen.interpolate_elements(points, threshold)
        curves.append(RISTRETTO255.multiply(pow(product, -1, ORDER), masked))
    return {"curve": curves}


@operation("rounds.from_secrets")
def from_secrets(
    signed_manifest: bytes,
    scope: bytes,
    slot: int,
    level: int,
    epoch: int,
    member_secret: Scalar,
    identifier: Scalar,
    level_key: Scalar,
) -> Table:
    """What the rounds must come to, computed in the clear: D, x and the curve value."""
    committee = committee_of(signed_manifest)
    inverse = pow(member_secret + identifier, -1, ORDER)
    duplicate = RISTRETTO255.multiply(inverse, duplicate_base(committee, scope, slot, level, epoch))
    x = rounds.point_x(committee, scope, slot, level, epoch, duplicate)
    factor = pow(level_key + identifier, -1, ORDER)
    bases = curve_bases(committee, scope, slot, level, epoch)
    curve = RISTRETTO255.multi_multiply(
        [factor * pow(x, degree, ORDER) for degree in range(level - 1)], bases
    )
    return {"duplicate": duplicate, "x": scalar_bytes(x), "curve": curve}


@operation("record.make")
def make_record(
    plan: bytes,
    votes: list[bytes],
    first: list[bytes],
    second: list[bytes],
    entry_names: list[bytes],
    x: list[Scalar],
    curve: list[bytes],
) -> Table:
    """Salt, record and leaf of a batch, and each entry's inclusion."""
    sealed = record.make_record(
        BatchPlan.decode(plan),
        {one.trustee: one for one in map(PlanVote.decode, votes)},
        {one.trustee: one for one in map(RoundOne.decode, first)},
        {one.trustee: one for one in map(RoundTwo.decode, second)},
        entry_names,
        [rounds.Point(value, point) for value, point in zip(x, curve, strict=True)],
    )
    return {
        "salt": sealed.salt,
        "record": sealed.record.encode(),
        "leaf": sealed.leaf,
        "inclusions": [sealed.inclusion(entry).encode() for entry in entry_names],
    }


@operation("record.check_inclusion")
def check_inclusion(inclusion: bytes, entry: bytes) -> Table:
    """The leaf an inclusion leads to."""
    return {"leaf": record.check_inclusion(Inclusion.decode(inclusion), entry)}


@operation("find.groups")
def groups(level: int, points: list[Table]) -> Table:
    """Feed points in order: the event of each, by the place of the group or -1, and the final groups."""
    finder = find.CurveFinder(level)
    events = []
    for one in points:
        point = rounds.Point(scalar_of(one["x"]), bytes.fromhex(one["curve"]))
        event = finder.add(bytes.fromhex(one["entry"]), point)
        if event is None:
            events.append({"group": -1, "joined": []})
        else:
            events.append({"group": event.group, "joined": event.joined})
    return {"events": events, "groups": finder.groups, "representatives": finder.representatives}
