"""A trustee's memory as many small values, and back; which of them changed since the last time.

Owns how the memory is cut: one value for each entry, tag and message, a chunk
for what only grows. Refuses to know encryption and databases. What a step did
not touch is neither encoded nor compared, so that a step costs the same
whatever is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, unique
from functools import partial
from typing import Any, Final

from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.protocol import persist
from notalone_crypto.protocol.outline import Outline
from notalone_crypto.protocol.persist import FormerLiveEntry
from notalone_crypto.protocol.state import CurrentBatch, LiveEntry, ScopeState
from notalone_server.trustee.lazy import LazyDict
from notalone_server.trustee.memory import Memory, TrackedDict, TrackedSet

GLOBAL: Final = bytes(32)  # the place of what belongs to no scope
_CHUNK: Final = 256


@unique
class Kind(IntEnum):
    """What a row holds; numbers are stored: append, never reorder."""

    SCOPE = 1
    POLICY = 2
    PENDING = 3
    LIVE = 4
    GONE = 5
    WITHDRAWALS = 6
    GROUPS = 7
    RELEASED = 8
    QUEUE = 9
    OUTBOX = 10
    RECEIVED = 11
    BATCH = 12
    LAST_OUTBOX = 13
    LAST_RECEIVED = 14
    SEARCHED = 15
    FOUND = 16
    SEEN = 17
    SPENT = 18
    LOG = 19
    PROGRESS = 20
    FILINGS = 21
    SNAPSHOTS = 22
    REFUSALS = 23
    UNPOSTED = 24
    OUTLINE = 25


_MAPPINGS: Final = ((Kind.PENDING, "pending"), (Kind.WITHDRAWALS, "withdrawals"))
_LAZY: Final = ((Kind.LIVE, "live"), (Kind.OUTLINE, "outlines"))
LEFT_THERE: Final = frozenset(kind for kind, _ in _LAZY)
"""Kinds of which a start only learns the keys: their values are read when they are asked for."""
_SETS: Final = ((Kind.GONE, "gone"), (Kind.RELEASED, "released"))


@dataclass(frozen=True, slots=True)
class Row:
    """One value at its place; no `body` means that it is removed."""

    scope: bytes
    kind: Kind
    key: bytes
    body: bytes | None = field(repr=False)


Place = tuple[bytes, Kind]
Read = Callable[[Place, Sequence[bytes]], list[Any]]
"""The values that are stored under some keys of a mapping in LEFT_THERE."""


@dataclass(slots=True)
class Differ:
    """Remembers what was handed out, to find what changed. One for each memory and database.

    After a failed write, make a new one from what is stored.
    """

    stored_keys: Callable[[Place], Iterable[bytes]]  # asked when a container was replaced as a whole
    read: Read
    _sequences: dict[tuple[Place, int], tuple[Any, ...]] = field(default_factory=dict)
    _values: dict[tuple[Place, int], object] = field(default_factory=dict)
    _guards: dict[bytes, tuple[object, ...]] = field(default_factory=dict)
    _pairs: dict[tuple[bytes, int], object] = field(default_factory=dict)

    def changes(self, memory: Memory) -> Iterator[Row]:
        """Rows to write. Call `settled` once they are durable."""
        state, durable = memory.state, memory.durable
        for ordinal, (name, scope) in enumerate(state.scopes.items()):
            yield from self._scope(ordinal, name, scope)
        yield from self._set((GLOBAL, Kind.SEEN), state, "seen_encs", b"")
        for period in state.spent:
            yield from self._set((GLOBAL, Kind.SPENT), state.spent, period, persist.dump(period))
        yield from self._value((GLOBAL, Kind.LOG), 0, state.log)
        places = {*durable.done, *durable.handled, *durable.attempts}
        for name in sorted(places):
            progress = (
                durable.done.get(name),
                durable.marks.get(name),
                durable.handled.get(name),
                durable.attempts.get(name),
            )
            yield Row(name, Kind.PROGRESS, b"", persist.dump(progress))
        yield from self._mapping((GLOBAL, Kind.FILINGS), durable, "filings")
        for name, kept in durable.snapshots.items():
            place = (name[-32:], Kind.SNAPSHOTS)
            yield from self._sequence(place, len(name), [(name, one) for one in kept], 1)
        yield from self._sequence((GLOBAL, Kind.REFUSALS), 0, durable.refusals, 64)
        yield from self._sequence((GLOBAL, Kind.UNPOSTED), 0, durable.unposted, 1)

    def settled(self, memory: Memory) -> None:
        """Everything that `changes` gave is durable."""
        state = memory.state
        containers: list[Any] = [state.seen_encs, memory.durable.filings, *state.spent.values()]
        for scope in state.scopes.values():
            containers += [getattr(scope, name) for _, name in _MAPPINGS + _LAZY + _SETS]
        for container in containers:
            container.settled()

    def _scope(self, ordinal: int, name: bytes, scope: ScopeState) -> Iterator[Row]:
        batch = scope.batch
        head = (
            ordinal, scope.phase, scope.halted_because, scope.halted_code, scope.number, scope.epoch,
            scope.leaf, scope.opened_at, scope.last_batch[0],
        )  # fmt: skip
        yield Row(name, Kind.SCOPE, b"", persist.dump(head))
        yield from self._value((name, Kind.POLICY), 0, scope.policy)
        for kind, attribute in _MAPPINGS:
            yield from self._mapping((name, kind), scope, attribute)
        for kind, attribute in _LAZY:
            yield from self._left_there((name, kind), scope, attribute)
        for kind, attribute in _SETS:
            yield from self._set((name, kind), scope, attribute, b"")
        yield from self._sequence((name, Kind.QUEUE), 0, scope.queue, 64)
        yield from self._batch(name, batch)
        yield from self._sequence((name, Kind.LAST_OUTBOX), 0, scope.last_outbox, 1)
        yield from self._sequence((name, Kind.LAST_RECEIVED), 0, _flat(scope.last_batch[1]), 1)
        # These change only in a step that changes the phase; they may be as long as everything stored.
        guard = (scope.phase, scope.number, batch is None)
        if self._guards.get(name) == guard:
            return
        for position, groups in scope.groups.items():
            yield from self._sequence((name, Kind.GROUPS), position, groups, _CHUNK)
        for position, pair in scope.searched.items():
            # The very pair that was written: a batch without news costs nothing, however much is stored.
            if self._pairs.get((name, position)) is pair:
                continue
            entries, found = pair
            yield from self._sequence((name, Kind.SEARCHED), position, entries, _CHUNK)
            yield from self._sequence((name, Kind.FOUND), position, found, _CHUNK)
            self._pairs[name, position] = pair
        self._guards[name] = guard

    def _batch(self, name: bytes, batch: CurrentBatch | None) -> Iterator[Row]:
        place = (name, Kind.BATCH)
        parts = (None,) * 6 if batch is None else (
            batch.plan, batch.xs, batch.products, batch.sealed_record, batch.cosigned, batch.posted
        )  # fmt: skip
        for number, part in enumerate(parts):
            yield from self._value(place, number, part)
        yield from self._sequence((name, Kind.OUTBOX), 0, [] if batch is None else batch.outbox, 1)
        yield from self._sequence((name, Kind.RECEIVED), 0, [] if batch is None else _flat(batch.received), 1)

    def _value(self, place: Place, number: int, value: object) -> Iterator[Row]:
        """An immutable value, or None."""
        if (place, number) in self._values and self._values[place, number] is value:
            return
        body = None if value is None else persist.dump((number, value))
        yield Row(*place, persist.dump(number), body)
        self._values[place, number] = value

    def _sequence(self, place: Place, number: int, values: Sequence[Any], size: int) -> Iterator[Row]:
        """Immutable values in order, `size` in a row; equal beginnings are not written again."""
        before, fresh = self._sequences.get((place, number)), tuple(values)
        if before == fresh:
            return
        known = before or ()
        grown = before is not None and fresh[: len(known)] == known
        first = len(known) // size if grown else 0  # of the chunks that may differ
        for chunk in range(first, max(1, -(-max(len(known), len(fresh)) // size))):
            part = fresh[chunk * size : (chunk + 1) * size]
            if before is None or part != known[chunk * size : (chunk + 1) * size]:
                # An empty list at a number is another state than none.
                body = persist.dump((number, chunk, part)) if part or not chunk else None
                yield Row(*place, persist.dump((number, chunk)), body)
        self._sequences[place, number] = fresh

    def _mapping(self, place: Place, owner: Any, attribute: str) -> Iterator[Row]:  # noqa: ANN401 - two shapes
        held = getattr(owner, attribute)
        if not isinstance(held, TrackedDict):  # new, or replaced as a whole
            yield from self._replaced(place, b"", (persist.dump(key) for key in held))
            held = TrackedDict(held.items())
            setattr(owner, attribute, held)
        for key in sorted(held.touched):
            value = dict.get(held, key)
            body = None if value is None else persist.dump((held.ordinals[key], key, value))
            yield Row(*place, persist.dump(key), body)

    def _left_there(self, place: Place, scope: ScopeState, attribute: str) -> Iterator[Row]:
        held = getattr(scope, attribute)
        if not isinstance(held, LazyDict):
            yield from self._replaced(place, b"", (persist.dump(key) for key in held))
            held = LazyDict(partial(self.read, place), held.items())
            setattr(scope, attribute, held)
        for key in sorted(held.touched):
            value = held.changed(key)
            body = None if value is None else persist.dump((held.ordinals[key], key, value))
            yield Row(*place, persist.dump(key), body)

    def _set(self, place: Place, owner: Any, attribute: Any, prefix: bytes) -> Iterator[Row]:  # noqa: ANN401
        held = owner[attribute] if isinstance(owner, dict) else getattr(owner, attribute)
        if not isinstance(held, TrackedSet):
            yield from self._replaced(place, prefix, (prefix + persist.dump(one) for one in held))
            held = TrackedSet(held)
            if isinstance(owner, dict):
                owner[attribute] = held
            else:
                setattr(owner, attribute, held)
        for element in sorted(held.touched):
            body = persist.dump((attribute, element)) if element in held else None
            yield Row(*place, prefix + persist.dump(element), body)

    def _replaced(self, place: Place, prefix: bytes, keys: Iterable[bytes]) -> Iterator[Row]:
        known = {key for key in self.stored_keys(place) if key.startswith(prefix)}
        yield from (Row(*place, key, None) for key in known - set(keys))


def _flat(received: dict[str, dict[int, bytes]]) -> list[tuple[str, int, bytes]]:
    return [(kind, trustee, data) for kind, of in received.items() for trustee, data in of.items()]


@dataclass(slots=True)
class _Loader:
    """Stored bodies by place, decoded; of what is LEFT_THERE only keys in order."""

    stored: Mapping[Place, Iterable[bytes]]
    keys: Mapping[Place, Iterable[tuple[int, bytes]]]
    read: Read
    names: dict[bytes, bytes] = field(default_factory=dict)  # one object for each, wherever it stands

    def tuples(self, scope: bytes, kind: Kind) -> list[tuple[Any, ...]]:
        """Every value of one place, in the order of its first two parts."""
        found = [persist.load(body, tuple) for body in self.stored.get((scope, kind), ())]
        return sorted(found, key=lambda one: one[:2] if kind in _CHUNKED else one[:1])

    def sequence(self, scope: bytes, kind: Kind, number: int = 0) -> list[Any]:
        return [one for owner, _, part in self.tuples(scope, kind) if owner == number for one in part]

    def numbered(self, scope: bytes, kind: Kind) -> dict[int, list[Any]]:
        """Sequences by their number."""
        found: dict[int, list[Any]] = {}
        for owner, _, part in self.tuples(scope, kind):
            found.setdefault(owner, []).extend(part)
        return found

    def mapping(self, scope: bytes, kind: Kind) -> TrackedDict[bytes, Any]:
        made: TrackedDict[bytes, Any] = TrackedDict()
        for ordinal, key, value in self.tuples(scope, kind):
            made.restore(ordinal, key, value)
        return made

    def left_there(self, scope: bytes, kind: Kind) -> LazyDict[Any]:
        made: LazyDict[Any] = LazyDict(partial(self.read, (scope, kind)))
        for ordinal, key in sorted(self.keys.get((scope, kind), ())):
            made.restore(ordinal, self.names.setdefault(key, key))
        return made

    def members(self, scope: bytes, kind: Kind) -> dict[Any, set[Any]]:
        """Sets by the first part of their rows."""
        found: dict[Any, set[Any]] = {}
        for owner, element in (persist.load(body, tuple) for body in self.stored.get((scope, kind), ())):
            found.setdefault(owner, set()).add(element)
        return found

    def value(self, scope: bytes, kind: Kind, number: int = 0) -> Any:  # noqa: ANN401 - of several types
        return dict(self.tuples(scope, kind)).get(number)


_CHUNKED: Final = frozenset(
    {
        Kind.GROUPS, Kind.QUEUE, Kind.OUTBOX, Kind.RECEIVED, Kind.LAST_OUTBOX, Kind.LAST_RECEIVED,
        Kind.SEARCHED, Kind.FOUND, Kind.SNAPSHOTS, Kind.REFUSALS, Kind.UNPOSTED,
    }
)  # fmt: skip


def key_of(body: bytes) -> tuple[int, bytes]:
    """Place in order and key of a value that is LEFT_THERE, without decoding it. Raises MalformedInput."""
    ordinal, key = persist.head(body, 2)
    if not isinstance(ordinal, int) or not isinstance(key, bytes):
        raise MalformedInput(Code.RANGE, "a stored value has no place")
    return ordinal, key


def row_key(key: bytes) -> bytes:
    """The key of the row that holds the value of a key."""
    return persist.dump(key)


def value_of(body: bytes) -> Any:  # noqa: ANN401 - of several types
    """The value itself. Raises MalformedInput."""
    _, _, value = persist.load(body, tuple)
    return (
        LiveEntry(value.public, value.secrets, value.products)
        if isinstance(value, FormerLiveEntry)
        else value
    )


def modern(body: bytes) -> tuple[LiveEntry, Outline] | None:
    """What became of an entry that was stored before outlines had rows of their own; None for any other."""
    _, _, value = persist.load(body, tuple)
    if not isinstance(value, FormerLiveEntry):
        return None
    outline = Outline(value.public.header.expiry_week).with_points(value.points)
    return LiveEntry(value.public, value.secrets, value.products), outline


def restore(
    stored: Mapping[Place, Iterable[bytes]], keys: Mapping[Place, Iterable[tuple[int, bytes]]], read: Read
) -> Memory:
    """The memory that these rows hold. Raises MalformedInput for rows that `changes` never made."""
    loader = _Loader(stored, keys, read)
    memory = Memory()
    state, durable = memory.state, memory.durable
    heads = {scope: loader.tuples(scope, kind)[0] for scope, kind in stored if kind == Kind.SCOPE}
    for name, head in sorted(heads.items(), key=lambda one: one[1][0]):
        state.scopes[name] = _restored_scope(loader, name, head)
    state.seen_encs = TrackedSet.restored(loader.members(GLOBAL, Kind.SEEN).get("seen_encs", ()))
    for period, tags in sorted(loader.members(GLOBAL, Kind.SPENT).items()):
        state.spent[period] = TrackedSet.restored(tags)
    state.log = loader.value(GLOBAL, Kind.LOG) or state.log
    for name, kind in stored:
        if kind != Kind.PROGRESS:
            continue
        ((done, mark, handled, attempts),) = (persist.load(body, tuple) for body in stored[name, kind])
        for place, value in (
            (durable.done, done), (durable.marks, mark), (durable.handled, handled),
            (durable.attempts, attempts),
        ):  # fmt: skip
            if value is not None:
                place[name] = value
    durable.filings = loader.mapping(GLOBAL, Kind.FILINGS)
    for scope in sorted(name for name, kind in stored if kind == Kind.SNAPSHOTS):
        for kept in loader.numbered(scope, Kind.SNAPSHOTS).values():
            if kept:
                durable.snapshots[kept[0][0]] = [data for _, data in kept]
    durable.refusals = loader.sequence(GLOBAL, Kind.REFUSALS)
    durable.unposted = loader.sequence(GLOBAL, Kind.UNPOSTED)
    return memory


def _restored_scope(loader: _Loader, name: bytes, head: tuple[Any, ...]) -> ScopeState:
    scope = ScopeState(loader.value(name, Kind.POLICY))
    (
        _, scope.phase, scope.halted_because, scope.halted_code, scope.number, scope.epoch,
        scope.leaf, scope.opened_at, last,
    ) = head  # fmt: skip
    for kind, attribute in _MAPPINGS:
        setattr(scope, attribute, loader.mapping(name, kind))
    for kind, attribute in _LAZY:
        setattr(scope, attribute, loader.left_there(name, kind))
    for kind, attribute in _SETS:
        setattr(scope, attribute, TrackedSet.restored(loader.members(name, kind).get(attribute, ())))
    scope.queue = loader.sequence(name, Kind.QUEUE)
    scope.last_outbox = loader.sequence(name, Kind.LAST_OUTBOX)
    scope.last_batch = (last, _nested(loader.sequence(name, Kind.LAST_RECEIVED)))
    scope.groups = loader.numbered(name, Kind.GROUPS)
    found = loader.numbered(name, Kind.FOUND)
    for position, entries in loader.numbered(name, Kind.SEARCHED).items():
        names = tuple(loader.names.get(entry, entry) for entry in entries)
        scope.searched[position] = (names, tuple(found.get(position, ())))
    parts = dict(loader.tuples(name, Kind.BATCH))
    if parts:
        scope.batch = CurrentBatch(
            parts[0],
            loader.sequence(name, Kind.OUTBOX),
            _nested(loader.sequence(name, Kind.RECEIVED)),
            parts.get(1, ()),
            parts.get(2, ()),
            parts.get(3),
            parts.get(4),
            parts.get(5, 0),
        )
    return scope


def _nested(flat: Iterable[tuple[str, int, bytes]]) -> dict[str, dict[int, bytes]]:
    received: dict[str, dict[int, bytes]] = {}
    for kind, trustee, data in flat:
        received.setdefault(kind, {})[trustee] = data
    return received
