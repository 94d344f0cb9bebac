"""Many 32-byte values in order, and where each of them stands, in few bytes for each.

Owns the two containers that the finder is made of. Refuses to know what the
values mean. A dict of bytes takes 130 bytes and more for each value, a column
36 and an index 6 to 12: a trustee holds both for every entry, slot and level.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Final

WIDTH: Final = 32
_FEWEST: Final = 8  # places of an empty index; always a power of two


class Column:
    """Values of WIDTH bytes, numbered from 0."""

    __slots__ = ("_block",)

    def __init__(self) -> None:
        self._block = bytearray()

    def __len__(self) -> int:
        return len(self._block) // WIDTH

    def __getitem__(self, number: int) -> bytes:
        return bytes(self._block[number * WIDTH : (number + 1) * WIDTH])

    def append(self, value: bytes) -> None:
        """Give `value` the next number."""
        self._block += value


class Index:
    """Numbers by value. Holds no values: it asks `value_of`, which must not change its mind.

    A hash table with open addressing; Python's keyed hash decides where to look
    first, so nobody can choose values that all begin at one place.
    """

    __slots__ = ("_places", "_used", "_value_of")

    def __init__(self, value_of: Callable[[int], bytes]) -> None:
        self._value_of = value_of
        self._places = array("I", bytes(4 * _FEWEST))  # number + 1; 0 where nothing is
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def find(self, value: bytes) -> int | None:
        """The number that was added with this value."""
        found = self._places[self._place(value)]
        return found - 1 if found else None

    def add(self, number: int) -> None:
        """Make a number findable. Its value must not be there yet."""
        if 3 * self._used >= 2 * len(self._places):
            known = list(self.numbers())
            self._places = array("I", bytes(8 * len(self._places)))
            for one in known:
                self._places[self._place(self._value_of(one))] = one + 1
        self._places[self._place(self._value_of(number))] = number + 1
        self._used += 1

    def numbers(self) -> Iterator[int]:
        """Every number added, in no order."""
        return (one - 1 for one in self._places if one)

    def _place(self, value: bytes) -> int:
        """Where the value is, or would be put."""
        places, last = self._places, len(self._places) - 1
        place = hash(value) & last
        while (found := places[place]) and self._value_of(found - 1) != value:
            place = (place + 1) & last
        return place
