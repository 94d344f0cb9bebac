"""The Python client. Owns transport, pinned trust and local state; refuses to know any server's code.

>>> from notalone_client import Form, Named, Phrase, Trust
>>> trust = Trust.parse(committee="ab" * 32, scope="cd" * 32)
>>> form = Form(about=[Named.email("someone@example.org")], threshold=2, words="…")
"""

from notalone_client.client import AsyncClient, Client
from notalone_client.desk import AsyncDesk, Desk, create_desk_key
from notalone_client.errors import (
    ClientError,
    DateRefused,
    NotSafe,
    OtherVersion,
    Refused,
    RollMoved,
    RulesChanged,
    SealAgain,
    Unavailable,
    UnexpectedAnswer,
    WrongPhrase,
)
from notalone_client.letters import Conversation
from notalone_client.phrase import Phrase
from notalone_client.report import Form, Named, Sealed
from notalone_client.steps_contact import News
from notalone_client.steps_desk import DeskMatch, Matched
from notalone_client.steps_return import EntryState, FilingStatus, OwnFiling
from notalone_client.trust import Trust
from notalone_crypto.messages.contact import Choice, Stage

__all__ = [
    "AsyncClient", "AsyncDesk", "Choice", "Client", "ClientError", "Conversation", "DateRefused",
    "Desk", "DeskMatch", "EntryState", "FilingStatus", "Form", "Matched", "Named", "News", "NotSafe",
    "OtherVersion", "OwnFiling", "Phrase", "Refused", "RollMoved", "RulesChanged", "SealAgain", "Sealed",
    "Stage", "Trust", "Unavailable", "UnexpectedAnswer", "WrongPhrase", "create_desk_key",
]  # fmt: skip
