"""Twelve words, French or English (BIP-39), and the 16 bytes behind them.

Owns reading what somebody typed. Refuses to store or print it: its `repr` is
blank. The words are the only key; nobody can give them back.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from mnemonic import Mnemonic

from notalone_client.errors import WrongPhrase
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import PHRASE_LENGTH

Language = Literal["french", "english"]
LANGUAGES: Final[tuple[Language, ...]] = ("french", "english")
WORDS: Final = 12


@dataclass(frozen=True, slots=True)
class Phrase:
    """The secret behind twelve words.

    >>> phrase = Phrase.parse("abandon " * 11 + "about")
    >>> phrase.words("french").split()[0]
    'abaisser'
    >>> phrase
    Phrase()
    """

    entropy: bytes = field(repr=False)  # 16 bytes

    def __post_init__(self) -> None:
        """Refuse another length."""
        if len(self.entropy) != PHRASE_LENGTH:
            raise WrongPhrase("a phrase is 16 bytes")

    @classmethod
    def new(cls, randomness: Randomness) -> Phrase:
        """A fresh phrase from 16 bytes of `randomness`."""
        return cls(randomness(PHRASE_LENGTH))

    @classmethod
    def parse(cls, text: str) -> Phrase:
        """The phrase behind typed words: capitals, accents and spaces do not count.

        Raises: WrongPhrase, without saying which word is wrong.
        """
        typed = [_fold(word) for word in text.split()]
        if len(typed) == WORDS:
            for language in LANGUAGES:
                book, known = _book(language)
                words = [known.get(word, "") for word in typed]
                if all(words):
                    try:
                        return cls(bytes(book.to_entropy(words)))
                    except ValueError:  # the checksum: a word was mistyped into another one
                        continue
        raise WrongPhrase("these are not the twelve words of a phrase")

    def words(self, language: Language) -> str:
        """The twelve words, in NFC, separated by spaces."""
        book, _ = _book(language)
        return unicodedata.normalize("NFC", book.to_mnemonic(self.entropy))


def _fold(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.strip().lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@lru_cache(maxsize=2)
def _book(language: Language) -> tuple[Mnemonic, dict[str, str]]:
    book = Mnemonic(language)
    return book, {_fold(word): word for word in book.wordlist}
