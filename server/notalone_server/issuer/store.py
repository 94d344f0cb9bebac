"""The issuer's tables.

Owns SQL, and notices when another process (`notalone issuer cards`) changed the
database meanwhile. Refuses to know the rules (service.py). No table ties a card
to a place: a spent card's row is gone, a place's row does not say how it was
bought.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Unicode,
    delete,
    func,
    insert,
    select,
    update,
)

from notalone_crypto.messages.roll import Enrolment, RollEntry, RollSnapshot
from notalone_server.edge import database
from notalone_server.issuer.ports import MailKind, MailRequest, StateChanged
from notalone_server.issuer.state import CodeRecord, HeldPlace, IssuerState, MemberRecord

MAX_WAITING_MAIL: Final = 10_000

metadata = MetaData()


def _table(name: str, key: Column[Any], *columns: Column[Any]) -> Table:
    """Every table is keyed by scope first, so that it can be partitioned on it."""
    scope = Column("scope", LargeBinary(32), primary_key=True)
    return Table(f"issuer_{name}", metadata, scope, key, *columns)


def _name(name: str) -> Column[Any]:
    return Column(name, LargeBinary(32), primary_key=True)


def _number(name: str) -> Column[Any]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


SCOPES = Table(
    "issuer_scopes",
    metadata,
    Column("scope", LargeBinary(32), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("reset_count", BigInteger, nullable=False),
    Column("batch_at", BigInteger, nullable=False),
)
ENTRIES = _table("entries", _number("number"), Column("data", LargeBinary, nullable=False))
CLOSED = _table("closed", _number("number"))
CARDS = _table("cards", _name("hash"))
MEMBERS = _table(
    "members",
    _name("member"),
    Column("place", LargeBinary(32), nullable=False),
    Column("counts_from", BigInteger, nullable=False),
    Column("letter_at", BigInteger, nullable=False),
)
CODES = _table(
    "codes",
    _name("hash"),
    Column("member", LargeBinary(32), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("stops_reset", Boolean, nullable=False),
)
HELD = _table(
    "held",
    _name("place"),
    Column("data", LargeBinary, nullable=False),
    Column("eligible_from", BigInteger, nullable=False),
)
RESETS = _table("resets", _name("member"), Column("effect_at", BigInteger, nullable=False))
SNAPSHOTS = _table(
    "snapshots",
    _number("cohort"),
    Column("data", LargeBinary, nullable=False),
    Column("delivered", Boolean, nullable=False),
)
MAIL = _table(
    "mail",
    _number("number"),
    Column("kind", Unicode(16), nullable=False),
    Column("address", Unicode(254), nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
)


@dataclass(slots=True)
class SqlIssuerStore:
    """The state of one scope in a database; a save is one transaction with what changed."""

    engine: Engine
    scope: bytes
    _generation: int | None = field(default=None, init=False)
    _stored: dict[str, dict[Hashable, dict[str, Any]]] = field(default_factory=dict, init=False, repr=False)
    _stored_entries: int = field(default=0, init=False)

    # --- the state ----------------------------------------------------------------------------------

    def load(self) -> IssuerState:
        """The stored state; an empty one for a scope that is new here."""
        with database.read(self.engine) as connection:
            row = connection.execute(select(SCOPES).where(SCOPES.c.scope == self.scope)).one_or_none()
            rows = {table.name: self._rows(connection, table) for table in _KEYED}
            entries = connection.execute(
                select(ENTRIES.c.data).where(ENTRIES.c.scope == self.scope).order_by(ENTRIES.c.number)
            ).scalars()
            state = IssuerState([RollEntry.decode(data) for data in entries])
        if row is not None:
            state.reset_count, state.batch_at = row.reset_count, row.batch_at
        _fill(state, rows)
        self._generation = 0 if row is None else int(row.generation)
        self._stored = rows
        self._stored_entries = len(state.entries)
        return state

    def is_stale(self) -> bool:
        """Whether the database holds something this process has not read."""
        with database.read(self.engine) as connection:
            found = connection.execute(
                select(SCOPES.c.generation).where(SCOPES.c.scope == self.scope)
            ).scalar_one_or_none()
        return self._generation is None or (found or 0) != self._generation

    def forget(self) -> None:
        """Something failed in the middle: what is in memory no longer counts."""
        self._generation = None

    def save(self, state: object) -> None:
        """Store what changed. Raises: StateChanged when somebody else wrote first."""
        if not isinstance(state, IssuerState) or self._generation is None:
            raise StateChanged
        wanted = _rows_of(state)
        with database.write(self.engine) as connection:
            self._advance(connection, state)
            fresh = state.entries[self._stored_entries :]
            self._insert(connection, ENTRIES, ({"number": one.number, "data": one.encode()} for one in fresh))
            for table in _KEYED:
                self._apply(connection, table, self._stored.get(table.name, {}), wanted[table.name])
        self._generation += 1
        self._stored = wanted
        self._stored_entries = len(state.entries)

    def _advance(self, connection: Connection, state: IssuerState) -> None:
        seen = self._generation or 0
        values = {
            "generation": seen + 1,
            "reset_count": state.reset_count,
            "batch_at": state.batch_at,
        }
        known = connection.execute(
            select(SCOPES.c.generation).where(SCOPES.c.scope == self.scope)
        ).scalar_one_or_none()
        if (known or 0) != seen:
            raise StateChanged
        if known is None:
            connection.execute(insert(SCOPES).values(scope=self.scope, **values))
        else:
            connection.execute(update(SCOPES).where(SCOPES.c.scope == self.scope).values(**values))

    def _rows(self, connection: Connection, table: Table) -> dict[Hashable, dict[str, Any]]:
        key = _key(table)
        rows = connection.execute(select(table).where(table.c.scope == self.scope)).mappings()
        return {row[key]: {name: value for name, value in row.items() if name != "scope"} for row in rows}

    def _insert(self, connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        listed = [{"scope": self.scope, **row} for row in rows]
        if listed:
            connection.execute(insert(table), listed)

    def _apply(
        self,
        connection: Connection,
        table: Table,
        old: dict[Hashable, dict[str, Any]],
        new: dict[Hashable, dict[str, Any]],
    ) -> None:
        changed = [name for name, row in new.items() if old.get(name) != row]
        gone = [name for name in old if name not in new] + [name for name in changed if name in old]
        column = table.c[_key(table)]
        for name in gone:
            connection.execute(delete(table).where(table.c.scope == self.scope, column == name))
        # In the order of their names: rows must not tell the order in which cards were printed.
        self._insert(connection, table, (new[name] for name in sorted(changed)))  # type: ignore[type-var]

    # --- typed addresses ----------------------------------------------------------------------------

    def add_mail(self, kind: MailKind, address: str) -> bool:
        """Keep a typed address for the worker; the same work whoever it belongs to. False when full."""
        with database.write(self.engine) as connection:
            newest, waiting = connection.execute(
                select(func.max(MAIL.c.number), func.count()).where(MAIL.c.scope == self.scope)
            ).one()
            if waiting >= MAX_WAITING_MAIL:
                return False
            row = {
                "number": (newest or 0) + 1,
                "kind": kind.value,
                "address": address,
                "attempts": 0,
                "due_at": 0,
            }
            self._insert(connection, MAIL, [row])
        return True

    def waiting_mail(self, now: int, limit: int = 100) -> tuple[MailRequest, ...]:
        """The typed addresses whose turn it is, those first that wait longest."""
        due = (MAIL.c.scope == self.scope) & (MAIL.c.due_at <= now)
        query = select(MAIL).where(due).order_by(MAIL.c.due_at, MAIL.c.number).limit(limit)
        with database.read(self.engine) as connection:
            rows = connection.execute(query).all()
        return tuple(MailRequest(row.number, MailKind(row.kind), row.address, row.attempts) for row in rows)

    def put_off_mail(self, number: int, due_at: int, *, counted: bool = True) -> None:
        """Try this one again, not before `due_at`; its attempts grow if `counted`."""
        with database.write(self.engine) as connection:
            connection.execute(
                update(MAIL)
                .where(MAIL.c.scope == self.scope, MAIL.c.number == number)
                .values(attempts=MAIL.c.attempts + int(counted), due_at=due_at)
            )

    def drop_mail(self, number: int) -> None:
        """This one is done with: nothing of it stays."""
        with database.write(self.engine) as connection:
            connection.execute(delete(MAIL).where(MAIL.c.scope == self.scope, MAIL.c.number == number))


_KEYED = (CLOSED, CARDS, MEMBERS, CODES, HELD, RESETS, SNAPSHOTS)


def _key(table: Table) -> str:
    return str(list(table.primary_key.columns)[1].name)


def _rows_of(state: IssuerState) -> dict[str, dict[Hashable, dict[str, Any]]]:
    return {
        CLOSED.name: {number: {"number": number} for number in state.closed},
        CARDS.name: {card: {"hash": card} for card in state.unused_cards},
        MEMBERS.name: {
            member: {
                "member": member,
                "place": one.place,
                "counts_from": one.counts_from,
                "letter_at": one.letter_at,
            }
            for member, one in state.members.items()
        },
        CODES.name: {
            code: {
                "hash": code,
                "member": one.member,
                "expires_at": one.expires_at,
                "stops_reset": one.stops_reset,
            }
            for code, one in state.codes.items()
        },
        HELD.name: {
            place: {"place": place, "data": one.request.encode(), "eligible_from": one.eligible_from}
            for place, one in state.held.items()
        },
        RESETS.name: {member: {"member": member, "effect_at": at} for member, at in state.resets.items()},
        SNAPSHOTS.name: {
            cohort: {
                "cohort": cohort,
                "data": one.encode(),
                "delivered": cohort not in state.undelivered,
            }
            for cohort, one in state.snapshots.items()
        },
    }


def _fill(state: IssuerState, rows: dict[str, dict[Hashable, dict[str, Any]]]) -> None:
    state.closed = {row["number"] for row in rows[CLOSED.name].values()}
    state.unused_cards = {row["hash"] for row in rows[CARDS.name].values()}
    state.members = {
        row["member"]: MemberRecord(row["place"], row["counts_from"], row["letter_at"])
        for row in rows[MEMBERS.name].values()
    }
    state.codes = {
        row["hash"]: CodeRecord(row["member"], row["expires_at"], row["stops_reset"])
        for row in rows[CODES.name].values()
    }
    state.held = {
        row["place"]: HeldPlace(Enrolment.decode(row["data"]), row["eligible_from"])
        for row in rows[HELD.name].values()
    }
    state.resets = {row["member"]: row["effect_at"] for row in rows[RESETS.name].values()}
    for row in rows[SNAPSHOTS.name].values():
        state.snapshots[row["cohort"]] = RollSnapshot.decode(row["data"])
        if not row["delivered"]:
            state.undelivered.add(row["cohort"])
