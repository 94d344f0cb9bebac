"""Filing on the reporter's side: from a report to one sealed message.

Owns everything her device does before anything leaves it
(specs/20-protocol.md#filing). Refuses to know transport and storage: what must
be kept is returned, what must be forgotten is not. Nothing here tells a used
slot from an unused one by size, count or order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from notalone_crypto.errors import Code, ContextMismatch, RollRefused, StateConflict
from notalone_crypto.messages.committee import ReleaseMode, ScopePolicy
from notalone_crypto.messages.contact import ReplyCard
from notalone_crypto.messages.filing import (
    FIRST_INTRODUCTION_LENGTH,
    SECOND_INTRODUCTION_LENGTH,
    BundleContent,
    Filing,
    Header,
)
from notalone_crypto.messages.roll import RollSnapshot
from notalone_crypto.primitives import aead, hpke, kem, padding, pedersen, sigma, signing
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import derive, derive_scalar, digest, hash_to_scalar
from notalone_crypto.primitives.membership import Roll
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol import statement
from notalone_crypto.protocol.keys import Committee, quota_base
from notalone_crypto.protocol.roll import Member, check_snapshot
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.protocol.withdraw import week_of
from notalone_crypto.randomness import Randomness, random_scalar
from notalone_crypto.suite import Tag


@dataclass(frozen=True, slots=True)
class Report:
    """What the reporter decided. `identifiers` maps slot kinds to canonical identifier bytes."""

    identifiers: Mapping[int, bytes] = field(repr=False)
    threshold: int = field(repr=False)  # including herself
    release_mode: ReleaseMode
    preconsent: bool
    desk_key: bytes
    expiry_week: int
    alias: str = field(repr=False)  # NFC, at most 200 UTF-8 bytes; the reply card adds the reply key
    second_introduction: bytes = field(repr=False)  # first words, safe contact


@dataclass(frozen=True, slots=True)
class OwnerKeys:
    """Keys of one filing, from phrase and quota tag: a restored device finds them again."""

    signing_key: signing.SigningKey = field(repr=False)
    recipient_key: hpke.HpkePrivateKey = field(repr=False)
    reply_key: hpke.HpkePrivateKey = field(repr=False)  # never public: the recipient key is


@dataclass(frozen=True, slots=True)
class SealedReport:
    """The message to send and the keys that own it."""

    filing: Filing
    header: Header
    owner: OwnerKeys = field(repr=False)


def owner_keys(member: Member, quota_tag: bytes) -> OwnerKeys:
    """The keys of the filing with this tag."""
    return OwnerKeys(
        signing.SigningKey(derive(member.phrase_key, Tag.OWNER_KEY, quota_tag)),
        hpke.HpkePrivateKey.from_bytes(derive(member.phrase_key, Tag.RECIPIENT_KEY, quota_tag)),
        hpke.HpkePrivateKey.from_bytes(derive(member.phrase_key, Tag.REPLY_KEY, quota_tag)),
    )


def quota_tag(committee: Committee, scope: bytes, member: Member, period: int, index: int) -> bytes:
    """The spent mark of quota place `index` in a period: `1/p * Base`, 32 bytes."""
    return RISTRETTO255.multiply(pow(member.secret, -1, ORDER), quota_base(committee, scope, period, index))


def own_tags(committee: Committee, policy: ScopePolicy, member: Member, period: int) -> tuple[bytes, ...]:
    """All her tags of a period, to look for in the downloaded list of spent ones."""
    return tuple(quota_tag(committee, policy.scope, member, period, index) for index in range(policy.quota))


def identifier_scalars(
    committee: Committee, policy: ScopePolicy, member: Member, report: Report
) -> tuple[int, ...]:
    """One scalar for each (slot, level): the identifier's where it is used at that level, else a dummy.

    Dummies come from her phrase, scope, slot, level and identifier, so that
    filing the same again shows nothing new: fresh ones would differ exactly
    where a slot or level is unused. Those of an unused slot take in the whole
    report, else all filings of one person would share them and be linked
    (specs/adr/0013-dummies-of-unused-slots.md).
    """
    whole = digest(
        Tag.DUMMY_IDENTIFIER,
        *(bytes([slot]) + report.identifiers[slot] for slot in sorted(report.identifiers)),
    )
    scalars = []
    for slot, level in statement.positions(policy):
        identifier = report.identifiers.get(slot)
        place = bytes([slot])
        if identifier is not None and level >= report.threshold:
            scalars.append(
                hash_to_scalar(
                    Tag.IDENTIFIER, committee.instance, committee.identifier, policy.scope, place, identifier
                )
            )
        else:
            scalars.append(
                derive_scalar(
                    member.phrase_key,
                    Tag.DUMMY_IDENTIFIER,
                    committee.instance,
                    committee.identifier,
                    policy.scope,
                    bytes((slot, level)),
                    b"unused" + whole if identifier is None else b"used" + identifier,
                )
            )
    return tuple(scalars)


def seal_report(
    committee: Committee,
    policy: ScopePolicy,
    snapshot: RollSnapshot,
    member: Member,
    report: Report,
    *,
    period: int,
    spent_tags: frozenset[bytes],
    randomness: Randomness,
) -> SealedReport:
    """Everything that leaves the device for one report.

    Raises: RollRefused (too few members; her place is not in the snapshot),
    StateConflict (state.quota), ContextMismatch (context.policy, context.expiry),
    MalformedInput (encoding.text: the alias), Misuse.
    """
    _check_report(policy, report)
    issuers = [organisation.issuer_key for organisation in policy.organisations]
    check_snapshot(snapshot, scope=policy.scope, issuer_keys=issuers)
    earliest = week_of(snapshot.issued_at)
    if not earliest <= report.expiry_week <= earliest + policy.maximum_weeks:
        # Every trustee would refuse it, and her quota place would be spent at the board.
        raise ContextMismatch(Code.EXPIRY, "the report expires before now or later than the scope keeps any")
    if member.place not in snapshot.places:
        raise RollRefused(Code.NOT_ELIGIBLE, "this place is not in the current roll")
    index = _unused_index(committee, policy, member, period, spent_tags, randomness)
    tag = quota_tag(committee, policy.scope, member, period, index)
    owner = owner_keys(member, tag)
    content_keys = [random_scalar(randomness) for _ in range(2)]
    introductions = (
        _seal_introduction(
            committee,
            policy.scope,
            tag,
            1,
            content_keys[0],
            reply_card(report, owner).encode(),
            FIRST_INTRODUCTION_LENGTH,
        ),
        _seal_introduction(
            committee,
            policy.scope,
            tag,
            2,
            content_keys[1],
            report.second_introduction,
            SECOND_INTRODUCTION_LENGTH,
        ),
    )
    blind, ephemeral = random_scalar(randomness), random_scalar(randomness)  # spec: b, e
    identifiers = identifier_scalars(committee, policy, member, report)
    inverses = [pow(member.secret + value, -1, ORDER) for value in identifiers]  # spec: v
    deals = _Deals.draw(committee, identifiers, inverses, content_keys, randomness)
    header = Header(
        committee.identifier,
        committee.manifest.generation,
        policy.scope,
        policy.fingerprint,
        int(report.release_mode),
        int(report.preconsent),
        report.desk_key,
        snapshot.fingerprint,
        period,
        index,
        tag,
        report.expiry_week,
        owner.signing_key.verify_key,
        owner.recipient_key.public,
        pedersen.commit(member.secret, blind),
        kem.encapsulation(ephemeral),
        tuple(dealing.commitments for dealing in deals.identifiers),
        tuple(dealing.commitments for dealing in deals.inverses),
        tuple(dealing.commitments for dealing in deals.contents),
        digest(Tag.INTRODUCTION, introductions[0]),
        digest(Tag.INTRODUCTION, introductions[1]),
    )
    proof = _prove(
        committee,
        header,
        snapshot,
        member,
        blind=blind,
        ephemeral=ephemeral,
        identifiers=identifiers,
        deals=deals,
        randomness=randomness,
    )
    bundles = deals.seal(committee, header, ephemeral)
    filing = Filing(header.encode(), proof, bundles, *introductions, bytes(64))
    return SealedReport(sign_filing(filing, owner.signing_key), header, owner)


def reply_card(report: Report, owner: OwnerKeys) -> ReplyCard:
    """The first introduction. Raises: MalformedInput (encoding.text) for an alias that does not fit."""
    return ReplyCard(owner.reply_key.public, report.alias)


def sign_filing(filing: Filing, key: signing.SigningKey) -> Filing:
    """`filing` with the owner's signature over header, proof and all bundles."""
    return replace(filing, signature=sign_message(filing.trace, key, Tag.FILING_SIGNATURE).signature)


@dataclass(frozen=True, slots=True)
class _Deals:
    """The verifiable sharings of one filing."""

    identifier_blinds: tuple[int, ...] = field(repr=False)
    inverse_blinds: tuple[int, ...] = field(repr=False)
    identifiers: tuple[pedersen.Dealing, ...] = field(repr=False)
    inverses: tuple[pedersen.Dealing, ...] = field(repr=False)
    contents: tuple[pedersen.Dealing, ...] = field(repr=False)

    @classmethod
    def draw(
        cls,
        committee: Committee,
        identifiers: Sequence[int],
        inverses: Sequence[int],
        contents: Sequence[int],
        randomness: Randomness,
    ) -> _Deals:
        def share(values: Sequence[int]) -> tuple[tuple[int, ...], tuple[pedersen.Dealing, ...]]:
            blinds = tuple(random_scalar(randomness) for _ in values)
            return blinds, tuple(
                pedersen.deal(value, blind, committee.threshold, committee.count, randomness)
                for value, blind in zip(values, blinds, strict=True)
            )

        identifier_blinds, identifier_deals = share(identifiers)
        inverse_blinds, inverse_deals = share(inverses)
        return cls(identifier_blinds, inverse_blinds, identifier_deals, inverse_deals, share(contents)[1])

    def seal(self, committee: Committee, header: Header, ephemeral: int) -> tuple[bytes, ...]:
        """One fixed-size bundle for each trustee, all under the one enc."""
        entry = header.entry
        sealed = []
        for keys in committee.manifest.trustees:
            content = BundleContent(
                *(
                    tuple(encode_share(dealing.shares[keys.index - 1]) for dealing in group)
                    for group in (self.identifiers, self.inverses, self.contents)
                )
            )
            key = kem.encapsulate(ephemeral, keys.bundle_key, keys.index, entry)
            sealed.append(aead.seal(key, entry, content.encode()))
        return tuple(sealed)


def encode_share(share: Share) -> bytes:
    """64 bytes: value, then blind."""
    return RISTRETTO255.encode_scalar(share.value) + RISTRETTO255.encode_scalar(share.blind)


def decode_share(data: bytes, index: int) -> Share:
    """The share of trustee `index` from 64 bytes; MalformedInput when not canonical."""
    return Share(index, RISTRETTO255.decode_scalar(data[:32]), RISTRETTO255.decode_scalar(data[32:]))


def content_key(scalar: int) -> bytes:
    """32-byte AEAD key of an introduction from its shared scalar."""
    return digest(Tag.CONTENT_KEY, RISTRETTO255.encode_scalar(scalar))


def open_introduction(
    committee: Committee, scope: bytes, tag: bytes, which: int, scalar: int, sealed: bytes
) -> bytes:
    """Plaintext of introduction `which`. Raises VerificationFailed (seal.decryption)."""
    context = statement.content_context(committee, scope, tag, which)
    return padding.unpad(aead.open_sealed(content_key(scalar), context, sealed))


def _seal_introduction(
    committee: Committee, scope: bytes, tag: bytes, which: int, scalar: int, text: bytes, size: int
) -> bytes:
    context = statement.content_context(committee, scope, tag, which)
    return aead.seal(content_key(scalar), context, padding.pad(text, size))


def _prove(
    committee: Committee,
    header: Header,
    snapshot: RollSnapshot,
    member: Member,
    *,
    blind: int,
    ephemeral: int,
    identifiers: Sequence[int],
    deals: _Deals,
    randomness: Randomness,
) -> bytes:
    relation, membership = statement.build(committee, header, Roll(snapshot.places))
    weights = statement.inverse_weights(header)
    inverses = [pow(member.secret + value, -1, ORDER) for value in identifiers]
    openings = list(zip(weights, inverses, deals.inverse_blinds, strict=True))

    def inverse_sum(scalars: Sequence[int]) -> bytes:
        """The last equation's terms: each V opens to what she put in, so one commitment is enough."""
        sums = scalars[statement.FIRST_SUM : -1 : 2]  # spec: u of each row
        return pedersen.commit(
            sum(u * weight * value for u, (weight, value, _) in zip(sums, openings, strict=True)),
            sum(u * weight * hidden for u, (weight, _, hidden) in zip(sums, openings, strict=True))
            + scalars[-1],
        )

    relation.shortcut(inverse_sum)
    witness = [member.secret, blind, ephemeral]
    remainder = 0
    rows = zip(identifiers, deals.identifier_blinds, deals.inverse_blinds, weights, strict=True)
    for value, identifier_blind, inverse_blind, weight in rows:
        total = (member.secret + value) % ORDER
        witness += [total, (blind + identifier_blind) % ORDER]
        remainder -= weight * total * inverse_blind
    witness.append(remainder % ORDER)
    position = snapshot.places.index(member.place)
    difference = (blind - member.blind) % ORDER
    return sigma.prove(
        statement.session(committee, header),
        [relation, membership],
        [witness, [position, difference]],
        randomness,
    )


def _check_report(policy: ScopePolicy, report: Report) -> None:
    if not report.identifiers or not set(report.identifiers) <= set(policy.slots):
        raise ContextMismatch(Code.POLICY, "the report uses no slot, or one the scope does not have")
    if report.threshold not in policy.levels:
        raise ContextMismatch(Code.POLICY, "the scope does not offer this threshold")
    if report.release_mode not in policy.release_modes:
        raise ContextMismatch(Code.POLICY, "the scope does not offer this way of opening")
    if report.desk_key not in [desk.key for desk in policy.desks]:
        raise ContextMismatch(Code.POLICY, "the scope has no such desk")


def _unused_index(
    committee: Committee,
    policy: ScopePolicy,
    member: Member,
    period: int,
    spent: frozenset[bytes],
    randomness: Randomness,
) -> int:
    """A random unused quota place: counting up would tell how many she filed."""
    tags = own_tags(committee, policy, member, period)
    unused = [index for index, tag in enumerate(tags) if tag not in spent]
    if not unused:
        raise StateConflict(Code.QUOTA, "the quota of this period is used up")
    return unused[int.from_bytes(randomness(16), "big") % len(unused)]
