"""The operator's status page, in plain words, French and English.

Owns the words. Refuses to show anything about a person, a match or an entry:
whoever looks over the operator's shoulder learns that a machine works.
"""

# ruff: noqa: E501, ISC004 - sentences stand whole

from __future__ import annotations

from html import escape
from typing import Final

from notalone_server.trustee.worker import Condition, Worker

_CONDITIONS: Final = {
    "en": {
        Condition.STARTING: ("Starting.", "Nothing to do yet."),
        Condition.WORKING: ("Everything works.", "Nothing to do."),
        Condition.NO_BOARD: (
            "The board does not answer.",
            "This trustee tries again by itself. If it lasts more than an hour, call the board's operator.",
        ),
        Condition.NO_STORE: (
            "This trustee's database takes no writes.",
            "Check free disk space and permissions, or whether PostgreSQL runs. Nothing was lost, and nothing "
            "is sent until it can be stored. This trustee tries again by itself.",
        ),
        Condition.FAILING: (
            "Something unforeseen went wrong.",
            "This trustee tries again from what is stored. If it lasts, send the log to the developers; "
            "the log holds nothing about people.",
        ),
        Condition.HALTED: ("STOPPED. A person has to act.", ""),
    },
    "fr": {
        Condition.STARTING: ("Démarrage.", "Rien à faire pour l’instant."),
        Condition.WORKING: ("Tout fonctionne.", "Rien à faire."),
        Condition.NO_BOARD: (
            "Le tableau (« board ») ne répond pas.",
            "Cette instance réessaie d’elle-même. Si cela dure plus d’une heure, appelez l’opérateur du tableau.",
        ),
        Condition.NO_STORE: (
            "La base de données de cette instance refuse d’écrire.",
            "Vérifiez la place sur le disque et les droits, ou que PostgreSQL fonctionne. Rien n’est perdu, et "
            "rien n’est envoyé tant que rien ne peut être conservé. Cette instance réessaie d’elle-même.",
        ),
        Condition.FAILING: (
            "Une erreur imprévue s’est produite.",
            "Cette instance reprend à partir de ce qui est conservé. Si cela dure, envoyez le journal aux "
            "développeurs ; il ne contient rien sur les personnes.",
        ),
        Condition.HALTED: ("ARRÊT. Une personne doit agir.", ""),
    },
}
_HALTED_FR: Final = (
    "Le tableau (« board ») montre un passé différent de celui que cette instance connaît, un autre tiers a "
    "triché, ou la base de données a été modifiée ; le message ci-dessous dit lequel. Plus rien n’est signé. "
    "Gardez la base de données telle quelle, appelez les opérateurs des autres tiers et celui du tableau, "
    "puis redémarrez cette instance quand tous sont d’accord."
)
_PHASES: Final = {
    "en": {
        "idle": "waiting for the next batch",
        "voting": "agreeing on a batch",
        "round_one": "computing, first round",
        "round_two": "computing, second round",
        "recording": "comparing results",
        "logging": "waiting for the public log",
        "halted": "stopped",
    },
    "fr": {
        "idle": "attend le prochain lot",
        "voting": "accord sur un lot",
        "round_one": "calcul, premier tour",
        "round_two": "calcul, second tour",
        "recording": "comparaison des résultats",
        "logging": "attend le registre public",
        "halted": "arrêté",
    },
}
_WORDS: Final = {
    "en": {
        "title": "NotAlone trustee",
        "contact": "Last contact with the board: {} seconds ago.",
        "never": "No contact with the board since the start.",
        "scope": "Scope",
        "batches": "Batches done",
        "phase": "Now",
        "inactive": "its rules are not in force yet: did you approve them, and did the other trustees?",
        "other": '<a href="?lang=fr" lang="fr">Français</a>',
    },
    "fr": {
        "title": "NotAlone, tiers de confiance",
        "contact": "Dernier contact avec le tableau : il y a {} secondes.",
        "never": "Aucun contact avec le tableau depuis le démarrage.",
        "scope": "Périmètre",
        "batches": "Lots terminés",
        "phase": "En ce moment",
        "inactive": "ses règles ne sont pas encore en vigueur : les avez-vous approuvées, et les autres tiers ?",
        "other": '<a href="?lang=en" lang="en">English</a>',
    },
}
_STYLE: Final = "body{font:1.1rem sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}td,th{padding:.3rem 1rem .3rem 0;text-align:left}"


def render(worker: Worker, now: int, name: str, language: str) -> str:
    """The page as HTML; `language` is `en` or `fr`."""
    words = _WORDS[language]
    condition, detail = worker.condition, worker.detail
    headline, advice = _CONDITIONS[language][condition]
    if condition == Condition.HALTED and language == "fr":
        advice = _HALTED_FR
    contact = (
        words["contact"].format(max(0, now - worker.last_contact)) if worker.last_contact else words["never"]
    )
    rows = "".join(
        f"<tr><td>{escape(view.name)}<td>{view.batches}<td>"
        f"{escape(_PHASES[language].get(view.phase, view.phase) if view.active else words['inactive'])}"
        for view in worker.views
    )
    shown = f'<p lang="en">{escape(detail)}</p>' if detail else ""
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><meta http-equiv="refresh" content="10">'
        f"<title>{words['title']}</title><style>{_STYLE}</style>"
        f"<p>{words['other']}</p><h1>{words['title']}: {escape(name)}</h1>"
        f'<h2 id="condition">{headline}</h2><p>{advice}</p>{shown}<p>{contact}</p>'
        f"<table><tr><th>{words['scope']}<th>{words['batches']}<th>{words['phase']}{rows}</table>"
    )
