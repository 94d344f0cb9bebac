"""What a reporter decides, in the words of a form, and the sealed bytes that come of it.

Owns the form's fields and their canonical forms. Refuses to send anything and
to keep anything.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from notalone_crypto.errors import Code, ContextMismatch
from notalone_crypto.messages.committee import ReleaseMode, ScopePolicy
from notalone_crypto.messages.filing import Filing, Header
from notalone_crypto.protocol import file, withdraw
from notalone_crypto.protocol.identify import (
    CanonicalIdentifier,
    IdentifierKind,
    Platform,
    SlotKind,
    canonicalize,
    require_slot_accepts,
)


@dataclass(frozen=True, slots=True)
class Named:
    """One identifier of the person the report is about; several of one report name one person.

    >>> Named.email("Someone@Example.org").slot.name
    'WORK_IDENTITY'
    """

    slot: SlotKind
    kind: IdentifierKind
    text: str = field(repr=False)
    unit: str | None = field(default=None, repr=False)
    platform: Platform | None = None

    @classmethod
    def email(cls, text: str) -> Named:
        """A personal work address; shared mailboxes are refused when sealing."""
        return cls(SlotKind.WORK_IDENTITY, IdentifierKind.EMAIL, text)

    @classmethod
    def directory(cls, text: str) -> Named:
        """The identifier in the organisation's directory."""
        return cls(SlotKind.WORK_IDENTITY, IdentifierKind.DIRECTORY, text)

    @classmethod
    def name(cls, text: str, unit: str) -> Named:
        """Full name and unit."""
        return cls(SlotKind.WORK_IDENTITY, IdentifierKind.NAME, text, unit=unit)

    @classmethod
    def phone(cls, text: str) -> Named:
        """A telephone number; without a country code it is one of the scope's region."""
        return cls(SlotKind.PHONE, IdentifierKind.PHONE, text)

    @classmethod
    def account(cls, text: str, platform: Platform | None = None, *, former: bool = False) -> Named:
        """An account on a site, by address or by handle and platform."""
        slot = SlotKind.FORMER_ACCOUNT if former else SlotKind.ACCOUNT
        return cls(slot, IdentifierKind.ACCOUNT, text, platform=platform)

    def canonical(self, region: str) -> CanonicalIdentifier:
        """Exactly what is compared. Raises: InvalidIdentifier."""
        phone = self.kind is IdentifierKind.PHONE
        found = canonicalize(
            self.kind,
            self.text,
            default_region=region if phone else None,
            unit=self.unit,
            platform=self.platform,
        )
        require_slot_accepts(self.slot, found)
        return found


@dataclass(frozen=True, slots=True)
class Form:
    """One report: about whom, from how many on, to whom it opens, and the words."""

    about: Sequence[Named]
    threshold: int = field(default=2, repr=False)  # including herself
    peers: bool = False  # else to the counsellors alone
    preconsent: bool = False
    desk: str = ""  # a desk's name; the first of the policy by default
    weeks: int = 52
    alias: str = field(default="", repr=False)  # at most 200 UTF-8 bytes: the name others write to
    words: str = field(default="", repr=False)  # at most 2044 bytes: first words, safe contact

    def compared(self, policy: ScopePolicy) -> dict[SlotKind, CanonicalIdentifier]:
        """What will be compared, for the confirmation card.

        Raises: InvalidIdentifier; ContextMismatch for two identifiers in one field.
        """
        found: dict[SlotKind, CanonicalIdentifier] = {}
        for named in self.about:
            if named.slot in found:
                raise ContextMismatch(Code.POLICY, "a field is filled in twice")
            found[named.slot] = named.canonical(policy.default_region)
        return found

    def report(self, policy: ScopePolicy, now: int) -> file.Report:
        """The core's form of it. Raises as `compared`, and ContextMismatch for an unknown desk."""
        desks = [desk.key for desk in policy.desks if self.desk in ("", desk.name)]
        if not desks:
            raise ContextMismatch(Code.POLICY, "the scope has no such desk")
        weeks = min(self.weeks, policy.maximum_weeks)
        return file.Report(
            {int(slot): one.encode() for slot, one in self.compared(policy).items()},
            self.threshold,
            ReleaseMode.PEERS if self.peers else ReleaseMode.COUNSELLOR,
            self.preconsent,
            desks[0],
            withdraw.week_of(now) + weeks,
            unicodedata.normalize("NFC", self.alias),
            self.words.encode("utf-8"),
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed report. Keep `data` until `file` gave a receipt, and send these very bytes again if needed.

    Sealing again instead would spend another quota place. `data` holds nothing
    that can be read without the trustees, but it shows that somebody filed.

    Raises: MalformedInput for bytes that are no sealed report, or are damaged.
    """

    data: bytes = field(repr=False)
    filing: Filing = field(init=False, repr=False, compare=False)
    header: Header = field(init=False, repr=False, compare=False)  # its public face
    entry: bytes = field(init=False, repr=False, compare=False)  # 32-byte name

    def __post_init__(self) -> None:
        """Read it once."""
        filing = Filing.decode(self.data)
        header = Header.decode(filing.header)
        for name, value in (("filing", filing), ("header", header), ("entry", header.entry)):
            object.__setattr__(self, name, value)
