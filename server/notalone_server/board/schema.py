"""The board's tables, the same in SQLite and PostgreSQL.

Owns their shape; every key of a scope's table begins with the scope, so that it
can be partitioned by hash. Refuses columns for times and addresses of filings.
Changes here need a migration (migrations/board); a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()


def _key(name: str, kind: type[LargeBinary | BigInteger | Integer | String] = LargeBinary) -> Column[object]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _column(
    name: str, kind: type[LargeBinary | BigInteger | Integer | Boolean], *, nullable: bool = False
) -> Column[object]:
    return Column(name, kind, nullable=nullable)


scopes = Table(
    "scopes",
    metadata,
    _key("scope"),
    _column("policy", LargeBinary),
    _column("active", Boolean),
    _column("number", Integer),
    _column("epoch", Integer),
    _column("leaf", LargeBinary),
    _column("opened_at", BigInteger),
    _column("last_sequence", BigInteger),
    Column("letters", Integer, nullable=False, server_default="0"),  # how many are kept
    _column("plan", LargeBinary, nullable=True),
    _column("plan_leaf", LargeBinary, nullable=True),
    Column("plan_voted", Integer, nullable=False, server_default="0"),  # one bit for each trustee
)
record_votes = Table(
    "record_votes", metadata, _key("scope"), _key("trustee", Integer), _column("leaf", LargeBinary)
)
feed = Table(
    "feed",
    metadata,
    _key("scope"),
    _key("sequence", BigInteger),
    _column("kind", Integer),
    _column("payload", LargeBinary),
)
cursors = Table("cursors", metadata, _key("scope"), _key("reader", String), _column("sequence", BigInteger))
snapshots = Table(
    "snapshots",
    metadata,
    _key("scope"),
    _key("issuer_key"),
    _key("cohort", Integer),
    _column("data", LargeBinary),
)
entries = Table(
    "entries",
    metadata,
    _key("scope"),
    _key("entry"),
    _column("filing", LargeBinary),
    _column("owner_key", LargeBinary),
    _column("expiry_week", BigInteger),
    _column("sequence", BigInteger),
    _column("promised", Integer),
    _column("accepted", Integer),  # bit i - 1: trustee i
    _column("complained", Boolean),
    _column("batch", Integer),
    _column("withdrawn", Boolean),
    _column("gone", Boolean),
    _column("erased", Boolean),
    # A plan looks for few among many: new ones, leaving ones, and those whose bundles are still here.
    Index("entries_new", "scope", "batch", "gone", "sequence"),
    Index("entries_leaving", "scope", "withdrawn", "gone"),
    Index("entries_expiry", "scope", "gone", "expiry_week"),
    Index("entries_whole", "scope", "erased", "sequence"),
)
spent = Table(
    "spent",
    metadata,
    _key("scope"),
    _key("period", BigInteger),
    _key("tag"),
    _column("entry", LargeBinary, nullable=True),  # nothing where an old database could not say
    Index("spent_by_tag", "scope", "tag"),  # an owner does not say the period
)
letters = Table(
    "letters",
    metadata,
    _key("scope"),
    _key("address"),
    _key("position", BigInteger),
    _column("week", BigInteger),  # after which it is erased; no other time
    _column("letter", LargeBinary),
    Index("letters_by_week", "scope", "week"),
    sqlite_with_rowid=False,  # row numbers would keep the order in which everybody's letters came
)
releases = Table(
    "releases",
    metadata,
    _key("scope"),
    _key("batch", Integer),
    _key("trustee", Integer),
    _column("blobs", LargeBinary),
)
inclusions = Table("inclusions", metadata, _key("scope"), _key("recipient"), _column("sealed", LargeBinary))
log_leaves = Table(
    "log_leaves",
    metadata,
    _key("position", BigInteger),
    _column("scope", LargeBinary),
    _column("leaf", LargeBinary),
    _column("cosigned", Boolean),
    Index("log_leaves_by_scope", "scope", "leaf"),
)
log_queue = Table(
    "log_queue",
    metadata,
    _key("place", BigInteger),
    _column("scope", LargeBinary),
    _column("leaf", LargeBinary),
    _column("policy", LargeBinary),
)
log_state = Table(
    "log_state",
    metadata,
    _key("one", Integer),
    _column("note", LargeBinary),
    _column("scope", LargeBinary, nullable=True),  # from here on: the leaf in progress
    _column("leaf", LargeBinary, nullable=True),
    _column("position", BigInteger, nullable=True),
    _column("policy", LargeBinary, nullable=True),
    _column("candidate", LargeBinary, nullable=True),
    _column("cosigned", Integer, nullable=True),
)
