"""Entries that the HTTP benchmark loads are really there: matched, listed, and readable after a restart."""

from __future__ import annotations

from pathlib import Path

from tests.bench import loader
from tests.bench.parties import Parties
from tests.bench.people import People, filing_of, numbers

from notalone_client import EntryState
from notalone_crypto.messages.feed import FeedKind
from notalone_server.board.state import BoardEntry

STORED = 12
BATCH_SECONDS = 2


def test_a_real_filing_matches_a_loaded_one_and_both_introductions_open(tmp_path: Path) -> None:
    """Loaded into the stores of stopped processes; nothing about time is asserted."""
    phones = numbers()
    with Parties(tmp_path / "parties", BATCH_SECONDS) as parties:
        people = People(parties)
        scope = people.board.scope
        same = next(phones)
        loaded = people.seal(same)
        parties.stop()
        names = loader.load(parties, [filing_of(loaded)], STORED)
        assert names[0] == loaded.own.entry
        assert len(set(names)) == STORED
        board = parties.open_board()
        with board.store.reading() as view:
            kept = view.entry(scope, names[0])
            assert kept is not None
            items = view.feed(scope, kept.sequence - 1, 1 << 20)
            tags = view.spent(scope, loaded.own.period)
            assert view.ready(scope, 3, 0) == ()
        # The rows written at once are those that the store itself writes.
        with board.store.writing() as store:
            again = BoardEntry(**{name: getattr(kept, name) for name in BoardEntry.__slots__})
            store.put_entry(scope, again)
            assert store.entry(scope, names[0]) == kept
        assert [item.kind for item in items[:4]] == [FeedKind.ERASED_FILING] + [FeedKind.ACCEPTANCE] * 3
        assert len(items) == 4 * STORED
        assert len(tags) == STORED
        opened = parties.open_trustees(board)
        for service, _ in opened.values():
            held = service.memory.state.scopes[scope]
            assert set(names) <= set(held.live)
            assert list(held.outlines) == list(held.live)
            levels = [{held.outlines[name].points[place].x for name in names[1:]} for place in range(2)]
            assert [len(xs) for xs in levels] == [STORED - 1, 1]  # level 2: many people; level 3: one
        del board, opened
        parties.start()
        second = people.seal(same)
        stranger = people.seal(next(phones))
        sent = [(one, one.send()) for one in (second, stranger)]
        people.wait_evaluated(sent)
        assert {one.entry for one in second.matches(1)} == {names[0]}
        assert {one.entry for one in loaded.matches(1)} == {second.own.entry}
        assert stranger.matches(1) == ()
        audience = parties.network.prepared.committee.fingerprint
        assert loaded.state(people.board, audience) is EntryState.EVALUATED
        people.close()
