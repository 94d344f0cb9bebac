"""The Python client. Owns transport, pinned trust and local state; refuses to know any server's code.

>>> from notalone_client import Form, Named, Phrase, Trust
>>> trust = Trust.parse(committee="ab" * 32, scope="cd" * 32)
>>> form = Form(about=[Named.email("someone@example.org")], threshold=2, words="…")
"""

from notalone_client.client import AsyncClient, Client
from notalone_client.errors import (
    ClientError,
    NotSafe,
    Refused,
    Unavailable,
    UnexpectedAnswer,
    WrongPhrase,
)
from notalone_client.phrase import Phrase
from notalone_client.report import Form, Named, Sealed
from notalone_client.steps_return import EntryState, FilingStatus, OwnFiling
from notalone_client.trust import Trust

__all__ = [
    "AsyncClient", "Client", "ClientError", "EntryState", "FilingStatus", "Form", "Named", "NotSafe",
    "OwnFiling", "Phrase", "Refused", "Sealed", "Trust", "Unavailable", "UnexpectedAnswer", "WrongPhrase",
]  # fmt: skip
