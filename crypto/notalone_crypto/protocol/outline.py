"""What a batch looks at of every live entry, in few bytes: its last week and its points.

Owns this summary and its packed form. Refuses to know the entry itself, which
is needed only when the entry leaves, matches or is output again: a trustee
with many entries need not hold them decoded.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Sequence, ValuesView
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from notalone_crypto.errors import Code, MalformedInput
from notalone_crypto.protocol.rounds import Point

V = TypeVar("V")
_HALF: Final = 32


class Entries(Protocol[V]):
    """Values by entry, in the order in which entries came: a dict, or what reads values when asked for them.

    A value is not changed in place: what changes is set again.
    """

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __reversed__(self) -> Iterator[bytes]: ...
    def __contains__(self, entry: object, /) -> bool: ...
    def __getitem__(self, entry: bytes, /) -> V: ...
    def __setitem__(self, entry: bytes, value: V, /) -> None: ...
    def pop(self, entry: bytes, default: None, /) -> V | None:
        """Take a value out, if it is there."""

    def keys(self) -> KeysView[bytes]:
        """As dict.keys."""

    def values(self) -> ValuesView[V]:
        """As dict.values."""

    def items(self) -> ItemsView[bytes, V]:
        """As dict.items."""


@dataclass(frozen=True, slots=True)
class Outline:
    """Points belong to the scope's epoch; there are none before an entry's first outputs."""

    expiry_week: int
    packed: bytes = field(default=b"", repr=False)  # for each (slot, level): x, little-endian, and curve

    def __post_init__(self) -> None:
        """Raise MalformedInput for half a point."""
        if len(self.packed) % (2 * _HALF):
            raise MalformedInput(Code.LENGTH, "packed points have a wrong length")

    def with_points(self, points: Sequence[Point]) -> Outline:
        """The same entry with its outputs of another epoch."""
        return replace(
            self,
            packed=b"".join(half for one in points for half in (one.x.to_bytes(_HALF, "little"), one.curve)),
        )

    @property
    def points(self) -> tuple[Point, ...]:
        """One for each (slot, level)."""
        halves = [self.packed[start : start + _HALF] for start in range(0, len(self.packed), _HALF)]
        return tuple(
            Point(int.from_bytes(x, "little"), curve)
            for x, curve in zip(halves[::2], halves[1::2], strict=True)
        )
