"""Each cohort counts its own snapshots; a letter that a mailbox puts off waits its turn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Snapshots hold their own numbers; waiting letters get a time and a count."""
    op.drop_column("issuer_scopes", "snapshot_number")
    for name in ("attempts", "due_at"):
        op.add_column("issuer_mail", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
