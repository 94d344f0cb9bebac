"""What travels inside one unlabelled release blob.

Owns its shape and fixed size. Refuses to know to whom it goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from notalone_crypto.messages.filing import SEAL_OVERHEAD, SECOND_INTRODUCTION_LENGTH
from notalone_crypto.messages.wire import U8, U32, Elements, Fixed, Hash, Hashes, Message, Variable


@dataclass(frozen=True, slots=True)
class ReleaseItem(Message):
    """One trustee's share of one content key of one entry, for one recipient."""

    TYPE: ClassVar[int] = 50
    scope: Hash
    batch: U32
    group: Hash  # names the match event; the same in every trustee's blob
    level: U8
    entry: Hash  # whose introduction this is
    content: U8  # 1 or 2: which content key
    commitments: Elements
    trustee: U8
    share: Annotated[bytes, Fixed(64)] = field(repr=False)
    introduction: Annotated[bytes, Variable(SECOND_INTRODUCTION_LENGTH + SEAL_OVERHEAD)]
    members: Hashes  # entries of the group the recipient may know of: desks only
