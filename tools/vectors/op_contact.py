"""Operations on contact: cards, channels, letters, conversations, and mailboxes' bodies.

Owns the translation from a case's inputs to calls of notalone_crypto.
Refuses to know which cases exist. `letters` are encoded LetterContents; a
conversation is given as `{"kind", "other", "mine", "theirs", "notes"}`.
"""

from __future__ import annotations

from tools.vectors.op_committee import committee_of
from tools.vectors.registry import Table, operation

from notalone_crypto.messages import contact as wire
from notalone_crypto.messages.contact import Choice, LetterContent
from notalone_crypto.primitives import hpke
from notalone_crypto.protocol import contact, conversation, file, roll


@operation("hpke.shared_secret")
def shared_secret(secret: bytes, public: bytes) -> Table:
    """What two X25519 keys have in common."""
    return {"shared": hpke.shared_secret(hpke.HpkePrivateKey(secret), public)}


@operation("contact.keys")
def keys(phrase: bytes, instance: str, issuer_key: bytes, quota_tag: bytes, alias: str) -> Table:
    """Reply key, reply card and notebook of one filing, from phrase and quota tag."""
    member = roll.member_from_phrase(phrase, instance, issuer_key)
    key = file.owner_keys(member, quota_tag).reply_key
    notebook = contact.Notebook.of(member, quota_tag)
    return {
        "reply_secret": key.secret,
        "reply_key": key.public,
        "card": wire.ReplyCard(key.public, alias).encode(),
        "notebook_address": notebook.address,
        "notebook_key": notebook.box.key,
        "notebook_hand": notebook.hand,
    }


@operation("contact.acquaintance")
def acquaintance(entry: bytes, card: bytes) -> Table:
    """Key and alias behind an opened first introduction."""
    met = contact.acquaintance(entry, card)
    return {"key": met.end.key, "alias": met.alias}


@operation("contact.channel")
def channel(
    signed_manifest: bytes, scope: bytes, secret: bytes, entry: bytes, other_key: bytes, other_entry: bytes
) -> Table:
    """Addresses and keys of both directions; a desk's entry is 32 zero bytes."""
    private = hpke.HpkePrivateKey(secret)
    own, other = contact.End(private.public, entry), contact.End(other_key, other_entry)
    made = contact.Channel.between(committee_of(signed_manifest), scope, private, own, other)
    return {
        "outgoing_address": made.outgoing.address,
        "outgoing_key": made.outgoing.key,
        "incoming_address": made.incoming.address,
        "incoming_key": made.incoming.key,
        "hand": made.hand,
    }


@operation("contact.seal")
def seal(address: bytes, key: bytes, hand: bytes, content: bytes, nonce: bytes) -> Table:
    """A letter of one direction; `nonce` stands for 16 fresh random bytes."""
    box = contact.Box(address, key)
    return {"letter": box.seal(LetterContent.decode(content), hand, lambda length: nonce[:length])}


@operation("contact.open_own")
def open_own(address: bytes, key: bytes, hand: bytes, letter: bytes) -> Table:
    """The content of a letter that this hand wrote."""
    return {"content": contact.Box(address, key).open_own(letter, hand).encode()}


@operation("contact.open")
def open_letter(address: bytes, key: bytes, letter: bytes, flipped: int = -1) -> Table:
    """The content of a letter, of which byte `flipped` (if any) is first xored with 1."""
    changed = bytearray(letter)
    if flipped >= 0:
        changed[flipped] ^= 1
    return {"content": contact.Box(address, key).open_letter(bytes(changed)).encode()}


def _read(given: Table) -> conversation.Conversation:
    mine, theirs, notes = (
        [LetterContent.decode(bytes.fromhex(one)) for one in given[name]]
        for name in ("mine", "theirs", "notes")
    )
    kind = conversation.With[given["kind"].upper()]
    return conversation.read(kind, mine, theirs, notes, bytes.fromhex(given["other"]))


def _words(words: tuple[conversation.Words, ...]) -> list[Table]:
    return [{"who": one.who.name.lower(), "number": one.number, "text": one.text} for one in words]


@operation("contact.read")
def read(given: Table) -> Table:
    """Everything shown of a conversation, and what may be done next."""
    found = _read(given)
    return {
        "mine": int(found.mine),
        "open": int(found.stage_open),
        "asked": int(found.asked),
        "texts": _words(found.texts),
        "details": _words(found.details),
        "introductions": [
            {"entry": one.end.entry, "key": one.end.key, "alias": one.alias} for one in found.introductions
        ],
        "may_write": found.may_write,
        "may_share": found.may_share,
        "next_number": found.next_number,
        "next_note": found.next_note,
    }


@operation("contact.choose")
def choose(given: Table, choice: str) -> Table:
    """The contents to seal for a choice: letters to the other end, notes to oneself."""
    answer = conversation.letters_for_choice(_read(given), Choice[choice.upper()])
    return {
        "letters": [one.encode() for one in answer.letters],
        "notes": [one.encode() for one in answer.notes],
    }


@operation("contact.text")
def text(given: Table, text: str) -> Table:
    """A text as the next letter."""
    return {"content": conversation.text_letter(_read(given), text).encode()}


@operation("contact.details")
def details(given: Table, text: str) -> Table:
    """Contact details as the next letter."""
    return {"content": conversation.details_letter(_read(given), text).encode()}


@operation("mailbox.post")
def post(address: bytes, letter: bytes) -> Table:
    """The body that posts a letter."""
    body = wire.encode_post(address, letter)
    if wire.decode_post(body) != (address, letter):
        raise ValueError("a post does not survive encoding and decoding")
    return {"body": body}


@operation("mailbox.request")
def request(addresses: list[bytes], after: list[int]) -> Table:
    """The body that asks for eight mailboxes."""
    asked = tuple(zip(addresses, after, strict=True))
    body = wire.encode_request(asked)
    if wire.decode_request(body) != asked:
        raise ValueError("a request does not survive encoding and decoding")
    return {"body": body}


@operation("mailbox.answer")
def answer(slots: list[int], positions: list[int], letters: list[bytes], after: list[int]) -> Table:
    """Positions of each page of an answer: zeros but for these slots (0..31), asked with `after`."""
    size = 4 + wire.LETTER_LENGTH
    body = bytearray(wire.ANSWER_LENGTH)
    for slot, position, letter in zip(slots, positions, letters, strict=True):
        body[slot * size : (slot + 1) * size] = position.to_bytes(4, "big") + letter
    pages = wire.decode_answer(bytes(body), [(bytes(32), number) for number in after])
    if wire.encode_answer(pages) != bytes(body):
        raise ValueError("an answer does not survive decoding and encoding")
    return {"pages": [[position for position, _ in page] for page in pages]}
