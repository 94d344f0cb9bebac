"""Fills the databases of stopped processes with evaluated entries that nobody filed.

100,000 filings through the protocol would take hours. Loaded instead, through
the stores' own functions and formats: at every trustee a live entry with
header, commitments, shares, products and points, its enc and quota tag; at the
board the entry, its spent tag, its sealed path and four items of the feed (the
trace of the filing and three acceptances), which every trustee counts as read.

Two kinds of entries. A *given* one is a really sealed filing, put in with
exactly the point the committee's keys give it, so that whoever names the same
person matches it. The rest are copies of the first given one under names, keys
and tags of their own, with points drawn at random: distinct subjects. Copies
can be compared and listed, not re-evaluated: nothing about their shares is
true, so no evaluated entry may be withdrawn afterwards.

At level 2 every copy is a person of its own. At level 3 and above they all
carry one x: to the finder one person, one point. Else one more filing would
cost N multiplications for each slot there, by the protocol, whatever the
services do (`make bench`, table "Finder"); with `every_level` it does.

Not loaded: leaves of the log, release blobs, the issuer's rolls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import insert, update
from tests.bench.parties import Parties

from notalone_crypto.messages.committee import ScopePolicy
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.messages.filing import Acceptance, Filing, FilingTrace, Header
from notalone_crypto.primitives import hpke, pedersen
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol import accept, rounds, statement
from notalone_crypto.protocol.entries import EntrySecrets, PublicEntry, agree, derive_secrets
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets, curve_bases, duplicate_base
from notalone_crypto.protocol.outline import Outline
from notalone_crypto.protocol.rounds import Point
from notalone_crypto.protocol.state import LiveEntry
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_server.board import schema
from notalone_server.board.service import BoardService
from notalone_server.board.state import BoardEntry
from notalone_server.board.store_writing import SqlWriting
from notalone_server.trustee.service import TrusteeService
from notalone_server.trustee.store import collector_paused

_FLAT: Final = 2  # the level at which one more filing costs the same whatever is stored
_AT_ONCE: Final = 5_000
_SAME: Final = (
    "filing", "owner_key", "expiry_week", "sequence", "promised", "complained", "batch", "withdrawn", "gone",
    "erased",
)  # fmt: skip
_PATH_BYTES: Final = 600  # about what a sealed path takes
_KEYS: Final = 64  # recipients of copies: nothing is ever sealed to them
_ADDED: Final = RISTRETTO255.base_multiply(0x5EED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry to be loaded, the same for all parties."""

    name: bytes  # 32 bytes; kept, because it hashes the header
    trace: FilingTrace
    header: Header
    points: tuple[Point, ...] = field(repr=False)
    products: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Given:
    """A really sealed filing with what all trustees together know of it."""

    entry: Entry
    public: PublicEntry
    secrets: dict[int, EntrySecrets] = field(repr=False)
    acceptances: tuple[Acceptance, ...]


def load(
    parties: Parties, given: Sequence[Filing], count: int, seed: bytes = b"load", *, every_level: bool = False
) -> list[bytes]:
    """Load `given` and copies of its first up to `count` entries; their names in order.

    The processes must be stopped. Call it again with another seed to add more.
    """
    board = parties.open_board()
    opened = parties.open_trustees(board)
    trustees = {index: service for index, (service, _) in opened.items()}
    parties.settle(board, trustees)
    secrets = {index: service.secrets for index, service in trustees.items()}
    scope = board.scope_record(parties.network.prepared.policy.scope)
    known = [_given(board.committee, scope.policy, secrets, one, scope.epoch) for one in given]
    levels = [level for _, level in statement.positions(scope.policy)]
    names: list[bytes] = []
    waiting: list[tuple[Entry, _Given]] = []
    with collector_paused():
        for pair in _entries(known, count, seed, levels, every_level):
            waiting.append(pair)
            names.append(pair[0].name)
            if len(waiting) == _AT_ONCE:
                _store(board, trustees, scope.policy.scope, waiting)
                waiting.clear()
        if waiting:
            _store(board, trustees, scope.policy.scope, waiting)
    _count_as_read(board, trustees, scope.policy.scope)
    return names


def _entries(
    known: Sequence[_Given], count: int, seed: bytes, levels: Sequence[int], every_level: bool
) -> Iterator[tuple[Entry, _Given]]:
    yield from ((one.entry, one) for one in known[:count])
    first = known[0]
    stream = SeededStream(seed)
    keys = [hpke.generate_key(stream).public for _ in range(_KEYS)]
    element = RISTRETTO255.base_multiply(random_scalar(stream))
    for number in range(len(known), count):
        # One new element stands at every place that asks for one: each place is compared with itself only.
        element = RISTRETTO255.add(element, _ADDED)
        header = first.entry.header
        for name, value in (
            ("quota_tag", element), ("enc", element), ("member", element), ("owner_key", stream(32)),
            ("recipient_key", keys[number % _KEYS]),
        ):  # fmt: skip
            header = header.with_field(name, value)
        drawn = stream(32 * len(levels))
        xs = [
            int.from_bytes(drawn[32 * place : 32 * place + 32], "big") % ORDER for place in range(len(levels))
        ]
        points = tuple(
            Point(x if every_level or level == _FLAT else 1, element)
            for x, level in zip(xs, levels, strict=True)
        )
        trace = first.entry.trace.with_field("header", header.encode())
        yield Entry(header.entry, trace, header, points, first.entry.products), first


def _given(
    committee: Committee,
    policy: ScopePolicy,
    secrets: dict[int, TrusteeSecrets],
    filing: Filing,
    epoch: int,
) -> _Given:
    """What a batch would have made of a filing, computed with every trustee's keys in one place."""
    header = Header.decode(filing.header)
    shares = {index: accept.open_bundle(committee, own, filing, header) for index, own in secrets.items()}
    acceptances = tuple(accept.accept(committee, policy, own, filing, header) for own in secrets.values())
    own = {
        index: derive_secrets(committee, policy, secrets[index], header, held)
        for index, held in shares.items()
    }
    points, products = [], []
    for position, (slot, level) in enumerate(statement.positions(policy)):

        def whole(values: dict[int, int]) -> int:
            return pedersen.interpolate(values, committee.threshold)

        key = whole({index: one.level_shares[level].value for index, one in secrets.items()})  # spec: k_T
        identifier = whole({index: one.identifiers[position].value for index, one in shares.items()})
        inverse = whole({index: one.inverses[position].value for index, one in shares.items()})
        mask = whole({index: one.masks[position].value for index, one in own.items()})
        base = duplicate_base(committee, policy.scope, slot, level, epoch)
        x = rounds.point_x(committee, policy.scope, slot, level, epoch, RISTRETTO255.multiply(inverse, base))
        scale = pow(key + identifier, -1, ORDER)
        scalars = [scale * pow(x, degree, ORDER) % ORDER for degree in range(level - 1)]
        curve = RISTRETTO255.multi_multiply(scalars, curve_bases(committee, policy.scope, slot, level, epoch))
        points.append(Point(x, curve))
        products.append(mask * (key + identifier) % ORDER)
    public = PublicEntry(
        header, filing.first_introduction, filing.second_introduction, agree(committee, acceptances)
    )
    entry = Entry(header.entry, filing.trace, header, tuple(points), tuple(products))
    return _Given(entry, public, own, acceptances)


# --- storing -------------------------------------------------------------------------------------------


def _store(
    board: BoardService,
    trustees: dict[int, TrusteeService],
    scope: bytes,
    entries: Sequence[tuple[Entry, _Given]],
) -> None:
    with board.store.writing() as store:
        _at_board(store, board, scope, entries)
    for index, service in trustees.items():
        state = service.memory.state
        live, outlines = state.scopes[scope].live, state.scopes[scope].outlines
        spent = {}
        for entry, origin in entries:
            live[entry.name] = LiveEntry(
                replace(origin.public, header=entry.header), origin.secrets[index], entry.products
            )
            outlines[entry.name] = Outline(entry.header.expiry_week).with_points(entry.points)
            state.seen_encs.add(entry.header.enc)
            spent.setdefault(entry.header.period, []).append(entry.header.quota_tag)
        for period, tags in spent.items():
            state.spent.setdefault(period, set()).update(tags)
        service.store.save(service.memory)


def _at_board(
    store: SqlWriting, board: BoardService, scope: bytes, entries: Sequence[tuple[Entry, _Given]]
) -> None:
    """Many rows in one statement; a test compares them with those of the store's own `put_entry`."""
    record = store.scope(scope)
    sequence = store.append(
        scope, FeedKind.ERASED_FILING, b""
    )  # a number to begin after; what it holds comes next
    number = max(record.number, 1)
    items, rows, tags, paths = [], [], [], []
    for position, (entry, origin) in enumerate(entries):
        first = sequence + 4 * position
        header = entry.header
        items.append(_item(scope, first, FeedKind.ERASED_FILING, entry.trace.encode()))
        for after, acceptance in enumerate(origin.acceptances[:3], 1):
            word = acceptance.with_field("entry", entry.name)
            items.append(_item(scope, first + after, FeedKind.ACCEPTANCE, word.encode()))
        made = BoardEntry(
            entry.name, entry.trace.fingerprint, header.owner_key, header.expiry_week, first, number,
            set(range(1, board.committee.count + 1)), batch=number, erased=True,
        )  # fmt: skip
        rows.append(_row(scope, made))
        tags.append({"scope": scope, "period": header.period, "tag": header.quota_tag})
        # A copy's recipient key is one of few; its owner's key is its own and as long.
        own_key = header.recipient_key if entry is origin.entry else header.owner_key
        paths.append({"scope": scope, "recipient": own_key, "sealed": bytes(_PATH_BYTES)})
    store.connection.execute(
        update(schema.feed)
        .where(schema.feed.c.scope == scope, schema.feed.c.sequence == sequence)
        .values(payload=items[0]["payload"])
    )
    for table, values in (
        (schema.feed, items[1:]), (schema.entries, rows), (schema.spent, tags), (schema.inclusions, paths),
    ):  # fmt: skip
        store.connection.execute(insert(table), values)
    store.connection.execute(
        update(schema.scopes)
        .where(schema.scopes.c.scope == scope)
        .values(last_sequence=sequence + 4 * len(entries) - 1)
    )


def _row(scope: bytes, entry: BoardEntry) -> dict[str, object]:
    values = {name: getattr(entry, name) for name in _SAME}
    accepted = sum(1 << (index - 1) for index in entry.accepted_by)
    return {"scope": scope, "entry": entry.name, "accepted": accepted} | values


def _item(scope: bytes, sequence: int, kind: int, payload: bytes) -> dict[str, object]:
    return {"scope": scope, "sequence": sequence, "kind": int(kind), "payload": payload}


def _count_as_read(board: BoardService, trustees: dict[int, TrusteeService], scope: bytes) -> None:
    """Every trustee has handled the whole feed; its last item is an acceptance."""
    with board.store.reading() as view:
        last = view.connection.execute(
            schema.scopes.select().with_only_columns(schema.scopes.c.last_sequence)
            .where(schema.scopes.c.scope == scope)
        ).scalar_one()  # fmt: skip
    for index, service in trustees.items():
        durable = service.durable
        durable.done[scope] = last
        durable.marks[scope] = bytes([FeedKind.ACCEPTANCE])
        service.store.save(service.memory)
        with board.store.writing() as store:
            store.put_cursor(scope, f"trustee/{index}", last)
