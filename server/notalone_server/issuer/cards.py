"""The printable sheet of cards: one HTML file that needs nothing else.

Owns layout and wording in French and English. Refuses to number the cards or to
say what they are for: a sheet is cut, shuffled and handed out to everybody, and
nobody notes who got which.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final

_STYLE: Final = (
    "@page{size:A4;margin:10mm}body{margin:0;font:11pt/1.35 sans-serif;color:#000}"
    "main{display:grid;grid-template-columns:1fr 1fr}"
    "section{border:1px dashed #888;padding:7mm 6mm;break-inside:avoid}"
    "p{margin:0 0 2mm}code{display:block;font:bold 14pt monospace;letter-spacing:1px;margin:2mm 0 3mm}"
)
_FRENCH: Final = "Carte personnelle, valable une fois. Chacun en reçoit une ; personne ne note laquelle."
_ENGLISH: Final = "Personal card, works once. Everybody gets one; nobody notes which."


def sheet(cards: Sequence[str], address: str) -> str:
    """The page; `address` is where a card is used, printed as it is."""
    where = html.escape(address)
    body = "".join(
        f'<section><p lang="fr">{_FRENCH}</p><code translate="no">{html.escape(card)}</code>'
        f'<p>{where}</p><p lang="en">{_ENGLISH}</p></section>'
        for card in cards
    )
    return (
        '<!doctype html><html lang="fr"><head><meta charset="utf-8"><title>Cartes</title>'
        '<meta name="robots" content="noindex">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )
