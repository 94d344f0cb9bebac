"""A trustee's checks of one filing: accept it, or complain with proof.

Owns the order of checks: cheap ones first, then the statement, and only then
the trustee's own key (specs/20-protocol.md#accept). Refuses to know transport
and clocks: what counts as current is in `View`. Nothing is changed unless all
passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notalone_crypto.errors import (
    Code,
    ContextMismatch,
    MalformedInput,
    NotAloneError,
    RollRefused,
    StateConflict,
    VerificationFailed,
)
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.filing import (
    Acceptance,
    BundleComplaint,
    BundleContent,
    Filing,
    FilingTrace,
    Header,
)
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import aead, hpke, kem, pedersen, prss, sigma
from notalone_crypto.primitives.hashing import derive, digest
from notalone_crypto.primitives.membership import Roll
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol import statement
from notalone_crypto.protocol.file import decode_share
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.roll import is_current
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.protocol.withdraw import period_of, week_of
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import CLOCK_TOLERANCE_SECONDS, MIN_ROLL, Tag


@dataclass(frozen=True, slots=True)
class View:
    """What a trustee holds to be current when a filing arrives."""

    committee: Committee
    policy: ScopePolicy  # as it stands in the cosigned log
    snapshots: Sequence[RollSnapshot]  # newest of every cohort and those in grace; already checked
    newest: Mapping[tuple[bytes, int], RollSnapshot]  # by (issuer key, cohort)
    since: int  # a filing that is new here is not older: see `intake.not_before`
    now: int

    @property
    def period(self) -> int:
        """The quota period that runs now."""
        return period_of(self.now, self.policy.period_days)


@dataclass(frozen=True, slots=True)
class EntryShares:
    """One trustee's shares of one accepted entry."""

    identifiers: tuple[Share, ...] = field(repr=False)
    inverses: tuple[Share, ...] = field(repr=False)
    contents: tuple[Share, ...] = field(repr=False)


def check_cheaply(
    view: View, filing: Filing, seen_encs: frozenset[bytes] | set[bytes], spent: set[bytes]
) -> Header:
    """Everything but proofs and secrets; the decoded header.

    Raises: MalformedInput, ContextMismatch, StateConflict (state.enc_reused,
    state.tag_spent), VerificationFailed (signature.invalid), RollRefused (roll.too_small).
    """
    header = _check_header(view, filing.header, seen_encs, spent)
    check_parts(view.committee, view.policy, filing, header)
    _check_roll(view, header)
    return header


def check_trace_cheaply(
    view: View, trace: FilingTrace, seen_encs: frozenset[bytes] | set[bytes], spent: set[bytes]
) -> Header:
    """As `check_cheaply`, for an auditor who comes when the bundles are erased. Raises as it does.

    Sizes of bundles are left out: every trustee signed that it had its own.
    """
    header = _check_header(view, trace.header, seen_encs, spent)
    statement.check_shape(header, view.committee, view.policy)
    if len(trace.bundle_hashes) != view.committee.count:
        raise MalformedInput(Code.LENGTH, "bundles have a wrong number")
    _check_owner(trace, header)
    _check_roll(view, header)
    return header


def _check_header(
    view: View, encoded: bytes, seen_encs: frozenset[bytes] | set[bytes], spent: set[bytes]
) -> Header:
    header = Header.decode(encoded)
    check_rules(view.committee, view.policy, header)
    check_calendar(view.policy, header, view.since, view.now)
    if header.enc in seen_encs:
        # Else a complaint would be a Diffie-Hellman oracle for other people's bundles.
        raise StateConflict(Code.ENC_REUSED, "this enc was used before")
    if header.quota_tag in spent:
        raise StateConflict(Code.TAG_SPENT, "this quota place is spent")
    return header


def check_rules(committee: Committee, policy: ScopePolicy, header: Header) -> None:
    """Committee, scope, and what the scope's rules in force offer.

    Raises: ContextMismatch (context.committee, context.generation, context.scope, context.policy).
    """
    if header.committee != committee.identifier:
        raise ContextMismatch(Code.COMMITTEE, "a filing for another committee")
    if header.generation != committee.manifest.generation:
        raise ContextMismatch(Code.GENERATION, "a filing for another generation of keys")
    if header.scope != policy.scope:
        raise ContextMismatch(Code.SCOPE, "a filing for another scope")
    if header.policy != policy.fingerprint:
        raise ContextMismatch(Code.POLICY, "a filing under a policy that is not in the log")
    if header.release_mode not in policy.release_modes or header.preconsent > 1:
        raise ContextMismatch(Code.POLICY, "the policy does not offer this way of opening")
    if header.desk_key not in [desk.key for desk in policy.desks]:
        raise ContextMismatch(Code.POLICY, "the policy has no such desk")


def check_calendar(
    policy: ScopePolicy, header: Header, since: int, now: int, ahead: int = CLOCK_TOLERANCE_SECONDS
) -> None:
    """Quota place and expiry of a filing made between `since` and `now`; clocks may be `ahead` seconds fast.

    A filing may be read long after it was made, by somebody who was away. Attack: without `since`, the
    unused places of all years before. Without `ahead`, a reader whose clock is slow refuses for good
    what the others accepted.
    Raises: ContextMismatch (context.period, context.expired, context.expiry).
    """
    first, last = (period_of(time, policy.period_days) for time in (since, now + ahead))
    if not first <= header.period <= last or header.quota_index >= policy.quota:
        raise ContextMismatch(Code.PERIOD, "a quota place of another period, or above the quota")
    if header.expiry_week < week_of(now):
        raise ContextMismatch(Code.EXPIRED, "the filing has already expired")
    if header.expiry_week > week_of(now + ahead) + policy.maximum_weeks:
        raise ContextMismatch(Code.EXPIRY, "the filing asks to be kept for too long")


def check_parts(committee: Committee, policy: ScopePolicy, filing: Filing, header: Header) -> None:
    """Numbers, sizes, introductions, the recipient key and the owner's signature.

    Raises: MalformedInput, VerificationFailed.
    """
    statement.check_shape(header, committee, policy)
    expected = bundle_length(len(statement.positions(policy)))
    if len(filing.bundles) != committee.count or any(len(bundle) != expected for bundle in filing.bundles):
        raise MalformedInput(Code.LENGTH, "bundles have a wrong number or size")
    introductions = (filing.first_introduction, filing.second_introduction)
    hashes = (header.first_introduction_hash, header.second_introduction_hash)
    for introduction, expected_hash in zip(introductions, hashes, strict=True):
        if digest(Tag.INTRODUCTION, introduction) != expected_hash:
            raise VerificationFailed(Code.SIGNATURE, "an introduction is not the one the header names")
    _check_owner(filing.trace, header)


def _check_owner(trace: FilingTrace, header: Header) -> None:
    # A key that nothing can be sealed to would stop every trustee at the release of its match.
    hpke.check_public(header.recipient_key)
    check_signature(trace, header.owner_key, Tag.FILING_SIGNATURE)


def bundle_length(rows: int) -> int:
    """Bytes of one sealed bundle for that many (slot, level) rows: the same for every filing."""
    empty = 3 + 3 * 2  # version and type, three counts
    return empty + 64 * (2 * rows + 2) + aead.OVERHEAD


def _check_roll(view: View, header: Header) -> None:
    snapshot = find_snapshot(view, header)
    # A client served by somebody else might not refuse to hide one among few.
    if len(snapshot.places) < MIN_ROLL:
        raise RollRefused(Code.ROLL_TOO_SMALL, f"fewer than {MIN_ROLL} members: too few to hide among")
    # Nobody has more places than those of the periods since her roll, in all of which she was a member.
    # An issuer's clock that was fast must not forbid the period that runs.
    if header.period < period_of(min(snapshot.issued_at, view.now), view.policy.period_days):
        raise ContextMismatch(Code.PERIOD, "a quota place of a period before the roll")


def find_snapshot(view: View, header: Header) -> RollSnapshot:
    """The current snapshot the header names. Raises ContextMismatch (context.snapshot)."""
    for snapshot in view.snapshots:
        if snapshot.fingerprint == header.snapshot:
            newest = view.newest.get((snapshot.issuer_key, snapshot.cohort), snapshot)
            if is_current(snapshot, newest, view.now):
                return snapshot
    raise ContextMismatch(Code.SNAPSHOT, "the filing names no current snapshot of the roll")


def proof_item(
    view: View, filing: Filing | FilingTrace, header: Header, rolls: dict[bytes, Roll] | None = None
) -> tuple[bytes, Sequence[sigma.SigmaProtocol], bytes]:
    """Session, statement and proof, for `sigma.verify_each` over many filings at once."""
    snapshot = find_snapshot(view, header)
    cache = {} if rolls is None else rolls
    roll = (
        cache.setdefault(header.snapshot, Roll(snapshot.places))
        if header.snapshot not in cache
        else cache[header.snapshot]
    )
    statements = statement.build(view.committee, header, roll)
    return statement.session(view.committee, header), statements, filing.proof


def verify_statements(
    view: View, filings: Sequence[tuple[Filing | FilingTrace, Header]]
) -> list[NotAloneError | None]:
    """For each filing its proof's error or None. One roll costs its multiplications once for all."""
    rolls: dict[bytes, Roll] = {}
    return sigma.verify_each([proof_item(view, filing, header, rolls) for filing, header in filings])


def open_bundle(committee: Committee, secrets: TrusteeSecrets, filing: Filing, header: Header) -> EntryShares:
    """This trustee's shares, verified against the header's commitments.

    Raises: VerificationFailed or MalformedInput; then `complain`.
    """
    key = kem.decapsulate(secrets.bundle_key, header.enc, secrets.index, header.entry)
    return _open_with(committee, secrets.index, filing, header, key)


def accept(
    committee: Committee, policy: ScopePolicy, secrets: TrusteeSecrets, filing: Filing, header: Header
) -> Acceptance:
    """ACCEPT with commitments to every subset value this entry will use.

    After it no complaint counts: the bundle was good.
    """
    return accept_entry(committee, policy, secrets, header.entry, filing.fingerprint)


def accept_entry(
    committee: Committee, policy: ScopePolicy, secrets: TrusteeSecrets, entry: bytes, filing: bytes
) -> Acceptance:
    """ACCEPT by names alone (32 bytes each): for a filing, or for an entry carried into a new generation."""
    rows = []
    for subset in prss.held_subsets(committee.count, committee.threshold, secrets.index):
        row = []
        for slot, level in statement.positions(policy):
            context = committee.subset_context(entry, slot, level)
            row += [
                prss.subset_value(secrets.subset_keys[subset], context, number).commitment()
                for number in range(committee.threshold)
            ]
        rows.append(tuple(row))
    message = Acceptance(entry, filing, secrets.index, committee.manifest.generation, tuple(rows), UNSIGNED)
    return sign_message(message, secrets.signing_key, Tag.ACCEPT)


def check_acceptance(
    committee: Committee, policy: ScopePolicy, acceptance: Acceptance, filing: bytes
) -> None:
    """Signature, generation, shape, and that it speaks of the filing this trustee saw."""
    check_signature(acceptance, committee.verify_key(acceptance.trustee), Tag.ACCEPT)
    if acceptance.generation != committee.manifest.generation:
        raise ContextMismatch(Code.GENERATION, "an acceptance of another generation")
    if acceptance.filing != filing:
        raise VerificationFailed(
            # No culprit: reporter or board can send two filings under one header.
            Code.FORK,
            "a trustee accepted other bytes under this header",
        )
    held = prss.held_subsets(committee.count, committee.threshold, acceptance.trustee)
    width = len(statement.positions(policy)) * committee.threshold
    if len(acceptance.subset_commitments) != len(held) or any(
        len(row) != width for row in acceptance.subset_commitments
    ):
        raise VerificationFailed(
            Code.COMMITMENT_LENGTH, "an acceptance has missing commitments", culprits=(acceptance.trustee,)
        )


def complain(
    committee: Committee, secrets: TrusteeSecrets, filing: Filing, header: Header, randomness: Randomness
) -> BundleComplaint:
    """Open this trustee's bundle to everybody, with proof, because its shares are bad.

    Safe only because knowledge of enc was proved and a seen enc is refused.
    """
    session = _complaint_session(committee, filing, secrets.index)
    complaint = kem.complain(secrets.bundle_key, header.enc, session, randomness)
    message = BundleComplaint(
        header.entry, filing.fingerprint, secrets.index, complaint.shared_point, complaint.proof, UNSIGNED
    )
    return sign_message(message, secrets.signing_key, Tag.COMPLAINT)


def judge(
    committee: Committee, filing: Filing, header: Header, complaint: BundleComplaint
) -> VerificationFailed:
    """The verdict, the same for everybody: without culprits the filing is bad, else the accuser lied.

    Raises: VerificationFailed (signature.invalid) for a complaint its accuser
    did not sign: whoever carries messages must not be able to frame a trustee.
    """
    accuser = complaint.trustee
    check_signature(complaint, committee.verify_key(accuser), Tag.COMPLAINT)
    liar = VerificationFailed(Code.COMPLAINT, "a complaint that does not hold", culprits=(accuser,))
    try:
        # Else an accuser puts its own junk under her header and convicts her.
        check_signature(filing.trace, header.owner_key, Tag.FILING_SIGNATURE)
        keys = committee.manifest.trustees[accuser - 1]
        shared = kem.check_complaint(
            keys.bundle_key,
            header.enc,
            _complaint_session(committee, filing, accuser),
            kem.Complaint(complaint.shared, complaint.proof),
        )
    except NotAloneError:
        return liar
    key = kem.derive_key(shared, header.enc, keys.bundle_key, accuser, header.entry)
    try:
        _open_with(committee, accuser, filing, header, key)
    except NotAloneError:
        return VerificationFailed(Code.SHARE, "the filing's bundle does not hold what its header says")
    return liar


def _open_with(committee: Committee, index: int, filing: Filing, header: Header, key: bytes) -> EntryShares:
    content = BundleContent.decode(aead.open_sealed(key, header.entry, filing.bundles[index - 1]))
    groups = (
        (content.identifier_shares, header.identifier_commitments),
        (content.inverse_shares, header.inverse_commitments),
        (content.content_shares, header.content_commitments),
    )
    if any(len(shares) != len(rows) for shares, rows in groups):
        raise MalformedInput(Code.LENGTH, "a bundle has a wrong number of shares")
    decoded = [tuple(decode_share(share, index) for share in shares) for shares, _ in groups]
    dealings = [
        (row, share)
        for shares, (_, rows) in zip(decoded, groups, strict=True)
        for share, row in zip(shares, rows, strict=True)
    ]
    # The weights hash the opened bundle itself, so its maker could not foresee them.
    seed = derive(key, Tag.BATCH_WEIGHT, header.entry, content.encode(), length=16 * len(dealings))
    weights = [int.from_bytes(seed[start : start + 16], "little") for start in range(0, len(seed), 16)]
    pedersen.verify_shares(dealings, committee.threshold, weights)
    return EntryShares(*decoded)


def _complaint_session(committee: Committee, filing: Filing, accuser: int) -> bytes:
    return digest(Tag.COMPLAINT, committee.identifier, filing.fingerprint, bytes([accuser]))
