"""The record of a batch: one salted leaf, and each reporter's path to her own part.

Owns salts, parts, leaf and their verification (specs/20-protocol.md#record).
Refuses to know the log the leaf goes into (protocol/log.py). A leaf is made
for every batch, empty or not, and its salt is known to trustees and named
auditors only: anything finer told the public when matches happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, VerificationFailed
from notalone_crypto.messages.evaluation import (
    BatchPlan,
    BatchRecord,
    Inclusion,
    PlanVote,
    RoundOne,
    RoundTwo,
)
from notalone_crypto.primitives import merkle
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.hashing import derive, digest
from notalone_crypto.protocol.rounds import Point
from notalone_crypto.suite import Tag


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A batch's record with its salt; only the leaf is public."""

    record: BatchRecord
    salt: bytes = field(repr=False)
    entries: tuple[bytes, ...]

    @property
    def leaf(self) -> bytes:
        """32-byte content of the log's leaf."""
        return digest(Tag.LEAF, _leaf_salt(self.salt), self.record.encode())

    def inclusion(self, entry: bytes) -> Inclusion:
        """The path to one entry's part, for its owner."""
        position = self.entries.index(entry)
        tree = _tree(self.salt, self.record.plan, self.entries)
        return Inclusion(
            entry,
            _part_salt(self.salt, entry),
            position,
            len(self.entries),
            tree.inclusion_proof(position),
            self.record.plan,
            self.record.messages,
            self.record.outputs,
            _leaf_salt(self.salt),
        )


def make_record(
    plan: BatchPlan,
    votes: Mapping[int, PlanVote],
    first: Mapping[int, RoundOne],
    second: Mapping[int, RoundTwo],
    entries: Sequence[bytes],
    points: Sequence[Point],
) -> SealedRecord:
    """The record everybody who followed the batch computes alike."""
    salt = digest(Tag.RECORD_SALT, plan.fingerprint, *(votes[index].salt for index in sorted(votes)))
    # Values, not proofs: a trustee may prove the same values twice, and two
    # good proofs must not make two leaves.
    messages = [bytes([index]) + votes[index].salt for index in sorted(votes)]
    messages += [
        bytes([index]) + b"".join(first[index].duplicates + first[index].openings) for index in sorted(first)
    ]
    messages += [bytes([index]) + b"".join(second[index].points) for index in sorted(second)]
    outputs = [RISTRETTO255.encode_scalar(point.x) + point.curve for point in points]
    names = tuple(entries)
    record = BatchRecord(
        plan.fingerprint,
        digest(Tag.EVALUATION_MESSAGE, *messages),
        digest(Tag.BATCH_RECORD, b"outputs", *outputs),
        _tree(salt, plan.fingerprint, names).root(),
    )
    return SealedRecord(record, salt, names)


def check_inclusion(inclusion: Inclusion, entry: bytes) -> bytes:
    """The leaf (32 bytes) in which `entry` was counted; the caller then finds it in the log.

    Raises: VerificationFailed (log.inclusion).
    """
    if inclusion.entry != entry:
        raise VerificationFailed(Code.INCLUSION, "the path is for another entry")
    part = merkle.leaf_hash(_part(inclusion.part_salt, inclusion.plan, entry))
    root = merkle.root_of_path(inclusion.count, inclusion.position, part, inclusion.path)
    record = BatchRecord(inclusion.plan, inclusion.messages, inclusion.outputs, root)
    return digest(Tag.LEAF, inclusion.leaf_salt, record.encode())


def _tree(salt: bytes, plan: bytes, entries: Sequence[bytes]) -> merkle.MerkleTree:
    return merkle.MerkleTree.of([_part(_part_salt(salt, entry), plan, entry) for entry in entries])


def _leaf_salt(salt: bytes) -> bytes:
    """The salt that a path shows; the parts' salts do not follow from it.

    Attack: with the salt behind all of them, one reporter could test whether
    any entry she knows of was in the batch.
    """
    return derive(salt, Tag.RECORD_SALT, b"leaf")


def _part_salt(salt: bytes, entry: bytes) -> bytes:
    return derive(salt, Tag.RECORD_SALT, b"part", entry)


def _part(part_salt: bytes, plan: bytes, entry: bytes) -> bytes:
    return digest(Tag.RECORD_PART, part_salt, plan, entry)
