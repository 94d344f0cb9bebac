"""Operations on releases and on a trustee's view of the log.

Owns the translation from a case's inputs to calls of notalone_crypto.protocol.
Refuses to know which cases exist.
"""

from __future__ import annotations

from tools.vectors.op_committee import committee_of, trustee_from
from tools.vectors.registry import Table, operation

from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.filing import Filing, Header
from notalone_crypto.messages.release import ReleaseItem
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol import accept, entries, log, release
from notalone_crypto.protocol.log import LogView


def _due_table(due: release.Release) -> Table:
    return {
        "recipient": due.recipient,
        "entry": due.entry,
        "content": due.content,
        "group": due.group,
        "members": due.members,
        "name": due.name,
    }


def _opened_table(one: release.Introduction) -> Table:
    return {
        "entry": one.entry,
        "content": one.content,
        "group": one.group,
        "members": one.members,
        "plaintext": one.plaintext,
    }


@operation("release.group_name")
def group_name(scope: bytes, slot: int, level: int, founders: list[bytes]) -> Table:
    """Name of a match."""
    return {"name": release.group_name(scope, slot, level, founders)}


@operation("release.due")
def due(headers: list[bytes], group: bytes) -> Table:
    """Every release that a match of these headers, in order of arrival, makes due."""
    decoded = {header.entry: header for header in map(Header.decode, headers)}
    return {"due": [_due_table(one) for one in release.due(decoded, tuple(decoded), group)]}


@operation("release.make_item")
def make_item(
    signed_manifest: bytes, trustee: Table, filing: bytes, due: Table, scope: bytes, batch: int
) -> Table:
    """One trustee's signed share of a content key."""
    committee, secrets, decoded = committee_of(signed_manifest), trustee_from(trustee), Filing.decode(filing)
    header = Header.decode(decoded.header)
    shares = accept.open_bundle(committee, secrets, decoded, header)
    public = entries.PublicEntry(header, decoded.first_introduction, decoded.second_introduction, {})
    wanted = release.Release(
        bytes.fromhex(due["recipient"]),
        bytes.fromhex(due["entry"]),
        due["content"],
        bytes.fromhex(due["group"]),
        tuple(bytes.fromhex(one) for one in due["members"]),
    )
    share = shares.contents[wanted.content - 1]
    item = release.make_item(secrets, wanted, public, share, scope=scope, batch=batch)
    return {"item": item.encode()}


@operation("release.open_items")
def open_items(signed_manifest: bytes, items: list[bytes]) -> Table:
    """Introductions that enough trustees vouch for."""
    decoded = [ReleaseItem.decode(one) for one in items]
    opened = release.open_items(committee_of(signed_manifest), decoded)
    return {"opened": [_opened_table(one) for one in opened]}


@operation("release.blob_context")
def blob_context(signed_manifest: bytes, scope: bytes) -> Table:
    """HPKE context of every blob of a scope."""
    return {"context": release.blob_context(committee_of(signed_manifest), scope)}


@operation("release.try_blobs")
def try_blobs(signed_manifest: bytes, scope: bytes, secret: bytes, blobs: list[bytes]) -> Table:
    """The introductions that blobs open to for one key holder; others' blobs and noise are passed over."""
    committee = committee_of(signed_manifest)
    items = release.try_blobs(committee, scope, hpke.HpkePrivateKey.from_bytes(secret), blobs)
    return {
        "items": len(items),
        "opened": [_opened_table(one) for one in release.open_items(committee, items)],
    }


@operation("log.names")
def names(signed_manifest: bytes, index: int) -> Table:
    """The log's origin and a cosigner's name."""
    committee = committee_of(signed_manifest)
    return {"origin": log.origin(committee), "cosigner": log.cosigner_name(committee, index)}


@operation("log.check_update")
def check_update(signed_manifest: bytes, size: int, root: bytes, update: bytes, leaf: bytes) -> Table:
    """A trustee's new view after the board's update."""
    view = log.check_update(
        committee_of(signed_manifest), LogView(size, root), LogUpdate.decode(update), leaf
    )
    return {"size": view.size, "root": view.root}


@operation("log.cosign")
def cosign(signed_manifest: bytes, index: int, signing_seed: bytes, update: bytes, now: int) -> Table:
    """A trustee's cosignature message."""
    key = signing.SigningKey(signing_seed)
    message = log.cosign(committee_of(signed_manifest), index, key, LogUpdate.decode(update), now)
    return {"cosignature": message.encode()}


@operation("log.check_leaf")
def check_leaf(signed_manifest: bytes, note: bytes, leaf: bytes, index: int, inclusion: list[bytes]) -> Table:
    """The cosigned checkpoint that holds a leaf."""
    head = log.check_leaf(committee_of(signed_manifest), note, leaf, index, tuple(inclusion))
    return {"size": head.size, "root": head.root}
