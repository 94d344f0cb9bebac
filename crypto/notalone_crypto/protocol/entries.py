"""An accepted entry: what is public about it, and what one trustee holds of it.

Owns the agreement check on subset commitments and the derivation of masks.
Refuses to know batches and when anything is posted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, CommitteeHalted
from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.filing import Acceptance, Header
from notalone_crypto.primitives import prss
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol import statement
from notalone_crypto.protocol.accept import EntryShares
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.suite import Tag

Rows = tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class EntryRows:
    """Commitment rows that a re-share put in place of the header's; empty means never re-shared.

    `masks` is empty too where masks are (again) those of the subset keys.
    """

    identifiers: Rows = ()
    inverses: Rows = ()
    contents: Rows = ()
    masks: Rows = ()


@dataclass(frozen=True, slots=True)
class PublicEntry:
    """Header, agreed subset commitments, current rows: all that verifying its evaluation needs."""

    header: Header
    first_introduction: bytes
    second_introduction: bytes
    subset_rows: Mapping[prss.Subset, tuple[bytes, ...]]  # per (slot, level): mask, then zero parts
    rows: EntryRows = EntryRows()

    @property
    def name(self) -> bytes:
        """32-byte entry name."""
        return self.header.entry

    def commitments_digest(self) -> bytes:
        """32-byte hash of all subset commitments, part of every round's weights."""
        rows = [bytes(subset) + b"".join(row) for subset, row in self.subset_rows.items()]
        if self.rows != EntryRows():
            current = (self.rows.identifiers, self.rows.inverses, self.rows.contents, self.rows.masks)
            rows += [digest(Tag.RESHARE, *map(b"".join, table)) for table in current]
        return digest(Tag.ACCEPT, self.name, *rows)

    def identifier_row(self, position: int) -> tuple[bytes, ...]:
        """The m commitments to the identifier's sharing at a position."""  # spec: M
        return (self.rows.identifiers or self.header.identifier_commitments)[position]

    def inverse_row(self, position: int) -> tuple[bytes, ...]:
        """The m commitments to the inverse's sharing at a position."""  # spec: V
        return (self.rows.inverses or self.header.inverse_commitments)[position]

    def content_row(self, content: int) -> tuple[bytes, ...]:
        """The m commitments to the sharing of content key 1 or 2."""
        return (self.rows.contents or self.header.content_commitments)[content - 1]

    def mask_terms(self, threshold: int, position: int, index: int) -> list[tuple[int, bytes]]:
        """Public combination that commits to trustee `index`'s mask share at a position."""  # spec: R_i
        if self.rows.masks:
            return [(index**degree, element) for degree, element in enumerate(self.rows.masks[position])]
        return [
            (prss.coefficient(subset, index), row[position * threshold])
            for subset, row in self.subset_rows.items()
            if index not in subset
        ]

    def zero_terms(self, threshold: int, position: int, index: int) -> list[tuple[int, bytes]]:
        """Public combination that commits to its zero share."""  # spec: Z_i
        return [
            (prss.coefficient(subset, index) * index**power, row[position * threshold + power])
            for subset, row in self.subset_rows.items()
            if index not in subset
            for power in range(1, threshold)
        ]


@dataclass(frozen=True, slots=True)
class EntrySecrets:
    """One trustee's secrets of one accepted entry."""

    shares: EntryShares = field(repr=False)
    masks: tuple[Share, ...] = field(repr=False)  # spec: rho_i for each (slot, level)
    zeros: tuple[Share, ...] = field(repr=False)  # spec: z_i


def agree(committee: Committee, acceptances: Sequence[Acceptance]) -> dict[prss.Subset, tuple[bytes, ...]]:
    """The subset commitments every holder signed.

    Raises: CommitteeHalted (committee.subset_mismatch) naming the holders of
    a subset whose commitments differ. Then no opening may be posted and
    nothing published, replaced or zeroed: each of those gave one trustee k_T.
    """
    rows: dict[prss.Subset, tuple[bytes, ...]] = {}
    for acceptance in acceptances:
        held = prss.held_subsets(committee.count, committee.threshold, acceptance.trustee)
        for subset, row in zip(held, acceptance.subset_commitments, strict=True):
            if rows.setdefault(subset, row) != row:
                holders = tuple(i for i in range(1, committee.count + 1) if i not in subset)
                raise CommitteeHalted(
                    Code.SUBSET_MISMATCH,
                    "holders of one subset key committed to different values; stop and find out why",
                    culprits=holders,
                )
    return {subset: rows[subset] for subset in prss.subsets(committee.count, committee.threshold)}


def derive_secrets(
    committee: Committee,
    policy: ScopePolicy,
    secrets: TrusteeSecrets,
    header: Header,
    shares: EntryShares,
) -> EntrySecrets:
    """Masks and zero shares of an entry: the same bytes whenever asked within a generation."""
    masks, zeros = [], []
    for slot, level in statement.positions(policy):
        context = committee.subset_context(header.entry, slot, level)
        drawn = {
            subset: [prss.subset_value(key, context, number) for number in range(committee.threshold)]
            for subset, key in secrets.subset_keys.items()
        }
        masks.append(
            prss.random_share({subset: values[0] for subset, values in drawn.items()}, secrets.index)
        )
        zeros.append(
            prss.zero_share({subset: tuple(values[1:]) for subset, values in drawn.items()}, secrets.index)
        )
    return EntrySecrets(shares, tuple(masks), tuple(zeros))
