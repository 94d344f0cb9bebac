"""Accounts: a profile address or a handle becomes `platform:handle`.

Owns the taking apart of addresses and handles. Refuses to know the sites (that is
identify_platforms) and whether an account exists; it never follows a link
(specs/50-identifiers.md#accounts).
"""

from __future__ import annotations

import re
from typing import Final

from notalone_crypto.protocol.identify_mail import canonical_domain
from notalone_crypto.protocol.identify_platforms import ALIASES, HOST_OF, RULES, WHATSAPP_HOSTS
from notalone_crypto.protocol.identify_text import ascii_lower, clean, fold_word, refuse
from notalone_crypto.protocol.identify_types import Platform

_PREFIX: Final = re.compile(r"([a-z]+):(?!//)(.+)", re.IGNORECASE | re.ASCII)
_SCHEME: Final = re.compile(r"(?:https?:)?//(.+)", re.IGNORECASE | re.ASCII)
_PORT: Final = re.compile(r":(?:80|443)\Z", re.ASCII)
_SIDE: Final = re.compile(r"www|m|mobile|mbasic|web|touch|old|new|[a-z]{2}(?:-[a-z]{2})?", re.ASCII)
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_FEDIVERSE_USER: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
_CHANNEL: Final = re.compile(r"UC[A-Za-z0-9_-]{22}", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{3,24}", re.ASCII)
_DID: Final = re.compile(r"did:plc:[a-z2-7]{24}", re.ASCII)
_ASK_SITE: Final = "Please say which site the account is on, or paste the address of the profile."
_NO_PROFILE: Final = "This address does not lead to one person's profile; please paste the profile itself."
_NOT_A_HANDLE: Final = "This site has no account names of this form; please check it."
_IS_PHONE: Final = "An account there is a telephone number; please write it in the telephone field."


def canonical_account(text: str, platform: Platform | None) -> str:
    """`platform:handle`; raises InvalidIdentifier.

    `text` is a handle, `@handle`, `platform:handle` or a profile address;
    `platform` is needed for a handle alone and must agree with an address.
    """
    typed = clean(text)
    prefix = _PREFIX.fullmatch(typed)
    if prefix and prefix[1].lower() in ALIASES:
        named = ALIASES[prefix[1].lower()]
        if platform not in {None, named}:
            raise refuse("The address and the chosen site do not agree.")
        platform, typed = named, prefix[2].strip(" ")
    if platform is Platform.WHATSAPP:
        raise refuse(_IS_PHONE)
    host, segments, query = _take_apart(typed)
    if host is not None:
        found = _platform_of(host, segments)
        if platform not in {None, found}:
            raise refuse("The address and the chosen site do not agree.")
        if found is Platform.FEDIVERSE:
            return _fediverse(segments[-1].removeprefix("@"), host)
        return f"{found}:{_handle(found, segments, query, in_address=True)}"
    if platform is Platform.FEDIVERSE or (platform is None and typed.startswith("@") and "@" in typed[1:]):
        user, at, domain = typed.removeprefix("@").partition("@")
        if not at:
            raise refuse("Please write the account with its server, as in @name@server.")
        return _fediverse(user, domain)
    if platform is None:
        raise refuse(_ASK_SITE)
    return f"{platform}:{_handle(platform, segments, '', in_address=False)}"


def _take_apart(typed: str) -> tuple[str | None, list[str], str]:
    """Host or None, non-empty decoded path segments, raw query."""
    scheme = _SCHEME.fullmatch(typed)
    rest, query = (scheme[1] if scheme else typed), ""
    if "/" in typed:  # elsewhere # and ? are typing errors or parts of an old handle
        rest, _, query = rest.partition("#")[0].partition("?")
    pieces = rest.split("/")
    host = None
    if scheme is not None or ("." in pieces[0] and any(pieces[1:])):
        host = canonical_domain(_PORT.sub("", pieces[0]))
        pieces = pieces[1:]
    return host, [_unescape(piece) for piece in pieces if piece], query


def _unescape(piece: str) -> str:
    if "%" not in piece:
        return piece
    if _ESCAPE.search(piece):
        raise refuse("This address is not well formed.")
    raw = re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), piece.encode("utf-8", "replace")
    )
    try:
        return clean(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise refuse("This address is not well formed.") from None


def _platform_of(host: str, segments: list[str]) -> Platform:
    labels = host.split(".")
    for start in range(len(labels) - 1):
        base = ".".join(labels[start:])
        if base in WHATSAPP_HOSTS:
            raise refuse(_IS_PHONE)
        if base in HOST_OF:
            platform = HOST_OF[base]
            sides = labels[:start]
            if platform is Platform.TELEGRAM and len(sides) == 1 and len(sides[0]) >= 4:
                segments[:] = sides  # name.t.me
            elif not all(_SIDE.fullmatch(side) for side in sides):
                raise refuse(_NO_PROFILE)
            return platform
    shown = segments[-1:] and segments[-1].startswith("@")
    folders = [segment.lower() for segment in segments[:-1]]
    if (shown and folders in ([], ["web"])) or folders == ["users"]:
        return Platform.FEDIVERSE
    raise refuse("This site is not among those whose accounts can be compared.")


def _fediverse(user: str, host: str) -> str:
    name, at, other = user.partition("@")  # the profile of another server's member
    domain = canonical_domain((other if at else host).rstrip("/").removeprefix("www."))
    folded = ascii_lower(name, _NOT_A_HANDLE)
    if not _FEDIVERSE_USER.fullmatch(folded) or len(folded) > 64:
        raise refuse(_NOT_A_HANDLE)
    if HOST_OF.get(domain) is Platform.INSTAGRAM:
        return f"{Platform.INSTAGRAM}:{_handle(Platform.INSTAGRAM, [folded], '', in_address=False)}"
    return f"{Platform.FEDIVERSE}:{folded}@{domain}"


def _handle(platform: Platform, segments: list[str], query: str, *, in_address: bool) -> str:
    if not segments:
        raise refuse(_NO_PROFILE)
    number = _numbered(platform, segments, query)
    if number is not None:
        return number
    rule = RULES[platform]
    first = segments[0].lower()
    in_folder = first in rule.folders and len(segments) > 1
    if in_folder:
        segments = segments[1:]
    elif in_address and ((first in rule.reserved) or not (rule.plain or first.startswith("@"))):
        raise refuse(_NO_PROFILE)
    if len(segments) > 1 and not (segments[1].lower() in rule.tails or _is_language(segments[1], platform)):
        raise refuse(_NO_PROFILE)
    name = segments[0].removeprefix("@")
    folded = ascii_lower(name, _NOT_A_HANDLE) if rule.signs is None else fold_word(name, rule.signs)
    if folded in HOST_OF:
        raise refuse(_NO_PROFILE)
    if not rule.dots:
        folded = folded.replace(".", "")
    if platform is Platform.BLUESKY:
        folded = canonical_domain(folded if "." in folded else folded + ".bsky.social")
    if not re.fullmatch(rule.alphabet, folded, re.ASCII):
        raise refuse(_NOT_A_HANDLE)
    return folded


def _is_language(segment: str, platform: Platform) -> bool:
    return (
        platform is Platform.LINKEDIN
        and re.fullmatch(r"[A-Za-z]{2}(?:[-_][A-Za-z]{2})?", segment) is not None
    )


def _numbered(platform: Platform, segments: list[str], query: str) -> str | None:
    """The forms in which a site shows a number instead of a name; None for every other form."""
    first, last = segments[0].lower(), segments[-1]
    if platform is Platform.FACEBOOK and (
        first == "profile.php" or (first == "people" and len(segments) == 3)
    ):
        fields = dict(field.partition("=")[::2] for field in reversed(query.split("&")))
        number = fields.get("id", "") if first == "profile.php" else last
        if not _NUMBER.fullmatch(number):
            raise refuse(_NO_PROFILE)
        return number
    if platform is Platform.YOUTUBE and first == "channel" and len(segments) >= 2:
        # The only case-sensitive form: two channels may differ in case alone.
        if not _CHANNEL.fullmatch(segments[1]):
            raise refuse(_NOT_A_HANDLE)
        return f"channel/{segments[1]}"
    if platform is Platform.DISCORD and first in {"users", "id"} and len(segments) == 2:
        if not _NUMBER.fullmatch(last):
            raise refuse(_NOT_A_HANDLE)
        return f"id/{last}"
    if platform is Platform.BLUESKY and last.lower().startswith("did:"):
        if not _DID.fullmatch(last.lower()):
            raise refuse(_NOT_A_HANDLE)
        return last.lower()
    return None
