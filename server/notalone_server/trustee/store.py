"""A trustee's database: every value encrypted, and all of them bound together.

Owns tables, encryption at rest and the check that what is read is what was
written. Refuses to know what the values mean (rows.py). The database shows how
many values there are, how long they are and to which scope they belong, no more.

Attack: whoever can write to the database changes, swaps, removes or brings
back single rows, so that the trustee forgets a withdrawal or counts a tag
anew. A keyed sum over all rows is kept in the head (an incremental multiset
hash: Clarke et al., ASIACRYPT 2003), so that only a whole old copy fits together.
"""

from __future__ import annotations

import gc
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from nacl import bindings
from nacl.exceptions import CryptoError
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from notalone_crypto.codec import join
from notalone_crypto.errors import NotAloneError
from notalone_crypto.randomness import Randomness
from notalone_server.edge import database
from notalone_server.trustee import rows
from notalone_server.trustee.memory import Memory
from notalone_server.trustee.ports import StoreRefused, StoreUnavailable
from notalone_server.trustee.rows import Differ, Kind, Place, Row

KEY_LENGTH: Final = 32
_NONCE_LENGTH: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_MODULUS: Final = 1 << 256
_FORMAT: Final = b"NotAlone-v1 trustee rows"
_AT_ONCE: Final = 100  # rows in memory while all are counted
_TOGETHER: Final = 250  # entries of an older program in one save

metadata = sa.MetaData()
table = sa.Table(
    "trustee_rows",
    metadata,
    sa.Column("scope", sa.LargeBinary(32), primary_key=True),
    sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.LargeBinary(32), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
head = sa.Table(
    "trustee_head",
    metadata,
    sa.Column("number", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

_TAMPERED: Final = (
    "the database does not fit this trustee's key file, or somebody changed it. Nothing was started. "
    "Check that the settings name the right database and key file. Otherwise treat the machine as broken "
    "into: keep both as they are, tell the other operators, and do not start from an older copy, which would "
    "answer with other values what this trustee answered already"
)
_CHANGED: Final = (
    "somebody changed the database while this trustee was running: a value is not the one that was there at "
    "the start. Treat the machine as broken into: keep the database and the key file as they are, tell the "
    "other operators, and do not start from an older copy, which would answer with other values what this "
    "trustee answered already"
)
_SHARED: Final = (
    "another process writes to this trustee's database; exactly one may. Stop it; if nobody of yours started "
    "it, treat the machine as broken into"
)


@dataclass(slots=True)
class SqlStore:
    """The memory in a database; a save writes what changed, in one transaction."""

    engine: sa.Engine
    key: bytes = field(repr=False)  # KEY_LENGTH bytes, from the operator's key file
    randomness: Randomness
    _differ: Differ | None = field(init=False, default=None)
    _index: dict[Place, dict[bytes, int]] = field(init=False, default_factory=dict, repr=False)
    _sum: int = field(init=False, default=0)
    _revision: int = field(init=False, default=0)
    _token: object = field(init=False, default=None)  # of the last load: older memories may read no more
    _sealing_key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the key for rows once."""
        self._sealing_key = self._keyed(b"row sealing", b"")

    def load(self) -> Memory | None:
        """What was saved last, or None in an empty database.

        Raises: StoreRefused for anything that this trustee did not write, StoreUnavailable.
        """
        memory = self.look()
        if memory is not None:
            self._modernise(memory)
        return memory

    def look(self) -> Memory | None:
        """As `load`, without writing anything: entries of an older program may still lack their outlines."""
        with collector_paused():
            return self._look()

    def _look(self) -> Memory | None:
        self._index, self._sum, self._revision = {}, 0, 0
        self._token = token = object()
        self._differ = Differ(self._stored_keys, partial(self._read, token))
        bodies: dict[Place, list[bytes]] = {}
        keys: dict[Place, list[tuple[int, bytes]]] = {}
        try:
            with database.read(self.engine) as connection:
                top = connection.execute(sa.select(head.c.revision, head.c.body)).one_or_none()
                # Every row is read and counted, but never are all in memory at once.
                streamed = sa.select(table).execution_options(yield_per=_AT_ONCE)
                with connection.execute(streamed) as stored:
                    for scope, kind, name, sealed in stored:
                        place = (bytes(scope), Kind(kind))
                        key, body = self._opened(place, bytes(name), bytes(sealed))
                        self._count(place, key, self._element(place, key, body))
                        if place[1] in rows.LEFT_THERE:
                            keys.setdefault(place, []).append(rows.key_of(body))
                        else:
                            bodies.setdefault(place, []).append(body)
            if top is None and not self._index:
                return None
            if top is None:
                raise StoreRefused(_TAMPERED)
            revision, total = top.revision, self._open(join(_FORMAT), bytes(top.body))
            if not hmac.compare_digest(total, self._head(revision)):
                raise StoreRefused(_TAMPERED)
            self._revision = revision
            memory = rows.restore(bodies, keys, self._differ.read)
        except SQLAlchemyError as error:
            raise StoreUnavailable("the database cannot be read") from error
        except (NotAloneError, ValueError, TypeError, IndexError) as error:
            raise StoreRefused(_TAMPERED) from error
        # Reading back must give exactly what is stored; this also primes the differ.
        if self._fresh(self._differ.changes(memory)):
            raise StoreRefused(_TAMPERED)
        self._differ.settled(memory)
        return memory

    def _modernise(self, memory: Memory) -> None:
        """Entries that an older program stored get their outlines: some in a save, each of which is whole."""
        for name, scope in memory.state.scopes.items():
            place = (name, Kind.LIVE)
            waiting = iter([entry for entry in scope.live if entry not in scope.outlines])
            while some := list(islice(waiting, _TOGETHER)):
                for entry, body in zip(some, self._bodies(place, some), strict=True):
                    modern = rows.modern(body)
                    if modern is None:
                        raise StoreRefused(_TAMPERED)
                    scope.live[entry], scope.outlines[entry] = modern
                self.save(memory)
            if list(scope.outlines) != list(scope.live):
                raise StoreRefused(_TAMPERED)

    def _read(self, token: object, place: Place, keys: Sequence[bytes]) -> list[Any]:
        """Values of a mapping that was given out by the last load, as long as nothing failed since."""
        if token is not self._token or self._differ is None:
            raise StoreUnavailable("the database failed before; load it again")
        try:
            return [rows.value_of(body) for body in self._bodies(place, keys)]
        except NotAloneError as error:  # not to be taken for a fault of the item that asked for the entry
            raise StoreRefused(_TAMPERED) from error

    def _bodies(self, place: Place, keys: Sequence[bytes]) -> list[bytes]:
        """What is stored under these keys, if it is what was counted when this trustee started or saved.

        Attack: the database is changed after the start, which saw it whole.
        """
        scope, kind = place
        wanted = [rows.row_key(key) for key in keys]
        names = [self._name(place, key) for key in wanted]
        found = sa.select(table.c.name, table.c.body).where(
            table.c.scope == scope, table.c.kind == int(kind), table.c.name.in_(names)
        )
        try:
            with database.read(self.engine) as connection:
                sealed = {bytes(name): bytes(body) for name, body in connection.execute(found)}
        except SQLAlchemyError as error:
            raise StoreUnavailable("the database cannot be read") from error
        bodies = []
        for key, name in zip(wanted, names, strict=True):
            try:
                stored_key, body = self._opened(place, name, sealed[name])
            except (KeyError, StoreRefused) as error:
                raise StoreRefused(_CHANGED) from error
            if stored_key != key or self._element(place, key, body) != self._index[place].get(key):
                raise StoreRefused(_CHANGED)
            bodies.append(body)
        return bodies

    def save(self, memory: Memory) -> None:
        """Write what changed since the last call; durable when this returns.

        Raises: StoreUnavailable, StoreRefused. After either, `load` first: the
        memory is ahead of the database.
        """
        differ, self._differ = self._differ, None
        if differ is None:
            raise StoreUnavailable("the database failed before; load it again")
        with collector_paused():
            fresh = self._fresh(differ.changes(memory))
        replaced = [row for row, _ in fresh if row.key in self._index.get((row.scope, row.kind), ())]
        for row, element in fresh:
            self._count((row.scope, row.kind), row.key, element)
        try:
            with database.write(self.engine) as connection, collector_paused():
                self._write(connection, [row for row, _ in fresh], replaced)
        except IntegrityError as error:  # a row where this trustee stored none
            raise StoreRefused(_CHANGED) from error
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable("the database takes no writes (full, read-only or away)") from error
        self._revision += 1
        differ.settled(memory)
        self._differ = differ

    def _write(self, connection: sa.Connection, fresh: list[Row], replaced: list[Row]) -> None:
        revision = self._revision + 1
        body = self._seal(join(_FORMAT), self._head(revision))
        if self._revision:
            # Attack or accident: a second process with the same keys would answer with other values.
            moved = connection.execute(
                sa.update(head).where(head.c.revision == self._revision).values(revision=revision, body=body)
            )
            if moved.rowcount != 1:
                raise StoreRefused(_SHARED)
        elif connection.execute(sa.select(head.c.number)).first() is not None:
            raise StoreRefused(_SHARED)
        else:
            connection.execute(sa.insert(head).values(number=1, revision=revision, body=body))
        if replaced:
            same = (
                (table.c.scope == sa.bindparam("at_scope"))
                & (table.c.kind == sa.bindparam("at_kind"))
                & (table.c.name == sa.bindparam("at_name"))
            )
            places = [((row.scope, row.kind), row.key) for row in replaced]
            connection.execute(
                sa.delete(table).where(same),
                [
                    {"at_scope": place[0], "at_kind": int(place[1]), "at_name": self._name(place, key)}
                    for place, key in places
                ],
            )
        named = [(row, self._name((row.scope, row.kind), row.key)) for row in fresh]
        written = [
            {
                "scope": row.scope,
                "kind": int(row.kind),
                "name": name,
                "body": self._seal(
                    join(row.scope, bytes([row.kind]), name),
                    len(row.key).to_bytes(4, "big") + row.key + row.body,
                ),
            }
            for row, name in named
            if row.body is not None
        ]
        if written:
            connection.execute(sa.insert(table), written)

    def _fresh(self, changes: Iterable[Row]) -> list[tuple[Row, int]]:
        """The rows that are not stored as they are, the last of each place, with what they add to the sum."""
        latest = {(row.scope, row.kind, row.key): row for row in changes}
        fresh = []
        for row in latest.values():
            place = (row.scope, row.kind)
            known = self._index.get(place, {}).get(row.key, 0)
            element = 0 if row.body is None else self._element(place, row.key, row.body)
            if element != known:
                fresh.append((row, element))
        return fresh

    def _count(self, place: Place, key: bytes, element: int) -> None:
        known = self._index.setdefault(place, {})
        self._sum = (self._sum - known.pop(key, 0) + element) % _MODULUS
        if element:
            known[key] = element

    def _stored_keys(self, place: Place) -> Iterable[bytes]:
        return tuple(self._index.get(place, ()))

    def _keyed(self, purpose: bytes, data: bytes) -> bytes:
        return hashlib.blake2b(data, digest_size=32, key=self.key, person=purpose).digest()

    def _name(self, place: Place, key: bytes) -> bytes:
        return self._keyed(b"row name", join(place[0], bytes([place[1]]), key))

    def _element(self, place: Place, key: bytes, body: bytes) -> int:
        return (
            int.from_bytes(self._keyed(b"row sum", join(place[0], bytes([place[1]]), key) + body), "big") or 1
        )

    def _head(self, revision: int) -> bytes:
        size = sum(len(keys) for keys in self._index.values())
        return revision.to_bytes(8, "big") + size.to_bytes(8, "big") + self._sum.to_bytes(32, "big")

    def _seal(self, context: bytes, plaintext: bytes) -> bytes:
        nonce = self.randomness(_NONCE_LENGTH)
        sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            plaintext, context, nonce, self._sealing_key
        )
        return nonce + sealed

    def _opened(self, place: Place, name: bytes, sealed: bytes) -> tuple[bytes, bytes]:
        """Key and body of one row."""
        opened = self._open(join(place[0], bytes([place[1]]), name), sealed)
        end = 4 + int.from_bytes(opened[:4], "big")
        return opened[4:end], opened[end:]

    def _open(self, context: bytes, sealed: bytes) -> bytes:
        try:
            return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed[_NONCE_LENGTH:], context, sealed[:_NONCE_LENGTH], self._sealing_key
            )
        except (CryptoError, ValueError) as error:
            raise StoreRefused(_TAMPERED) from error


@contextmanager
def collector_paused() -> Iterator[None]:
    """All that is made here is needed to the end: looking for garbage among it takes as long as the work."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def ready(engine: sa.Engine) -> bool:
    """Whether the database answers. Raises SQLAlchemyError."""
    with database.read(engine) as connection:
        connection.execute(sa.select(head.c.revision)).one_or_none()
    return True
