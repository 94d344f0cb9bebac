"""How a trustee's stored messages travel to the board: which go together, which are sealed first.

Owns both. Refuses to know when something may be posted (service.py) and HTTP
(board_client.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from notalone_crypto.messages.feed import CONFIDENTIAL_KINDS, FeedKind
from notalone_crypto.protocol import envelope
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.protocol.state import Outgoing, Post
from notalone_crypto.randomness import Randomness
from notalone_server.trustee.ports import BoardPort

MAX_TOGETHER: Final = 64  # as the board takes in one request (specs/40-http-api.md#board)
# There are as many of them as filings, and a request costs the board more than what it brings.
_SHORT: Final = {Outgoing.ACCEPTANCE, Outgoing.INCLUSION}
_POSTED_AS: Final = {
    Outgoing.ACCEPTANCE: FeedKind.ACCEPTANCE,
    Outgoing.COMPLAINT: FeedKind.COMPLAINT,
    Outgoing.PLAN_VOTE: FeedKind.PLAN_VOTE,
    Outgoing.ROUND_ONE: FeedKind.ROUND_ONE,
    Outgoing.ROUND_TWO: FeedKind.ROUND_TWO,
    Outgoing.RELEASES: FeedKind.RELEASES,
    Outgoing.RECORD_VOTE: FeedKind.RECORD_VOTE,
}


def leading(posts: Sequence[Post]) -> list[Post]:
    """The first of these posts (one or more), with those after it that may travel in the same request."""
    first = posts[0]
    most = MAX_TOGETHER if first.kind in _SHORT else 1
    alike = takewhile(lambda post: (post.kind, post.scope) == (first.kind, first.scope), posts[:most])
    return list(alike)


def deliver(
    board: BoardPort, committee: Committee, index: int, posts: Sequence[Post], randomness: Randomness
) -> None:
    """Send posts of one kind and scope (`leading`), in order. Raises BoardUnreachable."""
    first = posts[0]
    if first.kind == Outgoing.COSIGNATURE:
        board.post_cosignature(first.payload)
    elif first.kind == Outgoing.INCLUSION:
        board.post_inclusions(first.scope, [(post.recipient, post.payload) for post in posts])
    else:
        kind = _POSTED_AS[first.kind]
        payloads = [post.payload for post in posts]
        if kind in CONFIDENTIAL_KINDS:
            payloads = [
                envelope.seal(committee, first.scope, int(kind), one, randomness).encode() for one in payloads
            ]
        board.post(index, first.scope, kind, payloads)
