"""Every sentence the command line says, in French and in English.

Owns the wording, which promises only what the protocol keeps. Refuses to know
commands and terminals. Both languages have the same keys and the same blanks;
a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["fr", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("fr", "en")

FRENCH: Final[Mapping[str, str]] = {
    # what every command may ask and say
    "ask.words": "Vos douze mots",
    "ask.code": "Le code",
    "ask.address": "Votre adresse électronique",
    "ask.text": "Votre message",
    "ask.details": "Comment vous joindre",
    "ask.passphrase": "La phrase secrète de la clé",
    "ask.now": "Il y a du nouveau. Lire maintenant ou plus tard ?",
    "answers.now": "maintenant",
    "progress.rules": "vérification des règles",
    "progress.seal": "scellement sur cet appareil",
    "progress.send": "envoi",
    "progress.look": "recherche à partir de vos mots",
    "progress.news": "téléchargement de tous les lots, essai de chaque enveloppe",
    "progress.enrol": "inscription",
    # reports
    "help": "En danger maintenant ? 17 ou 112 ; par SMS, 114. Cette page n'alerte personne.",
    "what": (
        "Tout est chiffré sur cet appareil. Aucun des {count} organismes ne peut lire seul ; "
        "{quorum} ensemble le pourraient."
    ),
    "threshold": (
        "Me prévenir quand nous sommes {own} à accepter d'être {own}. Si l'autre attend d'être "
        "{more}, je ne le saurai pas encore."
    ),
    "threshold.last": "Me prévenir quand nous sommes {own} à accepter d'être {own}.",
    "compared": "Ce qui est comparé ({slot}) : {text}",
    "sealed": (
        "C'est scellé. Nous n'avons prévenu personne. Ce n'est pas une plainte : les délais "
        "continuent de courir."
    ),
    "sealed.batch": "Le service s'engage par écrit à le compter dans le lot {batch}.",
    "words": (
        "Ces 12 mots sont votre seule clé ; personne ne peut vous les redonner. Cachez-les de la "
        "personne que vous craignez."
    ),
    "enrolled": "Votre place est sur la liste.",
    "enrolled.later": (
        "Votre place est notée, ou l'était déjà. Si vous ne pouvez pas encore signaler, revenez dans un "
        "jour ou deux."
    ),
    "asked": "Si cette adresse est sur la liste, une lettre part. La réponse est la même pour toute adresse.",
    "asked.reset": (
        "Si cette adresse est sur la liste, une lettre part. L'ancienne place sera fermée après deux "
        "semaines ; la nouvelle ne comptera que plus tard."
    ),
    "stopped": "Si ce code est le bon, rien ne change : votre place reste.",
    "status.none": "Aucun message scellé n'a été trouvé avec ces mots.",
    "status.number": "numéro",
    "status.state": "état",
    "status.batch": "lot",
    "status.counted": "compté (preuve vérifiée)",
    "status.alone": "Pas de nouvelle ne veut pas dire que vous êtes seule.",
    "state.unsent": "scellé, pas encore envoyé",
    "state.waiting": "reçu",
    "state.accepted": "reçu par tous les organismes",
    "state.evaluated": "compté",
    "state.withdrawn": "retrait au prochain lot",
    "state.gone": "retiré ou échu",
    "state.refused": "refusé par un organisme",
    "yes": "oui",
    "no": "pas encore",
    "withdrawn": "Effet au prochain lot. Ce qui a été ouvert ne peut pas être repris.",
    "edited": (
        "L'ancien est retiré et le nouveau compte : effet au prochain lot. Ce qui a été ouvert ne "
        "peut pas être repris."
    ),
    "verified": "Promesse tenue : votre message est dans un lot que les organismes ont signé.",
    "verified.not": "Pas encore : la promesse est bien signée, mais le lot n'est pas encore publié.",
    # after a match
    "match": "Au moins un autre message désigne la même personne.",
    "match.none": "Pas de nouvelle. Cela ne veut pas dire que vous êtes seule.",
    "match.later": "Rien n'a été montré. Vous pouvez revenir quand vous voulez.",
    "match.choices": (
        "Vous pouvez : parler à votre conseillère · écrire sous un autre prénom · partager un "
        "contact · pas maintenant · retirer."
    ),
    "refusal": ("Vous pouvez ne pas répondre. L'autre verra la même chose que si vous n'étiez pas revenue."),
    "warning": (
        "Ne racontez pas encore les faits ici. La justice peut demander ces messages ; la défense "
        "pourrait dire que vous vous êtes accordées. Écrivez d'abord votre récit seule, ou parlez à "
        "une avocate. Ne transmettez pas le nom. Rien ne vous oblige à porter plainte."
    ),
    "talk.title": "Conversation {number} : {name}",
    "talk.desk": "votre conseillère ({name})",
    "talk.nameless": "quelqu'un sans prénom",
    "talk.words": "Ses premiers mots : {text}",
    "talk.details": "Son contact : {text}",
    "talk.mine": "vous : {text}",
    "talk.theirs": "{name} : {text}",
    "chosen.counsellor": "Noté. Écrivez à votre conseillère avec « notalone write ».",
    "chosen.write": "Votre accord est déposé. Vous pourrez écrire quand l'autre aura accepté aussi.",
    "chosen.contact": (
        "Votre accord est déposé. Vous pourrez partager un contact quand l'autre l'aura accepté aussi."
    ),
    "chosen.later": "Noté pour vous seule. L'autre ne voit rien.",
    "chosen.block": "Bloqué. Vous ne verrez plus rien de cette personne ; elle ne voit rien de ce choix.",
    "written": "Déposé, chiffré. Personne ne vous dira si c'est lu.",
    # at a counsellors' desk
    "desk.none": "Aucune correspondance. Ce qui n'est pas relié à un autre message n'apparaît jamais ici.",
    "desk.match": "Correspondance {number} : {count} messages désignent la même personne.",
    "desk.reporter": "  {mark}  {name}",
    "desk.elsewhere": "  et {count} de plus, confiés à une autre équipe",
    "desk.hold": (
        "Avant de prévenir qui que ce soit, vérifiez à deux : sont-ce bien des personnes différentes, et "
        "personne n'a-t-il écrit contre soi-même pour savoir ?"
    ),
    "desk.unusable": "Sa carte de réponse est inutilisable : on ne peut pas lui écrire ici.",
    "asked.nothing": "Elle n'a pas demandé à être mise en relation.",
    "asked.write": "Elle demande à être mise en relation, pour écrire sous un autre prénom.",
    "asked.contact": "Elle demande à être mise en relation, et accepte de partager un contact.",
    "introduced": "Chacune a reçu la carte de l'autre. La suite n'appartient qu'à elles.",
    "name.counsellor": "conseillère",
    "name.write": "écrire",
    "name.contact": "contact",
    "name.later": "plus-tard",
    "name.block": "bloquer",
    # what does not work, in one sentence
    "bad.language": "Les langues sont fr et en.",
    "bad.config": "Il manque à {path} les textes committee, scope et board.",
    "bad.large": "{path} dépasse 1 Mio.",
    "bad.toml": "{path} n'est pas du TOML.",
    "bad.keys": "{path} a des champs inconnus ; connus : {known}.",
    "bad.nobody": "Le formulaire ne désigne personne.",
    "bad.type": "Le champ {field} est du mauvais type ({type} attendu).",
    "bad.platform": "Le champ {field} est l'un de : {known}.",
    "bad.number": "Il n'y a pas de message de ce numéro ; « notalone status » les montre.",
    "bad.conversation": "Il n'y a pas de conversation de ce numéro ; « notalone read » les montre.",
    "bad.choice": "Les choix sont : {known}.",
    "bad.reporter": "Ce repère n'est celui d'aucun message relié ; « notalone desk matches » les montre.",
    "bad.passphrase": "La phrase secrète n'ouvre pas cette clé, ou le fichier est abîmé.",
    "bad.key": "Cette clé n'est celle d'aucune équipe de cette organisation.",
    "bad.pair": "Il faut deux messages différents d'une même correspondance.",
    "bad.consents": "Pas encore : toutes les deux doivent l'avoir demandé.",
    "bad.empty": "Il n'y a rien à envoyer.",
    "bad.code": "Ce code n'est pas valable, ou il a déjà servi. Votre place n'est pas prise.",
    "bad.exists": "{path} existe déjà : rien n'a été écrasé, rien n'a été envoyé.",
    "bad.sealed": "{path} n'est pas un message scellé, ou il est abîmé. Rien n'a été envoyé.",
    "bad.file": "{path} n'a pas pu être lu ou créé.",
    "error.phrase": "Ce ne sont pas les douze mots d'une clé, ou l'un d'eux est mal tapé.",
    "error.unavailable": "Le service ne répond pas ; rien n'est perdu, recommencez plus tard.",
    "error.refused": "Le service a refusé ({detail}).",
    "error.unsafe": "Cette adresse n'est pas protégée (https) : rien n'a été envoyé.",
    "error.other": "Cela ne s'est pas fait ({detail}).",
    "error.roll.not_eligible": "Votre place n'est pas encore sur la liste : revenez plus tard.",
    "error.roll.too_small": (
        "Moins de 32 personnes sont inscrites : on pourrait deviner qui vous êtes. Rien n'a été envoyé."
    ),
    "error.state.quota": "Vous avez utilisé tous vos envois de cette période.",
    "error.state.consent": "Pas encore : il faut que vous ayez accepté toutes les deux.",
    "error.state.rollback": (
        "Le service montre un passé plus ancien qu'avant : il ment ou a été mal restauré. N'envoyez "
        "rien, prévenez votre organisation."
    ),
    "error.log.fork": (
        "Le service montre deux passés différents. N'envoyez rien, prévenez votre organisation."
    ),
    "error.log.consistency": (
        "Le service ne prouve pas qu'il n'a rien changé au passé. N'envoyez rien, prévenez votre "
        "organisation."
    ),
    "error.identifier.shared": "C'est une boîte partagée : elle ne désigne pas une personne.",
    "error.identifier.too_weak": "Cela désigne trop de monde pour être comparé.",
    "error.identifier.invalid": "Cela ne désigne personne que nous sachions comparer.",
    "error.context.period": (
        "Pour le service, nous sommes une autre année de dépôts. Vérifiez la date de cet appareil, puis "
        "recommencez : rien n'a été compté."
    ),
    "error.context.expired": (
        "Ce message gardé est trop vieux pour être envoyé, ou la date de cet appareil est fausse. "
        "Écrivez-le de nouveau : rien n'a été compté."
    ),
    "error.context.expiry": (
        "Ce message demande à être gardé trop longtemps, ou la date de cet appareil est fausse : rien n'a "
        "été compté."
    ),
    "error.rules": (
        "Les règles ont changé depuis que ce message a été scellé. Rien n'a été compté. Lisez les nouvelles, "
        "puis écrivez-le de nouveau si elles vous conviennent."
    ),
    "error.context.committee": "Ce ne sont pas les organismes attendus : rien n'a été envoyé.",
    "talk.closed": "Vous lirez ce que l'autre écrit quand vous aurez toutes les deux accepté.",
    "slot.work_identity": "au travail",
    "slot.phone": "téléphone",
    "slot.account": "compte",
    "slot.former_account": "ancien compte",
    "command.all": "Pour qui a quelque chose à dire.",
    "command.words": "Douze nouveaux mots : votre seule clé.",
    "command.enrol": "Prendre une place avec une carte ou un code reçu ; demande les mots, puis le code.",
    "command.code": "Demander un code par courriel ; demande l'adresse, pas les mots.",
    "command.reset": "Mots perdus : demander à recommencer, par courriel ; demande l'adresse.",
    "command.stop-reset": "Refuser qu'on recommence à votre place ; demande le code de la lettre.",
    "command.report": "Sceller un message sur cet appareil et l'envoyer.",
    "command.resend": "Renvoyer un message scellé qui a été gardé ; deux fois vaut une fois.",
    "command.status": "Où en sont vos messages, retrouvés à partir de vos mots.",
    "command.edit": "Remplacer un message : l'ancien est retiré, le nouveau envoyé.",
    "command.withdraw": "Retirer un message, au prochain lot.",
    "command.verify": "Vérifier, preuves à l'appui, que la promesse du service est tenue.",
    "command.matches": "Y a-t-il du nouveau ?",
    "command.read": "Lire vos conversations.",
    "command.consent": "Répondre à une conversation : écrire, contact, plus tard, bloquer, conseillère.",
    "command.write": "Écrire dans une conversation ; le texte est demandé, jamais un argument.",
    "command.desk": "Pour les conseillères : correspondances et réponses.",
    "command.desk.matches": "Les correspondances confiées à cette équipe, sans un mot de leurs autrices.",
    "command.desk.read": "Lire ce qu'une personne vous a confié.",
    "command.desk.write": "Lui écrire ; le texte est demandé, jamais un argument.",
    "command.desk.introduce": "Mettre en relation deux personnes qui l'ont demandé toutes les deux.",
    "option.config": "fichier TOML : committee, scope, board, issuer, proxy",
    "option.language": "fr ou en ; par défaut celle de la machine",
    "option.sealed": "message scellé qui a été gardé",
    "option.number": "numéro du message, comme « status » le montre",
    "option.form": "le message (TOML)",
    "option.keep": "garder le message scellé dans ce fichier, pour le renvoyer",
    "option.receipt": "la promesse signée du service",
    "option.since": "premier lot à télécharger",
    "option.with": "numéro de la conversation, comme « read » le montre",
    "option.now": "ne pas demander « maintenant ou plus tard »",
    "option.choice": "conseillère, écrire, contact, plus-tard ou bloquer",
    "option.key": "fichier de la clé de l'équipe",
    "option.reporter": "repère de la personne, comme « desk matches » le montre",
    "option.contact": "partager un contact au lieu d'écrire",
}

ENGLISH: Final[Mapping[str, str]] = {
    "ask.words": "Your twelve words",
    "ask.code": "The code",
    "ask.address": "Your e-mail address",
    "ask.text": "Your message",
    "ask.details": "How to reach you",
    "ask.passphrase": "The key's passphrase",
    "ask.now": "There is news. Read now or later?",
    "answers.now": "now",
    "progress.rules": "checking the rules",
    "progress.seal": "sealing on this device",
    "progress.send": "sending",
    "progress.look": "looking, from your words",
    "progress.news": "downloading all batches, trying every envelope",
    "progress.enrol": "enrolling",
    "help": "In danger now? Call 17 or 112; text 114. This page alerts nobody.",
    "what": (
        "Everything is encrypted on this device. None of the {count} organisations can read it "
        "alone; {quorum} together could."
    ),
    "threshold": (
        "Tell me when {own} of us accept being {own}. If the other one waits for {more}, I will not know yet."
    ),
    "threshold.last": "Tell me when {own} of us accept being {own}.",
    "compared": "What is compared ({slot}): {text}",
    "sealed": "Sealed. We have told nobody. This is not a complaint: legal time limits keep running.",
    "sealed.batch": "The service promises in writing to count it in batch {batch}.",
    "words": (
        "These 12 words are your only key; nobody can give them back to you. Hide them from the "
        "person you fear."
    ),
    "enrolled": "Your place is on the roll.",
    "enrolled.later": (
        "Your place is taken note of, or was already. If you cannot report yet, come back in a day or two."
    ),
    "asked": "If this address is listed, a letter leaves now. The answer is the same for every address.",
    "asked.reset": (
        "If this address is listed, a letter leaves now. The old place is closed after two weeks; the "
        "new one counts only later."
    ),
    "stopped": "If this code is right, nothing changes: your place stays.",
    "status.none": "No sealed message was found with these words.",
    "status.number": "number",
    "status.state": "state",
    "status.batch": "batch",
    "status.counted": "counted (proof verified)",
    "status.alone": "No news does not mean that you are alone.",
    "state.unsent": "sealed, not sent yet",
    "state.waiting": "received",
    "state.accepted": "received by every organisation",
    "state.evaluated": "counted",
    "state.withdrawn": "taken back at the next batch",
    "state.gone": "taken back or expired",
    "state.refused": "refused by an organisation",
    "yes": "yes",
    "no": "not yet",
    "withdrawn": "Takes effect at the next batch. What was opened cannot be taken back.",
    "edited": (
        "The old one is taken back and the new one counts: at the next batch. What was opened cannot "
        "be taken back."
    ),
    "verified": "The promise was kept: your message is in a batch that the organisations signed.",
    "verified.not": "Not yet: the promise is signed, but its batch is not published yet.",
    "match": "At least one other message names the same person.",
    "match.none": "No news. That does not mean that you are alone.",
    "match.later": "Nothing was shown. You can come back whenever you like.",
    "match.choices": (
        "You can: talk to your counsellor · write under another name · share a contact · not now · withdraw."
    ),
    "refusal": "You need not answer. The other sees the same as if you had not come back.",
    "warning": (
        "Do not describe what happened here yet. Courts may ask for these messages; the defence may "
        "say that you agreed on a story. Write your own account alone, or see a lawyer first. Do not "
        "pass the name on. Nothing obliges you to file a complaint."
    ),
    "talk.title": "Conversation {number}: {name}",
    "talk.desk": "your counsellor ({name})",
    "talk.nameless": "somebody without a name",
    "talk.words": "Her first words: {text}",
    "talk.details": "Her contact: {text}",
    "talk.mine": "you: {text}",
    "talk.theirs": "{name}: {text}",
    "chosen.counsellor": "Noted. Write to your counsellor with “notalone write”.",
    "chosen.write": "You agreed. You can write once the other has agreed too.",
    "chosen.contact": "You agreed. You can share a contact once the other has agreed to that too.",
    "chosen.later": "Noted for you alone. The other sees nothing.",
    "chosen.block": (
        "Blocked. You will see nothing of this person any more; they see nothing of this choice."
    ),
    "written": "Left, encrypted. Nobody will tell you whether it is read.",
    "desk.none": "No match. What is not linked to another message never appears here.",
    "desk.match": "Match {number}: {count} messages name the same person.",
    "desk.reporter": "  {mark}  {name}",
    "desk.elsewhere": "  and {count} more, trusted to another team",
    "desk.hold": (
        "Before you tell anybody, check with a second person: are they different people, and has nobody "
        "written against himself to find out?"
    ),
    "desk.unusable": "Her reply card cannot be used: there is no writing to her here.",
    "asked.nothing": "She has not asked to be introduced.",
    "asked.write": "She asks to be introduced, to write under another name.",
    "asked.contact": "She asks to be introduced, and agrees to share a contact.",
    "introduced": "Each has the other's card. What follows is theirs alone.",
    "name.counsellor": "counsellor",
    "name.write": "write",
    "name.contact": "contact",
    "name.later": "later",
    "name.block": "block",
    "bad.language": "The languages are fr and en.",
    "bad.config": "{path} lacks committee, scope and board, as texts.",
    "bad.large": "{path} is larger than 1 MiB.",
    "bad.toml": "{path} is not TOML.",
    "bad.keys": "{path} has unknown keys; known are: {known}.",
    "bad.nobody": "The form names nobody.",
    "bad.type": "{field} is of the wrong type ({type} expected).",
    "bad.platform": "{field} is one of: {known}.",
    "bad.number": "There is no message of this number; “notalone status” shows them.",
    "bad.conversation": "There is no conversation of this number; “notalone read” shows them.",
    "bad.choice": "The choices are: {known}.",
    "bad.reporter": "No matched message has this mark; “notalone desk matches” shows them.",
    "bad.passphrase": "The passphrase does not open this key, or the file is damaged.",
    "bad.key": "This key belongs to no team of this organisation.",
    "bad.pair": "It takes two different messages of one match.",
    "bad.consents": "Not yet: both must have asked for it.",
    "bad.empty": "There is nothing to send.",
    "bad.code": "This code is not valid, or it was used. No place was taken.",
    "bad.exists": "{path} exists already: nothing was overwritten, nothing was sent.",
    "bad.sealed": "{path} is no sealed message, or it is damaged. Nothing was sent.",
    "bad.file": "{path} could not be read or created.",
    "error.phrase": "These are not the twelve words of a phrase, or one of them is mistyped.",
    "error.unavailable": "The service does not answer; nothing is lost, try again later.",
    "error.refused": "The service refused ({detail}).",
    "error.unsafe": "This address is not protected (https): nothing was sent.",
    "error.other": "It did not happen ({detail}).",
    "error.roll.not_eligible": "Your place is not on the roll yet: come back later.",
    "error.roll.too_small": (
        "Fewer than 32 people are on the roll: somebody could guess who you are. Nothing was sent."
    ),
    "error.state.quota": "You have used all your reports of this period.",
    "error.state.consent": "Not yet: both of you must have agreed.",
    "error.state.rollback": (
        "The service shows an older past than before: it lies, or was restored badly. Send nothing, "
        "tell your organisation."
    ),
    "error.log.fork": "The service shows two different pasts. Send nothing, tell your organisation.",
    "error.log.consistency": (
        "The service does not prove that it changed nothing in the past. Send nothing, tell your "
        "organisation."
    ),
    "error.identifier.shared": "This is a shared mailbox: it does not name one person.",
    "error.identifier.too_weak": "This names too many people to be compared.",
    "error.identifier.invalid": "This names nobody we know how to compare.",
    "error.context.period": (
        "For the service this is another year of reports. Check this device's date, then start again: "
        "nothing was counted."
    ),
    "error.context.expired": (
        "This kept message is too old to be sent, or this device's date is wrong. Write it again: nothing "
        "was counted."
    ),
    "error.context.expiry": (
        "This message asks to be kept for too long, or this device's date is wrong: nothing was counted."
    ),
    "error.rules": (
        "The rules have changed since this message was sealed. Nothing was counted. Read the new ones, then "
        "write it again if they suit you."
    ),
    "error.context.committee": "These are not the organisations that were expected: nothing was sent.",
    "talk.closed": "You will read what the other writes once you have both agreed.",
    "slot.work_identity": "at work",
    "slot.phone": "telephone",
    "slot.account": "account",
    "slot.former_account": "former account",
    "command.all": "For whoever has something to say.",
    "command.words": "Twelve new words: your only key.",
    "command.enrol": "Take a place with a card or a mailed code; asks for the words, then for the code.",
    "command.code": "Ask for a code by e-mail; asks for the address, not for the words.",
    "command.reset": "Words lost: ask to start again, by e-mail; asks for the address.",
    "command.stop-reset": "Refuse that somebody starts again in your place; asks for the code in the letter.",
    "command.report": "Seal a message on this device and send it.",
    "command.resend": "Send a sealed message that was kept again; twice is the same as once.",
    "command.status": "Where your messages stand, found again from your words.",
    "command.edit": "Replace a message: the old one is taken back, the new one sent.",
    "command.withdraw": "Take a message back, at the next batch.",
    "command.verify": "Check, from proofs, that the service kept its promise.",
    "command.matches": "Is there news?",
    "command.read": "Read your conversations.",
    "command.consent": "Answer a conversation: write, contact, later, block, counsellor.",
    "command.write": "Write in a conversation; the text is asked for, never an argument.",
    "command.desk": "For counsellors: matches and answers.",
    "command.desk.matches": "The matches trusted to this team, without a word of who wrote.",
    "command.desk.read": "Read what one person trusted to you.",
    "command.desk.write": "Write to her; the text is asked for, never an argument.",
    "command.desk.introduce": "Introduce two people who both asked for it.",
    "option.config": "TOML file: committee, scope, board, issuer, proxy",
    "option.language": "fr or en; the machine's by default",
    "option.sealed": "sealed message that was kept",
    "option.number": "the message's number, as “status” shows it",
    "option.form": "the message (TOML)",
    "option.keep": "keep the sealed message in this file, to send it again",
    "option.receipt": "the service's signed promise",
    "option.since": "first batch to download",
    "option.with": "the conversation's number, as “read” shows it",
    "option.now": "do not ask “now or later”",
    "option.choice": "counsellor, write, contact, later or block",
    "option.key": "file of the team's key",
    "option.reporter": "the person's mark, as “desk matches” shows it",
    "option.contact": "share a contact instead of writing",
}

TEXTS: Final[Mapping[Language, Mapping[str, str]]] = {"fr": FRENCH, "en": ENGLISH}


@dataclass(frozen=True, slots=True)
class Speaker:
    """One language.

    >>> Speaker("fr")("talk.title", number=1, name="Alma")
    'Conversation 1 : Alma'
    """

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """The sentence `key` with its blanks filled in."""
        return TEXTS[self.language][key].format(**values)

    def knows(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in TEXTS[self.language]


def language_of(environment: Mapping[str, str]) -> Language:
    """French where the machine speaks French, else English.

    >>> language_of({"LANG": "fr_FR.UTF-8"}), language_of({"LC_ALL": "C", "LANG": "fr_FR.UTF-8"})
    ('fr', 'en')
    """
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return "fr" if environment[name].lower().startswith("fr") else "en"
    return "en"
