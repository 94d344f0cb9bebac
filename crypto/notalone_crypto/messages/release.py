"""What travels inside one unlabelled release blob, and the fixed number of blobs a trustee posts.

Owns their shapes and fixed sizes. Refuses to know to whom a blob goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from notalone_crypto.messages.filing import SEAL_OVERHEAD, SECOND_INTRODUCTION_LENGTH
from notalone_crypto.messages.wire import (
    U8,
    U32,
    Element,
    Elements,
    Fixed,
    Hash,
    HpkeKey,
    ListOf,
    Message,
    Signature,
    Variable,
)

MAX_NAMED_MEMBERS = 32
BLOB_PLAINTEXT_LENGTH = 4096
BLOB_LENGTH = BLOB_PLAINTEXT_LENGTH + SEAL_OVERHEAD


@dataclass(frozen=True, slots=True)
class ReleaseItem(Message):
    """One trustee's share of one content key of one entry, for one recipient.

    It names neither slot nor level, and members and group only to a desk: a
    peer must not learn how many others there are.
    """

    TYPE: ClassVar[int] = 50
    scope: Hash
    recipient: HpkeKey  # else who received it could seal it anew to a stranger, as a match of hers
    batch: U32
    group: Hash  # names the match to a desk; zeros for a peer
    members: Annotated[tuple[bytes, ...], ListOf(Fixed(32), MAX_NAMED_MEMBERS)]
    entry: Hash  # whose introduction this is
    quota_tag: Element
    content: U8  # 1 or 2: which content key
    commitments: Elements
    introduction: Annotated[bytes, Variable(SECOND_INTRODUCTION_LENGTH + SEAL_OVERHEAD)]
    trustee: U8
    share: Annotated[bytes, Fixed(64)] = field(repr=False)
    signature: Signature  # else the board, who knows recipient keys, could make up a match


@dataclass(frozen=True, slots=True)
class ReleaseBatch(Message):
    """One trustee's blobs of one batch: always the same number, real or noise."""

    TYPE: ClassVar[int] = 51
    plan: Hash
    trustee: U8
    blobs: Annotated[tuple[bytes, ...], ListOf(Fixed(BLOB_LENGTH), 4096)]
    signature: Signature
