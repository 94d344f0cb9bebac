"""The board's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "scopes",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("policy", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.LargeBinary()),
        sa.Column("plan_leaf", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("scope"),
    )
    op.create_table(
        "record_votes",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("trustee", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "trustee"),
    )
    op.create_table(
        "feed",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "sequence"),
    )
    op.create_table(
        "cursors",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("reader", sa.String(), nullable=False, autoincrement=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "reader"),
    )
    op.create_table(
        "snapshots",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("issuer_key", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("cohort", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "issuer_key", "cohort"),
    )
    op.create_table(
        "entries",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("filing", sa.LargeBinary(), nullable=False),
        sa.Column("owner_key", sa.LargeBinary(), nullable=False),
        sa.Column("expiry_week", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("promised", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("complained", sa.Boolean(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "entry"),
    )
    op.create_index("entries_expiry", "entries", ["scope", "gone", "expiry_week"])
    op.create_index("entries_leaving", "entries", ["scope", "withdrawn", "gone"])
    op.create_index("entries_new", "entries", ["scope", "batch", "gone", "sequence"])
    op.create_index("entries_whole", "entries", ["scope", "erased", "sequence"])
    op.create_table(
        "spent",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("period", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("tag", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("scope", "period", "tag"),
    )
    op.create_table(
        "releases",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("batch", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("trustee", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("blobs", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "batch", "trustee"),
    )
    op.create_table(
        "inclusions",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("recipient", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "recipient"),
    )
    op.create_table(
        "log_leaves",
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("scope", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("cosigned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("log_leaves_by_scope", "log_leaves", ["scope", "leaf"])
    op.create_table(
        "log_queue",
        sa.Column("place", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("scope", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("policy", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_table(
        "log_state",
        sa.Column("one", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.LargeBinary()),
        sa.Column("leaf", sa.LargeBinary()),
        sa.Column("position", sa.BigInteger()),
        sa.Column("policy", sa.LargeBinary()),
        sa.Column("candidate", sa.LargeBinary()),
        sa.Column("cosigned", sa.Integer()),
        sa.PrimaryKeyConstraint("one"),
    )
