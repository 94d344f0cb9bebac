"""Pages of the feed: a short one costs one request, and what stands behind it is reached all the same."""

from __future__ import annotations

import httpx

from notalone_crypto.messages.feed import FeedItem
from notalone_crypto.primitives.signing import SigningKey
from notalone_server.edge.octets import MEDIA_TYPE, frame
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee import board_client
from notalone_server.trustee.board_client import HttpBoard

SCOPE = bytes(32)


class Feed:
    """A board's feed whose pages hold two items."""

    def __init__(self, sizes: list[int]) -> None:
        self.items = [FeedItem(SCOPE, number, 3, bytes(size)) for number, size in enumerate(sizes, 1)]
        self.asked: list[int] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        after = int(request.url.path.rpartition("/")[2])
        self.asked.append(after)
        page = [item.encode() for item in self.items if item.sequence > after][:2]
        return httpx.Response(200, content=frame(page), headers={"content-type": MEDIA_TYPE})

    def port(self) -> HttpBoard:
        transport = httpx.MockTransport(self.answer)
        key = SigningKey(bytes(32))
        return HttpBoard("http://127.0.0.1", bytes(32), 1, key, lambda: 0, system_randomness, transport)


def numbers(items: tuple[FeedItem, ...]) -> list[int]:
    return [item.sequence for item in items]


def test_news_of_usual_size_cost_one_request() -> None:
    feed = Feed([100, 100, 100, 100, 100])
    port = feed.port()
    assert numbers(port.feed(SCOPE, 0)) == [1, 2]
    assert numbers(port.feed(SCOPE, 2)) == [3, 4]
    assert numbers(port.feed(SCOPE, 4)) == [5]
    assert numbers(port.feed(SCOPE, 5)) == []
    assert feed.asked == [0, 2, 4, 5]


def test_items_that_wait_for_what_is_behind_them_do_not_hide_it() -> None:
    """Attack: a board cuts its pages so that a message is never on the first."""
    feed = Feed([100] * 7)
    port = feed.port()
    assert numbers(port.feed(SCOPE, 0)) == [1, 2]
    for _ in range(3):  # nothing of it could be handled
        assert numbers(port.feed(SCOPE, 0)) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(port.feed(SCOPE, 4)) == [5, 6]


def test_long_pages_are_read_to_the_end_at_once() -> None:
    feed = Feed([board_client.SHORT_PAGE, 1, 1, 1])
    assert numbers(feed.port().feed(SCOPE, 0)) == [1, 2, 3, 4]
