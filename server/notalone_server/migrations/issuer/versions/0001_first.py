"""The issuer's first tables. A migration never changes once it was released."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table, keyed by scope first."""

    def scope() -> sa.Column[bytes]:
        return sa.Column("scope", sa.LargeBinary(32), primary_key=True)

    def name(column: str) -> sa.Column[bytes]:
        return sa.Column(column, sa.LargeBinary(32), primary_key=True)

    def number(column: str) -> sa.Column[int]:
        return sa.Column(column, sa.Integer, primary_key=True, autoincrement=False)

    def big(column: str) -> sa.Column[int]:
        return sa.Column(column, sa.BigInteger, nullable=False)

    def octets(column: str, length: int | None = None) -> sa.Column[bytes]:
        return sa.Column(column, sa.LargeBinary(length), nullable=False)

    op.create_table(
        "issuer_scopes",
        scope(),
        big("generation"),
        big("snapshot_number"),
        big("reset_count"),
        big("batch_at"),
    )
    op.create_table("issuer_entries", scope(), number("number"), octets("data"))
    op.create_table("issuer_closed", scope(), number("number"))
    op.create_table("issuer_cards", scope(), name("hash"))
    op.create_table(
        "issuer_members", scope(), name("member"), octets("place", 32), big("counts_from"), big("letter_at")
    )
    op.create_table(
        "issuer_codes",
        scope(),
        name("hash"),
        octets("member", 32),
        big("expires_at"),
        sa.Column("stops_reset", sa.Boolean, nullable=False),
    )
    op.create_table("issuer_held", scope(), name("place"), octets("data"), big("eligible_from"))
    op.create_table("issuer_resets", scope(), name("member"), big("effect_at"))
    op.create_table(
        "issuer_snapshots",
        scope(),
        number("cohort"),
        octets("data"),
        sa.Column("delivered", sa.Boolean, nullable=False),
    )
    op.create_table(
        "issuer_mail",
        scope(),
        number("number"),
        sa.Column("kind", sa.Unicode(16), nullable=False),
        sa.Column("address", sa.Unicode(254), nullable=False),
    )
