"""A mapping whose values lie in the store and are read when they are asked for.

Owns which values are held: those that changed and are not saved yet, and the
few that were read last. Refuses to know how values are stored, and to hand out
anything that may be changed in place: a changed value is set again, so that
reading is never taken for a change.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, MutableMapping, Sequence, ValuesView
from itertools import islice
from typing import Any, Final, TypeVar

V = TypeVar("V")
Read = Callable[[Sequence[bytes]], list[V]]
"""The stored values of these keys. Raises whatever the store raises for a value that it did not write."""

RECENT: Final = 128  # values kept after they were read or saved
TOGETHER: Final = 64  # values read at once where all are looked at


class LazyDict(MutableMapping[bytes, V]):
    """Keys in order, values on demand. Values must be immutable.

    `touched` are the keys set or removed since `settled`; their values are
    held until then, because nowhere else they are.
    """

    __slots__ = ("_changed", "_next", "_read", "_recent", "ordinals", "touched")

    def __init__(self, read: Read[V], values: Iterable[tuple[bytes, V]] = ()) -> None:
        self._read = read
        self._changed: dict[bytes, V] = {}
        self._recent: dict[bytes, V] = {}  # the oldest first
        self.ordinals: dict[bytes, int] = {}  # order is part of the state
        self.touched: set[bytes] = set()
        self._next = 0
        for key, value in values:
            self[key] = value

    def restore(self, ordinal: int, key: bytes) -> None:
        """Name a key that is stored; call in order of ordinals."""
        self.ordinals[key] = ordinal
        self._next = ordinal + 1

    def changed(self, key: bytes) -> V | None:
        """The value of a touched key; None if it was removed."""
        return self._changed.get(key)

    def settled(self) -> None:
        """Everything touched was stored."""
        for key in islice(reversed(self._changed), RECENT):
            self._keep(key, self._changed[key])
        self._changed.clear()
        self.touched.clear()

    def __getitem__(self, key: bytes) -> V:
        if key not in self.ordinals:
            raise KeyError(key)
        if key in self._changed:
            return self._changed[key]
        if key not in self._recent:
            (value,) = self._read([key])
            self._keep(key, value)
        return self._recent[key]

    def __setitem__(self, key: bytes, value: V) -> None:
        if key not in self.ordinals:
            self.ordinals[key] = self._next
            self._next += 1
        self._recent.pop(key, None)
        self._changed[key] = value
        self.touched.add(key)

    def __delitem__(self, key: bytes) -> None:
        del self.ordinals[key]
        self._recent.pop(key, None)
        self._changed.pop(key, None)
        self.touched.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self.ordinals

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.ordinals)

    def __reversed__(self) -> Iterator[bytes]:
        return reversed(self.ordinals)

    def __len__(self) -> int:
        return len(self.ordinals)

    def items(self) -> ItemsView[bytes, V]:
        """As dict.items; a few values are held at a time, and none is kept."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """As dict.values; see `items`."""
        return _Values(self)

    def stream(self) -> Iterator[tuple[bytes, V]]:
        """Every pair in order. Keys must not come or go meanwhile."""
        keys = iter(self.ordinals)
        while some := list(islice(keys, TOGETHER)):
            held = {key: of[key] for key in some for of in (self._recent, self._changed) if key in of}
            absent = [key for key in some if key not in held]
            held.update(zip(absent, self._read(absent) if absent else (), strict=True))
            yield from ((key, held[key]) for key in some)

    def _keep(self, key: bytes, value: V) -> None:
        if len(self._recent) >= RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[key] = value


class _Items(ItemsView[bytes, V]):
    _mapping: LazyDict[V]

    def __init__(self, mapping: LazyDict[V]) -> None:
        super().__init__(mapping)

    def __iter__(self) -> Iterator[tuple[bytes, V]]:
        return self._mapping.stream()


class _Values(ValuesView[V]):
    _mapping: LazyDict[V]

    def __init__(self, mapping: LazyDict[V]) -> None:
        super().__init__(mapping)

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._mapping.stream())

    def __contains__(self, value: Any) -> bool:  # noqa: ANN401 - as a view
        return any(value == one for one in self)
