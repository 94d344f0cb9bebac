"""Filings that stand together in the feed are checked as one; stored before posted, all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from tests.support.stories import Story, plan

from notalone_crypto.errors import StateConflict
from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.protocol import file, intake, withdraw
from notalone_demo.simulation.deployment import Deployment
from notalone_demo.simulation.people import Reporter, make_report
from notalone_server.trustee import service as services
from notalone_server.trustee.memory import Memory, WholeStore, whole
from notalone_server.trustee.ports import BoardUnreachable
from notalone_server.trustee.service import TrusteeService

PEOPLE = 5
BAD = 2


def filed(bad: bool = False) -> Deployment:
    """Five filings that no trustee has read yet; one may have a proof that proves nothing."""
    story = Story.begin(plan(3, 2, (2, 3)), b"together")
    deployment = story.deployment
    for person in range(PEOPLE):
        if bad and person == BAD:
            spoil(deployment, deployment.reporters[f"person {person}"])
        else:
            story.file(person, {1: person}, 2)
    return deployment


def spoil(deployment: Deployment, reporter: Reporter) -> None:
    """A filing of hers whose signature is right and whose proof is wrong."""
    now = deployment.clock()
    report = make_report(
        identifiers={1: b"subject"}, threshold=2, mode=ReleaseMode.COUNSELLOR, preconsent=False,
        desk_key=next(iter(deployment.desks.values())).key.public, now=now, weeks=52, alias="x", words="y",
    )  # fmt: skip
    (snapshot,) = deployment.board.newest_snapshots(deployment.policy.scope)
    sealed = file.seal_report(
        deployment.committee, deployment.policy, snapshot, reporter.member, report,
        period=withdraw.period_of(now, deployment.policy.period_days), spent_tags=frozenset(),
        randomness=deployment.randomness,
    )  # fmt: skip
    proof = sealed.filing.proof
    wrong = replace(sealed.filing, proof=proof[:-1] + bytes([proof[-1] ^ 1]))
    deployment.board.submit_filing(file.sign_filing(wrong, sealed.owner.signing_key).encode())


@dataclass
class Watched:
    """Everything a trustee stored and posted, in order."""

    inner: WholeStore
    service: TrusteeService
    events: list[str] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)

    def load(self) -> Memory | None:
        return self.inner.load()

    def save(self, memory: Memory) -> None:
        self.inner.save(memory)
        self.stored.append(whole(memory))
        self.events.append("save")


def watch(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Watched:
    trustee = deployment.trustees[1]
    watched = Watched(trustee.store, trustee)  # type: ignore[arg-type]
    trustee.store = watched
    link = deployment.links[1]
    post = type(link).post

    def told(self: object, trustee: int, scope: bytes, kind: FeedKind, payloads: Sequence[bytes]) -> None:
        if self is link:
            watched.events.append(f"post of {len(payloads)}")
        post(self, trustee, scope, kind, payloads)  # type: ignore[arg-type]

    monkeypatch.setattr(type(link), "post", told)
    return watched


def test_filings_together_are_stored_once_and_all_of_it_before_anything_is_posted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = filed()
    watched = watch(deployment, monkeypatch)
    calls = []
    receive = intake.receive_filings

    def counted(*arguments, **named):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN202
        calls.append(len(arguments[3]))
        return receive(*arguments, **named)

    monkeypatch.setattr(services.intake, "receive_filings", counted)
    assert deployment.trustees[1].poll(deployment.policy.scope) == PEOPLE
    assert calls == [PEOPLE]
    assert watched.events == ["save", f"post of {PEOPLE}"]
    assert len(deployment.trustees[1].durable.filings) == PEOPLE


def test_a_bad_proof_among_them_spoils_no_other() -> None:
    deployment = filed(bad=True)
    trustee = deployment.trustees[1]
    assert trustee.poll(deployment.policy.scope) == PEOPLE - 1
    accepted = [
        item for item in deployment.board.feed(deployment.policy.scope, 0) if item.kind == FeedKind.ACCEPTANCE
    ]
    assert len(accepted) == PEOPLE - 1
    for _ in range(services.MAX_BAD_POLLS + 1):
        trustee.poll(deployment.policy.scope)
    assert [code for _, code in trustee.durable.refusals] == ["proof.invalid"]


def test_more_than_a_run_of_them_is_several_runs() -> None:
    deployment = filed()
    items = [
        item for item in deployment.board.feed(deployment.policy.scope, 0) if item.kind == FeedKind.FILING
    ]
    runs = services._runs(items * 5)
    assert [len(run) for run in runs] == [services.MAX_TOGETHER, PEOPLE * 5 - services.MAX_TOGETHER]


def test_a_poll_leaves_nothing_unstored_even_when_the_board_goes_away_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What asked for no post is stored before the board is asked for more: asking says that it is."""
    deployment = filed()
    for index in (2, 3):
        deployment.trustees[index].poll(deployment.policy.scope)
    trustee = deployment.trustees[1]
    watched = watch(deployment, monkeypatch)

    def away(*_: object) -> None:
        raise BoardUnreachable

    trustee.poll(deployment.policy.scope)
    deployment.settle()
    assert whole(trustee.memory) == watched.stored[-1]
    # A batch leaf cannot be looked up: the poll ends in the middle, after items without posts.
    monkeypatch.setattr(type(deployment.links[1]), "log_update", away)
    with pytest.raises(StateConflict):  # the batch cannot close
        deployment.run_batch(rounds=8)
    asked: list[bool] = []
    feed = type(deployment.links[1]).feed

    def asking(self: object, *arguments: object) -> object:
        if self is deployment.links[1]:
            asked.append(whole(trustee.memory) == watched.stored[-1])
        return feed(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(deployment.links[1]), "feed", asking)
    for _ in range(3):
        with pytest.raises(BoardUnreachable):
            trustee.poll(deployment.policy.scope)
    assert asked
    assert all(asked)
