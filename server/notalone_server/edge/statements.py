"""Statements that are made once: building one anew costs more than the database takes to run it.

Owns the commonest shapes over any table: rows by columns, one row put in its
place. Refuses to know tables. Every value is a parameter of the statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Row, Select, Table, and_, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

_PREFIX = "of_"  # a parameter's name must not be a column's


@cache
def rows_by(table: Table, *names: str) -> Select[Any]:
    """All columns of the rows in which these columns have the values given as `parameters`."""
    return select(table).where(and_(*(table.c[name] == bindparam(_PREFIX + name) for name in names)))


def parameters(values: Mapping[str, object]) -> dict[str, object]:
    """Values of columns as parameters of `rows_by`."""
    return {_PREFIX + name: value for name, value in values.items()}


def one_row(connection: Connection, table: Table, **key: object) -> Row[Any] | None:
    """A row with this key, or None."""
    return connection.execute(rows_by(table, *key), parameters(key)).first()


@cache
def _put(dialect: str, table: Table, changed: tuple[str, ...]) -> Insert:
    made = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return made.on_conflict_do_update(
        index_elements=list(table.primary_key.columns), set_={name: made.excluded[name] for name in changed}
    )


@cache
def _add(dialect: str, table: Table) -> Insert:
    made = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return made.on_conflict_do_nothing(index_elements=list(table.primary_key.columns)).execution_options(
        preserve_rowcount=True  # else it is not known of an insertion
    )


def add_row(
    connection: Connection, table: Table, key: Mapping[str, object], values: Mapping[str, object]
) -> bool:
    """Make a row; False, and nothing changed, if there is one with this primary key."""
    return connection.execute(_add(connection.dialect.name, table), {**key, **values}).rowcount == 1


def put_row(
    connection: Connection,
    table: Table,
    key: Mapping[str, object],
    values: Mapping[str, object],
    at_first: Mapping[str, object] | None = None,
) -> None:
    """Set `values` in the row with this primary key; a row that is not there is made, with `at_first` too."""
    statement = _put(connection.dialect.name, table, tuple(values))
    connection.execute(statement, {**key, **values, **(at_first or {})})


def put_rows(
    connection: Connection, table: Table, changed: tuple[str, ...], rows: Sequence[Mapping[str, object]]
) -> None:
    """As `put_row` for many (at least one), each with its key; columns in `changed` are set."""
    insert_rows(connection, _put(connection.dialect.name, table, changed), rows)


def insert_rows(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, object]]) -> None:
    """Run an insertion for every row; a single one without what the driver prepares for many."""
    connection.execute(statement, rows[0] if len(rows) == 1 else rows)
