"""What a trustee must not forget, and containers that know which of their keys changed.

Owns the shape of the worker's memory and the tracking that makes a save cost
as much as what changed, not as much as what is stored. Refuses to know where
it is kept (store.py) and what the machine does with it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar

from notalone_crypto.protocol import persist
from notalone_crypto.protocol.state import Post, TrusteeState

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class Durable:
    """Everything the service itself must not forget, beside the machine's state."""

    done: dict[bytes, int] = field(default_factory=dict)  # scope -> every item up to here is handled
    marks: dict[bytes, bytes] = field(default_factory=dict)  # scope -> mark of the item at `done`
    handled: dict[bytes, dict[int, bytes]] = field(default_factory=dict)  # above `done`: number -> mark
    attempts: dict[bytes, dict[int, int]] = field(default_factory=dict)
    filings: dict[bytes, bytes] = field(default_factory=dict)  # entry -> filing, until a batch takes it
    snapshots: dict[bytes, list[bytes]] = field(default_factory=dict)
    refusals: list[tuple[int, str]] = field(default_factory=list)  # (sequence, code), content-free
    unposted: list[Post] = field(default_factory=list)


@dataclass(slots=True)
class Memory:
    """The machine's state and the service's own."""

    state: TrusteeState = field(default_factory=TrusteeState, repr=False)
    durable: Durable = field(default_factory=Durable, repr=False)


class Bytes(Protocol):
    """A disk for one value: `save` returns only once it is durable, and replaces all or nothing."""

    def load(self) -> bytes | None:
        """What was saved last, or None on a new machine."""

    def save(self, data: bytes) -> None:
        """Replace what is stored."""


@dataclass(slots=True)
class WholeStore:
    """Keeps the whole memory as one value: for simulations and tests, its cost grows with the content."""

    disk: Bytes

    def load(self) -> Memory | None:
        """What was saved last."""
        data = self.disk.load()
        if data is None:
            return None
        state, *rest = persist.load(data, tuple)
        return Memory(state, Durable(*rest))

    def save(self, memory: Memory) -> None:
        """Replace everything."""
        self.disk.save(whole(memory))


def whole(memory: Memory) -> bytes:
    """Canonical bytes of everything: equal memories, equal bytes."""
    parts = [_sorted(getattr(memory.durable, one.name)) for one in fields(Durable)]
    return persist.dump((memory.state, *parts))


def _sorted(value: Any) -> Any:  # noqa: ANN401 - of several types
    """Order means nothing in the service's own dicts."""
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


class TrackedDict(dict[K, V]):
    """A dict that remembers which keys were set, removed or handed out since the last `settled`.

    Handing out a value by its key counts as a change, because the value may be
    changed in place; iterating does not. Values must not be changed while iterating.
    """

    __slots__ = ("_next", "ordinals", "touched")

    def __init__(self, values: Iterable[tuple[K, V]] = ()) -> None:
        super().__init__()
        self.touched: set[K] = set()
        self.ordinals: dict[K, int] = {}  # order is part of the state
        self._next = 0
        for key, value in values:
            self[key] = value

    def restore(self, ordinal: int, key: K, value: V) -> None:
        """Put back what was stored; call in order of ordinals."""
        super().__setitem__(key, value)
        self.ordinals[key] = ordinal
        self._next = ordinal + 1

    def settled(self) -> None:
        """Everything touched was stored."""
        self.touched.clear()

    def __getitem__(self, key: K) -> V:
        value = super().__getitem__(key)
        self.touched.add(key)
        return value

    def get(self, key: K, default: Any = None) -> Any:  # noqa: ANN401 - as dict.get
        """As dict.get."""
        return self[key] if key in self else default  # noqa: SIM401 - this is that method

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self:
            self.ordinals[key] = self._next
            self._next += 1
        self.touched.add(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        del self.ordinals[key]
        self.touched.add(key)

    def pop(self, key: K, *default: Any) -> Any:  # noqa: ANN401 - as dict.pop
        """As dict.pop."""
        if key not in self:
            return super().pop(key, *default)
        value = super().__getitem__(key)
        del self[key]
        return value

    def popitem(self) -> tuple[K, V]:
        """As dict.popitem."""
        key = next(reversed(self))
        return key, self.pop(key)

    def setdefault(self, key: K, default: V) -> V:
        """As dict.setdefault."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **named: Any) -> None:  # noqa: ANN401 - as dict.update
        """As dict.update."""
        for key, value in dict(*others, **named).items():
            self[key] = value

    def __ior__(self, other: Any) -> TrackedDict[K, V]:  # type: ignore[override,misc]  # noqa: ANN401
        self.update(other)
        return self

    def clear(self) -> None:
        """As dict.clear."""
        for key in list(self):
            del self[key]


class TrackedSet(set[K]):
    """A set that remembers which members came or went since the last `settled`."""

    __slots__ = ("touched",)

    def __init__(self, values: Iterable[K] = ()) -> None:
        super().__init__(values)
        self.touched: set[K] = set(self)

    @classmethod
    def restored(cls, values: Iterable[K]) -> TrackedSet[K]:
        """A set that holds what is already stored."""
        made = cls(values)
        made.settled()
        return made

    def settled(self) -> None:
        """Everything touched was stored."""
        self.touched.clear()

    def add(self, element: K) -> None:
        """As set.add."""
        self.touched.add(element)
        super().add(element)

    def discard(self, element: K) -> None:  # type: ignore[override]
        """As set.discard."""
        self.touched.add(element)
        super().discard(element)

    def remove(self, element: K) -> None:
        """As set.remove."""
        super().remove(element)
        self.touched.add(element)

    def pop(self) -> K:
        """As set.pop."""
        element = super().pop()
        self.touched.add(element)
        return element

    def clear(self) -> None:
        """As set.clear."""
        self._keep(())

    def update(self, *others: Iterable[K]) -> None:
        """As set.update."""
        for element in {one for other in others for one in other}:
            self.add(element)

    def difference_update(self, *others: Iterable[Any]) -> None:
        """As set.difference_update."""
        for element in {one for other in others for one in other} & self:
            self.discard(element)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """As set.intersection_update."""
        self._keep(self.intersection(*others))

    def symmetric_difference_update(self, other: Iterable[K]) -> None:
        """As set.symmetric_difference_update."""
        self._keep(self ^ set(other))

    def __ior__(self, other: Any) -> TrackedSet[K]:  # type: ignore[misc,override]  # noqa: ANN401
        self.update(other)
        return self

    def __isub__(self, other: Any) -> TrackedSet[K]:  # type: ignore[misc]  # noqa: ANN401
        self.difference_update(other)
        return self

    def __iand__(self, other: Any) -> TrackedSet[K]:  # type: ignore[misc]  # noqa: ANN401
        self.intersection_update(other)
        return self

    def __ixor__(self, other: Any) -> TrackedSet[K]:  # type: ignore[misc,override]  # noqa: ANN401
        self.symmetric_difference_update(other)
        return self

    def _keep(self, kept: Iterable[K]) -> None:
        wanted = set(kept)
        for element in set(self) - wanted:
            self.discard(element)
        self.update(wanted - self)
