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

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from notalone_crypto.errors import Code, MalformedInput, Misuse, StateConflict
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
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
    """A representative's point, or a difference quotient of it; `position` is its place in arrival."""

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
        self._entries: list[bytes] = []  # by position; duplicates by x included
        self._names: set[bytes] = set()
        self._by_x: dict[int, int] = {}
        self._first: list[bytes] = []  # representatives in order of arrival
        self._ungrouped: dict[int, _Node] = {}
        self._groups: list[_Group] = []
        # Level 2 only.
        self._ungrouped_by_curve: dict[bytes, int] = {}
        self._group_by_curve: dict[bytes, _Group] = {}

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
        return tuple(self._first)

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
        known = set(searched)
        nodes = [finder._admit(entry, point) for entry, point in outputs]
        nodes_by_entry = dict(zip(finder._entries, nodes, strict=True))
        for entry, node in nodes_by_entry.items():
            if entry not in known:
                continue
            if finder._by_x.setdefault(node.x, node.position) != node.position:
                raise Misuse(Code.MISUSE, "two searched entries have one x")
            finder._ungrouped[node.position] = node
        for group in groups:
            finder._restore([nodes_by_entry[entry] for entry in group if entry in nodes_by_entry])
        if level == _FLAT:
            finder._ungrouped_by_curve = {node.curve: key for key, node in finder._ungrouped.items()}
            if len(finder._ungrouped_by_curve) != len(finder._ungrouped):
                raise Misuse(Code.MISUSE, "two searched entries match and are in no stored group")
        unsearched = [node for entry, node in nodes_by_entry.items() if entry not in known]
        changes = [change for change in map(finder._place, unsearched) if change is not None]
        finder._first = [finder._entries[position] for position in sorted(finder._by_x.values())]
        finder._groups.sort(key=lambda group: sorted(group.members)[level - 1])
        return finder, tuple(finder._event(*change) for change in changes)

    def _admit(self, entry: bytes, point: Point) -> _Node:
        if entry in self._names:
            raise StateConflict(Code.DUPLICATE, "the finder has this entry already")
        if not 0 <= point.x < ORDER:
            # Two integers for one scalar would make one person two points.
            raise Misuse(Code.RANGE, "a point's x is outside [0, q)")
        node = _Node(len(self._entries), point.x, RISTRETTO255.check_element(point.curve))
        self._entries.append(entry)
        self._names.add(entry)
        return node

    def _place(self, node: _Node) -> tuple[_Group, tuple[int, ...]] | None:
        """Rules 1 to 3 for one newcomer: the group it changed, and the positions new in it."""
        if node.x in self._by_x:
            return None
        self._by_x[node.x] = node.position
        self._first.append(self._entries[node.position])
        group = self._group_through(node)
        if group is not None:
            group.members.append(node.position)
            return group, (node.position,)
        partners = self._partners(node)
        if partners is None:
            self._ungrouped[node.position] = node
            if self._level == _FLAT:
                self._ungrouped_by_curve[node.curve] = node.position
            return None
        nodes = [self._ungrouped.pop(position) for position in partners]
        if self._level == _FLAT:
            del self._ungrouped_by_curve[node.curve]
        group = self._form([*nodes, node])
        return group, tuple(group.members)

    def _group_through(self, node: _Node) -> _Group | None:
        if self._level == _FLAT:
            return self._group_by_curve.get(node.curve)
        return next((group for group in self._groups if group.at(node.x) == node.curve), None)

    def _partners(self, node: _Node) -> tuple[int, ...] | None:
        """T-1 ungrouped points on one curve with the newcomer, by position."""
        if self._level == _FLAT:
            position = self._ungrouped_by_curve.get(node.curve)
            return None if position is None else (position,)
        # Distinct x (rule 1) make every difference invertible.
        return _on_one_curve(_divide(list(self._ungrouped.values()), node), self._level - 3)

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
        if self._level == _FLAT:
            self._group_by_curve[quotients[0]] = group
        return group

    def _restore(self, nodes: Sequence[_Node]) -> None:
        """A stored group, after withdrawals; every member is compared with the curve of the first."""
        if any(self._ungrouped.get(node.position) != node for node in nodes):
            raise Misuse(Code.MISUSE, "a stored group has a member that was not searched or is in another")
        if len({node.position for node in nodes}) < self._level:
            return
        group = self._form(nodes)
        for node in nodes:
            if group.at(node.x) != node.curve:
                raise Misuse(Code.MISUSE, "a stored group's points lie on no common curve")
            del self._ungrouped[node.position]

    def _members(self, group: _Group) -> tuple[bytes, ...]:
        return tuple(self._entries[position] for position in sorted(group.members))

    def _event(self, group: _Group, joined: Iterable[int]) -> MatchEvent:
        index = next(number for number, other in enumerate(self._groups) if other is group)
        return MatchEvent(
            index, self._members(group), tuple(self._entries[position] for position in sorted(joined))
        )


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
