"""E-mail addresses and domain names, to the byte.

Owns lower case, sub-addresses, dots of Gmail, internationalised domains and
the refusal of shared mailboxes. Refuses to know whether an address exists
(specs/50-identifiers.md#e-mail).
"""

from __future__ import annotations

import re
from typing import Final

from notalone_crypto.errors import Code, InvalidIdentifier
from notalone_crypto.protocol.identify_text import ascii_lower, clean, fold_word, refuse, word_set

_MAX_LOCAL: Final = 64
_MAX_DOMAIN: Final = 253
_MAX_LABEL: Final = 63
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_ATOM: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_{|}~-]+)*", re.ASCII)
_BRACKETED: Final = re.compile(r"[^<>]*<([^<>]+)>")
_GMAIL: Final = frozenset({"gmail.com", "googlemail.com"})
_LIST_HOSTS: Final = frozenset({"lists", "list", "listes", "liste", "groups", "googlegroups"})

# A mailbox is shared when its whole name, all its words, or its first word say so.
_SHARED_FIRST: Final = word_set(
    "accueil admissions communication compta comptabilite contact contacts direction donotreply drh",
    "helpdesk hr info information informations infos moderation nepasrepondre newsletter noreply",
    "postmaster press reception recrutement recruitment rh scolarite secretariat service services",
    "standard support vss webmaster",
)
_SHARED_WORDS: Final = _SHARED_FIRST | word_set(
    "abuse accounting accounts admin administration administrator alert alertes alerts all billing",
    "bot bureau candidature candidatures career careers carriere club commercial courrier cse",
    "customer daemon dpo ecoute egalite enquiries equipe everyone facturation finance hello help",
    "hostmaster hotline it jobs juridique legal mail mailbox mailer marketing media medias ne no",
    "notification notifications office pas personnel presse privacy rectorat referent repondre reply",
    "rgpd sales sante securite security staff stage stages syndicat sysadmin team tech technique",
    "travail unsubscribe ventes vie welcome",
)


def canonical_domain(text: str) -> str:
    """Lower-case A-labels joined by dots; raises InvalidIdentifier.

    Each label: NFKC, lower case, sharp s and final sigma kept as IDNA 2008
    keeps them, then RFC 3492. An A-label typed by hand takes the same way.
    """
    labels = [_label(label) for label in text.removesuffix(".").split(".")]
    domain = ".".join(labels)
    if len(labels) < 2 or len(domain) > _MAX_DOMAIN or labels[-1].isdigit():
        raise refuse("The part that names the site or the mail provider is not complete.")
    return domain


def _label(text: str) -> str:
    broken = refuse("The part that names the site or the mail provider is not well formed.")
    if text[:4].lower() == "xn--":
        text = _from_a_label(text.lower(), broken)
    folded = fold_word(text, "0123456789-")
    if not folded.isascii():
        if folded.startswith("-") or folded.endswith("-"):
            raise broken
        folded = "xn--" + folded.encode("punycode").decode("ascii")
    if len(folded) > _MAX_LABEL or not _LABEL.fullmatch(folded):
        raise broken
    return folded


def _from_a_label(label: str, broken: InvalidIdentifier) -> str:
    # The codec of the standard library is lenient and slow on long input: bound the
    # length first, and refuse what does not encode back to the very same label.
    if len(label) > _MAX_LABEL or not label.isascii():
        raise broken
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
        back = "xn--" + decoded.encode("punycode").decode("ascii")
    except (UnicodeError, ValueError, OverflowError):
        raise broken from None
    if decoded.isascii() or back != label:
        raise broken
    return decoded


def canonical_email(text: str) -> str:
    """`local@domain`; raises InvalidIdentifier, with IDENTIFIER_SHARED for a mailbox of several people."""
    typed = clean(text)
    bracketed = _BRACKETED.fullmatch(typed)
    if bracketed:
        typed = bracketed[1].strip(" ")
    if typed[:7].lower() == "mailto:":
        typed = typed[7:].partition("?")[0]
    local, at, domain = typed.rpartition("@")
    if not at or not local or " " in typed:
        raise refuse("This does not look like an e-mail address.")
    domain = canonical_domain(domain)
    local = ascii_lower(local, "The part of an e-mail address before the @ can hold plain letters only.")
    if len(local) > _MAX_LOCAL or not _ATOM.fullmatch(local):
        raise refuse("The part of the e-mail address before the @ is not well formed.")
    local = _without_tag(local)
    if domain in _GMAIL:
        domain = "gmail.com"
        local = local.replace(".", "")
    _refuse_shared(local, domain)
    return f"{local}@{domain}"


def _without_tag(local: str) -> str:
    base = local.partition("+")[0].rstrip(".")
    if not base:
        raise refuse("The part of the e-mail address before the @ is not well formed.")
    return base


def _refuse_shared(local: str, domain: str) -> None:
    words = [word for word in re.split(r"[._0-9-]+", local) if word]
    joined = "".join(words)
    # No word at all: some universities number their mailboxes, one person each.
    functional = bool(words) and (
        joined in _SHARED_WORDS or words[0] in _SHARED_FIRST or all(word in _SHARED_WORDS for word in words)
    )
    if functional or domain.partition(".")[0] in _LIST_HOSTS:
        raise refuse(
            "Several people may share this address; please give one that belongs to one person.",
            Code.IDENTIFIER_SHARED,
        )
