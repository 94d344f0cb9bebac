"""What the client makes of the log: it must hold the rules, grow, and never split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest
from tests.support.town import Town, about

from notalone_client import Client, Sealed, UnexpectedAnswer
from notalone_client.session import Session, Steps
from notalone_client.transport import Answer, Request, SyncTransport
from notalone_crypto.errors import Code, NotAloneError, StateConflict, VerificationFailed
from notalone_crypto.messages.evaluation import LogUpdate
from notalone_crypto.messages.filing import Receipt
from notalone_crypto.primitives import checkpoint, merkle
from notalone_crypto.protocol import log


@pytest.fixture(scope="module")
def one_town() -> Iterator[Town]:
    made = Town()
    yield made
    made.stop()


@pytest.fixture
def town(one_town: Town) -> Iterator[Town]:
    yield one_town
    while one_town.clients:
        one_town.clients.pop().close()


@pytest.fixture(scope="module")
def counted(one_town: Town) -> Iterator[tuple[Client, Sealed, Receipt]]:
    """A member whose filing is in the log."""
    client = one_town.member()
    sealed = client.seal(about("counted@example.org"))
    receipt = client.file(sealed)
    one_town.deployment.run_batch()
    assert client.verify_receipt(sealed, receipt)
    one_town.clients.remove(client)  # it outlives the first test
    yield client, sealed, receipt
    client.close()


def again(town: Town, client: Client, remembered: bytes = b"") -> Client:
    """The same person on another day."""
    return town.client(client._session.phrase, replace(town.trust, remembered=remembered))


def meddle(
    monkeypatch: pytest.MonkeyPatch, part: str, change: Callable[[Answer], Answer]
) -> list[tuple[str, Answer]]:
    """Change every answer to a path with `part`; what the board really said is kept."""
    honest = SyncTransport.send
    said: list[tuple[str, Answer]] = []

    def send(self: SyncTransport, request: Request) -> Answer:
        answer = honest(self, request)
        if part not in request.path:
            return answer
        said.append((request.path, answer))
        return change(answer)

    monkeypatch.setattr(SyncTransport, "send", send)
    return said


def leaves(answer: Answer) -> LogUpdate:
    return LogUpdate.decode(answer.padded(4096))


def padded(update: LogUpdate) -> Answer:
    encoded = update.encode()
    framed = len(encoded).to_bytes(4, "big") + encoded
    return Answer(200, framed.ljust(4096, b"\0"))


def fork(
    town: Town, hashes: list[bytes], index: int, signers: int = 3
) -> tuple[LogUpdate, merkle.MerkleTree]:
    """A log of these leaf hashes that board and trustees signed together: the worst there is."""
    one = town.deployment
    tree = merkle.MerkleTree.of_hashes(hashes)
    head = checkpoint.Checkpoint(log.origin(one.committee), tree.size, tree.root())
    note = checkpoint.sign_checkpoint(head, one.board.signing_key).encode()
    for number in range(1, signers + 1):
        name = log.cosigner_name(one.committee, number)
        note += checkpoint.cosign(head, name, one.secrets[number].signing_key, one.clock.now).line()
    return LogUpdate(note, index, tree.inclusion_proof(index), ()), tree


def hashes_of(town: Town) -> list[bytes]:
    with town.deployment.board.store.reading() as view:
        return list(view.tree().levels[0])


# --- growth ---------------------------------------------------------------------------------------------


def test_a_log_that_grew_is_believed_after_its_proof(
    town: Town, counted: tuple[Client, Sealed, Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, sealed, receipt = counted
    client = again(town, filed)
    client.policy()
    before = client.remembered
    asked = meddle(monkeypatch, "/consistency/", lambda answer: answer)
    assert client.verify_receipt(sealed, receipt)
    assert asked == []  # the same note: nothing to prove
    town.deployment.run_batch()
    assert client.verify_receipt(sealed, receipt)
    sizes = [checkpoint.Note.decode(note).checkpoint.size for note in (before, client.remembered)]
    assert sizes[1] == sizes[0] + 1
    assert [path for path, _ in asked] == [f"/v1/log/consistency/{sizes[0]}/{sizes[1]}"]


def test_an_older_note_than_before_is_refused(
    town: Town, counted: tuple[Client, Sealed, Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, sealed, receipt = counted
    client = again(town, filed)
    with monkeypatch.context() as patch:
        said = meddle(patch, "/leaves", lambda answer: answer)
        assert client.verify_receipt(sealed, receipt)
        town.deployment.run_batch()
        assert client.verify_receipt(sealed, receipt)
    old = said[0][1]
    newest = client.remembered
    meddle(monkeypatch, "/leaves", lambda _: old)
    with pytest.raises(StateConflict, match="restored from an old copy") as caught:
        client.verify_receipt(sealed, receipt)
    assert caught.value.code is Code.ROLLBACK
    assert client.remembered == newest
    # Control: who never saw the newer note cannot know.
    fresh = again(town, filed)
    meddle(monkeypatch, "/policy", lambda _: policy_of(town, leaves(old)))
    assert fresh.verify_receipt(sealed, receipt)


def policy_of(town: Town, update: LogUpdate) -> Answer:
    """The policy's frames with an older note of the same log."""
    note = checkpoint.Note.decode(update.note).checkpoint
    tree = merkle.MerkleTree.of_hashes(hashes_of(town)[: note.size])
    shown = LogUpdate(update.note, 0, tree.inclusion_proof(0), ()).encode()
    policy = town.deployment.policy.encode()
    return Answer(200, b"".join(len(one).to_bytes(4, "big") + one for one in (policy, shown)))


def test_two_logs_of_one_size_are_refused_whoever_signed_them(
    town: Town, counted: tuple[Client, Sealed, Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, sealed, receipt = counted
    client = again(town, filed)
    with monkeypatch.context() as patch:
        said = meddle(patch, "/leaves", lambda answer: answer)
        assert client.verify_receipt(sealed, receipt)
    index = leaves(said[0][1]).index
    hashes = hashes_of(town)
    hashes[-1 if index != len(hashes) - 1 else 0] = bytes(32)
    forged, _ = fork(town, hashes, index)
    meddle(monkeypatch, "/leaves", lambda _: padded(forged))
    with pytest.raises(VerificationFailed) as caught:
        client.verify_receipt(sealed, receipt)
    assert caught.value.code is Code.FORK


def test_a_larger_fork_is_refused_with_any_proof_it_can_make(
    town: Town, counted: tuple[Client, Sealed, Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, sealed, receipt = counted
    client = again(town, filed)
    with monkeypatch.context() as patch:
        said = meddle(patch, "/leaves", lambda answer: answer)
        assert client.verify_receipt(sealed, receipt)
    index = leaves(said[0][1]).index
    honest = hashes_of(town)
    changed = [bytes(32) if number != index else one for number, one in enumerate(honest)]
    forged, tree = fork(town, [*changed, bytes(32), bytes(32)], index)
    proofs = (b"".join(tree.consistency_proof(len(honest))), b"", bytes(32))
    for proof in proofs:
        with monkeypatch.context() as patch:
            patch.setattr(SyncTransport, "send", scripted(forged, proof, SyncTransport.send))
            with pytest.raises(VerificationFailed) as caught:
                client.verify_receipt(sealed, receipt)
        assert caught.value.code is Code.CONSISTENCY
    # Control: the same signers, a log that really grew.
    grown, tree = fork(town, [*honest, bytes(32)], index)
    proof = b"".join(tree.consistency_proof(len(honest)))
    monkeypatch.setattr(SyncTransport, "send", scripted(grown, proof, SyncTransport.send))
    assert client.verify_receipt(sealed, receipt)


def scripted(
    update: LogUpdate, proof: bytes, honest: Callable[[SyncTransport, Request], Answer]
) -> Callable[[SyncTransport, Request], Answer]:
    def send(self: SyncTransport, request: Request) -> Answer:
        if "/consistency/" in request.path:
            return Answer(200, proof)
        return padded(update) if request.path.endswith("/leaves") else honest(self, request)

    return send


def test_a_wrong_proof_of_honest_growth_is_refused(
    town: Town, counted: tuple[Client, Sealed, Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, sealed, receipt = counted
    client = again(town, filed)
    client.policy()
    town.deployment.run_batch()
    wrong = (
        lambda answer: Answer(200, bytes(32) + answer.body[32:]),
        lambda answer: Answer(200, answer.body + bytes(32)),
        lambda _: Answer(200, b""),
    )
    for change in wrong:
        with monkeypatch.context() as patch:
            meddle(patch, "/consistency/", change)
            with pytest.raises(VerificationFailed) as caught:
                client.verify_receipt(sealed, receipt)
        assert caught.value.code is Code.CONSISTENCY
    with monkeypatch.context() as patch:
        meddle(patch, "/consistency/", lambda answer: Answer(200, answer.body[:-1]))
        with pytest.raises(UnexpectedAnswer):
            client.verify_receipt(sealed, receipt)
    assert client.verify_receipt(sealed, receipt)


def test_too_few_cosignatures_are_refused(
    town: Town, counted: tuple[Client, Sealed, Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, sealed, receipt = counted
    client = again(town, filed)
    client.policy()
    said = meddle(monkeypatch, "/leaves", lambda answer: answer)
    assert client.verify_receipt(sealed, receipt)
    few, _ = fork(town, hashes_of(town), leaves(said[0][1]).index, signers=2)
    meddle(monkeypatch, "/leaves", lambda _: padded(few))
    with pytest.raises(VerificationFailed) as caught:
        client.verify_receipt(sealed, receipt)
    assert caught.value.code is Code.QUORUM


# --- the rules ------------------------------------------------------------------------------------------


def test_rules_are_refused_when_another_leaf_stands_in_the_log(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.deployment.run_batch()
    hashes = hashes_of(town)
    update, _ = fork(town, hashes, len(hashes) - 1)  # a true note, a true path, another leaf
    policy = town.deployment.policy.encode()
    shown = b"".join(len(one).to_bytes(4, "big") + one for one in (policy, update.encode()))
    meddle(monkeypatch, "/policy", lambda _: Answer(200, shown))
    with pytest.raises(VerificationFailed) as caught:
        town.client().policy()
    assert caught.value.code is Code.INCLUSION


# --- from one day to the next ---------------------------------------------------------------------------


def test_a_remembered_note_binds_the_next_client(
    town: Town, counted: tuple[Client, Sealed, Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, _, _ = counted
    first = again(town, filed)
    assert first.remembered == b""
    first.policy()
    old = leaves_of_policy(town, first)
    town.deployment.run_batch()
    second = again(town, filed, first.remembered)
    second.policy()
    assert second.remembered != first.remembered
    third = again(town, filed, second.remembered)
    with monkeypatch.context() as patch:
        meddle(patch, "/policy", lambda _: policy_of(town, old))
        again(town, filed).policy()  # control: without a note the old log passes
        with pytest.raises(StateConflict) as rolled:
            third.policy()
    assert rolled.value.code is Code.ROLLBACK
    hashes = hashes_of(town)
    forged, _ = fork(town, [hashes[0], *[bytes(32)] * (len(hashes) - 1)], 0)
    policy = town.deployment.policy.encode()
    shown = b"".join(len(one).to_bytes(4, "big") + one for one in (policy, forged.encode()))
    with monkeypatch.context() as patch:
        meddle(patch, "/policy", lambda _: Answer(200, shown))
        again(town, filed).policy()  # control
        with pytest.raises(VerificationFailed) as forked:
            third.policy()
    assert forked.value.code is Code.FORK
    third.policy()


def leaves_of_policy(town: Town, client: Client) -> LogUpdate:
    note = client.remembered
    tree = merkle.MerkleTree.of_hashes(hashes_of(town))
    return LogUpdate(note, 0, tree.inclusion_proof(0, checkpoint.Note.decode(note).checkpoint.size), ())


def test_a_remembered_note_that_nobody_signed_is_refused(
    town: Town, counted: tuple[Client, Sealed, Receipt]
) -> None:
    filed, _, _ = counted
    honest = again(town, filed)
    honest.policy()
    few, _ = fork(town, hashes_of(town), 0, signers=1)
    for note in (b"anything", few.note, honest.remembered.replace(b"notalone/", b"notalone/x")):
        with pytest.raises(NotAloneError):
            again(town, filed, note).policy()


def test_an_answer_that_a_newer_one_overtook_is_not_taken_for_a_rollback(
    town: Town, counted: tuple[Client, Sealed, Receipt]
) -> None:
    """One asynchronous client may wait for two answers at once."""
    filed, sealed, receipt = counted
    client = again(town, filed)
    client.policy()
    session, transport = client._session, client._transport

    def next_answer(steps: Steps[bool], request: Request) -> Answer:
        return transport.send(request)

    slow = session.verify_receipt(sealed, receipt)
    request = next(slow)
    while not request.path.endswith("/leaves"):
        request = slow.send(next_answer(slow, request))
    old = transport.send(request)  # the answer is on its way
    town.deployment.run_batch()
    assert client.verify_receipt(sealed, receipt)  # and is overtaken
    newest = client.remembered
    assert finish(session, slow, old, transport)
    assert client.remembered == newest


def finish(session: Session, steps: Steps[bool], answer: Answer, transport: SyncTransport) -> bool:
    try:
        while True:
            answer = transport.send(steps.send(answer))
    except StopIteration as done:
        return bool(done.value)


def test_growth_is_proved_once_in_a_session(
    town: Town, counted: tuple[Client, Sealed, Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, sealed, receipt = counted
    client = again(town, filed)
    client.policy()
    town.deployment.run_batch()
    asked = meddle(monkeypatch, "/consistency/", lambda answer: answer)
    for call in (partial(client.verify_receipt, sealed, receipt), client.status, client.status):
        call()
    assert len(asked) == 1
