"""Rows of a new kind: each live entry's outline, which a batch reads in place of the entry.

Tables stay as they are. What is in them is encrypted, so the store itself
rewrites the entries of a program before this at its next start. The number
tells that program that it can no longer read what is stored.
"""

from __future__ import annotations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing to change in the tables."""
