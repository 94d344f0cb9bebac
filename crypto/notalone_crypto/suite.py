"""Version, lengths, limits and the one registry of domain-separation tags.

Owns every constant that two implementations must share. Refuses to know how
any of them is used. A tag is registered here once and never reused for a
second meaning (specs/00-conventions.md#domain-tags).
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

PROTOCOL_VERSION: Final = 1
DST_PREFIX: Final = b"NotAlone-v1/"

ELEMENT_LENGTH: Final = 32  # encoded ristretto255 element
SCALAR_LENGTH: Final = 32  # little-endian, canonical
HASH_LENGTH: Final = 32  # SHA-512 truncated to its first 32 bytes
SIGNATURE_LENGTH: Final = 64  # Ed25519
VERIFY_KEY_LENGTH: Final = 32  # Ed25519
HPKE_KEY_LENGTH: Final = 32  # X25519
SECRET_LENGTH: Final = 32  # subset keys, seeds
PHRASE_LENGTH: Final = 16  # 128 bits behind the 12 words

MIN_TRUSTEES: Final = 3
MAX_TRUSTEES: Final = 9
LEVELS: Final = (2, 3, 4)  # thresholds that exist at all; a policy picks a prefix
MAX_SLOTS: Final = 8
MIN_ROLL: Final = 32
COHORT_SIZE: Final = 256
MAX_WHOLE_ROLL: Final = 512
SNAPSHOT_GRACE_SECONDS: Final = 120
CLOCK_TOLERANCE_SECONDS: Final = 600  # between any two honest clocks
MIN_QUOTA: Final = 12


@unique
class Tag(StrEnum):
    """Domain-separation tags (specs/00-conventions.md#domain-tags)."""

    # groups and commitments
    PEDERSEN_H = "pedersen-h"
    MEMBERSHIP_GENERATOR = "membership-generator"
    MEMBERSHIP_ROLL = "membership-roll"
    # identities and reports
    MEMBER_SECRET = "member-secret"
    MEMBER_BLIND = "member-blind"
    ENROLMENT = "enrolment"
    ROLL_ENTRY = "roll-entry"
    ROLL_SNAPSHOT = "roll-snapshot"
    IDENTIFIER = "identifier"
    DUMMY_IDENTIFIER = "dummy-identifier"
    PHRASE_KEY = "phrase-key"
    OWNER_KEY = "owner-key"
    RECIPIENT_KEY = "recipient-key"
    REPLY_KEY = "reply-key"
    QUOTA_BASE = "quota-base"
    # filing
    HEADER = "header"
    FILING = "filing"
    FILING_PROOF = "filing-proof"
    FILING_SIGNATURE = "filing-signature"
    BUNDLE = "bundle"
    INTRODUCTION = "introduction"
    CONTENT_KEY = "content-key"
    COMPLAINT = "complaint"
    ACCEPT = "accept"
    RECEIPT = "receipt"
    WITHDRAWAL = "withdrawal"
    # ceremony
    COMMITTEE = "committee"
    TRUSTEE_KEYS = "trustee-keys"
    DEALING = "dealing"
    SUBSET_CONTRIBUTION = "subset-contribution"
    SUBSET_KEY = "subset-key"
    SUBSET_KEY_HASH = "subset-key-hash"
    MANIFEST = "manifest"
    POLICY = "policy"
    RESHARE = "reshare"
    # evaluation
    SUBSET_VALUE = "subset-value"
    DUP = "dup"
    BASE = "base"
    POINT_X = "point-x"
    ROUND_ONE = "round-one"
    ROUND_TWO = "round-two"
    BATCH_WEIGHT = "batch-weight"
    BATCH_PLAN = "batch-plan"
    PLAN_VOTE = "plan-vote"
    BATCH_RECORD = "batch-record"
    RECORD_PART = "record-part"
    RECORD_SALT = "record-salt"
    EVALUATION_MESSAGE = "evaluation-message"
    # release and contact
    RELEASE = "release"
    RELEASE_QUEUE = "release-queue"
    MAILBOX = "mailbox"
    LETTER = "letter"
    # log
    LEAF = "leaf"
    CHECKPOINT = "checkpoint"
    # proofs
    NONCE = "nonce"
    KEY_COMMITMENT = "key-commitment"
    KEM = "kem"
    KEM_COMPLAINT = "kem-complaint"
    KEM_KEY_PROOF = "kem-key-proof"
    AEAD_KEY = "aead-key"
    TRANSCRIPT = "transcript"
