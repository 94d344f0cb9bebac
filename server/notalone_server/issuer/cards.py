"""Cards on paper: one HTML file that needs nothing else, plain text, or CSV for a printer's shop.

Owns layout and wording in French and English. Refuses to number the cards or to
say what they are for: a sheet is cut, shuffled and handed out to everybody, and
nobody notes who got which. Somebody who finds a card in a bag learns a place to
type it, and nothing else.
"""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from enum import StrEnum, unique
from typing import Final

PER_PAGE: Final = 8
_STYLE: Final = (
    "@page{size:A4 portrait;margin:0}*{box-sizing:border-box}"
    "body{margin:0;font:10.5pt/1.35 sans-serif;color:#000;background:#fff}"
    # A page of its own for every eight, a little shorter than the paper: else some printers add an empty one.
    "main{width:210mm;height:296mm;padding:10mm;display:grid;grid-template:repeat(4,1fr)/1fr 1fr;"
    "break-after:page;overflow:hidden}main:last-child{break-after:auto}"
    "section{border:1px dashed #888;padding:5mm 6mm;display:flex;flex-direction:column;"
    "justify-content:space-between;overflow:hidden}"
    "p{margin:0}code{font:bold 15pt monospace;letter-spacing:.5px;white-space:nowrap}"
    ".where{font-weight:bold;overflow-wrap:anywhere}"
)
_FRENCH: Final = (
    "Carte personnelle, valable une seule fois. Chacun en reçoit une ; personne ne note laquelle.",
    "À taper ici :",
)
_ENGLISH: Final = (
    "Personal card, works once only. Everybody gets one; nobody notes which.",
    "Type it here:",
)


@unique
class Format(StrEnum):
    """What a sheet is written as."""

    HTML = "html"
    TEXT = "text"
    CSV = "csv"


def write(cards: Sequence[str], address: str, form: Format) -> bytes:
    """The sheet in UTF-8; `address` is where a card is used, printed as it is."""
    made = {Format.HTML: sheet, Format.TEXT: plain, Format.CSV: table}[form](cards, address)
    return made.encode("utf-8")


def sheet(cards: Sequence[str], address: str) -> str:
    """The page to print: A4, eight cards on each."""
    pages = "".join(
        f"<main>{''.join(_card(card, address) for card in cards[start : start + PER_PAGE])}</main>"
        for start in range(0, len(cards), PER_PAGE)
    )
    return (
        '<!doctype html><html lang="fr"><head><meta charset="utf-8"><title>Cartes</title>'
        '<meta name="robots" content="noindex">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body>{pages}</body></html>\n"
    )


def plain(cards: Sequence[str], address: str) -> str:
    """The same words without layout, a line of dashes between two cards."""
    where = (f"{_FRENCH[1]} / {_ENGLISH[1]} {address}\n",) if address else ()
    return ("-" * 60 + "\n").join(
        "".join((f"{_FRENCH[0]}\n{_ENGLISH[0]}\n", f"\n    {card}\n\n", *where)) for card in cards
    )


def table(cards: Sequence[str], address: str) -> str:
    """Two columns, `code` and `address`, with a header."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(("code", "address"))
    writer.writerows((card, address) for card in cards)
    return made.getvalue()


def _card(card: str, address: str) -> str:
    where = ""
    if address:
        place = f'<span class="where" translate="no">{html.escape(address)}</span>'
        where = f'<p>{_FRENCH[1]} <span lang="en">/ {_ENGLISH[1]}</span><br>{place}</p>'
    return (
        f'<section><p>{_FRENCH[0]}</p><p lang="en">{_ENGLISH[0]}</p>'
        f'<code translate="no">{html.escape(card)}</code>{where}</section>'
    )
