"""Cases for contact after a match: cards, channels, letters, conversations, mailboxes.

Owns the choice of values. Refuses to know how they are computed.
"""

from __future__ import annotations

from tools.vectors.book import Book
from tools.vectors.deployment import INSTANCE, Deployment
from tools.vectors.registry import Json, Table

from notalone_crypto.messages import contact as wire
from notalone_crypto.messages.contact import LetterContent, LetterKind, ReplyCard
from notalone_crypto.primitives import hpke
from notalone_crypto.randomness import SeededStream

# RFC 7748 section 6.1, and points that everybody shares a secret with.
ALICE = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
BOB_PUBLIC = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
LOW_ORDER = {
    "zero": bytes(32),
    "one": (1).to_bytes(32, "little"),
    "minus-one": (2**255 - 20).to_bytes(32, "little"),
    "order-eight": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "order-eight-other": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
}
NOT_REDUCED = (2**255 - 19 + 9).to_bytes(32, "little")
FIRST, SECOND, NOBODY = b"\x01" * 32, b"\x02" * 32, bytes(32)


def example() -> tuple[ReplyCard, LetterContent]:
    """Valid messages of this chapter."""
    key = hpke.generate_key(SeededStream(b"vectors/contact/card")).public
    card = ReplyCard(key, "Alma, près du lac")
    return card, LetterContent(LetterKind.INTRODUCTION, 7, entry=FIRST, text=card.encode())


def rules() -> dict[str, tuple[str, str, Table]]:
    """Letters that say what their kind cannot."""
    card = example()[0].encode()
    fields: dict[str, tuple[str, Table]] = {
        "kind-0": ("encoding.range", {"kind": 0}),
        "kind-6": ("encoding.range", {"kind": 6}),
        "number-0": ("encoding.range", {"number": 0}),
        "consent-stage-0": ("encoding.range", {"stage": 0}),
        "consent-stage-3": ("encoding.range", {"stage": 3}),
        "consent-with-entry": ("encoding.range", {"entry": FIRST}),
        "consent-with-text": ("encoding.length", {"text": b"x"}),
        "text-without-words": ("encoding.length", {"kind": 2, "stage": 0}),
        "text-with-stage": ("encoding.range", {"kind": 2, "text": b"x"}),
        "text-with-entry": ("encoding.range", {"kind": 2, "stage": 0, "text": b"x", "entry": FIRST}),
        "text-not-utf8": ("encoding.text", {"kind": 2, "stage": 0, "text": b"\xff"}),
        "text-not-nfc": ("encoding.text", {"kind": 2, "stage": 0, "text": "e\u0301".encode()}),
        "text-too-long": ("encoding.length", {"kind": 2, "stage": 0, "text": b"w" * (wire.MAX_TEXT + 1)}),
        "details-without-words": ("encoding.length", {"kind": 3, "stage": 0}),
        "introduction-of-nobody": ("encoding.range", {"kind": 4, "stage": 0, "text": card}),
        "introduction-without-card": ("encoding.truncated", {"kind": 4, "stage": 0, "entry": FIRST}),
        "introduction-trailing": (
            "encoding.trailing", {"kind": 4, "stage": 0, "entry": FIRST, "text": card + b"\x00"}
        ),
        "note-without-choice": ("encoding.range", {"kind": 5, "stage": 0}),
        "note-choice-6": ("encoding.range", {"kind": 5, "stage": 6}),
        "note-with-text": ("encoding.length", {"kind": 5, "stage": 1, "text": b"x"}),
    }  # fmt: skip
    plain: Table = {"kind": 1, "number": 1, "stage": 1, "entry": NOBODY, "text": b""}
    return {
        f"letter-{name}": (code, "LetterContent", {**plain, **changed})
        for name, (code, changed) in fields.items()
    }


def contact(world: Deployment) -> Book:
    """One file for the chapter."""
    book = Book("contact", "Contact after a match: reply cards, channels, letters, conversations, mailboxes.")
    _keys(book, world)
    _channels(book, world)
    _letters(book)
    _conversations(book)
    _mailboxes(book)
    return book


def _keys(book: Book, world: Deployment) -> None:
    book.good("shared-rfc7748", "hpke.shared_secret", secret=ALICE, public=BOB_PUBLIC)
    for name, key in LOW_ORDER.items():
        book.bad(f"shared-{name}", "encoding.identity", "hpke.shared_secret", secret=ALICE, public=key)
    book.bad("shared-not-reduced", "encoding.non_canonical", "hpke.shared_secret", secret=ALICE,
             public=NOT_REDUCED)  # fmt: skip
    book.bad("shared-short", "encoding.length", "hpke.shared_secret", secret=ALICE, public=bytes(31))
    made: Table = {}
    for who in (0, 1):
        for tag in (FIRST, SECOND):
            made = book.good(
                f"keys-{who}-{tag[0]}", "contact.keys", phrase=world.phrases[who], instance=INSTANCE,
                issuer_key=world.issuer.verify_key, quota_tag=tag, alias="Alma",
            )  # fmt: skip
    card = bytes.fromhex(made["card"])
    book.good("card", "contact.acquaintance", entry=FIRST, card=card)
    for name, changed in {"empty": b"", "truncated": card[:-1], "not-one": b"reply key"}.items():
        code = "encoding.version" if name == "not-one" else "encoding.truncated"
        book.bad(f"card-{name}", code, "contact.acquaintance", entry=FIRST, card=changed)
    book.bad("card-trailing", "encoding.trailing", "contact.acquaintance", entry=FIRST, card=card + b"\x00")
    for name, key in LOW_ORDER.items():
        book.bad(f"card-{name}", "encoding.identity", "contact.acquaintance", entry=FIRST,
                 card=ReplyCard(key, "L.").encode())  # fmt: skip
    book.bad("card-not-reduced", "encoding.non_canonical", "contact.acquaintance", entry=FIRST,
             card=ReplyCard(NOT_REDUCED, "L.").encode())  # fmt: skip


def _channels(book: Book, world: Deployment) -> None:
    stream = SeededStream(b"vectors/contact/channels")
    one, two = hpke.generate_key(stream), hpke.generate_key(stream)
    given: Table = {
        "signed_manifest": book.share("manifest", world.signed.encode()), "scope": world.policy.scope,
        "secret": one.secret, "entry": FIRST, "other_key": two.public, "other_entry": SECOND,
    }  # fmt: skip
    there = book.good("channel", "contact.channel", **given)
    turned = {"secret": two.secret, "entry": SECOND, "other_key": one.public, "other_entry": FIRST}
    back = book.good("channel-other-end", "contact.channel", **{**given, **turned})
    if (there["outgoing_address"], there["incoming_key"]) != (back["incoming_address"], back["outgoing_key"]):
        raise ValueError("the two ends do not compute one channel")
    hand = there["hand"]  # her own key's, whatever the channel
    seen = set(there.values()) - {hand}
    for name, changed in {
        "scope": {"scope": bytes(32)}, "other-own-entry": {"entry": b"\x03" * 32},
        "copied-card": {"other_entry": b"\x03" * 32}, "desk": {"other_entry": NOBODY},
    }.items():  # fmt: skip
        made = book.good(f"channel-{name}", "contact.channel", **{**given, **changed})
        found = set(made.values()) - {hand}
        if found & seen:
            raise ValueError(f"{name} is not in the derivation")
        seen |= found
    book.bad("channel-same-key", "state.duplicate", "contact.channel", **{**given, "other_key": one.public})
    book.bad("channel-same-entry", "state.duplicate", "contact.channel", **{**given, "other_entry": FIRST})
    for name, key in LOW_ORDER.items():
        book.bad(f"channel-{name}", "encoding.identity", "contact.channel", **{**given, "other_key": key})
    book.bad("channel-not-reduced", "encoding.non_canonical", "contact.channel",
             **{**given, "other_key": NOT_REDUCED})  # fmt: skip


def _letters(book: Book) -> None:
    stream = SeededStream(b"vectors/contact/letters")
    address, key, hand = stream(32), stream(32), stream(32)
    contents = {
        "consent": LetterContent(LetterKind.CONSENT, 1, stage=1),
        "longest": LetterContent(LetterKind.TEXT, 2, text=b"w" * wire.MAX_TEXT),
        "details": LetterContent(LetterKind.DETAILS, 3, text="à 18 h".encode()),
        "note": LetterContent(LetterKind.NOTE, 4, stage=5, entry=FIRST),
        "introduction": example()[1],
    }
    made: Table = {}
    for name, content in contents.items():
        made = book.good(f"seal-{name}", "contact.seal", address=address, key=key, hand=hand,
                         content=content.encode(), nonce=stream(16))  # fmt: skip
        opened = book.good(f"open-{name}", "contact.open", address=address, key=key, letter=made["letter"])
        if opened["content"] != content.encode().hex():
            raise ValueError("a letter opens to something else")
    letter = book.share("letter", made["letter"])
    own = book.good("open-own", "contact.open_own", address=address, key=key, hand=hand, letter=letter)
    if own != opened:
        raise ValueError("her own letter opens to something else")
    book.bad("open-own-other-hand", "signature.invalid", "contact.open_own", address=address, key=key,
             hand=key, letter=letter)  # fmt: skip
    for at in (0, 31, 32, 63, 64, 500, wire.LETTER_LENGTH - 1):
        book.bad(f"open-flipped-{at}", "seal.decryption", "contact.open", address=address, key=key,
                 letter=letter, flipped=at)  # fmt: skip
    book.bad("open-other-address", "seal.decryption", "contact.open", address=key, key=key, letter=letter)
    book.bad("open-other-key", "seal.decryption", "contact.open", address=address, key=address, letter=letter)
    for length in (0, 31, 80, wire.LETTER_LENGTH - 1, wire.LETTER_LENGTH + 1):
        cut = (made["letter"] + "00")[: 2 * length]
        book.bad(
            f"open-length-{length}", "seal.decryption", "contact.open", address=address, key=key, letter=cut
        )


def _conversations(book: Book) -> None:
    def consent(number: int, stage: int) -> LetterContent:
        return LetterContent(LetterKind.CONSENT, number, stage=stage)

    def note(number: int, choice: int, entry: bytes = FIRST) -> LetterContent:
        return LetterContent(LetterKind.NOTE, number, stage=choice, entry=entry)

    def given(mine: list[LetterContent], theirs: list[LetterContent], notes: list[LetterContent],
              kind: str = "peer", other: bytes = FIRST) -> Json:  # fmt: skip
        return {
            "kind": kind, "other": other, "mine": [one.encode() for one in mine],
            "theirs": [one.encode() for one in theirs], "notes": [one.encode() for one in notes],
        }  # fmt: skip

    text, words = (
        LetterContent(LetterKind.TEXT, 2, text=b"hello"),
        LetterContent(LetterKind.TEXT, 2, text=b"good day"),
    )
    number = LetterContent(LetterKind.DETAILS, 3, text=b"01 23")
    write, share, met = consent(1, 1), consent(1, 2), example()[1]
    cases = {
        "silence": given([], [], []),
        "only-mine": given([write], [], []),
        "only-theirs": given([], [share, words, number], []),
        "both-write": given([write, text], [write, words, number], []),
        "mine-contact-theirs-write": given([share, text], [write, words, number], []),
        "mine-write-theirs-contact": given([write, text], [share, words, number], []),
        "both-contact": given([share, text, number], [share, words, number], []),
        "raised": given([write, consent(4, 2)], [share, number], []),
        "lower-later": given([share, consent(4, 1)], [share, number], []),
        "reordered-and-doubled": given([number, text, share, text], [number, words, number, share], []),
        "one-number-twice": given([share], [share, words, text], []),
        "texts-without-consent": given([share, text], [words, number], []),
        "not-now": given([share], [share, words], [note(1, 4)]),
        "blocked": given([share], [share, words], [note(1, 5)]),
        "blocked-then-counsellor": given([share], [share, words], [note(1, 5), note(2, 1)]),
        "blocked-then-write": given([share], [share, words, number], [note(2, 2), note(1, 5)]),
        "block-and-write-at-once": given([share], [share, words], [note(1, 2), note(1, 5)]),
        "blocked-somebody-else": given([share], [share, words], [note(1, 5, SECOND), note(2, 4, NOBODY)]),
        "introduced-by-a-peer": given([share], [share, met], []),
        "desk": given([text], [words, number, met], [], "desk", NOBODY),
        "desk-asked": given([share], [words], [], "desk", NOBODY),
        "desk-not-now": given([text], [words, met], [note(1, 4, NOBODY)], "desk", NOBODY),
        "desk-chosen-again": given(
            [text], [words, met], [note(1, 5, NOBODY), note(2, 1, NOBODY)], "desk", NOBODY
        ),
        "reporter": given([words, met], [text, number], [], "reporter"),
        "reporter-asks": given([], [write, consent(2, 2)], [], "reporter"),
        "introduced-by-a-reporter": given([], [met], [], "reporter"),
    }  # fmt: skip
    for name, table in cases.items():
        book.good(f"read-{name}", "contact.read", given=table)
    book.bad(
        "read-peer-without-entry", "caller.misuse", "contact.read", given=given([], [], [], "peer", NOBODY)
    )
    book.bad("read-desk-with-entry", "caller.misuse", "contact.read", given=given([], [], [], "desk", FIRST))
    for choice in ("talk_to_counsellor", "write", "share_contact", "not_now", "block"):
        for name in (
            "silence",
            "only-mine",
            "both-contact",
            "not-now",
            "blocked-then-write",
            "desk",
            "desk-not-now",
        ):
            book.good(f"choose-{choice}-{name}", "contact.choose", given=cases[name], choice=choice)
    book.bad("choose-reporter", "caller.misuse", "contact.choose", given=cases["reporter"], choice="write")
    for name, code in {
        "silence": "state.consent", "only-mine": "state.consent", "only-theirs": "state.consent",
        "texts-without-consent": "state.consent", "blocked": "state.consent", "desk-not-now": "state.consent",
        "both-write": "", "both-contact": "", "desk": "", "reporter": "",
    }.items():  # fmt: skip
        if code:
            book.bad(f"text-{name}", code, "contact.text", given=cases[name], text="hello")
        else:
            book.good(f"text-{name}", "contact.text", given=cases[name], text="hello")
    for bad, text_code in {
        "": "encoding.length",
        "e\u0301": "encoding.text",
        "w" * 976: "encoding.text",
    }.items():
        book.bad(
            f"text-of-{len(bad)}-letters", text_code, "contact.text", given=cases["both-write"], text=bad
        )
    for name in (
        "only-mine",
        "both-write",
        "mine-contact-theirs-write",
        "mine-write-theirs-contact",
        "blocked",
    ):
        book.bad(f"details-{name}", "state.consent", "contact.details", given=cases[name], text="01 23")
    book.good("details-both-contact", "contact.details", given=cases["both-contact"], text="01 23")


def _mailboxes(book: Book) -> None:
    letter = book.share("posted", SeededStream(b"vectors/contact/posted")(wire.LETTER_LENGTH))
    short, long = book.shared["posted"][2:], book.shared["posted"] + "00"
    book.good("post", "mailbox.post", address=FIRST, letter=letter)
    book.bad("post-address", "encoding.length", "mailbox.post", address=FIRST[1:], letter=letter)
    for name, changed in {"short": short, "long": long}.items():
        book.bad(f"post-{name}", "encoding.length", "mailbox.post", address=FIRST, letter=changed)
    addresses = [bytes([number]) * 32 for number in range(wire.MAILBOXES)]
    after = [0, 1, 2, 3, 4, 5, 6, (1 << 32) - 1]
    book.good("request", "mailbox.request", addresses=addresses, after=after)
    book.bad("request-7", "encoding.length", "mailbox.request", addresses=addresses[1:], after=after[1:])
    book.bad(
        "request-9", "encoding.length", "mailbox.request", addresses=[*addresses, FIRST], after=[*after, 0]
    )
    book.bad("request-address", "encoding.length", "mailbox.request", addresses=[FIRST[1:], *addresses[1:]],
             after=after)  # fmt: skip
    book.bad("request-position", "encoding.range", "mailbox.request", addresses=addresses,
             after=[1 << 32, *after[1:]])  # fmt: skip
    zero = [0] * wire.MAILBOXES
    for name, slots, positions in (
        ("empty", [], []),
        ("one", [0], [5]),
        ("full-page", [4, 5, 6, 7], [1, 2, 3, 9]),
        ("last", [28], [(1 << 32) - 1]),
    ):
        book.good(f"answer-{name}", "mailbox.answer", slots=slots, positions=positions,
                  letters=[letter] * len(slots), after=zero)  # fmt: skip
    for name, code, slots, positions, seen in (
        ("hole", "encoding.non_canonical", [1], [5], zero),
        ("letter-without-position", "encoding.non_canonical", [0], [0], zero),
        ("same-position", "encoding.range", [0, 1], [5, 5], zero),
        ("decreasing", "encoding.range", [0, 1], [5, 4], zero),
        ("seen-before", "encoding.range", [0], [5], [5, *zero[1:]]),
    ):
        book.bad(f"answer-{name}", code, "mailbox.answer", slots=slots, positions=positions,
                 letters=[letter] * len(slots), after=seen)  # fmt: skip
