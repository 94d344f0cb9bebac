"""Taking a report back, and its expiry.

Owns the withdrawal message and the coarse calendar. Refuses to know what a
batch does with them (protocol/evaluate.py). An edit is a withdrawal and a full
new filing.
"""

from __future__ import annotations

from notalone_crypto.messages.filing import Header, Withdrawal
from notalone_crypto.primitives import signing
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.suite import Tag

WEEK_SECONDS = 7 * 24 * 3600
DAY_SECONDS = 24 * 3600


def week_of(now: int) -> int:
    """Weeks since 1970 of a time in seconds."""
    return now // WEEK_SECONDS


def period_of(now: int, period_days: int) -> int:
    """The quota period of a time in seconds."""
    return now // (period_days * DAY_SECONDS)


def withdraw(entry: bytes, owner: signing.SigningKey) -> Withdrawal:
    """Signed request to take `entry` (32 bytes) back at the next batch."""
    return sign_message(Withdrawal(entry, UNSIGNED), owner, Tag.WITHDRAWAL)


def check_withdrawal(withdrawal: Withdrawal, header: Header) -> None:
    """Raise VerificationFailed unless the entry's owner signed it."""
    check_signature(withdrawal, header.owner_key, Tag.WITHDRAWAL)


def has_expired(header: Header, now: int) -> bool:
    """Whether the entry's last week is over."""
    return week_of(now) > header.expiry_week
