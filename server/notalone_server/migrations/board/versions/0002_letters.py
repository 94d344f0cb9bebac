"""Mailboxes, and each spent tag with its entry's name.

Tags that are there already get their entry's name from the feed: an entry's row
names its filing's place there, and a filing, whole or erased, begins with its
header, where period and tag have fixed places. Those places are of wire version
1 and written out here: a migration does not follow what the program becomes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PERIOD, _TAG, _TAG_END = 169, 175, 207  # in a header
_HEADER_TYPE = b"\0\1\x1e"
_PAGE = 500


def upgrade() -> None:
    """Create, add, fill."""
    op.create_table(
        "letters",
        sa.Column("scope", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("address", sa.LargeBinary(), nullable=False, autoincrement=False),
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("week", sa.BigInteger(), nullable=False),
        sa.Column("letter", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "address", "position"),
        sqlite_with_rowid=False,
    )
    op.create_index("letters_by_week", "letters", ["scope", "week"])
    op.add_column("scopes", sa.Column("letters", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("spent", sa.Column("entry", sa.LargeBinary()))
    op.create_index("spent_by_tag", "spent", ["scope", "tag"])
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    binary, number = sa.LargeBinary(), sa.BigInteger()
    entries = sa.table(
        "entries", sa.column("scope", binary), sa.column("entry", binary), sa.column("sequence", number)
    )
    feed = sa.table(
        "feed", sa.column("scope", binary), sa.column("sequence", number), sa.column("payload", binary)
    )
    spent = sa.table(
        "spent",
        sa.column("scope", binary),
        sa.column("period", number),
        sa.column("tag", binary),
        sa.column("entry", binary),
    )
    scopes = connection.execute(sa.select(entries.c.scope).distinct()).scalars().all()
    for scope in scopes:
        after = 0
        while True:
            rows = connection.execute(
                sa.select(entries.c.entry, entries.c.sequence, sa.func.substr(feed.c.payload, 1, 256))
                .where(
                    entries.c.scope == scope,
                    entries.c.sequence > after,
                    feed.c.scope == entries.c.scope,
                    feed.c.sequence == entries.c.sequence,
                )
                .order_by(entries.c.sequence)
                .limit(_PAGE)
            ).all()
            if not rows:
                break
            for entry, sequence, start in rows:
                after = sequence
                header = _header(bytes(start))
                if header is None:
                    continue  # its owner will be told nothing: as for a tag that nobody spent
                connection.execute(
                    sa.update(spent)
                    .where(
                        spent.c.scope == scope,
                        spent.c.period == int.from_bytes(header[_PERIOD : _PERIOD + 4], "big"),
                        spent.c.tag == header[_TAG:_TAG_END],
                    )
                    .values(entry=entry)
                )


def _header(start: bytes) -> bytes | None:
    """A header's first bytes: after type and length in a filing or trace, after the length in a frame."""
    for position in (7, 4):
        if start[position : position + 3] == _HEADER_TYPE and len(start) >= position + _TAG_END:
            return start[position:]
    return None
