"""Release after a match: who gets which content key, in unlabelled blobs.

Owns the decision and the blobs (specs/20-protocol.md#release). Refuses to know
how a match was found and what people do with it. A release follows one curve
of one (slot, level), never two: a filing that names different people in its
slots must not bridge strangers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, ContextMismatch, NotAloneError, VerificationFailed
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.filing import Header
from notalone_crypto.messages.release import (
    BLOB_PLAINTEXT_LENGTH,
    MAX_NAMED_MEMBERS,
    ReleaseBatch,
    ReleaseItem,
)
from notalone_crypto.primitives import hpke, padding, pedersen
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol.entries import PublicEntry
from notalone_crypto.protocol.file import decode_share, encode_share, open_introduction
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import Tag

NO_GROUP = bytes(32)


@dataclass(frozen=True, slots=True)
class Release:
    """One content key of one entry is due to one key holder."""

    recipient: bytes  # HPKE key of a filing or of a desk
    entry: bytes
    content: int
    group: bytes
    members: tuple[bytes, ...]

    @property
    def name(self) -> bytes:
        """32 bytes; a release is made once. A group that grows makes new ones for a desk."""
        return digest(
            Tag.RELEASE_QUEUE, self.recipient, self.entry, bytes([self.content]), self.group, *self.members
        )


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a recipient ends up with: one entry's opened introduction."""

    entry: bytes
    content: int
    group: bytes
    members: tuple[bytes, ...]
    plaintext: bytes = field(repr=False)


def group_name(scope: bytes, slot: int, level: int, founders: Sequence[bytes]) -> bytes:
    """32-byte name of a match, the same for all trustees and in every epoch."""
    return digest(Tag.RELEASE, scope, bytes((slot, level)), *sorted(founders))


def due(headers: Mapping[bytes, Header], members: Sequence[bytes], group: bytes) -> tuple[Release, ...]:
    """Every release that one match makes due, given its members' sealed policies.

    A content key goes from one peer to another only if *both* sealed headers
    allow it; otherwise both content keys of both go to the desk each names.
    """
    named = tuple(sorted(members))[:MAX_NAMED_MEMBERS]
    found: dict[bytes, Release] = {}

    def add(release: Release) -> None:
        found.setdefault(release.name, release)

    for source in members:
        header = headers[source]
        for other in members:
            if other == source:
                continue
            if header.release_mode == ReleaseMode.PEERS == headers[other].release_mode:
                add(Release(headers[other].recipient_key, source, 1, NO_GROUP, ()))
                if header.preconsent:
                    add(Release(headers[other].recipient_key, source, 2, NO_GROUP, ()))
            else:
                add(Release(header.desk_key, source, 1, group, named))
                add(Release(header.desk_key, source, 2, group, named))
    return tuple(found.values())


def make_item(
    secrets: TrusteeSecrets,
    release: Release,
    public: PublicEntry,
    share: Share,
    *,
    scope: bytes,
    batch: int,
) -> ReleaseItem:
    """This trustee's signed share of the content key of one due release."""
    header = public.header
    introduction = public.first_introduction if release.content == 1 else public.second_introduction
    item = ReleaseItem(
        scope,
        release.recipient,
        batch,
        release.group,
        release.members,
        release.entry,
        header.quota_tag,
        release.content,
        public.content_row(release.content),
        introduction,
        secrets.index,
        encode_share(share),
        UNSIGNED,
    )
    return sign_message(item, secrets.signing_key, Tag.RELEASE)


def seal_batch(
    committee: Committee,
    secrets: TrusteeSecrets,
    plan: bytes,
    scope: bytes,
    items: Sequence[tuple[bytes, ReleaseItem]],
    count: int,
    randomness: Randomness,
) -> ReleaseBatch:
    """Exactly `count` blobs in random order: the real items, then noise.

    Noise is a real HPKE encryption to a key nobody keeps: random bytes would
    be told apart, since not every string is a curve point's coordinate. HPKE
    draws its own randomness, so the result is stored and never made twice.
    """
    context = blob_context(committee, scope)
    blobs = [
        hpke.seal(recipient, context, padding.pad(item.encode(), BLOB_PLAINTEXT_LENGTH))
        for recipient, item in items[:count]
    ]
    while len(blobs) < count:
        throwaway = hpke.generate_key(randomness)
        blobs.append(hpke.seal(throwaway.public, context, padding.pad(b"", BLOB_PLAINTEXT_LENGTH)))
    order = sorted(range(count), key=lambda _: randomness(16))
    message = ReleaseBatch(plan, secrets.index, tuple(blobs[index] for index in order), UNSIGNED)
    return sign_message(message, secrets.signing_key, Tag.RELEASE)


def check_batch(committee: Committee, message: ReleaseBatch, plan: bytes, count: int) -> None:
    """Signature, plan and the fixed number of blobs."""
    check_signature(message, committee.verify_key(message.trustee), Tag.RELEASE)
    if message.plan != plan or len(message.blobs) != count:
        raise VerificationFailed(
            Code.LENGTH, "a release batch of another size or plan", culprits=(message.trustee,)
        )


def blob_context(committee: Committee, scope: bytes) -> bytes:
    """HPKE context of every blob of a scope."""
    return digest(Tag.RELEASE, committee.instance, committee.identifier, scope)


def try_blobs(
    committee: Committee, scope: bytes, key: hpke.HpkePrivateKey, blobs: Sequence[bytes]
) -> tuple[ReleaseItem, ...]:
    """The items among `blobs` that open under `key` and carry a trustee's signature."""
    context = blob_context(committee, scope)
    items = []
    for blob in blobs:
        try:
            item = ReleaseItem.decode(padding.unpad(hpke.open_sealed(key, context, blob)))
            check_signature(item, committee.verify_key(item.trustee), Tag.RELEASE)
            if item.scope != scope or item.recipient != key.public:
                raise ContextMismatch(Code.SCOPE, "a release of another scope or for somebody else")
        except NotAloneError:
            continue  # noise, or for somebody else: the same to us
        items.append(item)
    return tuple(items)


def open_items(committee: Committee, items: Sequence[ReleaseItem]) -> tuple[Introduction, ...]:
    """Introductions that m trustees vouch for; a wrong share is ignored, too few open nothing."""
    claims: dict[bytes, list[ReleaseItem]] = {}
    for item in items:
        claims.setdefault(_claim(item), []).append(item)
    opened = []
    for group in claims.values():
        first = group[0]
        try:
            shares = _decoded_shares(group)
            scalar = pedersen.recover(first.commitments, committee.threshold, shares)
            plaintext = open_introduction(
                committee, first.scope, first.quota_tag, first.content, scalar, first.introduction
            )
        except NotAloneError:
            continue  # the next batch may bring the missing share
        opened.append(Introduction(first.entry, first.content, first.group, first.members, plaintext))
    return tuple(opened)


def _decoded_shares(items: Sequence[ReleaseItem]) -> list[Share]:
    """Every share that is one; a liar's must not shadow or stop the good ones, not even its own earlier."""
    shares = []
    for item in items:
        try:
            shares.append(decode_share(item.share, item.trustee))
        except NotAloneError:
            continue
    return shares


def _claim(item: ReleaseItem) -> bytes:
    """Everything in an item that honest trustees agree on; the batch may differ by overflow."""
    return digest(
        Tag.RELEASE,
        item.scope,
        item.group,
        b"".join(item.members),
        item.entry,
        item.quota_tag,
        bytes([item.content]),
        b"".join(item.commitments),
        item.introduction,
    )
