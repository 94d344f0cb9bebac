"""Who voted for the plan in progress.

Of a plan that is in progress now nobody wrote that down: it counts as voted for
by all, so that it is not replaced.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_EVERYBODY = (1 << 9) - 1  # at most nine trustees, the first in the lowest bit


def upgrade() -> None:
    """Add and fill."""
    op.add_column("scopes", sa.Column("plan_voted", sa.Integer(), nullable=False, server_default="0"))
    scopes = sa.table("scopes", sa.column("plan", sa.LargeBinary), sa.column("plan_voted", sa.Integer))
    op.execute(scopes.update().where(scopes.c.plan.is_not(None)).values(plan_voted=_EVERYBODY))
