"""The operator's status page, in plain words, French and English.

Owns the words. Refuses to show anything about a person, a match or an entry:
whoever looks over the operator's shoulder learns that a machine works.
"""

# ruff: noqa: E501, ISC004 - sentences stand whole

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Final

from notalone_server.trustee.worker import Condition, Halt, ScopeView, Worker

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
# What happened, then what to do; docs/operators.md and docs/operateurs.md say the same in the same words.
HALTS: Final = {
    "en": {
        Halt.ROLLBACK: (
            "The board no longer shows items that this trustee already handled: it was restored from an old copy, or it shows different pasts to different trustees.",
            (
                "Leave every database as it is.",
                "The board's operator finds the newest state (replica, archive) and restores that.",
                "All operators agree by telephone. Then restart this trustee: it compares again, and goes on if everything is there.",
                "If the newest state does not exist any more, there is no repair: say so publicly, begin a new committee, and ask reporters to file again.",
            ),
        ),
        Halt.FORK: (
            "The board's log contradicts what this trustee cosigned before: it was forked.",
            (
                "Keep this trustee's database as evidence.",
                "Compare the newest checkpoints with the other operators, by telephone.",
                "Trust the board's operator no more until it is explained. Restart only when all agree which log is the true one.",
            ),
        ),
        Halt.TRUSTEE: (
            "A trustee sent something that contradicts its own commitment or signature; the message below says which, if it can be told.",
            (
                "Call its operator: it may be a fault, a second running copy, or an intruder.",
                "Restart only when all operators agree.",
            ),
        ),
        Halt.DATABASE: (
            "This trustee's database does not fit its key file, somebody changed it, or another process writes to it.",
            (
                "See whether this trustee runs twice, and whether its settings name the right files. If so, put that right and start again.",
                "Otherwise treat the machine as broken into: keep database and key file as they are, and tell the other operators.",
                "Do not start from an older copy of the database.",
            ),
        ),
    },
    "fr": {
        Halt.ROLLBACK: (
            "Le tableau (« board ») ne montre plus des éléments que cette instance a déjà traités : il a été restauré d’une vieille copie, ou il montre des passés différents à des tiers différents.",
            (
                "Ne touchez à aucune base de données.",
                "L’opérateur du tableau retrouve l’état le plus récent (réplica, archive) et le restaure.",
                "Tous les opérateurs se mettent d’accord au téléphone. Puis redémarrez cette instance : elle compare de nouveau, et continue si tout est là.",
                "Si l’état le plus récent n’existe plus, rien ne se répare : dites-le publiquement, formez un nouveau comité, et demandez de déposer de nouveau.",
            ),
        ),
        Halt.FORK: (
            "Le registre du tableau contredit ce que cette instance a déjà cosigné : il a bifurqué.",
            (
                "Gardez la base de données de cette instance comme preuve.",
                "Comparez au téléphone les derniers points de contrôle (« checkpoints ») avec les autres opérateurs.",
                "Ne faites plus confiance à l’opérateur du tableau tant que ce n’est pas expliqué. Ne redémarrez que si tous s’accordent sur le vrai registre.",
            ),
        ),
        Halt.TRUSTEE: (
            "Un tiers a envoyé quelque chose qui contredit son propre engagement ou sa signature ; le message ci-dessous dit lequel, si cela peut se savoir.",
            (
                "Appelez son opérateur : ce peut être une panne, une seconde copie en marche, ou un intrus.",
                "Ne redémarrez que si tous les opérateurs sont d’accord.",
            ),
        ),
        Halt.DATABASE: (
            "La base de données de cette instance ne va pas avec son fichier de clés, quelqu’un l’a modifiée, ou un autre processus y écrit.",
            (
                "Voyez si cette instance tourne deux fois, et si ses réglages nomment les bons fichiers. Si c’est cela, corrigez et redémarrez.",
                "Sinon, considérez la machine comme piratée : gardez base de données et fichier de clés tels quels, et prévenez les autres opérateurs.",
                "Ne redémarrez pas depuis une copie plus ancienne de la base.",
            ),
        ),
    },
}
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
        "colon": ":",
        "and": "; ",
        "contact": "Last contact with the board: {} seconds ago.",
        "never": "No contact with the board since the start.",
        "scope": "Scope",
        "batches": "Batches done",
        "phase": "Now",
        "missing": "waits for trustee {}",
        "ahead": "its last batch is dated {}, which by this machine's clock is still to come: no other batch can begin before. Check this machine's clock first; then see “A batch dated in the future” in the guide",
        "untimely": "a plan's time does not fit this machine's clock: check the clock. If it is right, the plan waits for other trustees' votes, or the board makes another",
        "inactive": "its rules are not in force yet: did you approve them, and did the other trustees?",
        "other": '<a href="?lang=fr" lang="fr">Français</a>',
    },
    "fr": {
        "title": "NotAlone, tiers de confiance",
        "colon": "\u00a0:",
        "and": "\u00a0; ",
        "contact": "Dernier contact avec le tableau : il y a {} secondes.",
        "never": "Aucun contact avec le tableau depuis le démarrage.",
        "scope": "Périmètre",
        "batches": "Lots terminés",
        "phase": "En ce moment",
        "missing": "attend le tiers {}",
        "ahead": "son dernier lot porte la date du {}, encore à venir d’après l’horloge de cette machine : aucun autre lot ne peut commencer avant. Vérifiez d’abord l’horloge de cette machine ; puis voyez « Un lot daté dans l’avenir » dans le guide",
        "untimely": "l’heure d’un plan ne va pas avec l’horloge de cette machine : vérifiez l’horloge. Si elle est juste, le plan attend les votes d’autres tiers, ou le tableau en fait un autre",
        "inactive": "ses règles ne sont pas encore en vigueur : les avez-vous approuvées, et les autres tiers ?",
        "other": '<a href="?lang=en" lang="en">English</a>',
    },
}
_STYLE: Final = "body{font:1.1rem sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}td,th{padding:.3rem 1rem .3rem 0;text-align:left}"


def _now(view: ScopeView, language: str) -> str:
    """What a scope does, and for whom or what it waits."""
    words = _WORDS[language]
    if not view.active:
        return words["inactive"]
    told = [_PHASES[language].get(view.phase, view.phase)]
    if view.missing:
        told.append(words["missing"].format(", ".join(map(str, view.missing))))
    if view.ahead:
        date = datetime.fromtimestamp(view.ahead, UTC).strftime("%Y-%m-%d %H:%M UTC")
        told.append(words["ahead"].format(date))
    if view.untimely:
        told.append(words["untimely"])
    return words["and"].join(told)


def render(worker: Worker, now: int, name: str, language: str) -> str:
    """The page as HTML; `language` is `en` or `fr`."""
    words = _WORDS[language]
    condition, detail = worker.condition, worker.detail
    headline, advice = _CONDITIONS[language][condition]
    todo = ""
    if worker.halt is not None:
        advice, steps = HALTS[language][worker.halt]
        todo = "<ol>" + "".join(f"<li>{escape(step)}" for step in steps) + "</ol>"
    contact = (
        words["contact"].format(max(0, now - worker.last_contact)) if worker.last_contact else words["never"]
    )
    rows = "".join(
        f"<tr><td>{escape(view.name)}<td>{view.batches}<td>{escape(_now(view, language))}"
        for view in worker.views
    )
    shown = f'<p lang="en">{escape(detail)}</p>' if detail else ""
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><meta http-equiv="refresh" content="10">'
        f"<title>{words['title']}</title><style>{_STYLE}</style>"
        f"<p>{words['other']}</p><h1>{words['title']}{words['colon']} {escape(name)}</h1>"
        f'<h2 id="condition">{headline}</h2><p>{escape(advice)}</p>{todo}{shown}<p>{contact}</p>'
        f"<table><tr><th>{words['scope']}<th>{words['batches']}<th>{words['phase']}{rows}</table>"
    )
