"""Canonical identifiers: what a reporter types becomes the exact bytes that are compared.

Owns the one entry point, the kinds each slot accepts, and the local directory.
Refuses to know hashing, scopes and the network: everything here happens on the
reporter's device, before anything is derived (specs/50-identifiers.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import Final

from notalone_crypto.errors import Code, InvalidIdentifier, Misuse
from notalone_crypto.protocol.identify_handles import canonical_account
from notalone_crypto.protocol.identify_mail import canonical_email
from notalone_crypto.protocol.identify_names import canonical_directory_id, canonical_name, fold_tokens
from notalone_crypto.protocol.identify_phone import canonical_phone
from notalone_crypto.protocol.identify_text import clean, lower, refuse
from notalone_crypto.protocol.identify_types import CanonicalIdentifier, IdentifierKind, Platform

__all__ = [
    "SLOT_KINDS",
    "CanonicalIdentifier",
    "Directory",
    "DirectoryMatch",
    "DirectoryPerson",
    "IdentifierKind",
    "Platform",
    "SlotKind",
    "canonicalize",
    "require_slot_accepts",
]

MIN_QUERY: Final = 2
MAX_RESULTS: Final = 50


def canonicalize(
    kind: IdentifierKind,
    text: str,
    *,
    default_region: str | None = None,
    unit: str | None = None,
    platform: Platform | None = None,
) -> CanonicalIdentifier:
    """The one canonical form of `text` as a `kind`.

    `default_region` comes from the scope's policy and counts for telephone
    numbers only; `unit` belongs to a name and `platform` to an account. Raises
    InvalidIdentifier with IDENTIFIER, IDENTIFIER_WEAK or IDENTIFIER_SHARED and
    a sentence that never repeats the input, and Misuse for an argument of
    another kind (specs/50-identifiers.md#kinds).
    """
    if unit is not None and kind is not IdentifierKind.NAME:
        raise Misuse(Code.MISUSE, "a unit belongs to a name only")
    if platform is not None and kind is not IdentifierKind.ACCOUNT:
        raise Misuse(Code.MISUSE, "a platform belongs to an account only")
    if kind is IdentifierKind.DIRECTORY:
        value = canonical_directory_id(text)
    elif kind is IdentifierKind.EMAIL:
        value = canonical_email(text)
    elif kind is IdentifierKind.PHONE:
        value = canonical_phone(text, default_region)
    elif kind is IdentifierKind.ACCOUNT:
        value = canonical_account(text, platform)
    else:
        value = canonical_name(text, unit)
    return CanonicalIdentifier(kind, value.encode("utf-8"))


@unique
class SlotKind(IntEnum):
    """The default slots of a scope, in order; a slot is compared with itself only."""

    WORK_IDENTITY = 1
    PHONE = 2
    ACCOUNT = 3
    FORMER_ACCOUNT = 4  # on purpose not compared with ACCOUNT: the reporter fills both if unsure


SLOT_KINDS: Final[dict[SlotKind, frozenset[IdentifierKind]]] = {
    SlotKind.WORK_IDENTITY: frozenset({IdentifierKind.DIRECTORY, IdentifierKind.EMAIL, IdentifierKind.NAME}),
    SlotKind.PHONE: frozenset({IdentifierKind.PHONE}),
    SlotKind.ACCOUNT: frozenset({IdentifierKind.ACCOUNT}),
    SlotKind.FORMER_ACCOUNT: frozenset({IdentifierKind.ACCOUNT}),
}


def require_slot_accepts(slot: SlotKind, identifier: CanonicalIdentifier) -> None:
    """Raise InvalidIdentifier unless `slot` takes this kind of identifier."""
    if identifier.kind not in SLOT_KINDS[slot]:
        raise refuse("This kind of identifier belongs in another field.")


@dataclass(frozen=True, slots=True)
class DirectoryPerson:
    """One line of the organisation's directory, as published."""

    directory_id: str
    display_name: str = field(repr=False)
    unit: str = field(repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class DirectoryMatch:
    """A search result; `has_homonym` tells the client to show the unit in bold."""

    person: DirectoryPerson
    has_homonym: bool


class Directory:
    """The whole directory, searched and resolved on the reporter's own device.

    Raises InvalidIdentifier(INPUT_FILE) when an entry cannot be canonical or
    when two people share an id or an address. Addresses that several people
    read are left out of the index: they name nobody.
    """

    __slots__ = ("_by_email", "_by_id", "_by_name", "_rows", "_same_name")

    def __init__(self, people: Iterable[DirectoryPerson]) -> None:
        self._by_id: dict[str, DirectoryPerson] = {}
        self._by_email: dict[str, DirectoryPerson] = {}
        self._by_name: dict[str, list[DirectoryPerson]] = {}
        self._same_name: dict[str, int] = {}
        self._rows: list[tuple[DirectoryPerson, tuple[str, ...], str]] = []
        for person in people:
            self._add(person)

    def _add(self, person: DirectoryPerson) -> None:
        try:
            identity = canonical_directory_id(person.directory_id)
            words = tuple(fold_tokens(clean(f"{person.display_name} {person.unit}"), digits=True))
            name_key = _name_key(person)
        except InvalidIdentifier:
            raise refuse("A line of the directory cannot be read.", Code.INPUT_FILE) from None
        if self._by_id.setdefault(identity, person) is not person:
            raise refuse("Two lines of the directory have the same id.", Code.INPUT_FILE)
        for email in person.emails:
            self._add_email(email, person)
        try:
            named = canonical_name(person.display_name, person.unit)
        except InvalidIdentifier:
            named = ""  # one word only, or no unit: found by id, address and search
        if named:
            self._by_name.setdefault(named, []).append(person)
        self._same_name[name_key] = self._same_name.get(name_key, 0) + 1
        parts = re.split(r"[^a-z0-9]+", identity)
        self._rows.append((person, (*words, *parts, *map(lower, person.emails)), name_key))

    def _add_email(self, email: str, person: DirectoryPerson) -> None:
        try:
            address = canonical_email(email)
        except InvalidIdentifier as error:
            if error.code is Code.IDENTIFIER_SHARED:
                return
            raise refuse("An address of the directory cannot be read.", Code.INPUT_FILE) from None
        if self._by_email.setdefault(address, person) is not person:
            raise refuse("Two lines of the directory have the same address.", Code.INPUT_FILE)

    def resolve(
        self,
        kind: IdentifierKind,
        text: str,
        *,
        default_region: str | None = None,
        unit: str | None = None,
        platform: Platform | None = None,
    ) -> CanonicalIdentifier:
        """As `canonicalize`, but id, address and full name of a listed person give her directory id.

        Raises InvalidIdentifier also for an id that is not listed, and
        IDENTIFIER_WEAK for a name that several listed people of one unit bear.
        """
        plain = canonicalize(kind, text, default_region=default_region, unit=unit, platform=platform)
        person: DirectoryPerson | None = None
        if kind is IdentifierKind.DIRECTORY:
            person = self._by_id.get(plain.text)
            if person is None:
                raise refuse("This id is not in the directory.")
        elif kind is IdentifierKind.EMAIL:
            person = self._by_email.get(plain.text)
        elif kind is IdentifierKind.NAME:
            bearers = self._by_name.get(plain.text, [])
            if len(bearers) > 1:
                raise refuse(
                    "Several people of this unit bear this name; please choose in the list.",
                    Code.IDENTIFIER_WEAK,
                )
            person = bearers[0] if bearers else None
        return plain if person is None else self.identify(person)

    def identify(self, person: DirectoryPerson) -> CanonicalIdentifier:
        """The canonical form of a person chosen in the list."""
        return canonicalize(IdentifierKind.DIRECTORY, person.directory_id)

    def search(self, query: str, *, limit: int = MAX_RESULTS) -> tuple[DirectoryMatch, ...]:
        """People one of whose words begins with each word of `query`, by name, unit and id.

        An unreadable query or one under two letters finds nobody. Nothing
        leaves the device.
        """
        try:
            typed = clean(query)
            words = [lower(typed)] if "@" in typed else fold_tokens(typed, digits=True)
        except InvalidIdentifier:
            return ()
        if not words or max(map(len, words)) < MIN_QUERY:
            return ()
        found = [
            DirectoryMatch(person, self._same_name[name_key] > 1)
            for person, have, name_key in self._rows
            if all(any(candidate.startswith(word) for candidate in have) for word in words)
        ]
        found.sort(
            key=lambda match: (match.person.display_name, match.person.unit, match.person.directory_id)
        )
        return tuple(found[:limit])


def _name_key(person: DirectoryPerson) -> str:
    return " ".join(sorted(fold_tokens(clean(person.display_name), digits=True)))
