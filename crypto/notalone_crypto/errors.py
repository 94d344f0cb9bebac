"""The one error tree: a stable code, whose fault it is, and the culprits.

Owns every failure the core can report. Refuses to know: HTTP, log formats,
languages. The messages are for operators and developers; what goes on the
wire is made coarse elsewhere so that no answer becomes an oracle.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import ClassVar


@unique
class Fault(StrEnum):
    """Whose mistake a failure is, as far as the evidence shows."""

    SENDER = "sender"  # whoever made the bytes under check
    TRUSTEE = "trustee"  # named in `culprits`
    ISSUER = "issuer"
    BOARD = "board"
    OPERATOR = "operator"  # a wrong setting or file on this side
    CALLER = "caller"  # the code that calls this function


@unique
class Code(StrEnum):
    """Stable failure codes; a code is never renamed or reused."""

    # bytes
    LENGTH = "encoding.length"
    NON_CANONICAL = "encoding.non_canonical"
    IDENTITY = "encoding.identity"
    TRAILING = "encoding.trailing"
    TRUNCATED = "encoding.truncated"
    VERSION = "encoding.version"
    RANGE = "encoding.range"
    TEXT = "encoding.text"
    # identifiers and input files
    IDENTIFIER = "identifier.invalid"
    IDENTIFIER_WEAK = "identifier.too_weak"
    IDENTIFIER_SHARED = "identifier.shared"
    INPUT_FILE = "input.file"
    # proofs, commitments, envelopes
    PROOF = "proof.invalid"
    STATEMENT = "proof.statement"
    SHARE = "share.invalid"
    COMMITMENT_LENGTH = "share.commitment_length"
    DECRYPTION = "seal.decryption"
    SIGNATURE = "signature.invalid"
    INCLUSION = "log.inclusion"
    CONSISTENCY = "log.consistency"
    QUORUM = "log.quorum"
    FORK = "log.fork"
    # context
    COMMITTEE = "context.committee"
    SCOPE = "context.scope"
    GENERATION = "context.generation"
    POLICY = "context.policy"
    SNAPSHOT = "context.snapshot"
    PERIOD = "context.period"
    EXPIRED = "context.expired"
    EXPIRY = "context.expiry"
    # state
    DUPLICATE = "state.duplicate"
    ENC_REUSED = "state.enc_reused"
    TAG_SPENT = "state.tag_spent"
    QUOTA = "state.quota"
    UNKNOWN_ENTRY = "state.unknown_entry"
    OUT_OF_ORDER = "state.out_of_order"
    EQUIVOCATION = "state.equivocation"
    ROLLBACK = "state.rollback"
    BATCH_OPEN = "state.batch_open"
    CONSENT = "state.consent"
    # roll
    ROLL_TOO_SMALL = "roll.too_small"
    ROLL_DUPLICATE = "roll.duplicate"
    NOT_ELIGIBLE = "roll.not_eligible"
    # ceremony and committee
    PARAMETERS = "ceremony.parameters"
    DEALING = "ceremony.dealing"
    COMPLAINT = "ceremony.complaint"
    MANIFEST = "ceremony.manifest"
    SUBSET_MISMATCH = "committee.subset_mismatch"
    # use of the library
    MISUSE = "caller.misuse"


class NotAloneError(Exception):
    """Root of the tree.

    `code` is stable, `detail` is one sentence for an operator and never holds
    a secret or an identifier, `culprits` are trustee indices (1..n).
    """

    default_fault: ClassVar[Fault] = Fault.SENDER

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        fault: Fault | None = None,
        culprits: tuple[int, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.fault = self.default_fault if fault is None else fault
        self.culprits = culprits

    def __str__(self) -> str:
        """Code first, so that an operator can look it up."""
        named = f" [trustees {', '.join(map(str, self.culprits))}]" if self.culprits else ""
        return f"{self.code}: {self.detail}{named}"


class MalformedInput(NotAloneError):
    """Bytes that are not the canonical encoding of anything."""


class InvalidIdentifier(NotAloneError):
    """Something typed by a person that names nobody we could compare."""


class VerificationFailed(NotAloneError):
    """A proof, signature, share, path or ciphertext that does not verify."""


class ContextMismatch(NotAloneError):
    """Valid in itself, but for another committee, scope, time or policy."""


class StateConflict(NotAloneError):
    """Valid in itself, but not now: duplicate, spent, out of order, rolled back."""


class RollRefused(NotAloneError):
    """The roll of members does not allow it."""


class CeremonyFailed(NotAloneError):
    """A key ceremony that must stop; `culprits` says because of whom."""

    default_fault = Fault.TRUSTEE


class CommitteeHalted(NotAloneError):
    """Evaluation stopped for good until operators act; `culprits` may be a set."""

    default_fault = Fault.TRUSTEE


class Misuse(NotAloneError):
    """The calling code broke a precondition that no remote party controls."""

    default_fault = Fault.CALLER
