"""The finder: which entries of one slot, level and epoch name the same subject.

Owns the rule by which output points match, and the groups found so far.
Refuses to know who may learn of a match and what is released (release.py),
and where points come from: it takes outputs whose proofs were verified.

The rule (specs/20-protocol.md#finder), for points in order of arrival:

1. One person is one point. Entries with equal x are one point, represented by
   the earliest of them; an unequal curve value changes nothing. Later ones are
   never members and never cause an event.
2. T points of distinct x match at level T exactly when their curve values lie
   on one curve of degree T-2 in x. They form a group.
3. A newcomer on the curve of a group joins it. A point belongs to at most one
   group, so points of a group are not searched again with other points.

Why rule 3 loses nothing, whatever inputs an adversary files: a verified output
is c*(Base_0 + x*Base_1 + ... + x^(T-2)*Base_(T-2)) with c = 1/(k_T+m). Nobody
knows a relation between the bases, so a curve through T points is T-1
polynomials g_j of degree T-2 or less with g_j(x) = c*x^j at each of the points.
X*g_j - g_(j+1) has degree T-1 or less and T roots: it is zero. So g_(T-2) is
X^(T-2)*g_0, hence g_0 is constant and all c are equal. Points of two subjects
on one curve would be a discrete logarithm between bases. Were that to happen,
the outcome is still a function of points and order: the newcomer joins the
group formed first, else forms one with the partners that the search meets
first.

Two facts save work. Among ungrouped points no T lie on one curve, for the last
of them would have formed a group; so a group starts with exactly T members.
And dividing all differences by the newcomer's turns "T points on a curve of
degree T-2" into "T-1 points on a curve of degree T-3", down to equal values.

Nothing here is constant-time: every trustee sees all points of its batch.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from notalone_crypto.errors import Code, MalformedInput, Misuse, StateConflict
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol.columns import WIDTH, Column, Index
from notalone_crypto.protocol.rounds import Point
from notalone_crypto.suite import LEVELS

_FLAT: Final = 2  # the level at which a curve is one value and an index look-up finds it


@dataclass(frozen=True, slots=True)
class MatchEvent:
    """What one entry brought about.

    `group` is the group's place in `CurveFinder.groups`, `members` are its
    representatives so far in order of arrival, `joined` those that are new in
    it: T of them when the group forms, one later.
    """

    group: int
    members: tuple[bytes, ...]
    joined: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Node:
    """A representative's point, or a difference quotient of it; `position` is its place in arrival.

    Made when needed: kept for every point, these would take most of a trustee's memory.
    """

    position: int
    x: int
    curve: bytes


@dataclass(frozen=True, slots=True)
class _Group:
    """Members' positions, and the curve in Newton's form through the first T-1 of them."""

    members: list[int]
    anchors: tuple[int, ...]  # x of the first T-2 members
    quotients: tuple[bytes, ...]  # T-1 divided differences, order 0 first

    def at(self, x: int) -> bytes:
        """The curve's value at `x`: T-2 multiplications."""
        value = self.quotients[-1]
        for anchor, quotient in zip(reversed(self.anchors), reversed(self.quotients[:-1]), strict=True):
            value = RISTRETTO255.add(RISTRETTO255.multiply(x - anchor, value), quotient)
        return value


class CurveFinder:
    """Points and groups of one (scope, slot, level, epoch), fed in order.

    A function of what was added, in that order: a trustee that restarts adds
    the same again, or saves the search with `resume`. Cost of a newcomer with
    N ungrouped points and g groups: at level 2 a look-up; at level 3 N + g
    multiplications; at level 4 fewer than N(N+1)/2 + 2g. Memory is linear.
    """

    def __init__(self, level: int) -> None:
        if level not in LEVELS:
            raise Misuse(Code.RANGE, "there is no such level")
        self._level = level
        self._entries: list[bytes] = []  # by position, as the next three; duplicates by x included
        self._xs = Column()
        self._curves = Column()
        self._by_entry = Index(self._entries.__getitem__)
        self._by_x = Index(self._xs.__getitem__)  # of representatives
        self._first = array("I")  # representatives in order of arrival
        self._listed: tuple[bytes, ...] = ()  # their names, as far as they were asked for
        self._groups: list[_Group] = []
        self._group_of: dict[int, _Group] = {}  # by position of a member
        self._by_curve = Index(self._curves.__getitem__)  # level 2: the first representative of each value
        self._ungrouped = array("I")  # above level 2, where they are searched one by one

    @property
    def level(self) -> int:
        """T, the number of different people a group takes."""
        return self._level

    @property
    def groups(self) -> tuple[tuple[bytes, ...], ...]:
        """Representatives of each group in order of arrival; groups in order of their T-th member."""
        return tuple(self._members(group) for group in self._groups)

    @property
    def representatives(self) -> tuple[bytes, ...]:
        """Every entry that stands for a point, in order of arrival."""
        # Only what is new is looked up: each batch asks, and there may be 100,000.
        self._listed += tuple(self._entries[position] for position in self._first[len(self._listed) :])
        return self._listed

    @property
    def names(self) -> Collection[bytes]:
        """Every entry added."""
        return _Names(self._entries, self._by_entry)

    def add(self, entry: bytes, point: Point) -> MatchEvent | None:
        """Take the next entry (a 32-byte name) and say what it brought about, if anything.

        Nothing changes when it raises. Raises: StateConflict (state.duplicate)
        if the entry was added before; Misuse (encoding.range) if x is outside
        [0, q); MalformedInput if the curve value is not a canonical element
        other than the identity.
        """
        change = self._place(self._admit(entry, point))
        return None if change is None else self._event(*change)

    @classmethod
    def resume(
        cls,
        level: int,
        outputs: Iterable[tuple[bytes, Point]],
        searched: Collection[bytes],
        groups: Iterable[Sequence[bytes]],
    ) -> tuple[CurveFinder, tuple[MatchEvent, ...]]:
        """A finder that does not repeat an earlier finder's search.

        `outputs` are all live entries in order of arrival with their points in
        this epoch; `searched` and `groups` are the `representatives` and
        `groups` of an earlier finder of the same slot and level, of this epoch
        (a restart) or the one before. This holds across epochs because equal x
        and a common curve depend on (p, m) alone; without it one withdrawal
        costs N^2/2 multiplications. A group left with fewer than T members
        dissolves. Entries that only a withdrawn one stood for were never
        searched: they are now, and may cause events.

        What `searched` claims is taken from the caller's own store; that each
        group lies on one curve is checked. Raises as `add`, and Misuse
        (caller.misuse) if the store contradicts the points.
        """
        finder = cls(level)
        for entry, point in outputs:
            finder._admit(entry, point)
        return finder, finder._resume(searched, groups)

    def _resume(
        self, searched: Collection[bytes], groups: Iterable[Sequence[bytes]]
    ) -> tuple[MatchEvent, ...]:
        """What is left of an earlier search, then the search for entries that it did not know."""
        known = set(searched)
        before = [position for position, entry in enumerate(self._entries) if entry in known]
        for position in before:
            if self._by_x.find(self._xs[position]) is not None:
                raise Misuse(Code.MISUSE, "two searched entries have one x")
            self._by_x.add(position)
        for group in groups:
            found = [self._by_entry.find(entry) for entry in group]
            self._restore([position for position in found if position is not None])
        if self._level == _FLAT:
            for position in before:
                self._note_curve(position)
        else:
            self._ungrouped = array("I", [one for one in before if one not in self._group_of])
        unsearched = [position for position, entry in enumerate(self._entries) if entry not in known]
        changes = [change for change in map(self._place, unsearched) if change is not None]
        self._first = array("I", sorted(self._by_x.numbers()))
        self._groups.sort(key=lambda group: sorted(group.members)[self._level - 1])
        return tuple(self._event(*change) for change in changes)

    def _admit(self, entry: bytes, point: Point) -> int:
        """Take a point in, without looking for its match; its position."""
        if self._by_entry.find(entry) is not None:
            raise StateConflict(Code.DUPLICATE, "the finder has this entry already")
        if not 0 <= point.x < ORDER:
            # Two integers for one scalar would make one person two points.
            raise Misuse(Code.RANGE, "a point's x is outside [0, q)")
        curve = RISTRETTO255.check_element(point.curve)
        position = len(self._entries)
        self._entries.append(entry)
        self._xs.append(point.x.to_bytes(WIDTH, "little"))
        self._curves.append(curve)
        self._by_entry.add(position)
        return position

    def _node(self, position: int) -> _Node:
        return _Node(position, int.from_bytes(self._xs[position], "little"), self._curves[position])

    def _place(self, position: int) -> tuple[_Group, tuple[int, ...]] | None:
        """Rules 1 to 3 for one newcomer: the group it changed, and the positions new in it."""
        if self._by_x.find(self._xs[position]) is not None:
            return None
        self._by_x.add(position)
        self._first.append(position)
        node = self._node(position)
        group = self._group_through(node)
        if group is not None:
            group.members.append(position)
            self._group_of[position] = group
            return group, (position,)
        partners = self._partners(node)
        if partners is None:
            if self._level == _FLAT:
                self._by_curve.add(position)
            else:
                self._ungrouped.append(position)
            return None
        group = self._form([*map(self._node, partners), node])
        self._ungrouped = array("I", [one for one in self._ungrouped if one not in self._group_of])
        return group, tuple(group.members)

    def _note_curve(self, position: int) -> None:
        """At level 2 of an earlier search: equal values are in one group, or it was not a search."""
        other = self._by_curve.find(self._curves[position])
        if other is None:
            self._by_curve.add(position)
        elif self._group_of.get(position, self) is not self._group_of.get(other):
            raise Misuse(Code.MISUSE, "two searched entries match and are in no stored group")

    def _group_through(self, node: _Node) -> _Group | None:
        if self._level == _FLAT:
            other = self._by_curve.find(node.curve)
            return None if other is None else self._group_of.get(other)
        return next((group for group in self._groups if group.at(node.x) == node.curve), None)

    def _partners(self, node: _Node) -> tuple[int, ...] | None:
        """T-1 ungrouped points on one curve with the newcomer, by position."""
        if self._level == _FLAT:
            position = self._by_curve.find(node.curve)
            return None if position is None else (position,)
        # Distinct x (rule 1) make every difference invertible.
        return _on_one_curve(_divide([self._node(one) for one in self._ungrouped], node), self._level - 3)

    def _form(self, nodes: Sequence[_Node]) -> _Group:
        first = nodes[: self._level - 1]
        quotients = []
        rest = list(first)
        while rest:
            head = rest.pop(0)
            quotients.append(head.curve)
            rest = _divide(rest, head)
        anchors = tuple(node.x for node in first[:-1])
        group = _Group([node.position for node in nodes], anchors, tuple(quotients))
        self._groups.append(group)
        self._group_of.update(dict.fromkeys(group.members, group))
        return group

    def _restore(self, positions: Sequence[int]) -> None:
        """A stored group, after withdrawals; every member is compared with the curve of the first."""
        searched = [one for one in positions if self._by_x.find(self._xs[one]) == one]
        if len(searched) != len(positions) or any(one in self._group_of for one in positions):
            raise Misuse(Code.MISUSE, "a stored group has a member that was not searched or is in another")
        if len(set(positions)) < self._level:
            return
        nodes = [self._node(one) for one in positions]
        group = self._form(nodes)
        if any(group.at(node.x) != node.curve for node in nodes):
            raise Misuse(Code.MISUSE, "a stored group's points lie on no common curve")

    def _members(self, group: _Group) -> tuple[bytes, ...]:
        return tuple(self._entries[position] for position in sorted(group.members))

    def _event(self, group: _Group, joined: Iterable[int]) -> MatchEvent:
        index = next(number for number, other in enumerate(self._groups) if other is group)
        return MatchEvent(
            index, self._members(group), tuple(self._entries[position] for position in sorted(joined))
        )


@dataclass(frozen=True, slots=True)
class _Names(Collection[bytes]):
    """A finder's entries, as a collection that looks members up."""

    entries: list[bytes]
    index: Index

    def __contains__(self, entry: object) -> bool:
        return isinstance(entry, bytes) and self.index.find(entry) is not None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def resume_together(
    levels: Sequence[int],
    outputs: Iterable[tuple[bytes, Sequence[Point]]],
    before: Sequence[tuple[Collection[bytes], Iterable[Sequence[bytes]]]],
) -> list[CurveFinder]:
    """`CurveFinder.resume` for several finders of the same entries, going through these once.

    `outputs` gives a point for each finder, `before` what each had searched and found.
    """
    finders = [CurveFinder(level) for level in levels]
    for entry, points in outputs:
        for finder, point in zip(finders, points, strict=True):
            finder._admit(entry, point)  # noqa: SLF001 - same module
    for finder, (searched, groups) in zip(finders, before, strict=True):
        finder._resume(searched, groups)  # noqa: SLF001 - same module
    return finders


def _divide(nodes: Sequence[_Node], pivot: _Node) -> list[_Node]:
    """Difference quotients with `pivot`: points on its curve fall on one of a degree less."""
    inverses = _inverses([node.x - pivot.x for node in nodes])
    multiply, subtract = RISTRETTO255.multiply, RISTRETTO255.subtract
    return [
        _Node(node.position, node.x, multiply(inverse, subtract(node.curve, pivot.curve)))
        for node, inverse in zip(nodes, inverses, strict=True)
    ]


def _on_one_curve(nodes: Sequence[_Node], degree: int) -> tuple[int, ...] | None:
    """Positions of the first degree+2 nodes on one curve of `degree` (0 or more), if any."""
    if degree == 0:
        seen: dict[bytes, int] = {}
        for node in nodes:
            other = seen.setdefault(node.curve, node.position)
            if other != node.position:
                return other, node.position
        return None
    for end in range(degree + 1, len(nodes)):
        pivot = nodes[end]
        found = _on_one_curve(_divide(nodes[:end], pivot), degree - 1)
        if found is not None:
            return *found, pivot.position
    return None


def _inverses(values: Sequence[int]) -> list[int]:
    """Inverses mod q of non-zero values by one inversion (Montgomery's trick)."""
    running = 1
    prefixes = []
    for value in values:
        prefixes.append(running)
        running = running * value % ORDER
    try:
        inverse = pow(running, -1, ORDER)
    except ValueError:
        # Unreachable while rule 1 stands; a wrong zero would make a wrong group.
        raise MalformedInput(Code.RANGE, "two points have one x") from None
    results = []
    for value, prefix in zip(reversed(values), reversed(prefixes), strict=True):
        results.append(inverse * prefix % ORDER)
        inverse = inverse * value % ORDER
    results.reverse()
    return results
