"""Sixty filings while every process is killed again and again: nothing is lost, nothing is used twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from tests.support import postgres
from tests.support.live_feed import Auditor, Examined, UsedTwiceError
from tests.support.live_storm import DESK, Town, Wanted, Weather, scope, together

from notalone_crypto.messages.evaluation import RoundOne
from notalone_crypto.messages.feed import Envelope, FeedItem, FeedKind
from notalone_crypto.protocol import envelope
from notalone_demo.live.network import Network
from notalone_demo.live.operators import Wishes
from notalone_server.edge.rng import system_randomness

PARTIES = ("board", "issuer", "trustee-1", "trustee-2", "trustee-3")
LAUNCHER = ("-m", "tests.support.live_launch")
FILINGS, KILLS = 60, 12
BATCH_SECONDS = 4
POLL_SECONDS = 0.2
LONGEST_CALM = 3.0
EARLY, LATE = 34, 6  # who enrols before the storm, and during it
GROUPS = (2, 3, 2, 4, 3, 2, 3)  # how many people name each of these subjects; everybody else is alone


def story() -> list[Wanted]:
    """Reports about subjects that several name, and about others that nobody else names."""
    people = [f"early {number}" for number in range(20)] + [f"late {number}" for number in range(LATE)]
    choices = random.Random("story")
    reports: list[Wanted] = []
    for subject, size in enumerate(GROUPS):
        for who in choices.sample(people, size):
            reports.append(
                Wanted(
                    f"report {len(reports)}", who, f"subject.{subject}", choices.choice((2, 2, 3)),
                    choices.random() < 0.7, choices.random() < 0.3,
                )
            )  # fmt: skip
    while len(reports) < FILINGS - 1:  # one is the edit's
        number = len(reports)
        reports.append(
            Wanted(f"report {number}", people[number % len(people)], f"nobody.else.{number}", 2 + number % 2)
        )
    choices.shuffle(reports)
    return reports


@dataclass
class Aftermath:
    """A storm that is over."""

    town: Town
    feed: Examined
    items: list[FeedItem]
    posts: list[str]  # SHA-256 of what trustees posted and the board acknowledged
    killed: list[str]
    refused: list[float]  # items that trustees gave up on
    auditor: Auditor
    seconds: float


def storm(folder: Path, stack: ExitStack, wishes: Wishes) -> Aftermath:
    """Everybody files while processes die; returns in the calm after it, when nothing waits any more."""
    auditor = Auditor()
    wishes = replace(
        wishes,
        slots=(1,),
        release_blobs=48,
        cards=EARLY + LATE,
        auditors=(auditor.public,),
        poll_seconds=POLL_SECONDS,
    )
    noted = {name: {"NOTALIVE_POSTS": str(folder / f"{name}.posts")} for name in PARTIES if "trustee" in name}
    network = stack.enter_context(
        Network(folder, scope(EARLY + LATE), BATCH_SECONDS, lambda _: None, wishes, LAUNCHER, noted)
    )
    town = stack.enter_context(Town(network))
    together([partial(town.enrol, f"early {number}") for number in range(EARLY)], 2)
    town.wait_on_roll()
    started = time.monotonic()
    with Weather(network, "storm", KILLS, LONGEST_CALM) as weather:
        live_through(town, story())
    network.wait_ready([one.party for one in network.processes.values()])
    town.wait_done()
    town.wait_on_roll()
    town.wait_batches(2)
    refused = [network.metric(name, "refused_items") for name in noted]
    for name in noted:  # what is closed by now is compared; no further batches meanwhile
        network.processes[name].ask_to_stop()
    for name in noted:
        network.processes[name].stop()
    acknowledged = [line.split() for file in folder.glob("*.posts") for line in file.read_text().splitlines()]
    items = town.feed(auditor)
    feed = Examined(network.prepared.committee, network.prepared.policy, items, auditor)
    # Paths and cosignatures are no feed items: owners check the paths, the log needs a quorum.
    posts = [body for kind, body in acknowledged if kind == "posts"]
    return Aftermath(town, feed, items, posts, weather.killed, refused, auditor, time.monotonic() - started)


def live_through(town: Town, reports: list[Wanted]) -> None:
    """File side by side, enrol newcomers who file at once, take some back, edit one."""
    early = [one for one in reports if one.person.startswith("early")]
    late = [one for one in reports if one.person.startswith("late")]
    edited, taken_back = early[2], (early[4], early[7], late[0])

    def newcomers() -> None:
        for number in range(LATE):
            town.enrol(f"late {number}")
            for one in late:
                if one.person == f"late {number}":
                    town.file(one)

    def one_half(number: int) -> None:  # of the people: nobody has two devices that file at once
        mine = [one for one in early if int(one.person.split()[1]) % 2 == number]
        for place, one in enumerate(mine):
            town.file(one)
            if place and mine[place - 1] is taken_back[0]:
                town.withdraw(taken_back[0].name)

    together([newcomers, partial(one_half, 0), partial(one_half, 1)], 3)
    town.edit(edited.name, replace(edited, name="edited", threshold=2))
    for one in taken_back[1:]:
        town.withdraw(one.name)


def check_promises(after: Aftermath) -> None:
    """Every receipt, withdrawal, enrolment and trustee's post that was acknowledged is in the feed."""
    town, feed = after.town, after.feed
    assert len(town.kept) == FILINGS
    for one in town.kept.values():
        assert feed.filed[one.sealed.entry][1] == one.receipt.filing
        assert town.is_done(one)
        if one.withdrawal_taken:
            assert one.sealed.entry in feed.withdrawn
    assert len(town.places) == EARLY + LATE
    assert town.places <= feed.on_roll
    assert len(after.posts) > 3 * FILINGS
    assert set(after.posts) <= feed.payloads


def check_batches(after: Aftermath) -> int:
    """Each filing is in the first plan made once all trustees had accepted it; how many were late.

    A receipt names the next batch that is not planned yet, but a plan may only take what every
    trustee accepted, and a trustee that is dead accepts nothing: the true bound is the first plan
    after the last acceptance. Without an absence that is the receipt's batch.
    """
    feed = after.feed
    late = 0
    for one in after.town.kept.values():
        entry = one.sealed.entry
        taken = [plan.number for _, plan in feed.plans if entry in plan.entries]
        accepted = feed.accepted[entry]
        assert set(accepted) == {1, 2, 3}
        due = feed.first_plan_after(max(accepted.values()))
        assert due is not None
        left = [plan.number for _, plan in feed.plans if entry in plan.withdrawn]
        if taken:
            assert taken == [due.number]
            late += due.number > one.receipt.batch
        else:
            assert left == [due.number]  # taken back before any batch took it in
        if one.withdrawal_taken:
            leaves = feed.first_plan_after(max(feed.withdrawn[entry], *accepted.values()))
            assert leaves is not None
            assert left == [leaves.number]
        else:
            assert not left
    return late


def check_uses(after: Aftermath) -> None:
    """No randomness was used twice; and each kind was looked at."""
    uses = after.feed.uses
    after.feed.kept(one.sealed.data for one in after.town.kept.values())
    for kind in (
        "HPKE enc", "AEAD key", "round proof", "salt", "signature nonce", "filing", "filing proof",
        "Pedersen commitment", "subset commitment",
    ):  # fmt: skip
        assert uses.count(kind) > 12, kind
    # Control: a trustee that answers the same place anew, or seals two messages with one key, is caught.
    doctored = doctor(after)
    for items in doctored:
        with pytest.raises(UsedTwiceError):
            Examined(after.feed.committee, after.feed.policy, items, after.auditor)


def doctor(after: Aftermath) -> Iterator[list[FeedItem]]:
    """The true feed with one more item: a repeated proof commitment, enc, and a second answer."""
    committee, policy, key = after.feed.committee, after.feed.policy, after.auditor.channel
    last = after.items[-1]
    first = next(item for item in after.items if item.kind == FeedKind.ROUND_ONE and len(item.payload) > 2000)
    message = RoundOne.decode(
        envelope.open_for(committee, policy.scope, first.kind, Envelope.decode(first.payload), key)
    )

    def with_round(changed: RoundOne) -> list[FeedItem]:
        sealed = envelope.seal(
            committee, policy.scope, int(FeedKind.ROUND_ONE), changed.encode(), system_randomness
        )
        return [*after.items, replace(last, sequence=last.sequence + 1, kind=int(FeedKind.ROUND_ONE),
                                      payload=sealed.encode())]  # fmt: skip

    other = message.with_field("signature", system_randomness(64))
    # One nonce under another plan: only the first 32 bytes of the proof repeat.
    repeated = message.proof[:32] + system_randomness(31) + b"\0" + message.proof[64:]
    yield with_round(other.with_field("proof", repeated).with_field("plan", bytes(32)))
    yield with_round(other.with_field("openings", (bytes(32), *message.openings[1:])))
    sealed = Envelope.decode(first.payload)
    wrapped = (sealed.keys[0][:32] + system_randomness(48), *sealed.keys[1:])
    yield [*after.items, replace(last, sequence=last.sequence + 1, kind=first.kind,
                                 payload=sealed.with_field("keys", wrapped).encode())]  # fmt: skip
    blobs = next(item for item in after.items if item.kind == FeedKind.RELEASES)
    changed = bytearray(blobs.payload)
    changed[-65 - 10] ^= 1  # in the last blob's ciphertext: same enc, another plaintext
    yield [*after.items, replace(last, sequence=last.sequence + 1, kind=blobs.kind, payload=bytes(changed))]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_filings_in_a_storm_are_all_evaluated_once_and_nothing_is_used_twice(
    kind: str, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    """HTTP-9. SIGKILL for everybody, issuer included, while people enrol, file, edit and withdraw."""
    with ExitStack() as stack:
        wishes = Wishes()
        if kind == "postgresql":
            server = stack.enter_context(postgres.server())
            wishes = Wishes(databases={name: postgres.new_database(server) for name in PARTIES})
        after = storm(tmp_path / "parties", stack, wishes)
        town = after.town
        logs = "".join(process.log.read_text() for process in town.network.processes.values())
        assert set(after.killed) == set(PARTIES)
        check_promises(after)
        record_property("later than promised", check_batches(after))
        record_property("seconds", after.seconds)
        check_uses(after)
        due = town.due(after.feed)
        assert town.opened(after.feed) == due
        assert {to == DESK for _, to, _ in due} == {True, False}
        for word in ('"halted"', "poll failed", "request failed", "Traceback"):
            assert word not in logs
        assert after.refused == [0, 0, 0]
